//! `runs`: the history of runs, and one run in detail.

use clap::{Args, builder::PossibleValuesParser};
use serde::Serialize;

use super::{
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    http::{
        payload::{RunDetailPayload, RunsPayload},
        with_query,
    },
    model::RunState,
    verdict::{Conclusion, VerdictCase},
};

/// Show the latest runs, or one run with its plan, steps, timeline and verdict.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer runs                                    the latest runs, newest first
  kafka-optimizer runs --state held,stuck --since 24h     those of the last day that need attention
  kafka-optimizer runs --cluster main --before 120        the next page
  kafka-optimizer runs 7                                  everything about run 7
  kafka-optimizer runs 7 --output json                    the same for a program
  kafka-optimizer runs 7 --again                          compute the verdict of run 7 again")]
pub(super) struct RunsArgs {
    /// Number of the run.
    #[arg(
        value_name = "RUN",
        conflicts_with_all = ["cluster", "state", "playbook", "since", "before"]
    )]
    run: Option<i64>,

    /// Compute the verdict again, from the bins that were stored with the run.
    #[arg(long, requires = "run")]
    again: bool,

    /// Only runs of this cluster.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Only runs in these states, separated by commas.
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(RunState::ALL.iter().map(|it| it.label()))
    )]
    state: Vec<String>,

    /// Only runs of this playbook.
    #[arg(long, value_name = "NAME")]
    playbook: Option<String>,

    /// Only runs created since then: a time such as 2026-01-02T03:04:05Z, or a duration such as
    /// 24h.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only runs with a smaller number: the next page.
    #[arg(long, value_name = "RUN")]
    before: Option<i64>,

    /// Maximum number of runs to show.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    limit: u32,

    #[command(flatten)]
    server: ServerArgs,
}

/// Result of `--again` with `--output json`.
#[derive(Serialize)]
struct JudgedAgain {
    verdict: &'static str,
    sentence: String,
}

impl RunsArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        if let Some(id) = self.run.filter(|_| self.again) {
            return self.judge_again(id, terminal).await;
        }
        if let Some(id) = self.run {
            let run: RunDetailPayload = client.get(&format!("/api/v1/runs/{id}")).await?;
            match self.server.output {
                Output::Json => terminal.json(&run)?,
                Output::Text => show::run(&run, terminal.width, terminal.out)?,
            }

            return Ok(Exit::Done);
        }

        let runs: RunsPayload = client.get(&self.path()).await?;
        match self.server.output {
            Output::Json => terminal.json(&runs)?,
            Output::Text if runs.runs.is_empty() && self.is_filtered() => {
                writeln!(terminal.out, "No run matches.")?;
            }
            Output::Text if runs.runs.is_empty() => {
                writeln!(
                    terminal.out,
                    "No runs yet. An alert that matches a playbook starts one; so does \
                     `kafka-optimizer tune-brokers`."
                )?;
            }
            Output::Text => {
                show::runs(&runs, terminal.width, terminal.out)?;
                if let Some(next) = runs.next {
                    writeln!(terminal.err, "Older runs: --before {next}")?;
                }
            }
        }

        Ok(Exit::Done)
    }

    /// Computed here, so that nothing of the running program has to be believed but the bins.
    async fn judge_again(&self, id: i64, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let case: VerdictCase =
            self.server.client()?.get(&format!("/api/v1/runs/{id}/case")).await?;
        let Conclusion { verdict, evidence, .. } = case.conclusion();
        let again = JudgedAgain { verdict: verdict.label(), sentence: evidence.sentence(verdict) };

        match self.server.output {
            Output::Json => terminal.json(&again)?,
            Output::Text => {
                let line = format!("{}: {}", again.verdict, again.sentence);
                writeln!(terminal.out, "{}", show::wrapped(&line, terminal.width))?;
            }
        }

        Ok(Exit::Done)
    }

    const fn is_filtered(&self) -> bool {
        self.cluster.is_some()
            || !self.state.is_empty()
            || self.playbook.is_some()
            || self.since.is_some()
            || self.before.is_some()
    }

    fn path(&self) -> String {
        let states = (!self.state.is_empty()).then(|| self.state.join(","));

        with_query(
            "/api/v1/runs",
            &[
                ("limit", Some(self.limit.to_string())),
                ("cluster", self.cluster.clone()),
                ("state", states),
                ("playbook", self.playbook.clone()),
                ("since", self.since.clone()),
                ("before", self.before.map(|it| it.to_string())),
            ],
        )
    }
}
