//! Groups: each broker lists those that it coordinates, each round; their members and commits are
//! then requested from the broker that listed them.
//!
//! Publishes `groups`, with their lag. Runs three collectors: groups, committed and lag.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use super::{
    Collect, Round, RoundPlan,
    cached::{Cached, Timestamps},
    history::History,
    in_flight::{Request, RequestKey},
    lag::{self, LagCount, Logs},
    progress::{GroupSample, ProgressTracker},
    report::RoundReport,
};
use crate::{
    config::NameFilter,
    model::{
        BrokerId, GroupDescription, GroupListing, GroupMembers, GroupName, GroupOffsets,
        GroupState, GroupType, LagSeconds, ReadFailure, TopicName, TopicOffsets, Topology,
    },
    snapshot::{Group, Offsets, Section, Snapshot},
    telemetry::CollectorName,
};

const fn members_key(coordinator: BrokerId, group_type: GroupType) -> RequestKey {
    RequestKey::for_part(CollectorName::Groups, group_type.label(), coordinator)
}

const fn commits_key(coordinator: BrokerId) -> RequestKey {
    RequestKey::for_part(CollectorName::Committed, "commits", coordinator)
}

/// Which groups are collected, and how.
#[derive(Debug)]
pub(super) struct GroupSelection {
    pub(super) filter: NameFilter,
    /// No states means all of them.
    pub(super) states: Vec<GroupState>,
    pub(super) lag_seconds: LagSeconds,
}

#[derive(Debug)]
pub(super) struct GroupsCollector {
    cadence: Duration,
    selection: GroupSelection,
    history: History,
    progress: ProgressTracker,
    groups: Option<Cached<Section<Vec<Group>>>>,
}

impl GroupsCollector {
    pub(super) fn new(cadence: Duration, selection: GroupSelection) -> Self {
        Self {
            cadence,
            selection,
            history: History::default(),
            progress: ProgressTracker::default(),
            groups: None,
        }
    }

    /// Puts the answers of the round together. Returns how many commits are ahead of their log end.
    pub(super) fn assemble(
        &mut self,
        topology: &Topology,
        offsets: &Offsets,
        round: &mut Round,
        began: Timestamps,
        now: Timestamps,
    ) -> u64 {
        let answers = std::mem::take(&mut round.groups);
        let lag_seconds = self.selection.lag_seconds;

        if lag_seconds == LagSeconds::Followed {
            let without_room = answers.follow(topology, &mut self.history, now);
            round.report.count_unknown(CollectorName::Lag, ReadFailure::Budget, without_room);
            round.end_offsets.record(&mut self.history);
            self.history.retain(topology, now.monotonic);
        }

        let inputs = GroupInputs { topology, offsets, history: &self.history, lag_seconds, now };
        let (groups, count) = answers.assemble(&inputs, &mut self.progress, &mut round.report);
        round.report.count_unknown(CollectorName::Lag, ReadFailure::Incomplete, count.unknown);
        self.groups = Some(Cached::section(groups, began));
        count.ahead
    }
}

impl Collect for GroupsCollector {
    fn plan(&mut self, plan: &mut RoundPlan<'_>) {
        plan.report.ran(CollectorName::Committed);
        plan.report.ran(CollectorName::Lag);

        for broker in plan.brokers() {
            let states = self.selection.states.clone();
            plan.send(Request::new(
                RequestKey::to_broker(CollectorName::Groups, broker),
                move |kafka| async move { kafka.groups(broker, &states).await },
                move |state, round, listings, _| {
                    if let Some(round) = round {
                        let filter = &state.groups.selection.filter;
                        let details = round.groups.list(broker, listings, filter);
                        round.follow_ups.extend(details.requests(broker));
                    }
                },
            ));
        }
    }

    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        snapshot.groups = self.groups.as_ref().and_then(|it| it.fresh(now, self.cadence));
    }
}

/// What this round has read of groups.
#[derive(Debug, Default)]
pub(super) struct GroupAnswers {
    listed: BTreeMap<GroupName, (BrokerId, GroupListing)>,
    described: HashMap<GroupName, Result<GroupMembers, ReadFailure>>,
    committed: HashMap<GroupName, Result<Vec<TopicOffsets>, ReadFailure>>,
}

/// The groups whose members and commits are requested from the broker that listed them.
#[derive(Debug, Default, PartialEq, Eq)]
struct GroupDetails {
    members: BTreeMap<GroupType, Vec<GroupName>>,
    commits: Vec<GroupName>,
}

impl GroupDetails {
    fn requests(self, coordinator: BrokerId) -> Vec<Request> {
        let mut requests = Vec::new();
        let Self { members, commits } = self;

        if !commits.is_empty() {
            requests.push(Request::new(
                commits_key(coordinator),
                move |kafka| async move { kafka.committed(coordinator, &commits).await },
                |_, round, committed, _| {
                    if let Some(round) = round {
                        round.groups.store_commits(committed);
                    }
                },
            ));
        }

        for (group_type, groups) in members {
            requests.push(Request::new(
                members_key(coordinator, group_type),
                move |kafka| async move {
                    kafka.describe_groups(coordinator, group_type, &groups).await
                },
                |_, round, descriptions, _| {
                    if let Some(round) = round {
                        round.groups.store_members(descriptions);
                    }
                },
            ));
        }

        requests
    }
}

/// What groups are put together from, beside their own answers.
struct GroupInputs<'a> {
    topology: &'a Topology,
    offsets: &'a Offsets,
    history: &'a History,
    lag_seconds: LagSeconds,
    now: Timestamps,
}

impl GroupAnswers {
    /// Takes the groups that `broker` lists. While a group moves to another coordinator, two
    /// brokers list it for a moment: the first answer of the round counts, so that it is never two
    /// series.
    fn list(
        &mut self,
        broker: BrokerId,
        listings: Vec<GroupListing>,
        filter: &NameFilter,
    ) -> GroupDetails {
        let mut details = GroupDetails::default();
        for listing in listings {
            let group = &listing.group;
            if self.listed.contains_key(group) || !filter.admits(group.as_str()) {
                continue;
            }
            // An empty group has no members. No request describes a group of an unknown type.
            if listing.state != GroupState::Empty && listing.group_type != GroupType::Unknown {
                details.members.entry(listing.group_type).or_default().push(group.clone());
            }
            if commits_offsets(&listing) {
                details.commits.push(group.clone());
            }
            self.listed.insert(group.clone(), (broker, listing));
        }

        details
    }

    fn store_members(&mut self, descriptions: Vec<GroupDescription>) {
        self.described.extend(descriptions.into_iter().map(|it| (it.group, it.members)));
    }

    fn store_commits(&mut self, offsets: Vec<GroupOffsets>) {
        self.committed.extend(offsets.into_iter().map(|it| (it.group, it.offsets)));
    }

    /// Tells the history which partitions groups read. Returns how many it has no room for.
    fn follow(&self, topology: &Topology, history: &mut History, now: Timestamps) -> u64 {
        let commits = self.committed.values().filter_map(|it| it.as_ref().ok()).flatten();
        let read = lag::read_partitions(commits);
        let mut without_room = 0_u64;

        for topic in &topology.topics {
            let Some(partitions) = read.get(&topic.name) else { continue };
            // Partitions are numbered from 0; what a client makes up takes no room.
            let most = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            let partitions = partitions.iter().copied().filter(|it| *it < most);
            let refused = history.follow(&topic.name, topic.id, partitions, now.monotonic);
            without_room = without_room.saturating_add(refused);
        }

        without_room
    }

    /// Puts the groups together, with their lag.
    fn assemble(
        mut self,
        inputs: &GroupInputs<'_>,
        progress: &mut ProgressTracker,
        report: &mut RoundReport,
    ) -> (Vec<Group>, LagCount) {
        let unreadable: HashSet<TopicName> = inputs.topology.unreadable.iter().cloned().collect();
        let logs = Logs {
            ends: inputs.offsets,
            unreadable: &unreadable,
            history: (inputs.lag_seconds == LagSeconds::Followed).then_some(inputs.history),
            now: inputs.now.monotonic,
        };

        let mut count = LagCount::default();
        let mut groups = Vec::with_capacity(self.listed.len());

        for (name, (coordinator, listing)) in std::mem::take(&mut self.listed) {
            let members = self.members(&name, coordinator, &listing, report);
            let commits = self.commits(&name, coordinator, &listing, report);
            // The description is younger than the listing.
            let state = members.as_ref().map_or(listing.state, |it| it.state);
            let sample =
                GroupSample { state, members: members.as_ref(), commits: commits.as_deref() };
            let change = progress.update(&name, sample, inputs.now);

            groups.push(Group {
                topics: lag::by_topic(commits.unwrap_or_default(), logs, &mut count),
                name,
                coordinator,
                protocol_type: listing.protocol_type,
                group_type: listing.group_type,
                state,
                members: members.as_ref().map(|it| it.count),
                unassigned: members.map_or_else(Vec::new, |it| unassigned(&it, inputs.offsets)),
                rebalances: change.rebalances,
                progressed: change.progressed,
            });
        }

        progress.forget(inputs.now);
        (groups, count)
    }

    fn members(
        &mut self,
        name: &GroupName,
        coordinator: BrokerId,
        listing: &GroupListing,
        report: &mut RoundReport,
    ) -> Option<GroupMembers> {
        if listing.state == GroupState::Empty {
            return Some(GroupMembers {
                state: listing.state,
                count: 0,
                fingerprint: 0,
                static_members: 0,
                assignor: String::new(),
                assigned: None,
            });
        }
        match self.described.remove(name) {
            Some(Ok(members)) => Some(members),
            other => {
                let key = members_key(coordinator, listing.group_type);
                let failure = why_unknown(other.and_then(Result::err), || report.failure(key));
                report.count_unknown(CollectorName::Groups, failure, 1);
                None
            }
        }
    }

    fn commits(
        &mut self,
        name: &GroupName,
        coordinator: BrokerId,
        listing: &GroupListing,
        report: &mut RoundReport,
    ) -> Option<Vec<TopicOffsets>> {
        if !commits_offsets(listing) {
            return None;
        }
        match self.committed.remove(name) {
            Some(Ok(commits)) => {
                let offsets = commits.iter().flat_map(|it| &it.partitions);
                let failures = offsets.filter_map(|(_, offset)| offset.err());
                report.count_missing(CollectorName::Committed, failures);
                Some(commits)
            }
            other => {
                let key = commits_key(coordinator);
                let failure = why_unknown(other.and_then(Result::err), || report.failure(key));
                report.count_unknown(CollectorName::Committed, failure, 1);
                None
            }
        }
    }
}

/// Share groups keep no committed offsets of this kind; asking for them is answered with errors.
fn commits_offsets(listing: &GroupListing) -> bool {
    listing.group_type != GroupType::Share
}

/// How many partitions of the topics it subscribes to no member holds. While partitions are being
/// handed out nobody can say.
fn unassigned(members: &GroupMembers, offsets: &Offsets) -> Vec<(TopicName, u64)> {
    if members.state != GroupState::Stable {
        return Vec::new();
    }

    let topics = members.assigned.iter().flatten().filter_map(|(topic, held)| {
        let (topic, partitions) = offsets.get_key_value(topic)?;
        let held = usize::try_from(*held).unwrap_or(usize::MAX);
        let left = u64::try_from(partitions.len().saturating_sub(held)).unwrap_or(u64::MAX);
        Some((topic.clone(), left))
    });

    topics.collect()
}

fn why_unknown(
    own: Option<ReadFailure>,
    of_request: impl FnOnce() -> Option<ReadFailure>,
) -> ReadFailure {
    own.or_else(of_request).unwrap_or(ReadFailure::Incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OffsetRange;

    fn listing(group: &str, group_type: GroupType, state: GroupState) -> GroupListing {
        let protocol_type = "consumer".into();
        GroupListing { group: GroupName::new(group), protocol_type, group_type, state }
    }

    /// What is asked of the broker that lists these, first among brokers.
    fn asked(listings: Vec<GroupListing>) -> (Vec<(GroupType, usize)>, usize) {
        let mut groups = GroupAnswers::default();
        let broker = BrokerId::from_wire(1).unwrap();
        let details = groups.list(broker, listings, &NameFilter::default());
        let members = details.members.iter().map(|(kind, groups)| (*kind, groups.len()));
        (members.collect(), details.commits.len())
    }

    #[test]
    fn a_group_that_two_brokers_list_is_asked_about_once() {
        let (one, two) = (BrokerId::from_wire(1).unwrap(), BrokerId::from_wire(2).unwrap());
        let mut groups = GroupAnswers::default();
        let listed = || vec![listing("g", GroupType::Classic, GroupState::Stable)];
        let all = NameFilter::default();
        assert_eq!(groups.list(one, listed(), &all).commits.len(), 1);
        assert_eq!(groups.list(two, listed(), &all), GroupDetails::default());
        assert_eq!(groups.listed[&GroupName::new("g")].0, one);
    }

    #[test]
    fn each_type_is_described_by_its_own_request_and_empty_groups_by_none() {
        use GroupState::{Empty, Stable};
        use GroupType::{Classic, Consumer, Share, Streams, Unknown};
        let all = [(Classic, Stable), (Consumer, Stable), (Share, Stable), (Streams, Stable)];
        let all = all.into_iter().chain([(Unknown, Stable), (Classic, Empty), (Share, Empty)]);
        let named = |(at, (kind, state)): (usize, _)| listing(&format!("g{at}"), kind, state);
        let (members, commits) = asked(all.enumerate().map(named).collect());
        assert_eq!(members, [(Classic, 1), (Consumer, 1), (Share, 1), (Streams, 1)]);
        assert_eq!(commits, 5, "a share group commits nothing of this kind");
    }

    #[test]
    fn a_group_that_the_filter_refuses_is_not_asked_about() {
        let mut groups = GroupAnswers::default();
        let filter = NameFilter::new(&[], &["console-.*".to_owned()]).unwrap();
        let listed =
            ["console-1", "billing"].map(|it| listing(it, GroupType::Classic, GroupState::Empty));
        let details = groups.list(BrokerId::from_wire(1).unwrap(), listed.to_vec(), &filter);
        assert_eq!(details.commits, [GroupName::new("billing")]);
    }

    #[track_caller]
    fn check_unassigned(state: GroupState, held: Option<u32>, want: &[u64]) {
        let topic = TopicName::new("t");
        let ends: Offsets =
            [(topic.clone(), vec![(0, OffsetRange::UNKNOWN), (1, OffsetRange::UNKNOWN)])].into();
        let assigned = held.map(|it| BTreeMap::from([(topic, it), (TopicName::new("gone"), 1)]));
        let members = GroupMembers {
            state,
            count: 1,
            fingerprint: 0,
            static_members: 0,
            assignor: String::new(),
            assigned,
        };

        let left: Vec<u64> = unassigned(&members, &ends).into_iter().map(|it| it.1).collect();
        assert_eq!(left, want);
    }

    #[test]
    fn partitions_that_no_member_holds_are_counted_when_the_group_is_stable() {
        check_unassigned(GroupState::Stable, Some(2), &[0]);
        check_unassigned(GroupState::Stable, Some(0), &[2]);
        check_unassigned(GroupState::Reconciling, Some(0), &[]);
        check_unassigned(GroupState::Stable, None, &[]);
    }
}
