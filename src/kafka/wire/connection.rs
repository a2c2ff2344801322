//! One connection to one broker: an `ApiVersions` handshake, then any number of requests in flight.
//!
//! A single task owns the socket and both directions. Kafka answers requests in order, so a
//! response belongs to the oldest request in flight, or the stream is broken.
//!
//! Invariant: requests are written in the order in which they wait for their responses.

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
    net::TcpStream,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    AdapterContext,
    api_call::{code_name, str_bytes},
    connection_error::ConnectionError,
    credentials::Credentials,
    diagnostics,
    error_codes::{ErrorCode, ParseResponseErrorCode},
    frame,
    options::OUTGOING_MAX,
    stream::{self, BrokerStream},
    supported_versions::SupportedVersions,
};
use crate::{
    clock::SharedClock,
    model::{Api, MonotonicTime},
};

/// The version of `ApiVersions` that every broker since 2.4 supports.
const API_VERSIONS_VERSION: i16 = 3;

/// How often a connection checks, once the process is stopping, whether it has become idle.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// An open connection. The socket is closed when the last reference is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    pending: Arc<PendingRequests>,
    outgoing: mpsc::Sender<Bytes>,
    versions: SupportedVersions,
    client_id: String,
    next_correlation_id: AtomicI32,
    retired: AtomicBool,
    /// A request has been answered since the handshake.
    answered: AtomicBool,
    /// The generation of the credentials that it was opened with.
    generation: u64,
    /// When to open a new connection, before the SASL session expires.
    expires_at: Option<MonotonicTime>,
    _close_on_drop: DropGuard,
}

/// Requests in flight. Shared by the callers and the I/O task.
#[derive(Debug, Default)]
struct PendingRequests(Mutex<PendingState>);

#[derive(Debug, Default)]
struct PendingState {
    /// Oldest first. A caller that gave up keeps its place, so that its late response is
    /// recognized.
    in_flight: VecDeque<(i32, oneshot::Sender<Bytes>)>,
    close_reason: Option<ConnectionError>,
}

impl Connection {
    /// Negotiates TLS and versions on a stream to `address`. Does not authenticate.
    pub(super) async fn open(
        context: &AdapterContext,
        stream: TcpStream,
        address: &str,
        credentials: &Credentials,
    ) -> Result<Self, ConnectionError> {
        let tls = credentials.security.tls.as_ref();
        let stream = stream::secure(stream, address, tls).await?;
        let mut connection = Self::start(context, stream, credentials.generation);

        context.counters.record_sent(Api::ApiVersions);
        let versions = connection.negotiate_versions().await;
        connection.versions = versions
            .map_err(|error| diagnostics::api_versions_failed(error, tls))
            .inspect_err(|error| {
                context.counters.record_failed(Api::ApiVersions, error.failure());
            })?;

        Ok(connection)
    }

    fn start(context: &AdapterContext, stream: impl BrokerStream, generation: u64) -> Self {
        let pending = Arc::new(PendingRequests::default());
        let closed = CancellationToken::new();
        let (outgoing, frames) = mpsc::channel(OUTGOING_MAX);

        let task = IoTask {
            pending: Arc::clone(&pending),
            closed: closed.clone(),
            stopping: context.tasks.stopping(),
            clock: Arc::clone(&context.clock),
        };
        context.tasks.start_short("kafka connection", task.run(stream, frames));

        Self {
            pending,
            outgoing,
            versions: SupportedVersions::default(),
            client_id: context.options.client_id.clone(),
            next_correlation_id: AtomicI32::new(1),
            retired: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            generation,
            expires_at: None,
            _close_on_drop: closed.drop_guard(),
        }
    }

    async fn negotiate_versions(&self) -> Result<SupportedVersions, ConnectionError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(str_bytes(env!("CARGO_PKG_NAME")))
            .with_client_software_version(str_bytes(env!("CARGO_PKG_VERSION")));
        let frame = self.exchange(&request, API_VERSIONS_VERSION).await?;

        // The error code comes first in every version. A broker that does not support our version
        // answers in version 0 (KIP-511).
        let code = frame.get(4..6).map(|it| i16::from_be_bytes([it[0], it[1]]));
        if code.and_then(ParseResponseErrorCode::err) == Some(ErrorCode::UnsupportedVersion) {
            let frame = self.exchange(&ApiVersionsRequest::default(), 0).await?;
            let versions = frame.get(4..).and_then(SupportedVersions::parse_version_0);
            return versions.ok_or_else(|| {
                ConnectionError::Malformed("invalid ApiVersions response in version 0".to_owned())
            });
        }

        let response = frame::decode::<ApiVersionsRequest>(frame, API_VERSIONS_VERSION)
            .map_err(|error| ConnectionError::Malformed(format!("ApiVersions: {error}")))?;
        if response.error_code.is_err() {
            let code = code_name(response.error_code);
            return Err(ConnectionError::Malformed(format!("ApiVersions: {code}")));
        }

        Ok(SupportedVersions::from_response(&response))
    }

    pub(super) const fn versions(&self) -> &SupportedVersions {
        &self.versions
    }

    /// Whether new requests may be sent at this time, with credentials of this generation.
    pub(super) fn is_usable(&self, now: MonotonicTime, generation: u64) -> bool {
        !self.retired.load(Ordering::Relaxed)
            && self.generation == generation
            && self.expires_at.is_none_or(|it| now < it)
            && self.pending.lock().close_reason.is_none()
    }

    /// Whether a request has been answered since the handshake.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn mark_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub(super) const fn set_expiry(&mut self, expires_at: Option<MonotonicTime>) {
        self.expires_at = expires_at;
    }

    /// Accepts no new requests. Those in flight keep their own deadlines.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Sends `request` and waits for the frame of its response. The caller sets the deadline.
    pub(super) async fn exchange<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<Bytes, ConnectionError> {
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = frame::encode(request, version, correlation_id, &self.client_id)
            .map_err(ConnectionError::Malformed)?;

        let (sender, response) = oneshot::channel();
        let Ok(slot) = self.outgoing.reserve().await else {
            return Err(self.pending.close_reason());
        };
        self.pending.enqueue(correlation_id, sender, || slot.send(frame))?;

        response.await.map_err(|_| self.pending.close_reason())
    }
}

impl PendingRequests {
    fn lock(&self) -> MutexGuard<'_, PendingState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the queue and sends, under one lock: both must happen in the same order.
    fn enqueue(
        &self,
        correlation_id: i32,
        response: oneshot::Sender<Bytes>,
        send: impl FnOnce(),
    ) -> Result<(), ConnectionError> {
        let mut state = self.lock();
        if let Some(reason) = &state.close_reason {
            return Err(reason.clone());
        }

        state.in_flight.push_back((correlation_id, response));
        send();

        Ok(())
    }

    /// Hands a frame to the oldest request in flight. Closes the queue if it belongs to another.
    fn complete_oldest(&self, frame: Bytes) -> Result<(), ConnectionError> {
        let Some((expected, response)) = self.lock().in_flight.pop_front() else {
            let problem = "response without a request in flight".to_owned();
            return Err(ConnectionError::Malformed(problem));
        };

        let actual = frame::correlation_id(&frame);
        if actual != Some(expected) {
            let problem = format!("response has correlation id {actual:?}, expected {expected}");
            let error = ConnectionError::Malformed(problem);
            self.close(error.clone());
            return Err(error);
        }

        // The receiver is gone when the caller's deadline has passed: drop the late response.
        drop(response.send(frame));

        Ok(())
    }

    /// Rejects new requests and fails those in flight. The first reason is kept.
    fn close(&self, reason: ConnectionError) {
        let mut state = self.lock();
        state.close_reason.get_or_insert(reason);
        state.in_flight.clear();
    }

    fn close_reason(&self) -> ConnectionError {
        self.lock().close_reason.clone().unwrap_or_else(closed)
    }

    /// Closes the queue if nobody waits for a response. Later requests open a new connection.
    fn close_if_idle(&self) -> bool {
        let mut state = self.lock();
        let idle = state.in_flight.iter().all(|(_, response)| response.is_closed());

        if idle {
            let stopping =
                || ConnectionError::Broken(io::ErrorKind::NotConnected, "stopping".to_owned());
            state.close_reason.get_or_insert_with(stopping);
        }

        idle
    }
}

/// The task that owns the socket.
struct IoTask {
    pending: Arc<PendingRequests>,
    /// Cancelled when the last reference to the connection is dropped.
    closed: CancellationToken,
    stopping: CancellationToken,
    clock: SharedClock,
}

impl IoTask {
    async fn run(self, stream: impl BrokerStream, frames: mpsc::Receiver<Bytes>) {
        let (reader, writer) = tokio::io::split(stream);
        let reason = tokio::select! {
            error = receive(reader, &self.pending) => error,
            error = send(writer, frames) => error,
            () = self.closed.cancelled() => closed(),
            () = self.idle_after_stop() => closed(),
        };
        self.pending.close(reason);
    }

    /// Returns once the process is stopping *and* no request is in flight. Shutdown waits for this
    /// task, and the step of a run that is still in progress may need the connection.
    async fn idle_after_stop(&self) {
        self.stopping.cancelled().await;
        loop {
            // First of all: a connection that was just opened has no request in flight yet.
            self.clock.sleep(IDLE_CHECK_INTERVAL).await;
            if self.pending.close_if_idle() {
                return;
            }
        }
    }
}

fn closed() -> ConnectionError {
    ConnectionError::Broken(io::ErrorKind::NotConnected, "connection closed".to_owned())
}

async fn receive(mut reader: impl AsyncRead + Unpin, pending: &PendingRequests) -> ConnectionError {
    loop {
        let completed = match frame::read(&mut reader).await {
            Ok(frame) => pending.complete_oldest(frame),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = completed {
            return error;
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
