//! Named baselines: recorded from Prometheus and the brokers, compared, and served by the API.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::StatusCode;
use kafka_optimizer::{
    baseline::{BaselineName, ComparedMetric, Metric, Outcome},
    config,
    model::{ClusterName, ConfigEntry, ConfigSource, Principal, WallTime},
    prometheus::{InstantSeries, LabelSet, PrometheusError, QueryRange, RangeSeries, SamplePair},
    remediation::{
        BaselineOrder, BaselineRequest, Context, IdentityCell, OrderError, PauseFile, Remediator,
    },
    store::{JournalFilter, Store},
    telemetry::{BuildInfo, Telemetry},
};
use serde_json::json;
use tokio::{
    sync::{Notify, watch},
    time::advance,
};

use crate::{
    answering_prometheus::AnsweringPrometheus,
    http_harness::{TOKEN, front},
    scripted_kafka::{BEGIN, ClusterScript, PausedClock, ScriptedKafka, id},
};

const MINUTE: Duration = Duration::from_mins(1);
/// From the first sample to the beginning of each test. From then on, produce requests take less
/// time.
const CHANGE: Duration = Duration::from_hours(60);

const CONFIG: &str = "
clusters: [{name: main, bootstrap_servers: [a:1], prometheus: {url: 'http://prometheus:9090'}}]
";

fn began() -> WallTime {
    BEGIN.before(CHANGE)
}

/// What Prometheus does, beside counting.
#[derive(Default)]
struct PrometheusScript {
    is_down: bool,
    is_empty: bool,
    queries: Vec<String>,
}

/// A counter that grows by `rate` each second, not quite evenly.
fn counted(rate: f64, seconds: f64) -> f64 {
    rate * (seconds + 4.0 * (seconds / 97.0).sin())
}

/// What one broker counts, of which nothing but the time of produce requests ever changes.
fn value(query: &str, seconds: f64) -> f64 {
    let change = CHANGE.as_secs_f64();
    let has = |name: &str| query.contains(name);

    if has("kafka:produce_time:milliseconds_sum") {
        let before = counted(2.0, seconds.min(change));
        before + if change < seconds { counted(0.8, seconds) - counted(0.8, change) } else { 0.0 }
    } else if has("kafka:fetch_time:milliseconds_sum") {
        counted(5.0, seconds)
    } else if has(":requests_count") || has("totaltimems_count_total") {
        counted(200.0, seconds)
    } else if has("brokertopicmetrics") {
        counted(1e6, seconds)
    } else if has("cpu_seconds_total") || has("idle:seconds_sum") {
        counted(0.5, seconds)
    } else if has("handler_time:seconds_sum") {
        counted(1.0, seconds)
    } else if has("networkprocessoravgidle") {
        0.7 + 0.01 * (seconds / 61.0).sin()
    } else {
        assert!(has("jvm_memory_used_bytes"), "{query}");
        4e8 * (1.0 + 0.02 * (seconds / 61.0).sin())
    }
}

fn range(
    script: &Mutex<PrometheusScript>,
    query: &str,
    range: QueryRange,
) -> Result<Vec<RangeSeries>, PrometheusError> {
    let mut script = script.lock().unwrap();
    script.queries.push(query.to_owned());

    if script.is_down {
        let (url, problem) = ("http://prometheus:9090".to_owned(), "refused".to_owned());
        return Err(PrometheusError::Unavailable { url, problem });
    }

    assert_eq!(range.step, MINUTE);
    assert!(query.contains("kafka_cluster=\"main\""), "{query}");

    let points = range.end.since(range.start).as_secs() / 60 + 1;
    let at = |it: u64| range.start.after(MINUTE * u32::try_from(it).unwrap());
    let sample =
        |at: WallTime| SamplePair { at, value: value(query, at.since(began()).as_secs_f64()) };
    let series = |broker: &str| RangeSeries {
        labels: LabelSet::from([("broker_id".to_owned(), broker.to_owned())]),
        samples: (0..points).map(at).map(sample).collect(),
    };

    Ok(if script.is_empty { Vec::new() } else { vec![series("1"), series("2")] })
}

/// A cluster without alerts, and who orders.
struct Recorder {
    remediator: Remediator,
    prometheus: Arc<Mutex<PrometheusScript>>,
    kafka: Arc<ScriptedKafka>,
    store: Store,
    by: Principal,
}

fn threads(value: &str) -> ConfigEntry {
    ConfigEntry {
        key: "num.io.threads".to_owned(),
        effective: Some(value.to_owned()),
        source: ConfigSource::DynamicBroker,
        read_only: false,
        synonyms: Vec::new(),
    }
}

impl Recorder {
    fn new() -> Self {
        let loaded = config::parse(CONFIG, &|_| panic!("it names no file")).unwrap();
        let cluster = loaded.config.clusters[0].clone();
        let build = BuildInfo { version: "0", revision: "0", rustc: "0" };
        let telemetry = Telemetry::new(build, &[], std::slice::from_ref(&cluster.name));
        let configs = [(id(1), vec![threads("8")]), (id(2), vec![threads("8")])];
        let kafka = ScriptedKafka::new(ClusterScript {
            configs: configs.into(),
            ..ClusterScript::default()
        });
        let prometheus = Arc::<Mutex<PrometheusScript>>::default();
        let script = Arc::clone(&prometheus);
        let answering = AnsweringPrometheus {
            instant: Box::new(|query: &str| -> Vec<InstantSeries> { panic!("{query}") }),
            range: Box::new(move |query, it| range(&script, query, it)),
        };
        let store = Store::in_memory().unwrap();
        let context = Context {
            cluster: Arc::new(cluster),
            is_only_cluster: true,
            remediation: Arc::new(loaded.config.remediation),
            kafka: Arc::clone(&kafka) as _,
            prometheus: Some(Arc::new(answering)),
            docker: None,
            clock: PausedClock::shared(),
            store: store.clone(),
            telemetry: Arc::new(telemetry),
            latest: watch::channel(None).1,
            pause: PauseFile::in_memory(),
            wake: Arc::new(Notify::new()),
            installation: "1a2b".into(),
            identity: IdentityCell::default(),
        };

        Self {
            remediator: Remediator::new(vec![context]).unwrap(),
            prometheus,
            kafka,
            store,
            by: Principal::new("alice"),
        }
    }

    async fn record(&self, name: &str, replace: bool) -> Result<(), OrderError> {
        let window = Duration::from_mins(10);
        let order = BaselineOrder { cluster: None, name: named(name), window, replace };
        self.remediator.record_baseline(order, &self.by).await.map(drop)
    }

    async fn compare(&self, name: &str, with: Option<&str>) -> Vec<ComparedMetric> {
        let with = with.map(named);
        let request = BaselineRequest { cluster: None, name: named(name), with };
        self.remediator.compare_baseline(request).await.unwrap().comparison.metrics
    }
}

fn named(name: &str) -> BaselineName {
    BaselineName::parse(name).unwrap()
}

fn of_cluster(metrics: &[ComparedMetric], metric: Metric) -> ComparedMetric {
    let found = metrics.iter().find(|it| it.metric == metric && it.broker.is_none());
    found.unwrap().clone()
}

fn near(found: Option<f64>, want: f64) -> bool {
    found.is_some_and(|it| (it - want).abs() < 0.05 * want)
}

#[tokio::test(start_paused = true)]
async fn a_window_is_recorded_and_a_later_one_differs_in_what_changed() {
    let recorder = Recorder::new();
    recorder.record("before", false).await.unwrap();

    let stored = recorder.remediator.baseline(None, &named("before")).await.unwrap();
    let measured = &stored.measured;

    assert_eq!((measured.bins, measured.series.len()), (10, 18));
    assert_eq!(measured.end(), BEGIN.before(Duration::from_secs(15)));

    for (metric, want) in [
        (Metric::ProduceTime, 0.01),
        (Metric::FetchTime, 0.025),
        (Metric::BytesIn, 2e6),
        (Metric::Requests, 400.0),
        (Metric::Cpu, 1.0),
        (Metric::HandlerIdle, 0.5),
        (Metric::NetworkIdle, 0.7),
        (Metric::Heap, 8e8),
    ] {
        let found = measured.median(metric, None);
        assert!(near(found, want), "{metric} {found:?}");
    }

    advance(Duration::from_mins(30)).await;
    recorder.kafka.change(|it| drop(it.configs.insert(id(2), vec![threads("16")])));
    let request = BaselineRequest { cluster: None, name: named("before"), with: None };
    let compared = recorder.remediator.compare_baseline(request).await.unwrap();
    let produce = of_cluster(&compared.comparison.metrics, Metric::ProduceTime);

    assert_eq!(produce.outcome, Some(Outcome::Better), "{produce:?}");
    assert!((produce.change.unwrap().change + 0.6).abs() < 0.05, "{produce:?}");
    assert!(near(produce.before, 0.01) && near(produce.after, 0.004), "{produce:?}");
    assert_eq!(compared.comparison.history_bins, 2880);
    assert_eq!(compared.comparison.notes, ["the configuration is not the same: broker 2"]);

    for one in compared.comparison.metrics {
        let is_changed = one.metric == Metric::ProduceTime;
        assert!(is_changed || one.outcome != Some(Outcome::Better), "{one:?}");
        assert_ne!(one.outcome, Some(Outcome::Worse), "{one:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_version_of_kafka_is_that_of_the_brokers_or_of_their_metadata() {
    let recorder = Recorder::new();
    let version = async |name: &str| {
        recorder.record(name, false).await.unwrap();
        recorder.remediator.baseline(None, &named(name)).await.unwrap().setting.kafka_version
    };

    assert_eq!(version("unknown").await, None);

    recorder.kafka.change(|it| it.metadata_version = Some(25));
    assert_eq!(version("new").await.as_deref(), Some("4.0-IV3"));

    let protocol = ConfigEntry {
        key: "inter.broker.protocol.version".to_owned(),
        effective: Some("3.9-IV0".to_owned()),
        ..threads("8")
    };

    recorder.kafka.change(|it| drop(it.configs.insert(id(1), vec![protocol])));
    assert_eq!(version("old").await.as_deref(), Some("3.9-IV0"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_baseline_is_gone_and_the_journal_says_who_deleted_it() {
    let recorder = Recorder::new();
    recorder.record("peak", false).await.unwrap();
    let delete = async |name: &str| {
        recorder.remediator.delete_baseline(None, &named(name), &recorder.by).await
    };

    let deleted = delete("peak").await.unwrap();
    assert_eq!((deleted.name.as_str(), deleted.window.bins), ("peak", 10));

    assert!(near(deleted.window.requests_per_second, 400.0), "{deleted:?}");
    assert!(matches!(delete("peak").await, Err(OrderError::NotFound(_))));
    assert_eq!(recorder.remediator.baselines(None).await.unwrap(), []);

    let lines = recorder.store.journal(JournalFilter { limit: 10, ..JournalFilter::default() });
    let lines = lines.await.unwrap();

    assert_eq!(lines[0].text, "alice deleted the baseline peak of main");

    recorder.record("peak", false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_baselines_are_compared_without_reading_their_windows_again() {
    let recorder = Recorder::new();
    recorder.record("before", false).await.unwrap();
    advance(Duration::from_mins(30)).await;
    recorder.record("after", false).await.unwrap();
    recorder.prometheus.lock().unwrap().queries.clear();

    let found = recorder.compare("before", Some("after")).await;
    let produce = of_cluster(&found, Metric::ProduceTime);

    assert_eq!(produce.outcome, Some(Outcome::Better), "{produce:?}");

    // Three means of two counters each, and six other metrics, of the history alone.
    assert_eq!(recorder.prometheus.lock().unwrap().queries.len(), 12);

    let back = recorder.compare("after", Some("before")).await;
    let produce = of_cluster(&back, Metric::ProduceTime);

    assert_eq!(produce.outcome, Some(Outcome::Worse), "{produce:?}");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_once_and_who_recorded_it_is_in_the_journal() {
    let recorder = Recorder::new();
    recorder.record("peak", false).await.unwrap();

    let refused = recorder.record("peak", false).await.unwrap_err();
    let OrderError::Conflict(text) = refused else { panic!("{refused}") };

    assert!(text.contains("`peak`") && text.contains("replace"), "{text}");

    advance(Duration::from_mins(5)).await;
    recorder.record("peak", true).await.unwrap();
    let all = recorder.remediator.baselines(Some(ClusterName::new("main"))).await.unwrap();

    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].recorded_at, all[0].by.as_str()),
        (BEGIN.after(Duration::from_mins(5)), "alice")
    );

    let filter = JournalFilter { limit: 10, ..JournalFilter::default() };
    let journal = recorder.store.journal(filter).await.unwrap();

    assert_eq!(journal.len(), 2);
    assert_eq!(journal[0].text, "alice recorded the baseline peak of main");
    assert_eq!(journal[0].by, Some(Principal::new("alice")));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recorded_without_samples_or_prometheus() {
    let recorder = Recorder::new();
    recorder.prometheus.lock().unwrap().is_empty = true;
    let refused = recorder.record("empty", false).await.unwrap_err();

    assert!(refused.to_string().contains("has nothing of the brokers"), "{refused}");

    recorder.prometheus.lock().unwrap().is_down = true;
    let refused = recorder.record("down", false).await.unwrap_err();

    assert!(refused.to_string().contains("refused"), "{refused}");
    assert!(recorder.remediator.baselines(None).await.unwrap().is_empty());

    let missing = recorder.remediator.baseline(None, &named("down")).await.unwrap_err();
    assert!(matches!(missing, OrderError::NotFound(_)), "{missing}");
}

#[tokio::test]
async fn the_api_records_lists_shows_and_compares() {
    let front = front(Some(TOKEN));
    let path = "/api/v1/baselines";
    let (status, made) =
        front.post(path, json!({"name": "peak", "seconds": 1800}).to_string()).await;

    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!((&made["name"], &made["by"]), (&json!("peak"), &json!("token")));
    assert!(near(made["measured"][0]["median"].as_f64(), 0.0055), "{made}");
    assert_eq!(made["window"]["broker_configs"], json!({"1": "1a2b"}));

    let get = async |path: &str| {
        let (status, text) = front.get(path).await;
        (status, serde_json::from_str::<serde_json::Value>(&text).unwrap())
    };
    let (status, all) = get("/api/v1/baselines?cluster=main").await;

    assert_eq!((status, all["baselines"].as_array().unwrap().len()), (StatusCode::OK, 1));
    assert_eq!(all["baselines"][0]["recorded_at"], "2026-01-02T03:04:05.006Z");
    assert!(all["baselines"][0].get("measured").is_none());

    let (status, one) = get("/api/v1/baselines/before-upgrade").await;
    assert_eq!((status, &one["measured"][0]["unit"]), (StatusCode::OK, &json!("seconds")));

    let (status, compared) = get("/api/v1/baselines/before-upgrade/comparison?with=peak").await;
    assert_eq!((status, &compared["with"]), (StatusCode::OK, &json!("peak")));
    assert_eq!(compared["metrics"][0]["change_high"], json!(-0.5));
    assert_eq!(compared["metrics"][1]["verdict"], json!(null));

    assert_eq!(get("/api/v1/baselines/none").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get("/api/v1/baselines/none/comparison").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_api_refuses_wrong_names_windows_and_parameters() {
    let front = front(Some(TOKEN));
    for wrong in [
        json!({"name": "a b"}),
        json!({"name": ""}),
        json!({"name": "a", "seconds": 60}),
        json!({"name": "a", "seconds": 90_000}),
        json!({"name": "a", "for": "10m"}),
        json!({}),
    ] {
        let (status, answer) = front.post("/api/v1/baselines", wrong.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong} {answer}");
    }

    for path in ["?with=a", "/a?with=b", "/a%20b", "/a/comparison?with=b%20c", "?x=1"] {
        let (status, _) = front.get(&format!("/api/v1/baselines{path}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }

    assert!(front.pipe.called.lock().unwrap().is_empty());

    let taken = json!({"name": "before-upgrade"}).to_string();
    assert_eq!(front.post("/api/v1/baselines", taken).await.0, StatusCode::CONFLICT);
}
