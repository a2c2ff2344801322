//! From a file, or from bootstrap servers alone, to a checked [`Config`].
//!
//! The only place that reads YAML. Nothing here keeps state: reading twice gives the same answer.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use strsim::levenshtein;

use super::{
    Config, Problem, check,
    raw::{RawCluster, RawConfig},
};

/// A file with a token, or with one of the things that secure a connection, as found.
#[derive(Clone, Debug)]
pub struct SecretFile {
    pub text: String,
    /// Whether every user of the machine can read it.
    pub world_readable: bool,
}

/// Reads such a file. A seam, so that tests need no file.
pub type SecretReader<'a> = &'a dyn Fn(&Path) -> io::Result<SecretFile>;

/// A configuration, and what is legal in it but not wise.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Problem>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read the configuration {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Not YAML, or a key that is not known, or a value of another type.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Readable, but it does not make sense: all that is wrong, at once.
    #[error("{}", listed(.0))]
    Problems(Vec<Problem>),
}

/// Where the file stops being a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// From 1; absent when the parser cannot say.
    pub line: Option<usize>,
    /// From 1.
    pub column: Option<usize>,
    /// What is wrong, with the key's name.
    pub message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// Reads and checks a file, and the files that it names.
///
/// # Errors
///
/// See [`ConfigError`].
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, &read_token)
}

/// Reads and checks a text.
///
/// # Errors
///
/// See [`ConfigError`].
pub fn parse(text: &str, tokens: SecretReader<'_>) -> Result<Loaded, ConfigError> {
    check::check(from_yaml(text)?, tokens).map_err(ConfigError::Problems)
}

/// The configuration of a process that was only told where Kafka is: it collects, and that is all.
///
/// # Errors
///
/// When a server is not `host:port`.
pub fn of_servers(servers: &[String]) -> Result<Loaded, ConfigError> {
    let cluster = RawCluster { bootstrap_servers: Some(servers.to_vec()), ..RawCluster::default() };
    let raw = RawConfig { clusters: Some(vec![cluster]), remediation: None };
    check::check(raw, &read_token).map_err(ConfigError::Problems)
}

fn read_token(path: &Path) -> io::Result<SecretFile> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    Ok(SecretFile { text: fs::read_to_string(path)?, world_readable: mode & 0o004 != 0 })
}

/// The one place that knows the YAML library. An empty file is an empty configuration, which
/// `check` then refuses with what is missing.
pub(super) fn from_yaml<T: DeserializeOwned + Default>(text: &str) -> Result<T, SyntaxError> {
    let parsed: Result<Option<T>, _> = serde_yaml::from_str(text);
    parsed.map(Option::unwrap_or_default).map_err(|error| {
        let location = error.location();
        let message = error.to_string();
        // The place is said once, before the message, where editors look for it.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |it| it.0);
        SyntaxError {
            line: location.as_ref().map(serde_yaml::Location::line),
            column: location.as_ref().map(serde_yaml::Location::column),
            message: with_suggestion(message),
        }
    })
}

/// Rewrites serde's "unknown field" so that a person sees the key that was meant first.
fn with_suggestion(message: &str) -> String {
    let Some((place, rest)) = message.split_once("unknown field `") else {
        return message.to_owned();
    };
    let Some((written, rest)) = rest.split_once('`') else { return message.to_owned() };
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let all = known.join(", ");
    match nearest(written, &known) {
        Some(meant) => {
            format!("{place}unknown key `{written}`; did you mean `{meant}`? Known here: {all}")
        }
        None => format!("{place}unknown key `{written}`; known here: {all}"),
    }
}

/// The known key that `written` is probably a typo of: at most a third of its characters differ.
fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, meant) =
        known.iter().map(|it| (levenshtein(written, it), *it)).min_by_key(|it| it.0)?;
    (distance <= (meant.len() / 3).max(1)).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_near_and_another_word_is_not() {
        assert_eq!(
            nearest("colect_interval", &["name", "collect_interval"]),
            Some("collect_interval")
        );
        assert_eq!(nearest("nmae", &["name", "match"]), None);
        assert_eq!(nearest("names", &["name", "match"]), Some("name"));
        assert_eq!(nearest("kafka", &["clusters", "remediation"]), None);
    }
}
