//! The web configuration: TLS, users, headers and the rate of requests, in the schema of
//! Prometheus' exporter-toolkit, so that one file serves every exporter of a machine.
//!
//! `promtool check web-config` accepts whatever is accepted here. The reverse holds but for what
//! this program cannot keep (old versions, suites and curves) and for what would quietly not be
//! what was meant; `docs/web-config.md` lists it. Reads text alone: certificates are read, and the
//! file is read again, by `http`.

mod raw;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ConfigError, Problem, Secret, load::from_yaml};
use crate::model::closed_list;

use raw::{Interval, RawRate, RawTlsServer, RawWeb, Word};

/// A check of this cost takes some 5 s; each more doubles it, and up to 31 may be written.
const BCRYPT_COST_MAX: u32 = 16;

closed_list! {
    /// The versions that are offered.
    pub enum TlsVersion {
        /// 1.2.
        Tls12 = "TLS12",
        /// 1.3.
        Tls13 = "TLS13",
    }
}

closed_list! {
    /// The suites that are offered, by the names that Go has for them.
    pub enum Cipher {
        /// Of TLS 1.3.
        Aes128 = "TLS_AES_128_GCM_SHA256",
        /// Of TLS 1.3.
        Aes256 = "TLS_AES_256_GCM_SHA384",
        /// Of TLS 1.3.
        Chacha20 = "TLS_CHACHA20_POLY1305_SHA256",
        /// Of TLS 1.2.
        EcdsaAes128 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        /// Of TLS 1.2.
        EcdsaAes256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        /// Of TLS 1.2.
        EcdsaChacha20 = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        /// Of TLS 1.2.
        RsaAes128 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        /// Of TLS 1.2.
        RsaAes256 = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        /// Of TLS 1.2.
        RsaChacha20 = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    }
}

closed_list! {
    /// The curves that keys are exchanged on.
    pub enum Curve {
        /// NIST P-256.
        P256 = "CurveP256",
        /// NIST P-384.
        P384 = "CurveP384",
        /// X25519.
        X25519 = "X25519",
    }
}

closed_list! {
    /// What is asked of clients.
    pub enum ClientAuth {
        None = "NoClientCert",
        /// A certificate, if they have one, which nobody verifies.
        Request = "RequestClientCert",
        /// Any certificate, which nobody verifies.
        RequireAny = "RequireAnyClientCert",
        /// A certificate of the authority, if they have one.
        VerifyIfGiven = "VerifyClientCertIfGiven",
        /// A certificate of the authority.
        RequireAndVerify = "RequireAndVerifyClientCert",
    }
}

impl ClientAuth {
    /// Whether the certificates that are taken are of the authority.
    pub const fn verifies(self) -> bool {
        match self {
            Self::None | Self::Request | Self::RequireAny => false,
            Self::VerifyIfGiven | Self::RequireAndVerify => true,
        }
    }

    /// Whether there is no connection without a certificate.
    pub const fn requires(self) -> bool {
        match self {
            Self::None | Self::Request | Self::VerifyIfGiven => false,
            Self::RequireAny | Self::RequireAndVerify => true,
        }
    }
}

/// A password as bcrypt hashed it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    cost: u32,
}

impl PasswordHash {
    /// Takes what `htpasswd -B` writes.
    ///
    /// # Errors
    ///
    /// When it is no hash of bcrypt, or one that takes too long to check.
    pub fn new(text: &str) -> Result<Self, String> {
        let parts: bcrypt::HashParts =
            text.parse().map_err(|error: bcrypt::BcryptError| error.to_string())?;
        let cost = parts.get_cost();
        if BCRYPT_COST_MAX < cost {
            return Err(format!(
                "a cost of {cost} takes too long at each check; {BCRYPT_COST_MAX} is the most"
            ));
        }
        Ok(Self { text: text.to_owned(), cost })
    }

    /// Named so that a reviewer sees every use.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Two to this power is the work of a check.
    pub const fn cost(&self) -> u32 {
        self.cost
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    /// In a file of its own.
    File(PathBuf),
    Inline(Secret),
}

/// Whose order of suites counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuiteOrder {
    Server,
    /// That of the other side.
    Client,
}

/// `tls_server_config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The chain that the server shows.
    pub certificate: Pem,
    pub key: Pem,
    /// What is asked of clients.
    pub clients: ClientAuth,
    /// Whose certificates of clients are taken; always there when they are verified.
    pub client_authority: Option<Pem>,
    /// Names of which a client's certificate must carry one; empty for any.
    pub client_sans: Vec<String>,
    /// At least one.
    pub versions: Vec<TlsVersion>,
    /// In the order of preference; empty for the usual ones.
    pub ciphers: Vec<Cipher>,
    /// Whose order of suites counts.
    pub order: SuiteOrder,
    /// In the order of preference; empty for the usual ones.
    pub curves: Vec<Curve>,
}

/// `rate_limit`: a bucket of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// One request is added to the bucket every so often.
    pub interval: Duration,
    /// The bucket holds that many; at least 1.
    pub burst: u32,
}

/// The web configuration as meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebConfig {
    /// Without it the server speaks plain HTTP.
    pub tls: Option<TlsConfig>,
    pub headers: BTreeMap<&'static str, String>,
    /// Who may read, if not everyone.
    pub users: BTreeMap<String, PasswordHash>,
    /// How many requests are answered.
    pub rate_limit: Option<RateLimit>,
}

impl WebConfig {
    /// The files that it names, without its own.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pems = self
            .tls
            .iter()
            .flat_map(|it| [Some(&it.certificate), Some(&it.key), it.client_authority.as_ref()]);
        pems.flatten().filter_map(|it| match it {
            Pem::File(path) => Some(path.as_path()),
            Pem::Inline(_) => None,
        })
    }
}

/// Reads and checks the text of a file in `dir`, where relative paths begin.
///
/// # Errors
///
/// See [`ConfigError`]; it reads no file.
pub fn parse(text: &str, dir: &Path) -> Result<WebConfig, ConfigError> {
    let raw: RawWeb = from_yaml(text)?;
    let mut problems = Vec::new();
    let tls = raw.tls_server_config.and_then(|it| tls(it, dir, &mut problems));
    let http = raw.http_server_config.unwrap_or_default();
    let rate_limit = raw.rate_limit.and_then(|it| rate_limit(&it, &mut problems));
    if problems.is_empty() {
        Ok(WebConfig {
            tls,
            headers: http.headers.unwrap_or_default().0,
            users: raw.basic_auth_users.unwrap_or_default().0,
            rate_limit,
        })
    } else {
        Err(ConfigError::Problems(problems))
    }
}

/// `None` without a problem: there is no TLS.
fn tls(raw: RawTlsServer, dir: &Path, problems: &mut Vec<Problem>) -> Option<TlsConfig> {
    if is_empty(&raw) {
        return None;
    }
    let before = problems.len();
    let mut problem = |key: &str, advice: &str| {
        let path = format!("tls_server_config.{key}");
        problems.push(Problem { path, advice: advice.to_owned() });
    };
    let pem = |file: Option<PathBuf>, text: Option<String>| {
        let file = file.filter(|it| !it.as_os_str().is_empty()).map(|it| Pem::File(dir.join(it)));
        file.or_else(|| text.filter(|it| !it.is_empty()).map(|it| Pem::Inline(Secret::new(it))))
    };
    let certificate = pem(raw.cert_file, raw.cert);
    if certificate.is_none() {
        problem("cert_file", "name the file of the server's certificate, or write it in `cert`");
    }
    let key = pem(raw.key_file, raw.key);
    if key.is_none() {
        problem("key_file", "name the file of the certificate's key, or write it in `key`");
    }
    let clients = raw.client_auth_type.map_or(ClientAuth::None, |it| it.0);
    let client_authority = pem(raw.client_ca_file, raw.client_ca);
    if clients.verifies() && client_authority.is_none() {
        let advice = "name the authority of the clients' certificates: without one, those of every \
                      public authority would do";
        problem("client_ca_file", advice);
    }
    if !clients.verifies() && client_authority.is_some() {
        let advice = "an authority is named and nobody is held against it; write \
                      RequireAndVerifyClientCert";
        problem("client_auth_type", advice);
    }
    let client_sans = raw.client_allowed_sans.unwrap_or_default();
    if !client_sans.is_empty() && !clients.requires() {
        let advice = "needs client_auth_type RequireAndVerifyClientCert: others let clients in \
                      without a certificate";
        problem("client_allowed_sans", advice);
    }
    let ciphers: Vec<Cipher> =
        raw.cipher_suites.unwrap_or_default().into_iter().map(|it| it.0).collect();
    let range = (raw.min_version.map(|it| it.0), raw.max_version.map(|it| it.0));
    let versions = versions(range, &ciphers);
    if versions.is_empty() {
        problem("min_version", "with max_version and cipher_suites it leaves no version to offer");
    }
    if before < problems.len() {
        return None;
    }
    Some(TlsConfig {
        certificate: certificate?,
        key: key?,
        clients,
        client_authority,
        client_sans,
        versions,
        ciphers,
        order: match raw.prefer_server_cipher_suites {
            Some(false) => SuiteOrder::Client,
            Some(true) | None => SuiteOrder::Server,
        },
        curves: raw.curve_preferences.unwrap_or_default().into_iter().map(|it| it.0).collect(),
    })
}

/// Nothing is said at all, which is how a file says that there is no TLS.
fn is_empty(raw: &RawTlsServer) -> bool {
    let said = [
        raw.cert.is_some(),
        raw.key.is_some(),
        raw.client_ca.is_some(),
        raw.cert_file.is_some(),
        raw.key_file.is_some(),
        raw.client_auth_type.is_some(),
        raw.client_ca_file.is_some(),
        raw.client_allowed_sans.is_some(),
        raw.min_version.is_some(),
        raw.max_version.is_some(),
        raw.cipher_suites.is_some(),
        raw.prefer_server_cipher_suites.is_some(),
        raw.curve_preferences.is_some(),
    ];
    !said.contains(&true)
}

/// As in Go, `cipher_suites` chooses among the suites of TLS 1.2; those of 1.3 are always offered.
fn versions(
    (min, max): (Option<TlsVersion>, Option<TlsVersion>),
    ciphers: &[Cipher],
) -> Vec<TlsVersion> {
    let of_12 = |it: &Cipher| it.version() == TlsVersion::Tls12;
    let has_suites =
        |it: TlsVersion| it == TlsVersion::Tls13 || ciphers.is_empty() || ciphers.iter().any(of_12);
    let offered = |it: &TlsVersion| {
        min.unwrap_or(TlsVersion::Tls12) <= *it
            && *it <= max.unwrap_or(TlsVersion::Tls13)
            && has_suites(*it)
    };
    TlsVersion::ALL.iter().copied().filter(offered).collect()
}

impl Cipher {
    /// The version that it belongs to.
    pub const fn version(self) -> TlsVersion {
        match self {
            Self::Aes128 | Self::Aes256 | Self::Chacha20 => TlsVersion::Tls13,
            Self::EcdsaAes128
            | Self::EcdsaAes256
            | Self::EcdsaChacha20
            | Self::RsaAes128
            | Self::RsaAes256
            | Self::RsaChacha20 => TlsVersion::Tls12,
        }
    }
}

fn rate_limit(raw: &RawRate, problems: &mut Vec<Problem>) -> Option<RateLimit> {
    let Some(Word(Interval(Some(interval)))) = raw.interval else { return None };
    let burst = raw.burst.unwrap_or(0);
    if burst == 0 {
        let advice = "must be at least 1: with 0 no request is ever answered";
        problems.push(Problem { path: "rate_limit.burst".to_owned(), advice: advice.to_owned() });
    }
    Some(RateLimit { interval, burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$04$kNO7uVn0u5l1ZpYwG1vYfeChQDxP6.k6EUBs/X3BY5dz39mlQt0GO";

    fn meant(text: &str) -> WebConfig {
        parse(text, Path::new("/etc/web")).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn check_refused(text: &str, wanted: &[&str]) {
        let error = match parse(text, Path::new("/")) {
            Err(error) => error.to_string(),
            Ok(meant) => panic!("{meant:?}"),
        };
        for wanted in wanted {
            assert!(error.contains(wanted), "{wanted} in: {error}");
        }
        assert!(!error.contains("$2y$"), "the hash is shown: {error}");
    }

    #[test]
    fn nothing_said_is_plain_http_for_everyone() {
        for text in
            ["", "{}", "tls_server_config: {}", "tls_server_config:", "basic_auth_users: {}"]
        {
            assert_eq!(meant(text), WebConfig::default(), "{text:?}");
        }
    }

    #[test]
    fn every_key_is_read() {
        let config = meant(&format!(
            "tls_server_config:
  cert_file: server.crt
  key_file: /keys/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: clients.crt
  client_allowed_sans: [prometheus]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP384, X25519]
http_server_config:
  http2: true
  headers: {{X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}
basic_auth_users: {{prometheus: {HASH}}}
rate_limit: {{interval: 100ms, burst: 20}}
"
        ));
        let tls = config.tls.as_ref().unwrap();
        assert_eq!(tls.certificate, Pem::File("/etc/web/server.crt".into()));
        assert_eq!(tls.key, Pem::File("/keys/server.key".into()));
        assert_eq!(tls.clients, ClientAuth::RequireAndVerify);
        assert_eq!(tls.client_sans, ["prometheus"]);
        assert_eq!(tls.versions, [TlsVersion::Tls12, TlsVersion::Tls13]);
        assert_eq!(tls.ciphers, [Cipher::RsaAes256]);
        assert_eq!(tls.order, SuiteOrder::Client);
        assert_eq!(tls.curves, [Curve::P384, Curve::X25519]);
        assert_eq!(config.files().count(), 3);
        assert_eq!(config.headers["X-Frame-Options"], "deny");
        assert_eq!(config.users["prometheus"].cost(), 4);
        let rate = RateLimit { interval: Duration::from_millis(100), burst: 20 };
        assert_eq!(config.rate_limit, Some(rate));
        assert!(!format!("{config:?}").contains("kNO7"));
    }

    #[test]
    fn what_is_not_offered_is_named_with_its_key_and_line() {
        let tls = |line: &str| format!("tls_server_config:\n  cert_file: a\n  {line}\n");
        for version in ["TLS10", "TLS11"] {
            let wanted = ["line 3", "tls_server_config.min_version", version, "TLS12 is the least"];
            check_refused(&tls(&format!("min_version: {version}")), &wanted);
        }
        check_refused(&tls("max_version: TLS14"), &["line 3", "max_version", "TLS12, TLS13"]);
        check_refused(
            &tls("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]"),
            &["line 3", "cipher_suites", "_AES_128_CBC_SHA` is not one of"],
        );
        check_refused(
            &tls("curve_preferences: [CurveP521]"),
            &["line 3", "curve_preferences", "CurveP521"],
        );
        check_refused(&tls("client_auth_type: Always"), &["line 3", "client_auth_type", "Always"]);
        check_refused("http_server_config:\n  headers:\n    Server: a\n", &["line 3", "`Server`"]);
        check_refused(
            "http_server_config:\n  headers:\n    X-Frame-Options: allow\n",
            &["line 3", "headers.X-Frame-Options", "deny, sameorigin"],
        );
        check_refused(
            "basic_auth_users:\n  a: $2y$04$short\n",
            &["line 2", "basic_auth_users.a", "bcrypt"],
        );
        let costly = format!("basic_auth_users:\n  a: {}\n", HASH.replace("$04$", "$17$"));
        check_refused(&costly, &["line 2", "basic_auth_users.a", "a cost of 17"]);
        check_refused("rate_limit: {interval: 1, burst: 1}", &["rate_limit.interval", "`1`"]);
        check_refused("basic_auth_user: {}", &["line 1", "did you mean `basic_auth_users`?"]);
        check_refused(
            &format!("basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n"),
            &["duplicate", "`a`"],
        );
    }

    #[test]
    fn what_would_quietly_not_be_what_was_meant_is_refused_at_once() {
        check_refused("tls_server_config: {min_version: TLS12}", &["cert_file", "key_file"]);
        let with = |rest: &str| format!("tls_server_config: {{cert: a, key: b, {rest}}}");
        check_refused(
            &with("client_auth_type: RequireAndVerifyClientCert"),
            &["tls_server_config.client_ca_file"],
        );
        check_refused(&with("client_ca_file: a"), &["tls_server_config.client_auth_type"]);
        check_refused(
            &with("client_allowed_sans: [a]"),
            &["tls_server_config.client_allowed_sans", "RequireAndVerifyClientCert"],
        );
        check_refused(&with("min_version: TLS13, max_version: TLS12"), &["min_version"]);
        check_refused(
            &with("max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]"),
            &["tls_server_config.min_version", "no version"],
        );
        check_refused("rate_limit: {interval: 1s}", &["rate_limit.burst"]);
    }

    #[test]
    fn suites_of_one_version_leave_the_other_as_in_go() {
        let versions = |suites: &str| {
            let text = format!("tls_server_config: {{cert: a, key: b, cipher_suites: [{suites}]}}");
            meant(&text).tls.unwrap().versions
        };
        let both = [TlsVersion::Tls12, TlsVersion::Tls13];
        assert_eq!(versions(""), both);
        assert_eq!(versions("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), both);
        assert_eq!(versions("TLS_AES_256_GCM_SHA384"), [TlsVersion::Tls13]);
    }
}
