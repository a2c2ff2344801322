//! The daily peaks of one value with the line through them, as inline SVG.
//!
//! Places on the time axis are percentages of the width, so that the text keeps its size on a
//! phone.

use maud::{Markup, html};

use crate::report::{Growth, Trend};

/// Height of the plot, in pixels.
const HEIGHT: f64 = 110.0;
/// Room above it, for the label of its upper edge.
const TOP: f64 = 14.0;
/// Room below it, for the days.
const BOTTOM: f64 = 18.0;
/// The line is drawn into the future for this share of the days that are known.
const AHEAD_SHARE: f64 = 0.5;
/// A limit farther up than this multiple of the values is not drawn: they would be flat.
const LIMIT_WITHIN: f64 = 2.0;

/// Where values and days are drawn.
#[derive(Clone, Copy, Debug)]
struct GrowthPlot {
    /// Number of days before today.
    back: f64,
    /// Number of days after today.
    ahead: f64,
    /// The value at the upper edge.
    top: f64,
}

impl GrowthPlot {
    /// `None` if there is nothing to draw.
    fn of(growth: &Growth, trend: &Trend) -> Option<Self> {
        let back = f64::from(growth.peaks.iter().map(|it| it.days_ago).max()?).max(1.0);
        let ahead = (back * AHEAD_SHARE).ceil();
        let values = growth.peaks.iter().map(|it| it.value).chain([trend.now, trend.at(ahead)]);
        let highest = values.fold(0.0, f64::max);
        let limit = growth.limit.filter(|it| *it <= highest * LIMIT_WITHIN);
        let top = limit.unwrap_or(0.0).max(highest) * 1.05;

        (top.is_finite() && top > 0.0).then_some(Self { back, ahead, top })
    }

    /// A day from today on, as a place of the axis.
    fn x(&self, day: f64) -> String {
        format!("{:.1}%", (day + self.back) / (self.back + self.ahead) * 100.0)
    }

    fn y(&self, value: f64) -> String {
        let share = (value / self.top).clamp(0.0, 1.0);
        format!("{:.1}", TOP + (1.0 - share) * HEIGHT)
    }
}

/// The chart; empty without a trend.
pub(super) fn markup(growth: &Growth) -> Markup {
    let Some(trend) = &growth.trend else { return html! {} };
    let Some(plot) = GrowthPlot::of(growth, trend) else { return html! {} };
    let what = growth.metric.words();
    let limit = growth.limit.filter(|it| *it <= plot.top);

    html! {
        figure {
            figcaption { strong { (what) } }
            svg.chart role="img" aria-label=(what) width="100%" height=(TOP + HEIGHT + BOTTOM) {
                line.axis x1="0" x2="100%" y1=(plot.y(0.0)) y2=(plot.y(0.0)) {}
                line.write x1=(plot.x(0.0)) x2=(plot.x(0.0))
                    y1=(plot.y(plot.top)) y2=(plot.y(0.0)) {}
                (future(&plot, trend))
                line.mean x1=(plot.x(-plot.back)) x2=(plot.x(0.0))
                    y1=(plot.y(trend.at(-plot.back))) y2=(plot.y(trend.now)) {}

                g.after {
                    @for it in &growth.peaks {
                        circle cx=(plot.x(-f64::from(it.days_ago))) cy=(plot.y(it.value)) r="2.5" {}
                    }
                }

                @if let Some(limit) = limit {
                    line.limit x1="0" x2="100%" y1=(plot.y(limit)) y2=(plot.y(limit)) {}
                    text.tick x="0" y=(plot.y(limit)) dy="-3" { (growth.unit.shown(limit)) }
                }
                (labels(&plot, growth, trend))
            }
        }
    }
}

/// Where the line leads, and between which bounds.
fn future(plot: &GrowthPlot, trend: &Trend) -> Markup {
    let to = |slope: f64| plot.y(trend.now + slope * plot.ahead);
    let (from, now, end) = (plot.x(0.0), plot.y(trend.now), plot.x(plot.ahead));

    html! {
        g.future {
            @for slope in [trend.per_day_low, trend.per_day, trend.per_day_high] {
                line x1=(from) x2=(end) y1=(now) y2=(to(slope)) {}
            }
        }
    }
}

fn labels(plot: &GrowthPlot, growth: &Growth, trend: &Trend) -> Markup {
    let below = TOP + HEIGHT + BOTTOM - 4.0;

    html! {
        text.tick x=(plot.x(0.0)) y=(plot.y(trend.now)) dx="-4" dy="-7" text-anchor="end" {
            (growth.unit.shown(trend.now.max(0.0)))
        }
        text.dim x="0" y=(below) { (format!("{:.0} days ago", plot.back)) }
        text.dim x=(plot.x(0.0)) y=(below) text-anchor="middle" { "today" }

        text.dim x="100%" y=(below) text-anchor="end" { (format!("in {:.0} days", plot.ahead)) }
    }
}
