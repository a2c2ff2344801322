//! `pause` and `resume`: whether new runs may start.

use clap::{Args, Subcommand};

use super::{
    YesArg,
    client::ServerArgs,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{NothingPayload, PausedPayload};

#[derive(Debug, Subcommand)]
pub(super) enum PauseCommand {
    /// Pause remediation: no run starts, and the current step finishes or is rolled back.
    ///
    /// The pause survives a restart of the server. Rollbacks stay possible. The signal SIGUSR1 does
    /// the same.
    Pause(PauseArgs),

    /// Resume remediation: let runs start again.
    ///
    /// The signal SIGUSR2 does the same.
    Resume(PauseArgs),
}

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl PauseCommand {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let (args, path, question, done) = match self {
            Self::Pause(args) => (
                args,
                "/api/v1/pause",
                "This stops new runs, whatever alerts arrive.",
                "Remediation is paused. `kafka-optimizer resume` lets runs start again.",
            ),
            Self::Resume(args) => (
                args,
                "/api/v1/resume",
                "This lets alerts start runs again.",
                "Remediation is no longer paused.",
            ),
        };

        let client = args.server.client()?;
        terminal.confirm(args.yes.yes, question)?;

        let answer: PausedPayload = client.post(path, &NothingPayload {}).await?;
        match args.server.output {
            Output::Json => terminal.json(&answer)?,
            Output::Text => writeln!(terminal.out, "{done}")?,
        }

        Ok(Exit::Done)
    }
}
