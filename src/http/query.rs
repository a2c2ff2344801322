//! Queries of paths, for links of the pages and for the client on the command line.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The path with those parameters that have a value.
pub fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let written: Vec<String> = parameters
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|it| (name, it)))
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();

    if written.is_empty() { path.to_owned() } else { format!("{path}?{}", written.join("&")) }
}
