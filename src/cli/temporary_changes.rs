//! `measures`: what is in force for a time.

use clap::Args;

use super::{
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::RunsPayload;

/// Show the measures that are in force, and when each is taken back.
///
/// A measure (quotas, clones of consumers) does not stay: it ends at its time, or as soon as it is
/// no longer needed. `rollback RUN` ends it now.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer temporary-changes                  oldest first
  kafka-optimizer measures --output json    the same for a program
  kafka-optimizer rollback 7                end the measure of run 7 now")]
pub(super) struct TemporaryChangesArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl TemporaryChangesArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        let runs: RunsPayload = client.get("/api/v1/temporary-changes").await?;
        match self.server.output {
            Output::Json => terminal.json(&runs)?,
            Output::Text if runs.runs.is_empty() => {
                writeln!(terminal.out, "No measure is in force.")?;
            }
            Output::Text => show::temporary_changes(&runs, terminal.out)?,
        }
        Ok(Exit::Done)
    }
}
