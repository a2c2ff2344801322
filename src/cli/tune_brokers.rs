//! `tune-brokers`: a person orders what an alert could.

use clap::Args;

use super::{
    order::OrderArgs,
    terminal::{Exit, Failure, Terminal},
};
use crate::http::payload::OrderPayload;

/// How far `tune-brokers` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LevelArg {
    /// 12 network and 12 I/O threads.
    Conservative,
    /// 16 and 16.
    Moderate,
    /// 32 and 32.
    Aggressive,
}

impl LevelArg {
    const fn label(self) -> &'static str {
        match self {
            Self::Conservative => "conservative",
            Self::Moderate => "moderate",
            Self::Aggressive => "aggressive",
        }
    }
}

/// Tune the thread pools of brokers: planned, rehearsed, measured, and kept or taken back.
///
/// Goes through the same guard, journal and verification as a run that an alert starts. Never
/// lowers a value, and stops at twice the value that a broker starts with.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer tune-brokers --level moderate --rehearse          only what would be done
  kafka-optimizer tune-brokers --level moderate --broker 1 --wait   ends with the verdict
  kafka-optimizer tune-brokers --level aggressive --yes             all brokers, without being asked

With --wait the exit code is 0 when the change was kept (or rehearsed), else 1.")]
pub(super) struct TuneBrokersArgs {
    /// How far to go.
    #[arg(long, value_enum)]
    level: LevelArg,

    /// The broker's id; all brokers when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,

    #[command(flatten)]
    order: OrderArgs,
}

impl TuneBrokersArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let brokers =
            self.broker.map_or_else(|| "all brokers".to_owned(), |id| format!("broker {id}"));
        let level = self.level.label();
        let what = format!("change the thread pools (level {level}) of {brokers}");
        let order = OrderPayload {
            broker: self.broker,
            level: Some(level.to_owned()),
            ..OrderPayload::default()
        };
        self.order.place(&what, order, terminal).await
    }
}
