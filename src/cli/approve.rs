//! `approve`: a person lets a run go on that waits for it.

use clap::Args;

use super::{
    decision::DecisionArgs,
    terminal::{Exit, Failure, Terminal},
};

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
    #[command(flatten)]
    decision: DecisionArgs,
}

impl ApproveArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let id = self.decision.run;
        let question = |url: &str| format!("This lets {url} carry out the plan of run {id}.");
        let done = |status: &str| format!("Run {id} is approved; it is {status}.");
        self.decision.send("approve", (question, done), terminal).await
    }
}
