//! What all commands have in common that decide about one run.

use clap::Args;

use super::{
    YesArg,
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{NothingPayload, RunDetailPayload};

#[derive(Debug, Args)]
pub(super) struct DecisionArgs {
    /// The run's number.
    #[arg(value_name = "RUN")]
    pub(super) run: i64,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl DecisionArgs {
    /// Asks, and tells the server. `question` is made of the server's URL, `done` of where the run
    /// stands then.
    pub(super) async fn send(
        self,
        verb: &'static str,
        (question, done): (impl FnOnce(&str) -> String, impl FnOnce(&str) -> String),
        terminal: &mut Terminal<'_>,
    ) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        terminal.confirm(self.yes.consent(), &question(client.url()))?;
        let path = format!("/api/v1/runs/{}/{verb}", self.run);
        let run: RunDetailPayload = client.post(&path, &NothingPayload {}).await?;
        match self.server.output {
            Output::Json => terminal.json(&run)?,
            Output::Text => writeln!(terminal.out, "{}", done(&show::status(&run.run)))?,
        }
        Ok(Exit::Done)
    }
}
