//! A pipeline that takes everything and records the calls.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use kafka_optimizer::{
    alert::Notification,
    baseline::{
        BaselineComparison, BaselineName, BaselineSummary, BrokerSeries, ClusterSetting,
        ComparedMetric, MeasuredWindow, Metric, NamedBaseline, Outcome, RelativeChange,
    },
    http::Pipeline,
    model::{
        AlertOutcome, BrokerConfigChange, BrokerId, Change, ClusterName, HoldReason, Mode,
        Principal, RunId, RunState, Target, Trigger, Verdict, WallTime,
    },
    playbook::{Better, Level, OptimizerKind},
    remediation::{
        BaselineOrder, BaselineRequest, ClusterRemediation, ComparedBaseline, Decision, Order,
        OrderError, ReleaseOrder, RemediationStatus, Taken,
    },
    store::{
        AlertCounts, ClusterOverview, HeldCount, JournalFilter, JournalLine, Measurement, Priority,
        RunDetail, RunFilter, RunRow, StepProgress, StepRow, StepState, StoreError, Times,
    },
    verdict::{Bins, Parameters, Series, VerdictCase},
};

/// Accepts everything, and records it.
#[derive(Default)]
pub(crate) struct RecordingPipeline {
    pub(crate) taken: Mutex<Vec<Notification>>,
    pub(crate) orders: Mutex<Vec<Order>>,
    pub(crate) called: Mutex<Vec<String>>,
    /// Of each list of runs.
    pub(crate) filters: Mutex<Vec<RunFilter>>,
    pub(crate) principals: Mutex<Vec<Principal>>,
    /// Runs beside run 7, newest first, each with what its verdict depended on.
    pub(crate) others: Mutex<Vec<(RunDetail, Option<VerdictCase>)>>,
    /// Baselines beside `before-upgrade`, newest first.
    pub(crate) newer_baselines: Mutex<Vec<NamedBaseline>>,
    /// What baselines are compared to, instead of what is usual here.
    pub(crate) comparison: Mutex<Option<BaselineComparison>>,
    pub(crate) paused: AtomicBool,
    /// Writes to the store fail.
    pub(crate) broken: AtomicBool,
    /// Too many episodes are open.
    pub(crate) full: AtomicBool,
}

impl RecordingPipeline {
    fn note(&self, call: impl Into<String>) -> Result<(), StoreError> {
        self.called.lock().unwrap().push(call.into());
        if self.broken.load(Ordering::Relaxed) {
            return Err(StoreError::Sqlite {
                action: "store the alerts",
                source: rusqlite::Error::InvalidQuery,
            });
        }

        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Full("more than 50000 alerts are open".to_owned()));
        }

        Ok(())
    }
}

#[async_trait]
impl Pipeline for RecordingPipeline {
    async fn take(&self, notification: Notification) -> Result<Taken, StoreError> {
        self.note("take")?;
        let count = u64::try_from(notification.alerts.len()).unwrap();
        let faults = notification.faults.clone();
        self.taken.lock().unwrap().push(notification);

        let counts = AlertCounts::from([(AlertOutcome::New, count), (AlertOutcome::Unmatched, 0)]);

        Ok(Taken { counts, faults })
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        self.note(format!("runs {}", filter.limit))?;
        self.filters.lock().unwrap().push(filter);
        let others = self.others.lock().unwrap();

        Ok(others.iter().map(|it| it.0.run.clone()).chain([run()]).collect())
    }

    async fn status(&self) -> Result<RemediationStatus, StoreError> {
        self.note("status")?;
        let held = vec![HeldCount { reason: HoldReason::Cooldown, runs: 3 }];
        let kept = RunRow {
            state: RunState::Kept,
            hold: None,
            times: Times { expires: Some(WallTime(1_767_326_645_006)), ..run().times },
            ..run()
        };

        Ok(RemediationStatus {
            mode: Mode::Act,
            paused: self.paused.load(Ordering::Relaxed),
            clusters: vec![ClusterRemediation {
                name: ClusterName::new("main"),
                runs: ClusterOverview { queued: 2, held, ..ClusterOverview::default() },
                temporary_changes: vec![kept],
                quarantined: Vec::new(),
                changed_by_others: vec!["num.io.threads of broker 1".to_owned()],
            }],
        })
    }

    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError> {
        self.note(format!("run {id}"))?;
        let others = self.others.lock().unwrap();
        let found = others.iter().find(|it| it.0.run.id == id).map(|it| it.0.clone());

        Ok(found.or((id == RunId(7)).then(detail)))
    }

    async fn case(&self, id: RunId) -> Result<Option<VerdictCase>, StoreError> {
        self.note(format!("case {id}"))?;
        let others = self.others.lock().unwrap();
        let found = others.iter().find(|it| it.0.run.id == id).and_then(|it| it.1.clone());

        Ok(found.or((id == RunId(7)).then(case)))
    }

    async fn journal(&self, filter: JournalFilter) -> Result<Vec<JournalLine>, StoreError> {
        self.note(format!("journal {filter:?}"))?;
        Ok(vec![journal_line()])
    }

    async fn order(&self, order: Order, by: &Principal) -> Result<RunId, OrderError> {
        self.note("order")?;
        if order.cluster.as_ref().is_some_and(|it| it.as_str() == "other") {
            return Err(OrderError::NotFound("there is no cluster other".to_owned()));
        }

        self.orders.lock().unwrap().push(order);
        self.principals.lock().unwrap().push(by.clone());

        Ok(RunId(7))
    }

    async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        self.note("measures")?;
        Ok(vec![run()])
    }

    async fn decide(
        &self,
        id: RunId,
        decision: Decision,
        by: &Principal,
    ) -> Result<(), OrderError> {
        self.note(match &decision {
            Decision::RollBack => format!("roll back {id}"),
            Decision::Acknowledge => format!("acknowledge {id}"),
            Decision::Retry => format!("retry {id}"),
            Decision::Approve { plan_digest } => format!("approve {id} {plan_digest:?}"),
            Decision::Reject { reason } => format!("reject {id} {reason:?}"),
            Decision::Cancel { reason } => format!("cancel {id} {reason:?}"),
        })?;
        self.principals.lock().unwrap().push(by.clone());

        if id == RunId(7) { Ok(()) } else { Err(OrderError::Conflict("it has ended".to_owned())) }
    }

    async fn release(
        &self,
        order: ReleaseOrder,
        by: &Principal,
    ) -> Result<Vec<String>, OrderError> {
        self.note("release")?;
        self.principals.lock().unwrap().push(by.clone());
        Ok(vec![format!("{order:?}")])
    }

    async fn baselines(
        &self,
        cluster: Option<ClusterName>,
    ) -> Result<Vec<BaselineSummary>, StoreError> {
        self.note(format!("baselines {cluster:?}"))?;
        let newer = self.newer_baselines.lock().unwrap();

        Ok(newer.iter().chain([&baseline("before-upgrade")]).map(NamedBaseline::summary).collect())
    }

    async fn baseline(
        &self,
        cluster: Option<&ClusterName>,
        name: &BaselineName,
    ) -> Result<NamedBaseline, OrderError> {
        self.note(format!("baseline {cluster:?} {name}"))?;
        if name.as_str() == "before-upgrade" {
            return Ok(baseline("before-upgrade"));
        }

        Err(OrderError::NotFound(format!("the cluster main has no baseline `{name}`")))
    }

    async fn record_baseline(
        &self,
        order: BaselineOrder,
        by: &Principal,
    ) -> Result<NamedBaseline, OrderError> {
        let BaselineOrder { name, window, replace, .. } = &order;
        self.note(format!("record {name} {window:?} {replace}"))?;
        self.principals.lock().unwrap().push(by.clone());

        if name.as_str() == "before-upgrade" && !replace {
            return Err(OrderError::Conflict(format!("the cluster main has a baseline `{name}`")));
        }

        Ok(baseline(name.as_str()))
    }

    async fn delete_baseline(
        &self,
        cluster: Option<&ClusterName>,
        name: &BaselineName,
        by: &Principal,
    ) -> Result<BaselineSummary, OrderError> {
        self.note(format!("delete baseline {cluster:?} {name}"))?;
        self.principals.lock().unwrap().push(by.clone());

        Ok(self.baseline(cluster, name).await?.summary())
    }

    async fn compare_baseline(
        &self,
        request: BaselineRequest,
    ) -> Result<ComparedBaseline, OrderError> {
        let baseline = self.baseline(request.cluster.as_ref(), &request.name).await?;
        let NamedBaseline { measured, setting, .. } = baseline.clone();

        Ok(ComparedBaseline {
            baseline,
            with: request.with,
            window: measured,
            setting,
            comparison: self.comparison.lock().unwrap().clone().unwrap_or_else(comparison),
        })
    }

    async fn pause(&self, by: &Principal) -> std::io::Result<()> {
        self.note("pause").map_err(std::io::Error::other)?;
        self.principals.lock().unwrap().push(by.clone());
        self.paused.store(true, Ordering::Relaxed);

        Ok(())
    }

    async fn resume(&self, by: &Principal) -> std::io::Result<()> {
        self.note("resume").map_err(std::io::Error::other)?;
        self.principals.lock().unwrap().push(by.clone());
        self.paused.store(false, Ordering::Relaxed);

        Ok(())
    }

    fn paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }
}

fn run() -> RunRow {
    RunRow {
        id: RunId(7),
        cluster: ClusterName::new("main"),
        playbook: "broker-threads".to_owned(),
        optimizer: OptimizerKind::TuneBrokers,
        level: Some(Level::Moderate),
        target: Target::Broker(BrokerId::from_wire(1).unwrap()),
        trigger: Trigger::Alert,
        cause: "KafkaRequestHandlersSaturated".to_owned(),
        dry_run: false,
        attempt: 1,
        state: RunState::Held,
        hold: Some(HoldReason::Cooldown),
        note: None,
        verdict: Some(Verdict::Improved),
        effect: Some(0.6),
        sentence: None,
        rollback_reason: None,
        undo_requested: false,
        acknowledged: false,
        approved_digest: None,
        priority: Priority::Normal,
        times: Times {
            created: WallTime(1_767_323_045_006),
            written: Some(WallTime(1_767_323_046_006)),
            ..Times::default()
        },
    }
}

pub(crate) fn detail() -> RunDetail {
    RunDetail {
        run: run(),
        steps: vec![StepRow {
            run: RunId(7),
            index: 0,
            stage: 0,
            wave: 0,
            change: Change::BrokerConfig(BrokerConfigChange {
                broker: BrokerId::from_wire(1).unwrap(),
                key: "num.io.threads".to_owned(),
                from: "8".to_owned(),
                from_stored: None,
                to: "16".to_owned(),
            }),
            state: StepState::Applied,
            at: WallTime(1_767_323_045_006),
            progress: StepProgress::default(),
        }],
        measured: Measurement {
            query: "a".to_owned(),
            before: Some(0.25),
            after: Some(0.1),
            effect: Some(0.6),
            load_change: Some(-0.03),
            sentence: Some(
                "as large an improvement came about by itself in 0 of 20 windows".to_owned(),
            ),
            ..Measurement::default()
        },
        journal: vec![journal_line()],
    }
}

/// One in which every request takes half as long from the write on.
pub(crate) fn case() -> VerdictCase {
    let bins = |level: f64, number: usize| {
        let swing = |bin: usize| level + if bin.is_multiple_of(2) { 0.01 } else { -0.01 };
        let level = (0..number).map(|it| Some(swing(it))).collect();
        Bins { changed: Series { level, load: vec![Some(5.0); number] }, untouched: Vec::new() }
    };

    VerdictCase {
        parameters: Parameters::default(),
        better: Better::Lower,
        before: bins(-3.0, 300),
        after: bins(-3.7, 12),
        excluded: vec![10..20, 40..45],
        has_reached: true,
    }
}

/// Ten minutes of one broker.
pub(crate) fn baseline(name: &str) -> NamedBaseline {
    let values = (1..=10).map(|it| Some(f64::from(it) / 1000.0)).collect();
    let broker = BrokerId::from_wire(1).unwrap();

    NamedBaseline {
        cluster: ClusterName::new("main"),
        name: BaselineName::parse(name).unwrap(),
        recorded_at: WallTime(1_767_323_045_006),
        by: "token".to_owned(),
        measured: MeasuredWindow {
            start: WallTime(1_767_322_445_006),
            bin: Duration::from_mins(1),
            bins: 10,
            series: vec![BrokerSeries {
                metric: Metric::ProduceTime,
                broker,
                values,
                weights: vec![Some(6000.0); 10],
            }],
        },
        setting: ClusterSetting {
            version: "0.1.0".to_owned(),
            kafka_version: None,
            broker_configs: [(broker, "1a2b".to_owned())].into(),
            program_config: "3c4d".to_owned(),
        },
    }
}

fn comparison() -> BaselineComparison {
    let faster = ComparedMetric {
        metric: Metric::ProduceTime,
        broker: None,
        before: Some(0.0055),
        after: Some(0.0021),
        change: Some(RelativeChange { change: -0.6, low: -0.7, high: -0.5 }),
        outcome: Some(Outcome::Better),
        sentence: "as large an improvement came about by itself in 0 of 20 windows".to_owned(),
    };
    let load = ComparedMetric {
        metric: Metric::Requests,
        before: Some(100.0),
        after: None,
        change: None,
        outcome: None,
        sentence: String::new(),
        ..faster.clone()
    };

    BaselineComparison {
        notes: vec!["the configuration is not the same: broker 1".to_owned()],
        history_bins: 2880,
        metrics: vec![faster, load],
    }
}

fn journal_line() -> JournalLine {
    JournalLine {
        at: WallTime(1_767_323_045_006),
        entry: "stored".to_owned(),
        text: "<b>\"quotes\" {braces}\u{1b}[31m</b>".to_owned(),
        ..JournalLine::default()
    }
}
