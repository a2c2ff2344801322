//! Runs.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{
    Measurement, NewRun, RunDetail, RunRow, StepRow, Store, StoreError, Times, Urgency, doing,
    journal, rows::word, steps,
};
use crate::{
    model::{
        ClusterName, HoldReason, RollbackReason, RunEvent, RunId, RunState, Target, Verdict,
        WallTime,
    },
    playbook::Level,
};

/// Runs that may wait on one cluster (I2).
const WAITING_MAX: i64 = 100;

/// Critical runs that are looked at while another run is observed: each costs two questions to
/// Prometheus. Those behind them wait for the end of the observation.
const CRITICAL_MAX: u32 = 10;

/// Columns of [`RunRow`], in the order `run_row` reads them.
const RUN_COLUMNS: &str = "id, cluster, playbook, optimizer, level, target, trigger, cause, extent, \
    attempt, state, hold, note, verdict, rollback_reason, undo_requested, acknowledged, urgency, \
    created_at, asked_at, approved_at, written_at, effective_at, expires_at, ended_at";

/// Which attempt of which episode a run answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewClaim {
    pub episode: i64,
    /// The attempt, from 1.
    pub attempt: u32,
}

/// What moves with a run's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunUpdate {
    pub hold: Option<HoldReason>,
    pub note: Option<String>,
    /// The comparison's outcome.
    pub verdict: Option<Verdict>,
    pub rollback_reason: Option<RollbackReason>,
    /// What was measured so far.
    pub measured: Option<Measurement>,
    pub steps: Vec<StepRow>,
    /// For how long a measure stays.
    pub expires: Option<WallTime>,
}

impl Store {
    /// Stores a run and what it answers, unless that is answered already. A waiting or active run
    /// with the same effect on the same target takes the claim instead (I5); then that run is
    /// returned as merged.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn add_run(
        &self,
        new: NewRun,
        claim: Option<NewClaim>,
    ) -> Result<Option<(RunId, Newness)>, StoreError> {
        self.call("store a run", move |tx| {
            if let Some(claim) = claim
                && claimed(tx, &new, claim).map_err(doing("look for the claim"))?
            {
                return Ok(None);
            }
            let twin = twin(tx, &new).map_err(doing("look for a run with the same effect"))?;
            let (run, newness) = match twin {
                Some(run) => (run, Newness::Merged),
                None => (insert(tx, &new, claim)?, Newness::New),
            };
            if let Some(claim) = claim {
                tx.execute(
                    "INSERT INTO claims (episode, playbook, attempt, run) VALUES (?1, ?2, ?3, ?4)",
                    params![claim.episode, new.playbook, claim.attempt, run.0],
                )
                .map_err(doing("store the claim"))?;
            }
            let word = if newness == Newness::New { "created" } else { "merged" };
            journal::append(
                tx,
                run,
                new.created,
                (word, &format!("{} ({})", new.cause, new.trigger)),
            )?;
            Ok(Some((run, newness)))
        })
        .await
    }

    /// Moves a run through the transition table, with all that moves with it, and journals it.
    ///
    /// # Errors
    ///
    /// When the table has no such arrow, or the store cannot be written. Then nothing moved.
    pub async fn move_run(
        &self,
        run: RunId,
        now: WallTime,
        event: RunEvent,
        change: RunUpdate,
    ) -> Result<RunState, StoreError> {
        self.call("move a run", move |tx| {
            let state = state_of(tx, run)?;
            let next = state.after(event).map_err(|impossible| StoreError::Impossible {
                run: run.0,
                problem: impossible.to_string(),
            })?;
            let same_hold =
                next == RunState::Held && state == next && held_for(tx, run)? == change.hold;
            update(tx, run, (next, now), &change).map_err(doing("move a run"))?;
            steps::replace(tx, run, &change.steps).map_err(doing("store the plan"))?;
            // A hold that has not changed in 15 s is no news.
            if !same_hold {
                let text = describe(next, &change);
                journal::append(tx, run, now, ("state", &text))?;
            }
            Ok(next)
        })
        .await
    }

    /// Keeps what has been measured so far.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn keep_measured(&self, run: RunId, measured: Measurement) -> Result<(), StoreError> {
        self.call("store what was measured", move |tx| {
            let json = serde_json::to_string(&measured).unwrap_or_default();
            tx.execute("UPDATE runs SET measured = ?2 WHERE id = ?1", params![run.0, json])
                .map_err(doing("store what was measured"))?;
            Ok(())
        })
        .await
    }

    /// Marks that a person wants a run undone.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn request_undo(&self, run: RunId, now: WallTime) -> Result<(), StoreError> {
        self.call("store the order to undo", move |tx| {
            tx.execute("UPDATE runs SET undo_requested = 1 WHERE id = ?1", [run.0])
                .map_err(doing("store the order to undo"))?;
            journal::append(tx, run, now, ("order", "a person asked for it to be undone"))
        })
        .await
    }

    /// Marks that a person has seen a stuck run.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn acknowledge(&self, run: RunId, now: WallTime) -> Result<(), StoreError> {
        self.call("acknowledge a run", move |tx| {
            tx.execute("UPDATE runs SET acknowledged = 1 WHERE id = ?1", [run.0])
                .map_err(doing("acknowledge a run"))?;
            journal::append(tx, run, now, ("order", "a person has acknowledged it"))
        })
        .await
    }

    /// Marks that a person approved a run that waits for it. The guard is asked again.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn approve(&self, run: RunId, now: WallTime) -> Result<(), StoreError> {
        self.call("approve a run", move |tx| {
            tx.execute("UPDATE runs SET approved_at = ?2 WHERE id = ?1", params![run.0, now.0])
                .map_err(doing("approve a run"))?;
            journal::append(tx, run, now, ("order", "a person has approved it"))
        })
        .await
    }

    /// The kept runs of all clusters that are lifted after a time, oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        self.call("read the measures", |tx| {
            let kept = "WHERE expires_at IS NOT NULL AND state IN ('kept', 'expiring') ORDER BY id";
            select(tx, kept, [])
        })
        .await
    }

    /// The first runs of other playbooks that critical alerts ask for, and that wait for this one.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn critical_beside(&self, run: &RunRow) -> Result<Vec<RunRow>, StoreError> {
        let (cluster, playbook) = (run.cluster.clone(), run.playbook.clone());
        self.call("look for critical runs", move |tx| {
            select(
                tx,
                "WHERE cluster = ?1 AND playbook <> ?2 AND urgency = 'critical'
                 AND state = 'queued' ORDER BY id LIMIT ?3",
                params![cluster.as_str(), playbook, CRITICAL_MAX],
            )
        })
        .await
    }

    /// The latest runs, newest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        self.call("read the runs", move |tx| {
            select(tx, "ORDER BY id DESC LIMIT ?1", params![limit])
        })
        .await
    }

    /// The runs of `cluster` that are not over, oldest first. A kept run that a person wants undone
    /// is not over, nor is one that is kept for a time.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn open_runs(&self, cluster: &ClusterName) -> Result<Vec<RunRow>, StoreError> {
        let cluster = cluster.clone();
        self.call("read the open runs", move |tx| {
            let open = "WHERE cluster = ?1 AND (ended_at IS NULL
                 OR (state = ?2 AND (undo_requested OR expires_at IS NOT NULL))) ORDER BY id";
            select(tx, open, params![cluster.as_str(), RunState::Kept.label()])
        })
        .await
    }

    /// One run with all that is known of it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn run(&self, run: RunId) -> Result<Option<RunDetail>, StoreError> {
        self.call("read a run", move |tx| {
            let Some(row) = select(tx, "WHERE id = ?1", [run.0])?.pop() else { return Ok(None) };
            let measured: Option<String> = tx
                .query_row("SELECT measured FROM runs WHERE id = ?1", [run.0], |row| row.get(0))
                .map_err(doing("read what was measured"))?;
            Ok(Some(RunDetail {
                run: row,
                steps: steps::of(tx, run)?,
                measured: measured.map(|it| parse(&it)).transpose()?.unwrap_or_default(),
                journal: journal::of(tx, run).map_err(doing("read the journal"))?,
            }))
        })
        .await
    }

    /// The claims on `run` whose episode is still open, and all claims.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn claims(&self, run: RunId) -> Result<(u32, u32), StoreError> {
        self.call("read the claims", move |tx| {
            tx.query_row(
                "SELECT count(*) FILTER (WHERE e.closed_at IS NULL AND e.id IS NOT NULL), count(*)
                 FROM claims c LEFT JOIN episodes e ON e.id = c.episode WHERE c.run = ?1",
                [run.0],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(doing("read the claims"))
        })
        .await
    }

    /// The last attempt that answers an episode: its number, and its run's state and end.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn last_attempt(
        &self,
        episode: i64,
        playbook: String,
    ) -> Result<Option<(u32, RunState, Option<WallTime>)>, StoreError> {
        self.call("read the attempts", move |tx| {
            let found: Option<(u32, String, Option<i64>)> = tx
                .query_row(
                    "SELECT c.attempt, r.state, r.ended_at FROM claims c JOIN runs r ON r.id = c.run
                     WHERE c.episode = ?1 AND c.playbook = ?2 ORDER BY c.attempt DESC LIMIT 1",
                    params![episode, playbook],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()
                .map_err(doing("read the attempts"))?;
            found
                .map(|(attempt, state, ended)| {
                    Ok((attempt, word(&state, RunState::from_label)?, ended.map(WallTime)))
                })
                .transpose()
        })
        .await
    }
}

/// Whether a run was stored, or an equal one found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newness {
    New,
    /// Another run has the same effect.
    Merged,
}

fn claimed(tx: &Transaction<'_>, new: &NewRun, claim: NewClaim) -> rusqlite::Result<bool> {
    tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM claims WHERE episode = ?1 AND playbook = ?2 AND attempt = ?3)",
        params![claim.episode, new.playbook, claim.attempt],
        |row| row.get(0),
    )
}

/// A run that waits or acts, with the same effect on the same target.
fn twin(tx: &Transaction<'_>, new: &NewRun) -> rusqlite::Result<Option<RunId>> {
    tx.query_row(
        "SELECT id FROM runs WHERE cluster = ?1 AND optimizer = ?2 AND level IS ?3 AND target = ?4
         AND extent = ?5 AND ended_at IS NULL ORDER BY id LIMIT 1",
        params![
            new.cluster.as_str(),
            new.optimizer.label(),
            new.level.map(Level::label),
            new.target.to_string(),
            new.extent.label()
        ],
        |row| row.get(0).map(RunId),
    )
    .optional()
}

fn insert(
    tx: &Transaction<'_>,
    new: &NewRun,
    claim: Option<NewClaim>,
) -> Result<RunId, StoreError> {
    let waiting: i64 = tx
        .query_row(
            "SELECT count(*) FROM runs WHERE cluster = ?1 AND ended_at IS NULL",
            [new.cluster.as_str()],
            |row| row.get(0),
        )
        .map_err(doing("count the waiting runs"))?;
    let full = WAITING_MAX <= waiting;
    let (state, hold) = if full {
        (RunState::Held, Some(HoldReason::QueueFull.label()))
    } else {
        (RunState::Queued, None)
    };
    tx.execute(
        "INSERT INTO runs (cluster, playbook, optimizer, level, target, trigger, cause, extent,
         attempt, state, hold, urgency, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            new.cluster.as_str(),
            new.playbook,
            new.optimizer.label(),
            new.level.map(Level::label),
            new.target.to_string(),
            new.trigger.label(),
            new.cause,
            new.extent.label(),
            claim.map_or(1, |it| it.attempt),
            state.label(),
            hold,
            new.urgency.label(),
            new.created.0
        ],
    )
    .map_err(doing("store a run"))?;
    Ok(RunId(tx.last_insert_rowid()))
}

fn state_of(tx: &Transaction<'_>, run: RunId) -> Result<RunState, StoreError> {
    let label: String = tx
        .query_row("SELECT state FROM runs WHERE id = ?1", [run.0], |row| row.get(0))
        .map_err(doing("read a run's state"))?;
    word(&label, RunState::from_label)
}

fn held_for(tx: &Transaction<'_>, run: RunId) -> Result<Option<HoldReason>, StoreError> {
    let label: Option<String> = tx
        .query_row("SELECT hold FROM runs WHERE id = ?1", [run.0], |row| row.get(0))
        .map_err(doing("read a run's hold"))?;
    label.map(|it| word(&it, HoldReason::from_label)).transpose()
}

fn update(
    tx: &Transaction<'_>,
    run: RunId,
    (state, now): (RunState, WallTime),
    change: &RunUpdate,
) -> rusqlite::Result<()> {
    let measured = change.measured.as_ref().and_then(|it| serde_json::to_string(it).ok());
    tx.execute(
        // What held a run is over when the guard has cleared it.
        "UPDATE runs SET state = ?2, hold = ?3,
         note = CASE WHEN ?2 IN ('rehearsed', 'awaiting_approval') THEN ?4
         ELSE coalesce(?4, note) END,
         verdict = coalesce(?5, verdict), rollback_reason = coalesce(?6, rollback_reason),
         measured = coalesce(?7, measured),
         effective_at = CASE WHEN ?2 = 'settling' THEN ?8 ELSE effective_at END,
         asked_at = CASE WHEN ?2 = 'awaiting_approval' THEN ?8 ELSE asked_at END,
         expires_at = coalesce(?10, expires_at),
         undo_requested = CASE WHEN ?2 IN ('rolling_back', 'expiring') THEN 0
         ELSE undo_requested END,
         ended_at = ?9 WHERE id = ?1",
        params![
            run.0,
            state.label(),
            change.hold.map(HoldReason::label),
            change.note,
            change.verdict.map(Verdict::label),
            change.rollback_reason.map(RollbackReason::label),
            measured,
            now.0,
            // `rehearsed` is an end only for a run that may not act; it says so itself.
            (state.is_end() && state != RunState::Rehearsed).then_some(now.0),
            change.expires.map(|it| it.0)
        ],
    )?;
    Ok(())
}

impl Store {
    /// Ends a run that stops after its rehearsal.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn end_rehearsed(&self, run: RunId, now: WallTime) -> Result<(), StoreError> {
        self.call("end a rehearsed run", move |tx| {
            tx.execute(
                "UPDATE runs SET ended_at = ?2 WHERE id = ?1 AND state = 'rehearsed'",
                params![run.0, now.0],
            )
            .map_err(doing("end a rehearsed run"))?;
            Ok(())
        })
        .await
    }
}

fn describe(state: RunState, change: &RunUpdate) -> String {
    let mut text = state.label().to_owned();
    let words = [
        change.hold.map(HoldReason::label),
        change.verdict.map(Verdict::label),
        change.rollback_reason.map(RollbackReason::label),
    ];
    for word in words.into_iter().flatten() {
        text.push_str(": ");
        text.push_str(word);
    }
    if let Some(note) = &change.note {
        text.push_str(": ");
        text.push_str(note);
    }
    text
}

fn select(
    tx: &Transaction<'_>,
    rest: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<RunRow>, StoreError> {
    let mut query = tx
        .prepare_cached(&format!("SELECT {RUN_COLUMNS} FROM runs {rest}"))
        .map_err(doing("read the runs"))?;
    let mut rows = query.query(values).map_err(doing("read the runs"))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(doing("read the runs"))? {
        found.push(run_row(row)?);
    }
    Ok(found)
}

fn run_row(row: &Row<'_>) -> Result<RunRow, StoreError> {
    let text = |at: usize| row.get::<_, String>(at).map_err(doing("read a run"));
    let maybe = |at: usize| row.get::<_, Option<String>>(at).map_err(doing("read a run"));
    let time = |at: usize| {
        row.get::<_, Option<i64>>(at).map(|it| it.map(WallTime)).map_err(doing("read a run"))
    };
    let flag = |at: usize| row.get::<_, bool>(at).map_err(doing("read a run"));
    Ok(RunRow {
        id: RunId(row.get(0).map_err(doing("read a run"))?),
        cluster: ClusterName::new(text(1)?),
        playbook: text(2)?,
        optimizer: word(&text(3)?, crate::playbook::OptimizerKind::from_label)?,
        level: maybe(4)?.map(|it| word(&it, Level::from_label)).transpose()?,
        target: word(&text(5)?, Target::parse)?,
        trigger: word(&text(6)?, crate::model::Trigger::from_label)?,
        cause: text(7)?,
        extent: word(&text(8)?, super::Extent::from_label)?,
        attempt: row.get(9).map_err(doing("read a run"))?,
        state: word(&text(10)?, RunState::from_label)?,
        hold: maybe(11)?.map(|it| word(&it, HoldReason::from_label)).transpose()?,
        note: maybe(12)?,
        verdict: maybe(13)?.map(|it| word(&it, Verdict::from_label)).transpose()?,
        rollback_reason: maybe(14)?.map(|it| word(&it, RollbackReason::from_label)).transpose()?,
        undo_requested: flag(15)?,
        acknowledged: flag(16)?,
        urgency: word(&text(17)?, Urgency::from_label)?,
        times: Times {
            created: time(18)?.unwrap_or_default(),
            asked: time(19)?,
            approved: time(20)?,
            written: time(21)?,
            effective: time(22)?,
            expires: time(23)?,
            ended: time(24)?,
        },
    })
}

fn parse(json: &str) -> Result<Measurement, StoreError> {
    word(json, |it| serde_json::from_str(it).ok())
}
