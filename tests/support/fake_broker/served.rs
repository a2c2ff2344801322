//! The connections of a broker, and their requests in order.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use kafka_optimizer::shutdown::Tasks;
use kafka_protocol::{
    messages::{ApiKey, RequestHeader},
    protocol::decode_request_header_from_buffer,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    FakeClusterState, answers,
    faults::{BrokerFault, boast, cut, unsupported},
    mutate::{self, Framing},
    sasl::{FakeSasl, FakeSaslSession, SaslStep},
    seen::{SeenChange, SeenRequest},
};

/// A broker, and the bytes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RawRequest {
    broker: i32,
    api: i16,
    version: i16,
    body: Bytes,
}

/// As Kafka does with a frame that claims to be longer than any request.
const REQUEST_BYTES_MAX: usize = 100 << 20;

#[derive(Default)]
pub(super) struct AnswerScript {
    /// `None` means plain text.
    pub(super) tls: Option<TlsAcceptor>,
    /// `None` means no authentication.
    pub(super) sasl: Option<FakeSasl>,
    pub(super) faults: BTreeMap<i16, BrokerFault>,
    pub(super) connections: usize,
    /// Bytes read, bytes of the responses, and bytes written instead of them.
    pub(super) traffic: usize,
}

impl fmt::Debug for AnswerScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("faults", &self.faults).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) id: i32,
    pub(super) start: u64,
    pub(super) cluster: Arc<FakeClusterState>,
    pub(super) script: Arc<Mutex<AnswerScript>>,
    pub(super) alive: CancellationToken,
    pub(super) tasks: Tasks,
}

impl Served {
    pub(super) async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.alive.cancelled() => return,
            };
            let (stream, _) = accepted.unwrap();
            stream.set_nodelay(true).unwrap();
            self.script.lock().unwrap().connections += 1;
            let served = self.clone();
            self.tasks.start_short("fake connection", async move {
                let alive = served.alive.clone();
                tokio::select! {
                    () = served.greet(stream) => (),
                    () = alive.cancelled() => (),
                }
            });
        }
    }

    async fn greet(self, stream: TcpStream) {
        let tls = self.script.lock().unwrap().tls.clone();
        let Some(tls) = tls else { return self.serve(stream).await };
        if let Ok(stream) = tls.accept(stream).await {
            self.serve(stream).await;
        }
    }

    async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (mut held, mut door) = (Vec::new(), FakeSaslSession::default());
        while let Ok(length) = stream.read_i32().await {
            let length = usize::try_from(length).ok().filter(|it| *it <= REQUEST_BYTES_MAX);
            let Some(length) = length else { return };
            let mut frame = vec![0; length];

            if stream.read_exact(&mut frame).await.is_err() {
                return;
            }

            let read = frame.len();
            let mut frame = Bytes::from(frame);
            let header = decode_request_header_from_buffer(&mut frame).unwrap();
            let sasl = self.script.lock().unwrap().sasl.clone();
            let answer = match door.pass(sasl.as_ref(), &header, &frame) {
                SaslStep::Normal => self.answer(&header, frame),
                SaslStep::Close => return,
                SaslStep::Authentication(answer) => {
                    self.note(&header, None);
                    answer
                }
            };
            self.script.lock().unwrap().traffic += read + answer.len();

            let fault = self.script.lock().unwrap().faults.get(&header.request_api_key).copied();
            let Some(RawAnswer { answer, framing }) = bend(answer, fault, &header, &mut held).await
            else {
                continue;
            };
            self.script.lock().unwrap().traffic += answer.len();

            if stream.write_all(&answer).await.and(stream.flush().await).is_err() {
                return;
            }

            match framing {
                Framing::Kept => (),
                Framing::Broken => return,
                Framing::Stuck => std::future::pending().await,
            }
        }
    }

    /// The bytes of the response. Records the request.
    fn answer(&self, header: &RequestHeader, body: Bytes) -> Vec<u8> {
        let api = ApiKey::try_from(header.request_api_key).unwrap();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
        let (answer, change) = match api {
            // The request also has an effect.
            ApiKey::IncrementalAlterConfigs
            | ApiKey::AlterClientQuotas
            | ApiKey::ElectLeaders
            | ApiKey::FindCoordinator
            | ApiKey::JoinGroup
            | ApiKey::SyncGroup
            | ApiKey::Heartbeat
            | ApiKey::LeaveGroup => {
                let mut contents = self.cluster.contents.lock().unwrap();
                answers::answer(&mut contents, self.id, header, body)
            }
            _ => (self.ready(header, body), None::<SeenChange>),
        };
        self.note(header, change);

        answer
    }

    fn note(&self, header: &RequestHeader, change: Option<SeenChange>) {
        self.cluster.log.push(SeenRequest {
            start: self.start,
            api: ApiKey::try_from(header.request_api_key).unwrap(),
            version: header.request_api_version,
            client_id: header.client_id.as_ref().unwrap().to_string(),
            change,
        });
    }

    /// The cached response, or a new one.
    fn ready(&self, header: &RequestHeader, body: Bytes) -> Vec<u8> {
        let asked = RawRequest {
            broker: self.id,
            api: header.request_api_key,
            version: header.request_api_version,
            body: body.clone(),
        };
        let mut contents = self.cluster.contents.lock().unwrap();
        let mut ready = self.cluster.ready.lock().unwrap();
        let make = || answers::answer(&mut contents, self.id, header, body).0;
        let mut answer = ready.entry(asked).or_insert_with(make).clone();
        answer[4..8].copy_from_slice(&header.correlation_id.to_be_bytes());

        answer
    }
}

/// The bytes to write, and whether the connection stays open.
struct RawAnswer {
    answer: Vec<u8>,
    framing: Framing,
}

/// The response changed by `fault`; `None` while it is withheld. `held` are the earlier responses.
async fn bend(
    mut answer: Vec<u8>,
    fault: Option<BrokerFault>,
    header: &RequestHeader,
    held: &mut Vec<Vec<u8>>,
) -> Option<RawAnswer> {
    let mut framing = Framing::Kept;
    match fault {
        None => (),
        Some(BrokerFault::Freeze) => std::future::pending().await,
        Some(BrokerFault::Delay(pause)) => tokio::time::sleep(pause).await,
        Some(BrokerFault::Together(wanted)) => {
            held.push(answer);
            if held.len() < wanted {
                return None;
            }
            answer = held.drain(..).flatten().collect();
        }
        Some(BrokerFault::HangUp) => {
            answer.clear();
            framing = Framing::Broken;
        }
        Some(BrokerFault::MidFrame) => {
            answer.truncate(answer.len() / 2);
            framing = Framing::Broken;
        }
        Some(BrokerFault::Claim(length)) => {
            answer = length.to_be_bytes().to_vec();
            framing = Framing::Stuck;
        }
        Some(BrokerFault::WrongCorrelation) => answer[4..8].copy_from_slice(&[0x7f; 4]),
        Some(BrokerFault::Boast(after)) => boast(&mut answer, after),
        Some(BrokerFault::Cut(after)) => cut(&mut answer, after),
        Some(BrokerFault::Unsupported) => answer = unsupported(header),
        Some(BrokerFault::Mutated(mutation)) => framing = mutate::answer(mutation, &mut answer),
    }

    Some(RawAnswer { answer, framing })
}
