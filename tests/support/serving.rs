//! The program as a process, serving on a free port.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

pub(crate) struct ServeProcess {
    pub(crate) child: Child,
    address: String,
}

impl ServeProcess {
    pub(crate) fn start(config: &Path) -> Self {
        let mut child = program(config).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();

        while !line.contains("Listening.") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
        }

        let line: Value = serde_json::from_str(&line).unwrap();

        // An unread pipe would block the process.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));

        Self { child, address: line["address"].as_str().unwrap().to_owned() }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();

        text
    }

    /// Sends an authorized POST without a body.
    pub(crate) fn post(&self, path: &str, token: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\
             Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();

        text
    }

    /// Sends the head and half the body of a POST; the connection stays open.
    pub(crate) fn send_half(&self, path: &str, token: &str) -> std::net::TcpStream {
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\
             Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n\r\n{{"
        )
        .unwrap();

        stream
    }

    /// Waits until `path` shows it: a signal takes effect a moment after it is sent.
    #[expect(clippy::disallowed_methods, reason = "the process under test has a clock of its own")]
    pub(crate) fn until_shown(&self, path: &str, wanted: &str) {
        for _ in 0..200 {
            if self.get(path).contains(wanted) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }

        panic!("{path} never showed {wanted}: {}", self.get(path));
    }

    /// Waits until the landing page shows it: a signal takes effect a moment after it is sent.
    #[expect(clippy::disallowed_methods, reason = "the process under test has a clock of its own")]
    pub(crate) fn until_paused(&self, paused: &str) {
        for _ in 0..200 {
            let is_paused = self.get("/").contains("Remediation is paused");
            if paused == if is_paused { "yes" } else { "no" } {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }

        panic!("it never became {paused}");
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

pub(crate) fn program(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-optimizer"));
    command
        .args(["serve", "--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .arg("--config.file")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());

    command
}
