//! `tune-brokers`: raises the thread pools of brokers to a level, step by step.
//!
//! Invariant: a value is never lowered (I38) and never above [`POOL_MAX`]. It is above twice the
//! static value only if the playbook says so: with such a value a broker loses all of its dynamic
//! keys at its next restart (I18, KAFKA-20890).

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, PlannedStep, Unplannable, ladder};
use crate::{
    model::{BrokerConfig, BrokerConfigChange, BrokerId, Change, ConfigEntry},
    playbook::{AboveStatic, Level, TuneBrokers},
};

pub const IO_THREADS: &str = "num.io.threads";
/// Threads for each listener.
pub const NETWORK_THREADS: &str = "num.network.threads";
/// Read only: a change takes a restart.
pub const SEND_BUFFER: &str = "socket.send.buffer.bytes";
/// Read only: a change takes a restart.
pub const RECEIVE_BUFFER: &str = "socket.receive.buffer.bytes";

/// The keys that this optimizer may write, and no other (I17).
pub const WRITES: &[&str] = &[IO_THREADS, NETWORK_THREADS];

/// Maximum size of a thread pool.
pub const POOL_MAX: u32 = 64;
/// Maximum size of a thread pool per core of the broker, where the number of cores is known.
pub const POOL_PER_CORE_MAX: u32 = 8;

/// `listener.name.LISTENER.KEY` sets a key for one listener.
const LISTENER_PREFIX: &str = "listener.name.";
const LISTENERS: &str = "listeners";
const CONTROLLER_LISTENERS: &str = "controller.listener.names";

/// What a level asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    pub threads: u32,
    /// Bytes of each socket buffer.
    pub socket_buffer: u32,
}

/// The levels are those of the scripts that this program replaces.
pub const fn goal(level: Level) -> Goal {
    match level {
        Level::Conservative => Goal { threads: 12, socket_buffer: 524_288 },
        Level::Moderate => Goal { threads: 16, socket_buffer: 1_048_576 },
        Level::Aggressive => Goal { threads: 32, socket_buffer: 2_097_152 },
    }
}

#[derive(Clone, Debug)]
pub struct BrokerFacts {
    /// All keys, read from the broker itself: any listener may have keys of its own.
    pub config: BrokerConfig,
    /// Number of cores that the broker may use; `None` if unknown.
    pub cores: Option<u32>,
    /// What this program wrote last, by key.
    pub wrote: BTreeMap<String, String>,
}

impl BrokerFacts {
    /// A dynamic entry of the broker that this program did not write: a restart could lose it
    /// together with ours.
    fn foreign_entry(&self) -> Option<&ConfigEntry> {
        let mut stored = self.config.entries.iter().filter(|it| it.stored().is_some());
        stored.find(|it| self.wrote.get(&it.key).map(String::as_str) != it.stored())
    }

    /// Listeners with a number of network threads of their own, which [`NETWORK_THREADS`] does not
    /// change, as (listener, threads). The names are in lower case, as in such a key.
    fn own_network_threads(&self) -> BTreeMap<&str, &str> {
        let own = self.config.entries.iter().filter_map(|it| {
            let name = it.key.strip_prefix(LISTENER_PREFIX)?.strip_suffix(NETWORK_THREADS)?;
            Some((name.strip_suffix('.')?, it.effective.as_deref()?))
        });
        own.collect()
    }

    /// The listeners for brokers and clients, in lower case; empty if the broker does not report
    /// them.
    fn listeners(&self) -> BTreeSet<String> {
        let value = |key: &str| self.config.get(key).and_then(|it| it.effective.as_deref());
        let names = |text: &str| -> BTreeSet<String> {
            let parts = text.split(',').map(|it| it.split("://").next().unwrap_or_default());
            parts.map(|it| it.trim().to_lowercase()).filter(|it| !it.is_empty()).collect()
        };
        let controllers = value(CONTROLLER_LISTENERS).map(names).unwrap_or_default();
        let mut listeners = value(LISTENERS).map(names).unwrap_or_default();
        listeners.retain(|it| !controllers.contains(it));

        listeners
    }

    /// Whether no listener would have another number of threads with another value of
    /// [`NETWORK_THREADS`].
    fn network_threads_are_overridden(&self) -> bool {
        let (own, listeners) = (self.own_network_threads(), self.listeners());
        !listeners.is_empty() && listeners.iter().all(|it| own.contains_key(it.as_str()))
    }
}

/// Plans for all brokers in `facts`. Brokers and pools change at the same time, the steps of one
/// pool one after the other.
///
/// # Errors
///
/// When there is nothing to change on any broker, or an entry of a broker is not effective.
pub fn plan(
    facts: &[BrokerFacts],
    parameters: TuneBrokers,
    canary: Option<BrokerId>,
) -> Result<Plan, Unplannable> {
    let mut plan = Plan::default();
    for broker in facts {
        for key in WRITES {
            if *key == NETWORK_THREADS && broker.network_threads_are_overridden() {
                continue;
            }
            let steps = pool_steps(broker, key, parameters, &mut plan.remarks)?;
            plan.steps.extend(steps);
        }

        plan.remarks.extend(overridden(broker));
        plan.remarks.extend(restart_only(broker, goal(parameters.level)));
    }

    if let Some(canary) = canary.filter(|_| !plan.steps.is_empty()) {
        after_canary(&mut plan, canary);
    }

    plan.sort();

    if plan.steps.is_empty() {
        let level = parameters.level;
        let why = format!("every thread pool has reached the level {level} or its limit");
        return Err(Unplannable::with_remarks(why, &plan.remarks));
    }

    if plan.steps.iter().any(|it| changes_network_threads(&it.change)) {
        plan.remarks.push(
            "undoing network threads closes the connections of the removed processors: one halving \
             at a time, with the availability check before each"
                .to_owned(),
        );
    }

    Ok(plan)
}

/// A remark on each listener with network threads of its own.
fn overridden(facts: &BrokerFacts) -> Vec<String> {
    let broker = facts.config.broker;
    let own = facts.own_network_threads().into_iter();
    let remarks = own.map(|(listener, threads)| {
        format!(
            "broker {broker}: the listener {listener} keeps its {threads} network threads, set by \
             {LISTENER_PREFIX}{listener}.{NETWORK_THREADS}"
        )
    });

    remarks.collect()
}

/// Whether undoing the change removes network threads, which closes connections.
pub fn changes_network_threads(change: &Change) -> bool {
    matches!(change, Change::BrokerConfig(it) if it.key == NETWORK_THREADS)
}

/// Moves the steps of all brokers but the canary to the second stage, after its last wave. Where
/// the canary has nothing to change, all others go together.
fn after_canary(plan: &mut Plan, canary: BrokerId) {
    let is_canary = |it: &PlannedStep| it.change.broker() == Some(canary);
    let last_wave = plan.steps.iter().filter(|it| is_canary(it)).map(|it| it.wave).max();
    let Some(last_wave) = last_wave else {
        plan.remarks.push(format!(
            "broker {canary} would go first and has nothing to change: the others go together"
        ));
        return;
    };

    for step in plan.steps.iter_mut().filter(|it| !is_canary(it)) {
        step.stage = 1;
        step.wave = step.wave.saturating_add(last_wave).saturating_add(1);
    }

    plan.remarks.push(format!("broker {canary} goes first, the others after its verdict"));
}

/// The steps of one pool of one broker, one wave each.
fn pool_steps(
    facts: &BrokerFacts,
    key: &'static str,
    parameters: TuneBrokers,
    remarks: &mut Vec<String>,
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
            "broker {broker} has {key}={} stored but runs {effective}: while one entry is not \
             effective the broker refuses every other; delete it, or run the optimizer `reapply`",
            stored.unwrap_or_default()
        )));
    }

    let target = target_size(facts, entry, parameters, remarks)?;
    let (mut from, mut from_stored) = (effective, stored);
    let mut steps = Vec::new();

    for (wave, to) in (0..).zip(ladder::up(effective, target)) {
        let change = BrokerConfigChange {
            broker,
            key: key.to_owned(),
            from: from.to_string(),
            from_stored: from_stored.map(|it| it.to_string()),
            to: to.to_string(),
        };
        steps.push(PlannedStep { stage: 0, wave, change: Change::BrokerConfig(change) });

        (from, from_stored) = (to, Some(to));
    }

    Ok(steps)
}

/// The size that the level asks for, at most twice the static value and the pool's maximum.
fn target_size(
    facts: &BrokerFacts,
    entry: &ConfigEntry,
    parameters: TuneBrokers,
    remarks: &mut Vec<String>,
) -> Result<u32, Unplannable> {
    let (broker, key) = (facts.config.broker, &entry.key);
    let wanted = goal(parameters.level).threads;
    let at_start = number(broker, entry, entry.at_start())?;
    let survives = match parameters.above_static {
        AboveStatic::Cap => at_start.saturating_mul(2),
        AboveStatic::Reapply => above_static_max(facts, at_start, remarks),
    };
    let pool =
        facts.cores.map_or(POOL_MAX, |it| it.saturating_mul(POOL_PER_CORE_MAX).clamp(1, POOL_MAX));

    if survives < wanted {
        remarks.push(format!(
            "broker {broker}: {key} stops at {survives}, not {wanted}: the broker starts with \
             {at_start}, and with more than twice that it would lose all of its dynamic keys at \
             its next restart"
        ));
    }

    if pool < wanted {
        remarks.push(format!(
            "broker {broker}: {key} stops at {pool}, not {wanted}: at most {POOL_PER_CORE_MAX} \
             threads per core"
        ));
    }

    Ok(wanted.min(survives).min(pool))
}

/// The maximum where values above twice the static one are allowed. With such a value a restart
/// loses every dynamic key of the broker, so that none of them may be someone else's.
fn above_static_max(facts: &BrokerFacts, at_start: u32, remarks: &mut Vec<String>) -> u32 {
    let Some(foreign) = facts.foreign_entry() else { return u32::MAX };
    let (broker, key) = (facts.config.broker, &foreign.key);
    remarks.push(format!(
        "broker {broker}: {key} is set by someone else, and a restart would lose it with ours"
    ));

    at_start.saturating_mul(2)
}

fn number(broker: BrokerId, entry: &ConfigEntry, value: Option<&str>) -> Result<u32, Unplannable> {
    let key = &entry.key;
    let value =
        value.ok_or_else(|| Unplannable(format!("broker {broker} reports no value for {key}")))?;
    let parsed = value.parse().ok().filter(|it| *it > 0);

    parsed.ok_or_else(|| {
        Unplannable(format!("broker {broker} reports {key}={value}, which is no number of threads"))
    })
}

/// Remarks on what the level asks for and this optimizer does not write.
fn restart_only(facts: &BrokerFacts, goal: Goal) -> Vec<String> {
    let current: BTreeMap<&str, i64> = [SEND_BUFFER, RECEIVE_BUFFER]
        .into_iter()
        .filter_map(|key| Some((key, facts.config.get(key)?.effective.as_ref()?.parse().ok()?)))
        .collect();

    let mut remarks = Vec::new();
    for (key, value) in current {
        // -1: the operating system chooses the size.
        if value < i64::from(goal.socket_buffer) && value != -1 {
            remarks.push(format!(
                "broker {}: {key} is {value}; the level asks for {}, which takes a restart: set it \
                 yourself",
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
        model::{ChangeText, ConfigSource},
        playbook::{AboveStatic, Rollout},
    };

    /// A thread pool as a broker reports it.
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
                let ChangeText { subject, key, from, from_stored, to } = it.change.text();
                let (wave, stored) = (it.wave, from_stored.as_deref().unwrap_or("-"));
                format!("{wave} {subject} {key} {from}({stored})>{}", to.unwrap())
            })
            .collect();

        assert_eq!(got, want);

        plan
    }

    #[test]
    fn a_pool_grows_by_doubling() {
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
    fn brokers_change_at_the_same_time() {
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
    fn i18_a_plan_stops_at_twice_the_static_value_and_says_so() {
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
            let text = |it: &PlannedStep| it.change.text();

            assert!(plan.steps.iter().all(|it| WRITES.contains(&text(it).key.as_str())));

            let to = |it: &PlannedStep| text(it).to.unwrap().parse::<u32>().unwrap();
            assert!(plan.steps.iter().all(|it| to(it) <= POOL_MAX));
            assert!(plan.remarks.iter().any(|it| it.contains(SEND_BUFFER)), "{plan:?}");
        }
    }

    /// A broker with two listeners, and a key for each of `own`.
    fn with_listeners(id: i32, own: &[(&str, u32)]) -> BrokerFacts {
        let mut broker = fresh(id);
        let text = |key: &str, value: &str| ConfigEntry {
            key: key.to_owned(),
            effective: Some(value.to_owned()),
            source: ConfigSource::Static,
            read_only: false,
            synonyms: vec![(ConfigSource::Static, Some(value.to_owned()))],
        };
        let entries = &mut broker.config.entries;
        entries.push(text(LISTENERS, "INTERNAL://:9092, CLIENTS://:9094,CONTROLLER://:9093"));
        entries.push(text(CONTROLLER_LISTENERS, "CONTROLLER"));

        for (listener, threads) in own {
            let key = format!("{LISTENER_PREFIX}{listener}.{NETWORK_THREADS}");
            entries.push(text(&key, &threads.to_string()));
        }

        broker
    }

    #[test]
    fn a_listener_that_keeps_threads_of_its_own_is_named() {
        let plan = check(
            &[with_listeners(1, &[("internal", 4)])],
            Level::Moderate,
            &["0 broker 1 num.io.threads 8(-)>16", "0 broker 1 num.network.threads 8(-)>16"],
        );
        let remarks = plan.remarks.join("; ");

        assert!(remarks.contains("the listener internal keeps its 4 network threads"), "{remarks}");
    }

    #[test]
    fn network_threads_that_no_listener_would_use_are_not_changed() {
        let plan = check(
            &[with_listeners(1, &[("internal", 4), ("clients", 8)])],
            Level::Moderate,
            &["0 broker 1 num.io.threads 8(-)>16"],
        );
        let remarks = plan.remarks.join("; ");

        assert!(remarks.contains("the listener clients keeps its 8 network threads"), "{remarks}");
    }

    fn with_canary(facts: &[BrokerFacts]) -> Plan {
        let parameters = TuneBrokers { rollout: Rollout::Canary, ..to(Level::Moderate) };
        plan(facts, parameters, BrokerId::from_wire(1)).unwrap()
    }

    #[test]
    fn where_the_canary_has_nothing_to_change_all_others_go_together() {
        let plan = with_canary(&[fresh(1), fresh(2)]);
        let stages: Vec<(u32, u32)> = plan.steps.iter().map(|it| (it.stage, it.wave)).collect();

        assert_eq!(stages, [(0, 0), (0, 0), (1, 1), (1, 1)]);

        let done = facts(1, entry(IO_THREADS, 16, None, 16), entry(NETWORK_THREADS, 16, None, 16));
        let plan = with_canary(&[done, fresh(2), fresh(3)]);
        let stages: Vec<(u32, u32)> = plan.steps.iter().map(|it| (it.stage, it.wave)).collect();

        assert_eq!(stages, [(0, 0); 4]);
        assert!(plan.remarks.iter().any(|it| it.contains("the others go together")), "{plan:?}");
    }

    #[test]
    fn i17_the_number_of_cores_limits_a_pool_where_it_is_known() {
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
    fn i18_nothing_is_planned_while_an_entry_is_not_effective() {
        let trapped =
            facts(1, entry(IO_THREADS, 8, Some(32), 8), entry(NETWORK_THREADS, 8, None, 8));
        let reason = plan(&[trapped], to(Level::Moderate), None).unwrap_err();
        assert!(reason.0.contains("stored but runs 8"), "{reason}");
    }
}
