//! `replay`: the verdicts that runs would have had in the past.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde::Serialize;

use super::{
    show::{rendered, table},
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    app::replay::{ReplayError, Replayed, replay},
    clock::{Clock, SystemClock},
    config::{self, ClusterConfig, Config},
    model::{BrokerId, GroupName, Target, Verdict, WallTime, significant},
    playbook::Playbook,
    telemetry::chain,
};

/// Most times that are judged: each takes up to six range queries.
const TIMES_MAX: usize = 1_000;

const ADVICE: &str = "check the file, and that its Prometheus can be reached from here";

/// Show which verdicts a playbook would have given in the past, from Prometheus's history.
///
/// Nothing is changed, neither now nor then: of a time at which nobody changed anything, every
/// `improved` and `regressed` is false. Run this before you let a playbook act: it shows how often
/// your own cluster would have deceived it. A time just after a change that somebody made shows
/// whether it would have been kept.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer replay --config.file c.yaml --playbook broker-threads --broker 1
  kafka-optimizer replay --config.file c.yaml --playbook broker-threads --broker 1 --since 7d
  kafka-optimizer replay --config.file c.yaml --playbook behind --group orders --at 2026-05-04T03:12Z")]
pub(super) struct ReplayArgs {
    /// Path of the configuration file.
    #[arg(long = "config.file", value_name = "FILE")]
    config: PathBuf,

    /// Name of the playbook whose objective is judged.
    #[arg(long)]
    playbook: String,

    /// Name of the cluster, if several are configured.
    #[arg(long)]
    cluster: Option<String>,

    /// Broker, if the playbook's expressions are about one.
    #[arg(long, conflicts_with = "group")]
    broker: Option<i32>,

    /// Group, if the playbook's expressions are about one.
    #[arg(long)]
    group: Option<String>,

    /// How far back the times begin.
    #[arg(long, default_value = "1d", value_parser = humantime::parse_duration)]
    since: Duration,

    /// The distance between two times.
    #[arg(long, default_value = "30m", value_parser = humantime::parse_duration)]
    every: Duration,

    /// One time instead, such as that of a change.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "every"])]
    at: Option<jiff::Timestamp>,

    /// Output for people or for programs.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What `--output json` prints: counts, and each time.
#[derive(Serialize)]
struct ReplayReport {
    playbook: String,
    target: String,
    runs: usize,
    improved: usize,
    regressed: usize,
    neutral: usize,
    inconclusive: usize,
    times: Vec<ReplayedEntry>,
}

#[derive(Serialize)]
struct ReplayedEntry {
    at: String,
    verdict: String,
    before: Option<f64>,
    after: Option<f64>,
    sentence: String,
}

impl ReplayArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let loaded = config::load(&self.config).map_err(|it| Failure::new(chain(&it), ADVICE))?;
        let (cluster, playbook) = self.chosen(&loaded.config)?;
        let target = self.target()?;
        let failed = |it: ReplayError| Failure::new(chain(&it), ADVICE);
        let replay = replay(cluster, playbook, &target).await.map_err(failed)?;
        let times = self.times(SystemClock::new().wall(), replay.span())?;

        let mut found = Vec::with_capacity(times.len());
        for (index, at) in times.iter().enumerate() {
            if terminal.interactive {
                write!(terminal.err, "\r{index} of {} times", times.len())?;
            }
            found.push(replay.at(*at).await.map_err(failed)?);
        }
        if terminal.interactive {
            write!(terminal.err, "\r                         \r")?;
        }

        match self.output {
            Output::Json => terminal.json(&self.report(&target, &found))?,
            Output::Text => self.print(&target, &found, terminal)?,
        }

        Ok(Exit::Done)
    }

    fn chosen<'a>(&self, config: &'a Config) -> Result<(&'a ClusterConfig, &'a Playbook), Failure> {
        let mut clusters = config.clusters.iter();
        let cluster = match &self.cluster {
            Some(name) => clusters.find(|it| it.name.as_str() == name),
            None if config.clusters.len() == 1 => clusters.next(),
            None => {
                return Err(Failure::new(
                    "several clusters are configured",
                    "name one with --cluster",
                ));
            }
        };
        let names: Vec<&str> = config.clusters.iter().map(|it| it.name.as_str()).collect();
        let cluster = cluster.ok_or_else(|| {
            Failure::new(
                "the cluster is not configured",
                format!("there are: {}", names.join(", ")),
            )
        })?;

        let playbooks = &config.remediation.playbooks;
        let playbook = playbooks.iter().find(|it| it.name == self.playbook).ok_or_else(|| {
            let names: Vec<&str> = playbooks.iter().map(|it| it.name.as_str()).collect();
            let problem = format!("the playbook `{}` is not configured", self.playbook);
            Failure::new(problem, format!("there are: {}", names.join(", ")))
        })?;

        Ok((cluster, playbook))
    }

    fn target(&self) -> Result<Target, Failure> {
        match (self.broker, &self.group) {
            (Some(id), _) => BrokerId::from_wire(id).map(Target::Broker).ok_or_else(|| {
                Failure::new(format!("{id} is no broker id"), "ids are numbers from 0")
            }),
            (None, Some(group)) => Ok(Target::Group(GroupName::new(group.as_str()))),
            (None, None) => Ok(Target::Cluster),
        }
    }

    /// The times that have been observed completely, oldest first.
    fn times(&self, now: WallTime, span: Duration) -> Result<Vec<WallTime>, Failure> {
        let last = now.before(span);
        if let Some(at) = self.at {
            let at = WallTime(at.as_millisecond());
            return if at <= last {
                Ok(vec![at])
            } else {
                let span = humantime::format_duration(span);
                Err(Failure::new(
                    "this time has not been observed completely",
                    format!("a verdict may take {span}: try again later, or an earlier time"),
                ))
            };
        }

        let mut at = now.before(self.since);
        let mut times = Vec::new();
        while at <= last && times.len() <= TIMES_MAX && !self.every.is_zero() {
            times.push(at);
            at = at.after(self.every);
        }

        if times.is_empty() || times.len() > TIMES_MAX {
            let advice = format!("choose --since and --every so that there are 1 to {TIMES_MAX}");
            return Err(Failure::new(format!("{} times to judge", times.len()), advice));
        }
        Ok(times)
    }

    fn report(&self, target: &Target, found: &[Replayed]) -> ReplayReport {
        let count = |verdict| found.iter().filter(|it| it.verdict == verdict).count();
        let entry = |it: &Replayed| ReplayedEntry {
            at: shown(it.at),
            verdict: it.verdict.to_string(),
            before: it.before,
            after: it.after,
            sentence: it.sentence.clone(),
        };

        ReplayReport {
            playbook: self.playbook.clone(),
            target: target.to_string(),
            runs: found.len(),
            improved: count(Verdict::Improved),
            regressed: count(Verdict::Regressed),
            neutral: count(Verdict::Neutral),
            inconclusive: count(Verdict::Inconclusive),
            times: found.iter().map(entry).collect(),
        }
    }

    fn print(
        &self,
        target: &Target,
        found: &[Replayed],
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        let report = self.report(target, found);
        let number = |it: Option<f64>| it.map_or_else(|| "-".to_owned(), significant);
        let mut rows = table(&["TIME", "VERDICT", "BEFORE", "AFTER", "EVIDENCE"]);
        for it in &report.times {
            let (before, after) = (number(it.before), number(it.after));
            rows.add_row([&it.at, &it.verdict, &before, &after, &it.sentence]);
        }
        let text = rendered(rows, terminal.width);
        writeln!(terminal.out, "{text}\n")?;

        let share = |it: usize| {
            let percent = it.saturating_mul(100).checked_div(report.runs).unwrap_or_default();
            format!("{it} ({percent} %)")
        };
        writeln!(
            terminal.out,
            "{} on {}: {} times, improved {}, regressed {}, neutral {}, inconclusive {}",
            report.playbook,
            report.target,
            report.runs,
            share(report.improved),
            share(report.regressed),
            share(report.neutral),
            share(report.inconclusive),
        )?;
        writeln!(
            terminal.out,
            "Where nobody changed anything, each `improved` and `regressed` is false."
        )?;

        Ok(())
    }
}

fn shown(at: WallTime) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|it| it.to_string()).unwrap_or_default()
}
