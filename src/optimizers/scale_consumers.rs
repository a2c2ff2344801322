//! `scale-consumers`: adds consumer containers to a group that falls behind, as clones of those it
//! has.
//!
//! Invariant (I29): at most twice as many containers, never more than partitions with lag, never
//! more than the playbook allows.

use super::{Plan, PlannedStep, Unplannable};
use crate::{
    model::{Change, ConsumerClone, GroupName, RunId},
    playbook::{Factor, ScaleConsumers},
};

/// Above this lag, in records, the number of containers doubles.
pub const LAG_DOUBLE: u64 = 100_000;

/// Above this lag, in records, the number of containers grows by half.
pub const LAG_HALF_MORE: u64 = 50_000;

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    pub group: GroupName,
    /// Records, over all partitions.
    pub lag: u64,
    pub partitions_with_lag: u32,
    pub members: u32,
    pub containers: Vec<ContainerFacts>,
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

    let wanted = match parameters.factor {
        Factor::Double => running.saturating_mul(2),
        Factor::ByLag if facts.lag > LAG_DOUBLE => running.saturating_mul(2),
        Factor::ByLag if facts.lag > LAG_HALF_MORE => running.saturating_mul(3).div_ceil(2),
        Factor::ByLag => {
            return Err(Unplannable(format!(
                "the group is {} records behind; it is scaled above {LAG_HALF_MORE}",
                facts.lag
            )));
        }
    };

    // A container may hold several members, and a member without a partition is idle.
    let each = facts.members.div_ceil(running.max(1)).max(1);
    let useful = facts.partitions_with_lag.checked_div(each).unwrap_or_default();
    let to = wanted.min(parameters.containers_max).min(useful);
    if to <= running {
        return Err(Unplannable(format!(
            "{running} container(s) run; {} partition(s) have lag, {each} member(s) are in each \
             container, and the playbook allows {}",
            facts.partitions_with_lag, parameters.containers_max
        )));
    }

    let steps = (1..=to.saturating_sub(running)).map(|number| {
        let name = format!("{}-clone-{run}-{number}", template.name);
        let clone = ConsumerClone { template: template.id.clone(), name };
        PlannedStep { stage: 0, wave: 0, change: Change::ConsumerClone(clone) }
    });
    let mut remarks = vec![format!(
        "{running} container(s) become {to}: {} records behind on {} partition(s)",
        facts.lag, facts.partitions_with_lag
    )];
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

    fn facts(lag: u64, partitions_with_lag: u32, containers: u32) -> GroupFacts {
        GroupFacts {
            group: GroupName::new("orders"),
            lag,
            partitions_with_lag,
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
        check(&GroupFacts { partitions_with_lag: 9, ..threads }, BY_LAG, Some(1));
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
