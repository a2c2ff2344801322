//! The signals that the process handles, and its main loop.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};

use super::{AppError, reload::Reloader};
use crate::{
    http::ReloadRequests,
    model::Principal,
    shutdown::{Drained, Tasks},
};

/// Time for the current step to be read back, and for responses to be sent.
const DRAIN_GRACE: Duration = Duration::from_secs(30);

/// How often the token files are checked for changes: a token that leaked is soon worthless.
const TOKEN_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Handlers of SIGTERM, SIGINT, SIGHUP (reload), SIGUSR1 (pause) and SIGUSR2 (resume).
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    pause: Signal,
    resume: Signal,
}

/// From now on SIGHUP does not end the process: one that arrives before the main loop is lost, and
/// the file is being read anyway.
///
/// # Errors
///
/// If the handler cannot be installed.
pub fn survive_hangup() -> io::Result<()> {
    signal(SignalKind::hangup()).map(drop)
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
            pause: signal(SignalKind::user_defined1())?,
            resume: signal(SignalKind::user_defined2())?,
        })
    }

    pub(super) async fn until_stop(
        mut self,
        mut reloader: Reloader,
        mut requests: ReloadRequests,
        tasks: &Tasks,
    ) -> Result<(), AppError> {
        let stopping = tasks.stopping();
        let mut token_check = tokio::time::interval(TOKEN_CHECK_INTERVAL);
        let remediation = reloader.remediator.clone();
        let result = loop {
            tokio::select! {
                () = stopping.cancelled() => break Err(AppError::TaskEnded),
                _ = self.terminate.recv() => break Ok(()),
                _ = self.interrupt.recv() => break Ok(()),
                _ = self.pause.recv() => {
                    log_error(remediation.pause(&Principal::new("signal SIGUSR1")).await);
                }
                _ = self.resume.recv() => {
                    log_error(remediation.resume(&Principal::new("signal SIGUSR2")).await);
                }
                // Its result is logged and exported.
                _ = self.reload.recv() => drop(reloader.reload().await),
                _ = token_check.tick() => reloader.refresh_tokens().await,
                request = requests.next() => request.answer(reloader.reload().await),
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

fn log_error(result: io::Result<()>) {
    if let Err(error) = result {
        error!(%error, "Cannot change the pause file.");
    }
}
