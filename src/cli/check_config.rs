//! `check-config`: what is wrong with a file, before it is used.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::terminal::{Exit, Failure, Output, Terminal};
use crate::config::{self, ConfigError, Loaded, Problem};

/// Check a configuration file, and say everything that is wrong with it at once.
///
/// Reads the token file too; asks no broker and no Prometheus. Exit code 0 when the file is good, 2
/// when it is not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer check-config config.yaml
  kafka-optimizer check-config config.yaml --output json")]
pub(super) struct CheckConfigArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// For people, or for programs.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What a program reads.
#[derive(Serialize)]
struct ConfigReport {
    valid: bool,
    problems: Vec<Entry>,
    warnings: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    path: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

impl From<&Problem> for Entry {
    fn from(problem: &Problem) -> Self {
        let (path, text) = (problem.path.clone(), problem.advice.clone());
        Self { path, text, line: None, column: None }
    }
}

impl CheckConfigArgs {
    pub(super) fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let loaded = config::load(&self.file);
        let exit = if loaded.is_ok() { Exit::Done } else { Exit::Usage };
        match self.output {
            Output::Json => terminal.json(&report(&loaded))?,
            Output::Text => self.tell(&loaded, terminal)?,
        }
        Ok(exit)
    }

    fn tell(
        &self,
        loaded: &Result<Loaded, ConfigError>,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        let file = self.file.display();
        match loaded {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    writeln!(terminal.err, "warning: {warning}")?;
                }
                let config = &loaded.config;
                let names: Vec<&str> = config.clusters.iter().map(|it| it.name.as_str()).collect();
                writeln!(
                    terminal.out,
                    "{file} is good: clusters {}; mode {}; playbooks {}",
                    names.join(", "),
                    config.remediation.mode,
                    config.remediation.playbooks.len(),
                )?;
                Ok(())
            }
            Err(error) => Err(refused(&file.to_string(), error)),
        }
    }
}

fn report(loaded: &Result<Loaded, ConfigError>) -> ConfigReport {
    let problem = |text: String, line, column| Entry { path: String::new(), text, line, column };
    let (problems, warnings) = match loaded {
        Ok(loaded) => (Vec::new(), loaded.warnings.iter().map(Entry::from).collect()),
        Err(ConfigError::Problems(all)) => (all.iter().map(Entry::from).collect(), Vec::new()),
        Err(ConfigError::Syntax(error)) => {
            (vec![problem(error.message.clone(), error.line, error.column)], Vec::new())
        }
        Err(error @ ConfigError::Read { .. }) => {
            (vec![problem(with_cause(error), None, None)], Vec::new())
        }
    };
    ConfigReport { valid: loaded.is_ok(), problems, warnings }
}

/// The same words for `check-config` and for `serve`.
pub(super) fn refused(file: &str, error: &ConfigError) -> Failure {
    let example = "docs/config.md explains every key, config/reference.yaml shows its default";
    match error {
        ConfigError::Read { .. } => {
            Failure::usage(with_cause(error), "look at the path and at its permissions")
        }
        ConfigError::Syntax(error) => Failure::usage(format!("{file}: {error}"), example),
        ConfigError::Problems(problems) => {
            let lines: Vec<String> = problems.iter().map(|it| format!("\n  {it}")).collect();
            let many = if problems.len() == 1 { "1 problem" } else { "problems" };
            let what = format!("{file} has {many}:{}", lines.concat());
            Failure::usage(what, example)
        }
    }
}

fn with_cause(error: &ConfigError) -> String {
    let cause = std::error::Error::source(error).map(|it| format!(": {it}"));
    format!("{error}{}", cause.unwrap_or_default())
}
