//! SIGHUP and `POST /-/reload`: a running process takes over a good file, and refuses a bad one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::serving::ServeProcess;

const TOKEN: &str = "0123456789abcdef";
const OTHER_TOKEN: &str = "fedcba9876543210";
const SUCCESSFUL: &str = "\nkafka_optimizer_config_last_reload_successful 1";
const REFUSED: &str = "\nkafka_optimizer_config_last_reload_successful 0";

/// A configuration file with its state directory and token file.
struct ConfigFiles {
    dir: tempfile::TempDir,
}

impl ConfigFiles {
    fn new() -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(files.path("token"), TOKEN).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("config.yaml")
    }

    /// Writes the file with these clusters, at addresses where nothing listens.
    fn write(&self, clusters: &[&str], mode: &str) {
        self.write_with(clusters, &format!("mode: {mode}, state_dir: {}", self.shown("state")));
    }

    fn write_with(&self, clusters: &[&str], remediation: &str) {
        let cluster =
            |it: &&str| format!("  - {{name: {it}, bootstrap_servers: ['127.0.0.1:1']}}\n");
        let clusters: String = clusters.iter().map(cluster).collect();
        let text = format!(
            "clusters:\n{clusters}remediation: {{token_file: {}, {remediation}}}\n",
            self.shown("token")
        );
        fs::write(self.config(), text).unwrap();
    }

    fn shown(&self, name: &str) -> String {
        Path::display(&self.path(name)).to_string()
    }
}

#[test]
fn a_hangup_reloads_the_file_and_never_ends_the_process() {
    let files = ConfigFiles::new();
    files.write(&["a"], "observe");
    let mut serving = ServeProcess::start(&files.config());
    serving.until_shown("/metrics", SUCCESSFUL);

    // Another cluster and another mode.
    files.write(&["a", "b"], "rehearse");
    serving.signal("HUP");
    serving.until_shown("/metrics", "kafka_up{kafka_cluster=\"b\"} 0");
    serving.until_shown("/metrics", "kafka_optimizer_mode{mode=\"rehearse\"} 1");

    assert!(serving.get("/").contains("mode rehearse"));

    // A bad file changes nothing, and says so.
    fs::write(files.config(), "clusters: [{}]").unwrap();
    serving.signal("HUP");
    serving.until_shown("/metrics", REFUSED);
    let page = serving.get("/");

    assert!(page.contains("The configuration was rejected"), "{page}");
    assert!(page.contains("name at least one broker"), "{page}");
    assert!(serving.get("/metrics").contains("kafka_up{kafka_cluster=\"b\"} 0"));

    // A cluster that is not configured any more ends.
    files.write(&["b"], "observe");
    serving.signal("HUP");
    serving.until_shown("/metrics", SUCCESSFUL);
    serving.until_shown("/metrics", "kafka_optimizer_mode{mode=\"observe\"} 1");
    let page = serving.get("/metrics");

    assert!(!page.contains("kafka_up{kafka_cluster=\"a\"}"), "{page}");
    assert!(!serving.get("/").contains("The configuration was rejected"));
    assert!(serving.get("/-/ready").starts_with("HTTP/1.1 200 "));

    serving.signal("TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reload_over_http_needs_the_token_and_answers_what_is_wrong() {
    let files = ConfigFiles::new();
    files.write(&["a"], "observe");
    let serving = ServeProcess::start(&files.config());

    assert!(serving.post("/-/reload", OTHER_TOKEN).starts_with("HTTP/1.1 401 "));

    let answer = serving.post("/-/reload", TOKEN);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    fs::write(files.config(), "clusters: [{bootstrap_server: [a:1]}]").unwrap();
    let answer = serving.post("/-/reload", TOKEN);

    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
    assert!(answer.contains("did you mean `bootstrap_servers`?"), "{answer}");

    // What a running process cannot change.
    files.write_with(&["a"], &format!("state_dir: {}", files.shown("elsewhere")));
    let answer = serving.post("/-/reload", TOKEN);

    assert!(answer.contains("remediation.state_dir"), "{answer}");
    assert!(answer.contains("needs a restart"), "{answer}");

    files.write(&["a"], "rehearse");
    let answer = serving.post("/-/reload", TOKEN);

    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    serving.until_shown("/metrics", "kafka_optimizer_mode{mode=\"rehearse\"} 1");
}

#[test]
fn an_exporter_becomes_no_more_than_that_by_a_reload() {
    let files = ConfigFiles::new();
    fs::write(files.config(), "clusters: [{bootstrap_servers: ['127.0.0.1:1']}]").unwrap();
    let mut serving = ServeProcess::start(&files.config());

    // An exporter keeps no state, so it cannot become more by a reload.
    files.write(&["main"], "observe");
    serving.signal("HUP");
    serving.until_shown("/metrics", REFUSED);
    serving.until_shown("/", "needs a restart");

    serving.signal("TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

/// The stop took 30 s, and Docker grants 10.
#[test]
#[expect(clippy::disallowed_methods, reason = "the process under test has a clock of its own")]
fn a_half_sent_body_does_not_delay_the_stop() {
    let files = ConfigFiles::new();
    files.write(&["a"], "observe");
    let mut serving = ServeProcess::start(&files.config());
    let _half = serving.send_half("/api/v1/alerts", TOKEN);
    serving.signal("TERM");

    for _ in 0..400 {
        if let Some(status) = serving.child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0));
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("it has not stopped within 10 s");
}

/// The old token stayed valid until the next restart.
#[test]
#[expect(clippy::disallowed_methods, reason = "the process under test has a clock of its own")]
fn a_token_file_that_changes_is_read_again() {
    let files = ConfigFiles::new();
    files.write(&["a"], "observe");
    let serving = ServeProcess::start(&files.config());
    let is_accepted = |token| serving.post("/api/v1/pause", token).starts_with("HTTP/1.1 200 ");

    assert!(is_accepted(TOKEN) && !is_accepted(OTHER_TOKEN));

    fs::write(files.path("token"), OTHER_TOKEN).unwrap();
    for _ in 0..400 {
        if is_accepted(OTHER_TOKEN) {
            assert!(!is_accepted(TOKEN), "the old token is still accepted");
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }

    panic!("the new token was never accepted");
}
