//! Places in the file, and the words that may stand there.

use super::CheckReport;

/// A place in the file, of which keys are named.
pub(super) struct KeyPath(pub(super) String);

impl KeyPath {
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.0)
    }
}

/// The words that may stand at a key.
pub(super) struct Choices<T: 'static> {
    pub(super) known: &'static [T],
    pub(super) label: fn(T) -> &'static str,
    /// Words of a later version: a wish that is silently a misspelling would be looked for.
    pub(super) later: &'static [&'static str],
}

impl<T: Copy> Choices<T> {
    pub(super) fn pick(&self, written: &str, path: String, report: &mut CheckReport) -> Option<T> {
        let pick = self.known.iter().copied().find(|it| (self.label)(*it) == written);
        if pick.is_none() {
            let labels = self.known.iter().map(|it| (self.label)(*it));
            if self.later.contains(&written) {
                let instead: Vec<&str> = labels.collect();
                let instead = instead.join(", ");
                let advice = format!("`{written}` is not in this version; there is {instead}");
                report.problem(path, advice);
            } else {
                report.no_choice(path, written, labels);
            }
        }
        pick
    }
}
