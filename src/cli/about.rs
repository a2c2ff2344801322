//! `version`, and `completion` for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

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
