//! Snapshots to text. All clusters together, family by family: a family's HELP and TYPE stand on a
//! page once.
//!
//! Families of few series come first, those of single partitions last. So when a cluster's budget
//! of series ends, what is left out is what there is most of. A family is left out whole: a part of
//! one would look like a sum with a hole in it.

mod brokers;
mod groups;
mod topics;

use std::{cell::Cell, sync::Arc};

use super::{
    page::Page,
    text::{Family, Text, with_label},
};
use crate::{
    model::{BrokerId, ClusterName, Topology},
    snapshot::{Section, Snapshot},
    telemetry::{SeriesCount, Spec},
};
use groups::LabelledGroup;
use topics::LabelledTopic;

/// The page, and how many series of it belong to which cluster.
pub(super) fn encode(snapshots: &[Arc<Snapshot>]) -> (Page, Vec<(ClusterName, SeriesCount)>) {
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

/// A snapshot, with the labels that many of its series share.
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

    /// Whether a family of at most `most` series fits into what is left of the budget.
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

/// The label, to stand behind others.
fn broker_label(id: BrokerId) -> String {
    format!(",broker_id=\"{id}\"")
}

/// Writes one family: `write` is called for each cluster.
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

/// The same, for a family that may have very many series: at most `most` of a cluster.
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
