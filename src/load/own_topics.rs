//! The topics of an open-loop load: created for it, and deleted after it.
//!
//! Invariant: no topic is written or deleted that this load has not named with a number of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::KafkaError,
    metadata::Metadata,
    producer::{BaseProducer, Producer},
    types::RDKafkaErrorCode,
};

use super::{
    error::LoadError,
    plan::LoadPlan,
    shared::{LoadShared, QuietContext},
};

/// A record survives the loss of two brokers.
const REPLICATION_FACTOR_DEFAULT: u32 = 3;
/// Longer than any load: what an interrupted process leaves behind does not fill the disks.
const RETENTION_MS: &str = "7200000";
const ADMIN_TIMEOUT: Duration = Duration::from_secs(20);
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
const LEADERS_TIMEOUT: Duration = Duration::from_secs(30);
const LEADERS_POLL_EVERY: Duration = Duration::from_millis(200);
/// How long librdkafka's reports on a failed connection may take to arrive.
const ERRORS_TIMEOUT: Duration = Duration::from_millis(100);
const DELETE_ATTEMPTS_MAX: u32 = 2;

pub(super) struct OwnTopics {
    admin: AdminClient<QuietContext>,
    /// Reads metadata. An admin client would not say why it cannot connect.
    client: Arc<BaseProducer<QuietContext>>,
    names: Vec<String>,
    /// Whether the creation of the topics was attempted.
    is_created: AtomicBool,
    shared: LoadShared,
}

impl OwnTopics {
    pub(super) fn new(
        config: &ClientConfig,
        plan: &LoadPlan,
        shared: &LoadShared,
    ) -> Result<Self, LoadError> {
        let admin =
            config.create_with_context(shared.quiet_context()).map_err(LoadError::Client)?;
        let client =
            config.create_with_context(shared.quiet_context()).map_err(LoadError::Client)?;
        let run = shared.ledger.run();
        let name = |number| format!("{}-{run:016x}-{number}", plan.topic_prefix);

        Ok(Self {
            admin,
            client: Arc::new(client),
            names: (1..=plan.topics).map(name).collect(),
            is_created: AtomicBool::new(false),
            shared: shared.clone(),
        })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Creates the topics, and waits until all partitions have leaders. Returns the replication
    /// factor.
    pub(super) async fn create(&self, plan: &LoadPlan) -> Result<u32, LoadError> {
        let brokers = self.metadata(|it| it.brokers().len()).await?;
        let brokers = u32::try_from(brokers).unwrap_or(u32::MAX);

        let replicas = plan.replication_factor.unwrap_or(brokers.min(REPLICATION_FACTOR_DEFAULT));
        if replicas > brokers {
            return Err(LoadError::TooFewBrokers { brokers, replicas });
        }

        // Set explicitly, so that what `acks=all` means does not depend on the cluster's default.
        let min_insync_replicas = if replicas >= REPLICATION_FACTOR_DEFAULT { "2" } else { "1" };
        let partitions = i32::try_from(plan.partitions_per_topic).unwrap_or(i32::MAX);
        let fixed = i32::try_from(replicas).unwrap_or(i32::MAX);
        let new = self.names.iter().map(|it| {
            NewTopic::new(it, partitions, TopicReplication::Fixed(fixed))
                .set("cleanup.policy", "delete")
                .set("retention.ms", RETENTION_MS)
                .set("min.insync.replicas", min_insync_replicas)
        });
        let new: Vec<NewTopic<'_>> = new.collect();

        let failed = |reason: String| LoadError::CreateTopics { reason };
        self.is_created.store(true, Relaxed);
        let results = self.admin.create_topics(&new, &admin_options()).await;
        for result in results.map_err(|error| failed(self.reason(&error)))? {
            result.map_err(|(topic, code)| failed(format!("{topic}: {code}")))?;
        }

        self.wait_for_leaders(plan.partitions_per_topic).await?;

        Ok(replicas)
    }

    async fn wait_for_leaders(&self, partitions: u32) -> Result<(), LoadError> {
        let start = self.shared.clock.monotonic();
        let partitions = usize::try_from(partitions).unwrap_or(usize::MAX);

        while self.shared.clock.monotonic().0.saturating_sub(start.0) < LEADERS_TIMEOUT {
            let names = self.names.clone();
            let ready = move |it: &Metadata| {
                names.iter().filter(|name| has_leaders(it, name, partitions)).count()
            };
            if self.metadata(ready).await? == self.names.len() {
                return Ok(());
            }
            if self.shared.halt.is_cancelled() {
                return Err(LoadError::Interrupted);
            }

            self.shared.clock.sleep(LEADERS_POLL_EVERY).await;
        }

        Err(LoadError::NoLeaders { timeout: LEADERS_TIMEOUT })
    }

    /// Asks for all topics: a request that names one may create it.
    async fn metadata<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Metadata) -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let client = Arc::clone(&self.client);
        let fetch = tokio::task::spawn_blocking(move || {
            let metadata = client.client().fetch_metadata(None, METADATA_TIMEOUT);
            if metadata.is_err() {
                client.poll(ERRORS_TIMEOUT);
            }

            metadata.map(|it| read(&it))
        });

        let fetched = fetch.await.map_err(|_panicked| LoadError::Panicked)?;
        fetched.map_err(|error| LoadError::Metadata { reason: self.reason(&error) })
    }

    /// What librdkafka said about a connection explains more than the error of a request.
    fn reason(&self, error: &KafkaError) -> String {
        match self.shared.last_error.get() {
            Some(connection) => format!("{error} ({connection})"),
            None => error.to_string(),
        }
    }

    /// Deletes the topics, also those whose creation is uncertain. Returns those that may remain.
    pub(super) async fn delete(&self) -> Vec<String> {
        if !self.is_created.load(Relaxed) {
            return Vec::new();
        }

        let mut remaining = self.names.clone();
        for _attempt in 0..DELETE_ATTEMPTS_MAX {
            let names: Vec<&str> = remaining.iter().map(String::as_str).collect();
            let Ok(results) = self.admin.delete_topics(&names, &admin_options()).await else {
                continue;
            };

            let failed = results.into_iter().filter_map(|it| match it {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => None,
                Err((topic, _code)) => Some(topic),
            });
            remaining = failed.collect();

            if remaining.is_empty() {
                break;
            }
        }

        remaining
    }
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT)).operation_timeout(Some(ADMIN_TIMEOUT))
}

fn has_leaders(metadata: &Metadata, name: &str, partitions: usize) -> bool {
    let topic = metadata.topics().iter().find(|it| it.name() == name);
    topic.is_some_and(|it| {
        let led = it.partitions().iter().filter(|it| it.leader() >= 0);
        led.count() == partitions
    })
}
