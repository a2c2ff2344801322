//! Shared by the measurements: a scrape as Prometheus does it, statistics of a process from /proc,
//! and result files that are replaced atomically.

use std::{fs, io::Read, net::SocketAddr, path::Path, time::Duration};

use flate2::read::GzDecoder;
use procfs::process::Process;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The compressed body of a scrape.
pub(crate) struct CompressedPage {
    gzip: Vec<u8>,
}

impl CompressedPage {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(self.gzip.as_slice()).read_to_string(&mut text).unwrap();
        text
    }
}

/// One compressed scrape on a new connection. `None` if the response is not a page.
pub(crate) async fn scrape(address: SocketAddr) -> Option<CompressedPage> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = "GET /metrics HTTP/1.1\r\nHost: tests\r\nAccept-Encoding: gzip\r\n\
                   Connection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let gzip = answer.split_off(end + 4);

    answer.starts_with(b"HTTP/1.1 200").then_some(CompressedPage { gzip })
}

/// Statistics of a process from /proc.
pub(crate) struct ProcessStats(Process);

impl ProcessStats {
    pub(crate) fn this() -> Self {
        Self(Process::myself().unwrap())
    }

    pub(crate) fn of(id: u32) -> Self {
        Self(Process::new(id.try_into().unwrap()).unwrap())
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        self.0.status().unwrap().vmrss.unwrap() << 10
    }

    pub(crate) fn resident_bytes_peak(&self) -> u64 {
        self.0.status().unwrap().vmhwm.unwrap() << 10
    }

    /// Not with procfs: its count includes `.` and `..` on kernels before 6.2.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0.pid)).unwrap().count()
    }

    /// CPU time in user and system mode, of all threads.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = self.0.stat().unwrap();
        float(stat.utime + stat.stime) / float(procfs::ticks_per_second())
    }
}

/// Replaces the result file atomically, if `path` is set.
pub(crate) fn write_result(path: Option<&Path>, result: &impl Serialize) {
    let Some(path) = path else { return };
    let mut text = serde_json::to_string_pretty(result).unwrap();
    text.push('\n');
    let unfinished = path.with_extension("json.unfinished");
    fs::write(&unfinished, text).unwrap();
    fs::rename(&unfinished, path).unwrap();
}

/// A number as `f64`, exact below 2^53.
pub(crate) fn float(number: u64) -> f64 {
    let high = f64::from(u32::try_from(number >> 32).unwrap());
    let low = f64::from(u32::try_from(number & u64::from(u32::MAX)).unwrap());
    high.mul_add(4_294_967_296.0, low)
}

pub(crate) async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_the_same_number() {
        for number in [0_u32, 1, 4_000_000_000] {
            assert!((float(number.into()) - f64::from(number)).abs() < f64::EPSILON);
        }
        assert!((float(1 << 40) - 1_099_511_627_776.0).abs() < f64::EPSILON);
    }
}
