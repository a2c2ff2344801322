//! What can go wrong between this program and a Docker engine.

use std::time::Duration;

/// What went wrong between us and the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerError {
    /// The cluster names no engine. Nothing was sent.
    #[error("the cluster has no `docker` configured")]
    NotConfigured,
    /// No connection to the engine. Nothing was sent.
    #[error("connect to the Docker engine: {problem}")]
    Unreachable { problem: String },
    /// The connection broke while the call was under way. It may have taken effect.
    #[error("{call} {of}: the connection to the Docker engine broke: {problem}")]
    Broken { call: &'static str, of: String, problem: String },
    /// The engine did not answer in time. The call may have taken effect.
    #[error("{call} {of}: no answer of the Docker engine within {deadline:?}")]
    NoAnswer { call: &'static str, of: String, deadline: Duration },
    /// The engine refused it, or we did not ask it to: nothing was changed.
    #[error("{call} {of}: refused: {problem}")]
    Refused {
        call: &'static str,
        of: String,
        /// The engine's own words, or ours.
        problem: String,
    },
    /// The engine failed at it, or refused it when a part was done already.
    #[error("{call} {of}: it may be done in part: {problem}")]
    Failed { call: &'static str, of: String, problem: String },
    /// The answer is not what the API says.
    #[error("{call} {of}: not an answer of a Docker engine: {problem}")]
    Protocol {
        call: &'static str,
        of: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl DockerError {
    /// Whether what was asked may have taken effect all the same, wholly or in part.
    pub const fn outcome_is_unknown(&self) -> bool {
        match self {
            Self::Broken { .. }
            | Self::NoAnswer { .. }
            | Self::Failed { .. }
            | Self::Protocol { .. } => true,
            Self::NotConfigured | Self::Unreachable { .. } | Self::Refused { .. } => false,
        }
    }

    /// The same, of what consists of several calls and has made some of them.
    pub(super) fn in_part(self, call: &'static str, of: &str) -> Self {
        if self.outcome_is_unknown() {
            return self;
        }
        Self::Failed { call, of: of.to_owned(), problem: self.to_string() }
    }
}
