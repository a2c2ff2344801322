//! What an optimizer has to know, read from the live cluster a moment before its plan.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    super::{context::Context, held::Held},
    group, health, past,
};
use crate::{
    kafka::{BrokerConfig, Topology},
    model::{BrokerId, Hold, Subject},
    optimizers::{
        Plan, Unplannable, elect_leaders, reapply, scale_consumers, shed_load, tune_brokers,
    },
    playbook::{AboveStatic, Optimizer, Playbook, ScaleConsumers, ShedLoad, TuneBrokers},
    store::{KeyAt, RunRow},
};

impl From<Unplannable> for Held {
    fn from(Unplannable(why): Unplannable) -> Self {
        Self::new(Hold::Unplannable, why)
    }
}

/// The plan of the playbook's optimizer for the run's target.
pub(super) async fn plan(
    at: &Context,
    (run, playbook): (&RunRow, &Playbook),
    (topology, canary): (&Topology, Option<BrokerId>),
) -> Result<Plan, Held> {
    match &playbook.optimizer {
        Optimizer::TuneBrokers(configured) => {
            // A person's order may name another level than the playbook.
            let level = run.level.unwrap_or(configured.level);
            let parameters = TuneBrokers { level, ..*configured };
            tune(at, (run, parameters), (topology, canary)).await
        }
        Optimizer::Reapply => reapplied(at, run, topology).await,
        Optimizer::ElectLeaders => Ok(elect_leaders::plan(topology, run.target.broker())?),
        Optimizer::ShedLoad(parameters) => shed(at, parameters).await,
        Optimizer::ScaleConsumers(parameters) => scale(at, run, (*parameters, topology)).await,
    }
}

async fn tune(
    at: &Context,
    (run, parameters): (&RunRow, TuneBrokers),
    (topology, canary): (&Topology, Option<BrokerId>),
) -> Result<Plan, Held> {
    // To see whether a broker has dynamic keys that are not ours, all of them are read.
    let keys = match parameters.above_static {
        AboveStatic::Cap => tune_brokers::READS,
        AboveStatic::Reapply => &[],
    };
    let asked = super::targets(run, topology).into_iter();
    let asked = asked.map(|broker| at.kafka.broker_config(broker, keys));
    let configs: Vec<BrokerConfig> = try_join_all(asked).await?;
    let known = past::known(at).await?;
    past::nobody_else_wrote(at, &configs, &known).await?;
    let cores = health::cores(at);
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

async fn reapplied(at: &Context, run: &RunRow, topology: &Topology) -> Result<Plan, Held> {
    let known = past::known(at).await?;
    let targets = super::targets(run, topology).into_iter();
    let ours = targets.map(|it| (it, wrote(&known, it))).filter(|it| !it.1.is_empty());
    let asked = ours.map(|(broker, wrote)| async move {
        let keys: Vec<&str> = wrote.keys().map(String::as_str).collect();
        let config = at.kafka.broker_config(broker, &keys).await?;
        Ok::<_, Held>(reapply::BrokerFacts { config, wrote })
    });
    Ok(reapply::plan(&try_join_all(asked).await?)?)
}

async fn shed(at: &Context, parameters: &ShedLoad) -> Result<Plan, Held> {
    let set = at.kafka.client_quotas().await?;
    let known = past::known(at).await?;
    past::nobody_else_set(at, &set, &known).await?;
    Ok(shed_load::plan(&set, parameters)?)
}

async fn scale(
    at: &Context,
    run: &RunRow,
    (parameters, topology): (ScaleConsumers, &Topology),
) -> Result<Plan, Held> {
    let Some(name) = run.target.group() else {
        return Err(Held::new(Hold::UnknownTarget, "the alert names no consumer group"));
    };
    let facts = group::facts(at, name, topology).await?;
    Ok(scale_consumers::plan(&facts, parameters, run.id)?)
}
