//! `rollback`: takes a run back.

use clap::Args;

use super::{
    decision::DecisionArgs,
    terminal::{Exit, Failure, Terminal},
};

/// Take a run back: every value returns to exactly what it was, last step first.
///
/// Works on a run that is under way and on one that was kept, and while remediation is paused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer rollback 7        asks first, when a person is at the terminal
  kafka-optimizer rollback 7 --yes  does not")]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    decision: DecisionArgs,
}

impl RollbackArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let id = self.decision.run;
        let question = |url: &str| format!("This lets {url} undo every step of run {id}.");
        let done =
            |status: &str| format!("The rollback of run {id} is ordered; the run is {status}.");
        self.decision.send("rollback", (question, done), terminal).await
    }
}
