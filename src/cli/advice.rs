//! How advice to clients is printed for people, in 80 columns.

use std::io::{self, Write};

use super::{
    findings::{not_seen, paragraph},
    show::{plain, rendered, table},
};
use crate::{
    http::advice::{
        AdvicePayload, ClientVersionPayload, ClusterAdvicePayload, EffectPayload,
        TopicMeasurePayload,
    },
    model::{significant, thousands},
};

pub(super) fn cluster(
    advice: &ClusterAdvicePayload,
    width: u16,
    out: &mut dyn Write,
) -> io::Result<()> {
    let number = match advice.advice.len() {
        0 => "nothing to change, by what was measured".to_owned(),
        1 => "1 change".to_owned(),
        more => format!("{more} changes"),
    };
    writeln!(out, "\nADVICE  to the clients of {}: {number}", plain(&advice.cluster))?;

    for it in &advice.advice {
        one(it, width, out)?;
    }

    measured(&advice.topics, width, out)?;
    clients(&advice.clients, width, out)?;

    not_seen(&advice.not_seen, width, out)
}

fn one(advice: &AdvicePayload, width: u16, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}: {}\n", plain(&advice.title), plain(&advice.subject))?;
    for (setting, value) in &advice.settings {
        writeln!(out, "    {}={}", plain(setting), plain(value))?;
    }

    let mut rows = table(&["    EFFECT", "NOW", "AFTER", "BETWEEN"]);
    for EffectPayload { what, now, after, low, high } in &advice.effects {
        let between = format!("{} and {}", number(*low), number(*high));
        rows.add_row(vec![format!("    {}", plain(what)), number(*now), number(*after), between]);
    }
    writeln!(out, "\n{}\n", rendered(rows, Some(width)))?;

    for (what, text) in [
        ("Measured", &advice.measured),
        ("Estimated by", &advice.formula),
        ("Source", &advice.source),
        ("Assumes", &advice.assumes),
    ] {
        paragraph(&format!("{what}: {text}."), 2, width, out)?;
    }

    Ok(())
}

/// The sampled topics as a table.
fn measured(topics: &[TopicMeasurePayload], width: u16, out: &mut dyn Write) -> io::Result<()> {
    if topics.is_empty() {
        return Ok(());
    }

    let mut rows = table(&["TOPIC", "RECORDS/S", "BATCHES/S", "RECORDS", "BYTES", "CODEC", "LZ4"]);
    for it in topics {
        let unknown = |value: Option<f64>| value.map_or("-".to_owned(), |it| number(it.round()));
        let codecs: Vec<&str> = it.codecs.keys().map(String::as_str).collect();
        let ratio = it.lz4.as_ref().map(|it| format!("{:.0} %", it.ratio * 100.0));
        rows.add_row(vec![
            plain(&it.topic),
            unknown(it.records_per_second),
            unknown(it.batches_per_second),
            number(it.records_per_batch),
            number(it.bytes_per_batch.round()),
            plain(&codecs.join(",")),
            ratio.unwrap_or("-".to_owned()),
        ]);
    }

    writeln!(out, "\nSampled: records and bytes of a batch, and its size after LZ4\n")?;

    writeln!(out, "{}", rendered(rows, Some(width)))
}

/// The software of the clients, as a sentence.
fn clients(clients: &[ClientVersionPayload], width: u16, out: &mut dyn Write) -> io::Result<()> {
    if clients.is_empty() {
        return Ok(());
    }

    let each = clients.iter().map(|it| {
        // What brokers report of a client that did not introduce itself (KIP-511).
        let name = match (it.software.as_str(), it.version.as_str()) {
            ("unknown", "unknown") => "others that do not say what they are".to_owned(),
            (software, version) => format!("{software} {version}"),
        };

        format!("{name} ({} connections)", number(it.connections))
    });
    let text = format!("Clients: {}.", each.collect::<Vec<_>>().join(", "));

    writeln!(out)?;

    paragraph(&text, 0, width, out)
}

/// A number that people compare with another.
fn number(value: f64) -> String {
    if value >= 100.0 { thousands(value) } else { significant(value) }
}
