//! What of a cluster is collected, and what of that is put on the page.

use super::{
    super::{
        NameFilter,
        raw::{RawExport, RawGroups, RawTopics},
    },
    CheckReport,
};
use crate::model::{Export, Granularity, GroupState, LagSeconds};

pub(super) fn topics(raw: Option<RawTopics>, at: &str, report: &mut CheckReport) -> NameFilter {
    let RawTopics { include, exclude } = raw.unwrap_or_default();
    filter(include, exclude, &format!("{at}.topics"), report)
}

pub(super) fn groups(
    raw: Option<RawGroups>,
    at: &str,
    report: &mut CheckReport,
) -> (NameFilter, Vec<GroupState>) {
    let RawGroups { include, exclude, states } = raw.unwrap_or_default();
    let at = format!("{at}.groups");
    let mut known = Vec::new();
    for (index, written) in states.unwrap_or_default().into_iter().enumerate() {
        let state = GroupState::from_label(&written).filter(|it| *it != GroupState::Unknown);
        if state.is_none() {
            let states = GroupState::ALL.iter().filter(|it| **it != GroupState::Unknown);
            let words = states.map(|it| it.label());
            report.no_choice(format!("{at}.states[{index}]"), &written, words);
        }
        known.extend(state);
    }
    (filter(include, exclude, &at, report), known)
}

fn filter(
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    at: &str,
    report: &mut CheckReport,
) -> NameFilter {
    let (include, exclude) = (include.unwrap_or_default(), exclude.unwrap_or_default());
    let lists = [("include", &include), ("exclude", &exclude)];
    let mut broken = false;
    for (list, expressions) in lists {
        for (index, expression) in expressions.iter().enumerate() {
            if let Err(error) = NameFilter::new(std::slice::from_ref(expression), &[]) {
                broken = true;
                let at = format!("{at}.{list}[{index}]");
                report.problem(at, format!("`{expression}` is no regular expression: {error}"));
            }
        }
    }
    if broken {
        return NameFilter::default();
    }
    // Each is fine by itself; together they may still be too much.
    NameFilter::new(&include, &exclude).unwrap_or_else(|error| {
        report.problem(at, format!("the expressions cannot be used together: {error}"));
        NameFilter::default()
    })
}

pub(super) fn export(raw: Option<RawExport>, at: &str, report: &mut CheckReport) -> Export {
    let raw = raw.unwrap_or_default();
    let default = Export::DEFAULT;
    let mut granularity = |list: &str, written: Option<String>, default| {
        let Some(written) = written else { return default };
        Granularity::from_label(&written).unwrap_or_else(|| {
            let choices = Granularity::ALL.iter().map(|it| it.label());
            report.no_choice(format!("{at}.export.{list}"), &written, choices);
            default
        })
    };
    let topics = granularity("topics", raw.topics, default.topics);
    let groups = granularity("groups", raw.groups, default.groups);
    if raw.series_max == Some(0) {
        report.problem(format!("{at}.export.series_max"), "must be at least 1");
    }
    let lag_seconds = match raw.lag_seconds {
        Some(true) => LagSeconds::Followed,
        Some(false) => LagSeconds::Left,
        None => default.lag_seconds,
    };
    let series_max = raw.series_max.unwrap_or(default.series_max);
    Export { topics, groups, lag_seconds, series_max }
}
