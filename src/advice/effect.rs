//! A piece of advice: what to set, what that would change, and how that was estimated.

use crate::{analysis::Subject, model::closed_list};

closed_list! {
    /// The rules by which advice is given.
    pub enum AdviceRule {
        Batching = "batching",
        Compression = "compression",
        BufferMemory = "buffer_memory",
        FetchSize = "fetch_size",
        PollSize = "poll_size",
    }
}

/// Where an estimate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    /// A sentence for people, without a full stop.
    pub title: &'static str,
    /// How the estimate is computed.
    pub formula: &'static str,
    /// What the formula rests on: Kafka's documentation, or a KIP.
    pub source: &'static str,
    /// What it takes for granted, and what it costs.
    pub assumes: &'static str,
}

impl AdviceRule {
    pub const fn spec(self) -> RuleSpec {
        match self {
            Self::Batching => RuleSpec {
                title: "Let batches fill",
                formula: "records per batch = min(1 + records/s of a producer x linger.ms, \
                          batch.size / bytes per record); batches/s = records/s / records per batch",
                source: "Kafka documentation of linger.ms and batch.size; KIP-480 and KIP-794 for \
                         the partitions that one producer fills at a time; 61 bytes are the header \
                         of a batch (magic 2)",
                assumes: "a send may wait linger.ms longer. Without a key a producer fills one \
                          partition at a time, with keys all of them: the range has both. Produce \
                          requests fall with the batches",
            },
            Self::Compression => RuleSpec {
                title: "Compress batches",
                formula: "bytes after = bytes x (61 + compressed records) / (61 + records), \
                          measured by compressing the sampled batches one by one with LZ4",
                source: "Kafka documentation of compression.type; producers compress batch by batch",
                assumes: "records to come compress like those sampled. It costs CPU in producers \
                          and consumers, and none in brokers whose topics have compression.type \
                          producer, the default. zstd is usually smaller and slower; it was not \
                          measured. Larger batches compress better: the lower end of the range",
            },
            Self::BufferMemory => RuleSpec {
                title: "Buffer what a failover takes",
                formula: "seconds until send() blocks = buffer.memory / bytes/s of a producer",
                source: "Kafka documentation of buffer.memory, and of broker.session.timeout.ms \
                         (9 s), after which another broker leads the partitions of one that died",
                assumes: "a producer writes the sampled topic only, evenly, and has the default \
                          buffer.memory of 32 MiB; with less memory send() blocks up to \
                          max.block.ms, and then fails",
            },
            Self::FetchSize => RuleSpec {
                title: "Let the broker wait for more before it answers a fetch",
                formula: "fetches/s = fetchers x clamp(bytes/s of a fetcher / fetch.min.bytes, \
                          1 / fetch.max.wait.ms, fetches/s now / fetchers); a fetcher is a member \
                          of a group at one of the brokers that it reads from",
                source: "Kafka documentation of fetch.min.bytes and fetch.max.wait.ms (500 ms)",
                assumes: "the members are those of the groups, and all set it. Records wait up to \
                          the shown time longer; a group without traffic is not slowed beyond \
                          fetch.max.wait.ms",
            },
            Self::PollSize => RuleSpec {
                title: "Let a poll take less time",
                formula: "seconds per poll = max.poll.records / records/s of a member",
                source: "KIP-62: a member that does not poll for max.poll.interval.ms (300 s) is \
                         removed from its group",
                assumes: "the member has a backlog, so that each poll is full, and the default \
                          max.poll.records of 500",
            },
        }
    }
}

closed_list! {
    /// Settings of producers and consumers.
    pub enum ClientSetting {
        BatchSize = "batch.size",
        LingerMs = "linger.ms",
        CompressionType = "compression.type",
        BufferMemory = "buffer.memory",
        FetchMinBytes = "fetch.min.bytes",
        MaxPollRecords = "max.poll.records",
    }
}

/// A setting with the value that is advised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingValue {
    pub setting: ClientSetting,
    pub value: String,
}

impl SettingValue {
    pub(super) const fn new(setting: ClientSetting, value: String) -> Self {
        Self { setting, value }
    }
}

closed_list! {
    /// What a setting changes, with its unit.
    pub enum EffectKind {
        BatchesPerSecond = "batches_per_second",
        BytesPerSecond = "bytes_per_second",
        BytesPerRecord = "bytes_per_record",
        FetchesPerSecond = "fetches_per_second",
        SecondsBuffered = "seconds_buffered",
        SecondsPerPoll = "seconds_per_poll",
    }
}

/// One number before and after. The estimate lies within its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdviceEffect {
    pub kind: EffectKind,
    pub now: f64,
    pub after: f64,
    pub low: f64,
    pub high: f64,
}

impl AdviceEffect {
    /// With the range put in order, and the estimate in it.
    pub(super) fn new(kind: EffectKind, now: f64, after: f64, range: [f64; 2]) -> Self {
        let [one, other] = range;
        let (low, high) = (one.min(other).min(after), one.max(other).max(after));

        Self { kind, now, after, low, high }
    }
}

/// What to set for one topic or group, and what that would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    pub rule: AdviceRule,
    pub subject: Subject,
    pub settings: Vec<SettingValue>,
    pub effects: Vec<AdviceEffect>,
    /// The measured numbers that it rests on, as text for people.
    pub measured: String,
}
