//! The probe against librdkafka's own mock brokers.

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
/// Long enough for a busy machine, short enough to wait for.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A probe at work on brokers 1 to 3, each leading the partition below its number.
struct ProbeHarness {
    brokers: MockCluster<'static, DefaultProducerContext>,
    telemetry: Arc<Telemetry>,
    clock: SharedClock,
    tasks: Tasks,
}

fn probe(bootstrap: String, clock: &SharedClock, telemetry: &Arc<Telemetry>) -> Probe {
    let options = ProbeOptions {
        cluster: ClusterName::new("main"),
        bootstrap: vec![bootstrap],
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

    /// The value of a counter of broker `id`, or of its histogram's count; nothing without it.
    fn value(&self, name: &str, id: i32, more: &str) -> Option<u64> {
        let series =
            format!("kafka_probe_{name}{{kafka_cluster=\"main\",broker_id=\"{id}\"{more}}} ");
        let page = self.telemetry.encode().unwrap();
        page.lines().find_map(|it| it.strip_prefix(&series)).map(|it| it.parse().unwrap())
    }

    fn attempts(&self, id: i32) -> u64 {
        self.value("attempts_total", id, "").unwrap_or(0)
    }

    fn failures(&self, id: i32, fault: ProbeFault) -> u64 {
        self.value("failures_total", id, &format!(",reason=\"{fault}\"")).unwrap_or(0)
    }

    fn all_failures(&self, id: i32) -> u64 {
        ProbeFault::ALL.iter().map(|it| self.failures(id, *it)).sum()
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

    /// Until each of `ids` has done `more` round trips than now.
    async fn round_trips_more(&self, ids: &[i32], more: u64) {
        let before: Vec<u64> = ids.iter().map(|it| self.round_trips(*it)).collect();
        self.until("round trips", |bench| {
            let mut all = ids.iter().zip(&before);
            all.all(|(id, before)| before + more <= bench.round_trips(*id))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_goes_through_each_broker_and_back() {
    let bench = ProbeHarness::new();
    bench.round_trips_more(&[1, 2, 3], 3).await;
    for id in 1..=3 {
        assert!(0 < bench.attempts(id));
        // The first record of a partition begins the reading and is no measure of it.
        assert!(bench.round_trips(id) < bench.value("produce_seconds_count", id, "").unwrap());
        for fault in ProbeFault::ALL {
            let series = bench.value("failures_total", id, &format!(",reason=\"{fault}\""));
            assert_eq!(series, Some(0), "{fault} of broker {id}");
        }
    }
    assert_eq!(bench.tasks.drain(Duration::from_secs(10)).await, Drained::Cleanly);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_fails_alone_and_recovers() {
    let bench = ProbeHarness::new();
    bench.round_trips_more(&[1, 2, 3], 1).await;
    bench.brokers.broker_round_trip_time(2, Duration::from_secs(5)).unwrap();
    bench.until("a timeout", |it| 2 <= it.failures(2, ProbeFault::Timeout)).await;
    // Two timeouts last as long as ten turns of the others.
    bench.round_trips_more(&[1, 3], 3).await;
    for id in [1, 3] {
        assert!(bench.all_failures(id) < 1, "broker {id}");
    }
    assert_eq!(bench.all_failures(2), bench.failures(2, ProbeFault::Timeout));
    bench.brokers.broker_round_trip_time(2, Duration::ZERO).unwrap();
    bench.round_trips_more(&[2], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_gone_is_a_connection_that_fails() {
    let bench = ProbeHarness::new();
    bench.round_trips_more(&[1, 2, 3], 1).await;
    bench.brokers.broker_down(3).unwrap();
    bench.until("a failure", |it| 1 <= it.failures(3, ProbeFault::Connection)).await;
    bench.round_trips_more(&[1, 2], 3).await;
    assert!(bench.all_failures(1) + bench.all_failures(2) < 1);
    bench.brokers.broker_up(3).unwrap();
    bench.round_trips_more(&[3], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_is_counted_by_its_reason() {
    let bench = ProbeHarness::new();
    bench.round_trips_more(&[1, 2, 3], 1).await;
    let refusals = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    ];
    bench.brokers.request_errors(RDKafkaApiKey::Produce, &refusals);
    let sum =
        |bench: &ProbeHarness, fault| (1..=3).map(|id| bench.failures(id, fault)).sum::<u64>();
    let reasons = [ProbeFault::NotEnoughReplicas, ProbeFault::Authorization];
    bench.until("both refusals", |it| reasons.iter().all(|fault| 1 <= sum(it, *fault))).await;
    bench.round_trips_more(&[1, 2, 3], 2).await;
    let [replicas, authorization] = reasons.map(|fault| sum(&bench, fault));
    assert_eq!(replicas, 1);
    // The client holds it against the topic: what waits for other brokers fails with it.
    assert!((1..=3).contains(&authorization), "{authorization}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_leads_nothing_is_left_alone_until_it_leads_again() {
    let bench = ProbeHarness::new();
    bench.round_trips_more(&[1, 2, 3], 1).await;
    bench.brokers.partition_leader(TOPIC, 0, Some(2)).unwrap();
    // Longer than it takes to see that it moved.
    bench.round_trips_more(&[2, 3], 10).await;
    let before = bench.attempts(1);
    bench.round_trips_more(&[2, 3], 5).await;
    assert_eq!(bench.attempts(1), before, "not probed");
    bench.brokers.partition_leader(TOPIC, 0, Some(1)).unwrap();
    bench.round_trips_more(&[1], 2).await;
    // What was under way while the leader moved may be late instead.
    let expected = [ProbeFault::NotLeader, ProbeFault::Timeout];
    for id in 1..=3 {
        let of_moving: u64 = expected.iter().map(|it| bench.failures(id, *it)).sum();
        assert_eq!(bench.all_failures(id), of_moving, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_does_not_hold_up_the_end() {
    let bench = ProbeHarness::new();
    bench.round_trips_more(&[1, 2, 3], 1).await;
    for id in 1..=3 {
        bench.brokers.broker_round_trip_time(id, Duration::from_mins(1)).unwrap();
    }
    bench.clock.sleep(INTERVAL * 2).await;
    assert_eq!(bench.tasks.drain(Duration::from_secs(15)).await, Drained::Cleanly);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_came_back_through_another_broker_is_no_measure_of_this_one() {
    let bench = ProbeHarness::new();
    bench.round_trips_more(&[1, 2, 3], 1).await;
    bench.tasks.drain(Duration::from_secs(10)).await;
    let probe = probe(bench.brokers.bootstrap_servers(), &bench.clock, &bench.telemetry);
    let clients = Arc::new(ProbeClients::new(&probe.options, &bench.clock).unwrap());
    let mut rounds = ProbeLoop::new(&probe, clients);
    let broker = |id| BrokerId::from_wire(id).unwrap();
    let led_by = |id| {
        let partition =
            topic::ProbePartition { leader: Some(broker(id)), replicas: vec![broker(1)] };
        let seen = ProbeMetadata {
            brokers: [1, 2, 3].map(broker).into(),
            partitions: BTreeMap::from([(0, partition)]),
            fault: None,
        };
        Ok(RefreshOutcome { seen, fault: None, tried: false })
    };
    let took = Some(Duration::from_secs(1));
    let probed = ProbeResult { produced: took, round_trip: took, fault: None };
    let came_back = AttemptResult { broker: broker(1), partition: 0, probed, reading: true };
    let (attempts, round_trips) = (bench.attempts(1), bench.round_trips(1));

    // A look is under way while it comes back: what it sees may be from before.
    rounds.look();
    rounds.done(came_back);
    rounds.looked(led_by(1));
    assert_eq!(bench.attempts(1), attempts, "not yet");
    rounds.looked(led_by(1));
    assert_eq!((bench.attempts(1), bench.round_trips(1)), (attempts + 1, round_trips + 1));
    rounds.done(came_back);
    rounds.looked(led_by(2));
    assert_eq!((bench.attempts(1), bench.round_trips(1)), (attempts + 2, round_trips + 1));
    assert_eq!(bench.failures(1, ProbeFault::NotLeader), 1);
}
