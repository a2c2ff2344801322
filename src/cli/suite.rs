//! `load suite`: loads, analyses, a rehearsal and a report, one after the other.
//!
//! Each step is a command of this program, as a person would run it. A step whose command this
//! version or the server does not have is left out, and the report says so.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    order::LevelArg,
    suite_report::{LoadNumbers, SuiteReport},
    terminal::{Exit, Failure, Terminal},
};
use crate::{
    clock::{Clock, SystemClock},
    load::LoadClusterArgs,
};

/// Put loads on a cluster, analyse it before, during and after, rehearse a change, write a report.
///
/// The steps: load baseline; analyze; load stress, again and again, with analyze while it runs;
/// tune-brokers --rehearse; analyze; report. Without --server there are only the loads.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  kafka-optimizer load suite --kafka.server kafka-1:9092 --server http://127.0.0.1:9308 \\
      --token-file TOKEN_FILE --scale 0.1 --out suite.md
  kafka-optimizer load suite --kafka.server kafka-1:9092 --scale 0.01    only the loads")]
pub(super) struct SuiteArgs {
    #[command(flatten)]
    cluster: LoadClusterArgs,

    /// Multiplies the number of records and the rate of both loads, 0.001 to 100.
    #[arg(long, default_value = "1", value_name = "FACTOR")]
    scale: String,

    /// Remove the caps of both loads for clusters that others use.
    #[arg(long)]
    i_own_this_cluster: bool,

    /// Base URL of the running server, which analyses, rehearses and reports.
    #[arg(long, value_name = "URL")]
    server: Option<String>,

    /// File with a token that the server knows; without it nothing is rehearsed.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,

    /// Level of the thread pools of brokers that is rehearsed.
    #[arg(long, value_enum, default_value = "moderate")]
    level: LevelArg,

    /// Carry the change out instead of rehearsing it, and wait for its verdict.
    #[arg(long, requires = "token_file")]
    act: bool,

    /// How long the stress runs before the analysis under load; what is analysed is a mean of
    /// minutes.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "90s",
        value_parser = humantime::parse_duration
    )]
    under_load: Duration,

    /// File that the report is written to, in Markdown.
    #[arg(long, value_name = "FILE", default_value = "suite.md")]
    out: PathBuf,
}

/// What a command of this program printed.
struct CommandRun {
    exit: Exit,
    out: String,
    err: String,
}

impl SuiteArgs {
    pub(super) fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let mut report = SuiteReport::new(SystemClock::new().wall());

        say(terminal, "load baseline")?;
        report.load("baseline", self.load("baseline")?);
        self.analyze("before the stress", &mut report, terminal)?;
        self.stress(&mut report, terminal)?;
        self.tune(&mut report, terminal)?;
        self.analyze("after it", &mut report, terminal)?;
        self.report(&mut report, terminal)?;

        let out = self.out.display();
        std::fs::write(&self.out, report.markdown()).map_err(|error| {
            Failure::new(format!("cannot write {out}: {error}"), "pass another file with --out")
        })?;
        writeln!(terminal.out, "The report is in {out}.")?;

        Ok(Exit::Done)
    }

    /// Loads until the analysis is done: a load alone may be over before anybody sees it.
    fn stress(&self, report: &mut SuiteReport, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        say(terminal, "load stress, and analyze while it runs")?;
        let is_analysed = AtomicBool::new(false);
        let (ended, failure) = mpsc::channel();

        let loads = thread::scope(|scope| {
            let stress = scope.spawn(|| {
                // Dropped with this thread: whoever waits for it need not wait for the whole time.
                let _ended = ended;
                let mut loads = Vec::new();
                while !is_analysed.load(Relaxed) {
                    loads.push(self.load("stress")?);
                    if self.server.is_none() {
                        break;
                    }
                }
                Ok(loads)
            });

            let _ended_early: Result<(), _> = failure.recv_timeout(self.under_load);
            let analysed = self.analyze("under load", report, terminal);
            is_analysed.store(true, Relaxed);
            let loads = stress.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));

            analysed.and(loads)
        });

        for load in loads? {
            report.load("stress", load);
        }

        Ok(())
    }

    fn load(&self, load: &str) -> Result<LoadNumbers, Failure> {
        let mut words = words(&["load", load, "--output", "json", "--scale", &self.scale]);
        words.extend(self.cluster_words());
        if self.i_own_this_cluster {
            words.push("--i-own-this-cluster".into());
        }

        let ran = run(&words);
        let numbers = serde_json::from_str(&ran.out);
        match (ran.exit, numbers) {
            (Exit::Done, Ok(numbers)) => Ok(numbers),
            _ => Err(Failure::new(
                format!("load {load} failed: {}", ran.err.trim()),
                "run it alone; `kafka-optimizer help load` explains the arguments",
            )),
        }
    }

    fn cluster_words(&self) -> Vec<OsString> {
        let LoadClusterArgs { kafka_server, config_file, cluster } = &self.cluster;
        let servers = kafka_server.iter().flat_map(|it| ["--kafka.server".into(), it.into()]);
        let file = config_file.iter().flat_map(|it| ["--config.file".into(), it.into()]);
        let cluster = cluster.iter().flat_map(|it| ["--cluster".into(), it.into()]);

        servers.chain(file).chain(cluster).collect()
    }

    fn analyze(
        &self,
        when: &str,
        report: &mut SuiteReport,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        self.section(&format!("Analysis {when}"), &["analyze"], report, terminal)
    }

    fn tune(&self, report: &mut SuiteReport, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        if self.token_file.is_none() {
            report.note("No token was passed, so nothing was rehearsed.");
            return Ok(());
        }

        let level = self.level.to_possible_value();
        let level = level.as_ref().map_or("moderate", |it| it.get_name());
        let order = ["tune-brokers", "--level", level, "--wait", "--yes"];
        let rehearsal = [&order[..], &["--rehearse"]].concat();
        let (title, order) =
            if self.act { ("Change", &order[..]) } else { ("Rehearsal", &rehearsal[..]) };

        self.section(&format!("{title}: tune-brokers --level {level}"), order, report, terminal)
    }

    /// The server's own report, if this version has one.
    fn report(&self, report: &mut SuiteReport, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let Some(server) = self.server_words() else { return Ok(()) };

        say(terminal, "report")?;
        let ran = run(&[words(&["report"]), server].concat());
        match ran.exit {
            Exit::Done => report.append(&ran.out),
            Exit::Usage => report.note("This version has no command `report`."),
            Exit::Failed | Exit::Yellow | Exit::Red | Exit::Unknown => {
                report.note(&format!("`report` failed: {}", ran.err.trim()));
            }
        }

        Ok(())
    }

    /// The output of a command that asks the server; a note if it failed.
    fn section(
        &self,
        title: &str,
        command: &[&str],
        report: &mut SuiteReport,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        let Some(server) = self.server_words() else { return Ok(()) };

        say(terminal, &command.join(" "))?;
        let ran = run(&[words(command), server].concat());
        if ran.exit == Exit::Usage {
            report.note(&format!("{title}: {}", ran.err.trim()));
        } else {
            report.output(title, &format!("{}{}", ran.out, ran.err));
        }

        Ok(())
    }

    /// The arguments that name the server; `None` without one.
    fn server_words(&self) -> Option<Vec<OsString>> {
        let server: Vec<OsString> = vec!["--server".into(), self.server.as_ref()?.into()];
        let token = self.token_file.iter().flat_map(|it| ["--token-file".into(), it.into()]);

        Some(server.into_iter().chain(token).collect())
    }
}

fn say(terminal: &mut Terminal<'_>, step: &str) -> Result<(), Failure> {
    Ok(writeln!(terminal.err, "suite: {step}")?)
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Runs a command of this program, which asks nothing.
fn run(words: &[OsString]) -> CommandRun {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        input: &mut io::empty(),
        interactive: false,
        width: None,
        choose_by_keys: None,
    };
    let program = std::iter::once(OsString::from("kafka-optimizer"));
    let exit = super::run(program.chain(words.iter().cloned()), &mut terminal);
    let text = |it: Vec<u8>| String::from_utf8_lossy(&it).into_owned();

    CommandRun { exit, out: text(out), err: text(err) }
}
