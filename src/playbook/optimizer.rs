//! The optimizers and their parameters. Their implementation is in `optimizers`.

use std::collections::BTreeSet;

use crate::model::{QuotaEntity, QuotaKey, closed_list};

closed_list! {
    pub enum OptimizerKind {
        TuneBrokers = "tune_brokers",
        /// Restores what this program wrote and a broker lost at a restart.
        Reapply = "reapply",
        ElectLeaders = "elect_leaders",
        ShedLoad = "shed_load",
        ScaleConsumers = "scale_consumers",
    }
}

/// An optimizer with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    TuneBrokers(TuneBrokers),
    Reapply,
    ElectLeaders,
    ShedLoad(ShedLoad),
    ScaleConsumers(ScaleConsumers),
}

impl Optimizer {
    pub const fn kind(&self) -> OptimizerKind {
        match self {
            Self::TuneBrokers(_) => OptimizerKind::TuneBrokers,
            Self::Reapply => OptimizerKind::Reapply,
            Self::ElectLeaders => OptimizerKind::ElectLeaders,
            Self::ShedLoad(_) => OptimizerKind::ShedLoad,
            Self::ScaleConsumers(_) => OptimizerKind::ScaleConsumers,
        }
    }

    /// The same at another level, where the optimizer has levels: a person may order it.
    #[must_use]
    pub fn at_level(&self, level: Option<Level>) -> Self {
        match self {
            Self::TuneBrokers(it) => {
                Self::TuneBrokers(TuneBrokers { level: level.unwrap_or(it.level), ..*it })
            }
            Self::Reapply | Self::ElectLeaders | Self::ShedLoad(_) | Self::ScaleConsumers(_) => {
                self.clone()
            }
        }
    }
}

impl OptimizerKind {
    /// Whether the target is a consumer group; otherwise it is a broker or the cluster.
    pub const fn is_about_a_group(self) -> bool {
        match self {
            Self::ScaleConsumers => true,
            Self::TuneBrokers | Self::Reapply | Self::ElectLeaders | Self::ShedLoad => false,
        }
    }

    /// Whether its changes are temporary (I27).
    pub const fn is_temporary(self) -> bool {
        match self {
            Self::ShedLoad | Self::ScaleConsumers => true,
            Self::TuneBrokers | Self::Reapply | Self::ElectLeaders => false,
        }
    }
}

closed_list! {
    /// Size of thread pools. The numbers are in `optimizers::tune_brokers::goal`.
    pub enum Level {
        /// 12 network threads and 12 I/O threads.
        Conservative = "conservative",
        /// 16 network threads and 16 I/O threads.
        Moderate = "moderate",
        /// 32 network threads and 32 I/O threads.
        Aggressive = "aggressive",
    }
}

closed_list! {
    /// What to do about values above twice the static one, which a restart loses (KAFKA-20890).
    pub enum AboveStatic {
        /// Stop at twice the static value.
        Cap = "cap",
        /// Go on; the optimizer `reapply` restores the value after a restart.
        Reapply = "reapply",
    }
}

closed_list! {
    /// Order in which several brokers are changed.
    pub enum Rollout {
        /// All brokers at the same time.
        Together = "together",
        /// One broker first; the others if its change is kept.
        Canary = "canary",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TuneBrokers {
    pub level: Level,
    pub above_static: AboveStatic,
    pub rollout: Rollout,
}

closed_list! {
    /// Kinds of clients that a quota harms more than it helps (I39).
    pub enum ClientKind {
        Connect = "connect",
        MirrorMaker = "mirrormaker",
        Streams = "streams",
        Transactional = "transactional",
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShedLoad {
    /// All of them are slowed down, in this order.
    pub clients: Vec<Shed>,
}

/// One client or user that is slowed down.
#[derive(Clone, Debug, PartialEq)]
pub struct Shed {
    pub entity: QuotaEntity,
    pub key: QuotaKey,
    /// Bytes per second and broker without a quota: where the steps begin.
    pub usual: u64,
    /// Bytes per second and broker of the final quota.
    pub to: u64,
    /// Kinds of clients that are accepted here, and refused otherwise.
    pub even_if: BTreeSet<ClientKind>,
}

closed_list! {
    /// Factor by which the number of containers grows.
    pub enum Factor {
        /// 2 above a lag of 100,000 records, 1.5 above 50,000, otherwise 1 (I29).
        ByLag = "by_lag",
        /// Always 2, for any lag.
        Double = "double",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleConsumers {
    pub factor: Factor,
    /// Maximum number of containers of one group, including clones.
    pub containers_max: u32,
}
