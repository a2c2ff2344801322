//! The report of `load suite`, in Markdown.

use std::fmt::Write;

use serde::Deserialize;

use super::show::plain;
use crate::{load::Percentiles, model::WallTime};

/// What the report shows of a load. Field names are those of `load … --output json`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LoadNumbers {
    elapsed_s: f64,
    acknowledged: u64,
    failed: u64,
    missing: Option<u64>,
    records_per_second: f64,
    mib_per_second: f64,
    acknowledge: Option<Percentiles>,
    end_to_end: Option<Percentiles>,
}

/// The parts in the order in which they came; the loads are one table.
pub(super) struct SuiteReport {
    begun: WallTime,
    loads: Vec<(&'static str, LoadNumbers)>,
    parts: String,
}

const HEAD: &str = "\
| load | records | s | records/s | MiB/s | p50 | p99 | p99.9 | max \
| end to end p99 | missing | failed |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

impl SuiteReport {
    pub(super) fn new(begun: WallTime) -> Self {
        Self { begun, loads: Vec::new(), parts: String::new() }
    }

    pub(super) fn load(&mut self, name: &'static str, numbers: LoadNumbers) {
        self.loads.push((name, numbers));
    }

    /// What a command printed, word for word.
    pub(super) fn output(&mut self, title: &str, text: &str) {
        let text: Vec<String> = text.trim_end().lines().map(plain).collect();
        self.push(&format!("## {title}\n\n```text\n{}\n```\n", text.join("\n")));
    }

    pub(super) fn note(&mut self, text: &str) {
        self.push(&format!("{}\n", plain(text)));
    }

    /// Another document, which becomes a part of this one: its headings go one level down.
    pub(super) fn append(&mut self, markdown: &str) {
        let lines = markdown.lines().map(|it| {
            let is_heading = it.starts_with('#');
            format!("{}{it}\n", if is_heading { "#" } else { "" })
        });
        let text: String = lines.collect();
        self.push(&text);
    }

    fn push(&mut self, part: &str) {
        self.parts.push('\n');
        self.parts.push_str(part);
    }

    pub(super) fn markdown(&self) -> String {
        let begun = jiff::Timestamp::from_millisecond(self.begun.0).unwrap_or_default();
        let begun = begun.strftime("%Y-%m-%d %H:%M:%S UTC");
        let rows: String = self.loads.iter().map(|(name, it)| row(name, it)).collect();

        format!(
            "# Load suite\n\nBegun {begun}. Latencies in milliseconds, from the time at which a \
             record was due to its acknowledgement, or to the consumer (end to end). A stress \
             without a rate has no due times: its latencies contain the wait in the client.\n\n\
             ## Loads\n\n{HEAD}{rows}{}",
            self.parts
        )
    }
}

fn row(name: &str, load: &LoadNumbers) -> String {
    let LoadNumbers { acknowledged, elapsed_s, records_per_second, mib_per_second, .. } = load;
    let missing = load.missing.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let mut row = format!(
        "| {name} | {acknowledged} | {elapsed_s:.1} | {records_per_second:.0} | \
         {mib_per_second:.2} |"
    );

    let of = |all: Option<Percentiles>, read: fn(Percentiles) -> f64| {
        all.map_or_else(|| "-".to_owned(), |it| format!("{:.1}", read(it)))
    };
    for cell in [
        of(load.acknowledge, |it| it.p50_ms),
        of(load.acknowledge, |it| it.p99_ms),
        of(load.acknowledge, |it| it.p99_9_ms),
        of(load.acknowledge, |it| it.max_ms),
        of(load.end_to_end, |it| it.p99_ms),
        missing,
        load.failed.to_string(),
    ] {
        // Writing to a string cannot fail.
        let _infallible = write!(row, " {cell} |");
    }
    row.push('\n');

    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_a_table_and_other_parts_follow_in_order() {
        let numbers = r#"{"elapsed_s": 20.04, "acknowledged": 100000, "failed": 0, "missing": 0,
            "records_per_second": 4999.6, "mib_per_second": 4.88, "plan": {},
            "acknowledge": {"p50_ms": 3.11, "p90_ms": 4, "p99_ms": 12.5, "p99_9_ms": 40, "max_ms": 51},
            "end_to_end": null}"#;
        let mut report = SuiteReport::new(WallTime(0));
        report.load("baseline", serde_json::from_str(numbers).unwrap());
        report.output("Analysis before", "green\u{1b}[0m\n");
        report.note("No token.");
        report.append("# Report\n\ntext\n## Runs\n");
        let text = report.markdown();

        assert!(text.contains("Begun 1970-01-01 00:00:00 UTC."), "{text}");
        let row =
            "| baseline | 100000 | 20.0 | 5000 | 4.88 | 3.1 | 12.5 | 40.0 | 51.0 | - | 0 | 0 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("## Analysis before\n\n```text\ngreen\u{fffd}[0m\n```\n"), "{text}");
        assert!(text.ends_with("\nNo token.\n\n## Report\n\ntext\n### Runs\n"), "{text}");
    }
}
