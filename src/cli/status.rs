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
            Output::Text => print(&status, terminal.width, terminal.out)?,
        }

        Ok(Exit::Done)
    }
}

fn print(status: &StatusPayload, width: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    for line in lines(status) {
        writeln!(out, "{}", show::wrapped(&line, width))?;
    }

    Ok(())
}

fn lines(status: &StatusPayload) -> Vec<String> {
    let paused = if status.paused { ", paused: `kafka-optimizer resume` ends that" } else { "" };
    let mut lines = vec![format!("Mode {}{paused}", plain(&status.mode))];
    lines.extend(status.clusters.iter().flat_map(cluster_lines));

    lines
}

fn cluster_lines(status: &ClusterStatusPayload) -> Vec<String> {
    let mut lines = vec![String::new(), format!("Cluster {}", plain(&status.cluster))];
    if status.active.is_empty() {
        lines.push("  no run is active".to_owned());
    }

    lines.extend(status.active.iter().map(|it| format!("  active: {}", line(it))));

    for run in &status.awaiting_approval {
        lines.push(format!("  waits for approval: {}", line(run)));
        lines.push(format!("    `kafka-optimizer approve {0}` or `reject {0}`.", run.id));
    }

    for run in &status.stuck {
        let id = run.id;
        lines.push(format!("  stuck: {}", line(run)));
        lines.push(format!(
            "    `kafka-optimizer retry {id}`, or repair it and `acknowledge {id}`."
        ));
    }

    if status.queued > 0 {
        lines.push(format!("  queued: {}", status.queued));
    }

    for held in &status.held {
        let (reason, meaning) = (plain(&held.reason), plain(&held.meaning));
        lines.push(format!("  held: {}, because {meaning} ({reason})", held.runs));
        lines.push(format!("    {}", plain(&held.advice)));
    }

    for run in &status.temporary_changes {
        let end = run.expires_at.as_deref().map_or("-".to_owned(), show::clock_time);
        lines.push(format!("  temporary until {end}: {}", line(run)));
    }

    for one in &status.quarantined {
        let (playbook, target) = (plain(&one.playbook), plain(&one.target));
        lines.push(format!("  quarantined: {playbook} on {target}"));
    }

    let changed = status.changed_by_others.iter();
    lines.extend(changed.map(|it| format!("  changed by someone else: {}", plain(it))));

    lines
}

fn line(run: &RunPayload) -> String {
    let (playbook, target) = (plain(&run.playbook), plain(&run.target));
    format!("run {} ({playbook} on {target}) is {}", run.id, show::status(run))
}
