//! A simulated Docker engine: the containers of consumers, their clones, and injected faults.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use kafka_optimizer::{
    docker::{Docker, DockerError},
    model::{Change, CloneName, CloneState, ConsumerContainer, ContainerUsage, GroupName},
};

use super::{
    chance::{between, draw},
    checks::Checks,
    clock::WorldClock,
    crash_points::CrashPoints,
    kafka::{CallFault, DEADLINE},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DockerCallKind {
    Consumers,
    State,
    Start,
    Remove,
}

impl DockerCallKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Consumers => "list consumers of",
            Self::State => "inspect container",
            Self::Start => "clone to",
            Self::Remove => "remove clone",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct DockerCall {
    pub(crate) at: Duration,
    pub(crate) kind: DockerCallKind,
    /// `None` for [`DockerCallKind::Consumers`].
    pub(crate) clone: Option<CloneName>,
    /// Number of earlier calls of this kind.
    pub(crate) nth: usize,
    /// Number of earlier calls of this kind for the same clone.
    pub(crate) nth_of_clone: usize,
}

/// A container with the name of a clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SimulatedClone {
    /// The run in its labels; `None` for a container of someone else.
    pub(crate) run: Option<i64>,
    pub(crate) of: String,
    pub(crate) state: CloneState,
}

/// [`CallFault::NeverApplied`] is a clone that starts and does not stay up.
type DockerFaults = Box<dyn Fn(&DockerCall) -> Option<CallFault> + Send>;

#[derive(Clone, Debug)]
enum ContainerChange {
    Start { of: String, then: CloneState },
    Remove,
}

struct SentChange {
    at: Duration,
    call: usize,
    clone: CloneName,
    change: ContainerChange,
}

pub(crate) struct SimulatedContainers {
    /// Consumers that are not clones.
    pub(crate) templates: Vec<ConsumerContainer>,
    /// By name.
    pub(crate) clones: BTreeMap<String, SimulatedClone>,
    calls: Vec<DockerCall>,
    faults: DockerFaults,
    on_their_way: Vec<SentChange>,
    /// Time, and the number of clones running from then on.
    history: Vec<(Duration, usize)>,
    answers: BTreeMap<usize, Result<(), String>>,
    seed: u64,
}

impl SimulatedContainers {
    /// Applies every event that is due by `now`.
    fn pump(&mut self, now: Duration) {
        self.on_their_way.sort_by_key(|it| it.at);
        while self.on_their_way.first().is_some_and(|it| it.at <= now) {
            let sent = self.on_their_way.remove(0);
            let answer = self.apply(&sent.clone, sent.change);
            self.answers.insert(sent.call, answer);
            let running = self.clones.values().filter(|it| it.state == CloneState::Running);
            self.history.push((sent.at, running.count()));
        }
    }

    fn apply(&mut self, clone: &CloneName, change: ContainerChange) -> Result<(), String> {
        let is_own = |it: &SimulatedClone| it.run == Some(clone.run);
        if self.clones.get(&clone.name).is_some_and(|it| !is_own(it)) {
            return Err("the container of that name is not this run's clone".to_owned());
        }

        match change {
            ContainerChange::Remove => {
                self.clones.remove(&clone.name);
            }
            ContainerChange::Start { of, then } => {
                let template = self.templates.iter().find(|it| it.id == of);
                let template = template.ok_or("there is no such container")?;

                if let Some(found) = self.clones.get_mut(&clone.name) {
                    if found.state == CloneState::Created {
                        found.state = then;
                    }
                    return Ok(());
                }

                if !template.objections.is_empty() {
                    return Err(template.objections.join("; "));
                }

                let made = SimulatedClone { run: Some(clone.run), of, state: then };
                self.clones.insert(clone.name.clone(), made);
            }
        }

        Ok(())
    }

    fn record(
        &mut self,
        at: Duration,
        kind: DockerCallKind,
        clone: Option<&CloneName>,
    ) -> (usize, Option<CallFault>) {
        let same = self.calls.iter().filter(|it| it.kind == kind);
        let nth = same.clone().count();
        let nth_of_clone = same.filter(|it| it.clone.as_ref() == clone).count();
        let call = DockerCall { at, kind, clone: clone.cloned(), nth, nth_of_clone };
        let fault = (self.faults)(&call);
        self.calls.push(call);

        (self.calls.len() - 1, fault)
    }

    /// Random delay of a call. It depends on the seed and the call only, not on other calls.
    fn chance(&self, call: usize, part: u64, from: u64, to: u64) -> Duration {
        let call = &self.calls[call];
        let name = call.clone.as_ref().map(|it| it.name.as_bytes()).unwrap_or_default();
        let mut place = vec![call.kind as u64, u64::try_from(call.nth_of_clone).unwrap(), part];
        place.extend(name.iter().map(|it| u64::from(*it)));

        Duration::from_micros(between(from, to, draw(self.seed, &place)))
    }

    fn consumers(&self) -> Vec<ConsumerContainer> {
        let of_clone = |(name, clone): (&String, &SimulatedClone)| {
            let template = self.templates.iter().find(|it| it.id == clone.of)?;
            Some(ConsumerContainer {
                id: format!("id of {name}"),
                name: name.clone(),
                group: template.group.clone(),
                run: Some(clone.run?),
                running: clone.state == CloneState::Running,
                restarts: u32::from(clone.state == CloneState::Restarting),
                objections: vec!["it is a clone itself".to_owned()],
            })
        };
        let clones = self.clones.iter().filter_map(of_clone);
        let mut all: Vec<ConsumerContainer> =
            self.templates.iter().cloned().chain(clones).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));

        all
    }
}

pub(crate) struct SimulatedDocker {
    state: Mutex<SimulatedContainers>,
    clock: Arc<WorldClock>,
    crash_points: CrashPoints,
    checks: Arc<Checks>,
}

impl SimulatedDocker {
    pub(crate) fn new(
        seed: u64,
        clock: Arc<WorldClock>,
        crash_points: CrashPoints,
        checks: Arc<Checks>,
    ) -> Self {
        let state = SimulatedContainers {
            templates: Vec::new(),
            clones: BTreeMap::new(),
            calls: Vec::new(),
            faults: Box::new(|_| None),
            on_their_way: Vec::new(),
            history: Vec::new(),
            answers: BTreeMap::new(),
            seed,
        };
        Self { state: Mutex::new(state), clock, crash_points, checks }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, SimulatedContainers> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pump(self.clock.elapsed());
        state
    }

    /// Adds a consumer that may be cloned. Returns its container's id.
    pub(crate) fn run_consumer(&self, name: &str, group: &str) -> String {
        let id = format!("id of {name}");
        self.state().templates.push(ConsumerContainer {
            id: id.clone(),
            name: name.to_owned(),
            group: GroupName::new(group),
            run: None,
            running: true,
            restarts: 0,
            objections: Vec::new(),
        });

        id
    }

    /// Whether clones were running at `at`.
    pub(crate) fn relieved(&self, at: Duration) -> bool {
        let state = self.state();
        let after = state.history.partition_point(|(since, _)| *since <= at);
        after.checked_sub(1).is_some_and(|it| 0 < state.history[it].1)
    }

    pub(crate) fn fail(&self, faults: impl Fn(&DockerCall) -> Option<CallFault> + Send + 'static) {
        self.state().faults = Box::new(faults);
    }

    pub(crate) fn calls(&self, kind: DockerCallKind) -> Vec<DockerCall> {
        self.state().calls.iter().filter(|it| it.kind == kind).cloned().collect()
    }

    /// A call without side effects.
    async fn read<T>(
        &self,
        kind: DockerCallKind,
        clone: Option<&CloneName>,
        of: &str,
        answer: impl FnOnce(&SimulatedContainers) -> T + Send,
    ) -> Result<T, DockerError> {
        self.crash_points.pass().await;
        let (fault, pause) = {
            let now = self.clock.elapsed();
            let mut state = self.state();
            let (call, fault) = state.record(now, kind, clone);

            (fault, state.chance(call, 0, 1_000, 20_000))
        };
        let ended = wait(kind, of, fault, pause).await;
        self.crash_points.pass().await;

        ended.map(|()| answer(&self.state()))
    }

    async fn change(
        &self,
        kind: DockerCallKind,
        clone: &CloneName,
        change: ContainerChange,
    ) -> Result<(), DockerError> {
        self.crash_points.pass().await;
        let now = self.clock.elapsed();
        let starts = kind == DockerCallKind::Start;
        let is_this = |change: &Change, undo: bool| {
            let Change::ConsumerClone(it) = change else { return false };
            it.name == clone.name && undo != starts
        };
        self.checks.changes(&format!("{kind:?} of {}", clone.name), is_this, Some(clone.run));
        let _under_way = self.checks.pending();
        let (call, fault, pause) = self.send(now, kind, clone, change);
        let ended = wait(kind, &clone.name, fault, pause).await;
        self.crash_points.pass().await;
        ended?;

        let answer = self.state().answers.remove(&call).expect("it has arrived");

        answer.map_err(|problem| {
            let of = clone.name.clone();
            DockerError::Refused { call: kind.name(), of, problem }
        })
    }

    /// Sends the change, independently of who awaits the response. Returns the call, its fault and
    /// the delay.
    fn send(
        &self,
        now: Duration,
        kind: DockerCallKind,
        clone: &CloneName,
        mut change: ContainerChange,
    ) -> (usize, Option<CallFault>, Duration) {
        let mut state = self.state();
        let (call, fault) = state.record(now, kind, Some(clone));
        let takes = state.chance(call, 1, 200_000, 2_000_000);

        // The delay is already part of the arrival time.
        let (late, left) = match fault {
            Some(CallFault::Late(more)) => (more, None),
            other => (Duration::ZERO, other),
        };
        if let (Some(CallFault::NeverApplied), ContainerChange::Start { then, .. }) =
            (fault, &mut change)
        {
            *then = CloneState::Restarting;
        }

        if !matches!(
            fault,
            Some(CallFault::Refuse | CallFault::LoseRequest | CallFault::Unreachable)
        ) {
            let at = now + takes + late;
            state.on_their_way.push(SentChange { at, call, clone: clone.clone(), change });
        }

        (call, left, takes + late + Duration::from_micros(100))
    }
}

/// Waits for a response until the adapter's deadline. Returns how the call ended.
async fn wait(
    kind: DockerCallKind,
    of: &str,
    fault: Option<CallFault>,
    pause: Duration,
) -> Result<(), DockerError> {
    let (call, of) = (kind.name(), of.to_owned());
    let pause = match fault {
        Some(CallFault::Slow(more)) => (pause + more).min(DEADLINE * 3 / 4).max(pause),
        Some(CallFault::Late(more)) => pause + more,
        Some(CallFault::LoseRequest | CallFault::LoseAnswer) => DEADLINE,
        Some(CallFault::Unreachable) => Duration::from_millis(1),
        Some(CallFault::Refuse | CallFault::Break | CallFault::NeverApplied) | None => pause,
    };
    tokio::time::sleep(pause.min(DEADLINE)).await;

    match fault {
        _ if DEADLINE <= pause => Err(DockerError::NoAnswer { call, of, deadline: DEADLINE }),
        Some(CallFault::Unreachable) => {
            Err(DockerError::Unreachable { problem: "connection refused".to_owned() })
        }
        Some(CallFault::Break) => {
            Err(DockerError::Broken { call, of, problem: "connection reset".to_owned() })
        }
        Some(CallFault::Refuse) => {
            Err(DockerError::Refused { call, of, problem: "forbidden".to_owned() })
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Docker for SimulatedDocker {
    async fn broker_usage(
        &self,
        _: &str,
    ) -> Result<Vec<Result<ContainerUsage, DockerError>>, DockerError> {
        unreachable!("remediation reads no statistics")
    }

    async fn consumers(&self, cluster: &str) -> Result<Vec<ConsumerContainer>, DockerError> {
        self.read(DockerCallKind::Consumers, None, cluster, SimulatedContainers::consumers).await
    }

    async fn clone_state(&self, clone: &CloneName) -> Result<CloneState, DockerError> {
        let answer = |it: &SimulatedContainers| match it.clones.get(&clone.name) {
            None => CloneState::Absent,
            Some(it) if it.run == Some(clone.run) => it.state,
            Some(_) => CloneState::Foreign,
        };
        self.read(DockerCallKind::State, Some(clone), &clone.name, answer).await
    }

    async fn start_clone(&self, of: &str, clone: &CloneName) -> Result<(), DockerError> {
        let change = ContainerChange::Start { of: of.to_owned(), then: CloneState::Running };
        self.change(DockerCallKind::Start, clone, change).await
    }

    async fn remove_clone(&self, clone: &CloneName) -> Result<(), DockerError> {
        self.change(DockerCallKind::Remove, clone, ContainerChange::Remove).await
    }
}

#[cfg(test)]
mod tests {
    use kafka_optimizer::model::RequestOutcome;

    use super::{
        super::{Effect, Setup, World, simulate},
        *,
    };

    fn clone_name(name: &str) -> CloneName {
        CloneName { name: name.to_owned(), run: 1, cluster: "main".to_owned() }
    }

    /// Runs a world with one consumer, and passes its container id to the test.
    fn with_consumer(test: impl AsyncFnOnce(&World, &str)) {
        simulate(async {
            let world = World::new(Setup::new(0, Effect::Help));
            world.checks.want_no_steps();
            let id = world.docker.run_consumer("shop-1", "billing");
            test(&world, &id).await;

            world.check();
        });
    }

    #[test]
    fn a_clone_is_started_and_removed() {
        with_consumer(async |world, id| {
            let (docker, name) = (&world.docker, clone_name("shop-2"));
            assert_eq!(docker.clone_state(&name).await.unwrap(), CloneState::Absent);

            docker.start_clone(id, &name).await.unwrap();
            docker.start_clone(id, &name).await.unwrap();

            assert_eq!(docker.clone_state(&name).await.unwrap(), CloneState::Running);

            let found = docker.consumers("main").await.unwrap();
            let runs: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.run)).collect();

            assert_eq!(runs, [("shop-1", None), ("shop-2", Some(1))]);

            let other = CloneName { run: 2, ..name.clone() };
            assert_eq!(docker.clone_state(&other).await.unwrap(), CloneState::Foreign);
            assert_ne!(
                docker.remove_clone(&other).await.unwrap_err().outcome(),
                RequestOutcome::Unknown
            );

            docker.remove_clone(&name).await.unwrap();
            docker.remove_clone(&name).await.unwrap();

            assert_eq!(docker.clone_state(&name).await.unwrap(), CloneState::Absent);
        });
    }

    #[test]
    fn an_objection_is_a_refusal() {
        with_consumer(async |world, id| {
            world.docker.state().templates[0].objections.push("it does not run".to_owned());
            let refused = world.docker.start_clone(id, &clone_name("shop-2")).await.unwrap_err();

            assert!(
                refused.outcome() != RequestOutcome::Unknown
                    && refused.to_string().contains("not run")
            );

            world.docker.start_clone("gone", &clone_name("shop-2")).await.unwrap_err();
            assert!(world.docker.state().clones.is_empty());
        });
    }

    #[test]
    fn each_fault_leaves_the_state_it_describes() {
        use CloneState::{Absent, Restarting, Running};

        let minute = Duration::from_mins(1);
        for (fault, unknown, then) in [
            (CallFault::Refuse, Some(false), Absent),
            (CallFault::Unreachable, Some(false), Absent),
            (CallFault::LoseRequest, Some(true), Absent),
            (CallFault::LoseAnswer, Some(true), Running),
            (CallFault::Break, Some(true), Running),
            (CallFault::Late(minute), Some(true), Running),
            (CallFault::Slow(minute), None, Running),
            (CallFault::NeverApplied, None, Restarting),
        ] {
            with_consumer(async |world, id| {
                let (docker, name) = (&world.docker, clone_name("shop-2"));
                docker.fail(move |it| (it.kind == DockerCallKind::Start).then_some(fault));
                let answer = docker.start_clone(id, &name).await;
                let told = answer.err().map(|it| it.outcome() == RequestOutcome::Unknown);

                assert_eq!(told, unknown, "{fault:?}");

                tokio::time::sleep(2 * minute).await;
                assert_eq!(docker.clone_state(&name).await.unwrap(), then, "{fault:?}");

                let [call] = docker.calls(DockerCallKind::Start).try_into().unwrap();
                assert_eq!((call.clone, call.nth, call.nth_of_clone), (Some(name), 0, 0));
                assert!(call.at < minute);
            });
        }
    }

    #[test]
    fn a_sent_request_takes_effect_after_the_process_has_ended() {
        with_consumer(async |world, id| {
            let (docker, name) = (&world.docker, clone_name("shop-2"));
            let soon = tokio::time::sleep(Duration::from_millis(1));
            tokio::select! {
                answer = docker.start_clone(id, &name) => panic!("{answer:?}"),
                () = soon => (),
            }

            assert!(docker.state().clones.is_empty());

            tokio::time::sleep(DEADLINE).await;
            assert_eq!(docker.state().clones["shop-2"].state, CloneState::Running);
        });
    }

    #[test]
    fn a_forbidden_or_concurrent_change_is_found() {
        simulate(async {
            let world = World::new(Setup::new(0, Effect::Help));
            world.checks.want_no_steps();
            let docker = &world.docker;
            let id = docker.run_consumer("shop-1", "billing");
            let other = CloneName { run: 2, ..clone_name("shop-3") };
            let (one, two) = (clone_name("shop-2"), clone_name("shop-4"));
            let (a, b) = tokio::join!(docker.start_clone(&id, &one), docker.start_clone(&id, &two));
            a.and(b).unwrap();

            assert_eq!(world.checks.problems(), Vec::<String>::new());

            let (a, b) = tokio::join!(docker.remove_clone(&one), docker.start_clone(&id, &other));
            a.and(b).unwrap();

            assert_eq!(world.checks.problems().len(), 1, "{:?}", world.checks.problems());

            world.checks.forbid_writes();
            docker.remove_clone(&two).await.unwrap();

            assert_eq!(world.checks.problems().len(), 2, "{:?}", world.checks.problems());
        });
    }
}
