//! Filters of topic and group names: regular expressions, fully anchored as in Prometheus.

use regex::RegexSet;

/// Selects names by regular expressions. The default selects all.
#[derive(Clone, Debug, Default)]
pub struct NameFilter {
    /// Empty includes every name.
    include: RegexSet,
    exclude: RegexSet,
}

impl NameFilter {
    /// Selects the names that match one of `include` (or all, if it is empty) and none of
    /// `exclude`.
    ///
    /// # Errors
    ///
    /// If an expression is invalid, or the compiled set is too large.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, regex::Error> {
        let whole = |it: &[String]| RegexSet::new(it.iter().map(|it| format!("^(?:{it})$")));
        Ok(Self { include: whole(include)?, exclude: whole(exclude)? })
    }

    pub fn admits(&self, name: &str) -> bool {
        (self.include.is_empty() || self.include.is_match(name)) && !self.exclude.is_match(name)
    }
}

impl PartialEq for NameFilter {
    fn eq(&self, other: &Self) -> bool {
        self.include.patterns() == other.include.patterns()
            && self.exclude.patterns() == other.exclude.patterns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(include: &[&str], exclude: &[&str], want: &[&str]) {
        let owned = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let filter = NameFilter::new(&owned(include), &owned(exclude)).unwrap();
        let names = ["orders", "orders-eu", "ab", "__offsets"];
        let admitted: Vec<&str> = names.into_iter().filter(|it| filter.admits(it)).collect();

        assert_eq!(admitted, want, "{include:?} {exclude:?}");
    }

    #[test]
    fn the_whole_name_is_matched_and_exclusion_wins() {
        check(&[], &[], &["orders", "orders-eu", "ab", "__offsets"]);
        check(&["orders"], &[], &["orders"]);
        check(&["orders.*", "ab"], &[], &["orders", "orders-eu", "ab"]);
        check(&["a|b"], &[], &[]);
        check(&[], &["__.*"], &["orders", "orders-eu", "ab"]);
        check(&[".*"], &["orders"], &["orders-eu", "ab", "__offsets"]);
    }
}
