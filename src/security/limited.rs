//! Reads files up to a limit: `/dev/zero` has no end.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Largest file with a secret or with certificates. A bundle of all public CAs has a quarter of it.
pub const SECRET_BYTES_MAX: u64 = 1 << 20;

/// Reads the whole file.
///
/// # Errors
///
/// If it cannot be read, or is larger than `max` bytes.
pub fn read_limited(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(max.saturating_add(1)).read_to_end(&mut content)?;

    if u64::try_from(content.len()).is_ok_and(|it| it <= max) {
        return Ok(content);
    }

    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB", max >> 20)))
}
