//! Whether files are still those that were read.

use std::{fs, os::unix::fs::MetadataExt};

use super::Security;

/// What changes when a file does: written in place, replaced by another, or reached through a link
/// that points elsewhere now, as secrets mounted into a container are. A file that cannot be looked
/// at has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamps(Vec<Option<FileStamp>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds: content, then owner and rights, which may be what was wrong.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamps {
    /// Looks at the files that `security` names. Taken before they are read: a file that changes
    /// meanwhile is read again next time.
    pub fn of(security: &Security) -> Self {
        let seen = |it: fs::Metadata| FileStamp {
            device: it.dev(),
            inode: it.ino(),
            bytes: it.size(),
            modified: (it.mtime(), it.mtime_nsec()),
            changed: (it.ctime(), it.ctime_nsec()),
        };
        let files = security.files();
        Self(files.iter().map(|(_, path)| fs::metadata(path).ok().map(seen)).collect())
    }
}
