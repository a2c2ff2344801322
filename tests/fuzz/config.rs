//! Mutated configurations.

use std::{io, path::Path};

use kafka_optimizer::config::{SecretFile, parse};
use rand::RngExt;

use crate::{
    campaign::{Bound, Campaign},
    fake_broker::mutate_text,
};

const FILES: &[&str] = &[
    include_str!("../../config/reference.yaml"),
    include_str!("../../lab/kafka-optimizer.yml"),
    "clusters: [{bootstrap_servers: [kafka-1:9092]}]",
];

/// Tokens to insert, valid and misplaced.
const WORDS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "- ",
    "\n",
    "  ",
    "\t",
    "#",
    "?",
    "|\n",
    ">\n",
    "'",
    "\"",
    "\\x",
    "&a ",
    "*a",
    "<<: *a",
    "!!int ",
    "!x ",
    "---\n",
    "...\n",
    "%YAML 9.9\n",
    "~",
    "null",
    "true",
    "0x",
    "0o7",
    ".inf",
    ".nan",
    "-1",
    "1e999",
    "99999999999999999999",
    "18446744073709551616y",
    "1000000000000d",
    "0.0000001ns",
    "5m5m",
    "-5m",
    "120%",
    "NaN%",
    "$x",
    "$kafka_cluster",
    "clusters:",
    "name:",
    "bootstrap_servers:",
    "playbooks:",
    "match:",
    "query:",
    "[::1]:9092",
    ":99999",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "\u{1f600}",
];

#[expect(clippy::unnecessary_wraps, reason = "a `SecretReader` may fail")]
fn token(_: &Path) -> io::Result<SecretFile> {
    Ok(SecretFile { text: "0123456789abcdef\n".to_owned(), world_readable: true })
}

#[test]
fn no_configuration_causes_a_panic_a_hang_or_much_memory() {
    let campaign = Campaign {
        target: "configurations",
        usual: 1_500,
        weight: 1,
        bound: Bound { per_byte: 512, beside: 1 << 20 },
    };
    campaign.run(|chance| {
        let mut file = FILES[chance.random_range(0..FILES.len())].as_bytes().to_vec();
        mutate_text(chance, &mut file, WORDS);
        let text = String::from_utf8_lossy(&file);

        // The error must have a message.
        if let Err(error) = parse(&text, &token) {
            assert!(!error.to_string().is_empty());
        }

        text.len()
    });
}
