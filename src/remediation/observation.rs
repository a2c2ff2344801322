//! What a run compares: a playbook's expressions, rendered for one target.

use super::{context::Context, hold::Hold};
use crate::{
    model::{BrokerId, HoldReason, Target},
    playbook::{OptimizerKind, Playbook, Template, Values},
    store::{Measurement, ObservationPlan},
};

/// The most untouched brokers that a run is compared with: their mean is no steadier with more.
const UNTOUCHED_MAX: usize = 8;

/// A playbook's expressions, rendered for one target.
#[derive(Clone, Debug)]
pub(super) struct Expressions {
    pub(super) observation: ObservationPlan,
    pub(super) when: Option<String>,
    /// Every selector of the objective, the load and the guards.
    inputs: Vec<String>,
}

impl Expressions {
    /// Renders the playbook's expressions with `values`, which are those of `target`.
    pub(super) fn of(
        context: &Context,
        playbook: &Playbook,
        target: &Target,
        values: &Values,
    ) -> Result<Self, Hold> {
        for template in playbook.judged().chain(&playbook.when).chain(&playbook.reached_when) {
            if let Some(missing) = template.needs().find(|it| !values.contains_key(it)) {
                return Err(Hold::new(
                    HoldReason::Unplannable,
                    format!("`{template}` needs ${missing}, and the target is {target}"),
                ));
            }
        }

        Ok(Self {
            observation: observation(playbook, values, &untouched(context, playbook, values)),
            when: playbook.when.as_ref().map(|it| it.render(values)),
            inputs: inputs(playbook, values),
        })
    }

    pub(super) fn inputs(&self) -> &[String] {
        &self.inputs
    }
}

/// The inputs of a run that has begun; none if its playbook is no longer configured.
pub(super) fn inputs_of_run(
    context: &Context,
    target: &Target,
    measured: &Measurement,
    playbook: Option<&Playbook>,
) -> Vec<String> {
    let values = context.values(target, measured.canary.and_then(BrokerId::from_wire));
    playbook.map(|it| inputs(it, &values)).unwrap_or_default()
}

fn inputs(playbook: &Playbook, values: &Values) -> Vec<String> {
    let mut inputs: Vec<String> = playbook.judged().flat_map(|it| it.inputs(values)).collect();
    inputs.sort();
    inputs.dedup();
    inputs
}

pub(super) fn observation(
    playbook: &Playbook,
    values: &Values,
    others: &[BrokerId],
) -> ObservationPlan {
    let render = |it: &Template| it.render(values);
    let objective = &playbook.objective;
    let of_others = objective.measure.map(|it| it.render_others(values, others));
    let is_complete = of_others.expressions().into_iter().all(Option::is_some);
    let windows = &playbook.windows;

    ObservationPlan {
        objective: objective.measure.map(render),
        untouched: is_complete.then(|| of_others.map(|it| it.clone().unwrap_or_default())),
        load: playbook.load.as_ref().map(render),
        untouched_load: playbook.load.as_ref().and_then(|it| it.render_others(values, others)),
        guards: playbook.guards.iter().map(|it| it.map(render)).collect(),
        reached_when: playbook.reached_when.as_ref().map(render),
        better: objective.better,
        at_least: objective.at_least,
        bin: windows.bin(),
        baseline: windows.baseline,
        settle: windows.settle,
        history: windows.history,
    }
}

/// The brokers that a run about `$broker_id` does not touch. A quota acts on all brokers, and
/// leaders go from one to another: only a broker's own configuration leaves the others alone.
fn untouched(context: &Context, playbook: &Playbook, values: &Values) -> Vec<BrokerId> {
    let latest = context.latest.borrow().clone();
    let brokers = latest.iter().flat_map(|it| &it.topology).flat_map(|it| &it.value.brokers);

    others(playbook, values, brokers.map(|it| it.id))
}

/// Those of `brokers` that a run about `$broker_id` does not touch, at most eight.
pub(super) fn others(
    playbook: &Playbook,
    values: &Values,
    brokers: impl Iterator<Item = BrokerId>,
) -> Vec<BrokerId> {
    let is_of_one =
        matches!(playbook.optimizer.kind(), OptimizerKind::TuneBrokers | OptimizerKind::Reapply);
    let Some(changed) = values.get("broker_id").filter(|_| is_of_one) else { return Vec::new() };

    let mut others: Vec<BrokerId> = brokers.filter(|it| it.to_string() != *changed).collect();
    others.sort();
    others.truncate(UNTOUCHED_MAX);

    others
}
