//! `analyze`: how the clusters are, what is most likely wrong with them, and what to do.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use tokio::time::sleep;

use super::{
    client::ServerArgs,
    findings,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    analysis::TrafficLight,
    app::analyze::{ClusterSource, configured, of_prometheus},
    clock::{Clock, SystemClock},
    config,
    http::{
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
/// Changes nothing. Asks the running server, which knows its latest snapshot and its Prometheus;
/// or, with --config.file or --prometheus.url, only Prometheus, without a server. What could not
/// be seen is said, and never taken for healthy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer analyze
  kafka-optimizer analyze --watch 60                                again every minute
  kafka-optimizer analyze --prometheus.url http://prometheus:9090   without a server
  kafka-optimizer analyze --exit-code --output json                 for monitoring

Exit codes with --exit-code:
  0  green: no finding
  1  yellow: look at it in working hours
  2  red: clients notice it, or soon will
  3  unknown: nothing could be seen, or the analysis failed")]
pub(super) struct AnalyzeArgs {
    #[command(flatten)]
    server: ServerArgs,

    /// Ask the Prometheus of each cluster in this configuration file, without a server.
    #[arg(long = "config.file", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Ask the Prometheus at this address, without a server.
    #[arg(long = "prometheus.url", value_name = "URL", conflicts_with = "config")]
    prometheus: Option<String>,

    /// Name of the cluster, instead of all.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

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
        let payload = match self.round(terminal).await {
            Ok(payload) => payload,
            Err(failure) if self.exit_code => {
                terminal.report_failure(&failure, self.server.output);
                return Ok(Exit::Unknown);
            }
            Err(failure) => return Err(failure),
        };

        if let Some(seconds) = self.watch {
            return self.repeat(Duration::from_secs(seconds), terminal).await;
        }

        Ok(if self.exit_code { exit(&payload.clusters) } else { Exit::Done })
    }

    /// The rounds after the first. One that fails is reported, and the next one tries again:
    /// servers are restarted.
    async fn repeat(
        &self,
        interval: Duration,
        terminal: &mut Terminal<'_>,
    ) -> Result<Exit, Failure> {
        loop {
            sleep(interval).await;
            if self.server.output == Output::Text {
                writeln!(terminal.out)?;
            }

            if let Err(failure) = self.round(terminal).await {
                if failure.ends_quietly() {
                    return Err(failure);
                }
                terminal.report_failure(&failure, self.server.output);
            }
        }
    }

    /// Analyses once, and prints what was found.
    async fn round(&self, terminal: &mut Terminal<'_>) -> Result<FindingsPayload, Failure> {
        let payload = self.payload().await?;
        match self.server.output {
            Output::Json => terminal.json(&payload)?,
            Output::Text => print(&payload, terminal.width, terminal.out)?,
        }
        terminal.out.flush()?;

        Ok(payload)
    }

    async fn payload(&self) -> Result<FindingsPayload, Failure> {
        let failed = |it: PrometheusError| Failure::new(chain(&it), ADVICE);
        let named = self.cluster.as_deref().map(ClusterName::new);

        let sources = match (&self.config, &self.prometheus) {
            (Some(path), _) => {
                let advice = "check the file with `kafka-optimizer check-config`";
                let loaded = config::load(path).map_err(|it| Failure::usage(chain(&it), advice))?;
                let mut sources = configured(&loaded.config).map_err(failed)?;
                sources.retain(|it| named.as_ref().is_none_or(|name| it.cluster == *name));
                sources
            }
            (None, Some(url)) => of_prometheus(url, named).await.map_err(failed)?,
            (None, None) => {
                let path = with_query("/api/v1/findings", &[("cluster", self.cluster.clone())]);
                return self.server.client()?.get(&path).await;
            }
        };

        if sources.is_empty() {
            return Err(Failure::new(
                "there is no such cluster",
                "check --cluster; Prometheus knows clusters whose `kafka-optimizer serve` it scrapes",
            ));
        }

        Ok(reports(&sources).await)
    }
}

async fn reports(sources: &[ClusterSource]) -> FindingsPayload {
    let clock = SystemClock::new();
    let mut clusters = Vec::with_capacity(sources.len());
    for source in sources {
        let report = source.report(clock.wall()).await;
        clusters.push(ClusterFindingsPayload::from(&report));
    }

    FindingsPayload { clusters }
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
