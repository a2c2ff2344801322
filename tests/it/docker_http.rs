//! The Docker adapter against a scripted engine: the requests it sends, and how it reads the
//! responses.

use std::{
    collections::BTreeMap,
    future::pending,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use kafka_optimizer::{
    clock::SystemClock,
    docker::{Docker, DockerError, engine::Engine},
    model::{CloneName, CloneState, ReadFailure, RequestOutcome},
    shutdown::Tasks,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than any response takes here.
const PATIENT: Duration = Duration::from_secs(20);

/// Status and body by method and path; status 0 closes the connection.
type EngineAnswers = BTreeMap<String, (u16, Value)>;

struct FakeEngine {
    answers: Mutex<EngineAnswers>,
    seen: Mutex<Vec<String>>,
}

/// An engine on its own socket.
struct EngineHarness {
    fake: Arc<FakeEngine>,
    dir: TempDir,
}

async fn handle(State(fake): State<Arc<FakeEngine>>, request: Request) -> Response {
    let uri = request.uri();
    let path = uri.path_and_query().unwrap().as_str();

    // With or without an API version in front.
    let path = match path.strip_prefix("/v1.").and_then(|it| it.split_once('/')) {
        Some((_, rest)) => format!("/{rest}"),
        None => path.to_owned(),
    };
    let call = format!("{} {path}", request.method());
    fake.seen.lock().unwrap().push(call.clone());
    let key = call.split('?').next().unwrap();
    let answer = fake.answers.lock().unwrap().get(key).cloned();

    match answer {
        Some((0, _)) => pending().await,
        Some((status, body)) => {
            let status = StatusCode::from_u16(status).unwrap();
            let bare = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
            if bare { status.into_response() } else { (status, body.to_string()).into_response() }
        }
        None => (StatusCode::NOT_FOUND, r#"{"message":"no such thing"}"#).into_response(),
    }
}

fn labels(more: &[(&str, &str)]) -> Value {
    let mut labels = json!({"kafka-optimizer.role": "consumer", "kafka-optimizer.cluster": "main",
        "kafka-optimizer.group": "billing", "com.docker.compose.project": "shop",
        "com.docker.compose.service": "consumer", "com.docker.compose.container-number": "1"});
    for (label, value) in more {
        labels[*label] = json!(value);
    }

    labels
}

fn template() -> Value {
    json!({"Id": "9eaa", "Name": "/shop-1", "Image": "sha256:01", "RestartCount": 0,
        "State": {"Status": "running", "Running": true},
        "Config": {"Labels": labels(&[]), "StopTimeout": 1},
        "HostConfig": {"NetworkMode": "front"},
        "NetworkSettings": {"Networks": {"front": {"NetworkID": "aa01"},
            "back": {"NetworkID": "bb02", "Aliases": ["consumer"]}}}})
}

/// The clone of run 12, in this state.
fn clone(status: &str) -> Value {
    let more = [("kafka-optimizer.run", "12"), ("kafka-optimizer.clone-of", "9eaa")];
    json!({"Id": "3f0a", "Name": "/shop-2", "RestartCount": 0,
        "State": {"Status": status, "Running": status == "running"},
        "Config": {"Labels": labels(&more), "StopTimeout": 1},
        "NetworkSettings": {"Networks": {"front": {}}}})
}

fn clone_name() -> CloneName {
    CloneName { name: "shop-2".to_owned(), run: 12, cluster: "main".to_owned() }
}

impl EngineHarness {
    /// An engine with one consumer, where a clone can be made.
    fn new() -> Self {
        let answers = [
            ("GET /version", 200, json!({"ApiVersion": "1.41"})),
            ("GET /info", 200, json!({"NCPU": 2, "MemTotal": 1000})),
            ("GET /containers/json", 200, json!([{"Id": "9eaa", "Labels": labels(&[])}])),
            ("GET /containers/9eaa/json", 200, template()),
            ("POST /containers/create", 201, json!({"Id": "3f0a", "Warnings": []})),
            ("GET /containers/3f0a/json", 200, clone("created")),
            ("POST /networks/bb02/connect", 200, json!({})),
            ("POST /containers/3f0a/start", 204, json!(null)),
            ("POST /containers/3f0a/stop", 204, json!(null)),
            ("DELETE /containers/3f0a", 204, json!(null)),
        ];
        let answers = answers.map(|(call, status, body)| (call.to_owned(), (status, body)));
        let fake = FakeEngine { answers: Mutex::new(answers.into()), seen: Mutex::default() };
        let harness = Self { fake: Arc::new(fake), dir: tempfile::tempdir().unwrap() };
        let listener = tokio::net::UnixListener::bind(harness.socket()).unwrap();
        let router = Router::new().fallback(handle).with_state(Arc::clone(&harness.fake));
        Tasks::default().start_short("fake engine", async {
            axum::serve(listener, router).await.unwrap();
        });

        harness
    }

    /// The same, with a container that has the name of the clone.
    fn with(container: Value) -> Self {
        let harness = Self::new();
        harness.answers("GET /containers/shop-2/json", 200, container);
        harness
    }

    fn answers(&self, call: &str, status: u16, body: Value) {
        self.fake.answers.lock().unwrap().insert(call.to_owned(), (status, body));
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    fn engine(&self, deadline: Duration) -> Engine {
        let socket = self.socket().to_string_lossy().into_owned();
        Engine::new(socket, deadline, Arc::new(SystemClock::new()), "1a2b".into())
    }

    async fn start(&self) -> Result<(), DockerError> {
        self.engine(PATIENT).start_clone("9eaa", &clone_name()).await
    }

    async fn remove(&self) -> Result<(), DockerError> {
        self.engine(PATIENT).remove_clone(&clone_name()).await
    }

    async fn state(&self) -> CloneState {
        self.engine(PATIENT).clone_state(&clone_name()).await.unwrap()
    }

    /// The requests, without the version negotiation.
    fn calls(&self) -> Vec<String> {
        let seen = self.fake.seen.lock().unwrap();
        assert_eq!(seen[..2], ["GET /version", "GET /info"]);
        seen[2..].to_vec()
    }

    #[track_caller]
    fn changed_nothing(&self) {
        let calls = self.calls();
        assert!(calls.iter().all(|it| it.starts_with("GET ")), "{calls:#?}");
    }
}

#[tokio::test]
async fn i36_a_clone_uses_only_the_listed_calls() {
    let harness = EngineHarness::new();

    assert_eq!(harness.state().await, CloneState::Absent);

    harness.fake.seen.lock().unwrap().clear();
    harness.start().await.unwrap();
    let calls = harness.calls();

    assert!(calls[2].starts_with("GET /containers/json?all=true"), "{calls:#?}");

    let list = calls[2].clone();
    assert_eq!(
        calls,
        [
            "GET /containers/shop-2/json",
            "GET /containers/9eaa/json",
            &list,
            "POST /containers/create?name=shop-2&platform=",
            "GET /containers/3f0a/json",
            "POST /networks/bb02/connect",
            "POST /containers/3f0a/start",
        ]
    );

    let harness = EngineHarness::with(clone("running"));
    harness.remove().await.unwrap();

    assert_eq!(
        harness.calls(),
        [
            "GET /containers/shop-2/json",
            "POST /containers/3f0a/stop",
            "DELETE /containers/3f0a?v=true&force=false&link=false",
        ]
    );
}

#[tokio::test]
async fn an_existing_clone_is_not_created_again() {
    let harness = EngineHarness::with(clone("running"));

    assert_eq!(harness.state().await, CloneState::Running);

    harness.fake.seen.lock().unwrap().clear();
    harness.start().await.unwrap();
    harness.changed_nothing();

    // Created, then interrupted before its second network and its start.
    let harness = EngineHarness::with(clone("created"));
    harness.start().await.unwrap();
    let changes: Vec<String> =
        harness.calls().into_iter().filter(|it| it.starts_with("POST")).collect();

    assert_eq!(changes, ["POST /networks/bb02/connect", "POST /containers/3f0a/start"]);

    // Removed already, before or during the call.
    EngineHarness::new().remove().await.unwrap();
    let harness = EngineHarness::with(clone("running"));
    harness.answers("POST /containers/3f0a/stop", 404, json!({"message": "no such container"}));
    harness.remove().await.unwrap();
    let harness = EngineHarness::with(clone("exited"));
    harness.answers("POST /containers/3f0a/stop", 304, json!(null));
    harness.answers("DELETE /containers/3f0a", 404, json!({"message": "no such container"}));
    harness.remove().await.unwrap();
}

#[tokio::test]
async fn i36_a_container_that_is_not_this_runs_clone_is_not_touched() {
    let mut other_run = clone("running");
    other_run["Config"]["Labels"]["kafka-optimizer.run"] = json!("11");
    let mut anyones = template();
    anyones["Name"] = json!("/shop-2");

    for container in [other_run, anyones] {
        let harness = EngineHarness::with(container);
        assert_eq!(harness.state().await, CloneState::Foreign);

        harness.fake.seen.lock().unwrap().clear();
        for error in [harness.start().await.unwrap_err(), harness.remove().await.unwrap_err()] {
            assert!(matches!(error, DockerError::Refused { .. }), "{error}");
        }

        let seen = harness.fake.seen.lock().unwrap().clone();
        assert!(seen.iter().all(|it| it.starts_with("GET ")), "{seen:#?}");
    }

    let mut of_another = clone("created");
    of_another["Config"]["Labels"]["kafka-optimizer.clone-of"] = json!("77aa");
    let harness = EngineHarness::with(of_another);

    assert_ne!(harness.start().await.unwrap_err().outcome(), RequestOutcome::Unknown);

    harness.changed_nothing();
}

#[tokio::test]
async fn i37_a_container_with_objections_is_not_cloned() {
    for (key, value, words) in [
        ("HostConfig", json!({"Privileged": true}), "privileged"),
        ("Config", json!({"Labels": {}}), "no consumer of main"),
        ("RestartCount", json!(2), "restarted it 2 times"),
    ] {
        let harness = EngineHarness::new();
        let mut template = template();
        template[key] = value;
        harness.answers("GET /containers/9eaa/json", 200, template);
        let error = harness.start().await.unwrap_err();

        assert!(
            error.outcome() != RequestOutcome::Unknown && error.to_string().contains(words),
            "{error}"
        );

        harness.changed_nothing();
    }
}

#[tokio::test]
async fn a_refusal_tells_whether_the_call_had_an_effect() {
    let refuses = |call: &'static str, status: u16| {
        let harness = EngineHarness::new();
        harness.answers(call, status, json!({"message": "in its own words"}));
        async move { harness.start().await.unwrap_err() }
    };
    for (call, status, outcome) in [
        ("GET /containers/9eaa/json", 404, RequestOutcome::Refused),
        ("POST /containers/create", 409, RequestOutcome::Refused),
        ("POST /containers/create", 500, RequestOutcome::Unknown),
        ("POST /networks/bb02/connect", 403, RequestOutcome::Unknown),
        ("POST /containers/3f0a/start", 400, RequestOutcome::Unknown),
    ] {
        let error = refuses(call, status).await;
        assert_eq!(error.outcome(), outcome, "{call}: {error}");
        assert!(status == 404 || error.to_string().contains("in its own words"), "{error}");
    }
}

#[tokio::test]
async fn a_timeout_leaves_the_outcome_unknown() {
    let harness = EngineHarness::new();
    harness.answers("POST /containers/3f0a/start", 0, json!(null));
    let engine = harness.engine(Duration::from_millis(500));
    let error = engine.start_clone("9eaa", &clone_name()).await.unwrap_err();

    assert!(matches!(error, DockerError::NoAnswer { .. }), "{error}");
    assert_eq!(error.outcome(), RequestOutcome::Unknown);
}

#[tokio::test]
async fn an_unreachable_engine_means_nothing_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("docker.sock");
    let stale = dir.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());

    for socket in [missing, stale] {
        let socket = socket.to_string_lossy().into_owned();
        let engine =
            Engine::new(socket.as_str(), PATIENT, Arc::new(SystemClock::new()), "1a2b".into());
        let error = engine.remove_clone(&clone_name()).await.unwrap_err();

        assert!(matches!(error, DockerError::Unreachable { .. }), "{error:?}");
        assert_eq!(error.outcome(), RequestOutcome::NotSent);
    }
}

/// Two consumers and one broker: `9eaa` as usual, `3f0a` as `odd` describes it.
fn engine_with(odd: Value) -> EngineHarness {
    let harness = EngineHarness::new();
    let listed = json!([
        {"Id": "9eaa", "Labels": labels(&[]), "State": "running"},
        {"Id": "3f0a", "Labels": labels(&[]), "State": odd["State"]["Status"]},
    ]);
    harness.answers("GET /containers/json", 200, listed);
    harness.answers("GET /containers/3f0a/json", 200, odd);

    harness
}

#[tokio::test]
async fn a_container_that_the_engine_describes_in_an_odd_form_hides_no_other() {
    let mut stopped = template();
    stopped["State"] = json!({"Status": "stopped", "Running": false});
    let mut with_text = template();
    with_text["Config"]["Entrypoint"] = json!("/bin/sh -c run");

    for (mut odd, running) in [(stopped, false), (with_text, true)] {
        odd["Id"] = json!("3f0a");
        odd["Name"] = json!("/shop-2");
        let harness = engine_with(odd);
        let found = harness.engine(PATIENT).consumers("main").await.unwrap();
        let said: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.running)).collect();

        assert_eq!(said, [("shop-1", true), ("shop-2", running)]);
        assert_eq!(found[0].objections, Vec::<String>::new());
        assert!(found[1].objections.iter().any(|it| it.contains("in another form")), "{found:?}");
    }
}

#[tokio::test]
async fn an_engine_whose_proxy_refuses_info_is_used_without_it() {
    let harness = EngineHarness::new();
    harness.answers("GET /info", 403, json!({"message": "forbidden"}));

    assert_eq!(harness.engine(PATIENT).consumers("main").await.unwrap().len(), 1);

    harness.start().await.unwrap();
}

#[tokio::test]
async fn a_broker_whose_container_cannot_be_read_is_counted_and_hides_no_other() {
    let harness = EngineHarness::new();
    let of = |broker: &str, state: &str| {
        let labels = json!({"kafka-optimizer.role": "broker", "kafka-optimizer.cluster": "main",
            "kafka-optimizer.broker-id": broker});
        json!({"Id": format!("b{broker}"), "Labels": labels, "State": state})
    };
    harness.answers("GET /containers/json", 200, json!([of("1", "running"), of("2", "stopped")]));

    for broker in ["b1", "b2"] {
        let stats = json!({"cpu_stats": {"cpu_usage": {"total_usage": 5_000_000_000_u64}}});
        harness.answers(&format!("GET /containers/{broker}/stats"), 200, stats);
        harness.answers(&format!("GET /containers/{broker}/json"), 200, template());
    }

    let mut odd = template();
    odd["State"]["Status"] = json!("stopped");
    harness.answers("GET /containers/b2/json", 200, odd);

    let found = harness.engine(PATIENT).broker_usage("main").await.unwrap();
    let said =
        found.iter().map(|it| it.as_ref().map(|it| it.cpu_seconds).map_err(DockerError::failure));

    assert_eq!(said.collect::<Vec<_>>(), [Ok(Some(5.0)), Err(ReadFailure::Protocol)]);
}

#[tokio::test]
async fn consumers_are_listed_by_name_without_those_removed_meanwhile() {
    let harness = EngineHarness::new();
    let listed = json!([{"Id": "9eaa"}, {"Id": "77aa"}, {"Id": "3f0a"}]);
    harness.answers("GET /containers/json", 200, listed);
    harness.answers("GET /containers/3f0a/json", 200, clone("running"));
    let found = harness.engine(PATIENT).consumers("main").await.unwrap();
    let said: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.run, it.running)).collect();

    assert_eq!(said, [("shop-1", None, true), ("shop-2", Some(12), true)]);
    assert_eq!(found[0].objections, Vec::<String>::new());

    // Unlike a container that cannot be inspected, which may still exist.
    harness.answers("GET /containers/77aa/json", 500, json!({"message": "in its own words"}));
    harness.engine(PATIENT).consumers("main").await.unwrap_err();
}
