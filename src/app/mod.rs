//! `serve`: builds adapters and stages, binds listeners, starts all tasks, and stops them in order.

mod state;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    clock::{SharedClock, SystemClock},
    collect::Collector,
    config::{ClusterConfig, Config, DockerConfig, RemediationConfig},
    docker::{SharedDocker, engine::Engine},
    expose::Exposer,
    http::{self, ClusterInfo, Limits, ServerInfo, Web},
    kafka::{
        SharedKafka,
        wire::{Wire, WireOptions},
    },
    model::ClusterName,
    probe::Probe,
    prometheus::{PrometheusError, SharedPrometheus, http::HttpPrometheus},
    remediation::{Context, NoCluster, PauseFile, Remediator},
    shutdown::{Drained, Tasks},
    snapshot::Latest,
    store::{Store, StoreError},
    telemetry::{BuildInfo, Telemetry},
};

use state::State;

/// Time for the current step to be read back, and for responses to be sent.
const DRAIN_GRACE: Duration = Duration::from_secs(30);
/// The Docker engine needs about a second for the statistics of a container.
const DOCKER_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// I9: `client_sans` replaces the token, so certificates must be verified.
    #[error("remediation.client_sans is set, but client certificates are not verified")]
    ClientsNotVerified,
    #[error("cannot install signal handlers")]
    Signals(#[source] io::Error),
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
            Self::StateDir { .. } | Self::Store { .. } => {
                "make it writable for this user, or choose another with remediation.state_dir"
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
    let (Config { clusters, remediation }, web) = (options.config, options.web);

    check_web(&web, &remediation)?;
    let state = State::open(&remediation)?;

    let clock: SharedClock = Arc::new(SystemClock::new());
    let tasks = Tasks::default();
    let about_clusters = about(&clusters);
    let names: Vec<ClusterName> = clusters.iter().map(|it| it.name.clone()).collect();
    let playbooks: Vec<String> = remediation.playbooks.iter().map(|it| it.name.clone()).collect();
    let telemetry = Arc::new(Telemetry::new(BUILD, &playbooks, &names));
    telemetry.config_loaded(clock.wall());

    let shared = ClusterBuilder {
        is_only_cluster: clusters.len() == 1,
        pause: state.pause.clone(),
        remediation: Arc::new(remediation),
        clock,
        store: state.store.clone(),
        telemetry: Arc::clone(&telemetry),
        tasks: tasks.clone(),
    };

    let contexts =
        clusters.into_iter().map(|it| shared.build(it)).collect::<Result<Vec<Context>, _>>()?;
    let latest: Vec<Latest> = contexts.iter().map(|it| it.latest.clone()).collect();
    let exposer = Exposer::new(latest.clone(), Arc::clone(&telemetry));
    let pages = exposer.pages();
    tasks.start("expose", |stop| exposer.run(stop));

    let remediation = Remediator::new(contexts)?;
    remediation.start(&tasks);

    let (set_ready, ready) = watch::channel(false);
    tasks.start("first rounds", |stop| watch_first_rounds(latest, set_ready, stop));
    let router = http::router(http::AppState {
        pipeline: Arc::new(remediation.clone()),
        pages,
        telemetry,
        ready,
        token: shared.remediation.token.clone(),
        client_sans: shared.remediation.client_sans.clone(),
        web: web.clone(),
        clock: SharedClock::clone(&shared.clock),
        about: ServerInfo {
            version: BUILD.version,
            mode: shared.remediation.mode,
            clusters: about_clusters,
            telemetry_path: options.telemetry_path,
        },
    });

    http::serve(listeners, &router, &web, Limits::default(), &tasks);
    info!(version = BUILD.version, mode = %shared.remediation.mode, "Serving.");

    signals.until_stop(&remediation, &tasks).await
}

fn check_web(web: &Web, remediation: &RemediationConfig) -> Result<(), AppError> {
    if !remediation.client_sans.is_empty() && !web.verifies_clients() {
        return Err(AppError::ClientsNotVerified);
    }

    if web.has_users_without_tls() {
        warn!("Passwords are sent in clear text: the web configuration has users but no TLS.");
    }

    Ok(())
}

fn about(clusters: &[ClusterConfig]) -> Vec<ClusterInfo> {
    let one = |it: &ClusterConfig| ClusterInfo {
        name: it.name.clone(),
        collect_interval: it.collect_interval,
    };

    clusters.iter().map(one).collect()
}

/// What all clusters share.
struct ClusterBuilder {
    is_only_cluster: bool,
    remediation: Arc<RemediationConfig>,
    clock: SharedClock,
    store: Store,
    telemetry: Arc<Telemetry>,
    pause: PauseFile,
    tasks: Tasks,
}

impl ClusterBuilder {
    /// Builds the adapters and the pipeline's context of one cluster; starts its collector and
    /// probe.
    fn build(&self, config: ClusterConfig) -> Result<Context, AppError> {
        let options = WireOptions {
            bootstrap: config.bootstrap_servers.clone(),
            request_timeout: config.request_timeout,
            client_id: "kafka-optimizer".to_owned(),
            security: config.security.clone(),
        };

        let kafka: SharedKafka =
            Arc::new(Wire::new(options, SharedClock::clone(&self.clock), self.tasks.clone()));
        let prometheus = config.prometheus.as_ref().map(|it| {
            HttpPrometheus::new(&it.url, it.timeout).map(|it| Arc::new(it) as SharedPrometheus)
        });

        let docker = config.docker.as_ref().map(|it| self.engine(it));
        let collector = Collector::new(
            &config,
            SharedKafka::clone(&kafka),
            docker.clone(),
            SharedClock::clone(&self.clock),
            Arc::clone(&self.telemetry),
        );

        let latest = collector.latest();
        self.tasks.start("collect", |stop| collector.run(stop));
        if let Some(probe) = config.probe.clone() {
            let clock = SharedClock::clone(&self.clock);
            let telemetry = Arc::clone(&self.telemetry);
            let probe = Probe::new(&config, probe, clock, telemetry);
            self.tasks.start("probe", |stop| probe.run(stop));
        }

        Ok(Context {
            cluster: Arc::new(config),
            is_only_cluster: self.is_only_cluster,
            remediation: Arc::clone(&self.remediation),
            kafka,
            prometheus: prometheus.transpose()?,
            docker,
            clock: SharedClock::clone(&self.clock),
            store: self.store.clone(),
            telemetry: Arc::clone(&self.telemetry),
            latest,
            pause: self.pause.clone(),
            wake: Arc::new(Notify::new()),
        })
    }

    fn engine(&self, config: &DockerConfig) -> SharedDocker {
        let socket = config.socket.to_string_lossy();
        Arc::new(Engine::new(socket, DOCKER_TIMEOUT, SharedClock::clone(&self.clock)))
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
        if !matches!(stop.run_until_cancelled(first).await, Some(Ok(_))) {
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

/// Handlers of SIGTERM, SIGINT, SIGUSR1 (pause) and SIGUSR2 (resume).
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    pause: Signal,
    resume: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            pause: signal(SignalKind::user_defined1())?,
            resume: signal(SignalKind::user_defined2())?,
        })
    }

    async fn until_stop(mut self, remediation: &Remediator, tasks: &Tasks) -> Result<(), AppError> {
        let stopping = tasks.stopping();
        let result = loop {
            tokio::select! {
                () = stopping.cancelled() => break Err(AppError::TaskEnded),
                _ = self.terminate.recv() => break Ok(()),
                _ = self.interrupt.recv() => break Ok(()),
                _ = self.pause.recv() => log_result("Remediation paused.", remediation.pause()),
                _ = self.resume.recv() => log_result("Remediation resumed.", remediation.resume()),
            }
        };

        info!("Stopping.");
        let drained = tokio::select! {
            drained = tasks.drain(DRAIN_GRACE) => drained,
            _ = self.terminate.recv() => Drained::GraceExpired,
            _ = self.interrupt.recv() => Drained::GraceExpired,
        };

        match drained {
            Drained::Cleanly => result,
            Drained::GraceExpired => result.and(Err(AppError::ShutdownTimedOut)),
        }
    }
}

fn log_result(done: &'static str, result: io::Result<()>) {
    match result {
        Ok(()) => info!("{done}"),
        Err(error) => error!(%error, "Cannot change the pause file."),
    }
}
