//! The webhook and the API without a socket: access, valid and invalid input. The last tests open a
//! socket, to check how connections end.

use std::{io::Read, sync::atomic::Ordering, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use kafka_optimizer::{
    config::AccessConfig,
    http::{Limits, Web},
    model::{BrokerId, ClusterName, HoldReason, RunId, RunState, Scope, Target, WallTime},
    store::RunFilter,
    verdict::VerdictCase,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    http_harness::{HttpHarness, TOKEN, front, front_with, good, listening, text, token_grant},
    pipeline::case,
};

const ALERT: &str = r#"{"version":"4","truncatedAlerts":2,"alerts":[{"status":"firing",
    "labels":{"alertname":"A"},"startsAt":"2026-01-02T03:04:05Z"}]}"#;

/// Every path that changes state.
const CHANGES: &[&str] = &[
    "/api/v1/alerts",
    "/api/v1/runs",
    "/api/v1/runs/7/rollback",
    "/api/v1/runs/7/acknowledge",
    "/api/v1/runs/7/approve",
    "/api/v1/runs/7/reject",
    "/api/v1/runs/7/cancel",
    "/api/v1/runs/7/retry",
    "/api/v1/baselines",
    "/api/v1/quarantine/release",
    "/api/v1/pause",
    "/api/v1/resume",
];

#[tokio::test]
async fn a_durable_notification_is_answered_with_200_and_counted() {
    let front = front(Some(TOKEN));
    let (status, answer) = front.post("/api/v1/alerts", ALERT).await;

    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer, json!({"alerts": {"new": 1, "unmatched": 0}, "truncated": 2}));
    assert_eq!(front.pipe.taken.lock().unwrap().len(), 1);
    assert_eq!((front.answered(200), front.answered(503)), (1, 0));
}

#[tokio::test]
async fn i2_a_notification_that_cannot_be_stored_gets_503_without_details() {
    let front = front(Some(TOKEN));
    front.pipe.broken.store(true, Ordering::Relaxed);
    let (status, answer) = front.post("/api/v1/alerts", ALERT).await;

    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer["error"], "the state store cannot be read or written; try again");
    assert!(answer["request_id"].as_str().unwrap().contains('-'));
    assert_eq!(front.answered(503), 1);

    for path in ["/api/v1/runs", "/api/v1/runs/7"] {
        assert_eq!(front.get(path).await.0, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }

    assert_eq!(front.post("/api/v1/pause", "").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_a_verdict_depends_on_is_shown() {
    let front = front(Some(TOKEN));
    let (status, body) = front.get("/api/v1/runs/7/case").await;

    assert_eq!(status, StatusCode::OK);
    assert_eq!(serde_json::from_str::<VerdictCase>(&body).unwrap(), case());

    let (status, body) = front.get("/api/v1/runs/8/case").await;

    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("run 8 has nothing to compute its verdict from"), "{body}");
}

#[tokio::test]
async fn an_unusable_alert_of_a_batch_is_named_in_the_answer() {
    let front = front(Some(TOKEN));
    let body = r#"{"alerts":[{"status":"firing","labels":{"alertname":"Slow","n":1},"fingerprint":"00ff"},
        {"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-01-02T03:04:05Z"}]}"#;
    let (status, answer) = front.post("/api/v1/alerts", body).await;

    assert_eq!(status, StatusCode::OK);

    let why = "alert 0 `Slow` (fingerprint 00ff): the label `n` is a number, not a string";
    assert_eq!(answer["faults"], json!([why]));
    assert_eq!(front.pipe.taken.lock().unwrap()[0].alerts.len(), 1);
}

#[tokio::test]
async fn when_too_many_alerts_are_open_the_sender_gets_the_reason() {
    let front = front(Some(TOKEN));
    front.pipe.full.store(true, Ordering::Relaxed);
    let (status, answer) = front.post("/api/v1/alerts", ALERT).await;

    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer["error"], "more than 50000 alerts are open");
}

#[tokio::test]
async fn labels_with_quotes_and_braces_pass_through_as_data() {
    let front = front(Some(TOKEN));
    let nasty = "a\"} or vector(1) #{{$x}} '$(id)' \\ \n\u{1F600}";
    let body = json!({"version": "4", "alerts": [{"status": "firing", "startsAt": "2026-01-02T03:04:05Z",
        "labels": {"alertname": nasty, "broker_id": nasty}}]});

    assert_eq!(front.post("/api/v1/alerts", body.to_string()).await.0, StatusCode::OK);

    let taken = front.pipe.taken.lock().unwrap();
    assert_eq!(taken[0].alerts[0].label("broker_id"), Some(nasty));
}

#[tokio::test]
async fn an_undecodable_body_gets_400_with_the_reason() {
    let front = front(Some(TOKEN));
    for body in ["", "{", "[]", "null", "{\"alerts\":1}", "\u{0}", "alert=1"] {
        let (status, answer) = front.post("/api/v1/alerts", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?}");
        assert!(answer["error"].as_str().unwrap().contains("line"), "{answer}");
    }

    assert!(front.pipe.called.lock().unwrap().is_empty());
    assert_eq!(front.answered(400), 7);
}

#[tokio::test]
async fn i3_a_body_of_17_mib_gets_413_with_and_without_content_length() {
    let front = front(Some(TOKEN));
    let body = Bytes::from(vec![b' '; 17 << 20]);
    let request = good("/api/v1/alerts").header(header::CONTENT_LENGTH, body.len());
    let (status, _) = front.send(request.body(Body::from(body.clone())).unwrap()).await;

    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    let chunks = (0..17).map(move |_| Ok::<_, std::io::Error>(body.slice(0..1 << 20)));
    let stream = Body::from_stream(futures_util::stream::iter(chunks));
    let (status, answer) = front.post("/api/v1/alerts", stream).await;

    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer["error"], "the body is larger than 16 MiB");
    assert!(front.pipe.called.lock().unwrap().is_empty());
}

#[tokio::test]
async fn i3_a_body_of_ten_thousand_alerts_is_accepted() {
    let front = front(Some(TOKEN));
    let alert = |id: usize| {
        json!({"status": "firing", "startsAt": "2026-01-02T03:04:05Z", "annotations": {"summary": "x".repeat(300)},
            "labels": {"alertname": "KafkaSlow", "broker_id": id.to_string(), "severity": "warning"}})
    };
    let body = json!({"version": "4", "alerts": (0..10_000).map(alert).collect::<Vec<_>>()});
    let (status, answer) = front.post("/api/v1/alerts", body.to_string()).await;

    assert_eq!((status, &answer["alerts"]["new"]), (StatusCode::OK, &json!(10_000)));
}

#[tokio::test]
async fn i9_without_the_token_nothing_can_be_changed() {
    let front = front(Some(TOKEN));
    for path in CHANGES {
        for value in [None, Some("Bearer wrong"), Some("Bearer "), Some("Basic 0123456789abcdef")] {
            let mut request = Request::post(*path).header(header::CONTENT_TYPE, "application/json");
            if let Some(value) = value {
                request = request.header(header::AUTHORIZATION, value);
            }

            let (status, response) = front.send(request.body(Body::from(ALERT)).unwrap()).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} {value:?}");

            let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        }
    }

    assert!(front.pipe.called.lock().unwrap().is_empty());
    assert_eq!(front.answered(401), 4);
}

#[tokio::test]
async fn i9_without_a_configured_token_writes_are_refused_with_what_to_do() {
    let front = front(None);
    for path in CHANGES {
        let (status, answer) = front.post(path, ALERT).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(answer["error"].as_str().unwrap().contains("remediation.token_file"), "{answer}");
    }

    assert!(front.pipe.called.lock().unwrap().is_empty());
    assert_eq!(front.get("/api/v1/runs").await.0, StatusCode::OK);
}

#[tokio::test]
async fn i9_a_request_that_a_browser_form_can_send_is_refused() {
    let front = front(Some(TOKEN));
    let kinds = [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonx"),
    ];

    for path in CHANGES {
        for kind in kinds {
            let mut request =
                Request::post(*path).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
            if let Some(kind) = kind {
                request = request.header(header::CONTENT_TYPE, kind);
            }

            let (status, _) = front.send(request.body(Body::from(ALERT)).unwrap()).await;
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path} {kind:?}");
        }
    }

    assert!(front.pipe.called.lock().unwrap().is_empty());

    let request = Request::post("/api/v1/alerts")
        .header(header::AUTHORIZATION, format!("bearer {TOKEN}"))
        .header(header::CONTENT_TYPE, "Application/JSON; charset=utf-8");
    assert_eq!(front.send(request.body(Body::from(ALERT)).unwrap()).await.0, StatusCode::OK);
}

/// A request with `token`, and the status of its response and its error.
async fn with_token(front: &HttpHarness, path: &str, token: &str) -> (StatusCode, String) {
    let body = if path == "/api/v1/alerts" { ALERT } else { "{}" };
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .unwrap();
    let (status, response) = front.send(request).await;
    let answer: Value = serde_json::from_str(&text(response).await).unwrap();

    (status, answer["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn i9_a_token_allows_only_what_its_scopes_say() {
    let tokens = [
        ("alertmanager", "token of alertmanager", Scope::Alerts),
        ("bob", "token of bob, who operates", Scope::Operate),
        ("alice", "token of alice, who approves", Scope::Approve),
    ];
    let granted = tokens.map(|(name, token, scope)| token_grant(name, token, &[scope]));
    let access = AccessConfig { tokens: granted.to_vec(), clients: Vec::new() };
    let front = front_with(&access, Web::plain());

    for path in CHANGES {
        let wanted = match *path {
            "/api/v1/alerts" => Scope::Alerts,
            "/api/v1/runs/7/approve" | "/api/v1/runs/7/reject" => Scope::Approve,
            _ => Scope::Operate,
        };
        for (name, token, scope) in tokens {
            let (status, error) = with_token(&front, path, token).await;
            if scope == wanted {
                assert_ne!(status, StatusCode::FORBIDDEN, "{path} {name} {error}");
            } else {
                assert_eq!(status, StatusCode::FORBIDDEN, "{path} {name}");
                assert_eq!(error, format!("`{name}` does not have the scope `{wanted}`"));
            }
        }
    }

    let mut people: Vec<String> =
        front.pipe.principals.lock().unwrap().iter().map(ToString::to_string).collect();
    people.dedup();

    assert!(people.iter().all(|it| it == "bob" || it == "alice"), "{people:?}");
    assert!(people.len() > 2, "{people:?}");
}

#[tokio::test]
async fn replaced_tokens_count_from_the_next_request_on() {
    let old = AccessConfig {
        tokens: vec![token_grant("bob", "the old token of bob", Scope::ALL)],
        clients: Vec::new(),
    };
    let front = front_with(&old, Web::plain());

    assert_eq!(with_token(&front, "/api/v1/pause", "the old token of bob").await.0, StatusCode::OK);

    let new = AccessConfig {
        tokens: vec![token_grant("bob", "the new token of bob", Scope::ALL)],
        clients: Vec::new(),
    };
    front.replace_access(&new);

    let (status, _) = with_token(&front, "/api/v1/pause", "the old token of bob").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(with_token(&front, "/api/v1/pause", "the new token of bob").await.0, StatusCode::OK);
}

#[tokio::test]
async fn runs_are_filtered_and_come_in_pages() {
    let front = front(None);
    let path = "/api/v1/runs?cluster=main&state=held,stuck&playbook=threads\
                &since=2026-01-02T03:04:05Z&before=120&limit=1";
    let (status, body) = front.get(path).await;
    let answer: Value = serde_json::from_str(&body).unwrap();

    assert_eq!((status, &answer["next"]), (StatusCode::OK, &json!(7)), "{body}");
    assert_eq!(answer["runs"][0]["advice"], HoldReason::Cooldown.help().advice);

    let filter = front.pipe.filters.lock().unwrap()[0].clone();
    assert_eq!(
        filter,
        RunFilter {
            cluster: Some(ClusterName::new("main")),
            states: vec![RunState::Held, RunState::Stuck],
            playbook: Some("threads".to_owned()),
            since: Some(WallTime(1_767_323_045_000)),
            before: Some(RunId(120)),
            limit: 1,
        }
    );

    assert_eq!(front.get("/api/v1/runs?since=24h").await.0, StatusCode::OK);

    for wrong in ["state=odd", "since=yesterday", "before=x", "limit=0", "limit=1001", "odd=1"] {
        let (status, _) = front.get(&format!("/api/v1/runs?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn status_says_in_words_what_holds_the_runs() {
    let front = front(None);
    let (status, body) = front.get("/api/v1/status").await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    let cluster = &answer["clusters"][0];

    assert_eq!(status, StatusCode::OK);
    assert_eq!((&answer["mode"], &answer["paused"]), (&json!("act"), &json!(false)));
    assert_eq!(cluster["held"][0]["runs"], 3);
    assert_eq!(cluster["held"][0]["advice"], HoldReason::Cooldown.help().advice);
    assert_eq!(cluster["temporary_changes"][0]["state"], "kept");
}

#[tokio::test]
async fn an_approval_carries_the_digest_and_a_rejection_the_reason() {
    let front = front(Some(TOKEN));
    front.post("/api/v1/runs/7/approve", r#"{"plan_digest": "ab"}"#).await;
    front.post("/api/v1/runs/7/reject", r#"{"reason": "no"}"#).await;
    front.post("/api/v1/runs/7/cancel", "").await;
    let called = front.pipe.called.lock().unwrap().clone();

    assert_eq!(
        called,
        [
            r#"approve 7 Some("ab")"#,
            "run 7",
            r#"reject 7 Some("no")"#,
            "run 7",
            "cancel 7 None",
            "run 7"
        ]
    );
}

#[tokio::test]
async fn runs_are_listed_with_the_labels_of_the_contract() {
    let front = front(None);
    let (status, body) = front.get("/api/v1/runs?limit=5").await;

    assert_eq!(status, StatusCode::OK);

    let runs: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        runs,
        json!({"runs": [{"id": 7, "state": "held", "cluster": "main", "playbook": "broker-threads",
            "optimizer": "tune_brokers", "level": "moderate", "target": "broker 1", "trigger": "alert",
            "cause": "KafkaRequestHandlersSaturated", "attempt": 1, "verdict": "improved",
            "hold": "cooldown",
            "advice": HoldReason::Cooldown.help().advice, "note": null, "rollback_reason": null, "acknowledged": false,
            "created_at": "2026-01-02T03:04:05.006Z", "written_at": "2026-01-02T03:04:06.006Z", "effective_at": null,
            "asked_at": null, "approved_at": null, "expires_at": null, "ended_at": null}], "next": null})
    );
    assert_eq!(*front.pipe.called.lock().unwrap(), ["runs 5"]);

    for query in ["limit=0", "limit=1001", "limit=x", "limit=-1", "offset=3"] {
        let (status, _) = front.get(&format!("/api/v1/runs?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn one_run_is_shown_with_its_plan_its_measurement_and_its_journal() {
    let front = front(None);
    let (status, body) = front.get("/api/v1/runs/7").await;

    assert_eq!(status, StatusCode::OK);

    let run: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(run["id"], 7);
    assert_eq!(
        run["steps"],
        json!([{"index": 0, "wave": 0,
            "change": {"kind": "broker_config", "broker": 1, "key": "num.io.threads", "from": "8",
                "from_stored": null, "to": "16"},
            "subject": "broker 1", "broker": 1, "key": "num.io.threads", "from": "8",
            "from_stored": null, "to": "16", "state": "applied", "at": "2026-01-02T03:04:05.006Z"}])
    );
    assert_eq!(
        run["objective"],
        json!({"query": "a", "before": 0.25, "after": 0.1, "effect": 0.6, "load_change": -0.03,
            "sentence": "as large an improvement came about by itself in 0 of 20 windows",
            "evidence": null})
    );
    assert_eq!(run["journal"][0]["at"], "2026-01-02T03:04:05.006Z");

    for id in ["8", "x", "-1", "7.0", "99999999999999999999"] {
        let (status, body) = front.get(&format!("/api/v1/runs/{id}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
        assert!(body.contains("there is no run"), "{body}");
    }
}

#[tokio::test]
async fn an_order_is_accepted_completely_or_refused() {
    let front = front(Some(TOKEN));
    let order = json!({"cluster": "main", "broker": 1, "level": "moderate", "rehearse": true});
    let (status, answer) = front.post("/api/v1/runs", order.to_string()).await;

    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"id": 7})));

    let (status, _) = front.post("/api/v1/runs", r#"{"level":"aggressive"}"#).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    {
        let orders = front.pipe.orders.lock().unwrap();
        assert_eq!(orders[0].target, Target::Broker(BrokerId::from_wire(1).unwrap()));
        assert!(orders[0].dry_run);
        assert_eq!((&orders[1].cluster, orders[1].dry_run), (&None, false));
    }

    for bad in [
        r#"{"level":"emergency"}"#,
        r#"{"level":"moderate","broker":-1}"#,
        r#"{"level":"moderate","broker":"1"}"#,
        r#"{"level":"moderate","rehearsal":true}"#,
        "{}",
        "",
    ] {
        let (status, _) = front.post("/api/v1/runs", bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }

    assert_eq!(front.pipe.orders.lock().unwrap().len(), 2);

    let (status, answer) =
        front.post("/api/v1/runs", r#"{"level":"moderate","cluster":"other"}"#).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(answer["error"], "there is no cluster other");
}

#[tokio::test]
async fn rollback_acknowledge_release_pause_and_resume_reach_the_pipeline() {
    let front = front(Some(TOKEN));

    assert_eq!(front.post("/api/v1/runs/7/rollback", "{}").await.0, StatusCode::ACCEPTED);
    assert_eq!(front.post("/api/v1/runs/8/rollback", "").await.0, StatusCode::CONFLICT);
    assert_eq!(front.post("/api/v1/runs/x/rollback", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(front.post("/api/v1/runs/7/acknowledge", "").await.0, StatusCode::OK);

    let (status, answer) = front.post("/api/v1/quarantine/release", r#"{"cluster":"main"}"#).await;
    assert_eq!(
        (status, &answer["released"][0]),
        (
            StatusCode::OK,
            &json!(
                "ReleaseOrder { cluster: Some(ClusterName(\"main\")), playbook: None, \
                 target: None, key: None }"
            )
        )
    );

    let (_, answer) = front.post("/api/v1/pause", "").await;
    assert_eq!(answer, json!({"paused": true}));
    assert!(front.get("/").await.1.contains("Remediation is paused"));

    let (_, answer) = front.post("/api/v1/resume", "{}").await;
    assert_eq!(answer, json!({"paused": false}));
}

#[tokio::test]
async fn metrics_are_served_as_text_plain_or_compressed_by_accept_encoding() {
    let front = front(None);
    let (status, response) =
        front.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;

    assert_eq!(status, StatusCode::OK);

    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(response.headers()[header::CONTENT_TYPE], kind);

    let page = text(response).await;
    assert!(page.contains("\nkafka_up{kafka_cluster=\"main\"} 0\n"), "{page}");
    assert!(page.contains("\nkafka_optimizer_build_info{"), "{page}");

    let request = Request::get("/metrics").header(header::ACCEPT_ENCODING, "gzip");
    let (_, response) = front.send(request.body(Body::empty()).unwrap()).await;

    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers()[header::CONTENT_TYPE], kind);

    let zipped = response.into_body().collect().await.unwrap().to_bytes();
    let mut unzipped = String::new();
    GzDecoder::new(zipped.as_ref()).read_to_string(&mut unzipped).unwrap();

    assert_eq!(unzipped.lines().next(), page.lines().next());
    assert!(unzipped.contains("\nkafka_optimizer_build_info{"), "only one gzip member: {unzipped}");
}

#[tokio::test]
async fn metrics_are_served_as_openmetrics_where_that_is_preferred() {
    let front = front(None);
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3";
    let request = Request::get("/metrics").header(header::ACCEPT, accept);
    let (status, response) = front.send(request.body(Body::empty()).unwrap()).await;

    assert_eq!(status, StatusCode::OK);

    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
    assert_eq!(response.headers()[header::VARY], "Accept, Accept-Encoding");

    let page = text(response).await;
    assert!(page.contains("\nkafka_up{kafka_cluster=\"main\"} 0\n"), "{page}");
    assert!(page.contains("\n# TYPE kafka_optimizer_truncated_alerts counter\n"), "{page}");
    assert!(page.ends_with("\n# EOF\n"), "{page}");
    assert_eq!(page.matches("# EOF").count(), 1);
}

#[tokio::test]
async fn the_process_is_alive_at_once_and_ready_after_the_first_round() {
    let front = front(None);

    assert_eq!(front.get("/-/healthy").await.0, StatusCode::OK);
    assert_eq!(front.get("/-/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);

    front.ready.send_replace(true);
    assert_eq!(front.get("/-/ready").await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_landing_page_shows_version_mode_and_clusters() {
    let (status, page) = front(None).get("/").await;

    assert_eq!(status, StatusCode::OK);
    for wanted in
        ["0.1.0", "main", "not read yet", "rehearse", "href=\"/metrics\"", "href=\"/runs\""]
    {
        assert!(page.contains(wanted), "{wanted} in {page}");
    }
}

#[tokio::test]
async fn a_wrong_path_or_method_gets_an_answer_with_a_request_id() {
    let front = front(None);
    let (status, body) = front.get("/nothing").await;

    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("request_id"), "{body}");
    assert_eq!(front.get("/api/v1/alerts").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

/// Reads until the server closes the connection.
async fn all_of(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await;
    let Ok(_) = read else { panic!("the connection is still open") };

    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_request_with_an_endless_head_is_cut_off() {
    let limits = Limits { head_timeout: Duration::from_millis(200), ..Limits::default() };
    let (address, _tasks) = listening(&front(None), limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    all_of(&mut stream).await;
}

#[tokio::test]
async fn a_17_mib_body_over_a_socket_is_answered_before_the_connection_ends() {
    let (address, _tasks) = listening(&front(Some(TOKEN)), Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/alerts HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        17 << 20
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; 17 << 20]).await.unwrap();
    let answer = all_of(&mut stream).await;

    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// 600 half heads of one client kept Prometheus and Alertmanager out for 40 s.
#[tokio::test]
async fn a_client_with_many_connections_leaves_places_for_others() {
    let limits = Limits { connections_per_address_max: 2, ..Limits::default() };
    let front = front(None);
    let (address, _tasks) = listening(&front, limits).await;
    let mut held = Vec::new();

    for _ in 0..2 {
        held.push(TcpStream::connect(address).await.unwrap());
        held.last_mut().unwrap().write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    }

    let mut third = TcpStream::connect(address).await.unwrap();
    assert_eq!(all_of(&mut third).await, "");

    let counted = "kafka_optimizer_http_connections_refused_total{limit=\"address\"} 1";
    assert!(front.telemetry.encode().unwrap().contains(counted));

    // A place is free again.
    drop(held);
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _refused = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _refused = stream.read_to_end(&mut answer).await;

        if answer.starts_with(b"HTTP/1.1 200 ") {
            return;
        }

        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    panic!("the places were never free again");
}

#[tokio::test]
async fn the_first_head_has_less_time_than_the_pause_between_two_scrapes() {
    let limits = Limits { first_head_timeout: Duration::from_millis(200), ..Limits::default() };
    let (address, _tasks) = listening(&front(None), limits).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut scraper = TcpStream::connect(address).await.unwrap();
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n";
    scraper.write_all(request).await.unwrap();

    assert_eq!(all_of(&mut silent).await, "");

    scraper.write_all(request).await.unwrap();
    let mut answers = vec![0; 1024];
    let count = scraper.read(&mut answers).await.unwrap();

    assert!(answers[..count].starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_and_shutdown_ends_idle_ones() {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let (address, tasks) = listening(&front(None), limits).await;
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(request).await.unwrap();

    let waiting =
        tokio::time::timeout(Duration::from_millis(300), second.readable()).await.is_err();

    assert!(waiting, "a second connection was served while the first was open");

    drop(first);
    assert!(all_of(&mut second).await.starts_with("HTTP/1.1 200 "));

    let mut idle = TcpStream::connect(address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    tasks.drain(Duration::from_secs(10)).await;

    assert_eq!(all_of(&mut idle).await, "");
}
