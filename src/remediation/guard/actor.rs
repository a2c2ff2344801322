//! Checks that this process is the one that may change the cluster (I43).

use super::super::{breach::Breach, context::Context, hold::Hold, identity};
use crate::model::{ActingLease, ActorIdentity, HoldReason, Mode};

/// Competes for the acting lease in mode `act` with playbooks, and gives it up otherwise.
pub(in crate::remediation) async fn take_part(context: &Context) {
    let acts = context.remediation.mode == Mode::Act;
    if acts && !context.remediation.playbooks.is_empty() {
        context.kafka.compete();
    } else {
        context.kafka.resign().await;
    }
}

/// Checks that no earlier name in the configuration stands for the same cluster, and, in mode
/// `act`, that this process has the acting lease. An undo needs neither: it observes first.
pub(in crate::remediation) fn check(context: &Context) -> Result<(), Hold> {
    if let Some(other) = identity::same_as(context) {
        let detail = format!("`{other}` is the same Kafka cluster: remove one of the two names");
        return Err(Hold::new(HoldReason::SameCluster, detail));
    }

    let is_ignored = Breach::I43OtherActorIsIgnored.is_played();
    if context.remediation.mode != Mode::Act || is_ignored {
        return Ok(());
    }

    match context.kafka.acting_lease() {
        ActingLease::Held => Ok(()),
        ActingLease::HeldBy(actor) => {
            Err(Hold::new(HoldReason::OtherActor, describe(context, &actor)))
        }
        ActingLease::Unconfirmed(problem) => Err(Hold::new(HoldReason::NoLease, problem)),
    }
}

fn describe(context: &Context, actor: &ActorIdentity) -> String {
    let what = if *context.installation == *actor.installation {
        "a process of this installation, which may have ended without giving the lease up"
    } else {
        "another process"
    };
    format!("{what} acts on this cluster: {actor}")
}
