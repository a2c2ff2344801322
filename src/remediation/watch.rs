//! Watches a change that is in force: drift, guards, evidence, a person's order; then judges it.
//!
//! Guards and the objective are read back from Prometheus by time, so that a restart of this
//! process in the middle loses nothing.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    change::{self, Observed},
    context::Context,
    evidence::{self, Questions},
    execute, guard, schedule, temporary, verdict,
};
use crate::{
    model::{BrokerId, MonotonicTime, OnUndo, RollbackReason, Verdict, WallTime},
    prometheus::QueryRange,
    store::{Measurement, RunDetail, StepRow, StepState, StoreError},
};

/// Looks in a row at which a value is not in force before the run goes back.
const NOT_IN_FORCE_MAX: u32 = 3;

/// How a stretch of watching ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Watched {
    Passed,
    /// The run has to go back.
    Back(RollbackReason, Verdict, String),
    /// The process is stopping; the run goes on at the next start.
    Stopping,
}

/// What changes from look to look.
#[derive(Default)]
struct Memory {
    /// Since when the evidence has been missing.
    blind_since: Option<MonotonicTime>,
    /// Looks in a row at which a value was not in force.
    not_in_force: u32,
}

/// Watches until `until`.
pub(super) async fn until(
    context: &Context,
    detail: &RunDetail,
    until: WallTime,
    stop: &CancellationToken,
) -> Result<Watched, StoreError> {
    let playbook = context.playbook(&detail.run);
    let values =
        context.values(&detail.run.target, detail.measured.canary.and_then(BrokerId::from_wire));
    let questions = Questions::of_run(&detail.measured, playbook, &values);
    let mut memory = Memory::default();
    loop {
        if let Some(back) = look(context, detail, (&questions, &mut memory)).await? {
            return Ok(back);
        }
        let left = until.since(context.now());
        if left.is_zero() {
            return Ok(Watched::Passed);
        }
        let pause = context.scrape_interval().min(left);
        tokio::select! {
            () = stop.cancelled() => return Ok(Watched::Stopping),
            () = context.clock.sleep(pause) => (),
        }
    }
}

async fn look(
    context: &Context,
    detail: &RunDetail,
    (questions, memory): (&Questions, &mut Memory),
) -> Result<Option<Watched>, StoreError> {
    let asked = context.store.run(detail.run.id).await?.is_some_and(|it| it.run.undo_requested);
    if asked {
        let text = "a person asked for it".to_owned();
        return Ok(Some(Watched::Back(RollbackReason::Person, Verdict::Inconclusive, text)));
    }
    if let Some(back) = needed_elsewhere(context, detail).await? {
        return Ok(Some(back));
    }
    if let Some(back) = drift(context, &detail.steps, memory).await {
        return Ok(Some(back));
    }
    if let Some(text) = tripped(context, detail).await {
        return Ok(Some(Watched::Back(RollbackReason::GuardTripped, Verdict::Regressed, text)));
    }
    Ok(blind(context, detail, (questions, memory)).await)
}

/// A critical alert of another playbook does not wait for an observation to end, if Prometheus
/// confirms it (I34) and nothing of the past holds its run; nor does a measure
/// whose time is long over (I40).
async fn needed_elsewhere(
    context: &Context,
    detail: &RunDetail,
) -> Result<Option<Watched>, StoreError> {
    schedule::due(context, None).await?;
    for other in context.store.critical_beside(&detail.run).await? {
        if guard::is_called_for(context, &other).await.is_ok() {
            let text = format!("run {} answers a critical alert", other.id);
            return Ok(Some(Watched::Back(RollbackReason::Preempted, Verdict::Inconclusive, text)));
        }
    }
    let overdue = temporary::overdue(context).await?;
    Ok(overdue.map(|it| {
        let text = format!("the measure of run {} had to end", it.id);
        Watched::Back(RollbackReason::Overlap, Verdict::Inconclusive, text)
    }))
}

/// The last applied step of each key must stand as written. A broker that does not answer is no
/// drift.
async fn drift(context: &Context, steps: &[StepRow], memory: &mut Memory) -> Option<Watched> {
    let mut weak = None;
    for step in last_of_each_key(steps) {
        match change::observe(context, step).await {
            Ok(Observed::Desired) | Err(_) => (),
            Ok(Observed::NotEffective) => {
                weak = Some(format!("{} runs another {} than stored", step.subject, step.key));
            }
            Ok(Observed::Prior | Observed::PriorNotEffective) => {
                let text = format!("{} of {} was set back", step.key, step.subject);
                return Some(changed(text));
            }
            Ok(Observed::Diverged(text)) => return Some(changed(text)),
        }
    }
    memory.not_in_force = if weak.is_some() { memory.not_in_force.saturating_add(1) } else { 0 };
    let text = weak.filter(|_| NOT_IN_FORCE_MAX <= memory.not_in_force)?;
    Some(Watched::Back(RollbackReason::FailedToApply, Verdict::Inconclusive, text))
}

fn changed(text: String) -> Watched {
    Watched::Back(RollbackReason::ExternallyChanged, Verdict::Inconclusive, text)
}

/// The steps that hold the final value of each key.
pub(super) fn last_of_each_key(steps: &[StepRow]) -> impl Iterator<Item = &StepRow> {
    let same =
        |one: &StepRow, other: &StepRow| one.subject == other.subject && one.key == other.key;
    let applied = |it: &&StepRow| it.state == StepState::Applied && it.on_undo == OnUndo::Restore;
    steps.iter().filter(applied).filter(move |step| {
        !steps.iter().any(|it| applied(&it) && same(it, step) && step.index < it.index)
    })
}

/// A guard trips when two samples in a row exceed the most that its baseline showed. A Prometheus
/// that does not answer trips nothing; [`blind`] sees to that.
async fn tripped(context: &Context, detail: &RunDetail) -> Option<String> {
    let prometheus = context.prometheus.as_ref()?;
    let from = detail.run.times.written?;
    let span = QueryRange { start: from, end: context.now(), step: context.scrape_interval() };
    let guards = detail.measured.guard_queries.iter().zip(&detail.measured.guard_maxima);
    for (query, &limit) in guards {
        let Ok(peaks) = evidence::peaks(prometheus, query, span).await else { continue };
        if let Some(pair) = peaks.windows(2).find(|pair| pair.iter().all(|it| limit < *it)) {
            return Some(format!("`{query}` rose to {pair:?}, above {limit} in the baseline"));
        }
    }
    None
}

/// Evidence that stays away longer than the observation is long cannot judge the change any more
/// (I13).
async fn blind(
    context: &Context,
    detail: &RunDetail,
    (questions, memory): (&Questions, &mut Memory),
) -> Option<Watched> {
    let Err(hold) = evidence::fresh(context, questions).await else {
        memory.blind_since = None;
        return None;
    };
    let since = *memory.blind_since.get_or_insert_with(|| context.clock.monotonic());
    let patience = context.playbook(&detail.run).map_or(Duration::ZERO, |it| it.windows.observe);
    if execute::took(context, since) < patience {
        return None;
    }
    Some(Watched::Back(RollbackReason::EvidenceLost, Verdict::Inconclusive, hold.detail))
}

/// Compares before and after. Without an answer from Prometheus the verdict is `inconclusive`.
pub(super) async fn judge(context: &Context, detail: &RunDetail) -> (Verdict, Measurement, String) {
    let mut measured = detail.measured.clone();
    let (Some(playbook), Some(effective)) =
        (context.playbook(&detail.run), detail.run.times.effective)
    else {
        let text = "the playbook or the time of the change is lost".to_owned();
        return (Verdict::Inconclusive, measured, text);
    };
    let from = effective.after(playbook.windows.settle);
    let times = (from, from.after(playbook.windows.observe));
    let objective = evidence::window(context, &measured.query, times).await;
    let load = evidence::window(context, &measured.load_query, times).await;
    match (objective, load) {
        (Ok(objective), Ok(load)) => {
            let judged = verdict::judge(&mut measured, &objective, &load, &playbook.objective);
            let text = explain(&measured, objective.len());
            match judged {
                Ok(verdict) => (verdict, measured, text),
                Err(why) => (Verdict::Inconclusive, measured, format!("{why}: {text}")),
            }
        }
        (Err(hold), _) | (_, Err(hold)) => (Verdict::Inconclusive, measured, hold.detail),
    }
}

fn explain(measured: &Measurement, samples: usize) -> String {
    let number = |it: Option<f64>| it.map_or("unknown".to_owned(), |it| format!("{it:.6}"));
    let percent =
        |it: Option<f64>| it.map_or("unknown".to_owned(), |it| format!("{:+.1} %", it * 100.0));
    format!(
        "median {} before, {} after ({samples} samples): effect {}; noise of the baseline ±{}; load {}",
        number(measured.baseline_median),
        number(measured.observed_median),
        percent(measured.effect),
        number(measured.baseline_mad),
        percent(measured.load_change)
    )
}
