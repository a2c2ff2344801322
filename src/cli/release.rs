//! `release`: ends quarantines, so that runs may start there again.

use clap::Args;

use super::{
    YesArg,
    client::ServerArgs,
    show,
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{ReleasePayload, ReleasedPayload};

/// Release targets quarantined after three rollbacks in a row, and keys that someone else changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer release                  on all clusters
  kafka-optimizer release --cluster main   on one cluster")]
pub(super) struct ReleaseArgs {
    /// Name of the cluster; all clusters if left out.
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
        let clusters = match &self.cluster {
            Some(name) => format!("cluster {name}"),
            None => "all clusters".to_owned(),
        };

        let question = format!("This lets runs start again on quarantined targets of {clusters}.");
        terminal.confirm(self.yes.yes, &question)?;

        let release = ReleasePayload { cluster: self.cluster };
        let answer: ReleasedPayload = client.post("/api/v1/quarantine/release", &release).await?;
        match self.server.output {
            Output::Json => terminal.json(&answer)?,
            Output::Text if answer.released.is_empty() => {
                writeln!(terminal.out, "Nothing was quarantined.")?;
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
