//! The landing page: the state of all clusters at a glance, for a person woken by an alert.
//!
//! It refreshes itself.

use std::{sync::Arc, time::Duration};

use maud::{Markup, html};

use super::{
    html::{Document, Severity, code_spans, duration, since, timestamp, words},
    query::with_query,
    state::ServerInfo,
};
use crate::{
    analysis::{Finding, TrafficLight},
    diagnosis::{ClusterReport, WorstLag},
    model::{ClusterName, Mode, WallTime, counted, thousands},
    store::RunRow,
    telemetry::{ClusterStatus, CollectorStatus, RemediationView, RunInfo, SeriesCount},
};

/// A snapshot older than this many collection intervals is reported as stale.
const ROUNDS_MAX: u32 = 3;
const RUNS_SHOWN_MAX: usize = 5;
const FINDINGS_SHOWN_MAX: usize = 3;

const REFRESH: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Landing<'a> {
    pub(super) about: &'a ServerInfo,
    pub(super) now: WallTime,
    /// Whether a person paused remediation.
    pub(super) paused: bool,
    /// Why the latest reload of the configuration was refused; `None` if the file is in effect.
    pub(super) config_fault: Option<String>,
    /// Why the web configuration on disk was rejected; `None` if it is in effect.
    pub(super) web_fault: Option<String>,
    pub(super) clusters: Vec<ClusterStatus>,
    /// What was found in each cluster; `None` if it takes too long.
    pub(super) reports: Option<Vec<Arc<ClusterReport>>>,
    /// Temporary changes in force, of all clusters; `None` if the store cannot be read.
    pub(super) temporary: Option<Vec<RunRow>>,
}

/// A line of the summary at the top of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    severity: Severity,
    text: String,
}

impl Statement {
    fn new(severity: Severity, text: impl Into<String>) -> Self {
        Self { severity, text: text.into() }
    }
}

impl Landing<'_> {
    pub(super) fn page(&self) -> String {
        let summary = self.summary();
        let worst = summary.first().map_or(Severity::Good, |it| it.severity);

        // Visible among other browser tabs.
        let mark = if worst == Severity::Good { "" } else { "! " };

        let body = html! {
            header {
                h1 { "kafka-optimizer" }
                span.dim {
                    (self.about.version) " · mode " (self.about.mode) " · " (timestamp(self.now))
                }
            }
            div class={ "verdict " (worst.class()) } {
                @for it in &summary { p class=(it.severity.class()) { (it.text) } }
            }
            (self.links())

            @for cluster in &self.clusters { (self.cluster(cluster)) }
        };

        Document { title: format!("{mark}kafka-optimizer"), refresh: Some(REFRESH), body }.render()
    }

    /// Everything that is wrong, the worst first; one good line if nothing is.
    fn summary(&self) -> Vec<Statement> {
        let mut found = Vec::new();
        for cluster in &self.clusters {
            for problem in self.problems_of(cluster) {
                let text = format!("{}: {}", cluster.cluster, problem.text);
                found.push(Statement { text, ..problem });
            }
        }

        let reports = self.reports.iter().flatten();
        found.extend(reports.filter_map(|it| severity_of(it)));

        if self.temporary.is_none() {
            found.push(Statement::new(Severity::Bad, "The state store cannot be read."));
        }

        if self.paused {
            found.push(Statement::new(Severity::Warning, "Remediation is paused: no run starts."));
        }

        if let Some(fault) = &self.config_fault {
            let text = format!(
                "The configuration was rejected, the previous one stays in effect: {fault}"
            );

            found.push(Statement::new(Severity::Warning, text));
        }

        if let Some(fault) = &self.web_fault {
            let text = format!(
                "The web configuration was rejected, the previous one stays in effect: {fault}"
            );

            found.push(Statement::new(Severity::Warning, text));
        }

        found.sort_by_key(|it| std::cmp::Reverse(it.severity));
        if found.is_empty() {
            let is_green = self.reports.as_ref().is_some_and(|it| {
                !it.is_empty() && it.iter().all(|it| it.analysis.light == Some(TrafficLight::Green))
            });
            let nothing = if is_green { " Nothing is found to be wrong." } else { "" };
            let text = format!("Every cluster is up, and every collector works.{nothing}");
            found.push(Statement::new(Severity::Good, text));
        }

        found
    }

    fn problems_of(&self, cluster: &ClusterStatus) -> Vec<Statement> {
        let mut found = Vec::new();
        let failing: Vec<&str> = cluster
            .collectors
            .iter()
            .filter(|it| it.failure.is_some())
            .map(|it| it.collector.label())
            .collect();

        match cluster.up() {
            Some(false) => {
                let text = "no broker answered the metadata request";
                found.push(Statement::new(Severity::Bad, text));
            }
            None => {
                let text = "the first collection round has not finished yet";
                found.push(Statement::new(Severity::Warning, text));
            }
            Some(true) if !failing.is_empty() => {
                let text = format!("some collectors fail: {}", failing.join(", "));
                found.push(Statement::new(Severity::Warning, text));
            }
            Some(true) => (),
        }

        if let Some(age) = self.staleness(cluster) {
            let text = format!("the data shown is {} old", duration(age));
            found.push(Statement::new(Severity::Bad, text));
        }

        if let Some(SeriesCount { dropped: dropped @ 1.., .. }) = cluster.series {
            let text = format!("{dropped} series are omitted: the limit series_max is reached");
            found.push(Statement::new(Severity::Warning, text));
        }

        let Some(remediation) = &cluster.remediation else { return found };
        if remediation.stuck > 0 {
            let text = format!("{} waiting for a person", counted(remediation.stuck, "stuck run"));
            found.push(Statement::new(Severity::Bad, text));
        }

        if !remediation.quarantined.is_empty() {
            let count = u64::try_from(remediation.quarantined.len()).unwrap_or(u64::MAX);
            found.push(Statement::new(Severity::Warning, counted(count, "quarantine")));
        }

        found
    }

    /// The age of the snapshot, if it is too old.
    fn staleness(&self, cluster: &ClusterStatus) -> Option<Duration> {
        let about = self.about.clusters.iter().find(|it| it.name == cluster.cluster)?;
        let age = self.now.since(cluster.snapshot?);
        (age > about.collect_interval.saturating_mul(ROUNDS_MAX)).then_some(age)
    }

    fn links(&self) -> Markup {
        let links = [
            (self.about.telemetry_path.as_str(), "Metrics"),
            ("/runs", "Runs"),
            ("/report", "Report"),
            ("/-/healthy", "Alive?"),
            ("/-/ready", "Ready?"),
        ];

        html! { nav { @for (path, name) in links { a href=(path) { (name) } } } }
    }

    fn cluster(&self, cluster: &ClusterStatus) -> Markup {
        let (severity, state) = match cluster.up() {
            Some(true) => (Severity::Good, "up"),
            Some(false) => (Severity::Bad, "down"),
            None => (Severity::Warning, "not read yet"),
        };

        let series = cluster.series.map_or_else(|| "no".to_owned(), |it| it.shown.to_string());

        html! {
            section {
                div.head {
                    h2 { (cluster.cluster) }
                    strong class=(severity.class()) { (state) }
                    span.dim {
                        @if let Some(at) = cluster.snapshot {
                            "read " (since(self.now, Some(at)))
                        } @else {
                            "never read"
                        }
                        " · " (series) " series"
                    }
                }
                (self.findings(&cluster.cluster))
                @if let Some(remediation) = &cluster.remediation {
                    (self.remediation(remediation))
                }
                (self.temporary_changes(&cluster.cluster))

                h3 { "Collection" }
                (self.collectors(&cluster.collectors))
            }
        }
    }

    /// The first findings, and the groups that are farthest behind.
    fn findings(&self, cluster: &ClusterName) -> Markup {
        let Some(reports) = &self.reports else {
            return html! {
                h3 { "Findings" }
                p.dim { "Prometheus takes long to answer: " code { "kafka-optimizer analyze" }
                    " waits for it." }
            };
        };
        let Some(report) = reports.iter().find(|it| it.cluster == *cluster) else {
            return html! {};
        };
        let findings = &report.analysis.findings;
        let more = findings.len().saturating_sub(FINDINGS_SHOWN_MAX);
        let path = |path: &str| with_query(path, &[("cluster", Some(cluster.to_string()))]);

        html! {
            h3 { "Findings" }
            @if findings.is_empty() { p.dim { (nothing_found(report)) } }
            @for it in findings.iter().take(FINDINGS_SHOWN_MAX) { (finding(it)) }
            p {
                @if more > 0 { (more) " more. " }
                a href=(path("/report")) { "Report with all of them" } " "
                a href=(path("/api/v1/findings")) { "Findings as JSON" }
            }

            @if !report.worst_lags.is_empty() {
                h3 { "Worst lags" }
                (lags(&report.worst_lags))
            }
        }
    }

    fn temporary_changes(&self, cluster: &ClusterName) -> Markup {
        let of_cluster = |it: &&RunRow| it.cluster == *cluster;
        let changes: Vec<&RunRow> = self.temporary.iter().flatten().filter(of_cluster).collect();

        if changes.is_empty() {
            return html! {};
        }

        html! {
            h3 { "Temporary changes in force" }
            @for run in changes {
                p {
                    a href={ "/runs/" (run.id) } { (run.id) }
                    " " (run.optimizer) " on " (run.target) " · "
                    @if let Some(at) = run.times.expires {
                        span title=(timestamp(at)) { "ends in " (duration(at.since(self.now))) }
                    } @else {
                        (words(run.state.label()))
                    }
                }
            }
        }
    }

    fn collectors(&self, collectors: &[CollectorStatus]) -> Markup {
        if collectors.is_empty() {
            return html! { p.dim { "No collector has reported yet." } };
        }

        html! {
            table {
                thead {
                    tr {
                        th { "collector" }
                        th { "state" }
                        th { "last success" }
                        th { "took" }

                        th { "what is missing" }
                    }
                }
                tbody { @for it in collectors { (self.collector(it)) } }
            }
        }
    }

    fn collector(&self, status: &CollectorStatus) -> Markup {
        let (severity, state) = if status.failure.is_none() {
            (Severity::Good, "works")
        } else {
            (Severity::Bad, "fails")
        };

        html! {
            tr {
                td.name { (words(status.collector.label())) }
                td class=(severity.class()) { (state) }
                td data-of="last success" { (since(self.now, status.last_success)) }
                td data-of="took" { (duration(status.took)) }

                td.why { (missing(status)) }
            }
        }
    }

    fn remediation(&self, remediation: &RemediationView) -> Markup {
        if remediation.mode == Mode::Observe && remediation.runs.is_empty() {
            return html! {};
        }

        let mut runs: Vec<&RunInfo> = remediation.runs.iter().collect();
        runs.sort_by_key(|it| std::cmp::Reverse(it.run));
        runs.truncate(RUNS_SHOWN_MAX);

        html! {
            h3 { "Runs" }
            p {
                @if let Some(state) = remediation.active {
                    "A run is " (words(state.label())) "."
                } @else {
                    "No run is active."
                }
            }
            @for run in runs { (self.run(run)) }
        }
    }

    fn run(&self, run: &RunInfo) -> Markup {
        html! {
            p {
                a href={ "/runs/" (run.run) } { (run.run) }
                " " (run.optimizer) " on " (run.target) " · " (words(run.outcome.label()))
                @if let Some(verdict) = run.verdict { " · " (verdict) }
                " "

                span.dim { "· " (since(self.now, Some(run.started))) }
                @if let Some(sentence) = &run.sentence { br; span.dim { (sentence) } }
            }
        }
    }
}

/// What the findings of a cluster come to; `None` if there are none.
fn severity_of(report: &ClusterReport) -> Option<Statement> {
    let number = |light| {
        let found = report.analysis.findings.iter().filter(|it| it.light == light).count();
        u64::try_from(found).unwrap_or(u64::MAX)
    };
    let (red, yellow) = (number(TrafficLight::Red), number(TrafficLight::Yellow));
    let severity = if red > 0 { Severity::Bad } else { Severity::Warning };
    let counts = [(red, "red finding"), (yellow, "yellow finding")];
    let counts: Vec<String> =
        counts.into_iter().filter(|it| it.0 > 0).map(|it| counted(it.0, it.1)).collect();

    (!counts.is_empty())
        .then(|| Statement::new(severity, format!("{}: {}", report.cluster, counts.join(", "))))
}

fn nothing_found(report: &ClusterReport) -> &'static str {
    if report.analysis.light.is_some() { "Nothing is wrong." } else { "Nothing could be seen." }
}

fn finding(found: &Finding) -> Markup {
    let class = match found.light {
        TrafficLight::Red => Severity::Bad,
        TrafficLight::Yellow => Severity::Warning,
        TrafficLight::Green => Severity::Good,
    };
    let spec = found.cause.spec();

    html! {
        p.finding {
            strong class=(class.class()) { (found.light) } " " (spec.title) ", " (found.subject)
            br; span.dim { (code_spans(spec.advice)) }
            @if let Some(it) = &found.command { br; code { (it.command) } }
        }
    }
}

fn lags(lags: &[WorstLag]) -> Markup {
    html! {
        table {
            thead { tr { th { "group" } th { "topic" } th { "records behind" } } }
            tbody {
                @for it in lags {
                    tr {
                        td.name.wrap { (it.group) }
                        td.wrap data-of="topic" { (it.topic) }
                        td data-of="behind" { (thousands(it.records)) }
                    }
                }
            }
        }
    }
}

/// The failure first, because it names the broker; then the unknown values by reason.
fn missing(status: &CollectorStatus) -> String {
    let unknown: Vec<String> = status
        .unknown
        .iter()
        .map(|(reason, count)| format!("{count} {}", words(reason.label())))
        .collect();

    let unknown = (!unknown.is_empty()).then(|| format!("unknown: {}", unknown.join(", ")));

    status.failure.iter().cloned().chain(unknown).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::state::ClusterInfo,
        model::{BrokerCapacity, ReadFailure, RunId, RunState, Verdict},
        playbook::OptimizerKind,
        telemetry::CollectorName,
    };

    const NOW: WallTime = WallTime(1_767_323_045_006);

    fn about() -> ServerInfo {
        ServerInfo {
            version: "0.1.0",
            mode: Mode::Act,
            clusters: vec![ClusterInfo {
                name: ClusterName::new("main"),
                collect_interval: Duration::from_secs(15),
                capacity: BrokerCapacity::default(),
                prices: None,
            }],
            telemetry_path: "/metrics".to_owned(),
        }
    }

    fn collector(collector: CollectorName, failure: Option<&str>) -> CollectorStatus {
        CollectorStatus {
            collector,
            failure: failure.map(str::to_owned),
            took: Duration::from_millis(12),
            last_success: Some(NOW.before(Duration::from_secs(9))),
            unknown: Vec::new(),
        }
    }

    fn cluster() -> ClusterStatus {
        ClusterStatus {
            cluster: ClusterName::new("main"),
            snapshot: Some(NOW.before(Duration::from_secs(9))),
            series: Some(SeriesCount { shown: 1234, dropped: 0 }),
            collectors: [CollectorName::Topology, CollectorName::LogDirs]
                .map(|it| collector(it, None))
                .to_vec(),
            remediation: None,
        }
    }

    fn landing(about: &ServerInfo, clusters: Vec<ClusterStatus>) -> Landing<'_> {
        Landing {
            about,
            now: NOW,
            paused: false,
            config_fault: None,
            web_fault: None,
            clusters,
            reports: Some(Vec::new()),
            temporary: Some(Vec::new()),
        }
    }

    #[test]
    fn a_healthy_cluster_has_one_good_statement() {
        let about = about();
        let page = landing(&about, vec![cluster()]).page();

        for wanted in [
            "<div class=\"verdict good\"><p class=\"good\">Every cluster is up, and every collector works.</p>",
            "mode act · 2026-01-02 03:04:05 UTC",
            "<h2>main</h2><strong class=\"good\">up</strong>",
            "9 s ago</span> · 1234 series",
            "<td class=\"name\">log dirs</td><td class=\"good\">works</td>",
            "<td data-of=\"took\">12 ms</td>",
            "<a href=\"/metrics\">Metrics</a>",
        ] {
            assert!(page.contains(wanted), "{wanted} in\n{page}");
        }

        assert!(!page.contains("verdict bad") && !page.contains("<script"), "{page}");
    }

    #[test]
    fn the_worst_statement_comes_first_and_names_the_cluster() {
        let about = about();
        let mut down = cluster();
        down.collectors[0] = collector(CollectorName::Topology, Some("connect to kafka-1:9092"));
        down.snapshot = Some(NOW.before(Duration::from_mins(5)));
        let mut landing = landing(&about, vec![down]);
        landing.web_fault = Some("line 3".to_owned());

        let summary = landing.summary();
        let want = [
            Statement::new(Severity::Bad, "main: no broker answered the metadata request"),
            Statement::new(Severity::Bad, "main: the data shown is 5 min old"),
            Statement::new(
                Severity::Warning,
                "The web configuration was rejected, the previous one stays in effect: line 3",
            ),
        ];

        assert_eq!(summary, want);

        let page = landing.page();

        assert!(page.contains("<title>! kafka-optimizer</title>"));
        assert!(page.contains("<td class=\"why\">connect to kafka-1:9092</td>"), "{page}");
    }

    #[test]
    fn unknown_values_are_counted_by_reason() {
        let about = about();
        let mut one = cluster();
        one.collectors[1].unknown = vec![(ReadFailure::Timeout, 2), (ReadFailure::NotLeader, 1)];
        let page = landing(&about, vec![one]).page();

        assert!(page.contains("<td class=\"why\">unknown: 2 timeout, 1 not leader</td>"), "{page}");

        let mut crowded = cluster();
        crowded.series = Some(SeriesCount { shown: 10, dropped: 2 });
        let text = "main: 2 series are omitted: the limit series_max is reached";
        let want = [Statement::new(Severity::Warning, text)];

        assert_eq!(landing(&about, vec![crowded]).summary(), want);

        let first =
            ClusterStatus { collectors: Vec::new(), snapshot: None, series: None, ..cluster() };
        let page = landing(&about, vec![first]).page();

        assert!(page.contains("not read yet</strong><span class=\"dim\">never read · no series"));
    }

    #[test]
    fn the_newest_runs_are_listed_and_a_stuck_run_is_bad() {
        let about = about();
        let run = |id| RunInfo {
            run: RunId(id),
            optimizer: OptimizerKind::TuneBrokers,
            target: "broker 1".to_owned(),
            verdict: Some(Verdict::Improved),
            effect: Some(0.6),
            sentence: Some("at least 31 % better".to_owned()),
            outcome: RunState::Kept,
            started: NOW.before(Duration::from_hours(3)),
        };

        let mut one = cluster();
        one.remediation = Some(RemediationView {
            runs: (1..=7).map(run).collect(),
            stuck: 1,
            ..RemediationView::idle(Mode::Act)
        });

        let landing = landing(&about, vec![one]);
        let stuck = Statement::new(Severity::Bad, "main: 1 stuck run waiting for a person");

        assert_eq!(landing.summary(), [stuck]);

        let page = landing.page();

        assert!(
            page.contains("<a href=\"/runs/7\">7</a> tune_brokers on broker 1 · kept · improved"),
            "{page}"
        );

        assert!(!page.contains("runs/2\""), "{page}");
    }

    #[test]
    fn every_text_is_escaped() {
        let nasty = "<script>alert('\"&')</script>";
        let about = ServerInfo { telemetry_path: format!("/{nasty}"), ..about() };
        let mut one = cluster();
        one.cluster = ClusterName::new(nasty);
        one.collectors[1] = collector(CollectorName::LogDirs, Some(nasty));
        let mut landing = landing(&about, vec![one]);
        landing.web_fault = Some(nasty.to_owned());
        landing.config_fault = Some(nasty.to_owned());

        let page = landing.page();

        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert('&quot;&amp;')").count(), 6, "{page}");
    }
}
