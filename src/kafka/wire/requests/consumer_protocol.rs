//! The subscription and assignment of classic group members (`ConsumerProtocolSubscription`,
//! `ConsumerProtocolAssignment`).
//!
//! Clients write these bytes and the broker passes them on unchecked. Not parsed with the codec,
//! which would allocate whatever a client claims.

use crate::model::TopicName;

/// The topics of a subscription, each with 0 partitions. `None` if malformed.
pub(super) fn subscribed(metadata: &[u8]) -> Option<Vec<(TopicName, usize)>> {
    // The member has not sent its subscription yet.
    if metadata.is_empty() {
        return Some(Vec::new());
    }

    let mut reader = ByteReader(metadata);
    let _version = reader.i16()?;
    let mut topics = Vec::new();
    for _ in 0..reader.count()? {
        topics.push((reader.topic()?, 0));
    }

    Some(topics)
}

/// The topics of an assignment, each with the number of its partitions. `None` if malformed.
pub(super) fn assigned(assignment: &[u8]) -> Option<Vec<(TopicName, usize)>> {
    // The member has not received its assignment yet.
    if assignment.is_empty() {
        return Some(Vec::new());
    }

    let mut reader = ByteReader(assignment);
    let _version = reader.i16()?;
    let mut topics = Vec::new();
    for _ in 0..reader.count()? {
        let topic = reader.topic()?;
        let partitions = reader.count()?;
        reader.skip(partitions.checked_mul(4)?)?;
        topics.push((topic, partitions));
    }

    Some(topics)
}

/// The unread bytes. Allocates nothing ahead of what it reads.
struct ByteReader<'a>(&'a [u8]);

impl ByteReader<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn i16(&mut self) -> Option<i16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i16::from_be_bytes(*number))
    }

    fn count(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        // A null array has length -1.
        usize::try_from(i32::from_be_bytes(*number).max(0)).ok()
    }

    fn topic(&mut self) -> Option<TopicName> {
        let length = usize::try_from(self.i16()?).ok()?;
        let (name, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(TopicName::new(std::str::from_utf8(name).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::{
        messages::{
            ConsumerProtocolAssignment, ConsumerProtocolSubscription,
            consumer_protocol_assignment::TopicPartition,
        },
        protocol::{Encodable, StrBytes},
    };

    use super::*;

    fn with_version(version: i16, message: &impl Encodable) -> Vec<u8> {
        let mut bytes = version.to_be_bytes().to_vec();
        message.encode(&mut bytes, version).unwrap();
        bytes
    }

    #[test]
    fn every_version_is_parsed() {
        let topic = |it: &str| StrBytes::from_string(it.to_owned());
        let subscription =
            ConsumerProtocolSubscription::default().with_topics(vec![topic("a"), topic("b")]);
        let partitions =
            TopicPartition::default().with_topic(topic("a").into()).with_partitions(vec![3, 5]);
        let assignment =
            ConsumerProtocolAssignment::default().with_assigned_partitions(vec![partitions]);

        for version in 0..=3 {
            let topics = subscribed(&with_version(version, &subscription)).unwrap();
            assert_eq!(topics, [(TopicName::new("a"), 0), (TopicName::new("b"), 0)]);
            let topics = assigned(&with_version(version, &assignment)).unwrap();
            assert_eq!(topics, [(TopicName::new("a"), 2)]);
        }

        assert_eq!(subscribed(&[]), Some(Vec::new()));
        assert_eq!(assigned(&[]), Some(Vec::new()));
    }

    #[test]
    fn truncated_bytes_and_impossible_counts_are_rejected() {
        let partitions = TopicPartition::default()
            .with_topic(StrBytes::from_static_str("a").into())
            .with_partitions(vec![3, 5]);
        let assignment =
            ConsumerProtocolAssignment::default().with_assigned_partitions(vec![partitions]);
        let complete = with_version(0, &assignment);

        // The last four bytes are user data, which is not read.
        for end in 1..complete.len() - 4 {
            assert_eq!(assigned(&complete[..end]), None, "{end}");
        }

        let huge_count = [0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, b'a', 0x7f, 0xff, 0xff, 0xff];

        assert_eq!(assigned(&huge_count), None);
        assert_eq!(subscribed(&huge_count), None);
    }
}
