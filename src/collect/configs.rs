//! The broker configuration that optimizers change, read each round at each broker.

/// The keys that are tuned, and the restart-only socket buffers that are reported.
pub const TUNED_KEYS: &[&str] = &[
    "num.network.threads",
    "num.io.threads",
    "num.replica.fetchers",
    "background.threads",
    "socket.send.buffer.bytes",
    "socket.receive.buffer.bytes",
];
