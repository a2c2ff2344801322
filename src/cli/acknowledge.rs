//! `acknowledge`: a person has seen a stuck run.

use clap::Args;

use super::{
    decision::DecisionArgs,
    terminal::{Exit, Failure, Terminal},
};

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
    #[command(flatten)]
    decision: DecisionArgs,
}

impl AcknowledgeArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let id = self.decision.run;
        let question = |_: &str| format!("This lets runs start again beside the stuck run {id}.");
        let done = |_: &str| format!("Run {id} is acknowledged.");
        self.decision.send("acknowledge", (question, done), terminal).await
    }
}
