//! What `/metrics` shows of remediation, read from the store after each change.

use super::{context::Context, guard};
use crate::{
    playbook::COOLDOWN_MAX,
    store::{RunRow, StoreError},
    telemetry::{Cooldown, Quarantine, RemedyView, RunInfo},
};

/// Runs in the history panel.
const RUNS_SHOWN: u32 = 50;

/// Reads the view and hands it to telemetry.
pub(super) async fn publish(at: &Context) -> Result<(), StoreError> {
    let now = at.now();
    let name = &at.cluster.name;
    let mut runs = at.store.runs(RUNS_SHOWN).await?;
    runs.retain(|it| it.cluster == *name);
    let mut view = RemedyView {
        paused: at.pause.is_set(),
        active: runs.iter().map(|it| it.state).find(|it| it.is_active()),
        runs: runs.iter().map(info).collect(),
        ..RemedyView::idle(at.remediation.mode)
    };
    for (playbook, target) in at.store.targets(name).await? {
        let past = at.store.past(name, (playbook.clone(), target.clone()), now).await?;
        view.stuck = u64::from(past.stuck);
        let target = target.to_string();
        if guard::QUARANTINE_AFTER <= past.rollbacks_in_a_row() {
            view.quarantined
                .push(Quarantine { playbook: playbook.clone(), target: target.clone() });
        }
        let configured = at.remediation.playbooks.iter().find(|it| it.name == playbook);
        let end = configured
            .and_then(|it| past.cooldown_end(it.windows.cooldown, COOLDOWN_MAX))
            .filter(|end| now < *end);
        view.cooldowns.extend(end.map(|end| Cooldown { playbook, target, end }));
    }
    at.telemetry.remedy_changed(name, view);
    Ok(())
}

fn info(run: &RunRow) -> RunInfo {
    RunInfo {
        run: run.id,
        optimizer: run.optimizer,
        target: run.target.to_string(),
        verdict: run.verdict,
        outcome: run.state,
        started: run.times.written.unwrap_or(run.times.stored),
    }
}
