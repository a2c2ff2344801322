//! `serve`: builds adapters and stages, binds listeners, starts all tasks, and stops them in order.

pub mod analyze;
mod clusters;
mod reload;
pub mod replay;
mod signals;
mod state;

use std::{io, path::PathBuf, sync::Arc};

use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::{SharedClock, SystemClock},
    config::{ClusterConfig, Config, RemediationConfig, TokenStamps},
    diagnosis::Diagnosis,
    expose::Exposer,
    http::{self, Access, ClusterInfo, Limits, ServerInfo, Settings, Web},
    model::ClusterName,
    prometheus::PrometheusError,
    remediation::{NoCluster, Remediator},
    shutdown::Tasks,
    snapshot::Latest,
    store::StoreError,
    telemetry::{BuildInfo, Telemetry},
};

pub use signals::survive_hangup;

use clusters::{ClusterBuilder, Clusters};
use reload::Reloader;
use signals::Signals;
use state::State;

const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    revision: match option_env!("KAFKA_OPTIMIZER_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    },
    rustc: match option_env!("KAFKA_OPTIMIZER_RUSTC") {
        Some(rustc) => rustc,
        None => "unknown",
    },
};

#[derive(Clone, Debug)]
pub struct ServeOptions {
    pub config: Config,
    /// The file that a reload reads; `None` without `--config.file`.
    pub config_file: Option<PathBuf>,
    /// Each `[HOST]:PORT`; not empty.
    pub listen: Vec<String>,
    /// Path under which metrics are exposed.
    pub telemetry_path: String,
    /// TLS, users, headers and the rate limit.
    pub web: Web,
}

/// Why the process does not start, or ends with a failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    #[error("cannot listen on {address}")]
    Listen {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot use the state directory {}", path.display())]
    StateDir {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another process holds the lock {}", path.display())]
    StateLocked { path: PathBuf },
    #[error("cannot open the state store {}", path.display())]
    Store {
        path: PathBuf,
        #[source]
        source: StoreError,
    },
    #[error(transparent)]
    NoCluster(#[from] NoCluster),
    #[error("cannot create the Prometheus client")]
    Prometheus(#[from] PrometheusError),
    /// I9: a certificate replaces a token, so it must be verified.
    #[error(
        "remediation.client_sans or remediation.clients is set, but client certificates are not verified"
    )]
    ClientsNotVerified,
    #[error("cannot install signal handlers")]
    Signals(#[source] io::Error),
    /// I43. `clusters` are two names, in the order of the configuration.
    #[error("`{}` and `{}` are the same Kafka cluster ({kafka_id})", clusters[0], clusters[1])]
    SameCluster { clusters: [ClusterName; 2], kafka_id: String },
    #[error("a task ended that must run as long as the process")]
    TaskEnded,
    /// Some work did not finish in time, or a second signal arrived.
    #[error("shutdown timed out with work still in progress")]
    ShutdownTimedOut,
}

impl AppError {
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "choose another address with --web.listen-address",
            Self::Store { source: StoreError::Damaged(_), .. } => {
                "restore the state directory from a copy; if there is none, move it away and restore \
                 by hand what runs have changed: docs/runbooks/stuck-run.md says how"
            }
            Self::Store { source: StoreError::Foreign, .. } => {
                "choose a directory of its own with remediation.state_dir"
            }
            Self::Store {
                source: StoreError::UnknownVersion(_) | StoreError::UnknownWord { .. },
                ..
            } => {
                "start the version that wrote it, or restore the copy of the state directory from \
                 before the upgrade"
            }
            Self::Store { source: StoreError::DiskFull { .. }, .. } => {
                "free space on the volume of the state directory"
            }
            Self::StateDir { .. } | Self::Store { .. } => {
                "make it writable for this user; another directory would not know the open runs"
            }
            Self::StateLocked { .. } => {
                "stop the other process, or give this one its own remediation.state_dir"
            }
            Self::NoCluster(_) => "add one to `clusters` in the configuration",
            Self::Prometheus(_) => "check the cluster's prometheus.url",
            Self::ClientsNotVerified => {
                "set client_auth_type: RequireAndVerifyClientCert in the web configuration file"
            }
            Self::Signals(_) => "check this user's limits",
            Self::SameCluster { .. } => "remove one of the two names from `clusters`",
            Self::TaskEnded => "the log says which task and why; restart the process",
            Self::ShutdownTimedOut => {
                "the journal has the open steps; the next start recovers them"
            }
        }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
///
/// See [`AppError`].
pub async fn serve(options: ServeOptions) -> Result<(), AppError> {
    // Everything that can fail comes before the first task is started.
    let signals = Signals::new().map_err(AppError::Signals)?;
    let listeners = listen(&options.listen).await?;
    let (config, web) = (options.config, options.web);

    check_web(&web, &config.remediation)?;

    let state = State::open(&config.remediation)?;
    let installation = state.installation(config.cluster_names()).await?;

    let clock: SharedClock = Arc::new(SystemClock::new());
    let tasks = Tasks::default();
    let telemetry =
        Arc::new(Telemetry::new(BUILD, &config.playbook_names(), &config.cluster_names()));
    telemetry.config_loaded(clock.wall());

    let mut clusters = Clusters::new(ClusterBuilder {
        clock: SharedClock::clone(&clock),
        store: state.store.clone(),
        telemetry: Arc::clone(&telemetry),
        pause: state.pause.clone(),
        tasks: tasks.clone(),
        installation,
    });

    let prepared = clusters.prepare(&config)?;
    prepared.check_distinct().await?;

    let latest = prepared.contexts().into_iter().map(|it| it.latest).collect();
    let exposer = Exposer::new(clusters.sources(), Arc::clone(&telemetry));
    let pages = exposer.pages();
    let remediator = Remediator::new(prepared.contexts())?;
    clusters.start(prepared, &remediator);
    remediator.watch_orphans(&tasks);
    tasks.start("expose", |stop| exposer.run(stop));

    let (set_ready, ready) = watch::channel(false);
    tasks.start("first rounds", |stop| watch_first_rounds(latest, set_ready, stop));
    let (settings, in_force) = watch::channel(Arc::new(settings(&config, options.telemetry_path)));
    let (reload, requests) = http::reload_channel();
    let router = http::router(http::AppState {
        pipeline: Arc::new(remediator.clone()),
        diagnosis: Diagnosis::new(clusters.diagnosed(), SharedClock::clone(&clock)),
        pages,
        telemetry: Arc::clone(&telemetry),
        ready,
        settings: in_force,
        reload,
        web: web.clone(),
        clock,
    });

    http::serve(listeners, &router, &web, &telemetry, Limits::default(), &tasks);
    info!(version = BUILD.version, mode = %config.remediation.mode, "Serving.");

    let has_state_dir = state.has_dir();
    let path = options.config_file;
    let token_stamps = TokenStamps::unchecked();
    let reloader =
        Reloader { path, config, clusters, remediator, settings, web, has_state_dir, token_stamps };

    signals.until_stop(reloader, requests, &tasks).await
}

fn check_web(web: &Web, remediation: &RemediationConfig) -> Result<(), AppError> {
    if !remediation.access.clients.is_empty() && !web.verifies_clients() {
        return Err(AppError::ClientsNotVerified);
    }

    if web.has_users_without_tls() {
        warn!("Passwords are sent in clear text: the web configuration has users but no TLS.");
    }

    Ok(())
}

/// What the HTTP handlers need of the configuration.
fn settings(config: &Config, telemetry_path: String) -> Settings {
    let cluster = |it: &ClusterConfig| ClusterInfo {
        name: it.name.clone(),
        collect_interval: it.collect_interval,
        capacity: it.capacity,
        prices: it.prices.clone(),
    };

    Settings {
        access: Access::new(&config.remediation.access),
        about: ServerInfo {
            version: BUILD.version,
            mode: config.remediation.mode,
            clusters: config.clusters.iter().map(cluster).collect(),
            telemetry_path,
        },
    }
}

/// Sets `ready` when every cluster's first round has ended, successfully or not.
async fn watch_first_rounds(
    latest: Vec<Latest>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) {
    for mut cluster in latest {
        let first = cluster.wait_for(Option::is_some);
        // A reload may have ended the collector: then its first round will not come.
        if stop.run_until_cancelled(first).await.is_none() {
            return;
        }
    }

    ready.send_replace(true);

    // This task must not end: that would end the process.
    stop.cancelled().await;
}

async fn listen(addresses: &[String]) -> Result<Vec<TcpListener>, AppError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let bound = match address.strip_prefix(':') {
            // All addresses; without IPv6, all IPv4 addresses.
            Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
                Ok(bound) => Ok(bound),
                Err(_no_v6) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
            },
            None => TcpListener::bind(address.as_str()).await,
        };

        let listening = bound.and_then(|it| Ok((it.local_addr()?, it)));
        let (bound_address, listener) =
            listening.map_err(|source| AppError::Listen { address: address.clone(), source })?;
        info!(address = %bound_address, "Listening.");
        listeners.push(listener);
    }

    Ok(listeners)
}
