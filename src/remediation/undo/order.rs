//! What undoing a run comes to (I42). Prior values belong to resources, not to runs: what runs of
//! ours wrote to a resource forms a stack, and only its top can be undone.
//!
//! A run below another one leaves its steps there, `superseded`. The run on top undoes its own
//! steps, and then those that lie superseded below. So after the last one, each resource is what it
//! was before the first, whichever was undone first.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{breach::Breach, context::Context},
    Undone, is_open, shrinking_broker,
};
use crate::{
    model::{ResourceKey, RunId, RunState},
    store::{RunDetail, StackedStep, StepProgress, StepRow, StepState, StoreError},
};

/// A step, by its run and its position in it.
type StepId = (RunId, u32);

/// The steps to undo, in the order in which they are undone.
pub(super) struct UndoOrder {
    /// The run that is undone.
    run: RunId,
    /// The steps of a wave belong to one run. Own waves come first, last first, then those of the
    /// runs below.
    pub(super) waves: Vec<Vec<StepRow>>,
    /// Own steps below those of another run, and why they stay, in words.
    pub(super) covered: Vec<(StepRow, String)>,
    /// Steps of entries that a later run has deleted, since the broker did not run them.
    removed: BTreeSet<StepId>,
    /// Steps of a resource that someone else changed after a later step of ours.
    theirs: BTreeSet<StepId>,
}

impl UndoOrder {
    pub(super) async fn read(context: &Context, detail: &RunDetail) -> Result<Self, StoreError> {
        let run = detail.run.id;
        let own = || detail.steps.iter().filter(|it| has_begun(it));
        let mut order = Self {
            run,
            waves: by_wave(own()),
            covered: Vec::new(),
            removed: BTreeSet::new(),
            theirs: BTreeSet::new(),
        };

        let resources: BTreeSet<ResourceKey> = own().flat_map(|it| it.change.resources()).collect();
        let mut below = BTreeMap::<i64, StepRow>::new();

        for resource in resources {
            let mut stack = context.store.stack(&detail.run.cluster, resource.clone()).await?;
            if Breach::I42StackIsLost.is_played() {
                stack.clear();
            }

            let own: Vec<&StepRow> =
                own().filter(|it| it.change.resources().contains(&resource)).collect();
            below.extend(order.add(&own, &stack));
        }

        let mut last = None;
        for (_, step) in below.into_iter().rev() {
            let wave = (step.run, step.wave);
            match order.waves.last_mut().filter(|_| last == Some(wave)) {
                Some(steps) => steps.push(step),
                None => order.waves.push(vec![step]),
            }
            last = Some(wave);
        }

        Ok(order)
    }

    /// Takes in the stack of one resource, top first. Returns the steps of other runs to undo after
    /// our own.
    fn add(&mut self, own: &[&StepRow], stack: &[StackedStep]) -> BTreeMap<i64, StepRow> {
        let seq_of = |step: &StepRow| stack.iter().find(|it| is_same(&it.step, step));
        let others = || stack.iter().filter(|it| it.step.run != self.run);
        let is_above =
            |other: &StackedStep, step: &StepRow| seq_of(step).is_some_and(|it| other.seq > it.seq);

        for step in own {
            let over: BTreeSet<String> = others()
                .filter(|it| is_above(it, step) && is_in_effect(it))
                .map(|it| it.step.run.to_string())
                .collect();
            if !over.is_empty() && is_open(step.state) && step.state != StepState::Superseded {
                let over = over.into_iter().collect::<Vec<_>>().join(", ");
                let text = format!("the change stays until run {over} is undone");
                self.covered.push(((*step).clone(), text));
            }
        }

        // The stack is read from its top.
        let (mut is_removed, mut is_theirs) = (false, false);
        for it in stack {
            if is_removed {
                self.removed.insert(id(&it.step));
            }

            if is_theirs {
                self.theirs.insert(id(&it.step));
            }

            is_removed |= is_removal(&it.step);
            is_theirs |= it.step.state == StepState::Drifted;
        }

        let is_undoing = own.iter().all(|it| it.state != StepState::Superseded)
            && !self.covered.iter().any(|it| own.iter().any(|own| is_same(own, &it.0)));
        let lowest = own.iter().filter_map(|it| seq_of(it)).map(|it| it.seq).min();
        let is_below = |it: &&StackedStep| lowest.is_none_or(|lowest| it.seq < lowest);
        let mut below = BTreeMap::new();

        for it in others().filter(is_below) {
            if is_left_below(it) {
                below.insert(it.seq, it.step.clone());
            } else if !is_removal(&it.step) && it.step.state != StepState::Drifted {
                break;
            }
        }

        if is_undoing { below } else { BTreeMap::new() }
    }

    /// The first wave with a step that can be undone.
    pub(super) fn next_wave(&self) -> Option<usize> {
        (0..self.waves.len()).find(|it| !self.open_steps(*it).is_empty())
    }

    /// The steps of a wave that can be undone: after a failed undo, the earlier steps of the same
    /// resource cannot.
    pub(super) fn open_steps(&self, wave: usize) -> Vec<&StepRow> {
        let failed: BTreeSet<ResourceKey> = self
            .steps()
            .filter(|it| it.state == StepState::UndoFailed)
            .flat_map(|it| it.change.resources())
            .collect();
        let is_blocked = |it: &StepRow| it.change.resources().iter().any(|it| failed.contains(it));

        let steps = self.waves.get(wave).into_iter().flatten();
        steps.filter(|it| self.is_open(it) && !is_blocked(it)).collect()
    }

    /// Whether the step of this run lies below another run's.
    fn stays(&self, step: &StepRow) -> bool {
        step.run == self.run && step.state == StepState::Superseded
    }

    /// All steps, in the order of their undo.
    pub(super) fn steps(&self) -> impl Iterator<Item = &StepRow> {
        self.waves.iter().flatten()
    }

    /// Whether an entry of the step was deleted by a later run of ours.
    pub(super) fn is_removed(&self, step: &StepRow) -> bool {
        self.removed.contains(&id(step))
    }

    /// Whether someone else changed the resource after a later step: then an earlier value that
    /// looks like ours is theirs too.
    pub(super) fn is_theirs(&self, step: &StepRow) -> bool {
        let drifted =
            self.steps().filter(|it| it.state == StepState::Drifted && it.run == step.run);
        let mut later = drifted.filter(|it| it.index > step.index);
        self.theirs.contains(&id(step))
            || later.any(|it| it.change.resources() == step.change.resources())
    }

    /// Whether an earlier step of the same resource is to be undone too.
    pub(super) fn has_open_below(&self, step: &StepRow) -> bool {
        let mut below = self.steps().skip_while(|it| !is_same(it, step)).skip(1);
        below.any(|it| self.is_open(it) && it.change.resources() == step.change.resources())
    }

    /// Whether the step has to be undone now.
    pub(super) fn is_open(&self, step: &StepRow) -> bool {
        is_open(step.state) && !self.stays(step)
    }

    /// Keeps the pause between two halvings of network threads: each closes connections.
    pub(super) async fn delay_next_halving(
        &self,
        context: &Context,
        step: &StepRow,
    ) -> Result<(), StoreError> {
        let due = context.now().after(context.remediation.shrink_pause);
        let later = self.steps().filter(|it| {
            self.is_open(it)
                && shrinking_broker(it).is_some()
                && (it.run, it.wave) != (step.run, step.wave)
        });

        for it in later {
            let progress = StepProgress { not_before: Some(due), ..it.progress.clone() };
            context.store.set_progress(it.run, it.index, progress).await?;
        }

        Ok(())
    }

    /// Says in the journal of the run that is undone that a step of another one is undone with it.
    pub(super) async fn mention(
        &self,
        context: &Context,
        step: &StepRow,
    ) -> Result<(), StoreError> {
        if step.run == self.run {
            return Ok(());
        }

        let text = step.change.text().undo();
        let text = format!("with it, step {} of run {} is undone: {text}", step.index, step.run);
        context.store.note(self.run, context.now(), "step", text).await
    }

    pub(super) fn outcome(&self) -> Undone {
        let mut undone = Undone::default();
        for step in self.steps() {
            let text = step.change.text();
            let named = |problem: &str| format!("{} {}: {problem}", text.subject, text.key);

            match step.state {
                StepState::UndoFailed => {
                    let problem = step.progress.problem.as_deref().unwrap_or("the undo failed");
                    undone.failed.push(named(problem));
                }
                StepState::Drifted => undone.drifted.push(named("someone else changed it")),
                StepState::Superseded if self.stays(step) => {
                    undone.superseded.push(named("another run wrote it later"));
                }
                StepState::Planned
                | StepState::Began
                | StepState::Applied
                | StepState::Failed
                | StepState::UndoBegan
                | StepState::Undone
                | StepState::Superseded => (),
            }
        }

        undone
    }
}

const fn id(step: &StepRow) -> StepId {
    (step.run, step.index)
}

fn is_same(one: &StepRow, other: &StepRow) -> bool {
    id(one) == id(other)
}

/// Whether an undo has to look at the step at all.
fn has_begun(step: &StepRow) -> bool {
    step.state != StepState::Planned && step.change.is_restored_on_undo()
}

/// The waves of one run, last first.
fn by_wave<'a>(steps: impl Iterator<Item = &'a StepRow>) -> Vec<Vec<StepRow>> {
    let mut waves = BTreeMap::<u32, Vec<StepRow>>::new();
    for step in steps {
        waves.entry(step.wave).or_default().push(step.clone());
    }
    waves.into_values().rev().collect()
}

/// Whether the step may determine what is in the resource. A superseded one says that another one
/// above it does.
fn is_in_effect(it: &StackedStep) -> bool {
    has_begun(&it.step) && (is_open(it.step.state) || it.step.state == StepState::UndoFailed)
}

/// Whether the step deleted an entry that the broker did not run.
fn is_removal(step: &StepRow) -> bool {
    step.state == StepState::Applied && !step.change.is_restored_on_undo()
}

/// Whether the step's run is undone, and left the step to the runs above it. An undo that was begun
/// for it may have been interrupted, or have failed.
fn is_left_below(it: &StackedStep) -> bool {
    let is_over = matches!(it.run_state, RunState::RolledBack | RunState::Expired);
    match it.step.state {
        StepState::Superseded => true,
        StepState::UndoBegan | StepState::UndoFailed => is_over,
        StepState::Planned
        | StepState::Began
        | StepState::Applied
        | StepState::Failed
        | StepState::Undone
        | StepState::Drifted => false,
    }
}
