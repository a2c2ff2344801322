//! A Docker engine over its local socket.
//!
//! Invariant (I36): the socket is root on the host, so these calls are all there is: version, info,
//! list, inspect, stats, and for clones alone create, network connect, start, stop, remove.

mod clones;
mod consumer;
mod failure;
mod odd;
mod template;
mod usage;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bollard::{
    API_DEFAULT_VERSION,
    models::{ContainerInspectResponse, ContainerSummary},
    query_parameters::{ListContainersOptionsBuilder, StatsOptionsBuilder},
};
use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};
use tokio::sync::{Mutex, OnceCell};
use tracing::debug;

use self::{
    consumer::consumer,
    failure::{failed, unless_gone},
    usage::container_usage,
};
use super::{
    BROKER_LABEL, CLUSTER_LABEL, CloneName, CloneState, ConsumerContainer, ContainerUsage, Docker,
    DockerError, ROLE_LABEL,
};
use crate::{clock::SharedClock, model::BrokerId};

/// Set on the client too, so that a call given up does not live on for bollard's two minutes.
const CLIENT_SECONDS_MAX: u64 = 60;
/// Maximum concurrent inspections.
const CONCURRENT_INSPECTIONS_MAX: usize = 16;

/// A call to the engine, as an error names it: `inspect container shop-1`.
#[derive(Clone, Copy, Debug)]
struct EngineCall<'a> {
    call: &'static str,
    of: &'a str,
}

impl<'a> EngineCall<'a> {
    const fn new(call: &'static str, of: &'a str) -> Self {
        Self { call, of }
    }
}

/// Boxed: a large response of which we read a few fields.
type Inspected = Box<ContainerInspectResponse>;

pub struct Engine {
    socket: String,
    /// Bounds each call. A list, and the statistics of one container, count as one call.
    deadline: Duration,
    clock: SharedClock,
    /// Clones of other installations are not ours.
    installation: Arc<str>,
    /// Opened by the first call that succeeds: the engine may start after us.
    link: OnceCell<Link>,
    /// Held from the search for a free number until the container that takes it exists.
    numbering: Mutex<()>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("socket", &self.socket).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Link {
    docker: bollard::Docker,
    host: Host,
}

/// What a container without limits may use.
#[derive(Clone, Copy, Debug)]
struct Host {
    cores: Option<f64>,
    memory_bytes: Option<u64>,
}

impl Engine {
    /// An engine behind the socket at this path. Connects to nothing yet. One-shot statistics take
    /// about a second: `deadline` must be longer.
    pub fn new(
        socket: impl Into<String>,
        deadline: Duration,
        clock: SharedClock,
        installation: Arc<str>,
    ) -> Self {
        Self {
            socket: socket.into(),
            deadline,
            clock,
            installation,
            link: OnceCell::new(),
            numbering: Mutex::new(()),
        }
    }

    async fn link(&self) -> Result<&Link, DockerError> {
        self.link.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Link, DockerError> {
        let socket = &self.socket;
        let wrong = |error| failed(EngineCall::new("open", socket.as_str()), &error);
        let docker =
            bollard::Docker::connect_with_unix(socket, CLIENT_SECONDS_MAX, API_DEFAULT_VERSION)
                .map_err(wrong)?;

        // bollard 0.21 puts no version into its paths, and an engine answers in its newest, also
        // after it was replaced. Were it to name one, an older engine would refuse it without this.
        let docker = docker.negotiate_version().await.map_err(wrong)?;
        let host = match docker.info().await.map_err(wrong) {
            Ok(info) => Host {
                cores: info.ncpu.and_then(|it| u32::try_from(it).ok()).map(f64::from),
                memory_bytes: info.mem_total.and_then(|it| u64::try_from(it).ok()),
            },
            // A proxy need not let it through: only limits of unlimited containers come from it.
            Err(error @ (DockerError::Refused { .. } | DockerError::Protocol { .. })) => {
                debug!(%error, "The host's cores and memory are unknown.");
                Host { cores: None, memory_bytes: None }
            }
            Err(error) => return Err(error),
        };

        Ok(Link { docker, host })
    }

    /// The client, opened within the deadline.
    async fn docker(&self) -> Result<&bollard::Docker, DockerError> {
        let engine_call = EngineCall::new("open", self.socket.as_str());
        Ok(&self.within(engine_call, self.deadline, self.link()).await?.docker)
    }

    async fn ask<T>(
        &self,
        engine_call: EngineCall<'_>,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, DockerError> {
        let answer = async { call.await.map_err(|error| failed(engine_call, &error)) };
        self.within(engine_call, self.deadline, answer).await
    }

    async fn within<T>(
        &self,
        engine_call: EngineCall<'_>,
        deadline: Duration,
        answer: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, DockerError> {
        tokio::select! {
            biased;
            done = answer => done,
            () = self.clock.sleep(deadline) => {
                let EngineCall { call, of } = engine_call;
                Err(DockerError::NoAnswer { call, of: of.to_owned(), deadline })
            }
        }
    }

    /// Containers with all of these labels, running or not.
    async fn labelled(
        &self,
        labels: &[(&str, &str)],
    ) -> Result<Vec<ContainerSummary>, DockerError> {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let of = labels.join(", ");
        let filters = HashMap::from([("label", labels)]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let docker = self.docker().await?;
        let list = async {
            let answer = docker.list_containers(Some(options)).await;
            answer.or_else(|error| odd::listed(&error).ok_or(error))
        };

        self.ask(EngineCall::new("list containers with", of.as_str()), list).await
    }

    /// `None` when the container is gone, or is no consumer of `cluster`.
    async fn inspect_consumer(
        &self,
        id: &str,
        cluster: &str,
    ) -> Result<Option<ConsumerContainer>, DockerError> {
        let engine_call = EngineCall::new("inspect container", id);
        let (docker, id) = (self.docker().await?, in_path(engine_call)?);
        let call = async {
            match unless_gone(docker.inspect_container(id, None).await) {
                Ok(found) => Ok(found.and_then(|it| consumer(&it, cluster))),
                Err(error) => match odd::inspected(&error, cluster) {
                    Some(odd) => Ok(Some(odd)),
                    None => Err(error),
                },
            }
        };

        self.ask(engine_call, call).await
    }

    /// `None` when there is no container of that name or id.
    async fn inspect(&self, name: &str) -> Result<Option<Inspected>, DockerError> {
        let engine_call = EngineCall::new("inspect container", name);
        let (docker, name) = (self.docker().await?, in_path(engine_call)?);
        let call = async {
            let answer = docker.inspect_container(name, None).await;
            unless_gone(answer.map(Inspected::new))
        };

        self.ask(engine_call, call).await
    }

    async fn list(&self, cluster: &str) -> Result<Vec<(BrokerId, String)>, DockerError> {
        let labels = [format!("{ROLE_LABEL}=broker"), format!("{CLUSTER_LABEL}={cluster}")];
        let filters = HashMap::from([("label", labels.to_vec())]);
        let options = ListContainersOptionsBuilder::new().filters(&filters).build();
        let listed = self.link().await?.docker.list_containers(Some(options)).await;
        let listed = listed.or_else(|error| odd::listed(&error).ok_or(error));
        let listed =
            listed.map_err(|error| failed(EngineCall::new("list brokers of", cluster), &error))?;
        let mut brokers = Vec::new();

        for container in listed {
            let labels = container.labels.unwrap_or_default();
            let broker = labels.get(BROKER_LABEL).and_then(|it| BrokerId::parse(it));
            if let Some(found) = broker.zip(container.id) {
                brokers.push(found);
            } else {
                debug!(names = ?container.names, "Ignoring container without a broker id label.");
            }
        }

        brokers.sort();
        brokers.dedup_by_key(|(broker, _)| *broker);
        Ok(brokers)
    }

    async fn container_usage(
        &self,
        broker: BrokerId,
        id: &str,
    ) -> Result<ContainerUsage, DockerError> {
        let Link { docker, host } = self.link().await?;
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut stream = std::pin::pin!(docker.stats(id, Some(options)));
        let (stats, inspected) = tokio::join!(stream.next(), docker.inspect_container(id, None));
        let engine_call = EngineCall::new("read statistics of", id);
        let (call, of) = (engine_call.call, id.to_owned());
        let problem = "no statistics".to_owned();
        let stats = stats.ok_or(DockerError::Protocol { call, of, problem })?;
        let wrong = |error| failed(engine_call, &error);
        let limits = inspected.map_err(wrong)?.host_config.unwrap_or_default();

        Ok(container_usage(broker, &stats.map_err(wrong)?, &limits, *host))
    }
}

/// A name or an id, if it is safe in the path of a URL: only characters that an engine allows in
/// names, so that it addresses nothing else (I8).
fn in_path(EngineCall { call, of: name }: EngineCall<'_>) -> Result<&str, DockerError> {
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"_.-".contains(&it);
    let bytes = name.as_bytes();

    if bytes.first().is_some_and(u8::is_ascii_alphanumeric) && bytes.iter().all(|it| fits(*it)) {
        return Ok(name);
    }

    let problem = "not a valid container name".to_owned();
    Err(DockerError::Refused { call, of: format!("{name:?}"), problem })
}

#[async_trait]
impl Docker for Engine {
    async fn broker_usage(
        &self,
        cluster: &str,
    ) -> Result<Vec<Result<ContainerUsage, DockerError>>, DockerError> {
        let list = EngineCall::new("list brokers of", cluster);
        let brokers = self.within(list, self.deadline, self.list(cluster)).await?;

        let usages = brokers.iter().map(|(broker, id)| async move {
            let read = EngineCall::new("read statistics of", id.as_str());
            let answer = self.within(read, self.deadline, self.container_usage(*broker, id)).await;
            answer.inspect_err(|error| debug!(%broker, %error, "Could not read container usage."))
        });

        Ok(join_all(usages).await)
    }

    async fn consumers(&self, cluster: &str) -> Result<Vec<ConsumerContainer>, DockerError> {
        let listed = self.labelled(&[(ROLE_LABEL, "consumer"), (CLUSTER_LABEL, cluster)]).await?;
        let ids: Vec<String> = listed.into_iter().filter_map(|it| it.id).collect();
        let inspections: Vec<_> = ids.iter().map(|id| self.inspect_consumer(id, cluster)).collect();
        let found = stream::iter(inspections).buffered(CONCURRENT_INSPECTIONS_MAX);
        let found: Vec<_> = found.try_collect().await?;

        // A container may be gone since the list was made.
        let mut found: Vec<ConsumerContainer> = found.into_iter().flatten().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    async fn clone_state(&self, clone: &CloneName) -> Result<CloneState, DockerError> {
        self.state_of_clone(clone).await
    }

    async fn start_clone(&self, of: &str, clone: &CloneName) -> Result<(), DockerError> {
        self.make_and_start(of, clone).await
    }

    async fn remove_clone(&self, clone: &CloneName) -> Result<(), DockerError> {
        self.stop_and_remove(clone).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RequestOutcome;

    #[test]
    fn a_name_in_a_path_leads_nowhere_else_i8() {
        for name in ["shop-consumer-1", "9eaa41507713", "a.b_c"] {
            assert_eq!(in_path(EngineCall::new("inspect container", name)).unwrap(), name);
        }
        for name in ["", ".", "../info", "a/json", "a b", "a?x=1", "a%2f", "-a", "\u{e4}"] {
            let error = in_path(EngineCall::new("inspect container", name)).unwrap_err();
            assert_ne!(error.outcome(), RequestOutcome::Unknown, "{error}");
        }
    }
}
