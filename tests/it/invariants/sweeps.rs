//! Every step fails, every response is lost, the process crashes at every await: each run ends kept
//! or exactly undone, never half done (I20–I23).

use std::time::Duration;

use kafka_optimizer::model::RunState;

use crate::world::{
    CallFault, CallKind, Crash, Effect, KafkaCall, KeyStates, ProcessEnd, Setup, WorkerEnd, World,
    between, draw, lies, notification, simulate, storms,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlanSize {
    /// Broker 1 alone: I/O threads 1 → 2 → 4 → 8 → 16, network threads 8 → 16.
    One,
    /// Three brokers together: both pools 8 → 16.
    Three,
}

const PLANS: [PlanSize; 2] = [PlanSize::One, PlanSize::Three];

/// A world with the plan's alert stored, and the state of its keys before the run.
async fn before(plan: PlanSize, seed: u64, effect: Effect) -> (World, KeyStates) {
    let setup = Setup::new(seed, effect);
    let world = match plan {
        PlanSize::One => World::starved(setup).await,
        PlanSize::Three => World::healthy(setup).await,
    };
    let key_states = world.key_states();

    match plan {
        PlanSize::One => world.alert("Slow", Some("1")).await,
        PlanSize::Three => world.alert("AllSlow", None).await,
    }

    (world, key_states)
}

/// Lets time pass until every run has ended, with a new process after each crash. Returns the
/// number of crashes.
async fn live_through(world: &mut World, crashes: &[Crash]) -> usize {
    for (crashed, &crash) in crashes.iter().chain([&Crash::Never]).enumerate() {
        world.start(crash);
        match world.until_over().await {
            WorkerEnd::Reached => return crashed,
            WorkerEnd::Over(ProcessEnd::Crashed) => (),
            life @ (WorkerEnd::TimeUp | WorkerEnd::Over(ProcessEnd::ByItself)) => {
                panic!("{life:?} after {crashes:?}: {}", world.story().await)
            }
        }
    }

    unreachable!("the last process does not crash")
}

/// Repeats the run, and each time another call of this kind fails.
#[track_caller]
fn each_call_fails(plan: PlanSize, effect: Effect, kind: CallKind, fault: CallFault) {
    let mut nth = 0;
    loop {
        let calls = simulate(async {
            let (mut world, key_states) = before(plan, 1, effect).await;
            world.kafka.fail(move |call| (call.kind == kind && call.nth == nth).then_some(fault));
            live_through(&mut world, &[]).await;
            world.verify(&key_states).await;

            world.kafka.calls(kind).len()
        });
        nth += 1;

        if calls <= nth {
            return;
        }
    }
}

const LATE: [u64; 4] = [3, 20, 50, 90];

#[test]
fn i21_i23_a_run_ends_whole_when_any_write_fails() {
    for plan in PLANS {
        for fault in [
            CallFault::Refuse,
            CallFault::LoseRequest,
            CallFault::LoseAnswer,
            CallFault::Break,
            CallFault::Unreachable,
            CallFault::NeverApplied,
            CallFault::Slow(Duration::from_secs(2)),
        ] {
            each_call_fails(plan, Effect::Nothing, CallKind::Write, fault);
        }
    }
}

#[test]
fn i21_i23_a_run_ends_whole_when_any_write_is_delayed() {
    for plan in PLANS {
        for late in LATE {
            let fault = CallFault::Late(Duration::from_secs(late));
            each_call_fails(plan, Effect::Nothing, CallKind::Write, fault);
        }
    }
}

#[test]
fn i19_i23_a_run_ends_whole_when_any_validation_fails() {
    for plan in PLANS {
        for fault in
            [CallFault::Refuse, CallFault::LoseRequest, CallFault::LoseAnswer, CallFault::Break]
        {
            each_call_fails(plan, Effect::Help, CallKind::Validate, fault);
        }
    }
}

#[test]
fn i21_a_run_ends_whole_when_any_read_fails() {
    for kind in [CallKind::Describe, CallKind::Topology, CallKind::Minimums] {
        for fault in [CallFault::Refuse, CallFault::LoseAnswer] {
            each_call_fails(PlanSize::One, Effect::Nothing, kind, fault);
        }
    }
    each_call_fails(PlanSize::Three, Effect::Nothing, CallKind::Describe, CallFault::LoseAnswer);
}

#[test]
fn i21_after_a_lost_response_the_value_is_read_back_and_kept() {
    for plan in PLANS {
        for fault in
            [CallFault::LoseAnswer, CallFault::Break, CallFault::Late(Duration::from_secs(20))]
        {
            simulate(async {
                let (mut world, key_states) = before(plan, 1, Effect::Help).await;
                world.kafka.fail(move |call| (call.kind == CallKind::Write).then_some(fault));
                live_through(&mut world, &[]).await;
                world.verify(&key_states).await;

                assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
            });
        }
    }
}

/// Repeats the run with a crash after each journal line; `again` adds later crashes.
fn each_line_is_the_last(plan: PlanSize, effect: Effect, again: impl Fn(u64) -> Vec<Crash>) {
    for line in 1.. {
        let crashed = simulate(async {
            let (mut world, key_states) = before(plan, 2, effect).await;
            let mut crashes = vec![Crash::AfterLine(line)];
            crashes.extend(again(line));
            let ended = live_through(&mut world, &crashes).await;
            world.verify(&key_states).await;

            assert_eq!(world.all_runs(), 1, "I4: {}", world.story().await);

            ended
        });
        if crashed == 0 {
            return;
        }
    }
}

#[test]
fn i22_a_crash_after_any_journal_line_leaves_no_half_done_change() {
    for plan in PLANS {
        for effect in [Effect::Help, Effect::Nothing] {
            each_line_is_the_last(plan, effect, |_| Vec::new());
        }
    }
}

#[test]
fn i22_two_crashes_in_a_row_leave_no_half_done_change() {
    for plan in PLANS {
        each_line_is_the_last(plan, Effect::Nothing, |line| vec![Crash::AfterLine(line + 1)]);
    }
}

/// Number of crash points of a run without faults: until it is effective, until its verdict, and to
/// its end.
fn moments(plan: PlanSize, effect: Effect) -> [u64; 3] {
    simulate(async {
        let (mut world, _) = before(plan, 3, effect).await;
        world.start(Crash::Never);
        let limit = Duration::from_mins(10);
        world.live(limit, |it| it.is_in_state(RunState::Settling)).await;
        let in_force = world.crash_points.passed();
        let judged =
            |it: &World| it.is_in_state(RunState::RollingBack) || it.is_in_state(RunState::Kept);
        world.live(limit, judged).await;

        let judged = world.crash_points.passed();
        world.until_over().await;
        [in_force, judged, world.crash_points.passed()]
    })
}

fn each_moment_is_the_last(plan: PlanSize, effect: Effect) {
    let [in_force, judged, end] = moments(plan, effect);
    let undone_from = judged.saturating_sub(60);

    // Observing changes nothing, so every twenty-ninth crash point is enough.
    let watched = (in_force..undone_from).step_by(29);

    for moment in (1..in_force).chain(watched).chain(undone_from..=end) {
        simulate(async {
            let (mut world, key_states) = before(plan, 3, effect).await;
            live_through(&mut world, &[Crash::AtMoment(moment)]).await;
            world.verify(&key_states).await;

            assert_eq!(world.all_runs(), 1, "I4: {}", world.story().await);
        });
    }
}

#[test]
fn i22_a_crash_at_any_await_of_a_kept_change_leaves_no_half_done_change() {
    for plan in PLANS {
        each_moment_is_the_last(plan, Effect::Help);
    }
}

#[test]
fn i22_a_crash_at_any_await_of_an_undone_change_leaves_no_half_done_change() {
    for plan in PLANS {
        each_moment_is_the_last(plan, Effect::Nothing);
    }
}

#[test]
fn i4_an_alert_delivered_again_at_every_step_starts_no_run() {
    for plan in PLANS {
        for effect in [Effect::Help, Effect::Nothing] {
            simulate(async {
                let (mut world, key_states) = before(plan, 4, effect).await;
                world.start(Crash::Never);

                while world.open_runs() != 0 || world.all_runs() == 0 {
                    world.pass(Duration::from_secs(1)).await;
                    let again = match plan {
                        PlanSize::One => crate::world::firing("Slow", Some("1")),
                        PlanSize::Three => crate::world::firing("AllSlow", None),
                    };
                    world.remediation.take(notification(vec![again])).await.unwrap();
                }

                world.verify(&key_states).await;
                assert_eq!(world.all_runs(), 1, "{}", world.story().await);
            });
        }
    }
}

#[test]
fn i23_a_kept_change_with_two_undo_requests_is_undone_once() {
    for plan in PLANS {
        simulate(async {
            let (mut world, key_states) = before(plan, 5, Effect::Help).await;
            live_through(&mut world, &[]).await;

            assert!(world.is_in_state(RunState::Kept));

            let run = kafka_optimizer::model::RunId(1);
            world.remediation.roll_back(run).await.unwrap();
            world.remediation.roll_back(run).await.unwrap();
            live_through(&mut world, &[Crash::AtMoment(40)]).await;
            world.verify(&key_states).await;

            assert!(world.is_in_state(RunState::RolledBack), "{}", world.story().await);
            assert!(world.remediation.roll_back(run).await.is_err());
        });
    }
}

/// One call in twelve fails.
fn trouble(seed: u64, call: &KafkaCall) -> Option<CallFault> {
    let broker = call.broker.map_or(0, |it| u64::from(it.to_wire().unsigned_abs()) + 1);
    let place = [7, call.kind as u64, broker, u64::try_from(call.nth_of_broker).unwrap()];
    let drawn = draw(seed, &place);

    if !drawn.is_multiple_of(12) {
        return None;
    }

    let more = Duration::from_millis(between(1, 40_000, drawn / 12 / 8));
    let fault = match drawn / 12 % 8 {
        0 => CallFault::Refuse,
        1 => CallFault::LoseRequest,
        2 => CallFault::Unreachable,
        3 => CallFault::Slow(more / 20),
        4 => CallFault::LoseAnswer,
        5 => CallFault::Break,
        6 => CallFault::NeverApplied,
        _ => CallFault::Late(more),
    };

    Some(fault)
}

async fn storm(seed: u64) {
    let drawn = |part: u64| draw(seed, &[11, part]);
    let plan = PLANS[usize::from(drawn(0) % 2 == 0)];
    let effect =
        [Effect::Help, Effect::Nothing, Effect::Harm][usize::try_from(drawn(1) % 3).unwrap()];
    let (mut world, key_states) = before(plan, seed, effect).await;
    world.kafka.fail(move |call| trouble(seed, call));
    world.prometheus.fail(lies(seed));
    world.sets_its_clock(seed);

    // An interrupted run uses up no attempt: without this the next one would follow, at once if the
    // clock is set, and the storm would end in the middle of it.
    for playbook in &mut world.setup.remediation.playbooks {
        playbook.windows.cooldown = Duration::from_hours(24);
    }

    let from = Duration::from_millis(between(0, 120_000, drawn(2)));
    let to = from + Duration::from_millis(between(0, 120_000, drawn(3)));
    world.kafka.freeze(1, from, to);
    let crash = |it: u64| match drawn(20 + it) % 3 {
        0 => Crash::AfterLine(between(1, 30, drawn(30 + it))),
        _ => Crash::AtMoment(between(1, 500, drawn(30 + it))),
    };
    let crashes: Vec<Crash> = (0..drawn(4) % 4).map(crash).collect();
    live_through(&mut world, &crashes).await;
    world.verify(&key_states).await;
}

/// `SEED=n` replays one.
#[test]
fn whatever_goes_wrong_nothing_is_left_half_done() {
    storms(50, storm);
}
