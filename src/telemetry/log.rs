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
    #[error("`{0}` is not a valid log filter")]
    Level(String),
    #[error("logging is already set up")]
    AlreadySet,
}

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

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(format!("{level},{SILENCED}")).map_err(|_| LogError::Level(level.to_owned()))
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
        for level in ["info", "debug", "trace", "bollard=trace", "kafka_optimizer=debug,bollard"] {
            let filter = filter(level).unwrap().to_string();
            let of_client: Vec<&str> =
                filter.split(',').filter(|it| it.starts_with("bollard")).collect();
            assert_eq!(of_client, [SILENCED], "{level}: {filter}");
        }

        filter("loud=very").unwrap_err();
    }
}
