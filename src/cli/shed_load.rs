//! `shed-load`: a person orders quotas on the clients that the playbook names.

use clap::Args;

use super::{
    order::OrderArgs,
    terminal::{Exit, Failure, Terminal},
};
use crate::{http::payload::OrderPayload, playbook::OptimizerKind};

/// Slow down the clients that the playbook names, so that the others get through.
///
/// Sets quotas, halving at each step, and takes them back when the playbook's time is over or they
/// are no longer needed. Goes through the same guard, journal and verification as a run that an
/// alert starts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer shed-load --rehearse   who would be slowed down, and to what
  kafka-optimizer shed-load --wait       slow them down; ends with the verdict
  kafka-optimizer temporary-changes               what is in force, and until when

With --wait the exit code is 0 when the change was kept (or rehearsed), else 1.")]
pub(super) struct ShedLoadArgs {
    /// The broker whose objective is judged, where the playbook speaks of `$broker_id`. A quota
    /// counts on every broker.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,

    #[command(flatten)]
    order: OrderArgs,
}

impl ShedLoadArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let what = "set quotas on the clients that the playbook names".to_owned();
        let order = OrderPayload {
            optimizer: Some(OptimizerKind::ShedLoad.label().to_owned()),
            broker: self.broker,
            ..OrderPayload::default()
        };
        self.order.place(&what, order, terminal).await
    }
}
