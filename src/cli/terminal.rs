//! Where a command reads and writes, and how it ends.

use std::io::{self, BufRead, Write};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The server, the cluster or the run failed.
    Failed,
    /// Wrong arguments or a wrong configuration.
    Usage,
}

impl Exit {
    /// The process' exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
        }
    }
}

/// Who is at the other end of the standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    /// A person, who can be asked.
    Person,
    /// A script, which knows what it does.
    Script,
}

/// Where a command reads and writes.
pub struct Terminal<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// Errors, questions, progress.
    pub err: &'a mut dyn Write,
    /// Answers.
    pub input: &'a mut dyn BufRead,
    /// Whether anyone answers.
    pub interaction: Interaction,
}

impl std::fmt::Debug for Terminal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("interaction", &self.interaction).finish_non_exhaustive()
    }
}

/// Why a command ends early: one line what, one line what to do.
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

    pub(super) fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, what: what.into(), advice: advice.into() }
    }
}

impl From<io::Error> for Failure {
    /// Of a write. A reader that has gone (`| head`) has seen what it wanted.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Done, what: String::new(), advice: String::new() };
        }
        Self::new(format!("the output cannot be written: {error}"), "look at where it goes")
    }
}

/// Whether `--output` is for people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// Tables and sentences.
    Text,
    /// The API's JSON.
    Json,
}

/// Whether `--yes` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    Given,
    ToBeAsked,
}

impl From<bool> for Consent {
    fn from(yes: bool) -> Self {
        if yes { Self::Given } else { Self::ToBeAsked }
    }
}

impl Terminal<'_> {
    /// Asks a person before something changes. A script is not asked.
    pub(super) fn confirm(&mut self, consent: Consent, what: &str) -> Result<(), Failure> {
        if consent == Consent::Given || self.interaction == Interaction::Script {
            return Ok(());
        }
        write!(self.err, "{what} Go on? [y/N] ")?;
        self.err.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new("not confirmed, nothing was changed", "answer y, or give --yes")),
        }
    }

    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        Ok(writeln!(self.out, "{text}")?)
    }

    pub(super) fn failed(&mut self, failure: &Failure) -> Exit {
        if failure.exit != Exit::Done {
            // Where the error itself cannot be written, the exit code is left to say it.
            let _unwritable = writeln!(self.err, "error: {}\n  {}", failure.what, failure.advice);
        }
        failure.exit
    }

    /// Arguments that cannot be read, or a request for help.
    pub(super) fn usage(&mut self, error: &clap::Error) -> Exit {
        let text = error.render();
        if error.use_stderr() {
            let _unwritable = write!(self.err, "{text}");
            return Exit::Usage;
        }
        let _unwritable = write!(self.out, "{text}");
        Exit::Done
    }
}
