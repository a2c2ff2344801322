//! The optimizers there are, with their parameters. What they do is in `optimizers`.

use std::collections::BTreeSet;

use crate::model::{QuotaEntity, QuotaKey, closed_list};

closed_list! {
    pub enum OptimizerKind {
        TuneBrokers = "tune_brokers",
        /// What this program wrote and a broker lost at a restart.
        Reapply = "reapply",
        ElectLeaders = "elect_leaders",
        ShedLoad = "shed_load",
        ScaleConsumers = "scale_consumers",
    }
}

/// An optimizer and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    TuneBrokers(TuneBrokers),
    /// What this program wrote and a broker lost at a restart.
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
}

impl OptimizerKind {
    /// Whether a run is about one consumer group; otherwise about a broker or the cluster.
    pub const fn is_about_a_group(self) -> bool {
        match self {
            Self::ScaleConsumers => true,
            Self::TuneBrokers | Self::Reapply | Self::ElectLeaders | Self::ShedLoad => false,
        }
    }

    /// Whether what it does is lifted after a time (I27).
    pub const fn is_temporary(self) -> bool {
        match self {
            Self::ShedLoad | Self::ScaleConsumers => true,
            Self::TuneBrokers | Self::Reapply | Self::ElectLeaders => false,
        }
    }
}

closed_list! {
    /// How far `tune-brokers` goes. The numbers are in `optimizers::tune_brokers`.
    pub enum Level {
        /// 12 network threads, 12 I/O threads.
        Conservative = "conservative",
        /// 16 and 16.
        Moderate = "moderate",
        /// 32 and 32.
        Aggressive = "aggressive",
    }
}

closed_list! {
    /// What to do above twice the value that a broker starts with, which does not survive a restart
    /// (KAFKA-20890).
    pub enum AboveStatic {
        /// Stop there and say so.
        Cap = "cap",
        /// Go on; the optimizer `reapply` walks the value up again after a restart.
        Reapply = "reapply",
    }
}

closed_list! {
    /// How a change of several brokers is spread.
    pub enum Rollout {
        /// All brokers at once, step by step.
        Together = "together",
        /// One broker first; the others when it is judged worth keeping.
        Canary = "canary",
    }
}

/// Parameters of `tune-brokers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TuneBrokers {
    pub level: Level,
    /// What to do above twice the static value.
    pub above_static: AboveStatic,
    /// How several brokers are changed.
    pub rollout: Rollout,
}

closed_list! {
    /// Clients that a quota can hurt more than it helps (I39).
    pub enum ClientKind {
        Connect = "connect",
        /// `MirrorMaker`.
        MirrorMaker = "mirrormaker",
        Streams = "streams",
        Transactional = "transactional",
    }
}

/// Parameters of `shed-load`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShedLoad {
    /// Who is slowed down, all of them, in this order.
    pub clients: Vec<Shed>,
}

/// One client or user that is slowed down.
#[derive(Clone, Debug, PartialEq)]
pub struct Shed {
    pub entity: QuotaEntity,
    pub key: QuotaKey,
    /// Bytes a second and broker that it moves without a quota: where the steps begin.
    pub usual: u64,
    /// Bytes a second and broker that it is left with.
    pub to: u64,
    /// Kinds of clients that it may be, which are refused otherwise.
    pub even_if: BTreeSet<ClientKind>,
}

closed_list! {
    /// By how much consumers are scaled.
    pub enum Factor {
        /// x2 above a lag of 100,000 records, x1.5 above 50,000, otherwise not at all (I29).
        ByLag = "by_lag",
        /// x2, whatever the lag.
        Double = "double",
    }
}

/// Parameters of `scale-consumers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleConsumers {
    pub factor: Factor,
    /// Most containers of one group, clones among them.
    pub containers_max: u32,
}
