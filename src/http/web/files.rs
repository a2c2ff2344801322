//! Detects changed files by their content, because modification times can be wrong.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// A bundle of all public CAs has a quarter of this.
const FILE_BYTES_MAX: u64 = 1 << 20;

type Sha256Digest = [u8; 32];

/// Reads files and remembers the digest of each.
#[derive(Debug, Default)]
pub(super) struct HashingReader(Vec<(PathBuf, Sha256Digest)>);

#[derive(Debug, Default)]
pub(super) struct FileDigests(Vec<(PathBuf, Sha256Digest)>);

impl HashingReader {
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let read = read(path);
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
        self.0.iter().all(|(path, earlier)| digest(&read(path)) == *earlier)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|it| it <= FILE_BYTES_MAX) {
        Ok(content)
    } else {
        Err(io::Error::other("the file is larger than 1 MiB"))
    }
}

/// A digest, not the content: it may be a private key.
fn digest(result: &io::Result<Vec<u8>>) -> Sha256Digest {
    match result {
        Ok(content) => Sha256::new().chain_update("read").chain_update(content).finalize().into(),
        Err(error) => Sha256::digest(format!("failed {:?}", error.kind())).into(),
    }
}
