//! Loads a checked [`Config`] from a file, or from bootstrap servers alone.
//!
//! The only code that parses YAML. Stateless.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use strsim::levenshtein;

use super::{
    AccessConfig, Config, Problem, check,
    raw::{RawCluster, RawConfig},
};
use crate::security::{FileStamps, SECRET_BYTES_MAX, read_limited};

/// Largest configuration file: 60 MB name 2.5 million servers.
const CONFIG_BYTES_MAX: u64 = 64 << 20;

/// Content of a file with a token, password, key or certificate.
#[derive(Clone, Debug)]
pub struct SecretFile {
    pub text: String,
    /// Whether the file's mode lets every user read it.
    pub world_readable: bool,
}

/// Reads a [`SecretFile`]. Tests pass a function that needs no file.
pub type SecretReader<'a> = &'a dyn Fn(&Path) -> io::Result<SecretFile>;

/// A valid configuration, and warnings about what is legal but unwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Problem>,
}

/// Why a configuration is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Not YAML, an unknown or duplicate key, or a value of the wrong type.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Well-formed, but with invalid values: all of them.
    #[error("{}", listed(.0))]
    Problems(Vec<Problem>),
}

/// A syntax error, with its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// From 1; `None` if the parser does not know it.
    pub line: Option<usize>,
    /// From 1; `None` if the parser does not know it.
    pub column: Option<usize>,
    /// What is wrong, with the name of the key.
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

/// Reads and checks a file, and the files that it names. Relative paths in it are relative to its
/// own directory.
///
/// # Errors
///
/// See [`ConfigError`].
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let text = read_text(path, CONFIG_BYTES_MAX)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;

    let mut raw: RawConfig = from_yaml(&text)?;
    raw.resolve_paths(path.parent().unwrap_or(Path::new("")));

    check::check(raw, &read_token).map_err(ConfigError::Problems)
}

/// The token files at the last check for a change.
#[derive(Clone, Debug)]
pub struct TokenStamps(FileStamps);

impl TokenStamps {
    /// Before the first check, which reads the files: they may have changed since the start.
    pub fn unchecked() -> Self {
        Self(FileStamps::of_paths([]))
    }

    /// Reads the token files of `access` again if one of them has changed. Blocks.
    ///
    /// # Errors
    ///
    /// If one of them cannot be used.
    pub fn reread(&mut self, access: &AccessConfig) -> Result<Option<AccessConfig>, ConfigError> {
        let now = FileStamps::of_paths(access.tokens.iter().map(|it| it.file.as_path()));
        if now == self.0 {
            return Ok(None);
        }

        // After a failure the files are read again: it may have been the machine's.
        let access = check::access::reread(access, &read_token).map_err(ConfigError::Problems)?;
        self.0 = now;

        Ok(Some(access))
    }
}

fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let bytes = read_limited(path, bytes_max)?;
    String::from_utf8(bytes).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8: save it in that encoding")
    })
}

/// Reads and checks a text. Relative paths in it are relative to the working directory.
///
/// # Errors
///
/// See [`ConfigError`].
pub fn parse(text: &str, tokens: SecretReader<'_>) -> Result<Loaded, ConfigError> {
    check::check(from_yaml(text)?, tokens).map_err(ConfigError::Problems)
}

/// The configuration of a process that was given only bootstrap servers: it only exports metrics.
///
/// # Errors
///
/// If a server is not `host:port`.
pub fn of_servers(servers: &[String]) -> Result<Loaded, ConfigError> {
    let cluster = RawCluster { bootstrap_servers: Some(servers.to_vec()), ..RawCluster::default() };
    let raw = RawConfig { clusters: Some(vec![cluster]), remediation: None };
    check::check(raw, &read_token).map_err(ConfigError::Problems)
}

fn read_token(path: &Path) -> io::Result<SecretFile> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    Ok(SecretFile { text: read_text(path, SECRET_BYTES_MAX)?, world_readable: mode & 0o004 != 0 })
}

/// The only use of the YAML library. An empty file is an empty configuration; `check` then reports
/// what is missing.
pub(super) fn from_yaml<T: DeserializeOwned + Default>(text: &str) -> Result<T, SyntaxError> {
    let parsed: Result<Option<T>, _> = serde_yaml::from_str(text);
    parsed.map(Option::unwrap_or_default).map_err(|error| {
        let location = error.location();
        let message = error.to_string();

        // The position goes before the message, where editors look for it.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |it| it.0);
        SyntaxError {
            line: location.as_ref().map(serde_yaml::Location::line),
            column: location.as_ref().map(serde_yaml::Location::column),
            message: with_advice(&with_suggestion(message)),
        }
    })
}

/// What to do about a message of the parser, by a part of it.
const ADVICE: &[(&str, &str)] = &[
    ("unknown key `<<`", "merge keys are not supported: write the keys out"),
    ("cannot start any token", "indent with spaces, not with tabs"),
    ("more than one document", "keep one document: remove `---` and what follows it"),
    ("expected a boolean", "write true or false"),
    ("expected a sequence", "write a list, such as [kafka-1:9092, kafka-2:9092]"),
];

/// Words of the parser that name types of this program, and what they mean in a file.
const PLAIN_WORDS: &[(&str, &str)] = &[
    ("expected u64", "expected a whole number"),
    ("expected u32", "expected a whole number"),
    ("expected i32", "expected a whole number"),
    ("expected f64", "expected a number"),
];

/// Adds what to do, and leaves out the names of this program's types.
fn with_advice(message: &str) -> String {
    let mut message = match message.split_once("expected struct ") {
        Some((before, name)) => {
            let rest = name.trim_start_matches(|it: char| it.is_ascii_alphanumeric());
            format!("{before}expected keys with values{rest}")
        }
        None => message.to_owned(),
    };

    for (word, plain) in PLAIN_WORDS {
        message = message.replace(word, plain);
    }

    match ADVICE.iter().find(|it| message.contains(it.0)) {
        Some((_, advice)) => format!("{message}; {advice}"),
        None => message,
    }
}

/// Rewrites serde's "unknown field" error so that it suggests the key that was probably meant.
fn with_suggestion(message: &str) -> String {
    let Some((prefix, rest)) = message.split_once("unknown field `") else {
        return message.to_owned();
    };

    let Some((written, rest)) = rest.split_once('`') else { return message.to_owned() };
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let all = known.join(", ");

    match nearest(written, &known) {
        Some(meant) => {
            format!("{prefix}unknown key `{written}`; did you mean `{meant}`? Known keys: {all}")
        }
        None => format!("{prefix}unknown key `{written}`; known keys: {all}"),
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
