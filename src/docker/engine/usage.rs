//! What a container uses, read from its statistics and its limits.

use std::time::Duration;

use bollard::models::{
    ContainerBlkioStatEntry, ContainerMemoryStats, ContainerStatsResponse, HostConfig,
};

use super::Host;
use crate::model::{BrokerId, ContainerUsage};

pub(super) fn container_usage(
    broker: BrokerId,
    stats: &ContainerStatsResponse,
    limits: &HostConfig,
    host: Host,
) -> ContainerUsage {
    let cpu = stats.cpu_stats.as_ref();
    let used = cpu.and_then(|it| it.cpu_usage.as_ref()?.total_usage);
    let network = |bytes: fn(&bollard::models::ContainerNetworkStats) -> Option<u64>| {
        // `None` when one network is unknown. A container on the host's network has none.
        let networks = stats.networks.as_ref()?;
        networks.values().map(bytes).try_fold(0, |sum: u64, it| Some(sum.saturating_add(it?)))
    };

    ContainerUsage {
        broker,
        cpu_seconds: used.map(|it| Duration::from_nanos(it).as_secs_f64()),
        cpu_limit_cores: cpu_limit(limits).or(host.cores),
        throttled_periods: cpu.and_then(|it| it.throttling_data.as_ref()?.throttled_periods),
        memory_anonymous_bytes: stats.memory_stats.as_ref().and_then(anonymous),
        memory_working_set_bytes: stats.memory_stats.as_ref().and_then(working_set),
        block_read_bytes: block_bytes(stats, "read"),
        block_write_bytes: block_bytes(stats, "write"),
        memory_limit_bytes: positive(limits.memory).or(host.memory_bytes),
        network_receive_bytes: network(|it| it.rx_bytes),
        network_transmit_bytes: network(|it| it.tx_bytes),
    }
}

/// In cores. `--cpus` sets billionths of a core, `--cpu-quota` microseconds of each period.
fn cpu_limit(limits: &HostConfig) -> Option<f64> {
    const PERIOD_MICROS: u64 = 100_000;
    if let Some(billionths) = positive(limits.nano_cpus) {
        return Some(Duration::from_nanos(billionths).as_secs_f64());
    }

    let quota = Duration::from_micros(positive(limits.cpu_quota)?);
    let period = Duration::from_micros(positive(limits.cpu_period).unwrap_or(PERIOD_MICROS));
    Some(quota.as_secs_f64() / period.as_secs_f64())
}

/// 0 and -1 mean "no limit".
fn positive(raw: Option<i64>) -> Option<u64> {
    raw.and_then(|it| u64::try_from(it).ok()).filter(|it| *it > 0)
}

/// `anon` is cgroup v2, the others v1. The page cache is left out: the kernel can reclaim it.
fn anonymous(memory: &ContainerMemoryStats) -> Option<u64> {
    let stats = memory.stats.as_ref()?;
    ["anon", "total_rss", "rss"].iter().find_map(|it| stats.get(*it)).copied()
}

/// As the kubelet and cAdvisor compute it: usage without inactive file pages.
fn working_set(memory: &ContainerMemoryStats) -> Option<u64> {
    let stats = memory.stats.as_ref()?;
    let inactive = ["inactive_file", "total_inactive_file"];
    let inactive = inactive.iter().find_map(|it| stats.get(*it)).copied()?;
    Some(memory.usage?.saturating_sub(inactive))
}

/// Over all devices. No entry at all means that the kernel does not count.
fn block_bytes(stats: &ContainerStatsResponse, operation: &str) -> Option<u64> {
    let entries = stats.blkio_stats.as_ref()?.io_service_bytes_recursive.as_ref()?;
    let is_one = |it: &&ContainerBlkioStatEntry| {
        it.op.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(operation))
    };

    let mut entries = entries.iter().filter(is_one).peekable();
    entries.peek()?;
    entries.try_fold(0, |sum: u64, it| Some(sum.saturating_add(it.value?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Host = Host { cores: Some(2.0), memory_bytes: Some(8_000) };

    #[track_caller]
    fn read(stats: &str, limits: &str) -> ContainerUsage {
        let stats = serde_json::from_str(stats).unwrap();
        let limits = serde_json::from_str(limits).unwrap();
        container_usage(BrokerId::parse("3").unwrap(), &stats, &limits, HOST)
    }

    #[test]
    fn both_cgroup_versions_are_read() {
        let v1 = r#"{"cpu_stats":{"cpu_usage":{"total_usage":2500000000},
                "throttling_data":{"periods":9,"throttled_periods":4,"throttled_time":1}},
            "memory_stats":{"usage":900,"limit":1000,
                "stats":{"cache":500,"rss":1,"total_rss":400}},
            "networks":{"eth0":{"rx_bytes":1,"tx_bytes":2},"eth1":{"rx_bytes":10,"tx_bytes":20}}}"#;
        let used = read(v1, r#"{"NanoCpus":1500000000,"Memory":1000}"#);
        assert_eq!(used.cpu_seconds, Some(2.5));
        assert_eq!(used.cpu_limit_cores, Some(1.5));
        assert_eq!(used.throttled_periods, Some(4));
        assert_eq!(used.memory_anonymous_bytes, Some(400));
        assert_eq!(used.memory_limit_bytes, Some(1_000));
        assert_eq!((used.network_receive_bytes, used.network_transmit_bytes), (Some(11), Some(22)));
        assert_eq!((used.memory_working_set_bytes, used.block_read_bytes), (None, None));
        let v2 = r#"{"blkio_stats":{"io_service_bytes_recursive":[
                {"major":8,"minor":0,"op":"read","value":5},{"major":8,"minor":0,"op":"write","value":7},
                {"major":9,"minor":0,"op":"Read","value":6}]},
            "memory_stats":{"usage":900,"stats":{"inactive_file":200}}}"#;
        let used = read(v2, "{}");
        assert_eq!((used.block_read_bytes, used.block_write_bytes), (Some(11), Some(7)));
        assert_eq!(used.memory_working_set_bytes, Some(700));
        let v2 = r#"{"memory_stats":{"usage":900,"stats":{"anon":300,"file":500}}}"#;
        assert_eq!(read(v2, "{}").memory_anonymous_bytes, Some(300));
    }

    #[test]
    fn without_limits_the_hosts_count() {
        let used = read("{}", r#"{"NanoCpus":0,"Memory":0,"CpuQuota":-1,"CpuPeriod":0}"#);
        assert_eq!((used.cpu_limit_cores, used.memory_limit_bytes), (Some(2.0), Some(8_000)));
        let quota = read("{}", r#"{"CpuQuota":50000,"CpuPeriod":0}"#);
        assert_eq!(quota.cpu_limit_cores, Some(0.5));
    }

    #[test]
    fn what_the_engine_does_not_say_is_unknown() {
        let used = read(r#"{"networks":{"eth0":{"rx_bytes":1}}}"#, "{}");
        assert_eq!((used.cpu_seconds, used.throttled_periods), (None, None));
        assert_eq!(used.memory_anonymous_bytes, None);
        assert_eq!((used.network_receive_bytes, used.network_transmit_bytes), (Some(1), None));
        assert_eq!(read("{}", "{}").network_receive_bytes, None);
    }
}
