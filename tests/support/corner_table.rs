//! The table of corner cases: the situation, what other exporters report, and what ours reports.
//!
//! The others' columns were measured once, on a real cluster of three brokers. Ours is what the
//! live tests see (`live::corner`): each compares what it saw with its row here, and writes the
//! rows of the run to `target/live/corner-cases.md`.

use std::{collections::BTreeMap, fmt::Write, path::Path, sync::Mutex};

const OTHERS: [&str; 5] = ["kafka_exporter", "kminion", "klag-exporter", "klag", "Burrow"];

pub(crate) struct Case {
    truth: &'static str,
    /// In the order of [`OTHERS`].
    others: [&'static str; 5],
    ours: &'static str,
}

const NOT_MEASURED: [&str; 5] = ["–"; 5];

pub(crate) const CASES: &[(Corner, Case)] = &[
    (
        Corner::CommitAhead,
        Case {
            truth: "commit 25, log end 10",
            others: ["−15", "0", "0", "0", "0"],
            ours: "0, and counted",
        },
    ),
    (
        Corner::CommitLost,
        Case {
            truth: "commit 3, log start 10, end 20: 10 readable, 7 lost",
            others: ["17", "17", "17, lost 7", "17", "17"],
            ours: "17, lost 7",
        },
    ),
    (
        Corner::NeverCommitted,
        Case {
            truth: "a partition never committed, beside a committed one",
            others: ["−1", "absent", "absent", "absent", "0"],
            ours: "absent, counted per topic",
        },
    ),
    (
        Corner::TopicDeleted,
        Case {
            truth: "topic deleted",
            others: [
                "dropped, one 4.5 s scrape",
                "dropped",
                "dropped",
                "dropped later",
                "stale for more than 51 s",
            ],
            ours: "dropped at the next snapshot",
        },
    ),
    (
        Corner::TopicRecreated,
        Case {
            truth: "topic deleted and created again, before a new commit",
            others: ["absent", "absent", "0 for 10 s", "absent", "0"],
            ours: "absent",
        },
    ),
    (
        Corner::BrokerFrozen,
        Case {
            truth: "one broker frozen: the values of the other two are known, its own are not",
            others: [
                "scrape hangs 20 to 23 s, once HTTP 500",
                "scrape hangs 10 to 20 s, then once HTTP 500 or 249 of 1,500 lags missing",
                "501 of 1,500 lags 0, still so 330 s after it",
                "stale page, for up to 53 s after it",
                "stale page, nothing says so",
            ],
            ours: "no wrong value; only its own are absent, and counted; all there again with its \
                   leaders",
        },
    ),
    (
        Corner::CoordinatorMoved,
        Case {
            truth: "a broker stopped and started: its groups move to others and back",
            others: NOT_MEASURED,
            ours: "each group once; absent for less than the broker was",
        },
    ),
    (
        Corner::Leaderless,
        Case {
            truth: "a partition without a leader",
            others: NOT_MEASURED,
            ours: "absent, and counted as leaderless",
        },
    ),
    (
        Corner::TopicForbidden,
        Case {
            truth: "a topic that we may not describe",
            others: NOT_MEASURED,
            ours: "absent; brokers hide it, so nothing can be counted",
        },
    ),
    (
        Corner::GroupForbidden,
        Case {
            truth: "a group that we may not describe",
            others: NOT_MEASURED,
            ours: "its members and lag are absent, and counted as unauthorized",
        },
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Corner {
    CommitAhead,
    CommitLost,
    NeverCommitted,
    TopicDeleted,
    TopicRecreated,
    BrokerFrozen,
    CoordinatorMoved,
    Leaderless,
    TopicForbidden,
    GroupForbidden,
}

/// The rows of this run, with what was measured.
static MEASURED: Mutex<BTreeMap<Corner, String>> = Mutex::new(BTreeMap::new());

/// Compares the result of a live test with its row, and writes the rows of this run so far.
#[track_caller]
pub(crate) fn seen(corner: Corner, ours: &str, measured: &str) {
    let (_, case) = CASES.iter().find(|it| it.0 == corner).expect("every corner has a row");
    assert_eq!(ours, case.ours, "{}", case.truth);

    println!("    {}: {ours} ({measured})", case.truth);
    let mut rows = MEASURED.lock().unwrap();
    rows.insert(corner, measured.to_owned());
    let of_run = |it: &Corner| rows.get(it).map(String::as_str);
    let path = Path::new("target/live/corner-cases.md");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, table(CASES.iter().filter(|it| rows.contains_key(&it.0)), of_run))
        .unwrap();
}

/// `measured` fills the last column, if there is one.
pub(crate) fn table<'a>(
    cases: impl Iterator<Item = &'a (Corner, Case)>,
    measured: impl Fn(&Corner) -> Option<&'a str>,
) -> String {
    let mut text = String::new();
    let mut line = |cells: &[&str]| writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    let mut head = vec!["situation"];
    head.extend(OTHERS);
    head.push("kafka-optimizer");
    line(&head);
    line(&vec!["---"; head.len()]);

    for (corner, case) in cases {
        let mut cells = vec![case.truth];
        cells.extend(case.others);
        let ours = match measured(corner) {
            Some(measured) if !measured.is_empty() => format!("{} ({measured})", case.ours),
            Some(_) | None => case.ours.to_owned(),
        };
        cells.push(&ours);
        line(&cells);
    }

    text
}
