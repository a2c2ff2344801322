//! Counts and latencies of a load, and the report lines that show them.

use std::{fmt, io::Write, time::Duration};

use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;

use super::{cli::ReportFormat, error::LoadError};

/// Longer latencies are recorded as this. Latencies have three significant digits.
const LATENCY_MAX: Duration = Duration::from_mins(10);

/// The column headings of the lines that [`LoadFigures`] prints.
const HEADER: &str = " elapsed    acked/s   errors     p50 ms     p99 ms     max ms";

#[derive(Debug)]
pub(super) enum RecordOutcome {
    /// The producer's first record. Counted, but its latency is not: it includes connecting.
    First,
    Acked(Duration),
    Failed(String),
}

/// Statistics of a report interval, or of the whole load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadFigures {
    /// Seconds since the load started.
    pub elapsed_s: f64,
    /// Records acknowledged in the interval.
    pub acked: u64,
    pub acked_per_second: f64,
    /// Records that failed in the interval.
    pub errors: u64,
    /// Median latency of the acknowledgements. `None` if no latency was recorded.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

/// Statistics of the whole load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadSummary {
    #[serde(rename = "summary")]
    pub figures: LoadFigures,
    /// The reason of the last failed record.
    pub last_error: Option<String>,
}

/// The JSON shape of a report.
#[derive(Serialize)]
struct ReportLine<'a> {
    report: &'a LoadFigures,
}

/// Counts and latencies of one interval.
#[derive(Debug)]
struct IntervalStats {
    acked: u64,
    errors: u64,
    latency_micros: Histogram<u64>,
}

impl IntervalStats {
    fn new() -> Result<Self, CreationError> {
        let max = u64::try_from(LATENCY_MAX.as_micros()).unwrap_or(u64::MAX);
        Ok(Self { acked: 0, errors: 0, latency_micros: Histogram::new_with_bounds(1, max, 3)? })
    }

    fn clear(&mut self) {
        self.acked = 0;
        self.errors = 0;
        self.latency_micros.reset();
    }

    fn figures(&self, interval: Duration, elapsed: Duration) -> LoadFigures {
        let recorded = !self.latency_micros.is_empty();
        let millis =
            |micros: u64| recorded.then(|| Duration::from_micros(micros).as_secs_f64() * 1e3);
        // `Duration` converts u64 to f64 without a cast.
        let acked = Duration::from_secs(self.acked).as_secs_f64();

        LoadFigures {
            elapsed_s: elapsed.as_secs_f64(),
            acked: self.acked,
            acked_per_second: if interval.is_zero() { 0.0 } else { acked / interval.as_secs_f64() },
            errors: self.errors,
            p50_ms: millis(self.latency_micros.value_at_quantile(0.5)),
            p99_ms: millis(self.latency_micros.value_at_quantile(0.99)),
            max_ms: millis(self.latency_micros.max()),
        }
    }
}

/// Counts and latencies of a load: since the last report, and in total.
#[derive(Debug)]
pub(super) struct LoadStats {
    since_report: IntervalStats,
    total: IntervalStats,
    last_error: Option<String>,
}

impl LoadStats {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            since_report: IntervalStats::new()?,
            total: IntervalStats::new()?,
            last_error: None,
        })
    }

    pub(super) fn add(&mut self, outcome: RecordOutcome) {
        for stats in [&mut self.since_report, &mut self.total] {
            match &outcome {
                RecordOutcome::First => stats.acked += 1,
                RecordOutcome::Acked(latency) => {
                    stats.acked += 1;
                    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                    stats.latency_micros.saturating_record(micros);
                }
                RecordOutcome::Failed(_) => stats.errors += 1,
            }
        }

        if let RecordOutcome::Failed(reason) = outcome {
            self.last_error = Some(reason);
        }
    }

    /// The figures since the last report, `interval` ago. Starts a new interval.
    pub(super) fn report(&mut self, interval: Duration, elapsed: Duration) -> LoadFigures {
        let figures = self.since_report.figures(interval, elapsed);
        self.since_report.clear();
        figures
    }

    pub(super) fn summary(self, elapsed: Duration) -> LoadSummary {
        LoadSummary { figures: self.total.figures(elapsed, elapsed), last_error: self.last_error }
    }
}

/// The line above the reports; JSON has none.
pub(super) fn header(format: ReportFormat) -> Option<&'static str> {
    match format {
        ReportFormat::Text => Some(HEADER),
        ReportFormat::Json => None,
    }
}

pub(super) fn report_line(
    figures: &LoadFigures,
    format: ReportFormat,
) -> Result<String, serde_json::Error> {
    match format {
        ReportFormat::Text => Ok(figures.to_string()),
        ReportFormat::Json => serde_json::to_string(&ReportLine { report: figures }),
    }
}

pub(super) fn summary_line(
    summary: &LoadSummary,
    format: ReportFormat,
) -> Result<String, serde_json::Error> {
    match format {
        ReportFormat::Text => Ok(summary.to_string()),
        ReportFormat::Json => serde_json::to_string(summary),
    }
}

/// Prints a line and flushes it, so that a pipe shows it at once.
pub(super) fn print(line: &str, out: &mut dyn Write) -> Result<(), LoadError> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(LoadError::Output)
}

/// A column's value, or `-` for `None`.
fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"))
}

impl fmt::Display for LoadFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { elapsed_s, acked_per_second, errors, .. } = self;
        let (p50, p99, max) = (cell(self.p50_ms), cell(self.p99_ms), cell(self.max_ms));

        write!(
            f,
            "{elapsed_s:>6.0} s {acked_per_second:>10.1} {errors:>8} {p50:>10} {p99:>10} {max:>10}"
        )
    }
}

impl fmt::Display for LoadSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadFigures { elapsed_s, acked, acked_per_second, errors, .. } = &self.figures;
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
    fn without_an_acknowledgement_the_latency_is_none_not_0() {
        let mut stats = LoadStats::new().unwrap();
        stats.add(RecordOutcome::First);
        stats.add(RecordOutcome::Failed("timed out".to_owned()));
        let figures = stats.report(SECOND, SECOND);

        assert_eq!((figures.acked, figures.errors), (1, 1));
        assert_eq!((figures.p50_ms, figures.p99_ms, figures.max_ms), (None, None, None));
        assert_eq!(
            figures.to_string(),
            "     1 s        1.0        1          -          -          -"
        );
        assert_eq!(HEADER.len(), figures.to_string().len());
    }

    #[test]
    fn a_report_covers_its_interval_and_the_summary_everything() {
        let mut stats = LoadStats::new().unwrap();
        stats.add(acked(10));
        let first = stats.report(SECOND, SECOND);
        stats.add(acked(1_000));
        let second = stats.report(2 * SECOND, 3 * SECOND);

        assert!((first.max_ms.unwrap() - 10.0).abs() < 0.1, "{first:?}");
        assert!((second.p50_ms.unwrap() - 1_000.0).abs() < 1.0, "{second:?}");
        assert!((second.acked_per_second - 0.5).abs() < 1e-9, "{second:?}");
        let summary = stats.summary(3 * SECOND);
        assert_eq!(summary.figures.acked, 2);
        assert!((summary.figures.p50_ms.unwrap() - 10.0).abs() < 0.1, "{summary:?}");
    }

    #[test]
    fn a_latency_over_the_maximum_is_recorded_as_the_maximum() {
        let mut stats = LoadStats::new().unwrap();
        stats.add(RecordOutcome::Acked(10 * LATENCY_MAX));
        assert!(stats.summary(SECOND).figures.max_ms.unwrap() > 599_000.0);
    }

    #[test]
    fn the_summary_has_the_last_error_in_both_formats() {
        let mut stats = LoadStats::new().unwrap();
        stats.add(RecordOutcome::Failed("first".to_owned()));
        stats.add(RecordOutcome::Failed("second".to_owned()));
        let summary = stats.summary(SECOND);
        let text = summary_line(&summary, ReportFormat::Text).unwrap();

        assert!(text.ends_with("last error: second"), "{text}");
        let json = summary_line(&summary, ReportFormat::Json).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["summary"]["errors"], 2);
        assert_eq!(value["last_error"], "second");
    }
}
