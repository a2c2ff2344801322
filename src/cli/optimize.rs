//! `optimize`: a person orders what an alert could.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::{
    client::{Client, ServerArgs},
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    http::payload::{OrderPayload, OrderedPayload, RunDetailPayload},
    model::RunState,
};

const WAIT_PAUSE: Duration = Duration::from_secs(1);

/// How far `tune-brokers` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LevelArg {
    /// 12 network and 12 I/O threads.
    Conservative,
    /// 16 and 16.
    Moderate,
    /// 32 and 32.
    Aggressive,
}

impl LevelArg {
    const fn label(self) -> &'static str {
        match self {
            Self::Conservative => "conservative",
            Self::Moderate => "moderate",
            Self::Aggressive => "aggressive",
        }
    }
}

/// Tune the thread pools of brokers: planned, rehearsed, measured, and kept or taken back.
///
/// Goes through the same guard, journal and verification as a run that an alert starts. Never
/// lowers a value, and stops at twice the value that a broker starts with.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer optimize --level moderate --rehearse          only what would be done
  kafka-optimizer optimize --level moderate --broker 1 --wait   one broker; ends with the verdict
  kafka-optimizer optimize --level aggressive --yes             all brokers, without being asked

With --wait the exit code is 0 when the change was kept (or rehearsed), else 1.")]
pub(super) struct OptimizeArgs {
    /// How far to go.
    #[arg(long, value_enum)]
    level: LevelArg,

    /// The broker's id; all brokers when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,

    /// The cluster; may be left out when the server has one.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Plan, and let the brokers validate the plan; change nothing.
    #[arg(long)]
    rehearse: bool,

    /// Wait for the end of the run, and show it.
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    yes: super::YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl OptimizeArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        if !self.rehearse {
            terminal.confirm(self.yes.consent(), &self.question(client.url()))?;
        }
        let order = OrderPayload {
            cluster: self.cluster,
            broker: self.broker,
            level: self.level.label().to_owned(),
            rehearse: self.rehearse,
        };
        let ordered: OrderedPayload = client.post("/api/v1/runs", &order).await?;
        if self.wait {
            return wait(&client, ordered.id, self.server.output, terminal).await;
        }
        match self.server.output {
            Output::Json => terminal.json(&ordered)?,
            Output::Text => {
                let id = ordered.id;
                writeln!(
                    terminal.out,
                    "Run {id} is stored. `kafka-optimizer runs {id}` shows it."
                )?;
            }
        }
        Ok(Exit::Done)
    }

    fn question(&self, url: &str) -> String {
        let brokers =
            self.broker.map_or_else(|| "all brokers".to_owned(), |id| format!("broker {id}"));
        let cluster =
            self.cluster.as_ref().map(|it| format!(" of cluster {it}")).unwrap_or_default();
        let level = self.level.label();
        format!("This lets {url} change the thread pools of {brokers}{cluster} (level {level}).")
    }
}

/// Follows the run to its end. Says on the error output where it stands, each time that changes.
async fn wait(
    client: &Client,
    id: i64,
    output: Output,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let path = format!("/api/v1/runs/{id}");
    let mut shown = String::new();
    let detail = loop {
        let detail: RunDetailPayload = client.get(&path).await?;
        let line = show::standing(&detail.run);
        if line != shown {
            writeln!(terminal.err, "Run {id}: {line}")?;
            shown = line;
        }
        if RunState::from_label(&detail.run.state).is_none_or(RunState::is_end) {
            break detail;
        }
        sleep(WAIT_PAUSE).await;
    };
    match output {
        Output::Json => terminal.json(&detail)?,
        Output::Text => show::run(&detail, terminal.out)?,
    }
    let good = [RunState::Kept, RunState::Rehearsed].map(RunState::label);
    Ok(if good.contains(&detail.run.state.as_str()) { Exit::Done } else { Exit::Failed })
}
