//! Checks `remediation.playbooks`: names, expressions, windows and optimizers.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::raw::{RawMatch, RawPlaybook},
    CheckReport,
    key_path::KeyPath,
    objective, optimizer, windows,
};
use crate::playbook::{
    AboveStatic, AlertMatcher, Optimizer, OptimizerKind, Playbook, Template, TemporaryChange,
    Windows,
};

const ATTEMPTS_DEFAULT: u32 = 1;
const ATTEMPTS_MAX: u32 = 10;
/// I27: how long a temporary change stays in effect.
const SHED_EXPIRE_AFTER_DEFAULT: Duration = Duration::from_mins(30);
const CLONES_EXPIRE_AFTER_DEFAULT: Duration = Duration::from_hours(2);
const EXPIRE_AFTER_MAX: Duration = Duration::from_hours(24);
/// Runs that a person starts without a playbook are listed under this name.
const RESERVED_NAME: &str = "manual";

/// `scrape` is the scrape interval, the distance between two samples.
pub(super) fn playbooks(
    raw: Vec<RawPlaybook>,
    scrape: Duration,
    report: &mut CheckReport,
) -> Vec<Playbook> {
    let mut names = BTreeSet::new();
    let mut playbooks = Vec::with_capacity(raw.len());
    let path = KeyPath::root("remediation").key("playbooks");

    for (index, one) in raw.into_iter().enumerate() {
        let path = path.index(index);
        if let Some(name) = &one.name
            && !names.insert(name.clone())
        {
            report.problem(
                path.key("name"),
                format!("`{name}` is already the name of another playbook"),
            );
        }

        playbooks.extend(playbook(one, scrape, &path, report));
    }

    check_reapply(&playbooks, report);
    warn_equal_matchers(&playbooks, report);

    playbooks
}

fn warn_equal_matchers(playbooks: &[Playbook], report: &mut CheckReport) {
    for (index, playbook) in playbooks.iter().enumerate() {
        let earlier = playbooks.iter().take(index).find(|it| it.matcher == playbook.matcher);

        if let Some(earlier) = earlier {
            report.warning(
                format!("remediation.playbooks[{index}].match"),
                format!("matches the same alerts as `{}`: each starts a run of both", earlier.name),
            );
        }
    }
}

/// `above_static: reapply` writes values that do not survive a restart, so a playbook must reapply
/// them.
fn check_reapply(playbooks: &[Playbook], report: &mut CheckReport) {
    if playbooks.iter().any(|it| it.optimizer == Optimizer::Reapply) {
        return;
    }

    for (index, playbook) in playbooks.iter().enumerate() {
        if let Optimizer::TuneBrokers(it) = &playbook.optimizer
            && it.above_static == AboveStatic::Reapply
        {
            report.problem(
                format!("remediation.playbooks[{index}].optimizer.tune_brokers.above_static"),
                "`reapply` requires a playbook with the optimizer `reapply: {}`",
            );
        }
    }
}

fn playbook(
    raw: RawPlaybook,
    scrape: Duration,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<Playbook> {
    let objective = objective::objective(raw.objective.as_ref(), path, report);
    let windows = windows::windows(&raw, objective.as_ref(), scrape, path, report);
    let kind = raw.optimizer.as_ref().and_then(optimizer::kind);
    let temporary = temporary(&raw, kind, &windows, path, report);
    let name = raw.name.unwrap_or_default();
    report.name(&path.key("name"), &name);

    if name == RESERVED_NAME {
        report.problem(path.key("name"), "`manual` is reserved for runs that a person starts");
    }

    let attempts_max = raw.max_attempts.unwrap_or(ATTEMPTS_DEFAULT);
    if !(1..=ATTEMPTS_MAX).contains(&attempts_max) {
        report.problem(path.key("max_attempts"), format!("must be 1 to {ATTEMPTS_MAX}"));
    }

    let matcher = matcher(raw.matches, path, report);
    let confirm = raw.confirm.and_then(|text| confirm(&text, path.key("confirm"), report));
    let when = raw.when.and_then(|text| template(&text, path.key("when"), report));
    let optimizer = optimizer::check(raw.optimizer, path, report);
    let load = objective::load(raw.load, objective.as_ref(), path, report);
    let guards = objective::guards(raw.guards, raw.soft_guards, path, report);
    let reached_when =
        raw.reached_when.and_then(|text| template(&text, path.key("reached_when"), report));

    let playbook = Playbook {
        name,
        matcher,
        confirm,
        when,
        optimizer: optimizer?,
        objective: objective?,
        load,
        guards,
        reached_when,
        windows,
        attempts_max,
        keep_neutral: raw.keep_neutral.unwrap_or(false),
        approve: raw.approve.unwrap_or(false),
        temporary,
    };

    objective::check_reach(&playbook, path, report);
    let (wrong, right) = if playbook.optimizer.kind().is_about_a_group() {
        ("broker_id", "consumergroup")
    } else {
        ("consumergroup", "broker_id")
    };

    if playbook.needs(wrong) {
        let advice = format!(
            "an expression uses ${wrong}, which {} does not set; use ${right}",
            playbook.optimizer.kind()
        );
        report.problem(path, advice);
    }

    Some(playbook)
}

/// I27: a temporary change expires.
fn temporary(
    raw: &RawPlaybook,
    kind: Option<OptimizerKind>,
    windows: &Windows,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<TemporaryChange> {
    let kind = kind?;
    if !kind.is_temporary() {
        let written = [
            ("expire_after", raw.expire_after.is_some()),
            ("expire_when", raw.expire_when.is_some()),
        ];
        for (key, _) in written.into_iter().filter(|it| it.1) {
            report.problem(
                path.key(key),
                format!("is only for temporary changes; {kind} makes permanent ones: omit it"),
            );
        }

        return None;
    }

    let default = if kind == OptimizerKind::ShedLoad {
        SHED_EXPIRE_AFTER_DEFAULT
    } else {
        CLONES_EXPIRE_AFTER_DEFAULT
    };

    let expire_after =
        report.duration(&path.key("expire_after"), raw.expire_after.as_ref(), default);
    if expire_after.is_zero() || expire_after > EXPIRE_AFTER_MAX {
        report.problem(path.key("expire_after"), "must be more than 0s and at most 24h");
    }

    // It would end before it has been judged. A doubtful one is observed twice as long.
    let judged = windows.settle.saturating_add(windows.observe.saturating_mul(2));
    if expire_after < judged {
        let advice = format!(
            "must be at least {}: settle ({}) and twice observe ({})",
            humantime::format_duration(judged),
            humantime::format_duration(windows.settle),
            humantime::format_duration(windows.observe),
        );
        report.problem(path.key("expire_after"), advice);
    }

    let expire_when =
        raw.expire_when.as_ref().and_then(|it| template(it, path.key("expire_when"), report));

    Some(TemporaryChange { expire_after, expire_when })
}

/// I34: a playbook must match the name of the alert, not just any alert with some label.
fn matcher(raw: Option<RawMatch>, path: &KeyPath, report: &mut CheckReport) -> AlertMatcher {
    let labels = raw.unwrap_or_default().0;
    if !labels.contains_key("alertname") {
        report
            .problem(path.key("match"), "must contain `alertname`, such as {alertname: KafkaSlow}");
    }

    for (name, value) in &labels {
        let legal = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
        let starts_with_digit = name.bytes().next().is_none_or(|it| it.is_ascii_digit());

        if starts_with_digit || !name.bytes().all(legal) {
            report.problem(path.key("match"), format!("`{name}` is not a valid label name"));
        }

        if value.is_empty() {
            let advice = "must not be empty: Prometheus drops labels with an empty value";
            report.problem(path.key("match").key(name), advice);
        }

        if value.contains(['*', '|', '^', '$', '[', '(', '\\']) {
            let advice = format!("`{value}` is compared as it is, not as a regular expression");

            report.warning(path.key("match").key(name), advice);
        }
    }

    AlertMatcher { labels }
}

/// One query answers for all targets, so only the cluster can be a variable.
fn confirm(text: &str, path: KeyPath, report: &mut CheckReport) -> Option<Template> {
    let template = template(text, path.clone(), report)?;
    let variable = template.needs().find(|it| *it != "kafka_cluster").map(str::to_owned);

    if let Some(variable) = variable {
        report.problem(
            path,
            format!(
                "must not contain ${variable}: the expression is evaluated once for all targets, \
                 and its series are compared by their labels `broker_id` and `consumergroup`"
            ),
        );
    }

    Some(template)
}

pub(super) fn required(
    text: Option<String>,
    path: KeyPath,
    what: &str,
    report: &mut CheckReport,
) -> Option<Template> {
    if let Some(text) = text {
        return template(&text, path, report);
    }

    report.problem(path, format!("is required: a PromQL expression {what}"));

    None
}

pub(super) fn template(text: &str, path: KeyPath, report: &mut CheckReport) -> Option<Template> {
    match Template::new(text) {
        Ok(template) => Some(template),
        Err(error) => {
            report.problem(path, error.to_string());
            None
        }
    }
}
