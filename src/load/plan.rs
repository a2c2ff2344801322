//! What an open-loop load does: from arguments to a plan whose limits have been checked. Pure.

use std::{num::NonZeroU32, time::Duration};

use serde::Serialize;

use super::{
    cli::{Acks, BaselineArgs, Compression, OpenLoopArgs, StressArgs},
    record::STAMP_BYTES,
};

/// Names of topics start with this unless the cluster's owner chooses another prefix.
pub(super) const TOPIC_PREFIX: &str = "kafka-optimizer-load";

/// Without `--i-own-this-cluster`: 1 KiB at 50,000 records/s fits, with little to spare.
const OTHERS_BYTES_PER_SECOND: u64 = 50 << 20;
const OTHERS_RECORDS_PER_SECOND: u64 = 100_000;
/// Bytes of all records, before replication.
const OTHERS_BYTES: u64 = 4 << 30;
const OTHERS_PARTITIONS: u32 = 100;

/// With it. The ledger takes 50 MB for so many records.
const RECORDS_MAX: u64 = 200_000_000;
const RATE_MAX: u64 = 10_000_000;
const PARTITIONS_MAX: u32 = 10_000;
/// Each takes a thread or two, and librdkafka some more.
const PRODUCERS_MAX: u32 = 64;
const CONSUMERS_MAX: u32 = 64;

/// What a load does. Numbers are for all topics together unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadPlan {
    pub load: &'static str,
    pub topics: u32,
    pub partitions_per_topic: u32,
    /// `None`: 3, or the number of brokers if that is less.
    pub replication_factor: Option<u32>,
    pub records_per_topic: u64,
    pub record_bytes: u32,
    /// Records per second. `None`: as fast as possible.
    pub rate: Option<NonZeroU32>,
    /// Whether the rate is that of clusters that belong to others, not one that was asked for.
    pub rate_is_capped: bool,
    pub acks: Acks,
    pub is_idempotent: bool,
    pub compression: Compression,
    pub linger_ms: u32,
    pub batch_bytes: u32,
    pub producers_per_topic: u32,
    /// 0: records are not consumed, and so nothing is known about their end.
    pub consumers_per_topic: u32,
    #[serde(skip)]
    pub topic_prefix: String,
    #[serde(skip)]
    pub deadline: Duration,
    #[serde(skip)]
    pub client_id: String,
}

impl LoadPlan {
    /// # Errors
    ///
    /// The first limit that is exceeded, and how to stay below it.
    pub fn baseline(args: &BaselineArgs) -> Result<Self, String> {
        let common = &args.common;
        let mut plan = Self::new("baseline", common, args.record_bytes);
        plan.records_per_topic = common.scale.of(args.records).max(1);
        plan.set_rate(Some(common.scale.of(args.rate.into()).max(1)))?;

        plan.checked(common.i_own_this_cluster)
    }

    /// # Errors
    ///
    /// The first limit that is exceeded, as for [`LoadPlan::baseline`].
    pub fn stress(args: &StressArgs) -> Result<Self, String> {
        let common = &args.common;
        let mut plan = Self::new("stress", common, args.record_bytes);
        plan.topics = args.topics;
        plan.records_per_topic = common.scale.of(args.records).max(1);
        plan.set_rate(args.rate.map(|it| common.scale.of(it.into()).max(1)))?;

        if plan.rate.is_none() && !common.i_own_this_cluster {
            plan.set_rate(Some(plan.others_rate()))?;
            plan.rate_is_capped = true;
        }

        plan.checked(common.i_own_this_cluster)
    }

    fn new(load: &'static str, args: &OpenLoopArgs, record_bytes: u32) -> Self {
        Self {
            load,
            topics: 1,
            partitions_per_topic: args.partitions,
            replication_factor: args.replication_factor,
            records_per_topic: 0,
            record_bytes,
            rate: None,
            rate_is_capped: false,
            acks: args.acks,
            is_idempotent: args.idempotent,
            compression: args.compression,
            linger_ms: args.linger_ms,
            batch_bytes: args.batch_bytes,
            producers_per_topic: args.producers,
            consumers_per_topic: args.consumers,
            topic_prefix: args.topic_prefix.clone(),
            deadline: args.deadline,
            client_id: args.client_id.clone(),
        }
    }

    pub fn records(&self) -> u64 {
        self.records_per_topic.saturating_mul(self.topics.into())
    }

    pub const fn senders(&self) -> u32 {
        self.topics.saturating_mul(self.producers_per_topic)
    }

    /// How many records a producer sends; `index` is its number within its topic.
    pub(super) fn records_of(&self, index: u32) -> u64 {
        let producers = u64::from(self.producers_per_topic).max(1);
        let rest = self.records_per_topic % producers;

        self.records_per_topic / producers + u64::from(u64::from(index) < rest)
    }

    fn bytes(&self, records: u64) -> u64 {
        records.saturating_mul(self.record_bytes.into())
    }

    /// The highest rate on a cluster that belongs to others.
    fn others_rate(&self) -> u64 {
        let by_bytes = OTHERS_BYTES_PER_SECOND / u64::from(self.record_bytes).max(1);

        by_bytes.clamp(1, OTHERS_RECORDS_PER_SECOND)
    }

    fn set_rate(&mut self, rate: Option<u64>) -> Result<(), String> {
        let Some(rate) = rate else { return Ok(()) };
        if rate > RATE_MAX {
            return Err(format!("{rate} records/s is more than the maximum of {RATE_MAX}"));
        }

        self.rate = u32::try_from(rate).ok().and_then(NonZeroU32::new);

        Ok(())
    }

    fn checked(self, is_owner: bool) -> Result<Self, String> {
        let partitions = self.topics.saturating_mul(self.partitions_per_topic);
        let consumers = self.topics.saturating_mul(self.consumers_per_topic);

        at_most("records", self.records(), RECORDS_MAX)?;
        at_most("partitions", partitions.into(), PARTITIONS_MAX.into())?;
        at_most("producers", self.senders().into(), PRODUCERS_MAX.into())?;
        at_most("consumers", consumers.into(), CONSUMERS_MAX.into())?;
        check_prefix(&self.topic_prefix)?;

        if self.is_idempotent && self.acks != Acks::All {
            return Err("--idempotent needs --acks all".to_owned());
        }

        if usize::try_from(self.record_bytes).is_ok_and(|it| it < STAMP_BYTES) {
            return Err(format!("a record has at least {STAMP_BYTES} bytes"));
        }

        if !is_owner {
            let rate = self.rate.map_or(0, |it| u64::from(it.get()));
            others_at_most("bytes", self.bytes(self.records()), OTHERS_BYTES)?;
            others_at_most("records/s", rate, OTHERS_RECORDS_PER_SECOND)?;
            others_at_most("bytes/s", self.bytes(rate), OTHERS_BYTES_PER_SECOND)?;
            others_at_most("partitions", partitions.into(), OTHERS_PARTITIONS.into())?;

            if self.topic_prefix != TOPIC_PREFIX {
                return Err("--topic-prefix needs --i-own-this-cluster".to_owned());
            }
        }

        Ok(self)
    }
}

fn at_most(what: &str, number: u64, max: u64) -> Result<(), String> {
    if number <= max {
        return Ok(());
    }

    Err(format!("{number} {what} in all are more than the maximum of {max}"))
}

fn others_at_most(what: &str, number: u64, max: u64) -> Result<(), String> {
    at_most(what, number, max)
        .map_err(|it| format!("{it} without --i-own-this-cluster; try a smaller --scale"))
}

/// Room for the number of the load and of the topic remains in the 249 characters of a name.
fn check_prefix(prefix: &str) -> Result<(), String> {
    let legal = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
    if (1..=200).contains(&prefix.len()) && prefix.bytes().all(legal) && !prefix.starts_with("__") {
        return Ok(());
    }

    Err(format!("invalid topic prefix `{prefix}`: use up to 200 letters, digits, `-`, `_` or `.`"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::load::LoadCommand;

    #[derive(Debug, Parser)]
    struct PlanCli {
        #[command(subcommand)]
        load: LoadCommand,
    }

    fn planned(words: &str) -> Result<LoadPlan, String> {
        let words = format!("load {words} --kafka.server a:9092");
        match PlanCli::try_parse_from(words.split(' ')).unwrap().load {
            LoadCommand::Baseline(args) => LoadPlan::baseline(&args),
            LoadCommand::Stress(args) => LoadPlan::stress(&args),
            LoadCommand::Produce(_) => panic!("not planned"),
        }
    }

    fn rate(plan: &LoadPlan) -> Option<u32> {
        plan.rate.map(NonZeroU32::get)
    }

    #[test]
    fn baseline_is_a_million_records_of_1_kib_at_50_000_per_second() {
        let plan = planned("baseline").unwrap();
        assert_eq!(
            (plan.records(), plan.record_bytes, rate(&plan)),
            (1_000_000, 1_024, Some(50_000))
        );
        assert_eq!((plan.topics, plan.rate_is_capped), (1, false));
    }

    #[test]
    fn the_scale_multiplies_counts_and_rates() {
        let tenth = planned("baseline --scale 0.1").unwrap();
        assert_eq!((tenth.records(), rate(&tenth)), (100_000, Some(5_000)));

        let double = planned("baseline --scale 2 --i-own-this-cluster").unwrap();
        assert_eq!((double.records(), rate(&double)), (2_000_000, Some(100_000)));

        assert_eq!(planned("stress --scale 0.001").unwrap().records_per_topic, 500);
    }

    #[test]
    fn stress_is_unthrottled_only_on_a_cluster_of_ones_own() {
        let own = planned("stress --i-own-this-cluster").unwrap();
        assert_eq!((own.topics, own.records_per_topic, own.record_bytes), (3, 500_000, 2_048));
        assert_eq!((rate(&own), own.rate_is_capped), (None, false));

        let others = planned("stress").unwrap();
        assert_eq!((rate(&others), others.rate_is_capped), (Some(25_600), true));
        assert_eq!(rate(&planned("stress --record-bytes 100").unwrap()), Some(100_000));
    }

    #[test]
    fn what_others_may_not_do_is_refused_with_the_flag_that_allows_it() {
        for words in [
            "baseline --scale 2",
            "baseline --record-bytes 2000",
            "stress --scale 2",
            "stress --rate 30000",
            "baseline --partitions 101",
            "baseline --topic-prefix orders",
        ] {
            let refused = planned(words).unwrap_err();
            assert!(refused.contains("--i-own-this-cluster"), "{words}: {refused}");
            assert!(planned(&format!("{words} --i-own-this-cluster")).is_ok(), "{words}");
        }
    }

    #[test]
    fn nobody_may_exceed_what_the_process_can_hold() {
        for words in [
            "stress --scale 100 --records 5000000",
            "stress --topics 20 --producers 4",
            "stress --topics 20 --consumers 4",
            "stress --topics 20 --partitions 1000",
            "baseline --topic-prefix __orders",
            "baseline --idempotent --acks 1",
            "baseline --topic-prefix a/b",
            "baseline --scale 100 --rate 1000000 --records 1",
        ] {
            assert!(planned(&format!("{words} --i-own-this-cluster")).is_err(), "{words}");
        }
    }

    #[test]
    fn the_producers_of_a_topic_share_its_records() {
        let plan = planned("baseline --records 10 --producers 3").unwrap();
        assert_eq!([0, 1, 2].map(|it| plan.records_of(it)), [4, 3, 3]);
    }
}
