//! Waits until the topic is there.

use std::{io::Write, sync::Arc, time::Duration};

use rdkafka::producer::Producer;
use tokio_util::sync::CancellationToken;

use super::{cli::ProduceArgs, client::LoadClient, error::LoadError, stats::print};
use crate::clock::SharedClock;

/// Between two looks; also how long one look may take, so that a stop is not held up by it.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What one look came to.
enum TopicStatus {
    Partitions(usize),
    /// Not there (yet), and why.
    Nothing(String),
}

/// The number of partitions to write to, or nothing when the stop came first.
///
/// Asks for all topics: a metadata request that names a topic may create it.
pub(super) async fn wait(
    args: &ProduceArgs,
    client: LoadClient,
    clock: &SharedClock,
    stop: &CancellationToken,
    out: &mut dyn Write,
) -> Result<Option<u16>, LoadError> {
    let client = Arc::new(client);
    let mut said = String::new();
    loop {
        let seen = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            seen = look(Arc::clone(&client), args.topic.clone()) => seen,
        };
        match seen {
            TopicStatus::Partitions(there) => return enough(args, there).map(Some),
            TopicStatus::Nothing(why) if why != said => {
                let line = format!("waiting for topic {}: {why}", args.topic);
                print(&line, out)?;
                said = why;
            }
            TopicStatus::Nothing(_) => (),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = clock.sleep(LOOK_EVERY) => (),
        }
    }
}

async fn look(client: Arc<LoadClient>, topic: String) -> TopicStatus {
    let looked = tokio::task::spawn_blocking(move || {
        let metadata = match client.client().fetch_metadata(None, LOOK_EVERY) {
            Ok(metadata) => metadata,
            Err(problem) => return TopicStatus::Nothing(format!("no broker answers ({problem})")),
        };
        match metadata.topics().iter().find(|it| it.name() == topic) {
            Some(found) if !found.partitions().is_empty() => {
                TopicStatus::Partitions(found.partitions().len())
            }
            Some(_) | None => TopicStatus::Nothing("it does not exist yet".to_owned()),
        }
    });
    match looked.await {
        Ok(seen) => seen,
        Err(bug) => std::panic::resume_unwind(bug.into_panic()),
    }
}

fn enough(args: &ProduceArgs, there: usize) -> Result<u16, LoadError> {
    let there = u16::try_from(there).unwrap_or(u16::MAX);
    let asked = args.partitions.unwrap_or(there);
    if asked <= there {
        Ok(asked)
    } else {
        Err(LoadError::TooFewPartitions { topic: args.topic.clone(), there, asked })
    }
}
