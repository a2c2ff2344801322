//! The HTTP router with a recording pipeline, with and without a socket.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use http_body_util::BodyExt;
use kafka_optimizer::{
    clock::SystemClock,
    config::{AccessConfig, ClientGrant, Secret, TokenGrant},
    diagnosis::{ClusterSource, Diagnosis},
    expose::{Exposition, make},
    http::{self, Access, ClusterInfo, Limits, ServerInfo, Settings, Web},
    model::{BrokerCapacity, ClusterName, Mode, Prices, Principal, Scope},
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
    settings: watch::Sender<Arc<Settings>>,
    pub(crate) ready: watch::Sender<bool>,
    /// The clusters that `/api/v1/findings` reports about.
    pub(crate) sources: watch::Sender<Vec<ClusterSource>>,
}

/// Its only sample: `kafka_up` is 0.
fn page_of_an_unknown_cluster() -> Exposition {
    make(&[Arc::new(Snapshot::unknown(ClusterName::new("main")))]).0
}

fn settings(access: &AccessConfig) -> Settings {
    Settings {
        access: Access::new(access),
        about: ServerInfo {
            version: "0.1.0",
            mode: Mode::Rehearse,
            clusters: vec![ClusterInfo {
                name: ClusterName::new("main"),
                collect_interval: Duration::from_secs(15),
                capacity: BrokerCapacity::default(),
                prices: None,
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
    let tokens = token.map(|it| token_grant("token", it, Scope::ALL));
    let clients = client_sans.iter().map(|it| ClientGrant {
        san: (*it).to_owned(),
        name: Principal::new(*it),
        scopes: Scope::ALL.iter().copied().collect(),
    });
    let access = AccessConfig { tokens: tokens.into_iter().collect(), clients: clients.collect() };

    front_with(&access, web)
}

pub(crate) fn token_grant(name: &str, token: &str, scopes: &[Scope]) -> TokenGrant {
    TokenGrant {
        name: Principal::new(name),
        scopes: scopes.iter().copied().collect(),
        file: PathBuf::from("token"),
        token: Secret::new(token.to_owned()),
    }
}

pub(crate) fn front_with(access: &AccessConfig, web: Web) -> HttpHarness {
    let (set_settings, settings_in_force) = watch::channel(Arc::new(settings(access)));
    let pipe = Arc::<RecordingPipeline>::default();
    let build = BuildInfo { version: "0.1.0", revision: "test", rustc: "test" };
    let telemetry = Arc::new(Telemetry::new(build, &[], &[ClusterName::new("main")]));
    let (ready, is_ready) = watch::channel(false);
    let (sources, diagnosed) = watch::channel(Vec::new());
    let router = http::router(http::AppState {
        pipeline: pipe.clone(),
        diagnosis: Diagnosis::new(diagnosed, Arc::new(SystemClock::new())),
        pages: watch::channel(Arc::new(page_of_an_unknown_cluster())).1,
        telemetry: telemetry.clone(),
        ready: is_ready,
        settings: settings_in_force,
        reload: http::reload_channel().0,
        web: web.clone(),
        clock: Arc::new(SystemClock::new()),
    });

    HttpHarness { router, web, pipe, telemetry, settings: set_settings, ready, sources }
}

impl HttpHarness {
    /// As a reload of a configuration with prices does.
    pub(crate) fn set_prices(&self, prices: &Prices, capacity: BrokerCapacity) {
        let mut settings = settings(&AccessConfig::default());
        for cluster in &mut settings.about.clusters {
            cluster.prices = Some(prices.clone());
            cluster.capacity = capacity;
        }
        self.settings.send_replace(Arc::new(settings));
    }

    /// As a reload of the configuration does.
    pub(crate) fn replace_access(&self, access: &AccessConfig) {
        self.settings.send_replace(Arc::new(settings(access)));
    }

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
