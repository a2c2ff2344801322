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
  kafka-optimizer status                                             what is quarantined
  kafka-optimizer release --playbook threads --target 'broker 1'     one quarantine
  kafka-optimizer release --key num.io.threads --target 'broker 1'   one changed key
  kafka-optimizer release --cluster main                             everything of one cluster
  kafka-optimizer release                                            everything of all clusters")]
pub(super) struct ReleaseArgs {
    /// Name of the cluster; all clusters if left out. With other options, it may be left out if the
    /// server has only one.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Release only the quarantine of this playbook on the target.
    #[arg(long, value_name = "NAME", requires = "target", conflicts_with = "key")]
    playbook: Option<String>,

    /// Target of the quarantine, or the broker of the key: `cluster`, `broker 1`, `group orders`.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,

    /// Release only this key that someone else changed.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    #[command(flatten)]
    yes: YesArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl ReleaseArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        if self.target.is_some() && self.playbook.is_none() && self.key.is_none() {
            let advice = "pass the playbook with --playbook, or the key with --key";
            return Err(Failure::usage("--target needs --playbook or --key", advice));
        }

        let client = self.server.client()?;
        let clusters = match &self.cluster {
            Some(name) => format!("cluster {name}"),
            None => "all clusters".to_owned(),
        };
        let question = match (&self.key, &self.playbook, &self.target) {
            (Some(key), ..) => format!("This lets runs change {key} again."),
            (None, Some(playbook), Some(target)) => {
                format!("This lets runs of {playbook} start again on {target}.")
            }
            _ => format!("This lets runs start again on quarantined targets of {clusters}."),
        };
        terminal.confirm(self.yes.yes, &question)?;

        let Self { cluster, playbook, target, key, .. } = self;
        let release = ReleasePayload { cluster, playbook, target, key };
        let answer: ReleasedPayload = client.post("/api/v1/quarantine/release", &release).await?;

        match self.server.output {
            Output::Json => terminal.json(&answer)?,
            Output::Text if answer.released.is_empty() => {
                writeln!(
                    terminal.out,
                    "Nothing was quarantined, and no key was changed by someone else."
                )?;
            }
            Output::Text => {
                for one in &answer.released {
                    let line = format!("Released: {}", show::plain(one));
                    writeln!(terminal.out, "{}", show::wrapped(&line, terminal.width))?;
                }
            }
        }

        Ok(Exit::Done)
    }
}
