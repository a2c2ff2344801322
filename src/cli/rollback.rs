//! `rollback`: takes a run back.

use clap::Args;

use super::{
    YesArg,
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{NothingPayload, RunDetailPayload};

/// Take a run back: every value returns to exactly what it was, last step first.
///
/// Works on a run that is under way and on one that was kept, and while remediation is paused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer rollback 7        asks first, when a person is at the terminal
  kafka-optimizer rollback 7 --yes  does not")]
pub(super) struct RollbackArgs {
    /// The run's number.
    #[arg(value_name = "RUN")]
    run: i64,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl RollbackArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let (client, id) = (self.server.client()?, self.run);
        let question = format!("This lets {} undo every step of run {id}.", client.url());
        terminal.confirm(self.yes.consent(), &question)?;
        let path = format!("/api/v1/runs/{id}/rollback");
        let run: RunDetailPayload = client.post(&path, &NothingPayload {}).await?;
        match self.server.output {
            Output::Json => terminal.json(&run)?,
            Output::Text => {
                let standing = show::standing(&run.run);
                writeln!(
                    terminal.out,
                    "The rollback of run {id} is ordered; the run is {standing}."
                )?;
            }
        }
        Ok(Exit::Done)
    }
}
