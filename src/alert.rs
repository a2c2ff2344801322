//! Parses Alertmanager's webhook payload into [`Alert`]s.
//!
//! Unknown fields are ignored, so that newer versions of Alertmanager work. Labels are data: their
//! values are not interpreted here. Pure: no I/O, no clock.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::WallTime;

pub type Labels = BTreeMap<String, String>;

/// Maximum length of a label name or value, in bytes. Prometheus has no limit; the labels that
/// playbooks use name a broker, a topic or a group.
pub const LABEL_BYTES_MAX: usize = 4096;
/// Maximum number of labels of an alert.
pub const LABELS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertStatus {
    Firing,
    Resolved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub status: AlertStatus,
    pub labels: Labels,
    /// When it started to fire, according to Prometheus.
    pub starts_at: WallTime,
    /// Alertmanager's hash of the labels in hexadecimal; computed here if it is missing or
    /// malformed.
    pub fingerprint: String,
}

/// Why one alert of a notification is ignored. The other alerts are not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertFault {
    #[error("the alert has no `alertname`")]
    Nameless,
    #[error(
        "the alert has more than {LABELS_MAX} labels, or one longer than {LABEL_BYTES_MAX} bytes"
    )]
    TooLarge,
}

#[derive(Clone, Debug)]
pub struct Notification {
    pub alerts: Vec<Alert>,
    pub faults: Vec<AlertFault>,
    /// Number of alerts that Alertmanager omitted. If not 0, a missing alert may still be firing.
    pub truncated: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the body is not an Alertmanager notification (version 4): {0}")]
pub struct NotANotification(#[from] serde_json::Error);

/// The fields that we use of Alertmanager's `notify/webhook.Message`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagePayload {
    alerts: Vec<AlertPayload>,
    #[serde(default)]
    truncated_alerts: u64,
}

/// The fields that we use of Alertmanager's `template.Alert`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertPayload {
    status: StatusPayload,
    labels: Labels,
    starts_at: Timestamp,
    #[serde(default)]
    fingerprint: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StatusPayload {
    Firing,
    Resolved,
}

impl Notification {
    /// Parses the body of a webhook request.
    ///
    /// # Errors
    ///
    /// If it is not JSON of the expected shape. Well-formed alerts that cannot be used are reported
    /// in [`Notification::faults`] instead.
    pub fn parse(body: &[u8]) -> Result<Self, NotANotification> {
        let payload: MessagePayload = serde_json::from_slice(body)?;
        let mut alerts = Vec::with_capacity(payload.alerts.len());
        let mut faults = Vec::new();
        for alert in payload.alerts {
            match alert.check() {
                Ok(alert) => alerts.push(alert),
                Err(fault) => faults.push(fault),
            }
        }

        Ok(Self { alerts, faults, truncated: payload.truncated_alerts })
    }
}

impl AlertPayload {
    fn check(self) -> Result<Alert, AlertFault> {
        let too_long = |text: &str| text.len() > LABEL_BYTES_MAX;
        if self.labels.len() > LABELS_MAX
            || self.labels.iter().any(|(name, value)| too_long(name) || too_long(value))
        {
            return Err(AlertFault::TooLarge);
        }

        if self.labels.get("alertname").is_none_or(String::is_empty) {
            return Err(AlertFault::Nameless);
        }

        let well_formed = !self.fingerprint.is_empty()
            && self.fingerprint.len() <= 64
            && self.fingerprint.bytes().all(|it| it.is_ascii_hexdigit());
        Ok(Alert {
            status: match self.status {
                StatusPayload::Firing => AlertStatus::Firing,
                StatusPayload::Resolved => AlertStatus::Resolved,
            },
            fingerprint: if well_formed { self.fingerprint } else { identity(&self.labels) },
            starts_at: WallTime(self.starts_at.as_millisecond()),
            labels: self.labels,
        })
    }
}

impl Alert {
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

        assert_eq!(two.faults, [AlertFault::Nameless]);
        assert_eq!(two.alerts[0].status, AlertStatus::Resolved);
    }

    #[test]
    fn an_invalid_body_is_rejected_with_its_position() {
        for body in ["", "{", "[]", r#"{"alerts":1}"#, r#"{"alerts":[{"status":"odd"}]}"#, "\u{0}"]
        {
            let message = Notification::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("line"), "{message}");
        }
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
