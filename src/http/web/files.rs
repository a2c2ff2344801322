//! Files as they were read, so that a change is seen whatever the clock of the disk says.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// A bundle of all public authorities is a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

type Sha256Digest = [u8; 32];

/// Reads files, and remembers what was there.
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
    /// Whether all of it is still there. What could not be read is still not there.
    pub(super) fn still_match(&self) -> bool {
        self.0.iter().all(|(path, print_then)| digest(&read(path)) == *print_then)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|it| it <= FILE_BYTES_MAX) {
        Ok(content)
    } else {
        Err(io::Error::other("larger than 1 MiB"))
    }
}

/// Not the content: it may be a key.
fn digest(read: &io::Result<Vec<u8>>) -> Sha256Digest {
    match read {
        Ok(content) => Sha256::new().chain_update("read").chain_update(content).finalize().into(),
        Err(error) => Sha256::digest(format!("failed {:?}", error.kind())).into(),
    }
}
