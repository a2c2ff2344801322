//! Reads what an optimizer needs from the live cluster, and lets it plan.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    super::{context::Context, hold::Hold},
    group, health, limits,
};
use crate::{
    model::{BrokerConfig, BrokerId, HoldReason, ResourceKey, Topology, Written},
    optimizers::{
        Plan, Unplannable, elect_leaders, reapply, scale_consumers, shed_load, tune_brokers,
    },
    playbook::{AboveStatic, Optimizer, Playbook, ScaleConsumers, ShedLoad, TuneBrokers},
    store::{Ownership, RunRow},
};

impl From<Unplannable> for Hold {
    fn from(Unplannable(why): Unplannable) -> Self {
        Self::new(HoldReason::Unplannable, why)
    }
}

/// The plan of the playbook's optimizer for the run's target.
pub(super) async fn plan(
    context: &Context,
    run: &RunRow,
    playbook: &Playbook,
    topology: &Topology,
    canary: Option<BrokerId>,
) -> Result<Plan, Hold> {
    match &playbook.optimizer.at_level(run.level) {
        Optimizer::TuneBrokers(parameters) => {
            plan_tuning(context, run, *parameters, topology, canary).await
        }
        Optimizer::Reapply => plan_reapply(context, run, topology).await,
        Optimizer::ElectLeaders => Ok(elect_leaders::plan(topology, run.target.broker())?),
        Optimizer::ShedLoad(parameters) => plan_shedding(context, parameters).await,
        Optimizer::ScaleConsumers(parameters) => {
            plan_scaling(context, run, *parameters, topology).await
        }
    }
}

async fn plan_tuning(
    context: &Context,
    run: &RunRow,
    parameters: TuneBrokers,
    topology: &Topology,
    canary: Option<BrokerId>,
) -> Result<Plan, Hold> {
    // All keys are read where a dynamic key of someone else limits the plan.
    let keys = match parameters.above_static {
        AboveStatic::Cap => tune_brokers::READS,
        AboveStatic::Reapply => &[],
    };
    let targets = super::targets(run, topology).into_iter();
    let requests = targets.map(|broker| context.kafka.broker_config(broker, keys));
    let configs: Vec<BrokerConfig> = try_join_all(requests).await?;

    let ownership = limits::ownership(context).await?;
    limits::check_broker_entries(context, &configs, &ownership).await?;

    let cores = health::cores(context);
    let facts = configs.into_iter().map(|config| tune_brokers::BrokerFacts {
        cores: cores.get(&config.broker).copied(),
        wrote: wrote(&ownership, config.broker),
        config,
    });
    let facts: Vec<tune_brokers::BrokerFacts> = facts.collect();

    Ok(tune_brokers::plan(&facts, parameters, canary)?)
}

/// The values that this program wrote on a broker and no one else changed, by key.
fn wrote(ownership: &[Ownership], broker: BrokerId) -> BTreeMap<String, String> {
    let ours = ownership.iter().filter(|it| !it.hands_off);
    let values = ours.filter_map(|it| match (&it.resource, &it.written) {
        (ResourceKey::BrokerConfig { broker: of, key }, Some(Written::Value(value)))
            if *of == broker =>
        {
            Some((key.clone(), value.clone()))
        }
        _ => None,
    });
    values.collect()
}

async fn plan_reapply(context: &Context, run: &RunRow, topology: &Topology) -> Result<Plan, Hold> {
    let ownership = limits::ownership(context).await?;
    let targets = super::targets(run, topology).into_iter();
    let written = targets.map(|it| (it, wrote(&ownership, it))).filter(|it| !it.1.is_empty());
    let requests = written.map(|(broker, wrote)| async move {
        let keys: Vec<&str> = wrote.keys().map(String::as_str).collect();
        let config = context.kafka.broker_config(broker, &keys).await?;
        Ok::<_, Hold>(reapply::WrittenConfig { config, wrote })
    });
    Ok(reapply::plan(&try_join_all(requests).await?)?)
}

async fn plan_shedding(context: &Context, parameters: &ShedLoad) -> Result<Plan, Hold> {
    let quotas = context.kafka.client_quotas().await?;
    let ownership = limits::ownership(context).await?;
    limits::check_quotas(context, &quotas, &ownership).await?;
    Ok(shed_load::plan(&quotas, parameters)?)
}

async fn plan_scaling(
    context: &Context,
    run: &RunRow,
    parameters: ScaleConsumers,
    topology: &Topology,
) -> Result<Plan, Hold> {
    let Some(name) = run.target.group() else {
        return Err(Hold::new(HoldReason::UnknownTarget, "the alert names no consumer group"));
    };
    let facts = group::facts(context, name, topology).await?;
    Ok(scale_consumers::plan(&facts, parameters, run.id)?)
}
