//! The landing page: how things stand, for a person who was woken by an alert.
//!
//! One page of plain HTML that loads nothing, runs nothing, fits a phone and is fetched again by
//! itself. It is made from plain values; every text in it is escaped ([`Text`]).

use std::{
    fmt::{self, Write},
    time::Duration,
};

use jiff::Timestamp;

use super::state::ServerInfo;
use crate::{
    model::{Mode, WallTime},
    telemetry::{ClusterStatus, CollectorStatus, RemediationView, RunInfo, SeriesCount},
};

/// What the browser may do with the page: show it.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// A snapshot that is older than this many rounds is not what the cluster looks like now.
const ROUNDS_MAX: u32 = 3;
const RUNS_SHOWN_MAX: usize = 5;

const STYLE: &str = include_str!("landing.css");

#[derive(Debug)]
pub(super) struct Landing<'a> {
    pub(super) about: &'a ServerInfo,
    pub(super) now: WallTime,
    /// Whether a person paused remediation.
    pub(super) paused: bool,
    /// Why the web configuration as it is now on disk is not in force.
    pub(super) web_fault: Option<String>,
    pub(super) clusters: Vec<ClusterStatus>,
}

/// Text that is written so that it stays text.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for it in self.0.chars() {
            match it {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(it)?,
            }
        }
        Ok(())
    }
}

/// How something stands; the word is also the class that colours it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tone {
    Good,
    Odd,
    Bad,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Odd => "odd",
            Self::Bad => "bad",
        }
    }
}

impl Landing<'_> {
    pub(super) fn page(&self) -> String {
        let mut page = String::with_capacity(8 << 10);
        // Writing to a String cannot fail.
        let _infallible = self.write(&mut page);
        page
    }

    fn write(&self, page: &mut String) -> fmt::Result {
        let findings = self.verdict();
        let worst = findings.first().map_or(Tone::Good, |it| it.0);
        // Seen from among other tabs.
        let mark = if worst == Tone::Good { "" } else { "! " };
        write!(
            page,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"refresh\" content=\"15\">\n\
             <title>{mark}kafka-optimizer</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        )?;
        writeln!(
            page,
            "<header><h1>kafka-optimizer</h1><span class=\"dim\">{} · mode {} · {}</span></header>",
            Text(self.about.version),
            self.about.mode,
            moment(self.now),
        )?;
        writeln!(page, "<div class=\"verdict {}\">", worst.class())?;
        for (tone, finding) in findings {
            writeln!(page, "<p class=\"{}\">{}</p>", tone.class(), Text(&finding))?;
        }
        writeln!(page, "</div>")?;
        self.write_links(page)?;
        for cluster in &self.clusters {
            self.write_cluster(page, cluster)?;
        }
        writeln!(page, "</body>\n</html>")
    }

    /// The worst first, in words; one good line when nothing is wrong.
    fn verdict(&self) -> Vec<(Tone, String)> {
        let mut found: Vec<(Tone, String)> = Vec::new();
        for cluster in &self.clusters {
            let name = &cluster.cluster;
            let named = |(tone, finding)| (tone, format!("{name}: {finding}"));
            found.extend(self.of_cluster(cluster).into_iter().map(named));
        }
        if self.paused {
            found.push((Tone::Odd, "Remediation is paused: no run starts.".to_owned()));
        }
        if let Some(fault) = &self.web_fault {
            let finding = "The web configuration was refused, the one before is in force";
            found.push((Tone::Odd, format!("{finding}: {fault}")));
        }
        found.sort_by_key(|it| std::cmp::Reverse(it.0));
        if found.is_empty() {
            let good = "Every cluster is up, and every collector works.";
            found.push((Tone::Good, good.to_owned()));
        }
        found
    }

    fn of_cluster(&self, cluster: &ClusterStatus) -> Vec<(Tone, String)> {
        let mut found = Vec::new();
        let failing: Vec<&str> = cluster
            .collectors
            .iter()
            .filter(|it| it.failure.is_some())
            .map(|it| it.collector.label())
            .collect();
        match cluster.up() {
            Some(false) => found.push((Tone::Bad, "no broker tells its metadata".to_owned())),
            None => found.push((Tone::Odd, "the first round has not ended yet".to_owned())),
            Some(true) if !failing.is_empty() => {
                found.push((Tone::Odd, format!("not everything was read: {}", failing.join(", "))));
            }
            Some(true) => (),
        }
        if let Some(age) = self.too_old(cluster) {
            let finding = format!("what is shown was read {} ago", length(age));
            found.push((Tone::Bad, finding));
        }
        if let Some(SeriesCount { dropped: left_out @ 1.., .. }) = cluster.series {
            let finding = format!("{left_out} series are left out: its budget is spent");
            found.push((Tone::Odd, finding));
        }
        let Some(remediation) = &cluster.remediation else { return found };
        if 0 < remediation.stuck {
            let finding =
                format!("{} waiting for a person", counted(remediation.stuck, "stuck run"));
            found.push((Tone::Bad, finding));
        }
        if !remediation.quarantined.is_empty() {
            let many = u64::try_from(remediation.quarantined.len()).unwrap_or(u64::MAX);
            found.push((Tone::Odd, counted(many, "quarantine")));
        }
        found
    }

    fn too_old(&self, cluster: &ClusterStatus) -> Option<Duration> {
        let about = self.about.clusters.iter().find(|it| it.name == cluster.cluster)?;
        let age = self.now.since(cluster.snapshot?);
        (about.collect_interval.saturating_mul(ROUNDS_MAX) < age).then_some(age)
    }

    fn write_links(&self, page: &mut String) -> fmt::Result {
        writeln!(page, "<nav>")?;
        for (path, name) in [
            (self.about.telemetry_path.as_str(), "Metrics"),
            ("/api/v1/runs", "Runs"),
            ("/-/healthy", "Alive?"),
            ("/-/ready", "Ready?"),
        ] {
            writeln!(page, "<a href=\"{}\">{name}</a>", Text(path))?;
        }
        writeln!(page, "</nav>")
    }

    fn write_cluster(&self, page: &mut String, cluster: &ClusterStatus) -> fmt::Result {
        let (tone, word) = match cluster.up() {
            Some(true) => (Tone::Good, "up"),
            Some(false) => (Tone::Bad, "down"),
            None => (Tone::Odd, "not read yet"),
        };
        writeln!(
            page,
            "<section>\n<div class=\"head\"><h2>{}</h2><strong class=\"{}\">{word}</strong>\
             <span class=\"dim\">{} · {} series</span></div>",
            Text(cluster.cluster.as_str()),
            tone.class(),
            cluster.snapshot.map_or_else(
                || "never read".to_owned(),
                |it| format!("read {}", self.since(Some(it))),
            ),
            cluster.series.map_or_else(|| "no".to_owned(), |it| it.shown.to_string()),
        )?;
        self.write_collectors(page, &cluster.collectors)?;
        if let Some(remediation) = &cluster.remediation {
            self.write_remediation(page, remediation)?;
        }
        writeln!(page, "</section>")
    }

    fn write_collectors(&self, page: &mut String, all: &[CollectorStatus]) -> fmt::Result {
        if all.is_empty() {
            return writeln!(page, "<p class=\"dim\">No collector has reported yet.</p>");
        }
        writeln!(
            page,
            "<table>\n<thead><tr><th>collector</th><th>state</th><th>last success</th>\
             <th>took</th><th>what is missing</th></tr></thead>\n<tbody>"
        )?;
        for it in all {
            let (tone, word) =
                if it.failure.is_none() { (Tone::Good, "works") } else { (Tone::Bad, "fails") };
            write!(
                page,
                "<tr><td class=\"name\">{}</td><td class=\"{}\">{word}</td>\
                 <td data-of=\"last success\">{}</td><td data-of=\"took\">{}</td>",
                words(it.collector.label()),
                tone.class(),
                self.since(it.last_success),
                length(it.took),
            )?;
            writeln!(page, "<td class=\"why\">{}</td></tr>", Text(&missing(it)))?;
        }
        writeln!(page, "</tbody>\n</table>")
    }

    fn write_remediation(&self, page: &mut String, remediation: &RemediationView) -> fmt::Result {
        if remediation.mode == Mode::Observe && remediation.runs.is_empty() {
            return Ok(());
        }
        let now = match remediation.active {
            Some(state) => format!("a run is {}", words(state.label())),
            None => "no run is active".to_owned(),
        };
        writeln!(page, "<h3>Runs</h3>\n<p>{}.</p>", Text(&capital(&now)))?;
        let mut runs: Vec<&RunInfo> = remediation.runs.iter().collect();
        runs.sort_by_key(|it| std::cmp::Reverse(it.run));
        runs.truncate(RUNS_SHOWN_MAX);
        for run in runs {
            let verdict = run.verdict.map_or_else(String::new, |it| format!(" · {it}"));
            writeln!(
                page,
                "<p><a href=\"/api/v1/runs/{0}\">{0}</a> {1} on {2} · {3}{verdict} \
                 <span class=\"dim\">· {4}</span></p>",
                run.run,
                run.optimizer,
                Text(&run.target),
                words(run.outcome.label()),
                self.since(Some(run.started)),
            )?;
        }
        Ok(())
    }

    /// How long ago, with the time itself for whoever points at it.
    fn since(&self, at: Option<WallTime>) -> String {
        let Some(at) = at else { return "never".to_owned() };
        format!("<span title=\"{}\">{} ago</span>", moment(at), length(self.now.since(at)))
    }
}

/// What failed comes first: it names the broker.
fn missing(it: &CollectorStatus) -> String {
    let unknown: Vec<String> = it
        .unknown
        .iter()
        .map(|(reason, count)| format!("{count} {}", words(reason.label())))
        .collect();
    let unknown = (!unknown.is_empty()).then(|| format!("unknown: {}", unknown.join(", ")));
    it.failure.iter().cloned().chain(unknown).collect::<Vec<_>>().join("; ")
}

fn moment(at: WallTime) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// One unit is enough to decide what to do.
fn length(it: Duration) -> String {
    let (seconds, millis) = (it.as_secs(), it.as_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn words(label: &str) -> String {
    label.replace('_', " ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |it| it.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::state::ClusterInfo,
        model::{ClusterName, ReadFailure, RunId, RunState, Verdict},
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
        Landing { about, now: NOW, paused: false, web_fault: None, clusters }
    }

    #[test]
    fn when_all_is_well_it_says_so_once() {
        let about = about();
        let page = landing(&about, vec![cluster()]).page();
        for wanted in [
            "<div class=\"verdict good\">\n<p class=\"good\">Every cluster is up, and every collector works.</p>",
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
    fn the_worst_comes_first_and_names_the_cluster() {
        let about = about();
        let mut down = cluster();
        down.collectors[0] = collector(CollectorName::Topology, Some("connect to kafka-1:9092"));
        down.snapshot = Some(NOW.before(Duration::from_mins(5)));
        let mut landing = landing(&about, vec![down]);
        landing.web_fault = Some("line 3".to_owned());
        let findings = landing.verdict();
        let want = [
            (Tone::Bad, "main: no broker tells its metadata"),
            (Tone::Bad, "main: what is shown was read 5 min ago"),
            (Tone::Odd, "The web configuration was refused, the one before is in force: line 3"),
        ];
        assert_eq!(findings, want.map(|it| (it.0, it.1.to_owned())));
        let page = landing.page();
        assert!(page.contains("<title>! kafka-optimizer</title>"));
        assert!(page.contains("<td class=\"why\">connect to kafka-1:9092</td>"), "{page}");
    }

    #[test]
    fn what_could_not_be_read_is_counted_by_reason() {
        let about = about();
        let mut one = cluster();
        one.collectors[1].unknown = vec![(ReadFailure::Timeout, 2), (ReadFailure::NotLeader, 1)];
        let page = landing(&about, vec![one]).page();
        assert!(page.contains("<td class=\"why\">unknown: 2 timeout, 1 not leader</td>"), "{page}");
        let mut crowded = cluster();
        crowded.series = Some(SeriesCount { shown: 10, dropped: 2 });
        let finding = "main: 2 series are left out: its budget is spent".to_owned();
        assert_eq!(landing(&about, vec![crowded]).verdict(), [(Tone::Odd, finding)]);
        let first =
            ClusterStatus { collectors: Vec::new(), snapshot: None, series: None, ..cluster() };
        let page = landing(&about, vec![first]).page();
        assert!(page.contains("not read yet</strong><span class=\"dim\">never read · no series"));
    }

    #[test]
    fn runs_are_the_newest_and_stuck_ones_are_bad() {
        let about = about();
        let run = |id| RunInfo {
            run: RunId(id),
            optimizer: OptimizerKind::TuneBrokers,
            target: "broker 1".to_owned(),
            verdict: Some(Verdict::Improved),
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
        let stuck = "main: 1 stuck run waiting for a person".to_owned();
        assert_eq!(landing.verdict(), [(Tone::Bad, stuck)]);
        let page = landing.page();
        assert!(
            page.contains(
                "<a href=\"/api/v1/runs/7\">7</a> tune_brokers on broker 1 · kept · improved"
            ),
            "{page}"
        );
        assert!(!page.contains("runs/2\""), "{page}");
    }

    #[test]
    fn no_text_becomes_markup() {
        let nasty = "<script>alert('\"&')</script>";
        let about = ServerInfo { telemetry_path: format!("/{nasty}"), ..about() };
        let mut one = cluster();
        one.cluster = ClusterName::new(nasty);
        one.collectors[1] = collector(CollectorName::LogDirs, Some(nasty));
        let mut landing = landing(&about, vec![one]);
        landing.web_fault = Some(nasty.to_owned());
        let page = landing.page();
        assert!(!page.contains("<script") && !page.contains("alert('"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)").count(), 5, "{page}");
    }
}
