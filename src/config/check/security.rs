//! `security` of a cluster: what is written, and what is in the files.
//!
//! The files are read by the code that reads them later, so what is good here is good then, until
//! they change. Only whom the system trusts is not looked at before the first connection.

use rustls::RootCertStore;

use super::{
    super::raw::{RawSasl, RawSecurity, RawTls},
    CheckReport, SecretReader,
};
use crate::security::{
    IdentityFiles, LoadedSecurity, Mechanism, PasswordFile, Sasl, Security, TlsFiles,
};

pub(super) fn security(
    raw: RawSecurity,
    at: &str,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> Security {
    let tls = raw.tls.map(|it| tls(it, &format!("{at}.tls"), report));
    let sasl = raw.sasl.and_then(|it| sasl(it, &format!("{at}.sasl"), report));
    let security = Security { tls, sasl };
    readable(&security, at, report);
    content(&security, at, tokens, report);
    security
}

fn tls(raw: RawTls, at: &str, report: &mut CheckReport) -> TlsFiles {
    let identity = match (raw.cert_file, raw.key_file) {
        (Some(cert_file), Some(key_file)) => Some(IdentityFiles { cert_file, key_file }),
        (Some(_), None) => {
            report.problem(format!("{at}.key_file"), "name the key of cert_file too");
            None
        }
        (None, Some(_)) => {
            report.problem(format!("{at}.cert_file"), "name the certificate of key_file too");
            None
        }
        (None, None) => None,
    };
    TlsFiles { ca_file: raw.ca_file, identity, server_name: raw.server_name }
}

fn sasl(raw: RawSasl, at: &str, report: &mut CheckReport) -> Option<Sasl> {
    let mechanism_at = format!("{at}.mechanism");
    let choices = || Mechanism::ALL.iter().map(|it| it.label());
    let Some(written) = raw.mechanism.as_deref() else {
        let choices: Vec<&str> = choices().collect();
        report.problem(mechanism_at, format!("name one of {}", choices.join(", ")));
        return None;
    };
    let Some(mechanism) = Mechanism::from_label(written) else {
        report.no_choice(mechanism_at, written, choices());
        return None;
    };
    match mechanism {
        Mechanism::Plain => password(raw, at, Sasl::Plain, report),
        Mechanism::ScramSha256 => password(raw, at, Sasl::ScramSha256, report),
        Mechanism::ScramSha512 => password(raw, at, Sasl::ScramSha512, report),
        Mechanism::OAuthBearer => token(raw, at, report),
    }
}

fn password(
    raw: RawSasl,
    at: &str,
    mechanism: fn(PasswordFile) -> Sasl,
    report: &mut CheckReport,
) -> Option<Sasl> {
    if raw.token_file.is_some() {
        report.warning(format!("{at}.token_file"), "only OAUTHBEARER uses it");
    }
    let username = raw.username.filter(|it| !it.is_empty() && !it.contains('\0'));
    if username.is_none() {
        report.problem(format!("{at}.username"), "name the user");
    }
    if raw.password_file.is_none() {
        report.problem(format!("{at}.password_file"), "name the file that holds the password");
    }
    Some(mechanism(PasswordFile { username: username?, password_file: raw.password_file? }))
}

fn token(raw: RawSasl, at: &str, report: &mut CheckReport) -> Option<Sasl> {
    for (key, written) in
        [("username", raw.username.is_some()), ("password_file", raw.password_file.is_some())]
    {
        if written {
            report.warning(format!("{at}.{key}"), "OAUTHBEARER does not use it");
        }
    }
    if raw.token_file.is_none() {
        report.problem(format!("{at}.token_file"), "name the file that holds the token");
    }
    raw.token_file.map(|token_file| Sasl::OAuthBearer { token_file })
}

/// Warns of what others on the network can read.
fn readable(security: &Security, at: &str, report: &mut CheckReport) {
    let (None, Some(sasl)) = (&security.tls, &security.sasl) else { return };
    let advice = match sasl.mechanism() {
        Mechanism::Plain => "without `tls` the password crosses the network as it is",
        Mechanism::OAuthBearer => "without `tls` the token crosses the network as it is",
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            "without `tls` whoever listens can try passwords at leisure"
        }
    };
    report.warning(format!("{at}.sasl.mechanism"), advice);
}

fn content(security: &Security, at: &str, tokens: SecretReader<'_>, report: &mut CheckReport) {
    let read = |path: &_| tokens(path).map(|it| it.text.into_bytes());
    let read = LoadedSecurity::read(security, &read, &|| Ok(RootCertStore::empty()));
    for error in read.err().unwrap_or_default() {
        report.problem(format!("{at}.{}", error.setting), error.problem);
    }
    for (setting, path) in security.files() {
        let is_open = setting.is_secret() && tokens(path).is_ok_and(|it| it.world_readable);
        if is_open {
            let advice = format!("every user can read {}; chmod o-r it", path.display());
            report.warning(format!("{at}.{setting}"), advice);
        }
    }
}
