//! `check-config`: checks a configuration file before it is used.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::terminal::{Exit, Failure, Output, Terminal};
use crate::config::{self, ConfigError, Loaded, Problem};

/// Check a configuration file, and report all its problems at once.
///
/// Also reads the files that it names (token, certificates, passwords). Connects to no broker and
/// no Prometheus. Exit code 0 if the file is valid, 2 if it is not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer check-config config.yaml
  kafka-optimizer check-config config.yaml --output json")]
pub(super) struct CheckConfigArgs {
    /// Path of the configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Output for people or for programs.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Result with `--output json`.
#[derive(Serialize)]
struct ConfigReport {
    valid: bool,
    problems: Vec<ProblemEntry>,
    warnings: Vec<ProblemEntry>,
}

#[derive(Serialize)]
struct ProblemEntry {
    /// Where in the file: `clusters[0].name`; empty if the file is no valid YAML.
    path: String,
    text: String,
    /// From 1; only for syntax errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

impl From<&Problem> for ProblemEntry {
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
            Output::Text => self.print(&loaded, terminal)?,
        }

        Ok(exit)
    }

    fn print(
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
                    "{file} is valid: clusters {}; mode {}; playbooks {}",
                    names.join(", "),
                    config.remediation.mode,
                    config.remediation.playbooks.len(),
                )?;

                Ok(())
            }
            Err(error) => Err(failure(&file.to_string(), error)),
        }
    }
}

fn report(loaded: &Result<Loaded, ConfigError>) -> ConfigReport {
    let problem =
        |text: String, line, column| ProblemEntry { path: String::new(), text, line, column };
    let (problems, warnings) = match loaded {
        Ok(loaded) => (Vec::new(), loaded.warnings.iter().map(ProblemEntry::from).collect()),
        Err(ConfigError::Problems(all)) => {
            (all.iter().map(ProblemEntry::from).collect(), Vec::new())
        }
        Err(ConfigError::Syntax(error)) => {
            (vec![problem(error.message.clone(), error.line, error.column)], Vec::new())
        }
        Err(error @ ConfigError::Read { .. }) => {
            (vec![problem(with_cause(error), None, None)], Vec::new())
        }
    };

    ConfigReport { valid: loaded.is_ok(), problems, warnings }
}

/// The message of `check-config` and of `serve`.
pub(super) fn failure(file: &str, error: &ConfigError) -> Failure {
    let advice = "docs/config.md explains every key; config/reference.yaml shows its default";
    match error {
        ConfigError::Read { .. } => {
            Failure::usage(with_cause(error), "check the path and its permissions")
        }
        ConfigError::Syntax(error) => Failure::usage(format!("{file}: {error}"), advice),
        ConfigError::Problems(problems) => {
            let lines: Vec<String> = problems.iter().map(|it| format!("\n  {it}")).collect();
            let count = match problems.len() {
                1 => "1 problem".to_owned(),
                many => format!("{many} problems"),
            };

            let what = format!("{file} has {count}:{}", lines.concat());
            Failure::usage(what, advice)
        }
    }
}

fn with_cause(error: &ConfigError) -> String {
    let cause = std::error::Error::source(error).map(|it| format!(": {it}"));
    format!("{error}{}", cause.unwrap_or_default())
}
