//! Authentication: credential files that change, and brokers that refuse or lie.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::{Clock, SystemClock},
    kafka::{
        Kafka, KafkaError,
        wire::{Wire, WireOptions},
    },
    model::{Api, BrokerId, ReadFailure, RequestOutcome},
    security::{PasswordFile, Sasl, Security},
    shutdown::Tasks,
};
use kafka_protocol::messages::ApiKey;
use tempfile::TempDir;

use crate::fake_broker::{BrokerFault, FakeBroker, FakeCluster, FakeSasl, SaslTrick};

const PASSWORD: &str = "pencil";
/// Files are checked every five seconds.
const NOTICED: Duration = Duration::from_secs(8);

/// A password file, and the adapter that uses it.
struct SecuredClient {
    dir: TempDir,
    wire: Wire,
}

impl SecuredClient {
    fn of(bootstrap: &[&FakeBroker], password: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let password_file = dir.path().join("password");
        fs::write(&password_file, password).unwrap();
        let file = PasswordFile { username: "monitor".to_owned(), password_file };
        let options = WireOptions {
            bootstrap: bootstrap.iter().map(|it| it.address.to_string()).collect(),
            request_timeout: Duration::from_secs(2),
            client_id: "tests".to_owned(),
            security: Security { tls: None, sasl: Some(Sasl::ScramSha256(file)) },
        };
        let wire = Wire::new(options, Arc::new(SystemClock::new()), Tasks::default());

        Self { dir, wire }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    async fn refusal(&self) -> String {
        let error = self.wire.topology().await.unwrap_err();
        assert_eq!(error.failure(), ReadFailure::Authentication, "{error}");
        assert_ne!(error.outcome(), RequestOutcome::Unknown);

        error.to_string()
    }

    /// Sends requests until `done` accepts the result.
    async fn until(&self, done: impl Fn(Result<(), KafkaError>) -> bool) {
        let clock = SystemClock::new();
        while !done(self.wire.topology().await.map(|_| ())) {
            assert!(clock.monotonic().0 < NOTICED, "not within {NOTICED:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn sent(&self, api: Api) -> u64 {
        self.wire.request_counts().iter().find(|it| it.api == api).unwrap().sent
    }
}

fn locked(broker: &FakeBroker, trick: SaslTrick) {
    broker.lock(FakeSasl { password: PASSWORD, trick });
}

async fn locked_broker(trick: SaslTrick) -> FakeBroker {
    let broker = FakeCluster::default().start(1).await;
    locked(&broker, trick);
    broker
}

fn attempts(broker: &FakeBroker) -> usize {
    broker.seen(ApiKey::SaslHandshake).len()
}

#[tokio::test]
async fn a_password_is_authenticated_once_per_connection() {
    let broker = locked_broker(SaslTrick::Nothing).await;
    let client = SecuredClient::of(&[&broker], PASSWORD);

    for _ in 0..10 {
        client.wire.topology().await.unwrap();
    }

    assert_eq!((attempts(&broker), broker.connections()), (1, 1));
    assert_eq!((client.sent(Api::SaslHandshake), client.sent(Api::SaslAuthenticate)), (1, 2));
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_on_one_broker() {
    let cluster = FakeCluster::default();
    let mut brokers = Vec::new();

    for id in 1..=5 {
        brokers.push(cluster.start(id).await);
        locked(&brokers[brokers.len() - 1], SaslTrick::Nothing);
    }

    let bootstrap: Vec<&FakeBroker> = brokers.iter().collect();
    let client = SecuredClient::of(&bootstrap, "wrong-secret");

    for _ in 0..200 {
        let words = client.refusal().await;
        assert!(words.contains("SCRAM-SHA-256 as `monitor`"), "{words}");
        assert!(words.contains("invalid credentials"), "{words}");
        assert!(words.contains("check security.sasl.username and password_file"), "{words}");
        assert!(!words.contains("wrong-secret"), "{words}");
    }

    assert_eq!(brokers.iter().map(attempts).sum::<usize>(), 1);

    let failed = client.wire.request_counts();
    let failed = &failed.iter().find(|it| it.api == Api::SaslAuthenticate).unwrap().failed;

    for (fault, count) in failed {
        assert_eq!(*count, u64::from(*fault == ReadFailure::Authentication), "{fault}");
    }
}

#[tokio::test]
async fn a_password_refused_by_one_broker_affects_only_that_broker() {
    let cluster = FakeCluster::default();
    let (first, second, third) =
        (cluster.start(1).await, cluster.start(2).await, cluster.start(3).await);

    for broker in [&first, &third] {
        locked(broker, SaslTrick::Nothing);
    }

    second.lock(FakeSasl { password: "another", trick: SaslTrick::Nothing });
    let client = SecuredClient::of(&[&first], PASSWORD);
    client.wire.topology().await.unwrap();

    for _ in 0..20 {
        let error = client.wire.groups(BrokerId::from_wire(2).unwrap(), &[]).await.unwrap_err();
        assert_eq!(error.failure(), ReadFailure::Authentication);
    }

    client.wire.groups(BrokerId::from_wire(3).unwrap(), &[]).await.unwrap();

    assert_eq!(attempts(&second), 1);
}

#[tokio::test]
async fn a_corrected_password_ends_the_pause() {
    let broker = locked_broker(SaslTrick::Nothing).await;
    let client = SecuredClient::of(&[&broker], "wrong");
    client.refusal().await;
    fs::write(client.file(), PASSWORD).unwrap();
    client.until(|it| it.is_ok()).await;

    assert_eq!(attempts(&broker), 2);
}

#[tokio::test]
async fn a_missing_file_is_named_and_read_once_it_exists() {
    let broker = locked_broker(SaslTrick::Nothing).await;
    let client = SecuredClient::of(&[&broker], PASSWORD);
    fs::remove_file(client.file()).unwrap();
    let words = client.refusal().await;

    assert!(words.contains("security.sasl.password_file: read"), "{words}");
    assert!(words.contains(client.file().to_str().unwrap()), "{words}");
    assert_eq!(broker.connections(), 0, "nothing to show, so nobody is asked");

    fs::write(client.file(), PASSWORD).unwrap();
    client.until(|it| it.is_ok()).await;
}

#[tokio::test]
async fn a_new_password_replaces_the_connection_and_an_empty_file_does_not() {
    let broker = locked_broker(SaslTrick::Nothing).await;
    let client = SecuredClient::of(&[&broker], PASSWORD);
    client.wire.topology().await.unwrap();
    fs::write(client.file(), "").unwrap();
    let clock = SystemClock::new();

    while clock.monotonic().0 < Duration::from_secs(6) {
        client.wire.topology().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    assert_eq!(broker.connections(), 1, "what was read stays in use");

    fs::write(client.file(), "now wrong").unwrap();
    client.until(|it| it.is_err_and(|error| error.failure() == ReadFailure::Authentication)).await;

    assert_eq!(broker.connections(), 2);
}

#[tokio::test]
async fn a_connection_is_replaced_before_its_session_expires_and_no_call_fails() {
    let broker = locked_broker(SaslTrick::Session(400)).await;
    let client = SecuredClient::of(&[&broker], PASSWORD);
    let clock = SystemClock::new();

    while clock.monotonic().0 < Duration::from_secs(2) {
        client.wire.topology().await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let connections = broker.connections();

    assert!((3..=6).contains(&connections), "{connections}: each lives 340 ms");
}

#[tokio::test]
async fn a_broker_that_cannot_prove_the_password_is_refused() {
    let broker = locked_broker(SaslTrick::Bluff).await;
    let client = SecuredClient::of(&[&broker], PASSWORD);
    let words = client.refusal().await;

    assert!(words.contains("may not be the broker that it claims to be"), "{words}");
    assert_eq!(broker.seen(ApiKey::Metadata).len(), 0);
}

#[tokio::test]
async fn a_broker_that_asks_for_a_million_iterations_is_refused_at_once() {
    let salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
    let challenge = format!("r=NONCEx,s={salt},i=1000000");
    let broker = locked_broker(SaslTrick::Challenge(challenge)).await;
    let clock = SystemClock::new();
    let words = SecuredClient::of(&[&broker], PASSWORD).refusal().await;

    assert!(words.contains("1000000 iterations"), "{words}");
    assert!(clock.monotonic().0 < Duration::from_secs(1));
}

#[tokio::test]
async fn a_malformed_server_signature_is_an_error() {
    let sound = "r=NONCEx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let mut malformed: Vec<SaslTrick> =
        (0..sound.len()).map(|end| SaslTrick::Challenge(sound[..end].to_owned())).collect();

    for last in ["", "v", "v=", "v=*", ",", "e=other-error", "m=x,v=", "v=AAAA,"] {
        malformed.push(SaslTrick::Last(last.to_owned()));
    }

    for trick in malformed {
        let broker = locked_broker(trick.clone()).await;
        let outcome = SecuredClient::of(&[&broker], PASSWORD).wire.topology().await;

        assert!(outcome.is_err(), "{trick:?}");
        assert_eq!(broker.seen(ApiKey::Metadata).len(), 0, "{trick:?}");
    }
}

#[tokio::test]
async fn an_authentication_that_stalls_ends_at_the_deadline() {
    for api in [ApiKey::SaslHandshake, ApiKey::SaslAuthenticate] {
        let broker = locked_broker(SaslTrick::Nothing).await;
        broker.fail(api, BrokerFault::Freeze);
        let client = SecuredClient::of(&[&broker], PASSWORD);
        let clock = SystemClock::new();
        let error = client.wire.topology().await.unwrap_err();

        assert!(matches!(error, KafkaError::Unreachable { .. }), "{error}");
        assert!(clock.monotonic().0 < Duration::from_secs(4));

        for _ in 0..20 {
            client.wire.topology().await.unwrap_err();
        }

        assert_eq!(attempts(&broker), 1, "it may have counted as a wrong password");

        for fault in [
            BrokerFault::HangUp,
            BrokerFault::MidFrame,
            BrokerFault::Claim(i32::MAX),
            BrokerFault::Cut(3),
        ] {
            let broker = locked_broker(SaslTrick::Nothing).await;
            broker.fail(api, fault);
            assert!(
                SecuredClient::of(&[&broker], PASSWORD).wire.topology().await.is_err(),
                "{fault:?}"
            );
        }
    }
}
