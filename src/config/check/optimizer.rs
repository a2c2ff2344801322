//! Checks `optimizer` of a playbook.

use std::collections::BTreeSet;

use bytesize::ByteSize;

use super::{
    super::raw::{RawOptimizer, RawScaleConsumers, RawShed, RawShedLoad, RawTuneBrokers, Scalar},
    CheckReport,
    key_path::KeyPath,
    labels,
};
use crate::{
    model::{QuotaEntity, QuotaKey},
    playbook::{
        AboveStatic, ClientKind, Factor, Level, Optimizer, OptimizerKind, Rollout, ScaleConsumers,
        Shed, ShedLoad, TuneBrokers,
    },
};

/// I39: at lower rates, a batch of the usual size can exceed `delivery.timeout.ms`.
const RATE_MIN: u64 = 1 << 20;
/// More than the network of a broker can carry.
const RATE_MAX: u64 = 1 << 40;
/// Parts of the client ids that clients of these kinds have by default.
const KNOWN_CLIENTS: &[(ClientKind, &[&str])] = &[
    (ClientKind::Connect, &["connector-", "connect-"]),
    (ClientKind::MirrorMaker, &["mirrormaker", "MirrorSourceConnector", "MirrorHeartbeat"]),
    (ClientKind::Streams, &["-StreamThread-", "streams-"]),
];
/// Prefix of this process's client ids (collection, probe), which must not be throttled.
const OWN_CLIENT_ID: &str = "kafka-optimizer";
const CONTAINERS_MIN: u32 = 2;
const CONTAINERS_MAX: u32 = 100;

/// Values of later versions.
const PLANNED_ABOVE_STATIC: &[&str] = &["restart"];
const PLANNED_LEVELS: &[&str] = &["emergency"];

/// The optimizer that is configured; `None` unless it is exactly one.
pub(super) fn kind(raw: &RawOptimizer) -> Option<OptimizerKind> {
    let written = [
        (raw.tune_brokers.is_some(), OptimizerKind::TuneBrokers),
        (raw.reapply.is_some(), OptimizerKind::Reapply),
        (raw.elect_leaders.is_some(), OptimizerKind::ElectLeaders),
        (raw.shed_load.is_some(), OptimizerKind::ShedLoad),
        (raw.scale_consumers.is_some(), OptimizerKind::ScaleConsumers),
    ];
    let mut written = written.into_iter().filter(|it| it.0).map(|it| it.1);

    written.next().filter(|_| written.next().is_none())
}

pub(super) fn check(
    raw: Option<RawOptimizer>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<Optimizer> {
    let raw = raw.unwrap_or_default();
    let Some(kind) = kind(&raw) else {
        let kinds = labels::<OptimizerKind>();
        let advice = format!(
            "must have exactly one of {kinds}, such as {{tune_brokers: {{level: moderate}}}}"
        );
        report.problem(path.key("optimizer"), advice);
        return None;
    };

    let path = path.key("optimizer").key(kind.label());
    match kind {
        OptimizerKind::TuneBrokers => {
            tune_brokers(raw.tune_brokers?, &path, report).map(Optimizer::TuneBrokers)
        }
        OptimizerKind::Reapply => Some(Optimizer::Reapply),
        OptimizerKind::ElectLeaders => Some(Optimizer::ElectLeaders),
        OptimizerKind::ShedLoad => {
            Some(Optimizer::ShedLoad(shed_load(raw.shed_load?, &path, report)))
        }
        OptimizerKind::ScaleConsumers => {
            scale_consumers(raw.scale_consumers?, &path, report).map(Optimizer::ScaleConsumers)
        }
    }
}

fn tune_brokers(
    raw: RawTuneBrokers,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<TuneBrokers> {
    let level = match raw.level {
        None => {
            report.problem(path.key("level"), format!("is required: one of {}", labels::<Level>()));
            None
        }
        Some(written) => report.choice_but(path.key("level"), &written, PLANNED_LEVELS),
    };

    let above_static = raw.above_static.map_or(Some(AboveStatic::Cap), |written| {
        report.choice_but(path.key("above_static"), &written, PLANNED_ABOVE_STATIC)
    });

    let rollout = raw
        .rollout
        .map_or(Some(Rollout::Together), |written| report.choice(path.key("rollout"), &written));

    Some(TuneBrokers { level: level?, above_static: above_static?, rollout: rollout? })
}

fn scale_consumers(
    raw: RawScaleConsumers,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<ScaleConsumers> {
    let factor = raw
        .factor
        .map_or(Some(Factor::ByLag), |written| report.choice(path.key("factor"), &written));

    let range = CONTAINERS_MIN..=CONTAINERS_MAX;
    let containers_max = raw.containers_max.filter(|it| range.contains(it));
    if containers_max.is_none() {
        let advice = format!(
            "is required: the maximum number of containers of a group, {CONTAINERS_MIN} to \
             {CONTAINERS_MAX}"
        );
        report.problem(path.key("containers_max"), advice);
    }

    Some(ScaleConsumers { factor: factor?, containers_max: containers_max? })
}

fn shed_load(raw: RawShedLoad, path: &KeyPath, report: &mut CheckReport) -> ShedLoad {
    let raw = raw.clients.unwrap_or_default();
    if raw.is_empty() {
        let advice = "name the clients to throttle, such as [{client_id: batch, producer_byte_rate: 5MiB, \
                      usual: 50MiB}]";
        report.problem(path.key("clients"), advice);
    }

    let mut clients: Vec<Shed> = Vec::with_capacity(raw.len());
    for (index, one) in raw.into_iter().enumerate() {
        let path = path.key("clients").index(index);
        let Some(shed) = shed(one, &path, report) else { continue };
        if clients.iter().any(|it| (&it.entity, it.key) == (&shed.entity, shed.key)) {
            report.problem(path, format!("{} is already in this list", shed.entity));
        } else {
            clients.push(shed);
        }
    }

    ShedLoad { clients }
}

fn shed(raw: RawShed, path: &KeyPath, report: &mut CheckReport) -> Option<Shed> {
    let given = |it: &Option<String>| it.as_ref().is_some_and(|it| !it.is_empty());
    if !given(&raw.client_id) && !given(&raw.user) {
        report.problem(path, "must have a client_id, a user, or both");
    }

    let (key, rate) = match (&raw.producer_byte_rate, &raw.consumer_byte_rate) {
        (Some(rate), None) => (QuotaKey::ProducerByteRate, rate),
        (None, Some(rate)) => (QuotaKey::ConsumerByteRate, rate),
        _ => {
            report.problem(path, "must have either producer_byte_rate or consumer_byte_rate");
            return None;
        }
    };

    let to = bytes(rate, path.key(key.label()), report);
    if raw.usual.is_none() {
        report.problem(path.key("usual"), "is required: the rate without a quota, such as 50MiB");
    }

    let usual = raw.usual.as_ref().and_then(|it| bytes(it, path.key("usual"), report));
    if let (Some(to), Some(usual)) = (to, usual)
        && usual <= to
    {
        report.problem(path.key("usual"), "must be more than the rate that it is throttled to");
    }

    let even_if = even_if(&raw.even_if.unwrap_or_default(), path, report);
    let client = raw.client_id.as_deref().unwrap_or_default();
    if client.starts_with(OWN_CLIENT_ID) {
        report.problem(
            path.key("client_id"),
            format!(
                "`{client}` is a client of kafka-optimizer itself, which must not be throttled"
            ),
        );
    }

    for (kind, names) in KNOWN_CLIENTS {
        if names.iter().any(|it| client.contains(it)) && !even_if.contains(kind) {
            let advice = format!(
                "`{client}` looks like {kind}, which a quota can harm more than it helps; to throttle it \
                 anyway, add even_if: [{kind}]"
            );
            report.problem(path.key("client_id"), advice);
        }
    }

    let entity = QuotaEntity { user: raw.user, client_id: raw.client_id };

    Some(Shed { entity, key, usual: usual?, to: to?, even_if })
}

fn even_if(raw: &[String], path: &KeyPath, report: &mut CheckReport) -> BTreeSet<ClientKind> {
    let path = path.key("even_if");
    let kinds = raw.iter().enumerate();
    kinds.filter_map(|(index, written)| report.choice(path.index(index), written)).collect()
}

fn bytes(Scalar(text): &Scalar, path: KeyPath, report: &mut CheckReport) -> Option<u64> {
    let size = text.parse::<ByteSize>().ok().map(|it| it.as_u64());
    let fits = size.filter(|it| (RATE_MIN..=RATE_MAX).contains(it));
    if fits.is_none() {
        let advice = format!("`{text}` must be bytes per second from 1MiB to 1TiB, such as 5MiB");
        report.problem(path, advice);
    }

    fits
}
