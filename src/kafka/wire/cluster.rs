//! Which address is which broker, and who is asked when any broker will do.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    AdapterContext, broker_client::BrokerClient, call::Call, options::ANY_DEADLINES_MAX,
    requests::Brokers,
};
use crate::{
    kafka::{Broker, KafkaError},
    model::{BrokerId, MonotonicTime},
};

/// The addresses of one cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    common: Arc<AdapterContext>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// As the last metadata says.
    brokers: BTreeMap<BrokerId, Arc<BrokerClient>>,
    /// By address. A bootstrap server that is spelt as its broker advertises itself is one peer.
    peers: BTreeMap<String, Arc<BrokerClient>>,
}

impl Cluster {
    pub(super) fn new(common: Arc<AdapterContext>) -> Self {
        Self { common, known: Mutex::default() }
    }

    /// Takes over what metadata says. Connections to addresses that nobody names any more close
    /// when the last call on them ends.
    pub(super) fn update_brokers(&self, brokers: &[Broker]) {
        let mut known = self.lock();
        let earlier = std::mem::take(&mut known.peers);
        let mut peer = |address: String| {
            let make = || Arc::new(BrokerClient::new(address.clone(), Arc::clone(&self.common)));
            let found = earlier.get(&address).cloned().unwrap_or_else(make);
            Arc::clone(known.peers.entry(address).or_insert(found))
        };
        for bootstrap in &self.common.options.bootstrap {
            peer(bootstrap.clone());
        }
        let by_id = brokers.iter().map(|it| (it.id, peer(address(it)))).collect();
        known.brokers = by_id;
    }

    /// Asks the named broker. One that is not known is looked up once.
    pub(super) async fn ask<C: Call>(
        &self,
        broker: BrokerId,
        call: &C,
    ) -> Result<C::Answer, KafkaError> {
        self.broker(broker).await?.ask(call).await
    }

    /// The address of the named broker.
    pub(super) async fn broker(&self, broker: BrokerId) -> Result<Arc<BrokerClient>, KafkaError> {
        if let Some(peer) = self.known_broker(broker) {
            return Ok(peer);
        }
        let brokers = self.ask_any(&Brokers).await?;
        self.update_brokers(&brokers);
        self.known_broker(broker).ok_or(KafkaError::UnknownBroker(broker))
    }

    /// Asks one broker after the other until one answers. A refusal is an answer.
    pub(super) async fn ask_any<C: Call>(&self, call: &C) -> Result<C::Answer, KafkaError> {
        self.ask_each(call, |_| false).await
    }

    /// The same for what changes something: the next broker is only asked where the one before it
    /// has certainly not heard of it, so that nothing is changed twice.
    pub(super) async fn change_by_any<C: Call>(&self, call: &C) -> Result<C::Answer, KafkaError> {
        self.ask_each(call, KafkaError::outcome_is_unknown).await
    }

    /// Asks one broker after the other until one answers, or fails in a way that `ends` it.
    async fn ask_each<C: Call>(
        &self,
        call: &C,
        ends: fn(&KafkaError) -> bool,
    ) -> Result<C::Answer, KafkaError> {
        let tries = self.common.options.request_timeout.saturating_mul(ANY_DEADLINES_MAX);
        let last_begin = MonotonicTime(self.common.clock.monotonic().0.saturating_add(tries));
        let mut failure = None;
        for peer in self.candidates() {
            match peer.ask(call).await {
                Err(error @ KafkaError::Refused { .. }) => return Err(error),
                Err(error) if ends(&error) => return Err(error),
                Err(error) => failure = Some(error),
                Ok(answer) => return Ok(answer),
            }
            if last_begin <= self.common.clock.monotonic() {
                break;
            }
        }
        Err(failure.unwrap_or_else(|| self.nobody()))
    }

    fn nobody(&self) -> KafkaError {
        KafkaError::Unreachable {
            peer: self.common.options.bootstrap.join(","),
            source: io::Error::new(io::ErrorKind::InvalidInput, "no bootstrap server is named"),
        }
    }

    /// Brokers by id, then bootstrap servers; those that did not answer last time come last.
    fn candidates(&self) -> Vec<Arc<BrokerClient>> {
        if self.lock().peers.is_empty() {
            self.update_brokers(&[]);
        }
        let known = self.lock();
        let mut candidates: Vec<_> = known.brokers.values().cloned().collect();
        let bootstrap = &self.common.options.bootstrap;
        for peer in bootstrap.iter().filter_map(|it| known.peers.get(it)) {
            if !candidates.iter().any(|it| Arc::ptr_eq(it, peer)) {
                candidates.push(Arc::clone(peer));
            }
        }
        candidates.sort_by_key(|it| it.is_suspect());
        candidates
    }

    fn known_broker(&self, broker: BrokerId) -> Option<Arc<BrokerClient>> {
        self.lock().brokers.get(&broker).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As a bootstrap server is written; an IPv6 address needs its brackets.
fn address(broker: &Broker) -> String {
    let Broker { host, port, .. } = broker;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
