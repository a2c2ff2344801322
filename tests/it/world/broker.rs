//! The dynamic thread pools of one broker, as read in Kafka's source and observed on real brokers:
//! half to double of the live size, applied some time after acceptance, and lost at a restart when
//! above twice the static value (KAFKA-20890).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kafka_optimizer::{
    model::{BrokerConfig, BrokerId, ConfigChange, ConfigEntry, ConfigSource, WriteMode},
    optimizers::tune_brokers::{IO_THREADS, NETWORK_THREADS, RECEIVE_BUFFER, SEND_BUFFER},
};

/// The pool sizes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolSizes {
    pub(crate) io: u32,
    pub(crate) network: u32,
}

/// A key's stored entry and its effective value, which an undo has to restore.
pub(crate) type KeyState = (Option<String>, String);

/// An event in flight inside the broker.
#[derive(Clone, Debug)]
enum BrokerEvent {
    /// A request is taken from the queue.
    Arrive { call: usize, changes: Vec<ConfigChange>, mode: WriteMode, lag: ApplyDelay },
    /// The broker replays the stored entry.
    Store { key: String, value: Option<String> },
    /// The broker resizes its pools.
    Apply,
    /// The broker is up again.
    Up,
}

/// Time from acceptance until an entry is seen, and until it is effective.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApplyDelay {
    pub(crate) seen: Duration,
    pub(crate) in_force: Duration,
    /// Whether it becomes effective at all.
    pub(crate) ever: bool,
}

/// Accepted, or the error message of the broker.
pub(crate) type BrokerAnswer = Result<(), String>;

#[derive(Debug)]
pub(crate) struct SimulatedBroker {
    pub(crate) id: BrokerId,
    statics: BTreeMap<&'static str, u32>,
    stored: BTreeMap<String, String>,
    effective: BTreeMap<&'static str, u32>,
    due: BTreeMap<(Duration, u64), BrokerEvent>,
    number: u64,
    /// Entries that were accepted but do not become effective until they are written again; `None`
    /// is a removed entry.
    cursed: BTreeSet<(String, Option<String>)>,
    /// Intervals in which the broker processes nothing.
    pub(crate) frozen: Vec<(Duration, Duration)>,
    /// The broker is down until then.
    pub(crate) down_until: Duration,
    /// Pool sizes, and since when they apply.
    history: Vec<(Duration, PoolSizes)>,
    pub(crate) answers: BTreeMap<usize, BrokerAnswer>,
    /// Values that broke a rule when they became effective, for the checks.
    pub(crate) refused: u32,
}

impl SimulatedBroker {
    pub(crate) fn new(id: BrokerId, at_start: u32) -> Self {
        let statics = BTreeMap::from([(IO_THREADS, at_start), (NETWORK_THREADS, at_start)]);
        let mut broker = Self {
            id,
            effective: statics.clone(),
            statics,
            stored: BTreeMap::new(),
            due: BTreeMap::new(),
            number: 0,
            cursed: BTreeSet::new(),
            frozen: Vec::new(),
            down_until: Duration::ZERO,
            history: Vec::new(),
            answers: BTreeMap::new(),
            refused: 0,
        };
        broker.remember(Duration::ZERO);

        broker
    }

    /// A change by someone else, effective at once, as if made in several steps.
    pub(crate) fn set(&mut self, now: Duration, key: &'static str, value: Option<u32>) {
        match value {
            Some(value) => self.stored.insert(key.to_owned(), value.to_string()),
            None => self.stored.remove(key),
        };

        let in_force = value.unwrap_or_else(|| self.statics[key]);
        self.effective.insert(key, in_force);
        self.remember(now);
    }

    /// Someone else stores an entry that is not effective.
    pub(crate) fn store_only(&mut self, key: &'static str, value: u32) {
        self.stored.insert(key.to_owned(), value.to_string());
    }

    pub(crate) fn at_start(&self, key: &str) -> Option<u32> {
        self.statics.get(key).copied()
    }

    pub(crate) fn effective(&self, key: &str) -> Option<u32> {
        self.effective.get(key).copied()
    }

    pub(crate) fn standing(&self, key: &str) -> KeyState {
        (self.stored.get(key).cloned(), self.effective[key].to_string())
    }

    /// The pool sizes at a time.
    pub(crate) fn pools(&self, at: Duration) -> PoolSizes {
        let after = self.history.partition_point(|(since, _)| *since <= at);
        self.history[after.saturating_sub(1)].1
    }

    /// Whether nothing is in flight.
    pub(crate) fn is_quiet(&self) -> bool {
        self.due.is_empty()
    }

    /// When a request that arrives at `at` is processed: after the freeze, if it falls into one.
    pub(crate) fn thawed(&self, at: Duration) -> Duration {
        let hit = self.frozen.iter().find(|(from, to)| *from <= at && at < *to);
        hit.map_or(at, |(_, to)| *to)
    }

    /// A request reaches the broker at `at`. Returns when it is processed.
    pub(crate) fn send(
        &mut self,
        at: Duration,
        call: usize,
        changes: Vec<ConfigChange>,
        mode: WriteMode,
        lag: ApplyDelay,
    ) -> Duration {
        // A delayed request delays those behind it.
        let queued = self.due.iter().filter(|it| matches!(it.1, BrokerEvent::Arrive { .. }));
        let last = queued.map(|it| it.0.0).max().unwrap_or_default();
        let at = self.thawed(at).max(last);
        self.plan(at, BrokerEvent::Arrive { call, changes, mode, lag });

        at
    }

    /// The broker stops, and starts again after `pause`.
    pub(crate) fn restart(&mut self, now: Duration, pause: Duration) {
        self.due.clear();
        self.down_until = now + pause;
        self.plan(now + pause, BrokerEvent::Up);
    }

    fn plan(&mut self, at: Duration, event: BrokerEvent) {
        self.number += 1;
        self.due.insert((at, self.number), event);
    }

    /// Applies every event that is due by `now`.
    pub(crate) fn pump(&mut self, now: Duration) {
        while let Some(entry) = self.due.first_entry() {
            let at = entry.key().0;
            if now < at {
                return;
            }

            match entry.remove() {
                BrokerEvent::Arrive { call, changes, mode, lag } => {
                    self.arrive(at, call, changes, mode, lag);
                }
                BrokerEvent::Store { key, value } => match value {
                    Some(value) => drop(self.stored.insert(key, value)),
                    None => drop(self.stored.remove(&key)),
                },
                BrokerEvent::Apply => self.apply(at),
                BrokerEvent::Up => {
                    // The first metadata publication is checked against the static sizes: with one
                    // entry outside half to double, none becomes effective.
                    self.effective = self.statics.clone();
                    self.apply(at);
                    self.remember(at);
                }
            }
        }
    }

    fn arrive(
        &mut self,
        at: Duration,
        call: usize,
        changes: Vec<ConfigChange>,
        mode: WriteMode,
        lag: ApplyDelay,
    ) {
        let answer = self.validate(&changes);
        if answer.is_err() {
            self.refused += 1;
        }

        let accepted = answer.is_ok();
        self.answers.insert(call, answer);

        if !accepted || mode == WriteMode::ValidateOnly {
            return;
        }

        for change in &changes {
            let entry = (change.key.clone(), change.value.clone());
            if lag.ever {
                self.cursed.remove(&entry);
            } else {
                self.cursed.insert(entry);
            }
        }

        // The metadata log is ordered.
        let last = self.due.iter().filter(|it| !matches!(it.1, BrokerEvent::Arrive { .. }));
        let last = last.map(|it| it.0.0).max().unwrap_or_default();
        let seen = (at + lag.seen).max(last);

        for ConfigChange { key, value } in changes {
            self.plan(seen, BrokerEvent::Store { key, value });
        }

        self.plan((at + lag.in_force).max(seen), BrokerEvent::Apply);
    }

    /// As `DynamicBrokerConfig.processReconfiguration`: the whole set of entries is checked, so
    /// that one entry that is not effective blocks every other.
    fn validate(&self, changes: &[ConfigChange]) -> BrokerAnswer {
        let mut wanted = self.stored.clone();
        for change in changes {
            if [SEND_BUFFER, RECEIVE_BUFFER].contains(&change.key.as_str()) {
                return Err(format!("Cannot update these configs dynamically: [{}]", change.key));
            }
            match &change.value {
                Some(value) => wanted.insert(change.key.clone(), value.clone()),
                None => wanted.remove(&change.key),
            };
        }

        for (&key, &at_start) in &self.statics {
            let value = wanted.get(key).map_or(Ok(at_start), |it| it.parse());
            let value = value.map_err(|_| format!("Invalid value for configuration {key}"))?;
            self.resize(key, value).map_err(|problem| {
                format!(
                    "Invalid value org.apache.kafka.common.config.ConfigException: {problem} for \
                     configuration Invalid dynamic configuration"
                )
            })?;
        }

        Ok(())
    }

    /// With the messages of `DynamicThreadPool.validateReconfiguration`.
    fn resize(&self, key: &str, to: u32) -> Result<(), String> {
        let current = self.effective[key];
        let head = format!("Dynamic thread count update validation failed for {key}={to}");

        if to == current {
            Ok(())
        } else if to == 0 {
            Err(format!("{head}, value should be at least 1"))
        } else if to < current / 2 {
            Err(format!("{head}, value should be at least half the current value {current}"))
        } else if current * 2 < to {
            Err(format!(
                "{head}, value should not be greater than double the current value {current}"
            ))
        } else {
            Ok(())
        }
    }

    /// All entries become effective, or none.
    fn apply(&mut self, at: Duration) {
        let mut next = self.effective.clone();
        for (&key, &at_start) in &self.statics {
            let stored = self.stored.get(key);
            let cursed = self.cursed.contains(&(key.to_owned(), stored.cloned()));
            let value = stored.map_or(at_start, |it| it.parse().unwrap());

            if (cursed && value != self.effective[key]) || self.resize(key, value).is_err() {
                return;
            }

            next.insert(key, value);
        }

        self.effective = next;
        self.remember(at);
    }

    fn remember(&mut self, at: Duration) {
        let pools =
            PoolSizes { io: self.effective[IO_THREADS], network: self.effective[NETWORK_THREADS] };
        self.history.push((at, pools));
    }

    /// As `DescribeConfigs` of this broker: the value is the effective one, the first synonym the
    /// stored one.
    pub(crate) fn describe(&self, keys: &[&str]) -> BrokerConfig {
        let all = [IO_THREADS, NETWORK_THREADS, SEND_BUFFER, RECEIVE_BUFFER];
        let keys = if keys.is_empty() { &all } else { keys };
        let entries = keys.iter().filter_map(|key| self.entry(key)).collect();

        BrokerConfig { broker: self.id, entries }
    }

    fn entry(&self, key: &str) -> Option<ConfigEntry> {
        let (effective, at_start) = match self.statics.get(key) {
            Some(at_start) => (self.effective[key], *at_start),
            None if [SEND_BUFFER, RECEIVE_BUFFER].contains(&key) => (102_400, 102_400),
            None => return None,
        };
        let mut synonyms = Vec::new();

        if let Some(stored) = self.stored.get(key) {
            synonyms.push((ConfigSource::DynamicBroker, Some(stored.clone())));
        }

        synonyms.push((ConfigSource::Static, Some(at_start.to_string())));

        Some(ConfigEntry {
            key: key.to_owned(),
            effective: Some(effective.to_string()),
            source: synonyms[0].0,
            read_only: !self.statics.contains_key(key),
            synonyms,
        })
    }
}
