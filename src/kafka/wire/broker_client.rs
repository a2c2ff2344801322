//! The client of one broker address: its connection, opened on demand, and the back-off after a
//! failure.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kafka_protocol::protocol::Request;
use tokio::sync::Mutex;
use tracing::debug;

use super::{
    AdapterContext,
    api_call::{ApiCall, ResponseError, truncate_message},
    backoff::Backoff,
    connection::Connection,
    connection_error::ConnectionError,
    credentials::Credentials,
    diagnostics, frame,
    options::SESSION_LIFETIME_FRACTION,
    sasl::{self, SaslLogin},
    stream,
};
use crate::{
    kafka::KafkaError,
    model::{MonotonicTime, ReadFailure},
};

#[derive(Debug)]
pub(super) struct BrokerClient {
    address: String,
    context: Arc<AdapterContext>,
    /// Locked while a connection is opened, so that concurrent callers open only one.
    slot: Mutex<ConnectionSlot>,
    /// The last call got no answer, or the broker did not reach the controllers. Calls that any
    /// broker can answer try other brokers first.
    suspect: AtomicBool,
}

#[derive(Debug, Default)]
struct ConnectionSlot {
    connection: Option<Arc<Connection>>,
    backoff: Backoff,
}

impl BrokerClient {
    pub(super) fn new(address: String, context: Arc<AdapterContext>) -> Self {
        Self { address, context, slot: Mutex::default(), suspect: AtomicBool::new(false) }
    }

    /// Whether the last call got no answer, or the broker did not reach the controllers.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Sends one request and reads its response. Does not retry.
    pub(super) async fn call<C: ApiCall>(&self, call: &C) -> Result<C::Output, KafkaError> {
        let outcome = self.send(call).await;
        self.record_outcome::<C, _>(&outcome);
        outcome
    }

    /// The version that a request of type `C` would use.
    pub(super) async fn version<C: ApiCall>(&self) -> Result<i16, KafkaError> {
        let connection = self.connection(self.context.deadline()).await;
        let version = connection.and_then(|it| self.negotiate::<C>(&it));
        self.record_outcome::<C, _>(&version);

        version
    }

    fn record_outcome<C: ApiCall, T>(&self, outcome: &Result<T, KafkaError>) {
        let failure = outcome.as_ref().err().map(KafkaError::failure);
        if let Some(failure) = failure {
            self.context.counters.record_failed(C::API, failure);
        }

        match failure {
            // The refusing broker was marked when it refused. Others only share its back-off.
            Some(ReadFailure::Authentication) => {}
            None => self.suspect.store(false, Ordering::Relaxed),
            Some(ReadFailure::Refused) => {
                let is_cut_off = outcome.as_ref().is_err_and(KafkaError::is_cut_off);
                self.suspect.store(is_cut_off, Ordering::Relaxed);
            }
            Some(_) => self.suspect.store(true, Ordering::Relaxed),
        }
    }

    fn negotiate<C: ApiCall>(&self, connection: &Connection) -> Result<i16, KafkaError> {
        let version = connection.versions().negotiate::<C::Request>();
        version.ok_or_else(|| {
            self.protocol_error::<C>("no version that both sides support".to_owned())
        })
    }

    async fn send<C: ApiCall>(&self, call: &C) -> Result<C::Output, KafkaError> {
        let deadline = self.context.deadline();
        let connection = self.connection(deadline).await?;
        let version = self.negotiate::<C>(&connection)?;
        let request = call.request(version);

        self.context.counters.record_sent(C::API);
        let exchange = connection.exchange(&request, version);
        let answer_by = MonotonicTime(deadline.0.saturating_add(call.held_for()));
        let Some(frame) = self.context.until(answer_by, exchange).await else {
            // Responses come in order, so a stuck one blocks all that follow on this connection.
            connection.retire();
            return Err(KafkaError::NoAnswer {
                request: C::API.label(),
                peer: self.address.clone(),
                deadline: self.context.options.request_timeout.saturating_add(call.held_for()),
            });
        };

        let frame = frame.map_err(|error| self.request_failed::<C>(&connection, error))?;
        connection.mark_answered();
        let response = frame::decode::<C::Request>(frame, version)
            .map_err(|problem| self.protocol_error::<C>(problem))?;

        self.parse(call, response)
    }

    fn parse<C: ApiCall>(
        &self,
        call: &C,
        response: <C::Request as Request>::Response,
    ) -> Result<C::Output, KafkaError> {
        call.parse(response).map_err(|error| match error {
            ResponseError::Refused { code, message } => KafkaError::Refused {
                request: C::API.label(),
                peer: self.address.clone(),
                code,
                message: message.map(truncate_message),
            },
            ResponseError::Malformed(problem) => self.protocol_error::<C>(problem),
        })
    }

    fn protocol_error<C: ApiCall>(&self, problem: String) -> KafkaError {
        let problem = truncate_message(problem);
        KafkaError::Protocol { request: C::API.label(), peer: self.address.clone(), problem }
    }

    /// The error of a request that was sent on an open connection.
    fn request_failed<C: ApiCall>(
        &self,
        connection: &Connection,
        error: ConnectionError,
    ) -> KafkaError {
        let without_sasl = self.context.options.security.sasl.is_none();
        let error = if without_sasl && !connection.has_answered() {
            diagnostics::first_request_failed(error)
        } else {
            error
        };

        if let ConnectionError::Malformed(problem) = error {
            return self.protocol_error::<C>(problem);
        }

        // Even if TLS failed: the broker may have received the request.
        KafkaError::Broken {
            request: C::API.label(),
            peer: self.address.clone(),
            source: error.into_io(),
        }
    }

    /// The error of a request that was not sent, because there is no connection.
    fn connect_failed(&self, error: ConnectionError) -> KafkaError {
        let peer = self.address.clone();
        match error {
            ConnectionError::Tls(problem) => KafkaError::Tls { peer, problem },
            ConnectionError::NoCredentials(problem) | ConnectionError::AuthRefused(problem) => {
                KafkaError::Authentication { peer, problem }
            }
            error @ (ConnectionError::Broken(..)
            | ConnectionError::Malformed(_)
            | ConnectionError::AuthUnconfirmed(..)) => {
                KafkaError::Unreachable { peer, source: error.into_io() }
            }
        }
    }

    /// The open connection, or a new one unless a back-off applies.
    async fn connection(&self, deadline: MonotonicTime) -> Result<Arc<Connection>, KafkaError> {
        let connection = async {
            let lock = async { Ok(self.slot.lock().await) };
            let mut slot = self.until(deadline, lock).await?;
            self.reuse_or_connect(&mut slot, deadline).await
        };
        connection.await.map_err(|error| self.connect_failed(error))
    }

    async fn reuse_or_connect(
        &self,
        slot: &mut ConnectionSlot,
        deadline: MonotonicTime,
    ) -> Result<Arc<Connection>, ConnectionError> {
        let store = &self.context.credentials;
        let now = self.context.clock.monotonic();
        let generation = self.until(deadline, store.current(now)).await?.generation;

        if let Some(connection) = slot.connection.take_if(|it| !it.is_usable(now, generation)) {
            debug!(peer = self.address, ?connection, "Replacing Kafka connection.");
        }

        if let Some(connection) = &slot.connection {
            return Ok(Arc::clone(connection));
        }

        let backoff = slot.backoff.active(now, generation);
        if let Some(last_error) = backoff.or_else(|| store.backoff(now, generation)) {
            return Err(last_error);
        }

        let credentials = self.until(deadline, store.latest(now)).await?;

        match self.open(&credentials, deadline).await {
            Ok(connection) => {
                store.record_accepted(credentials.generation);
                let connection = Arc::new(connection);
                *slot = ConnectionSlot {
                    connection: Some(Arc::clone(&connection)),
                    ..ConnectionSlot::default()
                };

                Ok(connection)
            }
            Err(error) => {
                self.record_connect_failure(slot, credentials.generation, &error);
                Err(error)
            }
        }
    }

    /// Connects, negotiates versions, and authenticates.
    async fn open(
        &self,
        credentials: &Credentials,
        deadline: MonotonicTime,
    ) -> Result<Connection, ConnectionError> {
        let dialing = stream::dial(&self.address, &self.context.clock, deadline);
        let stream = self.until(deadline, dialing).await?;
        let opening = Connection::open(&self.context, stream, &self.address, credentials);
        let opened = self.context.until(deadline, opening).await;
        let mut connection = opened.unwrap_or_else(|| {
            let text = "the port is open, but nothing answers on it: is it a Kafka listener?";
            Err(ConnectionError::Broken(io::ErrorKind::TimedOut, text.to_owned()))
        })?;

        let authentication = self.authenticate(&connection, credentials);

        match self.until(deadline, authentication).await {
            Ok(expires_at) => {
                connection.set_expiry(expires_at);
                Ok(connection)
            }
            // A broker may delay a refusal (connection.failed.authentication.delay.ms), or close.
            Err(ConnectionError::Broken(kind, text)) => Err(ConnectionError::AuthUnconfirmed(
                kind,
                format!("no answer to our credentials: {text}"),
            )),
            Err(error) => Err(error),
        }
    }

    /// Authenticates with SASL, if configured, before the first request. Returns when to open a new
    /// connection, if the broker limits the session's lifetime.
    async fn authenticate(
        &self,
        connection: &Connection,
        credentials: &Credentials,
    ) -> Result<Option<MonotonicTime>, ConnectionError> {
        let context = &self.context;
        let login = SaslLogin::new(&context.options.security, &credentials.security);
        let Some(login) = login else { return Ok(None) };

        let lifetime = sasl::authenticate(connection, context, &login).await?;
        let usable_for = lifetime.map(|it| it.mul_f64(SESSION_LIFETIME_FRACTION));
        let now = context.clock.monotonic();

        Ok(usable_for.map(|it| MonotonicTime(now.0.saturating_add(it))))
    }

    async fn until<T>(
        &self,
        deadline: MonotonicTime,
        work: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        self.context.until(deadline, work).await.unwrap_or_else(|| {
            let text = "no connection within the deadline".to_owned();
            Err(ConnectionError::Broken(io::ErrorKind::TimedOut, text))
        })
    }

    fn record_connect_failure(
        &self,
        slot: &mut ConnectionSlot,
        generation: u64,
        error: &ConnectionError,
    ) {
        let now = self.context.clock.monotonic();
        if error.is_failed_login() {
            self.suspect.store(true, Ordering::Relaxed);
            self.context.credentials.record_refused(now, generation, &self.address, error);
        }

        let delay = slot.backoff.record_failure(now, generation, error.clone());
        debug!(peer = self.address, ?error, ?delay, "Kafka connection failed.");
    }
}
