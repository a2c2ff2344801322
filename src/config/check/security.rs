//! Checks `security` of a cluster: its keys, and the content of the files that it names.
//!
//! The files are read by the same code that reads them for each connection. Only the system's CA
//! certificates are not read before the first connection.

use std::path::PathBuf;

use rustls::RootCertStore;

use super::{
    super::raw::{RawSasl, RawSecurity, RawTls},
    CheckReport, SecretReader,
    key_path::KeyPath,
    labels,
};
use crate::security::{
    IdentityFiles, LoadedSecurity, Mechanism, PasswordFile, Sasl, Security, TlsFiles,
};

pub(super) fn security(
    raw: RawSecurity,
    path: &KeyPath,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> Security {
    let tls = raw.tls.map(|it| tls(it, &path.key("tls"), report));
    let sasl = raw.sasl.and_then(|it| sasl(it, &path.key("sasl"), report));
    let security = Security { tls, sasl };

    if security == Security::default() {
        let advice = "is empty, so connections are plain text: write `tls: {}` in it, or remove it";
        report.warning(path, advice);
    }

    check_encryption(&security, path, report);
    check_files(&security, path, tokens, report);

    security
}

fn tls(raw: RawTls, path: &KeyPath, report: &mut CheckReport) -> TlsFiles {
    let identity = identity(raw.cert_file, raw.key_file, path, report);
    TlsFiles { ca_file: raw.ca_file, identity, server_name: raw.server_name }
}

/// The two files of a client certificate, which are needed together.
pub(super) fn identity(
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<IdentityFiles> {
    match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => Some(IdentityFiles { cert_file, key_file }),
        (Some(_), None) => {
            report.problem(path.key("key_file"), "is required with cert_file");
            None
        }
        (None, Some(_)) => {
            report.problem(path.key("cert_file"), "is required with key_file");
            None
        }
        (None, None) => None,
    }
}

fn sasl(raw: RawSasl, path: &KeyPath, report: &mut CheckReport) -> Option<Sasl> {
    let mechanism_path = path.key("mechanism");
    let Some(written) = raw.mechanism.as_deref() else {
        report.problem(mechanism_path, format!("is required: one of {}", labels::<Mechanism>()));
        return None;
    };

    match report.choice(mechanism_path, written)? {
        Mechanism::Plain => password(raw, path, Sasl::Plain, report),
        Mechanism::ScramSha256 => password(raw, path, Sasl::ScramSha256, report),
        Mechanism::ScramSha512 => password(raw, path, Sasl::ScramSha512, report),
        Mechanism::OAuthBearer => token(raw, path, report),
    }
}

fn password(
    raw: RawSasl,
    path: &KeyPath,
    mechanism: fn(PasswordFile) -> Sasl,
    report: &mut CheckReport,
) -> Option<Sasl> {
    if raw.token_file.is_some() {
        report.warning(path.key("token_file"), "is ignored: only OAUTHBEARER uses it");
    }

    let username = raw.username.filter(|it| !it.is_empty() && !it.contains('\0'));
    if username.is_none() {
        report.problem(path.key("username"), "is required");
    }

    if raw.password_file.is_none() {
        report.problem(path.key("password_file"), "is required: the file with the password");
    }

    Some(mechanism(PasswordFile { username: username?, password_file: raw.password_file? }))
}

fn token(raw: RawSasl, path: &KeyPath, report: &mut CheckReport) -> Option<Sasl> {
    for (key, written) in
        [("username", raw.username.is_some()), ("password_file", raw.password_file.is_some())]
    {
        if written {
            report.warning(path.key(key), "is ignored: OAUTHBEARER does not use it");
        }
    }

    if raw.token_file.is_none() {
        report.problem(path.key("token_file"), "is required: the file with the token");
    }

    raw.token_file.map(|token_file| Sasl::OAuthBearer { token_file })
}

/// Warns of credentials that can be read on the network.
fn check_encryption(security: &Security, path: &KeyPath, report: &mut CheckReport) {
    let (None, Some(sasl)) = (&security.tls, &security.sasl) else { return };
    let advice = match sasl.mechanism() {
        Mechanism::Plain => "without `tls` the password is sent in clear text",
        Mechanism::OAuthBearer => "without `tls` the token is sent in clear text",
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            "without `tls` an eavesdropper can guess the password offline"
        }
    };
    report.warning(path.key("sasl").key("mechanism"), advice);
}

fn check_files(
    security: &Security,
    path: &KeyPath,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) {
    let read = |file: &_| tokens(file).map(|it| it.text.into_bytes());
    let read = LoadedSecurity::read(security, &read, &|| Ok(RootCertStore::empty()));

    for error in read.err().unwrap_or_default() {
        report.problem(path.key(error.setting.label()), error.problem);
    }

    for (setting, file) in security.files() {
        let is_open = setting.is_secret() && tokens(file).is_ok_and(|it| it.world_readable);
        if is_open {
            let advice =
                format!("{} is readable by every user; run chmod o-r on it", file.display());
            report.warning(path.key(setting.label()), advice);
        }
    }
}
