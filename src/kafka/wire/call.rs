//! One request and what its answer means, without a connection.

use std::{collections::BTreeSet, time::Duration};

use kafka_protocol::protocol::{Request, StrBytes};

use super::{error_codes, options::WORDS_CHARS_MAX};
use crate::model::Api;

/// One kind of request. Implementations are pure: they make the codec's request, and put its answer
/// into the seam's words.
pub(super) trait Call: Sync {
    /// Under which name it is counted and reported.
    const API: Api;
    type Wire: Request;
    type Answer;

    /// The request, as the version agreed on wants it.
    fn request(&self, version: i16) -> Self::Wire;

    fn read(
        &self,
        answer: <Self::Wire as Request>::Response,
    ) -> Result<Self::Answer, ResponseError>;
}

/// Why an answer holds nothing.
#[derive(Debug)]
pub(super) enum ResponseError {
    /// The broker says no.
    Refused { code: i16, message: Option<String> },
    /// The answer does not belong to the question.
    Malformed(String),
}

/// Ends the reading of an answer that is an error as a whole.
pub(super) fn refuse(code: i16, message: Option<&StrBytes>) -> Result<(), ResponseError> {
    if code == error_codes::NONE {
        return Ok(());
    }
    // Some answers carry an empty message instead of none.
    let message = message.filter(|it| !it.is_empty()).map(ToString::to_string);
    Err(ResponseError::Refused { code, message })
}

/// The first of those with the same key. What an answer lists twice would be two series.
pub(super) fn each_once<T, K: Ord>(listed: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = BTreeSet::new();
    listed.into_iter().filter(|it| seen.insert(key(it))).collect()
}

/// What a broker said, short enough for a line of the log and of the journal.
pub(super) fn shortened(mut words: String) -> String {
    if let Some((end, _)) = words.char_indices().nth(WORDS_CHARS_MAX) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// How long the controller may take, as requests say it.
pub(super) fn milliseconds(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// A text of ours for the codec.
pub(super) fn text(it: &str) -> StrBytes {
    StrBytes::from_string(it.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_twice_is_there_once() {
        let listed = vec![("b", 1), ("a", 2), ("b", 3)];
        assert_eq!(each_once(listed, |it| it.0), [("b", 1), ("a", 2)]);
    }

    #[test]
    fn a_brokers_words_are_kept_but_not_all_of_a_flood() {
        let words = "é".repeat(WORDS_CHARS_MAX);
        assert_eq!(shortened(words.clone()), words);
        assert_eq!(shortened(format!("{words}é{words}")), format!("{words}…"));
    }
}
