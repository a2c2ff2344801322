//! Parses Alertmanager's webhook payload into [`Alert`]s.
//!
//! Unknown fields are ignored, so that newer versions of Alertmanager work. Labels are data: their
//! values are not interpreted here. Pure: no I/O, no clock.

mod payload;

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use payload::{AlertsPayload, MessagePayload};

use crate::model::WallTime;

pub type Labels = BTreeMap<String, String>;

/// Maximum length of a label name or value, in bytes. Prometheus has no limit; the labels that
/// playbooks use name a broker, a topic or a group.
pub const LABEL_BYTES_MAX: usize = 4096;
/// Maximum number of labels of an alert.
pub const LABELS_MAX: usize = 64;

/// Number of unusable alerts of a notification that are described in the log and in the answer.
pub const FAULTS_SHOWN_MAX: usize = 10;
/// Longest text of an unusable alert that is passed on.
const TEXT_CHARS_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertStatus {
    Firing,
    Resolved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Position in the notification, from 0.
    pub position: usize,
    pub status: AlertStatus,
    pub labels: Labels,
    /// When it started to fire, according to Prometheus.
    pub starts_at: WallTime,
    /// Alertmanager's hash of the labels in hexadecimal; computed here if it is missing or
    /// malformed.
    pub fingerprint: String,
}

/// Why one alert of a notification is ignored. The other alerts are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertFault {
    #[error("it is {0}, not an object")]
    NotAnObject(&'static str),
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("`{field}` is {found}, not a string")]
    NotText { field: &'static str, found: &'static str },
    #[error("its status is `{0}`, neither firing nor resolved")]
    UnknownStatus(String),
    #[error("`startsAt` is `{0}`, not a time in RFC 3339")]
    InvalidTime(String),
    #[error("`labels` is {0}, not an object")]
    LabelsNotAnObject(&'static str),
    #[error("the label `{label}` is {found}, not a string")]
    LabelNotText { label: String, found: &'static str },
    #[error("it has the label `{0}` twice")]
    DuplicateLabel(String),
    #[error("it has no `alertname`")]
    Nameless,
    #[error("it has more than {LABELS_MAX} labels, or one longer than {LABEL_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it has no label `kafka_cluster`; configured are {known}")]
    NoCluster { known: String },
    #[error("its `kafka_cluster` is `{found}`; configured are {known}")]
    UnknownCluster { found: String, known: String },
}

/// An alert that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableAlert {
    /// Position in the notification, from 0.
    pub position: usize,
    /// Value of the label `alertname`.
    pub name: Option<String>,
    pub fingerprint: Option<String>,
    pub fault: AlertFault,
}

impl fmt::Display for UnusableAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alert {}", self.position)?;
        if let Some(name) = &self.name {
            write!(f, " `{}`", shortened(name))?;
        }

        if let Some(fingerprint) = &self.fingerprint {
            write!(f, " (fingerprint {})", shortened(fingerprint))?;
        }

        write!(f, ": {}", shortened(&self.fault.to_string()))
    }
}

/// A sender chooses the length of its texts, not that of our log.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The unusable alerts of a notification: all are counted, the first are described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub first: Vec<UnusableAlert>,
    pub count: u64,
}

impl Faults {
    pub fn push(&mut self, unusable: UnusableAlert) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < FAULTS_SHOWN_MAX {
            self.first.push(unusable);
        }
    }
}

#[derive(Clone, Debug)]
pub struct Notification {
    pub alerts: Vec<Alert>,
    pub faults: Faults,
    /// Number of alerts that Alertmanager omitted. If not 0, a missing alert may still be firing.
    pub truncated: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the body is not an Alertmanager notification (version 4): {0}")]
pub struct NotANotification(#[from] serde_json::Error);

impl Notification {
    /// Parses the body of a webhook request.
    ///
    /// # Errors
    ///
    /// If it is not a JSON object with a list of `alerts`. Alerts that cannot be used are reported
    /// in [`Notification::faults`] instead.
    pub fn parse(body: &[u8]) -> Result<Self, NotANotification> {
        let payload: MessagePayload = serde_json::from_slice(body)?;
        let AlertsPayload { alerts, faults } = payload.alerts;
        Ok(Self { alerts, faults, truncated: payload.truncated_alerts.0 })
    }
}

impl Alert {
    /// # Errors
    ///
    /// If it has no name, or too many or too long labels.
    fn new(
        position: usize,
        status: AlertStatus,
        labels: Labels,
        starts_at: WallTime,
        fingerprint: Option<String>,
    ) -> Result<Self, AlertFault> {
        let too_long = |text: &str| text.len() > LABEL_BYTES_MAX;
        if labels.len() > LABELS_MAX
            || labels.iter().any(|(name, value)| too_long(name) || too_long(value))
        {
            return Err(AlertFault::TooLarge);
        }

        if labels.get("alertname").is_none_or(String::is_empty) {
            return Err(AlertFault::Nameless);
        }

        let well_formed = |it: &String| {
            (1..=64).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_hexdigit())
        };
        let fingerprint = fingerprint.filter(well_formed).unwrap_or_else(|| identity(&labels));

        Ok(Self { position, status, labels, starts_at, fingerprint })
    }

    /// The value of a label; `None` if it is absent or empty, which are the same to Prometheus.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str).filter(|it| !it.is_empty())
    }

    /// Identity of the alert's episode: a hash of all labels except `severity`, so that a warning
    /// and a critical alert about the same thing are one episode.
    pub fn episode_key(&self) -> String {
        let mut labels = self.labels.clone();
        labels.remove("severity");
        identity(&labels)
    }
}

/// A hash of the labels. Lengths are hashed too, so that different label sets cannot be made to
/// collide.
fn identity(labels: &Labels) -> String {
    use sha2::{Digest, Sha256};

    let mut hash = Sha256::new();
    for (name, value) in labels {
        for part in [name, value] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }

    let mut text = String::with_capacity(32);
    for byte in hash.finalize().iter().take(16) {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }

    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(alert: &str) -> Notification {
        let body = format!(r#"{{"version":"4","alerts":[{alert}],"a_new_field":{{}}}}"#);
        Notification::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let one = parse(
            r#"{"status":"firing","labels":{"alertname":"A","x":"1"},"startsAt":"2026-01-02T03:04:05.006Z",
               "endsAt":"0001-01-01T00:00:00Z","fingerprint":"00ff","new":1}"#,
        );

        assert_eq!(one.alerts.len(), 1);
        assert_eq!(one.alerts[0].starts_at, WallTime(1_767_323_045_006));
        assert_eq!(one.alerts[0].fingerprint, "00ff");
        assert_eq!(one.truncated, 0);
    }

    #[test]
    fn an_alert_without_a_name_does_not_affect_the_others() {
        let two = parse(
            r#"{"status":"firing","labels":{"x":"1"},"startsAt":"2026-01-02T03:04:05Z"},
               {"status":"resolved","labels":{"alertname":"A"},"startsAt":"2026-01-02T03:04:05Z"}"#,
        );

        assert_eq!(two.faults.first[0].fault, AlertFault::Nameless);
        assert_eq!(two.alerts[0].status, AlertStatus::Resolved);
    }

    #[test]
    fn a_body_that_is_no_notification_is_rejected_with_its_position() {
        for body in ["", "{", "[]", "{}", r#"{"alerts":1}"#, r#"{"alerts":[{"status":]}"#, "\u{0}"]
        {
            let message = Notification::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("line"), "{message}");
        }
    }

    #[test]
    fn one_bad_alert_of_a_batch_does_not_lose_the_others() {
        let time = r#""startsAt":"2026-01-02T03:04:05Z""#;
        let good = format!(r#"{{"status":"firing","labels":{{"alertname":"Good"}},{time}}}"#);
        let bad = [
            ("null", "it is null, not an object"),
            ("[[[1]]]", "it is a list, not an object"),
            ("{}", "it has no `labels`"),
            (r#"{"status":"firing","labels":{"alertname":"A"}}"#, "it has no `startsAt`"),
            (
                r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"9999-12-31T23:59:59Z"}"#,
                "`startsAt` is `9999-12-31T23:59:59Z`, not a time in RFC 3339",
            ),
            (
                r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":{"a":[]}}"#,
                "`startsAt` is an object, not a string",
            ),
            (
                r#"{"status":"pending","labels":{"alertname":"A"},"startsAt":"2026-01-02T03:04:05Z"}"#,
                "its status is `pending`, neither firing nor resolved",
            ),
            (
                r#"{"status":null,"labels":{"alertname":"A"},"startsAt":"2026-01-02T03:04:05Z"}"#,
                "`status` is null, not a string",
            ),
            (
                r#"{"status":"firing","labels":null,"startsAt":"2026-01-02T03:04:05Z"}"#,
                "`labels` is null, not an object",
            ),
            (
                r#"{"status":"firing","labels":{"alertname":"A","n":1},"startsAt":"2026-01-02T03:04:05Z"}"#,
                "the label `n` is a number, not a string",
            ),
            (
                r#"{"labels":{"alertname":"A","x":"1","x":"2"},"status":"firing","startsAt":"2026-01-02T03:04:05Z"}"#,
                "it has the label `x` twice",
            ),
            (
                r#"{"status":"firing","labels":{"x":"1"},"startsAt":"2026-01-02T03:04:05Z"}"#,
                "it has no `alertname`",
            ),
        ];

        for (alert, why) in bad {
            let both = parse(&format!("{alert},{good}"));
            assert_eq!(both.alerts.len(), 1, "{alert}");
            assert_eq!(both.faults.count, 1, "{alert}");

            let fault = &both.faults.first[0];
            assert_eq!((fault.position, fault.fault.to_string().as_str()), (0, why), "{alert}");
        }
    }

    #[test]
    fn a_fingerprint_that_is_no_text_is_computed() {
        let one = parse(
            r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-01-02T03:04:05Z",
               "fingerprint":null}"#,
        );
        assert_eq!(one.alerts[0].fingerprint.len(), 32);
    }

    #[test]
    fn the_number_of_truncated_alerts_may_be_missing_or_of_another_type() {
        for body in [
            r#"{"alerts":[]}"#,
            r#"{"alerts":[],"truncatedAlerts":null}"#,
            r#"{"alerts":[],"truncatedAlerts":-1}"#,
        ] {
            assert_eq!(Notification::parse(body.as_bytes()).unwrap().truncated, 0);
        }
    }

    #[test]
    fn of_many_unusable_alerts_all_are_counted_and_the_first_described() {
        let many = parse(&vec!["{}"; 1000].join(","));
        assert_eq!((many.faults.count, many.faults.first.len()), (1000, FAULTS_SHOWN_MAX));
        assert_eq!(many.faults.first[9].to_string(), "alert 9: it has no `labels`");

        let unusable = UnusableAlert {
            position: 0,
            name: Some("é".repeat(5000)),
            fingerprint: None,
            fault: AlertFault::DuplicateLabel("x".repeat(5000)),
        };
        assert!(unusable.to_string().chars().count() < 500);
    }

    #[test]
    fn the_episode_key_ignores_only_the_severity() {
        let with = |severity: &str, broker: &str| {
            let alert = format!(
                r#"{{"status":"firing","labels":{{"alertname":"A","broker_id":"{broker}","severity":"{severity}"}},
                    "startsAt":"2026-01-02T03:04:05Z"}}"#
            );

            parse(&alert).alerts[0].episode_key()
        };

        assert_eq!(with("warning", "1"), with("critical", "1"));
        assert_ne!(with("warning", "1"), with("warning", "2"));
    }
}
