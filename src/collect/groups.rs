//! Groups: listed by each broker, described and read at the broker that listed them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    history::History,
    kept::Moment,
    lag::{self, LagCount, Logs},
    pool::Question,
    progress::{Progress, Stands},
    tally::Tallies,
};
use crate::{
    config::NameFilter,
    model::{
        BrokerId, GroupDescription, GroupListing, GroupMembers, GroupName, GroupOffsets,
        GroupState, GroupType, LagSeconds, ReadFailure, TopicName, TopicOffsets, Topology,
    },
    snapshot::{Group, Offsets},
    telemetry::CollectorName,
};

/// What this round has read of groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    listed: BTreeMap<GroupName, (BrokerId, GroupListing)>,
    described: HashMap<GroupName, Result<GroupMembers, ReadFailure>>,
    committed: HashMap<GroupName, Result<Vec<TopicOffsets>, ReadFailure>>,
}

/// Groups to ask a broker about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ToAsk {
    pub(super) members: BTreeMap<GroupType, Vec<GroupName>>,
    pub(super) commits: Vec<GroupName>,
}

/// What groups are put together with.
pub(super) struct Beside<'a> {
    pub(super) topology: &'a Topology,
    pub(super) ends: &'a Offsets,
    pub(super) history: &'a History,
    pub(super) lag_seconds: LagSeconds,
    pub(super) now: Moment,
}

impl Groups {
    /// Takes the groups that `broker` lists. A group moves between coordinators, and for a moment
    /// two brokers list it: the first answer of the round counts, so that it is never two series.
    pub(super) fn list(
        &mut self,
        broker: BrokerId,
        listings: Vec<GroupListing>,
        filter: &NameFilter,
    ) -> ToAsk {
        let mut ask = ToAsk::default();
        for listing in listings {
            let group = &listing.group;
            if self.listed.contains_key(group) || !filter.admits(group.as_str()) {
                continue;
            }
            // An empty group has no members to be asked about; of an unknown type nobody can ask.
            if listing.state != GroupState::Empty && listing.group_type != GroupType::Unknown {
                ask.members.entry(listing.group_type).or_default().push(group.clone());
            }
            if commits_offsets(&listing) {
                ask.commits.push(group.clone());
            }
            self.listed.insert(group.clone(), (broker, listing));
        }
        ask
    }

    pub(super) fn describe(&mut self, descriptions: Vec<GroupDescription>) {
        self.described.extend(descriptions.into_iter().map(|it| (it.group, it.members)));
    }

    pub(super) fn commit(&mut self, offsets: Vec<GroupOffsets>) {
        self.committed.extend(offsets.into_iter().map(|it| (it.group, it.offsets)));
    }

    /// Has the history follow what is read. Returns how many partitions it has no room for.
    pub(super) fn follow(&self, topology: &Topology, history: &mut History, now: Moment) -> u64 {
        let commits = self.committed.values().filter_map(|it| it.as_ref().ok()).flatten();
        let read = lag::read_partitions(commits);
        let mut without_room = 0_u64;
        for topic in &topology.topics {
            let Some(partitions) = read.get(&topic.name) else { continue };
            // Partitions are numbered from 0; what a client makes up takes no room.
            let most = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            let partitions = partitions.iter().copied().filter(|it| *it < most);
            let refused = history.follow(&topic.name, topic.id, partitions, now.uptime);
            without_room = without_room.saturating_add(refused);
        }
        without_room
    }

    /// Puts the groups together, with their lag.
    pub(super) fn assemble(
        mut self,
        beside: &Beside<'_>,
        progress: &mut Progress,
        tallies: &mut Tallies,
    ) -> (Vec<Group>, LagCount) {
        let unreadable: HashSet<TopicName> = beside.topology.unreadable.iter().cloned().collect();
        let logs = Logs {
            ends: beside.ends,
            unreadable: &unreadable,
            history: (beside.lag_seconds == LagSeconds::Followed).then_some(beside.history),
            now: beside.now.uptime,
        };
        let mut count = LagCount::default();
        let mut groups = Vec::with_capacity(self.listed.len());
        for (name, (coordinator, listing)) in std::mem::take(&mut self.listed) {
            let members = self.members(&name, coordinator, &listing, tallies);
            let commits = self.commits(&name, coordinator, &listing, tallies);
            // The description is younger than the listing.
            let state = members.as_ref().map_or(listing.state, |it| it.state);
            let (of_members, of_commits) = (members.as_ref(), commits.as_deref());
            let stands = Stands { state, members: of_members, commits: of_commits };
            let did = progress.look(&name, stands, beside.now);
            groups.push(Group {
                topics: lag::by_topic(commits.unwrap_or_default(), logs, &mut count),
                name,
                coordinator,
                protocol_type: listing.protocol_type,
                group_type: listing.group_type,
                state,
                members: members.as_ref().map(|it| it.count),
                unassigned: members.map_or_else(Vec::new, |it| unassigned(&it, beside.ends)),
                rebalances: did.rebalances,
                progressed: did.progressed,
            });
        }
        progress.forget(beside.now);
        (groups, count)
    }

    fn members(
        &mut self,
        name: &GroupName,
        coordinator: BrokerId,
        listing: &GroupListing,
        tallies: &mut Tallies,
    ) -> Option<GroupMembers> {
        if listing.state == GroupState::Empty {
            let state = listing.state;
            return Some(GroupMembers {
                state,
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
                let question = Question::Members(coordinator, listing.group_type);
                let reason = reason(other.and_then(Result::err), || tallies.fault(question));
                tallies.unknown(CollectorName::Groups, reason, 1);
                None
            }
        }
    }

    fn commits(
        &mut self,
        name: &GroupName,
        coordinator: BrokerId,
        listing: &GroupListing,
        tallies: &mut Tallies,
    ) -> Option<Vec<TopicOffsets>> {
        if !commits_offsets(listing) {
            return None;
        }
        match self.committed.remove(name) {
            Some(Ok(commits)) => {
                let offsets = commits.iter().flat_map(|it| &it.partitions);
                for fault in offsets.filter_map(|(_, offset)| offset.err()) {
                    tallies.unknown(CollectorName::Committed, fault, 1);
                }
                Some(commits)
            }
            other => {
                let question = Question::Commits(coordinator);
                let reason = reason(other.and_then(Result::err), || tallies.fault(question));
                tallies.unknown(CollectorName::Committed, reason, 1);
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
fn unassigned(members: &GroupMembers, ends: &Offsets) -> Vec<(TopicName, u64)> {
    if members.state != GroupState::Stable {
        return Vec::new();
    }
    let topics = members.assigned.iter().flatten().filter_map(|(topic, held)| {
        let (topic, partitions) = ends.get_key_value(topic)?;
        let held = usize::try_from(*held).unwrap_or(usize::MAX);
        let left = u64::try_from(partitions.len().saturating_sub(held)).unwrap_or(u64::MAX);
        Some((topic.clone(), left))
    });
    topics.collect()
}

fn reason(
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
        let mut groups = Groups::default();
        let broker = BrokerId::from_wire(1).unwrap();
        let ask = groups.list(broker, listings, &NameFilter::default());
        let members = ask.members.iter().map(|(kind, groups)| (*kind, groups.len()));
        (members.collect(), ask.commits.len())
    }

    #[test]
    fn a_group_that_two_brokers_list_is_asked_about_once() {
        let (one, two) = (BrokerId::from_wire(1).unwrap(), BrokerId::from_wire(2).unwrap());
        let mut groups = Groups::default();
        let listed = || vec![listing("g", GroupType::Classic, GroupState::Stable)];
        let all = NameFilter::default();
        assert_eq!(groups.list(one, listed(), &all).commits.len(), 1);
        assert_eq!(groups.list(two, listed(), &all), ToAsk::default());
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
        let mut groups = Groups::default();
        let filter = NameFilter::new(&[], &["console-.*".to_owned()]).unwrap();
        let listed =
            ["console-1", "billing"].map(|it| listing(it, GroupType::Classic, GroupState::Empty));
        let ask = groups.list(BrokerId::from_wire(1).unwrap(), listed.to_vec(), &filter);
        assert_eq!(ask.commits, [GroupName::new("billing")]);
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
