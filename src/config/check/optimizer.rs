//! Checks `optimizer` of a playbook.

use std::collections::BTreeSet;

use bytesize::ByteSize;

use super::{
    super::raw::{RawOptimizer, RawScaleConsumers, RawShed, RawShedLoad, RawTuneBrokers, Scalar},
    CheckReport,
    key_path::{Choices, KeyPath},
};
use crate::{
    model::{QuotaEntity, QuotaKey},
    playbook::{
        AboveStatic, ClientKind, Factor, Level, Optimizer, OptimizerKind, Rollout, ScaleConsumers,
        Shed, ShedLoad, TuneBrokers,
    },
};

/// I39: below it a batch of the usual size can outlive `delivery.timeout.ms`.
const RATE_MIN: u64 = 1 << 20;
/// A broker's network moves less.
const RATE_MAX: u64 = 1 << 40;
/// The names that clients of these kinds have by default.
const KNOWN_CLIENTS: &[(ClientKind, &[&str])] = &[
    (ClientKind::Connect, &["connector-", "connect-"]),
    (ClientKind::MirrorMaker, &["mirrormaker", "MirrorSourceConnector", "MirrorHeartbeat"]),
    (ClientKind::Streams, &["-StreamThread-", "streams-"]),
];
/// The client ids of this process (`probe`, collection), which must go on seeing.
const OURS: &str = "kafka-optimizer";
const CONTAINERS_MIN: u32 = 2;
const CONTAINERS_MAX: u32 = 100;

const NOT_YET_ABOVE_STATIC: &[&str] = &["restart"];
const NOT_YET_LEVEL: &[&str] = &["emergency"];

/// Which one is written, if it is one.
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
    at: &KeyPath,
    report: &mut CheckReport,
) -> Option<Optimizer> {
    let raw = raw.unwrap_or_default();
    let Some(kind) = kind(&raw) else {
        let kinds: Vec<&str> = OptimizerKind::ALL.iter().map(|it| it.label()).collect();
        let advice =
            format!("name one of {}, as {{tune_brokers: {{level: moderate}}}}", kinds.join(", "));
        report.problem(at.key("optimizer"), advice);
        return None;
    };
    let at = KeyPath(at.key(&format!("optimizer.{kind}")));
    match kind {
        OptimizerKind::TuneBrokers => {
            tune_brokers(raw.tune_brokers?, &at, report).map(Optimizer::TuneBrokers)
        }
        OptimizerKind::Reapply => Some(Optimizer::Reapply),
        OptimizerKind::ElectLeaders => Some(Optimizer::ElectLeaders),
        OptimizerKind::ShedLoad => {
            Some(Optimizer::ShedLoad(shed_load(raw.shed_load?, &at, report)))
        }
        OptimizerKind::ScaleConsumers => {
            scale_consumers(raw.scale_consumers?, &at, report).map(Optimizer::ScaleConsumers)
        }
    }
}

fn tune_brokers(
    raw: RawTuneBrokers,
    at: &KeyPath,
    report: &mut CheckReport,
) -> Option<TuneBrokers> {
    let RawTuneBrokers { level, above_static, rollout } = raw;
    let level = match level.as_deref() {
        None => {
            let levels: Vec<&str> = Level::ALL.iter().map(|it| it.label()).collect();
            report.problem(at.key("level"), format!("choose one of {}", levels.join(", ")));
            None
        }
        Some(written) => {
            let choices = Choices { known: Level::ALL, label: Level::label, later: NOT_YET_LEVEL };
            choices.pick(written, at.key("level"), report)
        }
    };
    let above_static = above_static.map_or(Some(AboveStatic::Cap), |written| {
        let (known, later) = (AboveStatic::ALL, NOT_YET_ABOVE_STATIC);
        let choices = Choices { known, label: AboveStatic::label, later };
        choices.pick(&written, at.key("above_static"), report)
    });
    let rollout = rollout.map_or(Some(Rollout::Together), |written| {
        let choices = Choices { known: Rollout::ALL, label: Rollout::label, later: &[] };
        choices.pick(&written, at.key("rollout"), report)
    });
    Some(TuneBrokers { level: level?, above_static: above_static?, rollout: rollout? })
}

fn scale_consumers(
    raw: RawScaleConsumers,
    at: &KeyPath,
    report: &mut CheckReport,
) -> Option<ScaleConsumers> {
    let factor = raw.factor.map_or(Some(Factor::ByLag), |written| {
        let choices = Choices { known: Factor::ALL, label: Factor::label, later: &[] };
        choices.pick(&written, at.key("factor"), report)
    });
    let range = CONTAINERS_MIN..=CONTAINERS_MAX;
    let containers_max = raw.containers_max.filter(|it| range.contains(it));
    if containers_max.is_none() {
        let advice = format!(
            "say how many containers a group may have at most, {CONTAINERS_MIN} to {CONTAINERS_MAX}"
        );
        report.problem(at.key("containers_max"), advice);
    }
    Some(ScaleConsumers { factor: factor?, containers_max: containers_max? })
}

fn shed_load(raw: RawShedLoad, at: &KeyPath, report: &mut CheckReport) -> ShedLoad {
    let raw = raw.clients.unwrap_or_default();
    if raw.is_empty() {
        let advice = "name who is slowed down, as [{client_id: batch, producer_byte_rate: 5MiB, usual: 50MiB}]";
        report.problem(at.key("clients"), advice);
    }
    let mut clients: Vec<Shed> = Vec::with_capacity(raw.len());
    for (index, one) in raw.into_iter().enumerate() {
        let at = KeyPath(at.key(&format!("clients[{index}]")));
        let Some(shed) = shed(one, &at, report) else { continue };
        if clients.iter().any(|it| (&it.entity, it.key) == (&shed.entity, shed.key)) {
            report.problem(at.0, format!("{} is slowed down above already", shed.entity));
        } else {
            clients.push(shed);
        }
    }
    ShedLoad { clients }
}

fn shed(raw: RawShed, at: &KeyPath, report: &mut CheckReport) -> Option<Shed> {
    let named = |it: &Option<String>| it.as_ref().is_some_and(|it| !it.is_empty());
    if !named(&raw.client_id) && !named(&raw.user) {
        report.problem(at.0.clone(), "name a client_id, a user, or both");
    }
    let (key, rate) = match (&raw.producer_byte_rate, &raw.consumer_byte_rate) {
        (Some(rate), None) => (QuotaKey::ProducerByteRate, rate),
        (None, Some(rate)) => (QuotaKey::ConsumerByteRate, rate),
        _ => {
            report.problem(
                at.0.clone(),
                "give producer_byte_rate or consumer_byte_rate, one of them",
            );
            return None;
        }
    };
    let to = bytes(rate, at.key(key.label()), report);
    if raw.usual.is_none() {
        report.problem(at.key("usual"), "say what it moves without a quota, as 50MiB");
    }
    let usual = raw.usual.as_ref().and_then(|it| bytes(it, at.key("usual"), report));
    if let (Some(to), Some(usual)) = (to, usual)
        && usual <= to
    {
        report.problem(at.key("usual"), "must be more than what it is left with");
    }
    let even_if = even_if(&raw.even_if.unwrap_or_default(), at, report);
    let client = raw.client_id.as_deref().unwrap_or_default();
    if client.starts_with(OURS) {
        report
            .problem(at.key("client_id"), format!("`{client}` is this program: it would go blind"));
    }
    for (kind, names) in KNOWN_CLIENTS {
        if names.iter().any(|it| client.contains(it)) && !even_if.contains(kind) {
            let advice = format!(
                "`{client}` looks like {kind}, which a quota can hurt more than it helps; if it is \
                 meant, add even_if: [{kind}]"
            );
            report.problem(at.key("client_id"), advice);
        }
    }
    let entity = QuotaEntity { user: raw.user, client_id: raw.client_id };
    Some(Shed { entity, key, usual: usual?, to: to?, even_if })
}

fn even_if(raw: &[String], at: &KeyPath, report: &mut CheckReport) -> BTreeSet<ClientKind> {
    let choices = Choices { known: ClientKind::ALL, label: ClientKind::label, later: &[] };
    let path = |index| at.key(&format!("even_if[{index}]"));
    let picked = raw.iter().enumerate();
    picked.filter_map(|(index, it)| choices.pick(it, path(index), report)).collect()
}

fn bytes(Scalar(text): &Scalar, path: String, report: &mut CheckReport) -> Option<u64> {
    let size = text.parse::<ByteSize>().ok().map(|it| it.as_u64());
    let fits = size.filter(|it| (RATE_MIN..=RATE_MAX).contains(it));
    if fits.is_none() {
        let advice = format!("`{text}` must be bytes a second, 1MiB to 1TiB, as 5MiB");
        report.problem(path, advice);
    }
    fits
}
