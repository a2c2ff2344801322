//! A simulated Prometheus. It computes the pipeline's queries from the time and the brokers' pool
//! sizes, so that a test decides whether more threads help.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use kafka_optimizer::{
    clock::Clock,
    model::WallTime,
    prometheus::{
        InstantSeries, LabelSet, Prometheus, PrometheusError, QueryRange, RangeSeries, SamplePair,
    },
};
use promql_parser::parser::{self, Expr, LabelModifier, Offset, VectorSelector};

use super::{
    broker::PoolSizes,
    chance::{between, draw},
    clock::WorldClock,
    crash_points::CrashPoints,
    docker::SimulatedDocker,
    kafka::SimulatedKafka,
};

pub(crate) const SCRAPE: Duration = Duration::from_secs(3);
/// Range of the recording rule behind the objective.
pub(crate) const WINDOW: Duration = Duration::from_secs(30);

/// The mean time of a produce request, in seconds.
pub(crate) const OBJECTIVE: &str = "kafka:produce_time:mean_seconds";
/// Produce requests per second.
pub(crate) const LOAD: &str = "kafka:produce_requests:rate";
/// Partitions under `min.insync.replicas`.
pub(crate) const GUARD: &str = "kafka_topic_partition_under_min_isr";
/// Share of the CPU limit in use.
pub(crate) const CPU: &str = "kafka:broker_cpu:ratio";

/// Effect of more threads on the request time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    Help,
    Nothing,
    Harm,
}

/// A fault injected into a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum QueryFault {
    /// The request times out.
    Unavailable,
    /// The result has no series.
    Empty,
    /// The samples are NaN.
    NotANumber,
    /// The newest sample is this old.
    Late(Duration),
    /// The response takes this long.
    Slow(Duration),
    /// The clock of Prometheus is ahead by this much.
    Ahead(Duration),
    /// Every value is multiplied by this, plus one.
    Wrong(f64),
}

/// One response in twenty is wrong or missing, depending on the seed.
pub(crate) fn lies(seed: u64) -> impl Fn(&str, Duration) -> Option<QueryFault> + Send + 'static {
    move |query, now| {
        let length = u64::try_from(query.len()).unwrap();
        let drawn = draw(seed, &[13, length, now.as_secs()]);
        let some = Duration::from_millis(between(1, 60_000, drawn / 140));

        match drawn % 140 {
            0 => Some(QueryFault::Unavailable),
            1 => Some(QueryFault::Empty),
            2 => Some(QueryFault::Slow(some / 10)),
            3 => Some(QueryFault::NotANumber),
            4 => Some(QueryFault::Late(some)),
            5 => Some(QueryFault::Ahead(some)),
            6 => Some(QueryFault::Wrong(some.as_secs_f64() / 20.0)),
            _ => None,
        }
    }
}

type QueryFaults = Box<dyn Fn(&str, Duration) -> Option<QueryFault> + Send>;

pub(crate) struct MetricScript {
    pub(crate) effect: Effect,
    /// Labels of the firing alerts.
    pub(crate) firing: Vec<LabelSet>,
    /// Requests per second, by time.
    pub(crate) load: fn(Duration) -> f64,
    /// Value of the guard, by elapsed time.
    pub(crate) guard: Box<dyn Fn(Duration) -> f64 + Send>,
    pub(crate) cpu: f64,
    /// Distance between two samples of every series.
    pub(crate) scrape: Duration,
    pub(crate) faults: QueryFaults,
    pub(crate) queries: Vec<String>,
}

#[derive(Clone, Debug)]
struct ScriptedSample {
    labels: LabelSet,
    value: f64,
    at: f64,
}

pub(crate) struct SimulatedPrometheus {
    script: Mutex<MetricScript>,
    kafka: Arc<SimulatedKafka>,
    docker: Arc<SimulatedDocker>,
    clock: Arc<WorldClock>,
    crash_points: CrashPoints,
    seed: u64,
    /// Values of the objective, by broker, time and effect.
    recorded: Mutex<HashMap<(i32, Duration, Effect), f64>>,
}

/// Request time with this number of threads.
fn time_of(effect: Effect, pools: PoolSizes) -> f64 {
    let threads = f64::from(pools.io);

    match effect {
        Effect::Help => 0.4 / threads,
        Effect::Nothing => 0.2,
        Effect::Harm => 0.02 * threads,
    }
}

/// Factor on the request time from everything but threads.
const fn relief(effect: Effect) -> f64 {
    match effect {
        Effect::Help => 0.3,
        Effect::Harm => 3.0,
        Effect::Nothing => 1.0,
    }
}

impl SimulatedPrometheus {
    pub(crate) fn new(
        seed: u64,
        effect: Effect,
        kafka: Arc<SimulatedKafka>,
        docker: Arc<SimulatedDocker>,
        clock: Arc<WorldClock>,
        crash_points: CrashPoints,
    ) -> Self {
        let script = MetricScript {
            effect,
            firing: Vec::new(),
            load: |_| 1000.0,
            guard: Box::new(|_| 0.0),
            cpu: 0.4,
            scrape: SCRAPE,
            faults: Box::new(|_, _| None),
            queries: Vec::new(),
        };
        let recorded = Mutex::default();

        Self { script: Mutex::new(script), kafka, docker, clock, crash_points, seed, recorded }
    }

    pub(crate) fn script(&self) -> std::sync::MutexGuard<'_, MetricScript> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fail(
        &self,
        faults: impl Fn(&str, Duration) -> Option<QueryFault> + Send + 'static,
    ) {
        self.script().faults = Box::new(faults);
    }

    /// Waits, and fails if the script says so.
    async fn asked(&self, query: &str) -> Result<Option<QueryFault>, PrometheusError> {
        self.crash_points.pass().await;
        let now = self.clock.elapsed();
        let fault = {
            let mut script = self.script();
            script.queries.push(query.to_owned());
            (script.faults)(query, now)
        };
        let pause = if let Some(QueryFault::Slow(more)) = fault { more } else { Duration::ZERO };
        tokio::time::sleep(Duration::from_millis(2) + pause).await;
        self.crash_points.pass().await;

        if fault == Some(QueryFault::Unavailable) {
            let (url, problem) = ("http://prometheus:9090".to_owned(), "connection refused".into());
            return Err(PrometheusError::Unavailable { url, problem });
        }

        Ok(fault)
    }

    /// Value of the objective's recording rule at a scrape: a mean over its window. What is past
    /// does not change, and is asked for at every look.
    fn objective(&self, broker: i32, at: Duration) -> f64 {
        let key = (broker, at, self.script().effect);
        let is_past = at + Duration::from_secs(2) < self.clock.elapsed();
        if let Some(known) = self.recorded.lock().unwrap().get(&key).filter(|_| is_past) {
            return *known;
        }

        let value = self.record(broker, at);
        if is_past {
            self.recorded.lock().unwrap().insert(key, value);
        }
        value
    }

    fn record(&self, broker: i32, at: Duration) -> f64 {
        let effect = self.script().effect;
        let seconds = WINDOW.as_secs();
        let sum: f64 = (0..seconds)
            .map(|back| {
                let then = at.saturating_sub(Duration::from_secs(back));
                let relieved = self.kafka.relieved(then) || self.docker.relieved(then);
                let threads = self.kafka.threads(super::kafka::id(broker), then);

                time_of(effect, threads) * if relieved { relief(effect) } else { 1.0 }
            })
            .sum();
        let noise = draw(self.seed, &[u64::from(broker.unsigned_abs()), at.as_secs()]) % 1000;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (mean, noise) = (sum / seconds as f64, noise as f64 / 1000.0);

        mean * (0.99 + 0.02 * noise)
    }

    fn select(&self, selector: &VectorSelector, now: Duration) -> Vec<ScriptedSample> {
        let name = selector.name.clone().unwrap_or_default();
        let every = self.script().scrape.as_secs();
        let scrape = now.as_secs() / every * every;
        let scraped = Duration::from_secs(scrape);
        let at = self.clock.wall().before(self.clock.elapsed().saturating_sub(scraped)).seconds();
        let point = |broker: Option<i32>, value: f64| {
            let mut labels = LabelSet::from([("kafka_cluster".to_owned(), "main".to_owned())]);
            labels.extend(broker.map(|it| ("broker_id".to_owned(), it.to_string())));
            ScriptedSample { labels, value, at }
        };
        let brokers: Vec<i32> = self.kafka.state().brokers.keys().map(|it| it.to_wire()).collect();
        let all: Vec<ScriptedSample> = match name.as_str() {
            "ALERTS" => {
                let firing = self.script().firing.clone();
                firing.into_iter().map(|labels| ScriptedSample { labels, value: 1.0, at }).collect()
            }
            OBJECTIVE => {
                brokers.iter().map(|&it| point(Some(it), self.objective(it, scraped))).collect()
            }
            LOAD => {
                let load = self.script().load;
                brokers.iter().map(|&it| point(Some(it), load(scraped))).collect()
            }
            GUARD => vec![point(None, (self.script().guard)(scraped))],
            CPU => brokers.iter().map(|&it| point(Some(it), self.script().cpu)).collect(),
            other => panic!("the world has no series {other}"),
        };

        all.into_iter().filter(|it| fits(selector, &it.labels)).collect()
    }

    /// Samples of each series in a range, which may end in the past.
    fn count(&self, expr: &Expr, now: Duration) -> Vec<ScriptedSample> {
        let Expr::MatrixSelector(of) = expr else { panic!("{expr} is no range") };
        let end = match &of.vs.offset {
            Some(Offset::Pos(back)) => now.saturating_sub(*back),
            _ => now,
        };
        let every = self.script().scrape.as_secs_f64();
        let until = |at: Duration| (at.as_secs_f64() / every).floor();
        let count = until(end) - until(end.saturating_sub(of.range));
        let points = self.select(&of.vs, end);

        points.into_iter().map(|it| ScriptedSample { value: count, ..it }).collect()
    }

    /// The mean of each series over a range, from its samples or from the steps of a subquery.
    fn average(&self, expr: &Expr, now: Duration) -> Vec<ScriptedSample> {
        let scrape = self.script().scrape;
        let (of, range, step) = if let Expr::MatrixSelector(it) = expr {
            (Expr::VectorSelector(it.vs.clone()), it.range, scrape)
        } else if let Expr::Subquery(it) = expr {
            ((*it.expr).clone(), it.range, it.step.unwrap())
        } else {
            panic!("{expr} is no range")
        };
        let step = step.as_secs();
        let last = now.as_secs() / step;
        let first = now.saturating_sub(range).as_secs() / step + 1;
        let times = (first.min(last)..=last).map(|it| Duration::from_secs(it * step));
        let points: Vec<ScriptedSample> = times.flat_map(|it| self.evaluate(&of, it)).collect();
        let mut series = BTreeMap::<LabelSet, Vec<ScriptedSample>>::new();
        for point in points {
            series.entry(point.labels.clone()).or_default().push(point);
        }

        let mean = |points: Vec<ScriptedSample>| {
            let number = f64::from(u32::try_from(points.len()).unwrap());
            let sum: f64 = points.iter().map(|it| it.value).sum();
            ScriptedSample { value: sum / number, ..points.into_iter().next_back().unwrap() }
        };

        series.into_values().map(mean).collect()
    }

    fn evaluate(&self, expr: &Expr, now: Duration) -> Vec<ScriptedSample> {
        if let Expr::VectorSelector(selector) = expr {
            self.select(selector, now)
        } else if let Expr::Paren(it) = expr {
            self.evaluate(&it.expr, now)
        } else if let Expr::Aggregate(it) = expr {
            let by = match &it.modifier {
                Some(LabelModifier::Include(by)) => by.labels.clone(),
                Some(LabelModifier::Exclude(_)) | None => Vec::new(),
            };
            aggregate(&it.op.to_string(), &by, self.evaluate(&it.expr, now))
        } else if let Expr::Call(call) = expr {
            if call.func.name == "count_over_time" {
                return self.count(&call.args.args[0], now);
            }
            if call.func.name == "avg_over_time" {
                return self.average(&call.args.args[0], now);
            }

            assert_eq!(call.func.name, "timestamp");

            let points = self.evaluate(&call.args.args[0], now);
            points.into_iter().map(|it| ScriptedSample { value: it.at, ..it }).collect()
        } else if let Expr::Binary(it) = expr {
            let Expr::NumberLiteral(limit) = &*it.rhs else { panic!("compare with a number") };
            assert_eq!(it.op.to_string(), "<");

            let points = self.evaluate(&it.lhs, now);
            points.into_iter().filter(|point| point.value < limit.val).collect()
        } else {
            panic!("the world cannot evaluate {expr}")
        }
    }
}

fn fits(selector: &VectorSelector, labels: &LabelSet) -> bool {
    selector.matchers.matchers.iter().all(|it| {
        let value = labels.get(&it.name).map_or("", String::as_str);

        it.is_match(value)
    })
}

fn aggregate(op: &str, by: &[String], points: Vec<ScriptedSample>) -> Vec<ScriptedSample> {
    let mut groups = BTreeMap::<LabelSet, Vec<ScriptedSample>>::new();
    for point in points {
        let kept = point.labels.iter().filter(|(name, _)| by.contains(name));
        let labels = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        groups.entry(labels).or_default().push(point);
    }

    let reduce = |points: &[ScriptedSample]| {
        let values = points.iter().map(|it| it.value);
        match op {
            "max" => values.fold(f64::NEG_INFINITY, f64::max),
            "min" => values.fold(f64::INFINITY, f64::min),
            "sum" => values.sum(),
            "count" => values.map(|_| 1.0).sum(),
            other => panic!("the world cannot aggregate with {other}"),
        }
    };
    let point = |(labels, points): (LabelSet, Vec<ScriptedSample>)| ScriptedSample {
        value: reduce(&points),
        at: points.first().map_or(0.0, |it| it.at),
        labels,
    };

    groups.into_iter().map(point).collect()
}

#[async_trait]
impl Prometheus for SimulatedPrometheus {
    async fn instant(&self, query: &str) -> Result<Vec<InstantSeries>, PrometheusError> {
        let fault = self.asked(query).await?;
        let expr = parser::parse(query).unwrap_or_else(|it| panic!("{query}: {it}"));
        let mut now = self.clock.wall();
        let mut points = self.evaluate(&expr, self.clock.elapsed());

        match fault {
            Some(QueryFault::Empty) => points.clear(),
            Some(QueryFault::NotANumber) => points.iter_mut().for_each(|it| it.value = f64::NAN),
            Some(QueryFault::Late(age)) if query.contains("timestamp") => {
                for it in &mut points {
                    it.value -= age.as_secs_f64();
                }
            }
            Some(QueryFault::Ahead(by)) => now = now.after(by),
            Some(QueryFault::Wrong(by)) => {
                for it in &mut points {
                    it.value = it.value.mul_add(by, 1.0);
                }
            }
            Some(QueryFault::Late(_) | QueryFault::Unavailable | QueryFault::Slow(_)) | None => (),
        }

        let series = |it: ScriptedSample| InstantSeries {
            labels: it.labels,
            sample: SamplePair { at: now, value: it.value },
        };

        Ok(points.into_iter().map(series).collect())
    }

    async fn range(
        &self,
        query: &str,
        range: QueryRange,
    ) -> Result<Vec<RangeSeries>, PrometheusError> {
        let fault = self.asked(query).await?;
        let expr = parser::parse(query).unwrap_or_else(|it| panic!("{query}: {it}"));
        let mut series = BTreeMap::<LabelSet, Vec<SamplePair>>::new();
        let mut at: WallTime = range.start;
        let to = match fault {
            Some(QueryFault::Late(age)) => range.end.before(age),
            _ => range.end,
        };

        while at <= to && fault != Some(QueryFault::Empty) {
            for point in self.evaluate(&expr, self.clock.when(at)) {
                let value = match fault {
                    Some(QueryFault::NotANumber) => f64::NAN,
                    Some(QueryFault::Wrong(by)) => point.value.mul_add(by, 1.0),
                    _ => point.value,
                };
                series.entry(point.labels).or_default().push(SamplePair { at, value });
            }

            at = at.after(range.step);
        }

        Ok(series.into_iter().map(|(labels, samples)| RangeSeries { labels, samples }).collect())
    }
}
