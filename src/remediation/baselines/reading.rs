//! Reads the metrics of all brokers from Prometheus.

use futures_util::future::try_join_all;

use super::super::{
    bins::{self, BinRange, BinValues, BrokerValues},
    context::Context,
    evidence,
    hold::Hold,
};
use crate::{
    baseline::{BrokerSeries, Metric},
    model::BrokerId,
    playbook::ObjectiveExpression,
};

/// Every metric of every broker that Prometheus has, bin by bin.
///
/// # Errors
///
/// When Prometheus does not answer.
pub(super) async fn read(context: &Context, range: BinRange) -> Result<Vec<BrokerSeries>, Hold> {
    let read = |metric: &Metric| read_metric(context, *metric, range);
    let all = try_join_all(Metric::ALL.iter().map(read)).await?;

    Ok(all.into_iter().flatten().collect())
}

async fn read_metric(
    context: &Context,
    metric: Metric,
    range: BinRange,
) -> Result<Vec<BrokerSeries>, Hold> {
    let expression = metric.expression(&context.cluster.name);
    let found = bins::measure(evidence::source(context)?, &expression, range).await?;
    let is_rate = matches!(expression, ObjectiveExpression::Rate(_));
    let seconds = if is_rate { range.bin.as_secs_f64() } else { 1.0 };
    let mut read = Vec::with_capacity(found.len());

    for (labels, values) in found {
        let broker = labels.get("broker_id").and_then(|it| BrokerId::parse(it));
        read.extend(broker.map(|it| series(metric, it, values, seconds)));
    }

    Ok(read)
}

/// The mean of two counters in each bin with its weight, or single values divided by `seconds`.
fn series(metric: Metric, broker: BrokerId, values: BrokerValues, seconds: f64) -> BrokerSeries {
    match values {
        BrokerValues::Single(values) => {
            let values = values.into_iter().map(|it| it.map(|it| it / seconds)).collect();
            BrokerSeries { metric, broker, values, weights: BinValues::new() }
        }
        BrokerValues::Mean { sums, counts } => {
            let mean = |(sum, count): (&Option<f64>, &Option<f64>)| {
                Some((*sum)? / (*count).filter(|it| *it > 0.0)?)
            };
            let values = sums.iter().zip(&counts).map(mean).collect();
            BrokerSeries { metric, broker, values, weights: counts }
        }
    }
}
