//! An exporter process of the tests, with rounds of one second, and its exposition.

use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::net::TcpListener;

use super::stack::eventually;

const CONFIG: &str = "kafka-optimizer.yml";

/// A process on this machine, ended with the test.
pub(super) struct ExporterProcess {
    child: Child,
    address: String,
    client: reqwest::Client,
    _dir: TempDir,
}

impl Drop for ExporterProcess {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl ExporterProcess {
    /// Starts it, and waits for a page with the whole cluster on it.
    pub(super) async fn start(bootstrap: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join(CONFIG);
        let text = format!(
            "clusters:\n  - name: main\n    bootstrap_servers: [{bootstrap}]\n    \
             collect_interval: 1s\n"
        );
        std::fs::write(&config, text).unwrap();
        let probe = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = probe.local_addr().unwrap().to_string();
        drop(probe);

        let child = Command::new(env!("CARGO_BIN_EXE_kafka-optimizer"))
            .args(["serve", "--config.file", config.to_str().unwrap()])
            .args(["--web.listen-address", &address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();

        // Only the first call installs it.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        let exporter = Self { child, address, client, _dir: dir };
        exporter
            .until("the exporter has read the cluster", Duration::from_secs(20), |page| {
                let up = page.value("kafka_up", &[]) == Some(1.0);
                (up && page.value("kafka_brokers", &[]).is_some()).then_some(())
            })
            .await;

        exporter
    }

    /// The current page, if the process answers.
    pub(super) async fn try_page(&self) -> Option<ScrapedPage> {
        let begun = now();
        let answer = self.client.get(format!("http://{}/metrics", self.address)).send().await;
        let text = answer.ok()?.text().await.ok()?;

        Some(ScrapedPage { text, took: begun.elapsed() })
    }

    pub(super) async fn page(&self) -> ScrapedPage {
        let page = self.try_page().await.expect("the exporter does not answer");
        page.check_no_series_twice();
        page
    }

    /// The first page for which `find` returns a value.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut find: impl FnMut(&ScrapedPage) -> Option<T>,
    ) -> T {
        let find = &mut find;
        let begun = now();

        loop {
            let page = self.try_page().await;
            if let Some(found) = page.as_ref().and_then(&mut *find) {
                println!("    {what}: after {:.1} s", begun.elapsed().as_secs_f64());
                return found;
            }

            let shown = || page.map_or_else(|| "no page".to_owned(), |it| it.text);
            assert!(begun.elapsed() < limit, "{what}: not within {limit:?}\n{}", shown());

            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The page of a round that starts after this call.
    pub(super) async fn next_round(&self) -> ScrapedPage {
        let mut rounds = self.page().await.round();

        // The first one may have started before.
        for _ in 0..2 {
            rounds = eventually("next round", Duration::from_secs(20), async || {
                let round = self.page().await.round();
                (round != rounds).then_some(round)
            })
            .await;
        }

        // Its own metrics are current, those of the cluster are from the last round.
        tokio::time::sleep(Duration::from_millis(200)).await;

        self.page().await
    }
}

pub(super) struct ScrapedPage {
    pub(super) text: String,
    pub(super) took: Duration,
}

impl ScrapedPage {
    /// The value of the only series with this name and these labels; `kafka_cluster` is implied.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.values(name, labels);
        let first = found.next();

        assert!(found.next().is_none(), "{name} {labels:?} is more than one series");

        first
    }

    /// The values of all series with this name and these labels.
    pub(super) fn values(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        let wanted: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let of_name = self.text.lines().filter_map(move |it| it.strip_prefix(name));

        of_name.filter_map(move |rest| {
            let (labels, value) = rest.strip_prefix('{')?.rsplit_once("} ")?;
            let all = wanted.iter().all(|it| {
                let mut places = labels.match_indices(it.as_str());
                places.any(|(at, _)| at == 0 || labels[..at].ends_with(','))
            });
            all.then(|| value.parse().unwrap())
        })
    }

    /// Values that could not be read in the latest round, of one collector.
    pub(super) fn unknown(&self, collector: &str, reason: &str) -> f64 {
        let labels = [("collector", collector), ("reason", reason)];
        self.value("kafka_optimizer_readings_unknown", &labels).unwrap_or(0.0)
    }

    /// Whether every request of the collector's latest round was answered.
    pub(super) fn succeeded(&self, collector: &str) -> bool {
        self.value("kafka_optimizer_collector_success", &[("collector", collector)]) == Some(1.0)
    }

    /// The failed collectors and unknown readings that the page counts, for messages.
    pub(super) fn failures(&self) -> String {
        let failed = |it: &&str| {
            let zero = it.ends_with(" 0");
            (it.starts_with("kafka_optimizer_collector_success") && zero)
                || (it.starts_with("kafka_optimizer_readings_unknown{") && !zero)
        };
        self.text.lines().filter(failed).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn round(&self) -> Option<u64> {
        let at = self.value("kafka_optimizer_snapshot_timestamp_seconds", &[])?;
        Some(at.to_bits())
    }

    fn check_no_series_twice(&self) {
        let mut seen = BTreeSet::new();
        for line in self.text.lines().filter(|it| !it.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series), "{series} is there twice");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a live test measures the real time of a page")]
pub(super) fn now() -> Instant {
    Instant::now()
}
