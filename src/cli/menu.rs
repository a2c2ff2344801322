//! `menu`: the commands that people need most, one choice away.
//!
//! Each choice prints the command that it stands for, then runs it, so that a person learns the
//! commands on the way.

use std::ffi::OsString;

use clap::{Args, ValueEnum, builder::PossibleValue};

use super::{
    client::ServerArgs,
    order::LevelArg,
    terminal::{Exit, Failure, Terminal},
};

/// Choose what to do from a menu, with the arrow keys or by number.
///
/// Each choice prints the command that it runs. What changes something asks first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer menu
  kafka-optimizer menu --server https://optimizer:9308 --token-file TOKEN_FILE")]
pub(super) struct MenuArgs {
    /// Name of the cluster; may be left out if the server has only one.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// One line of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MenuItem {
    Status,
    Runs,
    TemporaryChanges,
    TuneBrokers,
    RollBack,
    Journal,
    Pause,
    Resume,
    CheckConfig,
}

/// At most nine: whoever types 1 does not mean 10.
const ITEMS: [(MenuItem, &str); 9] = [
    (MenuItem::Status, "What is going on now"),
    (MenuItem::Runs, "The latest runs, and one of them in detail"),
    (MenuItem::TemporaryChanges, "Temporary changes in effect"),
    (MenuItem::TuneBrokers, "Tune the thread pools of brokers"),
    (MenuItem::RollBack, "Roll back a run"),
    (MenuItem::Journal, "The journal: what happened, and who ordered it"),
    (MenuItem::Pause, "Pause: no run starts"),
    (MenuItem::Resume, "Resume: runs start again"),
    (MenuItem::CheckConfig, "Check a configuration file"),
];

impl MenuArgs {
    /// Until the person has had enough. The exit code is 0: each command has said what failed.
    pub(super) fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let texts: Vec<&str> = ITEMS.iter().map(|it| it.1).collect();

        while let Some(chosen) = terminal.choose("What do you want to do?", &texts)? {
            if let Some((item, _)) = ITEMS.get(chosen) {
                self.carry_out(*item, terminal)?;
            }

            writeln!(terminal.err)?;
        }

        Ok(Exit::Done)
    }

    fn carry_out(&self, item: MenuItem, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        match item {
            MenuItem::Status => self.command(&["status"], terminal)?,
            MenuItem::Runs => {
                self.command_of_cluster(&["runs"], terminal)?;
                let Some(run) = number_of_run(terminal)? else { return Ok(()) };
                self.command(&["runs", &run], terminal)?
            }
            MenuItem::TemporaryChanges => self.command(&["temporary-changes"], terminal)?,
            MenuItem::TuneBrokers => return self.tune(terminal),
            MenuItem::RollBack => return self.roll_back(terminal),
            MenuItem::Journal => self.command_of_cluster(&["journal"], terminal)?,
            MenuItem::Pause => self.command(&["pause"], terminal)?,
            MenuItem::Resume => self.command(&["resume"], terminal)?,
            MenuItem::CheckConfig => {
                let Some(file) = terminal.ask("Path of the file: ")? else { return Ok(()) };
                run_printed(&["check-config", "--", &file], terminal)?
            }
        };

        Ok(())
    }

    /// Rehearses first, so that the person has seen the plan before it is carried out.
    fn tune(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let levels: Vec<PossibleValue> =
            LevelArg::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
        let texts: Vec<String> = levels.iter().map(with_meaning).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let Some(chosen) = terminal.choose("To which level?", &texts)? else { return Ok(()) };
        let Some(level) = levels.get(chosen).map(PossibleValue::get_name) else { return Ok(()) };
        let broker = terminal.ask("Id of the broker (empty for all brokers): ")?;

        let mut order = vec!["tune-brokers", "--level", level];
        if let Some(broker) = &broker {
            order.extend(["--broker", broker]);
        }

        let rehearsal = [&order[..], &["--rehearse", "--wait"]].concat();
        let rehearsed = self.command_of_cluster(&rehearsal, terminal)?;
        if rehearsed == Exit::Done {
            writeln!(terminal.err, "\nThat was the rehearsal. The same without --rehearse:")?;
            self.command_of_cluster(&[&order[..], &["--wait"]].concat(), terminal)?;
        }

        Ok(())
    }

    fn roll_back(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let candidates = ["runs", "--state", "kept,acting,settling,observing,stuck"];
        self.command_of_cluster(&candidates, terminal)?;
        let Some(run) = number_of_run(terminal)? else { return Ok(()) };
        self.command(&["rollback", &run], terminal)?;

        Ok(())
    }

    fn command_of_cluster(
        &self,
        args: &[&str],
        terminal: &mut Terminal<'_>,
    ) -> Result<Exit, Failure> {
        let cluster = self.cluster.iter().flat_map(|it| ["--cluster", it]);
        let args: Vec<&str> = args.iter().copied().chain(cluster).collect();
        self.command(&args, terminal)
    }

    fn command(&self, args: &[&str], terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let server = self.server.written();
        let args: Vec<&str> =
            args.iter().copied().chain(server.iter().map(String::as_str)).collect();
        run_printed(&args, terminal)
    }
}

/// A value with what `--help` says of it.
fn with_meaning(value: &PossibleValue) -> String {
    let meaning = value.get_help().map(ToString::to_string).unwrap_or_default();
    format!("{}: {meaning}", value.get_name())
}

/// `None` if the person gives none.
fn number_of_run(terminal: &mut Terminal<'_>) -> Result<Option<String>, Failure> {
    terminal.ask("Number of the run (empty to go back): ")
}

/// Prints a command as a shell takes it, and runs it.
fn run_printed(args: &[&str], terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    writeln!(terminal.err, "\n$ {}", written(args))?;

    let args = ["kafka-optimizer"].iter().chain(args).map(OsString::from);

    Ok(super::run(args, terminal))
}

/// The command as a POSIX shell takes it.
fn written(args: &[&str]) -> String {
    format!("kafka-optimizer {}", shell_words::join(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_word_is_one_word_in_a_shell() {
        for (word, want) in [
            ("runs", "runs"),
            ("--server", "--server"),
            ("https://a:9308", "https://a:9308"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("", "''"),
        ] {
            assert_eq!(written(&[word]), format!("kafka-optimizer {want}"));
        }
    }
}
