//! The probe with librdkafka's mock brokers.

use std::time::Duration;

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::*;
use crate::{
    clock::SystemClock,
    model::TopicName,
    shutdown::{Drained, Tasks},
    telemetry::BuildInfo,
};

const TOPIC: &str = "probe";
const INTERVAL: Duration = Duration::from_millis(200);
/// Long enough for a busy machine, short enough for a test.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A running probe of brokers 1 to 3. Broker n leads partition n - 1.
struct ProbeHarness {
    brokers: MockCluster<'static, DefaultProducerContext>,
    telemetry: Arc<Telemetry>,
    clock: SharedClock,
    tasks: Tasks,
}

fn probe(bootstrap: String, clock: &SharedClock, telemetry: &Arc<Telemetry>) -> Probe {
    let options = ProbeOptions {
        cluster: ClusterName::new("main"),
        connection: ClientConnection {
            bootstrap_servers: vec![bootstrap],
            ..ClientConnection::default()
        },
        config: ProbeConfig {
            topic: TopicName::new(TOPIC),
            interval: INTERVAL,
            timeout: TIMEOUT,
            replication_factor: None,
            record_bytes: 100,
        },
    };
    Probe {
        options: Arc::new(options),
        clock: SharedClock::clone(clock),
        telemetry: Arc::clone(telemetry),
    }
}

impl ProbeHarness {
    fn new() -> Self {
        let brokers = MockCluster::new(3).unwrap();
        brokers.create_topic(TOPIC, 3, 1).unwrap();
        for partition in 0..3 {
            brokers.partition_leader(TOPIC, partition, Some(partition + 1)).unwrap();
        }

        let build = BuildInfo { version: "0", revision: "0", rustc: "0" };
        let name = ClusterName::new("main");
        let telemetry = Arc::new(Telemetry::new(build, &[], std::slice::from_ref(&name)));
        let clock: SharedClock = Arc::new(SystemClock::new());
        let probe = probe(brokers.bootstrap_servers(), &clock, &telemetry);
        let tasks = Tasks::default();
        tasks.start("probe", |stop| probe.run(stop));

        Self { brokers, telemetry, clock, tasks }
    }

    /// The value of one series of broker `id`. `more` are further labels, starting with a comma.
    fn value(&self, name: &str, id: i32, more: &str) -> Option<u64> {
        let series =
            format!("kafka_probe_{name}{{kafka_cluster=\"main\",broker_id=\"{id}\"{more}}} ");
        let page = self.telemetry.encode().unwrap();
        page.lines().find_map(|it| it.strip_prefix(&series)).map(|it| it.parse().unwrap())
    }

    fn attempts(&self, id: i32) -> u64 {
        self.value("attempts_total", id, "").unwrap_or(0)
    }

    fn failures(&self, id: i32, failure: ProbeFailure) -> u64 {
        self.value("failures_total", id, &format!(",reason=\"{failure}\"")).unwrap_or(0)
    }

    fn all_failures(&self, id: i32) -> u64 {
        ProbeFailure::ALL.iter().map(|it| self.failures(id, *it)).sum()
    }

    fn round_trips(&self, id: i32) -> u64 {
        self.value("round_trip_seconds_count", id, "").unwrap_or(0)
    }

    async fn until(&self, what: &str, met: impl Fn(&Self) -> bool) {
        let began = self.clock.monotonic();
        while !met(self) {
            let waited = self.clock.monotonic().0.saturating_sub(began.0);
            let page = || self.telemetry.encode().unwrap();
            assert!(waited < Duration::from_mins(1), "{what}: not in a minute\n{}", page());
            self.clock.sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until each of `ids` has completed `more` round trips.
    async fn round_trips_more(&self, ids: &[i32], more: u64) {
        let before: Vec<u64> = ids.iter().map(|it| self.round_trips(*it)).collect();
        self.until("round trips", |harness| {
            let mut all = ids.iter().zip(&before);
            all.all(|(id, before)| harness.round_trips(*id) >= before + more)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_goes_through_each_broker_and_back() {
    let harness = ProbeHarness::new();
    harness.round_trips_more(&[1, 2, 3], 3).await;

    for id in 1..=3 {
        assert!(harness.attempts(id) > 0);
        // The first record of a partition also waits for the assignment, so it is not measured.
        assert!(harness.round_trips(id) < harness.value("produce_seconds_count", id, "").unwrap());
        for failure in ProbeFailure::ALL {
            let series = harness.value("failures_total", id, &format!(",reason=\"{failure}\""));
            assert_eq!(series, Some(0), "{failure} of broker {id}");
        }
    }

    assert_eq!(harness.tasks.drain(Duration::from_secs(10)).await, Drained::Cleanly);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_times_out_alone_and_recovers() {
    let harness = ProbeHarness::new();
    harness.round_trips_more(&[1, 2, 3], 1).await;

    harness.brokers.broker_round_trip_time(2, Duration::from_secs(5)).unwrap();
    harness.until("a timeout", |it| it.failures(2, ProbeFailure::Timeout) >= 2).await;
    // In two timeouts the others have ten rounds.
    harness.round_trips_more(&[1, 3], 3).await;
    for id in [1, 3] {
        assert!(harness.all_failures(id) < 1, "broker {id}");
    }

    assert_eq!(harness.all_failures(2), harness.failures(2, ProbeFailure::Timeout));
    harness.brokers.broker_round_trip_time(2, Duration::ZERO).unwrap();
    harness.round_trips_more(&[2], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_down_is_counted_as_connection() {
    let harness = ProbeHarness::new();
    harness.round_trips_more(&[1, 2, 3], 1).await;

    harness.brokers.broker_down(3).unwrap();
    harness.until("a failure", |it| it.failures(3, ProbeFailure::Connection) >= 1).await;
    harness.round_trips_more(&[1, 2], 3).await;

    assert!(harness.all_failures(1) + harness.all_failures(2) < 1);
    harness.brokers.broker_up(3).unwrap();
    harness.round_trips_more(&[3], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_is_counted_by_its_reason() {
    let harness = ProbeHarness::new();
    harness.round_trips_more(&[1, 2, 3], 1).await;

    let refusals = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    ];
    harness.brokers.request_errors(RDKafkaApiKey::Produce, &refusals);
    let sum = |harness: &ProbeHarness, failure| {
        (1..=3).map(|id| harness.failures(id, failure)).sum::<u64>()
    };
    let reasons = [ProbeFailure::NotEnoughReplicas, ProbeFailure::Authorization];
    harness.until("both refusals", |it| reasons.iter().all(|failure| sum(it, *failure) >= 1)).await;
    harness.round_trips_more(&[1, 2, 3], 2).await;
    let [replicas, authorization] = reasons.map(|failure| sum(&harness, failure));

    assert_eq!(replicas, 1);
    // librdkafka fails all queued records of the topic, so those of other brokers fail as well.
    assert!((1..=3).contains(&authorization), "{authorization}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_leads_no_partition_is_not_probed() {
    let harness = ProbeHarness::new();
    harness.round_trips_more(&[1, 2, 3], 1).await;

    harness.brokers.partition_leader(TOPIC, 0, Some(2)).unwrap();
    // Longer than it takes to notice that the leader moved.
    harness.round_trips_more(&[2, 3], 10).await;
    let before = harness.attempts(1);
    harness.round_trips_more(&[2, 3], 5).await;

    assert_eq!(harness.attempts(1), before, "not probed");
    harness.brokers.partition_leader(TOPIC, 0, Some(1)).unwrap();
    harness.round_trips_more(&[1], 2).await;
    // A record in flight while the leader moved may time out instead.
    let expected = [ProbeFailure::NotLeader, ProbeFailure::Timeout];
    for id in 1..=3 {
        let of_moving: u64 = expected.iter().map(|it| harness.failures(id, *it)).sum();
        assert_eq!(harness.all_failures(id), of_moving, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_does_not_delay_shutdown() {
    let harness = ProbeHarness::new();
    harness.round_trips_more(&[1, 2, 3], 1).await;

    for id in 1..=3 {
        harness.brokers.broker_round_trip_time(id, Duration::from_mins(1)).unwrap();
    }

    harness.clock.sleep(INTERVAL * 2).await;

    assert_eq!(harness.tasks.drain(Duration::from_secs(15)).await, Drained::Cleanly);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_came_back_through_another_broker_is_counted_as_not_leader() {
    let harness = ProbeHarness::new();
    harness.round_trips_more(&[1, 2, 3], 1).await;

    harness.tasks.drain(Duration::from_secs(10)).await;
    let probe = probe(harness.brokers.bootstrap_servers(), &harness.clock, &harness.telemetry);
    let clients = Arc::new(ProbeClients::new(&probe.options, &harness.clock).unwrap());
    let mut probe_loop = ProbeLoop::new(&probe, clients, KnownCluster::default());
    let broker = |id| BrokerId::from_wire(id).unwrap();
    let led_by = |id| {
        let partition =
            topic::ProbePartition { leader: Some(broker(id)), replicas: vec![broker(1)] };
        let metadata = ProbeMetadata {
            brokers: [1, 2, 3].map(broker).into(),
            partitions: BTreeMap::from([(0, partition)]),
            failure: None,
        };
        Ok(RefreshOutcome { metadata, failure: None, setup_attempted: false })
    };
    let took = Some(Duration::from_secs(1));
    let result = ProbeResult { produced: took, round_trip: took, failure: None };
    let came_back = AttemptOutcome { broker: broker(1), partition: 0, result, assigned: true };
    let (attempts, round_trips) = (harness.attempts(1), harness.round_trips(1));

    // A refresh is in progress when the record comes back: its result may be from before.
    probe_loop.start_refresh();
    probe_loop.on_attempt(came_back);
    probe_loop.on_refreshed(led_by(1));

    assert_eq!(harness.attempts(1), attempts, "not yet");
    probe_loop.on_refreshed(led_by(1));
    assert_eq!((harness.attempts(1), harness.round_trips(1)), (attempts + 1, round_trips + 1));
    probe_loop.on_attempt(came_back);
    probe_loop.on_refreshed(led_by(2));
    assert_eq!((harness.attempts(1), harness.round_trips(1)), (attempts + 2, round_trips + 1));
    assert_eq!(harness.failures(1, ProbeFailure::NotLeader), 1);
}
