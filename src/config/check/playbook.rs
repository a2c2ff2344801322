//! Checks `remediation.playbooks`.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::raw::{RawMatch, RawObjective, RawPlaybook, Scalar},
    CheckReport,
    key_path::{Choices, KeyPath},
    optimizer,
};
use crate::playbook::{
    AboveStatic, Better, COOLDOWN_MAX, Match, Objective, Optimizer, OptimizerKind, Playbook,
    SAMPLES_MIN, Template, TemporaryChange, Windows,
};

/// The usual range of a recording rule.
const WINDOW_DEFAULT: Duration = Duration::from_mins(5);
const BASELINE_DEFAULT: Duration = Duration::from_mins(5);
/// The window plus two scrapes, rounded up.
const SETTLE_DEFAULT: Duration = Duration::from_mins(6);
const OBSERVE_DEFAULT: Duration = Duration::from_mins(5);
const COOLDOWN_DEFAULT: Duration = Duration::from_hours(1);
const ATTEMPTS_DEFAULT: u32 = 1;
const ATTEMPTS_MAX: u32 = 10;
/// Less than this is noise on any cluster that does work.
const AT_LEAST_DEFAULT: f64 = 0.2;
/// I27: how long a measure stays.
const SHED_LIMIT_DEFAULT: Duration = Duration::from_mins(30);
const CLONES_LIMIT_DEFAULT: Duration = Duration::from_hours(2);
const TIME_LIMIT_MAX: Duration = Duration::from_hours(24);
/// What the runs of persons are listed under.
const RESERVED_NAME: &str = "manual";

/// Checks all of them. `scrape` is the distance of two samples.
pub(super) fn playbooks(
    raw: Vec<RawPlaybook>,
    scrape: Duration,
    report: &mut CheckReport,
) -> Vec<Playbook> {
    let mut names = BTreeSet::new();
    let mut playbooks = Vec::with_capacity(raw.len());
    for (index, one) in raw.into_iter().enumerate() {
        let at = format!("remediation.playbooks[{index}]");
        if let Some(name) = &one.name
            && !names.insert(name.clone())
        {
            report.problem(
                format!("{at}.name"),
                format!("`{name}` is the name of an earlier playbook"),
            );
        }
        playbooks.extend(playbook(one, scrape, &KeyPath(at), report));
    }
    reapplied(&playbooks, report);
    playbooks
}

/// A value that does not survive a restart needs someone who brings it back.
fn reapplied(playbooks: &[Playbook], report: &mut CheckReport) {
    if playbooks.iter().any(|it| it.optimizer == Optimizer::Reapply) {
        return;
    }
    for (index, playbook) in playbooks.iter().enumerate() {
        if let Optimizer::TuneBrokers(it) = &playbook.optimizer
            && it.above_static == AboveStatic::Reapply
        {
            report.problem(
                format!("remediation.playbooks[{index}].optimizer.tune_brokers.above_static"),
                "`reapply` needs a playbook with the optimizer `reapply: {}`",
            );
        }
    }
}

fn playbook(
    raw: RawPlaybook,
    scrape: Duration,
    at: &KeyPath,
    report: &mut CheckReport,
) -> Option<Playbook> {
    let windows = windows(&raw, scrape, at, report);
    let kind = raw.optimizer.as_ref().and_then(optimizer::kind);
    let temporary = temporary(&raw, kind, at, report);
    let name = raw.name.unwrap_or_default();
    report.name(&at.key("name"), &name);
    if name == RESERVED_NAME {
        report
            .problem(at.key("name"), "`manual` is the name under which a person's runs are listed");
    }
    let attempts_max = raw.max_attempts.unwrap_or(ATTEMPTS_DEFAULT);
    if !(1..=ATTEMPTS_MAX).contains(&attempts_max) {
        report.problem(at.key("max_attempts"), format!("must be 1 to {ATTEMPTS_MAX}"));
    }
    let matches = matches(raw.matches, at, report);
    let when = raw.when.and_then(|text| template(&text, at.key("when"), report));
    let optimizer = optimizer::check(raw.optimizer, at, report);
    let objective = objective(raw.objective, at, report);
    let load = required(raw.load, at.key("load"), "the load that the objective depends on", report);
    let mut guards = Vec::new();
    for (index, text) in raw.guards.unwrap_or_default().iter().enumerate() {
        guards.extend(template(text, at.key(&format!("guards[{index}]")), report));
    }
    let playbook = Playbook {
        name,
        matches,
        when,
        optimizer: optimizer?,
        objective: objective?,
        load: load?,
        guards,
        windows,
        attempts_max,
        keep_neutral: raw.keep_neutral.unwrap_or(false),
        approve: raw.approve.unwrap_or(false),
        temporary,
    };
    let (wrong, right) = if playbook.optimizer.kind().is_about_a_group() {
        ("broker_id", "consumergroup")
    } else {
        ("consumergroup", "broker_id")
    };
    if playbook.needs(wrong) {
        let advice = format!(
            "an expression speaks of ${wrong}, which {} has no value for; it has ${right}",
            playbook.optimizer.kind()
        );
        report.problem(at.0.clone(), advice);
    }
    Some(playbook)
}

/// I27: what does not stay has an end.
fn temporary(
    raw: &RawPlaybook,
    kind: Option<OptimizerKind>,
    at: &KeyPath,
    report: &mut CheckReport,
) -> Option<TemporaryChange> {
    let kind = kind?;
    if !kind.is_temporary() {
        let written = [
            ("expire_after", raw.expire_after.is_some()),
            ("expire_when", raw.expire_when.is_some()),
        ];
        for (key, _) in written.into_iter().filter(|it| it.1) {
            report.problem(at.key(key), format!("what {kind} does stays: leave it out"));
        }
        return None;
    }
    let default =
        if kind == OptimizerKind::ShedLoad { SHED_LIMIT_DEFAULT } else { CLONES_LIMIT_DEFAULT };
    let expire_after = report.duration(&at.key("expire_after"), raw.expire_after.as_ref(), default);
    if expire_after.is_zero() || TIME_LIMIT_MAX < expire_after {
        report.problem(at.key("expire_after"), "must be more than 0s and at most 24h");
    }
    let expire_when =
        raw.expire_when.as_ref().and_then(|it| template(it, at.key("expire_when"), report));
    Some(TemporaryChange { expire_after, expire_when })
}

/// I34: a playbook answers an alert by its name, not by whichever alert carries a label.
fn matches(raw: Option<RawMatch>, at: &KeyPath, report: &mut CheckReport) -> Match {
    let labels = raw.unwrap_or_default().0;
    if !labels.contains_key("alertname") {
        report.problem(at.key("match"), "must hold `alertname`, as {alertname: KafkaSlow}");
    }
    for (name, value) in &labels {
        let legal = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
        let starts_with_digit = name.bytes().next().is_none_or(|it| it.is_ascii_digit());
        if starts_with_digit || !name.bytes().all(legal) {
            report.problem(at.key("match"), format!("`{name}` is not the name of a label"));
        }
        if value.is_empty() {
            let advice = "is empty, which no alert's label can be: name the value";
            report.problem(at.key(&format!("match.{name}")), advice);
        }
    }
    Match { labels }
}

fn objective(
    raw: Option<RawObjective>,
    at: &KeyPath,
    report: &mut CheckReport,
) -> Option<Objective> {
    let Some(raw) = raw else {
        let advice = "say what a run is for, as {query: '…', better: lower}";
        report.problem(at.key("objective"), advice);
        return None;
    };
    let at = KeyPath(at.key("objective"));
    let query = required(raw.query, at.key("query"), "what shall get better", report);
    let better = match raw.better {
        None => {
            report.problem(at.key("better"), "choose `lower` or `higher`");
            None
        }
        Some(written) => Choices { known: Better::ALL, label: Better::label, later: &[] }.pick(
            &written,
            at.key("better"),
            report,
        ),
    };
    let at_least = percentage(raw.at_least.as_ref(), at.key("at_least"), report);
    Some(Objective { query: query?, better: better?, at_least })
}

fn windows(raw: &RawPlaybook, scrape: Duration, at: &KeyPath, report: &mut CheckReport) -> Windows {
    let mut read = |key: &str, written: &Option<Scalar>, default| {
        report.duration(&at.key(key), written.as_ref(), default)
    };
    let windows = Windows {
        window: read("window", &raw.window, WINDOW_DEFAULT),
        baseline: read("baseline", &raw.baseline, BASELINE_DEFAULT),
        settle: read("settle", &raw.settle, SETTLE_DEFAULT),
        observe: read("observe", &raw.observe, OBSERVE_DEFAULT),
        cooldown: read("cooldown", &raw.cooldown, COOLDOWN_DEFAULT),
    };
    // Until then the objective still averages over samples from before the write.
    let settle_min = windows.window.saturating_add(scrape.saturating_mul(2));
    if windows.settle < settle_min {
        let advice = format!(
            "must be at least {}: the window ({}) and two scrapes of {}",
            humantime::format_duration(settle_min),
            humantime::format_duration(windows.window),
            humantime::format_duration(scrape),
        );
        report.problem(at.key("settle"), advice);
    }
    let span_min = scrape.saturating_mul(SAMPLES_MIN.into());
    for (key, span) in [("baseline", windows.baseline), ("observe", windows.observe)] {
        if span < span_min {
            let advice = format!(
                "must be at least {}, to hold {SAMPLES_MIN} samples at a scrape interval of {}",
                humantime::format_duration(span_min),
                humantime::format_duration(scrape),
            );
            report.problem(at.key(key), advice);
        }
    }
    if COOLDOWN_MAX < windows.cooldown {
        report.problem(at.key("cooldown"), "must be at most 24h");
    }
    windows
}

fn percentage(raw: Option<&Scalar>, path: String, report: &mut CheckReport) -> f64 {
    let Some(Scalar(text)) = raw else { return AT_LEAST_DEFAULT };
    let share = text.strip_suffix('%').and_then(|it| it.trim().parse::<f64>().ok());
    match share {
        Some(percent) if (1.0..=100.0).contains(&percent) => percent / 100.0,
        Some(_) => {
            report.problem(path, format!("`{text}` must be 1% to 100%"));
            AT_LEAST_DEFAULT
        }
        None => {
            report.problem(path, format!("`{text}` is not a percentage; write 20%"));
            AT_LEAST_DEFAULT
        }
    }
}

fn required(
    text: Option<String>,
    path: String,
    what: &str,
    report: &mut CheckReport,
) -> Option<Template> {
    if let Some(text) = text {
        return template(&text, path, report);
    }
    report.problem(path, format!("give a PromQL expression of {what}"));
    None
}

fn template(text: &str, path: String, report: &mut CheckReport) -> Option<Template> {
    match Template::new(text) {
        Ok(template) => Some(template),
        Err(error) => {
            report.problem(path, error.to_string());
            None
        }
    }
}
