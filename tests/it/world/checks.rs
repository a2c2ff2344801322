//! What must hold at every write, whatever happens: read from the store's file by a connection of
//! its own, so that only what is durable counts.

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
    kafka::{ConfigChange, WriteMode},
    model::{BrokerId, Subject},
    optimizers::tune_brokers::WRITES,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::broker::Broker;

/// A change on its way to a broker.
pub(crate) struct Request<'a> {
    pub(crate) node: &'a Broker,
    pub(crate) change: &'a ConfigChange,
    pub(crate) mode: WriteMode,
    pub(crate) at: Duration,
}

/// The step that a write belongs to.
struct Owner {
    run: i64,
    undo: bool,
}

/// The checks, and what they found.
pub(crate) struct Checks {
    file: Mutex<Connection>,
    problems: Mutex<Vec<String>>,
    /// Values that a broker has validated since the last write of that key.
    validated: Mutex<BTreeMap<(BrokerId, String), BTreeSet<String>>>,
    /// Runs whose writes wait for an answer.
    under_way: Arc<(AtomicUsize, Mutex<Option<i64>>)>,
    may_write: AtomicBool,
}

/// A write that waits for its answer, or for the end of the process.
pub(crate) struct UnderWay(Arc<(AtomicUsize, Mutex<Option<i64>>)>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn subject(broker: BrokerId) -> String {
    Subject::Broker(broker).to_string()
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
            under_way: Arc::default(),
            may_write: AtomicBool::new(true),
        }
    }

    /// From here on every write is wrong.
    pub(crate) fn forbid_writes(&self) {
        self.may_write.store(false, Ordering::SeqCst);
    }

    /// What was wrong so far.
    pub(crate) fn problems(&self) -> Vec<String> {
        locked(&self.problems).clone()
    }

    /// Reads the store's file.
    pub(crate) fn query<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
        read(&locked(&self.file)).unwrap()
    }

    /// Lines in the journal.
    pub(crate) fn lines(&self) -> u64 {
        let lines: u32 =
            self.query(|at| at.query_row("SELECT count(*) FROM journal", [], |row| row.get(0)));
        u64::from(lines)
    }

    /// Counts a write as under way until the value is dropped.
    pub(crate) fn under_way(&self) -> UnderWay {
        self.under_way.0.fetch_add(1, Ordering::SeqCst);
        UnderWay(Arc::clone(&self.under_way))
    }

    fn found(&self, request: &Request<'_>, problem: &str) {
        let Request { node, change, mode, at } = request;
        let text = format!("at {at:?}: {mode:?} of {change:?} to broker {}: {problem}", node.id);
        locked(&self.problems).push(text);
    }

    /// Looks at a change of a run's clone before it leaves.
    pub(crate) fn changes_clone(&self, run: i64, call: &str) {
        let forbidden = !self.may_write.load(Ordering::SeqCst);
        let forbidden = forbidden.then(|| "nothing may be changed now".to_owned());
        for problem in [forbidden, self.beside_another(run)].into_iter().flatten() {
            locked(&self.problems).push(format!("{call}: {problem}"));
        }
    }

    /// Looks at a request before it leaves.
    pub(crate) fn sent(&self, request: &Request<'_>) {
        let Request { node, change, mode, .. } = request;
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
        if !owner.undo && !change.value.as_ref().is_some_and(|it| validated.contains(it)) {
            self.found(request, "the broker has not validated it (I19)");
        }
        let old = node.effective(&change.key).unwrap_or(0);
        if value < (old / 2).max(1) || old * 2 < value {
            self.found(request, &format!("not within half and double of {old} (I18)"));
        }
        if at_start * 2 < value {
            self.found(request, &format!("more than twice {at_start} (I18)"));
        }
        if value < self.prior(owner.run, &key) {
            self.found(request, "lower than it was before the run (I38)");
        }
        if let Some(problem) = self.beside_another(owner.run) {
            self.found(request, &problem);
        }
    }

    /// The step whose intent is durable and says just this.
    fn owner(&self, request: &Request<'_>) -> Option<Owner> {
        let Request { node, change, .. } = request;
        self.query(|at| {
            at.query_row(
                "SELECT s.run, s.state = 'undo_began' FROM steps s JOIN runs r ON r.id = s.run
                 WHERE s.subject = ?1 AND s.key = ?2 AND r.ended_at IS NULL
                 AND ((s.state = 'began' AND r.state = 'acting' AND s.to_value IS ?3)
                   OR (s.state = 'undo_began' AND r.state = 'rolling_back' AND s.from_stored IS ?3))",
                params![subject(node.id), change.key, change.value],
                |row| Ok(Owner { run: row.get(0)?, undo: row.get(1)? }),
            )
            .optional()
        })
    }

    fn prior(&self, run: i64, (broker, key): &(BrokerId, String)) -> u32 {
        let text: String = self.query(|at| {
            at.query_row(
                "SELECT from_value FROM steps WHERE run = ?1 AND subject = ?2 AND key = ?3
                 ORDER BY idx LIMIT 1",
                params![run, subject(*broker), key],
                |row| row.get(0),
            )
        });
        text.parse().unwrap()
    }

    /// Writes that are under way at the same time belong to one run (I10).
    fn beside_another(&self, run: i64) -> Option<String> {
        let mut of = locked(&self.under_way.1);
        if self.under_way.0.load(Ordering::SeqCst) == 0 {
            *of = Some(run);
        }
        (*of != Some(run)).then(|| format!("a write of run {of:?} is under way (I10)"))
    }
}
