//! One broker as a queue with several servers, one second at a time: what it serves, how long that
//! takes, and how busy its request handlers are.

use crate::world::WorldSpec;

/// `queued.max.requests`: beyond it the broker reads no more from its connections, and clients
/// wait.
const QUEUE_MAX: f32 = 500.0;
/// The wait in a steady queue is computed for at most this utilisation; beyond, the queue grows.
const STEADY_MAX: f32 = 0.97;
/// Requests in flight of the clients of a closed loop, as seconds of the mean load.
const IN_FLIGHT: f32 = 0.035;

/// What happens to one broker in one second, whatever was changed on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// Requests that clients want to send.
    pub(crate) offered: f32,
    /// Seconds that a handler takes for a request. Without a queue: seconds that a request takes.
    pub(crate) service: f32,
    /// Seconds that a request waits elsewhere. Without a queue: a factor on its time.
    pub(crate) elsewhere: f32,
    /// A factor on the latency that has no memory.
    pub(crate) jitter: f32,
    /// Share of the second in which the broker stands still.
    pub(crate) stopped: f32,
}

/// What was served in one second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecondServed {
    pub(crate) requests: f32,
    /// Mean seconds of a request.
    pub(crate) latency: f32,
    /// Utilisation of the request handlers.
    pub(crate) busy: f32,
}

/// The state of one broker's queue: all that a change of its service time changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    waiting: f32,
    /// What clients of a closed loop have seen lately.
    latency: f32,
}

impl Default for Server {
    fn default() -> Self {
        Self { waiting: 0.0, latency: 0.01 }
    }
}

impl Server {
    /// One second. `effect` is the factor of the change on the service time; 1 changes nothing.
    pub(crate) fn serve(
        &mut self,
        world: &WorldSpec,
        now: &Conditions,
        effect: f32,
    ) -> SecondServed {
        let service = now.service * effect;
        if world.latency.is_some() {
            let latency = service * now.elsewhere * now.jitter;
            return SecondServed { requests: now.offered, latency, busy: 0.5 };
        }

        let capacity = world.threads / service;
        let capacity_now = capacity * (1.0 - 0.999 * now.stopped);
        let mut arriving = now.offered;

        if world.has_closed_loop {
            // Little's law: so many requests are in flight, and each takes as long as the last.
            arriving = arriving.min(world.load * IN_FLIGHT / self.latency);
        }

        let waited = self.waiting;
        let left = (waited + arriving - capacity_now).max(0.0);
        let refused = (left - QUEUE_MAX).max(0.0);
        self.waiting = left - refused;
        let requests = (arriving - refused).max(0.0);
        let wait = f32::midpoint(waited, self.waiting) / capacity;

        let steady = |requests: f32| steady_wait(world, service, requests / capacity);
        let known = service + wait + now.elsewhere;

        if world.has_closed_loop {
            self.latency = 0.7 * self.latency + 0.3 * (known + steady(arriving));
        }

        let pause = now.stopped * now.stopped / 2.0;
        let latency = (known + steady(requests) + pause) * now.jitter;
        let busy = ((arriving + waited) / capacity_now.max(1e-3)).min(1.0);

        SecondServed { requests, latency, busy }
    }
}

/// Sakasegawa's approximation of the mean wait in a queue with `c` servers (1977).
fn steady_wait(world: &WorldSpec, service: f32, utilisation: f32) -> f32 {
    let c = world.threads;
    let used = utilisation.min(STEADY_MAX);
    let power = (2.0 * (c + 1.0)).sqrt() - 1.0;

    world.burstiness * service * used.powf(power) / (c * (1.0 - used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::named;

    /// The latency after a minute of `offered` requests per second that a handler has for 10 ms
    /// each, in the world `queue`: eight handlers serve 800 in a second.
    fn after_a_minute(offered: f32, effect: f32) -> SecondServed {
        let world = named().into_iter().find(|it| it.name == "queue").unwrap();
        let now = Conditions { offered, service: 0.010, elsewhere: 0.0, jitter: 1.0, stopped: 0.0 };
        let mut server = Server::default();

        (0..60).map(|_| server.serve(&world, &now, effect)).last().unwrap()
    }

    #[test]
    fn an_idle_broker_takes_its_service_time() {
        let served = after_a_minute(8.0, 1.0);
        assert!((served.latency - 0.010).abs() < 1e-4, "{served:?}");
        assert!((served.busy - 0.01).abs() < 1e-3, "{served:?}");
    }

    #[test]
    fn the_wait_of_a_busy_broker_is_that_of_a_steady_queue() {
        // Four times 0.010 × 0.9^3.243 / (8 × 0.1).
        let served = after_a_minute(720.0, 1.0);
        assert!((served.latency - 0.0455).abs() < 1e-3, "{served:?}");
    }

    #[test]
    fn an_overloaded_broker_fills_its_queue_and_serves_what_it_can() {
        let served = after_a_minute(1000.0, 1.0);
        assert!((served.requests - 800.0).abs() < 1.0, "{served:?}");
        assert!(served.latency > 0.6, "{served:?}");

        let cured = after_a_minute(1000.0, 0.5);
        assert!(cured.latency < 0.02, "{cured:?}");
    }
}
