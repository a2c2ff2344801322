//! Watches a change that is in effect: drift, guards, evidence, a person's order; then judges it.
//!
//! Guards and the objective are read from Prometheus as ranges of the past, so that a restart of
//! this process during a window loses nothing.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    breach::Breach,
    change::{self, Observed},
    context::Context,
    evidence::{self, Expressions},
    execute, guard,
    hold::Hold,
    schedule, temporary, verdict,
};
use crate::{
    model::{BrokerId, MonotonicTime, RollbackReason, Verdict, WallTime},
    prometheus::QueryRange,
    store::{Measurement, RunDetail, StepRow, StepState, StoreError},
};

/// Consecutive polls with a value stored but not effective before the run is rolled back.
const NOT_EFFECTIVE_MAX: u32 = 3;

/// Why watching ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WatchOutcome {
    Passed,
    RollBack {
        reason: RollbackReason,
        verdict: Verdict,
        text: String,
    },
    /// The process is stopping; the run continues at the next start.
    Stopping,
}

impl WatchOutcome {
    /// Rolls back without a judgement.
    fn inconclusive(reason: RollbackReason, text: String) -> Self {
        Self::RollBack { reason, verdict: Verdict::Inconclusive, text }
    }
}

/// What is kept between polls.
#[derive(Default)]
struct WatchState {
    evidence_missing_since: Option<MonotonicTime>,
    /// Consecutive polls with a value that was not effective.
    not_effective: u32,
}

/// Polls until `until`, or until the run has to be rolled back.
pub(super) async fn until(
    context: &Context,
    detail: &RunDetail,
    until: WallTime,
    stop: &CancellationToken,
) -> Result<WatchOutcome, StoreError> {
    let playbook = context.playbook(&detail.run);
    let values =
        context.values(&detail.run.target, detail.measured.canary.and_then(BrokerId::from_wire));
    let expressions = Expressions::of_run(&detail.measured, playbook, &values);

    let mut state = WatchState::default();

    loop {
        if let Some(outcome) = poll(context, detail, &expressions, &mut state).await? {
            return Ok(outcome);
        }
        let left = until.since(context.now());
        if left.is_zero() {
            return Ok(WatchOutcome::Passed);
        }
        let pause = context.scrape_interval().min(left);

        tokio::select! {
            () = stop.cancelled() => return Ok(WatchOutcome::Stopping),
            () = context.clock.sleep(pause) => (),
        }
    }
}

async fn poll(
    context: &Context,
    detail: &RunDetail,
    expressions: &Expressions,
    state: &mut WatchState,
) -> Result<Option<WatchOutcome>, StoreError> {
    let current = context.store.run(detail.run.id).await?;
    if current.is_some_and(|it| it.run.undo_requested) {
        let text = "a person asked for it".to_owned();
        return Ok(Some(WatchOutcome::inconclusive(RollbackReason::Person, text)));
    }
    if let Some(outcome) = check_preemption(context, detail).await? {
        return Ok(Some(outcome));
    }
    if let Some(outcome) = check_drift(context, &detail.steps, state).await {
        return Ok(Some(outcome));
    }
    let guards = match tripped_guard(context, detail).await {
        Ok(Some(text)) => {
            let (reason, verdict) = (RollbackReason::GuardTripped, Verdict::Regressed);
            return Ok(Some(WatchOutcome::RollBack { reason, verdict, text }));
        }
        Ok(None) => Ok(()),
        Err(hold) => Err(hold),
    };
    let fresh = evidence::check_fresh(context, expressions).await;
    Ok(check_evidence(context, detail, guards.and(fresh), state))
}

/// A critical alert of another playbook does not wait for the end of an observation, if Prometheus
/// confirms it (I34) and no limit holds its run. Nor does a temporary change whose time ended long
/// ago (I40).
async fn check_preemption(
    context: &Context,
    detail: &RunDetail,
) -> Result<Option<WatchOutcome>, StoreError> {
    schedule::add_runs(context, None).await?;

    for other in context.store.waiting_critical(&detail.run).await? {
        if guard::may_preempt(context, &other).await.is_ok() {
            let text = format!("run {} of a critical alert waits", other.id);
            return Ok(Some(WatchOutcome::inconclusive(RollbackReason::Preempted, text)));
        }
    }

    let overdue = temporary::find_overdue(context).await?;

    Ok(overdue.map(|it| {
        let text = format!("the temporary change of run {} had to expire", it.id);
        WatchOutcome::inconclusive(RollbackReason::Overlap, text)
    }))
}

/// Checks that the last applied change of each resource is still there. A broker that does not
/// answer is no drift.
async fn check_drift(
    context: &Context,
    steps: &[StepRow],
    state: &mut WatchState,
) -> Option<WatchOutcome> {
    let mut not_effective = None;
    for step in last_of_each_resource(steps) {
        let changed = match change::observe(context, step).await {
            Ok(Observed::Desired) | Err(_) => continue,
            Ok(Observed::NotEffective) => {
                let text = step.change.text();
                not_effective =
                    Some(format!("{} of {} is stored, but not effective", text.key, text.subject));
                continue;
            }
            Ok(Observed::Prior | Observed::PriorNotEffective) => {
                let text = step.change.text();
                format!("someone else set {} of {} back", text.key, text.subject)
            }
            Ok(Observed::Diverged(text)) => text,
        };
        return Some(WatchOutcome::inconclusive(RollbackReason::ExternallyChanged, changed));
    }

    let Some(text) = not_effective else {
        state.not_effective = 0;
        return None;
    };
    state.not_effective = state.not_effective.saturating_add(1);

    (state.not_effective >= NOT_EFFECTIVE_MAX)
        .then(|| WatchOutcome::inconclusive(RollbackReason::FailedToApply, text))
}

/// The steps with the final value of each resource.
fn last_of_each_resource(steps: &[StepRow]) -> impl Iterator<Item = &StepRow> {
    let is_applied =
        |it: &&StepRow| it.state == StepState::Applied && it.change.is_restored_on_undo();
    let same = |one: &StepRow, other: &StepRow| one.change.resources() == other.change.resources();
    steps.iter().filter(is_applied).filter(move |step| {
        !steps.iter().any(|it| is_applied(&it) && same(it, step) && it.index > step.index)
    })
}

/// A guard trips when two consecutive samples exceed the maximum of its baseline. A guard that
/// cannot be read is missing evidence.
async fn tripped_guard(context: &Context, detail: &RunDetail) -> Result<Option<String>, Hold> {
    let prometheus = evidence::prometheus(context)?;
    let Some(from) = detail.run.times.written else { return Ok(None) };
    let step = evidence::interval(context, &detail.measured);
    let range = QueryRange::new(from, context.now(), step);
    let guards = detail.measured.guard_queries.iter().zip(&detail.measured.guard_maxima);

    for (query, &limit) in guards {
        let peaks = evidence::peaks(prometheus, query, range).await?;
        let exceeds = |it: &f64| {
            if Breach::I24GuardIsIgnored.is_played() {
                *it < limit
            } else {
                evidence::exceeds(*it, limit)
            }
        };
        if let Some(pair) = peaks.windows(2).find(|pair| pair.iter().all(exceeds)) {
            let text = format!("`{query}` rose to {pair:?}, above {limit} in the baseline");
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// Evidence that is missing for the length of the observation can no longer judge the change
/// (I13).
fn check_evidence(
    context: &Context,
    detail: &RunDetail,
    evidence: Result<(), Hold>,
    state: &mut WatchState,
) -> Option<WatchOutcome> {
    let Err(hold) = evidence else {
        state.evidence_missing_since = None;
        return None;
    };

    let since = *state.evidence_missing_since.get_or_insert_with(|| context.clock.monotonic());
    let limit = context.playbook(&detail.run).map_or(Duration::ZERO, |it| it.windows.observe);
    (execute::elapsed(context, since) >= limit)
        .then(|| WatchOutcome::inconclusive(RollbackReason::EvidenceLost, hold.detail))
}

/// Compares baseline and observation. Without an answer from Prometheus the verdict is
/// `inconclusive`. Returns the reason in words, too.
pub(super) async fn judge(context: &Context, detail: &RunDetail) -> (Verdict, Measurement, String) {
    let mut measured = detail.measured.clone();
    let (Some(playbook), Some(effective)) =
        (context.playbook(&detail.run), detail.run.times.effective)
    else {
        let text = "the playbook or the time of the change is missing".to_owned();
        return (Verdict::Inconclusive, measured, text);
    };

    let from = effective.after(playbook.windows.settle);
    let to = from.after(playbook.windows.observe);
    let range = QueryRange::new(from, to, evidence::interval(context, &measured));
    let canary = measured.canary.and_then(BrokerId::from_wire);
    let values = context.values(&detail.run.target, canary);
    let expressions = Expressions::of_run(&measured, Some(playbook), &values);
    let counted = evidence::count_samples(context, &expressions, from, to).await;
    let counted = counted.and(tripped_guard(context, detail).await.map(drop));
    let objective = evidence::window(context, &measured.query, range).await;
    let load = evidence::window(context, &measured.load_query, range).await;

    match (objective, load, counted) {
        (Ok(objective), Ok(load), Ok(_)) => {
            let verdict = verdict::judge(&mut measured, &objective, &load, &playbook.objective);
            let text = describe(&measured, objective.len());

            match verdict {
                Ok(verdict) => (verdict, measured, text),
                Err(why) => (Verdict::Inconclusive, measured, format!("{why}: {text}")),
            }
        }
        (Err(hold), ..) | (_, Err(hold), _) | (.., Err(hold)) => {
            (Verdict::Inconclusive, measured, hold.detail)
        }
    }
}

fn describe(measured: &Measurement, samples: usize) -> String {
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
