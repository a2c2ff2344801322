//! Counts and latencies of a load, and the lines that show them.

use std::{fmt, io::Write, time::Duration};

use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;

use super::{cli::ReportFormat, error::LoadError};

/// Latency is kept to three digits up to this; what takes longer counts as this.
const LATENCY_MAX: Duration = Duration::from_mins(10);

/// The head of the lines that [`Figures`] prints.
const HEAD: &str = " elapsed    acked/s   errors     p50 ms     p99 ms     max ms";

/// What became of one record.
#[derive(Debug)]
pub(super) enum RecordOutcome {
    /// Acknowledged after the producer had connected for it: counted, its time is not.
    First,
    Acked(Duration),
    /// Given up; this is why.
    Failed(String),
}

/// What a span of time came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Seconds since the load began.
    pub elapsed_s: f64,
    /// Records acknowledged in the span.
    pub acked: u64,
    /// The same, per second.
    pub acked_per_second: f64,
    /// Records given up in the span.
    pub errors: u64,
    /// Median time to the acknowledgement; nothing when no record was acknowledged.
    pub p50_ms: Option<f64>,
    /// 99 of 100 were acknowledged in at most this time.
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

/// What the whole load came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The figures of the whole time.
    #[serde(rename = "summary")]
    pub figures: Figures,
    /// Why the last record that was given up was given up.
    pub last_error: Option<String>,
}

/// A line of a running load.
#[derive(Serialize)]
struct ReportLine<'a> {
    report: &'a Figures,
}

/// Counts and latencies of one span.
#[derive(Debug)]
struct IntervalStats {
    acked: u64,
    errors: u64,
    latency_micros: Histogram<u64>,
}

impl IntervalStats {
    fn new() -> Result<Self, CreationError> {
        let top = u64::try_from(LATENCY_MAX.as_micros()).unwrap_or(u64::MAX);
        Ok(Self { acked: 0, errors: 0, latency_micros: Histogram::new_with_bounds(1, top, 3)? })
    }

    fn clear(&mut self) {
        self.acked = 0;
        self.errors = 0;
        self.latency_micros.reset();
    }

    fn figures(&self, span: Duration, elapsed: Duration) -> Figures {
        let timed = !self.latency_micros.is_empty();
        let millis = |micros: u64| timed.then(|| Duration::from_micros(micros).as_secs_f64() * 1e3);
        // The standard library's own way from u64 to f64.
        let acked = Duration::from_secs(self.acked).as_secs_f64();
        Figures {
            elapsed_s: elapsed.as_secs_f64(),
            acked: self.acked,
            acked_per_second: if span.is_zero() { 0.0 } else { acked / span.as_secs_f64() },
            errors: self.errors,
            p50_ms: millis(self.latency_micros.value_at_quantile(0.5)),
            p99_ms: millis(self.latency_micros.value_at_quantile(0.99)),
            max_ms: millis(self.latency_micros.max()),
        }
    }
}

/// Counts and latencies of a load: since the last report, and in all.
#[derive(Debug)]
pub(super) struct LoadStats {
    since_report: IntervalStats,
    whole: IntervalStats,
    last_error: Option<String>,
}

impl LoadStats {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            since_report: IntervalStats::new()?,
            whole: IntervalStats::new()?,
            last_error: None,
        })
    }

    pub(super) fn add(&mut self, outcome: RecordOutcome) {
        for series in [&mut self.since_report, &mut self.whole] {
            match &outcome {
                RecordOutcome::First => series.acked += 1,
                RecordOutcome::Acked(latency) => {
                    series.acked += 1;
                    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                    series.latency_micros.saturating_record(micros);
                }
                RecordOutcome::Failed(_) => series.errors += 1,
            }
        }
        if let RecordOutcome::Failed(reason) = outcome {
            self.last_error = Some(reason);
        }
    }

    /// The figures since the last report, which `span` ago was; starts the next one.
    pub(super) fn report(&mut self, span: Duration, elapsed: Duration) -> Figures {
        let figures = self.since_report.figures(span, elapsed);
        self.since_report.clear();
        figures
    }

    pub(super) fn summary(self, elapsed: Duration) -> Summary {
        Summary { figures: self.whole.figures(elapsed, elapsed), last_error: self.last_error }
    }
}

/// The line above the reports, where there is one.
pub(super) fn head(format: ReportFormat) -> Option<&'static str> {
    match format {
        ReportFormat::Text => Some(HEAD),
        ReportFormat::Json => None,
    }
}

/// The line of one report.
pub(super) fn report_line(
    figures: &Figures,
    format: ReportFormat,
) -> Result<String, serde_json::Error> {
    match format {
        ReportFormat::Text => Ok(figures.to_string()),
        ReportFormat::Json => serde_json::to_string(&ReportLine { report: figures }),
    }
}

pub(super) fn summary_line(
    summary: &Summary,
    format: ReportFormat,
) -> Result<String, serde_json::Error> {
    match format {
        ReportFormat::Text => Ok(summary.to_string()),
        ReportFormat::Json => serde_json::to_string(summary),
    }
}

/// A line that is seen at once, through a pipe too.
pub(super) fn print(line: &str, out: &mut dyn Write) -> Result<(), LoadError> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(LoadError::Output)
}

/// A value of a column, or a dash where there is none.
fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"))
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { elapsed_s, acked_per_second, errors, .. } = self;
        let (p50, p99, max) = (cell(self.p50_ms), cell(self.p99_ms), cell(self.max_ms));
        write!(
            f,
            "{elapsed_s:>6.0} s {acked_per_second:>10.1} {errors:>8} {p50:>10} {p99:>10} {max:>10}"
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { elapsed_s, acked, acked_per_second, errors, .. } = &self.figures;
        let (p50, p99) = (cell(self.figures.p50_ms), cell(self.figures.p99_ms));
        let max = cell(self.figures.max_ms);
        write!(
            f,
            "{acked} records acknowledged in {elapsed_s:.0} s ({acked_per_second:.1}/s), \
             {errors} errors; p50 {p50} ms, p99 {p99} ms, max {max} ms"
        )?;
        self.last_error.as_ref().map_or(Ok(()), |it| write!(f, "; last error: {it}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn acked(millis: u64) -> RecordOutcome {
        RecordOutcome::Acked(Duration::from_millis(millis))
    }

    #[test]
    fn without_an_acknowledgement_there_is_no_latency_rather_than_zero() {
        let mut tally = LoadStats::new().unwrap();
        tally.add(RecordOutcome::First);
        tally.add(RecordOutcome::Failed("timed out".to_owned()));
        let figures = tally.report(SECOND, SECOND);
        assert_eq!((figures.acked, figures.errors), (1, 1));
        assert_eq!((figures.p50_ms, figures.p99_ms, figures.max_ms), (None, None, None));
        assert_eq!(
            figures.to_string(),
            "     1 s        1.0        1          -          -          -"
        );
        assert_eq!(HEAD.len(), figures.to_string().len());
    }

    #[test]
    fn a_report_starts_anew_and_the_summary_does_not() {
        let mut tally = LoadStats::new().unwrap();
        tally.add(acked(10));
        let first = tally.report(SECOND, SECOND);
        tally.add(acked(1_000));
        let second = tally.report(2 * SECOND, 3 * SECOND);
        assert!((first.max_ms.unwrap() - 10.0).abs() < 0.1, "{first:?}");
        assert!((second.p50_ms.unwrap() - 1_000.0).abs() < 1.0, "{second:?}");
        assert!((second.acked_per_second - 0.5).abs() < 1e-9, "{second:?}");
        let summary = tally.summary(3 * SECOND);
        assert_eq!(summary.figures.acked, 2);
        assert!((summary.figures.p50_ms.unwrap() - 10.0).abs() < 0.1, "{summary:?}");
    }

    #[test]
    fn a_latency_past_the_top_counts_as_the_top() {
        let mut tally = LoadStats::new().unwrap();
        tally.add(RecordOutcome::Acked(10 * LATENCY_MAX));
        assert!(599_000.0 < tally.summary(SECOND).figures.max_ms.unwrap());
    }

    #[test]
    fn the_last_reason_is_in_the_summary_in_both_formats() {
        let mut tally = LoadStats::new().unwrap();
        tally.add(RecordOutcome::Failed("first".to_owned()));
        tally.add(RecordOutcome::Failed("second".to_owned()));
        let summary = tally.summary(SECOND);
        let text = summary_line(&summary, ReportFormat::Text).unwrap();
        assert!(text.ends_with("last error: second"), "{text}");
        let json = summary_line(&summary, ReportFormat::Json).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["summary"]["errors"], 2);
        assert_eq!(value["last_error"], "second");
    }
}
