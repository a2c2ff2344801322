//! The configuration file: what it means, and the messages for an invalid one.

use std::{io, path::Path, sync::LazyLock, time::Duration};

use kafka_optimizer::{
    config::{Config, ConfigError, Loaded, SecretFile, load, of_servers, parse},
    model::Mode,
    playbook::{AboveStatic, Better, Guard, Level, Optimizer, Rollout, WithoutHistory},
    security::{IdentityFiles, PasswordFile, Sasl, Security, TlsFiles},
};

const REFERENCE: &str = include_str!("../../config/reference.yaml");
const TOKEN: &str = "0123456789abcdef";

/// A certificate and its key, in PEM.
static PAIR: LazyLock<(String, String)> = LazyLock::new(pair);

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["kafka".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Writes a file: a certificate, its key, or else [`TOKEN`] with a newline, by the end of its name.
#[expect(clippy::unnecessary_wraps, reason = "a `SecretReader` may fail")]
fn good_token(path: &Path) -> io::Result<SecretFile> {
    let text = match path.extension().and_then(|it| it.to_str()) {
        Some("pem") => PAIR.0.clone(),
        Some("key") => PAIR.1.clone(),
        _ if path.ends_with("alertmanager-token") => "alertmanager's token\n".replace(' ', "-"),
        _ => format!("{TOKEN}\n"),
    };

    Ok(SecretFile { text, world_readable: false })
}

fn read(text: &str) -> Result<Loaded, ConfigError> {
    parse(text, &good_token)
}

#[track_caller]
fn meant(text: &str) -> Config {
    read(text).unwrap_or_else(|error| panic!("{error}")).config
}

/// The paths of all problems, and the message.
#[track_caller]
fn problems(text: &str) -> (Vec<String>, String) {
    match read(text) {
        Err(ConfigError::Problems(problems)) => {
            let text = ConfigError::Problems(problems.clone()).to_string();
            (problems.into_iter().map(|it| it.path).collect(), text)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_syntax(text: &str, line: usize, wanted: &[&str]) {
    let Err(ConfigError::Syntax(error)) = read(text) else { panic!("{:?}", read(text)) };
    let message = error.to_string();

    assert_eq!(error.line, Some(line), "{message}");
    assert!(message.starts_with(&format!("line {line}, column ")), "{message}");

    for wanted in wanted {
        assert!(message.contains(wanted), "{wanted} in: {message}");
    }
}

/// A file with one playbook: the required lines, then `extra`.
fn with_playbook(extra: &str) -> String {
    let extra = extra.replace('\n', "\n      ");
    format!(
        "clusters:
  - bootstrap_servers: [kafka-1:9092]
    prometheus: {{url: 'http://prometheus:9090'}}
remediation:
  playbooks:
    - name: broker-threads
      match: {{alertname: KafkaRequestHandlersSaturated}}
      optimizer: {{tune_brokers: {{level: moderate}}}}
      objective: {{gauge: 'a{{broker_id=\"$broker_id\"}}', better: lower}}
      load: b
      {extra}
"
    )
}

#[test]
fn one_bootstrap_server_is_a_complete_configuration() {
    let config = meant("clusters: [{bootstrap_servers: [kafka-1:9092]}]");
    let cluster = &config.clusters[0];

    assert_eq!(cluster.name.as_str(), "main");
    assert_eq!(cluster.collect_interval, Duration::from_secs(15));
    assert_eq!(cluster.request_timeout, Duration::from_secs(5));
    assert_eq!((&cluster.docker, &cluster.prometheus, &cluster.probe), (&None, &None, &None));
    assert_eq!(config.remediation.mode, Mode::Rehearse);
    assert_eq!(config.remediation.state_dir, Path::new("/var/lib/kafka-optimizer"));
    assert_eq!(of_servers(&["kafka-1:9092".to_owned()]).unwrap().config, config);
}

#[test]
fn a_short_interval_shortens_the_deadline_with_it() {
    let config = meant("clusters: [{bootstrap_servers: ['[::1]:9092'], collect_interval: 3s}]");
    assert_eq!(config.clusters[0].request_timeout, Duration::from_secs(2));
}

#[test]
#[expect(clippy::too_many_lines, reason = "it shows one whole file")]
fn the_reference_file_shows_the_defaults() {
    let required = "
clusters:
  - name: main
    bootstrap_servers: [kafka-1:9092]
    docker: {}
    prometheus:
      url: 'https://prometheus:9090'
      authorization: {credentials_file: /run/secrets/prometheus-token}
      tls_config: {ca_file: /etc/kafka-optimizer/prometheus-ca.pem,
                   cert_file: /etc/kafka-optimizer/client.pem,
                   key_file: /etc/kafka-optimizer/client.key,
                   server_name: prometheus.example.com}
      headers: {X-Scope-OrgID: tenant-1}
    probe: {replication_factor: 3}
    managed_by: strimzi
    capacity: {network_per_broker: 1250MB}
    prices: {currency: EUR, broker_hour: 0.45, disk_gb_month: 0.08, network_gb: 0.01}
  - name: secured
    bootstrap_servers: [kafka.example.com:9093]
    prometheus:
      url: 'https://prometheus:9090'
      basic_auth: {username: kafka-optimizer, password_file: /run/secrets/prometheus-password}
      proxy_url: 'http://proxy:3128'
    security:
      tls: {ca_file: /etc/kafka-optimizer/ca.pem, cert_file: /etc/kafka-optimizer/client.pem,
            key_file: /etc/kafka-optimizer/client.key, server_name: kafka.example.com}
      sasl: {mechanism: SCRAM-SHA-512, username: kafka-optimizer,
             password_file: /run/secrets/kafka-password}
remediation:
  token_file: /run/secrets/kafka-optimizer-token
  tokens: [{name: alertmanager, token_file: /run/secrets/alertmanager-token, scopes: [alerts]}]
  clients: [{san: alice.example.com, name: alice, scopes: [operate, approve]}]
  playbooks:
    - name: broker-threads
      match: {alertname: KafkaRequestHandlersSaturated, remediation: tune-brokers}
      confirm: 'kafka:request_handler_idle:ratio{kafka_cluster=\"$kafka_cluster\"} < 0.3'
      when: 'kafka:broker_cpu:ratio{kafka_cluster=\"$kafka_cluster\",broker_id=\"$broker_id\"} < 0.8'
      optimizer: {tune_brokers: {level: moderate}}
      objective:
        mean:
          sum: 'kafka:produce_time:milliseconds_sum{kafka_cluster=\"$kafka_cluster\",broker_id=\"$broker_id\"} / 1000'
          count: 'kafka:produce_time:requests_count{kafka_cluster=\"$kafka_cluster\",broker_id=\"$broker_id\"}'
        better: lower
    - name: lost-at-restart
      match: {alertname: KafkaBrokerConfigNotApplied, remediation: reapply}
      optimizer: {reapply: {}}
      objective:
        gauge: 'min(kafka_broker_config_applied{kafka_cluster=\"$kafka_cluster\",broker_id=\"$broker_id\"})'
        better: higher
      load: 'kafka:produce_requests:rate{kafka_cluster=\"$kafka_cluster\",broker_id=\"$broker_id\"}'
    - name: preferred-leaders
      match: {alertname: KafkaLeadersNotPreferred, remediation: elect-leaders}
      optimizer: {elect_leaders: {}}
      objective:
        lag: 'count(kafka_topic_partition_leader_is_preferred{kafka_cluster=\"$kafka_cluster\"} == 0) or vector(0)'
        better: lower
      load: 'sum(kafka:produce_requests:rate{kafka_cluster=\"$kafka_cluster\"})'
    - name: slow-down-batch
      match: {alertname: KafkaRequestQueueFilling, remediation: shed-load}
      optimizer:
        shed_load:
          clients:
            - {client_id: nightly-batch, user: batch, producer_byte_rate: 5MiB, usual: 50MiB}
            - {client_id: reports, consumer_byte_rate: 10MiB, usual: 100MiB}
      objective:
        gauge: 'max(kafka:produce_time:mean_seconds{kafka_cluster=\"$kafka_cluster\"})'
        better: lower
      load: 'sum(kafka:produce_requests:rate{kafka_cluster=\"$kafka_cluster\"})'
      soft_guards:
        - {query: 'max(kafka:fetch_time:mean_seconds{kafka_cluster=\"$kafka_cluster\"})', at_most: 2.5}
      reached_when: 'sum(increase(kafka:produce_throttle_time:milliseconds_sum{kafka_cluster=\"$kafka_cluster\"}[5m])) > 0'
      expire_when: 'max(kafka:produce_time:mean_seconds{kafka_cluster=\"$kafka_cluster\"}) < 0.01'
    - name: more-consumers
      match: {alertname: KafkaConsumerGroupNotCatchingUp, remediation: scale-consumers}
      optimizer: {scale_consumers: {containers_max: 8}}
      objective:
        rate: 'sum(kafka_consumergroup_current_offset_sum{kafka_cluster=\"$kafka_cluster\",consumergroup=\"$consumergroup\"})'
        better: higher
      load: 'kafka:group_lag:sum{kafka_cluster=\"$kafka_cluster\",consumergroup=\"$consumergroup\"}'
";

    assert_eq!(meant(REFERENCE), meant(required));
}

#[test]
fn a_playbook_is_parsed_completely() {
    let config = meant(&with_playbook(
        "guards: ['max(c)']\nwindow: 30s\nbaseline: 1m30s\nsettle: 1m\nobserve: 150s\n\
         history: 2h\n\
         cooldown: 1h30m\nmax_attempts: 2\nkeep_neutral: true",
    ));
    let playbook = &config.remediation.playbooks[0];
    let Optimizer::TuneBrokers(parameters) = &playbook.optimizer else { panic!() };

    assert_eq!(parameters.level, Level::Moderate);
    assert_eq!(parameters.above_static, AboveStatic::Cap);
    assert_eq!(parameters.rollout, Rollout::Together);
    assert_eq!(playbook.objective.better, Better::Lower);
    assert!((playbook.objective.at_least - 0.2).abs() < 1e-9);
    assert_eq!(playbook.windows.settle, Duration::from_mins(1));
    assert_eq!(playbook.windows.cooldown, Duration::from_mins(90));
    assert_eq!(playbook.guards[0].query().to_string(), "max(c)");
    assert_eq!((playbook.attempts_max, playbook.keep_neutral), (2, true));
}

#[test]
fn an_objective_is_declared_as_what_it_is() {
    let with = |objective: &str| {
        with_playbook("").replace("gauge: 'a{broker_id=\"$broker_id\"}'", objective)
    };
    let found = |objective: &str| problems(&with(objective)).0;
    let at = |key: &str| format!("remediation.playbooks[0].objective{key}");

    // A load is required but for a mean, and here it is given.
    for good in ["gauge: 'rate(a[5m])'", "lag: a", "rate: a", "mean: {sum: 'a / 1000', count: b}"] {
        meant(&with(good));
    }

    assert_eq!(found("rate: 'rate(a[5m])'"), [at(".rate")]);
    assert_eq!(found("mean: {sum: 'sum(a)', count: 'max(b)'}"), [at(".mean.count")]);
    assert_eq!(found("mean: {sum: a}"), [at(".mean.count")]);
    assert_eq!(found("gauge: a, lag: b"), [at("")]);
    assert_eq!(found("at_least: 20%"), [at("")]);
    assert_eq!(found("gauge: a, at_least: 100%"), [at(".at_least")]);
}

#[test]
fn the_load_of_a_mean_is_its_count() {
    let gauge = with_playbook("").replace("      load: b\n", "");
    assert_eq!(problems(&gauge).0, ["remediation.playbooks[0].load"]);

    let mean = gauge.replace("gauge: 'a{broker_id=\"$broker_id\"}'", "mean: {sum: a, count: b}");
    let config = meant(&mean);
    let windows = config.remediation.playbooks[0].windows;

    assert_eq!(config.remediation.playbooks[0].load, None);
    assert_eq!((windows.window, windows.settle), (Duration::ZERO, Duration::from_mins(1)));
    assert_eq!(windows.history, Duration::from_hours(24));
}

#[test]
fn a_soft_guard_has_a_query_and_defaults() {
    let config = meant(&with_playbook("soft_guards: [{query: c, at_most: 3}]"));
    let [Guard::Level { query, rises_by, at_most, without_history }] =
        &config.remediation.playbooks[0].guards[..]
    else {
        panic!()
    };

    assert_eq!((query.to_string().as_str(), *rises_by, *at_most), ("c", 0.5, Some(3.0)));
    assert_eq!(*without_history, WithoutHistory::Warn);

    let (paths, _) = problems(&with_playbook("soft_guards: [{rises_by: 0%, without_history: no}]"));
    let at = |key: &str| format!("remediation.playbooks[0].soft_guards[0].{key}");

    assert_eq!(paths, [at("query"), at("rises_by"), at("without_history")]);
}

#[test]
fn a_guard_that_one_partition_in_the_baseline_would_blind_is_warned_of() {
    let guard = |text: &str| warnings(&with_playbook(&format!("guards: ['{text}']")));
    let path = "remediation.playbooks[0].guards[0]";

    assert_eq!(guard("max(kafka_topic_partition_under_min_isr)"), [path]);
    assert_eq!(guard("max by (topic) (kafka_topic_partition_offline)"), [path]);
    assert!(guard("sum(kafka_topic_partition_under_min_isr)").is_empty());
    assert!(guard("max(kafka_consumergroup_lag_max)").is_empty());
}

#[test]
fn settings_that_are_valid_and_seldom_meant_were_accepted_in_silence() {
    let plain = with_playbook("");
    let regex = plain.replace("KafkaRequestHandlersSaturated", "'Kafka.*'");

    assert!(warnings(&plain).is_empty());
    assert_eq!(warnings(&regex), ["remediation.playbooks[0].match.alertname"]);
    assert_eq!(warnings(&with_playbook("window: 5s")), ["remediation.playbooks[0].window"]);

    let interval = plain.replace("    prometheus:", "    collect_interval: 1w\n    prometheus:");
    assert!(warnings(&interval).contains(&"clusters[0].collect_interval".to_owned()));

    let (head, playbook) = plain.split_once("    - name: broker-threads").unwrap();
    let twice = format!("{head}    - name: other{playbook}    - name: broker-threads{playbook}");

    assert_eq!(warnings(&twice), ["remediation.playbooks[1].match"]);
}

#[test]
fn an_objective_that_the_change_cannot_touch_is_refused() {
    let objective = "objective: {gauge: 'a{broker_id=\"$broker_id\"}', better: lower}";
    let fixed = "objective: {gauge: 'a{broker_id=\"2\"}', better: lower}";
    let text = with_playbook("").replace(objective, fixed);
    let place = "remediation.playbooks[0].objective";

    assert_eq!(problems(&text).0, [place]);

    let shed = "shed_load: {clients: [{client_id: a, producer_byte_rate: 1MiB, usual: 2MiB}]}";
    let shed = with_playbook("").replace("tune_brokers: {level: moderate}", shed);

    assert_eq!(warnings(&shed), ["remediation.playbooks[0]"]);

    let asked = shed.replace("load: b", "load: b\n      reached_when: 'c > 0'");
    assert!(warnings(&asked).is_empty());
}

#[test]
fn a_misspelt_key_is_reported_with_its_line_and_a_suggestion() {
    check_syntax(
        "clusters:\n  - bootstrap_servers: [a:1]\n    colect_interval: 3s\n",
        3,
        &["clusters[0]", "unknown key `colect_interval`", "did you mean `collect_interval`?"],
    );
    check_syntax("cluster: []\n", 1, &["`cluster`", "did you mean `clusters`?"]);
    check_syntax("clusters: []\nkafka: {}\n", 2, &["`kafka`", "clusters, remediation"]);
    check_syntax(
        &with_playbook("objektive: {}"),
        11,
        &["remediation.playbooks[0]", "did you mean `objective`?"],
    );
}

#[test]
fn invalid_yaml_and_wrong_types_are_reported_with_their_line() {
    check_syntax("clusters:\n  - name: a\n   x\n", 3, &[]);
    check_syntax("clusters:\n  - name: [a]\n", 2, &["clusters[0].name"]);
    check_syntax("clusters: 3\n", 1, &["clusters", "3"]);
    check_syntax("remediation:\n  runs_per_hour_max: many\n", 2, &["runs_per_hour_max", "many"]);
}

#[test]
fn a_key_given_twice_is_refused_in_free_maps_too() {
    // The parser knows where the map with the two keys begins, not where the second one stands.
    check_syntax("clusters:\n  - name: a\n    name: b\n", 2, &["duplicate", "`name`"]);
    let twice = with_playbook("").replace("Saturated}", "Saturated, severity: a, severity: b}");
    check_syntax(&twice, 7, &["duplicate", "`severity`"]);
}

#[test]
fn every_problem_is_reported_at_once_with_its_path() {
    let text = with_playbook(
        "when: 'up{'\nguards: ['c{x=~\"$broker_id\"}']\nwindow: 5\nbaseline: 20s\nsettle: 1m\n\
         observe: 1m29s\ncooldown: 25h\nmax_attempts: 0",
    )
    .replace("kafka-1:9092", "kafka-1")
    .replace("level: moderate", "level: emergency, above_static: restart, rollout: slowly")
    .replace("better: lower", "better: less, at_least: 20")
    .replace("load: b", "load: 'b >'");
    let (paths, message) = problems(&text);
    let playbook = |key: &str| format!("remediation.playbooks[0].{key}");

    assert_eq!(
        paths,
        [
            "clusters[0].bootstrap_servers[0]".to_owned(),
            playbook("objective.better"),
            playbook("objective.at_least"),
            playbook("window"),
            playbook("settle"),
            playbook("observe"),
            playbook("baseline"),
            playbook("cooldown"),
            playbook("max_attempts"),
            playbook("when"),
            playbook("optimizer.tune_brokers.level"),
            playbook("optimizer.tune_brokers.above_static"),
            playbook("optimizer.tune_brokers.rollout"),
            playbook("load"),
            playbook("guards[0]"),
        ]
    );
    assert_eq!(message.lines().count(), paths.len());

    for wanted in [
        "`restart` is not supported in this version; use one of cap, reapply",
        "`slowly` is not one of together, canary",
        "`emergency` is not supported in this version; use one of conservative, moderate, aggressive",
        "`5` has no unit; write 5s",
        "`20` is not a percentage; write 20%",
        "`less` is not one of lower, higher",
        "must be at least 5m 30s",
    ] {
        assert!(message.contains(wanted), "{wanted} in:\n{message}");
    }
}

#[test]
fn an_empty_file_reports_what_is_missing() {
    for text in ["", "# nothing\n", "{}", "clusters: []"] {
        assert_eq!(problems(text).0, ["clusters"], "{text:?}");
    }
    assert_eq!(problems("clusters: [{}]").0, ["clusters[0].bootstrap_servers"]);
}

#[test]
fn names_are_unique_and_plain() {
    let twice =
        "clusters: [{name: a, bootstrap_servers: [a:1]}, {name: a, bootstrap_servers: [a:1]}]";

    assert_eq!(problems(twice).0, ["clusters[1].name"]);

    let unnamed = "clusters: [{name: a, bootstrap_servers: [a:1]}, {bootstrap_servers: [a:1]}]";
    assert_eq!(problems(unnamed).0, ["clusters[1].name"]);

    for name in ["'a b'", "'a\"b'", "é", "''", "-a", "'a/b'"] {
        let text = format!("clusters: [{{name: {name}, bootstrap_servers: [a:1]}}]");
        assert_eq!(problems(&text).0, ["clusters[0].name"], "{name}");
    }

    let reserved = with_playbook("").replace("name: broker-threads", "name: manual");
    assert_eq!(problems(&reserved).0, ["remediation.playbooks[0].name"]);
}

#[test]
fn a_server_is_a_host_and_a_port() {
    for server in
        ["kafka", ":9092", "kafka:", "kafka:0", "kafka:70000", "k afka:1", "http://a:1", "::1:9092"]
    {
        let servers = [server.to_owned()];
        assert!(matches!(of_servers(&servers), Err(ConfigError::Problems(_))), "{server}");
    }
}

#[test]
fn a_prometheus_url_is_a_base_url_without_credentials() {
    for url in ["prometheus:9090", "http://", "http://u:p@host", "http://h/?a=b", "http://h/a b"] {
        let text = with_playbook("").replace("http://prometheus:9090", url);
        assert_eq!(problems(&text).0, ["clusters[0].prometheus.url"], "{url}");
    }

    let text = with_playbook("").replace("http://prometheus:9090", "https://h:1/prometheus/");
    let config = meant(&text);

    assert_eq!(config.clusters[0].prometheus.as_ref().unwrap().url, "https://h:1/prometheus");
}

#[test]
fn what_reaches_no_prometheus_is_found_when_the_file_is_checked() {
    let url = "http://prometheus:9090'";
    for (options, key) in [
        ("authorization: ", "authorization.credentials_file"),
        ("authorization: {type: a b, credentials_file: /t}", "authorization.type"),
        ("authorization: {type: Basic, credentials_file: /t}", "authorization.type"),
        ("basic_auth: {username: 'a:b', password_file: /p}", "basic_auth.username"),
        ("basic_auth: {username: a}", "basic_auth.password_file"),
        (
            "authorization: {credentials_file: /t}, basic_auth: {username: a, password_file: /p}",
            "basic_auth",
        ),
        ("tls_config: {}", "tls_config"),
        ("headers: {Authorization: x}", "headers.Authorization"),
        ("headers: {'a b': x}", "headers.a b"),
        ("headers: {a: \"x\\ny\"}", "headers.a"),
        ("proxy_url: 'proxy:3128'", "proxy_url"),
        ("proxy_url: 'http://u:p@proxy:3128'", "proxy_url"),
    ] {
        let text = with_playbook("").replace(url, &format!("{url}, {options}"));
        assert_eq!(problems(&text).0, [format!("clusters[0].prometheus.{key}")], "{options}");
    }

    let secure = "https://prometheus:9090', tls_config: {cert_file: /client.pem}";
    let text = with_playbook("").replace(url, secure);

    assert_eq!(problems(&text).0, ["clusters[0].prometheus.tls_config.key_file"]);

    let open = format!("{url}, authorization: {{credentials_file: /t}}");
    let warnings = read(&with_playbook("").replace(url, &open)).unwrap().warnings;

    assert!(warnings[0].advice.contains("clear text"), "{warnings:?}");
}

#[test]
fn the_probe_is_off_unless_its_key_is_there() {
    let with = |probe: &str| format!("clusters: [{{bootstrap_servers: [a:1]{probe}}}]");

    assert_eq!(meant(&with("")).clusters[0].probe, None);

    for written in [", probe: {}", ", probe: ", ", probe: ~"] {
        let probe = meant(&with(written)).clusters[0].probe.clone().unwrap();
        assert_eq!(probe.topic.as_str(), "_kafka_optimizer_probe", "{written:?}");
        assert_eq!(
            (probe.interval, probe.timeout),
            (Duration::from_secs(5), Duration::from_secs(10))
        );
        assert_eq!((probe.replication_factor, probe.record_bytes), (None, 100));
    }
}

#[test]
fn a_probe_that_is_too_frequent_or_writes_to_internal_topics_is_refused() {
    let at = "clusters[0].probe.";

    for (written, key) in [
        ("topic: __consumer_offsets", "topic"),
        ("topic: 'a b'", "topic"),
        ("topic: ..", "topic"),
        ("interval: 999ms", "interval"),
        ("timeout: 500ms", "timeout"),
        ("timeout: 61s", "timeout"),
        ("replication_factor: 0", "replication_factor"),
        ("record_bytes: 15", "record_bytes"),
        ("record_bytes: 1000000", "record_bytes"),
    ] {
        let text = format!("clusters: [{{bootstrap_servers: [a:1], probe: {{{written}}}}}]");
        assert_eq!(problems(&text).0, [format!("{at}{key}")], "{written}");
    }
}

#[test]
fn i9_mode_act_without_a_token_is_refused() {
    let text = "clusters: [{bootstrap_servers: [a:1], prometheus: {url: 'http://p'}}]
remediation: {mode: act}";

    assert_eq!(problems(text).0, ["remediation.token_file"]);

    let with_token = text.replace("mode: act", "mode: act, token_file: /token");
    let config = meant(&with_token);

    assert_eq!(config.remediation.mode, Mode::Act);

    let tokens = config.remediation.access.tokens;
    assert_eq!(tokens[0].token.reveal(), TOKEN);
    assert_eq!((tokens[0].name.as_str(), tokens[0].scopes.len()), ("token", 3));
}

#[test]
fn i9_mode_act_may_name_certificates_instead_of_a_token() {
    let text = "clusters: [{bootstrap_servers: [a:1], prometheus: {url: 'http://p'}}]
remediation: {mode: act, client_sans: [alertmanager.example]}";

    assert_eq!(meant(text).remediation.access.clients[0].san, "alertmanager.example");

    let nobody = text.replace("alertmanager.example", "''");
    assert_eq!(problems(&nobody).0, ["remediation.client_sans[0]"]);

    let none = text.replace("alertmanager.example", "");
    assert_eq!(problems(&none).0, ["remediation.token_file"]);
}

#[test]
fn i9_tokens_and_certificates_have_names_and_scopes() {
    let text = "clusters: [{bootstrap_servers: [a:1]}]
remediation:
  tokens:
    - {name: alertmanager, token_file: /a, scopes: [alerts]}
    - {name: alice, token_file: /b, scopes: [operate, approve]}
  clients:
    - {san: bob.example.com, name: bob, scopes: [operate]}
    - {san: carol.example.com, scopes: [approve]}";
    let tokens = |path: &Path| {
        let text = format!("the token of the file {}", path.display()).replace(' ', "-");
        Ok(SecretFile { text, world_readable: false })
    };
    let access = parse(text, &tokens).unwrap().config.remediation.access;
    let names: Vec<String> = access
        .tokens
        .iter()
        .map(|it| format!("{} {:?}", it.name, it.scopes))
        .chain(access.clients.iter().map(|it| format!("{} {:?}", it.name, it.scopes)))
        .collect();

    assert_eq!(
        names,
        [
            "alertmanager {Alerts}",
            "alice {Operate, Approve}",
            "bob {Operate}",
            "carol.example.com {Approve}"
        ]
    );

    let shown = format!("{access:?}");
    assert!(!shown.contains("the-token"), "{shown}");

    // Every file has the same content.
    let equal = |_: &Path| Ok(SecretFile { text: TOKEN.to_owned(), world_readable: false });
    let error = parse(text, &equal).unwrap_err().to_string();

    assert!(error.starts_with("remediation.tokens[1].token_file: contains the same"), "{error}");
    assert!(!error.contains(TOKEN), "{error}");

    for (from, to, path) in [
        ("name: alice", "name: alertmanager", "remediation.tokens[1].token_file"),
        ("name: bob", "name: alice", "remediation.clients[0].san"),
        ("name: alice", "name: ' '", "remediation.tokens[1].name"),
        ("token_file: /b, ", "", "remediation.tokens[1].token_file"),
        ("[alerts]", "[]", "remediation.tokens[0].scopes"),
        ("[alerts]", "[all]", "remediation.tokens[0].scopes[0]"),
        ("san: carol.example.com", "san: bob.example.com", "remediation.clients[1].san"),
        ("san: carol.example.com, ", "", "remediation.clients[1].san"),
    ] {
        let error = parse(&text.replace(from, to), &tokens).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{path}: ")), "{from} → {to}: {error}");
    }
}

#[test]
fn i9_a_short_malformed_or_missing_token_is_refused_and_a_readable_file_is_warned_about() {
    let text = "clusters: [{bootstrap_servers: [a:1], prometheus: {url: 'http://p'}}]
remediation: {mode: act, token_file: /token}";
    for content in ["", "short", "0123456789abcde \n", "0123456789 abcdef", "0123456789abcdé"] {
        let tokens = |_: &Path| Ok(SecretFile { text: content.to_owned(), world_readable: false });
        let error = parse(text, &tokens).unwrap_err().to_string();

        assert!(error.starts_with("remediation.token_file: "), "{error}");
        assert!(content.is_empty() || !error.contains(content), "the token is shown: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    let missing = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let error = parse(text, &missing).unwrap_err().to_string();

    assert!(error.contains("/token"), "{error}");

    let open = |_: &Path| Ok(SecretFile { text: TOKEN.to_owned(), world_readable: true });
    let loaded = parse(text, &open).unwrap();

    assert_eq!(loaded.warnings[0].path, "remediation.token_file");
    assert!(!format!("{loaded:?}").contains(TOKEN));
}

#[test]
fn i34_a_playbook_without_an_alertname_is_refused() {
    let text = with_playbook("").replace("alertname:", "remediation:");

    assert_eq!(problems(&text).0, ["remediation.playbooks[0].match"]);

    let text =
        with_playbook("").replace("{alertname: KafkaRequestHandlersSaturated}", "{alertname: ''}");
    assert_eq!(problems(&text).0, ["remediation.playbooks[0].match.alertname"]);
}

#[test]
fn remediation_without_a_prometheus_is_refused() {
    let text = with_playbook("").replace("    prometheus: {url: 'http://prometheus:9090'}\n", "");
    assert_eq!(problems(&text).0, ["clusters[0].prometheus"]);

    let act = "clusters: [{bootstrap_servers: [a:1]}]\nremediation: {mode: act, token_file: t}";
    assert_eq!(problems(act).0, ["clusters[0].prometheus"]);
}

#[test]
fn a_configuration_file_is_loaded_with_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, format!("  {TOKEN}\n")).unwrap();
    let file = dir.path().join("config.yaml");
    let text = format!(
        "clusters: [{{bootstrap_servers: [a:1]}}]\nremediation: {{token_file: {}}}",
        token.display()
    );
    std::fs::write(&file, text).unwrap();

    let loaded = load(&file).unwrap();

    assert_eq!(loaded.config.remediation.access.tokens[0].token.reveal(), TOKEN);

    let missing = load(&dir.path().join("none.yaml")).unwrap_err().to_string();
    assert!(missing.contains("none.yaml"), "{missing}");
}

/// A file whose cluster has this `security` section.
fn with_security(security: &str) -> String {
    format!("clusters: [{{bootstrap_servers: [a:1], security: {security}}}]")
}

/// The warnings, by path.
#[track_caller]
fn warnings(text: &str) -> Vec<String> {
    let loaded = read(text).unwrap_or_else(|error| panic!("{error}"));
    loaded.warnings.into_iter().map(|it| it.path).collect()
}

#[test]
fn a_probe_takes_the_security_of_its_cluster_or_is_refused() {
    let with = |security: &str| {
        format!("clusters: [{{bootstrap_servers: [a:1], security: {security}, probe: {{}}}}]")
    };
    let cluster = meant(&with("{tls: {}}")).clusters[0].clone();

    assert!(cluster.probe.is_some() && cluster.security.tls.is_some());

    for (security, named) in [
        ("{tls: {server_name: kafka.example.com}}", "security.tls.server_name"),
        (
            "{tls: {}, sasl: {mechanism: OAUTHBEARER, token_file: TOKEN}}",
            "security.sasl.token_file",
        ),
    ] {
        let (paths, advice) = problems(&with(security));
        assert!(paths.iter().any(|it| it == "clusters[0].probe"), "{security}: {paths:?}");
        assert!(advice.contains(named), "{advice}");
    }
}

/// All keys below `tls` commented out: connections were plain text, without a warning.
#[test]
fn a_section_with_nothing_after_its_key_is_an_empty_section() {
    let written = "clusters:
  - bootstrap_servers: [a:1]
    docker:
    security:
      tls:
        # ca_file: /ca.pem
";
    let cluster = meant(written).clusters[0].clone();

    assert_eq!(cluster.security.tls, Some(TlsFiles::default()));
    assert_eq!(cluster.docker.unwrap().socket, Path::new("/var/run/docker.sock"));

    for empty in ["", "~", "{}"] {
        assert_eq!(warnings(&with_security(empty)), ["clusters[0].security"], "{empty:?}");
        assert_eq!(warnings(&with_security(&format!("{{tls: {empty}}}"))).len(), 0, "{empty:?}");
    }

    let (paths, _) = problems(&with_security("{tls: {}, sasl: }"));
    assert_eq!(paths, ["clusters[0].security.sasl.mechanism"]);

    let (paths, _) = problems("clusters: [{bootstrap_servers: [a:1], prometheus: }]");
    assert_eq!(paths, ["clusters[0].prometheus.url"]);
}

#[test]
fn security_is_parsed_completely() {
    let security = |text: &str| meant(&with_security(text)).clusters[0].security.clone();

    assert_eq!(security("{}"), Security::default());

    let system = Security { tls: Some(TlsFiles::default()), sasl: None };
    assert_eq!(security("{tls: {}}"), system);

    let file = PasswordFile { username: "u".to_owned(), password_file: "/p".into() };
    let login = "username: u, password_file: /p";

    for (mechanism, sasl) in [
        ("PLAIN", Sasl::Plain(file.clone())),
        ("SCRAM-SHA-256", Sasl::ScramSha256(file.clone())),
        ("SCRAM-SHA-512", Sasl::ScramSha512(file)),
    ] {
        let read = security(&format!("{{tls: {{}}, sasl: {{mechanism: {mechanism}, {login}}}}}"));
        assert_eq!(read.sasl, Some(sasl));
    }

    let read = security("{tls: {}, sasl: {mechanism: OAUTHBEARER, token_file: /t}}");
    assert_eq!(read.sasl, Some(Sasl::OAuthBearer { token_file: "/t".into() }));

    let read = security("{tls: {ca_file: /ca.pem, cert_file: /c.pem, key_file: /c.key}}");
    let identity = IdentityFiles { cert_file: "/c.pem".into(), key_file: "/c.key".into() };
    let tls =
        TlsFiles { ca_file: Some("/ca.pem".into()), identity: Some(identity), server_name: None };

    assert_eq!(read.tls, Some(tls));
}

#[test]
fn incomplete_security_names_the_missing_key() {
    for (security, wanted) in [
        ("{tls: {cert_file: /c.pem}}", "tls.key_file"),
        ("{tls: {key_file: /c.key}}", "tls.cert_file"),
        ("{tls: {server_name: 'not a name'}}", "tls.server_name"),
        ("{sasl: {username: u, password_file: /p}}", "sasl.mechanism"),
        ("{sasl: {mechanism: GSSAPI}}", "sasl.mechanism"),
        ("{sasl: {mechanism: plain, username: u, password_file: /p}}", "sasl.mechanism"),
        ("{sasl: {mechanism: PLAIN, password_file: /p}}", "sasl.username"),
        ("{sasl: {mechanism: PLAIN, username: '', password_file: /p}}", "sasl.username"),
        ("{sasl: {mechanism: SCRAM-SHA-256, username: u}}", "sasl.password_file"),
        ("{sasl: {mechanism: OAUTHBEARER}}", "sasl.token_file"),
    ] {
        let (paths, message) = problems(&with_security(security));
        assert_eq!(paths, [format!("clusters[0].security.{wanted}")], "{security}: {message}");
    }
}

#[test]
fn plain_text_passwords_and_unused_settings_are_warned_about() {
    let at = |key: &str| format!("clusters[0].security.sasl.{key}");
    let login = "username: u, password_file: /p";

    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let open = with_security(&format!("{{sasl: {{mechanism: {mechanism}, {login}}}}}"));
        assert_eq!(warnings(&open), [at("mechanism")]);
    }

    let token = "mechanism: OAUTHBEARER, token_file: /t";

    assert_eq!(warnings(&with_security(&format!("{{sasl: {{{token}}}}}"))), [at("mechanism")]);

    let both = format!("{{tls: {{}}, sasl: {{{token}, {login}}}}}");
    assert_eq!(warnings(&with_security(&both)), [at("username"), at("password_file")]);

    let both = format!("{{tls: {{}}, sasl: {{mechanism: PLAIN, {login}, token_file: /t}}}}");
    assert_eq!(warnings(&with_security(&both)), [at("token_file")]);
}

/// The problems of a complete `security` section whose files have this content.
#[track_caller]
fn check_files(content: &dyn Fn(&str) -> io::Result<String>, wanted: &[(&str, &str)]) {
    let text = with_security(
        "{tls: {ca_file: /ca, cert_file: /cert, key_file: /key},
          sasl: {mechanism: PLAIN, username: u, password_file: /password}}",
    );
    let tokens = |path: &Path| {
        let text = content(path.to_str().unwrap())?;
        Ok(SecretFile { text, world_readable: false })
    };
    let found = match parse(&text, &tokens) {
        Err(ConfigError::Problems(problems)) => problems,
        other => panic!("{other:?}"),
    };

    assert_eq!(found.len(), wanted.len(), "{found:?}");

    for (problem, (key, word)) in found.iter().zip(wanted) {
        assert_eq!(problem.path, format!("clusters[0].security.{key}"));
        assert!(problem.advice.contains(word), "{word} in: {}", problem.advice);
    }
}

fn sound(path: &str) -> String {
    match path {
        "/ca" | "/cert" => PAIR.0.clone(),
        "/key" => PAIR.1.clone(),
        _ => "secret-word\n".to_owned(),
    }
}

#[test]
fn every_security_file_that_is_configured_is_read() {
    check_files(
        &|_| Err(io::ErrorKind::NotFound.into()),
        &[
            ("tls.ca_file", "read /ca"),
            ("tls.cert_file", "read /cert"),
            ("tls.key_file", "read /key"),
            ("sasl.password_file", "read /password"),
        ],
    );
    check_files(
        &|_| Ok(String::new()),
        &[
            ("tls.ca_file", "contains no certificate"),
            ("tls.cert_file", "contains no certificate"),
            ("tls.key_file", "contains no key"),
            ("sasl.password_file", "is empty"),
        ],
    );

    let other = pair().1;
    let with = |at: &'static str, text: String| {
        move |path: &str| Ok(if path == at { text.clone() } else { sound(path) })
    };

    check_files(
        &with("/key", other.clone()),
        &[("tls.key_file", "/key does not match the first certificate in /cert")],
    );
    check_files(&with("/ca", other), &[("tls.ca_file", "/ca contains no certificate")]);
    check_files(&with("/key", sound("/cert")), &[("tls.key_file", "/key contains no key")]);

    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n".to_owned();
    check_files(&with("/key", encrypted), &[("tls.key_file", "encrypted")]);

    let torn = sound("/ca").replace("-----END", "END");
    check_files(&with("/ca", torn), &[("tls.ca_file", "is not PEM")]);

    let lines = "secret-word\nanother\n".to_owned();
    check_files(&with("/password", lines), &[("sasl.password_file", "more than one line")]);
}

#[test]
fn no_error_message_shows_a_secret() {
    let secret = "b3BlbiBzZXNhbWUsIG9wZW4gc2VzYW1lLCBvcGVuIHNlc2FtZQ";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{secret}*\n-----END PRIVATE KEY-----\n");
    let text = with_security(
        "{tls: {ca_file: /ca, cert_file: /cert, key_file: /key},
          sasl: {mechanism: OAUTHBEARER, token_file: /token}}",
    );
    let tokens = |path: &Path| {
        let text = match path.to_str().unwrap() {
            "/key" => key.clone(),
            "/token" => format!("two {secret}"),
            path => sound(path),
        };
        Ok(SecretFile { text, world_readable: true })
    };
    let message = parse(&text, &tokens).unwrap_err().to_string();

    assert_eq!(message.lines().count(), 2, "{message}");
    assert!(!message.contains(&secret[..8]), "{message}");

    let open =
        |path: &Path| Ok(SecretFile { text: sound(path.to_str().unwrap()), world_readable: true });
    let loaded = parse(&text, &open).unwrap();
    let warned: Vec<_> = loaded.warnings.iter().map(|it| it.path.as_str()).collect();
    let at = "clusters[0].security";

    assert_eq!(warned, [format!("{at}.tls.key_file"), format!("{at}.sasl.token_file")]);
    assert!(!format!("{loaded:?}").contains("secret-word"));
}

/// A file with one playbook: the optimizer `written`, then the lines `extra`.
fn with_optimizer(written: &str, extra: &str) -> String {
    with_playbook(extra)
        .replace("tune_brokers: {level: moderate}", written)
        .replace("a{broker_id=\"$broker_id\"}", "a")
}

#[test]
fn i39_clients_and_rates_of_a_quota_are_checked() {
    let client = |it: &str| with_optimizer(&format!("shed_load: {{clients: [{it}]}}"), "");
    meant(&client("{client_id: batch, producer_byte_rate: 1MiB, usual: 2MiB}"));
    meant(&client("{user: app, consumer_byte_rate: 5 MB, usual: 1GiB}"));
    meant(&client(
        "{client_id: app-StreamThread-1, producer_byte_rate: 1MiB, usual: 2MiB, even_if: [streams]}",
    ));

    for (written, wanted) in [
        ("{producer_byte_rate: 1MiB, usual: 2MiB}", "must have a client_id, a user, or both"),
        (
            "{client_id: a, usual: 2MiB}",
            "must have either producer_byte_rate or consumer_byte_rate",
        ),
        ("{client_id: a, producer_byte_rate: 1023KiB, usual: 2MiB}", "1MiB to 1TiB"),
        ("{client_id: a, producer_byte_rate: 5, usual: 2MiB}", "1MiB to 1TiB"),
        ("{client_id: a, producer_byte_rate: 2MiB, usual: 2MiB}", "must be more than"),
        ("{client_id: a, producer_byte_rate: 2MiB}", "the rate without a quota"),
        ("{client_id: app-StreamThread-1, producer_byte_rate: 1MiB, usual: 2MiB}", "like streams"),
        ("{client_id: connector-sink-0, consumer_byte_rate: 1MiB, usual: 2MiB}", "like connect"),
        (
            "{client_id: kafka-optimizer, producer_byte_rate: 1MiB, usual: 2MiB}",
            "must not be throttled",
        ),
        ("{client_id: a, producer_byte_rate: 1MiB, usual: 2MiB, even_if: [x]}", "is not one of"),
    ] {
        let (paths, message) = problems(&client(written));
        let place = "remediation.playbooks[0].optimizer.shed_load.clients[0]";

        assert!(paths[0].starts_with(place), "{paths:?}");
        assert!(message.contains(wanted), "{wanted} in:\n{message}");
    }

    let twice = "{client_id: a, producer_byte_rate: 1MiB, usual: 2MiB}";
    let (_, message) = problems(&client(&format!("{twice}, {twice}")));

    assert!(message.contains("client a is already in this list"), "{message}");
}

#[test]
fn i27_only_temporary_changes_have_an_expiry() {
    let shed = "shed_load: {clients: [{client_id: a, producer_byte_rate: 1MiB, usual: 2MiB}]}";
    let measure = |extra: &str| {
        meant(&with_optimizer(shed, extra)).remediation.playbooks[0].temporary.clone().unwrap()
    };

    assert_eq!(measure("").expire_after, Duration::from_mins(30));
    assert_eq!(
        measure("expire_after: 16m\nexpire_when: 'a < 1'").expire_after,
        Duration::from_mins(16)
    );

    let (_, message) = problems(&with_optimizer(shed, "expire_after: 25h"));
    assert!(message.contains("at most 24h"), "{message}");

    let (paths, message) = problems(&with_optimizer(shed, "expire_after: 10m"));
    assert_eq!(paths, ["remediation.playbooks[0].expire_after"]);
    assert!(message.contains("at least 16m: settle (6m) and twice observe (5m)"), "{message}");

    let (paths, message) = problems(&with_optimizer("elect_leaders: {}", "expire_when: a"));
    assert_eq!(paths, ["remediation.playbooks[0].expire_when"]);
    assert!(message.contains("elect_leaders makes permanent ones"), "{message}");
}

#[test]
fn scaling_consumers_needs_an_engine_and_an_objective_of_the_group() {
    let scale = "scale_consumers: {containers_max: 4}";
    let (paths, message) = problems(&with_optimizer(scale, ""));

    assert_eq!(paths, ["remediation.playbooks[0].objective", "clusters[0].docker"]);
    assert!(message.contains("is not about $consumergroup"), "{message}");

    let docker = |text: String| {
        let text = text.replace("gauge: 'a'", "gauge: 'a{consumergroup=\"$consumergroup\"}'");
        text.replace("    prometheus:", "    docker: {}\n    prometheus:")
    };
    meant(&docker(with_optimizer(scale, "guards: ['c{consumergroup=\"$consumergroup\"}']")));
    let (_, message) =
        problems(&docker(with_optimizer(scale, "guards: ['c{broker_id=\"$broker_id\"}']")));

    assert!(message.contains("an expression uses $broker_id"), "{message}");

    let (_, message) = problems(&docker(with_optimizer("scale_consumers: {}", "")));
    assert!(message.contains("the maximum number of containers"), "{message}");
}

#[test]
fn i18_a_level_above_static_needs_a_playbook_that_reapplies_it() {
    let text =
        with_playbook("").replace("level: moderate", "level: moderate, above_static: reapply");
    let (paths, _) = problems(&text);

    assert_eq!(paths, ["remediation.playbooks[0].optimizer.tune_brokers.above_static"]);

    let (_, message) = problems(&with_optimizer("reapply: {}, elect_leaders: {}", ""));
    assert!(message.contains("exactly one of tune_brokers, reapply"), "{message}");
}

/// Good or bad by `cd`: the paths were relative to the working directory.
#[test]
fn relative_paths_are_relative_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    std::fs::write(dir.path().join("token"), TOKEN).unwrap();
    std::fs::write(
        &file,
        "clusters: [{bootstrap_servers: [a:1], docker: {socket: /run/docker.sock}}]
remediation: {token_file: token, state_dir: state}",
    )
    .unwrap();
    let config = load(&file).unwrap().config;

    assert_eq!(config.remediation.state_dir, dir.path().join("state"));
    assert!(!config.remediation.access.is_empty());
    assert_eq!(config.clusters[0].docker.as_ref().unwrap().socket, Path::new("/run/docker.sock"));
}

/// The process read until the memory was full.
#[test]
fn a_file_without_an_end_is_refused() {
    let error = load(Path::new("/dev/zero")).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();

    assert_eq!(cause, "it is larger than 64 MiB");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let text = "clusters: [{bootstrap_servers: [a:1]}]\nremediation: {token_file: /dev/zero}";
    std::fs::write(&file, text).unwrap();
    let error = load(&file).unwrap_err().to_string();

    assert!(error.contains("it is larger than 1 MiB"), "{error}");

    std::fs::write(&file, b"clusters: # \xe9\n").unwrap();
    let error = load(&file).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();

    assert!(cause.contains("not UTF-8"), "{cause}");
}

#[test]
fn forms_of_other_tools_are_refused_with_what_to_write_instead() {
    let syntax = |text: &str| match read(text) {
        Err(ConfigError::Syntax(error)) => error.to_string(),
        other => panic!("{text}: {other:?}"),
    };

    for (text, wanted) in [
        ("x: &x {name: a}\nclusters: [{<<: *x}]", "known keys"),
        ("clusters: [{<<: {}}]", "merge keys are not supported"),
        ("clusters:\n\t- name: a", "not with tabs"),
        ("clusters: []\n---\nclusters: []", "keep one document"),
        ("clusters: [{export: {lag_seconds: yes}}]", "write true or false"),
        ("clusters: [{bootstrap_servers: 'a:1,b:1'}]", "write a list"),
        ("clusters: [{export: {series_max: many}}]", "expected a whole number"),
        ("clusters: [a:9092]", "expected keys with values"),
    ] {
        let error = syntax(text);
        assert!(error.contains(wanted) && !error.contains("Raw"), "{text}: {error}");
    }

    for (server, wanted) in [
        ("a:9092,b:9092", "one entry for each server"),
        ("PLAINTEXT://a:9092", "leave out the scheme"),
        ("::1:9092", "into brackets"),
    ] {
        let (_, advice) = problems(&format!("clusters: [{{bootstrap_servers: ['{server}']}}]"));
        assert!(advice.contains(wanted), "{advice}");
    }

    let (paths, _) = problems("clusters: [{bootstrap_servers: [a:1]}, {bootstrap_servers: [b:1]}]");
    assert_eq!(paths, ["clusters[0].name", "clusters[1].name"]);
}
