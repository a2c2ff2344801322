//! Writes `docs/analyze.md` from the tables of causes and signals.

use std::fmt::Write;

use super::{
    causes::{Cause, CauseSpec},
    correlate::EXPLANATIONS,
    signal::{Signal, SignalSource, SignalSpec, SignalUnit},
};

/// The text before the tables.
const HEAD: &str = include_str!("analyze-head.md");

/// The expected text of `docs/analyze.md`.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    causes(&mut text);
    explanations(&mut text);
    signals(&mut text);
    sources(&mut text);

    text
}

/// Writing to a string cannot fail.
fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _infallible = writeln!(text, "{line}");
}

fn causes(text: &mut String) {
    text.push_str("\n## Causes\n\nThe first of two equally bad findings is shown first.\n");

    for cause in Cause::ALL {
        let CauseSpec { title, advice, alert, optimizer, signals, .. } = cause.spec();
        let signals: Vec<String> = signals.iter().map(|it| format!("`{it}`")).collect();
        line(text, format_args!("\n### {title}\n\n`{cause}`\n\n{}", sentences(advice)));
        line(text, format_args!("\nFound by {}.", signals.join(", ")));
        match (alert, optimizer) {
            (Some(alert), Some(optimizer)) => line(
                text,
                format_args!(
                    "The alert [{alert}](runbooks/{alert}.md) starts `{optimizer}`, if a playbook \
                     answers it."
                ),
            ),
            (Some(alert), None) => line(
                text,
                format_args!(
                    "The alert is [{alert}](runbooks/{alert}.md); no optimizer answers it."
                ),
            ),
            (None, _) => line(text, format_args!("There is no alert for it.")),
        }
    }
}

/// One sentence a line, as in all documents.
fn sentences(text: &str) -> String {
    text.replace(". ", ".\n")
}

fn explanations(text: &mut String) {
    text.push_str(
        "\n## What explains what\n\nThe first line that fits counts. What a cause explains is \
         listed under it.\n\n| cause | explains | where |\n| --- | --- | --- |\n",
    );

    for it in EXPLANATIONS {
        let symptoms: Vec<String> = it.symptoms.iter().map(|it| format!("`{it}`")).collect();
        let relation = it.relation.text();
        line(text, format_args!("| `{}` | {} | {relation} |", it.cause, symptoms.join(", ")));
    }
}

fn signals(text: &mut String) {
    text.push_str(
        "\n## Signals\n\nWithout the matcher `kafka_cluster=\"…\"`, which every query has.\n\n\
         | signal | meaning | yellow | red | query |\n| --- | --- | --- | --- | --- |\n",
    );

    for signal in Signal::ALL {
        let SignalSpec { unit, threshold, query, meaning, .. } = signal.spec();
        let limit = |value: Option<f64>| {
            let sign = threshold.map(|it| it.side.sign());
            let shown = value.zip(sign);
            shown.map(|(it, sign)| format!("{sign} {}", limit_text(it, unit))).unwrap_or_default()
        };
        let yellow = threshold.and_then(|it| it.finding.or(it.warning.map(|it| it.0)));
        let red = threshold.and_then(|it| it.critical).map(|it| it.0);

        // A pipe would end the cell.
        let query = query.map(|it| it.replace("{$,", "{").replace("{$}", "").replace('|', "\\|"));
        let query = query.map(|it| format!("`{it}`")).unwrap_or_default();
        let (yellow, red) = (limit(yellow), limit(red));
        line(text, format_args!("| `{signal}` | {meaning} | {yellow} | {red} | {query} |"));
    }
}

fn limit_text(value: f64, unit: SignalUnit) -> String {
    match unit {
        SignalUnit::Ratio => format!("{:.0} %", value * 100.0),
        SignalUnit::Seconds if value < 1.0 => format!("{} ms", value * 1000.0),
        SignalUnit::Seconds => format!("{value} s"),
        SignalUnit::Hours => format!("{value} h"),
        SignalUnit::Count | SignalUnit::PerSecond | SignalUnit::BytesPerSecond => value.to_string(),
    }
}

fn sources(text: &mut String) {
    text.push_str(
        "\n## What is not seen without a source\n\n| source | not known without it | what to do |\n\
         | --- | --- | --- |\n",
    );

    for source in SignalSource::ALL {
        let spec = source.spec();
        line(text, format_args!("| {source} | {} | {} |", spec.what, spec.why));
    }
}
