//! What the world has found: each test is named after what the pipeline did, or must not do again.

use std::time::Duration;

use kafka_optimizer::{
    model::{Hold, RunId, RunState},
    optimizers::tune_brokers::{IO_THREADS, NETWORK_THREADS},
    playbook::Level,
    remedy::Order,
    store::Extent,
};

use super::{helps, slow_until};
use crate::world::{
    Crash, Effect, Ended, Fault, Kind, Life, PromFault, Setup, World, firing, id, notification,
    resolved, simulate,
};

/// Another process, after the one that ends when `reached`.
async fn crash_when(world: &mut World, reached: impl Fn(&World) -> bool) {
    let life = world.live(Duration::from_mins(10), reached).await;
    assert_eq!(life, Life::Reached, "{}", world.story().await);
    world.start(Crash::Never);
}

#[test]
fn a_second_process_takes_up_what_the_first_left_however_often_it_ends() {
    simulate(async {
        let mut world = World::starved(Setup::new(0, Effect::Help)).await;
        let before = world.standings();
        world.alert("Slow", Some("1")).await;
        for moment in 1..40 {
            world.start(Crash::AtMoment(moment));
            if world.until_over().await != Life::Over(Ended::Crashed) {
                break;
            }
        }
        world.start(Crash::Never);
        world.until_over().await;
        world.verify(&before).await;
        assert_eq!(world.all_runs(), 1);
    });
}
