//! A consumer group as it stands: may it be given more consumers (I29, I37)?

use std::time::Duration;

use futures_util::future::try_join_all;

use super::super::{context::Context, execute::took, held::Held};
use crate::{
    docker::Consumer,
    kafka::{GroupListing, GroupMembers, Topology},
    model::{BrokerId, GroupName, GroupState, GroupType, Hold, Reading},
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
    at: &Context,
    name: &GroupName,
    topology: &Topology,
) -> Result<GroupFacts, Held> {
    let members = live(at, name, topology).await?;
    let containers = containers(at, name).await?;
    let (lag, partitions_with_lag) = lag(at, name)?;
    Ok(GroupFacts {
        group: name.clone(),
        lag,
        partitions_with_lag,
        members: members.count,
        containers: containers.into_iter().map(container).collect(),
    })
}

/// The group's members, asked of its coordinator now, where clones of them may be made.
async fn live(at: &Context, name: &GroupName, topology: &Topology) -> Result<GroupMembers, Held> {
    let (coordinator, listed) = listed(at, name, topology).await?.ok_or_else(|| {
        Held::new(Hold::UnknownTarget, format!("no broker knows the consumer group `{name}`"))
    })?;
    let scales = [GroupType::Classic, GroupType::Consumer].contains(&listed.group_type)
        && ["consumer", ""].contains(&&*listed.protocol_type);
    Held::unless(scales, Hold::Unplannable, || {
        format!(
            "`{name}` is no group of plain consumers: {} {}",
            listed.group_type, listed.protocol_type
        )
    })?;
    let members = described(at, (coordinator, listed.group_type), name).await?;
    Held::unless(members.state == GroupState::Stable, Hold::GroupUnstable, || {
        format!("the group `{name}` is {}", members.state)
    })?;
    Held::unless(members.static_members == 0, Hold::Unplannable, || {
        format!(
            "{} member(s) of `{name}` have a group.instance.id: a clone would fence the original",
            members.static_members
        )
    })?;
    Held::unless(!members.assignor.contains(STREAMS), Hold::Unplannable, || {
        format!("`{name}` is a Kafka Streams application ({}): scale it itself", members.assignor)
    })?;
    Ok(members)
}

async fn listed(
    at: &Context,
    name: &GroupName,
    topology: &Topology,
) -> Result<Option<(BrokerId, GroupListing)>, Held> {
    let asked = topology.brokers.iter().map(|broker| async move {
        let groups = at.kafka.groups(broker.id, &[]).await?;
        Ok::<_, Held>(groups.into_iter().find(|it| it.group == *name).map(|it| (broker.id, it)))
    });
    Ok(try_join_all(asked).await?.into_iter().flatten().next())
}

async fn described(
    at: &Context,
    (coordinator, group_type): (BrokerId, GroupType),
    name: &GroupName,
) -> Result<GroupMembers, Held> {
    let asked = std::slice::from_ref(name);
    let answer = at.kafka.describe_groups(coordinator, group_type, asked).await?;
    let members = answer.into_iter().find(|it| it.group == *name).map(|it| it.members);
    match members {
        Some(Ok(members)) => Ok(members),
        Some(Err(fault)) => Err(Held::new(
            Hold::KafkaUnavailable,
            format!("the members of `{name}` cannot be read ({fault})"),
        )),
        None => Err(Held::new(Hold::KafkaUnavailable, format!("no word about `{name}`"))),
    }
}

async fn containers(at: &Context, name: &GroupName) -> Result<Vec<Consumer>, Held> {
    let mut found = at.engine()?.consumers(at.cluster.name.as_str()).await?;
    found.retain(|it| it.group == *name);
    Ok(found)
}

fn container(found: Consumer) -> ContainerFacts {
    let Consumer { id, name, run, running, objections, .. } = found;
    ContainerFacts { id, name, is_clone: run.is_some(), running, objections }
}

/// Records behind and partitions with lag, from the latest snapshot, which the guard has found
/// young. A part that is not known is no zero: it holds the run.
fn lag(at: &Context, name: &GroupName) -> Result<(u64, u32), Held> {
    let latest = at.latest.borrow().clone();
    let mut groups = latest.iter().flat_map(|it| &it.groups).flat_map(|it| it.value.iter());
    let Some(group) = groups.find(|it| it.name == *name) else {
        let note = format!("the latest snapshot has no group `{name}`");
        return Err(Held::new(Hold::EvidenceMissing, note));
    };
    let (mut records, mut partitions) = (0_u64, 0_u32);
    for it in group.topics.iter().flat_map(|it| &it.partitions) {
        let Reading::Known(lag) = it.lag else {
            let note = format!("the lag of `{name}` is not known of every partition");
            return Err(Held::new(Hold::EvidenceMissing, note));
        };
        records = records.saturating_add(lag);
        partitions = partitions.saturating_add(u32::from(0 < lag));
    }
    moves(at, group)?;
    Ok((records, partitions))
}

/// Members that do not commit are stuck; more of them would be stuck too.
fn moves(at: &Context, group: &Group) -> Result<(), Held> {
    let limit = at.cluster.collect_interval.saturating_mul(FLAT_ROUNDS_MAX);
    let flat = group.progressed.map(|it| at.now().since(it));
    Held::unless(flat.is_some_and(|it| it <= limit), Hold::GroupNotMoving, || match flat {
        Some(flat) => {
            format!("`{}` has committed nothing new for {} s", group.name, flat.as_secs())
        }
        None => format!("`{}` has not been seen to commit", group.name),
    })
}

/// Waits until the group is stable again after its clones have started; says why it is not.
pub(in crate::remedy) async fn stable(at: &Context, name: &GroupName) -> Result<(), String> {
    let started = at.clock.uptime();
    loop {
        let found = async {
            let topology = at.kafka.topology().await?;
            let found = listed(at, name, &topology).await?;
            let Some((coordinator, listed)) = found else {
                return Err(Held::new(Hold::UnknownTarget, "it is gone"));
            };
            described(at, (coordinator, listed.group_type), name).await
        };
        let seen = match found.await {
            Ok(members) if members.state == GroupState::Stable => return Ok(()),
            Ok(members) => members.state.to_string(),
            Err(held) => held.note,
        };
        if STABLE_MAX <= took(at, started) {
            let limit = STABLE_MAX.as_secs();
            return Err(format!("the group `{name}` was not stable within {limit} s: {seen}"));
        }
        at.clock.sleep(STABLE_PAUSE).await;
    }
}
