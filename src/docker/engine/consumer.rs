//! Consumer containers, and the reasons against cloning one (I37).

use std::collections::HashMap;

use bollard::models::{ContainerConfig, ContainerInspectResponse, HostConfig, MountPoint};

use crate::{
    docker::{CLONE_OF_LABEL, CLUSTER_LABEL, GROUP_LABEL, ROLE_LABEL, RUN_LABEL},
    model::{ConsumerContainer, GroupName},
};

/// Labels of other orchestrators. A container with one is scaled there, never here (I12).
const OWNERS: [&str; 4] =
    ["io.kubernetes.", "com.docker.swarm.", "com.hashicorp.nomad.", "com.amazonaws.ecs."];

pub(super) type ContainerLabels = HashMap<String, String>;

pub(super) fn labels(of: &ContainerInspectResponse) -> ContainerLabels {
    of.config.as_ref().and_then(|it| it.labels.clone()).unwrap_or_default()
}

/// A container's name, without the leading slash.
pub(super) fn name(of: &ContainerInspectResponse) -> &str {
    of.name.as_deref().unwrap_or_default().trim_start_matches('/')
}

/// `None` when its labels do not mark it as a consumer of this cluster.
pub(super) fn consumer(
    found: &ContainerInspectResponse,
    cluster: &str,
) -> Option<ConsumerContainer> {
    let labels = labels(found);
    let says = |label, value| labels.get(label).is_some_and(|it| it == value);

    if !says(ROLE_LABEL, "consumer") || !says(CLUSTER_LABEL, cluster) {
        return None;
    }

    let group = labels.get(GROUP_LABEL).filter(|it| !it.is_empty())?;
    Some(ConsumerContainer {
        id: found.id.clone()?,
        name: name(found).to_owned(),
        group: GroupName::new(group.as_str()),
        run: labels.get(RUN_LABEL).and_then(|it| it.parse().ok()),
        running: runs(found),
        restarts: restarts(found),
        objections: objections(found, &labels),
    })
}

/// Whether its process is working: an engine also calls a restarting or paused container "running".
fn runs(found: &ContainerInspectResponse) -> bool {
    let state = found.state.as_ref();
    let is = |flag: Option<bool>| flag.unwrap_or(false);
    state.is_some_and(|it| is(it.running) && !is(it.restarting) && !is(it.paused))
}

/// How often the engine has restarted it.
pub(super) fn restarts(found: &ContainerInspectResponse) -> u32 {
    found.restart_count.and_then(|it| u32::try_from(it).ok()).unwrap_or(0)
}

fn objections(found: &ContainerInspectResponse, labels: &ContainerLabels) -> Vec<String> {
    let mut all = Vec::new();
    if labels.contains_key(RUN_LABEL) || labels.contains_key(CLONE_OF_LABEL) {
        all.push("it is a clone itself".to_owned());
    }

    if !runs(found) {
        all.push("it does not run".to_owned());
    }

    match restarts(found) {
        0 => (),
        count => all.push(format!("the engine has restarted it {count} times")),
    }

    all.extend(owner(labels));

    if let Some(host) = &found.host_config {
        all.extend(of_the_host(host));
    }

    all.extend(found.mounts.iter().flatten().filter_map(shared));

    if let Some(config) = &found.config {
        all.extend(static_member(config));
    }

    all
}

fn owner(labels: &ContainerLabels) -> Option<String> {
    let owned = |label: &&String| OWNERS.iter().any(|it| label.starts_with(it));
    let label = labels.keys().filter(owned).min()?;
    Some(format!("its label {label} says that something else decides what runs"))
}

fn of_the_host(host: &HostConfig) -> Vec<String> {
    let mut all = Vec::new();
    let network = host.network_mode.as_deref().unwrap_or_default();

    if network == "host" {
        all.push("it is on the host's network".to_owned());
    }

    if network.starts_with("container:") {
        all.push("it is on another container's network".to_owned());
    }

    if host.privileged == Some(true) {
        all.push("it is privileged".to_owned());
    }

    if host.auto_remove == Some(true) {
        all.push("the engine removes it when it ends".to_owned());
    }

    if host.volumes_from.as_ref().is_some_and(|it| !it.is_empty()) {
        all.push("it takes the volumes of another container".to_owned());
    }

    all
}

/// A mount that two processes would write to. Unless it says read-only, it is writable.
fn shared(mount: &MountPoint) -> Option<String> {
    let kind = mount.typ.as_deref().unwrap_or_default();
    let own = kind == "tmpfs" || is_anonymous(mount);

    if own || mount.rw == Some(false) {
        return None;
    }

    let target = mount.destination.as_deref().unwrap_or_default();
    let named = mount.name.as_deref().filter(|it| !it.is_empty());
    let source = named.or(mount.source.as_deref()).unwrap_or_default();
    Some(format!("it can write to {source}, mounted at {target}"))
}

/// An anonymous volume has a name made by the engine, and each container has its own.
pub(super) fn is_anonymous(mount: &MountPoint) -> bool {
    let named = |it: &str| it.len() == 64 && it.bytes().all(|it| it.is_ascii_hexdigit());
    mount.typ.as_deref() == Some("volume") && mount.name.as_deref().is_some_and(named)
}

/// A clone of a static member would fence it. This finds it in environment variables only; the
/// group knows the rest.
fn static_member(config: &ContainerConfig) -> Option<String> {
    let plain = |text: &str| text.to_ascii_uppercase().replace(['.', '-'], "_");
    let is_static = |(name, value): &(&str, &str)| {
        let key = "GROUP_INSTANCE_ID";
        !value.is_empty() && (plain(name).contains(key) || plain(value).contains(key))
    };

    let mut variables = config.env.iter().flatten().filter_map(|it| it.split_once('='));
    let (name, _) = variables.find(is_static)?;
    Some(format!("{name} makes it a static member of its group"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn merge(into: &mut Value, more: Value) {
        match (into, more) {
            (Value::Object(into), Value::Object(more)) => {
                for (key, value) in more {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, more) => *into = more,
        }
    }

    /// A running consumer container, with `more` merged into it.
    fn container(more: Value) -> ContainerInspectResponse {
        let mut text = json!({
            "Id": "9eaa41507713c17393c7c8c84cfe", "Name": "/shop-1", "RestartCount": 0,
            "State": {"Status": "running", "Running": true, "Paused": false, "Restarting": false},
            "Config": {"Labels": {"kafka-optimizer.role": "consumer",
                "kafka-optimizer.cluster": "main", "kafka-optimizer.group": "billing"}},
            "HostConfig": {"NetworkMode": "shop_default"},
        });

        merge(&mut text, more);
        serde_json::from_value(text).unwrap()
    }

    fn labelled(label: &str, value: &str) -> ContainerInspectResponse {
        container(json!({"Config": {"Labels": {label: value}}}))
    }

    #[track_caller]
    fn objects(found: &ContainerInspectResponse, words: &str) {
        let objections = consumer(found, "main").unwrap().objections;
        let [only] = objections.as_slice() else { panic!("not one: {objections:?}") };
        assert!(only.contains(words), "{only}");
    }

    #[track_caller]
    fn agrees(found: &ContainerInspectResponse) {
        assert_eq!(consumer(found, "main").unwrap().objections, Vec::<String>::new());
    }

    #[test]
    fn labels_make_a_consumer() {
        let found = consumer(&container(json!({})), "main").unwrap();
        assert_eq!((found.name.as_str(), found.group.as_str()), ("shop-1", "billing"));
        assert_eq!((found.running, found.restarts, found.run), (true, 0, None));
        agrees(&container(json!({})));
        assert_eq!(consumer(&container(json!({})), "other"), None);
        assert_eq!(consumer(&labelled("kafka-optimizer.role", "broker"), "main"), None);
        assert_eq!(consumer(&labelled("kafka-optimizer.group", ""), "main"), None);
        assert_eq!(consumer(&container(json!({"Config": {"Labels": null}})), "main"), None);
    }

    #[test]
    fn i37_what_does_not_stay_up_is_not_cloned() {
        objects(&container(json!({"State": {"Running": false}})), "does not run");
        objects(&container(json!({"State": {"Paused": true}})), "does not run");
        objects(&container(json!({"State": {"Restarting": true}})), "does not run");
        let restarted = container(json!({"RestartCount": 3}));
        objects(&restarted, "restarted it 3 times");
        assert_eq!(consumer(&restarted, "main").unwrap().restarts, 3);
        objects(&container(json!({"HostConfig": {"AutoRemove": true}})), "removes it");
    }

    #[test]
    fn i37_no_clone_of_a_clone() {
        let clone = labelled("kafka-optimizer.run", "12");
        objects(&clone, "a clone itself");
        assert_eq!(consumer(&clone, "main").unwrap().run, Some(12));
        objects(&labelled("kafka-optimizer.run", "x"), "a clone itself");
        objects(&labelled("kafka-optimizer.clone-of", "9eaa"), "a clone itself");
    }

    #[test]
    fn i12_i37_another_owner_scales_by_itself() {
        for owner in [
            "io.kubernetes.pod.name",
            "com.docker.swarm.service.id",
            "com.hashicorp.nomad.alloc_id",
            "com.amazonaws.ecs.cluster",
        ] {
            objects(&labelled(owner, "x"), owner);
        }
        agrees(&labelled("com.docker.compose.service", "shop"));
    }

    #[test]
    fn i37_what_two_processes_would_share_speaks_against_it() {
        let host = |key: &str, value: Value| container(json!({"HostConfig": {key: value}}));
        objects(&host("NetworkMode", json!("host")), "host's network");
        objects(&host("NetworkMode", json!("container:3f0a")), "another container's");
        objects(&host("Privileged", json!(true)), "privileged");
        objects(&host("VolumesFrom", json!(["a:ro"])), "volumes of another");
        let mount = |mount: Value| container(json!({"Mounts": [mount]}));
        let named = json!({"Type": "volume", "Name": "orders", "Source": "/var/lib/docker/orders",
            "Destination": "/data", "RW": true});
        objects(&mount(named), "write to orders, mounted at /data");
        let bound = json!({"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": true});
        objects(&mount(bound), "write to /srv");
        let unsaid = json!({"Type": "bind", "Source": "/srv", "Destination": "/data"});
        objects(&mount(unsaid), "write to /srv");
    }

    #[test]
    fn a_mount_that_is_its_own_or_only_read_does_not() {
        let anonymous = "0a".repeat(32);
        for mount in [
            json!({"Type": "volume", "Name": "orders", "Destination": "/data", "RW": false}),
            json!({"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": false}),
            json!({"Type": "tmpfs", "Source": "", "Destination": "/tmp", "RW": true}),
            json!({"Type": "volume", "Name": anonymous, "Destination": "/data", "RW": true}),
        ] {
            agrees(&container(json!({"Mounts": [mount]})));
        }
    }

    #[test]
    fn i37_a_static_member_would_be_fenced() {
        let with = |variable: &str| container(json!({"Config": {"Env": ["PATH=/bin", variable]}}));
        for variable in [
            "KAFKA_GROUP_INSTANCE_ID=shop-1",
            "spring.kafka.consumer.properties.group.instance.id=shop-1",
            "JAVA_OPTS=-Dgroup.instance.id=shop-1",
        ] {
            objects(&with(variable), variable.split('=').next().unwrap());
            let objections = consumer(&with(variable), "main").unwrap().objections;
            assert!(!objections[0].contains("shop-1"), "a value may be a secret: {objections:?}");
        }

        agrees(&with("KAFKA_GROUP_INSTANCE_ID="));
        agrees(&with("KAFKA_GROUP_INSTANCE_ID"));
    }
}
