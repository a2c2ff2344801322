//! Checks `remediation.playbooks`: names, expressions, windows and optimizers.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::raw::{RawMatch, RawObjective, RawPlaybook, Scalar},
    CheckReport,
    key_path::KeyPath,
    optimizer,
};
use crate::playbook::{
    AboveStatic, AlertMatcher, COOLDOWN_MAX, Objective, Optimizer, OptimizerKind, Playbook,
    SAMPLES_MIN, Template, TemporaryChange, Windows,
};

/// The usual range of recording rules.
const WINDOW_DEFAULT: Duration = Duration::from_mins(5);
const BASELINE_DEFAULT: Duration = Duration::from_mins(5);
/// The default window plus two scrapes, rounded up.
const SETTLE_DEFAULT: Duration = Duration::from_mins(6);
const OBSERVE_DEFAULT: Duration = Duration::from_mins(5);
const COOLDOWN_DEFAULT: Duration = Duration::from_hours(1);
const ATTEMPTS_DEFAULT: u32 = 1;
const ATTEMPTS_MAX: u32 = 10;
/// Smaller differences are noise on a busy cluster.
const AT_LEAST_DEFAULT: f64 = 0.2;
/// I27: how long a temporary change stays in effect.
const SHED_EXPIRE_AFTER_DEFAULT: Duration = Duration::from_mins(30);
const CLONES_EXPIRE_AFTER_DEFAULT: Duration = Duration::from_hours(2);
const EXPIRE_AFTER_MAX: Duration = Duration::from_hours(24);
/// Metrics that are 0 or 1 for each partition.
const FLAGS: [&str; 3] = [
    "kafka_topic_partition_under_min_isr",
    "kafka_topic_partition_offline",
    "kafka_topic_partition_under_replicated_partition",
];
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
    let windows = windows(&raw, scrape, path, report);
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
    let objective = objective(raw.objective, path, report);
    let load =
        required(raw.load, path.key("load"), "for the load that the objective depends on", report);
    let mut guards = Vec::new();

    for (index, text) in raw.guards.unwrap_or_default().iter().enumerate() {
        let path = path.key("guards").index(index);
        if text.trim_start().starts_with("max") && FLAGS.iter().any(|it| text.contains(it)) {
            report.warning(
                &path,
                "cannot rise while one partition is 1 already: count them with `sum`",
            );
        }
        guards.extend(template(text, path, report));
    }

    let playbook = Playbook {
        name,
        matcher,
        confirm,
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

    // It would end before it has been judged.
    let judged = windows.settle.saturating_add(windows.observe);
    if expire_after < judged {
        let advice = format!(
            "must be at least {}: settle ({}) and observe ({})",
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

fn objective(
    raw: Option<RawObjective>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<Objective> {
    let Some(raw) = raw else {
        let advice = "is required, such as {query: '…', better: lower}";
        report.problem(path.key("objective"), advice);
        return None;
    };

    let path = path.key("objective");
    let query = required(raw.query, path.key("query"), "for what should improve", report);
    let better = match raw.better {
        None => {
            report.problem(path.key("better"), "is required: `lower` or `higher`");
            None
        }
        Some(written) => report.choice(path.key("better"), &written),
    };

    let at_least = percentage(raw.at_least.as_ref(), path.key("at_least"), report);

    Some(Objective { query: query?, better: better?, at_least })
}

fn windows(
    raw: &RawPlaybook,
    scrape: Duration,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Windows {
    let mut read = |key: &str, written: &Option<Scalar>, default| {
        report.duration(&path.key(key), written.as_ref(), default)
    };

    let windows = Windows {
        window: read("window", &raw.window, WINDOW_DEFAULT),
        baseline: read("baseline", &raw.baseline, BASELINE_DEFAULT),
        settle: read("settle", &raw.settle, SETTLE_DEFAULT),
        observe: read("observe", &raw.observe, OBSERVE_DEFAULT),
        cooldown: read("cooldown", &raw.cooldown, COOLDOWN_DEFAULT),
    };

    // Earlier, the objective still averages over samples from before the change.
    let settle_min = windows.window.saturating_add(scrape.saturating_mul(2));
    if windows.settle < settle_min {
        let advice = format!(
            "must be at least {}: the window ({}) and two scrapes of {}",
            humantime::format_duration(settle_min),
            humantime::format_duration(windows.window),
            humantime::format_duration(scrape),
        );
        report.problem(path.key("settle"), advice);
    }

    if windows.window < scrape.saturating_mul(2) {
        let advice = format!(
            "a rate over less than two scrapes of {} has no value: is it the range of your rules?",
            humantime::format_duration(scrape),
        );
        report.warning(path.key("window"), advice);
    }

    let span_min = scrape.saturating_mul(SAMPLES_MIN.into());
    for (key, span) in [("baseline", windows.baseline), ("observe", windows.observe)] {
        if span < span_min {
            let advice = format!(
                "must be at least {}, to hold {SAMPLES_MIN} samples at a scrape interval of {}",
                humantime::format_duration(span_min),
                humantime::format_duration(scrape),
            );
            report.problem(path.key(key), advice);
        }
    }

    if windows.cooldown > COOLDOWN_MAX {
        report.problem(path.key("cooldown"), "must be at most 24h");
    }

    windows
}

fn percentage(raw: Option<&Scalar>, path: KeyPath, report: &mut CheckReport) -> f64 {
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

fn template(text: &str, path: KeyPath, report: &mut CheckReport) -> Option<Template> {
    match Template::new(text) {
        Ok(template) => Some(template),
        Err(error) => {
            report.problem(path, error.to_string());
            None
        }
    }
}
