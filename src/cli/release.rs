//! `release`: ends quarantines.

use clap::Args;

use super::{
    YesArg,
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{ReleasePayload, ReleasedPayload};

/// Release what is quarantined after three rollbacks in a row, and keys that someone else changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer release                 on all clusters
  kafka-optimizer release --cluster main  on one")]
pub(super) struct ReleaseArgs {
    /// The cluster; all of them when left out.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl ReleaseArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        let where_to = self.cluster.as_deref().unwrap_or("all clusters");
        let question = format!("This lets runs start again on quarantined targets of {where_to}.");
        terminal.confirm(self.yes.consent(), &question)?;
        let release = ReleasePayload { cluster: self.cluster };
        let answer: ReleasedPayload = client.post("/api/v1/quarantine/release", &release).await?;
        match self.server.output {
            Output::Json => terminal.json(&answer)?,
            Output::Text if answer.released.is_empty() => {
                writeln!(terminal.out, "There was nothing to release.")?;
            }
            Output::Text => {
                for one in &answer.released {
                    writeln!(terminal.out, "Released: {}", show::plain(one))?;
                }
            }
        }
        Ok(Exit::Done)
    }
}
