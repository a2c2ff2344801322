//! Looks at a change: compares the bins since the first write with those before it, until they give
//! a verdict. `verdict` holds the procedure; here is what it is given.

use std::{ops::Range, time::Duration};

use super::{
    bins::{self, BinRange},
    context::Context,
    evidence,
    hold::Hold,
    observation::inputs_of_run,
    watch,
};
use crate::{
    model::{Verdict, WallTime},
    playbook::Guard,
    store::{Measurement, ObservationPlan, RunDetail, StepState, StoreError},
    verdict::{Evidence, Interim, Parameters, Past, SoftGuard, VerdictCase},
};

/// The chances that a soft guard trips though nothing changed, look by look.
const SOFT_GUARD_CHANCES: [f64; 3] = [0.0005, 0.001, 0.002];

/// What came of a look.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum InterimResult {
    /// The evidence is not sufficient yet.
    Next(Duration),
    /// A guard tripped; the text names it.
    Tripped(String),
    Over {
        verdict: Verdict,
        measured: Box<Measurement>,
        text: String,
        /// `None` if nothing could be compared.
        case: Option<Box<VerdictCase>>,
    },
}

impl InterimResult {
    fn inconclusive(measured: &Measurement, text: impl Into<String>) -> Self {
        let measured = Box::new(measured.clone());
        Self::Over { verdict: Verdict::Inconclusive, measured, text: text.into(), case: None }
    }
}

/// The looks that this process has made of a run. A new process makes them all again, with the same
/// result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LooksMade(usize);

/// When the bins of a run begin and end.
#[derive(Clone, Copy, Debug)]
struct ObservationTimes {
    written: WallTime,
    bin: Duration,
    /// Bins from the first write until the change is effective and has settled.
    settle: u32,
}

impl ObservationTimes {
    /// `None` if the run is not effective. One that had nothing to write begins with its effect.
    fn of(detail: &RunDetail, observation: &ObservationPlan) -> Option<Self> {
        let effective = detail.run.times.effective?;
        let written = detail.run.times.written.unwrap_or(effective);
        let until = effective.since(written).saturating_add(observation.settle);
        let settle = settle_bins(until, observation.bin);

        Some(Self { written, bin: observation.bin, settle })
    }

    /// Bins from the first write to the end of a look.
    fn bins(self, look: Interim) -> u32 {
        self.settle.saturating_add(u32::try_from(look.bins).unwrap_or(u32::MAX))
    }

    /// When a look can be made: its last sample has been scraped.
    fn due(self, look: Interim, scrape: Duration) -> WallTime {
        self.written.after(self.bin.saturating_mul(self.bins(look)).saturating_add(scrape))
    }
}

/// Bins until `time` has passed, at least one.
pub(super) fn settle_bins(time: Duration, bin: Duration) -> u32 {
    let whole = evidence::bins_in(time, bin);
    if bin.saturating_mul(whole) >= time { whole } else { whole.saturating_add(1) }
}

/// Makes the looks that are due.
///
/// # Errors
///
/// When Prometheus does not answer.
pub(super) async fn judge(
    context: &Context,
    detail: &RunDetail,
    made: &mut LooksMade,
) -> Result<InterimResult, InterimError> {
    let measured = &detail.measured;
    let Some(observation) = &measured.observation else {
        return Ok(InterimResult::inconclusive(measured, "an earlier version began the run"));
    };
    let Some(times) = ObservationTimes::of(detail, observation) else {
        return Ok(InterimResult::inconclusive(measured, "the time of the change is missing"));
    };

    let parameters = parameters_of(observation, times.settle);
    let scrape = context.scrape_interval();
    let due = parameters.looks.iter().filter(|it| times.due(**it, scrape) <= context.now()).count();
    let until = |it: &Interim| times.due(*it, scrape).since(context.now());
    let next = parameters.looks.get(due).map(until);

    if due <= made.0 {
        return Ok(InterimResult::Next(next.unwrap_or(scrape)));
    }

    let Some(last) = due.checked_sub(1).and_then(|it| parameters.looks.get(it)) else {
        return Ok(InterimResult::Next(next.unwrap_or(scrape)));
    };
    let range = BinRange {
        written: times.written,
        bin: observation.bin,
        before: evidence::bins_in(observation.history, observation.bin),
        after: times.bins(*last),
    };

    // What cannot be read now may have been what speaks against the change (I13).
    let playbook = context.playbook(&detail.run);
    let inputs = inputs_of_run(context, &detail.run.target, measured, playbook);
    evidence::check_fresh(context, &inputs).await?;
    if let Some(text) = watch::tripped_guard(context, detail).await? {
        return Ok(InterimResult::Tripped(text));
    }

    let excluded = excluded(context, detail, range).await?;
    let soft = SoftLooks { parameters: &parameters, due, excluded: &excluded };
    if let Some(text) = risen(context, observation, range, soft).await? {
        return Ok(InterimResult::Tripped(text));
    }

    let recorded =
        bins::read(evidence::source(context)?, &compared(detail, observation), range).await?;
    let case = VerdictCase {
        better: observation.better,
        excluded: later(&excluded, recorded.unknown),
        before: recorded.before,
        after: recorded.after,
        parameters,
        has_reached: has_reached(context, observation).await?,
    };
    made.0 = due;

    let past = case.past();
    for look in 0..due {
        let judgement = past.judge(&case.after, look);
        let is_last = look.saturating_add(1) == case.parameters.looks.len();
        let verdict = judgement.verdict.or(is_last.then_some(Verdict::Inconclusive));

        if let Some(verdict) = verdict {
            return Ok(conclude(detail, case, judgement.evidence, verdict));
        }
    }

    Ok(InterimResult::Next(next.unwrap_or(scrape)))
}

/// Whether the change has reached what it is for.
async fn has_reached(context: &Context, observation: &ObservationPlan) -> Result<bool, Hold> {
    let Some(query) = &observation.reached_when else { return Ok(true) };
    let series = evidence::prometheus(context)?.instant(query).await?;

    Ok(!series.is_empty())
}

/// What is compared: after the canary, the other brokers are no longer untouched.
fn compared(detail: &RunDetail, observation: &ObservationPlan) -> ObservationPlan {
    let is_widened = detail.steps.iter().any(|it| it.stage > 0 && it.state != StepState::Planned);
    let untouched = observation.untouched.clone().filter(|_| !is_widened);
    ObservationPlan { untouched, ..observation.clone() }
}

/// Why a look could not be made.
#[derive(Debug)]
pub(super) enum InterimError {
    Evidence(Hold),
    Store(StoreError),
}

impl From<Hold> for InterimError {
    fn from(hold: Hold) -> Self {
        Self::Evidence(hold)
    }
}

impl From<StoreError> for InterimError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// `settle`: bins from the first write until the observation begins.
pub(super) fn parameters_of(observation: &ObservationPlan, settle: u32) -> Parameters {
    let to_usize = |it: u32| usize::try_from(it).unwrap_or(usize::MAX);

    Parameters {
        bin: observation.bin,
        baseline: to_usize(evidence::bins_in(observation.baseline, observation.bin)),
        settle: to_usize(settle),
        at_least: observation.at_least,
        ..Parameters::default()
    }
}

/// The bins of the history in which another run of the cluster had an effect.
async fn excluded(
    context: &Context,
    detail: &RunDetail,
    range: BinRange,
) -> Result<Vec<Range<usize>>, StoreError> {
    let store = &context.store;
    let others = store.writes_since(&context.cluster.name, range.start(), detail.run.id).await?;
    let place = |at: WallTime| {
        let bins = at.since(range.start()).as_millis().checked_div(range.bin.as_millis());
        bins.and_then(|it| usize::try_from(it).ok()).unwrap_or_default()
    };

    Ok(others.into_iter().map(|it| place(it.start)..place(it.end).saturating_add(1)).collect())
}

/// The ranges of a history that begins `bins` later.
fn later(ranges: &[Range<usize>], bins: usize) -> Vec<Range<usize>> {
    let later = |it: &Range<usize>| it.start.saturating_sub(bins)..it.end.saturating_sub(bins);
    ranges.iter().map(later).collect()
}

/// The looks at soft guards.
#[derive(Clone, Copy)]
struct SoftLooks<'a> {
    parameters: &'a Parameters,
    /// Number of looks that can be made.
    due: usize,
    excluded: &'a [Range<usize>],
}

/// The first soft guard that rose by more than it does by itself.
async fn risen(
    context: &Context,
    observation: &ObservationPlan,
    range: BinRange,
    looks: SoftLooks<'_>,
) -> Result<Option<String>, Hold> {
    for guard in &observation.guards {
        let Guard::Level { query, rises_by, .. } = guard else { continue };
        let values = bins::read_gauge(evidence::source(context)?, query, range).await?;
        let recorded = bins::of_gauge(&values, range.before);
        let known = recorded.before.changed.level.iter().flatten().count();
        if known < evidence::GUARD_HISTORY_MIN {
            continue;
        }
        let excluded = later(looks.excluded, recorded.unknown);
        let past = Past::new(&recorded.before, looks.parameters, &excluded);
        let mut made = SOFT_GUARD_CHANCES.into_iter().enumerate().take(looks.due);
        let has_risen = |(look, chance)| {
            let guard = SoftGuard { chance, at_least: *rises_by };
            past.rise(&recorded.after, look, guard).has_risen
        };

        if made.any(has_risen) {
            let share = rises_by * 100.0;
            let text = format!("`{query}` rose by more than {share:.0} %, and more than by itself");
            return Ok(Some(text));
        }
    }

    Ok(None)
}

fn conclude(
    detail: &RunDetail,
    case: VerdictCase,
    evidence: Evidence,
    verdict: Verdict,
) -> InterimResult {
    let (verdict, evidence) = case.as_reached(verdict, case.as_measured(evidence));
    let sentence = evidence.sentence(verdict);
    let effect = evidence.difference.as_ref().map(|it| -it.change.exp_m1());
    let measured = Measurement {
        before: evidence::typical(case.baseline(), case.better),
        after: evidence::typical(case.observation(evidence.observed), case.better),
        effect,
        load_change: evidence.load_change.map(f64::exp_m1),
        sentence: Some(sentence.clone()),
        evidence: Some(evidence),
        ..detail.measured.clone()
    };

    let text = describe(&measured, &sentence);

    InterimResult::Over { verdict, measured: Box::new(measured), text, case: Some(Box::new(case)) }
}

fn describe(measured: &Measurement, sentence: &str) -> String {
    let number = |it: Option<f64>| it.map_or("unknown".to_owned(), |it| format!("{it:.6}"));
    format!("{} before, {} after: {sentence}", number(measured.before), number(measured.after))
}
