//! The text format 0.0.4, by hand: a page of 200,000 series is written in about 10 ms.

use std::fmt::Write;

use crate::telemetry::Spec;

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    series: u64,
}

/// One family in the making. Its HELP and TYPE are written before its first sample, and not at all
/// when it has none.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut Text,
    spec: &'static Spec,
    /// Where the page ended before this family.
    from: usize,
}

impl Text {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), series: 0 }
    }

    pub(super) fn family(&mut self, spec: &'static Spec) -> Family<'_> {
        let from = self.out.len();
        Family { text: self, spec, from }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}

impl Family<'_> {
    /// Samples on the page so far.
    pub(super) fn series(&self) -> u64 {
        self.text.series
    }

    /// Writes a sample. `labels` is what stands between the braces; a second part saves its callers
    /// from putting a long first part together again for each series.
    pub(super) fn integer(&mut self, labels: [&str; 2], value: i64) {
        self.begin(labels);
        push_integer(&mut self.text.out, value);
        self.text.out.push('\n');
    }

    /// Writes a sample whose last label is a partition: `labels` ends in `partition="`.
    pub(super) fn partition(&mut self, labels: &str, partition: i32, value: i64) {
        self.open(labels);
        push_integer(&mut self.text.out, partition.into());
        self.text.out.push_str("\"} ");
        push_integer(&mut self.text.out, value);
        self.text.out.push('\n');
    }

    pub(super) fn unsigned(&mut self, labels: [&str; 2], value: u64) {
        self.begin(labels);
        push_unsigned(&mut self.text.out, value);
        self.text.out.push('\n');
    }

    /// What is not finite is not known, and has no sample.
    pub(super) fn float(&mut self, labels: [&str; 2], value: f64) {
        if value.is_finite() {
            self.begin(labels);
            // Rust writes the shortest decimal that reads back the same. A String takes all writes.
            let _infallible = writeln!(self.text.out, "{value}");
        }
    }

    fn begin(&mut self, labels: [&str; 2]) {
        self.open(labels[0]);
        self.text.out.push_str(labels[1]);
        self.text.out.push_str("} ");
    }

    fn open(&mut self, labels: &str) {
        let out = &mut self.text.out;
        if out.len() == self.from {
            let Spec { name, kind, help, .. } = self.spec;
            out.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind.label(), "\n"]);
        }
        out.push_str(self.spec.name);
        out.push('{');
        out.push_str(labels);
        self.text.series = self.text.series.saturating_add(1);
    }
}

/// Appends `,name="value"`, or the first label without the comma.
pub(super) fn push_label(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(name);
    labels.push_str("=\"");
    for each in value.chars() {
        match each {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            other => labels.push(other),
        }
    }
    labels.push('"');
}

/// `labels`, with one more.
pub(super) fn with_label(labels: &str, name: &str, value: &str) -> String {
    let mut all = String::with_capacity(labels.len() + name.len() + value.len() + 4);
    all.push_str(labels);
    push_label(&mut all, name, value);
    all
}

pub(super) fn push_integer(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    push_unsigned(out, value.unsigned_abs());
}

/// Two to three times as fast as `write!`, on what most of a page is made of.
fn push_unsigned(out: &mut String, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or("0"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expose::catalogue;

    #[test]
    fn integers_are_written_whole() {
        for value in [0, 7, 10, -1, 1_234_567_890_123, i64::MAX, i64::MIN] {
            let mut out = String::new();
            push_integer(&mut out, value);
            assert_eq!(out, value.to_string());
        }
        let mut out = String::new();
        push_unsigned(&mut out, u64::MAX);
        assert_eq!(out, u64::MAX.to_string());
    }

    #[test]
    fn a_label_is_escaped_exactly() {
        let labels = with_label("a=\"1\"", "b", "\\ \" \n { } é,=");
        assert_eq!(labels, "a=\"1\",b=\"\\\\ \\\" \\n { } é,=\"");
    }

    #[test]
    fn a_family_without_samples_leaves_nothing() {
        let mut text = Text::default();
        text.family(&catalogue::UP);
        text.family(&catalogue::CONTAINER_CPU).float(["", ""], f64::NAN);
        assert_eq!(text.finish(), "");
    }

    #[test]
    fn floats_read_back_the_same() {
        let mut text = Text::default();
        text.family(&catalogue::CONTAINER_CPU).float(["x=\"1\"", ""], 0.1 + 0.2);
        let page = text.finish();
        assert!(page.ends_with("_total{x=\"1\"} 0.30000000000000004\n"), "{page}");
    }
}
