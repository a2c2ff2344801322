//! Checks which topics and groups are collected, and in which detail they are exported.

use super::{
    super::{
        NameFilter,
        raw::{RawExport, RawGroups, RawTopics},
    },
    CheckReport,
    key_path::KeyPath,
};
use crate::model::{Export, GroupState, LagSeconds};

pub(super) fn topics(
    raw: Option<RawTopics>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> NameFilter {
    let RawTopics { include, exclude } = raw.unwrap_or_default();
    filter(include, exclude, &path.key("topics"), report)
}

pub(super) fn groups(
    raw: Option<RawGroups>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> (NameFilter, Vec<GroupState>) {
    let RawGroups { include, exclude, states } = raw.unwrap_or_default();
    let path = path.key("groups");
    let mut known = Vec::new();
    for (index, written) in states.unwrap_or_default().into_iter().enumerate() {
        let state: Option<GroupState> = report.choice(path.key("states").index(index), &written);
        if state == Some(GroupState::Unknown) {
            report.problem(path.key("states").index(index), "`unknown` cannot be selected");
        }

        known.extend(state);
    }

    (filter(include, exclude, &path, report), known)
}

fn filter(
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> NameFilter {
    let (include, exclude) = (include.unwrap_or_default(), exclude.unwrap_or_default());
    let lists = [("include", &include), ("exclude", &exclude)];
    let mut broken = false;
    for (list, expressions) in lists {
        for (index, expression) in expressions.iter().enumerate() {
            if let Err(error) = NameFilter::new(std::slice::from_ref(expression), &[]) {
                broken = true;
                let path = path.key(list).index(index);
                report
                    .problem(path, format!("`{expression}` is not a regular expression: {error}"));
            }
        }
    }

    if broken {
        return NameFilter::default();
    }

    // Each is valid by itself; together they may still be too large.
    NameFilter::new(&include, &exclude).unwrap_or_else(|error| {
        report.problem(path, format!("the expressions cannot be used together: {error}"));
        NameFilter::default()
    })
}

pub(super) fn export(raw: Option<RawExport>, path: &KeyPath, report: &mut CheckReport) -> Export {
    let raw = raw.unwrap_or_default();
    let default = Export::DEFAULT;
    let mut granularity = |list: &str, written: Option<String>, default| {
        let Some(written) = written else { return default };
        report.choice(path.key("export").key(list), &written).unwrap_or(default)
    };

    let topics = granularity("topics", raw.topics, default.topics);
    let groups = granularity("groups", raw.groups, default.groups);
    if raw.series_max == Some(0) {
        report.problem(path.key("export").key("series_max"), "must be at least 1");
    }

    let lag_seconds = match raw.lag_seconds {
        Some(true) => LagSeconds::Followed,
        Some(false) => LagSeconds::Left,
        None => default.lag_seconds,
    };

    let series_max = raw.series_max.unwrap_or(default.series_max);

    Export { topics, groups, lag_seconds, series_max }
}
