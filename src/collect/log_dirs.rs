//! Log directories, and other sections that each broker answers for itself.

use std::{collections::BTreeMap, time::Duration};

use super::kept::{Kept, Moment};
use crate::{
    model::{BrokerId, Topology},
    snapshot::Section,
};

/// One section per broker.
#[derive(Debug)]
pub(super) struct PerBroker<T> {
    kept: BTreeMap<BrokerId, Kept<T>>,
}

impl<T> Default for PerBroker<T> {
    fn default() -> Self {
        Self { kept: BTreeMap::new() }
    }
}

impl<T> PerBroker<T> {
    pub(super) fn take(&mut self, broker: BrokerId, value: T, at: Moment) {
        self.kept.insert(broker, Kept::new(value, at));
    }

    /// Drops what belongs to brokers that are gone.
    pub(super) fn forget(&mut self, topology: &Topology) {
        self.kept.retain(|broker, _| topology.brokers.iter().any(|it| it.id == *broker));
    }

    pub(super) fn shown(&self, now: Moment, cadence: Duration) -> BTreeMap<BrokerId, Section<T>> {
        let shown = self.kept.iter();
        shown.filter_map(|(broker, it)| Some((*broker, it.shown(now, cadence)?))).collect()
    }
}
