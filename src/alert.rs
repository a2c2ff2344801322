//! Alertmanager's payload, read leniently, as [`Alert`]s.
//!
//! Unknown fields are another program's evolution and are passed over. Labels stay data: nothing
//! here looks at what they say. Pure: no I/O, no clock.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::WallTime;

pub type Labels = BTreeMap<String, String>;

/// Longest label name or value that is accepted, in bytes. Prometheus itself has no limit; a label
/// of an alert that a playbook can answer names a broker, a topic or a group.
pub const LABEL_BYTES_MAX: usize = 4096;
/// Most labels on one alert.
pub const LABELS_MAX: usize = 64;

/// Whether an alert is firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertStatus {
    Firing,
    Resolved,
}

/// One alert of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub status: AlertStatus,
    pub labels: Labels,
    /// When it started to fire, as Prometheus said.
    pub starts_at: WallTime,
    /// Alertmanager's hash of the labels; computed here when the sender left it out.
    pub fingerprint: String,
}

/// Why one alert of a notification is not usable. The rest of the notification is.
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
    /// The alerts that can be used.
    pub alerts: Vec<Alert>,
    pub faults: Vec<AlertFault>,
    /// How many alerts Alertmanager cut off. Then the absence of an alert means nothing.
    pub truncated: u64,
}

/// The body is not a notification.
#[derive(Debug, thiserror::Error)]
#[error("the body is not an Alertmanager notification (version 4): {0}")]
pub struct NotANotification(#[from] serde_json::Error);

/// `notify/webhook.Message` of Alertmanager, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagePayload {
    alerts: Vec<AlertPayload>,
    #[serde(default)]
    truncated_alerts: u64,
}

/// `template.Alert` of Alertmanager, as far as it is needed.
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
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// When it is not JSON of the expected shape. Alerts that are well-formed but unusable are in
    /// [`Notification::faults`] instead.
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
        let too_long = |text: &str| LABEL_BYTES_MAX < text.len();
        if LABELS_MAX < self.labels.len()
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
    /// The value of a label; nothing when it is absent or empty, which Prometheus does not tell
    /// apart.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str).filter(|it| !it.is_empty())
    }

    /// The identity of the alert's episode: its labels but `severity`, so that a warning and a
    /// critical alert of the same thing are one episode.
    pub fn episode_key(&self) -> String {
        let mut labels = self.labels.clone();
        labels.remove("severity");
        identity(&labels)
    }
}

/// A hash of labels in which no two label sets that differ can be made to look alike.
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
        let body = format!(r#"{{"version":"4","alerts":[{alert}],"a_field_of_tomorrow":{{}}}}"#);
        Notification::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_field_of_tomorrow_is_passed_over() {
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
    fn a_nameless_alert_does_not_take_the_others_with_it() {
        let two = parse(
            r#"{"status":"firing","labels":{"x":"1"},"startsAt":"2026-01-02T03:04:05Z"},
               {"status":"resolved","labels":{"alertname":"A"},"startsAt":"2026-01-02T03:04:05Z"}"#,
        );
        assert_eq!(two.faults, [AlertFault::Nameless]);
        assert_eq!(two.alerts[0].status, AlertStatus::Resolved);
    }

    #[test]
    fn a_body_that_is_no_notification_says_where_it_stops_being_one() {
        for body in ["", "{", "[]", r#"{"alerts":1}"#, r#"{"alerts":[{"status":"odd"}]}"#, "\u{0}"]
        {
            let message = Notification::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("line"), "{message}");
        }
    }

    #[test]
    fn only_severity_is_outside_an_episodes_identity() {
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
