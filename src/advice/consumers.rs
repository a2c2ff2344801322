//! Advice to consumers: by cluster, for brokers count their fetches together, and by group.

use super::effect::{Advice, AdviceEffect, AdviceRule, ClientSetting, EffectKind, SettingValue};
use crate::{
    analysis::Subject,
    model::{GroupName, significant},
};

/// Requests of all clients, summed over the brokers, from Prometheus. `None` where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RequestRates {
    pub produce_per_second: Option<f64>,
    /// Of consumers, not of followers.
    pub fetch_per_second: Option<f64>,
    pub bytes_in_per_second: Option<f64>,
    /// To consumers; what followers fetch is not in it.
    pub bytes_out_per_second: Option<f64>,
}

impl RequestRates {
    pub fn bytes_per_produce(&self) -> Option<f64> {
        quotient(self.bytes_in_per_second, self.produce_per_second)
    }

    pub fn bytes_per_fetch(&self) -> Option<f64> {
        quotient(self.bytes_out_per_second, self.fetch_per_second)
    }
}

fn quotient(of: Option<f64>, by: Option<f64>) -> Option<f64> {
    of.zip(by.filter(|it| *it > 0.0)).map(|(of, by)| of / by)
}

/// Connections of clients that say that they are one software in one version (KIP-511).
#[derive(Clone, Debug, PartialEq)]
pub struct ClientVersion {
    pub software: String,
    pub version: String,
    pub connections: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GroupRate {
    pub group: GroupName,
    pub members: f64,
    /// In records per second, by the progress of its commits.
    pub consumed: f64,
    pub lag: f64,
}

/// What is known of the consumers of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerMeasure {
    pub requests: RequestRates,
    /// Members of groups, each at the brokers that it reads from; 0 where unknown.
    pub fetchers: f64,
    pub groups: Vec<GroupRate>,
}

/// Fetches per second below which there is nothing to gain.
const FETCHES_MIN: f64 = 50.0;

/// A fetch that brings more is not small.
const SMALL_FETCH_BYTES: f64 = 10_000.0;

/// Kafka's default of `fetch.max.wait.ms`, in seconds.
const WAIT_MAX: f64 = 0.5;

/// How long records may wait for others, in seconds.
const DELAY: f64 = 0.1;

const MIN_BYTES_LEAST: u32 = 1 << 10;
const MIN_BYTES_MOST: u32 = 1 << 20;

/// Kafka's default of `max.poll.records`, which the advice takes for granted.
const POLL_RECORDS: f64 = 500.0;

/// A poll that takes longer is too near to `max.poll.interval.ms` (300 s).
const POLL_SECONDS_MAX: f64 = 60.0;
const POLL_SECONDS_WANTED: f64 = 30.0;

/// The rate of a group over minutes tells that of one poll to within this factor.
const POLL_FACTOR: f64 = 2.0;

pub(super) fn advise(consumers: &ConsumerMeasure) -> Vec<Advice> {
    let polls = consumers.groups.iter().filter_map(poll_size);

    fetch_size(consumers).into_iter().chain(polls).collect()
}

/// `fetch.min.bytes`, where the fetches are many and bring little.
fn fetch_size(consumers: &ConsumerMeasure) -> Option<Advice> {
    let requests = &consumers.requests;
    let now = requests.fetch_per_second?;
    let bytes = requests.bytes_out_per_second?;
    let of_fetch = requests.bytes_per_fetch()?;
    let fetchers = consumers.fetchers;

    if fetchers < 1.0 || now < FETCHES_MIN || of_fetch >= SMALL_FETCH_BYTES {
        return None;
    }

    // What a fetcher receives within the delay, but no less than the least.
    let of_fetcher = bytes / fetchers;
    let least = largest_power_of_two(of_fetcher * DELAY)?;
    let each =
        |response: f64| (of_fetcher / response).max(1.0 / WAIT_MAX).min(now / fetchers) * fetchers;
    let after = each(f64::from(least));

    if now / after < 2.0 {
        return None;
    }

    // The response has as much as there is when the least is reached: up to one fetch of now more.
    let range = [each(f64::from(least) + of_fetch), each(f64::from(least) * 0.8)];

    Some(Advice {
        rule: AdviceRule::FetchSize,
        subject: Subject::Cluster,
        settings: vec![SettingValue::new(ClientSetting::FetchMinBytes, least.to_string())],
        effects: vec![AdviceEffect::new(EffectKind::FetchesPerSecond, now, after, range)],
        measured: format!(
            "{} fetches a second of {} bytes each, to {} fetchers; records wait up to {} ms longer",
            significant(now.round()),
            significant(of_fetch.round()),
            significant(fetchers),
            significant((f64::from(least) / of_fetcher).min(WAIT_MAX) * 1_000.0),
        ),
    })
}

/// The largest power of two within the limits that is not above `bytes`.
fn largest_power_of_two(bytes: f64) -> Option<u32> {
    let doubled = std::iter::successors(Some(MIN_BYTES_LEAST), |it| it.checked_mul(2));
    let within = doubled.take_while(|it| *it <= MIN_BYTES_MOST && f64::from(*it) <= bytes);

    // Where even the least takes longer than the delay, no advice.
    within.last()
}

/// `max.poll.records`, where a full poll takes a large part of the time after which a member is
/// removed.
fn poll_size(group: &GroupRate) -> Option<Advice> {
    if group.members < 1.0 || group.consumed <= 0.0 || group.lag < POLL_RECORDS {
        return None;
    }

    let of_member = group.consumed / group.members;
    let now = POLL_RECORDS / of_member;
    if now <= POLL_SECONDS_MAX {
        return None;
    }

    let records = (of_member * POLL_SECONDS_WANTED).floor().max(1.0);
    let after = records / of_member;
    let range = [after / POLL_FACTOR, after * POLL_FACTOR];

    Some(Advice {
        rule: AdviceRule::PollSize,
        subject: Subject::Group(group.group.clone()),
        settings: vec![SettingValue::new(ClientSetting::MaxPollRecords, records.to_string())],
        effects: vec![AdviceEffect::new(EffectKind::SecondsPerPoll, now, after, range)],
        measured: format!(
            "{} records a second by each of {} members, and a lag of {:.0}",
            significant(of_member),
            significant(group.members),
            group.lag,
        ),
    })
}
