//! One connection to one broker: opened with `ApiVersions`, then any number of requests in flight.
//!
//! A single task owns the socket and both directions. Kafka answers in the order of the requests,
//! so an answer belongs to the oldest request or the stream is broken.
//!
//! Invariant: requests are written in the order in which they wait for answers.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{messages::ApiVersionsRequest, protocol::Request};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    AdapterContext,
    connection_error::ConnectionError,
    credentials::Credentials,
    diagnostics, error_codes, frame,
    options::UNSENT_MAX,
    stream::{self, Stream},
    versions::Versions,
};
use crate::{clock::SharedClock, kafka::Api, model::MonotonicTime};

/// The version of `ApiVersions` that every broker since 2.4 answers.
const API_VERSIONS: i16 = 3;

/// How often a connection looks, once the process is stopping, whether its last answer has come.
const IDLE_CHECK: Duration = Duration::from_millis(50);

/// An open connection. The socket is closed when the last holder lets go.
#[derive(Debug)]
pub(super) struct Connection {
    pending: Arc<PendingRequests>,
    unsent: mpsc::Sender<Bytes>,
    versions: Versions,
    client_id: String,
    next_correlation: AtomicI32,
    retired: AtomicBool,
    /// Whether a request has been answered since it was opened.
    proven: AtomicBool,
    /// With which credentials it was opened.
    generation: u64,
    /// When the broker's patience with our proof is nearly over.
    session_ends: Option<MonotonicTime>,
    _open: DropGuard,
}

/// What the callers and the task share.
#[derive(Debug, Default)]
struct PendingRequests(Mutex<PendingState>);

#[derive(Debug, Default)]
struct PendingState {
    /// Oldest first. A caller that gave up leaves its place, so that its late answer is known.
    answers: VecDeque<(i32, oneshot::Sender<Bytes>)>,
    ended: Option<ConnectionError>,
}

impl Connection {
    /// Connects, and learns what the broker speaks.
    pub(super) async fn open(
        common: &AdapterContext,
        address: &str,
        current: &Credentials,
    ) -> Result<Self, ConnectionError> {
        let tls = current.material.tls.as_ref();
        let stream = stream::dial(address, tls).await?;
        let mut connection = Self::over(common, stream);
        connection.generation = current.generation;
        common.counts.sent(Api::ApiVersions);
        let learnt = connection
            .negotiate_versions()
            .await
            .map_err(|it| diagnostics::greeting_failed(it, tls));
        connection.versions =
            learnt.inspect_err(|ending| common.counts.failed(Api::ApiVersions, ending.fault()))?;
        Ok(connection)
    }

    fn over(common: &AdapterContext, stream: impl Stream) -> Self {
        let pending = Arc::new(PendingRequests::default());
        let open = CancellationToken::new();
        let (unsent, frames) = mpsc::channel(UNSENT_MAX);
        let task = Task {
            pending: Arc::clone(&pending),
            open: open.clone(),
            stopping: common.tasks.stopping(),
            clock: Arc::clone(&common.clock),
        };
        common.tasks.start_short("kafka connection", task.run(stream, frames));
        Self {
            pending,
            unsent,
            versions: Versions::default(),
            client_id: common.options.client_id.clone(),
            next_correlation: AtomicI32::new(1),
            retired: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            generation: 0,
            session_ends: None,
            _open: open.drop_guard(),
        }
    }

    async fn negotiate_versions(&self) -> Result<Versions, ConnectionError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(super::call::text(env!("CARGO_PKG_NAME")))
            .with_client_software_version(super::call::text(env!("CARGO_PKG_VERSION")));
        let frame = self.exchange(&request, API_VERSIONS).await?;
        // The error code comes first in every version; a broker that does not know ours answers in
        // version 0, whatever was asked.
        let error = frame.get(4..6).map(|it| i16::from_be_bytes([it[0], it[1]]));
        if error == Some(error_codes::UNSUPPORTED_VERSION) {
            let frame = self.exchange(&ApiVersionsRequest::default(), 0).await?;
            let versions = frame.get(4..).and_then(Versions::from_version_0);
            return versions
                .ok_or_else(|| ConnectionError::Malformed("ApiVersions in version 0".to_owned()));
        }
        let answer = frame::decode::<ApiVersionsRequest>(frame, API_VERSIONS)
            .map_err(|it| ConnectionError::Malformed(format!("ApiVersions: {it}")))?;
        if answer.error_code != error_codes::NONE {
            return Err(ConnectionError::Malformed(format!(
                "ApiVersions: error {}",
                answer.error_code
            )));
        }
        Ok(Versions::from_answer(&answer))
    }

    pub(super) const fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Whether new requests may go on it, at this time and with these credentials.
    pub(super) fn is_usable(&self, now: MonotonicTime, generation: u64) -> bool {
        !self.retired.load(Ordering::Relaxed)
            && self.generation == generation
            && self.session_ends.is_none_or(|it| now < it)
            && self.pending.lock().ended.is_none()
    }

    /// Whether a request has been answered since it was opened.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// The broker believes who we are until then.
    pub(super) const fn trusted_until(&mut self, end: Option<MonotonicTime>) {
        self.session_ends = end;
    }

    /// A request has been answered.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Takes no new requests; those under way keep their own deadlines.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Sends `request` and waits for its frame. The deadline is the caller's.
    pub(super) async fn exchange<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<Bytes, ConnectionError> {
        let correlation = self.next_correlation.fetch_add(1, Ordering::Relaxed);
        let frame = frame::encode(request, version, correlation, &self.client_id)
            .map_err(ConnectionError::Malformed)?;
        let (answer, answered) = oneshot::channel();
        let Ok(place) = self.unsent.reserve().await else { return Err(self.pending.ending()) };
        self.pending.enter(correlation, answer, || place.send(frame))?;
        answered.await.map_err(|_| self.pending.ending())
    }
}

impl PendingRequests {
    fn lock(&self) -> MutexGuard<'_, PendingState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the queue and sends, as one: the order of both must be the same.
    fn enter(
        &self,
        correlation: i32,
        answer: oneshot::Sender<Bytes>,
        send: impl FnOnce(),
    ) -> Result<(), ConnectionError> {
        let mut waiting = self.lock();
        if let Some(ending) = &waiting.ended {
            return Err(ending.clone());
        }
        waiting.answers.push_back((correlation, answer));
        send();
        Ok(())
    }

    /// Hands a frame to the oldest waiting request.
    fn deliver(&self, frame: Bytes) -> Result<(), ConnectionError> {
        let Some((correlation, answer)) = self.lock().answers.pop_front() else {
            return Err(ConnectionError::Malformed("an answer that nobody asked for".to_owned()));
        };
        let got = frame::correlation(&frame);
        if got != Some(correlation) {
            let problem = format!("an answer to request {got:?} instead of {correlation}");
            self.end(ConnectionError::Malformed(problem.clone()));
            return Err(ConnectionError::Malformed(problem));
        }
        // Nobody listens any more when the caller's deadline has passed: its answer is dropped.
        drop(answer.send(frame));
        Ok(())
    }

    /// Refuses new requests and lets go of those that wait. The first reason stays.
    fn end(&self, ending: ConnectionError) {
        let mut waiting = self.lock();
        waiting.ended.get_or_insert(ending);
        waiting.answers.clear();
    }

    fn ending(&self) -> ConnectionError {
        let closed = || ConnectionError::Broken(io::ErrorKind::NotConnected, "closed".to_owned());
        self.lock().ended.clone().unwrap_or_else(closed)
    }

    /// Ends an unused connection. Requests that come later open another one.
    fn end_if_idle(&self) -> bool {
        let mut waiting = self.lock();
        let idle = waiting.answers.iter().all(|(_, answer)| answer.is_closed());
        if idle {
            let stopping =
                || ConnectionError::Broken(io::ErrorKind::NotConnected, "stopping".to_owned());
            waiting.ended.get_or_insert_with(stopping);
        }
        idle
    }
}

/// The owner of the socket.
struct Task {
    pending: Arc<PendingRequests>,
    /// Cancelled when nobody holds the connection any more.
    open: CancellationToken,
    stopping: CancellationToken,
    clock: SharedClock,
}

impl Task {
    async fn run(self, stream: impl Stream, frames: mpsc::Receiver<Bytes>) {
        let (reader, writer) = tokio::io::split(stream);
        let ending = tokio::select! {
            ending = receive(reader, &self.pending) => ending,
            ending = send(writer, frames) => ending,
            () = self.open.cancelled() => closed(),
            () = self.unused() => closed(),
        };
        self.pending.end(ending);
    }

    /// Shutdown waits for this task, and a step in hand may still need the connection: so it ends
    /// once the process is stopping *and* nothing is under way.
    async fn unused(&self) {
        self.stopping.cancelled().await;
        while !self.pending.end_if_idle() {
            self.clock.sleep(IDLE_CHECK).await;
        }
    }
}

fn closed() -> ConnectionError {
    ConnectionError::Broken(io::ErrorKind::NotConnected, "closed".to_owned())
}

async fn receive(mut reader: impl AsyncRead + Unpin, pending: &PendingRequests) -> ConnectionError {
    loop {
        let delivered = match frame::read(&mut reader).await {
            Ok(frame) => pending.deliver(frame),
            Err(unread) => Err(unread.into()),
        };
        if let Err(ending) = delivered {
            return ending;
        }
    }
}

async fn send(
    mut writer: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Bytes>,
) -> ConnectionError {
    while let Some(frame) = frames.recv().await {
        let written = async { writer.write_all(&frame).await.and(writer.flush().await) };
        if let Err(error) = written.await {
            return error.into();
        }
    }
    closed()
}
