//! The commands that start a run by hand: `tune-brokers`, `scale-consumers`, `shed-load`,
//! `elect-leaders` and `reapply`.
//!
//! A command is one variant of [`OrderCommand`] (name, help, arguments) and one arm of
//! [`OrderCommand::request`] (the request, and the question that asks for confirmation). Everything
//! else is the same for all of them.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tokio::time::sleep;

use super::{
    YesArg,
    client::{ApiClient, ServerArgs},
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    http::payload::{OrderPayload, OrderedPayload, RunDetailPayload},
    model::RunState,
    playbook::{Level, OptimizerKind},
};

/// Between two requests for the state of a run with `--wait`.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(super) enum OrderCommand {
    /// Tune the thread pools of brokers; keep the change if it helped, else roll it back.
    ///
    /// The run passes the same guard, journal and verification as a run that an alert starts. It
    /// never lowers a value, and stops at twice the value that a broker starts with.
    #[command(after_help = "\
Examples:
  kafka-optimizer tune-brokers --level moderate --rehearse          show the plan (a dry run)
  kafka-optimizer tune-brokers --level moderate --broker 1 --wait   one broker; end with the verdict
  kafka-optimizer tune-brokers --level aggressive --yes             all brokers, without a question

With --wait the exit code is 0 if the change was kept (or rehearsed), else 1.")]
    TuneBrokers {
        /// Target sizes of the thread pools.
        #[arg(long, value_enum)]
        level: LevelArg,

        #[command(flatten)]
        broker: BrokerArg,

        #[command(flatten)]
        order: OrderArgs,
    },

    /// Start more consumer containers for a group that falls behind, as clones of those it has.
    ///
    /// Starts no more consumers than there are partitions with lag, and no more than the playbook
    /// allows. The change is temporary: the clones are removed when the group has caught up, when
    /// the playbook's `expire_after` has passed, or when throughput did not rise.
    #[command(after_help = "\
Examples:
  kafka-optimizer scale-consumers --group orders --rehearse   how many, and why
  kafka-optimizer scale-consumers --group orders --wait       start them; end with the verdict
  kafka-optimizer temporary-changes                           what is in effect, and until when

With --wait the exit code is 0 if the change was kept (or rehearsed), else 1.")]
    ScaleConsumers {
        /// Name of the consumer group.
        #[arg(long, value_name = "NAME")]
        group: String,

        #[command(flatten)]
        order: OrderArgs,
    },

    /// Throttle the clients that the playbook names, so that the others get through.
    ///
    /// Sets client quotas, halving them at each step. The change is temporary: the quotas are
    /// removed when the playbook's `expire_after` has passed or its `expire_when` holds. The run
    /// passes the same guard, journal and verification as a run that an alert starts.
    #[command(after_help = "\
Examples:
  kafka-optimizer shed-load --rehearse   which clients would be throttled, and to which rate
  kafka-optimizer shed-load --wait       throttle them; end with the verdict
  kafka-optimizer temporary-changes      what is in effect, and until when

With --wait the exit code is 0 if the change was kept (or rehearsed), else 1.")]
    ShedLoad {
        /// Broker whose objective is measured, if the playbook uses `$broker_id`. Quotas apply to
        /// every broker.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
        broker: Option<i32>,

        #[command(flatten)]
        order: OrderArgs,
    },

    /// Give partitions back to their preferred leaders, where those are in sync.
    ///
    /// A restarted broker leads no partition for up to five minutes, until Kafka's own preferred
    /// leader election. Never an unclean election. The run passes the same guard, journal and
    /// verification as a run that an alert starts.
    #[command(after_help = "\
Examples:
  kafka-optimizer elect-leaders --rehearse          how many partitions, and which
  kafka-optimizer elect-leaders --broker 2 --wait   those whose preferred leader is broker 2

With --wait the exit code is 0 if the change was kept (or rehearsed), else 1.")]
    ElectLeaders {
        #[command(flatten)]
        broker: BrokerArg,

        #[command(flatten)]
        order: OrderArgs,
    },

    /// Apply kept changes again that a broker lost when it restarted.
    ///
    /// Touches only values that this program wrote and that are still stored as dynamic configs.
    /// The run passes the same guard, journal and verification as a run that an alert starts.
    #[command(after_help = "\
Examples:
  kafka-optimizer reapply --rehearse          which values are stored but not effective
  kafka-optimizer reapply --broker 1 --wait   apply them again on broker 1

With --wait the exit code is 0 if the change was kept (or rehearsed), else 1.")]
    Reapply {
        #[command(flatten)]
        broker: BrokerArg,

        #[command(flatten)]
        order: OrderArgs,
    },
}

/// Levels of `tune-brokers`, with what they mean for `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LevelArg {
    /// 12 network and 12 I/O threads.
    Conservative,
    /// 16 network and 16 I/O threads.
    Moderate,
    /// 32 network and 32 I/O threads.
    Aggressive,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Conservative => Self::Conservative,
            LevelArg::Moderate => Self::Moderate,
            LevelArg::Aggressive => Self::Aggressive,
        }
    }
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct BrokerArg {
    /// Id of the broker; all brokers if left out.
    #[arg(long = "broker", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    id: Option<i32>,
}

impl std::fmt::Display for BrokerArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.id {
            Some(id) => write!(f, "broker {id}"),
            None => f.write_str("all brokers"),
        }
    }
}

/// The arguments that every order has.
#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// Name of the cluster; may be left out if the server has only one.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Name of the playbook that judges the run, if several have this optimizer; the first that
    /// fits if left out.
    #[arg(long, value_name = "NAME")]
    playbook: Option<String>,

    /// Plan, and let the brokers validate the plan; change nothing (a dry run).
    #[arg(long)]
    rehearse: bool,

    /// Wait until the run has ended, and show it.
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

/// What a command asks for, before the shared arguments are applied.
struct OrderRequest {
    /// Completes "This asks URL to …".
    action: String,
    payload: OrderPayload,
    args: OrderArgs,
}

impl OrderCommand {
    fn request(self) -> OrderRequest {
        let payload = |kind: OptimizerKind, broker| OrderPayload {
            optimizer: Some(kind.label().to_owned()),
            broker,
            ..OrderPayload::default()
        };

        match self {
            Self::TuneBrokers { level, broker, order } => {
                let level = Level::from(level).label();
                OrderRequest {
                    action: format!("tune the thread pools of {broker} to level {level}"),
                    payload: OrderPayload {
                        level: Some(level.to_owned()),
                        ..payload(OptimizerKind::TuneBrokers, broker.id)
                    },
                    args: order,
                }
            }
            Self::ScaleConsumers { group, order } => OrderRequest {
                action: format!("start consumer containers for the group {group}"),
                payload: OrderPayload {
                    consumergroup: Some(group),
                    ..payload(OptimizerKind::ScaleConsumers, None)
                },
                args: order,
            },
            Self::ShedLoad { broker, order } => OrderRequest {
                action: "set quotas on the clients that the playbook names".to_owned(),
                payload: payload(OptimizerKind::ShedLoad, broker),
                args: order,
            },
            Self::ElectLeaders { broker, order } => OrderRequest {
                action: format!("elect the preferred leaders of {broker}"),
                payload: payload(OptimizerKind::ElectLeaders, broker.id),
                args: order,
            },
            Self::Reapply { broker, order } => OrderRequest {
                action: format!("apply again the kept changes of {broker}"),
                payload: payload(OptimizerKind::Reapply, broker.id),
                args: order,
            },
        }
    }

    /// Asks for confirmation, sends the order, and waits for the end of the run with `--wait`.
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let OrderRequest { action, payload, args } = self.request();
        let OrderArgs { cluster, playbook, rehearse, wait, yes, server } = args;
        let client = server.client()?;

        if !rehearse {
            let cluster = cluster.as_ref().map(|it| format!(" of cluster {it}"));
            let question =
                format!("This asks {} to {action}{}.", client.url(), cluster.unwrap_or_default());
            terminal.confirm(yes.yes, &question)?;
        }

        let payload = OrderPayload { cluster, playbook, rehearse, ..payload };
        let ordered: OrderedPayload = client.post("/api/v1/runs", &payload).await?;

        if wait {
            return follow(&client, ordered.id, server.output, terminal).await;
        }

        match server.output {
            Output::Json => terminal.json(&ordered)?,
            Output::Text => {
                let id = ordered.id;
                writeln!(terminal.out, "Run {id} created. `kafka-optimizer runs {id}` shows it.")?;
            }
        }

        Ok(Exit::Done)
    }
}

/// Polls the run until it has ended, and prints each change of its state to `err`.
async fn follow(
    client: &ApiClient,
    id: i64,
    output: Output,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let path = format!("/api/v1/runs/{id}");
    let mut printed = String::new();
    let detail = loop {
        let detail: RunDetailPayload = client.get(&path).await?;
        let status = show::status(&detail.run);

        if status != printed {
            writeln!(terminal.err, "Run {id}: {status}")?;
            printed = status;
        }

        if RunState::from_label(&detail.run.state).is_none_or(RunState::is_end) {
            break detail;
        }

        sleep(POLL_INTERVAL).await;
    };

    match output {
        Output::Json => terminal.json(&detail)?,
        Output::Text => show::run(&detail, terminal.width, terminal.out)?,
    }

    let good = [RunState::Kept, RunState::Rehearsed, RunState::Expired].map(RunState::label);

    Ok(if good.contains(&detail.run.state.as_str()) { Exit::Done } else { Exit::Failed })
}
