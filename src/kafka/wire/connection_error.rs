//! Why a connection failed, and which metric label and back-off follow from it.

use std::io;

use crate::model::ReadFailure;

/// Why a connection can carry no more requests.
#[derive(Clone, Debug)]
pub(super) enum ConnectionError {
    /// The stream ended or failed.
    Broken(io::ErrorKind, String),
    /// The peer does not speak the Kafka protocol, or violates it.
    Malformed(String),
    /// The TLS handshake failed, or the broker's certificate is not trusted.
    Tls(String),
    /// The files named by `security` hold no usable credentials.
    NoCredentials(String),
    /// The broker rejected our credentials, or could not prove that it knows them (SCRAM).
    AuthRefused(String),
    /// The connection broke after our credentials were sent and before the broker answered.
    AuthUnconfirmed(io::ErrorKind, String),
}

impl ConnectionError {
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Broken(kind, text) | Self::AuthUnconfirmed(kind, text) => {
                io::Error::new(kind, text)
            }
            Self::Malformed(problem)
            | Self::Tls(problem)
            | Self::NoCredentials(problem)
            | Self::AuthRefused(problem) => io::Error::new(io::ErrorKind::InvalidData, problem),
        }
    }

    pub(super) const fn failure(&self) -> ReadFailure {
        match self {
            Self::Broken(..) | Self::AuthUnconfirmed(..) => ReadFailure::Connection,
            Self::Malformed(_) => ReadFailure::Protocol,
            Self::Tls(_) => ReadFailure::Tls,
            Self::NoCredentials(_) | Self::AuthRefused(_) => ReadFailure::Authentication,
        }
    }

    /// Whether the broker counted, or may have counted, this as a failed login. A few of those can
    /// lock an account.
    pub(super) const fn is_failed_login(&self) -> bool {
        matches!(self, Self::AuthRefused(_) | Self::AuthUnconfirmed(..))
    }

    /// Whether the peer closed the connection without an answer.
    pub(super) const fn is_disconnect(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        matches!(self, Self::Broken(BrokenPipe | ConnectionReset | UnexpectedEof, _))
    }
}
