//! `serve`: collect, export, answer alerts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    check_config,
    terminal::{Exit, Failure, Terminal},
};
use crate::{
    app::{self, AppError, ServeOptions},
    config::{self, Loaded},
    http::Web,
    telemetry::{self, LogFormat, chain},
};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormatArg {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Collect, export, take alerts, act as far as the configuration allows. The default command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer serve --kafka.server kafka-1:9092   export only; nothing is ever changed
  kafka-optimizer serve --config.file config.yaml     as the file says

Signals:
  SIGTERM, SIGINT  end after the step in hand; a second one ends at once
  SIGUSR1          pause: no new runs
  SIGUSR2          resume")]
pub(super) struct ServeArgs {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "FILE", env = "KAFKA_OPTIMIZER_CONFIG_FILE")]
    config_file: Option<PathBuf>,

    /// A broker to start from; enough without a file. May be given more than once.
    #[arg(long = "kafka.server", value_name = "HOST:PORT", conflicts_with = "config_file")]
    kafka_server: Vec<String>,

    /// Where to listen; without a host on all addresses. May be given more than once.
    #[arg(long = "web.listen-address", value_name = "[HOST]:PORT", default_value = ":9308")]
    listen_address: Vec<String>,

    /// TLS, users and headers of the server, in the web configuration of Prometheus' exporters.
    #[arg(long = "web.config.file", value_name = "FILE", env = "KAFKA_OPTIMIZER_WEB_CONFIG_FILE")]
    web_config_file: Option<PathBuf>,

    /// The path of the metrics.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        value_parser = telemetry_path
    )]
    telemetry_path: String,

    /// Least level of the lines to log: error, warn, info, debug, trace, or `module=level,…`.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    log_level: String,

    /// How log lines are written.
    #[arg(long = "log.format", value_enum, default_value_t = LogFormatArg::Text)]
    log_format: LogFormatArg,
}

impl ServeArgs {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        let Loaded { config, warnings } = self.load()?;
        let web = self.web()?;
        for warning in warnings {
            writeln!(terminal.err, "warning: {warning}")?;
        }
        let format = match self.log_format {
            LogFormatArg::Text => LogFormat::Text,
            LogFormatArg::Json => LogFormat::Json,
        };
        telemetry::init(&self.log_level, format).map_err(|error| {
            let advice = "--log.level takes error, warn, info, debug, trace, or module=level,…";
            Failure::usage(error.to_string(), advice)
        })?;
        let options = ServeOptions {
            config,
            listen: self.listen_address,
            telemetry_path: self.telemetry_path,
            web,
        };
        match app::serve(options).await {
            Ok(()) => Ok(Exit::Done),
            Err(error @ AppError::ClientsNotVerified) => {
                Err(Failure::usage(chain(&error), error.advice()))
            }
            Err(error) => Err(Failure::new(chain(&error), error.advice())),
        }
    }

    fn web(&self) -> Result<Web, Failure> {
        let Some(file) = &self.web_config_file else { return Ok(Web::plain()) };
        Web::open(file).map_err(|error| {
            let what = format!("{}: {}", file.display(), chain(&error));
            Failure::usage(what, "docs/web-config.md explains every key")
        })
    }

    fn load(&self) -> Result<Loaded, Failure> {
        if let Some(file) = &self.config_file {
            return config::load(file)
                .map_err(|error| check_config::refused(&file.display().to_string(), &error));
        }
        if self.kafka_server.is_empty() {
            return Err(Failure::usage(
                "there is nothing to look at",
                "name a broker with --kafka.server HOST:PORT, or a file with --config.file FILE",
            ));
        }
        config::of_servers(&self.kafka_server)
            .map_err(|error| check_config::refused("--kafka.server", &error))
    }
}

/// A path that no other route has, without anything that a router would take for a pattern.
fn telemetry_path(text: &str) -> Result<String, String> {
    let plain = |it: char| it.is_ascii_alphanumeric() || "/-_.".contains(it);
    let taken = ["/api/", "/-/"].iter().any(|it| text.starts_with(it));
    if text.len() < 2 || !text.starts_with('/') || taken || !text.chars().all(plain) {
        return Err("must start with `/`, be none of /, /api/…, /-/…, and hold letters, digits, \
                    `-`, `_`, `.`, `/` only"
            .to_owned());
    }
    Ok(text.to_owned())
}
