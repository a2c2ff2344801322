//! Watches a change that is in effect: drift, guards, evidence, a person's order; then judges it.
//!
//! Guards and the objective are read from Prometheus as ranges of the past, so that a restart of
//! this process during a window loses nothing.

use std::time::Duration;

use super::{
    breach::Breach,
    change::{self, Observed},
    context::Context,
    evidence::{self, Expressions},
    execute,
    hold::Hold,
    verdict,
};
use crate::{
    model::{BrokerId, MonotonicTime, RollbackReason, Verdict},
    prometheus::QueryRange,
    store::{Measurement, RunDetail, StepRow, StepState},
};

/// Consecutive checks with a value stored but not effective before the run is rolled back.
const NOT_EFFECTIVE_MAX: u32 = 3;

/// Why the run has to be rolled back before it is judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StopWatching {
    pub(super) reason: RollbackReason,
    pub(super) verdict: Verdict,
    pub(super) text: String,
}

impl StopWatching {
    /// Rolls back without a judgement.
    fn inconclusive(reason: RollbackReason, text: String) -> Self {
        Self { reason, verdict: Verdict::Inconclusive, text }
    }
}

/// What is kept between checks.
#[derive(Debug, Default)]
pub(super) struct Watched {
    evidence_missing_since: Option<MonotonicTime>,
    /// Consecutive checks with a value that was not effective.
    not_effective: u32,
}

/// Checks the effect of a run once.
pub(super) async fn check(
    context: &Context,
    detail: &RunDetail,
    watched: &mut Watched,
) -> Option<StopWatching> {
    if let Some(stop) = check_drift(context, &detail.steps, watched).await {
        return Some(stop);
    }

    let guards = match tripped_guard(context, detail).await {
        Ok(Some(text)) => {
            let (reason, verdict) = (RollbackReason::GuardTripped, Verdict::Regressed);
            return Some(StopWatching { reason, verdict, text });
        }
        Ok(None) => Ok(()),
        Err(hold) => Err(hold),
    };

    let playbook = context.playbook(&detail.run);
    let values =
        context.values(&detail.run.target, detail.measured.canary.and_then(BrokerId::from_wire));
    let expressions = Expressions::of_run(&detail.measured, playbook, &values);
    let fresh = evidence::check_fresh(context, &expressions).await;

    check_evidence(context, detail, guards.and(fresh), watched)
}

/// Checks that the last applied change of each resource is still there. A broker that does not
/// answer is no drift.
async fn check_drift(
    context: &Context,
    steps: &[StepRow],
    watched: &mut Watched,
) -> Option<StopWatching> {
    let mut not_effective = None;
    for step in last_of_each_resource(steps) {
        let changed = match change::observe(context, step).await {
            Ok(Observed::Desired | Observed::Propagating) | Err(_) => continue,
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
        return Some(StopWatching::inconclusive(RollbackReason::ExternallyChanged, changed));
    }

    let Some(text) = not_effective else {
        watched.not_effective = 0;
        return None;
    };
    watched.not_effective = watched.not_effective.saturating_add(1);

    (watched.not_effective >= NOT_EFFECTIVE_MAX)
        .then(|| StopWatching::inconclusive(RollbackReason::FailedToApply, text))
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
    watched: &mut Watched,
) -> Option<StopWatching> {
    let Err(hold) = evidence else {
        watched.evidence_missing_since = None;
        return None;
    };

    let since = *watched.evidence_missing_since.get_or_insert_with(|| context.clock.monotonic());
    let limit = context.playbook(&detail.run).map_or(Duration::ZERO, |it| it.windows.observe);
    (execute::elapsed(context, since) >= limit)
        .then(|| StopWatching::inconclusive(RollbackReason::EvidenceLost, hold.detail))
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
        (Ok(objective), Ok(load), Ok(())) => {
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
