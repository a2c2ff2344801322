//! Verdicts for past times, from counters as Prometheus has them (I24).

use std::{sync::Arc, time::Duration};

use kafka_optimizer::{
    app::replay::{Replay, ReplayError, Replayed},
    config,
    model::{BrokerId, ClusterName, Target, Verdict, WallTime},
    playbook::Playbook,
    prometheus::{InstantSeries, LabelSet, QueryRange, RangeSeries, SamplePair},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::answering_prometheus::AnsweringPrometheus;

const MINUTE: Duration = Duration::from_mins(1);
const SCRAPE: Duration = Duration::from_secs(15);
/// Minutes from the first sample to the change, and to the last sample.
const CHANGE: usize = 1_500;
const END: usize = 1_600;
const BEGAN: WallTime = WallTime(1_700_000_000_000);

const CONFIG: &str = r#"
clusters: [{bootstrap_servers: [a:1], prometheus: {url: 'http://prometheus:9090'}}]
remediation:
  playbooks:
    - name: broker-threads
      match: {alertname: Slow}
      optimizer: {tune_brokers: {level: moderate}}
      objective:
        mean:
          sum: 'took_sum{kafka_cluster=~".+",broker_id="$broker_id"} / 1000'
          count: 'took_count{broker_id="$broker_id"}'
        better: lower
"#;

/// Two counters for each of three brokers, which swing together and by themselves.
struct BrokerCounters {
    /// By broker, one element for each minute: milliseconds and requests since the beginning.
    brokers: Vec<Vec<[f64; 2]>>,
}

impl BrokerCounters {
    /// From [`CHANGE`] on, requests to broker 1 take `factor` of the time.
    fn new(factor: f64) -> Self {
        let mut random = StdRng::seed_from_u64(7);
        let mut counters = vec![vec![[0.0, 0.0]]; 3];
        let mut common: f64 = 0.0;
        for minute in 0..END {
            let mut near = |size: f64| size * random.random_range(-1.0_f64..1.0);
            common = 0.9 * common + near(0.05);
            for (broker, minutes) in counters.iter_mut().enumerate() {
                let is_changed = broker == 0 && CHANGE <= minute;
                let requests = 6_000.0 * (common + near(0.05)).exp();
                let took =
                    10.0 * (common + near(0.1)).exp() * if is_changed { factor } else { 1.0 };
                let [sum, count] = *minutes.last().unwrap();
                minutes.push([sum + requests * took, count + requests]);
            }
        }

        Self { brokers: counters }
    }

    /// Broker 1 begins to count from 0 again in this minute.
    fn restart(&mut self, minute: usize) {
        let before = self.brokers[0][minute];
        for [sum, count] in &mut self.brokers[0][minute + 1..] {
            *sum -= before[0];
            *count -= before[1];
        }
    }

    fn labels(broker: usize) -> LabelSet {
        LabelSet::from([("broker_id".to_owned(), (broker + 1).to_string())])
    }

    fn value(&self, broker: usize, query: &str, at: WallTime) -> Option<f64> {
        let minute = usize::try_from(at.since(BEGAN).as_secs() / 60).unwrap();
        let [sum, count] = *self.brokers[broker].get(minute)?;
        (BEGAN <= at).then_some(if query.starts_with("took_sum") { sum / 1000.0 } else { count })
    }
}

impl BrokerCounters {
    fn instant(query: &str) -> Vec<InstantSeries> {
        assert!(query.contains("broker_id=~\".+\""), "{query}");
        let series = |broker| InstantSeries {
            labels: Self::labels(broker),
            sample: SamplePair { at: BEGAN, value: 1.0 },
        };

        (0..3).map(series).collect()
    }

    fn range(&self, query: &str, range: QueryRange) -> Vec<RangeSeries> {
        let brokers = if query.contains("broker_id=\"1\"") { 0..1 } else { 1..3 };
        assert!(brokers.len() == 1 || query.contains("broker_id=~\"2|3\""), "{query}");
        assert_eq!(range.step, MINUTE);
        let points = range.end.since(range.start).as_secs() / 60 + 1;
        assert!(points <= 11_000);

        let series = brokers.map(|broker| {
            let times =
                (0..points).map(|it| range.start.after(MINUTE * u32::try_from(it).unwrap()));
            let sample = |at| Some(SamplePair { at, value: self.value(broker, query, at)? });
            RangeSeries {
                labels: Self::labels(broker),
                samples: times.filter_map(sample).collect(),
            }
        });

        series.collect()
    }

    fn prometheus(self) -> Arc<AnsweringPrometheus> {
        Arc::new(AnsweringPrometheus {
            instant: Box::new(Self::instant),
            range: Box::new(move |query, range| Ok(self.range(query, range))),
        })
    }
}

fn playbook() -> Playbook {
    let loaded = config::parse(CONFIG, &|_| panic!("it names no token")).unwrap();
    loaded.config.remediation.playbooks.into_iter().next().unwrap()
}

async fn replay(counters: BrokerCounters) -> Replay {
    let (cluster, target) =
        (ClusterName::new("main"), Target::Broker(BrokerId::from_wire(1).unwrap()));
    Replay::new(counters.prometheus(), SCRAPE, &playbook(), &cluster, &target).await.unwrap()
}

fn minute(number: usize) -> WallTime {
    BEGAN.after(MINUTE * u32::try_from(number).unwrap())
}

async fn judged(counters: BrokerCounters, at: usize) -> Replayed {
    replay(counters).await.at(minute(at)).await.unwrap()
}

#[tokio::test]
async fn i24_a_change_in_the_past_that_helped_would_have_been_kept() {
    let found = judged(BrokerCounters::new(0.4), CHANGE).await;

    assert_eq!(found.verdict, Verdict::Improved, "{}", found.sentence);
    assert!(found.sentence.contains("2 untouched brokers"), "{}", found.sentence);
    assert!(found.sentence.contains("in 0 of "), "{}", found.sentence);

    let [before, after] = [found.before, found.after].map(Option::unwrap);
    assert!((0.3..0.5).contains(&(after / before)), "{before} {after}");
    assert!((0.005..0.02).contains(&before), "in seconds: {before}");

    let found = judged(BrokerCounters::new(2.5), CHANGE).await;
    assert_eq!(found.verdict, Verdict::Regressed, "{}", found.sentence);
}

#[tokio::test]
async fn i24_times_at_which_nothing_was_changed_have_no_verdict_of_a_change() {
    let replay = replay(BrokerCounters::new(1.0)).await;
    let mut found = Vec::new();
    for at in (200..1_500).step_by(50) {
        found.push(replay.at(minute(at)).await.unwrap());
    }

    let changed = |it: &&Replayed| matches!(it.verdict, Verdict::Improved | Verdict::Regressed);
    let changed: Vec<_> = found.iter().filter(changed).collect();

    assert_eq!(found.len(), 26);
    assert!(changed.len() <= 1, "{changed:?}");
}

#[tokio::test]
async fn a_counter_that_was_reset_makes_its_bin_unknown_and_no_verdict_wrong() {
    let mut counters = BrokerCounters::new(0.4);
    counters.restart(CHANGE + 3);
    let found = judged(counters, CHANGE).await;

    assert_eq!(found.verdict, Verdict::Improved, "{}", found.sentence);
}

#[tokio::test]
async fn a_time_without_samples_is_inconclusive() {
    let found = judged(BrokerCounters::new(0.4), END + 100).await;

    assert_eq!(found.verdict, Verdict::Inconclusive, "{}", found.sentence);
    assert_eq!(found.after, None);
}

#[tokio::test]
async fn a_playbook_about_a_broker_needs_one() {
    let cluster = ClusterName::new("main");
    let counters = BrokerCounters::new(1.0).prometheus();
    let refused = Replay::new(counters, SCRAPE, &playbook(), &cluster, &Target::Cluster).await;
    let Err(error @ ReplayError::Target { .. }) = refused else { panic!() };

    assert!(error.to_string().contains("needs $broker_id: name the broker"), "{error}");
}
