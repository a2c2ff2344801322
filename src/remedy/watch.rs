//! Watches a change that is in force: drift, guards, evidence, a person's order; then judges it.
//!
//! Guards and the objective are read back from Prometheus by time, so that a restart of this
//! process in the middle loses nothing.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    context::Context,
    deed::{self, Standing},
    evidence::{self, Questions},
    execute, guard, measure, schedule, verdict,
};
use crate::{
    model::{BrokerId, OnUndo, RollbackReason, Uptime, Verdict, Wall},
    prometheus::Span,
    store::{Measured, RunDetail, StepRow, StepState, StoreError},
};

/// Looks in a row at which a value is not in force before the run goes back.
const NOT_IN_FORCE_MAX: u32 = 3;

/// How a stretch of watching ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Watched {
    /// Its time is over.
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
    blind_since: Option<Uptime>,
    /// Looks in a row at which a value was not in force.
    not_in_force: u32,
}

/// Watches until `until`.
pub(super) async fn until(
    at: &Context,
    detail: &RunDetail,
    until: Wall,
    stop: &CancellationToken,
) -> Result<Watched, StoreError> {
    let playbook = at.playbook(&detail.run);
    let values =
        at.values(&detail.run.target, detail.measured.canary.and_then(BrokerId::from_wire));
    let questions = Questions::of_run(&detail.measured, playbook, &values);
    let mut memory = Memory::default();
    loop {
        if let Some(back) = look(at, detail, (&questions, &mut memory)).await? {
            return Ok(back);
        }
        let left = until.since(at.now());
        if left.is_zero() {
            return Ok(Watched::Passed);
        }
        let pause = at.scrape_interval().min(left);
        tokio::select! {
            () = stop.cancelled() => return Ok(Watched::Stopping),
            () = at.clock.sleep(pause) => (),
        }
    }
}

async fn look(
    at: &Context,
    detail: &RunDetail,
    (questions, memory): (&Questions, &mut Memory),
) -> Result<Option<Watched>, StoreError> {
    let asked = at.store.run(detail.run.id).await?.is_some_and(|it| it.run.undo_requested);
    if asked {
        let text = "a person asked for it".to_owned();
        return Ok(Some(Watched::Back(RollbackReason::Person, Verdict::Inconclusive, text)));
    }
    if let Some(back) = needed_elsewhere(at, detail).await? {
        return Ok(Some(back));
    }
    if let Some(back) = drift(at, &detail.steps, memory).await {
        return Ok(Some(back));
    }
    if let Some(text) = tripped(at, detail).await {
        return Ok(Some(Watched::Back(RollbackReason::GuardTripped, Verdict::Regressed, text)));
    }
    Ok(blind(at, detail, (questions, memory)).await)
}

/// A critical alert of another playbook does not wait for an observation to end, if Prometheus
/// confirms it (I34) and nothing of the past holds its run; nor does a measure
/// whose time is long over (I40).
async fn needed_elsewhere(at: &Context, detail: &RunDetail) -> Result<Option<Watched>, StoreError> {
    schedule::due(at, None).await?;
    for other in at.store.critical_beside(&detail.run).await? {
        if guard::is_called_for(at, &other).await.is_ok() {
            let text = format!("run {} answers a critical alert", other.id);
            return Ok(Some(Watched::Back(RollbackReason::Preempted, Verdict::Inconclusive, text)));
        }
    }
    let overdue = measure::overdue(at).await?;
    Ok(overdue.map(|it| {
        let text = format!("the measure of run {} had to end", it.id);
        Watched::Back(RollbackReason::Overlap, Verdict::Inconclusive, text)
    }))
}

/// The last applied step of each key must stand as written. A broker that does not answer is no
/// drift.
async fn drift(at: &Context, steps: &[StepRow], memory: &mut Memory) -> Option<Watched> {
    let mut weak = None;
    for step in last_of_each_key(steps) {
        match deed::observe(at, step).await {
            Ok(Standing::After) | Err(_) => (),
            Ok(Standing::StoredOnly) => {
                weak = Some(format!("{} runs another {} than stored", step.subject, step.key));
            }
            Ok(Standing::Before | Standing::BeforeStoredOnly) => {
                let text = format!("{} of {} was set back", step.key, step.subject);
                return Some(changed(text));
            }
            Ok(Standing::Elsewhere(text)) => return Some(changed(text)),
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
async fn tripped(at: &Context, detail: &RunDetail) -> Option<String> {
    let prometheus = at.prometheus.as_ref()?;
    let from = detail.run.times.written?;
    let span = Span { from, to: at.now(), step: at.scrape_interval() };
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
    at: &Context,
    detail: &RunDetail,
    (questions, memory): (&Questions, &mut Memory),
) -> Option<Watched> {
    let Err(held) = evidence::fresh(at, questions).await else {
        memory.blind_since = None;
        return None;
    };
    let since = *memory.blind_since.get_or_insert_with(|| at.clock.uptime());
    let patience = at.playbook(&detail.run).map_or(Duration::ZERO, |it| it.windows.observe);
    if execute::took(at, since) < patience {
        return None;
    }
    Some(Watched::Back(RollbackReason::EvidenceLost, Verdict::Inconclusive, held.note))
}

/// Compares before and after. Without an answer from Prometheus the verdict is `inconclusive`.
pub(super) async fn judge(at: &Context, detail: &RunDetail) -> (Verdict, Measured, String) {
    let mut measured = detail.measured.clone();
    let (Some(playbook), Some(effective)) = (at.playbook(&detail.run), detail.run.times.effective)
    else {
        let text = "the playbook or the time of the change is lost".to_owned();
        return (Verdict::Inconclusive, measured, text);
    };
    let from = effective.after(playbook.windows.settle);
    let times = (from, from.after(playbook.windows.observe));
    let objective = evidence::window(at, &measured.query, times).await;
    let load = evidence::window(at, &measured.load_query, times).await;
    match (objective, load) {
        (Ok(objective), Ok(load)) => {
            let judged = verdict::judge(&mut measured, &objective, &load, &playbook.objective);
            let text = explain(&measured, objective.len());
            match judged {
                Ok(verdict) => (verdict, measured, text),
                Err(why) => (Verdict::Inconclusive, measured, format!("{why}: {text}")),
            }
        }
        (Err(held), _) | (_, Err(held)) => (Verdict::Inconclusive, measured, held.note),
    }
}

fn explain(measured: &Measured, samples: usize) -> String {
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
