//! Undoes steps, last first, each to exactly what was there before it (I23).
//!
//! Every undo observes before it acts, so that it may be repeated after a crash: a step that is
//! undone already is left, and a value that someone else wrote is theirs (I12).

pub(super) mod restart_loss;

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;

use super::{
    change::{self, ApplyError, Observed},
    context::Context,
    execute::{self, StepEnd},
    guard::{self, availability},
};
use crate::{
    model::{BrokerId, OnUndo, RunId, Subject, WriteMode},
    optimizers::tune_brokers::NETWORK_THREADS,
    store::{StepRow, StepState, StoreError},
    telemetry::chain,
};

/// Tries of one undo that a broker may answer with a no. Between them the pause doubles from one
/// second.
const TRIES_MAX: u32 = 6;
/// How long a broker that does not answer is waited for: a restart with log recovery takes minutes,
/// and a stuck run takes a person.
const ANSWER_MAX: Duration = Duration::from_mins(10);
/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long one try waits for the broker to apply what it accepted.
const APPLY_MAX: Duration = Duration::from_secs(30);
/// How long a broker takes to show what it has accepted. Seen: up to 2.3 s at load 10.
const QUEUE_PAUSE: Duration = Duration::from_secs(3);
/// How long a call may go on after an engine has answered a later one: it works on them side by
/// side.
const ENGINE_PAUSE: Duration = Duration::from_mins(1);
/// How long an undo of network threads waits for the gate; then it goes on (I15).
const GATE_MAX: Duration = Duration::from_mins(5);
/// Pause between two looks at the gate.
const GATE_PAUSE: Duration = Duration::from_secs(5);

/// How the undo of a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Undone {
    /// Steps that could not be undone, in words.
    pub(super) failed: Vec<String>,
    /// Keys left alone because someone else changed them, in words.
    pub(super) drifted: Vec<String>,
}

/// Undoes every step that may have taken effect, wave by wave, last first.
pub(super) async fn all(context: &Context, steps: &[StepRow]) -> Result<Undone, StoreError> {
    let mut undone = Undone::default();
    let mut waves: Vec<u32> = steps.iter().map(|it| it.wave).collect();
    waves.sort_unstable();
    waves.dedup();
    // A process that ended between two halvings does not shorten the pause between them.
    let shrunk = |it: &StepRow| shrinks(it).is_some() && it.state == StepState::Undone;
    let mut shrunk_before = if steps.iter().any(shrunk) { Shrunk::Yes } else { Shrunk::No };
    let key = |it: &StepRow| (it.subject.clone(), it.key.clone());
    let mut theirs: BTreeSet<(Subject, String)> =
        steps.iter().filter(|it| it.state == StepState::Drifted).map(key).collect();
    let mut jammed = BTreeSet::<(Subject, String)>::new();
    for wave in waves.into_iter().rev() {
        let in_wave = steps.iter().filter(|it| it.wave == wave && may_have_effect(it.state));
        let in_wave = in_wave.filter(|it| it.on_undo == OnUndo::Restore);
        // A rung that will not go back stands in the way of those below it, and of no other key.
        let in_wave: Vec<&StepRow> = in_wave.filter(|it| !jammed.contains(&key(it))).collect();
        if in_wave.iter().any(|it| shrinks(it).is_some()) {
            if shrunk_before == Shrunk::Yes {
                context.clock.sleep(context.remediation.shrink_pause).await;
            }
            shrunk_before = Shrunk::Yes;
        }
        let ends = in_wave.iter().map(|step| {
            // Once a key is someone else's, a lower rung that happens to look like ours is theirs
            // too.
            let whose = theirs.contains(&key(step));
            async move { Ok::<_, StoreError>((*step, one(context, (step, whose.into())).await?)) }
        });
        // Not `try_`: a step in hand is finished even when another cannot be stored.
        for done in join_all(ends).await {
            let (step, end) = done?;
            let named = |text: String| format!("{} {}: {text}", step.subject, step.key);
            match end {
                StepEnd::Done => (),
                StepEnd::Failed(text) => {
                    jammed.insert(key(step));
                    undone.failed.push(named(text));
                }
                StepEnd::Drifted(text) => {
                    theirs.insert(key(step));
                    undone.drifted.push(named(text));
                }
            }
        }
    }
    Ok(undone)
}

/// The broker that loses network threads when the step is undone.
fn shrinks(step: &StepRow) -> Option<BrokerId> {
    step.subject.broker().filter(|_| step.key == NETWORK_THREADS)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shrunk {
    Yes,
    No,
}

/// Failure does not mean no effect: a failed step is undone too.
const fn may_have_effect(state: StepState) -> bool {
    match state {
        StepState::Began
        | StepState::Applied
        | StepState::Failed
        | StepState::UndoBegan
        | StepState::UndoFailed => true,
        StepState::Planned | StepState::Undone | StepState::Drifted => false,
    }
}

/// Whose value stands in a key, as far as the steps above have shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Still ours, for all we know.
    Ours,
    Theirs,
}

impl From<bool> for Whose {
    fn from(theirs: bool) -> Self {
        if theirs { Self::Theirs } else { Self::Ours }
    }
}

async fn one(context: &Context, (step, whose): (&StepRow, Whose)) -> Result<StepEnd, StoreError> {
    if whose == Whose::Theirs {
        return drifted(context, step, "a later step's key is someone else's".to_owned()).await;
    }
    // Found undone although no undo had begun: someone else set it back.
    if step.state == StepState::Applied
        && matches!(
            change::observe(context, step).await,
            Ok(Observed::Prior | Observed::PriorNotEffective)
        )
    {
        return drifted(context, step, "it was set back by someone else".to_owned()).await;
    }
    let prior = execute::said(step.from_stored.as_ref());
    let intent =
        format!("{} {} {} → {prior}", step.subject, step.key, execute::said(step.to.as_ref()));
    execute::record(context, step, StepState::UndoBegan, intent).await?;
    if let Some(broker) = shrinks(step) {
        wait_for_gate(context, (step.run, broker)).await?;
    }
    let mut pause = Duration::from_secs(1);
    let mut last = String::new();
    let mut under_way = UnderWay::of(step.state);
    let started = context.clock.monotonic();
    let mut tries_left = TRIES_MAX;
    while 0 < tries_left && execute::took(context, started) < ANSWER_MAX {
        let (end, answered) = attempt(context, step, &mut under_way).await;
        match end {
            StepEnd::Done => {
                let text = format!("{} again, stored: {prior}", step.from);
                execute::record(context, step, StepState::Undone, text).await?;
                return Ok(StepEnd::Done);
            }
            StepEnd::Drifted(text) => return drifted(context, step, text).await,
            StepEnd::Failed(text) => last = text,
        }
        tries_left = tries_left.saturating_sub(u32::from(answered == Answered::Yes));
        if 0 < tries_left {
            context.clock.sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }
    execute::record(context, step, StepState::UndoFailed, last.clone()).await?;
    Ok(StepEnd::Failed(last))
}

async fn drifted(context: &Context, step: &StepRow, text: String) -> Result<StepEnd, StoreError> {
    execute::record(context, step, StepState::Drifted, text.clone()).await?;
    Ok(StepEnd::Drifted(text))
}

/// Whether the step's own request may still stand in the broker's queue. Then a key that stands as
/// before proves nothing: the request would come after the look. The undo is sent all the same; a
/// broker that has answered it has no older request of ours left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    Maybe,
    No,
}

impl UnderWay {
    fn of(state: StepState) -> Self {
        if state == StepState::Applied { Self::No } else { Self::Maybe }
    }
}

/// Whether a broker said anything to a try that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answered {
    Yes,
    No,
}

impl Answered {
    fn with(error: &ApplyError) -> Self {
        if error.is_refusal() { Self::Yes } else { Self::No }
    }
}

async fn attempt(
    context: &Context,
    step: &StepRow,
    under_way: &mut UnderWay,
) -> (StepEnd, Answered) {
    let unsure = *under_way == UnderWay::Maybe;
    let undone = match change::observe(context, step).await {
        Ok(Observed::Prior) if !unsure => return (StepEnd::Done, Answered::Yes),
        Ok(Observed::Prior) => true,
        Ok(Observed::Diverged(text)) => return (StepEnd::Drifted(text), Answered::Yes),
        Ok(Observed::Desired | Observed::NotEffective | Observed::PriorNotEffective) => false,
        Err(error) => return (StepEnd::Failed(chain(&error)), Answered::with(&error)),
    };
    let answer =
        change::apply(context, step, (step.from_stored.as_deref(), WriteMode::Write)).await;
    let answered = answer.as_ref().map_or_else(Answered::with, |()| Answered::Yes);
    if answered == Answered::Yes {
        if unsure {
            context.clock.sleep(behind(&step.subject)).await;
        }
        *under_way = UnderWay::No;
    }
    let failed = match &answer {
        Ok(()) => false,
        // Nothing was changed, and nothing had to be.
        Err(error) if error.is_refusal() => !undone,
        // A lost answer is no failure where there is something to see: what the broker runs counts.
        Err(error) => undone || !error.outcome_is_unknown(),
    };
    match answer {
        Err(error) if failed => (StepEnd::Failed(chain(&error)), answered),
        _ => (execute::read_back(context, step, APPLY_MAX, Observed::Prior).await, Answered::Yes),
    }
}

/// How long after an answer an older request may still be seen to take effect. A broker has
/// accepted by then what came before in its queue.
const fn behind(subject: &Subject) -> Duration {
    match subject {
        Subject::Container(_) => ENGINE_PAUSE,
        Subject::Broker(_) | Subject::BrokerKeys(_) | Subject::Quota(_) | Subject::Leaders => {
            QUEUE_PAUSE
        }
    }
}

/// Shrinking closes connections; it waits until every partition on the broker has a replica to
/// spare, but not for ever.
async fn wait_for_gate(
    context: &Context,
    (run, broker): (RunId, BrokerId),
) -> Result<(), StoreError> {
    let started = context.clock.monotonic();
    loop {
        let problem = match context.kafka.topology().await {
            Ok(topology) => match guard::minimums(context, &topology, &[broker]).await {
                Ok(minimums) => availability::blocked(&topology, &minimums, broker),
                Err(hold) => Some(hold.detail),
            },
            Err(error) => Some(chain(&error)),
        };
        let Some(problem) = problem else { return Ok(()) };
        if GATE_MAX <= execute::took(context, started) {
            let text = format!("the gate did not open within 5 min ({problem}); the undo goes on");
            return context.store.note(run, context.now(), "gate", text).await;
        }
        context.clock.sleep(GATE_PAUSE).await;
    }
}
