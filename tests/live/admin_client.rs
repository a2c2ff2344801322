//! Changes of the cluster by the live tests: topics, records, commits, group members.
//!
//! The product cannot do any of it, and Kafka's tools take seconds each. A request here is one
//! connection, one frame and one response, in a version that Kafka 3.9 and 4.x support and that has
//! topic names.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_optimizer::{
    clock::SystemClock,
    kafka::{
        Kafka,
        wire::{Wire, WireOptions},
    },
    model::{BrokerId, TopicName, Topology},
    security::Security,
    shutdown::Tasks,
};
use kafka_protocol::{
    messages::{
        self, AlterPartitionReassignmentsRequest, CreateAclsRequest, CreateTopicsRequest,
        DeleteAclsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
        ElectLeadersRequest, FindCoordinatorRequest, MetadataRequest, OffsetCommitRequest,
        ProduceRequest, RequestHeader, ResponseHeader, ShareGroupHeartbeatRequest,
        alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
        create_acls_request::AclCreation,
        create_topics_request::{CreatableReplicaAssignment, CreatableTopic},
        delete_acls_request::DeleteAclsFilter,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        find_coordinator_response::Coordinator,
        metadata_request::MetadataRequestTopic,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
    records::{
        Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
        Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{stack::eventually, streams};

const DEADLINE: Duration = Duration::from_secs(5);
/// Deadline of a request with its retries: leaders and coordinators of new topics and groups take a
/// moment.
const PATIENCE: Duration = Duration::from_secs(30);

/// The offsets topic; the leader of a group's partition is its coordinator.
const OFFSETS: &str = "__consumer_offsets";

const GROUP: i8 = 0;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const GROUP_ID_NOT_FOUND: i16 = 69;
const ALL_REPLICAS: i16 = -1;
const PREFERRED: i8 = 0;
const NO_GENERATION: i32 = -1;
/// Epochs of a member that joins, and of one that leaves.
const JOINS: i32 = 0;
const LEAVES: i32 = -1;

/// Group protocols without a Rust client.
#[derive(Clone, Copy, Debug)]
pub(super) enum GroupKind {
    /// KIP-932
    Share,
    /// KIP-1071
    Streams,
}

pub(super) struct AdminClient {
    bootstrap: Vec<String>,
    wire: Wire,
}

impl AdminClient {
    /// `bootstrap` is `host:port,host:port`.
    pub(super) fn new(bootstrap: &str) -> Self {
        let bootstrap: Vec<String> = bootstrap.split(',').map(str::to_owned).collect();
        let options = WireOptions {
            bootstrap: bootstrap.clone(),
            request_timeout: DEADLINE,
            client_id: "kafka-optimizer-tests".to_owned(),
            security: Security::default(),
        };
        let wire = Wire::new(options, Arc::new(SystemClock::new()), Tasks::default());

        Self { bootstrap, wire }
    }

    pub(super) async fn topology(&self) -> Topology {
        self.wire.topology().await.unwrap()
    }

    /// Creates a topic with a list of replicas for each partition, the leader first. Returns once
    /// every partition is led by its first replica. Deletes a topic left by a failed run first.
    pub(super) async fn create(&self, topic: &str, replicas: &[&[i32]]) {
        let _there_or_not = self.anywhere(5, &deletion(topic)).await;
        let assignment = |(index, brokers): (i32, &&[i32])| {
            CreatableReplicaAssignment::default()
                .with_partition_index(index)
                .with_broker_ids(brokers.iter().copied().map(messages::BrokerId).collect())
        };
        let creatable = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments((0..).zip(replicas).map(assignment).collect());
        let request =
            CreateTopicsRequest::default().with_topics(vec![creatable]).with_timeout_ms(5_000);
        settled(&format!("create {topic}"), async || {
            Ok(self.anywhere(7, &request).await?.topics[0].error_code)
        })
        .await;
        eventually(&format!("{topic} is led"), PATIENCE, async || {
            let topology = self.topology().await;
            let found = topology.topics.iter().find(|it| it.name.as_str() == topic)?;
            let led = found.partitions.iter().all(|it| it.leader == it.replicas.first().copied());

            (found.partitions.len() == replicas.len() && led).then_some(())
        })
        .await;
    }

    /// Deletes a topic. Returns once no broker has it in its metadata.
    pub(super) async fn delete(&self, topic: &str) {
        settled(&format!("delete {topic}"), async || {
            Ok(self.anywhere(5, &deletion(topic)).await?.responses[0].error_code)
        })
        .await;
        eventually(&format!("{topic} is gone"), PATIENCE, async || {
            for address in &self.bootstrap {
                // A broker that is down has no metadata.
                let Ok(answer) = ask(address, 9, &metadata(topic)).await else { continue };
                (answer.topics[0].error_code == UNKNOWN_TOPIC_OR_PARTITION).then_some(())?;
            }
            Some(())
        })
        .await;
    }

    /// Appends `count` records, acknowledged by every replica in sync.
    pub(super) async fn write(&self, topic: &str, partition: i32, count: i32) {
        let mut records = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        let batch: Vec<Record> = (0..count).map(record).collect();
        RecordBatchEncoder::encode(&mut records, &batch, &options).unwrap();
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(records.freeze()));
        let of_topic = TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(ALL_REPLICAS)
            .with_timeout_ms(5_000)
            .with_topic_data(vec![of_topic]);
        settled(&format!("write to {topic}-{partition}"), async || {
            let leader = self.leader(topic, partition).await?;
            let answer = ask(&leader, 9, &request).await?;
            Ok(answer.responses[0].partition_responses[0].error_code)
        })
        .await;
    }

    /// Deletes the records before an offset.
    pub(super) async fn truncate(&self, topic: &str, partition: i32, before: i64) {
        let of_partition =
            DeleteRecordsPartition::default().with_partition_index(partition).with_offset(before);
        let of_topic = DeleteRecordsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![of_partition]);
        let request =
            DeleteRecordsRequest::default().with_topics(vec![of_topic]).with_timeout_ms(5_000);
        settled(&format!("truncate {topic}-{partition}"), async || {
            let leader = self.leader(topic, partition).await?;
            let answer = ask(&leader, 2, &request).await?;
            Ok(answer.topics[0].partitions[0].error_code)
        })
        .await;
    }

    /// Commits (partition, offset) of one topic, as a group without members may.
    pub(super) async fn commit(&self, group: &str, topic: &str, offsets: &[(i32, i64)]) {
        let partition = |(index, offset): &(i32, i64)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*index)
                .with_committed_offset(*offset)
        };
        let of_topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(offsets.iter().map(partition).collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(group))
            .with_generation_id_or_member_epoch(NO_GENERATION)
            .with_topics(vec![of_topic]);
        settled(&format!("commit of {group}"), async || {
            let coordinator = self.coordinator(group).await?;
            let answer = ask(&coordinator, 8, &request).await?;
            let partitions = answer.topics.iter().flat_map(|it| &it.partitions);

            Ok(partitions.map(|it| it.error_code).find(|it| *it != 0).unwrap_or(0))
        })
        .await;
    }

    /// Deletes a group and its commits, if it exists.
    pub(super) async fn forget(&self, group: &str) {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
        settled(&format!("forget {group}"), async || {
            let coordinator = self.coordinator(group).await?;
            let code = ask(&coordinator, 2, &request).await?.results[0].error_code;
            Ok(if code == GROUP_ID_NOT_FOUND { 0 } else { code })
        })
        .await;
    }

    /// Names of groups that do not exist yet, as many coordinated by `broker` as by others.
    pub(super) async fn names(&self, prefix: &str, broker: i32, each: usize) -> GroupNames {
        self.spread_coordinators().await;
        let (mut there, mut elsewhere) = (Vec::new(), Vec::new());

        for n in 0.. {
            // A restarted broker leads nothing, and so coordinates nothing, for minutes; it is not
            // elected before it has caught up.
            if n % 100 == 0 {
                self.elect().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }

            let name = format!("{prefix}-{n}");
            let Ok(found) = self.find_coordinator(&name).await else { continue };
            let names = if found.node_id.0 == broker { &mut there } else { &mut elsewhere };

            if names.len() < each {
                names.push(name);
            }

            if there.len() == each && elsewhere.len() == each {
                break;
            }

            assert!(n < 6_000, "{each} groups on {broker} and elsewhere: {there:?} {elsewhere:?}");
        }

        GroupNames { there, elsewhere }
    }

    /// Makes every broker preferred for some partitions of the offsets topic: Kafka may have placed
    /// all replicas in the same order.
    async fn spread_coordinators(&self) {
        eventually("the offsets topic is there", PATIENCE, async || {
            self.find_coordinator("corner").await.ok()
        })
        .await;
        let topology = self.topology().await;
        let brokers: Vec<_> = topology.brokers.iter().map(|it| it.id.to_wire().into()).collect();
        let offsets = topology.topics.iter().find(|it| it.name == TopicName::new(OFFSETS)).unwrap();
        let partition = |(place, index): (usize, i32)| {
            let mut replicas: Vec<messages::BrokerId> = brokers.clone();
            replicas.rotate_left(place % brokers.len());
            ReassignablePartition::default()
                .with_partition_index(index)
                .with_replicas(Some(replicas))
        };
        let indexes = offsets.partitions.iter().map(|it| it.index).enumerate();
        let topic = ReassignableTopic::default()
            .with_name(topic_name(OFFSETS))
            .with_partitions(indexes.map(partition).collect());
        let request = AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(5_000)
            .with_topics(vec![topic]);
        settled("coordinators on every broker", async || {
            Ok(self.anywhere(0, &request).await?.error_code)
        })
        .await;
    }

    /// Gives every partition back to its preferred leader.
    pub(super) async fn elect(&self) {
        let request = ElectLeadersRequest::default()
            .with_election_type(PREFERRED)
            .with_topic_partitions(None)
            .with_timeout_ms(5_000);
        settled("preferred leaders", async || Ok(self.anywhere(2, &request).await?.error_code))
            .await;
    }

    /// Joins a group that reads `topic`; the member stays until its session times out.
    pub(super) async fn join(&self, protocol: GroupKind, group: &str, member: &str, topic: &str) {
        self.heartbeat(protocol, group, member, JOINS, topic).await;
    }

    pub(super) async fn leave(&self, protocol: GroupKind, group: &str, member: &str, topic: &str) {
        self.heartbeat(protocol, group, member, LEAVES, topic).await;
    }

    async fn heartbeat(
        &self,
        protocol: GroupKind,
        group: &str,
        member: &str,
        epoch: i32,
        topic: &str,
    ) {
        let text = |it: &str| StrBytes::from(it.to_owned());
        let subscribed = || (epoch == JOINS).then(|| vec![topic_name(topic)]);
        settled(&format!("{protocol:?} heartbeat of {group}, epoch {epoch}"), async || {
            let coordinator = self.coordinator(group).await?;
            match protocol {
                GroupKind::Share => {
                    let request = ShareGroupHeartbeatRequest::default()
                        .with_group_id(group_id(group))
                        .with_member_id(text(member))
                        .with_member_epoch(epoch)
                        .with_subscribed_topic_names(subscribed());
                    Ok(ask(&coordinator, 1, &request).await?.error_code)
                }
                GroupKind::Streams => {
                    let frame = streams::heartbeat(group, member, epoch, topic);
                    Ok(streams::error_code(&exchange(&coordinator, &frame).await?))
                }
            }
        })
        .await;
    }

    /// Creates or deletes an ACL that denies DESCRIBE on a topic or a group to everyone.
    pub(super) async fn forbid(&self, what: AclResource, name: &str) {
        let creation = AclCreation::default()
            .with_resource_type(what.code())
            .with_resource_name(StrBytes::from(name.to_owned()))
            .with_resource_pattern_type(LITERAL)
            .with_principal(StrBytes::from_static_str(EVERYBODY))
            .with_host(StrBytes::from_static_str("*"))
            .with_operation(DESCRIBE)
            .with_permission_type(DENY);
        let request = CreateAclsRequest::default().with_creations(vec![creation]);
        settled(&format!("forbid {name}"), async || {
            Ok(self.anywhere(3, &request).await?.results[0].error_code)
        })
        .await;
    }

    pub(super) async fn allow(&self, what: AclResource, name: &str) {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(what.code())
            .with_resource_name_filter(Some(StrBytes::from(name.to_owned())))
            .with_pattern_type_filter(LITERAL)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(DESCRIBE)
            .with_permission_type(DENY);
        let request = DeleteAclsRequest::default().with_filters(vec![filter]);
        settled(&format!("allow {name}"), async || {
            Ok(self.anywhere(3, &request).await?.filter_results[0].error_code)
        })
        .await;
    }

    /// The response of the first broker that answers.
    async fn anywhere<R: Request>(&self, version: i16, request: &R) -> io::Result<R::Response> {
        let mut last = None;
        for address in &self.bootstrap {
            match ask(address, version, request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
        }

        Err(last.unwrap())
    }

    async fn leader(&self, topic: &str, partition: i32) -> io::Result<String> {
        let topology = self.topology().await;
        let topic = topology.topics.iter().find(|it| it.name == TopicName::new(topic));
        let found = topic.and_then(|it| it.partitions.iter().find(|it| it.index == partition));
        let leader = found.and_then(|it| it.leader).ok_or(io::ErrorKind::NotFound)?;

        address(&topology, leader)
    }

    async fn coordinator(&self, group: &str) -> io::Result<String> {
        let found = self.find_coordinator(group).await?;
        Ok(format!("{}:{}", &*found.host, found.port))
    }

    async fn find_coordinator(&self, group: &str) -> io::Result<Coordinator> {
        let request = FindCoordinatorRequest::default()
            .with_key_type(GROUP)
            .with_coordinator_keys(vec![StrBytes::from(group.to_owned())]);
        let found = self.anywhere(4, &request).await?.coordinators.remove(0);

        if found.error_code != 0 {
            return Err(io::Error::other(format!("no coordinator: error {}", found.error_code)));
        }

        Ok(found)
    }
}

/// Groups, by whether one broker coordinates them.
pub(super) struct GroupNames {
    pub(super) there: Vec<String>,
    pub(super) elsewhere: Vec<String>,
}

impl GroupNames {
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.there.iter().chain(&self.elsewhere)
    }
}

/// The resource of an ACL.
#[derive(Clone, Copy, Debug)]
pub(super) enum AclResource {
    Topic,
    Group,
}

impl AclResource {
    const fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Group => 3,
        }
    }
}

const LITERAL: i8 = 3;
const DESCRIBE: i8 = 8;
const DENY: i8 = 2;
/// The principal of every client without SASL.
const EVERYBODY: &str = "User:ANONYMOUS";

fn address(topology: &Topology, broker: BrokerId) -> io::Result<String> {
    let found = topology.brokers.iter().find(|it| it.id == broker);
    let found = found.ok_or(io::ErrorKind::NotFound)?;
    Ok(format!("{}:{}", found.host, found.port))
}

fn deletion(topic: &str) -> DeleteTopicsRequest {
    DeleteTopicsRequest::default().with_topic_names(vec![topic_name(topic)]).with_timeout_ms(5_000)
}

fn metadata(topic: &str) -> MetadataRequest {
    let asked = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false)
}

fn topic_name(name: &str) -> messages::TopicName {
    messages::TopicName(StrBytes::from(name.to_owned()))
}

fn group_id(name: &str) -> messages::GroupId {
    messages::GroupId(StrBytes::from(name.to_owned()))
}

/// The codec puts records with consecutive sequence numbers into one batch, whose own sequence
/// number is that of the first record: none.
fn record(index: i32) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(index),
        sequence: NO_SEQUENCE + index,
        timestamp: 1_735_689_600_000 + i64::from(index),
        key: None,
        value: Some(Bytes::from_static(b"x")),
        headers: kafka_protocol::indexmap::IndexMap::new(),
    }
}

/// Repeats `attempt` until it returns error code 0.
async fn settled<F>(what: &str, mut attempt: impl FnMut() -> F)
where
    F: Future<Output = io::Result<i16>>,
{
    let mut refusals = BTreeMap::new();
    let repeated = async {
        loop {
            let refusal = match attempt().await {
                Ok(0) => return,
                Ok(code) => format!("error {code}"),
                Err(error) => error.to_string(),
            };
            *refusals.entry(refusal).or_insert(0) += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let within = tokio::time::timeout(PATIENCE, repeated).await;

    assert!(within.is_ok(), "{what}: not within {PATIENCE:?}: {refusals:?}");
}

async fn ask<R: Request>(address: &str, version: i16, request: &R) -> io::Result<R::Response> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("kafka-optimizer-tests")));
    let mut frame = BytesMut::new();
    header.encode(&mut frame, R::header_version(version)).unwrap();
    request.encode(&mut frame, version).unwrap();
    let mut answer = exchange(address, &frame).await?;
    ResponseHeader::decode(&mut answer, R::Response::header_version(version)).unwrap();

    Ok(R::Response::decode(&mut answer, version).unwrap())
}

/// Sends a frame without its length, and returns the response without its length.
async fn exchange(address: &str, frame: &[u8]) -> io::Result<Bytes> {
    let exchanged = async {
        let mut stream = TcpStream::connect(address).await?;
        let mut whole = BytesMut::new();
        whole.put_i32(i32::try_from(frame.len()).unwrap());
        whole.put_slice(frame);
        stream.write_all(&whole).await?;
        let size = stream.read_i32().await?;
        let mut answer = vec![0; usize::try_from(size).unwrap()];
        stream.read_exact(&mut answer).await?;

        Ok(Bytes::from(answer))
    };
    tokio::time::timeout(DEADLINE, exchanged).await?
}
