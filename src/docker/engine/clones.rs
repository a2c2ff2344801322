//! Clones: where one stands, and the calls that make, start, stop and remove one.
//!
//! Invariant (I36): a container is started, stopped or removed by its id, and only after its labels
//! have said that it is the clone of that run.

use std::time::Duration;

use bollard::{
    models::{ContainerInspectResponse, ContainerStateStatusEnum as Status, NetworkConnectRequest},
    query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder},
};

use super::{
    Engine, EngineCall, Inspected,
    consumer::{consumer, labels, name, restarts},
    failure::{failed, unless_gone},
    in_path,
    template::{Attachment, PROJECT_LABEL, SERVICE_LABEL, attachments, body, next_number},
};
use crate::{
    docker::{
        CLONE_OF_LABEL, CLUSTER_LABEL, DockerError, INSTALLATION_LABEL, ROLE_LABEL, RUN_LABEL,
    },
    model::{CloneName, CloneState},
};

/// The engine's default time to stop a container.
const STOP_SECONDS_DEFAULT: u64 = 10;
/// We wait at most this long, even for a container that may take longer or has no limit.
const STOP_SECONDS_MAX: u64 = 300;

struct Clone {
    id: String,
    inspected: Inspected,
}

/// What has the name of a clone.
enum Found {
    Nothing,
    Foreign,
    Own(Clone),
}

fn refused(call: &'static str, of: &str, problem: impl Into<String>) -> DockerError {
    DockerError::Refused { call, of: of.to_owned(), problem: problem.into() }
}

impl Engine {
    pub(super) async fn state_of_clone(
        &self,
        clone: &CloneName,
    ) -> Result<CloneState, DockerError> {
        Ok(match self.find(clone).await? {
            Found::Nothing => CloneState::Absent,
            Found::Foreign => CloneState::Foreign,
            Found::Own(it) => state(&it.inspected),
        })
    }

    pub(super) async fn make_and_start(
        &self,
        of: &str,
        clone: &CloneName,
    ) -> Result<(), DockerError> {
        let call = "clone to";
        let found = match self.find(clone).await? {
            Found::Foreign => return Err(refused(call, &clone.name, NOT_OURS)),
            Found::Own(it) if is_up(&it.inspected) => return Ok(()),
            Found::Own(it) => Some(it),
            Found::Nothing => None,
        };

        let template = self.inspect(of).await?;
        let template =
            template.ok_or_else(|| refused("clone", of, "there is no such container"))?;
        let id = match found {
            Some(it) if labels(&it.inspected).get(CLONE_OF_LABEL) != template.id.as_ref() => {
                return Err(refused(call, &clone.name, "that is a clone of another container"));
            }
            Some(it) => it.id,
            None => self.create(&template, clone).await?,
        };

        // From here on the container exists and must be removed by the caller.
        let started = self.connect_and_start(&template, &id, clone).await;
        started.map_err(|error| error.in_part(call, &clone.name))
    }

    pub(super) async fn stop_and_remove(&self, clone: &CloneName) -> Result<(), DockerError> {
        let call = "remove clone";
        let Clone { id, inspected } = match self.find(clone).await? {
            Found::Nothing => return Ok(()),
            Found::Foreign => return Err(refused(call, &clone.name, NOT_OURS)),
            Found::Own(it) => it,
        };

        let limit = self.deadline + stop_time(&inspected);
        let docker = self.docker().await?.clone().with_timeout(limit);
        let engine_call = EngineCall::new("stop container", clone.name.as_str());
        let stop = async {
            let stopped = unless_gone(docker.stop_container(&id, None).await);
            stopped.map_err(|error| failed(engine_call, &error))
        };

        if self.within(engine_call, limit, stop).await?.is_none() {
            return Ok(());
        }

        let options = RemoveContainerOptionsBuilder::new().v(true).force(false).build();
        let remove = async { unless_gone(docker.remove_container(&id, Some(options)).await) };
        let removed =
            self.ask(EngineCall::new("remove container", clone.name.as_str()), remove).await;

        removed.map(|_| ()).map_err(|error| error.in_part(call, &clone.name))
    }

    /// Finds the container by the clone's name. The engine also accepts a prefix of an id, so the
    /// name is compared.
    async fn find(&self, clone: &CloneName) -> Result<Found, DockerError> {
        let Some(inspected) = self.inspect(&clone.name).await? else { return Ok(Found::Nothing) };
        if name(&inspected) != clone.name {
            return Ok(Found::Nothing);
        }

        match inspected.id.clone() {
            Some(id) if is_own(&inspected, clone, &self.installation) => {
                Ok(Found::Own(Clone { id, inspected }))
            }
            _ => Ok(Found::Foreign),
        }
    }

    /// Returns the new container's id.
    async fn create(
        &self,
        template: &ContainerInspectResponse,
        clone: &CloneName,
    ) -> Result<String, DockerError> {
        let (call, of) = ("clone", name(template));
        let Some(consumer) = consumer(template, &clone.cluster) else {
            let problem = format!("its labels make it no consumer of {}", clone.cluster);
            return Err(refused(call, of, problem));
        };

        if !consumer.objections.is_empty() {
            return Err(refused(call, of, consumer.objections.join("; ")));
        }

        let docker = self.docker().await?;
        let _numbering = self.numbering.lock().await;
        let number = self.next_number(template).await?;
        let options = CreateContainerOptionsBuilder::new().name(&clone.name).build();
        let body = body(template, clone, &self.installation, number);

        // Boxed: the request is large.
        let make = Box::pin(docker.create_container(Some(options), body));
        Ok(self.ask(EngineCall::new("create container", clone.name.as_str()), make).await?.id)
    }

    /// The next container number of the template's Compose service; `None` outside Compose.
    async fn next_number(
        &self,
        template: &ContainerInspectResponse,
    ) -> Result<Option<u64>, DockerError> {
        let labels = labels(template);
        let of_service = labels.get(PROJECT_LABEL).zip(labels.get(SERVICE_LABEL));
        let Some((project, service)) = of_service else { return Ok(None) };
        let service = [(PROJECT_LABEL, project.as_str()), (SERVICE_LABEL, service.as_str())];

        Ok(Some(next_number(&self.labelled(&service).await?)))
    }

    async fn connect_and_start(
        &self,
        template: &ContainerInspectResponse,
        id: &str,
        clone: &CloneName,
    ) -> Result<(), DockerError> {
        let inspected = self.inspect(id).await?;
        let inspected =
            inspected.ok_or_else(|| refused("start clone", &clone.name, "it is gone"))?;
        let joined = inspected.network_settings.and_then(|it| it.networks).unwrap_or_default();

        for attachment in attachments(template) {
            if !joined.contains_key(&attachment.network) {
                self.connect(attachment, id).await?;
            }
        }

        let docker = self.docker().await?;
        self.ask(
            EngineCall::new("start container", clone.name.as_str()),
            docker.start_container(id, None),
        )
        .await
    }

    async fn connect(&self, to: Attachment, id: &str) -> Result<(), DockerError> {
        let engine_call = EngineCall::new("connect to network", to.network.as_str());
        let network =
            in_path(EngineCall::new(engine_call.call, to.id.as_deref().unwrap_or(&to.network)))?;
        let docker = self.docker().await?;
        let request =
            NetworkConnectRequest { container: id.to_owned(), endpoint_config: Some(to.settings) };

        self.ask(engine_call, docker.connect_network(network, request)).await
    }
}

const NOT_OURS: &str = "the container of that name is not this run's clone";

/// Run numbers belong to an installation, so the name of the cluster may have changed since. A
/// clone of an earlier version does not say which installation made it: its cluster must match.
fn is_own(inspected: &ContainerInspectResponse, clone: &CloneName, installation: &str) -> bool {
    let labels = labels(inspected);
    let says = |label, value: &str| labels.get(label).is_some_and(|it| it == value);
    let made_here = if labels.contains_key(INSTALLATION_LABEL) {
        says(INSTALLATION_LABEL, installation)
    } else {
        says(CLUSTER_LABEL, &clone.cluster)
    };

    made_here
        && says(ROLE_LABEL, "consumer")
        && says(RUN_LABEL, &clone.run.to_string())
        && labels.contains_key(CLONE_OF_LABEL)
}

/// A container that is restarting counts: the engine starts it.
fn is_up(inspected: &ContainerInspectResponse) -> bool {
    inspected.state.as_ref().and_then(|it| it.running).unwrap_or(false)
}

fn state(inspected: &ContainerInspectResponse) -> CloneState {
    let status = inspected.state.as_ref().and_then(|it| it.status).unwrap_or(Status::EMPTY);
    match status {
        Status::CREATED => CloneState::Created,
        Status::RUNNING | Status::PAUSED if restarts(inspected) == 0 => CloneState::Running,
        Status::RUNNING
        | Status::PAUSED
        | Status::RESTARTING
        | Status::REMOVING
        | Status::EXITED
        | Status::DEAD
        | Status::STOPPING
        | Status::EMPTY => CloneState::Restarting,
    }
}

/// How long the container may take to stop.
fn stop_time(inspected: &ContainerInspectResponse) -> Duration {
    let seconds = inspected.config.as_ref().and_then(|it| it.stop_timeout);
    let seconds = seconds.map_or(STOP_SECONDS_DEFAULT, |it| {
        // A negative value means no limit.
        u64::try_from(it).unwrap_or(STOP_SECONDS_MAX)
    });

    Duration::from_secs(seconds.min(STOP_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clone(state: &str, labels: &str) -> ContainerInspectResponse {
        let text = format!(
            r#"{{"Id":"3f","Name":"/shop-2",{state},"Config":{{"Labels":{{
            "kafka-optimizer.role":"consumer","kafka-optimizer.cluster":"main"{labels}}}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn clone_name() -> CloneName {
        CloneName { name: "shop-2".to_owned(), run: 12, cluster: "main".to_owned() }
    }

    #[test]
    fn a_clone_that_does_not_stay_up_is_seen_as_that() {
        let stands = |text: &str| state(&clone(text, ""));
        let status = |it: &str| format!(r#""State":{{"Status":"{it}"}},"RestartCount":0"#);

        assert_eq!(stands(&status("created")), CloneState::Created);
        assert_eq!(stands(&status("running")), CloneState::Running);

        for it in ["restarting", "exited", "dead", "removing"] {
            assert_eq!(stands(&status(it)), CloneState::Restarting, "{it}");
        }

        let again = r#""State":{"Status":"running"},"RestartCount":1"#;
        assert_eq!(stands(again), CloneState::Restarting);
    }

    #[test]
    fn i36_only_labels_of_that_run_make_a_clone_ours() {
        let own =
            |labels: &str| is_own(&clone(r#""RestartCount":0"#, labels), &clone_name(), "1a2b");
        let of = r#","kafka-optimizer.clone-of":"9eaa""#;

        assert!(own(&format!(r#"{of},"kafka-optimizer.run":"12""#)));
        assert!(!own(&format!(r#"{of},"kafka-optimizer.run":"13""#)));
        assert!(!own(r#","kafka-optimizer.run":"12""#));
        assert!(!own(of));

        let other = CloneName { cluster: "other".to_owned(), ..clone_name() };
        let labels = format!(r#"{of},"kafka-optimizer.run":"12""#);

        assert!(!is_own(&clone(r#""RestartCount":0"#, &labels), &other, "1a2b"));
    }

    #[test]
    fn i43_run_12_of_another_installation_made_a_clone_with_the_same_name() {
        let labels = |installation: &str| {
            format!(
                r#","kafka-optimizer.clone-of":"9eaa","kafka-optimizer.run":"12",
                "kafka-optimizer.installation":"{installation}""#
            )
        };
        let own = |installation: &str, name: &CloneName| {
            is_own(&clone(r#""RestartCount":0"#, &labels(installation)), name, "1a2b")
        };

        assert!(own("1a2b", &clone_name()));
        assert!(!own("3c4d", &clone_name()));

        // The cluster has got another name since.
        assert!(own("1a2b", &CloneName { cluster: "prod-eu".to_owned(), ..clone_name() }));
    }

    #[test]
    fn its_own_time_to_end_is_waited_for_within_a_bound() {
        let time = |config: &str| {
            let text = format!(r#"{{"Config":{{{config}}}}}"#);
            stop_time(&serde_json::from_str(&text).unwrap()).as_secs()
        };

        assert_eq!(time(""), 10);
        assert_eq!(time(r#""StopTimeout":120"#), 120);
        assert_eq!(time(r#""StopTimeout":0"#), 0);
        assert_eq!(time(r#""StopTimeout":-1"#), STOP_SECONDS_MAX);
        assert_eq!(time(r#""StopTimeout":86400"#), STOP_SECONDS_MAX);
    }
}
