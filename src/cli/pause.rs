//! `pause`: no new runs.

use clap::Args;

use super::{
    YesArg,
    client::ServerArgs,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{NothingPayload, PausedPayload};

/// Stop new runs at once; the step in hand ends or goes back. Survives a restart.
///
/// The same as the signal SIGUSR1 to the server. Undoing stays possible.
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl PauseArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        terminal.confirm(self.yes.consent(), "This stops new runs, whatever alerts arrive.")?;
        let answer: PausedPayload = client.post("/api/v1/pause", &NothingPayload {}).await?;
        match self.server.output {
            Output::Json => terminal.json(&answer)?,
            Output::Text => writeln!(
                terminal.out,
                "Remediation is paused. `kafka-optimizer resume` lets runs start again."
            )?,
        }
        Ok(Exit::Done)
    }
}
