//! Real members of groups: librdkafka's consumer, of either protocol.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use tokio::task::spawn_blocking;

/// The protocol a member speaks.
#[derive(Clone, Copy, Debug)]
pub(super) enum MemberProtocol {
    Classic,
    /// KIP-848: the broker assigns.
    Consumer,
}

/// A member with its partitions. It leaves the group when it is dropped.
pub(super) struct GroupMember(Option<BaseConsumer>);

impl GroupMember {
    /// Joins and waits for an assignment. Fetched records are dropped.
    pub(super) async fn join(
        bootstrap: &str,
        protocol: MemberProtocol,
        group: &str,
        topic: &str,
    ) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("group.id", group);
        config.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");

        if matches!(protocol, MemberProtocol::Consumer) {
            config.set("group.protocol", "consumer");
        }

        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let joined = spawn_blocking(move || {
            for _ in 0..300 {
                let _records_do_not_matter = consumer.poll(Duration::from_millis(100));
                if 0 < consumer.assignment().unwrap().count() {
                    return Some(consumer);
                }
            }
            None
        });
        let joined = joined.await.unwrap();

        assert!(joined.is_some(), "no assignment for {group} within 30 s");

        Self(joined)
    }

    /// Leaves the group and waits for that.
    pub(super) async fn leave(mut self) {
        let consumer = self.0.take();
        spawn_blocking(move || drop(consumer)).await.unwrap();
    }
}
