//! The command line: one file per command, output for people and `--output json`.
//!
//! Commands send requests to the API of a running `serve`; they keep no state and use no adapter.
//! All output goes through the [`Terminal`] that is passed in.

mod about;
mod advice;
mod analyze;
mod baseline;
mod check_config;
mod client;
mod decision;
mod findings;
mod journal;
mod keys;
mod load;
mod load_view;
mod menu;
mod order;
mod pause;
mod release;
mod replay;
mod report;
mod runs;
mod serve;
mod show;
mod status;
mod suite;
mod suite_report;
mod temporary_changes;
mod terminal;

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

pub use keys::choose_by_keys;
pub use terminal::{ChooseByKeys, Exit, Terminal};

use terminal::{Failure, Output};

use crate::load::LoadCommand;

const AFTER_HELP: &str = "\
Examples:
  kafka-optimizer --kafka.server kafka-1:9092                 export metrics on :9308
  kafka-optimizer serve --config.file config.yaml             export metrics, answer alerts
  kafka-optimizer check-config config.yaml                    report every problem in a file
  kafka-optimizer analyze                                     what is wrong, and what to do
  kafka-optimizer tune-brokers --level moderate --rehearse    plan, and let the brokers validate it
  kafka-optimizer menu                                        choose what to do
  kafka-optimizer status                                      what is going on, and what waits
  kafka-optimizer runs                                        what was changed, and the verdict
  kafka-optimizer rollback 7                                  undo run 7 exactly
  kafka-optimizer baseline record before-upgrade              measure the cluster under a name
  kafka-optimizer report                                      what came of it, and what is next

Exit codes:
  0  success
  1  the server, the cluster or the run failed
  2  wrong arguments or a wrong configuration";

/// Measures a Kafka cluster, acts on its alerts within fixed limits, and keeps a change only if it
/// helped; otherwise rolls it back.
#[derive(Debug, Parser)]
#[command(
    name = "kafka-optimizer",
    version,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(flatten)]
    serve: serve::ServeArgs,
    #[command(subcommand)]
    command: Option<AnyCommand>,
}

#[derive(Debug, Subcommand)]
enum AnyCommand {
    #[command(flatten)]
    One(Command),
    // Runs others, each of which has a runtime of its own.
    Menu(menu::MenuArgs),
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    CheckConfig(check_config::CheckConfigArgs),
    #[command(flatten)]
    Order(order::OrderCommand),
    Analyze(analyze::AnalyzeArgs),
    Status(status::StatusArgs),
    Runs(runs::RunsArgs),
    Journal(journal::JournalArgs),
    TemporaryChanges(temporary_changes::TemporaryChangesArgs),
    #[command(flatten)]
    Decision(decision::DecisionCommand),
    Release(release::ReleaseArgs),
    Replay(replay::ReplayArgs),
    Report(report::ReportArgs),
    #[command(subcommand)]
    Baseline(baseline::BaselineCommand),
    #[command(flatten)]
    Pause(pause::PauseCommand),
    /// Put real load on a cluster.
    #[command(subcommand)]
    Load(AnyLoadCommand),
    Version(about::VersionArgs),
    Completion(about::CompletionArgs),
    Man(about::ManArgs),
}

#[derive(Debug, Subcommand)]
enum AnyLoadCommand {
    #[command(flatten)]
    One(LoadCommand),
    // Runs others, as the menu does.
    Suite(suite::SuiteArgs),
}

/// Runs the command named by `args`, of which the first is the program's own name.
pub fn run<I, T>(args: I, terminal: &mut Terminal<'_>) -> Exit
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let output = requested_output(&args);
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => return terminal.report_usage(&error, output),
    };

    let done = match arguments.command {
        Some(AnyCommand::Menu(args)) => args.run(terminal),
        Some(AnyCommand::One(Command::Load(AnyLoadCommand::Suite(args)))) => args.run(terminal),
        Some(AnyCommand::One(command)) => dispatch(command, terminal),
        None => dispatch(Command::Serve(arguments.serve), terminal),
    };

    match done {
        Ok(exit) => exit,
        Err(failure) => terminal.report_failure(&failure, output),
    }
}

/// `--output` as it is written: errors of the other arguments are in that form too.
fn requested_output(args: &[OsString]) -> Output {
    let is_json = args.windows(2).any(|it| it[0] == "--output" && it[1] == "json")
        || args.iter().any(|it| it == "--output=json");

    if is_json { Output::Json } else { Output::Text }
}

fn dispatch(command: Command, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    // Only `serve` has work for several threads; the other commands send a few requests and end.
    let builder = if matches!(command, Command::Serve(_)) {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };

    runtime(builder)?.block_on(async {
        match command {
            Command::Serve(args) => args.run(terminal).await,
            Command::CheckConfig(args) => args.run(terminal),
            Command::Order(command) => command.run(terminal).await,
            Command::Analyze(args) => args.run(terminal).await,
            Command::Status(args) => args.run(terminal).await,
            Command::Runs(args) => args.run(terminal).await,
            Command::Journal(args) => args.run(terminal).await,
            Command::TemporaryChanges(args) => args.run(terminal).await,
            Command::Decision(command) => command.run(terminal).await,
            Command::Release(args) => args.run(terminal).await,
            Command::Replay(args) => args.run(terminal).await,
            Command::Report(args) => args.run(terminal).await,
            Command::Baseline(command) => command.run(terminal).await,
            Command::Pause(command) => command.run(terminal).await,
            Command::Load(AnyLoadCommand::One(command)) => load::run(command, terminal).await,
            // Before there is a runtime: see `run`.
            Command::Load(AnyLoadCommand::Suite(args)) => args.run(terminal),
            Command::Version(args) => args.run(terminal),
            Command::Completion(args) => args.run(terminal),
            Command::Man(args) => args.run(terminal),
        }
    })
}

fn runtime(mut builder: Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| {
        let advice = "check this user's limits on threads and open files";
        Failure::new(format!("cannot start the process's threads: {error}"), advice)
    })
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct YesArg {
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}
