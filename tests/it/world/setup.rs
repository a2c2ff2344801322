//! The initial state of a world: a configuration with short windows, and the faults of a storm.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use kafka_optimizer::{
    alert::{Alert, AlertStatus, Faults, Labels, Notification},
    config::{AccessConfig, ClusterConfig, DockerConfig, PrometheusConfig, RemediationConfig},
    model::{ClusterName, Mode, QuotaEntity, QuotaKey, WallTime},
    playbook::{
        AboveStatic, AlertMatcher, Better, Factor, Guard, Level, Objective, ObjectiveExpression,
        Optimizer, Playbook, Rollout, ScaleConsumers, Shed, ShedLoad, Template, TemporaryChange,
        TuneBrokers, Windows,
    },
    security::HttpOptions,
};

use super::{
    prometheus::{CPU, Effect, GUARD, LOAD, OBJECTIVE, SCRAPE, WINDOW},
    run::simulate,
};

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) brokers: i32,
    pub(crate) effect: Effect,
    pub(crate) cluster: ClusterConfig,
    pub(crate) remediation: RemediationConfig,
}

/// Runs a storm for every seed, and reports every seed that found a violation.
pub(crate) fn storms(usual: u64, storm: impl AsyncFn(u64)) {
    let seeds = seeds(usual);
    let survives = |&seed: &u64| catch_unwind(AssertUnwindSafe(|| simulate(storm(seed)))).is_ok();
    let violated: Vec<&u64> = seeds.iter().filter(|it| !survives(it)).collect();
    println!("{} seeds, {} violated", seeds.len(), violated.len());

    assert!(violated.is_empty(), "SEED=n replays one of {violated:?}");
}

/// `SEED`, or the first `SEEDS`, or the first `usual`.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn seeds(usual: u64) -> Vec<u64> {
    let read = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    match read("SEED") {
        Some(seed) => vec![seed],
        None => (0..read("SEEDS").unwrap_or(usual)).collect(),
    }
}

fn template(text: &str) -> Template {
    Template::new(text).unwrap()
}

fn tune(level: Level) -> Optimizer {
    Optimizer::TuneBrokers(TuneBrokers {
        level,
        above_static: AboveStatic::Cap,
        rollout: Rollout::Together,
    })
}

const WINDOWS: Windows = Windows {
    window: WINDOW,
    baseline: Duration::from_secs(30),
    settle: Duration::from_secs(40),
    observe: Duration::from_secs(30),
    history: Duration::from_mins(20),
    cooldown: Duration::from_mins(5),
};

/// The playbook for the alert `Slow` on one broker.
fn broker_playbook() -> Playbook {
    let of_broker = r#"{kafka_cluster="$kafka_cluster",broker_id="$broker_id"}"#;

    Playbook {
        name: "broker-threads".to_owned(),
        matcher: AlertMatcher {
            labels: BTreeMap::from([("alertname".to_owned(), "Slow".to_owned())]),
        },
        confirm: None,
        when: Some(template(&format!("{CPU}{of_broker} < 0.8"))),
        optimizer: tune(Level::Moderate),
        objective: Objective {
            measure: ObjectiveExpression::Gauge(template(&format!("{OBJECTIVE}{of_broker}"))),
            better: Better::Lower,
            at_least: 0.2,
        },
        load: Some(template(&format!("{LOAD}{of_broker}"))),
        guards: vec![Guard::Count(template(&format!(
            r#"sum({GUARD}{{kafka_cluster="$kafka_cluster"}})"#
        )))],
        windows: WINDOWS,
        attempts_max: 1,
        reached_when: None,
        keep_neutral: false,
        approve: false,
        temporary: None,
    }
}

/// The playbook for the alert `AllSlow` on the cluster.
fn cluster_playbook() -> Playbook {
    let of_cluster = r#"{kafka_cluster="$kafka_cluster"}"#;

    Playbook {
        name: "cluster-threads".to_owned(),
        matcher: AlertMatcher {
            labels: BTreeMap::from([("alertname".to_owned(), "AllSlow".to_owned())]),
        },
        when: None,
        objective: Objective {
            measure: ObjectiveExpression::Gauge(template(&format!("max({OBJECTIVE}{of_cluster})"))),
            better: Better::Lower,
            at_least: 0.2,
        },
        load: Some(template(&format!("sum({LOAD}{of_cluster})"))),
        ..broker_playbook()
    }
}

/// A playbook for an alert of the cluster, with another optimizer than tune-brokers.
fn other(name: &str, alert: &str, optimizer: Optimizer) -> Playbook {
    let measure = TemporaryChange { expire_after: Duration::from_mins(10), expire_when: None };

    Playbook {
        name: name.to_owned(),
        matcher: AlertMatcher {
            labels: BTreeMap::from([("alertname".to_owned(), alert.to_owned())]),
        },
        temporary: optimizer.kind().is_temporary().then_some(measure),
        optimizer,
        ..cluster_playbook()
    }
}

const MIB: u64 = 1 << 20;

/// The client that `shed` throttles.
pub(crate) fn greedy() -> QuotaEntity {
    QuotaEntity { user: None, client_id: Some("greedy".to_owned()) }
}

fn shed() -> Optimizer {
    let entity = greedy();
    let (key, even_if) = (QuotaKey::ProducerByteRate, BTreeSet::new());
    Optimizer::ShedLoad(ShedLoad {
        clients: vec![Shed { entity, key, usual: 16 * MIB, to: 2 * MIB, even_if }],
    })
}

/// A playbook for `alert` that slows `greedy` down to `rate` MiB/s, until `expire_after`.
pub(crate) fn shed_to(name: &str, alert: &str, rate: u64, expire_after: Duration) -> Playbook {
    let mut playbook = other(name, alert, shed());
    let Optimizer::ShedLoad(it) = &mut playbook.optimizer else { unreachable!() };
    it.clients[0].to = rate * MIB;
    playbook.temporary = Some(TemporaryChange { expire_after, expire_when: None });

    // The objective does not change a second time when a second quota is set. What it was before
    // the first one says nothing of it.
    playbook.keep_neutral = true;
    playbook.objective.at_least = 0.5;
    playbook.windows.history = Duration::from_mins(2);

    playbook
}

fn scale() -> Optimizer {
    Optimizer::ScaleConsumers(ScaleConsumers { factor: Factor::ByLag, containers_max: 8 })
}

impl Setup {
    pub(crate) fn new(seed: u64, effect: Effect) -> Self {
        Self {
            seed,
            brokers: 3,
            effect,
            cluster: ClusterConfig {
                collect_interval: SCRAPE,
                request_timeout: Duration::from_secs(2),
                prometheus: Some(PrometheusConfig {
                    url: "http://prometheus:9090".to_owned(),
                    scrape_interval: SCRAPE,
                    timeout: Duration::from_secs(5),
                    http: HttpOptions::default(),
                }),
                docker: Some(DockerConfig { socket: "/var/run/docker.sock".into() }),
                ..ClusterConfig::new(ClusterName::new("main"), vec!["kafka-1:9092".to_owned()])
            },
            remediation: RemediationConfig {
                mode: Mode::Act,
                access: AccessConfig::default(),
                state_dir: Path::new("/nowhere").to_owned(),
                runs_per_hour_max: 100,
                runs_per_day_max: 100,
                shrink_pause: Duration::from_secs(30),
                playbooks: vec![
                    broker_playbook(),
                    cluster_playbook(),
                    other("shed", "Flood", shed()),
                    other("leaders", "LeadersAway", Optimizer::ElectLeaders),
                    other("scale", "Behind", scale()),
                    other("reapply", "Lost", Optimizer::Reapply),
                ],
            },
        }
    }

    /// The playbook for `Slow`.
    pub(crate) fn playbook(&mut self) -> &mut Playbook {
        &mut self.remediation.playbooks[0]
    }

    /// A playbook by its name.
    pub(crate) fn playbook_of(&mut self, name: &str) -> &mut Playbook {
        self.remediation.playbooks.iter_mut().find(|it| it.name == name).unwrap()
    }
}

/// Adds a label to an alert.
pub(crate) fn with(mut alert: Alert, label: &str, value: &str) -> Alert {
    alert.labels.insert(label.to_owned(), value.to_owned());
    alert.fingerprint = format!("{};{label}={value}", alert.fingerprint);
    alert
}

/// Labels of an alert, as its rule sets them.
pub(crate) fn labels(name: &str, broker: Option<&str>) -> Labels {
    let mut labels = BTreeMap::from([
        ("alertname".to_owned(), name.to_owned()),
        ("kafka_cluster".to_owned(), "main".to_owned()),
        ("severity".to_owned(), "warning".to_owned()),
    ]);
    labels.extend(broker.map(|it| ("broker_id".to_owned(), it.to_owned())));

    labels
}

fn alert(status: AlertStatus, labels: Labels) -> Alert {
    // Alertmanager's fingerprint covers all labels; any text that differs with them will do.
    let parts: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fingerprint = parts.join(";");
    Alert { position: 0, status, labels, starts_at: WallTime(0), fingerprint }
}

pub(crate) fn firing(name: &str, broker: Option<&str>) -> Alert {
    alert(AlertStatus::Firing, labels(name, broker))
}

pub(crate) fn resolved(name: &str, broker: Option<&str>) -> Alert {
    alert(AlertStatus::Resolved, labels(name, broker))
}

pub(crate) fn notification(alerts: Vec<Alert>) -> Notification {
    Notification { alerts, faults: Faults::default(), truncated: 0 }
}
