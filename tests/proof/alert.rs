//! The alert that begins a run, asked once a minute as Prometheus does with `for`.

use rand::{RngExt, rngs::SmallRng};

use crate::{
    simulation::{HISTORY, Increments, Quarter},
    statistics::quantile,
    world::AlertRule,
};

/// Quarters of a minute in the means of five minutes that rules look at.
const WINDOW: usize = 20;
const IDLE_MIN: f32 = 0.3;
/// Minutes for which the condition has to hold: more than so many.
const IDLE_FOR: usize = 15;
const HIGH_FOR: usize = 5;
const HIGH_SHARE: f64 = 0.8;

/// How long the condition has held.
#[derive(Clone, Debug)]
pub(crate) struct AlertState {
    rule: AlertRule,
    held: usize,
    /// Latency above which it is high, known when the history is.
    high: Option<f64>,
    /// Minute of a person's order.
    ordered: usize,
}

impl AlertState {
    pub(crate) fn new(rule: AlertRule, random: &mut SmallRng) -> Self {
        Self { rule, held: 0, high: None, ordered: HISTORY + random.random_range(0..60) }
    }

    /// Whether it fires at the beginning of a minute, for what was before.
    pub(crate) fn fires(&mut self, minute: usize, quarters: &[Quarter]) -> bool {
        let recent = &quarters[quarters.len().saturating_sub(WINDOW)..];

        let holds = match self.rule {
            AlertRule::Idle => minute > 0 && idle(recent) < IDLE_MIN,
            AlertRule::High => minute >= HISTORY && self.is_high(quarters, recent),
            AlertRule::Order => false,
        };
        self.held = if holds { self.held + 1 } else { 0 };

        let fires = match self.rule {
            AlertRule::Idle => self.held > IDLE_FOR,
            AlertRule::High => self.held > HIGH_FOR,
            AlertRule::Order => minute >= self.ordered,
        };

        minute >= HISTORY && fires
    }

    fn is_high(&mut self, quarters: &[Quarter], recent: &[Quarter]) -> bool {
        let high = *self.high.get_or_insert_with(|| {
            let mut means: Vec<f64> = quarters.chunks_exact(WINDOW).map(latency).collect();
            means.sort_by(f64::total_cmp);
            quantile(&means, HIGH_SHARE)
        });

        latency(recent) > high
    }
}

fn idle(recent: &[Quarter]) -> f32 {
    let busy: Vec<f32> = recent.iter().map(|it| it.busy).collect();

    1.0 - busy.iter().sum::<f32>() / busy.len() as f32
}

fn latency(quarters: &[Quarter]) -> f64 {
    let all = Increments::of(quarters.iter().map(|it| &it.increments));

    all.seconds / all.requests
}
