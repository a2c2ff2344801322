//! `StreamsGroupDescribe` version 0 (KIP-1071), which the codec does not support yet. Only the
//! fields are kept that are needed to count members and to notice changes.

use anyhow::{Context, Result};
use bytes::Buf;
use kafka_protocol::{
    messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse},
    protocol::{
        Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange,
        buf::{ByteBuf, ByteBufMut},
    },
};

use super::{groups::id, members::MemberCollector};
use crate::{
    kafka::wire::api_call::{ApiCall, ResponseError},
    model::{Api, GroupDescription, GroupName},
};

pub(crate) struct DescribeStreamsGroups<'a>(pub(crate) &'a [GroupName]);

impl ApiCall for DescribeStreamsGroups<'_> {
    const API: Api = Api::StreamsGroupDescribe;
    type Request = StreamsGroupDescribeRequest;
    type Output = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> StreamsGroupDescribeRequest {
        let groups = self.0.iter().map(id).collect();
        StreamsGroupDescribeRequest(ConsumerGroupDescribeRequest::default().with_group_ids(groups))
    }

    fn parse(&self, response: StreamsGroupDescribeResponse) -> Result<Self::Output, ResponseError> {
        Ok(response.0.into_iter().map(StreamsGroup::describe).collect())
    }
}

/// Has the same fields as [`ConsumerGroupDescribeRequest`].
pub(crate) struct StreamsGroupDescribeRequest(ConsumerGroupDescribeRequest);

const VERSION_0: VersionRange = VersionRange { min: 0, max: 0 };

impl Message for StreamsGroupDescribeRequest {
    const VERSIONS: VersionRange = VERSION_0;
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

pub(crate) struct StreamsGroupDescribeResponse(Vec<StreamsGroup>);

struct StreamsGroup {
    error: i16,
    id: StrBytes,
    state: StrBytes,
    members: Vec<StreamsMember>,
}

struct StreamsMember {
    id: StrBytes,
    /// Increases with each new assignment.
    epoch: i32,
}

impl StreamsGroup {
    fn describe(self) -> GroupDescription {
        let mut members = MemberCollector::without_partitions();
        for member in &self.members {
            members.add(&member.id, &member.epoch);
        }
        members.finish(&self.id, self.error, &self.state)
    }
}

impl Message for StreamsGroupDescribeResponse {
    const VERSIONS: VersionRange = VERSION_0;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for StreamsGroupDescribeResponse {
    fn header_version(version: i16) -> i16 {
        ConsumerGroupDescribeResponse::header_version(version)
    }
}

/// Required by [`Request`], but only brokers encode responses.
impl Encodable for StreamsGroupDescribeResponse {
    fn encode<B: ByteBufMut>(&self, _buf: &mut B, _version: i16) -> Result<()> {
        anyhow::bail!("only brokers encode this response")
    }

    fn compute_size(&self, _version: i16) -> Result<usize> {
        anyhow::bail!("only brokers encode this response")
    }
}

impl Decodable for StreamsGroupDescribeResponse {
    fn decode<B: ByteBuf>(buf: &mut B, _version: i16) -> Result<Self> {
        let _throttle = buf.try_get_i32()?;
        let groups = array(buf, group)?;
        tags(buf)?;
        Ok(Self(groups))
    }
}

fn group<B: ByteBuf>(buf: &mut B) -> Result<StreamsGroup> {
    let error = buf.try_get_i16()?;
    let _message = nullable_string(buf)?;
    let (id, state) = (string(buf)?, string(buf)?);
    let (_epoch, _assignment_epoch) = (buf.try_get_i32()?, buf.try_get_i32()?);
    if is_present(buf)? {
        topology(buf)?;
    }

    let members = array(buf, member)?;
    let _authorized_operations = buf.try_get_i32()?;
    tags(buf)?;

    Ok(StreamsGroup { error, id, state, members })
}

fn topology<B: ByteBuf>(buf: &mut B) -> Result<()> {
    let _epoch = buf.try_get_i32()?;
    array(buf, |buf| {
        let _id = string(buf)?;
        array(buf, string)?;
        array(buf, string)?;
        array(buf, topic_info)?;
        array(buf, topic_info)?;
        tags(buf)
    })?;

    tags(buf)
}

fn topic_info<B: ByteBuf>(buf: &mut B) -> Result<()> {
    let _name = string(buf)?;
    let (_partitions, _replication_factor) = (buf.try_get_i32()?, buf.try_get_i16()?);
    array(buf, key_value)?;
    tags(buf)
}

fn key_value<B: ByteBuf>(buf: &mut B) -> Result<()> {
    let (_key, _value) = (string(buf)?, string(buf)?);
    tags(buf)
}

fn member<B: ByteBuf>(buf: &mut B) -> Result<StreamsMember> {
    let id = string(buf)?;
    let epoch = buf.try_get_i32()?;
    let (_instance, _rack) = (nullable_string(buf)?, nullable_string(buf)?);
    let (_client, _host) = (string(buf)?, string(buf)?);
    let _topology_epoch = buf.try_get_i32()?;
    let _process = string(buf)?;

    if is_present(buf)? {
        let (_host, _port) = (string(buf)?, buf.try_get_u16()?);
        tags(buf)?;
    }

    array(buf, key_value)?;
    array(buf, task_offset)?;
    array(buf, task_offset)?;
    assignment(buf)?;
    assignment(buf)?;
    let _is_classic = buf.try_get_i8()?;
    tags(buf)?;

    Ok(StreamsMember { id, epoch })
}

fn task_offset<B: ByteBuf>(buf: &mut B) -> Result<()> {
    let _subtopology = string(buf)?;
    let (_partition, _offset) = (buf.try_get_i32()?, buf.try_get_i64()?);
    tags(buf)
}

/// Active, standby and warm-up tasks.
fn assignment<B: ByteBuf>(buf: &mut B) -> Result<()> {
    for _ in 0..3 {
        array(buf, |buf| {
            let _subtopology = string(buf)?;
            array(buf, |buf| Ok(buf.try_get_i32()?))?;
            tags(buf)
        })?;
    }

    tags(buf)
}

/// Reads a compact array. It grows as its elements are read, whatever length it claims.
fn array<B: ByteBuf, T>(buf: &mut B, element: impl Fn(&mut B) -> Result<T>) -> Result<Vec<T>> {
    let length_plus_one = varint(buf)?;
    let mut array = Vec::new();
    for _ in 1..length_plus_one {
        array.push(element(buf)?);
    }

    Ok(array)
}

fn string<B: ByteBuf>(buf: &mut B) -> Result<StrBytes> {
    nullable_string(buf)?.context("a string that must not be null is null")
}

/// Reads a compact string: its length is encoded plus one, and 0 means null.
fn nullable_string<B: ByteBuf>(buf: &mut B) -> Result<Option<StrBytes>> {
    let Some(length) = varint(buf)?.checked_sub(1) else { return Ok(None) };
    let length = usize::try_from(length)?;
    anyhow::ensure!(
        length <= buf.remaining(),
        "a string of {length} bytes is longer than the response"
    );

    Ok(Some(StrBytes::try_from(buf.get_bytes(length))?))
}

/// Reads an unsigned varint: seven bits per byte, lowest first (KIP-482).
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

/// A nullable struct starts with -1 if it is null.
fn is_present<B: ByteBuf>(buf: &mut B) -> Result<bool> {
    Ok(buf.try_get_i8()? >= 0)
}

fn tags<B: ByteBuf>(buf: &mut B) -> Result<()> {
    for _ in 0..varint(buf)? {
        let _tag = varint(buf)?;
        let size = usize::try_from(varint(buf)?)?;
        anyhow::ensure!(
            size <= buf.remaining(),
            "a tagged field of {size} bytes is longer than the response"
        );
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
    fn response_bytes() -> Bytes {
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
    fn a_response_is_read_to_its_last_byte() {
        let mut buf = LengthCheckedBuf::new(response_bytes());
        let response = StreamsGroupDescribeResponse::decode(&mut buf, 0).unwrap();

        assert!(!buf.has_remaining());

        let described: Vec<_> = response.0.into_iter().map(StreamsGroup::describe).collect();
        let members = described[0].members.as_ref().unwrap();
        assert_eq!(described[0].group, GroupName::new("app"));
        assert_eq!((members.state, members.count), (GroupState::Reconciling, 1));
    }

    #[test]
    fn a_truncated_response_is_an_error() {
        let complete = response_bytes();
        for end in 0..complete.len() {
            let mut buf = LengthCheckedBuf::new(complete.slice(..end));
            assert!(StreamsGroupDescribeResponse::decode(&mut buf, 0).is_err(), "{end}");
        }
    }
}
