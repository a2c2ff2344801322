//! Encodes snapshots family by family, with all clusters together, because HELP and TYPE of a
//! family may appear only once.
//!
//! Families with few series come first, those of single partitions last, so when a cluster reaches
//! `series_max` the largest families are omitted. A family is omitted whole: sums over a part of it
//! would be wrong.

mod brokers;
mod groups;
mod topics;

use std::{cell::Cell, sync::Arc};

use super::{
    exposition::Exposition,
    text::{Family, Text, with_label},
};
use crate::{
    model::{BrokerId, ClusterName, Topology},
    snapshot::{Section, Snapshot},
    telemetry::{SeriesCount, Spec},
};
use groups::LabelledGroup;
use topics::LabelledTopic;

/// The exposition, and the number of series of each cluster.
pub(super) fn encode(snapshots: &[Arc<Snapshot>]) -> (Exposition, Vec<(ClusterName, SeriesCount)>) {
    let clusters: Vec<Cluster<'_>> = snapshots.iter().map(|it| Cluster::new(it)).collect();
    let mut text = Text::new();
    brokers::encode(&mut text, &clusters);
    topics::encode(&mut text, &clusters);
    groups::encode(&mut text, &clusters);
    groups::encode_partitions(&mut text, &clusters);
    topics::encode_partitions(&mut text, &clusters);
    let series = clusters.iter().map(|it| (it.snapshot.cluster.clone(), it.series.get()));
    (text.finish(), series.collect())
}

/// A snapshot, with the label text that many of its series share.
struct Cluster<'a> {
    snapshot: &'a Snapshot,
    labels: String,
    topology: Option<&'a Topology>,
    topics: Vec<LabelledTopic<'a>>,
    groups: Vec<LabelledGroup<'a>>,
    series: Cell<SeriesCount>,
}

impl<'a> Cluster<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let labels = with_label("", "kafka_cluster", snapshot.cluster.as_str());
        let topology = value(snapshot.topology.as_ref());
        let topics = topology.into_iter().flat_map(|it| &it.topics);
        let groups = value(snapshot.groups.as_ref()).into_iter().flatten();
        Self {
            topics: topics.map(|it| LabelledTopic::new(snapshot, it, &labels)).collect(),
            groups: groups.map(|it| LabelledGroup::new(it, &labels)).collect(),
            snapshot,
            labels,
            topology,
            series: Cell::new(SeriesCount::default()),
        }
    }

    /// Whether a family of at most `most` series still fits into `series_max`. Counts it as omitted
    /// if not.
    fn admits(&self, most: u64) -> bool {
        let mut series = self.series.get();
        let fits = series.shown.saturating_add(most) <= self.snapshot.export.series_max;

        if !fits {
            series.dropped = series.dropped.saturating_add(most);
            self.series.set(series);
        }

        fits
    }

    fn count(&self, shown: u64) {
        let mut series = self.series.get();
        series.shown = series.shown.saturating_add(shown);
        self.series.set(series);
    }
}

fn value<T>(section: Option<&Section<T>>) -> Option<&T> {
    section.map(|it| it.value.as_ref())
}

fn length<T>(of: &[T]) -> u64 {
    u64::try_from(of.len()).unwrap_or(u64::MAX)
}

/// A label that follows others.
fn broker_label(id: BrokerId) -> String {
    format!(",broker_id=\"{id}\"")
}

/// Writes one family by calling `write` for each cluster.
fn family(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    write: impl Fn(&mut Family<'_>, &Cluster<'_>),
) {
    let mut family = text.family(spec);
    for cluster in clusters {
        let before = family.series();
        write(&mut family, cluster);
        cluster.count(family.series().saturating_sub(before));
    }
}

/// Writes a family that may have very many series: at most `most` per cluster.
fn large_family(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    most: impl Fn(&Cluster<'_>) -> u64,
    write: impl Fn(&mut Family<'_>, &Cluster<'_>),
) {
    family(text, clusters, spec, |out, cluster| {
        if cluster.admits(most(cluster)) {
            write(out, cluster);
        }
    });
}
