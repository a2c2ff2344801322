//! The rules that hold at every write. They are checked on a separate connection to the store's
//! file, so that only durable state counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use kafka_optimizer::{
    model::{BrokerId, Change, ConfigChange, QuotaChange, TopicName, WriteMode},
    optimizers::tune_brokers::WRITES,
};
use rusqlite::Connection;

use super::{broker::SimulatedBroker, controller::ControllerRequest};

/// A change that is about to be sent to a broker.
pub(crate) struct WriteRequest<'a> {
    pub(crate) node: &'a SimulatedBroker,
    pub(crate) change: &'a ConfigChange,
    /// All keys of the request, separated by blanks as in a step with several keys.
    pub(crate) keys: &'a str,
    pub(crate) mode: WriteMode,
    pub(crate) at: Duration,
}

/// The step that a write belongs to.
struct WriteOwner {
    run: i64,
    undo: bool,
}

pub(crate) struct Checks {
    file: Mutex<Connection>,
    problems: Mutex<Vec<String>>,
    /// Values validated by a broker since the last write of that key.
    validated: Mutex<BTreeMap<(BrokerId, String), BTreeSet<String>>>,
    /// Number of pending writes, and their run.
    pending: Arc<(AtomicUsize, Mutex<Option<i64>>)>,
    may_write: AtomicBool,
    may_go_above: AtomicBool,
    /// Whether every change must belong to a durable step.
    wants_steps: AtomicBool,
}

/// Counts as pending until it is dropped: at the response, or when the process ends.
pub(crate) struct PendingWrite(Arc<(AtomicUsize, Mutex<Option<i64>>)>);

impl Drop for PendingWrite {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Checks {
    pub(crate) fn new(store: &Path) -> Self {
        let file = Connection::open(store).unwrap();
        file.busy_timeout(Duration::from_secs(5)).unwrap();

        Self {
            file: Mutex::new(file),
            problems: Mutex::default(),
            validated: Mutex::default(),
            pending: Arc::default(),
            may_write: AtomicBool::new(true),
            may_go_above: AtomicBool::new(false),
            wants_steps: AtomicBool::new(true),
        }
    }

    /// From now on, a value may be above twice the static one, because a playbook allows it.
    pub(crate) fn allow_above_static(&self) {
        self.may_go_above.store(true, Ordering::SeqCst);
    }

    /// From now on, every write is a violation.
    pub(crate) fn forbid_writes(&self) {
        self.may_write.store(false, Ordering::SeqCst);
    }

    /// From now on, changes need no step, because a test makes them.
    pub(crate) fn want_no_steps(&self) {
        self.wants_steps.store(false, Ordering::SeqCst);
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        locked(&self.problems).clone()
    }

    pub(crate) fn query<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
        read(&locked(&self.file)).unwrap()
    }

    pub(crate) fn lines(&self) -> u64 {
        let lines: u32 =
            self.query(|at| at.query_row("SELECT count(*) FROM journal", [], |row| row.get(0)));
        u64::from(lines)
    }

    /// Counts a write as pending until the value is dropped.
    pub(crate) fn pending(&self) -> PendingWrite {
        self.pending.0.fetch_add(1, Ordering::SeqCst);
        PendingWrite(Arc::clone(&self.pending))
    }

    fn found(&self, request: &WriteRequest<'_>, problem: &str) {
        let WriteRequest { node, change, mode, at, .. } = request;
        let text = format!("at {at:?}: {mode:?} of {change:?} to broker {}: {problem}", node.id);
        self.note(text);
    }

    fn note(&self, problem: String) {
        locked(&self.problems).push(problem);
    }

    /// Checks a request to the controller before it is sent.
    pub(crate) fn ordered(&self, order: &ControllerRequest) {
        match order {
            ControllerRequest::Quota(_, WriteMode::ValidateOnly) => (),
            ControllerRequest::Quota(QuotaChange { entity, key, value }, WriteMode::Write) => {
                let is_this = |change: &Change, undo| {
                    let Change::ClientQuota(it) = change else { return false };
                    let wanted = if undo { it.from } else { Some(it.to) };
                    it.entity == *entity && it.key == *key && wanted == *value
                };
                self.changes(&format!("{key} of {entity} to {value:?}"), is_this, None);
            }
            ControllerRequest::Elect(topics) => {
                let asked = topics.iter();
                let asked =
                    asked.flat_map(|of| of.partitions.iter().map(|it| (of.topic.clone(), *it)));
                self.elects(&asked.collect::<Vec<_>>());
            }
        }
    }

    /// Checks a request before it is sent.
    pub(crate) fn sent(&self, request: &WriteRequest<'_>) {
        let WriteRequest { node, change, mode, .. } = request;
        let Some(at_start) = node.at_start(&change.key).filter(|_| WRITES.contains(&&*change.key))
        else {
            return self.found(request, "the key is not on the allow-list (I17)");
        };
        let key = (node.id, change.key.clone());

        if *mode == WriteMode::ValidateOnly {
            if let Some(value) = &change.value {
                locked(&self.validated).entry(key).or_default().insert(value.clone());
            }
            return;
        }

        if !self.may_write.load(Ordering::SeqCst) {
            self.found(request, "nothing may be written now");
        }

        let Some(owner) = self.owner(request) else {
            return self.found(request, "no durable step says so (I22)");
        };
        let validated = locked(&self.validated).remove(&key).unwrap_or_default();
        let value: u32 = change.value.as_ref().map_or(at_start, |it| it.parse().unwrap());
        let several = request.keys.contains(' ') || (change.value.is_none() && !owner.undo);

        if !owner.undo
            && !several
            && !change.value.as_ref().is_some_and(|it| validated.contains(it))
        {
            self.found(request, "the broker has not validated it (I19)");
        }

        let old = node.effective(&change.key).unwrap_or(0);
        if value < (old / 2).max(1) || old * 2 < value {
            self.found(request, &format!("not within half and double of {old} (I18)"));
        }

        if at_start * 2 < value && !self.may_go_above.load(Ordering::SeqCst) {
            self.found(request, &format!("more than twice {at_start} (I18)"));
        }

        if !several && value < self.prior(owner.run, key.0, &key.1) {
            self.found(request, "lower than it was before the run (I38)");
        }

        if let Some(problem) = self.concurrent_with_another(owner.run) {
            self.found(request, &problem);
        }
    }

    /// The step whose durable intent is exactly this change.
    fn owner(&self, request: &WriteRequest<'_>) -> Option<WriteOwner> {
        let WriteRequest { node, change: sent, keys, .. } = request;
        self.step(|change, undo| match change {
            Change::BrokerConfig(it) => {
                let wanted = if undo { it.from_stored.as_ref() } else { Some(&it.to) };
                it.broker == node.id && it.key == sent.key && wanted == sent.value.as_ref()
            }
            Change::RemoveBrokerConfig(it) => {
                let several: Vec<&str> = it.keys.iter().map(|it| it.key.as_str()).collect();
                let removes = !undo && sent.value.is_none();
                it.broker == node.id && several.join(" ") == *keys && removes
            }
            Change::ClientQuota(_) | Change::PreferredLeaders(_) | Change::ConsumerClone(_) => {
                false
            }
        })
    }

    /// The step with a durable intent for which `is_this` holds.
    fn step(&self, is_this: impl Fn(&Change, bool) -> bool) -> Option<WriteOwner> {
        self.intents().into_iter().find(|it| is_this(&it.1, it.0.undo)).map(|it| it.0)
    }

    /// Every change that a durable intent allows to be made or undone now. A run that is undone may
    /// have left steps to the run above it (I42).
    fn intents(&self) -> Vec<(WriteOwner, Change)> {
        self.query(|at| {
            at.prepare(
                "SELECT s.run, s.state = 'undo_began', s.change
                 FROM steps s JOIN runs r ON r.id = s.run
                 WHERE (s.state = 'began' AND r.state = 'acting') OR (s.state = 'undo_began'
                   AND (r.state IN ('rolling_back', 'expiring')
                     OR (r.state IN ('rolled_back', 'expired', 'stuck') AND EXISTS
                       (SELECT 1 FROM runs o WHERE o.state IN ('rolling_back', 'expiring')))))",
            )?
            .query_map([], |row| {
                let owner = WriteOwner { run: row.get(0)?, undo: row.get(1)? };
                let change: String = row.get(2)?;
                Ok((owner, serde_json::from_str(&change).unwrap()))
            })?
            .collect()
        })
    }

    /// Checks a change of anything but a broker's configuration before it is sent. `is_this` says
    /// whether it is a given change, made or undone; `run` is its run if no step is required.
    pub(crate) fn changes(
        &self,
        what: &str,
        is_this: impl Fn(&Change, bool) -> bool,
        run: Option<i64>,
    ) {
        let wants_steps = self.wants_steps.load(Ordering::SeqCst);
        let owner = if wants_steps { self.step(is_this).map(|it| it.run) } else { run };
        let problem = if self.may_write.load(Ordering::SeqCst) {
            match owner {
                None => Some("no durable step says so (I22)".to_owned()),
                Some(owner) => self.concurrent_with_another(owner),
            }
        } else {
            Some("nothing may be changed now".to_owned())
        };

        if let Some(problem) = problem {
            locked(&self.problems).push(format!("{what}: {problem}"));
        }
    }

    /// Checks an election before it is sent: a durable step has exactly these partitions (I22), and
    /// at most a hundred (I30).
    pub(crate) fn elects(&self, asked: &[(TopicName, i32)]) {
        let is_this = |(owner, change): &(WriteOwner, Change)| {
            let Change::PreferredLeaders(it) = change else { return false };
            let mut parts = it.partitions.iter();
            !owner.undo
                && it.partitions.len() == asked.len()
                && parts.all(|it| asked.contains(&(it.topic.clone(), it.partition)))
        };
        let intents = self.intents();

        let is_allowed = self.may_write.load(Ordering::SeqCst) && asked.len() <= 100;

        if !is_allowed || !intents.iter().any(is_this) {
            let steps: Vec<&Change> = intents.iter().map(|it| &it.1).collect();
            locked(&self.problems).push(format!("elects {asked:?}, and steps say {steps:?}"));
        }
    }

    /// The effective value before the first step of a run on a key.
    fn prior(&self, run: i64, broker: BrokerId, key: &str) -> u32 {
        let changes: Vec<String> = self.query(|at| {
            at.prepare("SELECT change FROM steps WHERE run = ?1 ORDER BY idx")?
                .query_map([run], |row| row.get(0))?
                .collect()
        });
        let of_key = |text: &String| {
            let Change::BrokerConfig(it) = serde_json::from_str(text).unwrap() else { return None };
            (it.broker == broker && it.key == key).then_some(it.from)
        };

        changes.iter().find_map(of_key).unwrap().parse().unwrap()
    }

    /// Concurrent writes belong to one run (I10).
    fn concurrent_with_another(&self, run: i64) -> Option<String> {
        let mut of = locked(&self.pending.1);
        if self.pending.0.load(Ordering::SeqCst) == 0 {
            *of = Some(run);
        }
        (*of != Some(run)).then(|| format!("a write of run {of:?} is under way (I10)"))
    }
}
