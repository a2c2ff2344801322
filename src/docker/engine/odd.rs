//! Answers in another form than Docker's own: Podman knows more states, and some engines write an
//! entrypoint as text. The client reads an answer as a whole or not at all; what we need of it is
//! read here.

use bollard::{
    errors::Error,
    models::{ContainerConfig, ContainerInspectResponse, ContainerState, ContainerSummary},
};
use serde::Deserialize;

use super::consumer::{ContainerLabels, consumer};
use crate::model::ConsumerContainer;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OddSummary {
    id: String,
    labels: Option<ContainerLabels>,
    names: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OddContainer {
    id: String,
    name: String,
    restart_count: Option<i64>,
    config: OddConfig,
    state: OddState,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OddConfig {
    labels: Option<ContainerLabels>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OddState {
    running: Option<bool>,
    restarting: Option<bool>,
    paused: Option<bool>,
}

/// The containers of a list that the client could not read; `None` if it failed for another reason.
pub(super) fn listed(error: &Error) -> Option<Vec<ContainerSummary>> {
    let found: Vec<OddSummary> = serde_json::from_str(contents(error)?).ok()?;
    let summary = |it: OddSummary| ContainerSummary {
        id: Some(it.id),
        labels: it.labels,
        names: it.names,
        ..ContainerSummary::default()
    };
    Some(found.into_iter().map(summary).collect())
}

/// A consumer that the client could not read. It counts, and is never cloned. `None` if it is no
/// consumer of `cluster`, or cannot be read here either.
pub(super) fn inspected(error: &Error, cluster: &str) -> Option<ConsumerContainer> {
    let found: OddContainer = serde_json::from_str(contents(error)?).ok()?;
    let OddState { running, restarting, paused } = found.state;
    let response = ContainerInspectResponse {
        id: Some(found.id),
        name: Some(found.name),
        restart_count: found.restart_count,
        config: Some(ContainerConfig { labels: found.config.labels, ..ContainerConfig::default() }),
        state: Some(ContainerState { running, restarting, paused, ..ContainerState::default() }),
        ..ContainerInspectResponse::default()
    };

    let mut odd = consumer(&response, cluster)?;
    odd.objections.push("the engine describes it in another form than Docker's".to_owned());
    Some(odd)
}

/// The answer that the client could not read.
fn contents(error: &Error) -> Option<&str> {
    if let Error::JsonDataError { contents, .. } = error { Some(contents) } else { None }
}
