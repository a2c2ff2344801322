//! The arguments of `kafka-optimizer load`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, value_parser};
use serde::Serialize;

use super::plan::TOPIC_PREFIX;

#[derive(Clone, Debug, Subcommand)]
pub enum LoadCommand {
    Baseline(BaselineArgs),
    Stress(StressArgs),
    Produce(ProduceArgs),
}

/// The cluster that a load is put on.
#[derive(Args, Clone, Debug)]
pub struct LoadClusterArgs {
    /// Bootstrap server of a cluster without TLS and SASL; may be repeated.
    #[arg(
        long = "kafka.server",
        value_name = "HOST:PORT",
        required_unless_present = "config_file",
        conflicts_with = "config_file"
    )]
    pub kafka_server: Vec<String>,

    /// Configuration file of the program: servers, TLS and SASL of a cluster in it.
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,

    /// Name of the cluster in the configuration file, if it has several.
    #[arg(long, value_name = "NAME", requires = "config_file")]
    pub cluster: Option<String>,
}

/// Write records at a steady rate, read them back, and print throughput and latency percentiles.
///
/// The load is an open loop: each record has a time at which it is due, whatever the brokers do,
/// and its latency counts from then on. A broker that stands still for two seconds makes every
/// record late that was due in them. Every acknowledged record must be read back.
///
/// The load writes to a topic of its own, which it deletes at the end, also after Ctrl-C.
#[derive(Args, Clone, Debug)]
#[command(after_help = BASELINE_EXAMPLES)]
pub struct BaselineArgs {
    /// Number of records to write.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..))]
    pub records: u64,

    /// Size of a record's value in bytes.
    #[arg(long, default_value_t = 1_024, value_parser = value_parser!(u32).range(28..=1_000_000))]
    pub record_bytes: u32,

    /// Records per second, over all producers.
    #[arg(long, default_value_t = 50_000, value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub rate: u32,

    #[command(flatten)]
    pub common: OpenLoopArgs,
}

const BASELINE_EXAMPLES: &str = "\
Examples:
  kafka-optimizer load baseline --kafka.server kafka-1:9092 --scale 0.1
  kafka-optimizer load baseline --config.file config.yml --cluster main --output json

Exit codes:
  0  every record was acknowledged and read back
  1  a record failed or is missing, or the load ended early
  2  wrong arguments, or a limit is exceeded";

/// Write as fast as the cluster takes it, read all back, and print throughput and latencies.
///
/// Without --i-own-this-cluster the rate has a cap. Without a rate no record has a due time: its
/// latency counts from the moment at which it was ready, so it contains the wait for a place in the
/// buffer of the client. Topics are the load's own, and are deleted at the end, also after Ctrl-C.
#[derive(Args, Clone, Debug)]
#[command(after_help = STRESS_EXAMPLES)]
pub struct StressArgs {
    /// Number of topics to write to.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    pub topics: u32,

    /// Number of records for each topic.
    #[arg(long, default_value_t = 500_000, value_parser = value_parser!(u64).range(1..))]
    pub records: u64,

    /// Size of a record's value in bytes.
    #[arg(long, default_value_t = 2_048, value_parser = value_parser!(u32).range(28..=1_000_000))]
    pub record_bytes: u32,

    /// Records per second, over all topics [default: as fast as possible, up to the cap].
    #[arg(long, value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,

    #[command(flatten)]
    pub common: OpenLoopArgs,
}

const STRESS_EXAMPLES: &str = "\
Examples:
  kafka-optimizer load stress --kafka.server kafka-1:9092 --scale 0.1
  kafka-optimizer load stress --kafka.server kafka-1:9092 --i-own-this-cluster --compression lz4

Exit codes:
  0  every record was acknowledged and read back
  1  a record failed or is missing, or the load ended early
  2  wrong arguments, or a limit is exceeded";

/// What `baseline` and `stress` have in common.
#[derive(Args, Clone, Debug)]
pub struct OpenLoopArgs {
    #[command(flatten)]
    pub cluster: LoadClusterArgs,

    /// Multiplies the number of records and the rate, 0.001 to 100.
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = scale)]
    pub scale: LoadScale,

    /// Number of partitions of each topic.
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u32).range(1..=1_000))]
    pub partitions: u32,

    /// Replicas of each partition [default: 3, or the number of brokers if that is less].
    #[arg(long, value_parser = value_parser!(u32).range(1..=16))]
    pub replication_factor: Option<u32>,

    /// Which acknowledgements a producer waits for.
    #[arg(long, default_value = "all")]
    pub acks: Acks,

    /// Let brokers drop records that a producer sends twice. Costs librdkafka much CPU when a
    /// broker is the bottleneck.
    #[arg(long)]
    pub idempotent: bool,

    /// Codec that producers compress batches with.
    #[arg(long, default_value = "none")]
    pub compression: Compression,

    /// How long a producer waits for more records in a batch, in milliseconds.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(0..=10_000))]
    pub linger_ms: u32,

    /// Largest batch of a producer in bytes.
    #[arg(long, default_value_t = 131_072, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub batch_bytes: u32,

    /// Producers for each topic, each with its own connections.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=64))]
    pub producers: u32,

    /// Consumers for each topic, which share its partitions. 0: nothing is read back.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(0..=64))]
    pub consumers: u32,

    /// The load ends early after this time, at most 1h.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = deadline)]
    pub deadline: Duration,

    /// Client id of every client, which quotas can refer to.
    #[arg(long, default_value = "kafka-optimizer-load")]
    pub client_id: String,

    /// How the names of the topics begin; another one needs --i-own-this-cluster.
    #[arg(long, value_name = "PREFIX", default_value = TOPIC_PREFIX)]
    pub topic_prefix: String,

    /// Remove the caps for clusters that others use: 50 MiB/s, 100,000 records/s, 4 GiB, 100
    /// partitions.
    #[arg(long)]
    pub i_own_this_cluster: bool,

    /// Format in which the result is printed.
    #[arg(long = "output", value_enum, default_value_t = LoadOutput::Table)]
    pub output: LoadOutput,
}

/// The factor of `--scale`, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadScale(u64);

impl LoadScale {
    pub(super) fn of(self, number: u64) -> u64 {
        let scaled = u128::from(number) * u128::from(self.0) / 1_000;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

/// Parses a factor such as `0.1`.
fn scale(text: &str) -> Result<LoadScale, String> {
    let factor: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if !(0.001..=100.0).contains(&factor) {
        return Err("must be 0.001 to 100".to_owned());
    }

    let thousandths = Duration::from_secs_f64(factor).as_millis();
    u64::try_from(thousandths).map(LoadScale).map_err(|it| it.to_string())
}

/// Parses a duration of at most an hour: the load's topics keep their records twice as long.
fn deadline(text: &str) -> Result<Duration, String> {
    match positive(text)? {
        it if it > Duration::from_hours(1) => Err("must be at most 1h".to_owned()),
        it => Ok(it),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// The value of the client setting `compression.type`.
    pub const fn as_config(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoadOutput {
    /// Tables and sentences for people.
    Table,
    /// One JSON object with all numbers.
    Json,
}

/// Write records at a fixed rate and print the latency that clients see.
///
/// Each producer is a client of its own with one record in flight: it sends a record, waits for the
/// acknowledgement, and sends the next one on schedule. It skips the records whose time passed
/// while it waited. So a slow broker lowers the rate, and the latency is what a waiting client
/// sees. The command waits until the topic exists.
#[derive(Args, Clone, Debug)]
pub struct ProduceArgs {
    #[command(flatten)]
    pub cluster: LoadClusterArgs,

    /// Topic to write to. It is not created.
    #[arg(long)]
    pub topic: String,

    /// Number of partitions to write to, starting with partition 0 [default: all].
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    pub partitions: Option<u16>,

    /// Number of producers, each with its own connections.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    pub producers: u16,

    /// Records per second, over all producers.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,

    /// Size of a record's value in bytes.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub record_bytes: u32,

    /// Which acknowledgements a producer waits for.
    #[arg(long, default_value = "1")]
    pub acks: Acks,

    /// Let producer i write to partition i modulo the number of partitions only. By default each
    /// producer writes to all partitions in turn.
    #[arg(long)]
    pub pinned: bool,

    /// How long the load runs.
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = positive)]
    pub duration: Duration,

    /// Client id of every producer, which quotas can refer to.
    #[arg(long, default_value = "kafka-optimizer-load")]
    pub client_id: String,

    /// Time between two reports.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = positive)]
    pub report_every: Duration,

    /// Format of the printed reports.
    #[arg(long = "output", value_enum, default_value_t = ReportFormat::Text)]
    pub output: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub enum Acks {
    /// Do not wait for any replica.
    #[value(name = "0")]
    #[serde(rename = "0")]
    None,
    /// Wait for the leader only.
    #[value(name = "1")]
    #[serde(rename = "1")]
    Leader,
    /// Wait for all in-sync replicas.
    #[value(name = "all", alias = "-1")]
    #[serde(rename = "all")]
    All,
}

impl Acks {
    /// The value of the client setting `acks`.
    pub const fn as_config(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Leader => "1",
            Self::All => "all",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Aligned columns, for people.
    Text,
    /// One JSON object per line: `{"report": …}` while running, `{"summary": …}` at the end.
    Json,
}

/// Parses a duration such as `90s` or `10m`. Zero is an error.
fn positive(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be greater than 0".to_owned()),
        Ok(duration) => Ok(duration),
        Err(problem) => Err(problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        load: LoadCommand,
    }

    const REQUIRED: [&str; 6] =
        ["load", "produce", "--kafka.server", "127.0.0.1:9092", "--topic", "orders"];

    fn parsed(more: &[&str]) -> Result<ProduceArgs, String> {
        let cli = Cli::try_parse_from(REQUIRED.iter().chain(more));
        match cli.map_err(|it| it.to_string())?.load {
            LoadCommand::Produce(args) => Ok(args),
            LoadCommand::Baseline(_) | LoadCommand::Stress(_) => Err("another load".to_owned()),
        }
    }

    #[test]
    fn only_a_server_and_a_topic_are_required() {
        let args = parsed(&[]).unwrap();
        assert_eq!((args.producers, args.rate, args.acks), (1, 100, Acks::Leader));
        assert_eq!((args.duration, args.output), (Duration::from_mins(1), ReportFormat::Text));
    }

    #[test]
    fn durations_have_a_unit_and_are_not_zero() {
        assert_eq!(parsed(&["--for", "10m"]).unwrap().duration, Duration::from_mins(10));
        assert!(parsed(&["--for", "0s"]).unwrap_err().contains("greater than 0"));
        assert!(parsed(&["--report-every", "soon"]).is_err());
    }

    #[test]
    fn a_cluster_comes_from_servers_or_from_a_file() {
        let of = |words: &str| {
            let cli = Cli::try_parse_from(format!("load stress {words}").split(' '));
            cli.map(|it| it.load).map_err(|it| it.to_string())
        };

        assert!(of("--kafka.server a:1 --kafka.server b:1").is_ok());
        assert!(of("--config.file config.yml --cluster main").is_ok());
        for wrong in ["--scale 1", "--kafka.server a:1 --config.file c.yml", "--cluster main"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_scale_is_a_factor_in_its_range() {
        assert_eq!(scale("0.1").unwrap().of(50_000), 5_000);
        assert_eq!(scale("2.5").unwrap().of(10), 25);
        assert_eq!(scale("0.003").unwrap().of(1_000), 3);
        for wrong in ["0", "-1", "101", "NaN", "fast"] {
            assert!(scale(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn zero_is_rejected() {
        for flag in ["--rate", "--producers", "--partitions", "--record-bytes"] {
            assert!(parsed(&[flag, "0"]).is_err(), "{flag}");
        }
    }
}
