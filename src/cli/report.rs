//! `report`: what was changed and what came of it, how the load grows, what to do next.

use clap::{Args, ValueEnum};

use super::{
    client::ServerArgs,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    http::{report_file, with_query},
    report::Report,
};

/// Report what was changed, what came of it, how the load grows, and what to do next.
///
/// From the runs, baselines and findings of the server, and from its Prometheus. What is not known
/// is left out, and the last section says what that is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer report                                  the last 30 days, as Markdown
  kafka-optimizer report --format html > report.html      one page, which prints well
  kafka-optimizer report --since 7d --days 90             runs of a week, growth of 90 days
  kafka-optimizer report --format json                    the same for a program")]
pub(super) struct ReportArgs {
    /// Runs and baselines since then: a duration such as 7d or 24h, or a time such as
    /// 2026-01-02T03:04:05Z.
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: String,

    /// Days of history that the growth is computed from.
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(5..=400)
    )]
    days: u32,

    /// Report about this cluster only.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Form of the report; `--output json` is the same as `--format json`.
    #[arg(long, value_enum, default_value_t = ReportForm::Markdown)]
    format: ReportForm,

    #[command(flatten)]
    server: ServerArgs,
}

/// The forms of a report that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportForm {
    Markdown,
    /// One page without scripts, which prints well.
    Html,
    Json,
}

impl ReportArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let path = with_query(
            "/api/v1/report",
            &[
                ("cluster", self.cluster),
                ("since", Some(self.since)),
                ("days", Some(self.days.to_string())),
            ],
        );
        let report: Report = self.server.client()?.get(&path).await?;

        match (self.server.output, self.format) {
            (Output::Json, _) | (_, ReportForm::Json) => terminal.json(&report)?,
            (Output::Text, ReportForm::Markdown) => {
                write!(terminal.out, "{}", report.markdown())?;
            }
            (Output::Text, ReportForm::Html) => write!(terminal.out, "{}", report_file(&report))?,
        }

        Ok(Exit::Done)
    }
}
