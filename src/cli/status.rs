//! `status`: what is going on now.

use std::io::{self, Write};

use clap::Args;

use super::{
    client::ServerArgs,
    show::{self, plain},
    terminal::{Exit, Failure, Output, Terminal},
};
use crate::http::payload::{ClusterStatusPayload, RunPayload, StatusPayload};

/// Show what is going on: the mode, whether remediation is paused, and each cluster's runs.
///
/// Lists the runs that are active, that wait for approval, that are held and why, that are stuck,
/// and the temporary changes with their end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer status
  kafka-optimizer status --output json   the same for a program")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl StatusArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let client = self.server.client()?;
        let status: StatusPayload = client.get("/api/v1/status").await?;

        match self.server.output {
            Output::Json => terminal.json(&status)?,
            Output::Text => print(&status, terminal.out)?,
        }

        Ok(Exit::Done)
    }
}

fn print(status: &StatusPayload, out: &mut dyn Write) -> io::Result<()> {
    let paused = if status.paused { ", paused: `kafka-optimizer resume` ends that" } else { "" };
    writeln!(out, "Mode {}{paused}", plain(&status.mode))?;

    status.clusters.iter().try_for_each(|it| print_cluster(it, out))
}

fn print_cluster(status: &ClusterStatusPayload, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nCluster {}", plain(&status.cluster))?;
    if status.active.is_empty() {
        writeln!(out, "  no run is active")?;
    }

    for run in &status.active {
        writeln!(out, "  active: {}", line(run))?;
    }

    for run in &status.awaiting_approval {
        writeln!(out, "  waits for approval: {}", line(run))?;
        writeln!(out, "    `kafka-optimizer approve {0}` or `reject {0}`.", run.id)?;
    }

    for run in &status.stuck {
        writeln!(out, "  stuck: {}", line(run))?;
        writeln!(
            out,
            "    `kafka-optimizer retry {0}`, or repair it and `acknowledge {0}`.",
            run.id
        )?;
    }

    if status.queued > 0 {
        writeln!(out, "  queued: {}", status.queued)?;
    }

    for held in &status.held {
        let (reason, meaning) = (plain(&held.reason), plain(&held.meaning));
        writeln!(out, "  held: {}, because {meaning} ({reason})", held.runs)?;
        writeln!(out, "    {}", plain(&held.advice))?;
    }

    for run in &status.temporary_changes {
        let end = run.expires_at.as_deref().map_or("-".to_owned(), show::clock_time);
        writeln!(out, "  temporary until {end}: {}", line(run))?;
    }

    for one in &status.quarantined {
        let (playbook, target) = (plain(&one.playbook), plain(&one.target));
        writeln!(out, "  quarantined: {playbook} on {target}")?;
    }

    for one in &status.changed_by_others {
        writeln!(out, "  changed by someone else: {}", plain(one))?;
    }

    Ok(())
}

fn line(run: &RunPayload) -> String {
    let (playbook, target) = (plain(&run.playbook), plain(&run.target));
    format!("run {} ({playbook} on {target}) is {}", run.id, show::status(run))
}
