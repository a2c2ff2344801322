//! `process_*`, read from `/proc/self` at the scrape. What cannot be read has no sample.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::counter::ConstCounter,
};

use super::{own, view::gauges};

/// Kernel clock ticks a second, as `/proc` counts them: 100 on every architecture Linux runs on
/// today.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stat = Stat::read();
        if let Some(stat) = &stat {
            let counter = ConstCounter::new(stat.cpu_seconds);
            let name = own::PROCESS_CPU.name.trim_end_matches("_total");
            let help = own::PROCESS_CPU.help;
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        let started = stat.and_then(|it| Some(boot_seconds()? + it.started_after_boot_seconds));
        let singles = [
            (&own::PROCESS_RSS, resident_bytes()),
            (&own::PROCESS_FDS, open_fds()),
            (&own::PROCESS_FDS_MAX, max_fds()),
            (&own::PROCESS_START, started),
        ];
        for (spec, value) in singles {
            gauges(&mut encoder, spec, value.map(|it| (Vec::new(), it)))?;
        }
        Ok(())
    }
}

struct Stat {
    cpu_seconds: f64,
    started_after_boot_seconds: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The second field is the name in brackets and may hold spaces and brackets: fields are
    /// counted after the last one. There `state` is the first, `utime` the 12th, `starttime` the
    /// 20th.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
            started_after_boot_seconds: ticks(19)? / TICKS_PER_SECOND,
        })
    }
}

fn boot_seconds() -> Option<f64> {
    number_after(&fs::read_to_string("/proc/stat").ok()?, "btime")
}

fn resident_bytes() -> Option<f64> {
    let kibibytes = number_after(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")?;
    Some(kibibytes * 1024.0)
}

fn max_fds() -> Option<f64> {
    number_after(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files")
}

fn open_fds() -> Option<f64> {
    // The directory being read is open itself, and does not count.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().checked_sub(1)?;
    u32::try_from(open).ok().map(f64::from)
}

/// The first number on the line that begins with `key`.
fn number_after(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_spaces_and_brackets_moves_no_field() {
        let text = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 1234 1 1";
        let stat = Stat::parse(text).unwrap();
        assert!((stat.cpu_seconds - 2.0).abs() < 1e-9);
        assert!((stat.started_after_boot_seconds - 12.34).abs() < 1e-9);
    }
}
