//! How a load and its result are shown to people.

use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::show::{plain, rendered, table, wrapped};
use crate::load::{LoadEnd, LoadOutcome, LoadPlan, Percentiles, RecordCounts};

const BAR: &str = "{prefix:>12} {bar:30} {human_pos}/{human_len} {per_sec} {eta}";

/// Progress bars on standard error; nothing if that is not a terminal.
pub(super) struct LoadProgress {
    acknowledged: ProgressBar,
    consumed: ProgressBar,
}

impl LoadProgress {
    pub(super) fn new(plan: &LoadPlan) -> Self {
        let bars = MultiProgress::new();
        let bar = |prefix: &'static str| {
            let style = ProgressStyle::with_template(BAR);
            let bar = bars.add(ProgressBar::new(plan.records()).with_prefix(prefix));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));

            bar
        };
        let acknowledged = bar("acknowledged");
        let consumed =
            if plan.consumers_per_topic > 0 { bar("consumed") } else { ProgressBar::hidden() };

        Self { acknowledged, consumed }
    }

    pub(super) fn update(&mut self, counts: RecordCounts) {
        self.acknowledged.set_position(counts.acknowledged);
        self.consumed.set_position(counts.consumed);
    }

    pub(super) fn finish(self) {
        self.acknowledged.finish_and_clear();
        self.consumed.finish_and_clear();
    }
}

pub(super) fn print_outcome(
    outcome: &LoadOutcome,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for line in plan_lines(outcome) {
        writeln!(out, "{}", wrapped(&line, width))?;
    }

    writeln!(out, "\n{}", rendered(counts_table(outcome), width))?;
    writeln!(out, "\n{}", rendered(latency_table(outcome), width))?;

    for line in notes(outcome) {
        writeln!(out, "{}", wrapped(&line, width))?;
    }

    Ok(())
}

fn plan_lines(outcome: &LoadOutcome) -> [String; 2] {
    let LoadOutcome { plan, replication_factor, .. } = outcome;
    let rate = match plan.rate {
        None => "as fast as possible".to_owned(),
        Some(rate) if plan.rate_is_capped => {
            format!("at {}/s (the cap without --i-own-this-cluster)", grouped(rate.get().into()))
        }
        Some(rate) => format!("at {}/s", grouped(rate.get().into())),
    };

    [
        format!(
            "{}: {} records of {} bytes {rate}, to {} of {}, replication factor \
             {replication_factor}",
            plan.load,
            grouped(plan.records()),
            plan.record_bytes,
            numbered(plan.topics, "topic"),
            numbered(plan.partitions_per_topic, "partition"),
        ),
        format!(
            "acks {}{}, compression {}, linger {} ms, batches of up to {} bytes, {} and {} per topic",
            plan.acks.as_config(),
            if plan.is_idempotent { " and idempotent" } else { "" },
            plan.compression.as_config(),
            plan.linger_ms,
            plan.batch_bytes,
            numbered(plan.producers_per_topic, "producer"),
            numbered(plan.consumers_per_topic, "consumer"),
        ),
    ]
}

fn counts_table(outcome: &LoadOutcome) -> comfy_table::Table {
    let optional = |it: Option<u64>| it.map_or_else(|| "-".to_owned(), grouped);
    let mut counts = table(&[
        "ACKNOWLEDGED",
        "FAILED",
        "CONSUMED",
        "MISSING",
        "TWICE",
        "SECONDS",
        "RECORDS/S",
        "MIB/S",
    ]);
    counts.add_row([
        grouped(outcome.acknowledged),
        grouped(outcome.failed),
        optional(outcome.consumed),
        optional(outcome.missing),
        optional(outcome.duplicates),
        format!("{:.1}", outcome.elapsed_s),
        format!("{:.0}", outcome.records_per_second),
        format!("{:.2}", outcome.mib_per_second),
    ]);

    counts
}

fn latency_table(outcome: &LoadOutcome) -> comfy_table::Table {
    let mut latencies = table(&["LATENCY (MS)", "P50", "P90", "P99", "P99.9", "MAX"]);
    let rows = [("acknowledgement", outcome.acknowledge), ("end to end", outcome.end_to_end)];

    for (name, percentiles) in rows {
        let values = percentiles.map(|it| {
            let Percentiles { p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms } = it;
            [p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms].map(|it| format!("{it:.1}"))
        });
        let values = values.unwrap_or_else(|| std::array::from_fn(|_| "-".to_owned()));
        latencies.add_row(std::iter::once(name.to_owned()).chain(values));
    }

    latencies
}

fn notes(outcome: &LoadOutcome) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(late) = outcome.handed_over_late_max_ms {
        notes.push(format!(
            "Latencies count from the time at which a record was due; records were handed to their \
             client at most {late:.1} ms after it."
        ));
    } else {
        notes.push(
            "Without a rate no record has a due time: latencies contain the wait in the client's \
             own queue."
                .to_owned(),
        );
    }

    if outcome.end == LoadEnd::Complete && outcome.missing == Some(0) {
        notes.push("Every acknowledged record was consumed.".to_owned());
    }

    if let Some(error) = &outcome.last_error {
        notes.push(format!("Last error: {}", plain(error)));
    }

    if !outcome.left_behind.is_empty() {
        notes.push(format!("Not deleted: {}", outcome.left_behind.join(", ")));
    }

    notes
}

fn numbered(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// With commas between groups of digits: `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();

    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }

        text.push(digit);
    }

    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
