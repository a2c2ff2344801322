//! `reapply`: a person orders what a restart undid.

use clap::Args;

use super::{
    order::OrderArgs,
    terminal::{Exit, Failure, Terminal},
};
use crate::{http::payload::OrderPayload, playbook::OptimizerKind};

/// Walk up again what this program wrote and a broker lost at its restart.
///
/// Only values that this program wrote, and that are stored still, are touched. Goes through the
/// same guard, journal and verification as a run that an alert starts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer reapply --rehearse          what is not in force any more
  kafka-optimizer reapply --broker 1 --wait   put it into force again on broker 1

With --wait the exit code is 0 when the change was kept (or rehearsed), else 1.")]
pub(super) struct ReapplyArgs {
    /// The broker's id; all brokers when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,

    #[command(flatten)]
    order: OrderArgs,
}

impl ReapplyArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let brokers =
            self.broker.map_or_else(|| "all brokers".to_owned(), |id| format!("broker {id}"));
        let what = format!("walk up again what was kept on {brokers}");
        let order = OrderPayload {
            optimizer: Some(OptimizerKind::Reapply.label().to_owned()),
            broker: self.broker,
            ..OrderPayload::default()
        };
        self.order.place(&what, order, terminal).await
    }
}
