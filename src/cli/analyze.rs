//! `analyze`: how the clusters are, what is most likely wrong with them, and what to do.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    check_config,
    client::ServerArgs,
    findings,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    analysis::TrafficLight,
    app::analyze::{AnalyzedCluster, ReadingPlan, configured, of_prometheus, only_name},
    config::{self, Config, DockerConfig, PrometheusConfig},
    http::{
        advice::{AdviceListPayload, ClusterAdvicePayload},
        findings::{ClusterFindingsPayload, FindingsPayload},
        with_query,
    },
    model::ClusterName,
    prometheus::PrometheusError,
    telemetry::chain,
};

const ADVICE: &str = "check the address, and that Prometheus can be reached from here";

/// Say how the clusters are, what is most likely wrong, and which command would help.
///
/// Changes nothing. Asks the running server, which knows its latest snapshot and its Prometheus.
/// Without a server: --kafka.server or --config.file reads the brokers itself, with their
/// containers and their Prometheus where they are named; --prometheus.url alone asks only
/// Prometheus. What could not be seen is said, and never taken for healthy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer analyze
  kafka-optimizer analyze --watch 60                                again every minute
  kafka-optimizer analyze --kafka.server kafka-1:9092               without a server
  kafka-optimizer analyze --config.file config.yaml                 with TLS, SASL, Docker
  kafka-optimizer analyze --advise                                  advice to clients too
  kafka-optimizer analyze --prometheus.url http://prometheus:9090   only what Prometheus knows
  kafka-optimizer analyze --exit-code --output json                 for monitoring

Exit codes with --exit-code:
  0  green: no finding
  1  yellow: look at it in working hours
  2  red: clients notice it, or soon will
  3  unknown: nothing could be seen, or the analysis failed")]
pub(super) struct AnalyzeArgs {
    #[command(flatten)]
    server: ServerArgs,

    /// Read the clusters of this configuration file, without a server: their brokers, containers
    /// and Prometheus.
    #[arg(long = "config.file", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read the cluster of this bootstrap server, without a server. May be given more than once.
    #[arg(long = "kafka.server", value_name = "HOST:PORT", conflicts_with = "config")]
    kafka_server: Vec<String>,

    /// Ask the Prometheus at this address, without a server.
    #[arg(long = "prometheus.url", value_name = "URL", conflicts_with = "config")]
    prometheus: Option<String>,

    /// With --kafka.server, ask the Docker engine that runs the brokers.
    #[arg(
        long,
        value_name = "SOCKET",
        num_args = 0..=1,
        default_missing_value = "/var/run/docker.sock",
        requires = "kafka_server"
    )]
    docker: Option<PathBuf>,

    /// Name of the cluster, instead of all; with --kafka.server, the name under which Prometheus
    /// and Docker know it.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Without a server, seconds between two readings of the brokers, for rates that Prometheus
    /// does not know; 0 reads once.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    rates_over: u64,

    /// Add advice to producers and consumers. A few record batches are read from the busiest
    /// topics, as a client without a group; no record is decoded.
    #[arg(long)]
    advise: bool,

    /// Do it again every so many seconds, until interrupted.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "300",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    watch: Option<u64>,

    /// Let the exit code say how the clusters are.
    #[arg(long, conflicts_with = "watch")]
    exit_code: bool,
}

impl AnalyzeArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        // Clusters that are read here keep what they know from one report to the next.
        let first = match self.read_here().await {
            Ok(mut read) => self.round(&mut read, terminal).await.map(|it| (read, it)),
            Err(failure) => Err(failure),
        };

        let (mut read, payload) = match first {
            Ok(done) => done,
            Err(failure) if self.exit_code => {
                terminal.report_failure(&failure, self.server.output);
                return Ok(Exit::Unknown);
            }
            Err(failure) => return Err(failure),
        };

        if let Some(seconds) = self.watch {
            return self.repeat(Duration::from_secs(seconds), &mut read, terminal).await;
        }

        Ok(if self.exit_code { exit(&payload.clusters) } else { Exit::Done })
    }

    /// The rounds after the first. One that fails is reported, and the next one tries again:
    /// servers are restarted.
    async fn repeat(
        &self,
        interval: Duration,
        read: &mut [AnalyzedCluster],
        terminal: &mut Terminal<'_>,
    ) -> Result<Exit, Failure> {
        loop {
            sleep(interval).await;

            if self.server.output == Output::Text {
                writeln!(terminal.out)?;
            }

            if let Err(failure) = self.round(read, terminal).await {
                if failure.ends_quietly() {
                    return Err(failure);
                }
                terminal.report_failure(&failure, self.server.output);
            }
        }
    }

    /// Analyses once, and prints what was found.
    async fn round(
        &self,
        read: &mut [AnalyzedCluster],
        terminal: &mut Terminal<'_>,
    ) -> Result<FindingsPayload, Failure> {
        let payload = self.payload(read).await?;

        match self.server.output {
            Output::Json => terminal.json(&payload)?,
            Output::Text => print(&payload, terminal.width, terminal.out)?,
        }
        terminal.out.flush()?;

        Ok(payload)
    }

    async fn payload(&self, read: &mut [AnalyzedCluster]) -> Result<FindingsPayload, Failure> {
        if !read.is_empty() {
            return Ok(self.reports(read).await);
        }

        let Some(url) = &self.prometheus else { return self.of_server().await };
        let mut known = of_prometheus(url, self.named()).await.map_err(|it| failed(&it))?;
        if known.is_empty() {
            return Err(no_such_cluster());
        }

        Ok(self.reports(&mut known).await)
    }

    /// Asks for advice first: what is found in the samples is then among the findings.
    async fn of_server(&self) -> Result<FindingsPayload, Failure> {
        let client = self.server.client()?;
        let path = |it: &str| with_query(it, &[("cluster", self.cluster.clone())]);
        let mut advised = AdviceListPayload::default();

        if self.advise {
            advised = client.get(&path("/api/v1/advice")).await?;
        }

        let mut payload: FindingsPayload = client.get(&path("/api/v1/findings")).await?;
        for cluster in &mut payload.clusters {
            let of_cluster = |it: &&ClusterAdvicePayload| it.cluster == cluster.cluster;
            cluster.advice = advised.clusters.iter().find(of_cluster).cloned();
        }

        Ok(payload)
    }

    async fn reports(&self, clusters: &mut [AnalyzedCluster]) -> FindingsPayload {
        let report = async |it: &mut AnalyzedCluster| {
            if self.advise { it.advised_report().await } else { it.report().await }
        };

        let reports = join_all(clusters.iter_mut().map(report)).await;
        let clusters = reports.iter().map(|it| ClusterFindingsPayload {
            advice: ClusterAdvicePayload::of(it),
            ..ClusterFindingsPayload::from(it)
        });

        FindingsPayload { clusters: clusters.collect() }
    }

    fn named(&self) -> Option<ClusterName> {
        self.cluster.as_deref().map(ClusterName::new)
    }

    /// The clusters whose brokers are read here; none where a server or only Prometheus is asked.
    async fn read_here(&self) -> Result<Vec<AnalyzedCluster>, Failure> {
        let plan = ReadingPlan {
            rates_over: Duration::from_secs(self.rates_over),
            repeat: self.watch.map(Duration::from_secs),
        };

        if let Some(path) = &self.config {
            let advice = "check the file with `kafka-optimizer check-config`";
            let loaded = config::load(path).map_err(|it| Failure::usage(chain(&it), advice))?;
            let mut config = loaded.config;
            let named = self.named();
            config.clusters.retain(|it| named.as_ref().is_none_or(|name| it.name == *name));

            if config.clusters.is_empty() {
                return Err(no_such_cluster());
            }
            return configured(&config, plan).map_err(|it| failed(&it));
        }

        if self.kafka_server.is_empty() {
            return Ok(Vec::new());
        }

        configured(&self.config_of_servers().await?, plan).map_err(|it| failed(&it))
    }

    /// A configuration of the one cluster that the arguments describe.
    async fn config_of_servers(&self) -> Result<Config, Failure> {
        let loaded = config::of_servers(&self.kafka_server)
            .map_err(|it| check_config::failure("--kafka.server", &it))?;
        let mut config = loaded.config;
        let known = match (&self.cluster, &self.prometheus) {
            (Some(name), _) => Some(ClusterName::new(name.as_str())),
            // Without a name the cluster is the one that Prometheus knows.
            (None, Some(url)) => only_name(url).await.map_err(|it| failed(&it))?,
            (None, None) => None,
        };

        for cluster in &mut config.clusters {
            cluster.docker = self.docker.clone().map(|socket| DockerConfig { socket });
            cluster.prometheus = self.prometheus.clone().map(PrometheusConfig::new);
            if let Some(name) = &known {
                cluster.name = name.clone();
            }
        }

        Ok(config)
    }
}

fn failed(error: &PrometheusError) -> Failure {
    Failure::new(chain(error), ADVICE)
}

fn no_such_cluster() -> Failure {
    Failure::new(
        "there is no such cluster",
        "check --cluster; Prometheus knows clusters whose `kafka-optimizer serve` it scrapes",
    )
}

fn print(payload: &FindingsPayload, width: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    for (index, cluster) in payload.clusters.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        findings::cluster(cluster, width, out)?;
    }

    Ok(())
}

/// The worst cluster counts; one of which nothing is known counts only if none is red.
fn exit(clusters: &[ClusterFindingsPayload]) -> Exit {
    let light =
        |it: &ClusterFindingsPayload| it.severity.as_deref().and_then(TrafficLight::from_label);
    let worst = clusters.iter().filter_map(light).max();
    let is_unknown = clusters.is_empty() || clusters.iter().any(|it| light(it).is_none());

    match worst {
        Some(TrafficLight::Red) => Exit::Red,
        _ if is_unknown => Exit::Unknown,
        Some(TrafficLight::Yellow) => Exit::Yellow,
        Some(TrafficLight::Green) | None => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst_cluster() {
        let of = |lights: &[Option<&str>]| {
            let cluster = |it: Option<&str>| ClusterFindingsPayload {
                severity: it.map(str::to_owned),
                ..ClusterFindingsPayload::default()
            };

            exit(&lights.iter().copied().map(cluster).collect::<Vec<_>>()).code()
        };

        assert_eq!(of(&[Some("green")]), 0);
        assert_eq!(of(&[Some("green"), Some("yellow")]), 1);
        assert_eq!(of(&[Some("red"), None]), 2);
        assert_eq!(of(&[Some("yellow"), None]), 3);
        assert_eq!(of(&[]), 3);
    }
}
