//! The exposition: compressed while it is written, once per snapshot, and served to any number of
//! scrapers.
//!
//! Only compressed bytes are kept: the text is about twenty times as long, and nearly every scraper
//! accepts gzip. For one that does not, it is decompressed in chunks.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use flate2::{Compression, Crc, read::GzDecoder, write::DeflateEncoder};

use crate::model::closed_list;

/// Level 2 of 9: 25 MB take 30–55 ms, and higher levels hardly save bytes.
const LEVEL: Compression = Compression::new(2);

/// Header of a gzip member without a name and a time (RFC 1952, 2.3): deflate, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Checksum and length at the end of a gzip member.
const GZIP_TRAILER_BYTES: usize = 8;

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
#[derive(Debug, Default)]
pub struct Exposition {
    parts: Vec<Part>,
    text_bytes: u64,
}

/// Deflate blocks that end at a byte and refer to nothing before them, so that parts can be
/// concatenated to one deflate stream. (Concatenated gzip members are legal too, but curl and
/// browsers read only the first.)
#[derive(Debug)]
struct Part {
    /// The format it belongs to; `None` for both.
    only: Option<Format>,
    deflated: Bytes,
    /// Checksum and length of the text.
    crc: Crc,
}

impl Exposition {
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    pub fn gzip_bytes(&self) -> u64 {
        let bytes: usize = self.of(Format::Text).map(|it| it.deflated.len()).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn of(&self, format: Format) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |it| it.only.is_none_or(|it| it == format))
    }

    /// The body of a scrape as one gzip member: the clusters' metrics, then `own`, this process's
    /// metrics in the same format. Only `own` is compressed here.
    pub fn gzip(&self, format: Format, own: &str) -> Bytes {
        let mut last = PartWriter::new();
        last.write(own);
        last.write(format.end());
        let last = last.finish_stream();
        let all = || self.of(format).chain([&last]);
        let bytes: usize = all().map(|it| it.deflated.len()).sum();

        let mut body = BytesMut::with_capacity(GZIP_HEADER.len() + bytes + GZIP_TRAILER_BYTES);
        body.extend_from_slice(&GZIP_HEADER);
        let mut crc = Crc::new();

        for part in all() {
            body.extend_from_slice(&part.deflated);
            crc.combine(&part.crc);
        }

        body.extend_from_slice(&crc.sum().to_le_bytes());
        body.extend_from_slice(&crc.amount().to_le_bytes());

        body.freeze()
    }

    /// The body of a scrape as text, in chunks.
    pub fn identity(&self, format: Format, own: &str) -> Pieces {
        Pieces(GzDecoder::new(Chained { left: self.gzip(format, own) }))
    }
}

/// A body that is decompressed while it is sent.
#[derive(Debug)]
pub struct Pieces(GzDecoder<Chained>);

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
struct PartWriter {
    zip: DeflateEncoder<Vec<u8>>,
    crc: Crc,
}

// Writing to a Vec cannot fail.
impl PartWriter {
    fn new() -> Self {
        Self { zip: DeflateEncoder::new(Vec::new(), LEVEL), crc: Crc::new() }
    }

    fn write(&mut self, text: &str) {
        self.crc.update(text.as_bytes());
        let _infallible = self.zip.write_all(text.as_bytes());
    }

    /// The part, after which another one follows.
    fn finish(mut self, only: Option<Format>) -> Part {
        // A flush ends the block at a byte and does not mark it as the last one.
        let _infallible = self.zip.flush();
        let deflated = std::mem::take(self.zip.get_mut()).into();
        Part { only, deflated, crc: self.crc }
    }

    /// The part that ends the stream.
    fn finish_stream(self) -> Part {
        let deflated = self.zip.finish().map_or_else(|_infallible| Bytes::new(), Bytes::from);
        Part { only: None, deflated, crc: self.crc }
    }
}

#[derive(Debug)]
pub(super) struct ExpositionWriter {
    page: Exposition,
    shared: Option<PartWriter>,
}

impl ExpositionWriter {
    pub(super) fn new() -> Self {
        Self { page: Exposition::default(), shared: None }
    }

    /// Appends text that both formats share.
    pub(super) fn write(&mut self, text: &str) {
        self.count(text);
        self.shared.get_or_insert_with(PartWriter::new).write(text);
    }

    /// Appends text that belongs to one format.
    pub(super) fn write_for(&mut self, only: Format, text: &str) {
        self.close();
        if only == Format::Text {
            self.count(text);
        }

        let mut part = PartWriter::new();
        part.write(text);
        self.page.parts.push(part.finish(Some(only)));
    }

    fn count(&mut self, text: &str) {
        self.page.text_bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
    }

    fn close(&mut self) {
        self.page.parts.extend(self.shared.take().map(|it| it.finish(None)));
    }

    pub(super) fn finish(mut self) -> Exposition {
        self.close();
        self.page
    }
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
        GzDecoder::new(gzip.as_ref()).read_to_string(&mut unzipped).unwrap();

        assert_eq!(unzipped, text(&page, Format::Text, "process_open_fds 7\n"));
        assert!(unzipped.ends_with("1\nprocess_open_fds 7\n"));
        assert!(page.gzip_bytes() * 20 < page.text_bytes());
    }

    /// Curl and browsers stop after the first gzip member.
    #[test]
    fn a_decoder_of_one_gzip_member_reads_the_whole_page() {
        let mut writer = ExpositionWriter::new();
        for number in 0..50 {
            writer.write(&"kafka_up{kafka_cluster=\"main\"} 1\n".repeat(number * 100));
            writer.write_for(Format::OpenMetrics, "# TYPE b counter\n");
        }

        let page = writer.finish();
        for format in [Format::Text, Format::OpenMetrics] {
            let gzip = page.gzip(format, "process_open_fds 7\n");
            let mut rest = gzip.as_ref();
            let mut unzipped = String::new();
            flate2::bufread::GzDecoder::new(&mut rest).read_to_string(&mut unzipped).unwrap();

            assert!(rest.is_empty(), "{} bytes follow the first member", rest.len());
            assert_eq!(unzipped, text(&page, format, "process_open_fds 7\n"));
            assert!(unzipped.contains("process_open_fds 7\n"));
        }
    }

    #[test]
    fn the_empty_page_is_valid_too() {
        assert_eq!(text(&Exposition::default(), Format::Text, ""), "");
        assert_eq!(text(&Exposition::default(), Format::OpenMetrics, ""), END);
    }
}
