//! Reloads the configuration file: builds everything anew, checks it, then swaps it in one step.
//!
//! A file that cannot be used changes nothing. What a running process cannot change is refused.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::timeout};
use tracing::warn;

use super::{AppError, check_web, clusters::Clusters, settings, state};
use crate::{
    config::{self, Config, ConfigError, Loaded},
    http::{Settings, Web},
    model::{ClusterName, RunId, RunState},
    remediation::Remediator,
    store::StoreError,
    telemetry::{Telemetry, chain},
};

/// Longest time that reading the file, and the files that it names, may take: signals wait.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a configuration is not put into effect.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error("the process was started without --config.file: there is no file to reload")]
    NoFile,
    #[error("{}", path.display())]
    Config { path: PathBuf, source: ConfigError },
    #[error("reading the configuration took more than {READ_TIMEOUT:?}")]
    Slow,
    #[error("{0}: this change needs a restart")]
    NeedsRestart(&'static str),
    #[error(
        "cluster `{cluster}` cannot be removed or renamed while run {run} is {state}: roll the run \
         back, or wait until its change has expired"
    )]
    ClusterInUse { cluster: ClusterName, run: RunId, state: RunState },
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) struct Reloader {
    /// `None` for a process without a configuration file.
    pub(super) path: Option<PathBuf>,
    pub(super) config: Config,
    pub(super) clusters: Clusters,
    pub(super) remediator: Remediator,
    pub(super) settings: watch::Sender<Arc<Settings>>,
    pub(super) web: Web,
    pub(super) has_state_dir: bool,
}

impl Reloader {
    /// Reloads the file. The result is logged, exported, and returned in words.
    pub(super) async fn reload(&mut self) -> Result<(), String> {
        let telemetry = Arc::clone(self.telemetry());
        match self.try_reload().await {
            Ok(()) => {
                telemetry.config_loaded(self.clusters.builder().clock.wall());
                Ok(())
            }
            Err(error) => {
                let reason = chain(&error);
                telemetry.config_rejected(&reason);
                Err(reason)
            }
        }
    }

    async fn try_reload(&mut self) -> Result<(), ReloadError> {
        let path = self.path.clone().ok_or(ReloadError::NoFile)?;
        let Loaded { config, warnings } = read(path).await?;
        self.check(&config).await?;
        let prepared = self.clusters.prepare(&config)?;
        prepared.check_distinct().await?;
        self.clusters.builder().store.configure_clusters(config.cluster_names()).await?;

        // Nothing below can fail.
        for warning in warnings {
            warn!(%warning, "Configuration is valid, but unwise.");
        }

        let removed = self.clusters.missing_in(&config);
        self.telemetry().configured(&config.playbook_names(), &config.cluster_names(), &removed);
        self.remediator.replace(prepared.contexts()).map_err(AppError::from)?;
        self.clusters.start(prepared, &self.remediator);
        self.settings.send_replace(Arc::new(settings(&config, self.telemetry_path())));
        self.config = config;

        Ok(())
    }

    /// Refuses what a running process cannot change.
    async fn check(&self, config: &Config) -> Result<(), ReloadError> {
        let (wanted, current) = (&config.remediation, &self.config.remediation);
        if self.has_state_dir && wanted.state_dir != current.state_dir {
            return Err(ReloadError::NeedsRestart("remediation.state_dir is another directory"));
        }

        if !self.has_state_dir && !state::only_exports(&config.remediation) {
            let what = "a process that only exported metrics gets playbooks or tokens";
            return Err(ReloadError::NeedsRestart(what));
        }

        check_web(&self.web, &config.remediation)?;

        for cluster in self.clusters.missing_in(config) {
            let runs = self.clusters.builder().store.open_runs(&cluster).await?;
            let in_use =
                runs.into_iter().find(|it| it.state.is_active() || it.state == RunState::Kept);
            if let Some(run) = in_use {
                return Err(ReloadError::ClusterInUse { cluster, run: run.id, state: run.state });
            }
        }

        Ok(())
    }

    fn telemetry(&self) -> &Arc<Telemetry> {
        &self.clusters.builder().telemetry
    }

    fn telemetry_path(&self) -> String {
        self.settings.borrow().about.telemetry_path.clone()
    }
}

async fn read(path: PathBuf) -> Result<Loaded, ReloadError> {
    let file = path.clone();
    let reading = spawn_blocking(move || config::load(&file));
    match timeout(READ_TIMEOUT, reading).await {
        Ok(Ok(loaded)) => loaded.map_err(|source| ReloadError::Config { path, source }),
        Ok(Err(failure)) => std::panic::resume_unwind(failure.into_panic()),
        Err(_elapsed) => Err(ReloadError::Slow),
    }
}
