//! Verdicts that runs would have had at past times, from Prometheus's history. Nothing is changed:
//! where nothing was changed then either, every `improved` and `regressed` is false.

use std::{collections::BTreeSet, time::Duration};

use super::{
    bins::{self, BinRange, BinSource},
    evidence, interim, observation,
};
use crate::{
    model::{BrokerId, ClusterName, Target, Verdict, WallTime},
    playbook::{Playbook, Values},
    prometheus::{PrometheusError, SharedPrometheus},
    store::ObservationPlan,
    verdict::VerdictCase,
};

/// A playbook on one target, asked about the past.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seam has none")]
pub struct Replay {
    prometheus: SharedPrometheus,
    scrape: Duration,
    observation: ObservationPlan,
}

/// The verdict that a run would have had.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The time of the first write.
    pub at: WallTime,
    pub verdict: Verdict,
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// The evidence in one sentence.
    pub sentence: String,
}

/// Why the past cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("`{expression}` needs ${variable}: name the broker or the group")]
    Target { expression: String, variable: String },
    #[error("the cluster {0} has no `prometheus` configured")]
    NoPrometheus(ClusterName),
    #[error(transparent)]
    Prometheus(#[from] PrometheusError),
    #[error("{0}")]
    Evidence(String),
}

impl Replay {
    /// Asks Prometheus which brokers there are, because they are compared with the target.
    ///
    /// # Errors
    ///
    /// If the playbook needs another target, or Prometheus does not answer.
    pub async fn new(
        prometheus: SharedPrometheus,
        scrape: Duration,
        playbook: &Playbook,
        cluster: &ClusterName,
        target: &Target,
    ) -> Result<Self, ReplayError> {
        let values = values(cluster, target);
        for template in playbook.judged() {
            if let Some(variable) = template.needs().find(|it| !values.contains_key(it)) {
                let (expression, variable) = (template.to_string(), variable.to_owned());
                return Err(ReplayError::Target { expression, variable });
            }
        }

        let brokers = brokers(&prometheus, playbook, &values).await?;
        let others = observation::others(playbook, &values, brokers.into_iter());
        let observation = observation::observation(playbook, &values, &others);

        Ok(Self { prometheus, scrape, observation })
    }

    /// From the first write to the last look: a run at a later time has no verdict yet.
    pub fn span(&self) -> Duration {
        let settle = interim::settle_bins(self.observation.settle, self.observation.bin);
        let parameters = interim::parameters_of(&self.observation, settle);
        let last = parameters.looks.last().map_or(0, |it| it.bins);
        let bins = settle.saturating_add(u32::try_from(last).unwrap_or(u32::MAX));

        self.observation.bin.saturating_mul(bins).saturating_add(self.scrape)
    }

    /// The verdict on a run whose first write was at this time.
    ///
    /// # Errors
    ///
    /// If Prometheus does not answer, or an expression has several series.
    pub async fn at(&self, written: WallTime) -> Result<Replayed, ReplayError> {
        let ObservationPlan { bin, history, better, .. } = self.observation;
        let settle = interim::settle_bins(self.observation.settle, bin);
        let parameters = interim::parameters_of(&self.observation, settle);
        let observed = parameters.looks.last().map_or(0, |it| it.bins);
        let after = settle.saturating_add(u32::try_from(observed).unwrap_or(u32::MAX));
        let before = evidence::bins_in(history, bin);
        let range = BinRange { written, bin, before, after };

        let source = BinSource { prometheus: &self.prometheus, scrape: self.scrape };
        let recorded = bins::read(source, &self.observation, range).await;
        let recorded = recorded.map_err(|hold| ReplayError::Evidence(hold.detail))?;
        let case = VerdictCase {
            parameters,
            better,
            before: recorded.before,
            after: recorded.after,
            excluded: Vec::new(),
            has_reached: true,
        };
        let conclusion = case.conclusion();
        let observed = case.observation(conclusion.evidence.observed);

        Ok(Replayed {
            at: written,
            verdict: conclusion.verdict,
            before: evidence::typical(case.baseline(), better),
            after: evidence::typical(observed, better),
            sentence: conclusion.evidence.sentence(conclusion.verdict),
        })
    }
}

fn values(cluster: &ClusterName, target: &Target) -> Values {
    let mut values = Values::from([("kafka_cluster", cluster.to_string())]);
    match target {
        Target::Cluster => (),
        Target::Broker(id) => drop(values.insert("broker_id", id.to_string())),
        Target::Group(name) => drop(values.insert("consumergroup", name.to_string())),
    }
    values
}

/// The brokers that have the objective now.
async fn brokers(
    prometheus: &SharedPrometheus,
    playbook: &Playbook,
    values: &Values,
) -> Result<BTreeSet<BrokerId>, PrometheusError> {
    let measure = &playbook.objective.measure;
    let all = measure.expressions().first().and_then(|it| it.render_all_brokers(values));
    let Some(query) = all else { return Ok(BTreeSet::new()) };
    let series = prometheus.instant(&query).await?;
    let ids = series.iter().filter_map(|it| it.labels.get("broker_id")?.parse().ok());

    Ok(ids.filter_map(BrokerId::from_wire).collect())
}
