//! One broker's address: its connection, opened on demand, and the pause after a failure.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kafka_protocol::protocol::Request;
use tokio::sync::Mutex;
use tracing::debug;

use super::{
    Common,
    call::{Call, Objection},
    connection::{Connection, Ending},
    frame,
    options::{BACKOFF_FIRST, BACKOFF_MAX, WORDS_CHARS_MAX},
};
use crate::{
    kafka::{KafkaError, RequestFault},
    model::Uptime,
};

/// One address.
#[derive(Debug)]
pub(super) struct Peer {
    address: String,
    common: Arc<Common>,
    /// Held while a connection is opened, so that many callers open one.
    link: Mutex<Link>,
    /// The last call failed to get an answer. Calls that may go anywhere go elsewhere first.
    suspect: AtomicBool,
}

#[derive(Debug, Default)]
struct Link {
    connection: Option<Arc<Connection>>,
    failures: u32,
    /// No attempt before this.
    again_at: Uptime,
    /// What the last attempt ended with.
    failure: Option<Ending>,
}

impl Peer {
    pub(super) fn new(address: String, common: Arc<Common>) -> Self {
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
        self.suspect.store(!matches!(fault, None | Some(RequestFault::Refused)), Ordering::Relaxed);
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
        let frame = frame.map_err(|ending| self.ended::<C>(ending))?;
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
            Objection::Refused { code, message } => KafkaError::Refused {
                request: C::API.label(),
                peer: self.address.clone(),
                code,
                message: message.map(shortened),
            },
            Objection::Nonsense(problem) => self.nonsense::<C>(problem),
        })
    }

    fn nonsense<C: Call>(&self, problem: String) -> KafkaError {
        let problem = shortened(problem);
        KafkaError::Protocol { request: C::API.label(), peer: self.address.clone(), problem }
    }

    fn ended<C: Call>(&self, ending: Ending) -> KafkaError {
        match ending {
            Ending::Nonsense(problem) => self.nonsense::<C>(problem),
            Ending::Broken(..) => KafkaError::Broken {
                request: C::API.label(),
                peer: self.address.clone(),
                source: ending.into_io(),
            },
        }
    }

    fn unreachable(&self, ending: Ending) -> KafkaError {
        KafkaError::Unreachable { peer: self.address.clone(), source: ending.into_io() }
    }

    /// The open connection, or a new one unless the last failure was a moment ago.
    async fn connection(&self, deadline: Uptime) -> Result<Arc<Connection>, KafkaError> {
        let waited = self.common.within(deadline, self.link.lock()).await;
        let mut link = waited.ok_or_else(|| self.unreachable(too_slow()))?;
        if let Some(connection) = link.connection.take_if(|it| !it.is_usable()) {
            debug!(peer = self.address, ?connection, "Kafka connection replaced.");
        }
        if let Some(connection) = &link.connection {
            return Ok(Arc::clone(connection));
        }
        let pausing = self.common.clock.uptime() < link.again_at;
        if let Some(failure) = link.failure.clone().filter(|_| pausing) {
            return Err(self.unreachable(failure));
        }
        let opened = self.common.within(deadline, Connection::open(&self.common, &self.address));
        match opened.await.unwrap_or_else(|| Err(too_slow())) {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *link = Link { connection: Some(Arc::clone(&connection)), ..Link::default() };
                Ok(connection)
            }
            Err(ending) => {
                let pause = backoff(link.failures);
                debug!(peer = self.address, ?ending, ?pause, "Kafka connection failed.");
                link.failures = link.failures.saturating_add(1);
                link.again_at = Uptime(self.common.clock.uptime().0.saturating_add(pause));
                link.failure = Some(ending.clone());
                Err(self.unreachable(ending))
            }
        }
    }
}

/// What a broker said, short enough for a line of the log and of the journal.
fn shortened(mut words: String) -> String {
    if let Some((end, _)) = words.char_indices().nth(WORDS_CHARS_MAX) {
        words.truncate(end);
        words.push('…');
    }
    words
}

fn too_slow() -> Ending {
    let text = "no connection within the deadline".to_owned();
    Ending::Broken(io::ErrorKind::TimedOut, text)
}

/// The pause after `failures` earlier ones. Jitter keeps many processes from coming back at once.
fn backoff(failures: u32) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(failures));
    doubled.min(BACKOFF_MAX).mul_f64(rand::random_range(0.8..1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_words_are_kept_but_not_all_of_a_flood() {
        let words = "é".repeat(WORDS_CHARS_MAX);
        assert_eq!(shortened(words.clone()), words);
        assert_eq!(shortened(format!("{words}é{words}")), format!("{words}…"));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        for failures in 0..40 {
            let pause = backoff(failures);
            let exact = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(failures));
            assert!(pause >= exact.min(BACKOFF_MAX).mul_f64(0.8), "{failures}: {pause:?}");
            assert!(pause <= exact.min(BACKOFF_MAX).mul_f64(1.2), "{failures}: {pause:?}");
        }
    }
}
