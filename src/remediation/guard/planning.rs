//! What an optimizer has to know, read from the live cluster a moment before its plan.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    super::{context::Context, hold::Hold},
    group, health, limits,
};
use crate::{
    model::{BrokerConfig, BrokerId, HoldReason, Subject, Topology},
    optimizers::{
        Plan, Unplannable, elect_leaders, reapply, scale_consumers, shed_load, tune_brokers,
    },
    playbook::{AboveStatic, Optimizer, Playbook, ScaleConsumers, ShedLoad, TuneBrokers},
    store::{KeyAt, RunRow},
};

impl From<Unplannable> for Hold {
    fn from(Unplannable(why): Unplannable) -> Self {
        Self::new(HoldReason::Unplannable, why)
    }
}

/// The plan of the playbook's optimizer for the run's target.
pub(super) async fn plan(
    context: &Context,
    (run, playbook): (&RunRow, &Playbook),
    (topology, canary): (&Topology, Option<BrokerId>),
) -> Result<Plan, Hold> {
    match &playbook.optimizer {
        Optimizer::TuneBrokers(configured) => {
            // A person's order may name another level than the playbook.
            let level = run.level.unwrap_or(configured.level);
            let parameters = TuneBrokers { level, ..*configured };
            tune(context, (run, parameters), (topology, canary)).await
        }
        Optimizer::Reapply => reapplied(context, run, topology).await,
        Optimizer::ElectLeaders => Ok(elect_leaders::plan(topology, run.target.broker())?),
        Optimizer::ShedLoad(parameters) => shed(context, parameters).await,
        Optimizer::ScaleConsumers(parameters) => scale(context, run, (*parameters, topology)).await,
    }
}

async fn tune(
    context: &Context,
    (run, parameters): (&RunRow, TuneBrokers),
    (topology, canary): (&Topology, Option<BrokerId>),
) -> Result<Plan, Hold> {
    // To see whether a broker has dynamic keys that are not ours, all of them are read.
    let keys = match parameters.above_static {
        AboveStatic::Cap => tune_brokers::READS,
        AboveStatic::Reapply => &[],
    };
    let asked = super::targets(run, topology).into_iter();
    let asked = asked.map(|broker| context.kafka.broker_config(broker, keys));
    let configs: Vec<BrokerConfig> = try_join_all(asked).await?;
    let known = limits::known(context).await?;
    limits::nobody_else_wrote(context, &configs, &known).await?;
    let cores = health::cores(context);
    let facts: Vec<tune_brokers::BrokerFacts> = configs
        .into_iter()
        .map(|config| tune_brokers::BrokerFacts {
            cores: cores.get(&config.broker).copied(),
            wrote: wrote(&known, config.broker),
            config,
        })
        .collect();
    Ok(tune_brokers::plan(&facts, parameters, canary)?)
}

/// What this program wrote last in the keys of a broker, where nobody else did after it.
fn wrote(known: &[KeyAt], broker: BrokerId) -> BTreeMap<String, String> {
    let of = known.iter().filter(|it| it.subject == Subject::Broker(broker) && !it.hands_off);
    of.filter_map(|it| Some((it.key.clone(), it.wrote.clone()??))).collect()
}

async fn reapplied(context: &Context, run: &RunRow, topology: &Topology) -> Result<Plan, Hold> {
    let known = limits::known(context).await?;
    let targets = super::targets(run, topology).into_iter();
    let ours = targets.map(|it| (it, wrote(&known, it))).filter(|it| !it.1.is_empty());
    let asked = ours.map(|(broker, wrote)| async move {
        let keys: Vec<&str> = wrote.keys().map(String::as_str).collect();
        let config = context.kafka.broker_config(broker, &keys).await?;
        Ok::<_, Hold>(reapply::BrokerFacts { config, wrote })
    });
    Ok(reapply::plan(&try_join_all(asked).await?)?)
}

async fn shed(context: &Context, parameters: &ShedLoad) -> Result<Plan, Hold> {
    let set = context.kafka.client_quotas().await?;
    let known = limits::known(context).await?;
    limits::nobody_else_set(context, &set, &known).await?;
    Ok(shed_load::plan(&set, parameters)?)
}

async fn scale(
    context: &Context,
    run: &RunRow,
    (parameters, topology): (ScaleConsumers, &Topology),
) -> Result<Plan, Hold> {
    let Some(name) = run.target.group() else {
        return Err(Hold::new(HoldReason::UnknownTarget, "the alert names no consumer group"));
    };
    let facts = group::facts(context, name, topology).await?;
    Ok(scale_consumers::plan(&facts, parameters, run.id)?)
}
