//! One broker's address: its connection, opened on demand, and the pause after a failure.

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
    backoff::Backoff,
    call::{Call, ResponseError, shortened},
    connection::Connection,
    connection_error::ConnectionError,
    credentials::Credentials,
    diagnostics, frame,
    options::SESSION_SHARE,
    sasl::{self, Login},
};
use crate::{
    kafka::{KafkaError, RequestFault},
    model::MonotonicTime,
};

#[derive(Debug)]
pub(super) struct BrokerClient {
    address: String,
    common: Arc<AdapterContext>,
    /// Held while a connection is opened, so that many callers open one.
    link: Mutex<Link>,
    /// The last call failed to get an answer. Calls that may go anywhere go elsewhere first.
    suspect: AtomicBool,
}

#[derive(Debug, Default)]
struct Link {
    connection: Option<Arc<Connection>>,
    pause: Backoff,
}

impl BrokerClient {
    pub(super) fn new(address: String, common: Arc<AdapterContext>) -> Self {
        Self { address, common, link: Mutex::default(), suspect: AtomicBool::new(false) }
    }

    /// Whether the last call failed to get an answer.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Sends one request. Retries nothing.
    pub(super) async fn ask<C: Call>(&self, call: &C) -> Result<C::Answer, KafkaError> {
        let outcome = self.ask_once(call).await;
        self.note::<C, _>(&outcome);
        outcome
    }

    fn note<C: Call, T>(&self, outcome: &Result<T, KafkaError>) {
        let fault = outcome.as_ref().err().map(KafkaError::fault);
        if let Some(fault) = fault {
            self.common.counts.failed(C::API, fault);
        }
        match fault {
            // Whoever was refused is a suspect already; who only waits with it is none.
            Some(RequestFault::Authentication) => {}
            None | Some(RequestFault::Refused) => self.suspect.store(false, Ordering::Relaxed),
            Some(_) => self.suspect.store(true, Ordering::Relaxed),
        }
    }

    /// The version that a request of type `C` would be sent in.
    pub(super) async fn version<C: Call>(&self) -> Result<i16, KafkaError> {
        let connection = self.connection(self.common.deadline()).await;
        let version = connection.and_then(|it| self.agree::<C>(&it));
        self.note::<C, _>(&version);
        version
    }

    fn agree<C: Call>(&self, connection: &Connection) -> Result<i16, KafkaError> {
        let agreed = connection.versions().agree::<C::Wire>();
        agreed.ok_or_else(|| self.nonsense::<C>("no version that both ends know".to_owned()))
    }

    async fn ask_once<C: Call>(&self, call: &C) -> Result<C::Answer, KafkaError> {
        let deadline = self.common.deadline();
        let connection = self.connection(deadline).await?;
        let version = self.agree::<C>(&connection)?;
        let request = call.request(version);
        self.common.counts.sent(C::API);
        let exchange = connection.exchange(&request, version);
        let Some(frame) = self.common.within(deadline, exchange).await else {
            // Answers come in order, so what is stuck blocks whatever comes after it.
            connection.retire();
            return Err(KafkaError::NoAnswer {
                request: C::API.label(),
                peer: self.address.clone(),
                deadline: self.common.options.request_timeout,
            });
        };
        let frame = frame.map_err(|ending| self.ended::<C>(&connection, ending))?;
        connection.prove();
        let answer =
            frame::decode::<C::Wire>(frame, version).map_err(|it| self.nonsense::<C>(it))?;
        self.read(call, answer)
    }

    fn read<C: Call>(
        &self,
        call: &C,
        answer: <C::Wire as Request>::Response,
    ) -> Result<C::Answer, KafkaError> {
        call.read(answer).map_err(|objection| match objection {
            ResponseError::Refused { code, message } => KafkaError::Refused {
                request: C::API.label(),
                peer: self.address.clone(),
                code,
                message: message.map(shortened),
            },
            ResponseError::Malformed(problem) => self.nonsense::<C>(problem),
        })
    }

    fn nonsense<C: Call>(&self, problem: String) -> KafkaError {
        let problem = shortened(problem);
        KafkaError::Protocol { request: C::API.label(), peer: self.address.clone(), problem }
    }

    fn ended<C: Call>(&self, connection: &Connection, ending: ConnectionError) -> KafkaError {
        let unasked = self.common.options.security.sasl.is_none() && !connection.is_proven();
        let ending = if unasked { diagnostics::first_request_failed(ending) } else { ending };
        if let ConnectionError::Malformed(problem) = ending {
            return self.nonsense::<C>(problem);
        }
        // Even if it is TLS that broke: the request may have arrived.
        KafkaError::Broken {
            request: C::API.label(),
            peer: self.address.clone(),
            source: ending.into_io(),
        }
    }

    fn unreachable(&self, ending: ConnectionError) -> KafkaError {
        let peer = self.address.clone();
        match ending {
            ConnectionError::Tls(problem) => KafkaError::Tls { peer, problem },
            ConnectionError::NoCredentials(problem) | ConnectionError::AuthRefused(problem) => {
                KafkaError::Authentication { peer, problem }
            }
            ending @ (ConnectionError::Broken(..)
            | ConnectionError::Malformed(_)
            | ConnectionError::AuthUnconfirmed(..)) => {
                KafkaError::Unreachable { peer, source: ending.into_io() }
            }
        }
    }

    /// The open connection, or a new one unless the last failure was a moment ago.
    async fn connection(&self, deadline: MonotonicTime) -> Result<Arc<Connection>, KafkaError> {
        let connected = async {
            let mut link = self.in_time(deadline, async { Ok(self.link.lock().await) }).await?;
            self.connected(&mut link, deadline).await
        };
        connected.await.map_err(|ending| self.unreachable(ending))
    }

    async fn connected(
        &self,
        link: &mut Link,
        deadline: MonotonicTime,
    ) -> Result<Arc<Connection>, ConnectionError> {
        let credentials = &self.common.credentials;
        let now = self.common.clock.monotonic();
        let generation = self.in_time(deadline, credentials.in_use(now)).await?.generation;
        if let Some(connection) = link.connection.take_if(|it| !it.is_usable(now, generation)) {
            debug!(peer = self.address, ?connection, "Kafka connection replaced.");
        }
        if let Some(connection) = &link.connection {
            return Ok(Arc::clone(connection));
        }
        let pausing = link.pause.holds(now, generation);
        if let Some(failure) = pausing.or_else(|| credentials.pausing(now, generation)) {
            return Err(failure);
        }
        let latest = self.in_time(deadline, credentials.latest(now)).await?;
        match self.open(&latest, deadline).await {
            Ok(connection) => {
                credentials.accepted(latest.generation);
                let connection = Arc::new(connection);
                *link = Link { connection: Some(Arc::clone(&connection)), ..Link::default() };
                Ok(connection)
            }
            Err(ending) => {
                self.failed(link, latest.generation, &ending);
                Err(ending)
            }
        }
    }

    async fn open(
        &self,
        current: &Credentials,
        deadline: MonotonicTime,
    ) -> Result<Connection, ConnectionError> {
        let opening = Connection::open(&self.common, &self.address, current);
        let mut connection = self.in_time(deadline, opening).await?;
        let proving = self.authenticate(&connection, current);
        match self.in_time(deadline, proving).await {
            Ok(session_ends) => {
                connection.trusted_until(session_ends);
                Ok(connection)
            }
            // A broker may take its time before it refuses, or just hang up.
            Err(ConnectionError::Broken(kind, text)) => Err(ConnectionError::AuthUnconfirmed(
                kind,
                format!("no answer to our credentials: {text}"),
            )),
            Err(ending) => Err(ending),
        }
    }

    /// Proves who we are, where that is asked for. Comes before the first request. Returns when the
    /// broker's patience with it is nearly over.
    async fn authenticate(
        &self,
        connection: &Connection,
        current: &Credentials,
    ) -> Result<Option<MonotonicTime>, ConnectionError> {
        let common = &self.common;
        let login = Login::new(&common.options.security, &current.material);
        let Some(login) = login else { return Ok(None) };
        let lifetime = sasl::authenticate(connection, common, &login).await?;
        let share = lifetime.map(|it| it.mul_f64(SESSION_SHARE));
        let now = common.clock.monotonic();
        Ok(share.map(|it| MonotonicTime(now.0.saturating_add(it))))
    }

    async fn in_time<T>(
        &self,
        deadline: MonotonicTime,
        work: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        self.common.within(deadline, work).await.unwrap_or_else(|| {
            let text = "no connection within the deadline".to_owned();
            Err(ConnectionError::Broken(io::ErrorKind::TimedOut, text))
        })
    }

    fn failed(&self, link: &mut Link, generation: u64, ending: &ConnectionError) {
        let now = self.common.clock.monotonic();
        if ending.is_refusal() {
            self.suspect.store(true, Ordering::Relaxed);
            self.common.credentials.refused(now, generation, &self.address, ending);
        }
        let pause = link.pause.begin(now, generation, ending.clone());
        debug!(peer = self.address, ?ending, ?pause, "Kafka connection failed.");
    }
}
