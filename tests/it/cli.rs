//! The command line: text output, JSON output and exit codes.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use kafka_optimizer::{
    cli::{self, ChooseByKeys, Exit, Terminal},
    http::{self, Limits},
    model::RunState,
    shutdown::Tasks,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::spawn_blocking};

use crate::{
    http_harness::{HttpHarness, TOKEN, front},
    serving::{ServeProcess, program},
    web_files::{WebConfigFiles, hash},
};

/// Output and exit code of a command.
pub(crate) struct CommandOutput {
    exit: Exit,
    pub(crate) out: String,
    err: String,
}

fn ran(args: &[String], input: &str, interactive: bool) -> CommandOutput {
    ran_in(args, input, interactive, None)
}

fn ran_in(args: &[String], input: &str, interactive: bool, width: Option<u16>) -> CommandOutput {
    ran_with_keys(args, input, interactive, width, None)
}

fn ran_with_keys(
    args: &[String],
    input: &str,
    interactive: bool,
    width: Option<u16>,
    keys: Option<ChooseByKeys>,
) -> CommandOutput {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let input = &mut input.as_bytes();
    let (out_to, err_to) = (&mut out, &mut err);
    let mut terminal =
        Terminal { out: out_to, err: err_to, input, interactive, width, choose_by_keys: keys };
    let program = ["kafka-optimizer".to_owned()];
    let exit = cli::run(program.iter().chain(args), &mut terminal);
    let text = |bytes| String::from_utf8(bytes).unwrap();

    CommandOutput { exit, out: text(out), err: text(err) }
}

pub(crate) fn offline(args: &[&str]) -> CommandOutput {
    let args: Vec<String> = args.iter().map(|it| (*it).to_owned()).collect();
    ran(&args, "", false)
}

/// A server with a recording pipeline, and its token in a file.
struct ApiServer {
    front: HttpHarness,
    url: String,
    dir: tempfile::TempDir,
    _tasks: Tasks,
}

impl ApiServer {
    async fn new() -> Self {
        let front = front(Some(TOKEN));
        let tasks = Tasks::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (web, telemetry) = (&front.web, &front.telemetry);
        http::serve(vec![listener], &front.router, web, telemetry, Limits::default(), &tasks);

        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();

        Self { front, url, dir, _tasks: tasks }
    }

    async fn script(&self, args: &[&str]) -> CommandOutput {
        self.run(args, "", false).await
    }

    async fn run(&self, args: &[&str], input: &str, interactive: bool) -> CommandOutput {
        let mut args: Vec<String> = args.iter().map(|it| (*it).to_owned()).collect();
        let token = self.dir.path().join("token");
        args.extend(["--server".to_owned(), self.url.clone()]);
        args.extend(["--token-file".to_owned(), token.display().to_string()]);
        let input = input.to_owned();

        // The command has a runtime of its own, which cannot be started inside this one.
        spawn_blocking(move || ran(&args, &input, interactive)).await.unwrap()
    }

    fn called(&self) -> Vec<String> {
        self.front.pipe.called.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn runs_are_a_table_for_people() {
    let server = ApiServer::new().await;
    let ran = server.script(&["runs"]).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let lines: Vec<&str> = ran.out.lines().collect();
    let [header, row] = lines[..] else { panic!("{}", ran.out) };

    for (name, value) in [
        ("RUN", "7"),
        ("CREATED", "2026-01-02 03:04:05Z"),
        ("STATE", "held"),
        ("VERDICT", "improved"),
        ("CLUSTER", "main"),
        ("TARGET", "broker 1"),
        ("PLAYBOOK", "broker-threads"),
        ("CAUSE", "KafkaRequestHandlersSaturated"),
        ("REASON", "cooldown"),
    ] {
        let at = header.find(name).unwrap();
        assert!(row[at..].starts_with(value), "{name} stands above {value}:\n{}", ran.out);
    }

    assert_eq!((cells(header).len(), cells(row).len()), (9, 9), "{}", ran.out);
}

#[tokio::test]
async fn one_run_is_a_page_for_people() {
    let server = ApiServer::new().await;
    let ran = server.script(&["runs", "7"]).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert_eq!(
        ran.out,
        "\
Run 7 is held (cooldown)

  cluster    main
  target     broker 1
  optimizer  tune_brokers, level moderate
  playbook   broker-threads, attempt 1
  cause      alert KafkaRequestHandlersSaturated

Times
  created      2026-01-02 03:04:05Z
  first write  2026-01-02 03:04:06Z  +1.000s

Plan
  WAVE  SUBJECT   KEY             FROM  STORED BEFORE  TO  STATE    AT
  0     broker 1  num.io.threads  8     -              16  applied  +0.000s
  digest 38417e96a044

Verdict: improved
  objective  a
  before     0.25
  after      0.1
  effect     60.0 % better
  load       -3.0 %
  evidence   as large an improvement came about by itself in 0 of 20 windows

Timeline
  +0.000s  stored  <b>\"quotes\" {braces}\u{FFFD}[31m</b>

What to do: Wait: the note says how long. The playbook's `cooldown` sets it.
"
    );
}

#[tokio::test]
async fn i33_approve_shows_the_plan_and_approves_that_plan_only() {
    let server = ApiServer::new().await;
    let ran = server.script(&["runs", "7", "--output", "json"]).await;
    let run: Value = serde_json::from_str(&ran.out).unwrap();
    let digest = run["plan_digest"].as_str().unwrap();

    assert_eq!(digest.len(), 64);

    let refused = server.run(&["approve", "7"], "n\n", true).await;
    assert!(refused.out.contains("num.io.threads"), "{}", refused.out);
    assert!(refused.out.contains(&digest[..12]), "{}", refused.out);

    let ran = server.run(&["approve", "7"], "y\n", true).await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

    let approvals: Vec<String> =
        server.called().into_iter().filter(|it| it.starts_with("approve")).collect();
    assert_eq!(approvals, [format!("approve 7 Some({digest:?})")]);
}

#[tokio::test]
async fn status_says_what_is_going_on_and_what_to_do() {
    let server = ApiServer::new().await;
    server.script(&["pause"]).await;
    let ran = server.script(&["status"]).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert_eq!(
        ran.out,
        "\
Mode act, paused: `kafka-optimizer resume` ends that

Cluster main
  no run is active
  queued: 2
  held: 3, because the last run of this playbook on this target ended not long ago (cooldown)
    Wait: the note says how long. The playbook's `cooldown` sets it.
  temporary until 2026-01-02 04:04:05Z: run 7 (broker-threads on broker 1) is kept (improved)
  changed by someone else: num.io.threads of broker 1
"
    );

    let ran = server.script(&["status", "--output", "json"]).await;
    let status: Value = serde_json::from_str(&ran.out).unwrap();

    assert_eq!(status["clusters"][0]["held"][0]["reason"], "cooldown");
}

#[tokio::test]
async fn filters_and_names_reach_the_server() {
    let server = ApiServer::new().await;
    let filtered = ["--cluster", "a b&c", "--state", "held,stuck", "--since", "24h"];
    let ran = server.script(&[&["runs", "--before", "120"], &filtered[..]].concat()).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

    let filter = server.front.pipe.filters.lock().unwrap()[0].clone();
    assert_eq!(filter.cluster.unwrap().as_str(), "a b&c");
    assert_eq!((filter.states.len(), filter.before.map(|it| it.0)), (2, Some(120)));
    assert!(filter.since.is_some());

    let ran = server.script(&["journal", "--by", "alice", "--limit", "1"]).await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.starts_with("ID  AT "), "{}", ran.out);
    assert!(ran.err.contains("--before 0"), "{}", ran.err);

    server.script(&["elect-leaders", "--playbook", "second", "--yes"]).await;
    let order = server.front.pipe.orders.lock().unwrap()[0].clone();

    assert_eq!(order.playbook.as_deref(), Some("second"));

    let release = ["release", "--key", "num.io.threads", "--target", "broker 1"];
    let ran = server.script(&release).await;

    assert!(ran.out.contains("key: Some(\"num.io.threads\")"), "{}", ran.out);

    for wrong in [&["--target", "broker 1"][..], &["--playbook", "p"], &["--target", "x"]] {
        let ran = server.script(&[&["release"], wrong].concat()).await;
        assert_ne!(ran.exit, Exit::Done, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_verdict_is_computed_again_from_what_is_stored() {
    let server = ApiServer::new().await;
    let ran = server.script(&["runs", "7", "--again"]).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.starts_with("improved: as large an improvement came about"), "{}", ran.out);

    let ran = server.script(&["runs", "7", "--again", "--output", "json"]).await;
    let again: Value = serde_json::from_str(&ran.out).unwrap();

    assert_eq!(again["verdict"], "improved");

    assert_eq!(server.script(&["runs", "--again"]).await.exit, Exit::Usage);
}

#[tokio::test]
async fn tables_fit_a_terminal_of_80_columns() {
    let server = ApiServer::new().await;

    for command in [
        &["runs"][..],
        &["runs", "7"],
        &["runs", "7", "--again"],
        &["status"],
        &["journal"],
        &["temporary-changes"],
        &["approve", "7", "--yes"],
        &["rollback", "7", "--yes"],
        &["tune-brokers", "--level", "moderate", "--yes"],
        &["release", "--yes"],
        &["pause", "--yes"],
        &["baseline", "list"],
        &["baseline", "compare", "before-upgrade"],
    ] {
        let mut args: Vec<String> = command.iter().map(|it| (*it).to_owned()).collect();
        let token = server.dir.path().join("token").display().to_string();
        args.extend(["--server", &server.url, "--token-file", &token].map(str::to_owned));
        let ran = spawn_blocking(move || ran_in(&args, "", true, Some(80))).await.unwrap();

        assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

        let widest = ran.out.lines().map(|it| it.chars().count()).max().unwrap();
        assert!(widest <= 80, "{command:?} {widest}\n{}", ran.out);
        assert!(!ran.out.is_empty(), "{command:?}");
    }
}

#[tokio::test]
async fn a_baseline_is_recorded_listed_and_compared() {
    let server = ApiServer::new().await;
    let ran = server.script(&["baseline", "record", "peak", "--for", "30m"]).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.starts_with("Recorded peak of main: 2026-01-02 02:54:05Z to "), "{}", ran.out);
    assert!(ran.out.contains("  produce time  1       5.50 ms  10 of 10"), "{}", ran.out);
    assert_eq!(server.called(), ["record peak 1800s false"]);

    let ran = server.script(&["baseline", "list"]).await;
    for word in ["before-upgrade", "main", "2026-01-02 03:04:05Z", "10", "unknown"] {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }

    let ran = server.script(&["baseline", "compare", "before-upgrade"]).await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

    for words in [
        "produce time  all     5.50 ms   2.10 ms  -60 % (-70 to -50)  better",
        "(load)",
        "\nOf the whole cluster\n  produce time: as large an improvement",
        "\nMind\n  the configuration is not the same: broker 1\n",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }

    let ran = server.script(&["baseline", "compare", "before-upgrade", "--output", "json"]).await;
    let compared: Value = serde_json::from_str(&ran.out).unwrap();

    assert_eq!(compared["metrics"][0]["verdict"], "better");
    assert_eq!(compared["metrics"][1]["verdict"], Value::Null);
}

#[tokio::test]
async fn a_person_is_asked_before_a_baseline_is_replaced_and_a_script_says_so() {
    let server = ApiServer::new().await;
    let again = ["baseline", "record", "before-upgrade"];
    let ran = server.run(&again, "n\n", true).await;

    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("This replaces the baseline `before-upgrade` of 2026"), "{}", ran.err);
    assert!(!server.called().iter().any(|it| it.starts_with("record")));

    assert_eq!(server.run(&again, "y\n", true).await.exit, Exit::Done);
    assert_eq!(server.called().last().unwrap(), "record before-upgrade 600s true");

    let ran = server.script(&again).await;
    assert!(ran.exit == Exit::Failed && ran.err.contains("has a baseline"), "{}", ran.err);

    let ran = server.script(&[&again[..], &["--replace"]].concat()).await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

    let wrong = server.script(&["baseline", "compare", "../runs"]).await;
    assert_eq!(wrong.exit, Exit::Usage, "{}", wrong.err);
}

#[tokio::test]
async fn a_baseline_is_deleted_after_a_question() {
    let server = ApiServer::new().await;
    let deletion = ["baseline", "delete", "before-upgrade", "--cluster", "main"];
    let ran = server.run(&deletion, "n\n", true).await;

    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("This deletes the baseline `before-upgrade`"), "{}", ran.err);
    assert_eq!(server.called(), [""; 0]);

    let ran = server.script(&deletion).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, "Deleted before-upgrade of main.\n"));
    assert!(server.called()[0].starts_with("delete baseline Some("), "{:?}", server.called());

    let ran = server.script(&["baseline", "delete", "other"]).await;
    assert!(ran.err.contains("has no baseline `other`"), "{}", ran.err);
}

#[tokio::test]
async fn a_report_is_markdown_html_or_json() {
    let server = ApiServer::new().await;
    let ran = server.script(&["report", "--since", "2020-01-01T00:00:00Z"]).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

    for line in [
        "# Kafka report",
        "## Cluster main",
        "- cost: the configuration has no `prices`",
        "- growth and cost: the cluster is not watched yet",
    ] {
        assert!(ran.out.lines().any(|it| it == line), "{line}: {}", ran.out);
    }

    for call in ["runs 500", "run 7"] {
        assert!(server.called().iter().any(|it| it == call), "{call}: {:?}", server.called());
    }

    let ran = server.script(&["report", "--format", "html"]).await;
    assert!(ran.out.starts_with("<!DOCTYPE html>"), "{} {}", ran.out, ran.err);

    for json in [["--format", "json"], ["--output", "json"]] {
        let ran = server.script(&[&["report"][..], &json].concat()).await;
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        let run = &report["clusters"][0]["runs"][0];

        assert_eq!((&run["effect"], &run["changes"][0]["level"]), (&json!(0.6), &json!("broker")));
    }

    for (wrong, exit, words) in [
        (["--since", "soon"], Exit::Failed, "since must be a time"),
        (["--cluster", "other"], Exit::Failed, "there is no cluster other"),
        (["--days", "3"], Exit::Usage, "3 is not in 5..=400"),
    ] {
        let ran = server.script(&[&["report"][..], &wrong].concat()).await;
        assert_eq!(ran.exit, exit, "{wrong:?} {}", ran.out);
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
}

#[tokio::test]
async fn output_json_covers_errors() {
    let server = ApiServer::new().await;
    let ran = server.script(&["rollback", "8", "--output", "json"]).await;
    let error: Value = serde_json::from_str(&ran.err).unwrap();

    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Failed, ""));
    assert_eq!(error["error"], "it has ended");
    assert!(error["advice"].is_string());

    let ran = offline(&["runs", "--limit", "0", "--output=json"]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();

    assert_eq!(ran.exit, Exit::Usage);
    assert!(error["error"].as_str().unwrap().contains("--limit"), "{error}");
}

#[test]
fn help_of_a_command_version_and_completion() {
    let help = offline(&["help", "runs"]);
    assert_eq!(help.exit, Exit::Done, "{}", help.err);
    assert!(help.out.contains("--state"), "{}", help.out);

    let version = offline(&["version"]);
    assert_eq!(version.out, offline(&["--version"]).out);

    // Every command has its help, as `COMMAND --help` shows it.
    let commands = offline(&["--help"]).out;
    let (_, commands) = commands.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|it| !it.is_empty())
        .filter_map(|it| it.strip_prefix("  ")?.split(' ').next().filter(|it| !it.is_empty()))
        .collect();

    assert!(commands.contains(&"menu") && commands.len() > 20, "{commands:?}");

    for command in commands.into_iter().filter(|it| *it != "help") {
        assert_eq!(offline(&["help", command]).out, offline(&[command, "--help"]).out, "{command}");
    }

    for shell in ["bash", "zsh", "fish"] {
        let script = offline(&["completion", shell]);
        assert_eq!(script.exit, Exit::Done, "{}", script.err);
        assert!(script.out.contains("temporary-changes"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let printed = offline(&["man"]);

    assert_eq!(printed.exit, Exit::Done, "{}", printed.err);
    assert!(printed.out.contains(".TH kafka-optimizer 1"), "{}", printed.out);

    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("share/man1");
    let ran = offline(&["man", "--out", folder.to_str().unwrap()]);

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

    for (command, text) in [
        ("", "kafka\\-optimizer\\-tune\\-brokers"),
        ("-runs", "\\-\\-since"),
        ("-load-produce", "\\-\\-kafka.server"),
        ("-load-stress", "\\-\\-i\\-own\\-this\\-cluster"),
        ("-menu", "arrow keys"),
        ("-man", "\\-\\-out"),
    ] {
        let page = folder.join(format!("kafka-optimizer{command}.1"));
        let page = std::fs::read_to_string(&page).unwrap();

        assert!(page.contains(text), "{command}: {page}");
    }

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ran = offline(&["man", "--out", file.to_str().unwrap()]);

    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("cannot write manual pages"), "{}", ran.err);
}

#[test]
fn no_output_has_colours() {
    for args in [&["--help"][..], &["runs", "--help"], &["frobnicate"], &["version"]] {
        let ran = offline(args);
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{args:?}");
    }
}

#[tokio::test]
async fn a_choice_of_the_menu_prints_its_command_and_runs_it() {
    let server = ApiServer::new().await;
    let ran = server.run(&["menu"], "1\n2\n7\n3\n6\n\n", true).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);

    for (command, output) in [
        ("status", "Mode act"),
        ("runs", "KafkaRequestHandlersSaturated"),
        ("runs 7", "Run 7 is held"),
        ("temporary-changes", "IN EFFECT SINCE"),
        ("journal", "ENTRY"),
    ] {
        let printed = format!("$ kafka-optimizer {command} --server {}", server.url);
        assert!(ran.err.contains(&printed), "{printed} in {}", ran.err);
        assert!(ran.out.contains(output), "{output} in {}", ran.out);
    }

    let called = server.called();

    assert_eq!(called[..4], ["status", "runs 20", "run 7", "measures"]);
    assert!(called.len() == 5 && called[4].starts_with("journal"), "{called:?}");
}

#[tokio::test]
async fn the_menu_rehearses_before_it_tunes_and_asks_before_it_changes_anything() {
    let server = ApiServer::new().await;
    let mut rehearsed = crate::pipeline::detail();
    rehearsed.run.state = RunState::Rehearsed;
    server.front.pipe.others.lock().unwrap().push((rehearsed, None));

    // Level moderate, broker 1; no to what follows the rehearsal; then a rollback of run 7, yes.
    let ran = server.run(&["menu", "--cluster", "main"], "4\n2\n1\nn\n5\n7\ny\n\n", true).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.err.contains("--level moderate --broker 1 --rehearse --wait"), "{}", ran.err);
    assert!(ran.err.contains("not confirmed, nothing was changed"), "{}", ran.err);

    let orders = server.front.pipe.orders.lock().unwrap().clone();
    let [order] = &orders[..] else { panic!("{orders:?}") };

    assert!(order.dry_run && order.cluster.as_ref().unwrap().as_str() == "main", "{order:?}");
    assert!(server.called().contains(&"roll back 7".to_owned()), "{:?}", server.called());
}

#[tokio::test]
async fn the_menu_ends_with_the_input_and_takes_no_other_number() {
    let server = ApiServer::new().await;

    for input in ["", "\n", "0\n11\nx\n", "5\n\n\n", "4\n\n", "2\n"] {
        let ran = server.run(&["menu"], input, true).await;
        assert_eq!(ran.exit, Exit::Done, "{input:?} {}", ran.err);
        assert!(!server.called().iter().any(|it| it.contains("roll")), "{input:?}");
    }

    let ran = server.run(&["menu"], "11\n", true).await;
    assert!(ran.err.contains("`11` is not a number from 1 to 9."), "{}", ran.err);

    // A command that fails does not end the menu.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a b.yaml");
    std::fs::write(&file, "clusters: [{bootstrap_servers: [a:1]}]").unwrap();
    let input = format!("9\n/nowhere\n9\n{}\n7\ny\n8\ny\n", file.display());
    let ran = server.run(&["menu"], &input, true).await;

    assert!(ran.err.contains(&format!("check-config -- '{}'", file.display())), "{}", ran.err);
    assert!(ran.out.contains("is valid: clusters main"), "{}", ran.out);
    assert!(ran.out.contains("is paused") && ran.out.contains("no longer paused"), "{}", ran.out);
}

#[tokio::test]
async fn keys_choose_in_the_menu_where_there_are_any() {
    fn the_first_once(question: &str, choices: &[String]) -> io::Result<Option<usize>> {
        static CALLS: AtomicUsize = AtomicUsize::new(0);

        assert!(choices[0].starts_with(" 1  "), "{choices:?}");

        if choices.is_empty() {
            return Err(io::Error::other("nothing to choose from"));
        }

        let is_first = CALLS.fetch_add(1, Ordering::Relaxed) == 0;

        Ok((is_first && question.contains("do?")).then_some(0))
    }

    let server = ApiServer::new().await;
    let args = ["menu", "--server", &server.url].map(str::to_owned);
    let run = move || ran_with_keys(&args, "", true, Some(80), Some(the_first_once));
    let ran = spawn_blocking(run).await.unwrap();

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert_eq!(server.called(), ["status"]);
}

#[tokio::test]
async fn output_json_prints_the_json_of_the_api() {
    let server = ApiServer::new().await;
    let ran = server.script(&["runs", "7", "--output", "json"]).await;
    let run: Value = serde_json::from_str(&ran.out).unwrap();

    assert_eq!((&run["id"], &run["steps"][0]["to"]), (&Value::from(7), &Value::from("16")));

    let ran = server.script(&["runs", "--output", "json", "--limit", "3"]).await;
    let runs: Value = serde_json::from_str(&ran.out).unwrap();

    assert_eq!(runs["runs"][0]["state"], "held");
    assert_eq!(server.called(), ["run 7", "runs 3"]);
}

#[tokio::test]
async fn an_order_reaches_the_server_unchanged() {
    let server = ApiServer::new().await;
    let ran = server
        .script(&["tune-brokers", "--level", "moderate", "--broker", "1", "--rehearse"])
        .await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert_eq!(ran.out, "Run 7 created. `kafka-optimizer runs 7` shows it.\n");

    for command in [
        &["rollback", "7"][..],
        &["acknowledge", "7"],
        &["retry", "7"],
        &["cancel", "7"],
        &["reject", "7", "--reason", "no"],
        &["release", "--cluster", "main"],
        &["pause"],
        &["resume"],
    ] {
        let ran = server.script(command).await;
        assert_eq!(ran.exit, Exit::Done, "{command:?} {}", ran.err);
        assert!(!ran.out.is_empty(), "{command:?}");
    }

    let wanted = [
        "order",
        "roll back 7",
        "run 7",
        "acknowledge 7",
        "run 7",
        "retry 7",
        "run 7",
        "cancel 7 None",
        "run 7",
        "reject 7 Some(\"no\")",
        "run 7",
        "release",
        "pause",
        "resume",
    ];
    assert_eq!(server.called(), wanted);
}

#[tokio::test]
async fn commands_ask_for_confirmation_and_a_no_changes_nothing() {
    let server = ApiServer::new().await;
    let commands: [&[&str]; 9] = [
        &["tune-brokers", "--level", "moderate"],
        &["cancel", "7"],
        &["reject", "7"],
        &["retry", "7"],
        &["rollback", "7"],
        &["acknowledge", "7"],
        &["release"],
        &["pause"],
        &["resume"],
    ];

    for command in commands {
        for answer in ["n\n", "\n", ""] {
            let ran = server.run(command, answer, true).await;
            assert_eq!(ran.exit, Exit::Failed, "{command:?}");
            assert!(ran.err.contains("Continue? [y/N] "), "{}", ran.err);
            assert!(ran.err.contains("nothing was changed"), "{}", ran.err);
        }
    }

    assert!(server.called().is_empty());

    let ran = server.run(&["pause"], "y\n", true).await;
    assert_eq!((ran.exit, server.called().len()), (Exit::Done, 1));

    let ran = server.run(&["resume", "--yes"], "", true).await;
    assert_eq!((ran.exit, server.called().len()), (Exit::Done, 2));
    assert!(!ran.err.contains("Continue?"));
}

#[tokio::test]
async fn an_error_of_the_server_is_printed_with_what_to_do() {
    let server = ApiServer::new().await;
    let ran = server.script(&["rollback", "8"]).await;

    assert_eq!(ran.exit, Exit::Failed);
    assert_eq!(
        ran.err,
        "error: it has ended\n  `kafka-optimizer runs` shows all runs and their states, \
         `baseline list` the baselines\n"
    );

    std::fs::write(server.dir.path().join("token"), "another token of 16").unwrap();
    let ran = server.script(&["pause"]).await;

    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("--token-file"), "{}", ran.err);
}

/// A command against a server with TLS, client certificates and users, given some of `args`.
async fn secured(
    files: &WebConfigFiles,
    url: &str,
    command: &[&str],
    args: &[(&str, &str)],
) -> CommandOutput {
    let mut all: Vec<String> = command.iter().map(|it| (*it).to_owned()).collect();
    all.extend(["--server".to_owned(), url.to_owned()]);

    for (flag, file) in args {
        all.extend([(*flag).to_owned(), files.path(file).display().to_string()]);
    }

    spawn_blocking(move || ran(&all, "", false)).await.unwrap()
}

#[tokio::test]
async fn a_command_connects_with_ca_client_certificate_user_or_token() {
    let files = WebConfigFiles::new();
    let server = files
        .serve(&format!(
            "tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: clients.crt
basic_auth_users: {{prometheus: {}}}
",
            hash()
        ))
        .await;
    let url = format!("https://localhost:{}", server.address.port());
    files.write("user", "prometheus:right\n");
    files.write("wrong", "prometheus:wrong\n");
    files.write("token", TOKEN);

    let authority = ("--ca-file", "servers.crt");
    let own = [("--cert-file", "prometheus.crt"), ("--key-file", "prometheus.key")];
    let with = |more| [authority, own[0], own[1], more];
    let runs = async |args: &[(&str, &str)]| secured(&files, &url, &["runs"], args).await;

    let ran = runs(&with(("--user-file", "user"))).await;

    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.contains("broker-threads"), "{}", ran.out);
    assert_eq!(runs(&with(("--token-file", "token"))).await.exit, Exit::Done);

    let ran = runs(&with(("--user-file", "wrong"))).await;
    assert!(ran.exit == Exit::Failed && ran.err.contains("--user-file"), "{}", ran.err);

    let ran = runs(&own).await;
    assert!(ran.exit == Exit::Failed && ran.err.contains("--ca-file"), "{}", ran.err);
    assert_eq!(runs(&[authority]).await.exit, Exit::Failed);

    let pause = async |more| secured(&files, &url, &["pause"], &with(more)).await.exit;
    assert_eq!(pause(("--user-file", "user")).await, Exit::Failed);
    assert_eq!(pause(("--token-file", "token")).await, Exit::Done);
}

#[test]
fn without_a_server_a_command_says_how_to_start_one() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");

    for command in [&["runs"][..], &["pause"], &["tune-brokers", "--level", "moderate"]] {
        let ran = offline(&[command, &["--server", &url]].concat());
        assert_eq!(ran.exit, Exit::Failed);
        assert!(
            ran.err.starts_with(&format!("error: no server answers at {url}: ")),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("kafka-optimizer serve --config.file FILE"), "{}", ran.err);
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_help_with_0() {
    for wrong in [
        &["frobnicate"][..],
        &["tune-brokers"],
        &["tune-brokers", "--level", "emergency"],
        &["tune-brokers", "--level", "moderate", "--broker", "-1"],
        &["rollback"],
        &["rollback", "x"],
        &["runs", "--limit", "0"],
        &["runs", "--server", "ftp://host"],
        &["runs", "--server", "https://name:password@host"],
        &["runs", "--server", "https://host", "--ca-file", "/nowhere/ca.crt"],
        &["runs", "--cert-file", "/nowhere/client.crt"],
        &["runs", "--user-file", "/nowhere/user"],
        &["runs", "--server", "host"],
        &["runs", "--token-file", "/nowhere/token"],
        &["serve"],
        &[],
        &["serve", "--kafka.server", "kafka"],
        &["--kafka.server", "kafka:9092", "--config.file", "x"],
        &["serve", "--kafka.server", "kafka:9092", "--web.telemetry-path", "/api/v1/runs"],
        &["serve", "--kafka.server", "kafka:9092", "--web.telemetry-path", "/{x}"],
        &["serve", "--config.file", "/nowhere/config.yaml"],
        &["serve", "--kafka.server", "kafka:9092", "--web.config.file", "/nowhere/web.yml"],
        &["check-config", "/nowhere/config.yaml"],
    ] {
        let ran = offline(wrong);
        assert_eq!(ran.exit, Exit::Usage, "{wrong:?} {}", ran.err);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{wrong:?}");
    }

    for right in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        let ran = offline(right);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""), "{right:?}");
    }

    assert_eq!([Exit::Done, Exit::Failed, Exit::Usage].map(Exit::code), [0, 1, 2]);
}

#[test]
fn help_shows_examples() {
    let help = offline(&["--help"]).out;
    for command in [
        "serve",
        "check-config",
        "analyze",
        "tune-brokers",
        "runs",
        "rollback",
        "acknowledge",
        "release",
        "pause",
        "resume",
        "baseline",
        "load",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
    }

    assert!(help.contains("Exit codes:"), "{help}");

    for command in
        ["serve", "check-config", "tune-brokers", "runs", "rollback", "release", "baseline"]
    {
        let help = offline(&[command, "--help"]).out;
        assert!(help.contains("\n  kafka-optimizer "), "{help}");
    }
}

#[test]
fn a_load_above_the_caps_of_others_is_refused_before_it_connects() {
    let stress = ["load", "stress", "--kafka.server", "127.0.0.1:1", "--scale", "2"];
    let ran = offline(&stress);

    assert_eq!(ran.exit, Exit::Usage, "{}", ran.err);
    assert!(ran.err.contains("--i-own-this-cluster"), "{}", ran.err);
}

#[test]
fn a_load_takes_its_cluster_from_a_configuration_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let text =
        "clusters: [{name: a, bootstrap_servers: [a:1]}, {name: b, bootstrap_servers: [b:1]}]";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();

    for (cluster, named) in [(None, "a, b"), (Some("c"), "there is no cluster c")] {
        let named_cluster = cluster.map(|it| ["--cluster", it]).into_iter().flatten();
        let words: Vec<&str> =
            ["load", "baseline", "--config.file", file].into_iter().chain(named_cluster).collect();
        let ran = offline(&words);

        assert_eq!(ran.exit, Exit::Usage, "{}", ran.err);
        assert!(ran.err.contains(named), "{}", ran.err);
    }
}

#[test]
fn check_config_reports_every_problem_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = file("good.yaml", "clusters: [{bootstrap_servers: [a:1]}]");
    let ran = offline(&["check-config", &good]);

    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(ran.out, format!("{good} is valid: clusters main; mode rehearse; playbooks 0\n"));

    let bad = file("bad.yaml", "clusters: [{name: '-', bootstrap_servers: [a]}]");
    let ran = offline(&["check-config", &bad]);

    assert_eq!((ran.exit, ran.err.lines().count()), (Exit::Usage, 4), "{}", ran.err);

    let ran = offline(&["check-config", &bad, "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();

    assert_eq!((ran.exit, &report["valid"]), (Exit::Usage, &Value::from(false)));
    assert_eq!(report["problems"][1]["path"], "clusters[0].bootstrap_servers[0]");

    let odd = file("odd.yaml", "clusters:\n  - bootstrap_server: [a:1]\n");
    let ran = offline(&["check-config", &odd]);
    let wanted = format!(
        "error: {odd}: line 2, column 5: clusters[0]: unknown key `bootstrap_server`; did you mean `bootstrap_servers`?"
    );

    assert!(ran.err.starts_with(&wanted), "{}", ran.err);
}

#[test]
fn serve_handles_signals_and_locks_its_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yaml");
    let state = dir.path().join("state");

    // Nothing listens there; the process starts nevertheless.
    let token = dir.path().join("token");
    let text = format!(
        "clusters: [{{bootstrap_servers: ['127.0.0.1:1']}}]
remediation: {{state_dir: {}, token_file: {}}}\n",
        state.display(),
        token.display()
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(&token, TOKEN).unwrap();
    let mut serving = ServeProcess::start(&config);

    assert!(serving.get("/-/healthy").starts_with("HTTP/1.1 200 "));
    assert!(serving.get("/metrics").contains("kafka_optimizer_build_info"));

    let second = program(&config).output().unwrap();
    assert_eq!(second.status.code(), Some(1));

    let error = String::from_utf8(second.stderr).unwrap();
    let lock = state.join("lock");

    assert!(
        error.contains(&format!("another process holds the lock {}", lock.display())),
        "{error}"
    );
    assert!(error.contains("remediation.state_dir"), "{error}");

    serving.signal("USR1");
    serving.until_paused("yes");
    serving.signal("USR2");
    serving.until_paused("no");
    serving.signal("TERM");

    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

/// The second one ended with "another process holds the lock".
#[test]
fn several_exporters_run_on_one_machine_because_they_keep_no_state() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yaml");
    let state = dir.path().join("state");
    let text = format!(
        "clusters: [{{bootstrap_servers: ['127.0.0.1:1']}}]\nremediation: {{state_dir: {}}}\n",
        state.display()
    );
    std::fs::write(&config, text).unwrap();

    let mut serving = [ServeProcess::start(&config), ServeProcess::start(&config)];
    for it in &mut serving {
        assert!(it.get("/metrics").contains("kafka_optimizer_build_info"));

        it.signal("USR1");
        it.until_paused("yes");
        it.signal("USR2");
        it.until_paused("no");
        it.signal("TERM");

        assert_eq!(it.child.wait().unwrap().code(), Some(0));
    }

    assert!(!state.exists(), "an exporter made a state directory");
}

/// Its temporary changes have to be undone, whatever the file says now.
#[test]
fn an_exporter_uses_a_state_directory_with_open_runs() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yaml");
    let state = dir.path().join("state");
    let text = format!(
        "clusters: [{{bootstrap_servers: ['127.0.0.1:1']}}]\nremediation: {{state_dir: {}}}\n",
        state.display()
    );
    std::fs::write(&config, text).unwrap();
    std::fs::create_dir(&state).unwrap();

    let file = rusqlite::Connection::open(state.join("state.db")).unwrap();
    file.execute_batch(include_str!("golden/store_2.sql")).unwrap();
    drop(file);

    let serving = ServeProcess::start(&config);
    assert!(serving.get("/-/healthy").starts_with("HTTP/1.1 200 "));

    assert!(state.join("lock").exists(), "the open runs are nobody's");
}

#[test]
fn a_malformed_address_is_a_wrong_argument() {
    for (address, wanted) in [
        ("40001", "has no port"),
        ("", "has no port"),
        (":99999", "is no port"),
        (":+1", "is no port"),
        ("http://a:1", "leave out the scheme"),
        ("*:40001", "for all addresses"),
        ("::1:40001", "into brackets"),
        ("a b:1", "is no host"),
    ] {
        let ran = offline(&["serve", "--kafka.server", "a:1", "--web.listen-address", address]);
        assert_eq!(ran.exit, Exit::Usage, "{address}: {}", ran.err);
        assert!(ran.err.contains(wanted), "{address}: {}", ran.err);
    }
}

#[test]
fn an_unknown_log_level_is_a_wrong_argument() {
    let ran = offline(&["serve", "--kafka.server", "a:1", "--log.level", "loud"]);
    assert_eq!(ran.exit, Exit::Usage, "{}", ran.err);
    assert!(ran.err.contains("`loud` is not a log level"), "{}", ran.err);
    assert!(ran.err.contains("error, warn, info"), "{}", ran.err);
}
