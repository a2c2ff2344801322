//! `load` and the probe, which use librdkafka, on a broker with TLS and SASL.
//!
//! Needs the broker of `lab/run.sh live-security up`: the user `writer` with the rights that a load
//! and the probe need, and its certificates.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::stack::{eventually, variable};
use crate::serving::ServeProcess;

const PASSWORD: &str = "quill";
/// Longer than a change of a file and a retry take.
const SEEN_WITHIN: Duration = Duration::from_secs(40);

fn certificate(name: &str) -> PathBuf {
    Path::new(&variable("SECURITY_CERTIFICATES")).join(name)
}

/// A configuration file for a listener, and what it names.
struct ClientFiles(TempDir);

impl ClientFiles {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put("password", PASSWORD);
        files
    }

    fn put(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.0.path().join(name), content).unwrap();
        self.0.path().join(name)
    }

    fn config(&self, listener: &str, security: &str, more: &str) -> PathBuf {
        let text = format!(
            "clusters:
  - bootstrap_servers: ['{}']
    collect_interval: 1s
    security: {security}
{more}
remediation: {{state_dir: '{}'}}
",
            variable(&format!("SECURITY_{listener}")),
            self.0.path().join("state").display(),
        );

        self.put("config.yaml", &text)
    }

    fn sasl(&self, mechanism: &str) -> String {
        let file = self.0.path().join("password");
        let file = file.display();
        format!("sasl: {{mechanism: {mechanism}, username: writer, password_file: '{file}'}}")
    }
}

fn tls() -> String {
    format!("tls: {{ca_file: '{}'}}", certificate("ca.pem").display())
}

fn load(config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kafka-optimizer"))
        .args(["load", "baseline", "--records", "600", "--rate", "600", "--output", "json"])
        .arg("--config.file")
        .arg(config)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
#[ignore = "needs the live stack: run `make test`"]
fn a_load_reads_back_every_record_through_every_listener() {
    let files = ClientFiles::new();
    let (tls, sasl) = (tls(), |it: &str| files.sasl(it));
    let (cert, key) = (certificate("client.pem"), certificate("client.key"));
    let identity = format!("cert_file: '{}', key_file: '{}'", cert.display(), key.display());
    let mutual = format!("{{{}, {identity}}}}}", tls.trim_end_matches('}'));

    for (listener, security) in [
        ("TLS", format!("{{{tls}}}")),
        ("MTLS", mutual),
        ("PASSWORDS", format!("{{{tls}, {}}}", sasl("PLAIN"))),
        ("PASSWORDS", format!("{{{tls}, {}}}", sasl("SCRAM-SHA-256"))),
        ("PASSWORDS", format!("{{{tls}, {}}}", sasl("SCRAM-SHA-512"))),
        ("OPENPASSWORDS", format!("{{{}}}", sasl("SCRAM-SHA-512"))),
    ] {
        let output = load(&files.config(listener, &security, ""));
        let errors = text(&output.stderr);

        assert!(output.status.success(), "{listener} {security}: {errors}");

        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["acknowledged"], 600, "{listener} {security}: {result}");
        assert_eq!((&result["missing"], &result["failed"]), (&0.into(), &0.into()), "{result}");
        assert_eq!(result["left_behind"], Value::Array(Vec::new()), "{result}");
    }
}

#[test]
#[ignore = "needs the live stack: run `make test`"]
fn a_load_that_may_not_connect_says_why_and_shows_no_secret() {
    let files = ClientFiles::new();
    let sasl = files.sasl("SCRAM-SHA-256");
    let encrypted = format!("{{{}, {sasl}}}", tls());
    let untrusted = format!("{{tls: {{ca_file: '{}'}}}}", certificate("other-ca.pem").display());
    files.put("password", "wrong-secret\n");

    for (listener, security, wanted) in [
        ("PASSWORDS", &encrypted, "Authentication failed"),
        ("TLS", &untrusted, "certificate verify failed"),
        ("EXPIRED", &format!("{{{}}}", tls()), "certificate"),
    ] {
        let output = load(&files.config(listener, security, ""));
        let shown = text(&output.stderr) + &text(&output.stdout);
        println!("    {shown}");

        assert_eq!(output.status.code(), Some(1), "{listener}: {shown}");
        assert!(shown.contains(wanted), "{listener}: {wanted:?} in {shown}");
        assert!(!shown.contains("wrong-secret"), "{shown}");
    }
}

/// The value of a series of the only broker.
fn probe_value(page: &str, name: &str, more: &str) -> f64 {
    let series = format!("kafka_probe_{name}{{kafka_cluster=\"main\",broker_id=\"1\"{more}}} ");
    let value = page.lines().find_map(|it| it.strip_prefix(&series));
    value.map_or(0.0, |it| it.parse().unwrap())
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn the_probe_goes_through_tls_and_sasl_and_follows_a_changed_password() {
    let files = ClientFiles::new();
    let security = format!("{{{}, {}}}", tls(), files.sasl("SCRAM-SHA-512"));
    let probe = "    probe: {interval: 1s, timeout: 3s, replication_factor: 1}";
    let serving = ServeProcess::start(&files.config("PASSWORDS", &security, probe));
    let page = || serving.get("/metrics");
    let round_trips = || probe_value(&page(), "round_trip_seconds_count", "");
    let refused = || probe_value(&page(), "failures_total", ",reason=\"authentication\"");

    eventually("round trips", SEEN_WITHIN, async || (round_trips() >= 2.0).then_some(())).await;

    files.put("password", "wrong-secret\n");
    eventually("refused", SEEN_WITHIN, async || (refused() >= 1.0).then_some(())).await;

    assert!(!page().contains("wrong-secret"));

    let before = round_trips();
    files.put("password", PASSWORD);
    eventually("round trips again", SEEN_WITHIN, async || {
        (round_trips() >= before + 2.0).then_some(())
    })
    .await;
}
