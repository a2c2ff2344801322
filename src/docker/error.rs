//! Errors of calls to a Docker engine, and whether such a call may have taken effect.

use std::time::Duration;

use crate::model::{ReadFailure, RequestOutcome};

/// Why a call failed. `of` is the container or network that it was about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerError {
    /// The cluster has no engine configured. Nothing was sent.
    #[error("the cluster has no `docker` configured")]
    NotConfigured,
    /// No connection to the engine. Nothing was sent.
    #[error("connect to the Docker engine: {problem}")]
    Unreachable { problem: String },
    /// The connection was lost before the response. The call may have taken effect.
    #[error("{call} {of}: the connection to the Docker engine broke: {problem}")]
    Broken { call: &'static str, of: String, problem: String },
    /// The engine did not answer before the deadline. The call may have taken effect.
    #[error("{call} {of}: no answer of the Docker engine within {deadline:?}")]
    NoAnswer { call: &'static str, of: String, deadline: Duration },
    /// The engine refused the call, or it was not sent. Nothing was changed.
    #[error("{call} {of}: refused: {problem}")]
    Refused { call: &'static str, of: String, problem: String },
    /// The engine failed, or refused the call after a part was done.
    #[error("{call} {of}: it may be done in part: {problem}")]
    Failed { call: &'static str, of: String, problem: String },
    /// The response violates the API.
    #[error("{call} {of}: not an answer of a Docker engine: {problem}")]
    Protocol { call: &'static str, of: String, problem: String },
}

impl DockerError {
    /// What is known of a call that failed with this error. An engine that is away refuses nothing.
    pub const fn outcome(&self) -> RequestOutcome {
        match self {
            Self::NotConfigured | Self::Unreachable { .. } => RequestOutcome::NotSent,
            Self::Refused { .. } => RequestOutcome::Refused,
            Self::Broken { .. }
            | Self::NoAnswer { .. }
            | Self::Failed { .. }
            | Self::Protocol { .. } => RequestOutcome::Unknown,
        }
    }

    /// As the reason of a value that could not be read.
    pub const fn failure(&self) -> ReadFailure {
        match self {
            Self::Broken { .. } | Self::Unreachable { .. } => ReadFailure::Connection,
            Self::NoAnswer { .. } => ReadFailure::Timeout,
            Self::Refused { .. } | Self::Failed { .. } | Self::NotConfigured => {
                ReadFailure::Refused
            }
            Self::Protocol { .. } => ReadFailure::Protocol,
        }
    }

    /// The error of an operation of several calls, some of which have succeeded.
    pub(super) fn in_part(self, call: &'static str, of: &str) -> Self {
        if self.outcome() == RequestOutcome::Unknown {
            return self;
        }
        Self::Failed { call, of: of.to_owned(), problem: self.to_string() }
    }
}
