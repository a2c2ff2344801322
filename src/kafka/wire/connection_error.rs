//! Why a connection ended, and what that means to a caller.

use std::io;

use crate::kafka::RequestFault;

/// Why a connection can carry no more requests.
#[derive(Clone, Debug)]
pub(super) enum ConnectionError {
    /// The stream ended or failed.
    Broken(io::ErrorKind, String),
    /// The other side does not speak Kafka, or not as it should.
    Malformed(String),
    /// It could not be encrypted, or the other side not be trusted.
    Tls(String),
    /// There are no credentials to show.
    NoCredentials(String),
    /// The broker did not accept our credentials, or could not prove that it knows them.
    AuthRefused(String),
    /// It was shown our credentials, and did not say whether it accepts them.
    AuthUnconfirmed(io::ErrorKind, String),
}

impl ConnectionError {
    /// As an error of the system.
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

    pub(super) const fn fault(&self) -> RequestFault {
        match self {
            Self::Broken(..) | Self::AuthUnconfirmed(..) => RequestFault::Connection,
            Self::Malformed(_) => RequestFault::Protocol,
            Self::Tls(_) => RequestFault::Tls,
            Self::NoCredentials(_) | Self::AuthRefused(_) => RequestFault::Authentication,
        }
    }

    /// Whether it counted, or may have counted, as a wrong password: a few of those lock an
    /// account.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::AuthRefused(_) | Self::AuthUnconfirmed(..))
    }

    /// Whether the other side hung up without a word.
    pub(super) const fn is_hang_up(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        matches!(self, Self::Broken(BrokenPipe | ConnectionReset | UnexpectedEof, _))
    }
}
