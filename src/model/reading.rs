//! Unknown is not zero.

/// A value that may not have been read. There is no "0 because we could not tell".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading<T> {
    Known(T),
    /// Not read; exported as no sample at all.
    Unknown,
}

impl<T> Reading<T> {
    /// The value, if it was read.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }

    /// Borrows the value, if it was read.
    pub const fn as_known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }
}

impl<T> From<Option<T>> for Reading<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::Known)
    }
}
