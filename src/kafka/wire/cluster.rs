//! The brokers of one cluster by id, and the order in which they are tried when any broker will do.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    AdapterContext, api_call::ApiCall, broker_client::BrokerClient,
    options::ANY_BROKER_TIMEOUTS_MAX, requests::BrokerMetadata,
};
use crate::{
    kafka::KafkaError,
    model::{Broker, BrokerId, MonotonicTime, RequestOutcome},
};

/// The client of one cluster: routes each call to a broker.
#[derive(Debug)]
pub(super) struct ClusterClient {
    context: Arc<AdapterContext>,
    clients: Mutex<BrokerClients>,
}

#[derive(Debug, Default)]
struct BrokerClients {
    /// As the last metadata lists them.
    by_id: BTreeMap<BrokerId, Arc<BrokerClient>>,
    /// Brokers and bootstrap servers. A bootstrap server that is spelled like its broker's
    /// advertised address shares its client.
    by_address: BTreeMap<String, Arc<BrokerClient>>,
}

/// An answer, and who gave it.
struct FirstAnswer<T> {
    output: T,
    client: Arc<BrokerClient>,
}

impl ClusterClient {
    pub(super) fn new(context: Arc<AdapterContext>) -> Self {
        Self { context, clients: Mutex::default() }
    }

    /// Takes over the brokers of new metadata. Connections to addresses that are no longer listed
    /// close when the last call on them ends.
    pub(super) fn update_brokers(&self, brokers: &[Broker]) {
        let mut clients = self.lock();
        let previous = std::mem::take(&mut clients.by_address);
        let mut client = |address: String| {
            let new = || Arc::new(BrokerClient::new(address.clone(), Arc::clone(&self.context)));
            let existing = previous.get(&address).cloned().unwrap_or_else(new);
            Arc::clone(clients.by_address.entry(address).or_insert(existing))
        };

        for bootstrap in &self.context.options.bootstrap {
            client(bootstrap.clone());
        }

        let by_id = brokers.iter().map(|it| (it.id, client(address(it)))).collect();
        clients.by_id = by_id;
    }

    /// Sends a call to the given broker.
    pub(super) async fn call<C: ApiCall>(
        &self,
        broker: BrokerId,
        call: &C,
    ) -> Result<C::Output, KafkaError> {
        self.broker(broker).await?.call(call).await
    }

    /// The client of the given broker. Asks for metadata once if the broker is not known.
    pub(super) async fn broker(&self, broker: BrokerId) -> Result<Arc<BrokerClient>, KafkaError> {
        if let Some(client) = self.known_broker(broker) {
            return Ok(client);
        }

        let brokers = self.call_any(&BrokerMetadata).await?;
        self.update_brokers(&brokers);

        self.known_broker(broker).ok_or(KafkaError::UnknownBroker(broker))
    }

    /// Sends a read to one broker after the other until one answers. An error code is an answer,
    /// unless it says that this broker does not reach the controllers.
    pub(super) async fn call_any<C: ApiCall>(&self, call: &C) -> Result<C::Output, KafkaError> {
        Ok(self.try_brokers(call, ANY_BROKER_TIMEOUTS_MAX, |_| false).await?.output)
    }

    /// Sends a read to two brokers, one after the other, and returns what each answered. The second
    /// one is passed over if it does not answer, and so is a broker that did not answer last time.
    pub(super) async fn call_two<C: ApiCall>(
        &self,
        call: &C,
    ) -> Result<Vec<C::Output>, KafkaError> {
        let first = self.try_brokers(call, ANY_BROKER_TIMEOUTS_MAX, |_| false).await?;
        let second = {
            let clients = self.lock();
            let is_other =
                |it: &&Arc<BrokerClient>| !Arc::ptr_eq(it, &first.client) && !it.is_suspect();
            clients.by_id.values().find(is_other).cloned()
        };

        let mut answers = vec![first.output];
        if let Some(client) = second {
            answers.extend(client.call(call).await.ok());
        }

        Ok(answers)
    }

    /// Sends a write to any broker. Tries the next broker only if the one before has certainly not
    /// received the request, so that nothing is changed twice. No try starts after one request
    /// timeout: the write has to end while the acting lease is valid.
    pub(super) async fn mutate_any<C: ApiCall>(&self, call: &C) -> Result<C::Output, KafkaError> {
        let is_final = |it: &KafkaError| it.outcome() == RequestOutcome::Unknown;
        Ok(self.try_brokers(call, 1, is_final).await?.output)
    }

    /// Tries one broker after the other until one answers, or fails with an error for which
    /// `is_final` holds. No try starts after this many request timeouts.
    async fn try_brokers<C: ApiCall>(
        &self,
        call: &C,
        timeouts: u32,
        is_final: fn(&KafkaError) -> bool,
    ) -> Result<FirstAnswer<C::Output>, KafkaError> {
        let clock = &self.context.clock;
        let budget = self.context.options.request_timeout.saturating_mul(timeouts);
        let last_start = MonotonicTime(clock.monotonic().0.saturating_add(budget));

        let mut last_error = None;
        for client in self.candidates() {
            match client.call(call).await {
                Ok(output) => return Ok(FirstAnswer { output, client }),
                Err(error) if is_final(&error) => return Err(error),
                Err(error @ KafkaError::Refused { .. }) if !error.is_cut_off() => {
                    return Err(error);
                }
                Err(error) => last_error = Some(error),
            }

            if clock.monotonic() >= last_start {
                break;
            }
        }

        Err(last_error.unwrap_or_else(|| self.no_bootstrap_server()))
    }

    fn no_bootstrap_server(&self) -> KafkaError {
        let problem = "no bootstrap server is configured";
        KafkaError::Unreachable {
            peer: self.context.options.bootstrap.join(","),
            source: io::Error::new(io::ErrorKind::InvalidInput, problem),
        }
    }

    /// Brokers by id, then bootstrap servers. Those that did not answer last time come last.
    fn candidates(&self) -> Vec<Arc<BrokerClient>> {
        if self.lock().by_address.is_empty() {
            self.update_brokers(&[]);
        }

        let clients = self.lock();
        let mut candidates: Vec<_> = clients.by_id.values().cloned().collect();
        let bootstrap = &self.context.options.bootstrap;

        for client in bootstrap.iter().filter_map(|it| clients.by_address.get(it)) {
            if !candidates.iter().any(|it| Arc::ptr_eq(it, client)) {
                candidates.push(Arc::clone(client));
            }
        }

        candidates.sort_by_key(|it| it.is_suspect());

        candidates
    }

    fn known_broker(&self, broker: BrokerId) -> Option<Arc<BrokerClient>> {
        self.lock().by_id.get(&broker).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BrokerClients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `host:port`, as a bootstrap server is written. An IPv6 address gets brackets.
fn address(broker: &Broker) -> String {
    let Broker { host, port, .. } = broker;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
