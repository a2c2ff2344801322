//! Deserializes a notification leniently: an alert that is not of the expected shape becomes a
//! fault, and the other alerts are not affected.

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{Alert, AlertFault, AlertStatus, Faults, Labels, UnusableAlert};
use crate::model::WallTime;

/// The fields that we use of Alertmanager's `notify/webhook.Message`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessagePayload {
    pub(super) alerts: AlertsPayload,
    #[serde(default)]
    pub(super) truncated_alerts: CountPayload,
}

/// A number; 0 for any other JSON value.
#[derive(Default)]
pub(super) struct CountPayload(pub(super) u64);

impl<'de> Deserialize<'de> for CountPayload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match from.deserialize_any(AnyJson)? {
            JsonValue::Count(count) => Self(count),
            JsonValue::Text(_) | JsonValue::Other(_) => Self(0),
        })
    }
}

/// The usable alerts, and what is wrong with the others.
pub(super) struct AlertsPayload {
    pub(super) alerts: Vec<Alert>,
    pub(super) faults: Faults,
}

impl<'de> Deserialize<'de> for AlertsPayload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = AlertsPayload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of alerts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (mut alerts, mut faults) = (Vec::new(), Faults::default());
                for position in 0.. {
                    match list.next_element::<AlertPayload>()? {
                        Some(alert) => match alert.check(position) {
                            Ok(alert) => alerts.push(alert),
                            Err(fault) => faults.push(fault),
                        },
                        None => break,
                    }
                }

                Ok(AlertsPayload { alerts, faults })
            }
        }

        from.deserialize_seq(List)
    }
}

/// The fields that we use of Alertmanager's `template.Alert`, or the first fault.
#[derive(Default)]
struct AlertPayload {
    status: Option<String>,
    labels: Option<Labels>,
    starts_at: Option<String>,
    fingerprint: Option<String>,
    fault: Option<AlertFault>,
}

impl AlertPayload {
    fn check(self, position: usize) -> Result<Alert, UnusableAlert> {
        let name = self.labels.as_ref().and_then(|it| it.get("alertname")).cloned();
        let fingerprint = self.fingerprint.clone();
        self.alert(position).map_err(|fault| UnusableAlert { position, name, fingerprint, fault })
    }

    fn alert(self, position: usize) -> Result<Alert, AlertFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }

        let labels = self.labels.ok_or(AlertFault::Missing("labels"))?;
        let status = self.status.ok_or(AlertFault::Missing("status"))?;
        let status = match status.as_str() {
            "firing" => AlertStatus::Firing,
            "resolved" => AlertStatus::Resolved,
            _ => return Err(AlertFault::UnknownStatus(status)),
        };
        let starts_at = self.starts_at.ok_or(AlertFault::Missing("startsAt"))?;
        let starts_at = match starts_at.parse::<Timestamp>() {
            Ok(time) => WallTime(time.as_millisecond()),
            Err(_) => return Err(AlertFault::InvalidTime(starts_at)),
        };

        Alert::new(position, status, labels, starts_at, self.fingerprint)
    }

    /// Reads one field. Of several faults the first is kept.
    fn read<'de, A: MapAccess<'de>>(&mut self, field: &str, map: &mut A) -> Result<(), A::Error> {
        let fault = match field {
            "status" => text(&mut self.status, "status", map.next_value()?),
            "startsAt" => text(&mut self.starts_at, "startsAt", map.next_value()?),
            "labels" => {
                let LabelsPayload { labels, fault } = map.next_value()?;
                self.labels = Some(labels);
                fault
            }
            "fingerprint" => {
                // Computed if it is missing.
                if let JsonValue::Text(it) = map.next_value()? {
                    self.fingerprint = Some(it);
                }
                None
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
                None
            }
        };
        self.fault = self.fault.take().or(fault);

        Ok(())
    }
}

/// Stores a text field; returns the fault if it is something else.
fn text(field: &mut Option<String>, name: &'static str, json: JsonValue) -> Option<AlertFault> {
    match json {
        JsonValue::Text(text) => *field = Some(text),
        JsonValue::Count(_) => return Some(AlertFault::NotText { field: name, found: "a number" }),
        JsonValue::Other(found) => return Some(AlertFault::NotText { field: name, found }),
    }
    None
}

impl<'de> Deserialize<'de> for AlertPayload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = AlertPayload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an alert")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut alert = AlertPayload::default();
                while let Some(field) = map.next_key::<String>()? {
                    alert.read(&field, &mut map)?;
                }
                Ok(alert)
            }
        }

        let other = |found| AlertPayload {
            fault: Some(AlertFault::NotAnObject(found)),
            ..AlertPayload::default()
        };
        from.deserialize_any(ObjectOr { object: Fields, other })
    }
}

/// Labels, or the first fault of one.
struct LabelsPayload {
    labels: Labels,
    fault: Option<AlertFault>,
}

impl<'de> Deserialize<'de> for LabelsPayload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = LabelsPayload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut labels, mut fault) = (Labels::new(), None);
                while let Some(label) = map.next_key::<String>()? {
                    let found = match map.next_value()? {
                        JsonValue::Text(value) => {
                            if labels.insert(label.clone(), value).is_some() {
                                fault.get_or_insert(AlertFault::DuplicateLabel(label));
                            }
                            continue;
                        }
                        JsonValue::Count(_) => "a number",
                        JsonValue::Other(found) => found,
                    };
                    fault.get_or_insert(AlertFault::LabelNotText { label, found });
                }

                Ok(LabelsPayload { labels, fault })
            }
        }

        let other = |found| LabelsPayload {
            labels: Labels::new(),
            fault: Some(AlertFault::LabelsNotAnObject(found)),
        };
        from.deserialize_any(ObjectOr { object: Pairs, other })
    }
}

/// A JSON value, as far as we tell them apart.
enum JsonValue {
    Text(String),
    Count(u64),
    /// What it is, in words.
    Other(&'static str),
}

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyJson)
    }
}

/// Accepts any JSON value; lists and objects are skipped.
struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = JsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<JsonValue, E> {
        Ok(JsonValue::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, count: u64) -> Result<JsonValue, E> {
        Ok(JsonValue::Count(count))
    }

    fn visit_i64<E>(self, _: i64) -> Result<JsonValue, E> {
        Ok(JsonValue::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<JsonValue, E> {
        Ok(JsonValue::Other("a number"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<JsonValue, E> {
        Ok(JsonValue::Other("a boolean"))
    }

    fn visit_unit<E>(self) -> Result<JsonValue, E> {
        Ok(JsonValue::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonValue, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(JsonValue::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonValue, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(JsonValue::Other("an object"))
    }
}

/// Accepts what a visitor of objects accepts, and skips any other JSON value: `other` makes the
/// result of it.
struct ObjectOr<V, F> {
    object: V,
    other: F,
}

impl<'de, T, V, F> Visitor<'de> for ObjectOr<V, F>
where
    V: Visitor<'de, Value = T>,
    F: Fn(&'static str) -> T,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        self.object.visit_map(map)
    }

    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok((self.other)("a text"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok((self.other)("a number"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok((self.other)("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok((self.other)("a number"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok((self.other)("a boolean"))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok((self.other)("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok((self.other)("a list"))
    }
}
