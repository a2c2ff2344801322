//! `make soak`: a day of rounds in minutes, while topics, groups and brokers come and go. Finds
//! leaks of memory, descriptors and series.
//!
//! Collector, exposition and web server run in this process over real sockets, without the pause
//! between rounds. The fake brokers run here too, so their memory counts as well.

mod churn;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use kafka_optimizer::{
    clock::SystemClock,
    config::AccessConfig,
    diagnosis::Diagnosis,
    expose::{Exposer, Exposition, SnapshotSource},
    http::{self, Access, Limits, ServerInfo, Settings, Web},
    model::{ClusterName, Mode},
    snapshot::Latest,
    telemetry::Telemetry,
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    pipeline::RecordingPipeline,
    rounds::RoundRunner,
    sampling::{ProcessStats, float, pause, scrape, write_result},
};
use churn::{Churn, SIZE, strangers};

/// A day at 15 s.
const ROUNDS: u32 = 5_760;
const WARM_UP_ROUNDS: u32 = 500;
const SAMPLE_EVERY: u32 = 10;
/// A removed broker is remembered for an hour, which is 240 rounds; slow sections for 12.
const SETTLE_ROUNDS: u32 = 260;

const SLOPE_MAX: f64 = 1.0;

/// The result: its keys are a contract.
#[derive(Debug, Default, Serialize)]
struct SoakResult {
    rounds: Option<u32>,
    rss_slope_mb_per_1000_rounds: Option<f64>,
    fds_start: Option<usize>,
    fds_end: Option<usize>,
    series_leaked: Option<usize>,
}

/// The parts of the program that outlive a round.
struct SoakHarness {
    rounds: RoundRunner,
    pages: watch::Receiver<Arc<Exposition>>,
    address: SocketAddr,
    done: u32,
    resident: Vec<(f64, f64)>,
}

impl SoakHarness {
    async fn new() -> Self {
        let rounds = RoundRunner::new(SIZE).await;
        let exposer = Exposer::new(sources(&rounds.latest), Arc::clone(&rounds.telemetry));
        let pages = exposer.pages();
        rounds.tasks.start("expose", |stop| exposer.run(stop));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let web = Web::plain();
        let state = state(pages.clone(), Arc::clone(&rounds.telemetry), web.clone());
        let router = http::router(state);
        let (telemetry, tasks) = (&rounds.telemetry, &rounds.tasks);
        http::serve(vec![listener], &router, &web, telemetry, Limits::default(), tasks);

        Self { rounds, pages, address, done: 0, resident: Vec::new() }
    }

    /// One round, its page, one scrape.
    async fn round(&mut self) -> String {
        self.pages.mark_unchanged();
        self.rounds.next().await;
        self.pages.changed().await.unwrap();
        let page = scrape(self.address).await.expect("a page");
        self.rounds.cluster.take_seen();
        self.done += 1;

        if WARM_UP_ROUNDS <= self.done && self.done.is_multiple_of(SAMPLE_EVERY) {
            let bytes = ProcessStats::this().resident_bytes();
            self.resident.push((f64::from(self.done), float(bytes) / f64::from(1 << 20)));
        }

        page.text()
    }

    /// Runs rounds without changes until everything remembered for a while is dropped. Returns the
    /// page then.
    async fn settle(&mut self) -> String {
        // A broker that was down is retried after a backoff of real time.
        pause(500).await;
        let mut page = String::new();

        for _ in 0..SETTLE_ROUNDS {
            page = self.round().await;
        }

        page
    }
}

fn sources(latest: &Latest) -> watch::Receiver<Vec<SnapshotSource>> {
    let source = SnapshotSource { cluster: ClusterName::new("main"), latest: latest.clone() };
    watch::channel(vec![source]).1
}

fn settings() -> Settings {
    Settings {
        access: Access::new(&AccessConfig::default()),
        about: ServerInfo {
            version: "0",
            mode: Mode::Observe,
            clusters: Vec::new(),
            telemetry_path: "/metrics".to_owned(),
        },
    }
}

fn state(
    pages: watch::Receiver<Arc<Exposition>>,
    telemetry: Arc<Telemetry>,
    web: Web,
) -> http::AppState {
    http::AppState {
        pipeline: Arc::<RecordingPipeline>::default(),
        diagnosis: Diagnosis::new(watch::channel(Vec::new()).1, Arc::new(SystemClock::new())),
        pages,
        telemetry,
        ready: watch::channel(true).1,
        settings: watch::channel(Arc::new(settings())).1,
        reload: http::reload_channel().0,
        web,
        clock: Arc::new(SystemClock::new()),
    }
}

/// Slope by least squares, per 1,000 rounds.
fn slope_per_1000(points: &[(f64, f64)]) -> f64 {
    let count = f64::from(u32::try_from(points.len()).unwrap());
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|it| it.0), mean(|it| it.1));
    let covariance: f64 = points.iter().map(|it| (it.0 - x) * (it.1 - y)).sum();
    let variance: f64 = points.iter().map(|it| (it.0 - x).powi(2)).sum();

    1_000.0 * covariance / variance
}

/// The series of this process about itself: their number is fixed.
fn own_series(page: &str) -> usize {
    page.lines().filter(|it| it.starts_with("kafka_optimizer_")).count()
}

#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn number(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(usual)
}

#[tokio::test]
#[ignore = "make soak: minutes, in a process of its own"]
async fn a_day_of_rounds_leaves_nothing_behind() {
    let file = std::env::var_os("KAFKA_OPTIMIZER_SOAK_RESULT").map(PathBuf::from);
    let write = |result: &SoakResult| write_result(file.as_deref().map(Path::new), result);
    let mut result = SoakResult::default();
    write(&result);
    let seed = number("SEED", 1);
    let rounds = number("ROUNDS", ROUNDS).max(WARM_UP_ROUNDS + 2 * SETTLE_ROUNDS);
    println!("seed {seed}, {rounds} rounds");

    let mut soak = SoakHarness::new().await;
    let mut churn = Churn::new(seed.into());
    soak.rounds.ended().await;

    while soak.done < WARM_UP_ROUNDS {
        churn.round(&mut soak.rounds).await;
        soak.round().await;
    }

    churn.calm_down(&mut soak.rounds).await;
    let page = soak.settle().await;
    let own = own_series(&page);
    result.fds_start = Some(ProcessStats::this().descriptors());

    assert_eq!(strangers(&soak.rounds, &page), Vec::<&str>::new(), "after the warm-up");

    while soak.done < rounds - SETTLE_ROUNDS {
        churn.round(&mut soak.rounds).await;
        soak.round().await;
        if soak.done.is_multiple_of(500) {
            println!("{} rounds, {:.1} MiB", soak.done, soak.resident.last().unwrap().1);
        }
    }

    churn.calm_down(&mut soak.rounds).await;
    let page = soak.settle().await;
    let strangers = strangers(&soak.rounds, &page);
    let own_more = own_series(&page).saturating_sub(own);
    result.rounds = Some(soak.done);
    result.rss_slope_mb_per_1000_rounds = Some(slope_per_1000(&soak.resident));
    result.fds_end = Some(ProcessStats::this().descriptors());
    result.series_leaked = Some(strangers.len() + own_more);
    write(&result);
    println!("{churn}");
    println!("{}", serde_json::to_string_pretty(&result).unwrap());

    for series in strangers.iter().take(10) {
        println!("left behind: {series}");
    }

    assert_eq!(result.series_leaked, Some(0), "series left behind");
    assert!(result.fds_end <= result.fds_start, "descriptors");
    assert!(result.rss_slope_mb_per_1000_rounds.unwrap() < SLOPE_MAX, "memory");

    println!("all targets met: less than {SLOPE_MAX} MiB in 1,000 rounds, nothing left behind");
}

#[test]
fn the_slope_of_a_line_is_found() {
    let line: Vec<(f64, f64)> =
        (0..100).map(|it| (f64::from(it), 7.0 + 0.25 * f64::from(it))).collect();
    assert!((slope_per_1000(&line) - 250.0).abs() < 1e-9);
}
