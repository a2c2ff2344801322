//! Detects changed files by their content, because modification times can be wrong.

use std::{
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::security::{SECRET_BYTES_MAX, read_limited};

type Sha256Digest = [u8; 32];

/// Reads files and remembers the digest of each.
#[derive(Debug, Default)]
pub(super) struct HashingReader(Vec<(PathBuf, Sha256Digest)>);

#[derive(Debug, Default)]
pub(super) struct FileDigests(Vec<(PathBuf, Sha256Digest)>);

impl HashingReader {
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let read = read_limited(path, SECRET_BYTES_MAX);
        self.0.push((path.to_owned(), digest(&read)));
        read
    }

    pub(super) fn digests(self) -> FileDigests {
        FileDigests(self.0)
    }
}

impl FileDigests {
    /// Whether no file has changed. A file that could not be read must fail again with the same
    /// kind of error.
    pub(super) fn still_match(&self) -> bool {
        self.0
            .iter()
            .all(|(path, earlier)| digest(&read_limited(path, SECRET_BYTES_MAX)) == *earlier)
    }
}

/// A digest, not the content: it may be a private key.
fn digest(result: &io::Result<Vec<u8>>) -> Sha256Digest {
    match result {
        Ok(content) => Sha256::new().chain_update("read").chain_update(content).finalize().into(),
        Err(error) => Sha256::digest(format!("failed {:?}", error.kind())).into(),
    }
}
