//! What clients of the classic protocol wrote about themselves (`ConsumerProtocolSubscription`,
//! `ConsumerProtocolAssignment`). The broker hands it on without a look, so it is read by hand:
//! the codec would reserve room for whatever a client claims.

use crate::model::TopicName;

/// The topics of a subscription, each with 0 partitions.
pub(super) fn subscribed(metadata: &[u8]) -> Option<Vec<(TopicName, usize)>> {
    // A member that has yet to send its subscription.
    if metadata.is_empty() {
        return Some(Vec::new());
    }
    let mut left = Left(metadata);
    let _version = left.i16()?;
    let mut topics = Vec::new();
    for _ in 0..left.count()? {
        topics.push((left.topic()?, 0));
    }
    Some(topics)
}

/// The topics of an assignment, and how many partitions of each.
pub(super) fn assigned(assignment: &[u8]) -> Option<Vec<(TopicName, usize)>> {
    // A member that has yet to get its assignment.
    if assignment.is_empty() {
        return Some(Vec::new());
    }
    let mut left = Left(assignment);
    let _version = left.i16()?;
    let mut topics = Vec::new();
    for _ in 0..left.count()? {
        let topic = left.topic()?;
        let partitions = left.count()?;
        left.skip(partitions.checked_mul(4)?)?;
        topics.push((topic, partitions));
    }
    Some(topics)
}

/// What is left to read. Nothing is reserved for what is only claimed.
struct Left<'a>(&'a [u8]);

impl Left<'_> {
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
        // -1 is an absent list.
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
    fn what_clients_write_is_read_in_every_version() {
        let topic = |it: &str| StrBytes::from_string(it.to_owned());
        let subscription =
            ConsumerProtocolSubscription::default().with_topics(vec![topic("a"), topic("b")]);
        let of =
            TopicPartition::default().with_topic(topic("a").into()).with_partitions(vec![3, 5]);
        let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![of]);
        for version in 0..=3 {
            let read = subscribed(&with_version(version, &subscription)).unwrap();
            assert_eq!(read, [(TopicName::new("a"), 0), (TopicName::new("b"), 0)]);
            let read = assigned(&with_version(version, &assignment)).unwrap();
            assert_eq!(read, [(TopicName::new("a"), 2)]);
        }
        assert_eq!(subscribed(&[]), Some(Vec::new()));
        assert_eq!(assigned(&[]), Some(Vec::new()));
    }

    #[test]
    fn what_is_cut_off_or_boasts_is_nothing() {
        let of = TopicPartition::default()
            .with_topic(StrBytes::from_static_str("a").into())
            .with_partitions(vec![3, 5]);
        let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![of]);
        let whole = with_version(0, &assignment);
        // The last four bytes are user data, which is not read.
        for end in 1..whole.len() - 4 {
            assert_eq!(assigned(&whole[..end]), None, "{end}");
        }
        let boast = [0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, b'a', 0x7f, 0xff, 0xff, 0xff];
        assert_eq!(assigned(&boast), None);
        assert_eq!(subscribed(&boast), None);
    }
}
