//! `make proof`, and a short form of it for `make test`.

use std::path::PathBuf;

use crate::{
    limits::limits,
    rates::WorldRates,
    report::{
        LiveRuns, ProofResult, Summary, print_header, print_limits, print_mean, print_world, write,
    },
    simulation::EFFECTS,
    world::{WorldSpec, drawn, named},
    world_runs::{FALSE_IMPROVED, FALSE_REGRESSED, POWER_MINUS_50, POWER_MINUS_90, WorldRuns},
};

/// Clusters of each named world, and of each drawn one.
const CLUSTERS: u64 = 1000;
/// Of those with spells, which come near their limits: with 3,600 runs chance moves a share of 8 %
/// by less than half a percent.
const CLUSTERS_SPELLS: u64 = 4000;
const CLUSTERS_DRAWN: u64 = 200;
const DRAWN: u64 = 60;
/// A world in which so few alerts fire says nothing.
const RUNS_MIN: usize = 20;

#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Random numbers of one world do not depend on which others are simulated.
fn seed(world: &WorldSpec) -> u64 {
    let name = world.name.bytes().fold(7, |sum: u64, it| sum.wrapping_mul(31) + u64::from(it));
    name << 20
}

fn usual_clusters(world: &WorldSpec) -> u64 {
    match (world.is_drawn, &world.spells) {
        (true, _) => CLUSTERS_DRAWN,
        (false, Some(_)) => CLUSTERS_SPELLS,
        (false, None) => CLUSTERS,
    }
}

fn measured(world: WorldSpec, clusters: u64) -> Option<WorldRates> {
    let seed = seed(&world);
    let simulated = WorldRuns::of(world, clusters, seed);

    if simulated.runs.len() < RUNS_MIN {
        println!(
            "{:<12} {:>5}  the alert does not fire",
            simulated.world.name,
            simulated.runs.len()
        );
        return None;
    }

    let rates = WorldRates::of(&simulated);
    print_world(&rates);

    Some(rates)
}

#[test]
#[ignore = "run by make proof"]
fn verdicts_are_right_as_often_as_promised() {
    // For a part of it: names of worlds, and clusters of each.
    let only = variable("ONLY");
    let clusters = variable("CLUSTERS").map(|it| it.parse::<u64>().unwrap());
    let is_chosen = |it: &WorldSpec| {
        only.as_ref().is_none_or(|only| only.split(',').any(|name| name == it.name))
    };

    print_header();
    let worlds: Vec<WorldRates> = named()
        .into_iter()
        .chain((0..DRAWN).map(drawn))
        .filter(is_chosen)
        .filter_map(|world| {
            let usual = usual_clusters(&world);
            measured(world, clusters.unwrap_or(usual))
        })
        .collect();

    let all: Vec<&WorldRates> = worlds.iter().collect();
    let mut means = vec![WorldRates::mean("all worlds", &all)];

    if only.is_none() {
        let (drawn, named): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.is_drawn);
        means.push(WorldRates::mean("named worlds", &named));
        means.push(WorldRates::mean("drawn worlds", &drawn));
    }

    means.iter().for_each(print_mean);
    let is_part = only.is_some() || clusters.is_some();
    let limits = if is_part { Vec::new() } else { limits(&worlds, &means[0]) };
    if !is_part {
        print_limits(&limits);
    }

    let path = variable("KAFKA_OPTIMIZER_PROOF_RESULT").map(PathBuf::from);
    let live = path.as_ref().and_then(|it| LiveRuns::read(&it.with_file_name("live.json")));

    if live.is_none() {
        println!("\nRuns on a real cluster: not made, or without a result.");
    }

    let summary = Summary::of(&means[0], worlds.len(), &limits, live);
    let result = ProofResult { summary, effects: EFFECTS, limits, means, worlds };

    if let Some(path) = path {
        write(&if is_part { path.with_file_name("part.json") } else { path }, &result);
    }

    assert!(result.limits.iter().all(|it| it.is_kept), "a limit is missed, see above");
}

/// The most that a share may be in a few runs: twice the limits of all runs.
#[test]
#[ignore = "run by make proof, SMOKE=1"]
fn verdicts_are_right_in_two_worlds() {
    const CLUSTERS_FEW: u64 = 100;
    const FALSE_MAX: [f64; 6] = [0.12, 0.12, 0.10, 0.10, 0.08, 0.08];

    print_header();

    for (name, power_min) in [("queue", 0.85), ("ar-slow", 0.6)] {
        let world = named().into_iter().find(|it| it.name == name).unwrap();
        let rates = measured(world, CLUSTERS_FEW).unwrap();

        for (new, most) in rates.new.iter().zip(FALSE_MAX) {
            assert!(new.share(FALSE_IMPROVED) <= most, "{name}: {new:?}");
            assert!(new.share(FALSE_REGRESSED) <= most, "{name}: {new:?}");
        }

        let with_day = rates.new.last().unwrap();
        assert!(with_day.share(POWER_MINUS_50) >= power_min, "{name}: {with_day:?}");
        assert!(with_day.share(POWER_MINUS_90) >= 0.97, "{name}: {with_day:?}");
    }
}
