//! Groups: listed by each broker, described and read at the broker that listed them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    lag::{self, LagCount},
    pool::Question,
    tally::{self, Tallies},
};
use crate::{
    kafka::{
        CommittedOffset, GroupDescription, GroupListing, GroupOffsets, GroupState, PartitionFault,
    },
    model::{BrokerId, GroupName, Reading, TopicName},
    snapshot::{Group, Offsets},
    telemetry::{CollectorName, UnknownReason},
};

/// Share groups keep no committed offsets of this kind; asking for them is answered with errors.
const SHARE: &str = "share";

/// What this round has read of groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    listed: BTreeMap<GroupName, (BrokerId, GroupListing)>,
    described: HashMap<GroupName, Result<(GroupState, u32), PartitionFault>>,
    committed: HashMap<GroupName, Result<Vec<CommittedOffset>, PartitionFault>>,
}

/// Groups to ask `broker` about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ToAsk {
    pub(super) members: Vec<GroupName>,
    pub(super) commits: Vec<GroupName>,
}

impl Groups {
    /// Takes the groups that `broker` lists. A group moves between coordinators, and for a moment
    /// two brokers list it: the first answer of the round counts, so that it is never two series.
    pub(super) fn list(&mut self, broker: BrokerId, listings: Vec<GroupListing>) -> ToAsk {
        let mut ask = ToAsk::default();
        for listing in listings {
            if self.listed.contains_key(&listing.group) {
                continue;
            }
            ask.members.push(listing.group.clone());
            if listing.group_type != SHARE {
                ask.commits.push(listing.group.clone());
            }
            self.listed.insert(listing.group.clone(), (broker, listing));
        }
        ask
    }

    pub(super) fn describe(&mut self, descriptions: Vec<GroupDescription>) {
        self.described.extend(descriptions.into_iter().map(|it| (it.group, it.members)));
    }

    pub(super) fn commit(&mut self, offsets: Vec<GroupOffsets>) {
        self.committed.extend(offsets.into_iter().map(|it| (it.group, it.offsets)));
    }

    /// Puts the groups together, with their lag.
    pub(super) fn assemble(
        mut self,
        ends: &Offsets,
        unreadable: &HashSet<TopicName>,
        tallies: &mut Tallies,
    ) -> (Vec<Group>, LagCount) {
        let mut count = LagCount::default();
        let mut groups = Vec::with_capacity(self.listed.len());
        for (name, (coordinator, listing)) in std::mem::take(&mut self.listed) {
            let (state, members) = self.members(&name, coordinator, listing.state, tallies);
            let commits = self.commits(&name, coordinator, &listing, tallies);
            groups.push(Group {
                topics: lag::by_topic(commits, ends, unreadable, &mut count),
                name,
                coordinator,
                protocol_type: listing.protocol_type,
                group_type: listing.group_type,
                state,
                members,
            });
        }
        (groups, count)
    }

    /// The description is younger than the listing; without one the listing's state is what we
    /// have.
    fn members(
        &mut self,
        name: &GroupName,
        coordinator: BrokerId,
        listed: GroupState,
        tallies: &mut Tallies,
    ) -> (GroupState, Reading<u32>) {
        match self.described.remove(name) {
            Some(Ok((state, members))) => (state, Reading::Known(members)),
            other => {
                let reason = reason(other.and_then(Result::err), || {
                    tallies.fault(Question::Members(coordinator))
                });
                tallies.unknown(CollectorName::Groups, reason, 1);
                (listed, Reading::Unknown)
            }
        }
    }

    fn commits(
        &mut self,
        name: &GroupName,
        coordinator: BrokerId,
        listing: &GroupListing,
        tallies: &mut Tallies,
    ) -> Vec<CommittedOffset> {
        if listing.group_type == SHARE {
            return Vec::new();
        }
        match self.committed.remove(name) {
            Some(Ok(commits)) => {
                for fault in commits.iter().filter_map(|it| it.offset.err()) {
                    tallies.unknown(CollectorName::Committed, tally::of_part(fault), 1);
                }
                commits
            }
            other => {
                let reason = reason(other.and_then(Result::err), || {
                    tallies.fault(Question::Commits(coordinator))
                });
                tallies.unknown(CollectorName::Committed, reason, 1);
                Vec::new()
            }
        }
    }
}

fn reason(
    own: Option<PartitionFault>,
    of_request: impl FnOnce() -> Option<UnknownReason>,
) -> UnknownReason {
    own.map(tally::of_part).or_else(of_request).unwrap_or(UnknownReason::Incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(group: &str, group_type: &str) -> GroupListing {
        GroupListing {
            group: GroupName::new(group),
            protocol_type: "consumer".into(),
            group_type: group_type.into(),
            state: GroupState::Stable,
        }
    }

    #[test]
    fn a_group_that_two_brokers_list_is_asked_about_once() {
        let (one, two) = (BrokerId::from_wire(1).unwrap(), BrokerId::from_wire(2).unwrap());
        let mut groups = Groups::default();
        assert_eq!(groups.list(one, vec![listing("g", "classic")]).members.len(), 1);
        assert_eq!(groups.list(two, vec![listing("g", "classic")]), ToAsk::default());
        assert_eq!(groups.listed[&GroupName::new("g")].0, one);
    }

    #[test]
    fn a_share_group_is_described_and_its_commits_are_not_asked_for() {
        let mut groups = Groups::default();
        let ask = groups.list(BrokerId::from_wire(1).unwrap(), vec![listing("s", "share")]);
        assert_eq!((ask.members.len(), ask.commits.len()), (1, 0));
    }
}
