//! `docs/corner-cases.md` has the table of the live tests.

use std::path::Path;

use crate::corner_table::{CASES, table};

const HEAD: &str = "\
# Corner cases

What exporters of consumer lag report in unusual situations, on a real cluster of three brokers.
Written by `make golden`.
The live tests check the last column at each run (`tests/live/corner.rs`), and write what they \
measured to `target/live/corner-cases.md`.
The others were measured once, on Kafka 4.4, each in its fastest sensible mode: \
kafka_exporter 953e2f1, kminion 4f3867a, klag-exporter 0.1.29, klag fc080c7e, Burrow ced55ba.
A dash means that it was not measured.

";

#[test]
fn the_documentation_has_the_table_of_corner_cases() {
    let path = Path::new("docs/corner-cases.md");
    let text = format!("{HEAD}{}", table(CASES.iter(), |_| None));

    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }

    let written = std::fs::read_to_string(path).unwrap_or_default();

    assert_eq!(written, text, "run it again with UPDATE_GOLDEN=1");
}
