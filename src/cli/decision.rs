//! The commands that decide about one run: `approve`, `rollback` and `acknowledge`.

use clap::{Args, Subcommand};

use super::{
    YesArg,
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{NothingPayload, RunDetailPayload};

#[derive(Debug, Subcommand)]
pub(super) enum DecisionCommand {
    /// Approve a run that is waiting for approval.
    ///
    /// The guard checks the run once more before it writes anything. An approval is valid for 30
    /// minutes; a run that nobody approves within 30 minutes is cancelled.
    #[command(after_help = "\
Examples:
  kafka-optimizer runs 7      what it would do
  kafka-optimizer approve 7   let it proceed")]
    Approve(DecisionArgs),

    /// Roll a run back: restore every value exactly, last step first.
    ///
    /// Works for a run in progress, for a kept run, and while remediation is paused.
    #[command(after_help = "\
Examples:
  kafka-optimizer rollback 7         asks first if a person is at the terminal
  kafka-optimizer rollback 7 --yes   does not ask")]
    Rollback(DecisionArgs),

    /// Acknowledge a stuck run after you have fixed what it left behind, so that runs can start
    /// again.
    ///
    /// A run is stuck if a step could not be undone. Until a person acknowledges it, no run starts
    /// on its cluster. `runs RUN` shows which values were not restored.
    #[command(after_help = "\
Examples:
  kafka-optimizer runs 7          which values were not restored
  kafka-optimizer acknowledge 7   they are fixed")]
    Acknowledge(DecisionArgs),
}

#[derive(Debug, Args)]
pub(super) struct DecisionArgs {
    /// Number of the run.
    #[arg(value_name = "RUN")]
    run: i64,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl DecisionCommand {
    /// Asks for confirmation, sends the decision, and prints what became of the run.
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let verb = match self {
            Self::Approve(_) => "approve",
            Self::Rollback(_) => "rollback",
            Self::Acknowledge(_) => "acknowledge",
        };

        let (Self::Approve(args) | Self::Rollback(args) | Self::Acknowledge(args)) = &self;
        let DecisionArgs { run: id, yes, server } = args;
        let client = server.client()?;

        let url = client.url();
        let question = match self {
            Self::Approve(_) => format!("This lets {url} carry out the plan of run {id}."),
            Self::Rollback(_) => format!("This asks {url} to undo every step of run {id}."),
            Self::Acknowledge(_) => {
                format!("This lets new runs start although run {id} is stuck.")
            }
        };

        terminal.confirm(yes.yes, &question)?;

        let path = format!("/api/v1/runs/{id}/{verb}");
        let detail: RunDetailPayload = client.post(&path, &NothingPayload {}).await?;
        let status = show::status(&detail.run);
        match server.output {
            Output::Json => terminal.json(&detail)?,
            Output::Text => {
                let done = match self {
                    Self::Approve(_) => format!("Run {id} is approved; its state is {status}."),
                    Self::Rollback(_) => {
                        format!("The rollback of run {id} is requested; its state is {status}.")
                    }
                    Self::Acknowledge(_) => format!("Run {id} is acknowledged."),
                };

                writeln!(terminal.out, "{done}")?;
            }
        }

        Ok(Exit::Done)
    }
}
