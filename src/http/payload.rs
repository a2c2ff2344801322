//! JSON bodies of the API, written by the handlers and read by the command line.
//!
//! A public contract: fields are added, never renamed or removed. Timestamps are RFC 3339 in UTC
//! with milliseconds, such as `2026-01-02T03:04:05.006Z`. Words such as states and verdicts are the
//! labels of the closed lists in `model`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    model::{BrokerId, ChangeText, RunState, WallTime},
    remediation::{ClusterRemediation, RemediationStatus},
    store::{JournalLine, Measurement, RunDetail, RunRow, StepRow, plan_digest},
    verdict::Evidence,
};

/// Body of every response with a status of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPayload {
    /// What failed, and what to do.
    pub error: String,
    /// Also in the header `x-request-id` and in the server's log.
    pub request_id: String,
}

/// Response to `POST /api/v1/alerts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedPayload {
    /// Number of alerts by outcome (`new`, `repeated`, `unmatched`, …).
    pub alerts: BTreeMap<String, u64>,
    /// Number of alerts that Alertmanager omitted from the notification.
    pub truncated: u64,
    /// The first ten alerts that cannot be used, as text for people: which, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// Response to `GET /api/v1/runs` (newest first) and `GET /api/v1/temporary-changes` (oldest
/// first).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsPayload {
    pub runs: Vec<RunPayload>,
    /// Pass it as `before` to get the next page; null on the last one.
    #[serde(default)]
    pub next: Option<i64>,
}

/// Response to `GET /api/v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusPayload {
    /// One of `observe`, `rehearse` and `act`.
    pub mode: String,
    pub paused: bool,
    pub clusters: Vec<ClusterStatusPayload>,
}

/// What is going on in one cluster. Each list has at most 100 runs, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatusPayload {
    pub cluster: String,
    /// Runs that write, that are watched, or that are being undone.
    pub active: Vec<RunPayload>,
    pub queued: u32,
    /// Held runs by reason, the most frequent first.
    pub held: Vec<HeldPayload>,
    pub awaiting_approval: Vec<RunPayload>,
    /// Runs that are stuck and not acknowledged.
    pub stuck: Vec<RunPayload>,
    pub temporary_changes: Vec<RunPayload>,
    pub quarantined: Vec<QuarantinePayload>,
    /// What someone else changed and nobody has released, as text for people.
    pub changed_by_others: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPayload {
    pub reason: String,
    /// Number of runs held for that reason.
    pub runs: u32,
    /// Why they do not start, as text for people.
    pub meaning: String,
    /// What to do, as text for people.
    pub advice: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinePayload {
    pub playbook: String,
    /// `cluster`, `broker 1` or `group orders`.
    pub target: String,
}

/// One run, without its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPayload {
    pub id: i64,
    /// `held`, `acting`, `kept`, …
    pub state: String,
    pub cluster: String,
    /// Name of the playbook; `manual` for a run that a person started without one.
    pub playbook: String,
    /// `tune_brokers`, `scale_consumers`, …
    pub optimizer: String,
    /// Only for `tune_brokers`: `conservative`, `moderate` or `aggressive`.
    pub level: Option<String>,
    /// `cluster`, `broker 1` or `group orders`.
    pub target: String,
    /// Who started it: `alert` or `person`.
    pub trigger: String,
    /// Name of the alert, or the command that the person gave.
    pub cause: String,
    /// Number of the attempt within the episode, from 1.
    pub attempt: u32,
    /// `improved`, `neutral`, `regressed` or `inconclusive`; null until the run has been judged.
    pub verdict: Option<String>,
    /// Why it does not start; null unless the state is `held`.
    pub hold: Option<String>,
    /// What to do about the hold, as text for people; null unless the state is `held`.
    #[serde(default)]
    pub advice: Option<String>,
    /// Explains the hold or the end, or lists what the plan omits, as text for people.
    pub note: Option<String>,
    /// Null unless the run is or was rolled back.
    pub rollback_reason: Option<String>,
    /// Whether a person has acknowledged that it is stuck.
    pub acknowledged: bool,
    /// When the alert or the order was stored.
    pub created_at: String,
    /// Just before the first write was sent.
    pub written_at: Option<String>,
    /// When approval was requested.
    pub asked_at: Option<String>,
    pub approved_at: Option<String>,
    /// When the last step was read back as effective.
    pub effective_at: Option<String>,
    /// Only for temporary changes: when the run is rolled back at the latest.
    pub expires_at: Option<String>,
    pub ended_at: Option<String>,
}

/// Response to `GET /api/v1/runs/ID`, and to the requests that decide about a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunDetailPayload {
    /// Its fields are in the same JSON object as `steps`.
    #[serde(flatten)]
    pub run: RunPayload,
    /// Steps of the plan, in order.
    pub steps: Vec<StepPayload>,
    /// SHA-256 of what the steps change; null without steps. An approval is for this plan.
    #[serde(default)]
    pub plan_digest: Option<String>,
    pub objective: ObjectivePayload,
    /// Entries of the journal, oldest first.
    pub journal: Vec<JournalPayload>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPayload {
    /// Position in the plan, from 0.
    pub index: u32,
    /// Steps with the same wave are applied at the same time.
    pub wave: u32,
    /// The change, with its fields: see `model::Change`.
    pub change: Value,
    /// What it changes: `broker 1`.
    pub subject: String,
    /// The broker, where that is one.
    pub broker: Option<i32>,
    pub key: String,
    /// The effective value before the step.
    pub from: String,
    /// The value that was stored before the step; null if none was.
    pub from_stored: Option<String>,
    /// The value that the step stores; null if it removes the stored value.
    pub to: Option<String>,
    /// `planned`, `applied`, `undone`, …
    pub state: String,
    /// When the step entered this state.
    pub at: String,
}

/// The objective, measured before and after the change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectivePayload {
    pub query: String,
    /// Its geometric mean in the baseline.
    pub before: Option<f64>,
    /// Its geometric mean in the observation.
    pub after: Option<f64>,
    /// Relative improvement: 0.6 is 60 % better, -0.1 is 10 % worse. Less what the load, untouched
    /// brokers and the way back to the usual level explain.
    pub effect: Option<f64>,
    /// Relative change of the load: 0.1 is 10 % more.
    pub load_change: Option<f64>,
    /// The evidence in one sentence.
    pub sentence: Option<String>,
    /// The numbers behind the verdict; null before it.
    pub evidence: Option<Evidence>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JournalPayload {
    pub id: i64,
    pub at: String,
    pub entry: String,
    pub text: String,
    /// Null if the line is not about one run.
    pub run: Option<i64>,
    /// Null if the line is about all clusters.
    pub cluster: Option<String>,
    /// Who gave the order: the name of a token or of a client certificate, or a signal. Null for
    /// what the program did by itself.
    pub by: Option<String>,
    /// How often an equal line followed, which is counted here instead.
    pub repeated: u32,
    /// When the last of those followed.
    pub last_at: Option<String>,
}

/// Response to `GET /api/v1/journal`, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPagePayload {
    pub lines: Vec<JournalPayload>,
    /// Pass it as `before` to get the next page; null on the last one.
    pub next: Option<i64>,
}

/// Body of `POST /api/v1/runs/ID/approve`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovePayload {
    /// `plan_digest` of the run as it was shown: a plan that has changed since is not approved. If
    /// left out, the plan that the run has now is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<String>,
}

/// Body of `POST /api/v1/runs/ID/cancel` and `/reject`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonPayload {
    /// Why it was decided, as the journal keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Body of `POST /api/v1/runs`. Unknown fields are rejected: a misspelt `rehearse` must not start a
/// run that changes something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderPayload {
    /// May be left out if only one cluster is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `tune_brokers` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<String>,
    /// Id of the broker; all brokers if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<i32>,
    /// Name of the consumer group; required by `scale_consumers`, otherwise not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumergroup: Option<String>,
    /// Required by `tune_brokers`, otherwise not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Name of the playbook that judges the run; the first that fits if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    /// Dry run: plan, let the brokers validate the plan, change nothing.
    #[serde(default)]
    pub rehearse: bool,
}

/// Response to `POST /api/v1/runs`: the id of the run that was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedPayload {
    pub id: i64,
}

/// Body of `POST /api/v1/quarantine/release`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasePayload {
    /// Name of the cluster; all clusters if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// With `target`: release only the quarantine of this playbook on that target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    /// `cluster`, `broker 1` or `group orders`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Release only this key that someone else changed: `num.io.threads`. With `target`, only of
    /// that broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedPayload {
    /// What was released, as text for people.
    pub released: Vec<String>,
}

/// Response to `POST /api/v1/pause` and `POST /api/v1/resume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedPayload {
    /// The state after the request.
    pub paused: bool,
}

/// Body of a request without parameters: empty, or `{}`.
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
            advice: run
                .hold
                .filter(|_| run.state == RunState::Held)
                .map(|it| it.help().advice.to_owned()),
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

impl From<&RemediationStatus> for StatusPayload {
    fn from(status: &RemediationStatus) -> Self {
        Self {
            mode: status.mode.to_string(),
            paused: status.paused,
            clusters: status.clusters.iter().map(ClusterStatusPayload::from).collect(),
        }
    }
}

impl From<&ClusterRemediation> for ClusterStatusPayload {
    fn from(status: &ClusterRemediation) -> Self {
        let list = |runs: &[RunRow]| runs.iter().map(RunPayload::from).collect();
        let held = status.runs.held.iter().map(|it| HeldPayload {
            reason: it.reason.to_string(),
            runs: it.runs,
            meaning: it.reason.help().meaning.to_owned(),
            advice: it.reason.help().advice.to_owned(),
        });
        let quarantined = status.quarantined.iter().map(|it| QuarantinePayload {
            playbook: it.playbook.clone(),
            target: it.target.to_string(),
        });

        Self {
            cluster: status.name.to_string(),
            active: list(&status.runs.active),
            queued: status.runs.queued,
            held: held.collect(),
            awaiting_approval: list(&status.runs.awaiting_approval),
            stuck: list(&status.runs.stuck),
            temporary_changes: list(&status.temporary_changes),
            quarantined: quarantined.collect(),
            changed_by_others: status.changed_by_others.clone(),
        }
    }
}

impl From<&RunDetail> for RunDetailPayload {
    fn from(detail: &RunDetail) -> Self {
        Self {
            run: (&detail.run).into(),
            steps: detail.steps.iter().map(StepPayload::from).collect(),
            plan_digest: plan_digest(&detail.steps),
            objective: (&detail.measured).into(),
            journal: detail.journal.iter().map(JournalPayload::from).collect(),
        }
    }
}

impl From<&StepRow> for StepPayload {
    fn from(step: &StepRow) -> Self {
        let ChangeText { subject, key, from, from_stored, to } = step.change.text();

        Self {
            index: step.index,
            wave: step.wave,
            // Plain data, so that this cannot fail.
            change: serde_json::to_value(&step.change).unwrap_or_default(),
            subject,
            broker: step.change.broker().map(BrokerId::to_wire),
            key,
            from,
            from_stored,
            to,
            state: step.state.to_string(),
            at: rfc3339(step.at),
        }
    }
}

impl From<&Measurement> for ObjectivePayload {
    fn from(measured: &Measurement) -> Self {
        Self {
            query: measured.query.clone(),
            before: measured.before,
            after: measured.after,
            effect: measured.effect,
            load_change: measured.load_change,
            sentence: measured.sentence.clone(),
            evidence: measured.evidence.clone(),
        }
    }
}

impl From<&JournalLine> for JournalPayload {
    fn from(line: &JournalLine) -> Self {
        Self {
            id: line.id,
            at: rfc3339(line.at),
            entry: line.entry.clone(),
            text: line.text.clone(),
            run: line.run.map(|it| it.0),
            cluster: line.cluster.as_ref().map(ToString::to_string),
            by: line.by.as_ref().map(ToString::to_string),
            repeated: line.repeated,
            last_at: line.last_at.map(rfc3339),
        }
    }
}

/// A time out of range can only come from a corrupt row; it is written as the epoch.
pub(super) fn rfc3339(at: WallTime) -> String {
    format!("{:.3}", Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH))
}
