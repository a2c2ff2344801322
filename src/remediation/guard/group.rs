//! Checks whether a consumer group may get more consumers (I29, I37), and reads what the plan
//! needs.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::try_join_all;

use super::super::{breach::Breach, context::Context, hold::Hold};
use crate::{
    model::{
        BrokerId, ConsumerContainer, GroupListing, GroupMembers, GroupName, GroupState, GroupType,
        HoldReason, OffsetRange, TopicName, Topology,
    },
    optimizers::scale_consumers::{ContainerFacts, GroupFacts, TopicFacts},
    snapshot::{Group, GroupPartition, GroupTopic},
};

/// Collection rounds without progress of the committed offsets after which a group is stuck (I29).
const FLAT_ROUNDS_MAX: u32 = 5;

/// How long a group may take to be stable again after its clones have started.
pub(in crate::remediation) const STABLE_MAX: Duration = Duration::from_mins(2);
pub(in crate::remediation) const STABLE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Part of the assignor's name of every Kafka Streams application.
const STREAMS_ASSIGNOR: &str = "stream";

/// What `scale_consumers` needs to know about the group `name`.
pub(super) async fn facts(
    context: &Context,
    name: &GroupName,
    topology: &Topology,
) -> Result<GroupFacts, Hold> {
    let members = scalable_members(context, name, topology).await?;
    let containers = containers(context, name).await?;
    let topics = topics(context, name, &members)?;

    let subscribed = members.assigned.iter().flat_map(BTreeMap::keys);
    let is_excluded = |it: &&TopicName| !context.cluster.topics.admits(it.as_str());

    Ok(GroupFacts {
        group: name.clone(),
        topics,
        excluded: subscribed.filter(is_excluded).cloned().collect(),
        assignor: members.assignor,
        members: members.count,
        containers: containers.into_iter().map(container_facts).collect(),
    })
}

/// The current members of the group, if clones of them may be started.
async fn scalable_members(
    context: &Context,
    name: &GroupName,
    topology: &Topology,
) -> Result<GroupMembers, Hold> {
    let (coordinator, listing) = find(context, name, topology).await?.ok_or_else(|| {
        Hold::new(HoldReason::UnknownTarget, format!("no broker knows the consumer group `{name}`"))
    })?;
    let GroupListing { group_type, protocol_type, .. } = listing;
    let is_plain = [GroupType::Classic, GroupType::Consumer].contains(&group_type)
        && ["consumer", ""].contains(&&*protocol_type);
    Hold::unless(is_plain, HoldReason::Unplannable, || {
        format!("`{name}` is no group of plain consumers: {group_type} {protocol_type}")
    })?;

    let members = describe(context, coordinator, group_type, name).await?;

    Hold::unless(members.state == GroupState::Stable, HoldReason::GroupUnstable, || {
        format!("the group `{name}` is {}", members.state)
    })?;
    Hold::unless(members.static_members == 0, HoldReason::Unplannable, || {
        format!(
            "{} member(s) of `{name}` have a group.instance.id: a clone would fence the original",
            members.static_members
        )
    })?;
    Hold::unless(!members.assignor.contains(STREAMS_ASSIGNOR), HoldReason::Unplannable, || {
        format!("`{name}` is a Kafka Streams application ({}): scale it itself", members.assignor)
    })?;

    Ok(members)
}

/// The group's coordinator, and its listing there.
async fn find(
    context: &Context,
    name: &GroupName,
    topology: &Topology,
) -> Result<Option<(BrokerId, GroupListing)>, Hold> {
    let requests = topology.brokers.iter().map(|broker| async move {
        let groups = context.kafka.groups(broker.id, &[]).await?;
        Ok::<_, Hold>(groups.into_iter().find(|it| it.group == *name).map(|it| (broker.id, it)))
    });
    Ok(try_join_all(requests).await?.into_iter().flatten().next())
}

async fn describe(
    context: &Context,
    coordinator: BrokerId,
    group_type: GroupType,
    name: &GroupName,
) -> Result<GroupMembers, Hold> {
    let names = std::slice::from_ref(name);
    let answer = context.kafka.describe_groups(coordinator, group_type, names).await?;
    let members = answer.into_iter().find(|it| it.group == *name).map(|it| it.members);

    match members {
        Some(Ok(members)) => Ok(members),
        Some(Err(fault)) => Err(Hold::new(
            HoldReason::KafkaUnavailable,
            format!("the members of `{name}` cannot be read ({fault})"),
        )),
        None => Err(Hold::new(
            HoldReason::KafkaUnavailable,
            format!("the coordinator did not describe `{name}`"),
        )),
    }
}

async fn containers(context: &Context, name: &GroupName) -> Result<Vec<ConsumerContainer>, Hold> {
    let mut found = context.engine()?.consumers(context.cluster.name.as_str()).await?;
    found.retain(|it| it.group == *name);
    Ok(found)
}

fn container_facts(container: ConsumerContainer) -> ContainerFacts {
    let ConsumerContainer { id, name, run, running, objections, .. } = container;
    // A clone that is restarting comes back, and is a member then.
    let is_clone = run.is_some();
    ContainerFacts { id, name, is_clone, running: running || is_clone, objections }
}

/// What the group has yet to read in each topic, from the latest snapshot, which the guard has
/// found fresh. An unknown lag is not 0: it holds the run.
fn topics(
    context: &Context,
    name: &GroupName,
    members: &GroupMembers,
) -> Result<Vec<TopicFacts>, Hold> {
    let latest = context.latest.borrow().clone();
    let mut groups = latest.iter().flat_map(|it| &it.groups).flat_map(|it| it.value.iter());
    let Some(group) = groups.find(|it| it.name == *name) else {
        let detail = format!("the latest snapshot has no group `{name}`");
        return Err(Hold::new(HoldReason::EvidenceMissing, detail));
    };
    let offsets = latest.as_ref().and_then(|it| it.offsets.as_ref()).map(|it| &*it.value);

    let facts = group.topics.iter().map(|topic| {
        let ranges = offsets.and_then(|it| it.get(&topic.topic)).map_or(&[][..], Vec::as_slice);
        // Without a list of topics, each may have a member that reads it.
        let is_subscribed = Breach::I29UnreadLagCounts.is_played()
            || members.assigned.as_ref().is_none_or(|it| it.contains_key(&topic.topic));
        topic_facts(name, topic, ranges, is_subscribed)
    });
    let facts = facts.collect::<Result<Vec<_>, _>>()?;

    check_progress(context, group)?;

    Ok(facts)
}

/// A topic that no member subscribes to is counted as far as it is known.
fn topic_facts(
    name: &GroupName,
    topic: &GroupTopic,
    ranges: &[(i32, OffsetRange)],
    is_subscribed: bool,
) -> Result<TopicFacts, Hold> {
    let mut facts = TopicFacts {
        topic: topic.topic.clone(),
        lag: 0,
        lost: 0,
        partitions_with_lag: 0,
        is_subscribed,
    };

    for it in &topic.partitions {
        let range = ranges.iter().find(|(index, _)| *index == it.partition);
        let lost = it.lag.and_then(|lag| lost(it, lag, range?.1));

        // Nothing is lost of no lag, wherever the log starts.
        let (Some(lag), Some(lost)) = (it.lag, lost.or(it.lag.filter(|lag| *lag == 0))) else {
            if !is_subscribed {
                continue;
            }
            let what = if it.lag.is_some() { "log start offset" } else { "lag" };
            return Err(Hold::new(
                HoldReason::EvidenceMissing,
                format!("the {what} of `{name}` is unknown on some partition of {}", topic.topic),
            ));
        };

        facts.lag = facts.lag.saturating_add(lag);
        facts.lost = facts.lost.saturating_add(lost);
        facts.partitions_with_lag = facts.partitions_with_lag.saturating_add(u32::from(lag > lost));
    }

    Ok(facts)
}

/// How many of the records that the group has yet to read are no longer in the log.
fn lost(partition: &GroupPartition, lag: u64, range: OffsetRange) -> Option<u64> {
    let deleted = range.start?.saturating_sub(partition.committed?);
    Some(u64::try_from(deleted).unwrap_or(0).min(lag))
}

/// Members that commit nothing new are stuck; more of them would be stuck, too.
fn check_progress(context: &Context, group: &Group) -> Result<(), Hold> {
    let limit = context.cluster.collect_interval.saturating_mul(FLAT_ROUNDS_MAX);
    let now = context.now();

    // A time in the future is from before the clock was set back: it proves nothing.
    let progressed = group.progressed.filter(|it| it.since(now) <= limit);
    let flat = progressed.map(|it| now.since(it));
    Hold::unless(flat.is_some_and(|it| it <= limit), HoldReason::GroupNotMoving, || match flat {
        Some(flat) => {
            format!("`{}` has committed nothing new for {} s", group.name, flat.as_secs())
        }
        None => format!("`{}` has not been seen to commit", group.name),
    })
}

/// Checks that the group is stable again after its clones have started.
///
/// # Errors
///
/// The group's state, or why it cannot be read.
pub(in crate::remediation) async fn check_stable(
    context: &Context,
    name: &GroupName,
) -> Result<(), String> {
    let members = async {
        let topology = context.kafka.topology().await?;
        let Some((coordinator, listing)) = find(context, name, &topology).await? else {
            return Err(Hold::new(HoldReason::UnknownTarget, "it was deleted"));
        };
        describe(context, coordinator, listing.group_type, name).await
    };

    match members.await {
        Ok(members) if members.state == GroupState::Stable => Ok(()),
        Ok(members) => Err(members.state.to_string()),
        Err(hold) => Err(hold.detail),
    }
}
