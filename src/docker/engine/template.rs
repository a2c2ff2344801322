//! The request that creates a clone: everything its template has, except what only one container
//! can have (I36, I37).

use std::collections::{HashMap, HashSet};

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerSummary, EndpointSettings, HostConfig,
    NetworkingConfig,
};

use super::consumer::{is_anonymous, labels, name};
use crate::{
    docker::{CLONE_OF_LABEL, INSTALLATION_LABEL, RUN_LABEL},
    model::CloneName,
};

/// Compose's labels. Only the number differs between the containers of a service.
pub(super) const PROJECT_LABEL: &str = "com.docker.compose.project";
pub(super) const SERVICE_LABEL: &str = "com.docker.compose.service";
const NUMBER_LABEL: &str = "com.docker.compose.container-number";

/// One network of the template, for another container on it.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) network: String,
    pub(super) id: Option<String>,
    pub(super) settings: EndpointSettings,
}

/// The template's networks; the one that the clone is created on comes first.
pub(super) fn attachments(template: &ContainerInspectResponse) -> Vec<Attachment> {
    let mode = match mode(template) {
        "none" => return Vec::new(),
        "default" => "bridge",
        other => other,
    };

    let networks = template.network_settings.as_ref().and_then(|it| it.networks.clone());
    let own = [short_id(template), name(template)];
    let mut all: Vec<Attachment> = networks
        .unwrap_or_default()
        .into_iter()
        .map(|(network, endpoint)| attachment(network, endpoint, own))
        .collect();
    let is_first = |it: &Attachment| it.network == mode || it.id.as_deref() == Some(mode);
    all.sort_by(|a, b| is_first(b).cmp(&is_first(a)).then_with(|| a.network.cmp(&b.network)));

    all
}

/// Leaves out addresses and names that belong to one container.
fn attachment(network: String, endpoint: EndpointSettings, own: [&str; 2]) -> Attachment {
    let mut aliases = endpoint.aliases.unwrap_or_default();
    aliases.retain(|it| !own.contains(&it.as_str()));
    let settings = EndpointSettings {
        aliases: (!aliases.is_empty()).then_some(aliases),
        links: endpoint.links,
        driver_opts: endpoint.driver_opts,
        gw_priority: endpoint.gw_priority,
        ..EndpointSettings::default()
    };

    Attachment { network, id: endpoint.network_id.filter(|it| !it.is_empty()), settings }
}

/// The body of the create request. Engines before API 1.44 accept one network here; the others are
/// connected before the clone starts.
pub(super) fn body(
    template: &ContainerInspectResponse,
    clone: &CloneName,
    installation: &str,
    number: Option<u64>,
) -> ContainerCreateBody {
    let config = template.config.clone().unwrap_or_default();
    let mut host = template.host_config.clone().unwrap_or_default();
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.extend(renew_anonymous(template, &mut host));
    host.port_bindings = None;
    host.publish_all_ports = None;
    host.container_id_file = None;

    let first = attachments(template).into_iter().next();

    if let Some(first) = &first {
        host.network_mode = Some(first.network.clone());
    }

    ContainerCreateBody {
        hostname: config.hostname.filter(|it| it != short_id(template)),
        domainname: config.domainname,
        user: config.user,
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: config.exposed_ports,
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: config.env,
        cmd: config.cmd,
        healthcheck: config.healthcheck,
        args_escaped: config.args_escaped,
        // The image id, because the name may refer to another image by now.
        image: template.image.clone(),
        volumes: Some(volumes),
        working_dir: config.working_dir,
        entrypoint: config.entrypoint,
        network_disabled: config.network_disabled,
        on_build: config.on_build,
        labels: Some(clone_labels(template, clone, installation, number)),
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        shell: config.shell,
        host_config: Some(host),
        networking_config: first.and_then(networking),
    }
}

/// The default network accepts no settings.
fn networking(first: Attachment) -> Option<NetworkingConfig> {
    if first.settings == EndpointSettings::default() {
        return None;
    }
    let endpoints = HashMap::from([(first.network, first.settings)]);
    Some(NetworkingConfig { endpoints_config: Some(endpoints) })
}

/// When Compose recreates a container it passes anonymous volumes on by name. A clone gets its own
/// volumes at the same mount points. Returns the mount points of the volumes that a bind names.
fn renew_anonymous(template: &ContainerInspectResponse, host: &mut HostConfig) -> Vec<String> {
    let mounts = template.mounts.iter().flatten();
    let anonymous = mounts.filter(|it| is_anonymous(it) && it.rw != Some(false));
    let targets: HashSet<&str> = anonymous.filter_map(|it| it.destination.as_deref()).collect();

    for mount in host.mounts.iter_mut().flatten() {
        if mount.target.as_deref().is_some_and(|it| targets.contains(it)) {
            mount.source = None;
        }
    }

    let target = |bind: &str| bind.split(':').nth(1).unwrap_or_default().to_owned();
    let mut renewed = Vec::new();

    if let Some(binds) = &mut host.binds {
        renewed.extend(binds.iter().map(|it| target(it)).filter(|it| targets.contains(&**it)));
        binds.retain(|it| !targets.contains(&*target(it)));
    }

    renewed
}

fn clone_labels(
    template: &ContainerInspectResponse,
    clone: &CloneName,
    installation: &str,
    number: Option<u64>,
) -> HashMap<String, String> {
    let mut labels = labels(template);
    labels.insert(RUN_LABEL.to_owned(), clone.run.to_string());
    labels.insert(INSTALLATION_LABEL.to_owned(), installation.to_owned());
    labels.insert(CLONE_OF_LABEL.to_owned(), template.id.clone().unwrap_or_default());

    if let Some(number) = number {
        labels.insert(NUMBER_LABEL.to_owned(), number.to_string());
    }

    labels
}

/// The next free number among the containers of a service.
pub(super) fn next_number(service: &[ContainerSummary]) -> u64 {
    let number = |it: &ContainerSummary| it.labels.as_ref()?.get(NUMBER_LABEL)?.parse().ok();
    service.iter().filter_map(number).max().map_or(1, |it: u64| it.saturating_add(1))
}

/// The short id: the engine's default hostname, and an alias on networks.
fn short_id(of: &ContainerInspectResponse) -> &str {
    of.id.as_deref().and_then(|it| it.get(..12)).unwrap_or_default()
}

fn mode(of: &ContainerInspectResponse) -> &str {
    of.host_config.as_ref().and_then(|it| it.network_mode.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The response of an API 1.41 engine, shortened.
    const TEMPLATE: &str = r#"{
        "Id":"9eaa41507713c17393c7c8c84cfeefa3945c00d436ff9f8301fae6f108fbeecc",
        "Name":"/shop-consumer-1","Image":"sha256:eddd8f3f","RestartCount":0,
        "HostConfig":{"Binds":["/srv/conf:/conf:ro"],"NetworkMode":"shop_default",
            "PortBindings":{"9404/tcp":[{"HostIp":"","HostPort":"9404"}]},"PublishAllPorts":true,
            "RestartPolicy":{"Name":"unless-stopped","MaximumRetryCount":0},"Memory":268435456,
            "NanoCpus":500000000,"CapDrop":["ALL"],"ReadonlyRootfs":true,"CgroupnsMode":"host",
            "LogConfig":{"Type":"json-file","Config":{"max-size":"10m"}},"Isolation":"",
            "ConsoleSize":[0,0],"MemorySwappiness":null,"PidsLimit":null},
        "Config":{"Hostname":"9eaa41507713","User":"app","Env":["PATH=/bin","PASSWORD=a=b"],
            "Cmd":["consume"],"Entrypoint":["/run"],"Image":"shop/consumer:latest",
            "WorkingDir":"/app","StopSignal":"SIGINT","StopTimeout":40,"Volumes":{"/cache":{}},
            "ExposedPorts":{"9404/tcp":{}},"MacAddress":"02:42:ac:11:00:02",
            "Healthcheck":{"Test":["CMD","true"],"Interval":2000000000,"Retries":3},
            "Labels":{"kafka-optimizer.role":"consumer","kafka-optimizer.cluster":"main",
                "kafka-optimizer.group":"billing","com.docker.compose.project":"shop",
                "com.docker.compose.service":"consumer","com.docker.compose.oneoff":"False",
                "com.docker.compose.container-number":"1"}},
        "NetworkSettings":{"Networks":{
            "back":{"IPAMConfig":null,"Aliases":["9eaa41507713"],"NetworkID":"aa01"},
            "shop_default":{"IPAMConfig":{"IPv4Address":"172.20.0.9"},"Links":["db:database"],
                "Aliases":["shop-consumer-1","consumer","9eaa41507713"],"NetworkID":"bb02",
                "EndpointID":"cc03","Gateway":"172.20.0.1","IPAddress":"172.20.0.9",
                "IPPrefixLen":16,"MacAddress":"02:42:ac:14:00:09"}}}}"#;

    /// The template, with some of it replaced.
    fn template(replaced: &[(&str, &str)]) -> ContainerInspectResponse {
        let mut text = TEMPLATE.to_owned();
        for (from, to) in replaced {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }

        serde_json::from_str(&text).unwrap()
    }

    fn clone_name() -> CloneName {
        CloneName { name: "shop-consumer-7".to_owned(), run: 12, cluster: "main".to_owned() }
    }

    fn made(replaced: &[(&str, &str)]) -> ContainerCreateBody {
        body(&template(replaced), &clone_name(), "1a2b", Some(7))
    }

    #[test]
    fn i36_a_clone_is_what_its_template_is() {
        let made = made(&[]);
        let config = template(&[]).config.unwrap();

        assert_eq!(made.image.as_deref(), Some("sha256:eddd8f3f"));
        assert_eq!(
            (made.env, made.cmd, made.entrypoint),
            (config.env, config.cmd, config.entrypoint)
        );
        assert_eq!((made.user, made.working_dir), (config.user, config.working_dir));
        assert_eq!(
            (made.stop_signal, made.stop_timeout),
            (config.stop_signal, config.stop_timeout)
        );
        assert_eq!((made.healthcheck, made.volumes), (config.healthcheck, config.volumes));

        let host = HostConfig {
            port_bindings: None,
            publish_all_ports: None,
            ..template(&[]).host_config.unwrap()
        };

        assert_eq!(made.host_config, Some(host));
    }

    #[test]
    fn i37_it_keeps_nothing_that_only_one_can_have() {
        let text = serde_json::to_string(&made(&[])).unwrap();
        for own in
            ["9eaa41507713\"", "02:42", "172.20.0", "cc03", "PortBindings", "PublishAllPorts"]
        {
            assert!(!text.contains(own), "{own} in {text}");
        }

        let named = made(&[(r#""Hostname":"9eaa41507713""#, r#""Hostname":"worker""#)]);
        assert_eq!(named.hostname.as_deref(), Some("worker"));
    }

    #[test]
    fn its_labels_say_whose_it_is() {
        let labels = made(&[]).labels.unwrap();
        let said = |label: &str| labels.get(label).map(String::as_str);

        assert_eq!(said("kafka-optimizer.run"), Some("12"));
        assert_eq!(said("kafka-optimizer.installation"), Some("1a2b"));
        assert_eq!(said("kafka-optimizer.clone-of"), template(&[]).id.as_deref());
        assert_eq!(said("kafka-optimizer.group"), Some("billing"));
        assert_eq!(said(PROJECT_LABEL), Some("shop"));
        assert_eq!(said(NUMBER_LABEL), Some("7"));

        let plain = template(&[(r#""com.docker.compose.container-number":"1""#, r#""a":"b""#)]);
        let labels = body(&plain, &clone_name(), "1a2b", None).labels.unwrap();

        assert_eq!(labels.get(NUMBER_LABEL), None);
    }

    #[test]
    fn it_joins_the_same_networks_under_the_names_that_are_shared() {
        let all = attachments(&template(&[]));
        let names: Vec<&str> = all.iter().map(|it| it.network.as_str()).collect();

        assert_eq!(names, ["shop_default", "back"]);

        let ids: Vec<Option<&str>> = all.iter().map(|it| it.id.as_deref()).collect();
        assert_eq!(ids, [Some("bb02"), Some("aa01")]);

        let shared = EndpointSettings {
            aliases: Some(vec!["consumer".to_owned()]),
            links: Some(vec!["db:database".to_owned()]),
            ..EndpointSettings::default()
        };

        assert_eq!(all[0].settings, shared);
        assert_eq!(all[1].settings, EndpointSettings::default());

        let first = made(&[]).networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(first, HashMap::from([("shop_default".to_owned(), shared)]));
    }

    #[test]
    fn the_network_it_is_created_on_is_found_however_it_is_named() {
        let mode = |mode: &str| {
            let made = made(&[(r#""NetworkMode":"shop_default""#, mode)]);
            made.host_config.unwrap().network_mode.unwrap()
        };

        assert_eq!(mode(r#""NetworkMode":"bb02""#), "shop_default");
        assert_eq!(mode(r#""NetworkMode":"left since""#), "back");

        let none = [(r#""NetworkMode":"shop_default""#, r#""NetworkMode":"none""#)];
        assert!(attachments(&template(&none)).is_empty());
        assert_eq!(made(&none).networking_config, None);

        let default = [
            (r#""NetworkMode":"shop_default""#, r#""NetworkMode":"default""#),
            (r#""shop_default":{"#, r#""front":{"#),
            (r#""back":{"#, r#""bridge":{"#),
        ];
        let on_the_default = made(&default);

        assert_eq!(on_the_default.networking_config, None);

        let host = on_the_default.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("bridge"));
    }

    #[test]
    fn an_anonymous_volume_is_not_handed_on() {
        let (one, two) = ("0a".repeat(32), "1b".repeat(32));
        let binds = format!(
            r#""Binds":["{one}:/data:rw","/srv/conf:/conf:ro"],"Mounts":[
            {{"Type":"volume","Source":"{two}","Target":"/state"}}]"#
        );
        let mounts = format!(
            r#""RestartCount":0,"Mounts":[
            {{"Type":"volume","Name":"{one}","Destination":"/data","RW":true}},
            {{"Type":"volume","Name":"{two}","Destination":"/state","RW":true}},
            {{"Type":"bind","Source":"/srv/conf","Destination":"/conf","RW":false}}]"#
        );
        let made = made(&[
            (r#""Binds":["/srv/conf:/conf:ro"]"#, &binds),
            (r#""RestartCount":0"#, &mounts),
        ]);
        let mut volumes = made.volumes.unwrap();
        volumes.sort();

        assert_eq!(volumes, ["/cache", "/data"]);

        let host = made.host_config.unwrap();
        assert_eq!(host.binds.unwrap(), ["/srv/conf:/conf:ro"]);

        let mounts = host.mounts.unwrap();
        assert_eq!((&mounts[0].source, mounts[0].target.as_deref()), (&None, Some("/state")));
    }

    #[test]
    fn the_next_number_is_above_all_that_are_taken() {
        let numbered = |it: &str| {
            let text = format!(r#"{{"Labels":{{"com.docker.compose.container-number":"{it}"}}}}"#);
            serde_json::from_str::<ContainerSummary>(&text).unwrap()
        };

        assert_eq!(next_number(&[]), 1);
        assert_eq!(next_number(&[numbered("2"), numbered("10"), numbered("x")]), 11);
        assert_eq!(next_number(&[ContainerSummary::default()]), 1);
    }
}
