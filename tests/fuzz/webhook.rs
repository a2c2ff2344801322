//! Hostile request bodies for the webhook and the API.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use kafka_optimizer::{
    alert::Notification,
    baseline::{BaselineName, BaselineSummary, NamedBaseline},
    clock::SystemClock,
    config::{AccessConfig, Secret, TokenGrant},
    diagnosis::Diagnosis,
    expose::Exposition,
    http::{self, Access, Pipeline, ServerInfo, Settings, Web},
    model::{ClusterName, Mode, Principal, RunId, Scope},
    remediation::{
        BaselineOrder, BaselineRequest, ComparedBaseline, Decision, Order, OrderError,
        ReleaseOrder, RemediationStatus, Taken,
    },
    store::{JournalFilter, JournalLine, RunDetail, RunFilter, RunRow, StoreError},
    telemetry::{BuildInfo, Telemetry},
    verdict::VerdictCase,
};
use rand::RngExt;
use tokio::{runtime::Builder, sync::watch};
use tower::ServiceExt;

use crate::{
    campaign::{Bound, Campaign},
    fake_broker::mutate_text,
};

const TOKEN: &str = "0123456789abcdef";

/// A path, and a valid body for it.
const BODIES: &[(&str, &str)] = &[
    (
        "/api/v1/alerts",
        r#"{"version":"4","groupKey":"{}:{alertname=\"A\"}","truncatedAlerts":2,"status":"firing",
            "receiver":"optimizer","groupLabels":{"alertname":"A"},"alerts":[
            {"status":"firing","labels":{"alertname":"A","broker_id":"1","kafka_cluster":"main"},
             "annotations":{"summary":"é \u00e9 \ud83d\ude00"},"startsAt":"2026-01-02T03:04:05.006Z",
             "endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p/graph","fingerprint":"00ff"},
            {"status":"resolved","labels":{"alertname":"B","severity":"critical"},
             "startsAt":"2026-01-02T03:04:05+01:00"}]}"#,
    ),
    ("/api/v1/alerts", r#"{"alerts":[]}"#),
    ("/api/v1/runs", r#"{"cluster":"main","broker":1,"level":"moderate","rehearse":true}"#),
    ("/api/v1/baselines", r#"{"cluster":"main","name":"a","seconds":600,"replace":true}"#),
    ("/api/v1/quarantine/release", r#"{"cluster":"main"}"#),
    ("/api/v1/pause", "{}"),
];

/// Tokens to insert, valid and misplaced.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "-0",
    "1e999",
    "-1e-999",
    "9223372036854775808",
    "18446744073709551616",
    "0.1",
    "\\u0000",
    "\\ud800",
    "\\",
    "\u{0}",
    "\"alerts\":",
    "\"labels\":",
    "\"startsAt\":\"9999-12-31T23:59:59.999999999Z\"",
    "\"startsAt\":\"-009999-01-01T00:00:00Z\"",
    "\"truncatedAlerts\":-1",
    "\"status\":\"firing\",",
    "\"a\":\"b\",",
    "{\"a\":",
    "[[",
    "{}",
    "\u{1f600}",
];

#[derive(Debug)]
struct NullPipeline;

#[async_trait]
impl Pipeline for NullPipeline {
    async fn take(&self, notification: Notification) -> Result<Taken, StoreError> {
        for alert in &notification.alerts {
            assert_eq!(alert.episode_key().len(), 32);
        }
        Ok(Taken { faults: notification.faults, ..Taken::default() })
    }

    async fn runs(&self, _filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn status(&self) -> Result<RemediationStatus, StoreError> {
        Ok(RemediationStatus { mode: Mode::Observe, paused: false, clusters: Vec::new() })
    }

    async fn run(&self, _id: RunId) -> Result<Option<RunDetail>, StoreError> {
        Ok(None)
    }

    async fn case(&self, _id: RunId) -> Result<Option<VerdictCase>, StoreError> {
        Ok(None)
    }

    async fn journal(&self, _filter: JournalFilter) -> Result<Vec<JournalLine>, StoreError> {
        Ok(Vec::new())
    }

    async fn order(&self, _order: Order, _by: &Principal) -> Result<RunId, OrderError> {
        Ok(RunId(7))
    }

    async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn decide(
        &self,
        _id: RunId,
        _decision: Decision,
        _by: &Principal,
    ) -> Result<(), OrderError> {
        Ok(())
    }

    async fn release(
        &self,
        _order: ReleaseOrder,
        _by: &Principal,
    ) -> Result<Vec<String>, OrderError> {
        Ok(Vec::new())
    }

    async fn baselines(
        &self,
        _cluster: Option<ClusterName>,
    ) -> Result<Vec<BaselineSummary>, StoreError> {
        Ok(Vec::new())
    }

    async fn baseline(
        &self,
        _cluster: Option<&ClusterName>,
        name: &BaselineName,
    ) -> Result<NamedBaseline, OrderError> {
        Err(OrderError::NotFound(name.to_string()))
    }

    async fn record_baseline(
        &self,
        order: BaselineOrder,
        _by: &Principal,
    ) -> Result<NamedBaseline, OrderError> {
        Err(OrderError::Conflict(order.name.to_string()))
    }

    async fn delete_baseline(
        &self,
        _cluster: Option<&ClusterName>,
        name: &BaselineName,
        _by: &Principal,
    ) -> Result<BaselineSummary, OrderError> {
        Err(OrderError::NotFound(name.to_string()))
    }

    async fn compare_baseline(
        &self,
        request: BaselineRequest,
    ) -> Result<ComparedBaseline, OrderError> {
        Err(OrderError::NotFound(request.name.to_string()))
    }

    async fn pause(&self, _by: &Principal) -> std::io::Result<()> {
        Ok(())
    }

    async fn resume(&self, _by: &Principal) -> std::io::Result<()> {
        Ok(())
    }

    fn paused(&self) -> bool {
        false
    }
}

fn settings() -> Settings {
    let token = TokenGrant {
        name: Principal::new("token"),
        scopes: Scope::ALL.iter().copied().collect(),
        file: "token".into(),
        token: Secret::new(TOKEN.to_owned()),
    };

    Settings {
        access: Access::new(&AccessConfig { tokens: vec![token], clients: Vec::new() }),
        about: ServerInfo {
            version: "0",
            mode: Mode::Observe,
            clusters: Vec::new(),
            telemetry_path: "/metrics".to_owned(),
        },
    }
}

fn router() -> Router {
    let build = BuildInfo { version: "0", revision: "0", rustc: "0" };

    http::router(http::AppState {
        pipeline: Arc::new(NullPipeline),
        diagnosis: Diagnosis::new(watch::channel(Vec::new()).1, Arc::new(SystemClock::new())),
        pages: watch::channel(Arc::new(Exposition::default())).1,
        telemetry: Arc::new(Telemetry::new(build, &[], &[])),
        ready: watch::channel(true).1,
        settings: watch::channel(Arc::new(settings())).1,
        reload: http::reload_channel().0,
        web: Web::plain(),
        clock: Arc::new(SystemClock::new()),
    })
}

#[test]
fn no_request_body_causes_a_panic_a_hang_or_much_memory() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let router = router();
    let campaign = Campaign {
        target: "bodies of requests",
        usual: 3_000,
        weight: 1,
        bound: Bound { per_byte: 64, beside: 1 << 20 },
    };
    campaign.run(|chance| {
        let (path, body) = BODIES[chance.random_range(0..BODIES.len())];
        let mut body = body.as_bytes().to_vec();
        mutate_text(chance, &mut body, WORDS);
        let size = body.len();

        // A long body is parsed on another thread, which is not counted, so it is parsed here too.
        drop(Notification::parse(&body));
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body)).unwrap();
        let status = runtime.block_on(router.clone().oneshot(request)).unwrap().status();

        // `NullPipeline` records no baseline, and says so with a conflict.
        let refused =
            [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::CONFLICT];

        assert!(status.is_success() || refused.contains(&status), "{path}: {status}");

        size
    });
}
