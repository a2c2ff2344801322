//! The arguments of `kafka-optimizer load`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, value_parser};

/// Loads that can be put on a cluster.
#[derive(Clone, Debug, Subcommand)]
pub enum LoadCommand {
    /// Write records at a fixed rate and print what clients see.
    Produce(ProduceArgs),
}

/// Write records at a fixed rate and print what clients see.
///
/// Each producer is a client of its own, sends one record, waits for its acknowledgement, and sends
/// the next when its turn comes; a turn that passed while it waited is left out. So a slow broker
/// lowers the rate, and the times are those that a waiting client sees. The topic must exist: until
/// it does, the command waits.
#[derive(Args, Clone, Debug)]
pub struct ProduceArgs {
    /// A broker to start from; may be given more than once.
    #[arg(long = "kafka.server", value_name = "HOST:PORT", required = true)]
    pub kafka_server: Vec<String>,

    /// The topic to write to.
    #[arg(long)]
    pub topic: String,

    /// Partitions to write to, counted from 0; all of the topic's when left out.
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    pub partitions: Option<u16>,

    /// Producers, each with connections of its own.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    pub producers: u16,

    /// Records per second, all producers together.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,

    /// Bytes of a record's value.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub record_bytes: u32,

    /// Which replicas must have a record before it counts as written.
    #[arg(long, default_value = "1")]
    pub acks: Acks,

    /// Keep producer i on partition i modulo the partitions; without it each goes round them all.
    #[arg(long)]
    pub pinned: bool,

    /// How long to write.
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = positive)]
    pub duration: Duration,

    /// The client id of every producer: what a quota names.
    #[arg(long, default_value = "kafka-optimizer-load")]
    pub client_id: String,

    /// How often to print a line.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = positive)]
    pub report_every: Duration,

    /// What to print.
    #[arg(long = "output", value_enum, default_value_t = ReportFormat::Text)]
    pub output: ReportFormat,
}

/// Which replicas must have a record before it counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Acks {
    /// None: the leader does not answer.
    #[value(name = "0")]
    None,
    /// The leader.
    #[value(name = "1")]
    Leader,
    /// All in-sync replicas.
    #[value(name = "all", alias = "-1")]
    All,
}

impl Acks {
    /// As a client's configuration spells it.
    pub(super) const fn as_config(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Leader => "1",
            Self::All => "all",
        }
    }
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Aligned columns, for people.
    Text,
    /// One JSON object a line: `{"report": …}` while it runs, `{"summary": …}` at its end.
    Json,
}

/// A duration as people write it (`90s`, `10m`), which must not be nothing.
fn positive(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than nothing".to_owned()),
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

    const LEAST: [&str; 6] =
        ["load", "produce", "--kafka.server", "127.0.0.1:9092", "--topic", "orders"];

    fn parsed(more: &[&str]) -> Result<ProduceArgs, String> {
        let Cli { load: LoadCommand::Produce(args) } =
            Cli::try_parse_from(LEAST.iter().chain(more)).map_err(|it| it.to_string())?;
        Ok(args)
    }

    #[test]
    fn a_server_and_a_topic_are_enough() {
        let args = parsed(&[]).unwrap();
        assert_eq!((args.producers, args.rate, args.acks), (1, 100, Acks::Leader));
        assert_eq!((args.duration, args.output), (Duration::from_mins(1), ReportFormat::Text));
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        assert_eq!(parsed(&["--for", "10m"]).unwrap().duration, Duration::from_mins(10));
        assert!(parsed(&["--for", "0s"]).unwrap_err().contains("longer than nothing"));
        assert!(parsed(&["--report-every", "soon"]).is_err());
    }

    #[test]
    fn numbers_that_mean_nothing_are_refused() {
        for flag in ["--rate", "--producers", "--partitions", "--record-bytes"] {
            assert!(parsed(&[flag, "0"]).is_err(), "{flag}");
        }
    }
}
