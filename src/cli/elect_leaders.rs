//! `elect-leaders`: a person orders preferred elections.

use clap::Args;

use super::{
    order::OrderArgs,
    terminal::{Exit, Failure, Terminal},
};
use crate::{http::payload::OrderPayload, playbook::OptimizerKind};

/// Give partitions back to their preferred leaders, where those are in sync.
///
/// After a restart a broker leads nothing for up to five minutes. Never an unclean election. Goes
/// through the same guard, journal and verification as a run that an alert starts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer elect-leaders --rehearse        how many partitions, and which
  kafka-optimizer elect-leaders --broker 2 --wait those that prefer broker 2

With --wait the exit code is 0 when the change was kept (or rehearsed), else 1.")]
pub(super) struct ElectLeadersArgs {
    /// The broker's id; all brokers when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,

    #[command(flatten)]
    order: OrderArgs,
}

impl ElectLeadersArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let brokers =
            self.broker.map_or_else(|| "all brokers".to_owned(), |id| format!("broker {id}"));
        let what = format!("elect the preferred leaders of {brokers}");
        let order = OrderPayload {
            optimizer: Some(OptimizerKind::ElectLeaders.label().to_owned()),
            broker: self.broker,
            ..OrderPayload::default()
        };
        self.order.place(&what, order, terminal).await
    }
}
