//! From the file as written to the file as meant.
//!
//! Reports every problem at once: an operator should edit the file once, not five times. A value
//! that is wrong is replaced by its default only so that the check can go on; with one problem
//! there is no [`Config`]. Pure but for the files that the file names, which are read through the
//! caller's function.

mod key_path;
mod optimizer;
mod playbook;
mod probe;
mod security;
mod selection;

use std::{collections::BTreeSet, path::Path, time::Duration};

use super::{
    ClusterConfig, Config, DockerConfig, Loaded, Problem, PrometheusConfig, RemediationConfig,
    Secret, SecretReader,
    raw::{RawCluster, RawConfig, RawPrometheus, RawRemediation, Scalar},
};
use crate::{
    model::{ClusterName, Mode},
    playbook::{Optimizer, Playbook},
};

/// The only cluster of a file need not be named.
const CLUSTER_NAME_DEFAULT: &str = "main";
/// Two rounds fit between two scrapes at Prometheus' usual 30 s.
pub(super) const COLLECT_INTERVAL_DEFAULT: Duration = Duration::from_secs(15);
/// Below it the rounds would be the brokers' main load.
const COLLECT_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// A healthy broker answers in milliseconds; a saturated one in seconds, or never.
pub(super) const REQUEST_TIMEOUT_DEFAULT_MAX: Duration = Duration::from_secs(5);
const DOCKER_SOCKET_DEFAULT: &str = "/var/run/docker.sock";
const SCRAPE_INTERVAL_DEFAULT: Duration = Duration::from_secs(15);
const QUERY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const STATE_DIR_DEFAULT: &str = "/var/lib/kafka-optimizer";
const RUNS_PER_HOUR_DEFAULT: u32 = 4;
const RUNS_PER_DAY_DEFAULT: u32 = 12;
/// Clients of a removed network thread's connections reconnect meanwhile (I38).
const SHRINK_PAUSE_DEFAULT: Duration = Duration::from_secs(30);
/// Nothing that is configured here is meant to take longer; keeps sums of times meaningful.
const DURATION_MAX: Duration = Duration::from_hours(24 * 30);
/// 128 bits as hexadecimal are twice as long; shorter than this is a word that can be guessed.
const TOKEN_BYTES_MIN: usize = 16;
const NAME_BYTES_MAX: usize = 64;

/// What has been found so far.
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
        report.problem("clusters", "name at least one, as [{bootstrap_servers: [kafka-1:9092]}]");
    }
    let several = 1 < raw.len();
    let mut names = BTreeSet::new();
    let mut clusters = Vec::with_capacity(raw.len());
    for (index, one) in raw.into_iter().enumerate() {
        let at = format!("clusters[{index}]");
        if several && one.name.is_none() {
            report.problem(format!("{at}.name"), "each of several clusters needs a name");
        }
        let cluster = cluster(one, &at, tokens, report);
        if !names.insert(cluster.name.clone()) {
            let advice = format!("`{}` is the name of an earlier cluster", cluster.name);
            report.problem(format!("{at}.name"), advice);
        }
        clusters.push(cluster);
    }
    clusters
}

fn cluster(
    raw: RawCluster,
    at: &str,
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> ClusterConfig {
    let name = raw.name.unwrap_or_else(|| CLUSTER_NAME_DEFAULT.to_owned());
    report.name(&format!("{at}.name"), &name);

    let servers = raw.bootstrap_servers.unwrap_or_default();
    let servers_at = format!("{at}.bootstrap_servers");
    if servers.is_empty() {
        report.problem(&servers_at, "name at least one broker as host:port");
    }
    for (index, server) in servers.iter().enumerate() {
        if !is_host_and_port(server) {
            let advice = format!("`{server}` is not host:port, as kafka-1:9092");
            report.problem(format!("{servers_at}[{index}]"), advice);
        }
    }

    let every_at = format!("{at}.collect_interval");
    let collect_interval =
        report.duration(&every_at, raw.collect_interval.as_ref(), COLLECT_INTERVAL_DEFAULT);
    if collect_interval < COLLECT_INTERVAL_MIN {
        report.problem(every_at, "must be at least 1s");
    }
    let timeout_at = format!("{at}.request_timeout");
    // The rest of the interval is for a second request to the same broker in one round.
    let timeout_default = REQUEST_TIMEOUT_DEFAULT_MAX.min(collect_interval.saturating_mul(2) / 3);
    let request_timeout =
        report.duration(&timeout_at, raw.request_timeout.as_ref(), timeout_default);
    if request_timeout.is_zero() || collect_interval <= request_timeout {
        let every = humantime::format_duration(collect_interval);
        report.problem(
            timeout_at,
            format!("must be more than 0 and less than collect_interval ({every})"),
        );
    }
    if raw.managed_by.as_ref().is_some_and(|it| it.trim().is_empty()) {
        report
            .problem(format!("{at}.managed_by"), "name the operator, as strimzi, or leave it out");
    }
    // This build of librdkafka has neither TLS nor SASL.
    if raw.probe.is_some() && raw.security.is_some() {
        let advice = "the probe speaks plain text only in this version: leave it out of a cluster that has `security`";
        report.problem(format!("{at}.probe"), advice);
    }
    let (groups, group_states) = selection::groups(raw.groups, at, report);
    ClusterConfig {
        name: ClusterName::new(name),
        bootstrap_servers: servers,
        collect_interval,
        request_timeout,
        docker: raw.docker.map(|docker| DockerConfig {
            socket: docker.socket.unwrap_or_else(|| DOCKER_SOCKET_DEFAULT.into()),
        }),
        prometheus: raw.prometheus.map(|it| prometheus(it, &format!("{at}.prometheus"), report)),
        probe: raw.probe.map(|it| probe::probe(it, &format!("{at}.probe"), report)),
        managed_by: raw.managed_by,
        topics: selection::topics(raw.topics, at, report),
        groups,
        group_states,
        export: selection::export(raw.export, at, report),
        security: raw
            .security
            .map(|it| security::security(it, &format!("{at}.security"), tokens, report))
            .unwrap_or_default(),
    }
}

fn prometheus(raw: RawPrometheus, at: &str, report: &mut CheckReport) -> PrometheusConfig {
    let url = raw.url.unwrap_or_default();
    if let Some(advice) = fault_of_url(&url) {
        report.problem(format!("{at}.url"), advice);
    }
    let scrape_at = format!("{at}.scrape_interval");
    let scrape_interval =
        report.duration(&scrape_at, raw.scrape_interval.as_ref(), SCRAPE_INTERVAL_DEFAULT);
    if scrape_interval < Duration::from_secs(1) {
        report.problem(scrape_at, "must be at least 1s");
    }
    let timeout_at = format!("{at}.timeout");
    let timeout = report.duration(&timeout_at, raw.timeout.as_ref(), QUERY_TIMEOUT_DEFAULT);
    if timeout.is_zero() {
        report.problem(timeout_at, "must be more than 0");
    }
    let url = url.trim_end_matches('/').to_owned();
    PrometheusConfig { url, scrape_interval, timeout }
}

fn remediation(
    raw: RawRemediation,
    clusters: &[ClusterConfig],
    tokens: SecretReader<'_>,
    report: &mut CheckReport,
) -> RemediationConfig {
    let at = "remediation";
    let mode = raw.mode.map_or(Mode::Rehearse, |written| {
        Mode::from_label(&written).unwrap_or_else(|| {
            let modes = Mode::ALL.iter().map(|it| it.label());
            report.no_choice("remediation.mode", &written, modes);
            Mode::Rehearse
        })
    });
    let token = raw.token_file.and_then(|path| token(&path, tokens, report));
    let client_sans = raw.client_sans.unwrap_or_default();
    if client_sans.iter().any(String::is_empty) {
        report.problem("remediation.client_sans", "an empty name is nobody's");
    }
    // I9, I1: acting without knowing who speaks is refused at start, on loopback too.
    let anyone = token.is_none() && client_sans.is_empty();
    if mode == Mode::Act && anyone && !report.has("remediation.token_file") {
        report.problem(
            "remediation.token_file",
            "mode `act` needs a token: name a file that holds at least 16 bytes",
        );
    }
    let state_dir = raw.state_dir.unwrap_or_else(|| STATE_DIR_DEFAULT.into());
    if state_dir.as_os_str().is_empty() {
        report.problem("remediation.state_dir", "name a directory");
    }
    // Windows are measured in scrapes; with several Prometheus servers the slowest counts.
    let scrape = clusters
        .iter()
        .filter_map(|it| it.prometheus.as_ref().map(|it| it.scrape_interval))
        .max()
        .unwrap_or(SCRAPE_INTERVAL_DEFAULT);
    RemediationConfig {
        mode,
        token,
        client_sans,
        state_dir,
        runs_per_hour_max: report.count(
            format!("{at}.runs_per_hour_max"),
            raw.runs_per_hour_max,
            RUNS_PER_HOUR_DEFAULT,
        ),
        runs_per_day_max: report.count(
            format!("{at}.runs_per_day_max"),
            raw.runs_per_day_max,
            RUNS_PER_DAY_DEFAULT,
        ),
        shrink_pause: report.duration(
            "remediation.shrink_pause",
            raw.shrink_pause.as_ref(),
            SHRINK_PAUSE_DEFAULT,
        ),
        playbooks: playbook::playbooks(raw.playbooks.unwrap_or_default(), scrape, report),
    }
}

/// An alert is confirmed, and an effect measured, on Prometheus: without one nothing can be done
/// (I34, I24).
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
            "{why} need it to confirm alerts and to measure effects, as {{url: http://prometheus:9090}}"
        );
        report.problem(format!("clusters[{index}].prometheus"), advice);
    }
}

/// Clones are made by the engine that runs the consumers.
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
        let advice = "scale_consumers starts containers of the Docker engine here, as {}";
        report.problem("clusters[0].docker", advice);
    }
}

fn token(path: &Path, tokens: SecretReader<'_>, report: &mut CheckReport) -> Option<Secret> {
    let at = "remediation.token_file";
    let file = match tokens(path) {
        Ok(file) => file,
        Err(error) => {
            report.problem(at, format!("read {}: {error}", path.display()));
            return None;
        }
    };
    let text = file.text.trim();
    if text.len() < TOKEN_BYTES_MIN {
        let advice = format!(
            "{} holds {} bytes; a token has at least {TOKEN_BYTES_MIN}, as `openssl rand -hex 32` makes them",
            path.display(),
            text.len(),
        );
        report.problem(at, advice);
        return None;
    }
    // It travels in a header, as one word.
    if !text.bytes().all(|it| it.is_ascii_graphic()) {
        let advice = format!("{}: a token is one word of printable ASCII", path.display());
        report.problem(at, advice);
        return None;
    }
    if file.world_readable {
        report.warning(at, format!("every user can read {}; chmod o-r it", path.display()));
    }
    Some(Secret::new(text.to_owned()))
}

/// `host:port`, `[v6]:port`. Whether it resolves is known at run time only.
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

fn fault_of_url(url: &str) -> Option<&'static str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest else { return Some("give its base URL, as http://prometheus:9090") };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() {
        return Some("the URL has no host; give it as http://prometheus:9090");
    }
    if authority.contains('@') {
        return Some("credentials in the URL are not in this version");
    }
    let clean = |it: char| it.is_ascii_graphic() && !"?#\"<>\\`{}".contains(it);
    (!rest.chars().all(clean)).then_some("give the base URL alone, without a query or blanks")
}

impl CheckReport {
    fn problem(&mut self, path: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), advice: advice.into() });
    }

    fn warning(&mut self, path: impl Into<String>, advice: impl Into<String>) {
        self.warnings.push(Problem { path: path.into(), advice: advice.into() });
    }

    fn has(&self, path: &str) -> bool {
        self.problems.iter().any(|it| it.path == path)
    }

    /// A name that is a metric label, a word in tables, and an argument on the command line.
    fn name(&mut self, path: &str, name: &str) {
        let legal = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
        let starts = name.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric());
        if !starts || NAME_BYTES_MAX < name.len() || !name.bytes().all(legal) {
            let advice = format!(
                "`{name}` is no name: up to {NAME_BYTES_MAX} of letters, digits, `-`, `_`, `.`, starting with a letter or a digit"
            );
            self.problem(path, advice);
        }
    }

    fn duration(&mut self, path: &str, raw: Option<&Scalar>, default: Duration) -> Duration {
        let Some(Scalar(text)) = raw else { return default };
        if text.parse::<f64>().is_ok() {
            self.problem(path, format!("`{text}` has no unit; write {text}s, or 5m, or 1h30m"));
            return default;
        }
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= DURATION_MAX => duration,
            Ok(_) => {
                self.problem(path, format!("`{text}` is more than 30 days"));
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
            self.problem(path, "must be at least 1; to stop runs, use mode `observe` or pause");
        }
        raw.unwrap_or(default)
    }

    fn no_choice<'a>(
        &mut self,
        path: impl Into<String>,
        written: &str,
        choices: impl Iterator<Item = &'a str>,
    ) {
        let choices: Vec<&str> = choices.collect();
        self.problem(path, format!("`{written}` is not one of {}", choices.join(", ")));
    }
}
