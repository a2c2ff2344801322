//! The web configuration: TLS, users, headers and the rate limit, in the schema of Prometheus's
//! exporter-toolkit, so that one file serves every exporter of a machine.
//!
//! `promtool check web-config` accepts every file that is accepted here. The reverse does not hold
//! for old TLS versions, suites and curves, nor for settings that would silently have no effect;
//! `docs/web-config.md` lists them. Only parses text: `http` reads the certificates and reloads the
//! file.

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

/// A check at this cost takes about 5 s; each step doubles it, and bcrypt allows up to 31.
const BCRYPT_COST_MAX: u32 = 16;

closed_list! {
    /// Supported TLS versions.
    pub enum TlsVersion {
        Tls12 = "TLS12",
        Tls13 = "TLS13",
    }
}

closed_list! {
    /// Supported cipher suites, by Go's names: three of TLS 1.3, then six of TLS 1.2.
    pub enum Cipher {
        Aes128 = "TLS_AES_128_GCM_SHA256",
        Aes256 = "TLS_AES_256_GCM_SHA384",
        Chacha20 = "TLS_CHACHA20_POLY1305_SHA256",
        EcdsaAes128 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        EcdsaAes256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        EcdsaChacha20 = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        RsaAes128 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        RsaAes256 = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        RsaChacha20 = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    }
}

closed_list! {
    /// Supported curves for the key exchange.
    pub enum Curve {
        P256 = "CurveP256",
        P384 = "CurveP384",
        X25519 = "X25519",
    }
}

closed_list! {
    /// `client_auth_type`: whether clients need a certificate.
    pub enum ClientAuth {
        None = "NoClientCert",
        /// A certificate is optional and not verified.
        Request = "RequestClientCert",
        /// A certificate is required but not verified.
        RequireAny = "RequireAnyClientCert",
        /// A certificate is optional; if there is one, it is verified against the CA.
        VerifyIfGiven = "VerifyClientCertIfGiven",
        /// A certificate is required and verified against the CA.
        RequireAndVerify = "RequireAndVerifyClientCert",
    }
}

impl ClientAuth {
    /// Whether certificates are verified against the CA.
    pub const fn verifies(self) -> bool {
        match self {
            Self::None | Self::Request | Self::RequireAny => false,
            Self::VerifyIfGiven | Self::RequireAndVerify => true,
        }
    }

    /// Whether a client without a certificate is rejected.
    pub const fn requires(self) -> bool {
        match self {
            Self::None | Self::Request | Self::VerifyIfGiven => false,
            Self::RequireAny | Self::RequireAndVerify => true,
        }
    }
}

/// A bcrypt hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    cost: u32,
}

impl PasswordHash {
    /// Parses a hash as printed by `htpasswd -B`.
    ///
    /// # Errors
    ///
    /// If it is not a bcrypt hash, or its cost is too high.
    pub fn new(text: &str) -> Result<Self, String> {
        let parts: bcrypt::HashParts =
            text.parse().map_err(|error: bcrypt::BcryptError| error.to_string())?;
        let cost = parts.get_cost();

        if cost > BCRYPT_COST_MAX {
            return Err(format!(
                "a cost of {cost} makes each check too slow; the maximum is {BCRYPT_COST_MAX}"
            ));
        }

        Ok(Self { text: text.to_owned(), cost })
    }

    /// The hash itself. The name makes every use easy to find.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// A check does 2^cost rounds.
    pub const fn cost(&self) -> u32 {
        self.cost
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Where PEM text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    File(PathBuf),
    Inline(Secret),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The server's certificate chain.
    pub certificate: Pem,
    pub key: Pem,
    pub clients: ClientAuth,
    /// CA of the clients' certificates; always present if they are verified.
    pub client_ca: Option<Pem>,
    /// A client certificate must have one of these names; empty allows any.
    pub client_sans: Vec<String>,
    /// Not empty.
    pub versions: Vec<TlsVersion>,
    /// In order of preference; empty means the defaults.
    pub ciphers: Vec<Cipher>,
    pub prefer_server_cipher_suites: bool,
    /// In order of preference; empty means the defaults.
    pub curves: Vec<Curve>,
}

/// A token bucket of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// One token is added per interval.
    pub interval: Duration,
    /// Size of the bucket; at least 1.
    pub burst: u32,
}

/// A checked web configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebConfig {
    /// `None` means plain HTTP.
    pub tls: Option<TlsConfig>,
    pub headers: BTreeMap<&'static str, String>,
    /// Empty lets everyone read.
    pub users: BTreeMap<String, PasswordHash>,
    pub rate_limit: Option<RateLimit>,
}

/// Parses and checks `text`. Relative paths in it are relative to `dir`.
///
/// # Errors
///
/// See [`ConfigError`]. Reads no file.
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

/// Returns `None` after adding a problem.
fn tls(raw: RawTlsServer, dir: &Path, problems: &mut Vec<Problem>) -> Option<TlsConfig> {
    if is_empty(&raw) {
        let advice = "is empty: name cert_file and key_file in it, or remove it to serve plain \
                      HTTP";
        problems.push(Problem { path: "tls_server_config".into(), advice: advice.to_owned() });
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
        problem("cert_file", "is required: the server's certificate; or write it inline in `cert`");
    }

    let key = pem(raw.key_file, raw.key);
    if key.is_none() {
        problem(
            "key_file",
            "is required: the private key of the certificate; or write it inline in `key`",
        );
    }

    let clients = raw.client_auth_type.map_or(ClientAuth::None, |it| it.0);
    let client_ca = pem(raw.client_ca_file, raw.client_ca);

    if clients.verifies() && client_ca.is_none() {
        let advice = "is required to verify clients; without it, a certificate of any public CA would be \
                      accepted";
        problem("client_ca_file", advice);
    }

    if !clients.verifies() && client_ca.is_some() {
        let advice = "client_ca_file is set, but client_auth_type does not verify clients; set it to \
                      RequireAndVerifyClientCert";
        problem("client_auth_type", advice);
    }

    let client_sans = raw.client_allowed_sans.unwrap_or_default();
    if !client_sans.is_empty() && !clients.requires() {
        let advice = "requires client_auth_type RequireAndVerifyClientCert: the other types accept clients \
                      without a certificate";
        problem("client_allowed_sans", advice);
    }

    let ciphers: Vec<Cipher> =
        raw.cipher_suites.unwrap_or_default().into_iter().map(|it| it.0).collect();
    let (min, max) = (raw.min_version.map(|it| it.0), raw.max_version.map(|it| it.0));
    let versions = versions(min, max, &ciphers);

    if versions.is_empty() {
        problem(
            "min_version",
            "no TLS version is left with this max_version and these cipher_suites",
        );
    }

    if problems.len() > before {
        return None;
    }

    Some(TlsConfig {
        certificate: certificate?,
        key: key?,
        clients,
        client_ca,
        client_sans,
        versions,
        ciphers,
        prefer_server_cipher_suites: raw.prefer_server_cipher_suites.unwrap_or(true),
        curves: raw.curve_preferences.unwrap_or_default().into_iter().map(|it| it.0).collect(),
    })
}

/// Whether no key is set, which means no TLS.
fn is_empty(raw: &RawTlsServer) -> bool {
    let set = [
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

    !set.contains(&true)
}

/// As in Go, `cipher_suites` only selects suites of TLS 1.2; those of TLS 1.3 are always offered.
fn versions(
    min: Option<TlsVersion>,
    max: Option<TlsVersion>,
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
        let advice = "must be at least 1: with 0 every request is rejected";
        problems.push(Problem { path: "rate_limit.burst".to_owned(), advice: advice.to_owned() });
    }

    Some(RateLimit { interval, burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$04$kNO7uVn0u5l1ZpYwG1vYfeChQDxP6.k6EUBs/X3BY5dz39mlQt0GO";

    fn parsed(text: &str) -> WebConfig {
        parse(text, Path::new("/etc/web")).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn check_rejected(text: &str, wanted: &[&str]) {
        let error = match parse(text, Path::new("/")) {
            Err(error) => error.to_string(),
            Ok(config) => panic!("{config:?}"),
        };

        for wanted in wanted {
            assert!(error.contains(wanted), "{wanted} in: {error}");
        }

        assert!(!error.contains("$2y$"), "the hash is shown: {error}");
    }

    #[test]
    fn an_empty_file_means_plain_http_for_everyone() {
        for text in ["", "{}", "basic_auth_users: {}"] {
            assert_eq!(parsed(text), WebConfig::default(), "{text:?}");
        }
    }

    #[test]
    fn an_empty_tls_section_is_refused_instead_of_serving_plain_http() {
        for text in ["tls_server_config: {}", "tls_server_config:", "tls_server_config: ~"] {
            check_rejected(text, &["tls_server_config", "cert_file"]);
        }
    }

    #[test]
    fn every_key_is_read() {
        let config = parsed(&format!(
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
        assert!(!tls.prefer_server_cipher_suites);
        assert_eq!(tls.curves, [Curve::P384, Curve::X25519]);
        assert_eq!(config.headers["X-Frame-Options"], "deny");
        assert_eq!(config.users["prometheus"].cost(), 4);

        let rate = RateLimit { interval: Duration::from_millis(100), burst: 20 };

        assert_eq!(config.rate_limit, Some(rate));
        assert!(!format!("{config:?}").contains("kNO7"));
    }

    #[test]
    fn unsupported_values_are_reported_with_key_and_line() {
        let tls = |line: &str| format!("tls_server_config:\n  cert_file: a\n  {line}\n");
        for version in ["TLS10", "TLS11"] {
            let wanted =
                ["line 3", "tls_server_config.min_version", version, "the minimum is TLS12"];
            check_rejected(&tls(&format!("min_version: {version}")), &wanted);
        }

        check_rejected(&tls("max_version: TLS14"), &["line 3", "max_version", "TLS12, TLS13"]);
        check_rejected(
            &tls("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]"),
            &["line 3", "cipher_suites", "_AES_128_CBC_SHA` is not one of"],
        );

        check_rejected(
            &tls("curve_preferences: [CurveP521]"),
            &["line 3", "curve_preferences", "CurveP521"],
        );

        check_rejected(&tls("client_auth_type: Always"), &["line 3", "client_auth_type", "Always"]);
        check_rejected("http_server_config:\n  headers:\n    Server: a\n", &["line 3", "`Server`"]);
        check_rejected(
            "http_server_config:\n  headers:\n    X-Frame-Options: allow\n",
            &["line 3", "headers.X-Frame-Options", "deny, sameorigin"],
        );

        check_rejected(
            "basic_auth_users:\n  a: $2y$04$short\n",
            &["line 2", "basic_auth_users.a", "bcrypt"],
        );

        let costly = format!("basic_auth_users:\n  a: {}\n", HASH.replace("$04$", "$17$"));

        check_rejected(&costly, &["line 2", "basic_auth_users.a", "a cost of 17"]);
        check_rejected("rate_limit: {interval: 1, burst: 1}", &["rate_limit.interval", "`1`"]);
        check_rejected("basic_auth_user: {}", &["line 1", "did you mean `basic_auth_users`?"]);
        check_rejected(
            &format!("basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n"),
            &["duplicate", "`a`"],
        );
    }

    #[test]
    fn settings_without_effect_are_rejected() {
        check_rejected("tls_server_config: {min_version: TLS12}", &["cert_file", "key_file"]);

        let with = |rest: &str| format!("tls_server_config: {{cert: a, key: b, {rest}}}");

        check_rejected(
            &with("client_auth_type: RequireAndVerifyClientCert"),
            &["tls_server_config.client_ca_file"],
        );

        check_rejected(&with("client_ca_file: a"), &["tls_server_config.client_auth_type"]);
        check_rejected(
            &with("client_allowed_sans: [a]"),
            &["tls_server_config.client_allowed_sans", "RequireAndVerifyClientCert"],
        );

        check_rejected(&with("min_version: TLS13, max_version: TLS12"), &["min_version"]);
        check_rejected(
            &with("max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]"),
            &["tls_server_config.min_version", "no TLS version"],
        );

        check_rejected("rate_limit: {interval: 1s}", &["rate_limit.burst"]);
    }

    #[test]
    fn cipher_suites_restrict_tls_versions_as_in_go() {
        let versions = |suites: &str| {
            let text = format!("tls_server_config: {{cert: a, key: b, cipher_suites: [{suites}]}}");
            parsed(&text).tls.unwrap().versions
        };

        let both = [TlsVersion::Tls12, TlsVersion::Tls13];

        assert_eq!(versions(""), both);
        assert_eq!(versions("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), both);
        assert_eq!(versions("TLS_AES_256_GCM_SHA384"), [TlsVersion::Tls13]);
    }
}
