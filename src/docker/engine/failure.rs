//! What the client's errors mean to a caller.

use std::error::Error as _;

use bollard::errors::Error;

use super::EngineCall;
use crate::docker::DockerError;

/// The error of a call, in our words.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is about reading what was answered")]
pub(super) fn failed(EngineCall { call, of }: EngineCall<'_>, error: &Error) -> DockerError {
    let (of, problem) = (of.to_owned(), text(error));
    match error {
        Error::SocketNotFoundError(_) => DockerError::Unreachable { problem },
        Error::HyperLegacyError { err } if err.is_connect() => DockerError::Unreachable { problem },
        // The engine may have done a part, or a proxy may have given up on an engine that goes on.
        Error::DockerResponseServerError { status_code: 500.., .. } => {
            DockerError::Failed { call, of, problem }
        }
        Error::DockerResponseServerError { .. } => DockerError::Refused { call, of, problem },
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. }
        | Error::RequestTimeoutError => DockerError::Broken { call, of, problem },
        _ => DockerError::Protocol { call, of, problem },
    }
}

/// The message with its causes: the client's own message names neither file nor reason.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();

    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }

    text
}

/// The answer, or `None` when there is no such container.
pub(super) fn unless_gone<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    if let Err(Error::DockerResponseServerError { status_code: 404, .. }) = answer {
        return Ok(None);
    }
    answer.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RequestOutcome;

    fn answered(status_code: u16) -> Error {
        Error::DockerResponseServerError { status_code, message: "in its words".to_owned() }
    }

    #[test]
    fn a_refusal_has_changed_nothing_and_a_failure_may_have() {
        let refusals = [400, 403, 404, 409].map(|it| (it, RequestOutcome::Refused));
        let failures = [500, 502, 503, 504].map(|it| (it, RequestOutcome::Unknown));

        for (status, outcome) in refusals.into_iter().chain(failures) {
            let error = failed(EngineCall::new("start container", "a"), &answered(status));
            assert_eq!(error.outcome(), outcome, "{error}");

            let text = error.to_string();
            assert!(text.contains("start container a") && text.contains("in its words"), "{text}");
        }

        let late = failed(EngineCall::new("stop container", "a"), &Error::RequestTimeoutError);
        assert_eq!(late.outcome(), RequestOutcome::Unknown);

        let missing = Error::SocketNotFoundError("/nowhere".to_owned());
        let away = failed(EngineCall::new("open", "/nowhere"), &missing);

        assert_eq!(away.outcome(), RequestOutcome::NotSent);
    }

    #[test]
    fn a_refusal_after_the_first_part_leaves_the_outcome_open() {
        let refused = failed(EngineCall::new("start container", "a"), &answered(400));
        let error = refused.in_part("clone to", "a");

        assert_eq!(error.outcome(), RequestOutcome::Unknown);
        assert!(error.to_string().contains("in its words"), "{error}");
    }

    #[test]
    fn only_not_found_is_gone() {
        assert!(matches!(unless_gone::<()>(Err(answered(404))), Ok(None)));
        assert!(unless_gone::<()>(Err(answered(403))).is_err());
        assert!(matches!(unless_gone(Ok(1)), Ok(Some(1))));
    }
}
