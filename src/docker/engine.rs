//! A Docker engine over its local socket.
//!
//! Invariant: the socket is root on the host, so these calls are all there is: version, list,
//! inspect, stats, info.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use bollard::{
    API_DEFAULT_VERSION,
    models::{ContainerBlkioStatEntry, ContainerMemoryStats, ContainerStatsResponse, HostConfig},
    query_parameters::{ListContainersOptionsBuilder, StatsOptionsBuilder},
};
use futures_util::{StreamExt, future::join_all};
use tokio::sync::OnceCell;
use tracing::debug;

use super::{BROKER_LABEL, CLUSTER_LABEL, ContainerUse, Docker, DockerError, ROLE_LABEL};
use crate::{clock::SharedClock, model::BrokerId};

/// Set on the client too, so that a call given up does not live on for bollard's two minutes.
const CLIENT_SECONDS_MAX: u64 = 60;

/// One engine.
pub struct Engine {
    socket: String,
    /// Bounds the list, and then each container's answers.
    deadline: Duration,
    clock: SharedClock,
    /// Opened by the first call that succeeds: the engine may start after us.
    link: OnceCell<Link>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("socket", &self.socket).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Link {
    docker: bollard::Docker,
    host: Host,
}

/// What a container without limits may use.
#[derive(Clone, Copy, Debug)]
struct Host {
    cores: Option<f64>,
    memory_bytes: Option<u64>,
}

impl Engine {
    /// An engine behind the socket at this path. Connects to nothing yet. One-shot statistics take
    /// about a second: `deadline` must be longer.
    pub fn new(socket: impl Into<String>, deadline: Duration, clock: SharedClock) -> Self {
        Self { socket: socket.into(), deadline, clock, link: OnceCell::new() }
    }

    async fn link(&self) -> Result<&Link, DockerError> {
        self.link.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Link, DockerError> {
        let socket = &self.socket;
        let docker =
            bollard::Docker::connect_with_unix(socket, CLIENT_SECONDS_MAX, API_DEFAULT_VERSION)
                .map_err(|error| failed(&error))?;
        // An engine of 2020 refuses the version that bollard speaks by default.
        let docker = docker.negotiate_version().await.map_err(|error| failed(&error))?;
        let info = docker.info().await.map_err(|error| failed(&error))?;
        let host = Host {
            cores: info.ncpu.and_then(|it| u32::try_from(it).ok()).map(f64::from),
            memory_bytes: info.mem_total.and_then(|it| u64::try_from(it).ok()),
        };
        Ok(Link { docker, host })
    }

    async fn list(&self, cluster: &str) -> Result<Vec<(BrokerId, String)>, DockerError> {
        let labels = [format!("{ROLE_LABEL}=broker"), format!("{CLUSTER_LABEL}={cluster}")];
        let filters = HashMap::from([("label", labels.to_vec())]);
        let options = ListContainersOptionsBuilder::new().filters(&filters).build();
        let listed = self.link().await?.docker.list_containers(Some(options)).await;
        let mut brokers = Vec::new();
        for container in listed.map_err(|error| failed(&error))? {
            let labels = container.labels.unwrap_or_default();
            let broker = labels.get(BROKER_LABEL).and_then(|it| BrokerId::parse(it));
            if let Some(found) = broker.zip(container.id) {
                brokers.push(found);
            } else {
                debug!(names = ?container.names, "Container without a broker's id left out.");
            }
        }
        brokers.sort();
        brokers.dedup_by_key(|(broker, _)| *broker);
        Ok(brokers)
    }

    async fn one_use(&self, broker: BrokerId, id: &str) -> Result<ContainerUse, DockerError> {
        let Link { docker, host } = self.link().await?;
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut stream = std::pin::pin!(docker.stats(id, Some(options)));
        let (stats, inspected) = tokio::join!(stream.next(), docker.inspect_container(id, None));
        let stats = stats.ok_or_else(|| DockerError("no statistics".to_owned()))?;
        let stats = stats.map_err(|error| failed(&error))?;
        let limits = inspected.map_err(|error| failed(&error))?.host_config.unwrap_or_default();
        Ok(container_use(broker, &stats, &limits, *host))
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, DockerError> {
        tokio::select! {
            biased;
            done = call => done,
            () = self.clock.sleep(self.deadline) => {
                Err(DockerError(format!("no answer within {:?}", self.deadline)))
            }
        }
    }
}

#[async_trait]
impl Docker for Engine {
    async fn broker_use(&self, cluster: &str) -> Result<Vec<ContainerUse>, DockerError> {
        let brokers = self.within(self.list(cluster)).await?;
        let asked = brokers.iter().map(|(broker, id)| async move {
            let answer = self.within(self.one_use(*broker, id)).await;
            answer.inspect_err(|error| debug!(%broker, %error, "Container left out.")).ok()
        });
        Ok(join_all(asked).await.into_iter().flatten().collect())
    }
}

fn failed(error: &bollard::errors::Error) -> DockerError {
    DockerError(error.to_string())
}

fn container_use(
    broker: BrokerId,
    stats: &ContainerStatsResponse,
    limits: &HostConfig,
    host: Host,
) -> ContainerUse {
    let cpu = stats.cpu_stats.as_ref();
    let used = cpu.and_then(|it| it.cpu_usage.as_ref()?.total_usage);
    let network = |bytes: fn(&bollard::models::ContainerNetworkStats) -> Option<u64>| {
        // A sum with a hole in it is not a sum; a container on the host's network has none at all.
        let networks = stats.networks.as_ref()?;
        networks.values().map(bytes).try_fold(0, |sum: u64, it| Some(sum.saturating_add(it?)))
    };
    ContainerUse {
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
    /// What the kernel assumes.
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
    raw.and_then(|it| u64::try_from(it).ok()).filter(|it| 0 < *it)
}

/// `anon` is cgroup v2, the others v1. The page cache is not the broker's to keep.
fn anonymous(memory: &ContainerMemoryStats) -> Option<u64> {
    let stats = memory.stats.as_ref()?;
    ["anon", "total_rss", "rss"].iter().find_map(|it| stats.get(*it)).copied()
}

/// As the kubelet and cAdvisor have it: usage without inactive file pages.
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
    fn read(stats: &str, limits: &str) -> ContainerUse {
        let stats = serde_json::from_str(stats).unwrap();
        let limits = serde_json::from_str(limits).unwrap();
        container_use(BrokerId::parse("3").unwrap(), &stats, &limits, HOST)
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
