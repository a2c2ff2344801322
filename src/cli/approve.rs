//! `approve`: a person lets a run go on that waits for it.

use clap::Args;

use super::{
    YesArg,
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{NothingPayload, RunDetailPayload};

/// Let a run go on that waits for approval.
///
/// The run meets the guard once more before it writes anything. An approval counts for 30 minutes,
/// and a run that nobody approves within 30 minutes is cancelled.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer runs 7      what it would do
  kafka-optimizer approve 7   let it")]
pub(super) struct ApproveArgs {
    /// The run's number.
    #[arg(value_name = "RUN")]
    run: i64,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl ApproveArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let (client, id) = (self.server.client()?, self.run);
        let question = format!("This lets {} carry out the plan of run {id}.", client.url());
        terminal.confirm(self.yes.consent(), &question)?;
        let path = format!("/api/v1/runs/{id}/approve");
        let run: RunDetailPayload = client.post(&path, &NothingPayload {}).await?;
        match self.server.output {
            Output::Json => terminal.json(&run)?,
            Output::Text => {
                let standing = show::standing(&run.run);
                writeln!(terminal.out, "Run {id} is approved; it is {standing}.")?;
            }
        }
        Ok(Exit::Done)
    }
}
