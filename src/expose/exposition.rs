//! The exposition: compressed while it is written, once per snapshot, and served to any number of
//! scrapers.
//!
//! Only compressed bytes are kept: the text is about twenty times as long, and nearly every scraper
//! accepts gzip. For one that does not, it is decompressed in chunks.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use crate::model::closed_list;

/// Level 2 of 9: 25 MB take 30–55 ms, and higher levels hardly save bytes.
const LEVEL: Compression = Compression::new(2);

/// Size of a decompressed chunk.
const PIECE_BYTES: usize = 64 << 10;

/// The last line of an `OpenMetrics` exposition.
const END: &str = "# EOF\n";

closed_list! {
    pub enum Format {
        Text = "text",
        /// `OpenMetrics`: HELP and TYPE name a counter without its `_total`, and the last line is
        /// `# EOF`.
        OpenMetrics = "open_metrics",
    }
}

impl Format {
    /// The content type, exactly as Prometheus 3 requires it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    const fn end(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::OpenMetrics => END,
        }
    }
}

/// The metrics of all clusters, ready to send.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    parts: Vec<Part>,
    text_bytes: u64,
}

/// A gzip member of its own. Members can be concatenated (RFC 1952, 2.2).
#[derive(Clone, Debug)]
struct Part {
    /// The format it belongs to; `None` for both.
    only: Option<Format>,
    gzip: Bytes,
}

impl Exposition {
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    pub fn gzip_bytes(&self) -> u64 {
        let bytes: usize = self.of(Format::Text).map(Bytes::len).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn of(&self, format: Format) -> impl Iterator<Item = &Bytes> {
        let belongs = move |it: &&Part| it.only.is_none_or(|it| it == format);
        self.parts.iter().filter(belongs).map(|it| &it.gzip)
    }

    /// The body of a scrape, compressed: the clusters' metrics, then `own`, this process's metrics
    /// in the same format. Only `own` is compressed here.
    pub fn gzip(&self, format: Format, own: &str) -> Bytes {
        let rest = compress(&[own, format.end()]);
        let all = || self.of(format).chain([&rest]);
        let mut body = BytesMut::with_capacity(all().map(Bytes::len).sum());

        for part in all() {
            body.extend_from_slice(part);
        }

        body.freeze()
    }

    /// The body of a scrape as text, in chunks.
    pub fn identity(&self, format: Format, own: &str) -> Pieces {
        Pieces(MultiGzDecoder::new(Chained { left: self.gzip(format, own) }))
    }
}

/// A body that is decompressed while it is sent.
#[derive(Debug)]
pub struct Pieces(MultiGzDecoder<Chained>);

#[derive(Debug)]
struct Chained {
    left: Bytes,
}

impl Read for Chained {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = buf.len().min(self.left.len());
        buf[..count].copy_from_slice(&self.left.split_to(count));
        Ok(count)
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let limit = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);

        match self.0.by_ref().take(limit).read_to_end(&mut piece) {
            Ok(0) => None,
            Ok(_) => Some(Ok(piece.into())),
            Err(error) => Some(Err(error)),
        }
    }
}

#[derive(Debug)]
pub(super) struct ExpositionWriter {
    page: Exposition,
    zip: GzEncoder<Vec<u8>>,
    pending: bool,
}

impl ExpositionWriter {
    pub(super) fn new() -> Self {
        Self { page: Exposition::default(), zip: encoder(), pending: false }
    }

    /// Appends text that both formats share.
    pub(super) fn write(&mut self, text: &str) {
        self.page.text_bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.pending = true;
        // Writing to a Vec cannot fail.
        let _infallible = self.zip.write_all(text.as_bytes());
    }

    /// Appends text that belongs to one format.
    pub(super) fn write_for(&mut self, only: Format, text: &str) {
        self.close();
        if only == Format::Text {
            self.page.text_bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
        }
        self.page.parts.push(Part { only: Some(only), gzip: compress(&[text]) });
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.pending) {
            let done = std::mem::replace(&mut self.zip, encoder());
            self.page.parts.push(Part { only: None, gzip: finished(done) });
        }
    }

    pub(super) fn finish(mut self) -> Exposition {
        self.close();
        self.page
    }
}

fn encoder() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), LEVEL)
}

fn finished(zip: GzEncoder<Vec<u8>>) -> Bytes {
    // Writing to a Vec cannot fail.
    zip.finish().map_or_else(|_infallible| Bytes::new(), Bytes::from)
}

fn compress(texts: &[&str]) -> Bytes {
    let mut zip = encoder();
    for text in texts {
        // Writing to a Vec cannot fail.
        let _infallible = zip.write_all(text.as_bytes());
    }

    finished(zip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &Exposition, format: Format, own: &str) -> String {
        let pieces: Vec<Bytes> = page.identity(format, own).map(Result::unwrap).collect();
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[test]
    fn each_format_gets_its_own_parts_and_those_of_both() {
        let mut writer = ExpositionWriter::new();
        writer.write("a 1\n");
        writer.write_for(Format::Text, "# TYPE b_total counter\n");
        writer.write_for(Format::OpenMetrics, "# TYPE b counter\n");
        writer.write("b_total 2\n");
        let page = writer.finish();
        let want = "a 1\n# TYPE b_total counter\nb_total 2\n";
        assert_eq!(text(&page, Format::Text, "own 3\n"), format!("{want}own 3\n"));
        assert_eq!(page.text_bytes(), u64::try_from(want.len()).unwrap());
        let want = "a 1\n# TYPE b counter\nb_total 2\nown 3\n# EOF\n";
        assert_eq!(text(&page, Format::OpenMetrics, "own 3\n"), want);
    }

    #[test]
    fn both_encodings_hold_the_same_text() {
        let mut writer = ExpositionWriter::new();
        writer.write(&"kafka_up{kafka_cluster=\"main\"} 1\n".repeat(10_000));
        let page = writer.finish();
        let mut unzipped = String::new();
        let gzip = page.gzip(Format::Text, "process_open_fds 7\n");
        MultiGzDecoder::new(gzip.as_ref()).read_to_string(&mut unzipped).unwrap();
        assert_eq!(unzipped, text(&page, Format::Text, "process_open_fds 7\n"));
        assert!(unzipped.ends_with("1\nprocess_open_fds 7\n"));
        assert!(page.gzip_bytes() * 20 < page.text_bytes());
    }

    #[test]
    fn the_empty_page_is_valid_too() {
        assert_eq!(text(&Exposition::default(), Format::Text, ""), "");
        assert_eq!(text(&Exposition::default(), Format::OpenMetrics, ""), END);
    }
}
