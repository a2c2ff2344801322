//! `version`, `completion` for shells, and `man`.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{
    Arguments,
    terminal::{Exit, Failure, Terminal},
};

/// Print the version.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct VersionArgs {}

impl VersionArgs {
    pub(super) fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let Self {} = self;
        writeln!(terminal.out, "kafka-optimizer {}", env!("CARGO_PKG_VERSION"))?;

        Ok(Exit::Done)
    }
}

/// Print a script that completes commands and options in a shell.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer completion bash > /etc/bash_completion.d/kafka-optimizer
  source <(kafka-optimizer completion zsh)
  kafka-optimizer completion fish > ~/.config/fish/completions/kafka-optimizer.fish")]
pub(super) struct CompletionArgs {
    /// The shell that reads the script.
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionArgs {
    pub(super) fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        // Written as a whole: the generator panics if a write fails.
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut Arguments::command(),
            "kafka-optimizer",
            &mut script,
        );
        terminal.out.write_all(&script)?;

        Ok(Exit::Done)
    }
}

/// Write the manual pages, one for each command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer man | man -l -                         read the page of the program as a whole
  kafka-optimizer man --out /usr/local/share/man/man1    install all pages
  man kafka-optimizer-runs                               read the page of a command")]
pub(super) struct ManArgs {
    /// Folder that the pages are written to. Without it the page of the program as a whole is
    /// printed.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl ManArgs {
    pub(super) fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let Some(folder) = self.out else {
            Man::new(Arguments::command()).render(&mut terminal.out)?;
            return Ok(Exit::Done);
        };

        write_pages(&folder).map_err(|error| {
            let what = format!("cannot write manual pages to {}: {error}", folder.display());
            Failure::new(what, "pass a folder that you may write to")
        })?;
        writeln!(terminal.out, "The manual pages are in {}.", folder.display())?;

        Ok(Exit::Done)
    }
}

fn write_pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Arguments::command(), folder)
}
