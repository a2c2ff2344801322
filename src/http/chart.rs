//! The bins that a verdict compared, as inline SVG.
//!
//! Places on the time axis are percentages of the width, so that a phone shows fewer pixels between
//! the bins and the text keeps its size.

use std::time::Duration;

use maud::{Markup, html};

use super::html::{duration, timestamp};
use crate::{
    model::{WallTime, count, significant},
    playbook::Better,
    verdict::{Difference, Evidence, VerdictCase},
};

/// The most bins before or after the first write.
const BINS_MAX: usize = 240;
/// Room for the names of the windows above the plot, in pixels.
const TOP: f64 = 40.0;
/// Room for the times below it.
const BOTTOM: f64 = 22.0;
/// The noise is drawn this many standard deviations wide.
const BAND_DEVIATIONS: f64 = 2.0;
/// The share of the values that fit into the plot; higher ones are drawn at its upper edge.
const SHARE_WITHIN: f64 = 0.95;

/// What a chart shows of a verdict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chart<'a> {
    case: &'a VerdictCase,
    /// When the first bin after the write begins.
    written: WallTime,
    columns: Columns,
    difference: Option<Difference>,
}

/// The bins that are drawn, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    /// Bins before the write that are not drawn.
    skipped: usize,
    before: usize,
    after: usize,
}

/// A range of columns that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: usize,
    to: usize,
}

/// The values of one quantity, and where its axis ends.
#[derive(Clone, Debug)]
struct Plot {
    what: &'static str,
    height: f64,
    /// One value for each column.
    values: Vec<Option<f64>>,
    baseline: Option<f64>,
    observed: Option<f64>,
    band: Option<Band>,
    /// The value at the upper edge.
    top: f64,
}

/// Values between which the mean of a window lies by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Band {
    low: f64,
    high: f64,
}

impl<'a> Chart<'a> {
    pub(super) fn new(
        case: &'a VerdictCase,
        written: WallTime,
        evidence: Option<&Evidence>,
    ) -> Self {
        let parameters = &case.parameters;
        let last = parameters.looks.last().map_or(0, |it| it.bins);
        let observed = evidence.map_or(last, |it| it.observed);
        let after = (parameters.settle + observed).clamp(1, BINS_MAX);

        // So many that the usual level is seen, so few that both windows are wide enough to see.
        let known = case.before.changed.level.len();
        let before = known.min(parameters.baseline + 2 * after).clamp(1, BINS_MAX);
        let columns = Columns { skipped: known.saturating_sub(before), before, after };

        Self { case, written, columns, difference: evidence.and_then(|it| it.difference) }
    }

    pub(super) fn markup(&self) -> Markup {
        let (before, after) = (&self.case.before.changed, &self.case.after.changed);
        let objective = self.plot("objective", 200.0, &before.level, &after.level);
        let load = self.plot("load", 80.0, &before.load, &after.load);
        let objective =
            objective.map(|it| Plot { band: self.band(), ..it }).map(Plot::with_band_inside);

        html! {
            figure {
                @if let Some(plot) = &objective { (self.svg(plot)) }
                @if let Some(plot) = &load { (self.svg(plot)) }
                figcaption.dim { (self.caption()) }
            }
        }
    }

    /// `None` if nothing was measured.
    fn plot(
        &self,
        what: &'static str,
        height: f64,
        before: &[Option<f64>],
        after: &[Option<f64>],
    ) -> Option<Plot> {
        let Columns { skipped, before: shown, after: later } = self.columns;
        let level = |levels: &[Option<f64>], bin: usize| levels.get(bin).copied().flatten();
        let levels: Vec<Option<f64>> = (0..shown)
            .map(|it| level(before, skipped + it))
            .chain((0..later).map(|it| level(after, it)))
            .collect();

        let values: Vec<Option<f64>> =
            levels.iter().map(|it| it.map(|it| self.value(it))).collect();
        let mean = |window: Window| mean(levels.get(window.from..window.to)?);
        let baseline = mean(self.baseline()).map(|it| self.value(it));
        let observed = mean(self.observation()).map(|it| self.value(it));
        let top = 1.1 * highest(&values, [baseline, observed])?;

        Some(Plot { what, height, values, baseline, observed, band: None, top })
    }

    /// The value that a level is the logarithm of, or that of its inverse.
    fn value(&self, level: f64) -> f64 {
        match self.case.better {
            Better::Lower => level.exp(),
            Better::Higher => (-level).exp(),
        }
    }

    fn baseline(&self) -> Window {
        let to = self.columns.before;
        Window { from: to.saturating_sub(self.case.parameters.baseline), to }
    }

    fn observation(&self) -> Window {
        let to = self.columns.number();
        Window { from: (self.columns.before + self.case.parameters.settle).min(to), to }
    }

    /// Around the baseline: what its level changes by itself.
    fn band(&self) -> Option<Band> {
        let difference = self.difference?;
        let baseline = mean(self.case.baseline())?;

        let fallen = self.value(baseline - BAND_DEVIATIONS * difference.noise_down);
        let risen = self.value(baseline + BAND_DEVIATIONS * difference.noise_up);

        Some(Band { low: fallen.min(risen), high: fallen.max(risen) })
    }

    fn svg(&self, plot: &Plot) -> Markup {
        let columns = self.columns;
        let write = columns.x(columns.before);
        let bottom = TOP + plot.height;
        let label = format!("{} of each bin before and after the first write", plot.what);

        html! {
            svg.chart width="100%" height=(bottom + BOTTOM) role="img" aria-label=(label) {
                (self.window(plot, self.baseline()))
                (self.window(plot, self.observation()))
                @if let Some(band) = plot.band { (self.band_markup(plot, band)) }
                (grid(plot))

                (self.bins(plot))
                (self.mean_line(plot, self.baseline(), plot.baseline))
                (self.mean_line(plot, self.observation(), plot.observed))

                (tick_labels(plot))
                line.write x1=(write) x2=(write) y1=(TOP) y2=(bottom) {}
                text x="0" y="14" { tspan.what { (plot.what) } }
                text.before x=(write) y="14" dx="-4" text-anchor="end" { "baseline" }
                text.after x="100%" y="32" text-anchor="end" { "observation" }
                (self.times(bottom + 16.0))
            }
        }
    }

    fn window(&self, plot: &Plot, window: Window) -> Markup {
        let (x, width) = (self.columns.x(window.from), self.columns.width(window));
        html! { rect.window x=(x) width=(width) y=(TOP) height=(plot.height) {} }
    }

    fn band_markup(&self, plot: &Plot, band: Band) -> Markup {
        let whole = Window { from: self.baseline().from, to: self.columns.number() };
        let (x, width) = (self.columns.x(whole.from), self.columns.width(whole));
        let (top, bottom) = (plot.y(band.high), plot.y(band.low));
        let title =
            format!("by itself from {} to {}", significant(band.low), significant(band.high));

        html! {
            rect.band x=(x) width=(width) y=(pixels(top)) height=(pixels(bottom - top)) {
                title { (title) }
            }
        }
    }

    /// A dot for each bin, and a line to the next one if that is not missing.
    fn bins(&self, plot: &Plot) -> Markup {
        let next = plot.values.iter().skip(1).chain([&None]);
        let known = plot.values.iter().zip(next).enumerate();
        let known = known.filter_map(|(column, (value, next))| Some((column, (*value)?, *next)));

        html! {
            @for (column, value, next) in known {
                g class=(self.class(column)) {
                    @if let Some(next) = next.filter(|_| column + 1 != self.columns.before) {
                        line x1=(self.columns.middle(column)) y1=(pixels(plot.y(value)))
                            x2=(self.columns.middle(column + 1)) y2=(pixels(plot.y(next))) {}
                    }
                    circle cx=(self.columns.middle(column)) cy=(pixels(plot.y(value))) r="3" {
                        title { (self.time_of(column)) ": " (significant(value)) }
                    }
                }
            }
        }
    }

    fn class(&self, column: usize) -> &'static str {
        let bin = self.columns.skipped + column;

        if column >= self.columns.before {
            "after"
        } else if self.case.excluded.iter().any(|it| it.contains(&bin)) {
            "before excluded"
        } else {
            "before"
        }
    }

    fn mean_line(&self, plot: &Plot, window: Window, value: Option<f64>) -> Markup {
        let Some(value) = value else { return html! {} };
        let (from, to) = (self.columns.x(window.from), self.columns.x(window.to));
        let y = pixels(plot.y(value));

        html! {
            line.mean x1=(from) x2=(to) y1=(y) y2=(y) { title { "mean " (significant(value)) } }
        }
    }

    fn times(&self, y: f64) -> Markup {
        let Columns { before, after, .. } = self.columns;

        html! {
            text.dim x="0" y=(y) { "-" (duration(self.lasting(before))) }
            text.dim x=(self.columns.x(before)) y=(y) text-anchor="end" { "first write" }
            text.dim x="100%" y=(y) text-anchor="end" { "+" (duration(self.lasting(after))) }
        }
    }

    /// When the bin of a column began, as text.
    fn time_of(&self, column: usize) -> String {
        let before = self.columns.before;
        let at = match column.checked_sub(before) {
            Some(after) => self.written.after(self.lasting(after)),
            None => self.written.before(self.lasting(before - column)),
        };

        timestamp(at)
    }

    fn lasting(&self, bins: usize) -> Duration {
        self.case.parameters.bin.saturating_mul(u32::try_from(bins).unwrap_or(u32::MAX))
    }

    fn caption(&self) -> Markup {
        let columns = self.columns;
        let bin = duration(self.case.parameters.bin);

        html! {
            "Each dot is the mean of " (bin) ". The lines are the means of the two windows that \
             are compared. "
            @if self.difference.is_some() {
                "The band is what the mean of the baseline differs from a later one by itself, two \
                 standard deviations to each side. "
            }
            @if self.case.excluded.iter().any(|it| it.end > columns.skipped) {
                "A hollow dot is left out, because another run had an effect then. "
            }
            @if columns.skipped > 0 {
                (columns.skipped) " earlier bins are not drawn. "
            }
            "The verdict also takes off what the load, untouched brokers and the way back to the \
             usual level explain."
        }
    }
}

impl Columns {
    fn number(self) -> usize {
        self.before + self.after
    }

    /// Where the left edge of a column is.
    fn x(self, column: usize) -> String {
        self.percent(count(column))
    }

    fn middle(self, column: usize) -> String {
        self.percent(count(column) + 0.5)
    }

    fn width(self, window: Window) -> String {
        self.percent(count(window.to.saturating_sub(window.from)))
    }

    fn percent(self, columns: f64) -> String {
        format!("{:.2}%", 100.0 * columns / count(self.number()))
    }
}

impl Plot {
    /// Higher values are drawn at the upper edge.
    fn y(&self, value: f64) -> f64 {
        TOP + self.height * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }

    fn with_band_inside(self) -> Self {
        let high = self.band.map_or(0.0, |it| 1.1 * it.high);
        // A band so wide that it would flatten the bins ends at the upper edge.
        let top = self.top.max(high.min(2.0 * self.top));

        Self { top, ..self }
    }

    /// Round values, three to five of them.
    fn ticks(&self) -> Vec<f64> {
        let rough = self.top / 4.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|it| it * power);
        let step = steps.into_iter().find(|it| *it >= rough).unwrap_or(rough);

        (1..=4_u32).map(|it| step * f64::from(it)).filter(|it| *it < self.top).collect()
    }
}

fn grid(plot: &Plot) -> Markup {
    let bottom = pixels(TOP + plot.height);
    let lines = plot.ticks().into_iter().map(|it| pixels(plot.y(it)));

    html! {
        line.axis x1="0" x2="100%" y1=(bottom) y2=(bottom) {}
        @for y in lines { line.grid x1="0" x2="100%" y1=(y) y2=(y) {} }
    }
}

/// Above the bins, so that no dot hides a label.
fn tick_labels(plot: &Plot) -> Markup {
    html! {
        @for tick in plot.ticks() {
            text.tick x="0" y=(pixels(plot.y(tick) - 3.0)) { (significant(tick)) }
        }
    }
}

/// The value above which few are, or one of the means if that is higher. `None` without values.
fn highest(values: &[Option<f64>], means: [Option<f64>; 2]) -> Option<f64> {
    let mut known: Vec<f64> = values.iter().copied().flatten().collect();
    known.sort_by(f64::total_cmp);
    let within = count(known.len()) * SHARE_WITHIN;
    let below = (0..known.len()).take_while(|it| count(*it) < within).count();
    let usual = known.get(below.checked_sub(1)?).copied()?;

    let highest = means.into_iter().flatten().fold(usual, f64::max);

    (highest.is_finite() && highest > 0.0).then_some(highest)
}

fn mean(levels: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = levels.iter().copied().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / count(known.len()))
}

/// A tenth of a pixel is less than anyone sees.
fn pixels(it: f64) -> String {
    format!("{it:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Bins, Parameters, Series};

    const NOW: WallTime = WallTime(1_767_323_045_006);

    fn bins(levels: Vec<Option<f64>>) -> Bins {
        let load = levels.iter().map(|it| it.map(|_| 5.0)).collect();
        Bins { changed: Series { level: levels, load }, untouched: Vec::new() }
    }

    /// 100 bins of about 1, then 11 of about a half.
    fn case() -> VerdictCase {
        let swing = |bin: usize| if bin.is_multiple_of(2) { 0.01 } else { -0.01 };

        VerdictCase {
            parameters: Parameters::default(),
            better: Better::Lower,
            before: bins((0..100).map(|it| Some(swing(it))).collect()),
            after: bins((0..11).map(|it| Some(swing(it) - 0.7)).collect()),
            excluded: Vec::new(),
            has_reached: true,
        }
    }

    #[test]
    fn the_windows_stand_where_the_verdict_compared() {
        let case = case();
        let chart = Chart::new(&case, NOW, None);

        // Settle and the last look are 11 bins; a baseline and twice as many are before them.
        assert_eq!(chart.columns, Columns { skipped: 73, before: 27, after: 11 });
        assert_eq!(chart.baseline(), Window { from: 22, to: 27 });
        assert_eq!(chart.observation(), Window { from: 28, to: 38 });

        let plot = chart.plot("objective", 200.0, &case.before.changed.level, &[]).unwrap();

        assert!((plot.baseline.unwrap() - 1.0).abs() < 0.01, "{plot:?}");
        assert_eq!(plot.observed, None);
        assert_eq!(chart.time_of(27), "2026-01-02 03:04:05 UTC");
        assert_eq!(chart.time_of(22), "2026-01-02 02:59:05 UTC");
    }

    #[test]
    fn a_missing_bin_is_a_gap_and_an_excluded_one_is_hollow() {
        let mut case = case();
        case.before.changed.level[90] = None;
        case.excluded = std::iter::once(80..85).collect();
        let page = Chart::new(&case, NOW, None).markup().into_string();

        assert_eq!(page.matches("<svg").count(), 2, "{page}");
        assert_eq!(page.matches("<g class=\"before excluded\">").count(), 2 * 5, "{page}");
        assert_eq!(page.matches("<g class=\"before\">").count(), 21 + 22, "{page}");
        assert!(page.contains("hollow") && !page.contains("band"), "{page}");

        let evidence = case.conclusion().evidence;
        let judged = Chart::new(&case, NOW, Some(&evidence)).markup().into_string();

        assert!(judged.contains("<rect class=\"band\""), "{judged}");
        assert!(!judged.contains("NaN") && !judged.contains("inf"), "{judged}");
    }

    #[test]
    fn where_higher_is_better_values_and_not_their_inverses_are_drawn() {
        let levels = |levels: Vec<f64>| bins(levels.into_iter().map(Some).collect());
        let case = VerdictCase {
            better: Better::Higher,
            before: levels(vec![-(50.0_f64.ln()); 30]),
            after: levels(vec![-(100.0_f64.ln()); 11]),
            ..case()
        };
        let page = Chart::new(&case, NOW, None).markup().into_string();

        assert!(page.contains("<title>mean 50</title>"), "{page}");
        assert!(page.contains("<title>mean 100</title>"), "{page}");
    }

    #[test]
    fn a_case_without_values_has_no_plot() {
        for case in [
            VerdictCase { before: Bins::default(), after: Bins::default(), ..case() },
            VerdictCase { before: bins(vec![None; 9]), after: bins(vec![None; 3]), ..case() },
        ] {
            let page = Chart::new(&case, NOW, None).markup().into_string();
            assert!(!page.contains("<svg"), "{page}");
        }
    }

    #[test]
    fn one_high_bin_does_not_flatten_the_others() {
        let mut case = case();
        case.before.changed.level[95] = Some(7.0);
        let chart = Chart::new(&case, NOW, None);
        let plot = chart.plot("objective", 200.0, &case.before.changed.level, &[]).unwrap();

        // Only the mean of its window makes the axis longer.
        assert!(plot.top < 5.0, "{}", plot.top);
        assert!((plot.y(1000.0) - TOP).abs() < 1e-9);
        assert!((2..=4).contains(&plot.ticks().len()), "{:?}", plot.ticks());
    }
}
