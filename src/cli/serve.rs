//! `serve`: collects and exports metrics, and answers alerts.

use std::{net::Ipv6Addr, path::PathBuf};

use clap::{
    Args, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};

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

/// Formats of log lines, with what they mean for `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormatArg {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Collect and export metrics, receive alerts, and act on them as far as the configuration allows.
///
/// This is the default command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kafka-optimizer serve --kafka.server kafka-1:9092   export metrics; never change anything
  kafka-optimizer serve --config.file config.yaml     do what the file configures

Signals:
  SIGTERM, SIGINT  finish the current step, then exit; a second signal exits at once
  SIGHUP           read the configuration file again; a bad file changes nothing
  SIGUSR1          pause: start no runs
  SIGUSR2          resume")]
pub(super) struct ServeArgs {
    /// Path of the configuration file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        env = "KAFKA_OPTIMIZER_CONFIG_FILE",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    config_file: Option<PathBuf>,

    /// Bootstrap server, instead of a configuration file. May be given more than once.
    #[arg(long = "kafka.server", value_name = "HOST:PORT")]
    kafka_server: Vec<String>,

    /// Address to listen on; without a host, all addresses. May be given more than once.
    #[arg(
        long = "web.listen-address",
        value_name = "[HOST]:PORT",
        default_value = ":9308",
        value_parser = listen_address
    )]
    listen_address: Vec<String>,

    /// Path of the web configuration file (TLS, users, headers), as other Prometheus exporters have
    /// it.
    #[arg(
        long = "web.config.file",
        value_name = "FILE",
        env = "KAFKA_OPTIMIZER_WEB_CONFIG_FILE",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    web_config_file: Option<PathBuf>,

    /// Path under which metrics are exposed.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        value_parser = telemetry_path
    )]
    telemetry_path: String,

    /// Minimum log level: error, warn, info, debug, trace, or a filter such as `module=level,…`.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    log_level: String,

    /// Format of log lines.
    #[arg(long = "log.format", value_enum, default_value_t = LogFormatArg::Text)]
    log_format: LogFormatArg,
}

impl ServeArgs {
    pub(super) async fn run(mut self, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
        app::survive_hangup().map_err(|error| {
            let advice = "check this user's limits";
            Failure::new(format!("cannot install signal handlers: {error}"), advice)
        })?;

        // Compose passes a variable that has no value as an empty one.
        self.config_file = self.config_file.filter(|it| !it.as_os_str().is_empty());
        self.web_config_file = self.web_config_file.filter(|it| !it.as_os_str().is_empty());

        if self.config_file.is_some() && !self.kafka_server.is_empty() {
            return Err(Failure::usage(
                "both --kafka.server and a configuration file are given",
                "pass one of them; the file is --config.file or KAFKA_OPTIMIZER_CONFIG_FILE",
            ));
        }

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
            config_file: self.config_file,
            listen: self.listen_address,
            telemetry_path: self.telemetry_path,
            web,
        };

        match app::serve(options).await {
            Ok(()) => Ok(Exit::Done),
            Err(error @ (AppError::ClientsNotVerified | AppError::SameCluster { .. })) => {
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
                .map_err(|error| check_config::failure(&file.display().to_string(), &error));
        }

        if self.kafka_server.is_empty() {
            return Err(Failure::usage(
                "no Kafka cluster is configured",
                "pass a bootstrap server with --kafka.server HOST:PORT, or a configuration file with \
                 --config.file FILE",
            ));
        }

        config::of_servers(&self.kafka_server)
            .map_err(|error| check_config::failure("--kafka.server", &error))
    }
}

/// Accepts `[HOST]:PORT`, with an IPv6 address in brackets.
fn listen_address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or("has no port; write :9308 or 127.0.0.1:9308")?;
    if port.parse::<u16>().is_err() || port.starts_with('+') {
        return Err(format!("`{port}` is no port; write a number from 0 to 65535"));
    }

    let v6 = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let legal = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);

    match v6 {
        Some(address) if address.parse::<Ipv6Addr>().is_ok() => Ok(text.to_owned()),
        None if host.bytes().all(legal) => Ok(text.to_owned()),
        _ if host == "*" => Err("leave out the host for all addresses, as in :9308".to_owned()),
        _ if host.contains("//") => Err("leave out the scheme, as in 127.0.0.1:9308".to_owned()),
        _ if host.contains(':') => {
            Err("put an IPv6 address into brackets, as in [::1]:9308".to_owned())
        }
        _ => Err(format!("`{host}` is no host")),
    }
}

/// Accepts a path that no other route uses and that the router does not take for a pattern.
fn telemetry_path(text: &str) -> Result<String, String> {
    let plain = |it: char| it.is_ascii_alphanumeric() || "/-_.".contains(it);
    let taken = ["/api/", "/-/"].iter().any(|it| text.starts_with(it));

    if text.len() < 2 || !text.starts_with('/') || taken || !text.chars().all(plain) {
        return Err(
            "must start with `/`, must not be /, /api/… or /-/…, and may contain only letters, \
                    digits, `-`, `_`, `.` and `/`"
                .to_owned(),
        );
    }

    Ok(text.to_owned())
}
