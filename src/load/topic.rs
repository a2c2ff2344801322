//! Waits until the topic exists.

use std::{io::Write, sync::Arc, time::Duration};

use rdkafka::producer::Producer;
use tokio_util::sync::CancellationToken;

use super::{cli::ProduceArgs, client::LoadClient, error::LoadError, stats::print};
use crate::clock::SharedClock;

/// Interval between metadata requests, and their timeout: a stop waits at most this long.
const METADATA_INTERVAL: Duration = Duration::from_secs(2);

enum TopicStatus {
    /// With this number of partitions.
    Exists(usize),
    /// Missing, or no broker answers; with the reason.
    Unavailable(String),
}

/// The number of partitions to write to, or `None` if `stop` came first.
///
/// Requests the metadata of all topics: a request that names a topic may create it.
pub(super) async fn wait_for_partitions(
    args: &ProduceArgs,
    client: LoadClient,
    clock: &SharedClock,
    stop: &CancellationToken,
    out: &mut dyn Write,
) -> Result<Option<u16>, LoadError> {
    let client = Arc::new(client);
    let mut last_reason = String::new();

    loop {
        let status = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            status = topic_status(Arc::clone(&client), args.topic.clone()) => status,
        };

        match status {
            TopicStatus::Exists(partitions) => return check_partitions(args, partitions).map(Some),
            TopicStatus::Unavailable(reason) => {
                if reason != last_reason {
                    let line = format!("waiting for topic {}: {reason}", args.topic);
                    print(&line, out)?;
                    last_reason = reason;
                }
            }
        }

        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = clock.sleep(METADATA_INTERVAL) => (),
        }
    }
}

async fn topic_status(client: Arc<LoadClient>, topic: String) -> TopicStatus {
    let status = tokio::task::spawn_blocking(move || {
        let metadata = match client.client().fetch_metadata(None, METADATA_INTERVAL) {
            Ok(metadata) => metadata,
            Err(error) => return TopicStatus::Unavailable(format!("no broker answers ({error})")),
        };
        match metadata.topics().iter().find(|it| it.name() == topic) {
            Some(topic) if !topic.partitions().is_empty() => {
                TopicStatus::Exists(topic.partitions().len())
            }
            Some(_) | None => TopicStatus::Unavailable("it does not exist yet".to_owned()),
        }
    });

    match status.await {
        Ok(status) => status,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn check_partitions(args: &ProduceArgs, actual: usize) -> Result<u16, LoadError> {
    let actual = u16::try_from(actual).unwrap_or(u16::MAX);
    let requested = args.partitions.unwrap_or(actual);
    if requested > actual {
        return Err(LoadError::TooFewPartitions { topic: args.topic.clone(), actual, requested });
    }

    Ok(requested)
}
