//! The page: text that is written and compressed once per snapshot, and handed to any number of
//! scrapers.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};

/// Content type of the text format, exactly as Prometheus 3 wants it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Level 2 of 9: a page of 25 MB takes 30–55 ms, and higher levels hardly make it smaller.
const LEVEL: Compression = Compression::new(2);

/// How a page is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// Compressed.
    Gzip,
}

/// The clusters' metrics, ready to send.
#[derive(Clone, Debug)]
pub struct Page {
    /// As text.
    pub identity: Bytes,
    /// The same, compressed.
    pub gzip: Bytes,
}

impl Page {
    /// Compresses `text`.
    pub fn new(text: String) -> Self {
        let gzip = compress(&text);
        Self { identity: text.into(), gzip }
    }

    /// The page before the first snapshot.
    pub fn empty() -> Self {
        Self::new(String::new())
    }

    /// The whole answer to a scrape: this page, then `own`, the metrics of this process. Only `own`
    /// is compressed here: gzip members may stand one behind the other (RFC 1952, 2.2).
    pub fn body(&self, own: &str, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Identity => join(&self.identity, own.as_bytes()),
            Encoding::Gzip => join(&self.gzip, &compress(own)),
        }
    }
}

fn join(page: &Bytes, own: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(page.len() + own.len());
    body.extend_from_slice(page);
    body.extend_from_slice(own);
    body.freeze()
}

fn compress(text: &str) -> Bytes {
    let zip = || -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8 + 64), LEVEL);
        encoder.write_all(text.as_bytes())?;
        encoder.finish()
    };
    // Writing to a Vec cannot fail.
    zip().map_or_else(|_infallible| Bytes::new(), Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    #[test]
    fn both_encodings_hold_the_same_text() {
        let page = Page::new("kafka_up{kafka_cluster=\"main\"} 1\n".to_owned());
        let identity = page.body("process_open_fds 7\n", Encoding::Identity);
        let gzip = page.body("process_open_fds 7\n", Encoding::Gzip);
        let mut unzipped = Vec::new();
        MultiGzDecoder::new(gzip.as_ref()).read_to_end(&mut unzipped).unwrap();
        assert_eq!(unzipped, identity);
        assert!(identity.ends_with(b"1\nprocess_open_fds 7\n"));
    }

    #[test]
    fn the_empty_page_is_valid_gzip_too() {
        let gzip = Page::empty().body("", Encoding::Gzip);
        let mut unzipped = Vec::new();
        MultiGzDecoder::new(gzip.as_ref()).read_to_end(&mut unzipped).unwrap();
        assert!(unzipped.is_empty());
    }
}
