//! A cluster of fake brokers: exactly the requests this program sends, decoded and answered over
//! real sockets with the codec's broker half, and faults on demand.
//!
//! Like Kafka, a broker answers one connection's requests in order, one at a time.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_optimizer::shutdown::Tasks;
use kafka_protocol::{
    messages::{
        self, ApiKey, ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupDescribeRequest,
        ConsumerGroupDescribeResponse, DescribeConfigsRequest, DescribeConfigsResponse,
        DescribeGroupsRequest, DescribeGroupsResponse, DescribeLogDirsRequest,
        DescribeLogDirsResponse, DescribeQuorumRequest, DescribeQuorumResponse,
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListGroupsRequest,
        ListGroupsResponse, ListOffsetsRequest, ListOffsetsResponse,
        ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, MetadataRequest,
        MetadataResponse, OffsetFetchRequest, OffsetFetchResponse, RequestHeader, ResponseHeader,
        api_versions_response::ApiVersion,
        consumer_group_describe_response,
        describe_configs_response::{
            DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
        },
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
        describe_log_dirs_response::{
            DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
        },
        describe_quorum_response::{PartitionData, TopicData},
        incremental_alter_configs_response::AlterConfigsResourceResponse,
        list_groups_response::ListedGroup,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        list_partition_reassignments_response::{
            OngoingPartitionReassignment, OngoingTopicReassignment,
        },
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
    protocol::{
        Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange,
        decode_request_header_from_buffer,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

const NOT_LEADER: i16 = 6;
const UNKNOWN_TOPIC: i16 = 3;
const UNSUPPORTED_VERSION: i16 = 35;
const GROUP_ID_NOT_FOUND: i16 = 69;
const BROKER: i8 = 4;

/// What a broker does with a request instead of answering it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Reads it and never answers.
    Freeze,
    /// Answers later.
    Delay(Duration),
    /// Answers when so many have been read on the connection, in order.
    Together(usize),
    /// Closes the connection.
    HangUp,
    /// Closes it in the middle of the answer.
    MidFrame,
    /// Claims that an answer of so many bytes follows.
    Claim(i32),
    /// Answers under another request's id.
    WrongCorrelation,
    /// Writes the largest varint over the body, so many bytes in.
    Boast(usize),
    /// Cuts the body after so many bytes, under a right length.
    Cut(usize),
    /// Answers that it does not know the version, in version 0, as Kafka does to its greeting.
    Unsupported,
}

/// A partition, as its leader sees it.
#[derive(Clone, Debug)]
pub(crate) struct FakePartition {
    pub(crate) leader: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Answered instead of an offset, if not 0.
    pub(crate) error: i16,
}

#[derive(Clone, Debug)]
pub(crate) struct FakeGroup {
    pub(crate) coordinator: i32,
    /// `classic` or `consumer`.
    pub(crate) kind: &'static str,
    pub(crate) members: usize,
    /// Topic, partition, offset.
    pub(crate) commits: Vec<(String, i32, i64)>,
    /// Answered instead of its commits, if not 0.
    pub(crate) error: i16,
}

/// One dynamic configuration entry: (source, value), strongest first; the first is in force.
pub(crate) type FakeEntry = Vec<(i8, &'static str)>;

/// What the brokers of one cluster share.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    brokers: BTreeMap<i32, SocketAddr>,
    pub(crate) topics: BTreeMap<String, Vec<FakePartition>>,
    /// Topics whose metadata entry carries this error.
    pub(crate) broken_topics: BTreeMap<String, i16>,
    pub(crate) groups: BTreeMap<String, FakeGroup>,
    pub(crate) configs: BTreeMap<&'static str, FakeEntry>,
    /// Refuses every change so.
    pub(crate) alter_refusal: Option<(i16, &'static str)>,
    pub(crate) moving: Vec<(String, i32)>,
    /// Narrows what a broker says it speaks.
    pub(crate) versions: BTreeMap<i16, (i16, i16)>,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    /// Set for changes of configuration.
    pub(crate) alter: Option<Alter>,
}

/// What a change of configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alter {
    pub(crate) validate_only: bool,
    /// Key, operation, value.
    pub(crate) changes: Vec<(String, i8, Option<String>)>,
}

#[derive(Debug, Default)]
struct Script {
    faults: BTreeMap<i16, Fault>,
    seen: Vec<Seen>,
    connections: usize,
}

/// Some brokers that tell of each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeCluster(Arc<Mutex<Contents>>);

impl FakeCluster {
    /// Changes what its brokers answer.
    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    /// Starts a broker and makes it known to the others.
    pub(crate) async fn start(&self, id: i32) -> FakeBroker {
        self.start_at(id, "127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts it at an address, as after a restart.
    pub(crate) async fn start_at(&self, id: i32, address: SocketAddr) -> FakeBroker {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        self.contents().brokers.insert(id, address);
        let served = Served {
            id,
            cluster: self.clone(),
            script: Arc::default(),
            alive: CancellationToken::new(),
            tasks: Tasks::default(),
        };
        served.tasks.start_short("fake broker", served.clone().accept(listener));
        FakeBroker { address, served }
    }
}

/// One broker. Dropping it closes its listener and its connections.
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
    /// Ends it, and waits until its port is free.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.served.alive.cancel();
        self.served.tasks.drain(Duration::from_secs(5)).await;
        self.address
    }

    pub(crate) fn fail(&self, api: ApiKey, fault: Fault) {
        self.script().faults.insert(api as i16, fault);
    }

    /// Reads everything from now on, and answers nothing.
    pub(crate) fn freeze(&self) {
        for api in APIS {
            self.fail(*api, Fault::Freeze);
        }
    }

    pub(crate) fn heal(&self) {
        self.script().faults.clear();
    }

    /// Requests of one kind so far.
    pub(crate) fn seen(&self, api: ApiKey) -> Vec<Seen> {
        self.script().seen.iter().filter(|it| it.api == api).cloned().collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.script().connections
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.served.script.lock().unwrap()
    }
}

const APIS: &[ApiKey] = &[
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::ListOffsets,
    ApiKey::ListGroups,
    ApiKey::DescribeGroups,
    ApiKey::OffsetFetch,
    ApiKey::DescribeLogDirs,
    ApiKey::DescribeConfigs,
    ApiKey::ListPartitionReassignments,
    ApiKey::DescribeQuorum,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::ConsumerGroupDescribe,
];

#[derive(Clone, Debug)]
struct Served {
    id: i32,
    cluster: FakeCluster,
    script: Arc<Mutex<Script>>,
    alive: CancellationToken,
    tasks: Tasks,
}

impl Served {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.alive.cancelled() => return,
            };
            let (stream, _) = accepted.unwrap();
            self.script.lock().unwrap().connections += 1;
            let served = self.clone();
            self.tasks.start_short("fake connection", async move {
                let alive = served.alive.clone();
                tokio::select! {
                    () = served.serve(stream) => (),
                    () = alive.cancelled() => (),
                }
            });
        }
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut held = Vec::new();
        while let Ok(length) = stream.read_i32().await {
            let mut frame = vec![0; usize::try_from(length).unwrap()];
            if stream.read_exact(&mut frame).await.is_err() {
                return;
            }
            let mut frame = Bytes::from(frame);
            let header = decode_request_header_from_buffer(&mut frame).unwrap();
            let api = ApiKey::try_from(header.request_api_key).unwrap();
            let (answer, seen) = self.answer(&header, api, frame);
            let fault = {
                let mut script = self.script.lock().unwrap();
                script.seen.push(seen);
                script.faults.get(&(api as i16)).copied()
            };
            let mut answer = answer;
            match fault {
                None => (),
                Some(Fault::Freeze) => std::future::pending().await,
                Some(Fault::Delay(pause)) => tokio::time::sleep(pause).await,
                Some(Fault::Together(wanted)) => {
                    held.push(answer);
                    if held.len() < wanted {
                        continue;
                    }
                    answer = held.drain(..).flatten().collect();
                }
                Some(Fault::HangUp) => return,
                Some(Fault::MidFrame) => {
                    let half = answer.len() / 2;
                    stream.write_all(&answer[..half]).await.unwrap();
                    return;
                }
                Some(Fault::Claim(length)) => {
                    stream.write_all(&length.to_be_bytes()).await.unwrap();
                    std::future::pending::<()>().await;
                }
                Some(Fault::WrongCorrelation) => answer[4..8].copy_from_slice(&[0x7f; 4]),
                Some(Fault::Boast(after)) => boast(&mut answer, after),
                Some(Fault::Cut(after)) => cut(&mut answer, after),
                Some(Fault::Unsupported) => answer = unsupported(&header),
            }
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    /// The bytes of the answer, and what was asked.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
    fn answer(&self, header: &RequestHeader, api: ApiKey, body: Bytes) -> (Vec<u8>, Seen) {
        let cluster = &*self.cluster.contents();
        let id = self.id;
        let version = header.request_api_version;
        let mut seen = Seen {
            api,
            version,
            client_id: header.client_id.as_ref().unwrap().to_string(),
            alter: None,
        };
        let on = On { header, body };
        let bytes = match api {
            ApiKey::ApiVersions => on.answer(|_: ApiVersionsRequest| api_versions(cluster)),
            ApiKey::Metadata => on.answer(|it| metadata(cluster, &it)),
            ApiKey::ListOffsets => on.answer(|it| list_offsets(cluster, id, it)),
            ApiKey::ListGroups => {
                on.answer(|it: ListGroupsRequest| list_groups(cluster, id, &it, version))
            }
            ApiKey::DescribeGroups => on.answer(|it| describe_groups(cluster, it, version)),
            ApiKey::OffsetFetch => on.answer(|it| offset_fetch(cluster, it, version)),
            ApiKey::DescribeLogDirs => {
                on.answer(|_: DescribeLogDirsRequest| describe_log_dirs(cluster, version))
            }
            ApiKey::DescribeConfigs => on.answer(|it| describe_configs(cluster, it)),
            ApiKey::ListPartitionReassignments => {
                on.answer(|_: ListPartitionReassignmentsRequest| reassignments(cluster))
            }
            ApiKey::DescribeQuorum => on.answer(|_: DescribeQuorumRequest| quorum()),
            ApiKey::IncrementalAlterConfigs => {
                on.answer(|it| alter_configs(cluster, &it, &mut seen))
            }
            ApiKey::ConsumerGroupDescribe => on.answer(|it| describe_consumer_groups(cluster, it)),
            _ => panic!("this program does not send {api:?}"),
        };
        (bytes, seen)
    }
}

/// One request, to be decoded and answered in its version.
struct On<'a> {
    header: &'a RequestHeader,
    body: Bytes,
}

impl On<'_> {
    fn answer<R: Request>(mut self, answer: impl FnOnce(R) -> R::Response) -> Vec<u8> {
        let version = self.header.request_api_version;
        let request = R::decode(&mut self.body, version).unwrap();
        assert!(self.body.is_empty(), "bytes behind the request");
        encode::<R>(self.header.correlation_id, version, &answer(request))
    }
}

fn encode<R: Request>(correlation: i32, version: i16, answer: &R::Response) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut frame, R::Response::header_version(version)).unwrap();
    answer.encode(&mut frame, version).unwrap();
    let mut frame = frame.to_vec();
    relength(&mut frame);
    frame
}

fn relength(frame: &mut [u8]) {
    let length = i32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
}

fn boast(frame: &mut [u8], after: usize) {
    let varint = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for (byte, boasted) in frame.iter_mut().skip(8 + after).zip(varint) {
        *byte = boasted;
    }
}

fn cut(frame: &mut Vec<u8>, after: usize) {
    frame.truncate(8 + after);
    relength(frame);
}

fn unsupported(header: &RequestHeader) -> Vec<u8> {
    let answer = ApiVersionsResponse::default();
    let code = if header.request_api_version == 0 { 0 } else { UNSUPPORTED_VERSION };
    let answer = answer.with_error_code(code).with_api_keys(api_keys(&Contents::default()));
    encode::<ApiVersionsRequest>(header.correlation_id, 0, &answer)
}

fn text(it: &str) -> StrBytes {
    StrBytes::from_string(it.to_owned())
}

fn topic(it: &str) -> messages::TopicName {
    messages::TopicName(text(it))
}

fn group_id(it: &str) -> messages::GroupId {
    messages::GroupId(text(it))
}

fn ids(raw: &[i32]) -> Vec<messages::BrokerId> {
    raw.iter().map(|it| messages::BrokerId(*it)).collect()
}

fn range(api: ApiKey) -> VersionRange {
    // The codec's request ends at 9, its answer at 10, as Kafka does.
    if api == ApiKey::OffsetFetch { OffsetFetchResponse::VERSIONS } else { api.valid_versions() }
}

fn api_keys(cluster: &Contents) -> Vec<ApiVersion> {
    let one = |api: &ApiKey| {
        let VersionRange { min, max } = range(*api);
        let (min, max) = *cluster.versions.get(&(*api as i16)).unwrap_or(&(min, max));
        ApiVersion::default().with_api_key(*api as i16).with_min_version(min).with_max_version(max)
    };
    APIS.iter().map(one).collect()
}

fn api_versions(cluster: &Contents) -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_api_keys(api_keys(cluster))
}

fn metadata(cluster: &Contents, request: &MetadataRequest) -> MetadataResponse {
    assert!(!request.allow_auto_topic_creation, "looking must not create topics");
    let brokers = cluster.brokers.iter().map(|(id, address)| {
        MetadataResponseBroker::default()
            .with_node_id((*id).into())
            .with_host(text(&address.ip().to_string()))
            .with_port(address.port().into())
    });
    let whole = cluster.topics.iter().map(|(name, partitions)| {
        let partition = |(index, it): (usize, &FakePartition)| {
            MetadataResponsePartition::default()
                .with_partition_index(i32::try_from(index).unwrap())
                .with_leader_id(it.leader.into())
                .with_replica_nodes(ids(&it.replicas))
                .with_isr_nodes(ids(&it.isr))
        };
        MetadataResponseTopic::default()
            .with_name(Some(topic(name)))
            .with_is_internal(name.starts_with("__"))
            .with_partitions(partitions.iter().enumerate().map(partition).collect())
    });
    let broken = cluster.broken_topics.iter().map(|(name, code)| {
        MetadataResponseTopic::default().with_name(Some(topic(name))).with_error_code(*code)
    });
    let all = request.topics.is_none();
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text("fake")))
        .with_controller_id(cluster.brokers.keys().next().map_or(-1, |it| *it).into())
        .with_topics(whole.chain(broken).filter(|_| all).collect())
}

fn list_offsets(cluster: &Contents, id: i32, request: ListOffsetsRequest) -> ListOffsetsResponse {
    assert_eq!(request.isolation_level, 0, "the end is the high watermark");
    let topics = request.topics.into_iter().map(|asked| {
        let known = cluster.topics.get(asked.name.as_str());
        let partitions = asked.partitions.iter().map(|it| {
            let index = usize::try_from(it.partition_index).unwrap();
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(it.partition_index)
                .with_offset(-1);
            match known.and_then(|it| it.get(index)) {
                None => answer.with_error_code(UNKNOWN_TOPIC),
                Some(found) if found.error != 0 => answer.with_error_code(found.error),
                Some(found) if found.leader != id => answer.with_error_code(NOT_LEADER),
                Some(found) => match it.timestamp {
                    -2 => answer.with_offset(found.first),
                    -1 => answer.with_offset(found.last),
                    other => panic!("timestamp {other}"),
                },
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default()
            .with_name(asked.name.clone())
            .with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn list_groups(
    cluster: &Contents,
    id: i32,
    request: &ListGroupsRequest,
    version: i16,
) -> ListGroupsResponse {
    let ours = cluster.groups.iter().filter(|(_, it)| it.coordinator == id);
    let state = |it: &FakeGroup| if it.members == 0 { "Empty" } else { "Stable" };
    let wanted = |it: &FakeGroup| {
        let states = &request.states_filter;
        states.is_empty() || states.iter().any(|word| word.eq_ignore_ascii_case(state(it)))
    };
    let listed = ours.filter(|(_, it)| wanted(it)).map(|(name, it)| {
        let listed = ListedGroup::default()
            .with_group_id(group_id(name))
            .with_protocol_type(text("consumer"));
        let state = state(it);
        let listed = if version < 4 { listed } else { listed.with_group_state(text(state)) };
        if version < 5 { listed } else { listed.with_group_type(text(it.kind)) }
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

fn describe_groups(
    cluster: &Contents,
    request: DescribeGroupsRequest,
    version: i16,
) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|asked| {
        let found = cluster.groups.get(asked.as_str()).filter(|it| it.kind == "classic");
        let answer = DescribedGroup::default().with_group_id(asked);
        match found {
            None if 6 <= version => answer.with_error_code(GROUP_ID_NOT_FOUND),
            None => answer.with_group_state(text("Dead")),
            Some(it) => answer
                .with_group_state(text(if it.members == 0 { "Empty" } else { "Stable" }))
                .with_members(vec![DescribedGroupMember::default(); it.members]),
        }
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn describe_consumer_groups(
    cluster: &Contents,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|asked| {
        let found = cluster.groups.get(asked.as_str()).filter(|it| it.kind == "consumer");
        let answer = consumer_group_describe_response::DescribedGroup::default();
        let answer = answer.with_group_id(asked);
        match found {
            None => answer.with_error_code(GROUP_ID_NOT_FOUND),
            Some(it) => answer.with_group_state(text("Reconciling")).with_members(
                vec![consumer_group_describe_response::Member::default(); it.members],
            ),
        }
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn offset_fetch(
    cluster: &Contents,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    if version < 8 {
        assert!(request.topics.is_none());
        let found = &cluster.groups[request.group_id.as_str()];
        let topics = found.commits.iter().map(|(name, partition, offset)| {
            let partition = OffsetFetchResponsePartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset);
            OffsetFetchResponseTopic::default()
                .with_name(topic(name))
                .with_partitions(vec![partition])
        });
        return OffsetFetchResponse::default()
            .with_error_code(found.error)
            .with_topics(topics.collect());
    }
    let groups = request.groups.into_iter().map(|asked| {
        assert!(asked.topics.is_none());
        let found = &cluster.groups[asked.group_id.as_str()];
        let topics = found.commits.iter().map(|(name, partition, offset)| {
            let partition = OffsetFetchResponsePartitions::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset);
            OffsetFetchResponseTopics::default()
                .with_name(topic(name))
                .with_partitions(vec![partition])
        });
        let topics = if found.error == 0 { topics.collect() } else { Vec::new() };
        OffsetFetchResponseGroup::default()
            .with_group_id(asked.group_id)
            .with_error_code(found.error)
            .with_topics(topics)
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

fn describe_log_dirs(cluster: &Contents, version: i16) -> DescribeLogDirsResponse {
    let topics = cluster.topics.iter().map(|(name, partitions)| {
        let partition = |(index, it): (usize, &FakePartition)| {
            DescribeLogDirsPartition::default()
                .with_partition_index(i32::try_from(index).unwrap())
                .with_partition_size(it.last - it.first)
        };
        DescribeLogDirsTopic::default()
            .with_name(topic(name))
            .with_partitions(partitions.iter().enumerate().map(partition).collect())
    });
    let whole = DescribeLogDirsResult::default()
        .with_log_dir(text("/var/lib/kafka"))
        .with_topics(topics.collect());
    let whole =
        if version < 4 { whole } else { whole.with_total_bytes(1_000).with_usable_bytes(400) };
    let failed =
        DescribeLogDirsResult::default().with_log_dir(text("/mnt/failed")).with_error_code(56);
    DescribeLogDirsResponse::default().with_results(vec![whole, failed])
}

fn describe_configs(
    cluster: &Contents,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|asked| {
        let answer = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        if asked.resource_type == BROKER {
            assert!(request.include_synonyms);
            let keys = asked.configuration_keys.unwrap();
            let entries = keys.iter().filter_map(|it| cluster.configs.get_key_value(it.as_str()));
            return answer.with_configs(entries.map(config_entry).collect());
        }
        if !cluster.topics.contains_key(asked.resource_name.as_str()) {
            return answer.with_error_code(UNKNOWN_TOPIC);
        }
        let entry = DescribeConfigsResourceResult::default()
            .with_name(text("min.insync.replicas"))
            .with_value(Some(text("2")));
        answer.with_configs(vec![entry])
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn config_entry((key, places): (&&str, &FakeEntry)) -> DescribeConfigsResourceResult {
    let synonym = |(source, value): &(i8, &str)| {
        DescribeConfigsSynonym::default()
            .with_name(text(key))
            .with_source(*source)
            .with_value(Some(text(value)))
    };
    DescribeConfigsResourceResult::default()
        .with_name(text(key))
        .with_value(places.first().map(|it| text(it.1)))
        .with_config_source(places.first().map_or(0, |it| it.0))
        .with_synonyms(places.iter().map(synonym).collect())
}

fn reassignments(cluster: &Contents) -> ListPartitionReassignmentsResponse {
    let moving = cluster.moving.iter().map(|(name, partition)| {
        let partition = OngoingPartitionReassignment::default().with_partition_index(*partition);
        OngoingTopicReassignment::default().with_name(topic(name)).with_partitions(vec![partition])
    });
    ListPartitionReassignmentsResponse::default().with_topics(moving.collect())
}

fn quorum() -> DescribeQuorumResponse {
    let partition = PartitionData::default().with_leader_id(101.into()).with_leader_epoch(7);
    let topic = TopicData::default()
        .with_topic_name(topic("__cluster_metadata"))
        .with_partitions(vec![partition]);
    DescribeQuorumResponse::default().with_topics(vec![topic])
}

fn alter_configs(
    cluster: &Contents,
    request: &IncrementalAlterConfigsRequest,
    seen: &mut Seen,
) -> IncrementalAlterConfigsResponse {
    let [resource] = request.resources.as_slice() else { panic!("one resource at a time") };
    assert_eq!(resource.resource_type, BROKER);
    let changes = resource.configs.iter().map(|it| {
        let value = it.value.as_ref().map(ToString::to_string);
        (it.name.to_string(), it.config_operation, value)
    });
    let changes = changes.collect();
    seen.alter = Some(Alter { validate_only: request.validate_only, changes });
    let (code, message) = cluster.alter_refusal.unwrap_or((0, ""));
    let response = AlterConfigsResourceResponse::default()
        .with_resource_type(BROKER)
        .with_resource_name(resource.resource_name.clone())
        .with_error_code(code)
        .with_error_message(Some(text(message)));
    IncrementalAlterConfigsResponse::default().with_responses(vec![response])
}
