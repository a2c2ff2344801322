//! A consumer group as it stands: may it be given more consumers (I29, I37)?

use std::time::Duration;

use futures_util::future::try_join_all;

use super::super::{context::Context, execute::took, hold::Hold};
use crate::{
    model::{
        BrokerId, ConsumerContainer, GroupListing, GroupMembers, GroupName, GroupState, GroupType,
        HoldReason, Topology,
    },
    optimizers::scale_consumers::{ContainerFacts, GroupFacts},
    snapshot::Group,
};

/// A committed offset that has not moved for so many rounds is stuck (I29).
const FLAT_ROUNDS_MAX: u32 = 5;
/// How long a group may take to be stable again after its clones have started.
const STABLE_MAX: Duration = Duration::from_mins(2);
const STABLE_PAUSE: Duration = Duration::from_secs(1);
/// What members of Kafka Streams are assigned by.
const STREAMS: &str = "stream";

/// What the plan has to know of the group `name`.
pub(super) async fn facts(
    context: &Context,
    name: &GroupName,
    topology: &Topology,
) -> Result<GroupFacts, Hold> {
    let members = live(context, name, topology).await?;
    let containers = containers(context, name).await?;
    let (lag, partitions_with_lag) = lag(context, name)?;
    Ok(GroupFacts {
        group: name.clone(),
        lag,
        partitions_with_lag,
        members: members.count,
        containers: containers.into_iter().map(container).collect(),
    })
}

/// The group's members, asked of its coordinator now, where clones of them may be made.
async fn live(
    context: &Context,
    name: &GroupName,
    topology: &Topology,
) -> Result<GroupMembers, Hold> {
    let (coordinator, listed) = listed(context, name, topology).await?.ok_or_else(|| {
        Hold::new(HoldReason::UnknownTarget, format!("no broker knows the consumer group `{name}`"))
    })?;
    let scales = [GroupType::Classic, GroupType::Consumer].contains(&listed.group_type)
        && ["consumer", ""].contains(&&*listed.protocol_type);
    Hold::unless(scales, HoldReason::Unplannable, || {
        format!(
            "`{name}` is no group of plain consumers: {} {}",
            listed.group_type, listed.protocol_type
        )
    })?;
    let members = described(context, (coordinator, listed.group_type), name).await?;
    Hold::unless(members.state == GroupState::Stable, HoldReason::GroupUnstable, || {
        format!("the group `{name}` is {}", members.state)
    })?;
    Hold::unless(members.static_members == 0, HoldReason::Unplannable, || {
        format!(
            "{} member(s) of `{name}` have a group.instance.id: a clone would fence the original",
            members.static_members
        )
    })?;
    Hold::unless(!members.assignor.contains(STREAMS), HoldReason::Unplannable, || {
        format!("`{name}` is a Kafka Streams application ({}): scale it itself", members.assignor)
    })?;
    Ok(members)
}

async fn listed(
    context: &Context,
    name: &GroupName,
    topology: &Topology,
) -> Result<Option<(BrokerId, GroupListing)>, Hold> {
    let asked = topology.brokers.iter().map(|broker| async move {
        let groups = context.kafka.groups(broker.id, &[]).await?;
        Ok::<_, Hold>(groups.into_iter().find(|it| it.group == *name).map(|it| (broker.id, it)))
    });
    Ok(try_join_all(asked).await?.into_iter().flatten().next())
}

async fn described(
    context: &Context,
    (coordinator, group_type): (BrokerId, GroupType),
    name: &GroupName,
) -> Result<GroupMembers, Hold> {
    let asked = std::slice::from_ref(name);
    let answer = context.kafka.describe_groups(coordinator, group_type, asked).await?;
    let members = answer.into_iter().find(|it| it.group == *name).map(|it| it.members);
    match members {
        Some(Ok(members)) => Ok(members),
        Some(Err(fault)) => Err(Hold::new(
            HoldReason::KafkaUnavailable,
            format!("the members of `{name}` cannot be read ({fault})"),
        )),
        None => Err(Hold::new(HoldReason::KafkaUnavailable, format!("no word about `{name}`"))),
    }
}

async fn containers(context: &Context, name: &GroupName) -> Result<Vec<ConsumerContainer>, Hold> {
    let mut found = context.engine()?.consumers(context.cluster.name.as_str()).await?;
    found.retain(|it| it.group == *name);
    Ok(found)
}

fn container(found: ConsumerContainer) -> ContainerFacts {
    let ConsumerContainer { id, name, run, running, objections, .. } = found;
    ContainerFacts { id, name, is_clone: run.is_some(), running, objections }
}

/// Records behind and partitions with lag, from the latest snapshot, which the guard has found
/// young. A part that is not known is no zero: it holds the run.
fn lag(context: &Context, name: &GroupName) -> Result<(u64, u32), Hold> {
    let latest = context.latest.borrow().clone();
    let mut groups = latest.iter().flat_map(|it| &it.groups).flat_map(|it| it.value.iter());
    let Some(group) = groups.find(|it| it.name == *name) else {
        let note = format!("the latest snapshot has no group `{name}`");
        return Err(Hold::new(HoldReason::EvidenceMissing, note));
    };
    let (mut records, mut partitions) = (0_u64, 0_u32);
    for it in group.topics.iter().flat_map(|it| &it.partitions) {
        let Some(lag) = it.lag else {
            let note = format!("the lag of `{name}` is not known of every partition");
            return Err(Hold::new(HoldReason::EvidenceMissing, note));
        };
        records = records.saturating_add(lag);
        partitions = partitions.saturating_add(u32::from(0 < lag));
    }
    moves(context, group)?;
    Ok((records, partitions))
}

/// Members that do not commit are stuck; more of them would be stuck too.
fn moves(context: &Context, group: &Group) -> Result<(), Hold> {
    let limit = context.cluster.collect_interval.saturating_mul(FLAT_ROUNDS_MAX);
    let flat = group.progressed.map(|it| context.now().since(it));
    Hold::unless(flat.is_some_and(|it| it <= limit), HoldReason::GroupNotMoving, || match flat {
        Some(flat) => {
            format!("`{}` has committed nothing new for {} s", group.name, flat.as_secs())
        }
        None => format!("`{}` has not been seen to commit", group.name),
    })
}

/// Waits until the group is stable again after its clones have started; says why it is not.
pub(in crate::remediation) async fn stable(
    context: &Context,
    name: &GroupName,
) -> Result<(), String> {
    let started = context.clock.monotonic();
    loop {
        let found = async {
            let topology = context.kafka.topology().await?;
            let found = listed(context, name, &topology).await?;
            let Some((coordinator, listed)) = found else {
                return Err(Hold::new(HoldReason::UnknownTarget, "it is gone"));
            };
            described(context, (coordinator, listed.group_type), name).await
        };
        let seen = match found.await {
            Ok(members) if members.state == GroupState::Stable => return Ok(()),
            Ok(members) => members.state.to_string(),
            Err(hold) => hold.detail,
        };
        if STABLE_MAX <= took(context, started) {
            let limit = STABLE_MAX.as_secs();
            return Err(format!("the group `{name}` was not stable within {limit} s: {seen}"));
        }
        context.clock.sleep(STABLE_PAUSE).await;
    }
}
