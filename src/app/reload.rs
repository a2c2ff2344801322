//! Reloads the configuration file: builds everything anew, checks it, then swaps it in one step.
//!
//! A file that cannot be used changes nothing. What a running process cannot change is refused.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::timeout};
use tracing::{debug, error, warn};

use super::{AppError, check_web, clusters::Clusters, settings, state};
use crate::{
    config::{self, Config, ConfigError, Loaded, TokenStamps},
    http::{Settings, Web},
    model::{ClusterName, RunId, RunState},
    remediation::Remediator,
    store::{RunRow, StoreError},
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
    pub(super) token_stamps: TokenStamps,
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

    /// Reads the token files again if they have changed, as every other secret. Files that cannot
    /// be used change nothing, and are logged once.
    pub(super) async fn refresh_tokens(&mut self) {
        let access = self.config.remediation.access.clone();
        let mut stamps = self.token_stamps.clone();
        let reading = spawn_blocking(move || {
            let read = stamps.reread(&access);
            (stamps, read)
        });

        // A slow disk is asked again at the next check.
        let Ok(Ok((stamps, read))) = timeout(READ_TIMEOUT, reading).await else { return };
        self.token_stamps = stamps;

        match read {
            Ok(None) => (),
            Ok(Some(access)) => {
                self.config.remediation.access = access;
                self.publish_settings();
                debug!("Token files read.");
            }
            Err(error) => {
                let reason = chain(&error);
                error!(reason, "Token files rejected, the previous tokens stay valid.");
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
        self.config = config;
        self.publish_settings();

        Ok(())
    }

    /// Refuses what a running process cannot change.
    async fn check(&self, config: &Config) -> Result<(), ReloadError> {
        let (wanted, current) = (&config.remediation, &self.config.remediation);
        if self.has_state_dir && wanted.state_dir != current.state_dir {
            return Err(ReloadError::NeedsRestart("remediation.state_dir is another directory"));
        }

        if !self.has_state_dir && !state::only_exports(&config.remediation) {
            let what = "playbooks, tokens or clients were added, but the process keeps no state";
            return Err(ReloadError::NeedsRestart(what));
        }

        check_web(&self.web, &config.remediation)?;

        for cluster in self.clusters.missing_in(config) {
            let runs = self.clusters.builder().store.open_runs(&cluster).await?;
            let has_changed_it = |it: &RunRow| {
                it.state.is_active() || matches!(it.state, RunState::Kept | RunState::Stuck)
            };
            let in_use = runs.into_iter().find(has_changed_it);
            if let Some(run) = in_use {
                return Err(ReloadError::ClusterInUse { cluster, run: run.id, state: run.state });
            }
        }

        Ok(())
    }

    fn telemetry(&self) -> &Arc<Telemetry> {
        &self.clusters.builder().telemetry
    }

    /// From now on the handlers use the current configuration.
    fn publish_settings(&self) {
        let settings = settings(&self.config, self.telemetry_path());
        self.settings.send_replace(Arc::new(settings));
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
