//! What a cluster costs now, with the arithmetic.

use serde::{Deserialize, Serialize};

use super::data::ClusterUsage;
use crate::{
    baseline::{Unit, short},
    model::Prices,
};

/// Hours of an average month.
pub(super) const MONTH_HOURS: f64 = 730.0;

const GIGABYTE: f64 = 1e9;

/// One part of what a cluster costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CostItem {
    pub what: String,
    /// How it is computed, as text for people.
    pub arithmetic: String,
    pub per_hour: f64,
}

/// What a cluster costs now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunningCost {
    pub currency: String,
    pub items: Vec<CostItem>,
    pub per_hour: f64,
    pub per_month: f64,
    /// `None` if it is not known how many records come in.
    pub per_million_records: Option<f64>,
}

/// An amount with its currency.
pub fn money(amount: f64, currency: &str) -> String {
    format!("{} {currency}", short(amount))
}

/// `None` if nothing that has a price is known.
pub(super) fn running(usage: &ClusterUsage, prices: &Prices) -> Option<RunningCost> {
    let items: Vec<CostItem> =
        [brokers(usage, prices), disks(usage, prices), network(usage, prices)]
            .into_iter()
            .flatten()
            .filter(|it| it.per_hour.is_finite())
            .collect();
    let per_hour: f64 = items.iter().map(|it| it.per_hour).sum();
    let millions = usage.records_per_second.map(|it| it * 3600.0 / 1e6);

    (!items.is_empty()).then(|| RunningCost {
        currency: prices.currency.clone(),
        per_hour,
        per_month: per_hour * MONTH_HOURS,
        per_million_records: millions.map(|it| per_hour / it).filter(|it| it.is_finite()),
        items,
    })
}

fn brokers(usage: &ClusterUsage, prices: &Prices) -> Option<CostItem> {
    let (number, price) = (usage.brokers?, prices.broker_hour?);
    let per_hour = number * price;
    let arithmetic = format!(
        "{number:.0} brokers × {} an hour = {}",
        money(price, &prices.currency),
        money(per_hour, &prices.currency)
    );

    Some(CostItem { what: "brokers".to_owned(), arithmetic, per_hour })
}

fn disks(usage: &ClusterUsage, prices: &Prices) -> Option<CostItem> {
    let (bytes, price) = (usage.disk_bytes?, prices.disk_gb_month?);
    let per_hour = bytes / GIGABYTE * price / MONTH_HOURS;
    let arithmetic = format!(
        "{} × {} a GB and month ÷ {MONTH_HOURS} hours = {}",
        Unit::Bytes.shown(bytes),
        money(price, &prices.currency),
        money(per_hour, &prices.currency)
    );

    Some(CostItem { what: "disks".to_owned(), arithmetic, per_hour })
}

fn network(usage: &ClusterUsage, prices: &Prices) -> Option<CostItem> {
    let price = prices.network_gb?;
    let (received, sent) = (usage.bytes_in_per_second?, usage.bytes_out_per_second?);
    let per_hour = (received + sent) * 3600.0 / GIGABYTE * price;
    let arithmetic = format!(
        "({} in + {} out) × 3600 s × {} a GB = {}",
        Unit::BytesPerSecond.shown(received),
        Unit::BytesPerSecond.shown(sent),
        money(price, &prices.currency),
        money(per_hour, &prices.currency)
    );

    Some(CostItem { what: "network of clients".to_owned(), arithmetic, per_hour })
}
