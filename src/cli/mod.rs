//! The command line: one file per command, output for people and `--output json`.
//!
//! Commands speak to the running `serve` over its API; they keep no state and know no adapter.
//! Nothing here prints by itself: all goes through the [`Terminal`] that is passed in.

mod acknowledge;
mod approve;
mod check_config;
mod client;
mod decision;
mod elect_leaders;
mod load;
mod order;
mod pause;
mod reapply;
mod release;
mod resume;
mod rollback;
mod runs;
mod scale_consumers;
mod serve;
mod shed_load;
mod show;
mod temporary_changes;
mod terminal;
mod tune_brokers;

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

pub use terminal::{Exit, Interaction, Terminal};

use terminal::Failure;

use crate::load::LoadCommand;

const AFTER_HELP: &str = "\
Examples:
  kafka-optimizer --kafka.server kafka-1:9092             export metrics on :9308, change nothing
  kafka-optimizer serve --config.file config.yaml         export, and answer alerts as configured
  kafka-optimizer check-config config.yaml                everything wrong with a file, at once
  kafka-optimizer tune-brokers --level moderate --rehearse    plan, and let the brokers validate it
  kafka-optimizer runs                                    what was done, and whether it helped
  kafka-optimizer rollback 7                              take run 7 back, exactly

Exit codes:
  0  done
  1  failed: the server, the cluster or the run
  2  wrong arguments or a wrong configuration";

/// Measures a Kafka cluster, acts on its alerts within hard bounds, and proves that it helped or
/// takes the change back.
#[derive(Debug, Parser)]
#[command(
    name = "kafka-optimizer",
    version,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(flatten)]
    serve: serve::ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    CheckConfig(check_config::CheckConfigArgs),
    TuneBrokers(tune_brokers::TuneBrokersArgs),
    ScaleConsumers(scale_consumers::ScaleConsumersArgs),
    ShedLoad(shed_load::ShedLoadArgs),
    ElectLeaders(elect_leaders::ElectLeadersArgs),
    Reapply(reapply::ReapplyArgs),
    Runs(runs::RunsArgs),
    TemporaryChanges(temporary_changes::TemporaryChangesArgs),
    Approve(approve::ApproveArgs),
    Rollback(rollback::RollbackArgs),
    Acknowledge(acknowledge::AcknowledgeArgs),
    Release(release::ReleaseArgs),
    Pause(pause::PauseArgs),
    Resume(resume::ResumeArgs),
    /// Put a real load on a cluster.
    #[command(subcommand)]
    Load(LoadCommand),
}

/// Runs the command that `args` (the program's name first) ask for.
pub fn run<I, T>(args: I, terminal: &mut Terminal<'_>) -> Exit
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = match Arguments::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return terminal.usage(&error),
    };
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    match dispatch(command, terminal) {
        Ok(exit) => exit,
        Err(failure) => terminal.failed(&failure),
    }
}

fn dispatch(command: Command, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => runtime(Builder::new_multi_thread())?.block_on(args.run(terminal)),
        Command::CheckConfig(args) => args.run(terminal),
        Command::TuneBrokers(args) => small()?.block_on(args.run(terminal)),
        Command::ScaleConsumers(args) => small()?.block_on(args.run(terminal)),
        Command::ShedLoad(args) => small()?.block_on(args.run(terminal)),
        Command::ElectLeaders(args) => small()?.block_on(args.run(terminal)),
        Command::Reapply(args) => small()?.block_on(args.run(terminal)),
        Command::Runs(args) => small()?.block_on(args.run(terminal)),
        Command::TemporaryChanges(args) => small()?.block_on(args.run(terminal)),
        Command::Approve(args) => small()?.block_on(args.run(terminal)),
        Command::Rollback(args) => small()?.block_on(args.run(terminal)),
        Command::Acknowledge(args) => small()?.block_on(args.run(terminal)),
        Command::Release(args) => small()?.block_on(args.run(terminal)),
        Command::Pause(args) => small()?.block_on(args.run(terminal)),
        Command::Resume(args) => small()?.block_on(args.run(terminal)),
        Command::Load(command) => small()?.block_on(load::run(command, terminal)),
    }
}

/// For commands that ask a few questions and end.
fn small() -> Result<Runtime, Failure> {
    runtime(Builder::new_current_thread())
}

fn runtime(mut builder: Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| {
        let advice = "look at the limits of this user: threads, open files";
        Failure::new(format!("the process cannot start its threads: {error}"), advice)
    })
}

/// `--yes`.
#[derive(Clone, Copy, Debug, clap::Args)]
struct YesArg {
    /// Do not ask before acting.
    #[arg(long, short)]
    yes: bool,
}

impl YesArg {
    fn consent(self) -> terminal::Consent {
        self.yes.into()
    }
}
