//! The commands that decide about one run: `approve`, `reject`, `cancel`, `rollback`, `retry` and
//! `acknowledge`.

use clap::{Args, Subcommand};

use super::{
    YesArg,
    client::{ApiClient, ServerArgs},
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{ApprovePayload, NothingPayload, ReasonPayload, RunDetailPayload};

#[derive(Debug, Subcommand)]
pub(super) enum DecisionCommand {
    /// Approve the plan of a run that is waiting for approval.
    ///
    /// Shows the plan first, and approves that plan only: if it changes, the run asks again. The
    /// guard checks the run once more before it writes anything. An approval is valid for 30
    /// minutes; a run that nobody approves within 30 minutes is cancelled. Needs the scope
    /// `approve`.
    #[command(after_help = "\
Examples:
  kafka-optimizer approve 7         show the plan, ask, let it proceed
  kafka-optimizer approve 7 --yes   show the plan, do not ask")]
    Approve(DecisionArgs),

    /// Reject the plan of a run that is waiting for approval. The run ends.
    ///
    /// Needs the scope `approve`.
    #[command(after_help = "\
Examples:
  kafka-optimizer reject 7 --reason \"not during the sale\"")]
    Reject(ReasonArgs),

    /// Cancel a run that has not started: queued, held, or awaiting approval.
    #[command(after_help = "\
Examples:
  kafka-optimizer runs --state queued,held,awaiting_approval   which runs wait
  kafka-optimizer cancel 7                                     end run 7")]
    Cancel(ReasonArgs),

    /// Roll a run back: restore every value exactly, last step first.
    ///
    /// Works for a run in progress, for a kept run, and while remediation is paused.
    #[command(after_help = "\
Examples:
  kafka-optimizer rollback 7         asks first if a person is at the terminal
  kafka-optimizer rollback 7 --yes   does not ask")]
    Rollback(DecisionArgs),

    /// Try again to undo a stuck run.
    ///
    /// A run is stuck if a step could not be undone. Each step is read first: what is restored
    /// already is left alone.
    #[command(after_help = "\
Examples:
  kafka-optimizer runs 7    which values were not restored, and why
  kafka-optimizer retry 7   try again")]
    Retry(DecisionArgs),

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

#[derive(Debug, Args)]
pub(super) struct ReasonArgs {
    #[command(flatten)]
    decision: DecisionArgs,

    /// Why, for the journal.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl DecisionCommand {
    /// Asks for confirmation, sends the decision, and prints what became of the run.
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let DecisionArgs { run: id, yes, server } = match &self {
            Self::Approve(args)
            | Self::Rollback(args)
            | Self::Retry(args)
            | Self::Acknowledge(args) => args,
            Self::Reject(args) | Self::Cancel(args) => &args.decision,
        };
        let client = server.client()?;

        // An approval is for the plan that the person has seen.
        let shown = match &self {
            Self::Approve(_) => Some(show_plan(&client, *id, server.output, terminal).await?),
            Self::Reject(_)
            | Self::Cancel(_)
            | Self::Rollback(_)
            | Self::Retry(_)
            | Self::Acknowledge(_) => None,
        };
        if shown.as_ref().is_some_and(|it| it.plan_digest.is_none()) {
            let advice = "wait until the run asks for approval: `kafka-optimizer runs` shows it";
            return Err(Failure::new(format!("run {id} has no plan to approve yet"), advice));
        }
        terminal.confirm(yes.yes, &self.question(client.url(), *id))?;

        let path = format!("/api/v1/runs/{id}/{}", self.verb());
        let detail: RunDetailPayload = match &self {
            Self::Approve(_) => {
                let plan_digest = shown.and_then(|it| it.plan_digest);
                client.post(&path, &ApprovePayload { plan_digest }).await?
            }
            Self::Reject(args) | Self::Cancel(args) => {
                client.post(&path, &ReasonPayload { reason: args.reason.clone() }).await?
            }
            Self::Rollback(_) | Self::Retry(_) | Self::Acknowledge(_) => {
                client.post(&path, &NothingPayload {}).await?
            }
        };

        match server.output {
            Output::Json => terminal.json(&detail)?,
            Output::Text => {
                let status = show::status(&detail.run);
                writeln!(terminal.out, "{}", self.done(*id, &status))?;
            }
        }

        Ok(Exit::Done)
    }

    const fn verb(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Reject(_) => "reject",
            Self::Cancel(_) => "cancel",
            Self::Rollback(_) => "rollback",
            Self::Retry(_) => "retry",
            Self::Acknowledge(_) => "acknowledge",
        }
    }

    fn question(&self, url: &str, id: i64) -> String {
        match self {
            Self::Approve(_) => format!("This lets {url} carry out the plan of run {id}."),
            Self::Reject(_) => format!("This ends run {id}; its plan is not carried out."),
            Self::Cancel(_) => format!("This ends run {id} before it starts."),
            Self::Rollback(_) => format!("This asks {url} to undo every step of run {id}."),
            Self::Retry(_) => format!("This asks {url} to try the undo of run {id} again."),
            Self::Acknowledge(_) => {
                format!("This lets new runs start although run {id} is stuck.")
            }
        }
    }

    fn done(&self, id: i64, status: &str) -> String {
        match self {
            Self::Approve(_) => format!("Run {id} is approved; its state is {status}."),
            Self::Reject(_) | Self::Cancel(_) => format!("Run {id} is {status}."),
            Self::Rollback(_) => {
                format!("The rollback of run {id} is requested; its state is {status}.")
            }
            Self::Retry(_) => format!("The retry of run {id} is requested; its state is {status}."),
            Self::Acknowledge(_) => format!("Run {id} is acknowledged."),
        }
    }
}

async fn show_plan(
    client: &ApiClient,
    id: i64,
    output: Output,
    terminal: &mut Terminal<'_>,
) -> Result<RunDetailPayload, Failure> {
    let detail: RunDetailPayload = client.get(&format!("/api/v1/runs/{id}")).await?;
    if output == Output::Text {
        show::plan(&detail, terminal.width, terminal.out)?;
        writeln!(terminal.out)?;
    }

    Ok(detail)
}
