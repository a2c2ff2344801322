//! The optimizers of leaders, quotas and consumers: whatever fails, the change of each run is
//! complete or exactly undone.

use std::{collections::BTreeMap, time::Duration};

use kafka_optimizer::{
    model::{
        CloneState, DefaultQuota, GroupMembers, GroupName, GroupState, GroupType, HoldReason,
        LagMethod, LagTime, OffsetRange, Partition, QuotaKey, QuotaName, RunState, TopicName,
        WallTime,
    },
    snapshot::{Group, GroupPartition, GroupTopic, Offsets, Section, Snapshot},
    store::RunRow,
};

use crate::world::{
    CallFault, CallKind, Crash, Effect, ProcessEnd, Setup, WorkerEnd, World, between,
    docker::{DockerCallKind, SimulatedClone},
    draw, firing, greedy, id, lies, simulate, storms, with,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Leaders,
    Shed,
    Scale,
}

const ALL: [ChangeKind; 3] = [ChangeKind::Leaders, ChangeKind::Shed, ChangeKind::Scale];
const GROUP: &str = "a group of ours";

/// The quotas and clones that a run changes and has to restore.
pub(super) type TargetState = (Vec<(String, f64)>, BTreeMap<String, SimulatedClone>);

pub(super) fn standing(world: &World) -> TargetState {
    let quotas = world.kafka.state().metadata.quotas.clone();
    let quotas = quotas.into_iter().map(|((entity, _), value)| (entity.to_string(), value));
    (quotas.collect(), world.docker.state().clones.clone())
}

/// A group with growing lag and two containers.
fn behind(world: &mut World) {
    world.docker.run_consumer("worker-1", GROUP);
    world.docker.run_consumer("worker-2", GROUP);
    let members = GroupMembers {
        state: GroupState::Stable,
        count: 2,
        fingerprint: 7,
        static_members: 0,
        assignor: "range".to_owned(),
        assigned: Some(BTreeMap::from([(TopicName::new("orders"), 4)])),
    };
    world.kafka.state().metadata.groups.insert(GroupName::new(GROUP), members);
    world.tweak = Box::new(|it| show(it, 30_000));
}

/// Four partitions, each with this lag.
pub(super) fn show(snapshot: &mut Snapshot, lag: u64) {
    let at = snapshot.at;
    let time = Some(LagTime { age: Duration::from_secs(9), method: LagMethod::Interpolated });
    let partition =
        |partition| GroupPartition { partition, committed: Some(10), lag: Some(lag), time };
    let name = TopicName::new("orders");
    let ranges = (0..4).map(|index| {
        let end = 10 + i64::try_from(lag).unwrap();
        (index, OffsetRange { start: Some(0), end: Some(end) })
    });
    let offsets = Offsets::from([(name.clone(), ranges.collect())]);
    snapshot.offsets = Some(Section::new(offsets, at));

    let topic = GroupTopic {
        topic: name,
        partitions: (0..4).map(partition).collect(),
        committed_sum: Some(40),
        lag_sum: Some(4 * lag),
        time_max: time,
        uncommitted: Some(0),
        retention: None,
    };
    let group = Group {
        name: GroupName::new(GROUP),
        coordinator: id(1),
        protocol_type: "consumer".to_owned(),
        group_type: GroupType::Classic,
        state: GroupState::Stable,
        members: Some(2),
        unassigned: Vec::new(),
        rebalances: 0,
        progressed: Some(at),
        topics: vec![topic],
    };
    snapshot.groups = Some(Section::new(vec![group], at));
}

/// A world with the alert for this change stored.
pub(super) async fn before(work: ChangeKind, seed: u64, effect: Effect) -> World {
    let mut world = World::healthy(Setup::new(seed, effect)).await;
    let alert = match work {
        ChangeKind::Leaders => firing("LeadersAway", None),
        ChangeKind::Shed => firing("Flood", None),
        ChangeKind::Scale => {
            behind(&mut world);
            with(firing("Behind", None), "consumergroup", GROUP)
        }
    };
    world.deliver(alert).await;

    world
}

/// The state after a successful run.
fn done(work: ChangeKind, before: &TargetState) -> TargetState {
    let mut after = before.clone();
    match work {
        ChangeKind::Leaders => (),
        ChangeKind::Shed => after.0 = vec![(greedy().to_string(), f64::from(2_u32 << 20))],
        ChangeKind::Scale => {
            for number in 1..=2 {
                let clone = SimulatedClone {
                    run: Some(1),
                    of: "id of worker-1".to_owned(),
                    state: CloneState::Running,
                };
                after.1.insert(format!("worker-1-clone-1-{number}"), clone);
            }
        }
    }

    after
}

/// Lets time pass until every run has ended, with a new process after each crash. Returns the
/// number of crashes.
pub(super) async fn live_through(world: &mut World, crashes: &[Crash]) -> usize {
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

/// Run 1. If a clock jump has just expired its temporary change, the run after that.
async fn expired(world: &mut World) -> RunRow {
    for _ in 0..1_800 {
        let run = world.run(1).await.run;
        if run.state != RunState::Expiring {
            return run;
        }
        world.pass(Duration::from_secs(1)).await;
    }

    panic!("{}", world.story().await)
}

/// Checks after two minutes, in which delayed requests arrive, that the change is complete or
/// exactly undone.
async fn verify(world: &mut World, work: ChangeKind, before: &TargetState) {
    world.pass(Duration::from_mins(2)).await;
    let run = expired(world).await;
    let expected = if run.state == RunState::Kept {
        done(work, before)
    } else {
        let back = [RunState::RolledBack, RunState::Expired].contains(&run.state);
        let idle = [RunState::Held, RunState::Cancelled].contains(&run.state);
        let unwritten = idle && run.times.written.is_none();

        assert!(back || unwritten, "{}", world.story().await);

        before.clone()
    };

    assert_eq!(standing(world), expected, "{}", world.story().await);
    assert_eq!(world.all_runs(), 1, "I4: {}", world.story().await);
}

#[test]
fn a_change_that_helps_is_kept_and_any_other_is_undone_exactly() {
    for work in ALL {
        for (effect, state) in [
            (Effect::Help, RunState::Kept),
            (Effect::Nothing, RunState::RolledBack),
            (Effect::Harm, RunState::RolledBack),
        ] {
            simulate(async {
                let mut world = before(work, 1, effect).await;
                let standing = standing(&world);
                live_through(&mut world, &[]).await;
                verify(&mut world, work, &standing).await;

                assert!(world.is_in_state(state), "{work:?} {effect:?}: {}", world.story().await);
            });
        }
    }
}

#[test]
fn i23_a_prior_quota_is_restored_exactly() {
    simulate(async {
        let mut world = before(ChangeKind::Shed, 1, Effect::Nothing).await;
        let key = (greedy(), QuotaKey::ProducerByteRate);
        world.kafka.state().metadata.quotas.insert(key, 8_388_608.5);
        let standing = standing(&world);
        live_through(&mut world, &[]).await;
        verify(&mut world, ChangeKind::Shed, &standing).await;

        assert!(world.is_in_state(RunState::RolledBack));
        assert_eq!(world.run(1).await.steps.len(), 2);
    });
}

#[test]
fn i30_elected_leaders_stay_after_a_rollback() {
    simulate(async {
        let mut world = before(ChangeKind::Leaders, 1, Effect::Nothing).await;
        live_through(&mut world, &[]).await;

        assert!(world.is_in_state(RunState::RolledBack));
        assert!(world.kafka.state().metadata.leads_as_assigned());
    });
}

/// Repeats the run, and each time another call of this kind fails.
fn each_kafka_call_fails(work: ChangeKind, effect: Effect, kind: CallKind, fault: CallFault) {
    for nth in 0.. {
        let calls = simulate(async {
            let mut world = before(work, 1, effect).await;
            let standing = standing(&world);
            world.kafka.fail(move |call| (call.kind == kind && call.nth == nth).then_some(fault));
            live_through(&mut world, &[]).await;
            verify(&mut world, work, &standing).await;

            world.kafka.calls(kind).len()
        });
        if calls <= nth + 1 {
            return;
        }
    }
}

const FAULTS: [CallFault; 7] = [
    CallFault::Refuse,
    CallFault::LoseRequest,
    CallFault::LoseAnswer,
    CallFault::Break,
    CallFault::Unreachable,
    CallFault::Late(Duration::from_secs(20)),
    CallFault::Slow(Duration::from_secs(2)),
];

#[test]
fn i21_i23_a_run_ends_whole_when_any_quota_or_election_fails() {
    for effect in [Effect::Help, Effect::Nothing] {
        for fault in FAULTS {
            each_kafka_call_fails(ChangeKind::Shed, effect, CallKind::WriteQuota, fault);
            each_kafka_call_fails(ChangeKind::Leaders, effect, CallKind::Elect, fault);
        }
        each_kafka_call_fails(ChangeKind::Shed, effect, CallKind::Quotas, CallFault::LoseAnswer);
    }
}

#[test]
fn i21_i23_a_run_ends_whole_when_any_clone_fails() {
    for effect in [Effect::Help, Effect::Nothing] {
        for fault in FAULTS.into_iter().chain([CallFault::NeverApplied]) {
            for kind in [DockerCallKind::Start, DockerCallKind::Remove] {
                for nth in 0..4 {
                    simulate(async {
                        let mut world = before(ChangeKind::Scale, 1, effect).await;
                        let standing = standing(&world);
                        let fails = move |it: &crate::world::docker::DockerCall| {
                            (it.kind == kind && it.nth == nth).then_some(fault)
                        };
                        world.docker.fail(fails);
                        live_through(&mut world, &[]).await;
                        verify(&mut world, ChangeKind::Scale, &standing).await;
                    });
                }
            }
        }
    }
}

#[test]
fn i22_a_crash_after_any_journal_line_leaves_no_half_done_change() {
    for work in ALL {
        for effect in [Effect::Help, Effect::Nothing] {
            for line in 1.. {
                let crashed = simulate(async {
                    let mut world = before(work, 2, effect).await;
                    let standing = standing(&world);
                    let crashed = live_through(&mut world, &[Crash::AfterLine(line)]).await;
                    verify(&mut world, work, &standing).await;

                    crashed
                });
                if crashed == 0 {
                    break;
                }
            }
        }
    }
}

#[test]
fn i22_a_crash_at_any_await_before_the_change_is_effective_leaves_no_half_done_change() {
    for work in ALL {
        let in_force = simulate(async {
            let mut world = before(work, 3, Effect::Nothing).await;
            world.start(Crash::Never);
            world.live(Duration::from_mins(10), |it| it.is_in_state(RunState::Settling)).await;

            world.crash_points.passed()
        });
        for moment in 1..=in_force {
            simulate(async {
                let mut world = before(work, 3, Effect::Nothing).await;
                let standing = standing(&world);
                live_through(&mut world, &[Crash::AtMoment(moment)]).await;
                verify(&mut world, work, &standing).await;
            });
        }
    }
}

fn group(world: &World, change: impl FnOnce(&mut GroupMembers)) {
    let mut state = world.kafka.state();
    change(state.metadata.groups.values_mut().next().unwrap());
}

#[test]
fn i29_i37_a_group_that_may_not_be_scaled_holds_the_run() {
    let check = |want: HoldReason, words: &str, arrange: fn(&mut World)| {
        simulate(async {
            let mut world = before(ChangeKind::Scale, 1, Effect::Help).await;
            arrange(&mut world);
            world.start(Crash::Never);
            world.pass(Duration::from_secs(40)).await;
            let run = world.run(1).await.run;
            let note = run.note.clone().unwrap_or_default();

            assert_eq!(run.hold, Some(want), "{note}");
            assert!(note.contains(words), "{note}");
            assert_eq!(run.times.written, None);
        });
    };

    check(HoldReason::UnknownTarget, "no broker knows", |it| {
        it.kafka.state().metadata.groups.clear();
    });
    check(HoldReason::GroupUnstable, "preparing_rebalance", |it| {
        group(it, |it| it.state = GroupState::PreparingRebalance);
    });
    check(HoldReason::Unplannable, "group.instance.id", |it| group(it, |it| it.static_members = 1));
    check(HoldReason::Unplannable, "Kafka Streams", |it| {
        group(it, |it| it.assignor = "stream".to_owned());
    });
    check(HoldReason::GroupNotMoving, "committed nothing new", |it| {
        it.tweak = Box::new(|it| {
            show(it, 30_000);
            let section = it.groups.take().unwrap();
            let mut groups = section.value.to_vec();
            groups[0].progressed = Some(WallTime(0));
            it.groups = Some(Section::new(groups, section.at));
        });
    });
    check(HoldReason::EvidenceMissing, "is unknown on some partition", |it| {
        it.tweak = Box::new(|it| {
            show(it, 30_000);
            let section = it.groups.take().unwrap();
            let mut groups = section.value.to_vec();
            groups[0].topics[0].partitions[1].lag = None;
            it.groups = Some(Section::new(groups, section.at));
        });
    });
    check(HoldReason::Unplannable, "must not be cloned: it writes", |it| {
        for template in &mut it.docker.state().templates {
            template.objections.push("it writes to a volume".to_owned());
        }
    });
    check(HoldReason::Unplannable, "it is scaled above 50000", |it| {
        it.tweak = Box::new(|it| show(it, 100));
    });
    check(HoldReason::EvidenceMissing, "the log start offset", |it| {
        it.tweak = Box::new(|it| {
            show(it, 30_000);
            it.offsets = None;
        });
    });
}

/// Checks that the alert for a group that is behind starts no clone, and why.
#[track_caller]
fn scales_nothing(words: &str, tweak: fn(&mut Snapshot), arrange: fn(&mut World)) {
    simulate(async {
        let mut world = before(ChangeKind::Scale, 1, Effect::Help).await;
        world.tweak = Box::new(tweak);
        arrange(&mut world);
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;
        let run = world.run(1).await.run;
        let note = run.note.unwrap_or_default();

        assert_eq!(run.hold, Some(HoldReason::Unplannable), "{note}");
        assert!(note.contains(words), "{note}");
        assert!(world.docker.state().clones.is_empty());
    });
}

#[test]
fn i29_lag_on_a_topic_that_nobody_reads_makes_no_clone() {
    let subscribed_elsewhere: fn(&mut World) = |it| {
        let other = BTreeMap::from([(TopicName::new("payments"), 4)]);
        group(it, |it| it.assigned = Some(other));
    };
    scales_nothing(
        "orders does not count: the group is 120000 records behind on it, and no member subscribes",
        |it| show(it, 30_000),
        subscribed_elsewhere,
    );
}

#[test]
fn i29_lag_that_retention_deleted_makes_no_clone() {
    scales_nothing(
        "120000 of the 120000 records behind on orders do not count: they are deleted",
        |it| {
            show(it, 30_000);
            let end = Some(30_010);
            let ranges = (0..4).map(|index| (index, OffsetRange { start: end, end }));
            let offsets = Offsets::from([(TopicName::new("orders"), ranges.collect())]);
            it.offsets = Some(Section::new(offsets, it.at));
        },
        |_| (),
    );
}

#[test]
fn i28_a_quota_that_the_default_of_all_users_overrides_is_not_set() {
    simulate(async {
        let mut world = before(ChangeKind::Shed, 1, Effect::Help).await;
        let quota = DefaultQuota {
            user: Some(QuotaName::Default),
            client_id: None,
            key: QuotaKey::ProducerByteRate,
            value: 1e9,
        };
        world.kafka.state().metadata.default_quotas.push(quota);
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;
        let run = world.run(1).await.run;
        let note = run.note.unwrap_or_default();

        assert_eq!(run.hold, Some(HoldReason::Unplannable), "{note}");
        assert!(note.contains("would have no effect: that of default user"), "{note}");
    });
}

#[test]
fn i12_a_broker_that_is_cut_off_from_the_controllers_is_not_taken_for_someone_else() {
    for work in [ChangeKind::Shed, ChangeKind::Leaders] {
        for since in [RunState::Held, RunState::Observing] {
            simulate(async {
                let mut world = before(work, 1, Effect::Help).await;
                let standing = standing(&world);

                if since == RunState::Held {
                    world.kafka.cut_off(1);
                }

                world.start(Crash::Never);
                world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;

                if since == RunState::Observing {
                    world.kafka.cut_off(1);
                }

                world.until_over().await;
                assert!(world.is_in_state(RunState::Kept), "{work:?}: {}", world.story().await);

                verify(&mut world, work, &standing).await;
                if work == ChangeKind::Shed {
                    let expires = |it: &World| it.is_in_state(RunState::Expired);
                    let end = world.live(Duration::from_mins(30), expires).await;

                    assert_eq!(end, WorkerEnd::Reached, "{}", world.story().await);

                    verify(&mut world, work, &standing).await;
                }
            });
        }
    }
}

#[test]
fn i23_an_undo_is_not_believed_because_of_a_broker_that_is_cut_off() {
    for fault in [CallFault::LoseRequest, CallFault::LoseAnswer, CallFault::Refuse] {
        simulate(async {
            let mut world = before(ChangeKind::Shed, 1, Effect::Nothing).await;
            let standing = standing(&world);

            // It reports no quota, as after the undo.
            world.kafka.cut_off(1);

            // Three steps down, two up; the next one removes the quota.
            world.kafka.fail(move |call| {
                (call.kind == CallKind::WriteQuota && call.nth == 5).then_some(fault)
            });
            live_through(&mut world, &[]).await;
            verify(&mut world, ChangeKind::Shed, &standing).await;

            assert!(world.is_in_state(RunState::RolledBack), "{}", world.story().await);
            assert!(world.kafka.calls(CallKind::WriteQuota).len() > 5);
        });
    }
}

#[test]
fn i12_no_plan_begins_while_two_brokers_report_different_quotas() {
    simulate(async {
        let mut world = before(ChangeKind::Shed, 1, Effect::Help).await;
        world.kafka.cut_off(1);
        let key = (greedy(), QuotaKey::ProducerByteRate);
        world.kafka.state().metadata.quotas.insert(key, 8_388_608.5);
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;

        let run = world.run(1).await.run;
        let note = run.note.unwrap_or_default();

        assert_eq!(run.hold, Some(HoldReason::KafkaUnavailable), "{note}");
        assert!(note.contains("one is behind"), "{note}");
    });
}

#[test]
fn elections_do_not_read_the_whole_metadata_again_for_each_wave() {
    simulate(async {
        let mut world = before(ChangeKind::Leaders, 1, Effect::Help).await;
        {
            let mut state = world.kafka.state();
            let orders = &mut state.metadata.topics[0];
            let away = Partition { leader: Some(id(2)), ..orders.partitions[0].clone() };
            orders.partitions =
                (0..1_000).map(|index| Partition { index, ..away.clone() }).collect();
        }
        world.start(Crash::Never);
        world.live(Duration::from_mins(10), |it| it.is_in_state(RunState::Settling)).await;

        let waves = world.kafka.calls(CallKind::Elect).len();
        let (whole, named) = (CallKind::Topology, CallKind::Topics);

        assert!(waves >= 10, "{waves} waves");
        assert!(world.kafka.calls(named).len() >= 2 * waves);
        assert!(world.kafka.calls(whole).len() <= 2, "{:?}", world.kafka.calls(whole));
    });
}

#[test]
fn i8_an_alert_that_names_no_group_starts_nothing() {
    simulate(async {
        let mut world = World::healthy(Setup::new(1, Effect::Help)).await;
        world.deliver(firing("Behind", None)).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;

        assert_eq!(world.all_runs(), 0);
    });
}

/// One call in twelve fails.
fn trouble(seed: u64, place: &[u64]) -> Option<CallFault> {
    let drawn = draw(seed, place);
    if !drawn.is_multiple_of(12) {
        return None;
    }

    let more = Duration::from_millis(between(1, 40_000, drawn / 12 / 8));

    Some(match drawn / 12 % 7 {
        0 => CallFault::Refuse,
        1 => CallFault::LoseRequest,
        2 => CallFault::Unreachable,
        3 => CallFault::Slow(more / 20),
        4 => CallFault::LoseAnswer,
        5 => CallFault::Break,
        _ => CallFault::Late(more),
    })
}

async fn storm(seed: u64) {
    let drawn = |part: u64| draw(seed, &[17, part]);
    let pick = |part, of: u64| usize::try_from(drawn(part) % of).unwrap();
    let work = ALL[pick(0, 3)];
    let effect = [Effect::Help, Effect::Nothing, Effect::Harm][pick(1, 3)];
    let mut world = before(work, seed, effect).await;
    let standing = standing(&world);
    world
        .kafka
        .fail(move |it| trouble(seed, &[18, it.kind as u64, u64::try_from(it.nth).unwrap()]));
    world
        .docker
        .fail(move |it| trouble(seed, &[19, it.kind as u64, u64::try_from(it.nth).unwrap()]));
    world.prometheus.fail(lies(seed));
    world.sets_its_clock(seed);

    // An interrupted run uses up no attempt: without this the next one would follow.
    for playbook in &mut world.setup.remediation.playbooks {
        playbook.windows.cooldown = Duration::from_hours(24);
    }

    let crash = |it: u64| match drawn(40 + it) % 3 {
        0 => Crash::AfterLine(between(1, 30, drawn(50 + it))),
        _ => Crash::AtMoment(between(1, 300, drawn(50 + it))),
    };
    let crashes: Vec<Crash> = (0..drawn(2) % 4).map(crash).collect();
    live_through(&mut world, &crashes).await;

    // A later crash would fall into what is checked now.
    world.start(Crash::Never);
    verify(&mut world, work, &standing).await;
}

/// `SEED=n` replays one.
#[test]
fn whatever_goes_wrong_with_leaders_quotas_and_clones_nothing_is_left_half_done() {
    storms(50, storm);
}
