//! `StreamsGroupDescribe` (KIP-1071), which the codec's crate does not have yet: its one version,
//! and of the answer what is needed to count members and to see them change.

use anyhow::{Context, Result};
use bytes::Buf;
use kafka_protocol::{
    messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse},
    protocol::{
        Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange,
        buf::{ByteBuf, ByteBufMut},
    },
};

use super::{
    super::call::{Call, ResponseError},
    groups::id,
    members::Members,
};
use crate::{
    kafka::{Api, GroupDescription},
    model::GroupName,
};

pub(in super::super) struct DescribeStreams<'a>(pub(in super::super) &'a [GroupName]);

impl Call for DescribeStreams<'_> {
    const API: Api = Api::StreamsGroupDescribe;
    type Wire = StreamsGroupDescribeRequest;
    type Answer = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> StreamsGroupDescribeRequest {
        let groups = self.0.iter().map(id).collect();
        StreamsGroupDescribeRequest(ConsumerGroupDescribeRequest::default().with_group_ids(groups))
    }

    fn read(&self, answer: StreamsGroupDescribeResponse) -> Result<Self::Answer, ResponseError> {
        Ok(answer.0.into_iter().map(Group::described).collect())
    }
}

/// The same fields as its KIP-848 relative.
pub(in super::super) struct StreamsGroupDescribeRequest(ConsumerGroupDescribeRequest);

const ONLY: VersionRange = VersionRange { min: 0, max: 0 };

impl Message for StreamsGroupDescribeRequest {
    const VERSIONS: VersionRange = ONLY;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for StreamsGroupDescribeRequest {
    fn header_version(version: i16) -> i16 {
        ConsumerGroupDescribeRequest::header_version(version)
    }
}

impl Encodable for StreamsGroupDescribeRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        self.0.encode(buf, version)
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        self.0.compute_size(version)
    }
}

impl Decodable for StreamsGroupDescribeRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {
        ConsumerGroupDescribeRequest::decode(buf, version).map(Self)
    }
}

impl Request for StreamsGroupDescribeRequest {
    const KEY: i16 = 89;
    type Response = StreamsGroupDescribeResponse;
}

/// The groups of an answer.
pub(in super::super) struct StreamsGroupDescribeResponse(Vec<Group>);

struct Group {
    error: i16,
    id: StrBytes,
    state: StrBytes,
    members: Vec<Member>,
}

struct Member {
    id: StrBytes,
    /// Rises with each new assignment.
    epoch: i32,
}

impl Group {
    fn described(self) -> GroupDescription {
        let mut members = Members::without_partitions();
        for member in &self.members {
            members.add(&member.id, &member.epoch);
        }
        members.described(&self.id, self.error, &self.state)
    }
}

impl Message for StreamsGroupDescribeResponse {
    const VERSIONS: VersionRange = ONLY;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for StreamsGroupDescribeResponse {
    fn header_version(version: i16) -> i16 {
        ConsumerGroupDescribeResponse::header_version(version)
    }
}

/// Only brokers write it, and a program that asks never does; the trait asks for it all the same.
impl Encodable for StreamsGroupDescribeResponse {
    fn encode<B: ByteBufMut>(&self, _buf: &mut B, _version: i16) -> Result<()> {
        anyhow::bail!("only brokers write this answer")
    }

    fn compute_size(&self, _version: i16) -> Result<usize> {
        anyhow::bail!("only brokers write this answer")
    }
}

impl Decodable for StreamsGroupDescribeResponse {
    fn decode<B: ByteBuf>(buf: &mut B, _version: i16) -> Result<Self> {
        let _throttle = buf.try_get_i32()?;
        let groups = list(buf, group)?;
        tags(buf)?;
        Ok(Self(groups))
    }
}

fn group<B: ByteBuf>(buf: &mut B) -> Result<Group> {
    let error = buf.try_get_i16()?;
    let _message = nullable_text(buf)?;
    let (id, state) = (text(buf)?, text(buf)?);
    let (_epoch, _assignment_epoch) = (buf.try_get_i32()?, buf.try_get_i32()?);
    if is_there(buf)? {
        topology(buf)?;
    }
    let members = list(buf, member)?;
    let _authorized_operations = buf.try_get_i32()?;
    tags(buf)?;
    Ok(Group { error, id, state, members })
}

fn topology<B: ByteBuf>(buf: &mut B) -> Result<()> {
    let _epoch = buf.try_get_i32()?;
    list(buf, |buf| {
        let _id = text(buf)?;
        list(buf, text)?;
        list(buf, text)?;
        list(buf, topic_info)?;
        list(buf, topic_info)?;
        tags(buf)
    })?;
    tags(buf)
}

fn topic_info<B: ByteBuf>(buf: &mut B) -> Result<()> {
    let _name = text(buf)?;
    let (_partitions, _replication_factor) = (buf.try_get_i32()?, buf.try_get_i16()?);
    list(buf, pair)?;
    tags(buf)
}

fn pair<B: ByteBuf>(buf: &mut B) -> Result<()> {
    let (_key, _value) = (text(buf)?, text(buf)?);
    tags(buf)
}

fn member<B: ByteBuf>(buf: &mut B) -> Result<Member> {
    let id = text(buf)?;
    let epoch = buf.try_get_i32()?;
    let (_instance, _rack) = (nullable_text(buf)?, nullable_text(buf)?);
    let (_client, _host) = (text(buf)?, text(buf)?);
    let _topology_epoch = buf.try_get_i32()?;
    let _process = text(buf)?;
    if is_there(buf)? {
        let (_host, _port) = (text(buf)?, buf.try_get_u16()?);
        tags(buf)?;
    }
    list(buf, pair)?;
    list(buf, task_offset)?;
    list(buf, task_offset)?;
    assignment(buf)?;
    assignment(buf)?;
    let _is_classic = buf.try_get_i8()?;
    tags(buf)?;
    Ok(Member { id, epoch })
}

fn task_offset<B: ByteBuf>(buf: &mut B) -> Result<()> {
    let _subtopology = text(buf)?;
    let (_partition, _offset) = (buf.try_get_i32()?, buf.try_get_i64()?);
    tags(buf)
}

/// Active, standby and warm-up tasks.
fn assignment<B: ByteBuf>(buf: &mut B) -> Result<()> {
    for _ in 0..3 {
        list(buf, |buf| {
            let _subtopology = text(buf)?;
            list(buf, |buf| Ok(buf.try_get_i32()?))?;
            tags(buf)
        })?;
    }
    tags(buf)
}

/// Grows as its elements are read, whatever length it claims.
fn list<B: ByteBuf, T>(buf: &mut B, element: impl Fn(&mut B) -> Result<T>) -> Result<Vec<T>> {
    let claimed = varint(buf)?;
    let mut list = Vec::new();
    for _ in 1..claimed {
        list.push(element(buf)?);
    }
    Ok(list)
}

fn text<B: ByteBuf>(buf: &mut B) -> Result<StrBytes> {
    nullable_text(buf)?.context("a text that must be there is absent")
}

/// Lengths are written plus one; 0 is "absent".
fn nullable_text<B: ByteBuf>(buf: &mut B) -> Result<Option<StrBytes>> {
    let Some(length) = varint(buf)?.checked_sub(1) else { return Ok(None) };
    let length = usize::try_from(length)?;
    anyhow::ensure!(length <= buf.remaining(), "a text of {length} bytes");
    Ok(Some(StrBytes::try_from(buf.get_bytes(length))?))
}

/// Seven bits a byte, the lowest first (KIP-482).
fn varint<B: ByteBuf>(buf: &mut B) -> Result<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let byte = buf.try_get_u8()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    anyhow::bail!("a varint of more than five bytes")
}

/// A structure that may be absent has -1 in front of it when it is.
fn is_there<B: ByteBuf>(buf: &mut B) -> Result<bool> {
    Ok(0 <= buf.try_get_i8()?)
}

fn tags<B: ByteBuf>(buf: &mut B) -> Result<()> {
    for _ in 0..varint(buf)? {
        let _tag = varint(buf)?;
        let size = usize::try_from(varint(buf)?)?;
        anyhow::ensure!(size <= buf.remaining(), "a tagged field of {size} bytes");
        buf.advance(size);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};

    use super::*;
    use crate::{kafka::wire::length_checked_buf::LengthCheckedBuf, model::GroupState};

    fn put(buf: &mut BytesMut, it: &str) {
        buf.put_u8(u8::try_from(it.len() + 1).unwrap());
        buf.put_slice(it.as_bytes());
    }

    /// One group with a topology and a member, every list with one element.
    fn answer() -> Bytes {
        let mut bytes = BytesMut::new();
        let buf = &mut bytes;
        buf.put_i32(0);
        buf.put_u8(2); // one group
        buf.put_i16(0);
        buf.put_u8(0); // no error message
        put(buf, "app");
        put(buf, "Reconciling");
        buf.put_slice(&[0; 8]); // epochs
        buf.put_i8(1); // a topology
        buf.put_i32(1);
        buf.put_u8(2); // one subtopology
        put(buf, "0");
        buf.put_u8(2);
        put(buf, "source");
        buf.put_u8(1);
        buf.put_u8(2); // one changelog topic
        put(buf, "changelog");
        buf.put_i32(3);
        buf.put_i16(3);
        buf.put_u8(2);
        put(buf, "cleanup.policy");
        put(buf, "compact");
        buf.put_slice(&[0, 0, 1, 0, 0]); // ends of pair and topic, no repartition source, two ends
        buf.put_u8(2); // one member
        put(buf, "member");
        buf.put_i32(7);
        buf.put_slice(&[0, 0]);
        put(buf, "client");
        put(buf, "/10.0.0.1");
        buf.put_i32(1);
        put(buf, "process");
        buf.put_i8(1); // an endpoint
        put(buf, "host");
        buf.put_u16(8080);
        buf.put_u8(0);
        buf.put_slice(&[1, 1, 1]); // no tags, no offsets
        for _ in 0..2 {
            buf.put_u8(2); // one active task
            put(buf, "0");
            buf.put_u8(2);
            buf.put_i32(0);
            buf.put_u8(0);
            buf.put_slice(&[1, 1, 0]);
        }
        buf.put_i8(0);
        buf.put_slice(&[1, 0x05, 2, 0xaa, 0xbb]); // a tagged field from the future
        buf.put_i32(i32::MIN);
        buf.put_slice(&[0, 0]);
        bytes.freeze()
    }

    #[test]
    fn an_answer_is_read_to_its_last_byte() {
        let mut buf = LengthCheckedBuf::new(answer());
        let read = StreamsGroupDescribeResponse::decode(&mut buf, 0).unwrap();
        assert!(!buf.has_remaining());
        let described: Vec<_> = read.0.into_iter().map(Group::described).collect();
        let members = described[0].members.as_ref().unwrap();
        assert_eq!(described[0].group, GroupName::new("app"));
        assert_eq!((members.state, members.count), (GroupState::Reconciling, 1));
    }

    #[test]
    fn an_answer_that_is_cut_off_is_an_error() {
        let whole = answer();
        for end in 0..whole.len() {
            let mut buf = LengthCheckedBuf::new(whole.slice(..end));
            assert!(StreamsGroupDescribeResponse::decode(&mut buf, 0).is_err(), "{end}");
        }
    }
}
