//! `scale-consumers`: adds consumer containers to a group that falls behind, as clones of those it
//! has.
//!
//! Invariant (I29): at most twice as many containers, never more than partitions with lag, never
//! more than the playbook allows. Only lag that a member can read counts.

use super::{Plan, PlannedStep, Unplannable};
use crate::{
    model::{Change, ConsumerClone, GroupName, RunId, TopicName},
    playbook::{Factor, ScaleConsumers},
};

/// Above this lag, in records, the number of containers doubles.
pub const LAG_DOUBLE: u64 = 100_000;

/// Above this lag, in records, the number of containers grows by half.
pub const LAG_HALF_MORE: u64 = 50_000;

/// The name of the assignor, in the classic protocol and in that of KIP-848.
const RANGE_ASSIGNOR: &str = "range";

/// One consumer container of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerFacts {
    pub id: String,
    pub name: String,
    pub is_clone: bool,
    pub running: bool,
    /// Why it must not be cloned; empty if it may.
    pub objections: Vec<String>,
}

/// What the group has yet to read in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    pub topic: TopicName,
    /// Records between the commits and the log end.
    pub lag: u64,
    /// Of these, the records that are no longer in the log.
    pub lost: u64,
    /// Partitions with records that can still be read.
    pub partitions_with_lag: u32,
    /// Whether a member subscribes to the topic.
    pub is_subscribed: bool,
}

impl TopicFacts {
    const fn readable(&self) -> u64 {
        self.lag.saturating_sub(self.lost)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    pub group: GroupName,
    /// Every topic with commits of the group.
    pub topics: Vec<TopicFacts>,
    /// Topics that members subscribe to and that the configuration leaves out: their lag is not
    /// known.
    pub excluded: Vec<TopicName>,
    pub assignor: String,
    pub members: u32,
    pub containers: Vec<ContainerFacts>,
}

impl GroupFacts {
    /// Topics that a member can read.
    fn read_topics(&self) -> impl Iterator<Item = &TopicFacts> {
        self.topics.iter().filter(|it| it.is_subscribed)
    }

    /// Records that the group can still read.
    fn lag(&self) -> u64 {
        self.read_topics().map(TopicFacts::readable).fold(0, u64::saturating_add)
    }

    /// How many members can have a partition with lag. The range assignor gives a member the
    /// partitions with the same numbers of each topic, so that it uses no more members than the
    /// largest topic has partitions.
    fn members_with_work(&self) -> u32 {
        let each = self.read_topics().map(|it| it.partitions_with_lag);
        if self.assigns_by_range() {
            each.max().unwrap_or_default()
        } else {
            each.fold(0, u32::saturating_add)
        }
    }

    fn assigns_by_range(&self) -> bool {
        self.assignor == RANGE_ASSIGNOR
    }

    /// What does not count, and why.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for it in &self.topics {
            let TopicFacts { topic, lag, lost, is_subscribed, .. } = it;
            if !is_subscribed && *lag > 0 {
                remarks.push(format!(
                    "{topic} does not count: the group is {lag} records behind on it, and no \
                     member subscribes to it"
                ));
            } else if *lost > 0 {
                remarks.push(format!(
                    "{lost} of the {lag} records behind on {topic} do not count: they are deleted"
                ));
            }
        }

        for topic in &self.excluded {
            remarks.push(format!(
                "{topic} does not count: the cluster's `topics` leave it out, so that its lag is \
                 not known"
            ));
        }

        if self.assigns_by_range() && self.read_topics().count() > 1 {
            remarks.push(
                "the range assignor gives a member the same partitions of every topic, so that \
                 only the topic with the most partitions with lag counts"
                    .to_owned(),
            );
        }

        remarks
    }
}

/// Plans the clones. They start at the same time, so that the group rebalances once.
///
/// # Errors
///
/// When more containers would not help, or no container may be cloned.
pub fn plan(
    facts: &GroupFacts,
    parameters: ScaleConsumers,
    run: RunId,
) -> Result<Plan, Unplannable> {
    let running = facts.containers.iter().filter(|it| it.running).count();
    let running = u32::try_from(running).unwrap_or(u32::MAX);
    let template = template(facts)?;
    let (lag, with_work) = (facts.lag(), facts.members_with_work());
    let mut remarks = facts.remarks();

    let wanted = match parameters.factor {
        Factor::Double => running.saturating_mul(2),
        Factor::ByLag if lag > LAG_DOUBLE => running.saturating_mul(2),
        Factor::ByLag if lag > LAG_HALF_MORE => running.saturating_mul(3).div_ceil(2),
        Factor::ByLag => {
            let why =
                format!("the group is {lag} records behind; it is scaled above {LAG_HALF_MORE}");
            return Err(Unplannable::with_remarks(why, &remarks));
        }
    };

    // A container may hold several members, and a member without a partition is idle.
    let each = facts.members.div_ceil(running.max(1)).max(1);
    let useful = with_work.checked_div(each).unwrap_or_default();
    let to = wanted.min(parameters.containers_max).min(useful);

    if to <= running {
        let why = format!(
            "{running} container(s) run; {with_work} partition(s) with lag can be read by members \
             of their own, {each} member(s) are in each container, and the playbook allows {}",
            parameters.containers_max
        );
        return Err(Unplannable::with_remarks(why, &remarks));
    }

    let steps = (1..=to.saturating_sub(running)).map(|number| {
        let name = format!("{}-clone-{run}-{number}", template.name);
        let clone = ConsumerClone { template: template.id.clone(), name };
        PlannedStep { stage: 0, wave: 0, change: Change::ConsumerClone(clone) }
    });
    let summary = format!(
        "{running} container(s) become {to}: {lag} records behind, {with_work} partition(s) with \
         lag can be read by members of their own"
    );
    remarks.insert(0, summary);

    if to < wanted {
        remarks.push(format!("{wanted} were wanted"));
    }

    Ok(Plan { steps: steps.collect(), remarks })
}

/// The container to clone: the first by name that is running and may be cloned.
fn template(facts: &GroupFacts) -> Result<&ContainerFacts, Unplannable> {
    let originals = || facts.containers.iter().filter(|it| !it.is_clone && it.running);
    if let Some(found) = originals().find(|it| it.objections.is_empty()) {
        return Ok(found);
    }

    let group = &facts.group;

    Err(Unplannable(match originals().next() {
        None => format!(
            "no running container has the labels kafka-optimizer.role=consumer and \
             kafka-optimizer.group={group}"
        ),
        Some(first) => {
            format!(
                "{} of group {group} must not be cloned: {}",
                first.name,
                first.objections.join("; ")
            )
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str) -> ContainerFacts {
        ContainerFacts {
            id: "0123456789abcdef".to_owned(),
            name: name.to_owned(),
            is_clone: false,
            running: true,
            objections: Vec::new(),
        }
    }

    fn topic(name: &str, lag: u64, partitions_with_lag: u32) -> TopicFacts {
        let topic = TopicName::new(name);
        TopicFacts { topic, lag, lost: 0, partitions_with_lag, is_subscribed: true }
    }

    fn facts(lag: u64, partitions_with_lag: u32, containers: u32) -> GroupFacts {
        GroupFacts {
            group: GroupName::new("orders"),
            topics: vec![topic("a", lag, partitions_with_lag)],
            excluded: Vec::new(),
            assignor: "range".to_owned(),
            members: containers,
            containers: (1..=containers).map(|it| container(&format!("worker-{it}"))).collect(),
        }
    }

    const BY_LAG: ScaleConsumers = ScaleConsumers { factor: Factor::ByLag, containers_max: 8 };

    #[track_caller]
    fn check(facts: &GroupFacts, parameters: ScaleConsumers, want: Option<usize>) {
        let planned = plan(facts, parameters, RunId(7));

        assert_eq!(planned.as_ref().ok().map(|it| it.steps.len()), want, "{planned:?}");
    }

    #[test]
    fn i29_the_lag_decides_the_number_up_to_the_partitions_and_the_playbooks_maximum() {
        check(&facts(100_001, 12, 2), BY_LAG, Some(2));
        check(&facts(100_000, 12, 2), BY_LAG, Some(1));
        check(&facts(50_001, 12, 3), BY_LAG, Some(2));
        check(&facts(50_000, 12, 2), BY_LAG, None);
        check(&facts(200_000, 3, 2), BY_LAG, Some(1));
        check(&facts(200_000, 2, 2), BY_LAG, None);
        check(&facts(200_000, 12, 5), BY_LAG, Some(3));
        check(&facts(200_000, 12, 8), BY_LAG, None);

        let double = ScaleConsumers { factor: Factor::Double, ..BY_LAG };
        check(&facts(1, 12, 2), double, Some(2));

        check(&facts(1, 0, 2), double, None);
    }

    #[test]
    fn i29_each_member_of_a_container_needs_a_partition() {
        let threads = GroupFacts { members: 6, ..facts(200_000, 12, 2) };
        check(&threads, BY_LAG, Some(2));

        let threads = GroupFacts { members: 6, ..facts(200_000, 9, 2) };
        check(&threads, BY_LAG, Some(1));
    }

    #[track_caller]
    fn why_not(facts: &GroupFacts) -> String {
        plan(facts, BY_LAG, RunId(7)).unwrap_err().to_string()
    }

    #[test]
    fn i29_commits_on_a_topic_that_no_member_subscribes_to_make_no_clone() {
        let mut group = facts(10, 1, 1);
        let left = TopicFacts { is_subscribed: false, ..topic("b", 152_493, 6) };
        group.topics.push(left);

        let why = why_not(&group);
        assert!(why.contains("the group is 10 records behind"), "{why}");
        assert!(why.contains("b does not count: the group is 152493 records behind"), "{why}");

        // The same topic, subscribed again.
        group.topics.last_mut().unwrap().is_subscribed = true;
        check(&group, BY_LAG, Some(1));
    }

    #[test]
    fn i29_records_that_are_deleted_make_no_clone() {
        let mut group = facts(152_493, 6, 1);
        group.topics.get_mut(0).unwrap().lost = 152_493;
        group.topics.get_mut(0).unwrap().partitions_with_lag = 0;

        let why = why_not(&group);
        assert!(why.contains("the group is 0 records behind"), "{why}");
        assert!(why.contains("152493 of the 152493 records behind on a do not count"), "{why}");

        // With half of them left, half as many containers are added.
        group.topics.get_mut(0).unwrap().lost = 76_000;
        group.topics.get_mut(0).unwrap().partitions_with_lag = 6;

        check(&group, BY_LAG, Some(1));
    }

    #[test]
    fn i29_members_that_the_range_assignor_would_leave_idle_are_not_added() {
        let mut group = facts(100_000, 6, 6);
        group.topics.push(topic("b", 100_000, 6));

        let why = why_not(&group);
        assert!(why.contains("6 partition(s) with lag"), "{why}");
        assert!(why.contains("the range assignor"), "{why}");

        group.assignor = "cooperative-sticky".to_owned();
        check(&group, BY_LAG, Some(2));
    }

    #[test]
    fn a_topic_that_the_configuration_leaves_out_is_named() {
        let mut group = facts(200_000, 12, 2);
        group.excluded = vec![TopicName::new("hidden")];
        let plan = plan(&group, BY_LAG, RunId(7)).unwrap();
        let remarks = plan.remarks.join("; ");

        assert!(remarks.contains("hidden does not count: the cluster's `topics`"), "{remarks}");
        assert!(remarks.starts_with("2 container(s) become 4: 200000 records"), "{remarks}");
    }

    #[test]
    fn the_first_container_that_may_be_cloned_is_and_never_a_clone() {
        let mut of = facts(200_000, 12, 3);
        let [first, second, _] = of.containers.as_mut_slice() else { panic!() };
        first.is_clone = true;
        second.objections = vec!["it writes to a volume".to_owned()];
        let planned = plan(&of, BY_LAG, RunId(7)).unwrap();
        let names: Vec<String> = planned.steps.iter().map(|it| it.change.text().subject).collect();

        assert_eq!(
            names,
            [
                "container worker-3-clone-7-1",
                "container worker-3-clone-7-2",
                "container worker-3-clone-7-3"
            ]
        );

        of.containers.last_mut().unwrap().running = false;

        let why = plan(&of, BY_LAG, RunId(7)).unwrap_err().to_string();

        assert!(why.contains("worker-2 of group orders must not be cloned: it writes"), "{why}");

        of.containers.clear();
        let why = plan(&of, BY_LAG, RunId(7)).unwrap_err().to_string();

        assert!(why.contains("kafka-optimizer.group=orders"), "{why}");
    }
}
