//! The journal: what happened to a run and what people ordered, in words, in order. Append-only
//! (I32).
//!
//! A line never changes and is never moved. A line that only repeats one of the latest lines of its
//! run is counted there instead of being written again: `repeated` says how often it followed, and
//! `last_at` when it last did. Triggers of the schema let these two grow, and nothing else. So a
//! run that alternates between two holds for a day has two lines and not 5,760, and still says what
//! held it, since when, how often and until when. What is lost is the order among the repetitions.

use rusqlite::{Row, Transaction, params};

use super::{JournalLine, Store, StoreError};
use crate::model::{ClusterName, Principal, RunId, WallTime};

/// Longest line, in characters; a longer broker's answer is cut.
const TEXT_MAX: usize = 4000;

/// Among this many of the latest lines of a run an equal one is looked for: more holds than this do
/// not alternate.
const FOLDED_MAX: u32 = 8;

/// A line that is about to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewLine {
    /// `None` if it is not about one run.
    pub run: Option<RunId>,
    /// `None`: the run's, or all clusters.
    pub cluster: Option<ClusterName>,
    pub entry: &'static str,
    pub text: String,
    pub by: Option<Principal>,
}

/// Which lines of the journal to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalFilter {
    pub cluster: Option<ClusterName>,
    pub entry: Option<String>,
    pub by: Option<Principal>,
    /// Only lines with a smaller id.
    pub before: Option<i64>,
    pub limit: u32,
}

impl Store {
    /// Appends one line to the journal of `run`.
    pub async fn note(
        &self,
        run: RunId,
        now: WallTime,
        entry: &'static str,
        text: String,
    ) -> Result<(), StoreError> {
        self.call("write the journal", move |tx| Ok(append(tx, run, now, entry, &text)?)).await
    }

    /// Appends a line that changes nothing else in the store.
    pub async fn record(&self, line: NewLine, now: WallTime) -> Result<(), StoreError> {
        self.call("write the journal", move |tx| Ok(insert(tx, &line, now)?)).await
    }

    /// Lines of all runs and of none, newest first.
    pub async fn journal(&self, filter: JournalFilter) -> Result<Vec<JournalLine>, StoreError> {
        self.call("read the journal", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT j.*, coalesce(j.cluster, r.cluster) AS of_cluster
                 FROM journal j LEFT JOIN runs r ON r.id = j.run
                 WHERE (?1 IS NULL OR j.id < ?1) AND (?2 IS NULL OR j.entry = ?2)
                 AND (?3 IS NULL OR j.principal = ?3)
                 AND (?4 IS NULL OR coalesce(j.cluster, r.cluster, ?4) = ?4)
                 ORDER BY j.id DESC LIMIT ?5",
            )?;
            let JournalFilter { cluster, entry, by, before, limit } = filter;
            let lines = query.query_map(params![before, entry, by, cluster, limit], |row| {
                Ok(JournalLine { cluster: row.get("of_cluster")?, ..line(row)? })
            })?;

            Ok(lines.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Appends one line inside the transaction that changes what the line is about.
pub(super) fn append(
    tx: &Transaction<'_>,
    run: RunId,
    now: WallTime,
    entry: &'static str,
    text: &str,
) -> rusqlite::Result<()> {
    let line = NewLine { run: Some(run), entry, text: text.to_owned(), ..NewLine::default() };
    insert(tx, &line, now)
}

/// Appends what a person ordered: `TEXT by NAME`.
pub(super) fn append_order(
    tx: &Transaction<'_>,
    run: RunId,
    now: WallTime,
    by: &Principal,
    text: &str,
) -> rusqlite::Result<()> {
    let line = NewLine {
        run: Some(run),
        entry: "order",
        text: format!("{by} {text}"),
        by: Some(by.clone()),
        ..NewLine::default()
    };
    insert(tx, &line, now)
}

pub(super) fn insert(tx: &Transaction<'_>, line: &NewLine, now: WallTime) -> rusqlite::Result<()> {
    let text: String = line.text.chars().take(TEXT_MAX).collect();
    if let Some(run) = line.run
        && line.by.is_none()
        && is_repeatable(line.entry, &text)
        && let Some(equal) = find_equal(tx, run, line.entry, &text)?
    {
        // The clock may have been set back.
        tx.prepare_cached(
            "UPDATE journal SET repeated = repeated + 1,
             last_at = max(coalesce(last_at, at), ?2) WHERE id = ?1",
        )?
        .execute(params![equal, now])?;
        return Ok(());
    }

    tx.prepare_cached(
        "INSERT INTO journal (run, at, entry, text, principal, cluster)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        line.run.unwrap_or(RunId(0)),
        now,
        line.entry,
        text,
        line.by,
        line.cluster
    ])?;
    Ok(())
}

/// Whether the line may follow again and again: a hold, an alert that joins a run, a check that is
/// repeated. Steps and other states are evidence, one by one.
fn is_repeatable(entry: &str, text: &str) -> bool {
    match entry {
        "state" => text.starts_with("held"),
        "merged" | "gate" | "expire" => true,
        _ => false,
    }
}

/// The line among the latest of the run that says the same, if only repeatable lines follow it.
fn find_equal(
    tx: &Transaction<'_>,
    run: RunId,
    entry: &str,
    text: &str,
) -> rusqlite::Result<Option<i64>> {
    let mut query = tx.prepare_cached(
        "SELECT id, entry, text, principal FROM journal WHERE run = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let mut rows = query.query(params![run, FOLDED_MAX])?;
    let wanted = without_numbers(text);

    while let Some(row) = rows.next()? {
        let (found_entry, found): (String, String) = (row.get("entry")?, row.get("text")?);
        let by: Option<Principal> = row.get("principal")?;

        if by.is_some() || !is_repeatable(&found_entry, &found) {
            return Ok(None);
        }

        if found_entry == entry && without_numbers(&found) == wanted {
            return row.get("id").map(Some);
        }
    }

    Ok(None)
}

/// The text with ages, counts and remaining times replaced, which change with each check. Numbers
/// that name something stay: `broker 1`, `kafka-1`.
fn without_numbers(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;

    while let Some(start) = rest.find(|it: char| it.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let end = number.find(|it: char| !it.is_ascii_digit()).unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        plain.push_str(before);

        let is_part_of_name = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
        let names = plain.ends_with("broker ") || plain.ends_with(is_part_of_name);
        plain.push_str(if names { number } else { "#" });
        rest = after;
    }

    plain.push_str(rest);
    plain
}

/// All lines of a run, oldest first.
pub(super) fn read(tx: &Transaction<'_>, run: RunId) -> rusqlite::Result<Vec<JournalLine>> {
    let mut query = tx.prepare_cached("SELECT * FROM journal WHERE run = ?1 ORDER BY id")?;
    let lines = query.query_map([run], line)?;
    lines.collect()
}

fn line(row: &Row<'_>) -> rusqlite::Result<JournalLine> {
    let run: RunId = row.get("run")?;
    Ok(JournalLine {
        id: row.get("id")?,
        at: row.get("at")?,
        entry: row.get("entry")?,
        text: row.get("text")?,
        run: (run.0 != 0).then_some(run),
        cluster: row.get("cluster")?,
        by: row.get("principal")?,
        repeated: row.get("repeated")?,
        last_at: row.get("last_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_numbers_only_are_equal() {
        let text = |age: &str| format!("held: evidence_stale: the snapshot is {age} s old");

        assert_eq!(without_numbers(&text("31")), without_numbers(&text("452")));
        assert_eq!(without_numbers("12 s, then 22.5s"), "# s, then #.#s");

        for name in ["broker 1 is away", "broker 12", "kafka-1", "orders2", "é"] {
            assert_eq!(without_numbers(name), name);
        }
    }
}
