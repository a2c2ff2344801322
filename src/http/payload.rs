//! The JSON of the API, written by the handlers and read by the command line.
//!
//! Part of the contract: fields are added, never renamed. Times are RFC 3339 in UTC, in
//! milliseconds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    model::{BrokerId, WallTime},
    store::{JournalLine, Measurement, RunDetail, RunRow, StepRow},
};

/// Every answer that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPayload {
    /// What is wrong, and what to do.
    pub error: String,
    /// Finds the line in the log.
    pub request_id: String,
}

/// What became of a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedPayload {
    /// How many alerts had which outcome.
    pub alerts: BTreeMap<String, u64>,
    /// How many alerts Alertmanager had cut off.
    pub truncated: u64,
}

/// `GET /api/v1/runs` and `GET /api/v1/temporary-changes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsPayload {
    /// Newest first.
    pub runs: Vec<RunPayload>,
}

/// One run. The words are those of the closed lists in `model`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPayload {
    pub id: i64,
    /// Where it stands.
    pub state: String,
    pub cluster: String,
    /// The playbook; `manual` for a person's run without one.
    pub playbook: String,
    pub optimizer: String,
    /// How far it goes, where its optimizer has levels.
    pub level: Option<String>,
    /// What it is about: `cluster`, `broker 1` or `group orders`.
    pub target: String,
    /// `alert` or `person`.
    pub trigger: String,
    /// The alert's name, or the person's command.
    pub cause: String,
    /// The attempt of its episode, from 1.
    pub attempt: u32,
    /// The comparison's outcome.
    pub verdict: Option<String>,
    /// Why it does not start, while held.
    pub hold: Option<String>,
    /// The hold, the plan's warning, or the end, in words.
    pub note: Option<String>,
    pub rollback_reason: Option<String>,
    /// Whether a person has seen that it is stuck.
    pub acknowledged: bool,
    /// The alert or the order was durable.
    pub created_at: String,
    /// The first write was about to be sent.
    pub written_at: Option<String>,
    /// A person was asked to approve it.
    pub asked_at: Option<String>,
    pub approved_at: Option<String>,
    /// The last step was read back as in force.
    pub effective_at: Option<String>,
    /// A measure: it is taken back then, at the latest.
    pub expires_at: Option<String>,
    pub ended_at: Option<String>,
}

/// `GET /api/v1/runs/ID`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunDetailPayload {
    /// The run, in the same object.
    #[serde(flatten)]
    pub run: RunPayload,
    /// Its plan, in order.
    pub steps: Vec<StepPayload>,
    pub objective: ObjectivePayload,
    /// Its journal, oldest first.
    pub journal: Vec<JournalPayload>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPayload {
    /// Its place, from 0.
    pub index: u32,
    /// Steps of one wave are taken at the same time.
    pub wave: u32,
    /// What it changes: `broker 1`.
    pub subject: String,
    /// The broker, where that is one.
    pub broker: Option<i32>,
    pub key: String,
    /// The effective value it starts from.
    pub from: String,
    /// The value that was stored before it, or none.
    pub from_stored: Option<String>,
    /// The value it stores; none takes the stored value away.
    pub to: Option<String>,
    /// Where it stands.
    pub state: String,
    /// Since when.
    pub at: String,
}

/// What was measured before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectivePayload {
    pub query: String,
    pub baseline_median: Option<f64>,
    /// Median absolute deviation of the baseline.
    pub baseline_mad: Option<f64>,
    pub observed_median: Option<f64>,
    /// Relative change, positive when better.
    pub effect: Option<f64>,
    /// Relative change of the load, positive when it rose.
    pub load_change: Option<f64>,
}

/// One line of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPayload {
    /// When.
    pub at: String,
    pub entry: String,
    pub text: String,
}

/// `POST /api/v1/runs`. Strict: a misspelt `rehearse` must not become a run that acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderPayload {
    /// May be left out when there is one cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Which optimizer; `tune_brokers` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<String>,
    /// All brokers when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<i32>,
    /// The group, for `scale_consumers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumergroup: Option<String>,
    /// How far, for `tune_brokers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    #[serde(default)]
    pub rehearse: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedPayload {
    pub id: i64,
}

/// `POST /api/v1/quarantine/release`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasePayload {
    /// All clusters when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedPayload {
    /// What was released, in words.
    pub released: Vec<String>,
}

/// The answer to `POST /api/v1/pause` and `/resume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedPayload {
    /// Whether remediation is paused now.
    pub paused: bool,
}

/// A request that says all in its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NothingPayload {}

impl From<&RunRow> for RunPayload {
    fn from(run: &RunRow) -> Self {
        Self {
            id: run.id.0,
            state: run.state.to_string(),
            cluster: run.cluster.to_string(),
            playbook: run.playbook.clone(),
            optimizer: run.optimizer.to_string(),
            level: run.level.map(|it| it.to_string()),
            target: run.target.to_string(),
            trigger: run.trigger.to_string(),
            cause: run.cause.clone(),
            attempt: run.attempt,
            verdict: run.verdict.map(|it| it.to_string()),
            hold: run.hold.map(|it| it.to_string()),
            note: run.note.clone(),
            rollback_reason: run.rollback_reason.map(|it| it.to_string()),
            acknowledged: run.acknowledged,
            created_at: rfc3339(run.times.created),
            written_at: run.times.written.map(rfc3339),
            asked_at: run.times.asked.map(rfc3339),
            approved_at: run.times.approved.map(rfc3339),
            effective_at: run.times.effective.map(rfc3339),
            expires_at: run.times.expires.map(rfc3339),
            ended_at: run.times.ended.map(rfc3339),
        }
    }
}

impl From<&RunDetail> for RunDetailPayload {
    fn from(detail: &RunDetail) -> Self {
        Self {
            run: (&detail.run).into(),
            steps: detail.steps.iter().map(StepPayload::from).collect(),
            objective: (&detail.measured).into(),
            journal: detail.journal.iter().map(JournalPayload::from).collect(),
        }
    }
}

impl From<&StepRow> for StepPayload {
    fn from(step: &StepRow) -> Self {
        Self {
            index: step.index,
            wave: step.wave,
            subject: step.subject.to_string(),
            broker: step.subject.broker().map(BrokerId::to_wire),
            key: step.key.clone(),
            from: step.from.clone(),
            from_stored: step.from_stored.clone(),
            to: step.to.clone(),
            state: step.state.to_string(),
            at: rfc3339(step.at),
        }
    }
}

impl From<&Measurement> for ObjectivePayload {
    fn from(measured: &Measurement) -> Self {
        Self {
            query: measured.query.clone(),
            baseline_median: measured.baseline_median,
            baseline_mad: measured.baseline_mad,
            observed_median: measured.observed_median,
            effect: measured.effect,
            load_change: measured.load_change,
        }
    }
}

impl From<&JournalLine> for JournalPayload {
    fn from(line: &JournalLine) -> Self {
        Self { at: rfc3339(line.at), entry: line.entry.clone(), text: line.text.clone() }
    }
}

/// A time outside what the calendar can say is a corrupt row; it is shown as the epoch.
fn rfc3339(at: WallTime) -> String {
    format!("{:.3}", Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH))
}
