//! Checks how Prometheus is reached: credentials, TLS, headers and the proxy.

use std::collections::BTreeMap;

use rustls::RootCertStore;

use super::{
    super::raw::{RawAuthorization, RawBasicAuth, RawPrometheus, RawPrometheusTls, Scalar},
    CheckReport, SecretReader,
    key_path::KeyPath,
    security,
};
use crate::security::{
    HttpAuthorization, HttpOptions, LoadedSecurity, PasswordFile, Security, TlsFiles,
};

/// Headers that the client sets by itself, or that have a key of their own.
const RESERVED_HEADERS: [&str; 7] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "proxy-authorization",
];

pub(super) fn options(
    raw: RawPrometheus,
    url: &str,
    path: &KeyPath,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> HttpOptions {
    let is_encrypted = url.starts_with("https://");
    let tls_path = path.key("tls_config");

    if raw.tls_config.is_some() && !is_encrypted {
        report.problem(tls_path.clone(), "needs a url that starts with https://");
    }

    let tls = raw.tls_config.map(|it| tls(it, &tls_path, tokens, report)).unwrap_or_default();

    if tls.server_name.is_some() && raw.proxy_url.is_some() {
        let problem = "cannot be used together with `proxy_url`: the proxy would connect to it";
        report.problem(tls_path.key("server_name"), problem);
    }

    if raw.authorization.is_some() && raw.basic_auth.is_some() {
        report.problem(path.key("basic_auth"), "cannot be used together with `authorization`");
    }

    let token = raw.authorization.and_then(|it| token(it, &path.key("authorization"), report));
    let basic = raw.basic_auth.and_then(|it| basic(it, &path.key("basic_auth"), report));
    let authorization = token.or(basic);

    if let Some(authorization) = &authorization {
        check_secret(authorization, is_encrypted, path, tokens, report);
    }

    if let Some(proxy_url) = &raw.proxy_url {
        let advice = if proxy_url.contains('@') {
            Some("must not contain credentials: a proxy with a password is not supported")
        } else {
            super::url_problem(proxy_url)
        };
        if let Some(advice) = advice {
            report.problem(path.key("proxy_url"), advice);
        }
    }

    let headers = headers(raw.headers.unwrap_or_default(), &path.key("headers"), report);
    HttpOptions { authorization, tls, headers, proxy_url: raw.proxy_url }
}

fn tls(
    raw: RawPrometheusTls,
    path: &KeyPath,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> TlsFiles {
    let identity = security::identity(raw.cert_file, raw.key_file, path, report);
    let files = TlsFiles { ca_file: raw.ca_file, identity, server_name: raw.server_name };

    let security = Security { tls: Some(files.clone()), sasl: None };
    let read = |file: &_| tokens(file).map(|it| it.text.into_bytes());
    let read = LoadedSecurity::read(&security, &read, &|| Ok(RootCertStore::empty()));

    for error in read.err().unwrap_or_default() {
        let key = error.setting.label().trim_start_matches("tls.");
        report.problem(path.key(key), error.problem);
    }

    files
}

fn token(
    raw: RawAuthorization,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<HttpAuthorization> {
    let scheme = raw.scheme.unwrap_or_else(|| "Bearer".to_owned());
    let is_word = !scheme.is_empty() && scheme.bytes().all(|it| it.is_ascii_alphanumeric());

    if !is_word {
        report.problem(path.key("type"), "must be one word, such as Bearer");
    }

    if scheme.eq_ignore_ascii_case("basic") {
        report.problem(path.key("type"), "must not be Basic: use `basic_auth`");
    }

    if raw.credentials_file.is_none() {
        report.problem(path.key("credentials_file"), "is required: the file with the token");
    }

    raw.credentials_file
        .map(|credentials_file| HttpAuthorization::Token { scheme, credentials_file })
}

fn basic(raw: RawBasicAuth, path: &KeyPath, report: &mut CheckReport) -> Option<HttpAuthorization> {
    // RFC 7617: the user name ends at the first colon.
    let username = raw.username.filter(|it| !it.is_empty() && !it.contains(':'));
    if username.is_none() {
        report.problem(path.key("username"), "is required, and must not contain a colon");
    }

    if raw.password_file.is_none() {
        report.problem(path.key("password_file"), "is required: the file with the password");
    }

    let files = PasswordFile { username: username?, password_file: raw.password_file? };
    Some(HttpAuthorization::Basic(files))
}

fn check_secret(
    authorization: &HttpAuthorization,
    is_encrypted: bool,
    path: &KeyPath,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) {
    let path = match authorization {
        HttpAuthorization::Token { .. } => path.key("authorization").key("credentials_file"),
        HttpAuthorization::Basic(_) => path.key("basic_auth").key("password_file"),
    };
    let file = authorization.secret_file();
    let shown = file.display();

    match tokens(file) {
        Ok(read) => {
            if let Err(problem) = authorization.parse_secret(read.text.as_bytes()) {
                report.problem(path.clone(), format!("{shown} {problem}"));
            }
            if read.world_readable {
                let advice = format!("{shown} is readable by every user; run chmod o-r on it");
                report.warning(path.clone(), advice);
            }
        }
        Err(error) => report.problem(path.clone(), format!("read {shown}: {error}")),
    }

    if !is_encrypted {
        report.warning(path, "is sent in clear text: the url does not start with https://");
    }
}

fn headers(
    raw: BTreeMap<String, Scalar>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, Scalar(value)) in raw {
        let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
        if name.is_empty() || !name.bytes().all(is_token) {
            report.problem(path.key(&name), "is not the name of a header");
        } else if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            report.problem(path.key(&name), "cannot be set here");
        } else if !value.bytes().all(|it| it == b' ' || it.is_ascii_graphic()) {
            report.problem(path.key(&name), "must be printable ASCII on one line");
        }

        headers.insert(name, value);
    }

    headers
}
