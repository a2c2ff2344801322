//! Formats samples by hand: 200,000 take about 10 ms.

use std::fmt::Write;

use super::exposition::{Exposition, ExpositionWriter, Format};
use crate::{
    model::LagTime,
    telemetry::{Kind, Spec},
};

/// Text is compressed in blocks of this size.
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
pub(super) enum SampleValue {
    Signed(i64),
    Whole(u64),
    Float(f64),
    /// In seconds, to a tenth.
    Age(LagTime),
}

impl SampleValue {
    /// A value that is not finite is unknown and has no sample.
    fn is_known(self) -> bool {
        match self {
            Self::Float(value) => value.is_finite(),
            Self::Signed(_) | Self::Whole(_) | Self::Age(_) => true,
        }
    }

    fn push(self, out: &mut String) {
        match self {
            Self::Signed(value) => push_integer(out, value),
            Self::Whole(value) => push_unsigned(out, value),
            // Rust writes the shortest decimal that parses to the same value. Writing to a String
            // cannot fail.
            Self::Float(value) => {
                let _infallible = write!(out, "{value}");
            }
            Self::Age(time) => {
                let tenths = u64::try_from(time.age.as_millis() / 100).unwrap_or(u64::MAX);
                push_unsigned(out, tenths / 10);
                if tenths % 10 != 0 {
                    out.push('.');
                    push_unsigned(out, tenths % 10);
                }
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Text {
    out: String,
    series: u64,
    page: ExpositionWriter,
}

/// Writes one family. HELP and TYPE come before its first sample; a family without samples leaves
/// nothing.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut Text,
    spec: &'static Spec,
    begun: bool,
}

impl Text {
    pub(super) fn new() -> Self {
        let out = String::with_capacity(BUFFER_BYTES + BUFFER_BYTES / 8);
        Self { out, series: 0, page: ExpositionWriter::new() }
    }

    pub(super) fn family(&mut self, spec: &'static Spec) -> Family<'_> {
        Family { text: self, spec, begun: false }
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            self.page.write(&self.out);
            self.out.clear();
        }
    }

    /// Writes HELP and TYPE, which are the same in both formats for gauges only.
    fn head(&mut self, spec: &Spec) {
        if spec.kind == Kind::Gauge {
            push_head(&mut self.out, spec.name, spec.help, spec.kind.label());
            return;
        }

        self.flush();
        let mut head = String::new();
        push_head(&mut head, spec.name, spec.help, spec.kind.label());
        self.page.write_for(Format::Text, &head);
        head.clear();
        let name = spec.name.strip_suffix("_total").unwrap_or(spec.name);
        let kind = if spec.kind == Kind::Untyped { "unknown" } else { spec.kind.label() };
        push_head(&mut head, name, spec.help, kind);
        self.page.write_for(Format::OpenMetrics, &head);
    }

    pub(super) fn finish(mut self) -> Exposition {
        self.flush();
        self.page.finish()
    }
}

fn push_head(out: &mut String, name: &str, help: &str, kind: &str) {
    out.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
}

impl Family<'_> {
    /// Samples written so far, of all families.
    pub(super) fn series(&self) -> u64 {
        self.text.series
    }

    /// Writes a sample. `labels` is the text between the braces in two parts, so that callers can
    /// reuse a long first part for many series.
    pub(super) fn sample(&mut self, labels: [&str; 2], sample: SampleValue) {
        if sample.is_known() {
            self.open(labels[0]);
            self.text.out.push_str(labels[1]);
            self.close(sample);
        }
    }

    pub(super) fn whole(&mut self, labels: [&str; 2], value: u64) {
        self.sample(labels, SampleValue::Whole(value));
    }

    /// Writes a sample of a partition; `more` follows the partition label.
    pub(super) fn partition(
        &mut self,
        labels: &str,
        partition: i32,
        more: &str,
        sample: SampleValue,
    ) {
        if sample.is_known() {
            self.open(labels);
            self.text.out.push_str(",partition=\"");
            push_integer(&mut self.text.out, partition.into());
            self.text.out.push('"');
            self.text.out.push_str(more);
            self.close(sample);
        }
    }

    fn open(&mut self, labels: &str) {
        if self.text.out.len() >= BUFFER_BYTES {
            self.text.flush();
        }

        if !self.begun {
            self.text.head(self.spec);
            self.begun = true;
        }

        let out = &mut self.text.out;
        out.push_str(self.spec.name);
        out.push('{');
        out.push_str(labels);
        self.text.series = self.text.series.saturating_add(1);
    }

    fn close(&mut self, sample: SampleValue) {
        let out = &mut self.text.out;
        out.push_str("} ");
        sample.push(out);
        out.push('\n');
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

pub(super) fn with_label(labels: &str, name: &str, value: &str) -> String {
    let mut all = String::with_capacity(labels.len() + name.len() + value.len() + 4);
    all.push_str(labels);
    push_label(&mut all, name, value);
    all
}

fn push_integer(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    push_unsigned(out, value.unsigned_abs());
}

/// Two to three times as fast as `write!`; most of the text is integers.
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
    use std::time::Duration;

    use super::*;
    use crate::{expose::catalogue, model::LagMethod};

    fn text_of(page: &Exposition, format: Format) -> String {
        let pieces: Vec<_> = page.identity(format, "").map(Result::unwrap).collect();
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[track_caller]
    fn check(sample: SampleValue, want: &str) {
        let mut out = String::new();
        sample.push(&mut out);
        assert_eq!(out, want);
    }

    #[test]
    fn integers_are_written_whole() {
        for value in [0, 7, 10, -1, 1_234_567_890_123, i64::MAX, i64::MIN] {
            check(SampleValue::Signed(value), &value.to_string());
        }
        check(SampleValue::Whole(u64::MAX), &u64::MAX.to_string());
    }

    #[test]
    fn ages_are_written_to_a_tenth_and_floats_read_back_the_same() {
        let age = |millis| {
            let age = Duration::from_millis(millis);
            SampleValue::Age(LagTime { age, method: LagMethod::Interpolated })
        };

        check(age(0), "0");
        check(age(12_000), "12");
        check(age(12_349), "12.3");
        check(SampleValue::Float(0.1 + 0.2), "0.30000000000000004");
    }

    #[test]
    fn a_label_is_escaped_exactly() {
        let labels = with_label("a=\"1\"", "b", "\\ \" \n { } é,=");
        assert_eq!(labels, "a=\"1\",b=\"\\\\ \\\" \\n { } é,=\"");
    }

    #[test]
    fn a_family_without_samples_leaves_nothing() {
        let mut text = Text::new();
        text.family(&catalogue::UP);
        text.family(&catalogue::CONTAINER_CPU).sample(["", ""], SampleValue::Float(f64::NAN));
        let page = text.finish();
        assert_eq!(text_of(&page, Format::Text), "");
        assert_eq!(page.text_bytes(), 0);
    }

    #[test]
    fn a_counter_is_described_as_each_format_has_it() {
        let mut text = Text::new();
        text.family(&catalogue::CONTAINER_CPU).sample(["a=\"1\"", ""], SampleValue::Float(1.5));
        let page = text.finish();
        let sample = "kafka_broker_container_cpu_seconds_total{a=\"1\"} 1.5\n";

        for (format, kind) in [
            (Format::Text, "# TYPE kafka_broker_container_cpu_seconds_total counter\n"),
            (Format::OpenMetrics, "# TYPE kafka_broker_container_cpu_seconds counter\n"),
        ] {
            assert!(text_of(&page, format).contains(&format!("{kind}{sample}")), "{format}");
        }
    }
}
