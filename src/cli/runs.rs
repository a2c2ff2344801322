//! `runs`: the history of runs, and one run in detail.

use clap::Args;

use super::{
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{RunDetailPayload, RunsPayload};

/// Show the latest runs, or one run with its plan, steps, timeline and verdict.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer runs                   the latest runs, newest first
  kafka-optimizer runs 7                 everything about run 7
  kafka-optimizer runs 7 --output json   the same for a program")]
pub(super) struct RunsArgs {
    /// Number of the run.
    #[arg(value_name = "RUN")]
    run: Option<i64>,

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

impl RunsArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        if let Some(id) = self.run {
            let run: RunDetailPayload = client.get(&format!("/api/v1/runs/{id}")).await?;
            match self.server.output {
                Output::Json => terminal.json(&run)?,
                Output::Text => show::run(&run, terminal.out)?,
            }

            return Ok(Exit::Done);
        }

        let runs: RunsPayload = client.get(&format!("/api/v1/runs?limit={}", self.limit)).await?;
        match self.server.output {
            Output::Json => terminal.json(&runs)?,
            Output::Text if runs.runs.is_empty() => {
                writeln!(
                    terminal.out,
                    "No runs yet. An alert that matches a playbook starts one; so does \
                     `kafka-optimizer tune-brokers`."
                )?;
            }
            Output::Text => show::runs(&runs, terminal.out)?,
        }

        Ok(Exit::Done)
    }
}
