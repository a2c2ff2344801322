//! What past runs taught, and what to do next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    content::ReportStep,
    data::{ReportedCluster, ReportedRun},
    scaling::ScalingTerm,
    trend::middle,
};

/// Findings that are next steps, at most: nobody works through more of them at once.
const FINDINGS_MAX: usize = 10;

/// What the runs of one optimizer on one target taught.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    pub optimizer: String,
    pub target: String,
    pub kept: usize,
    pub rolled_back: usize,
    /// Median of the effects that are known, of kept runs and of those rolled back.
    pub median_effect: Option<f64>,
}

/// What the runs taught, by optimizer and target, in the order of their names.
pub(super) fn lessons(runs: &[ReportedRun]) -> Vec<Lesson> {
    let mut by_target: BTreeMap<[&str; 2], Vec<&ReportedRun>> = BTreeMap::new();
    for run in runs {
        by_target.entry([&run.optimizer, &run.target]).or_default().push(run);
    }

    let lesson = |([optimizer, target], runs): ([&str; 2], Vec<&ReportedRun>)| {
        let number =
            |states: &[&str]| runs.iter().filter(|it| states.contains(&it.state.as_str())).count();
        let effects = runs.iter().filter_map(|it| it.effect).filter(|it| it.is_finite());
        let mut effects: Vec<f64> = effects.collect();
        effects.sort_unstable_by(f64::total_cmp);

        Lesson {
            optimizer: optimizer.to_owned(),
            target: target.to_owned(),
            kept: number(&["kept", "expired"]),
            rolled_back: number(&["rolled_back"]),
            median_effect: middle(&effects),
        }
    };

    by_target.into_iter().map(lesson).filter(|it| it.kept + it.rolled_back > 0).collect()
}

impl Lesson {
    /// The lesson, as people say it.
    pub(super) fn words(&self) -> &'static str {
        match (self.kept, self.rolled_back) {
            (1.., 0) => "it helps here",
            (0, 1) => "it did not help here once, which may be chance",
            (0, _) => "it does not help here: look for another cause",
            (_, _) => "it helps here at times",
        }
    }
}

/// What to do, the most urgent first.
pub(super) fn next_steps(cluster: &ReportedCluster) -> Vec<ReportStep> {
    let mut steps = Vec::new();
    waiting_runs(cluster, &mut steps);

    for finding in cluster.facts.findings.iter().take(FINDINGS_MAX) {
        let text = format!("{}, {}: {}", finding.title, finding.subject, finding.advice);
        steps.push(ReportStep { text, command: finding.command.clone() });
    }

    let more = cluster.facts.findings.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        let text = format!("Look at {more} further findings");
        steps.push(ReportStep { text, command: Some("kafka-optimizer analyze".to_owned()) });
    }

    let soon = cluster.scaling.iter().filter(|it| it.term != ScalingTerm::Long);
    steps.extend(soon.map(|it| ReportStep { text: it.text.clone(), command: None }));

    for lesson in cluster.lessons.iter().filter(|it| it.kept == 0 && it.rolled_back > 1) {
        let text = format!(
            "Look for another cause on {}: {} was rolled back {} times and never kept",
            lesson.target, lesson.optimizer, lesson.rolled_back
        );
        steps.push(ReportStep { text, command: Some("kafka-optimizer analyze".to_owned()) });
    }

    if cluster.facts.baselines.is_empty() {
        let text =
            "Record a baseline before the next change, to compare with afterwards".to_owned();
        let command = "kafka-optimizer baseline record NAME".to_owned();
        steps.push(ReportStep { text, command: Some(command) });
    }

    steps
}

/// Runs that wait for a person.
fn waiting_runs(cluster: &ReportedCluster, steps: &mut Vec<ReportStep>) {
    for run in &cluster.facts.runs {
        let ReportedRun { id, target, .. } = run;
        match run.state.as_str() {
            "stuck" if !run.acknowledged => steps.push(ReportStep {
                text: format!("Undo run {id} on {target} by hand, then acknowledge it"),
                command: Some(format!("kafka-optimizer acknowledge {id}")),
            }),
            "awaiting_approval" => steps.push(ReportStep {
                text: format!("Approve or reject run {id} on {target}"),
                command: Some(format!("kafka-optimizer approve {id}")),
            }),
            _ => {}
        }
    }
}
