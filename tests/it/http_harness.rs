//! The HTTP router with a recording pipeline, with and without a socket.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use http_body_util::BodyExt;
use kafka_optimizer::{
    clock::SystemClock,
    config::Secret,
    expose::{Exposition, make},
    http::{self, ClusterInfo, Limits, ServerInfo, Settings, Web},
    model::{ClusterName, Mode},
    shutdown::Tasks,
    snapshot::Snapshot,
    telemetry::{BuildInfo, Telemetry},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};
use tower::ServiceExt;

use crate::pipeline::RecordingPipeline;

pub(crate) const TOKEN: &str = "0123456789abcdef";

/// The HTTP router, and everything that it reads.
pub(crate) struct HttpHarness {
    pub(crate) router: Router,
    pub(crate) web: Web,
    pub(crate) pipe: Arc<RecordingPipeline>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) ready: watch::Sender<bool>,
}

/// Its only sample: `kafka_up` is 0.
fn page_of_an_unknown_cluster() -> Exposition {
    make(&[Arc::new(Snapshot::unknown(ClusterName::new("main")))]).0
}

fn settings(token: Option<&str>, client_sans: &[&str]) -> Settings {
    Settings {
        token: token.map(|it| Secret::new(it.to_owned())),
        client_sans: client_sans.iter().map(|it| (*it).to_owned()).collect(),
        about: ServerInfo {
            version: "0.1.0",
            mode: Mode::Rehearse,
            clusters: vec![ClusterInfo {
                name: ClusterName::new("main"),
                collect_interval: Duration::from_secs(15),
            }],
            telemetry_path: "/metrics".to_owned(),
        },
    }
}

pub(crate) fn front(token: Option<&str>) -> HttpHarness {
    front_of(token, Web::plain(), &[])
}

/// With a web configuration, and the SANs of client certificates with write access.
pub(crate) fn front_of(token: Option<&str>, web: Web, client_sans: &[&str]) -> HttpHarness {
    let pipe = Arc::<RecordingPipeline>::default();
    let build = BuildInfo { version: "0.1.0", revision: "test", rustc: "test" };
    let telemetry = Arc::new(Telemetry::new(build, &[], &[ClusterName::new("main")]));
    let (ready, is_ready) = watch::channel(false);
    let router = http::router(http::AppState {
        pipeline: pipe.clone(),
        pages: watch::channel(Arc::new(page_of_an_unknown_cluster())).1,
        telemetry: telemetry.clone(),
        ready: is_ready,
        settings: watch::channel(Arc::new(settings(token, client_sans))).1,
        reload: http::reload_channel().0,
        web: web.clone(),
        clock: Arc::new(SystemClock::new()),
    });

    HttpHarness { router, web, pipe, telemetry, ready }
}

impl HttpHarness {
    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, Response<Body>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        (response.status(), response)
    }

    /// Number of webhook responses with `code`.
    pub(crate) fn answered(&self, code: u16) -> u64 {
        let page = self.telemetry.encode().unwrap();
        let series = format!("kafka_optimizer_webhook_requests_total{{code=\"{code}\"}} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&series));

        value.map_or(0, |it| it.parse().unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, response) = self.send(Request::get(path).body(Body::empty()).unwrap()).await;
        (status, text(response).await)
    }

    /// As Alertmanager or the command line does.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = good(path).body(body.into()).unwrap();
        let (status, response) = self.send(request).await;
        (status, serde_json::from_str(&text(response).await).unwrap())
    }
}

pub(crate) fn good(path: &str) -> axum::http::request::Builder {
    Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header(header::CONTENT_TYPE, "application/json")
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server on a free port with `limits`; ends with `tasks`.
pub(crate) async fn listening(
    front: &HttpHarness,
    limits: Limits,
) -> (std::net::SocketAddr, Tasks) {
    let tasks = Tasks::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    http::serve(vec![listener], &front.router, &front.web, &front.telemetry, limits, &tasks);

    (address, tasks)
}
