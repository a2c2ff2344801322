//! Settings of the adapter, and its fixed limits.

use std::time::Duration;

use crate::security::Security;

/// How to reach one cluster.
#[derive(Clone, Debug)]
pub struct WireOptions {
    /// `host:port` of the bootstrap servers. `config` validates them; an address that does not
    /// parse here is reported as unreachable.
    pub bootstrap: Vec<String>,
    /// Limits each request, including the time to open a connection for it.
    pub request_timeout: Duration,
    /// Appears in the brokers' request logs and quotas.
    pub client_id: String,
    pub security: Security,
}

/// Largest response frame. 20,000 partitions of metadata take 2 MB; Kafka's own default for
/// `socket.request.max.bytes` is 100 MiB as well.
pub(super) const FRAME_BYTES_MAX: usize = 100 << 20;

/// Requests that may wait to be written on one connection. A caller beyond that waits for room,
/// within its own deadline.
pub(super) const OUTGOING_MAX: usize = 64;

/// Back-off after the first failure to connect.
pub(super) const CONNECT_BACKOFF_INITIAL: Duration = Duration::from_millis(100);

/// Longest back-off for a broker that is down: its return is noticed within one round.
pub(super) const CONNECT_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Back-off after the first failed login. Five attempts take more than two minutes, so that we do
/// not lock an account that tolerates only a few wrong passwords.
pub(super) const AUTH_BACKOFF_INITIAL: Duration = Duration::from_secs(10);

/// Longest back-off for credentials that stay wrong. New credentials in the files end it at once.
pub(super) const AUTH_BACKOFF_MAX: Duration = Duration::from_mins(5);

/// How often the credential files are checked for changes while connections are open, so that a
/// change is noticed within one round. They are always checked before a connection is opened.
pub(super) const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// `SaslAuthenticate` requests in one authentication. SCRAM, the longest, needs two.
pub(super) const SASL_EXCHANGES_MAX: usize = 4;

/// The minimum of RFC 7677. Fewer iterations make it cheap to guess the password from our proof.
pub(super) const SCRAM_ITERATIONS_MIN: u32 = 4_096;

/// Four times the maximum that Kafka accepts from an administrator (16,384). More would only keep
/// our CPU busy.
pub(super) const SCRAM_ITERATIONS_MAX: u32 = 65_536;

/// Fraction of a SASL session's lifetime after which we open a new connection. The broker closes
/// the old one at the first request after the lifetime (KIP-368).
pub(super) const SESSION_LIFETIME_FRACTION: f64 = 0.85;

/// A call to any broker starts no further attempt after this many request timeouts, so that several
/// frozen brokers do not add up.
pub(super) const ANY_BROKER_TIMEOUTS_MAX: u32 = 3;

/// Resources in one `DescribeConfigs` request. With one key per topic the response takes about 60
/// bytes per topic: 3 MB.
pub(super) const CONFIG_RESOURCES_MAX: usize = 50_000;

/// Longest part of a broker's error message that we keep, in characters. Kafka's messages are one
/// sentence; a broken peer could put 100 MiB into one log line.
pub(super) const BROKER_MESSAGE_CHARS_MAX: usize = 1_000;

/// Brokers in one metadata response. Each gets a connection; the largest clusters have hundreds.
pub(super) const BROKERS_MAX: usize = 5_000;
