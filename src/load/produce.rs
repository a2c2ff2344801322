//! Runs the producers of a load, and prints reports of what they measure.

use std::{io::Write, sync::Arc, time::Duration};

use rdkafka::{ClientConfig, error::KafkaError};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    cli::ProduceArgs,
    client::{self, LoadClient},
    error::LoadError,
    schedule::SendSchedule,
    stats::{self, LoadStats, LoadSummary, RecordOutcome, print},
    topic,
};
use crate::{clock::SharedClock, librdkafka::ClientConnection, model::MonotonicTime};

/// Outcomes that may wait for the reporter. Many more than there can be producers, so that a
/// producer never waits for our own printing.
const OUTCOME_QUEUE_MAX: usize = 4_096;

/// Timeout of a record. A broker whose request queue takes many seconds must show as slow, not as
/// unavailable.
const DELIVERY_TIMEOUT_MS: &str = "120000";

/// Writes records for `args.duration`, or until `stop` is cancelled, and prints reports to `out`.
///
/// Records that are in flight at the end are not counted.
///
/// # Errors
///
/// See [`LoadError`]. A failed record is not an error of the load: it is counted.
pub async fn produce(
    args: ProduceArgs,
    connection: &ClientConnection,
    clock: SharedClock,
    stop: CancellationToken,
    out: &mut dyn Write,
) -> Result<LoadSummary, LoadError> {
    let mut stats = LoadStats::new().map_err(LoadError::Histogram)?;
    let config = client_config(connection, &args)?;

    let client = client::create(&config).map_err(LoadError::Client)?;
    let Some(partitions) = topic::wait_for_partitions(&args, client, &clock, &stop, out).await?
    else {
        return finish(stats, Duration::ZERO, &args, out);
    };

    let (outcomes, queue) = mpsc::channel(OUTCOME_QUEUE_MAX);
    // Cancelled however this function ends, so that no producer outlives it.
    let stop = stop.child_token();
    let _stop_on_drop = stop.clone().drop_guard();
    let start = clock.monotonic();
    let mut tasks = JoinSet::new();
    for index in 0..args.producers {
        let client = Arc::new(client::create(&config).map_err(LoadError::Client)?);
        tasks.spawn_blocking(client::poll_loop(Arc::clone(&client), stop.clone()));
        let producer = LoadProducer {
            client,
            clock: SharedClock::clone(&clock),
            schedule: SendSchedule::new(start, index, args.producers, args.rate),
            topic: args.topic.clone(),
            partitions: partitions_for(index, partitions, &args),
            record: random_value(args.record_bytes),
        };
        tasks.spawn(producer.run(outcomes.clone(), stop.clone()));
    }

    drop(outcomes);

    let reporter = Reporter { args: &args, clock: &clock, start, stats: &mut stats };
    let elapsed = reporter.run(queue, &stop, out).await?;

    stop.cancel();
    while let Some(task) = tasks.join_next().await {
        if let Err(panic) = task {
            std::panic::resume_unwind(panic.into_panic());
        }
    }

    finish(stats, elapsed, &args, out)
}

/// Reads the files of the connection, before anything runs that could be blocked by it.
fn client_config(
    connection: &ClientConnection,
    args: &ProduceArgs,
) -> Result<ClientConfig, LoadError> {
    let mut config = connection.client_config()?;
    config
        .set("client.id", &args.client_id)
        .set("acks", args.acks.as_config())
        // Each record is a request of its own.
        .set("linger.ms", "0")
        .set("batch.num.messages", "1")
        .set("enable.idempotence", "false")
        .set("max.in.flight.requests.per.connection", "1")
        .set("socket.nagle.disable", "true")
        .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
        .set("request.timeout.ms", DELIVERY_TIMEOUT_MS)
        .set("socket.timeout.ms", DELIVERY_TIMEOUT_MS)
        // Reconnect soon after a broker is back, not after up to 10 s, the default.
        .set("reconnect.backoff.max.ms", "1000")
        .set("statistics.interval.ms", "0");

    Ok(config)
}

/// The partitions that producer `index` writes to in turn.
fn partitions_for(index: u16, partitions: u16, args: &ProduceArgs) -> Vec<i32> {
    if args.pinned {
        return vec![i32::from(index % partitions)];
    }

    // Each producer starts at another partition, so that they do not all write to one leader.
    let shifted = |it: u16| (u32::from(index) + u32::from(it)) % u32::from(partitions);

    (0..partitions).filter_map(|it| i32::try_from(shifted(it)).ok()).collect()
}

/// Random bytes, so that the topic's compression cannot shrink them.
fn random_value(bytes: u32) -> Vec<u8> {
    let mut value = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    rand::fill(&mut value[..]);
    value
}

fn finish(
    stats: LoadStats,
    elapsed: Duration,
    args: &ProduceArgs,
    out: &mut dyn Write,
) -> Result<LoadSummary, LoadError> {
    let summary = stats.summary(elapsed);
    let line = stats::summary_line(&summary, args.output).map_err(LoadError::Json)?;
    print(&line, out)?;
    Ok(summary)
}

struct LoadProducer {
    client: Arc<LoadClient>,
    clock: SharedClock,
    schedule: SendSchedule,
    topic: String,
    /// Written to in turn; never empty.
    partitions: Vec<i32>,
    record: Vec<u8>,
}

impl LoadProducer {
    /// Writes one record after the other until `stop`.
    async fn run(self, outcomes: mpsc::Sender<RecordOutcome>, stop: CancellationToken) {
        let write = async {
            let mut connected = false;
            for partition in self.partitions.iter().copied().cycle() {
                let now = self.clock.monotonic();
                self.clock.sleep(self.schedule.next(now).0.saturating_sub(now.0)).await;

                let outcome = match self.write(partition).await {
                    Ok(_includes_connecting) if !connected => RecordOutcome::First,
                    Ok(latency) => RecordOutcome::Acked(latency),
                    Err(error) => RecordOutcome::Failed(error.to_string()),
                };
                connected |= matches!(outcome, RecordOutcome::First);
                if outcomes.send(outcome).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = write => (),
            () = stop.cancelled() => (),
        }
    }

    async fn write(&self, partition: i32) -> Result<Duration, KafkaError> {
        let start = self.clock.monotonic();
        client::produce_record(&self.client, &self.topic, partition, &self.record).await?;
        Ok(self.clock.monotonic().0.saturating_sub(start.0))
    }
}

/// Collects the outcomes of all producers and prints reports.
struct Reporter<'a> {
    args: &'a ProduceArgs,
    clock: &'a SharedClock,
    start: MonotonicTime,
    stats: &'a mut LoadStats,
}

impl Reporter<'_> {
    /// Prints a report per interval for the duration of the load, or until `stop`. Returns the
    /// elapsed time.
    async fn run(
        self,
        mut queue: mpsc::Receiver<RecordOutcome>,
        stop: &CancellationToken,
        out: &mut dyn Write,
    ) -> Result<Duration, LoadError> {
        if let Some(header) = stats::header(self.args.output) {
            print(header, out)?;
        }

        let mut reported = Duration::ZERO;
        while reported < self.args.duration {
            let next = (reported + self.args.report_every).min(self.args.duration);
            let mut tick = self.clock.sleep(next.saturating_sub(self.elapsed()));
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(self.elapsed()),
                    () = &mut tick => break,
                    Some(outcome) = queue.recv() => self.stats.add(outcome),
                }
            }

            let elapsed = self.elapsed();
            let figures = self.stats.report(elapsed.saturating_sub(reported), elapsed);
            let line = stats::report_line(&figures, self.args.output).map_err(LoadError::Json)?;
            print(&line, out)?;
            reported = elapsed;
        }

        Ok(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.clock.monotonic().0.saturating_sub(self.start.0)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

    use super::*;
    use crate::{
        clock::SystemClock,
        load::{Acks, LoadClusterArgs, ReportFormat},
    };

    fn connection(cluster: &MockCluster<'_, DefaultProducerContext>) -> ClientConnection {
        ClientConnection {
            bootstrap_servers: vec![cluster.bootstrap_servers()],
            ..ClientConnection::default()
        }
    }

    fn args() -> ProduceArgs {
        ProduceArgs {
            cluster: LoadClusterArgs { kafka_server: Vec::new(), config_file: None, cluster: None },
            topic: "orders".to_owned(),
            partitions: None,
            producers: 4,
            rate: 100,
            record_bytes: 200,
            acks: Acks::Leader,
            pinned: true,
            duration: Duration::from_secs(1),
            client_id: "load".to_owned(),
            report_every: Duration::from_millis(400),
            output: ReportFormat::Text,
        }
    }

    fn clock() -> SharedClock {
        Arc::new(SystemClock::new())
    }

    #[test]
    fn a_pinned_producer_writes_to_one_partition_others_to_all_in_turn() {
        let pinned = args();

        assert_eq!(partitions_for(26, 24, &pinned), [2]);
        let unpinned = ProduceArgs { pinned: false, ..pinned };
        assert_eq!(partitions_for(1, 3, &unpinned), [1, 2, 0]);
        let first_partitions: BTreeSet<i32> =
            (0..24).map(|it| partitions_for(it, 24, &unpinned)[0]).collect();
        assert_eq!(first_partitions.len(), 24);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn records_arrive_at_the_rate_and_are_reported() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 4, 1).unwrap();
        let mut out = Vec::new();
        let summary =
            produce(args(), &connection(&cluster), clock(), CancellationToken::new(), &mut out)
                .await
                .unwrap();
        let text = String::from_utf8(out).unwrap();

        assert_eq!(summary.figures.errors, 0, "{summary}");
        assert!((50..=110).contains(&summary.figures.acked), "{summary}");
        assert!(summary.figures.p50_ms.is_some(), "{summary}");
        assert_eq!(text.lines().count(), 1 + 3 + 1, "header, reports, summary: {text}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_load_waits_for_its_topic_until_stop() {
        let cluster = MockCluster::new(1).unwrap();
        let stop = CancellationToken::new();
        let mut out = Vec::new();
        let soon = {
            let (clock, stop) = (clock(), stop.clone());
            async move {
                clock.sleep(Duration::from_millis(500)).await;
                stop.cancel();
            }
        };
        let connection = connection(&cluster);
        let load = produce(args(), &connection, clock(), stop, &mut out);
        let (summary, ()) = tokio::join!(load, soon);

        assert_eq!(summary.unwrap().figures.acked, 0);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("waiting for topic orders: it does not exist yet\n"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_topic_with_fewer_partitions_than_requested_is_an_error() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 4, 1).unwrap();
        let args = ProduceArgs { partitions: Some(5), ..args() };
        let end = produce(
            args,
            &connection(&cluster),
            clock(),
            CancellationToken::new(),
            &mut Vec::new(),
        )
        .await;
        let problem = end.unwrap_err().to_string();

        assert_eq!(problem, "topic orders has 4 partitions, but --partitions is 5");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_slow_broker_slows_its_producers_down_but_not_the_stop() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 4, 1).unwrap();
        cluster.broker_round_trip_time(1, Duration::from_secs(5)).unwrap();
        let stop = CancellationToken::new();
        let clock = clock();
        let began = clock.monotonic();
        let soon = {
            let (clock, stop) = (SharedClock::clone(&clock), stop.clone());
            async move {
                clock.sleep(Duration::from_millis(700)).await;
                stop.cancel();
            }
        };
        let args = ProduceArgs { output: ReportFormat::Json, ..args() };
        let mut out = Vec::new();
        let connection = connection(&cluster);
        let load = produce(args, &connection, SharedClock::clone(&clock), stop, &mut out);
        let (summary, ()) = tokio::join!(load, soon);

        assert!(summary.unwrap().figures.acked <= 4);
        let took = clock.monotonic().0.saturating_sub(began.0);
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
}
