//! The arguments of `kafka-optimizer load`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, value_parser};

#[derive(Clone, Debug, Subcommand)]
pub enum LoadCommand {
    /// Write records at a fixed rate and print the latency that clients see.
    Produce(ProduceArgs),
}

/// Write records at a fixed rate and print the latency that clients see.
///
/// Each producer is a client of its own with one record in flight: it sends a record, waits for the
/// acknowledgement, and sends the next one on schedule. It skips the records whose time passed
/// while it waited. So a slow broker lowers the rate, and the latency is what a waiting client
/// sees. The command waits until the topic exists.
#[derive(Args, Clone, Debug)]
pub struct ProduceArgs {
    /// Bootstrap server; may be repeated.
    #[arg(long = "kafka.server", value_name = "HOST:PORT", required = true)]
    pub kafka_server: Vec<String>,

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Acks {
    /// Do not wait for any replica.
    #[value(name = "0")]
    None,
    /// Wait for the leader only.
    #[value(name = "1")]
    Leader,
    /// Wait for all in-sync replicas.
    #[value(name = "all", alias = "-1")]
    All,
}

impl Acks {
    /// The value of the client setting `acks`.
    pub(super) const fn as_config(self) -> &'static str {
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
        let Cli { load: LoadCommand::Produce(args) } =
            Cli::try_parse_from(REQUIRED.iter().chain(more)).map_err(|it| it.to_string())?;
        Ok(args)
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
    fn zero_is_rejected() {
        for flag in ["--rate", "--producers", "--partitions", "--record-bytes"] {
            assert!(parsed(&[flag, "0"]).is_err(), "{flag}");
        }
    }
}
