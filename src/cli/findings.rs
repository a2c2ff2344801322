//! How findings are printed for people, in 80 columns.

use std::io::{self, Write};

use comfy_table::ColumnConstraint;

use super::{
    advice,
    show::{clock_time, plain, rendered, table},
};
use crate::http::findings::{
    ClusterFindingsPayload, EvidencePayload, FindingPayload, NotSeenPayload,
};
use crate::model::{significant, thousands};

/// Columns where the output is no terminal, and at most.
const WIDTH: u16 = 80;

pub(super) fn cluster(
    found: &ClusterFindingsPayload,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let width = width.map_or(WIDTH, |it| it.min(WIDTH));
    let light = found.severity.as_deref().unwrap_or("unknown").to_uppercase();
    let number = found.findings.len().saturating_add(found.omitted);
    let summary = match (&found.severity, number) {
        (None, _) => "nothing could be seen".to_owned(),
        (Some(_), 0) => "nothing is wrong, as far as can be seen".to_owned(),
        (Some(_), 1) => "1 finding".to_owned(),
        (Some(_), more) => format!("{more} findings, the worst first"),
    };
    let (name, at) = (plain(&found.cluster), clock_time(&found.at));
    writeln!(out, "{}  cluster {name} at {at}: {summary}", plain(&light))?;

    for it in &found.findings {
        finding(it, width, out)?;
    }

    if found.omitted > 0 {
        writeln!(out, "\n{} more are left out.", found.omitted)?;
    }

    not_seen(&found.not_seen, width, out)?;

    found.advice.as_ref().map_or(Ok(()), |it| advice::cluster(it, width, out))
}

fn finding(found: &FindingPayload, width: u16, out: &mut dyn Write) -> io::Result<()> {
    let light = plain(&found.severity.to_uppercase());
    writeln!(out, "\n{light}  {}: {}", plain(&found.title), plain(&found.subject))?;
    evidence(&found.evidence, width, out)?;

    writeln!(out)?;
    paragraph(&found.advice, 2, width, out)?;

    if let Some(command) = &found.command {
        writeln!(out, "\n    {}\n", broken(&plain(command), width))?;
    }

    if let Some(effect) = &found.effect {
        paragraph(&format!("It changes {effect}."), 2, width, out)?;
    }

    if let Some(text) = answered(found) {
        paragraph(&text, 2, width, out)?;
    }

    symptoms(&found.symptoms, width, out)
}

/// Who acts on it without a person.
fn answered(found: &FindingPayload) -> Option<String> {
    let alert = found.alert.as_ref()?;

    Some(match (&found.playbook, &found.optimizer) {
        (Some(playbook), _) => format!("The playbook {playbook} answers the alert {alert}."),
        (None, Some(optimizer)) => {
            format!("No playbook is known that answers the alert {alert} with {optimizer}.")
        }
        (None, None) => format!("The alert is {alert}; no optimizer answers it."),
    })
}

fn evidence(evidence: &[EvidencePayload], width: u16, out: &mut dyn Write) -> io::Result<()> {
    if evidence.is_empty() {
        return Ok(());
    }

    let has_times = evidence.iter().any(|it| it.since.is_some());
    let mut header = vec!["    SIGNAL", "OF", "VALUE", "BAD IF"];
    header.extend(has_times.then_some("SINCE"));
    let mut rows = table(&header);

    for it in evidence {
        let mark = if it.beyond { '!' } else { ' ' };
        let mut cells = vec![
            format!("  {mark} {}", plain(&it.signal)),
            plain(&it.subject),
            shown(it.value, &it.unit),
            limit(it),
        ];
        if has_times {
            cells.push(it.since.as_deref().map(clock_time).unwrap_or_default());
        }
        rows.add_row(cells);
    }

    // The name of a signal is what a person searches for.
    if let Some(names) = rows.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }

    writeln!(out, "\n{}", rendered(rows, Some(width)))
}

fn limit(evidence: &EvidencePayload) -> String {
    let Some(limit) = evidence.limit else { return "-".to_owned() };
    let sign = if evidence.bad.as_deref() == Some("below") { '<' } else { '>' };

    format!("{sign} {}", shown(limit, &evidence.unit))
}

fn symptoms(symptoms: &[FindingPayload], width: u16, out: &mut dyn Write) -> io::Result<()> {
    if symptoms.is_empty() {
        return Ok(());
    }

    writeln!(out, "\n  It explains:")?;
    for it in symptoms {
        let beyond = it.evidence.iter().filter(|it| it.beyond);
        let values: Vec<String> =
            beyond.map(|it| format!("{} {}", it.signal, shown(it.value, &it.unit))).collect();
        let text = format!("{}: {} ({})", it.subject, it.title, values.join(", "));
        paragraph(&text, 4, width, out)?;
    }

    Ok(())
}

pub(super) fn not_seen(
    parts: &[NotSeenPayload],
    width: u16,
    out: &mut dyn Write,
) -> io::Result<()> {
    if parts.is_empty() {
        return Ok(());
    }

    writeln!(out, "\nNot seen")?;
    for it in parts {
        paragraph(&it.what, 2, width, out)?;
        paragraph(&it.why, 4, width, out)?;
    }

    Ok(())
}

/// A value in the unit that people use for it.
fn shown(value: f64, unit: &str) -> String {
    match unit {
        "ratio" => format!("{} %", significant((value * 1000.0).round() / 10.0)),
        "seconds" if value.abs() < 1.0 => format!("{} ms", significant(value * 1000.0)),
        "seconds" => format!("{} s", significant(value)),
        "hours" => format!("{} h", significant(value)),
        "per_second" => format!("{}/s", significant((value * 10.0).round() / 10.0)),
        "bytes_per_second" => format!("{} MB/s", significant(value / 1e6)),
        _ => thousands(value),
    }
}

/// Writes words in lines of at most `width` columns. A longer word has a line of its own.
pub(super) fn paragraph(
    text: &str,
    indent: usize,
    width: u16,
    out: &mut dyn Write,
) -> io::Result<()> {
    let indent = " ".repeat(indent);
    let options = textwrap::Options::new(width.into())
        .initial_indent(&indent)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);

    writeln!(out, "{}", textwrap::fill(&plain(text), options))
}

/// A command that is too long, in lines that a shell reads as one. Quoted names stay whole.
fn broken(command: &str, width: u16) -> String {
    let room = usize::from(width).saturating_sub(6);
    if command.chars().count() <= room || command.contains('\'') {
        return command.to_owned();
    }

    let mut text = String::new();
    let mut length = 0;
    for (index, part) in command.split(" --").enumerate() {
        let part = if index == 0 { part.to_owned() } else { format!(" --{part}") };
        if length > 0 && length + part.chars().count() > room {
            text.push_str(" \\\n     ");
            length = 5;
        }
        length += part.chars().count();
        text.push_str(&part);
    }

    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_units_that_people_use() {
        for (value, unit, text) in [
            (0.042, "ratio", "4.2 %"),
            (0.18, "seconds", "180 ms"),
            (350.0, "seconds", "350 s"),
            (650.04, "per_second", "650/s"),
            (-20.0, "per_second", "-20/s"),
            (5_300_000.0, "bytes_per_second", "5.3 MB/s"),
            (3.0, "count", "3"),
            (1_234_567.0, "count", "1,234,567"),
            (-1_000.0, "count", "-1,000"),
        ] {
            assert_eq!(shown(value, unit), text);
        }
    }

    #[test]
    fn the_name_of_a_signal_stays_in_one_piece() {
        let of = |signal: &str, subject: &str| EvidencePayload {
            signal: signal.to_owned(),
            subject: subject.to_owned(),
            value: 0.02,
            unit: "ratio".to_owned(),
            limit: Some(0.1),
            bad: Some("below".to_owned()),
            beyond: true,
            since: Some("2026-01-02T03:04:05Z".to_owned()),
        };
        let many = [
            of("produce_response_queue_time", "partition 0 of topic a-topic-with-a-long-name"),
            of("request_handler_idle", "broker 2"),
        ];
        let mut text = Vec::new();
        evidence(&many, 80, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();

        for it in &many {
            assert!(text.contains(&format!("  ! {}", it.signal)), "{text}");
        }
        assert!(text.lines().all(|it| it.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_long_command_is_broken_where_a_shell_goes_on() {
        let command = "kafka-configs.sh --bootstrap-server BROKER --describe --entity-type users \
                       --entity-type clients";
        let text = broken(command, 80);

        assert!(text.lines().count() == 2 && text.lines().all(|it| it.len() <= 76), "{text}");
        assert_eq!(text.replace(" \\\n     ", ""), command);
        assert_eq!(broken("short --a", 80), "short --a");

        let quoted = format!("kafka-x.sh --group '{} --b'", "a ".repeat(60));
        assert_eq!(broken(&quoted, 80), quoted);
    }
}
