//! The standard `process_*` metrics, read from `/proc/self` during a scrape. A value that cannot be
//! read has no sample.

use std::{fmt, fs};

use procfs::process::{LimitValue, Process};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::counter::ConstCounter,
};

use super::{
    own,
    view::{count, gauges},
};

#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = ProcessReading::read();

        if let Some(seconds) = stats.cpu_seconds {
            let counter = ConstCounter::new(seconds);
            let name = own::PROCESS_CPU.name.trim_end_matches("_total");
            let help = own::PROCESS_CPU.help;
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }

        let values = [
            (&own::PROCESS_RSS, stats.resident_bytes),
            (&own::PROCESS_FDS, stats.open_fds),
            (&own::PROCESS_FDS_MAX, stats.max_fds),
            (&own::PROCESS_START, stats.start_seconds),
        ];
        for (spec, value) in values {
            gauges(&mut encoder, spec, value.map(|it| (Vec::new(), it)))?;
        }

        Ok(())
    }
}

#[derive(Debug, Default)]
struct ProcessReading {
    /// User and system time of all threads.
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    open_fds: Option<f64>,
    /// `None` if unlimited.
    max_fds: Option<f64>,
    /// Since 1970.
    start_seconds: Option<f64>,
}

impl ProcessReading {
    fn read() -> Self {
        // Counted before procfs opens `/proc/self`.
        let open_fds = open_fds();
        let Ok(process) = Process::myself() else { return Self { open_fds, ..Self::default() } };

        let stat = process.stat().ok();
        let seconds = |ticks: u64| count(ticks) / count(procfs::ticks_per_second());
        let started = stat.as_ref().map(|it| seconds(it.starttime));
        let booted = procfs::boot_time_secs().ok().map(count);
        let limits = process.limits().ok();

        Self {
            cpu_seconds: stat.as_ref().map(|it| seconds(it.utime.saturating_add(it.stime))),
            resident_bytes: process.status().ok().and_then(|it| Some(count(it.vmrss?) * 1024.0)),
            open_fds,
            max_fds: limits.and_then(|it| match it.max_open_files.soft_limit {
                LimitValue::Value(max) => Some(count(max)),
                LimitValue::Unlimited => None,
            }),
            start_seconds: booted.zip(started).map(|(booted, started)| booted + started),
        }
    }
}

/// Not with procfs: its count includes `.` and `..` on kernels before 6.2.
fn open_fds() -> Option<f64> {
    // The directory that is being read is open too, but not counted.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().checked_sub(1)?;
    u32::try_from(open).ok().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_of_this_process_are_read() {
        let stats = ProcessReading::read();

        assert!(stats.cpu_seconds.unwrap() >= 0.0);
        assert!(stats.resident_bytes.unwrap() > 1_000_000.0);
        assert!(stats.open_fds.unwrap() >= 3.0);
        assert!(stats.start_seconds.unwrap() > 1_700_000_000.0);
    }
}
