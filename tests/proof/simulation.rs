//! One simulated run: a cluster until its alert fires, and from there the changed broker under
//! each effect, with the same random numbers.
//!
//! A run that begins when an alert fires begins at an extreme, and much of what follows would have
//! come about by itself. A simulation that begins at any time would flatter every procedure.

use rand::{RngExt, rngs::SmallRng};

use crate::{
    alert::AlertState,
    conditions::ClusterProcesses,
    server::{Conditions, SecondServed, Server},
    world::WorldSpec,
};

/// Factors on the service time; 1 changes nothing.
pub(crate) const EFFECTS: [f32; 8] = [1.0, 0.9, 0.8, 0.7, 0.5, 0.1, 1.3, 2.0];
/// Minutes before the alert may fire.
pub(crate) const HISTORY: usize = 1440;
/// Minutes in which it has to fire then, or there is no run.
const PATIENCE: usize = 1440;
/// Minutes simulated after the write.
const AFTER: usize = 14;
/// Brokers that nothing is changed on.
pub(crate) const CONTROLS: usize = 2;
/// Quarters of a minute: the scrapes that the old procedure sees before the write.
const FINE: usize = 120;
const QUARTER_SECONDS: usize = 15;

/// Requests, and the seconds that they took: the increments of two counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Increments {
    pub(crate) seconds: f64,
    pub(crate) requests: f64,
}

impl Increments {
    fn add(&mut self, served: &SecondServed) {
        self.seconds += f64::from(served.requests * served.latency);
        self.requests += f64::from(served.requests);
    }

    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        parts.into_iter().fold(Self::default(), |sum, it| Self {
            seconds: sum.seconds + it.seconds,
            requests: sum.requests + it.requests,
        })
    }
}

/// What is known of one run.
#[derive(Debug)]
pub(crate) struct SimulatedRun {
    /// Of each broker, the changed one first: each minute of the history.
    pub(crate) past: Vec<Vec<Increments>>,
    /// Of the changed broker: each quarter of a minute of the last half hour before the write.
    pub(crate) fine: Vec<Increments>,
    /// Of the changed broker under each effect: each quarter of a minute after the write.
    pub(crate) own: Vec<Vec<Increments>>,
    /// Of the other brokers: each minute after the write.
    pub(crate) others: Vec<Vec<Increments>>,
}

/// One quarter of a minute of the changed broker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quarter {
    pub(crate) increments: Increments,
    /// Mean utilisation of its request handlers.
    pub(crate) busy: f32,
}

/// A cluster on which nothing is changed, and what it has served so far.
struct SimulatedCluster<'w> {
    world: &'w WorldSpec,
    outside: ClusterProcesses<'w>,
    servers: Vec<Server>,
    conditions: Vec<Conditions>,
    minutes: Vec<Vec<Increments>>,
    quarters: Vec<Quarter>,
}

/// `None`: the alert did not fire.
pub(crate) fn simulate(world: &WorldSpec, seed: u64) -> Option<SimulatedRun> {
    let brokers = 1 + CONTROLS;
    let mut cluster = SimulatedCluster {
        world,
        outside: ClusterProcesses::new(world, brokers, seed),
        servers: vec![Server::default(); brokers],
        conditions: Vec::with_capacity(brokers),
        minutes: vec![Vec::new(); brokers],
        quarters: Vec::with_capacity(4 * (HISTORY + PATIENCE)),
    };
    let mut alert = AlertState::new(world.alert, &mut cluster.outside.random);

    let begun = (0..HISTORY + PATIENCE).find(|minute| {
        if alert.fires(*minute, &cluster.quarters) {
            return true;
        }
        cluster.minute();
        false
    })?;

    let past = cluster.minutes.iter().map(|it| it[begun - HISTORY..].to_vec()).collect();
    let fine = cluster.quarters[4 * begun - FINE..].iter().map(|it| it.increments).collect();
    let Observation { own, others } = cluster.observed();

    Some(SimulatedRun { past, fine, own, others })
}

impl SimulatedCluster<'_> {
    /// One minute before the write.
    fn minute(&mut self) {
        let mut sums = vec![Increments::default(); self.servers.len()];
        for second in 0..60 {
            self.outside.next(1.0, &mut self.conditions);
            if second % QUARTER_SECONDS == 0 {
                self.quarters.push(Quarter::default());
            }

            for (broker, now) in self.conditions.iter().enumerate() {
                let served = self.servers[broker].serve(self.world, now, 1.0);
                sums[broker].add(&served);
                if let (0, Some(quarter)) = (broker, self.quarters.last_mut()) {
                    quarter.increments.add(&served);
                    quarter.busy += served.busy / 15.0;
                }
            }
        }

        for (minutes, sum) in self.minutes.iter_mut().zip(sums) {
            minutes.push(sum);
        }
    }

    /// All minutes after the write.
    fn observed(mut self) -> Observation {
        let step = LoadStep::of(self.world, &mut self.outside.random);
        let mut changed = EFFECTS.map(|_| self.servers[0]);
        let mut own = vec![vec![Increments::default(); 4 * AFTER]; EFFECTS.len()];
        let mut others = vec![vec![Increments::default(); AFTER]; CONTROLS];

        for second in 0..60 * AFTER {
            self.outside.next(step.at(second), &mut self.conditions);
            for (number, effect) in EFFECTS.into_iter().enumerate() {
                let served = changed[number].serve(self.world, &self.conditions[0], effect);
                own[number][second / QUARTER_SECONDS].add(&served);
            }

            for (number, other) in others.iter_mut().enumerate() {
                let now = &self.conditions[1 + number];
                let served = self.servers[1 + number].serve(self.world, now, 1.0);
                other[second / 60].add(&served);
            }
        }

        Observation { own, others }
    }
}

/// What was served after the write: see [`SimulatedRun`].
struct Observation {
    own: Vec<Vec<Increments>>,
    others: Vec<Vec<Increments>>,
}

/// A lasting step of the load of all brokers, soon after the write.
struct LoadStep {
    from_second: usize,
    factor: f32,
}

impl LoadStep {
    fn of(world: &WorldSpec, random: &mut SmallRng) -> Self {
        if world.step <= 0.0 {
            return Self { from_second: 0, factor: 1.0 };
        }

        let size = random.random_range(0.1..world.step);
        let factor = if random.random() { 1.0 + size } else { 1.0 - size };

        Self { from_second: random.random_range(0..480), factor }
    }

    fn at(&self, second: usize) -> f32 {
        if second < self.from_second { 1.0 } else { self.factor }
    }
}
