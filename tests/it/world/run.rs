//! Runs the worker in the simulated world: start it, let time pass, crash it, start it again.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use kafka_optimizer::{
    alert::Alert,
    clock::Clock,
    config::RemediationConfig,
    model::{BrokerId, Change, MonotonicTime, RunId, RunState},
    optimizers::tune_brokers::{IO_THREADS, WRITES},
    remediation::{Context, IdentityCell, PauseFile, Remediator},
    snapshot::{Membership, Section, Snapshot},
    store::{RunDetail, StepState, Store},
    telemetry::{BuildInfo, Telemetry},
};
use tempfile::TempDir;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{
    broker::KeyState,
    chance::{between, draw},
    checks::Checks,
    clock::WorldClock,
    crash_points::{Crash, CrashPoints, ProcessEnd, SimulatedProcess},
    docker::SimulatedDocker,
    kafka::{CallKind, KafkaCall, SimulatedKafka},
    person::Person,
    prometheus::{SCRAPE, SimulatedPrometheus},
    setup::{self, Setup},
};

/// Every tuned key of every broker, with its stored entry and its effective value.
pub(crate) type KeyStates = BTreeMap<(BrokerId, String), KeyState>;

/// Interval between two checks of the world.
const TICK: Duration = Duration::from_secs(1);

/// Runs a test in simulated time.
pub(crate) fn simulate<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // One thread for the store, so that transactions run in the order in which they were started.
    let runtime = runtime.enable_time().start_paused(true).max_blocking_threads(1).build();
    runtime.unwrap().block_on(future)
}

/// How a period of the worker's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerEnd {
    Reached,
    TimeUp,
    Over(ProcessEnd),
}

pub(crate) struct World {
    pub(crate) kafka: Arc<SimulatedKafka>,
    pub(crate) prometheus: Arc<SimulatedPrometheus>,
    pub(crate) docker: Arc<SimulatedDocker>,
    pub(crate) clock: Arc<WorldClock>,
    pub(crate) checks: Arc<Checks>,
    pub(crate) crash_points: CrashPoints,
    pub(crate) remediation: Person,
    pub(crate) store: Store,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) setup: Setup,
    pub(crate) tweak: Box<dyn Fn(&mut Snapshot)>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    worker: Option<Pin<Box<SimulatedProcess>>>,
    stop: CancellationToken,
    dir: TempDir,
    snapshot_at: Option<Duration>,
}

/// A directory in memory, where a sync costs nothing.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl World {
    pub(crate) fn new(mut setup: Setup) -> Self {
        let dir = directory();
        dir.path().clone_into(&mut setup.remediation.state_dir);
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        let crash_points = CrashPoints::default();
        let clock = Arc::new(WorldClock::new(crash_points.clone()));
        let checks = Arc::new(Checks::new(&dir.path().join("state.db")));
        let kafka = SimulatedKafka::new(
            setup.seed,
            setup.brokers,
            Arc::clone(&clock),
            crash_points.clone(),
            Arc::clone(&checks),
        );
        let kafka = Arc::new(kafka);
        let docker = Arc::new(SimulatedDocker::new(
            setup.seed,
            Arc::clone(&clock),
            crash_points.clone(),
            Arc::clone(&checks),
        ));
        let prometheus = Arc::new(SimulatedPrometheus::new(
            setup.seed,
            setup.effect,
            Arc::clone(&kafka),
            Arc::clone(&docker),
            Arc::clone(&clock),
            crash_points.clone(),
        ));
        let (snapshots, latest) = watch::channel(None);
        let context = PipelineParts {
            kafka: &kafka,
            prometheus: &prometheus,
            docker: &docker,
            clock: &clock,
            setup: &setup,
        };
        let (remediation, telemetry) = context.pipeline(&store, latest);

        Self {
            kafka,
            prometheus,
            docker,
            clock,
            checks,
            crash_points,
            remediation: Person(remediation),
            store,
            telemetry,
            setup,
            tweak: Box::new(|_| ()),
            snapshots,
            worker: None,
            stop: CancellationToken::new(),
            dir,
            snapshot_at: None,
        }
    }

    /// A world in which broker 1 has had one I/O thread for five minutes.
    pub(crate) async fn starved(setup: Setup) -> Self {
        let world = Self::new(setup);
        world.kafka.set(1, IO_THREADS, Some(1));
        world.age().await;

        world
    }

    /// A healthy world, five minutes after its start.
    pub(crate) async fn healthy(setup: Setup) -> Self {
        let world = Self::new(setup);
        world.age().await;
        world
    }

    async fn age(&self) {
        tokio::time::sleep(Duration::from_mins(5)).await;
    }

    /// The alert fires in Prometheus, and Alertmanager delivers it.
    pub(crate) async fn alert(&self, name: &str, broker: Option<&str>) {
        self.fire(name, broker);
        self.notify(setup::firing(name, broker)).await;
    }

    /// The alert fires with these labels, and Alertmanager delivers it.
    pub(crate) async fn deliver(&self, alert: Alert) {
        let mut labels = alert.labels.clone();
        labels.insert("alertstate".to_owned(), "firing".to_owned());
        self.prometheus.script().firing.push(labels);
        self.notify(alert).await;
    }

    /// Alertmanager delivers the alert, which fires since now.
    pub(crate) async fn notify(&self, alert: Alert) {
        let alert = Alert { starts_at: self.clock.wall(), ..alert };
        self.remediation.take(setup::notification(vec![alert])).await.unwrap();
    }

    /// From now on, inserts into a table of the store fail.
    pub(crate) fn break_store(&self, table: &str) {
        let text = format!(
            "CREATE TRIGGER broken BEFORE INSERT ON {table}
             BEGIN SELECT RAISE (ABORT, 'no space left on device'); END"
        );
        self.checks.query(|at| at.execute_batch(&text));
    }

    pub(crate) fn mend_store(&self) {
        self.checks.query(|at| at.execute_batch("DROP TRIGGER broken"));
    }

    pub(crate) fn fire(&self, name: &str, broker: Option<&str>) {
        let mut labels = setup::labels(name, broker);
        labels.insert("alertstate".to_owned(), "firing".to_owned());
        self.prometheus.script().firing.push(labels);
    }

    /// Starts a new process on the same state. It ends at `crash`.
    pub(crate) fn start(&mut self, crash: Crash) {
        self.worker = None;
        self.snapshot_at = None;
        self.refresh();
        self.crash_points.restart(crash);
        self.stop = CancellationToken::new();
        self.store = Store::open(&self.dir.path().join("state.db")).unwrap();

        let parts = PipelineParts {
            kafka: &self.kafka,
            prometheus: &self.prometheus,
            docker: &self.docker,
            clock: &self.clock,
            setup: &self.setup,
        };
        let (remediation, telemetry) = parts.pipeline(&self.store, self.snapshots.subscribe());
        (self.remediation, self.telemetry) = (Person(remediation.clone()), telemetry);
        let (name, stop) = (self.setup.cluster.name.clone(), self.stop.clone());
        let checks = Arc::clone(&self.checks);
        let ends = move || matches!(crash, Crash::AfterLine(line) if line <= checks.lines());
        let work = async move { remediation.work(&name, stop).await };
        self.worker = Some(Box::pin(SimulatedProcess::new(work, self.crash_points.clone(), ends)));
    }

    /// Reloads the configuration in the running process.
    pub(crate) fn reload(&mut self, edit: impl FnOnce(&mut RemediationConfig)) {
        edit(&mut self.setup.remediation);
        let parts = PipelineParts {
            kafka: &self.kafka,
            prometheus: &self.prometheus,
            docker: &self.docker,
            clock: &self.clock,
            setup: &self.setup,
        };
        let latest = self.snapshots.subscribe();
        let context = parts.context(&self.store, latest, &self.telemetry);
        self.remediation.0.replace(vec![context]).unwrap();
    }

    /// Asks the process to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) -> WorkerEnd {
        self.stop.cancel();
        self.live(Duration::from_mins(10), |_| false).await
    }

    /// Takes a new snapshot when one is due.
    fn refresh(&mut self) {
        let now = self.clock.elapsed();
        if self.snapshot_at.is_some_and(|it| now < it + SCRAPE) {
            return;
        }

        self.snapshot_at = Some(now);
        let at = self.clock.wall();
        let topology = self.kafka.topology_now();
        let read = self.clock.monotonic();
        let reporting = topology.brokers.iter().map(|it| (it.id, read)).collect();
        let mut snapshot = Snapshot {
            at,
            read: Some(read),
            membership: Membership {
                watched_since: Some(MonotonicTime::default()),
                ..Membership::default()
            },
            up: true,
            topology: Some(Section::new(topology, at)),
            reporting,
            ..Snapshot::unknown(self.setup.cluster.name.clone())
        };
        (self.tweak)(&mut snapshot);
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
    }

    /// Lets time pass until `reached`, or for at most `limit`.
    pub(crate) async fn live(
        &mut self,
        limit: Duration,
        reached: impl Fn(&Self) -> bool,
    ) -> WorkerEnd {
        let end = self.clock.elapsed() + limit;
        loop {
            self.refresh();
            self.check();

            if reached(self) {
                return WorkerEnd::Reached;
            }

            if end <= self.clock.elapsed() {
                return WorkerEnd::TimeUp;
            }

            let Some(worker) = self.worker.as_mut() else {
                tokio::time::sleep(TICK).await;
                continue;
            };
            let tick = tokio::time::sleep(TICK);
            tokio::select! {
                biased;
                ended = worker => {
                    self.worker = None;
                    self.check();
                    return WorkerEnd::Over(ended);
                }
                () = tick => (),
            }
        }
    }

    /// Sets the time of day once in the next six minutes, by up to ten minutes, depending on the
    /// seed.
    pub(crate) fn sets_its_clock(&self, seed: u64) {
        let drawn = |part: u64| draw(seed, &[23, part]);
        let after = Duration::from_millis(between(0, 360_000, drawn(0)));
        let by = i64::try_from(between(0, 1_200_000, drawn(1))).unwrap() - 600_000;
        self.clock.will_be_set(self.clock.elapsed() + after, by);
    }

    pub(crate) async fn pass(&mut self, time: Duration) {
        let _end = self.live(time, |_| false).await;
    }

    /// Lets time pass until every run has ended, or for half an hour.
    pub(crate) async fn until_over(&mut self) -> WorkerEnd {
        self.live(Duration::from_mins(30), |it| it.open_runs() == 0 && 0 < it.all_runs()).await
    }

    fn count(&self, rest: &str) -> u32 {
        let query = format!("SELECT count(*) FROM runs {rest}");
        self.checks.query(|at| at.query_row(&query, [], |row| row.get(0)))
    }

    /// Runs that have not ended.
    pub(crate) fn open_runs(&self) -> u32 {
        self.count("WHERE ended_at IS NULL OR (state = 'kept' AND undo_requested)")
    }

    pub(crate) fn all_runs(&self) -> u32 {
        self.count("")
    }

    /// Whether run 1 is in `state`.
    pub(crate) fn is_in_state(&self, state: RunState) -> bool {
        self.is_run_in_state(1, state)
    }

    pub(crate) fn is_run_in_state(&self, run: i64, state: RunState) -> bool {
        self.count(&format!("WHERE id = {run} AND state = '{state}'")) == 1
    }

    pub(crate) async fn run(&self, number: i64) -> RunDetail {
        self.store.run(RunId(number)).await.unwrap().expect("the run")
    }

    pub(crate) fn key_states(&self) -> KeyStates {
        let state = self.kafka.state();
        let each = state.brokers.values().flat_map(|broker| {
            WRITES.iter().map(|key| ((broker.id, (*key).to_owned()), broker.standing(key)))
        });
        each.collect()
    }

    /// Checks, two minutes after the last run has ended, that every key is as a kept run left it or
    /// exactly as before. Delayed requests arrive within these minutes.
    pub(crate) async fn verify(&mut self, before: &KeyStates) {
        self.pass(Duration::from_mins(2)).await;
        let mut expected = before.clone();

        for number in 1..=self.all_runs() {
            let RunDetail { run, steps, .. } = self.run(i64::from(number)).await;
            match run.state {
                RunState::Kept => {
                    let written = steps.into_iter().filter(|it| it.state == StepState::Applied);
                    let set = written.filter_map(|it| {
                        let Change::BrokerConfig(it) = it.change else { return None };
                        Some(((it.broker, it.key), (Some(it.to.clone()), it.to)))
                    });
                    expected.extend(set);
                }
                RunState::RolledBack | RunState::Expired => (),
                RunState::Queued | RunState::Held | RunState::Cancelled | RunState::Rehearsed => {
                    assert_eq!(run.times.written, None, "{}", self.story().await);
                }
                RunState::AwaitingApproval
                | RunState::Acting
                | RunState::Settling
                | RunState::Observing
                | RunState::Expiring
                | RunState::RollingBack
                | RunState::Stuck => panic!("{}", self.story().await),
            }
        }

        assert_eq!(self.key_states(), expected, "{}", self.story().await);

        let state = self.kafka.state();
        assert!(state.brokers.values().all(super::broker::SimulatedBroker::is_quiet));
        assert!(state.controller.is_quiet());
    }

    /// The journal of every run, for the message of a failed test.
    pub(crate) async fn story(&self) -> String {
        let mut lines = vec![format!("seed {}", self.setup.seed)];
        for number in 1..=self.all_runs() {
            let detail = self.run(i64::from(number)).await;
            lines.push(format!("run {number}: {}", detail.run.state));
            for line in detail.journal {
                let at = self.clock.when(line.at);
                lines.push(format!("  {at:9.3?} {} {}", line.entry, line.text));
            }
        }

        for KafkaCall { at, broker, change, .. } in self.kafka.calls(CallKind::Write) {
            lines.push(format!("  {at:9.3?} write {broker:?} {change:?}"));
        }

        let orders = [CallKind::WriteQuota, CallKind::Elect].map(|it| self.kafka.calls(it));
        for KafkaCall { at, order, .. } in orders.into_iter().flatten() {
            lines.push(format!("  {at:9.3?} order {order:?}"));
        }

        lines.join("\n")
    }

    /// Fails if a check found a violation.
    #[track_caller]
    pub(crate) fn check(&self) {
        let problems = self.checks.problems();
        assert!(problems.is_empty(), "seed {}: {problems:#?}", self.setup.seed);
    }
}

struct PipelineParts<'a> {
    kafka: &'a Arc<SimulatedKafka>,
    prometheus: &'a Arc<SimulatedPrometheus>,
    docker: &'a Arc<SimulatedDocker>,
    clock: &'a Arc<WorldClock>,
    setup: &'a Setup,
}

impl PipelineParts<'_> {
    fn pipeline(
        &self,
        store: &Store,
        latest: watch::Receiver<Option<Arc<Snapshot>>>,
    ) -> (Remediator, Arc<Telemetry>) {
        let Setup { cluster, remediation, .. } = self.setup;
        let build = BuildInfo { version: "0", revision: "0", rustc: "0" };
        let names: Vec<String> = remediation.playbooks.iter().map(|it| it.name.clone()).collect();
        let telemetry =
            Arc::new(Telemetry::new(build, &names, std::slice::from_ref(&cluster.name)));
        let context = self.context(store, latest, &telemetry);

        (Remediator::new(vec![context]).unwrap(), telemetry)
    }

    fn context(
        &self,
        store: &Store,
        latest: watch::Receiver<Option<Arc<Snapshot>>>,
        telemetry: &Arc<Telemetry>,
    ) -> Context {
        let Setup { cluster, remediation, .. } = self.setup;
        let prometheus = cluster.prometheus.as_ref().map(|_| Arc::clone(self.prometheus) as _);

        Context {
            cluster: Arc::new(cluster.clone()),
            is_only_cluster: true,
            remediation: Arc::new(remediation.clone()),
            kafka: Arc::clone(self.kafka) as _,
            prometheus,
            docker: cluster.docker.as_ref().map(|_| Arc::clone(self.docker) as _),
            clock: Arc::clone(self.clock) as _,
            store: store.clone(),
            telemetry: Arc::clone(telemetry),
            latest,
            pause: PauseFile::in_dir(&remediation.state_dir),
            wake: Arc::new(Notify::new()),
            installation: "1a2b".into(),
            identity: IdentityCell::default(),
        }
    }
}
