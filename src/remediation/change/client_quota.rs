//! A quota of one client or user.

use std::time::Duration;

use async_trait::async_trait;

use super::{super::context::Context, ApplyChange, ApplyError, Direction, Observed};
use crate::model::{ClientQuotaChange, ClientQuotas, QuotaChange, RunId, WriteMode};

/// A broker measures a client's rate over about this time (11 samples of one second), and the
/// client sends meanwhile what it held back.
const MEASUREMENT_WINDOW: Duration = Duration::from_secs(10);

impl ClientQuotaChange {
    fn compare(&self, quotas: &ClientQuotas) -> Observed {
        let rate = quotas.get(&self.entity, self.key);

        if rate == Some(self.to) {
            Observed::Desired
        } else if rate == self.from {
            Observed::Prior
        } else {
            let text = |rate: Option<f64>| rate.map_or("not set".to_owned(), |it| it.to_string());
            Observed::Diverged(format!(
                "{} of {} is {}, expected {}",
                self.key,
                self.entity,
                text(rate),
                text(self.from)
            ))
        }
    }
}

#[async_trait]
impl ApplyChange for ClientQuotaChange {
    async fn observe(&self, context: &Context, _: RunId) -> Result<Observed, ApplyError> {
        let views = context.kafka.client_quotas().await?;
        Ok(Observed::of_views(views.iter().map(|it| self.compare(it))))
    }

    async fn apply(
        &self,
        context: &Context,
        _: RunId,
        direction: Direction,
        mode: WriteMode,
    ) -> Result<(), ApplyError> {
        let value = match direction {
            Direction::Desired => Some(self.to),
            Direction::Prior => self.from,
        };
        let change = QuotaChange { entity: self.entity.clone(), key: self.key, value };

        Ok(context.kafka.alter_client_quota(&change, mode).await?)
    }

    fn pause_between_waves(&self) -> Duration {
        MEASUREMENT_WINDOW
    }
}
