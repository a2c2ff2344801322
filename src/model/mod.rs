//! The nouns that everyone shares: identifiers, units, what a cluster consists of, closed lists.
//!
//! Does no I/O, knows no wire format and no file format, and names no other module of this crate.

mod access;
mod actor;
mod batch;
mod capacity;
mod change;
mod closed_list;
mod config;
mod container;
mod election;
mod export;
mod failure;
mod group;
mod hold_advice;
mod id;
mod lag;
mod log_dir;
mod metadata_version;
mod number;
mod offset;
mod quorum;
mod quota;
mod request;
mod run;
mod state_words;
mod target;
mod time;
mod topology;

pub use access::{Principal, Scope, Scopes};
pub use actor::{ActingLease, ActorIdentity};
pub use batch::{BatchScan, Codec, LogPosition, RecordBatch};
pub use capacity::{BrokerCapacity, PARTITIONS_PER_BROKER_DEFAULT, Prices};
pub use change::{
    BrokerConfigChange, BrokerConfigRemoval, Change, ChangeText, ClientQuotaChange, ConsumerClone,
    LeaderChange, PreferredLeaderElection, RemovedKey, ResourceKey, Written,
};
pub use closed_list::ClosedList;
pub(crate) use closed_list::{as_label, closed_list};
pub use config::{BrokerConfig, ConfigChange, ConfigEntry, ConfigSource, MinInsync};
pub use container::{CloneName, CloneState, ConsumerContainer, ContainerUsage};
pub use election::ElectionFailure;
pub use export::{Export, Granularity, LagSeconds};
pub use failure::ReadFailure;
pub use group::{
    GroupDescription, GroupListing, GroupMembers, GroupOffsets, GroupState, GroupType,
};
pub use hold_advice::HoldHelp;
pub use id::{BrokerId, ClusterName, GroupName, NegativeId, RunId, TopicName, TopicPartition};
pub use lag::{LagMethod, LagTime};
pub use log_dir::{LogDir, TopicLogSize};
pub use metadata_version::metadata_version_name;
pub use number::{count, counted, significant, thousands};
pub use offset::{OffsetRange, OffsetSpec, TopicOffsets, TopicPartitions};
pub use quorum::{Quorum, QuorumReplica, QuorumRole};
pub use quota::{
    ClientQuota, ClientQuotas, DefaultQuota, QuotaChange, QuotaEntity, QuotaKey, QuotaName,
};
pub use request::{Api, RequestCount, RequestOutcome, WriteMode};
pub use run::{
    AlertOutcome, EpisodeEnd, HoldReason, InvalidTransition, Mode, RollbackReason, RunEvent,
    RunState, Trigger, Verdict,
};
pub use target::Target;
pub use time::{MonotonicTime, WallTime};
pub use topology::{Broker, Partition, Topic, Topology};
