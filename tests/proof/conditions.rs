//! What happens to the brokers of a simulated cluster from outside, second by second: load, service
//! times, pauses. It does not depend on what is changed on a broker.

use std::f32::consts::TAU;

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{
    process::{AutoRegression, Flips, Stops, heaviness, normal},
    server::Conditions,
    world::{LogNoise, WorldSpec},
};

const DAY_SECONDS: f32 = 86_400.0;
/// Time constant of what requests wait for elsewhere.
const ELSEWHERE_TAU: f32 = 60.0;

/// The processes of one broker.
#[derive(Clone, Debug)]
struct BrokerProcesses {
    load: AutoRegression,
    service: AutoRegression,
    elsewhere: AutoRegression,
    job: Option<Flips>,
    slow_disk: Option<Flips>,
    stops: Stops,
}

/// The processes of a cluster, and its random numbers.
#[derive(Clone, Debug)]
pub(crate) struct ClusterProcesses<'w> {
    world: &'w WorldSpec,
    pub(crate) random: SmallRng,
    second: f32,
    /// Time of the day at the start, as a share of a day.
    phase: f32,
    load: AutoRegression,
    service: AutoRegression,
    slow_disk: Option<Flips>,
    brokers: Vec<BrokerProcesses>,
}

impl<'w> ClusterProcesses<'w> {
    pub(crate) fn new(world: &'w WorldSpec, brokers: usize, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let phase = random.random();
        let load = AutoRegression::of(world.load_noise.tau, &mut random);
        let service = AutoRegression::of(world.service_noise.tau, &mut random);
        let slow_disk = slow_disk(world, true, &mut random);
        let brokers = (0..brokers).map(|_| broker(world, &mut random)).collect();

        Self { world, random, second: 0.0, phase, load, service, slow_disk, brokers }
    }

    /// The next second of each broker. `load_factor`: a step of the load of all.
    pub(crate) fn next(&mut self, load_factor: f32, conditions: &mut Vec<Conditions>) {
        let world = self.world;
        let mut load_usual = world.load * load_factor;

        if world.day > 0.0 {
            let turn = self.second / DAY_SECONDS + self.phase;
            load_usual *= 1.0 + world.day * (TAU * turn).sin();
        }

        let common = Common {
            load: self.load.next(&mut self.random),
            service: self.service.next(&mut self.random),
            has_slow_disk: self.slow_disk.as_mut().is_some_and(|it| it.next(&mut self.random)),
            load_usual,
            service_usual: service_usual(world),
        };

        conditions.clear();
        for broker in &mut self.brokers {
            conditions.push(broker.next(world, &common, &mut self.random));
        }

        self.second += 1.0;
    }
}

/// What all brokers have in common in one second.
struct Common {
    load: f32,
    service: f32,
    has_slow_disk: bool,
    load_usual: f32,
    service_usual: f32,
}

fn service_usual(world: &WorldSpec) -> f32 {
    world.latency.unwrap_or(world.utilisation * world.threads / world.load)
}

fn slow_disk(world: &WorldSpec, of_all: bool, random: &mut SmallRng) -> Option<Flips> {
    let spells = world.spells.filter(|it| it.is_shared == of_all)?;
    Some(Flips::of(spells.slow, spells.well, random))
}

fn broker(world: &WorldSpec, random: &mut SmallRng) -> BrokerProcesses {
    BrokerProcesses {
        load: AutoRegression::of(world.load_noise.tau, random),
        service: AutoRegression::of(world.service_noise.tau, random),
        elsewhere: AutoRegression::of(ELSEWHERE_TAU, random),
        job: world.on_off.map(|it| Flips::of(it.on, it.off, random)),
        slow_disk: slow_disk(world, false, random),
        stops: Stops::default(),
    }
}

impl BrokerProcesses {
    fn next(&mut self, world: &WorldSpec, common: &Common, random: &mut SmallRng) -> Conditions {
        let mut load = common.load_usual;
        load *= mixed(&world.load_noise, common.load, self.load.next(random)).exp();

        if let (Some(job), Some(times)) = (&mut self.job, &world.on_off) {
            load *= if job.next(random) { times.load_on } else { times.load_off };
        }

        let mut service = common.service_usual;
        service *= mixed(&world.service_noise, common.service, self.service.next(random)).exp();
        let has_slow_disk = self.slow_disk.as_mut().is_some_and(|it| it.next(random));

        if let Some(spells) = world.spells
            && (has_slow_disk || common.has_slow_disk)
        {
            service *= spells.factor;
        }

        if let Some(tail) = world.heavy_tail {
            service *= heaviness(tail, random);
        }

        let elsewhere = (world.elsewhere_deviation * self.elsewhere.next(random)).exp();

        Conditions {
            offered: (load + load.sqrt() * normal(random)).max(0.0),
            service,
            elsewhere: if world.latency.is_some() {
                elsewhere
            } else {
                world.elsewhere * elsewhere
            },
            // Of mean 1.
            jitter: (0.25 * normal(random) - 0.031).exp(),
            stopped: world.pauses.map_or(0.0, |it| self.stops.next(&it, random)),
        }
    }
}

/// A deviation of the logarithm, of which all brokers have a share in common.
fn mixed(noise: &LogNoise, common: f32, own: f32) -> f32 {
    noise.deviation * (noise.shared.sqrt() * common + (1.0 - noise.shared).sqrt() * own)
}
