//! Checks `capacity` and `prices` of a cluster.

use bytesize::ByteSize;

use super::{
    super::raw::{RawCapacity, RawPrices, Scalar},
    CheckReport,
    key_path::KeyPath,
};
use crate::model::{BrokerCapacity, PARTITIONS_PER_BROKER_DEFAULT, Prices};

const CURRENCY_CHARS_MAX: usize = 8;
/// More per hour or gigabyte is a typing error.
const PRICE_MAX: f64 = 1e6;

pub(super) fn capacity(
    raw: Option<RawCapacity>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> BrokerCapacity {
    let raw = raw.unwrap_or_default();
    let network = raw.network_per_broker.and_then(|Scalar(text)| {
        let bytes = text.parse::<ByteSize>().ok().map(|it| it.as_u64());
        let bytes = bytes.filter(|it| (1_000_000..=1_000_000_000_000).contains(it));

        if bytes.is_none() {
            let advice =
                format!("`{text}` must be bytes per second from 1MB to 1TB, such as 1250MB");
            report.problem(path.key("network_per_broker"), advice);
        }

        bytes
    });

    if raw.partitions_per_broker == Some(0) {
        report.problem(path.key("partitions_per_broker"), "must be at least 1");
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    let network_per_broker = network.map(|it| it as f64);

    BrokerCapacity {
        network_per_broker,
        partitions_per_broker: raw
            .partitions_per_broker
            .map_or(PARTITIONS_PER_BROKER_DEFAULT, f64::from),
    }
}

pub(super) fn prices(raw: RawPrices, path: &KeyPath, report: &mut CheckReport) -> Prices {
    let currency = raw.currency.unwrap_or_default();
    let is_short = (1..=CURRENCY_CHARS_MAX).contains(&currency.chars().count());

    if !is_short || currency.chars().any(|it| it.is_control() || it.is_whitespace()) {
        let advice = format!(
            "is required with prices: up to {CURRENCY_CHARS_MAX} characters without spaces, such \
             as EUR"
        );
        report.problem(path.key("currency"), advice);
    }

    let mut price = |key: &str, price: Option<f64>| {
        if price.is_some_and(|it| !(it.is_finite() && (0.0..=PRICE_MAX).contains(&it))) {
            report.problem(path.key(key), "must be a number from 0 to 1000000");
        }
        price
    };

    Prices {
        broker_hour: price("broker_hour", raw.broker_hour),
        disk_gb_month: price("disk_gb_month", raw.disk_gb_month),
        network_gb: price("network_gb", raw.network_gb),
        currency,
    }
}
