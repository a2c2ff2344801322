//! Explains connection failures, with the likely misconfiguration and the setting to check.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::{connection_error::ConnectionError, frame::FrameError};
use crate::security::ClientTls;

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|it| it.downcast_ref()) {
            Some(tls_error) => Self::Tls(explain_tls(tls_error)),
            None => Self::Broken(error.kind(), error.to_string()),
        }
    }
}

impl From<FrameError> for ConnectionError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => error.into(),
            FrameError::Malformed(problem) => Self::Malformed(problem),
            FrameError::TlsAlert => tls_listener(),
        }
    }
}

/// A plain-text listener closes the connection during our TLS handshake.
pub(super) fn plaintext_listener() -> ConnectionError {
    let text = "the broker closed the connection during the TLS handshake: it does not speak TLS \
                on that port, or is shutting down; use the port of a TLS listener, or remove \
                security.tls";
    ConnectionError::Tls(text.to_owned())
}

/// A TLS listener answers a plain-text request with a TLS alert.
fn tls_listener() -> ConnectionError {
    let text = "the broker speaks TLS on that port; set security.tls (`tls: {}` is enough for a CA \
                that the system trusts)";
    ConnectionError::Tls(text.to_owned())
}

/// Explains a failed `ApiVersions` handshake, with the likely misconfiguration.
pub(super) fn api_versions_failed(
    error: ConnectionError,
    tls: Option<&ClientTls>,
) -> ConnectionError {
    if !error.is_disconnect() {
        return error;
    }

    let error = error.into_io();
    if tls.is_some() {
        // In TLS 1.3 the broker verifies our certificate after the handshake has ended on our side,
        // and its alert may be lost when it closes the connection.
        return ConnectionError::Tls(format!(
            "the broker closed the connection after the TLS handshake ({error}); it may require a \
             client certificate that it trusts: check security.tls.cert_file and key_file"
        ));
    }

    let text = format!("{error}; a TLS listener closes like this: check security.tls");

    ConnectionError::Broken(error.kind(), text)
}

/// Explains a failure of the first request on a connection without SASL.
pub(super) fn first_request_failed(error: ConnectionError) -> ConnectionError {
    if !error.is_disconnect() {
        return error;
    }

    let error = error.into_io();
    let text = format!("{error}; a SASL listener closes like this: check security.sasl");

    ConnectionError::Broken(error.kind(), text)
}

pub(super) fn no_server_name(address: &str) -> ConnectionError {
    ConnectionError::Tls(format!(
        "no host name to verify the broker's certificate against in `{address}`; \
         set security.tls.server_name"
    ))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list, not ours")]
fn explain_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(problem) => explain_certificate(problem),
        Error::InvalidMessage(_) => {
            "the broker does not speak TLS on that port; use the port of a \
                                     TLS listener, or remove security.tls"
                .to_owned()
        }
        Error::AlertReceived(alert) => explain_alert(*alert),
        Error::PeerIncompatible(_) => {
            format!("{error}: no TLS 1.2 or 1.3 parameters that both sides support")
        }
        // The library's own message is good enough for the rest.
        _ => error.to_string(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list, not ours")]
fn explain_certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => "the broker's certificate is not signed by a trusted \
                                            CA; set security.tls.ca_file to the CA that signed it"
            .to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the broker's certificate has expired: {problem}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the broker's certificate is not valid yet, or our clock is slow: {problem}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the broker's certificate is for another name: {problem}; connect with a name that \
                 the certificate lists, or set security.tls.server_name"
            )
        }
        _ => format!("the broker's certificate was rejected: {problem}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list, not ours")]
fn explain_alert(alert: AlertDescription) -> String {
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
            "it requires a client certificate that it trusts: check security.tls.cert_file and \
             key_file"
        }
        AlertDescription::ProtocolVersion => "we support TLS 1.2 and 1.3",
        AlertDescription::UnrecognisedName => "it does not serve the host name that we asked for",
        _ => "see the broker's log for the reason",
    };
    format!("the broker rejected the TLS handshake with alert {alert:?}: {advice}")
}
