//! What `/metrics` shows of remediation, read from the store after each transition.

use super::{
    context::Context,
    guard,
    status::{self, PastTarget},
    temporary,
};
use crate::{
    model::Mode,
    playbook::COOLDOWN_MAX,
    store::{RunRow, StoreError},
    telemetry::{Cooldown, Quarantine, RemediationView, RunInfo},
};

/// Number of runs in the history panel.
const RUNS_SHOWN: u32 = 50;

/// Reads the current view and passes it to telemetry.
pub(super) async fn publish(context: &Context) -> Result<(), StoreError> {
    let now = context.now();
    let name = &context.cluster.name;
    let runs = context.store.shown_runs(name, RUNS_SHOWN).await?;

    let mut view = RemediationView {
        paused: context.pause.is_set(),
        active: runs.iter().map(|it| it.state).find(|it| it.is_active()),
        runs: runs.iter().map(info).collect(),
        lease: (context.remediation.mode == Mode::Act).then(|| context.kafka.acting_lease()),
        overdue: temporary::overdue(context).await?,
        ..RemediationView::idle(context.remediation.mode)
    };

    let waiting = context.store.overview(name).await?.awaiting_approval;
    view.awaiting_approval = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
    view.approval_asked = waiting.iter().filter_map(|it| it.times.asked).min();

    for PastTarget { playbook, target, history } in status::past_targets(context).await? {
        view.stuck = u64::from(history.stuck);

        let target = target.to_string();
        if guard::is_quarantined(&history) {
            let quarantine = Quarantine { playbook: playbook.clone(), target: target.clone() };
            view.quarantined.push(quarantine);
        }

        let configured = context.remediation.playbooks.iter().find(|it| it.name == playbook);
        let end = configured
            .and_then(|it| history.cooldown_end(it.windows.cooldown, COOLDOWN_MAX))
            .filter(|end| *end > now);

        view.cooldowns.extend(end.map(|end| Cooldown { playbook, target, end }));
    }

    context.telemetry.remediation_changed(name, view);

    Ok(())
}

fn info(run: &RunRow) -> RunInfo {
    RunInfo {
        run: run.id,
        optimizer: run.optimizer,
        target: run.target.to_string(),
        verdict: run.verdict,
        effect: run.effect,
        sentence: run.sentence.clone(),
        outcome: run.state,
        started: run.times.written.unwrap_or(run.times.created),
    }
}
