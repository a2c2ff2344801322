//! What went wrong with a connection, in words that say where to look.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::{connection_error::ConnectionError, frame};
use crate::security::ClientTls;

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|it| it.downcast_ref()) {
            Some(of_tls) => Self::Tls(tls(of_tls)),
            None => Self::Broken(error.kind(), error.to_string()),
        }
    }
}

impl From<frame::Unread> for ConnectionError {
    fn from(unread: frame::Unread) -> Self {
        match unread {
            frame::Unread::Broken(error) => error.into(),
            frame::Unread::Malformed(problem) => Self::Malformed(problem),
            frame::Unread::SpeaksTls => tls_listener(),
        }
    }
}

/// What a listener without TLS does to a handshake.
pub(super) fn plain_listener() -> ConnectionError {
    let text = "the broker does not speak TLS on that port, or is shutting down: it closed the \
                connection; use the port of a TLS listener, or leave out security.tls";
    ConnectionError::Tls(text.to_owned())
}

/// What a TLS listener answers to plain text.
pub(super) fn tls_listener() -> ConnectionError {
    let text = "the broker speaks TLS on that port; set security.tls, {} at least";
    ConnectionError::Tls(text.to_owned())
}

/// What became of our greeting, with what may be behind it when the broker hangs up.
pub(super) fn greeting_failed(ending: ConnectionError, tls: Option<&ClientTls>) -> ConnectionError {
    if !ending.is_hang_up() {
        return ending;
    }
    let error = ending.into_io();
    if tls.is_some() {
        // In TLS 1.3 a broker looks at our certificate when the handshake is over on our side. Its
        // alert may be lost when it closes.
        return ConnectionError::Tls(format!(
            "the broker closed the connection after the TLS handshake ({error}); it may want a \
             certificate of ours that it trusts: look at security.tls.cert_file and key_file"
        ));
    }
    let text = format!("{error}; a TLS listener ends so: look at security.tls");
    ConnectionError::Broken(error.kind(), text)
}

/// What became of the first request of a connection without SASL.
pub(super) fn first_request_failed(ending: ConnectionError) -> ConnectionError {
    if !ending.is_hang_up() {
        return ending;
    }
    let error = ending.into_io();
    let text = format!("{error}; a listener that wants SASL ends so: look at security.sasl");
    ConnectionError::Broken(error.kind(), text)
}

/// The address has no name that a certificate could carry.
pub(super) fn no_name(address: &str) -> ConnectionError {
    ConnectionError::Tls(format!(
        "{address} is no name for a certificate; set security.tls.server_name"
    ))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list, not ours")]
fn tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(problem) => certificate(problem),
        Error::InvalidMessage(_) => {
            "the broker does not speak TLS on that port; leave out security.tls, or use another \
             port"
                .to_owned()
        }
        Error::AlertReceived(alert) => refused(*alert),
        Error::PeerIncompatible(_) => {
            format!("{error}: no way of TLS 1.2 or 1.3 that both know")
        }
        // The library's list is open; its own words are good for what is rare.
        _ => error.to_string(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list, not ours")]
fn certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => {
            "the broker's certificate comes from no CA that is trusted here; \
             name its CA in security.tls.ca_file"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the broker's certificate has expired: {problem}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the broker's certificate is not valid yet, or our clock is late: {problem}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the broker's certificate is for another name: {problem}; connect by a name that \
                 is in it, or set security.tls.server_name"
            )
        }
        _ => format!("the broker's certificate cannot be accepted: {problem}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list, not ours")]
fn refused(alert: AlertDescription) -> String {
    let advice = match alert {
        AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateRequired
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            "it wants a certificate of ours that it trusts: look at security.tls.cert_file and \
             key_file"
        }
        AlertDescription::ProtocolVersion => "this program speaks TLS 1.2 and 1.3",
        AlertDescription::UnrecognisedName => "it does not know the name it was asked by",
        _ => "its log says why",
    };
    format!("the broker refused TLS with the alert {alert:?}; {advice}")
}
