//! `load`: runs real producers and consumers against a real cluster.

use std::sync::Arc;

use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{
    load_view::{LoadProgress, print_outcome},
    terminal::{Exit, Failure, Terminal},
};
use crate::{
    clock::SystemClock,
    config::{self, ClusterConfig},
    librdkafka::ClientConnection,
    load::{
        LoadClusterArgs, LoadCommand, LoadError, LoadOutput, LoadPlan, OpenLoopArgs, produce,
        run_plan,
    },
    model::ClusterName,
    shutdown::Tasks,
    telemetry::chain,
};

const ADVICE: &str = "check the cluster's address and credentials; --help explains the arguments";

pub(super) async fn run(
    command: LoadCommand,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let tasks = Tasks::default();
    let stop = tasks.stopping();
    stop_on_signals(&tasks, &stop);

    match command {
        LoadCommand::Baseline(args) => {
            run_open_loop(LoadPlan::baseline(&args), &args.common, stop, terminal).await
        }
        LoadCommand::Stress(args) => {
            run_open_loop(LoadPlan::stress(&args), &args.common, stop, terminal).await
        }
        LoadCommand::Produce(args) => {
            let connection = connection(&args.cluster)?;
            let clock = Arc::new(SystemClock::new());
            let done = produce(args, &connection, clock, stop, terminal.out).await;
            done.map(|_summary| Exit::Done).map_err(|error| failure(&error))
        }
    }
}

/// Ends the load, so that it deletes its topics.
fn stop_on_signals(tasks: &Tasks, stop: &CancellationToken) {
    let stop = stop.clone();
    tasks.start_short("interrupt", async move {
        // If a handler cannot be installed, the signal ends the process as usual.
        let Ok(mut terminated) = signal(SignalKind::terminate()) else { return };

        let interrupted = tokio::select! {
            interrupted = ctrl_c() => interrupted.is_ok(),
            terminated = terminated.recv() => terminated.is_some(),
        };

        if interrupted {
            stop.cancel();
        }
    });
}

async fn run_open_loop(
    plan: Result<LoadPlan, String>,
    args: &OpenLoopArgs,
    stop: CancellationToken,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let advice = "`kafka-optimizer help load` explains the limits";
    let plan = plan.map_err(|it| Failure::usage(it, advice))?;
    let connection = connection(&args.cluster)?;

    let mut bars = LoadProgress::new(&plan);
    let mut progress = |counts| bars.update(counts);
    let clock = Arc::new(SystemClock::new());
    let outcome = run_plan(&plan, &connection, clock, stop, &mut progress).await;
    bars.finish();

    let outcome = outcome.map_err(|error| failure(&error))?;
    match args.output {
        LoadOutput::Json => terminal.json(&outcome)?,
        LoadOutput::Table => print_outcome(&outcome, terminal.width, terminal.out)?,
    }
    terminal.out.flush()?;

    match outcome.problem() {
        None => Ok(Exit::Done),
        Some(problem) => Err(Failure::new(problem, "docs/load.md says what is counted, and how")),
    }
}

fn failure(error: &LoadError) -> Failure {
    Failure::new(chain(error), ADVICE)
}

/// The cluster that is named by its servers, or in a configuration file.
fn connection(args: &LoadClusterArgs) -> Result<ClientConnection, Failure> {
    let Some(file) = &args.config_file else {
        let bootstrap_servers = args.kafka_server.clone();
        return Ok(ClientConnection { bootstrap_servers, ..ClientConnection::default() });
    };

    let advice = "check the file with `kafka-optimizer check-config`";
    let loaded = config::load(file).map_err(|it| Failure::usage(chain(&it), advice))?;
    let cluster = choose_cluster(&loaded.config.clusters, args.cluster.as_deref())?;

    Ok(ClientConnection {
        bootstrap_servers: cluster.bootstrap_servers.clone(),
        security: cluster.security.clone(),
    })
}

fn choose_cluster<'a>(
    clusters: &'a [ClusterConfig],
    name: Option<&str>,
) -> Result<&'a ClusterConfig, Failure> {
    let names: Vec<&str> = clusters.iter().map(|it| it.name.as_str()).collect();
    let advice = format!("pass --cluster with one of: {}", names.join(", "));

    match (name.map(ClusterName::new), clusters) {
        (Some(name), _) => clusters
            .iter()
            .find(|it| it.name == name)
            .ok_or_else(|| Failure::usage(format!("there is no cluster {name}"), advice)),
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::usage("the configuration has several clusters", advice)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_unless_there_is_only_one() {
        let cluster = |it: &str| ClusterConfig::new(ClusterName::new(it), vec!["a:1".to_owned()]);
        let (one, two) = ([cluster("main")], [cluster("main"), cluster("other")]);

        assert_eq!(choose_cluster(&one, None).unwrap().name.as_str(), "main");
        assert_eq!(choose_cluster(&two, Some("other")).unwrap().name.as_str(), "other");
        assert!(choose_cluster(&two, None).is_err() && choose_cluster(&one, Some("x")).is_err());
    }
}
