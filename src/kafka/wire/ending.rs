//! Why a connection ended, and what that means to a caller.

use std::io;

use crate::kafka::RequestFault;

/// Why a connection can carry no more requests.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    /// The stream ended or failed.
    Broken(io::ErrorKind, String),
    /// The other side does not speak Kafka, or not as it should.
    Nonsense(String),
    /// It could not be encrypted, or the other side not be trusted.
    NotSecured(String),
    /// There are no credentials to show.
    NoCredentials(String),
    /// The broker did not accept our credentials, or could not prove that it knows them.
    Refused(String),
    /// It was shown our credentials, and did not say whether it accepts them.
    Unheard(io::ErrorKind, String),
}

impl Ending {
    /// As an error of the system.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Broken(kind, text) | Self::Unheard(kind, text) => io::Error::new(kind, text),
            Self::Nonsense(problem)
            | Self::NotSecured(problem)
            | Self::NoCredentials(problem)
            | Self::Refused(problem) => io::Error::new(io::ErrorKind::InvalidData, problem),
        }
    }

    pub(super) const fn fault(&self) -> RequestFault {
        match self {
            Self::Broken(..) | Self::Unheard(..) => RequestFault::Connection,
            Self::Nonsense(_) => RequestFault::Protocol,
            Self::NotSecured(_) => RequestFault::Tls,
            Self::NoCredentials(_) | Self::Refused(_) => RequestFault::Authentication,
        }
    }

    /// Whether it counted, or may have counted, as a wrong password: a few of those lock an
    /// account.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unheard(..))
    }

    /// Whether the other side hung up without a word.
    pub(super) const fn is_hang_up(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        matches!(self, Self::Broken(BrokenPipe | ConnectionReset | UnexpectedEof, _))
    }
}
