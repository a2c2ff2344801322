//! The safety rules of remediation, by number, in the simulated world.

mod after;
mod canary;
mod episodes;
mod found;
mod holds;
mod identity;
mod intake;
mod lost;
mod operator;
mod others;
mod people;
mod reload;
mod stack;
mod stuck;
mod sweeps;
mod temporary;
mod turns;

use std::time::Duration;

use kafka_optimizer::model::RunState;

use crate::world::{Crash, Effect, Setup, World, simulate};

/// A world in which broker 1 has too few threads and its alert is stored.
async fn slow(setup: Setup) -> World {
    let mut world = World::starved(setup).await;
    world.alert("Slow", Some("1")).await;
    world.start(Crash::Never);

    world
}

/// The same, with run 1 in this state.
async fn slow_until(setup: Setup, state: RunState) -> World {
    let mut world = slow(setup).await;
    world.live(Duration::from_mins(10), |it| it.is_in_state(state)).await;

    assert!(world.is_in_state(state), "{}", world.story().await);

    world
}

/// Runs one world per effect.
fn helps(test: impl AsyncFnOnce(Setup)) {
    simulate(test(Setup::new(0, Effect::Help)));
}
