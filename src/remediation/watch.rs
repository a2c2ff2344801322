//! Watches a change that is in effect: drift, guards, evidence.
//!
//! Guards and the objective are read from Prometheus as ranges of the past, so that a restart of
//! this process during a window loses nothing.

use std::time::Duration;

use super::{
    bins::{self, BinRange},
    breach::Breach,
    change::{self, Observed},
    context::Context,
    evidence, execute,
    hold::Hold,
    observation::inputs_of_run,
};
use crate::{
    model::{MonotonicTime, RollbackReason, Verdict, WallTime},
    playbook::Guard,
    prometheus::QueryRange,
    store::{ObservationPlan, RunDetail, StepRow, StepState},
};

/// The bins since the write that are read for a limit: more than any observation has.
const BINS_MAX: u32 = 1_000;

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
    let inputs = inputs_of_run(context, &detail.run.target, &detail.measured, playbook);
    let fresh = evidence::check_fresh(context, &inputs).await;

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

/// The first guard that tripped: a count that is higher than before the write, or a level above
/// its limit. A guard that cannot be read is missing evidence.
pub(super) async fn tripped_guard(
    context: &Context,
    detail: &RunDetail,
) -> Result<Option<String>, Hold> {
    let (Some(from), Some(observation)) = (detail.run.times.written, &detail.measured.observation)
    else {
        return Ok(None);
    };

    for (guard, before) in observation.guards.iter().zip(&detail.measured.guard_levels) {
        let tripped = match guard {
            Guard::Count(query) => count_rose(context, detail, query, from, *before).await?,
            Guard::Level { query, at_most: Some(limit), .. } => {
                level_is_above(context, observation, query, from, *limit).await?
            }
            Guard::Level { at_most: None, .. } => None,
        };
        if tripped.is_some() {
            return Ok(tripped);
        }
    }

    Ok(None)
}

async fn count_rose(
    context: &Context,
    detail: &RunDetail,
    query: &str,
    from: WallTime,
    before: Option<f64>,
) -> Result<Option<String>, Hold> {
    let prometheus = evidence::prometheus(context)?;
    let step = evidence::interval(context, &detail.measured);
    let range = QueryRange::new(from, context.now(), step);
    let peaks = evidence::peaks(prometheus, query, range).await?;
    let limit = before.unwrap_or_default();
    let exceeds = |it: &f64| {
        if Breach::I24GuardIsIgnored.is_played() {
            *it < limit
        } else {
            evidence::exceeds(*it, limit)
        }
    };

    let risen = peaks.into_iter().find(exceeds);

    Ok(risen.map(|it| format!("`{query}` rose to {it}; before the write it was {limit}")))
}

/// Whether the mean of a bin since the write is above `limit`.
async fn level_is_above(
    context: &Context,
    observation: &ObservationPlan,
    query: &str,
    written: WallTime,
    limit: f64,
) -> Result<Option<String>, Hold> {
    let passed = context.now().since(written).saturating_sub(context.scrape_interval());
    let after = passed.as_millis().checked_div(observation.bin.as_millis()).unwrap_or_default();
    let after = u32::try_from(after).unwrap_or(u32::MAX).min(BINS_MAX);
    if after == 0 {
        return Ok(None);
    }

    let range = BinRange { written, bin: observation.bin, before: 0, after };
    let values = bins::read_gauge(evidence::source(context)?, query, range).await?;
    let above = values.into_iter().flatten().find(|it| evidence::exceeds(*it, limit));

    Ok(above.map(|it| format!("`{query}` rose to {it}, above its limit of {limit}")))
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
