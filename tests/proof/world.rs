//! What a simulated cluster is like: the named worlds, and worlds whose every number is drawn.

use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// The numbers of one world. Times are in seconds, rates per second. Each broker has the same.
#[derive(Clone, Debug)]
pub(crate) struct WorldSpec {
    pub(crate) name: String,
    pub(crate) is_drawn: bool,
    /// Mean of a latency that no load changes. `None`: the latency is that of a queue.
    pub(crate) latency: Option<f32>,
    /// Mean rate of requests of a broker.
    pub(crate) load: f32,
    pub(crate) threads: f32,
    /// Utilisation of the handlers at the mean load.
    pub(crate) utilisation: f32,
    /// An AR(1) process is the logarithm of the load.
    pub(crate) load_noise: LogNoise,
    /// Another is that of the time a handler takes.
    pub(crate) service_noise: LogNoise,
    /// What a request waits for elsewhere: its mean, and the deviation of its logarithm, an AR(1)
    /// process of a minute.
    pub(crate) elsewhere: f32,
    pub(crate) elsewhere_deviation: f32,
    /// How much less regular arrivals and services are than Poisson: `(Ca² + Cs²) / 2`.
    pub(crate) burstiness: f32,
    /// Amplitude of the load's daily sine, as a share of its mean.
    pub(crate) day: f32,
    pub(crate) on_off: Option<OnOff>,
    pub(crate) heavy_tail: Option<HeavyTail>,
    pub(crate) pauses: Option<Pauses>,
    pub(crate) spells: Option<Spells>,
    /// Largest step of the load in the first eight minutes after the write, as a share; 0 for none.
    pub(crate) step: f32,
    /// Clients with a bounded number of requests in flight: they slow down with the broker.
    pub(crate) has_closed_loop: bool,
    pub(crate) alert: AlertRule,
}

/// An AR(1) process: its time constant, its standard deviation, and the share of its variance that
/// all brokers have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogNoise {
    pub(crate) tau: f32,
    pub(crate) deviation: f32,
    pub(crate) shared: f32,
}

/// A batch job: mean time on and off, and the factor on the load in each state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnOff {
    pub(crate) on: f32,
    pub(crate) off: f32,
    pub(crate) load_on: f32,
    pub(crate) load_off: f32,
}

/// A Pareto share of the service time, cut off at `most` times its least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeavyTail {
    pub(crate) exponent: f32,
    pub(crate) most: f32,
}

/// Garbage collections: mean time between, and median length, of the short and of the full ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    pub(crate) every: f32,
    pub(crate) length: f32,
    pub(crate) full_every: f32,
    pub(crate) full_length: f32,
}

/// A disk that is slow now and then, and recovers by itself: mean times, and the factor on the
/// service time. Beyond what any test can tell by one broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spells {
    pub(crate) slow: f32,
    pub(crate) well: f32,
    pub(crate) factor: f32,
    pub(crate) is_shared: bool,
}

/// What starts the run, and so what is extreme when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlertRule {
    /// Handlers are idle for less than 30 % of the time (mean of 5 minutes), for 15 minutes.
    Idle,
    /// The latency's mean of 5 minutes is in its upper fifth, for 5 minutes.
    High,
    /// A person orders the run, at any time.
    Order,
}

/// A queue near its usual load. The other worlds differ from this one.
fn usual(name: &str) -> WorldSpec {
    WorldSpec {
        name: name.to_owned(),
        is_drawn: false,
        latency: None,
        load: 600.0,
        threads: 8.0,
        utilisation: 0.62,
        load_noise: LogNoise { tau: 1200.0, deviation: 0.15, shared: 0.5 },
        service_noise: LogNoise { tau: 120.0, deviation: 0.10, shared: 0.2 },
        elsewhere: 0.004,
        elsewhere_deviation: 0.2,
        burstiness: 4.0,
        day: 0.0,
        on_off: None,
        heavy_tail: None,
        pauses: None,
        spells: None,
        step: 0.0,
        has_closed_loop: false,
        alert: AlertRule::Idle,
    }
}

/// A latency that varies by itself, whatever the load.
fn no_queue(name: &str, service_noise: LogNoise) -> WorldSpec {
    WorldSpec {
        latency: Some(0.010),
        service_noise,
        load_noise: LogNoise { tau: 1200.0, deviation: 0.1, shared: 0.5 },
        elsewhere_deviation: 0.0,
        alert: AlertRule::High,
        ..usual(name)
    }
}

/// The worlds whose numbers were chosen, each for one difficulty.
pub(crate) fn named() -> Vec<WorldSpec> {
    latencies().into_iter().chain(queues()).chain(disturbed()).chain(spells()).collect()
}

fn latencies() -> [WorldSpec; 3] {
    let noise = |tau, deviation, shared| LogNoise { tau, deviation, shared };

    [
        WorldSpec { alert: AlertRule::Order, ..no_queue("ar-fast", noise(30.0, 0.35, 0.3)) },
        no_queue("ar-slow", noise(600.0, 0.35, 0.5)),
        WorldSpec { elsewhere_deviation: 0.3, ..no_queue("ar-two", noise(3600.0, 0.4, 0.4)) },
    ]
}

fn queues() -> [WorldSpec; 5] {
    let queue = usual("queue");
    let ordered = WorldSpec { alert: AlertRule::Order, ..usual("queue-rand") };

    let alone = WorldSpec {
        load_noise: LogNoise { shared: 0.0, ..queue.load_noise },
        service_noise: LogNoise { shared: 0.0, ..queue.service_noise },
        ..usual("queue-alone")
    };

    let diurnal = WorldSpec {
        utilisation: 0.5,
        day: 0.5,
        load_noise: LogNoise { tau: 600.0, deviation: 0.08, shared: 0.7 },
        ..usual("diurnal")
    };

    let closed = WorldSpec {
        has_closed_loop: true,
        utilisation: 0.75,
        load_noise: LogNoise { deviation: 0.1, ..queue.load_noise },
        ..usual("closed")
    };

    [queue, ordered, alone, diurnal, closed]
}

fn disturbed() -> [WorldSpec; 5] {
    let load_noise = LogNoise { tau: 600.0, deviation: 0.08, shared: 0.5 };
    let full_every = 7200.0;
    let steps = WorldSpec { step: 0.5, ..usual("steps") };

    let on_off = WorldSpec {
        utilisation: 0.68,
        on_off: Some(OnOff { on: 480.0, off: 720.0, load_on: 1.25, load_off: 0.6 }),
        load_noise,
        ..usual("on-off")
    };

    let heavy = WorldSpec {
        utilisation: 0.58,
        heavy_tail: Some(HeavyTail { exponent: 1.5, most: 30.0 }),
        ..usual("heavy")
    };

    let pauses = WorldSpec {
        utilisation: 0.60,
        pauses: Some(Pauses { every: 60.0, length: 0.25, full_every, full_length: 6.0 }),
        ..usual("pauses")
    };

    let mixed = WorldSpec {
        utilisation: 0.52,
        day: 0.35,
        on_off: Some(OnOff { on: 300.0, off: 900.0, load_on: 1.2, load_off: 0.93 }),
        pauses: Some(Pauses { every: 90.0, length: 0.2, full_every, full_length: 5.0 }),
        heavy_tail: Some(HeavyTail { exponent: 1.6, most: 20.0 }),
        service_noise: LogNoise { tau: 300.0, deviation: 0.15, shared: 0.2 },
        load_noise: LogNoise { tau: 900.0, deviation: 0.10, shared: 0.5 },
        ..usual("mixed")
    };

    [on_off, heavy, pauses, steps, mixed]
}

fn spells() -> [WorldSpec; 2] {
    let slow = Spells { slow: 2400.0, well: 6.0 * 3600.0, factor: 1.8, is_shared: false };
    let alone = WorldSpec { utilisation: 0.45, spells: Some(slow), ..usual("spell") };
    let shared = WorldSpec {
        name: "spell-all".to_owned(),
        spells: Some(Spells { is_shared: true, ..slow }),
        service_noise: LogNoise { shared: 0.5, ..alone.service_noise },
        ..alone.clone()
    };

    [alone, shared]
}

/// Draws the numbers of a world.
struct Draw(SmallRng);

impl Draw {
    fn chance(&mut self, share: f32) -> bool {
        self.0.random::<f32>() < share
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        self.0.random_range(low..high)
    }

    /// Each factor is as likely as any other, as for times that span magnitudes.
    fn by_factor(&mut self, low: f32, high: f32) -> f32 {
        self.between(low.ln(), high.ln()).exp()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }

    fn on_off(&mut self) -> OnOff {
        OnOff {
            on: self.by_factor(120.0, 1200.0),
            off: self.by_factor(120.0, 2400.0),
            load_on: self.between(1.05, 1.3),
            load_off: self.between(0.6, 0.95),
        }
    }

    fn pauses(&mut self) -> Pauses {
        Pauses {
            every: self.by_factor(20.0, 200.0),
            length: self.between(0.05, 0.4),
            full_every: 7200.0,
            full_length: self.between(2.0, 8.0),
        }
    }
}

/// A world that nobody chose. The same index is the same world.
pub(crate) fn drawn(index: u64) -> WorldSpec {
    let mut draw = Draw(SmallRng::seed_from_u64(4000 + index));
    let world = WorldSpec {
        is_drawn: true,
        load_noise: LogNoise {
            tau: draw.by_factor(120.0, 7200.0),
            deviation: draw.between(0.05, 0.25),
            shared: draw.between(0.0, 0.8),
        },
        service_noise: LogNoise {
            tau: draw.by_factor(20.0, 3600.0),
            deviation: draw.between(0.05, 0.3),
            shared: draw.between(0.0, 0.6),
        },
        elsewhere: draw.by_factor(0.001, 0.02),
        elsewhere_deviation: draw.between(0.05, 0.4),
        ..usual(&format!("drawn-{index}"))
    };

    if draw.chance(0.25) {
        let alert = draw.pick(&[AlertRule::High, AlertRule::Order]);
        return WorldSpec { latency: Some(0.010), alert, ..world };
    }

    drawn_queue(world, draw)
}

fn drawn_queue(world: WorldSpec, mut draw: Draw) -> WorldSpec {
    WorldSpec {
        threads: draw.pick(&[4.0, 8.0, 16.0]),
        utilisation: draw.between(0.4, 0.7),
        burstiness: draw.between(1.0, 6.0),
        alert: draw.pick(&[AlertRule::Idle, AlertRule::Idle, AlertRule::Order]),
        day: if draw.chance(0.3) { draw.between(0.2, 0.6) } else { 0.0 },
        on_off: draw.chance(0.3).then(|| draw.on_off()),
        heavy_tail: draw.chance(0.3).then(|| HeavyTail {
            exponent: draw.between(1.3, 2.2),
            most: draw.between(10.0, 40.0),
        }),
        pauses: draw.chance(0.3).then(|| draw.pauses()),
        step: if draw.chance(0.2) { draw.between(0.15, 0.5) } else { 0.0 },
        has_closed_loop: draw.chance(0.15),
        ..world
    }
}
