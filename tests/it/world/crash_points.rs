//! The crash_points at which a process can end: before each call to the outside world, after its effect
//! and before its answer, before and after each wait, and after each line of the journal.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

/// When the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// By itself, never.
    Never,
    /// At the moment with this number, counted from 1 since the worker's start.
    AtMoment(u64),
    /// As soon as the journal holds so many lines.
    AfterLine(u64),
}

#[derive(Debug, Default)]
struct CrashState {
    passed: AtomicU64,
    /// 0: never.
    ends_at: AtomicU64,
    over: AtomicBool,
}

/// Counts crash_points; holds everybody at the one where the process ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrashPoints(Arc<CrashState>);

impl CrashPoints {
    pub(crate) fn restart(&self, crash: Crash) {
        let ends_at = if let Crash::AtMoment(at) = crash { at } else { 0 };
        self.0.passed.store(0, Ordering::SeqCst);
        self.0.ends_at.store(ends_at, Ordering::SeqCst);
        self.0.over.store(false, Ordering::SeqCst);
    }

    /// How many there were since the start.
    pub(crate) fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::SeqCst)
    }

    /// Whether the process has ended.
    pub(crate) fn over(&self) -> bool {
        self.0.over.load(Ordering::SeqCst)
    }

    /// One moment. Does not return when the process ends here.
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
    /// It was dropped in the middle.
    Crashed,
}

/// A process that may end at any await: its future is dropped there, and what it had sent is on its
/// way.
pub(crate) struct SimulatedProcess {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    crash_points: CrashPoints,
    /// Says whether the process ends before its next poll; for crashes at lines of the journal.
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
