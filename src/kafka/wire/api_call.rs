//! One kind of request, and how its response is read. No connection is involved.

use std::{collections::BTreeSet, time::Duration};

use kafka_protocol::protocol::{self, StrBytes};

use super::{
    error_codes::{ErrorCode, ParseResponseErrorCode},
    options::BROKER_MESSAGE_CHARS_MAX,
};
use crate::model::Api;

/// One kind of request. Implementations are pure: they build the codec's request, and convert the
/// codec's response to the types of the seam.
pub(super) trait ApiCall: Sync {
    /// The name under which it is counted and reported.
    const API: Api;
    type Request: protocol::Request;
    type Output;

    /// Builds the request for the negotiated version.
    fn request(&self, version: i16) -> Self::Request;

    fn parse(
        &self,
        response: <Self::Request as protocol::Request>::Response,
    ) -> Result<Self::Output, ResponseError>;

    /// How long the broker may hold the request back before it answers, beyond the usual deadline.
    /// It answers no later request on that connection meanwhile.
    fn held_for(&self) -> Duration {
        Duration::ZERO
    }
}

/// Why a response holds no result.
#[derive(Debug)]
pub(super) enum ResponseError {
    /// The broker answered with an error code.
    Refused { code: i16, message: Option<String> },
    /// The response does not match the request.
    Malformed(String),
}

/// Fails with [`ResponseError::Refused`] unless `code` is 0.
pub(super) fn check_code(code: i16, message: Option<&StrBytes>) -> Result<(), ResponseError> {
    if code.is_ok() {
        return Ok(());
    }

    // Some responses carry an empty message instead of none.
    let message = message.filter(|it| !it.is_empty()).map(ToString::to_string);

    Err(ResponseError::Refused { code, message })
}

/// Names an error code in a message, as `SaslAuthenticationFailed (error 58)`.
pub(super) fn code_name(code: i16) -> String {
    ErrorCode::try_from_code(code)
        .map_or_else(|| format!("error {code}"), |it| format!("{it:?} (error {code})"))
}

/// Keeps the first item of each key, in order. An item that a response lists twice would otherwise
/// become a duplicate series.
pub(super) fn dedup_by_key<T, K: Ord>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = BTreeSet::new();
    items.into_iter().filter(|it| seen.insert(key(it))).collect()
}

/// Cuts a broker's message to [`BROKER_MESSAGE_CHARS_MAX`], for the log and the journal.
pub(super) fn truncate_message(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(BROKER_MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// A timeout as requests to the controller encode it.
pub(super) fn timeout_ms(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

pub(super) fn str_bytes(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_item_is_dropped() {
        let items = vec![("b", 1), ("a", 2), ("b", 3)];
        assert_eq!(dedup_by_key(items, |it| it.0), [("b", 1), ("a", 2)]);
    }

    #[test]
    fn a_long_broker_message_is_truncated() {
        let message = "é".repeat(BROKER_MESSAGE_CHARS_MAX);
        assert_eq!(truncate_message(message.clone()), message);
        assert_eq!(truncate_message(format!("{message}é{message}")), format!("{message}…"));
    }
}
