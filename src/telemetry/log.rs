//! Sets up the log.

use std::error::Error;

use tracing_subscriber::EnvFilter;

use crate::model::closed_list;

closed_list! {
    /// How log lines are written.
    pub enum LogFormat {
        /// For people.
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

/// Writes log lines of `level` (`info`, or `module=level,…`) and above to the standard error.
///
/// # Errors
///
/// See [`LogError`].
pub fn init(level: &str, format: LogFormat) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(level).map_err(|_| LogError::Level(level.to_owned()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|_| LogError::Twice)
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
