//! The Prometheus adapter against a scripted server.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use kafka_optimizer::{
    model::WallTime,
    prometheus::{Prometheus, PrometheusError, QueryRange, SamplePair, http::HttpPrometheus},
    security::{HttpAuthorization, HttpOptions, PasswordFile, TlsFiles},
    shutdown::Tasks,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use crate::fake_tls::{CertificateAuthority, ClientCertificates, Validity};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Path and query, authorization, and body of a request.
type ReceivedQuery = Arc<Mutex<Vec<(String, Option<String>, String)>>>;

struct PrometheusServer {
    answer: fn() -> Response,
    seen: ReceivedQuery,
}

/// Starts a server that gives every request the same response; returns its `host:port`.
async fn serve(answer: fn() -> Response) -> (String, ReceivedQuery) {
    let seen = ReceivedQuery::default();
    let state = Arc::new(PrometheusServer { answer, seen: Arc::clone(&seen) });
    let router = Router::new().fallback(handle).with_state(state);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    Tasks::default().start_short("fake prometheus", async {
        axum::serve(listener, router).await.unwrap();
    });

    (address, seen)
}

async fn handle(State(server): State<Arc<PrometheusServer>>, request: Request) -> Response {
    let path = request.uri().to_string();
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.map(|it| it.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    server.seen.lock().unwrap().push((path, given, body));

    (server.answer)()
}

fn json(status: u16, body: &'static str) -> Response {
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn vector() -> Response {
    json(
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"up","broker_id":"1"},"value":[1757000000.123,"0.5"]}]}}"#,
    )
}

#[tokio::test]
async fn an_instant_query_is_posted_as_a_form_below_the_servers_path() {
    let (address, seen) = serve(vector).await;
    let prometheus = HttpPrometheus::new(&format!("http://{address}/prom/"), TIMEOUT).unwrap();
    let series = prometheus.instant("up{a=\"b&c\"}").await.unwrap();

    assert_eq!(series[0].labels["broker_id"], "1");
    assert_eq!(series[0].sample, SamplePair { at: WallTime(1_757_000_000_123), value: 0.5 });

    let (path, given, body) = seen.lock().unwrap()[0].clone();
    assert_eq!((path.as_str(), given), ("/prom/api/v1/query", None));
    assert_eq!(body, "query=up%7Ba%3D%22b%26c%22%7D&timeout=5");
}

#[tokio::test]
async fn a_range_query_has_a_span_in_seconds() {
    fn matrix() -> Response {
        json(
            200,
            r#"{"status":"success","data":{"resultType":"matrix","result":[
                {"metric":{},"values":[[1,"1"],[2.5,"NaN"]]}]}}"#,
        )
    }

    let (address, seen) = serve(matrix).await;
    let prometheus = HttpPrometheus::new(&format!("http://{address}"), TIMEOUT).unwrap();
    let range = QueryRange {
        start: WallTime(1_000),
        end: WallTime(2_500),
        step: Duration::from_millis(1_500),
    };
    let series = prometheus.range("up", range).await.unwrap();

    assert_eq!(series[0].samples[0], SamplePair { at: WallTime(1_000), value: 1.0 });
    assert!(series[0].samples[1].value.is_nan());

    let (path, _, body) = seen.lock().unwrap()[0].clone();
    assert_eq!(path, "/api/v1/query_range");
    assert_eq!(body, "query=up&timeout=5&start=1&end=2.5&step=1.5");
}

#[tokio::test]
async fn a_rejected_query_is_distinguished_from_an_unreachable_server() {
    fn refused() -> Response {
        json(400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#)
    }

    fn overloaded() -> Response {
        json(503, r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#)
    }

    fn no_api() -> Response {
        json(404, "404 page not found")
    }

    fn no_json() -> Response {
        json(200, "<html>")
    }

    fn elsewhere() -> Response {
        (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response()
    }

    fn too_long() -> Response {
        Body::from(vec![b' '; (16 << 20) + 1]).into_response()
    }

    for (answer, want) in [
        (refused as fn() -> Response, "Prometheus rejected `up`: bad_data: parse error"),
        (overloaded, "503 Service Unavailable: timeout: query timed out"),
        (no_api, "404 Not Found"),
        (no_json, "not a response of the HTTP API"),
        (elsewhere, "302 Found"),
        (too_long, "response is longer than 16777216 bytes"),
    ] {
        let (address, _) = serve(answer).await;
        let prometheus = HttpPrometheus::new(&format!("http://{address}"), TIMEOUT).unwrap();
        let error = prometheus.instant("up").await.unwrap_err();

        assert!(error.to_string().contains(want), "{error}");

        let rejected = matches!(error, PrometheusError::Rejected { .. });
        assert_eq!(rejected, want.starts_with("Prometheus rejected"));
    }
}

#[tokio::test]
async fn credentials_reach_the_server_and_no_message() {
    let (address, seen) = serve(vector).await;
    let prometheus = HttpPrometheus::new(&format!("http://me:geheim@{address}"), TIMEOUT).unwrap();
    prometheus.instant("up").await.unwrap();
    let given = seen.lock().unwrap()[0].1.clone();

    assert_eq!(given.as_deref(), Some("Basic bWU6Z2VoZWlt"));

    let down = HttpPrometheus::new("http://me:geheim@127.0.0.1:1/x?token=geheim", TIMEOUT).unwrap();
    let error = down.instant("up").await.unwrap_err();
    let shown = format!("{error} {error:?}");

    assert!(shown.contains("http://127.0.0.1:1/x") && !shown.contains("geheim"), "{shown}");

    for unusable in ["ftp://me:geheim@host", "me:geheim@host", "http://me:geheim@host:port"] {
        let error = HttpPrometheus::new(unusable, TIMEOUT).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
    }
}

#[tokio::test]
async fn a_request_without_a_response_ends_at_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let prometheus = HttpPrometheus::new(&url, Duration::from_millis(200)).unwrap();
    let error = prometheus.instant("up").await.unwrap_err();

    assert!(matches!(error, PrometheusError::Unavailable { .. }), "{error}");
}

/// A client of this server with these options.
fn with(address: &str, options: HttpOptions) -> HttpPrometheus {
    HttpPrometheus::with_options(&format!("http://{address}"), TIMEOUT, options).unwrap()
}

#[tokio::test]
async fn a_password_or_token_is_read_again_when_its_file_changes_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "geheim-1\n").unwrap();
    let (address, seen) = serve(vector).await;
    let token =
        HttpAuthorization::Token { scheme: "Bearer".to_owned(), credentials_file: file.clone() };
    let options = HttpOptions { authorization: Some(token), ..HttpOptions::default() };
    let prometheus = with(&address, options);
    let given = |at: usize| seen.lock().unwrap()[at].1.clone().unwrap();

    prometheus.instant("up").await.unwrap();
    assert_eq!(given(0), "Bearer geheim-1");

    std::fs::write(&file, "geheim-2-longer\n").unwrap();
    prometheus.instant("up").await.unwrap();

    assert_eq!(given(1), "Bearer geheim-2-longer");

    std::fs::write(&file, "geheim 3\n").unwrap();
    let error = prometheus.instant("up").await.unwrap_err();
    let shown = format!("{error} {error:?} {prometheus:?}");

    assert!(shown.contains("contains no token") && !shown.contains("geheim"), "{shown}");

    let basic = PasswordFile { username: "optimizer".to_owned(), password_file: file.clone() };
    let options = HttpOptions {
        authorization: Some(HttpAuthorization::Basic(basic)),
        ..HttpOptions::default()
    };
    with(&address, options).instant("up").await.unwrap();

    assert_eq!(given(2), "Basic b3B0aW1pemVyOmdlaGVpbSAz");
}

#[tokio::test]
async fn a_proxy_is_used_only_if_it_is_configured_and_an_error_names_the_server() {
    let (address, seen) = serve(vector).await;
    let options =
        HttpOptions { proxy_url: Some(format!("http://{address}")), ..HttpOptions::default() };
    let elsewhere = with("prometheus.invalid:9090", options);
    elsewhere.instant("up").await.unwrap();

    assert_eq!(seen.lock().unwrap()[0].0, "http://prometheus.invalid:9090/api/v1/query");
}

/// Serves one connection over TLS; returns its port, and then its request.
async fn serve_tls(tls: TlsAcceptor) -> (u16, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, request) = oneshot::channel();
    Tasks::default().start_short("fake prometheus", async move {
        let _nobody_waits = send.send(answer_one(listener, tls).await);
    });

    (port, request)
}

/// Answers the first request, and returns it; empty if there is none.
async fn answer_one(listener: TcpListener, tls: TlsAcceptor) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let Ok(mut stream) = tls.accept(stream).await else { return String::new() };
    let mut read = Vec::new();

    while !read.ends_with(b"timeout=5") {
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return String::new(),
            Ok(count) => read.extend_from_slice(&part[..count]),
        }
    }

    let body = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();

    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_server_of_a_private_ca_gets_a_client_certificate_and_the_tenants_header() {
    let ca = CertificateAuthority::new("private");
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, ca.pem()).unwrap();
    let options = HttpOptions {
        tls: TlsFiles {
            ca_file: Some(ca_file),
            identity: Some(ca.client(dir.path())),
            server_name: Some("prometheus.example.com".to_owned()),
        },
        headers: [("X-Scope-OrgID".to_owned(), "tenant-1".to_owned())].into(),
        ..HttpOptions::default()
    };
    let query = async |options: HttpOptions| {
        let broker = ca.broker("prometheus.example.com", Validity::Now, ClientCertificates::Known);
        let (port, served) = serve_tls(broker).await;
        let url = format!("https://127.0.0.1:{port}");
        let prometheus = HttpPrometheus::with_options(&url, TIMEOUT, options).unwrap();
        let answer = prometheus.instant("up").await;

        // Without a connection it waits for ever.
        let request = if answer.is_ok() { served.await.unwrap() } else { String::new() };
        (answer, request, port)
    };

    let (answer, request, port) = query(options.clone()).await;
    assert_eq!(answer.unwrap(), []);

    let request = request.to_ascii_lowercase();
    assert!(request.contains("x-scope-orgid: tenant-1\r\n"), "{request}");
    assert!(request.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{request}");

    // Without the certificate, the name or the CA there is no answer.
    let tls = options.tls.clone();
    for tls in [
        TlsFiles { identity: None, ..tls.clone() },
        TlsFiles { server_name: None, ..tls.clone() },
        TlsFiles { ca_file: None, ..tls },
    ] {
        let (answer, ..) = query(HttpOptions { tls, ..options.clone() }).await;
        assert!(matches!(answer, Err(PrometheusError::Unavailable { .. })), "{answer:?}");
    }
}
