//! `scale-consumers`: a person orders more consumers for a group.

use clap::Args;

use super::{
    order::OrderArgs,
    terminal::{Exit, Failure, Terminal},
};
use crate::{http::payload::OrderPayload, playbook::OptimizerKind};

/// Start more consumer containers for a group that falls behind, as clones of those it has.
///
/// Never more than partitions with lag, nor than the playbook allows. Taken back when the group has
/// caught up, at the playbook's time, or when throughput did not rise.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer scale-consumers --group orders --rehearse   how many, and why
  kafka-optimizer scale-consumers --group orders --wait       start them; ends with the verdict
  kafka-optimizer temporary-changes                           what is in force, and until when

With --wait the exit code is 0 when the change was kept (or rehearsed), else 1.")]
pub(super) struct ScaleConsumersArgs {
    /// The consumer group.
    #[arg(long, value_name = "NAME")]
    group: String,

    #[command(flatten)]
    order: OrderArgs,
}

impl ScaleConsumersArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let what = format!("start consumer containers for the group {}", self.group);
        let order = OrderPayload {
            optimizer: Some(OptimizerKind::ScaleConsumers.label().to_owned()),
            consumergroup: Some(self.group),
            ..OrderPayload::default()
        };
        self.order.place(&what, order, terminal).await
    }
}
