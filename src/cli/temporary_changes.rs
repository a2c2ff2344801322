//! `temporary-changes`: changes that are rolled back automatically.

use clap::Args;

use super::{
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::RunsPayload;

/// Show the temporary changes in effect, and when each expires.
///
/// Quotas and consumer clones are temporary: they are removed when they expire, or earlier if the
/// playbook's `expire_when` holds. `rollback RUN` removes them now.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer temporary-changes                 oldest first
  kafka-optimizer temporary-changes --output json   the same for a program
  kafka-optimizer rollback 7                        end the temporary change of run 7 now")]
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
                writeln!(terminal.out, "No temporary change is in effect.")?;
            }
            Output::Text => show::temporary_changes(&runs, terminal.width, terminal.out)?,
        }

        Ok(Exit::Done)
    }
}
