//! What the adapter is told, and the limits it sets itself.

use std::time::Duration;

use crate::security::Security;

/// How to reach one cluster.
#[derive(Clone, Debug)]
pub struct WireOptions {
    /// `host:port` of brokers to ask first. Checked by the configuration, not here: an address that
    /// does not parse is reported as one that cannot be reached.
    pub bootstrap: Vec<String>,
    /// Bounds each request, with the connection it may have to open first.
    pub request_timeout: Duration,
    /// Shown in the brokers' request logs and quotas.
    pub client_id: String,
    pub security: Security,
}

/// A longer answer is a broken stream or not Kafka: 20,000 partitions make 2 MB. Kafka's own bound
/// on what it sends is 100 MiB as well.
pub(super) const FRAME_BYTES_MAX: usize = 100 << 20;

/// Requests of one connection that wait to be written. A caller beyond it waits for room, within
/// its own deadline.
pub(super) const UNSENT_MAX: usize = 64;

/// After the first failure to connect.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// A broker that has been down for long is tried this often, so that its return is seen within one
/// round.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// After the first refusal of our credentials. An account that is locked after a few wrong
/// passwords must not be locked by us: five attempts take more than two minutes.
pub(super) const REFUSED_BACKOFF_FIRST: Duration = Duration::from_secs(10);

/// Credentials that stay wrong are tried this often. New ones in the files end the pause at once.
pub(super) const REFUSED_BACKOFF_MAX: Duration = Duration::from_mins(5);

/// How often the files that secure connections are looked at while connections are open; before one
/// is opened they always are. A change is seen within one round.
pub(super) const FILES_LOOK_EVERY: Duration = Duration::from_secs(5);

/// Exchanges in one authentication: the longest, SCRAM, takes two.
pub(super) const SASL_EXCHANGES_MAX: usize = 4;

/// What RFC 7677 asks for at least; fewer would make the proof worth guessing at.
pub(super) const SCRAM_ITERATIONS_MIN: u32 = 4_096;

/// Four times what Kafka lets an administrator set. A broker that asks for more wants to keep us
/// busy.
pub(super) const SCRAM_ITERATIONS_MAX: u32 = 65_536;

/// A session is left when so much of its life is over: the broker ends it at the first request
/// after that (KIP-368).
pub(super) const SESSION_SHARE: f64 = 0.85;

/// A call to any broker begins no further try after so many deadlines: many frozen brokers must not
/// add up.
pub(super) const ANY_DEADLINES_MAX: u32 = 3;

/// Resources in one `DescribeConfigs` request. A round asks for all topics at once; with one key of
/// each the answer takes some 60 bytes a topic, so this many make 3 MB.
pub(super) const CONFIG_RESOURCES_MAX: usize = 50_000;

/// Of a broker's own words so many characters are passed on. Kafka's are a sentence; an answer
/// could bring 100 MiB of them into a line of the log.
pub(super) const WORDS_CHARS_MAX: usize = 1_000;

/// Each is asked and gets a connection. The largest clusters have some hundreds.
pub(super) const BROKERS_MAX: usize = 5_000;
