//! `baseline record | compare | list | delete`: windows with a name, and how another one differs.

use std::{io, io::Write, time::Duration};

use clap::{Args, Subcommand};

use super::{
    YesArg,
    client::{ApiClient, ServerArgs},
    show::{clock_time, plain, rendered, table},
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    baseline::{Unit, short},
    http::{
        baseline_payload::{
            BaselinePayload, BaselinesPayload, ComparedPayload, ComparisonPayload, MeasuredPayload,
            RecordBaselinePayload,
        },
        with_query,
    },
};

/// Measure the cluster under a name, and compare with it later.
///
/// A baseline has what Prometheus knows of a window: times, throughput, load, CPU and idle time of
/// each broker. A comparison says better, same, worse or inconclusive by the procedure that judges
/// runs.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kafka-optimizer baseline record before-upgrade           the last 10 minutes
  kafka-optimizer baseline record peak --for 1h            the last hour
  kafka-optimizer baseline compare before-upgrade          the same numbers now
  kafka-optimizer baseline compare peak --with peak-2      another baseline
  kafka-optimizer baseline list                            what is recorded")]
pub(super) enum BaselineCommand {
    Record(RecordArgs),
    Compare(CompareArgs),
    List(ListArgs),
    Delete(DeleteArgs),
}

/// Store what was measured in the time that has just passed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer baseline record before-upgrade            the last 10 minutes
  kafka-optimizer baseline record before-upgrade --replace  once more, under the same name")]
pub(super) struct RecordArgs {
    /// Up to 64 letters, digits, `-` and `_`.
    #[arg(value_name = "NAME")]
    name: String,

    /// How much of the past, in whole minutes: from 5m to 2h.
    #[arg(
        long = "for",
        value_name = "TIME",
        default_value = "10m",
        value_parser = humantime::parse_duration
    )]
    window: Duration,

    /// Take the place of the baseline with this name.
    #[arg(long)]
    replace: bool,

    /// Name of the cluster. It may be left out if the server has only one.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

/// Compare with the time that has just passed, or with another baseline.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer baseline compare before-upgrade                  now
  kafka-optimizer baseline compare before-upgrade --output json    with the evidence of each verdict
  kafka-optimizer baseline compare peak --with peak-2              another baseline")]
pub(super) struct CompareArgs {
    /// Name of the baseline, as `baseline list` shows it.
    #[arg(value_name = "NAME")]
    name: String,

    /// Another baseline of the cluster, instead of the time that has just passed.
    #[arg(long, value_name = "OTHER")]
    with: Option<String>,

    /// Name of the cluster. It may be left out if the server has only one.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Show the baselines, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer baseline list                  of all clusters
  kafka-optimizer baseline list --cluster main   of one cluster")]
pub(super) struct ListArgs {
    /// Only baselines of this cluster.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Delete a baseline for good.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer baseline delete before-upgrade           after a question
  kafka-optimizer baseline delete before-upgrade --yes     in a script")]
pub(super) struct DeleteArgs {
    /// Name of the baseline, as `baseline list` shows it.
    #[arg(value_name = "NAME")]
    name: String,

    /// Name of the cluster. It may be left out if the server has only one.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl BaselineCommand {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Record(args) => args.run(terminal).await,
            Self::Compare(args) => args.run(terminal).await,
            Self::List(args) => args.run(terminal).await,
            Self::Delete(args) => args.run(terminal).await,
        }
    }
}

/// Checks a name before it becomes part of a path.
fn checked(name: &str) -> Result<&str, Failure> {
    crate::baseline::BaselineName::parse(name)
        .map(|_| name)
        .map_err(|error| Failure::usage(format!("`{name}`: {error}"), "choose another name"))
}

fn path(name: &str, more: &str, parameters: &[(&str, Option<String>)]) -> String {
    with_query(&format!("/api/v1/baselines/{name}{more}"), parameters)
}

impl RecordArgs {
    async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        checked(&self.name)?;

        let client = self.server.client()?;
        let replace = self.replace || self.confirm_replacement(&client, terminal).await?;
        let order = RecordBaselinePayload {
            cluster: self.cluster,
            name: self.name,
            seconds: Some(self.window.as_secs()),
            replace,
        };
        let recorded: BaselinePayload = client.post("/api/v1/baselines", &order).await?;

        match self.server.output {
            Output::Json => terminal.json(&recorded)?,
            Output::Text => show_recorded(&recorded, terminal.width, terminal.out)?,
        }

        Ok(Exit::Done)
    }

    /// Whether a person who is asked wants to replace a baseline that is there.
    async fn confirm_replacement(
        &self,
        client: &ApiClient,
        terminal: &mut Terminal<'_>,
    ) -> Result<bool, Failure> {
        if !terminal.interactive || self.yes.yes {
            return Ok(self.yes.yes);
        }

        let all = with_query("/api/v1/baselines", &[("cluster", self.cluster.clone())]);
        let found: BaselinesPayload = client.get(&all).await?;
        let Some(known) = found.baselines.iter().find(|it| it.name == self.name) else {
            return Ok(false);
        };

        let at = clock_time(&known.recorded_at);
        terminal.confirm(false, &format!("This replaces the baseline `{}` of {at}.", self.name))?;

        Ok(true)
    }
}

impl CompareArgs {
    async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let with = self.with.as_deref().map(checked).transpose()?.map(str::to_owned);
        let path = path(
            checked(&self.name)?,
            "/comparison",
            &[("cluster", self.cluster.clone()), ("with", with)],
        );
        let compared: ComparisonPayload = self.server.client()?.get(&path).await?;

        match self.server.output {
            Output::Json => terminal.json(&compared)?,
            Output::Text => show_comparison(&compared, terminal.width, terminal.out)?,
        }

        Ok(Exit::Done)
    }
}

impl ListArgs {
    async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let path = with_query("/api/v1/baselines", &[("cluster", self.cluster.clone())]);
        let found: BaselinesPayload = self.server.client()?.get(&path).await?;

        match self.server.output {
            Output::Json => terminal.json(&found)?,
            Output::Text if found.baselines.is_empty() => {
                writeln!(
                    terminal.out,
                    "No baseline yet. `kafka-optimizer baseline record NAME` stores the last ten \
                     minutes."
                )?;
            }
            Output::Text => show_list(&found, terminal.width, terminal.out)?,
        }

        Ok(Exit::Done)
    }
}

impl DeleteArgs {
    async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let path = path(checked(&self.name)?, "", &[("cluster", self.cluster)]);
        let client = self.server.client()?;
        let question = format!("This deletes the baseline `{}` for good.", self.name);
        terminal.confirm(self.yes.yes, &question)?;
        let deleted: BaselinePayload = client.delete(&path).await?;

        match self.server.output {
            Output::Json => terminal.json(&deleted)?,
            Output::Text => {
                let BaselinePayload { name, cluster, .. } = &deleted;
                writeln!(terminal.out, "Deleted {} of {}.", plain(name), plain(cluster))?;
            }
        }

        Ok(Exit::Done)
    }
}

fn show_list(found: &BaselinesPayload, width: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = table(&["NAME", "CLUSTER", "RECORDED", "MINUTES", "LOAD", "BROKERS", "KAFKA"]);
    for one in &found.baselines {
        let window = &one.window;
        let cells = [
            one.name.clone(),
            one.cluster.clone(),
            clock_time(&one.recorded_at),
            minutes(window.bin_seconds, window.bins),
            value("per_second", window.requests_per_second),
            window.brokers.len().to_string(),
            window.kafka_version.clone().unwrap_or_else(|| "unknown".to_owned()),
        ];
        rows.add_row(cells.map(|it| plain(&it)));
    }

    writeln!(out, "{}", rendered(rows, width))
}

fn show_recorded(
    recorded: &BaselinePayload,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let BaselinePayload { name, cluster, window, measured, .. } = recorded;
    let (start, end) = (clock_time(&window.start), clock_time(&window.end));
    writeln!(out, "Recorded {} of {}: {start} to {end}\n", plain(name), plain(cluster))?;

    let mut rows = table(&["  METRIC", "BROKER", "MEDIAN", "MINUTES KNOWN"]);
    for MeasuredPayload { metric, unit, broker, median, values } in measured {
        let known = values.iter().flatten().count();
        let cells = [
            format!("  {}", words(metric)),
            broker.to_string(),
            value(unit, *median),
            format!("{known} of {}", values.len()),
        ];
        rows.add_row(cells.map(|it| plain(&it)));
    }

    writeln!(out, "{}", rendered(rows, width))
}

fn show_comparison(
    compared: &ComparisonPayload,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let ComparisonPayload { baseline, with, window, .. } = compared;
    let (name, cluster) = (plain(&baseline.name), plain(&baseline.cluster));
    let span = |start: &str, end: &str| format!("{} to {}", clock_time(start), clock_time(end));
    writeln!(
        out,
        "Baseline {name} of {cluster}: {}",
        span(&baseline.window.start, &baseline.window.end)
    )?;
    let other = with.as_ref().map_or("now".to_owned(), |it| plain(it));
    writeln!(out, "Compared with {other}: {}\n", span(&window.start, &window.end))?;

    let mut rows = table(&["  METRIC", "BROKER", "BASELINE", "OTHER", "CHANGE", "VERDICT"]);
    for one in &compared.metrics {
        let cells = [
            format!("  {}", words(&one.metric)),
            one.broker.map_or("all".to_owned(), |it| it.to_string()),
            value(&one.unit, one.before),
            value(&one.unit, one.after),
            change(one),
            one.verdict.clone().unwrap_or_else(|| "(load)".to_owned()),
        ];
        rows.add_row(cells.map(|it| plain(&it)));
    }

    writeln!(out, "{}", rendered(rows, width))?;

    let is_shown = |it: &&ComparedPayload| {
        it.broker.is_none() && matches!(it.verdict.as_deref(), Some("better" | "worse"))
    };
    for (index, one) in compared.metrics.iter().filter(is_shown).enumerate() {
        let head = if index == 0 { "\nOf the whole cluster\n" } else { "" };
        writeln!(out, "{head}  {}: {}", words(&one.metric), plain(&one.sentence))?;
    }

    for (index, note) in compared.notes.iter().enumerate() {
        let head = if index == 0 { "\nMind\n" } else { "" };
        writeln!(out, "{head}  {}", plain(note))?;
    }

    writeln!(out, "\nCHANGE is less what the load explains, with bounds at 95 % confidence each.")
}

/// The relative change with its bounds, as `+12 % (+3 to +21)`.
fn change(compared: &ComparedPayload) -> String {
    let (Some(change), Some(low), Some(high)) =
        (compared.change, compared.change_low, compared.change_high)
    else {
        return "-".to_owned();
    };

    format!("{:+.0} % ({:+.0} to {:+.0})", change * 100.0, low * 100.0, high * 100.0)
}

fn words(label: &str) -> String {
    label.replace('_', " ")
}

fn minutes(bin_seconds: f64, bins: u32) -> String {
    format!("{:.0}", bin_seconds * f64::from(bins) / 60.0)
}

/// A value with its unit, in a column of a table.
fn value(unit: &str, value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    Unit::from_label(unit).map_or_else(|| short(value), |it| it.shown(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_its_bounds() {
        let known = ComparedPayload {
            change: Some(0.12),
            change_low: Some(-0.03),
            change_high: Some(0.25),
            ..ComparedPayload::default()
        };

        assert_eq!(change(&known), "+12 % (-3 to +25)");
        assert_eq!(change(&ComparedPayload::default()), "-");
    }
}
