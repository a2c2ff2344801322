//! `tune-brokers`: thread pools of brokers up to a level, step by step.
//!
//! Invariant: a value is never lowered (I38), never above twice what the broker starts with (I18:
//! KAFKA-20890, above that the broker loses all of its dynamic keys at its next restart), and never
//! above [`POOL_MAX`].

use std::collections::BTreeMap;

use super::{Plan, PlannedStep, Unplannable, ladder};
use crate::{
    model::{BrokerConfig, BrokerId, ConfigEntry, OnUndo, Subject},
    playbook::{AboveStatic, Level, TuneBrokers},
};

/// I/O threads of a broker.
pub const IO_THREADS: &str = "num.io.threads";
/// Network threads of a broker, for each listener.
pub const NETWORK_THREADS: &str = "num.network.threads";
/// Socket send buffer; changes by restart only.
pub const SEND_BUFFER: &str = "socket.send.buffer.bytes";
/// Socket receive buffer; changes by restart only.
pub const RECEIVE_BUFFER: &str = "socket.receive.buffer.bytes";

/// The keys this optimizer may write, and no other (I17).
pub const WRITES: &[&str] = &[IO_THREADS, NETWORK_THREADS];
/// The keys it has to read.
pub const READS: &[&str] = &[IO_THREADS, NETWORK_THREADS, SEND_BUFFER, RECEIVE_BUFFER];

/// Most threads in one pool.
pub const POOL_MAX: u32 = 64;
/// Most threads in one pool for each core of the broker, where the cores are known.
pub const POOL_PER_CORE_MAX: u32 = 8;

/// What a level asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    pub threads: u32,
    /// Bytes of either socket buffer.
    pub socket_buffer: u32,
}

/// The levels, as operators know them from the scripts this program replaces.
pub const fn goal(level: Level) -> Goal {
    match level {
        Level::Conservative => Goal { threads: 12, socket_buffer: 524_288 },
        Level::Moderate => Goal { threads: 16, socket_buffer: 1_048_576 },
        Level::Aggressive => Goal { threads: 32, socket_buffer: 2_097_152 },
    }
}

/// What is known of one broker.
#[derive(Clone, Debug)]
pub struct BrokerFacts {
    /// Its configuration, read from itself.
    pub config: BrokerConfig,
    /// Cores it may use, where known.
    pub cores: Option<u32>,
    /// What this program wrote there.
    pub wrote: BTreeMap<String, String>,
}

impl BrokerFacts {
    /// A dynamic key of the broker that this program did not write: it would fall with ours.
    fn foreign(&self) -> Option<&ConfigEntry> {
        let entries = self.config.entries.iter();
        let mut own = entries.filter(|it| it.stored().is_some());
        own.find(|it| self.wrote.get(&it.key).map(String::as_str) != it.stored())
    }
}

/// Plans for every broker in `facts`: pools and brokers side by side, the steps of one pool
/// one after the other.
///
/// # Errors
///
/// When no broker has anything to change, or a broker's entries are not in force.
pub fn plan(
    facts: &[BrokerFacts],
    parameters: TuneBrokers,
    canary: Option<BrokerId>,
) -> Result<Plan, Unplannable> {
    let mut plan = Plan::default();
    for broker in facts {
        for key in WRITES {
            let steps = pool(broker, key, (parameters, &mut plan.remarks))?;
            plan.steps.extend((0..).zip(steps).map(|(wave, step)| PlannedStep { wave, ..step }));
        }
        plan.remarks.extend(restart_only(broker, goal(parameters.level)));
    }
    if let Some(canary) = canary.filter(|_| !plan.steps.is_empty()) {
        after_canary(&mut plan, canary)?;
    }
    plan.steps.sort_by_cached_key(|it| (it.wave, it.subject.clone(), it.key.clone()));
    if plan.steps.is_empty() {
        return Err(Unplannable(nothing_to_do(parameters.level, &plan.remarks)));
    }
    if plan.steps.iter().any(|it| it.key == NETWORK_THREADS) {
        plan.remarks.push(
            "undoing network threads closes the connections of the processors that go: it takes one \
             halving at a time, with the availability gate between"
                .to_owned(),
        );
    }
    Ok(plan)
}

/// Puts the steps of all brokers but the canary into the second stage, behind its last wave.
fn after_canary(plan: &mut Plan, canary: BrokerId) -> Result<(), Unplannable> {
    let first = Subject::Broker(canary);
    let waves = plan.steps.iter().filter(|it| it.subject == first).map(|it| it.wave);
    let Some(last) = waves.max() else {
        return Err(Unplannable(format!(
            "broker {canary}, which would go first, has reached the level, so that it can show \
             nothing: name one of the others"
        )));
    };
    for step in plan.steps.iter_mut().filter(|it| it.subject != first) {
        step.stage = 1;
        step.wave = step.wave.saturating_add(last).saturating_add(1);
    }
    plan.remarks.push(format!("broker {canary} goes first, the others when it is judged"));
    Ok(())
}

fn nothing_to_do(level: Level, remarks: &[String]) -> String {
    let mut text = format!("every thread pool has reached the level {level} or its limit");
    for remark in remarks {
        text.push_str("; ");
        text.push_str(remark);
    }
    text
}

/// The steps of one pool of one broker.
fn pool(
    facts: &BrokerFacts,
    key: &'static str,
    (parameters, remarks): (TuneBrokers, &mut Vec<String>),
) -> Result<Vec<PlannedStep>, Unplannable> {
    let broker = facts.config.broker;
    let entry = facts
        .config
        .get(key)
        .ok_or_else(|| Unplannable(format!("broker {broker} does not report {key}")))?;
    if entry.read_only {
        return Err(Unplannable(format!("broker {broker} says that {key} is read-only")));
    }
    let effective = number(broker, entry, entry.effective.as_deref())?;
    let stored = entry.stored().map(|it| number(broker, entry, Some(it))).transpose()?;
    if stored.is_some_and(|it| it != effective) {
        return Err(Unplannable(format!(
            "broker {broker} has {key}={} stored but runs {effective}: while one entry is not in \
             force the broker refuses every other; delete it or walk it up again first",
            stored.unwrap_or_default()
        )));
    }
    let target = limit(facts, (key, entry), (parameters, remarks))?;
    let mut from = effective;
    let mut from_stored = stored;
    Ok(ladder::up(effective, target)
        .into_iter()
        .map(|to| {
            let step = PlannedStep {
                stage: 0,
                wave: 0,
                subject: Subject::Broker(broker),
                key: key.to_owned(),
                from: from.to_string(),
                from_stored: from_stored.map(|it| it.to_string()),
                to: Some(to.to_string()),
                on_undo: OnUndo::Restore,
            };
            (from, from_stored) = (to, Some(to));
            step
        })
        .collect())
}

/// How far the level, twice the static value, and the pool's limit let a pool go.
fn limit(
    facts: &BrokerFacts,
    (key, entry): (&str, &ConfigEntry),
    (parameters, remarks): (TuneBrokers, &mut Vec<String>),
) -> Result<u32, Unplannable> {
    let broker = facts.config.broker;
    let wanted = goal(parameters.level).threads;
    let at_start = number(broker, entry, entry.at_start())?;
    let survives = match parameters.above_static {
        AboveStatic::Cap => at_start.saturating_mul(2),
        AboveStatic::Reapply => beyond(facts, at_start, remarks),
    };
    let pool =
        facts.cores.map_or(POOL_MAX, |it| it.saturating_mul(POOL_PER_CORE_MAX).clamp(1, POOL_MAX));
    if survives < wanted {
        remarks.push(format!(
            "broker {broker}: {key} stops at {survives}, not {wanted}: it starts with {at_start}, and \
             above twice that it would lose all of its dynamic keys at its next restart"
        ));
    }
    if pool < wanted {
        remarks.push(format!(
            "broker {broker}: {key} stops at {pool}, not {wanted}: at most {POOL_PER_CORE_MAX} threads \
             for each core"
        ));
    }
    Ok(wanted.min(survives).min(pool))
}

/// Above twice the static value every dynamic key of the broker is lost at its restart: those of
/// others must not be among them.
fn beyond(facts: &BrokerFacts, at_start: u32, remarks: &mut Vec<String>) -> u32 {
    let broker = facts.config.broker;
    if let Some(foreign) = facts.foreign() {
        let key = &foreign.key;
        remarks.push(format!(
            "broker {broker}: {key} is set by someone else, and would fall with ours"
        ));
        return at_start.saturating_mul(2);
    }
    u32::MAX
}

fn number(broker: BrokerId, entry: &ConfigEntry, value: Option<&str>) -> Result<u32, Unplannable> {
    let key = &entry.key;
    let value =
        value.ok_or_else(|| Unplannable(format!("broker {broker} reports no value for {key}")))?;
    let parsed = value.parse().ok().filter(|it| 0 < *it);
    parsed.ok_or_else(|| {
        Unplannable(format!("broker {broker} reports {key}={value}, which is no number of threads"))
    })
}

/// What the level asks for beyond the thread pools: reported, not written.
fn restart_only(facts: &BrokerFacts, goal: Goal) -> Vec<String> {
    let current: BTreeMap<&str, i64> = [SEND_BUFFER, RECEIVE_BUFFER]
        .into_iter()
        .filter_map(|key| Some((key, facts.config.get(key)?.effective.as_ref()?.parse().ok()?)))
        .collect();
    let mut remarks = Vec::new();
    for (key, value) in current {
        // -1 leaves the size to the operating system, which adapts it.
        if value < i64::from(goal.socket_buffer) && value != -1 {
            remarks.push(format!(
                "broker {}: {key} is {value}; the level asks for {}, which takes a restart and is left \
                 to you",
                facts.config.broker, goal.socket_buffer
            ));
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::ConfigSource,
        playbook::{AboveStatic, Rollout},
    };

    /// A pool as a broker reports it: what it starts with, and what is stored.
    fn entry(key: &str, at_start: u32, stored: Option<u32>, effective: u32) -> ConfigEntry {
        let mut synonyms = vec![(ConfigSource::Static, Some(at_start.to_string()))];
        if let Some(stored) = stored {
            synonyms.insert(0, (ConfigSource::DynamicBroker, Some(stored.to_string())));
        }
        ConfigEntry {
            key: key.to_owned(),
            effective: Some(effective.to_string()),
            source: synonyms.first().unwrap().0,
            read_only: false,
            synonyms,
        }
    }

    fn facts(id: i32, io: ConfigEntry, network: ConfigEntry) -> BrokerFacts {
        let mut buffer = entry(SEND_BUFFER, 102_400, None, 102_400);
        buffer.read_only = true;
        let config = BrokerConfig {
            broker: BrokerId::from_wire(id).unwrap(),
            entries: vec![io, network, buffer],
        };
        BrokerFacts { config, cores: None, wrote: BTreeMap::new() }
    }

    fn fresh(id: i32) -> BrokerFacts {
        facts(id, entry(IO_THREADS, 8, None, 8), entry(NETWORK_THREADS, 8, None, 8))
    }

    fn to(level: Level) -> TuneBrokers {
        TuneBrokers { level, above_static: AboveStatic::Cap, rollout: Rollout::Together }
    }

    #[track_caller]
    fn check(facts: &[BrokerFacts], level: Level, want: &[&str]) -> Plan {
        let plan = plan(facts, to(level), None).unwrap();
        let got: Vec<String> = plan
            .steps
            .iter()
            .map(|it| {
                let (stored, to) = (it.from_stored.as_deref().unwrap_or("-"), it.to.as_ref());
                let (wave, subject, key, from) = (it.wave, &it.subject, &it.key, &it.from);
                format!("{wave} {subject} {key} {from}({stored})>{}", to.unwrap())
            })
            .collect();
        assert_eq!(got, want);
        plan
    }

    #[test]
    fn a_starved_broker_walks_up_rung_by_rung() {
        let starved =
            facts(1, entry(IO_THREADS, 8, Some(1), 1), entry(NETWORK_THREADS, 8, None, 8));
        check(
            &[starved],
            Level::Moderate,
            &[
                "0 broker 1 num.io.threads 1(1)>2",
                "0 broker 1 num.network.threads 8(-)>16",
                "1 broker 1 num.io.threads 2(2)>4",
                "2 broker 1 num.io.threads 4(4)>8",
                "3 broker 1 num.io.threads 8(8)>16",
            ],
        );
    }

    #[test]
    fn brokers_walk_side_by_side() {
        check(
            &[fresh(1), fresh(2)],
            Level::Conservative,
            &[
                "0 broker 1 num.io.threads 8(-)>12",
                "0 broker 1 num.network.threads 8(-)>12",
                "0 broker 2 num.io.threads 8(-)>12",
                "0 broker 2 num.network.threads 8(-)>12",
            ],
        );
    }

    #[test]
    fn i18_a_plan_stops_at_twice_what_the_broker_starts_with_and_says_so() {
        let plan = check(
            &[fresh(1)],
            Level::Aggressive,
            &["0 broker 1 num.io.threads 8(-)>16", "0 broker 1 num.network.threads 8(-)>16"],
        );
        assert!(plan.remarks.iter().any(|it| it.contains("stops at 16, not 32")), "{plan:?}");
    }

    #[test]
    fn i17_only_thread_pools_are_ever_written_and_buffers_are_reported() {
        for &level in Level::ALL {
            let plan = plan(&[fresh(1)], to(level), None).unwrap();
            assert!(plan.steps.iter().all(|it| WRITES.contains(&it.key.as_str())));
            let to = |it: &PlannedStep| it.to.as_ref().unwrap().parse::<u32>().unwrap();
            assert!(plan.steps.iter().all(|it| to(it) <= POOL_MAX));
            assert!(plan.remarks.iter().any(|it| it.contains(SEND_BUFFER)), "{plan:?}");
        }
    }

    #[test]
    fn i17_cores_bound_a_pool_where_they_are_known() {
        let small = BrokerFacts { cores: Some(1), ..fresh(1) };
        let reason = plan(&[small], to(Level::Moderate), None).unwrap_err();
        assert!(reason.0.contains("stops at 8, not 16"), "{reason}");
    }

    #[test]
    fn i38_a_level_never_lowers_a_value() {
        let high =
            facts(1, entry(IO_THREADS, 32, None, 32), entry(NETWORK_THREADS, 24, Some(24), 24));
        let reason = plan(&[high], to(Level::Moderate), None).unwrap_err();
        assert!(reason.0.contains("has reached the level moderate"), "{reason}");
    }

    #[test]
    fn i18_an_entry_that_is_not_in_force_is_not_built_upon() {
        let trapped =
            facts(1, entry(IO_THREADS, 8, Some(32), 8), entry(NETWORK_THREADS, 8, None, 8));
        let reason = plan(&[trapped], to(Level::Moderate), None).unwrap_err();
        assert!(reason.0.contains("stored but runs 8"), "{reason}");
    }
}
