//! `journal`: what happened, and who ordered what.

use clap::Args;

use super::{
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::{payload::JournalPagePayload, with_query};

/// Show the journal: what people ordered, and what the runs did, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer journal                 the latest lines
  kafka-optimizer journal --entry order   who paused, approved, released, …
  kafka-optimizer journal --by alice      what alice ordered
  kafka-optimizer runs 7                  the lines of run 7, oldest first")]
pub(super) struct JournalArgs {
    /// Only lines about this cluster, or about all.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Only lines of this kind: created, merged, state, step, order, verdict, stop, …
    #[arg(long, value_name = "KIND")]
    entry: Option<String>,

    /// Only what this token or client certificate ordered.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// Only lines with a smaller id: the next page.
    #[arg(long, value_name = "ID")]
    before: Option<i64>,

    /// Maximum number of lines to show.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    limit: u32,

    #[command(flatten)]
    server: ServerArgs,
}

impl JournalArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        let path = with_query(
            "/api/v1/journal",
            &[
                ("limit", Some(self.limit.to_string())),
                ("cluster", self.cluster),
                ("entry", self.entry),
                ("by", self.by),
                ("before", self.before.map(|it| it.to_string())),
            ],
        );
        let page: JournalPagePayload = client.get(&path).await?;

        match self.server.output {
            Output::Json => terminal.json(&page)?,
            Output::Text if page.lines.is_empty() => writeln!(terminal.out, "No line matches.")?,
            Output::Text => {
                show::journal_page(&page, terminal.width, terminal.out)?;
                if let Some(next) = page.next {
                    writeln!(terminal.err, "Older lines: --before {next}")?;
                }
            }
        }

        Ok(Exit::Done)
    }
}
