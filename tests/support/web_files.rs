//! A web configuration and the files that it names, and configurations that are valid or not.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Hash of `right` with the lowest bcrypt cost.
pub(crate) fn hash() -> String {
    bcrypt::hash("right", 4).unwrap()
}

pub(crate) struct WebAuthority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate with its key, in PEM.
pub(crate) struct CertificatePair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl WebAuthority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();

        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn pair(&self, name: &str) -> CertificatePair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();

        CertificatePair { certificate, key: key.serialize_pem() }
    }
}

/// A directory with every file that a web configuration may name.
pub(crate) struct WebConfigFiles {
    dir: tempfile::TempDir,
    pub(crate) servers: WebAuthority,
    pub(crate) clients: WebAuthority,
}

impl WebConfigFiles {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = Self { dir, servers: WebAuthority::new(), clients: WebAuthority::new() };
        files.write_pair("server", &files.servers.pair("localhost"));
        files.write_pair("prometheus", &files.clients.pair("prometheus"));
        files.write("servers.crt", &files.servers.pem);
        files.write("clients.crt", &files.clients.pem);

        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn write_pair(&self, name: &str, pair: &CertificatePair) {
        self.write(&format!("{name}.crt"), &pair.certificate);
        self.write(&format!("{name}.key"), &pair.key);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Good,
    Bad,
    /// Valid for promtool; docs/web-config.md explains why it is refused here.
    RefusedHere,
}

/// Configurations, each with the expected result. A live test compares it with promtool.
pub(crate) fn cases() -> Vec<(Expected, String)> {
    let tls = |rest: &str| {
        format!("tls_server_config: {{cert_file: server.crt, key_file: server.key{rest}}}")
    };
    let clients = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.crt";
    let user = |rest: &str| format!("basic_auth_users: {{a: {rest}}}");
    let good = [
        String::new(),
        tls(""),
        tls(clients),
        tls(&format!("{clients}, client_allowed_sans: [a, b]")),
        tls(", client_auth_type: VerifyClientCertIfGiven, client_ca_file: clients.crt"),
        tls(", client_auth_type: NoClientCert"),
        tls(", client_auth_type: RequestClientCert"),
        tls(", client_auth_type: RequireAnyClientCert"),
        tls(", client_auth_type: RequireClientCert"),
        tls(", min_version: TLS12, max_version: TLS13"),
        tls(", cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]"),
        tls(", prefer_server_cipher_suites: false, curve_preferences: [X25519, CurveP256, CurveP384]"),
        "http_server_config: {http2: false}".into(),
        "http_server_config: {http2: true, headers: {X-Content-Type-Options: nosniff, X-XSS-Protection: '1'}}".into(),
        user(&hash()),
        user(&hash().replace("$2b$", "$2y$")),
        "rate_limit: {interval: 1s, burst: 20}".into(),
        "rate_limit: {interval: 0, burst: 0}".into(),
    ];
    let bad = [
        "a".into(),
        "tls_server_config: {cert_file: server.crt}".into(),
        "tls_server_config: {key_file: server.key}".into(),
        "tls_server_config: {cert_file: none.crt, key_file: server.key}".into(),
        "tls_server_config: {cert_file: server.key, key_file: server.key}".into(),
        "tls_server_config: {cert_file: server.crt, key_file: prometheus.key}".into(),
        tls(", client_ca_file: clients.crt"),
        tls(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: none.crt"),
        tls(", client_auth_type: Always"),
        tls(", min_version: TLS14"),
        tls(", cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]"),
        tls(", cipher_suites: [TLS_MADE_UP]"),
        tls(", curve_preferences: [P256]"),
        "http_server_config: {headers: {Server: a}}".into(),
        "http_server_config: {headers: {X-Frame-Options: allow}}".into(),
        "http_server_config: {headers: {x-frame-options: deny}}".into(),
        "http_server_config: {http3: true}".into(),
        user("right"),
        user("$2y$10$short"),
        "basic_auth_user: {}".into(),
        "rate_limit: {interval: soon, burst: 1}".into(),
        "rate_limit: {rate: 1}".into(),
    ];
    let refused_here = [
        "tls_server_config: {}".into(),
        tls(", min_version: TLS10"),
        tls(", min_version: TLS11"),
        tls(", min_version: TLS13, max_version: TLS12"),
        tls(", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]"),
        tls(", curve_preferences: [CurveP521]"),
        tls(", client_auth_type: RequireAndVerifyClientCert"),
        tls(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: server.key"),
        "tls_server_config: {min_version: TLS12}".into(),
        user(&hash().replace("$04$", "$31$")),
        "rate_limit: {interval: 1s, burst: 0}".into(),
        "rate_limit: {interval: 1, burst: 1}".into(),
    ];
    let said = |said| move |text: String| (said, text);

    good.into_iter()
        .map(said(Expected::Good))
        .chain(bad.into_iter().map(said(Expected::Bad)))
        .chain(refused_here.into_iter().map(said(Expected::RefusedHere)))
        .collect()
}
