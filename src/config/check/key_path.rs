//! Paths of values in the file.

/// Path of a value, such as `clusters[0].probe.topic`.
#[derive(Clone, Debug)]
pub(super) struct KeyPath(String);

impl KeyPath {
    pub(super) fn root(key: &str) -> Self {
        Self(key.to_owned())
    }

    pub(super) fn key(&self, key: &str) -> Self {
        Self(format!("{}.{key}", self.0))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl From<KeyPath> for String {
    fn from(path: KeyPath) -> Self {
        path.0
    }
}

impl From<&KeyPath> for String {
    fn from(path: &KeyPath) -> Self {
        path.0.clone()
    }
}
