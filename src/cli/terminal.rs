//! Input, output and exit codes, shared by all commands.

use std::io::{self, BufRead, Write};

/// How the process ends; [`Exit::code`] is part of the contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// The server, the cluster or the run failed.
    Failed,
    /// Wrong arguments or a wrong configuration.
    Usage,
    /// `analyze --exit-code` found something yellow.
    Yellow,
    /// `analyze --exit-code` found something red.
    Red,
    /// `analyze --exit-code` could see nothing.
    Unknown,
}

impl Exit {
    /// The process exit code: 0 to 3.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed | Self::Yellow => 1,
            Self::Usage | Self::Red => 2,
            Self::Unknown => 3,
        }
    }
}

/// The streams of a command. Tests pass buffers.
pub struct Terminal<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Errors, questions and progress.
    pub err: &'a mut dyn Write,
    /// Where answers to questions are read from.
    pub input: &'a mut dyn BufRead,
    /// Whether a person is at the terminal. Only then does a command ask before it acts.
    pub interactive: bool,
    /// Columns of the terminal, which tables fit into. `None` if the output goes elsewhere.
    pub width: Option<u16>,
    /// Lets a person choose with the arrow keys: a question, the choices, and the place of the one
    /// that was chosen. `None` where there are no keys to read; then a choice is a number.
    pub choose_by_keys: Option<ChooseByKeys>,
}

/// Asks a question, and returns the place of the choice; `None` if the person wants none.
pub type ChooseByKeys = fn(&str, &[String]) -> io::Result<Option<usize>>;

impl std::fmt::Debug for Terminal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("interactive", &self.interactive).finish_non_exhaustive()
    }
}

/// Why a command ends early: a line that says what failed, and a line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    exit: Exit,
    what: String,
    advice: String,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, what: what.into(), advice: advice.into() }
    }

    /// Whether the reader of the output has gone away.
    pub(super) fn ends_quietly(&self) -> bool {
        self.exit == Exit::Done
    }

    pub(super) fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, what: what.into(), advice: advice.into() }
    }
}

impl From<io::Error> for Failure {
    /// A failed write. A closed pipe (`| head`) is no failure: the reader has all it wanted.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Done, what: String::new(), advice: String::new() };
        }

        let advice = "check where the output is redirected to";

        Self::new(format!("cannot write the output: {error}"), advice)
    }
}

/// `--output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// Tables and sentences for people.
    Text,
    /// JSON as the API returns it.
    Json,
}

/// Errors with `--output json`: one object, on `err`.
fn json_error(what: &str, advice: &str) -> String {
    serde_json::json!({"error": what, "advice": advice}).to_string()
}

impl Terminal<'_> {
    /// Asks a person to confirm `what`, a sentence. Scripts are not asked, nor is anyone who gave
    /// `--yes`.
    pub(super) fn confirm(&mut self, yes: bool, what: &str) -> Result<(), Failure> {
        if yes || !self.interactive {
            return Ok(());
        }

        write!(self.err, "{what} Continue? [y/N] ")?;
        self.err.flush()?;

        let mut answer = String::new();
        self.input.read_line(&mut answer)?;

        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new("not confirmed, nothing was changed", "answer y, or pass --yes")),
        }
    }

    /// Lets a person choose one of `choices`, by its number from 1 or with the arrow keys. `None`
    /// if they choose none.
    pub(super) fn choose(
        &mut self,
        question: &str,
        choices: &[&str],
    ) -> Result<Option<usize>, Failure> {
        let lines: Vec<String> =
            choices.iter().zip(1..).map(|(it, number)| format!("{number:>2}  {it}")).collect();
        if let Some(choose) = self.choose_by_keys {
            return Ok(choose(question, &lines)?);
        }

        writeln!(self.err, "{question}")?;
        for line in &lines {
            writeln!(self.err, "{line}")?;
        }

        while let Some(answer) = self.ask("Number (empty to leave): ")? {
            let number = answer.parse::<usize>().ok().filter(|it| (1..=lines.len()).contains(it));
            if let Some(number) = number {
                return Ok(Some(number - 1));
            }

            writeln!(self.err, "`{answer}` is not a number from 1 to {}.", lines.len())?;
        }

        Ok(None)
    }

    /// Asks for a line of text. `None` if it is empty, or the input has ended.
    pub(super) fn ask(&mut self, question: &str) -> Result<Option<String>, Failure> {
        write!(self.err, "{question}")?;
        self.err.flush()?;

        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        let answer = answer.trim();

        Ok((!answer.is_empty()).then(|| answer.to_owned()))
    }

    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        Ok(writeln!(self.out, "{text}")?)
    }

    pub(super) fn report_failure(&mut self, failure: &Failure, output: Output) -> Exit {
        if failure.exit != Exit::Done {
            let text = match output {
                Output::Text => format!("error: {}\n  {}", failure.what, failure.advice),
                Output::Json => json_error(&failure.what, &failure.advice),
            };
            // If even this cannot be written, the exit code still tells.
            let _unwritable = writeln!(self.err, "{text}");
        }

        failure.exit
    }

    /// Prints what clap has to say: help and version to `out`, wrong arguments to `err`.
    pub(super) fn report_usage(&mut self, error: &clap::Error, output: Output) -> Exit {
        let text = error.render();
        if error.use_stderr() && output == Output::Json {
            let text = text.to_string();
            let what = text.split("\n\nUsage:").next().unwrap_or_default();
            let what = what.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            let what = what.trim_start_matches("error: ");
            let advice = "`kafka-optimizer help COMMAND` shows the arguments";
            let _unwritable = writeln!(self.err, "{}", json_error(what, advice));
            return Exit::Usage;
        }

        if error.use_stderr() {
            let _unwritable = write!(self.err, "{text}");
            return Exit::Usage;
        }

        let _unwritable = write!(self.out, "{text}");

        Exit::Done
    }
}
