//! Set-up of the log, and formatting of error chains.

use std::error::Error;

use tracing_subscriber::EnvFilter;

use crate::model::closed_list;

closed_list! {
    /// Formats of log lines.
    pub enum LogFormat {
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Neither a level nor a list of `module=level`.
    #[error("`{0}` is not a log level")]
    Level(String),
    #[error("logging is already set up")]
    AlreadySet,
}

/// The levels that `--log.level` takes, as minimum of all lines or of a module's. `warning` is read
/// as `warn`.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// At debug level the Docker client logs whole responses, with the environment of containers, which
/// contains secrets.
const SILENCED: &str = "bollard=info";

/// Logs to standard error. `level` is a minimum level such as `info`, or a filter `module=level,…`.
///
/// # Errors
///
/// See [`LogError`].
pub fn init(level: &str, format: LogFormat) -> Result<(), LogError> {
    let filter = filter(level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };

    set.map_err(|_| LogError::AlreadySet)
}

/// The filter's own parser takes a word that it does not know for a module, and then logs nothing
/// else.
fn filter(written: &str) -> Result<EnvFilter, LogError> {
    let mut directives = Vec::new();
    for directive in written.split(',').map(str::trim) {
        let (module, level) = directive.rsplit_once('=').unwrap_or(("", directive));
        let level = if level.eq_ignore_ascii_case("warning") { "warn" } else { level };

        if !LEVELS.iter().any(|it| it.eq_ignore_ascii_case(level)) {
            return Err(LogError::Level(directive.to_owned()));
        }

        let equals = if directive.contains('=') { "=" } else { "" };
        directives.push(format!("{module}{equals}{level}"));
    }

    directives.push(SILENCED.to_owned());
    EnvFilter::try_new(directives.join(",")).map_err(|_| LogError::Level(written.to_owned()))
}

/// Formats an error with its sources: `outer: middle: innermost`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();

    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }

    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_makes_the_docker_client_log_responses() {
        for level in
            ["info", "debug", "trace", "bollard=trace", "kafka_optimizer=debug,bollard=trace"]
        {
            let filter = filter(level).unwrap().to_string();
            let of_client: Vec<&str> =
                filter.split(',').filter(|it| it.starts_with("bollard")).collect();
            assert_eq!(of_client, [SILENCED], "{level}: {filter}");
        }
    }

    #[test]
    fn an_unknown_level_is_refused_instead_of_silencing_the_log() {
        for level in ["foo", "", "warn,", "loud=very", "info;debug", "kafka_optimizer", "=info="] {
            let error = filter(level).unwrap_err();
            assert!(matches!(error, LogError::Level(_)), "{level}: {error}");
        }

        for (level, want) in [
            ("warning", "warn"),
            ("WARN", "warn"),
            ("Info", "info"),
            ("off", "off"),
            ("info, kafka_optimizer::collect=debug", "kafka_optimizer::collect=debug"),
            ("kafka_optimizer=warning", "kafka_optimizer=warn"),
        ] {
            let filter = filter(level).unwrap().to_string();
            assert!(filter.split(',').any(|it| it == want), "{level}: {filter}");
        }
    }
}
