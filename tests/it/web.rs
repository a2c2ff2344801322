//! The web configuration over real sockets: who has access, and changes of the files on disk.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use kafka_optimizer::http::{Limits, Web};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

use crate::{
    http_harness::{HttpHarness, TOKEN, front_of, listening},
    web_files::{CertificatePair, Expected, WebAuthority, WebConfigFiles, cases, hash},
};

impl WebConfigFiles {
    /// A server with the configuration `text`.
    pub(crate) async fn serve(&self, text: &str) -> WebServer {
        self.serve_with(text, Limits::default(), &[]).await
    }

    async fn serve_with(&self, text: &str, limits: Limits, client_sans: &[&str]) -> WebServer {
        let web = Web::open(&self.write("web.yml", text)).unwrap();
        let front = front_of(Some(TOKEN), web, client_sans);
        let (address, tasks) = listening(&front, limits).await;

        WebServer { front, address, _tasks: tasks }
    }

    fn connector(
        &self,
        client: Option<&CertificatePair>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.servers.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };

        TlsConnector::from(Arc::new(config))
    }

    /// The response to a client with this certificate; empty if its handshake fails.
    async fn ask(
        &self,
        server: &WebServer,
        client: Option<&CertificatePair>,
        request: &str,
    ) -> String {
        let connector = self.connector(client, &[&TLS12, &TLS13]);
        let stream = TcpStream::connect(server.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();

        match connector.connect(name, stream).await {
            Ok(stream) => exchange(stream, request).await,
            Err(_) => String::new(),
        }
    }

    /// The certificate of the server.
    async fn shown(&self, server: &WebServer) -> CertificateDer<'static> {
        let connector = self.connector(None, &[&TLS13]);
        let stream = TcpStream::connect(server.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();

        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

pub(crate) struct WebServer {
    pub(crate) front: HttpHarness,
    pub(crate) address: SocketAddr,
    _tasks: kafka_optimizer::shutdown::Tasks,
}

const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
const CLIENTS: &str = "tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: clients.crt
";

fn request(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
}

fn get(path: &str) -> String {
    request(&format!("GET {path}"), "")
}

/// The request of `pause`, with this `Authorization` header.
fn pause(authorization: &str) -> String {
    let headers = format!("Content-Type: application/json\r\nContent-Length: 0\r\n{authorization}");
    request("POST /api/v1/pause", &headers)
}

fn basic(user: &str, password: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

/// Sends, and reads until the end.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    let mut answer = Vec::new();
    let work = async {
        if stream.write_all(request.as_bytes()).await.is_ok() {
            // A refusal may reset the connection; what was read before counts.
            let _ended = stream.read_to_end(&mut answer).await;
        }
    };
    let Ok(()) = tokio::time::timeout(Duration::from_secs(10), work).await else {
        panic!("the connection is still open")
    };

    String::from_utf8_lossy(&answer).into_owned()
}

async fn plain(server: &WebServer, request: &str) -> String {
    exchange(TcpStream::connect(server.address).await.unwrap(), request).await
}

#[track_caller]
fn check_status(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
}

#[tokio::test]
async fn with_a_certificate_only_tls_is_accepted() {
    let files = WebConfigFiles::new();
    let server = files.serve(TLS).await;

    check_status(&files.ask(&server, None, &get("/-/healthy")).await, 200);
    assert!(!plain(&server, &get("/-/healthy")).await.contains("alive"));
}

#[tokio::test]
async fn a_certificate_replaced_on_disk_is_shown_at_the_next_handshake() {
    let files = WebConfigFiles::new();
    let server = files.serve(TLS).await;
    let first = files.shown(&server).await;
    let pair = files.servers.pair("localhost");
    files.write("server.crt", &pair.certificate);

    assert_eq!(files.shown(&server).await, first, "the key does not belong to it yet");
    assert!(plain_page(&files, &server).await.contains("tls_server_config.key_file"));

    files.write("server.key", &pair.key);
    let new = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();

    assert_eq!(files.shown(&server).await, new);
    assert!(!plain_page(&files, &server).await.contains("was rejected"));
}

async fn plain_page(files: &WebConfigFiles, server: &WebServer) -> String {
    files.ask(server, None, &get("/")).await
}

#[tokio::test]
async fn a_file_that_became_invalid_changes_nothing_and_the_landing_page_shows_why() {
    let files = WebConfigFiles::new();
    let server = files.serve(TLS).await;

    for (text, why) in [
        ("tls_server_config: {cert_fil: a}", "did you mean `cert_file`?"),
        ("", "TLS cannot be switched on or off"),
        ("tls_server_config: {cert_file: none.crt, key_file: server.key}", "none.crt"),
    ] {
        files.write("web.yml", text);
        let page = plain_page(&files, &server).await;

        assert!(page.contains("The web configuration was rejected"), "{text}: {page}");
        assert!(page.contains(why), "{why} in {page}");
    }

    // A missing file is read once it exists.
    let server_certificate = fs::read_to_string(files.path("server.crt")).unwrap();
    files.write("none.crt", &server_certificate);

    assert!(!plain_page(&files, &server).await.contains("was rejected"));
}

#[tokio::test]
async fn clients_need_a_certificate_of_the_ca() {
    let files = WebConfigFiles::new();
    let server = files.serve(CLIENTS).await;
    let own = files.clients.pair("prometheus");

    check_status(&files.ask(&server, Some(&own), &get("/metrics")).await, 200);
    assert_eq!(files.ask(&server, None, &get("/metrics")).await, "");

    let foreign = WebAuthority::new().pair("prometheus");
    assert_eq!(files.ask(&server, Some(&foreign), &get("/metrics")).await, "");

    // A new CA applies to the next handshake.
    let other = WebAuthority::new();
    files.write("clients.crt", &other.pem);

    assert_eq!(files.ask(&server, Some(&own), &get("/metrics")).await, "");
    check_status(&files.ask(&server, Some(&other.pair("x")), &get("/metrics")).await, 200);
}

#[tokio::test]
async fn only_clients_with_an_allowed_san_are_accepted() {
    let files = WebConfigFiles::new();
    let server =
        files.serve(&format!("{CLIENTS}  client_allowed_sans: [prometheus, other]\n")).await;
    for (name, let_in) in [("prometheus", true), ("alertmanager", false)] {
        let answer = files.ask(&server, Some(&files.clients.pair(name)), &get("/metrics")).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200 "), let_in, "{name}: {answer}");
    }
}

#[tokio::test]
async fn unverified_client_certificates_give_no_write_access() {
    let files = WebConfigFiles::new();
    let policy = |it: &str| {
        CLIENTS
            .replace("RequireAndVerifyClientCert", it)
            .replace("  client_ca_file: clients.crt\n", "")
    };
    let foreign = WebAuthority::new().pair("alertmanager");

    for (name, without) in [("RequireAnyClientCert", false), ("RequestClientCert", true)] {
        let server = files.serve_with(&policy(name), Limits::default(), &["alertmanager"]).await;
        check_status(&files.ask(&server, Some(&foreign), &get("/metrics")).await, 200);
        check_status(&files.ask(&server, Some(&foreign), &pause("")).await, 401);

        let answer = files.ask(&server, None, &get("/metrics")).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200 "), without, "{name}: {answer}");
    }

    let if_given = CLIENTS.replace("RequireAndVerify", "Verify").replace("Cert\n", "CertIfGiven\n");
    let server = files.serve(&if_given).await;

    check_status(&files.ask(&server, None, &get("/metrics")).await, 200);
    assert_eq!(files.ask(&server, Some(&foreign), &get("/metrics")).await, "");
}

#[tokio::test]
async fn i9_only_a_verified_certificate_with_a_configured_san_has_write_access() {
    let files = WebConfigFiles::new();
    let server = files.serve_with(CLIENTS, Limits::default(), &["alertmanager"]).await;
    let scraper = files.clients.pair("prometheus");

    check_status(&files.ask(&server, Some(&scraper), &pause("")).await, 401);

    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    check_status(&files.ask(&server, Some(&scraper), &pause(&token)).await, 200);

    let alertmanager = files.clients.pair("alertmanager");
    check_status(&files.ask(&server, Some(&alertmanager), &pause("")).await, 200);

    // A browser would send a form of another site with the user's client certificate.
    let form = pause("").replace("application/json", "text/plain");
    check_status(&files.ask(&server, Some(&alertmanager), &form).await, 415);
}

#[tokio::test]
async fn i9_basic_auth_users_have_read_access_only() {
    let files = WebConfigFiles::new();
    let server = files.serve(&format!("basic_auth_users: {{prometheus: {}}}", hash())).await;

    for path in ["/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/runs", "/nothing"] {
        let wrong = ["", "Authorization: Basic x\r\n", "Authorization: Bearer wrong\r\n"]
            .map(str::to_owned);
        let wrong = wrong.into_iter().chain([
            basic("prometheus", "wrong"),
            basic("nobody", "right"),
            basic("", ""),
        ]);

        for headers in wrong {
            let answer = plain(&server, &request(&format!("GET {path}"), &headers)).await;
            check_status(&answer, 401);
            assert!(
                answer.to_lowercase().contains("\r\nwww-authenticate: basic realm="),
                "{answer}"
            );
        }
    }

    let right = basic("prometheus", "right");

    check_status(&plain(&server, &request("GET /metrics", &right)).await, 200);
    check_status(&plain(&server, &request("GET /nothing", &right)).await, 404);

    let answer = plain(&server, &pause(&right)).await;
    check_status(&answer, 401);
    assert!(answer.to_lowercase().contains("\r\nwww-authenticate: bearer "), "{answer}");

    // Write access includes read access.
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    check_status(&plain(&server, &request("GET /metrics", &token)).await, 200);
    check_status(&plain(&server, &pause(&token)).await, 200);
}

#[tokio::test]
async fn a_notification_refused_for_its_user_is_counted_by_the_webhook() {
    let files = WebConfigFiles::new();
    let server = files.serve(&format!("basic_auth_users: {{prometheus: {}}}", hash())).await;
    let request = pause("").replace("/pause", "/alerts");

    check_status(&plain(&server, &request).await, 401);
    assert_eq!(server.front.answered(401), 1);
}

#[tokio::test]
async fn a_removed_user_is_refused_at_the_next_request_of_an_open_connection() {
    let files = WebConfigFiles::new();
    let server = files.serve(&format!("basic_auth_users: {{prometheus: {}}}", hash())).await;
    let kept = request("GET /-/healthy", &basic("prometheus", "right"))
        .replace("Connection: close\r\n", "");
    let mut stream = TcpStream::connect(server.address).await.unwrap();

    for _ in 0..2 {
        stream.write_all(kept.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();

        check_status(&String::from_utf8_lossy(&answer[..read]), 200);
    }

    files.write("web.yml", &format!("basic_auth_users: {{other: {}}}", hash()));
    let last = kept.replace("Host: localhost\r\n", "Host: localhost\r\nConnection: close\r\n");

    check_status(&exchange(stream, &last).await, 401);
}

#[tokio::test]
async fn a_handshake_that_never_ends_releases_its_permit() {
    let files = WebConfigFiles::new();
    let limits = Limits {
        connections_max: 1,
        handshake_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = files.serve_with(TLS, limits, &[]).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();

    // Only the start of a TLS record.
    silent.write_all(&[0x16, 3, 1]).await.unwrap();
    let request = get("/-/healthy");
    let asking = files.ask(&server, None, &request);
    let waited = tokio::time::timeout(Duration::from_secs(10), asking).await;

    check_status(&waited.expect("a place after the time-out"), 200);

    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap();

    assert!(rest.is_empty());
}

#[tokio::test]
async fn shutdown_ends_open_handshakes() {
    let files = WebConfigFiles::new();
    let web = Web::open(&files.write("web.yml", TLS)).unwrap();
    let front = front_of(None, web, &[]);
    let (address, tasks) = listening(&front, Limits::default()).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;

    let drained = tasks.drain(Duration::from_secs(5)).await;

    assert_eq!(drained, kafka_optimizer::shutdown::Drained::Cleanly);
}

#[tokio::test]
async fn every_response_has_the_headers_and_requests_above_the_rate_get_429() {
    let files = WebConfigFiles::new();
    let text = "http_server_config: {headers: {X-Frame-Options: deny}}
rate_limit: {interval: 1h, burst: 2}";
    let server = files.serve(text).await;

    for status in [200, 404, 429, 429] {
        let path = if status == 404 { "/nothing" } else { "/" };
        let answer = plain(&server, &get(path)).await;

        check_status(&answer, status);
        assert!(answer.contains("\r\nx-frame-options: deny\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn only_the_configured_versions_suites_and_curves_are_used() {
    let files = WebConfigFiles::new();
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let text = format!(
        "tls_server_config: {{cert_file: server.crt, key_file: server.key, max_version: TLS12,
  cipher_suites: [{suite}], curve_preferences: [CurveP384]}}"
    );
    let server = files.serve(&text).await;
    let connect = async |server: &WebServer, version| {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        files.connector(None, &[version]).connect(name, stream).await
    };
    let stream = connect(&server, &TLS12).await.unwrap();
    let connection = stream.get_ref().1;
    let chosen = connection.negotiated_cipher_suite().unwrap().suite();

    assert_eq!(chosen.as_str(), Some(suite));

    let group = connection.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group.as_str(), Some("secp384r1"));
    assert!(connect(&server, &TLS13).await.is_err());

    let server = files.serve(&TLS.replace('}', ", min_version: TLS13}")).await;
    assert!(connect(&server, &TLS12).await.is_err());
    assert!(connect(&server, &TLS13).await.is_ok());
}

#[test]
fn valid_files_are_accepted_and_invalid_ones_refused_without_showing_a_secret() {
    let files = WebConfigFiles::new();
    for (said, text) in cases() {
        let opened = Web::open(&files.write("web.yml", &text));
        assert_eq!(opened.is_ok(), said == Expected::Good, "{text}: {opened:?}");

        let Err(error) = opened else { continue };
        let message = format!("{error} {error:?}");

        assert!(!message.contains("PRIVATE") && !message.contains("$2"), "{message}");
    }

    let missing = Web::open(Path::new("/nowhere/web.yml")).unwrap_err().to_string();

    assert!(missing.contains("/nowhere/web.yml"), "{missing}");
}
