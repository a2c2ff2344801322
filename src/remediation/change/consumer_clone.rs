//! A clone of a consumer's container: absent before, running after.

use std::time::Duration;

use async_trait::async_trait;

use super::{super::context::Context, ApplyChange, ApplyError, Direction, Observed};
use crate::model::{CloneName, CloneState, ConsumerClone, RunId, WriteMode};

/// An engine handles requests in parallel: an older one may end this long after a newer one.
const ENGINE_IN_FLIGHT_MAX: Duration = Duration::from_mins(1);

fn clone_name(clone: &ConsumerClone, context: &Context, run: RunId) -> CloneName {
    let cluster = context.cluster.name.to_string();
    CloneName { name: clone.name.clone(), run: run.0, cluster }
}

#[async_trait]
impl ApplyChange for ConsumerClone {
    async fn observe(&self, context: &Context, run: RunId) -> Result<Observed, ApplyError> {
        let name = clone_name(self, context, run);
        Ok(match context.engine()?.clone_state(&name).await? {
            CloneState::Absent => Observed::Prior,
            CloneState::Running => Observed::Desired,
            CloneState::Created | CloneState::Restarting => Observed::NotEffective,
            CloneState::Foreign => {
                Observed::Diverged(format!("{} is a container of someone else", self.name))
            }
        })
    }

    async fn apply(
        &self,
        context: &Context,
        run: RunId,
        direction: Direction,
        mode: WriteMode,
    ) -> Result<(), ApplyError> {
        // An engine cannot validate. The guard has checked that the template may be cloned.
        if mode == WriteMode::ValidateOnly {
            return Ok(());
        }

        let name = clone_name(self, context, run);

        match direction {
            Direction::Desired => context.engine()?.start_clone(&self.template, &name).await?,
            Direction::Prior => context.engine()?.remove_clone(&name).await?,
        }
        Ok(())
    }

    fn in_flight_max(&self) -> Duration {
        ENGINE_IN_FLIGHT_MAX
    }
}
