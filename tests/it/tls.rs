//! Which brokers are trusted, and the error for those that are not.

use std::{fs, sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::{Clock, SystemClock},
    kafka::{
        Kafka, KafkaError,
        wire::{Wire, WireOptions},
    },
    model::{ReadFailure, RequestOutcome},
    security::{Security, TlsFiles},
    shutdown::Tasks,
};
use kafka_protocol::messages::ApiKey;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use crate::{
    fake_broker::{FakeBroker, FakeCluster},
    fake_tls::{CertificateAuthority, ClientCertificates, Validity},
};

const HOST: &str = "127.0.0.1";

async fn broker_with(acceptor: Option<TlsAcceptor>) -> FakeBroker {
    let broker = FakeCluster::default().start(1).await;
    if let Some(acceptor) = acceptor {
        broker.encrypt(acceptor);
    }
    broker
}

fn wire_to(broker: &FakeBroker, tls: Option<TlsFiles>) -> Wire {
    let options = WireOptions {
        bootstrap: vec![broker.address.to_string()],
        request_timeout: Duration::from_secs(2),
        client_id: "tests".to_owned(),
        security: Security { tls, sasl: None },
    };
    Wire::new(options, Arc::new(SystemClock::new()), Tasks::default())
}

fn trusting(ca: &CertificateAuthority, dir: &TempDir) -> TlsFiles {
    let file = dir.path().join("ca.pem");
    fs::write(&file, ca.pem()).unwrap();
    TlsFiles { ca_file: Some(file), ..TlsFiles::default() }
}

/// The error message, with its causes.
fn words(error: &KafkaError) -> String {
    let cause = std::error::Error::source(error).map(|it| format!(": {it}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// A broker with this certificate must be refused, and must not receive a request.
async fn check(acceptor: TlsAcceptor, tls: TlsFiles, wanted: &[&str]) {
    let broker = broker_with(Some(acceptor)).await;
    let error = wire_to(&broker, Some(tls)).topology().await.unwrap_err();
    let words = words(&error);

    assert_eq!(error.failure(), ReadFailure::Tls, "{words}");
    assert_ne!(error.outcome(), RequestOutcome::Unknown, "{words}");

    for wanted in wanted {
        assert!(words.contains(wanted), "{wanted:?} in: {words}");
    }

    assert_eq!(broker.seen(ApiKey::Metadata).len(), 0);
}

#[tokio::test]
async fn a_broker_with_a_valid_certificate_is_accepted() {
    let (ca, dir) = (CertificateAuthority::new("ours"), tempfile::tempdir().unwrap());
    let broker =
        broker_with(Some(ca.broker(HOST, Validity::Now, ClientCertificates::Anybody))).await;
    let wire = wire_to(&broker, Some(trusting(&ca, &dir)));

    for _ in 0..10 {
        wire.topology().await.unwrap();
    }

    assert_eq!(broker.connections(), 1);

    let named = TlsFiles { server_name: Some("kafka".to_owned()), ..trusting(&ca, &dir) };
    let broker =
        broker_with(Some(ca.broker("kafka", Validity::Now, ClientCertificates::Anybody))).await;
    wire_to(&broker, Some(named)).topology().await.unwrap();
}

#[tokio::test]
async fn a_broker_with_an_invalid_certificate_is_refused_with_the_reason() {
    let (ours, theirs) = (CertificateAuthority::new("ours"), CertificateAuthority::new("theirs"));
    let dir = tempfile::tempdir().unwrap();
    let trusting = || trusting(&ours, &dir);
    let of =
        |ca: &CertificateAuthority, name, life| ca.broker(name, life, ClientCertificates::Anybody);

    check(of(&theirs, HOST, Validity::Now), trusting(), &["not signed by a trusted CA", "ca_file"])
        .await;
    check(of(&ours, HOST, Validity::Over), trusting(), &["has expired"]).await;
    check(of(&ours, HOST, Validity::Later), trusting(), &["is not valid yet"]).await;

    let wanted = ["is for another name", HOST, "kafka", "security.tls.server_name"];
    check(of(&ours, "kafka", Validity::Now), trusting(), &wanted).await;

    let named = TlsFiles { server_name: Some("kafka".to_owned()), ..trusting() };
    check(of(&ours, HOST, Validity::Now), named, &["is for another name"]).await;
}

#[tokio::test]
async fn a_renewed_client_certificate_is_used_for_the_next_connection() {
    let (ours, theirs) = (CertificateAuthority::new("ours"), CertificateAuthority::new("theirs"));
    let dir = tempfile::tempdir().unwrap();
    let wants = || ours.broker(HOST, Validity::Now, ClientCertificates::Known);
    let wanted = ["client certificate that it trusts", "security.tls.cert_file"];

    check(wants(), trusting(&ours, &dir), &wanted).await;

    let identity = Some(theirs.client(dir.path()));
    let wrong = TlsFiles { identity, ..trusting(&ours, &dir) };

    check(wants(), wrong.clone(), &wanted).await;

    let broker = broker_with(Some(wants())).await;
    let wire = wire_to(&broker, Some(wrong));

    assert!(wire.topology().await.is_err());

    ours.client(dir.path());
    let clock = SystemClock::new();

    while wire.topology().await.is_err() {
        assert!(clock.monotonic().0 < Duration::from_secs(8), "the new certificate is not seen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn plain_text_to_a_tls_listener_and_the_reverse_are_explained() {
    let (ca, dir) = (CertificateAuthority::new("ours"), tempfile::tempdir().unwrap());
    let broker =
        broker_with(Some(ca.broker(HOST, Validity::Now, ClientCertificates::Anybody))).await;
    let error = wire_to(&broker, None).topology().await.unwrap_err();

    assert!(words(&error).contains("security.tls"), "{}", words(&error));

    let broker = broker_with(None).await;
    let error = wire_to(&broker, Some(trusting(&ca, &dir))).topology().await.unwrap_err();

    assert_eq!(error.failure(), ReadFailure::Tls);
    assert!(words(&error).contains("does not speak TLS on that port"), "{}", words(&error));
}
