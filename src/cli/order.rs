//! What all commands have in common that order a run.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::{
    client::{ApiClient, ServerArgs},
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::{
    http::payload::{OrderPayload, OrderedPayload, RunDetailPayload},
    model::RunState,
};

const WAIT_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// The cluster; may be left out when the server has one.
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,

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

/// ` of cluster NAME`, where one is named.
fn of_cluster(cluster: Option<&String>) -> String {
    cluster.map(|it| format!(" of cluster {it}")).unwrap_or_default()
}

impl OrderArgs {
    /// Asks, orders, and waits if that is wanted. `what` goes on from "This lets URL …".
    pub(super) async fn place(
        self,
        what: &str,
        order: OrderPayload,
        terminal: &mut Terminal<'_>,
    ) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        if !self.rehearse {
            let (url, cluster) = (client.url(), of_cluster(self.cluster.as_ref()));
            let question = format!("This lets {url} {what}{cluster}.");
            terminal.confirm(self.yes.consent(), &question)?;
        }
        let order = OrderPayload { cluster: self.cluster, rehearse: self.rehearse, ..order };
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
}

/// Follows the run to its end. Says on the error output where it stands, each time that changes.
async fn wait(
    client: &ApiClient,
    id: i64,
    output: Output,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let path = format!("/api/v1/runs/{id}");
    let mut shown = String::new();
    let detail = loop {
        let detail: RunDetailPayload = client.get(&path).await?;
        let line = show::status(&detail.run);
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
    let good = [RunState::Kept, RunState::Rehearsed, RunState::Expired].map(RunState::label);
    Ok(if good.contains(&detail.run.state.as_str()) { Exit::Done } else { Exit::Failed })
}
