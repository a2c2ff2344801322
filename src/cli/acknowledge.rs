//! `acknowledge`: a person has seen a stuck run.

use clap::Args;

use super::{
    YesArg,
    client::ServerArgs,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{NothingPayload, RunDetailPayload};

/// Say that you have seen a stuck run and put things right, so that others may start again.
///
/// A run is stuck when a step could not be undone. Until a person acknowledges it, no run starts on
/// its cluster. `runs RUN` shows which values are not where they were.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer runs 7         what is not as it was
  kafka-optimizer acknowledge 7  it is dealt with")]
pub(super) struct AcknowledgeArgs {
    /// The run's number.
    #[arg(value_name = "RUN")]
    run: i64,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl AcknowledgeArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let (client, id) = (self.server.client()?, self.run);
        let question = format!("This lets runs start again beside the stuck run {id}.");
        terminal.confirm(self.yes.consent(), &question)?;
        let path = format!("/api/v1/runs/{id}/acknowledge");
        let run: RunDetailPayload = client.post(&path, &NothingPayload {}).await?;
        match self.server.output {
            Output::Json => terminal.json(&run)?,
            Output::Text => writeln!(terminal.out, "Run {id} is acknowledged.")?,
        }
        Ok(Exit::Done)
    }
}
