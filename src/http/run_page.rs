//! The page `/runs/ID`: one run with its plan, its verdict as a chart and in words, and its
//! timeline.

use std::time::Duration;

use maud::{Markup, html};

use super::{
    chart::Chart,
    html::{Document, Severity, duration, since, timestamp, words},
    runs_page::severity,
};
use crate::{
    model::{ChangeText, RollbackReason, RunState, WallTime, significant},
    store::{JournalLine, RunDetail, RunRow, StepRow, StepState},
    verdict::VerdictCase,
};

const REFRESH: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct RunPage {
    pub(super) now: WallTime,
    pub(super) detail: RunDetail,
    /// `None` if the run has no verdict, or is too old.
    pub(super) case: Option<VerdictCase>,
}

impl RunPage {
    pub(super) fn page(&self) -> String {
        let run = &self.detail.run;
        let body = html! {
            header {
                h1 { "Run " (run.id) }
                span.dim { (optimizer(run)) " on " (run.target) " · " (timestamp(self.now)) }
            }
            (self.summary())
            nav {
                a href="/runs" { "All runs" }
                a href={ "/api/v1/runs/" (run.id) } { "This run as JSON" }
                @if self.case.is_some() {
                    a href={ "/api/v1/runs/" (run.id) "/case" } { "What its verdict compared" }
                }
            }
            section { h2 { "Run" } (self.facts()) }

            @if run.verdict.is_some() || self.case.is_some() {
                section { h2 { "Before and after" } (self.comparison()) }
            }
            section { h2 { "Plan" } (self.plan()) }
            section { h2 { "Timeline" } (self.timeline()) }
        };

        let title = format!("Run {} {} - kafka-optimizer", run.id, words(run.state.label()));
        let refresh = (!run.state.is_end()).then_some(REFRESH);

        Document { title, refresh, body }.render()
    }

    /// State and reason in words, and what a person can do.
    fn summary(&self) -> Markup {
        let run = &self.detail.run;
        let class = severity(run).map_or("", Severity::class);

        html! {
            div class={ "verdict " (class) } {
                p class=(class) {
                    (capitalized(&words(run.state.label()))) ". " (run.state.meaning())
                }
                @for reason in reasons(run) { p.reason { (reason) } }
            }
            @if let Some(command) = next_command(run) {
                p { "From a terminal: " code { (command) } }
            }
        }
    }

    fn facts(&self) -> Markup {
        let run = &self.detail.run;
        let times = [
            ("approval requested", run.times.asked),
            ("approved", run.times.approved),
            ("first write", run.times.written),
            ("in effect", run.times.effective),
            ("expires", run.times.expires),
            ("ended", run.times.ended),
        ];
        let times = times.into_iter().filter_map(|(name, at)| Some((name, at?)));

        html! {
            dl {
                dt { "cluster" } dd { (run.cluster) }
                dt { "target" } dd { (run.target) }
                dt { "optimizer" } dd { (optimizer(run)) }
                dt { "playbook" } dd { (run.playbook) ", attempt " (run.attempt) }
                dt { "cause" } dd { (run.trigger) " " (run.cause) }
                dt { "created" }
                dd {
                    (timestamp(run.times.created)) ", " (since(self.now, Some(run.times.created)))
                }

                @for (name, at) in times {
                    dt { (name) }
                    dd { (timestamp(at)) ", " (self.offset(at)) }
                }
            }
        }
    }

    fn comparison(&self) -> Markup {
        let (run, measured) = (&self.detail.run, &self.detail.measured);
        let number = |it: Option<f64>| it.map_or_else(|| "unknown".to_owned(), significant);

        html! {
            @if let Some(verdict) = run.verdict {
                p {
                    strong { (capitalized(verdict.label())) }
                    @if let Some(sentence) = &measured.sentence { ": " (sentence) } "."
                }
            }
            @if let (Some(case), Some(written)) = (&self.case, run.times.written) {
                (Chart::new(case, written, measured.evidence.as_ref()).markup())
            } @else if run.verdict.is_some() {
                p.dim { "The bins that the verdict compared are not stored with this run." }
            }
            dl {
                @if !measured.query.is_empty() {
                    dt { "objective" } dd { code { (measured.query) } }
                }
                dt { "before" } dd { (number(measured.before)) }
                dt { "after" } dd { (number(measured.after)) }
                @if let Some(effect) = measured.effect { dt { "effect" } dd { (relative(effect)) } }

                @if let Some(load) = measured.load_change {
                    dt { "load" } dd { (format!("{:+.1} %", load * 100.0)) }
                }
                @if let Some(it) = measured.evidence.as_ref().and_then(|it| it.difference) {
                    dt { "detectable" }
                    dd { (format!("an improvement of {:.0} % or more", it.detectable * 100.0)) }
                }
            }
        }
    }

    fn plan(&self) -> Markup {
        if self.detail.steps.is_empty() {
            return html! { p.dim { "There is none yet." } };
        }

        let remarks = self.detail.run.note.as_ref().filter(|_| !explains_state(&self.detail.run));

        html! {
            p.dim { "Steps of one wave are applied at the same time." }
            table {
                thead {
                    tr {
                        th { "wave" }
                        th { "subject" }
                        th { "key" }
                        th { "from" }
                        th { "to" }

                        th { "state" }
                        th { "since" }
                    }
                }
                tbody { @for step in &self.detail.steps { (self.step(step)) } }
            }
            @if let Some(remarks) = remarks { p { (remarks) } }
        }
    }

    fn step(&self, step: &StepRow) -> Markup {
        let ChangeText { subject, key, from, from_stored, to } = step.change.text();
        // A step that was planned has not happened.
        let at = (step.state != StepState::Planned).then(|| self.offset(step.at));

        html! {
            tr {
                td data-of="wave" { (step.wave) }
                td { (subject) }
                td.text { code { (key) } }
                td data-of="from" {
                    (from)
                    @if let Some(stored) = from_stored.filter(|it| *it != from) {
                        span.dim { " (stored: " (stored) ")" }
                    }
                }
                td data-of="to" {
                    @if let Some(to) = to { (to) } @else { span.dim { "deleted" } }
                }
                td class=[step_severity(step.state).map(Severity::class)] {
                    (words(step.state.label()))
                }
                td { @if let Some(at) = at { (at) } }
            }
        }
    }

    fn timeline(&self) -> Markup {
        html! {
            table {
                thead { tr { th { "time" } th { "entry" } th { "what happened" } th { "by" } } }
                tbody { @for line in &self.detail.journal { (self.entry(line)) } }
            }
        }
    }

    fn entry(&self, line: &JournalLine) -> Markup {
        html! {
            tr {
                td { span title=(timestamp(line.at)) { (self.offset(line.at)) } }
                td.dim { (words(&line.entry)) }
                td.text {
                    (line.text)
                    @if line.repeated > 0 {
                        span.dim {
                            " (" (line.repeated) " more"
                            @if let Some(last) = line.last_at { ", until " (self.offset(last)) }
                            ")"
                        }
                    }
                }
                td data-of=[line.by.as_ref().map(|_| "by")] {
                    @if let Some(by) = &line.by { (by) }
                }
            }
        }
    }

    /// How long after the creation of the run.
    fn offset(&self, at: WallTime) -> String {
        format!("+{}", duration(at.since(self.detail.run.times.created)))
    }
}

/// Why the run is held or was rolled back, and what to do, as sentences.
fn reasons(run: &RunRow) -> Vec<String> {
    let mut reasons = Vec::new();

    if let Some(hold) = run.hold.filter(|_| run.state == RunState::Held) {
        reasons.push(format!("It does not start, because {}.", hold.help().meaning));
    }

    if let Some(note) = run.note.as_ref().filter(|_| explains_state(run)) {
        reasons.push(note.clone());
    }

    if let Some(hold) = run.hold.filter(|_| run.state == RunState::Held) {
        reasons.push(format!("What to do: {}", hold.help().advice.replace('`', "")));
    }

    if let Some(reason) = run.rollback_reason {
        reasons.push(format!("It is rolled back, because {}.", reason.meaning()));
    }

    let by_verdict = run.rollback_reason.is_none_or(|it| it == RollbackReason::Verdict);
    if let Some(verdict) = run.verdict.filter(|_| by_verdict) {
        reasons.push(format!("Verdict: {verdict}."));
    }

    if run.dry_run {
        reasons.push("It is a dry run: it ends with the rehearsal.".to_owned());
    }

    reasons
}

/// Whether the note explains why the run does not proceed. Otherwise it says what the plan omits.
fn explains_state(run: &RunRow) -> bool {
    matches!(run.state, RunState::Queued | RunState::Held | RunState::Cancelled)
}

/// The command that a person may want to run next.
fn next_command(run: &RunRow) -> Option<String> {
    let command = match run.state {
        RunState::Kept | RunState::Acting | RunState::Settling | RunState::Observing => "rollback",
        RunState::AwaitingApproval => "approve",
        RunState::Stuck if !run.acknowledged => "retry",
        RunState::Queued | RunState::Held => "cancel",
        RunState::Stuck
        | RunState::Rehearsed
        | RunState::Expiring
        | RunState::Expired
        | RunState::RollingBack
        | RunState::RolledBack
        | RunState::Cancelled => return None,
    };

    Some(format!("kafka-optimizer {command} {}", run.id))
}

fn step_severity(state: StepState) -> Option<Severity> {
    match state {
        StepState::Applied => Some(Severity::Good),
        StepState::Failed | StepState::UndoFailed => Some(Severity::Bad),
        StepState::Drifted => Some(Severity::Warning),
        StepState::Planned
        | StepState::Began
        | StepState::UndoBegan
        | StepState::Undone
        | StepState::Superseded => None,
    }
}

fn optimizer(run: &RunRow) -> String {
    match run.level {
        Some(level) => format!("{} ({level})", run.optimizer),
        None => run.optimizer.to_string(),
    }
}

fn relative(effect: f64) -> String {
    let direction = if effect < 0.0 { "worse" } else { "better" };
    format!("{:.1} % {direction}", effect.abs() * 100.0)
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |it| it.to_uppercase().chain(rest).collect())
}
