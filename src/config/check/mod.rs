//! Checks the parsed file and builds the [`Config`] from it.
//!
//! Reports every problem at once, so that an operator edits the file only once. An invalid value is
//! replaced by its default only to let the check continue; with any problem there is no [`Config`].
//! Pure, except that files named in the configuration are read through the caller's function.

pub(super) mod access;
mod costs;
mod http_client;
mod key_path;
mod objective;
mod optimizer;
mod playbook;
mod probe;
mod security;
mod selection;
mod windows;

use std::{collections::BTreeSet, time::Duration};

use access::RawAccess;
use key_path::KeyPath;

use super::{
    ClusterConfig, Config, DockerConfig, Loaded, Problem, PrometheusConfig, RemediationConfig,
    SecretReader,
    raw::{RawCluster, RawConfig, RawPrometheus, RawRemediation, Scalar},
};
use crate::{
    model::{ClosedList, ClusterName, Mode},
    playbook::{Optimizer, Playbook},
};

/// Name of the cluster if the file has only one and does not name it.
const CLUSTER_NAME_DEFAULT: &str = "main";
/// Two rounds per scrape at the usual scrape interval of 30 s.
pub(super) const COLLECT_INTERVAL_DEFAULT: Duration = Duration::from_secs(15);
/// More frequent rounds would burden the brokers.
const COLLECT_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Rules wait for minutes: with rounds further apart an alert would rest on one of them.
const COLLECT_INTERVAL_USUAL_MAX: Duration = Duration::from_mins(5);
/// A healthy broker answers in milliseconds, a saturated one in seconds or never.
pub(super) const REQUEST_TIMEOUT_DEFAULT_MAX: Duration = Duration::from_secs(5);
const DOCKER_SOCKET_DEFAULT: &str = "/var/run/docker.sock";
pub(super) const SCRAPE_INTERVAL_DEFAULT: Duration = Duration::from_secs(15);
pub(super) const QUERY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const STATE_DIR_DEFAULT: &str = "/var/lib/kafka-optimizer";
const RUNS_PER_HOUR_DEFAULT: u32 = 4;
const RUNS_PER_DAY_DEFAULT: u32 = 12;
/// Time for clients to reconnect whose network thread was removed (I38).
const SHRINK_PAUSE_DEFAULT: Duration = Duration::from_secs(30);
/// Upper bound of every duration in the file; keeps sums of durations from overflowing.
const DURATION_MAX: Duration = Duration::from_hours(24 * 30);
const NAME_BYTES_MAX: usize = 64;

/// Problems and warnings found so far.
struct CheckReport {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

pub(super) fn check(raw: RawConfig, tokens: SecretReader<'_>) -> Result<Loaded, Vec<Problem>> {
    let mut report = CheckReport { problems: Vec::new(), warnings: Vec::new() };
    let clusters = clusters(raw.clusters.unwrap_or_default(), tokens, &mut report);
    let written = raw.remediation.unwrap_or_default();
    let remediation = remediation(written, &clusters, tokens, &mut report);
    needs_prometheus(&clusters, &remediation, &mut report);
    needs_docker(&clusters, &remediation, &mut report);
    access::warn_unused(&remediation, &mut report);

    if report.problems.is_empty() {
        Ok(Loaded { config: Config { clusters, remediation }, warnings: report.warnings })
    } else {
        Err(report.problems)
    }
}

fn clusters(
    raw: Vec<RawCluster>,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> Vec<ClusterConfig> {
    if raw.is_empty() {
        report.problem(
            "clusters",
            "configure at least one, such as [{bootstrap_servers: [kafka-1:9092]}]",
        );
    }

    let several = raw.len() > 1;
    let mut names = BTreeSet::new();
    let mut clusters = Vec::with_capacity(raw.len());

    for (index, one) in raw.into_iter().enumerate() {
        let path = KeyPath::root("clusters").index(index);
        let has_name = one.name.is_some();

        if several && !has_name {
            report.problem(path.key("name"), "is required if there are several clusters");
        }

        let cluster = cluster(one, &path, tokens, report);
        if !names.insert(cluster.name.clone()) && has_name {
            let advice = format!("`{}` is already the name of another cluster", cluster.name);
            report.problem(path.key("name"), advice);
        }

        clusters.push(cluster);
    }

    clusters
}

fn cluster(
    raw: RawCluster,
    path: &KeyPath,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> ClusterConfig {
    let name = raw.name.unwrap_or_else(|| CLUSTER_NAME_DEFAULT.to_owned());
    report.name(&path.key("name"), &name);

    let servers = raw.bootstrap_servers.unwrap_or_default();
    let servers_path = path.key("bootstrap_servers");

    if servers.is_empty() {
        report.problem(&servers_path, "name at least one broker, as host:port");
    }

    for (index, server) in servers.iter().enumerate() {
        if !is_host_and_port(server) {
            let advice = server_advice(server);
            report.problem(servers_path.index(index), advice);
        }
    }

    let interval_path = path.key("collect_interval");
    let collect_interval =
        report.duration(&interval_path, raw.collect_interval.as_ref(), COLLECT_INTERVAL_DEFAULT);

    if collect_interval < COLLECT_INTERVAL_MIN {
        report.problem(interval_path, "must be at least 1s");
    } else if collect_interval > COLLECT_INTERVAL_USUAL_MAX {
        report.warning(interval_path, "values may be that old, and alerts fire that late");
    }

    let timeout_path = path.key("request_timeout");

    // Leaves time for a second request to the same broker in the same round.
    let timeout_default = REQUEST_TIMEOUT_DEFAULT_MAX.min(collect_interval.saturating_mul(2) / 3);
    let request_timeout =
        report.duration(&timeout_path, raw.request_timeout.as_ref(), timeout_default);

    if request_timeout.is_zero() || request_timeout >= collect_interval {
        let every = humantime::format_duration(collect_interval);
        report.problem(
            timeout_path,
            format!("must be more than 0 and less than collect_interval ({every})"),
        );
    }

    if raw.managed_by.as_ref().is_some_and(|it| it.trim().is_empty()) {
        report
            .problem(path.key("managed_by"), "name the operator, such as strimzi, or omit the key");
    }

    let security = raw
        .security
        .map(|it| security::security(it, &path.key("security"), tokens, report))
        .unwrap_or_default();
    let probe = raw.probe.map(|it| probe::probe(it, &path.key("probe"), report));
    if let (Some(_), Some(it)) = (&probe, security.unsupported_by_librdkafka()) {
        let (setting, reason) = (it.setting, it.reason);
        let advice = format!("not supported with security.{setting}: {reason}; omit one of them");
        report.problem(path.key("probe"), advice);
    }

    let (groups, group_states) = selection::groups(raw.groups, path, report);

    ClusterConfig {
        name: ClusterName::new(name),
        bootstrap_servers: servers,
        collect_interval,
        request_timeout,
        docker: raw.docker.map(|docker| DockerConfig {
            socket: docker.socket.unwrap_or_else(|| DOCKER_SOCKET_DEFAULT.into()),
        }),
        prometheus: raw
            .prometheus
            .map(|it| prometheus(it, &path.key("prometheus"), tokens, report)),
        probe,
        managed_by: raw.managed_by,
        topics: selection::topics(raw.topics, path, report),
        groups,
        group_states,
        export: selection::export(raw.export, path, report),
        capacity: costs::capacity(raw.capacity, &path.key("capacity"), report),
        prices: raw.prices.map(|it| costs::prices(it, &path.key("prices"), report)),
        security,
    }
}

fn prometheus(
    mut raw: RawPrometheus,
    path: &KeyPath,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> PrometheusConfig {
    let url = raw.url.take().unwrap_or_default();
    if let Some(advice) = url_problem(&url) {
        report.problem(path.key("url"), advice);
    }

    let scrape_path = path.key("scrape_interval");
    let scrape_interval =
        report.duration(&scrape_path, raw.scrape_interval.as_ref(), SCRAPE_INTERVAL_DEFAULT);

    if scrape_interval < Duration::from_secs(1) {
        report.problem(scrape_path, "must be at least 1s");
    }

    let timeout_path = path.key("timeout");
    let timeout = report.duration(&timeout_path, raw.timeout.as_ref(), QUERY_TIMEOUT_DEFAULT);

    if timeout.is_zero() {
        report.problem(timeout_path, "must be more than 0");
    }

    let http = http_client::options(raw, &url, path, tokens, report);
    let url = url.trim_end_matches('/').to_owned();

    PrometheusConfig { url, scrape_interval, timeout, http }
}

fn remediation(
    raw: RawRemediation,
    clusters: &[ClusterConfig],
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> RemediationConfig {
    let path = KeyPath::root("remediation");
    let mode = raw.mode.and_then(|written| report.choice(path.key("mode"), &written));
    let mode = mode.unwrap_or(Mode::Rehearse);

    let access = RawAccess {
        token_file: raw.token_file,
        tokens: raw.tokens.unwrap_or_default(),
        client_sans: raw.client_sans.unwrap_or_default(),
        clients: raw.clients.unwrap_or_default(),
    };
    let access = access::access(access, mode, tokens, report);

    let state_dir = raw.state_dir.unwrap_or_else(|| STATE_DIR_DEFAULT.into());
    if state_dir.as_os_str().is_empty() {
        report.problem(path.key("state_dir"), "must not be empty");
    } else if state_dir.to_string_lossy().contains("${") {
        let advice = "contains `${`: variables of the environment are not replaced; write the path";
        report.problem(path.key("state_dir"), advice);
    }

    // The minimum windows depend on the scrape interval: the longest of all Prometheus servers.
    let scrape = clusters
        .iter()
        .filter_map(|it| it.prometheus.as_ref().map(|it| it.scrape_interval))
        .max()
        .unwrap_or(SCRAPE_INTERVAL_DEFAULT);

    RemediationConfig {
        mode,
        access,
        state_dir,
        runs_per_hour_max: report.count(
            path.key("runs_per_hour_max"),
            raw.runs_per_hour_max,
            RUNS_PER_HOUR_DEFAULT,
        ),
        runs_per_day_max: report.count(
            path.key("runs_per_day_max"),
            raw.runs_per_day_max,
            RUNS_PER_DAY_DEFAULT,
        ),
        shrink_pause: report.duration(
            &path.key("shrink_pause"),
            raw.shrink_pause.as_ref(),
            SHRINK_PAUSE_DEFAULT,
        ),
        playbooks: playbook::playbooks(raw.playbooks.unwrap_or_default(), scrape, report),
    }
}

/// Alerts are confirmed and effects are measured in Prometheus (I34, I24).
fn needs_prometheus(
    clusters: &[ClusterConfig],
    remediation: &RemediationConfig,
    report: &mut CheckReport,
) {
    let why = if !remediation.playbooks.is_empty() {
        "playbooks"
    } else if remediation.mode == Mode::Act {
        "mode `act`"
    } else {
        return;
    };

    for (index, _) in clusters.iter().enumerate().filter(|it| it.1.prometheus.is_none()) {
        let advice = format!(
            "is required by {why}, to confirm alerts and measure effects; such as \
             {{url: http://prometheus:9090}}"
        );
        report.problem(KeyPath::root("clusters").index(index).key("prometheus"), advice);
    }
}

/// `scale_consumers` starts containers, so at least one cluster needs `docker`.
fn needs_docker(
    clusters: &[ClusterConfig],
    remediation: &RemediationConfig,
    report: &mut CheckReport,
) {
    let scales = |it: &Playbook| matches!(it.optimizer, Optimizer::ScaleConsumers(_));
    if !remediation.playbooks.iter().any(scales) {
        return;
    }

    if clusters.iter().all(|it| it.docker.is_none()) {
        let advice =
            "is required by scale_consumers, which starts containers; `docker: {}` is enough";
        report.problem("clusters[0].docker", advice);
    }
}

/// Says what is wrong with an entry that is not `host:port`.
fn server_advice(server: &str) -> String {
    let hint = if server.contains(',') {
        "; write one entry for each server: [kafka-1:9092, kafka-2:9092]"
    } else if server.contains("://") {
        "; leave out the scheme, and set `security` for TLS and SASL"
    } else if server.matches(':').count() > 1 && !server.starts_with('[') {
        "; put an IPv6 address into brackets: [::1]:9092"
    } else {
        ""
    };

    format!("`{server}` is not of the form host:port, such as kafka-1:9092{hint}")
}

/// Accepts `host:port` and `[v6]:port`. Does not resolve the name.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let plain = |host: &str| {
        !host.is_empty()
            && host.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._".contains(&it))
    };

    let v6 = |host: &str| {
        host.strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'))
            .is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok())
    };

    let digits = port.bytes().all(|it| it.is_ascii_digit());

    (plain(host) || v6(host)) && digits && port.parse::<u16>().is_ok_and(|it| it != 0)
}

fn url_problem(url: &str) -> Option<&'static str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Some("must be a base URL, such as http://prometheus:9090");
    };

    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() {
        return Some("has no host; must be a base URL, such as http://prometheus:9090");
    }

    if authority.contains('@') {
        return Some("must not contain credentials: use `basic_auth` with a password_file");
    }

    let clean = |it: char| it.is_ascii_graphic() && !"?#\"<>\\`{}".contains(it);

    (!rest.chars().all(clean)).then_some("must be a base URL only, without a query or spaces")
}

impl CheckReport {
    fn problem(&mut self, path: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), advice: advice.into() });
    }

    fn warning(&mut self, path: impl Into<String>, advice: impl Into<String>) {
        self.warnings.push(Problem { path: path.into(), advice: advice.into() });
    }

    /// Checks a name that is used as a metric label, in tables and as a command line argument.
    fn name(&mut self, path: &KeyPath, name: &str) {
        let legal = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
        let starts = name.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric());

        if !starts || name.len() > NAME_BYTES_MAX || !name.bytes().all(legal) {
            let advice = format!(
                "invalid name `{name}`: use up to {NAME_BYTES_MAX} letters, digits, `-`, `_` or `.`, starting with a letter or \
                 a digit"
            );
            self.problem(path, advice);
        }
    }

    fn duration(&mut self, path: &KeyPath, raw: Option<&Scalar>, default: Duration) -> Duration {
        let Some(Scalar(text)) = raw else { return default };
        if text.parse::<f64>().is_ok() {
            self.problem(path, format!("`{text}` has no unit; write {text}s, 5m or 1h30m"));
            return default;
        }

        match humantime::parse_duration(text) {
            Ok(duration) if duration <= DURATION_MAX => duration,
            Ok(_) => {
                self.problem(path, format!("`{text}` is longer than the maximum of 30 days"));
                default
            }
            Err(error) => {
                let advice =
                    format!("`{text}` is not a duration ({error}); write 15s, 5m or 1h30m");
                self.problem(path, advice);
                default
            }
        }
    }

    fn count(&mut self, path: impl Into<String>, raw: Option<u32>, default: u32) -> u32 {
        if raw == Some(0) {
            self.problem(path, "must be at least 1; to stop runs, use mode `observe` or `pause`");
        }
        raw.unwrap_or(default)
    }

    /// The variant with the label `written`. If there is none, reports a problem.
    fn choice<T: ClosedList>(&mut self, path: KeyPath, written: &str) -> Option<T> {
        self.choice_but(path, written, &[])
    }

    /// As [`CheckReport::choice`], except that labels in `planned` are reported as not supported in
    /// this version, so that nobody searches for a typo.
    fn choice_but<T: ClosedList>(
        &mut self,
        path: KeyPath,
        written: &str,
        planned: &[&str],
    ) -> Option<T> {
        let choice = T::from_label(written);
        if choice.is_none() {
            let what = if planned.contains(&written) {
                "is not supported in this version; use"
            } else {
                "is not"
            };

            self.problem(path, format!("`{written}` {what} one of {}", labels::<T>()));
        }

        choice
    }
}

/// All labels of a closed list, separated by commas.
fn labels<T: ClosedList>() -> String {
    let labels: Vec<&str> = T::ALL.iter().map(|it| it.label()).collect();
    labels.join(", ")
}
