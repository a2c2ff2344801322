//! Detects that files have changed since they were read.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::Security;

/// Metadata of the files that [`Security`] names. Differs after a file was written in place,
/// replaced, or reached through a changed symlink, as with secrets mounted into a container. `None`
/// for a file whose metadata cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamps(Vec<Option<FileStamp>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds of the last change of the content.
    modified: (i64, i64),
    /// Seconds and nanoseconds of the last change of content, owner or permissions.
    changed: (i64, i64),
}

impl FileStamps {
    /// Take it before reading the files: then a file that changes meanwhile is read again.
    pub fn of(security: &Security) -> Self {
        Self::of_paths(security.files().into_iter().map(|it| it.1))
    }

    /// As [`FileStamps::of`], of any files.
    pub fn of_paths<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let stamp = |it: fs::Metadata| FileStamp {
            device: it.dev(),
            inode: it.ino(),
            bytes: it.size(),
            modified: (it.mtime(), it.mtime_nsec()),
            changed: (it.ctime(), it.ctime_nsec()),
        };
        Self(paths.into_iter().map(|path| fs::metadata(path).ok().map(stamp)).collect())
    }
}
