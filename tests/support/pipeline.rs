//! A pipeline that takes everything and records the calls.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use kafka_optimizer::{
    alert::Notification,
    http::Pipeline,
    model::{
        AlertOutcome, BrokerConfigChange, BrokerId, Change, ClusterName, HoldReason, RunId,
        RunState, Target, Trigger, Verdict, WallTime,
    },
    playbook::{Level, OptimizerKind},
    remediation::{Order, OrderError, Taken},
    store::{
        AlertCounts, JournalLine, Measurement, Priority, RunDetail, RunRow, StepRow, StepState,
        StoreError, Times,
    },
};

/// Accepts everything, and records it.
#[derive(Default)]
pub(crate) struct RecordingPipeline {
    pub(crate) taken: Mutex<Vec<Notification>>,
    pub(crate) orders: Mutex<Vec<Order>>,
    pub(crate) called: Mutex<Vec<String>>,
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

    async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        self.note(format!("runs {limit}"))?;
        Ok(vec![run()])
    }

    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError> {
        self.note(format!("run {id}"))?;
        Ok((id == RunId(7)).then(detail))
    }

    async fn order(&self, order: Order) -> Result<RunId, OrderError> {
        self.note("order")?;
        if order.cluster.as_ref().is_some_and(|it| it.as_str() == "other") {
            return Err(OrderError::NotFound("there is no cluster other".to_owned()));
        }

        self.orders.lock().unwrap().push(order);

        Ok(RunId(7))
    }

    async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        self.note("measures")?;
        Ok(vec![run()])
    }

    async fn approve(&self, id: RunId) -> Result<(), OrderError> {
        Ok(self.note(format!("approve {id}"))?)
    }

    async fn roll_back(&self, id: RunId) -> Result<(), OrderError> {
        self.note(format!("roll back {id}"))?;
        if id == RunId(7) { Ok(()) } else { Err(OrderError::Conflict("it has ended".to_owned())) }
    }

    async fn acknowledge(&self, id: RunId) -> Result<(), OrderError> {
        Ok(self.note(format!("acknowledge {id}"))?)
    }

    async fn release(&self, cluster: Option<ClusterName>) -> Result<Vec<String>, OrderError> {
        self.note("release")?;
        Ok(vec![format!("{cluster:?}")])
    }

    fn pause(&self) -> std::io::Result<()> {
        self.note("pause").map_err(std::io::Error::other)?;
        self.paused.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn resume(&self) -> std::io::Result<()> {
        self.note("resume").map_err(std::io::Error::other)?;
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
        rollback_reason: None,
        undo_requested: false,
        acknowledged: false,
        priority: Priority::Normal,
        times: Times {
            created: WallTime(1_767_323_045_006),
            written: Some(WallTime(1_767_323_046_006)),
            ..Times::default()
        },
    }
}

fn detail() -> RunDetail {
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
        }],
        measured: Measurement {
            query: "a".to_owned(),
            baseline_median: Some(0.25),
            baseline_mad: Some(0.01),
            observed_median: Some(0.1),
            effect: Some(0.6),
            load_change: Some(-0.03),
            ..Measurement::default()
        },
        journal: vec![JournalLine {
            at: WallTime(1_767_323_045_006),
            entry: "stored".to_owned(),
            text: "<b>\"quotes\" {braces}\u{1b}[31m</b>".to_owned(),
        }],
    }
}
