//! `resume`: runs may start again.

use clap::Args;

use super::{
    YesArg,
    client::ServerArgs,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{NothingPayload, PausedPayload};

/// Let runs start again after a pause.
#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl ResumeArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        terminal.confirm(self.yes.consent(), "This lets alerts start runs again.")?;
        let answer: PausedPayload = client.post("/api/v1/resume", &NothingPayload {}).await?;
        match self.server.output {
            Output::Json => terminal.json(&answer)?,
            Output::Text => writeln!(terminal.out, "Remediation is no longer paused.")?,
        }
        Ok(Exit::Done)
    }
}
