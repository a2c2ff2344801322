//! Runs.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{
    Measurement, NewRun, RunDetail, RunRow, StepRow, Store, StoreError, Times, TransactionError,
    columns::Json, journal, journal::NewLine, steps,
};
use crate::model::{
    ClusterName, EpisodeEnd, HoldReason, Principal, RollbackReason, RunEvent, RunId, RunState,
    Trigger, Verdict, WallTime,
};

/// The attempt of an episode, from 1, that a new run handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewClaim {
    pub episode: i64,
    pub attempt: u32,
}

/// A new run for an attempt of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAttempt {
    pub run: NewRun,
    pub claim: NewClaim,
}

/// Whether a run was added, or an equal one found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    New,
    /// Another run has the same effect; it takes the claim (I5).
    Merged,
}

/// Number of episodes that a run handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Those that are still open.
    pub open: u32,
    pub all: u32,
    /// Why the last of them was closed.
    pub last_end: Option<EpisodeEnd>,
}

/// The run that handles one attempt of an episode; attempts are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpisodeAttempt {
    pub number: u32,
    pub state: RunState,
    pub rollback_reason: Option<RollbackReason>,
    pub ended: Option<WallTime>,
}

/// What is stored together with a run's new state. `None` keeps what is stored, but for `hold`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunUpdate {
    pub hold: Option<HoldReason>,
    pub note: Option<String>,
    pub verdict: Option<Verdict>,
    pub rollback_reason: Option<RollbackReason>,
    pub measured: Option<Measurement>,
    /// Replaces the plan unless empty.
    pub steps: Vec<StepRow>,
    pub expires: Option<WallTime>,
    pub by: Option<Principal>,
}

impl Store {
    /// Adds a run and its claim. Returns `None` if the attempt is claimed already. A waiting or
    /// active run with the same effect on the same target takes the claim instead (I5), and is
    /// returned as merged.
    pub async fn add_run(
        &self,
        new: NewRun,
        claim: Option<NewClaim>,
    ) -> Result<Option<(RunId, Added)>, StoreError> {
        self.call("store a run", move |tx| Ok(add(tx, &new, claim)?)).await
    }

    /// Adds the runs of several episodes, each as [`Self::add_run`] does.
    pub async fn add_runs(&self, attempts: Vec<NewAttempt>) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }

        self.call("store runs", move |tx| {
            for NewAttempt { run, claim } in &attempts {
                add(tx, run, Some(*claim))?;
            }
            Ok(())
        })
        .await
    }

    /// Moves a run to the state that `event` leads to, with what changes with it, and writes the
    /// journal. Returns the new state.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidTransition`] when the transition table does not allow it.
    pub async fn move_run(
        &self,
        run: RunId,
        now: WallTime,
        event: RunEvent,
        change: RunUpdate,
    ) -> Result<RunState, StoreError> {
        self.call("store the state of a run", move |tx| {
            let (state, hold) =
                tx.query_row("SELECT state, hold FROM runs WHERE id = ?1", [run], |row| {
                    Ok((
                        row.get::<_, RunState>("state")?,
                        row.get::<_, Option<HoldReason>>("hold")?,
                    ))
                })?;
            let next = state.after(event).map_err(|problem| {
                TransactionError::Refused(StoreError::InvalidTransition { run, problem })
            })?;

            update(tx, run, next, now, &change)?;

            steps::replace(tx, run, &change.steps)?;

            // A held run is checked every 15 s; the same hold is written once.
            let same_hold = next == RunState::Held && state == next && hold == change.hold;
            if !same_hold {
                let text = describe(next, &change);
                let by = change.by.clone();
                let line =
                    NewLine { run: Some(run), entry: "state", text, by, ..NewLine::default() };
                journal::insert(tx, &line, now)?;
            }

            Ok(next)
        })
        .await
    }

    /// Ends a run that stops after its rehearsal.
    pub async fn end_rehearsed(&self, run: RunId, now: WallTime) -> Result<(), StoreError> {
        self.call("end a rehearsed run", move |tx| {
            tx.execute(
                "UPDATE runs SET ended_at = ?2 WHERE id = ?1 AND state = 'rehearsed'",
                params![run, now],
            )?;
            Ok(())
        })
        .await
    }

    /// Stores what was measured, and the verdict on a canary.
    pub async fn set_measured(
        &self,
        run: RunId,
        measured: Measurement,
        canary: Option<Verdict>,
    ) -> Result<(), StoreError> {
        self.call("store a measurement", move |tx| {
            tx.execute(
                "UPDATE runs SET measured = ?2, verdict = coalesce(?3, verdict) WHERE id = ?1",
                params![run, Json(&measured), canary],
            )?;
            Ok(())
        })
        .await
    }

    /// Stores that a person asked to roll a run back.
    pub async fn request_undo(
        &self,
        run: RunId,
        now: WallTime,
        by: &Principal,
    ) -> Result<(), StoreError> {
        let by = by.clone();

        self.call("store the order to roll back", move |tx| {
            tx.execute("UPDATE runs SET undo_requested = 1 WHERE id = ?1", [run])?;
            Ok(journal::append_order(tx, run, now, &by, "asked to roll it back")?)
        })
        .await
    }

    /// Stores that a person has acknowledged a stuck run.
    pub async fn acknowledge(
        &self,
        run: RunId,
        now: WallTime,
        by: &Principal,
    ) -> Result<(), StoreError> {
        let by = by.clone();

        self.call("acknowledge a run", move |tx| {
            tx.execute("UPDATE runs SET acknowledged = 1 WHERE id = ?1", [run])?;
            Ok(journal::append_order(tx, run, now, &by, "acknowledged it")?)
        })
        .await
    }

    /// Stores that a person approved a run's plan. The guard checks the run again. Returns whether
    /// the plan is the one with the digest `shown`; if not, nothing is stored. Without a digest,
    /// the plan that the store has is approved.
    pub async fn approve(
        &self,
        run: RunId,
        now: WallTime,
        by: &Principal,
        shown: Option<String>,
    ) -> Result<bool, StoreError> {
        let by = by.clone();

        self.call("approve a run", move |tx| {
            let digest = steps::plan_digest(&steps::read(tx, run)?);
            if shown.is_some() && shown != digest {
                return Ok(false);
            }

            tx.execute(
                "UPDATE runs SET approved_at = ?2, approved_digest = ?3 WHERE id = ?1",
                params![run, now, digest],
            )?;
            journal::append_order(tx, run, now, &by, "approved it")?;
            Ok(true)
        })
        .await
    }

    /// The temporary changes of all clusters that are kept, being undone or stuck, oldest first.
    pub async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        self.call("read the temporary changes", |tx| {
            let filter =
                "WHERE expires_at IS NOT NULL AND state IN ('kept', 'expiring', 'stuck') ORDER BY id";
            Ok(select(tx, filter, [])?)
        })
        .await
    }

    /// The runs of alerts that wait although all of their episodes are closed.
    pub async fn resolved_runs(&self, cluster: &ClusterName) -> Result<Vec<RunRow>, StoreError> {
        let cluster = cluster.clone();

        self.call("read the resolved runs", move |tx| {
            let filter = "WHERE cluster = ?1 AND ended_at IS NULL AND trigger = ?2
                 AND state IN ('queued', 'held', 'awaiting_approval')
                 AND EXISTS (SELECT 1 FROM claims c WHERE c.run = runs.id)
                 AND NOT EXISTS (SELECT 1 FROM claims c JOIN episodes e ON e.id = c.episode
                                 WHERE c.run = runs.id AND e.closed_at IS NULL)";
            Ok(select(tx, filter, params![cluster, Trigger::Alert])?)
        })
        .await
    }

    /// The latest runs of `cluster` and those that change it, newest first.
    pub async fn shown_runs(
        &self,
        cluster: &ClusterName,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let cluster = cluster.clone();

        self.call("read the runs", move |tx| {
            let filter = "WHERE id IN (SELECT id FROM runs WHERE cluster = ?1
                                       ORDER BY id DESC LIMIT ?2)
                 OR (cluster = ?1 AND ended_at IS NULL AND state IN
                     ('acting', 'settling', 'observing', 'rolling_back', 'expiring'))
                 ORDER BY id DESC";
            Ok(select(tx, filter, params![cluster, limit])?)
        })
        .await
    }

    /// The open runs of `cluster`, oldest first: those that have not ended, kept ones that are
    /// temporary or that a person wants rolled back, and stuck ones that are to be tried again.
    pub async fn open_runs(&self, cluster: &ClusterName) -> Result<Vec<RunRow>, StoreError> {
        let cluster = cluster.clone();

        self.call("read the open runs", move |tx| {
            let filter = "WHERE cluster = ?1 AND (ended_at IS NULL
                 OR (state = ?2 AND (undo_requested OR expires_at IS NOT NULL))
                 OR (state = ?3 AND (undo_requested OR NOT acknowledged))) ORDER BY id";
            Ok(select(tx, filter, params![cluster, RunState::Kept, RunState::Stuck])?)
        })
        .await
    }

    /// One run with its steps, measurement and journal.
    pub async fn run(&self, run: RunId) -> Result<Option<RunDetail>, StoreError> {
        self.call("read a run", move |tx| {
            let Some(found) = detail(tx, run)? else { return Ok(None) };
            Ok(Some(RunDetail { journal: journal::read(tx, run)?, ..found }))
        })
        .await
    }

    /// The same with an empty journal, which grows and which nothing is decided by.
    pub async fn run_without_journal(&self, run: RunId) -> Result<Option<RunDetail>, StoreError> {
        self.call("read a run", move |tx| Ok(detail(tx, run)?)).await
    }

    /// Counts the episodes that `run` handles.
    pub async fn claims(&self, run: RunId) -> Result<Claims, StoreError> {
        self.call("read the claims", move |tx| {
            Ok(tx.query_row(
                "SELECT count(*) FILTER (WHERE e.closed_at IS NULL AND e.id IS NOT NULL) AS open,
                 count(*) AS every, max(e.closed_at), e.ended_by
                 FROM claims c LEFT JOIN episodes e ON e.id = c.episode
                 WHERE c.run = ?1",
                [run],
                |row| {
                    Ok(Claims {
                        open: row.get("open")?,
                        all: row.get("every")?,
                        last_end: row.get("ended_by")?,
                    })
                },
            )?)
        })
        .await
    }
}

fn detail(tx: &Transaction<'_>, run: RunId) -> rusqlite::Result<Option<RunDetail>> {
    let found = tx
        .query_row(&format!("SELECT {COLUMNS} FROM runs WHERE id = ?1"), [run], |row| {
            let measured: Option<Json<Measurement>> = row.get("measured")?;
            Ok((run_row(row)?, measured.map(|Json(it)| it).unwrap_or_default()))
        })
        .optional()?;
    let Some((row, measured)) = found else { return Ok(None) };

    Ok(Some(RunDetail { run: row, steps: steps::read(tx, run)?, measured, journal: Vec::new() }))
}

fn add(
    tx: &Transaction<'_>,
    new: &NewRun,
    claim: Option<NewClaim>,
) -> rusqlite::Result<Option<(RunId, Added)>> {
    if let Some(claim) = claim
        && is_claimed(tx, new, claim)?
    {
        return Ok(None);
    }

    let (run, added) = match find_equal(tx, new)? {
        Some(run) => {
            // A person's order does not end with the alert that it joins.
            if new.trigger == Trigger::Person {
                tx.execute(
                    "UPDATE runs SET trigger = ?2 WHERE id = ?1",
                    params![run, new.trigger],
                )?;
            }
            (run, Added::Merged)
        }
        None => (insert(tx, new, claim)?, Added::New),
    };
    if let Some(claim) = claim {
        tx.prepare_cached(
            "INSERT INTO claims (episode, playbook, attempt, run) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![claim.episode, new.playbook, claim.attempt, run])?;
    }

    let entry = match added {
        Added::New => "created",
        Added::Merged => "merged",
    };
    let text = match &new.by {
        Some(by) => format!("{} ({by})", new.cause),
        None => format!("{} ({})", new.cause, new.trigger),
    };
    let by = new.by.clone();
    let line = NewLine { run: Some(run), entry, text, by, ..NewLine::default() };

    journal::insert(tx, &line, new.created)?;

    Ok(Some((run, added)))
}

fn is_claimed(tx: &Transaction<'_>, new: &NewRun, claim: NewClaim) -> rusqlite::Result<bool> {
    tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM claims WHERE episode = ?1 AND playbook = ?2 AND attempt = ?3)",
        params![claim.episode, new.playbook, claim.attempt],
        |row| row.get(0),
    )
}

/// A run with the same effect on the same target that has not been judged: one that is being undone
/// does nothing for another alert.
fn find_equal(tx: &Transaction<'_>, new: &NewRun) -> rusqlite::Result<Option<RunId>> {
    tx.query_row(
        "SELECT id FROM runs WHERE cluster = ?1 AND optimizer = ?2 AND parameters = ?3
         AND target = ?4 AND dry_run = ?5 AND ended_at IS NULL AND verdict IS NULL
         AND state NOT IN ('rolling_back', 'expiring') ORDER BY id LIMIT 1",
        params![new.cluster, new.optimizer, new.parameters, new.target, new.dry_run],
        |row| row.get("id"),
    )
    .optional()
}

fn insert(tx: &Transaction<'_>, new: &NewRun, claim: Option<NewClaim>) -> rusqlite::Result<RunId> {
    tx.execute(
        "INSERT INTO runs (cluster, playbook, optimizer, level, parameters, target, trigger, cause,
         dry_run, attempt, state, priority, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            new.cluster,
            new.playbook,
            new.optimizer,
            new.level,
            new.parameters,
            new.target,
            new.trigger,
            new.cause,
            new.dry_run,
            claim.map_or(1, |it| it.attempt),
            RunState::Queued,
            new.priority,
            new.created,
        ],
    )?;

    Ok(RunId(tx.last_insert_rowid()))
}

fn update(
    tx: &Transaction<'_>,
    run: RunId,
    state: RunState,
    now: WallTime,
    change: &RunUpdate,
) -> rusqlite::Result<()> {
    // `rehearsed` ends a dry run only; `end_rehearsed` stores that.
    let ended = (state.is_end() && state != RunState::Rehearsed).then_some(now);

    tx.execute(
        // Once the guard has passed, the note of an earlier hold is cleared.
        "UPDATE runs SET state = ?2, hold = ?3,
         note = CASE WHEN ?2 IN ('rehearsed', 'awaiting_approval') THEN ?4
         ELSE coalesce(?4, note) END,
         verdict = coalesce(?5, verdict), rollback_reason = coalesce(?6, rollback_reason),
         measured = coalesce(?7, measured),
         effective_at = CASE WHEN ?2 = 'settling' THEN ?8 ELSE effective_at END,
         asked_at = CASE WHEN ?2 = 'awaiting_approval' THEN ?8 ELSE asked_at END,
         approved_at = CASE WHEN ?2 = 'awaiting_approval' THEN NULL ELSE approved_at END,
         approved_digest = CASE WHEN ?2 = 'awaiting_approval' THEN NULL ELSE approved_digest END,
         expires_at = coalesce(?10, expires_at),
         undo_requested = CASE WHEN ?2 IN ('rolling_back', 'expiring') THEN 0
         ELSE undo_requested END,
         acknowledged = CASE WHEN ?2 IN ('rolling_back', 'expiring') THEN 0
         ELSE acknowledged END,
         ended_at = ?9 WHERE id = ?1",
        params![
            run,
            state,
            change.hold,
            change.note,
            change.verdict,
            change.rollback_reason,
            change.measured.as_ref().map(Json),
            now,
            ended,
            change.expires,
        ],
    )?;

    Ok(())
}

/// The line of the journal: `held: cooldown: 12 s of cooldown are left`.
fn describe(state: RunState, change: &RunUpdate) -> String {
    let parts = [
        Some(state.label()),
        change.hold.map(HoldReason::label),
        change.verdict.map(Verdict::label),
        change.rollback_reason.map(RollbackReason::label),
        change.note.as_deref(),
    ];

    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// Of a run: all of its columns, and what a list shows of the measurement.
const COLUMNS: &str = "*, measured ->> '$.effect' AS effect, measured ->> '$.sentence' AS sentence";

pub(super) fn select(
    tx: &Transaction<'_>,
    filter: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<Vec<RunRow>> {
    let mut query = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM runs {filter}"))?;
    let runs = query.query_map(values, run_row)?;
    runs.collect()
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: row.get("id")?,
        cluster: row.get("cluster")?,
        playbook: row.get("playbook")?,
        optimizer: row.get("optimizer")?,
        level: row.get("level")?,
        target: row.get("target")?,
        trigger: row.get("trigger")?,
        cause: row.get("cause")?,
        dry_run: row.get("dry_run")?,
        attempt: row.get("attempt")?,
        state: row.get("state")?,
        hold: row.get("hold")?,
        note: row.get("note")?,
        verdict: row.get("verdict")?,
        effect: row.get("effect")?,
        sentence: row.get("sentence")?,
        rollback_reason: row.get("rollback_reason")?,
        undo_requested: row.get("undo_requested")?,
        acknowledged: row.get("acknowledged")?,
        approved_digest: row.get("approved_digest")?,
        priority: row.get("priority")?,
        times: Times {
            created: row.get("created_at")?,
            asked: row.get("asked_at")?,
            approved: row.get("approved_at")?,
            written: row.get("written_at")?,
            effective: row.get("effective_at")?,
            expires: row.get("expires_at")?,
            ended: row.get("ended_at")?,
        },
    })
}
