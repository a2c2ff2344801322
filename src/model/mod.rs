//! The words everyone shares: identifiers, units, readings, closed lists.
//!
//! Does no I/O, knows no wire format and no file format, and names no other module of this crate.

mod closed_list;
mod export;
mod group;
mod id;
mod lag;
mod quota;
mod reading;
mod run;
mod target;
mod time;

pub use closed_list::ClosedList;
pub(crate) use closed_list::closed_list;
pub use export::{Export, Granularity, LagSeconds};
pub use group::{GroupState, GroupType};
pub use id::{BrokerId, ClusterName, GroupName, RunId, TopicName, TopicPartition};
pub use lag::{LagMethod, LagTime};
pub use quota::{QuotaEntity, QuotaKey};
pub use reading::Reading;
pub use run::{
    AlertOutcome, HoldReason, Impossible, Mode, RollbackReason, RunEvent, RunState, Trigger,
    Verdict,
};
pub use target::{OnUndo, Subject, Target};
pub use time::{MonotonicTime, WallTime};
