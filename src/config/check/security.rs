//! `security` of a cluster: what is written, and what is in the files.
//!
//! The files are read by the code that reads them later, so what is good here is good then, until
//! they change. Only whom the system trusts is not looked at before the first connection.

use rustls::RootCertStore;

use super::{
    super::raw::{RawSasl, RawSecurity, RawTls},
    Findings, TokenReader,
};
use crate::security::{
    IdentityFiles, LoadedSecurity, Mechanism, PasswordFile, Sasl, Security, TlsFiles,
};

pub(super) fn security(
    raw: RawSecurity,
    at: &str,
    tokens: TokenReader<'_>,
    found: &mut Findings,
) -> Security {
    let tls = raw.tls.map(|it| tls(it, &format!("{at}.tls"), found));
    let sasl = raw.sasl.and_then(|it| sasl(it, &format!("{at}.sasl"), found));
    let security = Security { tls, sasl };
    readable(&security, at, found);
    content(&security, at, tokens, found);
    security
}

fn tls(raw: RawTls, at: &str, found: &mut Findings) -> TlsFiles {
    let identity = match (raw.cert_file, raw.key_file) {
        (Some(cert_file), Some(key_file)) => Some(IdentityFiles { cert_file, key_file }),
        (Some(_), None) => {
            found.problem(format!("{at}.key_file"), "name the key of cert_file too");
            None
        }
        (None, Some(_)) => {
            found.problem(format!("{at}.cert_file"), "name the certificate of key_file too");
            None
        }
        (None, None) => None,
    };
    TlsFiles { ca_file: raw.ca_file, identity, server_name: raw.server_name }
}

fn sasl(raw: RawSasl, at: &str, found: &mut Findings) -> Option<Sasl> {
    let mechanism_at = format!("{at}.mechanism");
    let choices = || Mechanism::ALL.iter().map(|it| it.label());
    let Some(written) = raw.mechanism.as_deref() else {
        let choices: Vec<&str> = choices().collect();
        found.problem(mechanism_at, format!("name one of {}", choices.join(", ")));
        return None;
    };
    let Some(mechanism) = Mechanism::from_label(written) else {
        found.no_choice(mechanism_at, written, choices());
        return None;
    };
    match mechanism {
        Mechanism::Plain => password(raw, at, Sasl::Plain, found),
        Mechanism::ScramSha256 => password(raw, at, Sasl::ScramSha256, found),
        Mechanism::ScramSha512 => password(raw, at, Sasl::ScramSha512, found),
        Mechanism::OAuthBearer => token(raw, at, found),
    }
}

fn password(
    raw: RawSasl,
    at: &str,
    mechanism: fn(PasswordFile) -> Sasl,
    found: &mut Findings,
) -> Option<Sasl> {
    if raw.token_file.is_some() {
        found.warning(format!("{at}.token_file"), "only OAUTHBEARER uses it");
    }
    let username = raw.username.filter(|it| !it.is_empty() && !it.contains('\0'));
    if username.is_none() {
        found.problem(format!("{at}.username"), "name the user");
    }
    if raw.password_file.is_none() {
        found.problem(format!("{at}.password_file"), "name the file that holds the password");
    }
    Some(mechanism(PasswordFile { username: username?, password_file: raw.password_file? }))
}

fn token(raw: RawSasl, at: &str, found: &mut Findings) -> Option<Sasl> {
    for (key, written) in
        [("username", raw.username.is_some()), ("password_file", raw.password_file.is_some())]
    {
        if written {
            found.warning(format!("{at}.{key}"), "OAUTHBEARER does not use it");
        }
    }
    if raw.token_file.is_none() {
        found.problem(format!("{at}.token_file"), "name the file that holds the token");
    }
    raw.token_file.map(|token_file| Sasl::OAuthBearer { token_file })
}

/// Warns of what others on the network can read.
fn readable(security: &Security, at: &str, found: &mut Findings) {
    let (None, Some(sasl)) = (&security.tls, &security.sasl) else { return };
    let advice = match sasl.mechanism() {
        Mechanism::Plain => "without `tls` the password crosses the network as it is",
        Mechanism::OAuthBearer => "without `tls` the token crosses the network as it is",
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            "without `tls` whoever listens can try passwords at leisure"
        }
    };
    found.warning(format!("{at}.sasl.mechanism"), advice);
}

fn content(security: &Security, at: &str, tokens: TokenReader<'_>, found: &mut Findings) {
    let read = |path: &_| tokens(path).map(|it| it.text.into_bytes());
    let read = LoadedSecurity::read(security, &read, &|| Ok(RootCertStore::empty()));
    for unusable in read.err().unwrap_or_default() {
        found.problem(format!("{at}.{}", unusable.part), unusable.problem);
    }
    for (part, path) in security.files() {
        let is_open = part.is_secret() && tokens(path).is_ok_and(|it| it.world_readable);
        if is_open {
            let advice = format!("every user can read {}; chmod o-r it", path.display());
            found.warning(format!("{at}.{part}"), advice);
        }
    }
}
