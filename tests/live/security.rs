//! Every way to authenticate to a real secured broker, and every way to fail.
//!
//! Needs the broker of `lab/run.sh live-security up`: the user `monitor` with the ACLs of
//! SECURITY.md, `stranger` without ACLs, the topics `secured` and `sealed`, and its certificates.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kafka_optimizer::{
    clock::{Clock, SystemClock},
    kafka::{
        Kafka, KafkaError,
        wire::{Wire, WireOptions},
    },
    model::{
        ActingLease, Api, BrokerId, ConfigChange, ElectionFailure, GroupName, GroupType,
        OffsetSpec, QuotaChange, QuotaEntity, QuotaKey, ReadFailure, RequestOutcome, TopicName,
        TopicPartitions, WriteMode,
    },
    security::{IdentityFiles, PasswordFile, Sasl, Security, TlsFiles},
    shutdown::Tasks,
};
use tempfile::TempDir;

use super::stack::{eventually, variable};
use crate::serving::ServeProcess;

const PASSWORD: &str = "pencil";
/// Longer than the detection of a changed file takes.
const NOTICED: Duration = Duration::from_secs(12);

fn listener(name: &str) -> String {
    variable(&format!("SECURITY_{name}"))
}

fn certificate(name: &str) -> PathBuf {
    Path::new(&variable("SECURITY_CERTIFICATES")).join(name)
}

fn wire_to(address: &str, security: Security) -> Wire {
    let options = WireOptions {
        bootstrap: vec![address.to_owned()],
        request_timeout: Duration::from_secs(5),
        client_id: "kafka-optimizer-tests".to_owned(),
        security,
    };
    Wire::new(options, Arc::new(SystemClock::new()), Tasks::default())
}

fn trusting(ca: &str) -> TlsFiles {
    TlsFiles { ca_file: Some(certificate(ca)), ..TlsFiles::default() }
}

fn encrypted(sasl: Option<Sasl>) -> Security {
    Security { tls: Some(trusting("ca.pem")), sasl }
}

fn as_owner_of(cert_file: PathBuf, key_file: PathBuf) -> Security {
    let identity = Some(IdentityFiles { cert_file, key_file });
    Security { tls: Some(TlsFiles { identity, ..trusting("ca.pem") }), sasl: None }
}

/// Credential files that a test changes.
struct CredentialFiles(TempDir);

impl CredentialFiles {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// Replaces the file atomically by another one, as a rotation does.
    fn rotate(&self, name: &str, from: &Path) {
        fs::copy(from, self.path("new")).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn password(&self, username: &str, password: &str) -> PasswordFile {
        let password_file = self.put(&format!("{username}.password"), &format!("{password}\n"));
        PasswordFile { username: username.to_owned(), password_file }
    }

    fn token(&self, lifetime: Duration) -> Sasl {
        let token_file = self.put("token", &token("monitor", lifetime));
        Sasl::OAuthBearer { token_file }
    }
}

/// An unsigned token, which the broker of the lab accepts.
fn token(subject: &str, lifetime: Duration) -> String {
    let now = SystemClock::new().wall().0 / 1_000;
    let end = now + i64::try_from(lifetime.as_secs()).unwrap();
    let part = |it: &str| URL_SAFE_NO_PAD.encode(it);
    let claims = format!(r#"{{"sub":"{subject}","iat":{},"exp":{end}}}"#, now - 60);

    format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims))
}

fn sent(wire: &Wire, api: Api) -> u64 {
    wire.request_counts().iter().find(|it| it.api == api).unwrap().sent
}

/// The error message, with its causes.
fn words(error: &KafkaError) -> String {
    let cause = std::error::Error::source(error).map(|it| format!(": {it}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// Connects once; it must be refused for this reason, with this message.
#[track_caller]
fn check_kept_out(error: &KafkaError, fault: ReadFailure, wanted: &[&str]) {
    let words = words(error);
    println!("    {words}");

    assert_eq!(error.failure(), fault, "{words}");
    assert!(
        error.outcome() != RequestOutcome::Unknown || fault == ReadFailure::Connection,
        "{words}"
    );

    for wanted in wanted {
        assert!(words.contains(wanted), "{wanted:?} in: {words}");
    }
}

async fn kept_out(address: &str, security: Security, fault: ReadFailure, wanted: &[&str]) {
    let error = wire_to(address, security).topology().await.unwrap_err();
    check_kept_out(&error, fault, wanted);
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn the_topology_is_read_through_every_listener() {
    let files = CredentialFiles::new();
    let monitor = || files.password("monitor", PASSWORD);
    let client = as_owner_of(certificate("client.pem"), certificate("client.key"));

    for (way, address, security) in [
        ("plain text", "PLAIN", Security::default()),
        ("TLS", "TLS", encrypted(None)),
        ("our certificate", "MTLS", client),
        ("PLAIN", "PASSWORDS", encrypted(Some(Sasl::Plain(monitor())))),
        ("SCRAM-SHA-256", "PASSWORDS", encrypted(Some(Sasl::ScramSha256(monitor())))),
        ("SCRAM-SHA-512", "PASSWORDS", encrypted(Some(Sasl::ScramSha512(monitor())))),
        (
            "PLAIN in the open",
            "OPENPASSWORDS",
            Security { tls: None, sasl: Some(Sasl::Plain(monitor())) },
        ),
        (
            "SCRAM in the open",
            "OPENPASSWORDS",
            Security { tls: None, sasl: Some(Sasl::ScramSha512(monitor())) },
        ),
        ("a token", "TOKENS", encrypted(Some(files.token(Duration::from_mins(10))))),
    ] {
        let topology = wire_to(&listener(address), security).topology().await;
        let topology = topology.unwrap_or_else(|error| panic!("{way}: {}", words(&error)));
        let topic = topology.topics.iter().find(|it| it.name.as_str() == "secured");

        assert_eq!(topic.expect(way).partitions.len(), 2, "{way}");
        assert_eq!(topology.unreadable, [], "{way}");
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn the_rights_that_security_md_lists_are_enough_for_every_call() {
    let files = CredentialFiles::new();
    let monitor = encrypted(Some(Sasl::ScramSha512(files.password("monitor", PASSWORD))));
    let wire = wire_to(&listener("PASSWORDS"), monitor);
    let broker = wire.topology().await.unwrap().brokers[0].id;
    let secured = TopicName::new("secured");
    let first = [TopicPartitions { topic: secured.clone(), partitions: vec![0] }];

    for edge in [OffsetSpec::Earliest, OffsetSpec::Latest] {
        let edges = wire.offsets(broker, edge, &first).await.unwrap();
        assert_eq!(edges[0].partitions, [(0, Ok(0))]);
    }

    wire.groups(broker, &[]).await.unwrap();
    let nobody = [GroupName::new("nobody")];

    for group_type in [GroupType::Classic, GroupType::Consumer] {
        let described = wire.describe_groups(broker, group_type, &nobody).await.unwrap();
        let fault = described[0].members.as_ref().unwrap_err();
        assert_ne!(fault.label(), "unauthorized");
    }

    wire.committed(broker, &nobody).await.unwrap();

    assert!(!wire.log_dirs(broker).await.unwrap()[0].topics.is_empty());

    let config = wire.broker_config(broker, &["num.io.threads"]).await.unwrap();
    assert!(config.get("num.io.threads").unwrap().effective.is_some());
    assert_eq!(
        wire.min_insync_replicas(std::slice::from_ref(&secured)).await.unwrap(),
        [(secured, Ok(1))]
    );

    wire.quorum().await.unwrap();
    wire.reassignments().await.unwrap();
    rehearse(&wire, broker).await.unwrap();
    wire.client_quotas().await.unwrap();
    rehearse_quota(&wire).await.unwrap();
    let elected = wire.elect_preferred_leaders(&first).await.unwrap();

    assert_eq!(elected[0].1, Err(ElectionFailure::NotNeeded), "it leads already");
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i43_the_right_to_read_the_group_of_actors_is_enough_for_the_lease() {
    let files = CredentialFiles::new();
    let login = |name: &str, password| encrypted(Some(Sasl::Plain(files.password(name, password))));
    let monitor = wire_to(&listener("PASSWORDS"), login("monitor", PASSWORD));
    monitor.compete();
    eventually("the lease is held", Duration::from_mins(1), async || {
        (monitor.acting_lease() == ActingLease::Held).then_some(())
    })
    .await;
    monitor.resign().await;

    let stranger = wire_to(&listener("PASSWORDS"), login("stranger", "eraser"));
    stranger.compete();
    eventually("a stranger is refused", Duration::from_mins(1), async || {
        match stranger.acting_lease() {
            ActingLease::Unconfirmed(why) if why.contains("error 30") => Some(()),
            ActingLease::Unconfirmed(_) | ActingLease::Held | ActingLease::HeldBy(_) => None,
        }
    })
    .await;
    stranger.resign().await;
}

/// Such a topic hides no other; otherwise partitions under min ISR would go unnoticed.
#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_topic_whose_configuration_is_denied_is_unauthorized_by_itself() {
    let files = CredentialFiles::new();
    let monitor = encrypted(Some(Sasl::ScramSha512(files.password("monitor", PASSWORD))));
    let wire = wire_to(&listener("PASSWORDS"), monitor);
    let topics = ["secured", "sealed"].map(TopicName::new);
    let found = wire.min_insync_replicas(&topics).await.unwrap();
    let found: BTreeMap<_, _> = found.into_iter().collect();
    let [secured, sealed] = topics;
    let want = [(secured, Ok(1)), (sealed, Err(ReadFailure::Unauthorized))];

    assert_eq!(found, BTreeMap::from(want));
}

async fn rehearse(wire: &Wire, broker: BrokerId) -> Result<(), KafkaError> {
    let change = ConfigChange { key: "num.io.threads".into(), value: Some("9".into()) };
    wire.alter_broker_config(broker, &[change], WriteMode::ValidateOnly).await
}

async fn rehearse_quota(wire: &Wire) -> Result<(), KafkaError> {
    let entity = QuotaEntity { user: None, client_id: Some("kafka-optimizer-nobody".into()) };
    let change = QuotaChange { entity, key: QuotaKey::ProducerByteRate, value: Some(1e6) };
    wire.alter_client_quota(&change, WriteMode::ValidateOnly).await
}

/// Proves that this cluster checks ACLs at all.
#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_user_without_acls_connects_and_sees_nothing() {
    let files = CredentialFiles::new();
    let stranger = encrypted(Some(Sasl::Plain(files.password("stranger", "eraser"))));
    let wire = wire_to(&listener("PASSWORDS"), stranger);
    let topology = wire.topology().await.unwrap();

    assert_eq!(topology.topics, []);

    let broker = topology.brokers[0].id;
    for refused in [
        wire.broker_config(broker, &["num.io.threads"]).await.map(|_| ()),
        wire.quorum().await.map(|_| ()),
        wire.reassignments().await.map(|_| ()),
        rehearse(&wire, broker).await,
        wire.client_quotas().await.map(|_| ()),
        rehearse_quota(&wire).await,
        wire.elect_preferred_leaders(&[]).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(KafkaError::Refused { .. })), "{refused:?}");
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_wrong_password_is_tried_once_and_a_corrected_one_at_once() {
    type Way = fn(PasswordFile) -> Sasl;

    // The requests of one attempt.
    for (mechanism, messages) in
        [(Sasl::Plain as Way, 1), (Sasl::ScramSha256 as Way, 2), (Sasl::ScramSha512 as Way, 2)]
    {
        let files = CredentialFiles::new();
        let login = mechanism(files.password("monitor", "wrong-secret"));
        let name = login.mechanism().label();
        let wire = wire_to(&listener("PASSWORDS"), encrypted(Some(login)));
        let error = wire.topology().await.unwrap_err();
        let wanted = [name, "`monitor`", "the broker says: Authentication failed", "security.sasl"];

        check_kept_out(&error, ReadFailure::Authentication, &wanted);
        assert!(!words(&error).contains("wrong-secret"));

        for _ in 0..200 {
            let error = wire.topology().await.unwrap_err();
            assert_eq!(error.failure(), ReadFailure::Authentication);
        }

        assert_eq!(sent(&wire, Api::SaslAuthenticate), messages, "one attempt with {name}");

        files.put("monitor.password", PASSWORD);
        eventually("let in with the right password", NOTICED, async || wire.topology().await.ok())
            .await;
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn an_expired_token_is_distinguished_from_a_missing_one() {
    let files = CredentialFiles::new();
    let login = files.token(Duration::ZERO);
    let address = listener("TOKENS");
    let wire = wire_to(&address, encrypted(Some(login.clone())));
    let error = wire.topology().await.unwrap_err();

    check_kept_out(
        &error,
        ReadFailure::Authentication,
        &["OAUTHBEARER", "invalid_token", "security.sasl.token_file"],
    );

    fs::remove_file(files.path("token")).unwrap();
    let missing = wire_to(&address, encrypted(Some(login)));
    let error = missing.topology().await.unwrap_err();

    check_kept_out(&error, ReadFailure::Authentication, &["security.sasl.token_file: read"]);

    files.token(Duration::from_mins(10));
    for wire in [wire, missing] {
        eventually("let in with a new token", NOTICED, async || wire.topology().await.ok()).await;
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_rotated_certificate_is_used_without_a_restart() {
    let files = CredentialFiles::new();
    for suffix in ["pem", "key"] {
        files.rotate(&format!("ours.{suffix}"), &certificate(&format!("stranger.{suffix}")));
    }

    let security = as_owner_of(files.path("ours.pem"), files.path("ours.key"));
    let wire = wire_to(&listener("MTLS"), security);
    let error = wire.topology().await.unwrap_err();

    check_kept_out(&error, ReadFailure::Tls, &["security.tls.cert_file"]);

    for suffix in ["pem", "key"] {
        files.rotate(&format!("ours.{suffix}"), &certificate(&format!("client.{suffix}")));
    }

    eventually("let in with another certificate", NOTICED, async || wire.topology().await.ok())
        .await;

    // Again: an open connection is replaced by one with the new files.
    let before = sent(&wire, Api::ApiVersions);
    files.rotate("ours.pem", &certificate("client.pem"));
    eventually("a new connection", NOTICED, async || {
        wire.topology().await.unwrap();
        (before < sent(&wire, Api::ApiVersions)).then_some(())
    })
    .await;

    // Invalid files change nothing.
    files.rotate("ours.key", &certificate("stranger.key"));
    let before = sent(&wire, Api::ApiVersions);
    let begun = SystemClock::new();

    while begun.monotonic().0 < Duration::from_secs(6) {
        wire.topology().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    assert_eq!(sent(&wire, Api::ApiVersions), before);
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn an_untrusted_broker_is_refused_with_the_reason() {
    let unknown = Security { tls: Some(trusting("other-ca.pem")), sasl: None };
    kept_out(&listener("TLS"), unknown, ReadFailure::Tls, &["not signed by a trusted CA"]).await;
    kept_out(&listener("EXPIRED"), encrypted(None), ReadFailure::Tls, &["has expired"]).await;
    let by_name = listener("TLS").replace("127.0.0.1", "localhost");
    let wanted = ["is for another name", "localhost", "kafka.example.com"];
    kept_out(&by_name, encrypted(None), ReadFailure::Tls, &wanted).await;

    let named = |name: &str| TlsFiles { server_name: Some(name.into()), ..trusting("ca.pem") };
    let other = Security { tls: Some(named("kafka.example.org")), sasl: None };
    kept_out(&listener("TLS"), other, ReadFailure::Tls, &["is for another name"]).await;
    let right = Security { tls: Some(named("kafka.example.com")), sasl: None };
    wire_to(&by_name, right).topology().await.unwrap();
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_missing_client_certificate_is_refused_where_it_is_required() {
    let wanted = ["client certificate that it trusts", "security.tls.cert_file"];
    kept_out(&listener("MTLS"), encrypted(None), ReadFailure::Tls, &wanted).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn connecting_to_the_wrong_listener_is_explained() {
    let files = CredentialFiles::new();
    let monitor = || files.password("monitor", PASSWORD);
    let plain = || Security { tls: None, sasl: Some(Sasl::Plain(monitor())) };
    let nothing = Security::default;

    let wanted = ["does not speak TLS on that port"];
    kept_out(&listener("PLAIN"), encrypted(None), ReadFailure::Tls, &wanted).await;
    let error = wire_to(&listener("TLS"), nothing()).topology().await.unwrap_err();
    println!("    {}", words(&error));

    assert!(words(&error).contains("security.tls"), "{}", words(&error));

    let wanted = ["does not use SASL"];
    kept_out(&listener("PLAIN"), plain(), ReadFailure::Authentication, &wanted).await;
    let wanted = ["security.sasl"];
    kept_out(&listener("OPENPASSWORDS"), nothing(), ReadFailure::Connection, &wanted).await;
    let wanted =
        ["does not support PLAIN on that port, only OAUTHBEARER", "security.sasl.mechanism"];
    let to_tokens = encrypted(Some(Sasl::Plain(monitor())));
    kept_out(&listener("TOKENS"), to_tokens, ReadFailure::Authentication, &wanted).await;
}

/// The broker expires PLAIN sessions on this listener after 3 s (KIP-368).
#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_connection_is_replaced_before_its_session_expires() {
    let files = CredentialFiles::new();
    let login = Sasl::Plain(files.password("monitor", PASSWORD));
    let wire = wire_to(&listener("OPENPASSWORDS"), Security { tls: None, sasl: Some(login) });
    let clock = SystemClock::new();

    while clock.monotonic().0 < Duration::from_secs(7) {
        wire.topology().await.unwrap_or_else(|error| panic!("{}", words(&error)));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let connections = sent(&wire, Api::ApiVersions);

    assert!((3..=4).contains(&connections), "{connections}");
}

/// From the password file to the metrics: what an operator sees of a wrong password and of the
/// right one.
#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_wrong_password_is_counted_and_the_right_one_resumes() {
    let files = CredentialFiles::new();
    let password_file = files.password("monitor", "wrong-secret").password_file;
    let config = format!(
        "clusters:
  - bootstrap_servers: ['{}']
    collect_interval: 1s
    security:
      tls: {{ca_file: '{}'}}
      sasl: {{mechanism: SCRAM-SHA-256, username: monitor, password_file: '{}'}}
remediation: {{state_dir: '{}'}}
",
        listener("PASSWORDS"),
        certificate("ca.pem").display(),
        password_file.display(),
        files.path("state").display(),
    );
    let serving = ServeProcess::start(&files.put("config.yaml", &config));
    let labels = |reason: &str| format!(r#"collector="topology",reason="{reason}"}} 1"#);

    // The reason is exported at once, the series of the cluster with the next round.
    let page = eventually("the page says why", NOTICED, async || {
        let down = r#"kafka_up{kafka_cluster="main"} 0"#;
        let whole = |it: &String| it.contains(&labels("authentication")) && it.contains(down);
        Some(serving.get("/metrics")).filter(whole)
    })
    .await;

    assert!(!page.contains("wrong-secret"));

    files.put("monitor.password", PASSWORD);
    eventually("the page has the topic", NOTICED, async || {
        serving.get("/metrics").contains(r#"topic="secured""#).then_some(())
    })
    .await;
}
