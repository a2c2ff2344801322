//! How runs are printed for people: many as a table, one in detail.
//!
//! Texts come from alerts and brokers, so control characters, which a terminal would obey, are
//! replaced.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use jiff::{Timestamp, Unit};

use crate::{
    http::payload::{
        JournalPagePayload, JournalPayload, ObjectivePayload, RunDetailPayload, RunPayload,
        RunsPayload,
    },
    model::{RollbackReason, RunState, significant},
};

/// Maximum characters of a step's key or value in a table; `--output json` has all of them.
const CELL_CHARS_MAX: usize = 32;
/// Characters of a plan's digest that are shown; `--output json` has all of them.
const DIGEST_CHARS: usize = 12;
/// Columns of a terminal that has room for all columns of the table of runs.
const WIDE: u16 = 130;

/// Replaces control characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '\u{FFFD}' } else { it }).collect()
}

/// The state of a run with its reason and note: `held (cooldown): until 12:00`.
pub(super) fn status(run: &RunPayload) -> String {
    let note = run.note.as_ref().filter(|_| note_explains_state(run));
    let note = note.map(|it| format!(": {it}")).unwrap_or_default();

    plain(&format!("{}{note}", state_and_reason(run)))
}

/// State and reason in one text, as in `held (cooldown)`.
fn state_and_reason(run: &RunPayload) -> String {
    // A rollback reason of `verdict` says less than the verdict itself.
    let by_verdict = RollbackReason::Verdict.label();
    let reason = [&run.hold, &run.rollback_reason, &run.verdict]
        .into_iter()
        .flatten()
        .find(|it| it.as_str() != by_verdict);

    let reason = reason.map(|it| format!(" ({it})")).unwrap_or_default();

    format!("{}{reason}", run.state)
}

/// Whether the note explains why the run does not proceed. Otherwise it says what the plan omits.
fn note_explains_state(run: &RunPayload) -> bool {
    let waits = [RunState::Queued, RunState::Held, RunState::Cancelled].map(RunState::label);
    waits.contains(&run.state.as_str())
}

/// A line that is broken to fit the terminal. Its later lines are indented by two spaces more.
pub(super) fn wrapped(line: &str, width: Option<u16>) -> String {
    let Some(width) = width else { return line.to_owned() };
    let indent: String = line.chars().take_while(|it| *it == ' ').collect();
    let indent = format!("{indent}  ");
    let options = textwrap::Options::new(width.into()).subsequent_indent(&indent);

    textwrap::fill(line, options)
}

/// `width`: columns of the terminal. `None`: the output is no terminal, so no line is wrapped.
pub(super) fn runs(runs: &RunsPayload, width: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    if width.is_some_and(|it| it < WIDE) {
        return narrow_runs(runs, width, out);
    }

    let mut table = table(&[
        "RUN", "CREATED", "STATE", "VERDICT", "CLUSTER", "TARGET", "PLAYBOOK", "CAUSE", "REASON",
    ]);
    for run in &runs.runs {
        let reason = run.hold.as_ref().or(run.rollback_reason.as_ref());
        let cells = [
            run.id.to_string(),
            clock_time(&run.created_at),
            run.state.clone(),
            or_dash(run.verdict.as_ref()),
            run.cluster.clone(),
            run.target.clone(),
            run.playbook.clone(),
            run.cause.clone(),
            or_dash(reason),
        ];
        table.add_row(cells.map(|it| plain(&it)));
    }

    writeln!(out, "{}", rendered(table, width))
}

fn narrow_runs(runs: &RunsPayload, width: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    let mut table = table(&["RUN", "CREATED", "STATE", "CLUSTER", "TARGET", "PLAYBOOK"]);
    for run in &runs.runs {
        let cells = [
            run.id.to_string(),
            clock_time(&run.created_at),
            state_and_reason(run),
            run.cluster.clone(),
            run.target.clone(),
            run.playbook.clone(),
        ];
        table.add_row(cells.map(|it| plain(&it)));
    }

    writeln!(out, "{}", rendered(table, width))
}

pub(super) fn temporary_changes(
    runs: &RunsPayload,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = table(&["RUN", "OPTIMIZER", "CLUSTER", "TARGET", "IN EFFECT SINCE", "EXPIRES"]);
    for run in &runs.runs {
        let time = |it: &Option<String>| it.as_deref().map_or("-".to_owned(), clock_time);
        let cells = [
            run.id.to_string(),
            run.optimizer.clone(),
            run.cluster.clone(),
            run.target.clone(),
            time(&run.effective_at),
            time(&run.expires_at),
        ];
        table.add_row(cells.map(|it| plain(&it)));
    }

    writeln!(out, "{}", rendered(table, width))
}

pub(super) fn run(
    detail: &RunDetailPayload,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let run = &detail.run;
    writeln!(out, "{}\n", wrapped(&format!("Run {} is {}", run.id, status(run)), width))?;
    let mut facts = table(&[]);
    facts.add_row(["  cluster", &plain(&run.cluster)]);
    facts.add_row(["  target", &plain(&run.target)]);
    let level = run.level.as_ref().map(|it| format!(", level {it}")).unwrap_or_default();
    let optimizer = format!("{}{level}", run.optimizer);
    facts.add_row(["  optimizer", &plain(&optimizer)]);

    let playbook = format!("{}, attempt {}", run.playbook, run.attempt);
    facts.add_row(["  playbook", &plain(&playbook)]);
    facts.add_row(["  cause", &plain(&format!("{} {}", run.trigger, run.cause))]);
    writeln!(out, "{}", rendered(facts, width))?;

    times(run, out)?;
    plan(detail, width, out)?;
    verdict(run, &detail.objective, width, out)?;
    journal(detail, width, out)?;

    if let Some(advice) = &run.advice {
        let advice = format!("What to do: {}", plain(advice));
        writeln!(out, "\n{}", wrapped(&advice, width))?;
    }

    if let Some(next) = next_step(run) {
        writeln!(out, "\n{}", wrapped(&next, width))?;
    }

    Ok(())
}

fn times(run: &RunPayload, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = table(&[]);
    rows.add_row(["  created", &clock_time(&run.created_at), ""]);
    let later = [
        ("  approval requested", &run.asked_at),
        ("  approved", &run.approved_at),
        ("  first write", &run.written_at),
        ("  in effect", &run.effective_at),
        ("  expires", &run.expires_at),
        ("  ended", &run.ended_at),
    ];

    for (name, at) in later {
        if let Some(at) = at {
            rows.add_row([name.to_owned(), clock_time(at), since(&run.created_at, at)]);
        }
    }

    writeln!(out, "\nTimes\n{}", rendered(rows, None))
}

pub(super) fn plan(
    detail: &RunDetailPayload,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if detail.steps.is_empty() {
        return writeln!(out, "\nPlan\n  none yet");
    }

    let mut rows =
        table(&["  WAVE", "SUBJECT", "KEY", "FROM", "STORED BEFORE", "TO", "STATE", "AT"]);
    for step in &detail.steps {
        let cells = [
            format!("  {}", step.wave),
            step.subject.clone(),
            truncated(&step.key),
            truncated(&step.from),
            or_dash(step.from_stored.as_ref()),
            truncated(&or_dash(step.to.as_ref())),
            step.state.clone(),
            since(&detail.run.created_at, &step.at),
        ];
        rows.add_row(cells.map(|it| plain(&it)));
    }

    writeln!(out, "\nPlan\n{}", rendered(rows, width))?;
    if let Some(digest) = detail.plan_digest.as_ref().filter(|_| is_open(&detail.run)) {
        let short: String = digest.chars().take(DIGEST_CHARS).collect();
        writeln!(out, "  digest {}", plain(&short))?;
    }

    if let Some(remarks) = detail.run.note.as_ref().filter(|_| !note_explains_state(&detail.run)) {
        writeln!(out, "{}", wrapped(&format!("  {}", plain(remarks)), width))?;
    }

    Ok(())
}

fn verdict(
    run: &RunPayload,
    measured: &ObjectivePayload,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(verdict) = &run.verdict else { return Ok(()) };
    let number = |it: Option<f64>| it.map_or_else(|| "unknown".to_owned(), significant);
    let mut rows = table(&[]);
    rows.add_row(["  objective", &plain(&measured.query)]);
    rows.add_row(["  before", &number(measured.before)]);
    rows.add_row(["  after", &number(measured.after)]);

    if let Some(effect) = measured.effect {
        let direction = if effect < 0.0 { "worse" } else { "better" };
        rows.add_row(["  effect", &format!("{:.1} % {direction}", effect.abs() * 100.0)]);
    }

    if let Some(change) = measured.load_change {
        rows.add_row(["  load", &format!("{:+.1} %", change * 100.0)]);
    }

    if let Some(sentence) = &measured.sentence {
        rows.add_row(["  evidence", &plain(sentence)]);
    }

    writeln!(out, "\nVerdict: {}\n{}", plain(verdict), rendered(rows, width))
}

fn journal(detail: &RunDetailPayload, width: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    if detail.journal.is_empty() {
        return Ok(());
    }

    let mut rows = table(&[]);
    for line in &detail.journal {
        let at = since(&detail.run.created_at, &line.at);
        let again = repeated(line, |last| since(&detail.run.created_at, last));
        rows.add_row([format!("  {at}"), plain(&line.entry), plain(&line.text) + &again]);
    }

    writeln!(out, "\nTimeline\n{}", rendered(rows, width))
}

pub(super) fn journal_page(
    page: &JournalPagePayload,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut rows = table(&["ID", "AT", "CLUSTER", "RUN", "ENTRY", "TEXT"]);
    for line in &page.lines {
        let cells = [
            line.id.to_string(),
            clock_time(&line.at),
            or_dash(line.cluster.as_ref()),
            line.run.map_or_else(|| "-".to_owned(), |it| it.to_string()),
            line.entry.clone(),
            line.text.clone() + &repeated(line, clock_time),
        ];
        rows.add_row(cells.map(|it| plain(&it)));
    }

    writeln!(out, "{}", rendered(rows, width))
}

/// How often equal lines followed: ` (12 more, until …)`.
fn repeated(line: &JournalPayload, show_time: impl Fn(&str) -> String) -> String {
    if line.repeated == 0 {
        return String::new();
    }

    let until = line.last_at.as_deref().map(|it| format!(", until {}", show_time(it)));

    format!(" ({} more{})", line.repeated, until.unwrap_or_default())
}

/// Whether the plan may still be carried out.
fn is_open(run: &RunPayload) -> bool {
    let open = [RunState::Queued, RunState::Held, RunState::AwaitingApproval].map(RunState::label);
    open.contains(&run.state.as_str())
}

/// The command that a person may want to run next.
fn next_step(run: &RunPayload) -> Option<String> {
    let id = run.id;

    match RunState::from_label(&run.state)? {
        RunState::Kept | RunState::Acting | RunState::Settling | RunState::Observing => {
            Some(format!("`kafka-optimizer rollback {id}` rolls it back."))
        }
        RunState::Stuck if !run.acknowledged => Some(format!(
            "Some values were not restored. `kafka-optimizer retry {id}` tries again; or fix them, \
             then run `kafka-optimizer acknowledge {id}`."
        )),
        RunState::AwaitingApproval => Some(format!(
            "`kafka-optimizer approve {id}` lets it proceed; the approval is valid for 30 minutes. \
             `kafka-optimizer reject {id}` ends it."
        )),
        RunState::Stuck
        | RunState::Queued
        | RunState::Held
        | RunState::Rehearsed
        | RunState::Expiring
        | RunState::Expired
        | RunState::RollingBack
        | RunState::RolledBack
        | RunState::Cancelled => None,
    }
}

/// Cuts off what does not fit into a cell, such as a container id or a list of leaders.
fn truncated(text: &str) -> String {
    let beyond = text.char_indices().nth(CELL_CHARS_MAX).is_some();
    let end = text.char_indices().nth(CELL_CHARS_MAX - 1).map(|it| it.0);

    match end.filter(|_| beyond) {
        Some(end) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A table without lines, whose columns are two spaces apart.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);

    if !header.is_empty() {
        table.set_header(header);
    }

    table
}

pub(super) fn rendered(mut table: Table, width: Option<u16>) -> String {
    if let Some(width) = width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }

    table.trim_fmt()
}

fn or_dash(text: Option<&String>) -> String {
    text.map_or("-", String::as_str).to_owned()
}

/// `2026-01-02 03:04:05Z`. Text that is not a timestamp is returned as it is.
pub(super) fn clock_time(at: &str) -> String {
    match at.parse::<Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => plain(at),
    }
}

/// Time from the creation of the run, as `+1m 2.345s`.
fn since(created: &str, at: &str) -> String {
    let (Ok(created), Ok(at)) = (created.parse::<Timestamp>(), at.parse::<Timestamp>()) else {
        return plain(at);
    };

    let Ok(milliseconds) = created.until(at).and_then(|it| it.total(Unit::Millisecond)) else {
        return String::new();
    };

    let sign = if milliseconds < 0.0 { '-' } else { '+' };
    let seconds = milliseconds.abs() / 1000.0;
    let minutes = (seconds / 60.0).floor();

    if minutes < 1.0 {
        format!("{sign}{seconds:.3}s")
    } else {
        format!("{sign}{minutes}m {:.3}s", seconds - minutes * 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::payload::StepPayload;

    #[test]
    fn a_note_follows_the_state_only_while_it_explains_it() {
        let run = |state: &str, hold: Option<&str>, verdict: Option<&str>| RunPayload {
            state: state.to_owned(),
            hold: hold.map(str::to_owned),
            verdict: verdict.map(str::to_owned),
            note: Some("broker 2 stays as it is".to_owned()),
            ..RunPayload::default()
        };

        let held = run("held", Some("cooldown"), None);

        assert_eq!(status(&held), "held (cooldown): broker 2 stays as it is");

        let kept = run("kept", None, Some("improved"));

        assert_eq!(status(&kept), "kept (improved)");

        let page = |run: RunPayload| {
            let mut out = Vec::new();
            let steps = vec![StepPayload::default()];
            plan(&RunDetailPayload { run, steps, ..RunDetailPayload::default() }, None, &mut out)
                .unwrap();

            String::from_utf8(out).unwrap()
        };

        assert!(page(kept).ends_with("\n  broker 2 stays as it is\n"));
        assert!(!page(held).contains("broker 2"));
    }

    #[test]
    fn times_count_from_the_creation_of_the_run() {
        let created = "2026-01-02T03:04:05.006Z";
        assert_eq!(since(created, "2026-01-02T03:04:05.130Z"), "+0.124s");
        assert_eq!(since(created, "2026-01-02T03:15:07.006Z"), "+11m 2.000s");
        assert_eq!(since(created, "2026-01-02T03:04:05.000Z"), "-0.006s");
        assert_eq!(since(created, "soon"), "soon");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a\u{FFFD}[31mb\u{FFFD}c");
    }
}
