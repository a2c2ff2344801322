//! Which names a baseline may have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name, in characters: a column of a table still fits it.
const CHARS_MAX: usize = 64;

/// A name of letters, digits, `-` and `_`: it needs no escape in a URL, a shell or a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BaselineName(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a baseline has 1 to {CHARS_MAX} letters, digits, `-` and `_`")]
pub struct InvalidName;

impl BaselineName {
    /// # Errors
    ///
    /// If the name is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let is_allowed = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        let is_valid = (1..=CHARS_MAX).contains(&text.len()) && text.chars().all(is_allowed);

        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidName) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaselineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for BaselineName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<BaselineName> for String {
    fn from(name: BaselineName) -> Self {
        name.0
    }
}
