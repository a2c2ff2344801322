//! OpenMetrics, as the library writes it, to the text format 0.0.4.

/// Names a counter's HELP and TYPE as its samples are named, and leaves the end marker out. The full
/// stop that the library puts after every help text goes too: help is exactly what the catalogue says.
pub(super) fn from_open_metrics(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 256);
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            continue;
        }
        if let Some((name, help)) = comment(line, "# HELP ") {
            // The TYPE of a metric is on the line below its HELP.
            let kind = lines.peek().and_then(|next| comment(next, "# TYPE "));
            let suffix = counter_suffix(kind.map(|(_, kind)| kind));
            let help = help.strip_suffix('.').unwrap_or(help);
            push(&mut text, &["# HELP ", name, suffix, " ", help]);
        } else if let Some((name, kind)) = comment(line, "# TYPE ") {
            push(&mut text, &["# TYPE ", name, counter_suffix(Some(kind)), " ", kind]);
        } else {
            push(&mut text, &[line]);
        }
    }
    text
}

fn comment<'a>(line: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(keyword)?.split_once(' ')
}

fn counter_suffix(kind: Option<&str>) -> &'static str {
    if kind == Some("counter") { "_total" } else { "" }
}

fn push(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}
