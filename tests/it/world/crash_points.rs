//! The points at which a process can crash: before each outside call, between its effect and its
//! response, before and after each wait, and after each line of the journal.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    Never,
    /// At the crash point with this number, counted from 1 since the worker's start.
    AtMoment(u64),
    /// Once the journal has this many lines.
    AfterLine(u64),
}

#[derive(Debug, Default)]
struct CrashState {
    passed: AtomicU64,
    /// 0 means never.
    ends_at: AtomicU64,
    over: AtomicBool,
}

/// Counts crash points, and blocks every task at the one where the process ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrashPoints(Arc<CrashState>);

impl CrashPoints {
    pub(crate) fn restart(&self, crash: Crash) {
        let ends_at = if let Crash::AtMoment(at) = crash { at } else { 0 };
        self.0.passed.store(0, Ordering::SeqCst);
        self.0.ends_at.store(ends_at, Ordering::SeqCst);
        self.0.over.store(false, Ordering::SeqCst);
    }

    /// Crash points passed since the start.
    pub(crate) fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::SeqCst)
    }

    /// Whether the process has ended.
    pub(crate) fn over(&self) -> bool {
        self.0.over.load(Ordering::SeqCst)
    }

    /// Passes one crash point. Does not return if the process ends here.
    pub(crate) async fn pass(&self) {
        let number = self.0.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.0.ends_at.load(Ordering::SeqCst) {
            self.0.over.store(true, Ordering::SeqCst);
        }

        if self.over() {
            pending::<()>().await;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessEnd {
    ByItself,
    /// Its future was dropped.
    Crashed,
}

/// A process that can crash at any await: its future is dropped, and requests it has sent stay in
/// flight.
pub(crate) struct SimulatedProcess {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    crash_points: CrashPoints,
    /// Returns whether the process ends before its next poll; used for crashes at journal lines.
    ends: Box<dyn Fn() -> bool + Send>,
}

impl SimulatedProcess {
    pub(crate) fn new(
        work: impl Future<Output = ()> + Send + 'static,
        crash_points: CrashPoints,
        ends: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        Self { work: Some(Box::pin(work)), crash_points, ends: Box::new(ends) }
    }
}

impl Future for SimulatedProcess {
    type Output = ProcessEnd;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<ProcessEnd> {
        let crashed = (self.ends)() || {
            let Some(work) = self.work.as_mut() else { return Poll::Ready(ProcessEnd::Crashed) };
            if work.as_mut().poll(context).is_ready() {
                self.work = None;
                return Poll::Ready(ProcessEnd::ByItself);
            }
            self.crash_points.over()
        };
        if crashed {
            self.work = None;
            return Poll::Ready(ProcessEnd::Crashed);
        }

        Poll::Pending
    }
}
