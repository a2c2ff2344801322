//! Converts the library's OpenMetrics output to the text format 0.0.4.

/// Adds `_total` to the HELP and TYPE of counters, and removes the end marker and the full stop
/// that the library appends to help texts. Sorts samples, so that equal values give equal text.
pub(super) fn from_open_metrics(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 256);
    let mut samples: Vec<&str> = Vec::new();
    let mut kind = "";
    let mut lines = open.lines().filter(|it| *it != "# EOF").peekable();
    while let Some(line) = lines.next() {
        if let Some((name, help)) = comment(line, "# HELP ") {
            flush(&mut text, &mut samples, kind);
            // The TYPE line follows the HELP line.
            kind = lines.peek().and_then(|it| comment(it, "# TYPE ")).map_or("", |it| it.1);
            let help = help.strip_suffix('.').unwrap_or(help);
            push(&mut text, &["# HELP ", name, counter_suffix(kind), " ", help]);
        } else if let Some((name, kind)) = comment(line, "# TYPE ") {
            push(&mut text, &["# TYPE ", name, counter_suffix(kind), " ", kind]);
        } else {
            samples.push(line);
        }
    }

    flush(&mut text, &mut samples, kind);

    text
}

fn comment<'a>(line: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(keyword)?.split_once(' ')
}

fn counter_suffix(kind: &str) -> &'static str {
    if kind == "counter" { "_total" } else { "" }
}

fn flush(text: &mut String, samples: &mut Vec<&str>, kind: &str) {
    // Buckets are already in the order of their bounds; sorting by text would change it.
    if kind == "histogram" {
        samples.sort_by_key(|it| histogram_labels(it));
    } else {
        samples.sort_unstable();
    }

    for sample in samples.drain(..) {
        push(text, &[sample]);
    }
}

/// The labels of a histogram sample without `le`, which the library writes first. They identify the
/// histogram within its family.
fn histogram_labels(sample: &str) -> &str {
    let labels = sample.split_once('{').map_or("", |(_, rest)| rest);
    let labels = labels.rsplit_once('}').map_or(labels, |(labels, _)| labels);
    match labels.strip_prefix("le=\"") {
        Some(rest) => rest.split_once("\",").map_or("", |(_, others)| others),
        None => labels,
    }
}

fn push(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}
