//! Reads what an optimizer needs from the live cluster, and lets it plan.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    super::{context::Context, hold::Hold},
    group, health, limits,
};
use crate::{
    model::{BrokerConfig, BrokerId, ClientQuotas, HoldReason, ResourceKey, Topology, Written},
    optimizers::{
        Plan, Unplannable, elect_leaders, reapply, scale_consumers, shed_load, tune_brokers,
    },
    playbook::{Optimizer, Playbook, ScaleConsumers, Shed, ShedLoad, TuneBrokers},
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
            let plan = plan_tuning(context, run, *parameters, topology, canary).await?;
            check_canary(&plan, playbook, canary)?;
            Ok(plan)
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
    // All keys: a listener may have keys of its own, and one of someone else may limit the plan.
    let targets = super::targets(run, topology).into_iter();
    let requests = targets.map(|broker| context.kafka.broker_config(broker, &[]));
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

/// Checks that the playbook's expressions are about a broker that the plan changes.
fn check_canary(plan: &Plan, playbook: &Playbook, canary: Option<BrokerId>) -> Result<(), Hold> {
    let Some(canary) = canary.filter(|_| playbook.needs("broker_id")) else { return Ok(()) };
    let is_changed = plan.steps.iter().any(|it| it.change.broker() == Some(canary));

    Hold::unless(is_changed, HoldReason::Unplannable, || {
        format!(
            "the playbook's expressions are about broker {canary}, which would go first and has \
             nothing to change: name one of the others"
        )
    })
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
    let views = context.kafka.client_quotas().await?;
    let ownership = limits::ownership(context).await?;
    limits::check_quotas(context, &views, &ownership).await?;

    check_agreement(&views, parameters)?;

    let quotas = views.into_iter().next().unwrap_or_default();
    Ok(shed_load::plan(&quotas, parameters)?)
}

/// What is set now is what an undo restores: no plan begins with an old value.
fn check_agreement(views: &[ClientQuotas], parameters: &ShedLoad) -> Result<(), Hold> {
    for Shed { entity, key, .. } in &parameters.clients {
        let values: Vec<Option<f64>> = views.iter().map(|it| it.get(entity, *key)).collect();
        let agree = values.iter().all(|it| Some(it) == values.first());

        Hold::unless(agree, HoldReason::KafkaUnavailable, || {
            format!("two brokers report different values of {key} of {entity}: one is behind")
        })?;
    }

    Ok(())
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
