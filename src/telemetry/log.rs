//! Sets up the log.

use std::error::Error;

use tracing_subscriber::EnvFilter;

use crate::model::closed_list;

closed_list! {
    /// How log lines are written.
    pub enum LogFormat {
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a level, nor a list of `module=level`.
    #[error("`{0}` is not a log level")]
    Level(String),
    /// Another part of the process has set one up.
    #[error("a log is set up already")]
    Twice,
}

/// Docker's client logs what it sends and gets, and in that are the variables of containers, which
/// hold secrets.
const SILENCED: &str = "bollard=info";

/// Writes log lines of `level` (`info`, or `module=level,…`) and above to the standard error.
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
    set.map_err(|_| LogError::Twice)
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(format!("{level},{SILENCED}")).map_err(|_| LogError::Level(level.to_owned()))
}

/// `outer: middle: innermost`, for the log line at the place that gives up.
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
    fn at_no_level_does_dockers_client_print_what_it_gets() {
        for level in ["info", "debug", "trace", "bollard=trace", "kafka_optimizer=debug,bollard"] {
            let filter = filter(level).unwrap().to_string();
            let of_client: Vec<&str> =
                filter.split(',').filter(|it| it.starts_with("bollard")).collect();
            assert_eq!(of_client, [SILENCED], "{level}: {filter}");
        }
        filter("loud=very").unwrap_err();
    }
}
