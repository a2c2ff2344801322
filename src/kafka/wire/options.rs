//! What the adapter is told, and the limits it sets itself.

use std::time::Duration;

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
