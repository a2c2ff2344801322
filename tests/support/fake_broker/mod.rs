//! A cluster of fake brokers: exactly the requests this program sends, decoded and answered over
//! real sockets with the codec's broker half, and faults on demand.
//!
//! Like Kafka, a broker answers one connection's requests in order, one at a time. What is asked
//! again in the same words is answered with the same bytes until the contents are touched, so that
//! a large cluster costs little but its bytes.

mod answers;
mod batch;
mod contents;
mod faults;
mod mutate;
mod sasl;
mod seen;
mod served;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use kafka_optimizer::shutdown::Tasks;
use kafka_protocol::messages::ApiKey;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

#[allow(unused_imports, reason = "two test binaries share this; neither uses all of it")]
pub(crate) use self::{
    batch::FakeBatch,
    contents::{ClusterContents, ClusterSize, FakeGroup, FakeMembership, FakePartition},
    faults::{BrokerFault, Mutation},
    mutate::{chance, mutate, mutate_text},
    sasl::{FakeSasl, SaslTrick},
    seen::{SeenChange, SeenConfigChange, SeenElection, SeenQuotaChange, SeenRequest},
};

use answers::APIS;
use seen::RequestLog;
use served::{AnswerScript, RawRequest, Served};

/// Fake brokers that know each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeCluster(Arc<FakeClusterState>);

/// Shared by the brokers. Lock in this order.
#[derive(Debug, Default)]
struct FakeClusterState {
    contents: Mutex<ClusterContents>,
    /// Cached responses to requests since the contents last changed.
    ready: Mutex<HashMap<RawRequest, Vec<u8>>>,
    log: RequestLog,
}

impl FakeCluster {
    /// Access to the contents; clears the cached responses.
    pub(crate) fn contents(&self) -> MutexGuard<'_, ClusterContents> {
        let contents = self.0.contents.lock().unwrap();
        self.0.ready.lock().unwrap().clear();
        contents
    }

    /// Starts a broker and adds it to the metadata.
    pub(crate) async fn start(&self, id: i32) -> FakeBroker {
        self.start_at(id, "127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts a broker at an address, as after a restart.
    pub(crate) async fn start_at(&self, id: i32, address: SocketAddr) -> FakeBroker {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        self.contents().brokers.insert(id, address);
        let served = Served {
            id,
            start: self.0.log.start(),
            cluster: Arc::clone(&self.0),
            script: Arc::default(),
            alive: CancellationToken::new(),
            tasks: Tasks::default(),
        };
        served.tasks.start_short("fake broker", served.clone().accept(listener));

        FakeBroker { address, served }
    }

    /// The requests received since the last call, in order.
    pub(crate) fn take_seen(&self) -> Vec<SeenRequest> {
        self.0.log.take()
    }
}

/// Dropping it closes its listener and its connections.
#[derive(Debug)]
pub(crate) struct FakeBroker {
    pub(crate) address: SocketAddr,
    served: Served,
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        self.served.alive.cancel();
    }
}

impl FakeBroker {
    /// Stops the broker, and waits until its port is free.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.served.alive.cancel();
        self.served.tasks.drain(Duration::from_secs(5)).await;
        self.address
    }

    pub(crate) fn fail(&self, api: ApiKey, fault: BrokerFault) {
        self.script().faults.insert(api as i16, fault);
    }

    /// Uses TLS for connections from now on.
    pub(crate) fn encrypt(&self, tls: TlsAcceptor) {
        self.script().tls = Some(tls);
    }

    /// Requires authentication from now on.
    pub(crate) fn lock(&self, sasl: FakeSasl) {
        self.script().sasl = Some(sasl);
    }

    /// From now on, reads everything and answers nothing.
    pub(crate) fn freeze(&self) {
        for api in APIS {
            self.fail(*api, BrokerFault::Freeze);
        }
    }

    pub(crate) fn heal(&self) {
        self.script().faults.clear();
    }

    /// Number of requests of one API so far.
    pub(crate) fn seen(&self, api: ApiKey) -> Vec<SeenRequest> {
        self.served.cluster.log.of(self.served.start, api)
    }

    pub(crate) fn connections(&self) -> usize {
        self.script().connections
    }

    /// Bytes so far: of requests, of responses, and of what was written instead of them.
    pub(crate) fn traffic(&self) -> usize {
        self.script().traffic
    }

    fn script(&self) -> MutexGuard<'_, AnswerScript> {
        self.served.script.lock().unwrap()
    }
}
