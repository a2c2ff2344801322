//! The page `/runs`: the runs that match, newest first, with the filters as links.

use std::{collections::BTreeSet, time::Duration};

use maud::{Markup, html};

use super::{
    html::{Document, Severity, since, timestamp, words},
    query::with_query,
    runs::ListQuery,
    state::ServerInfo,
};
use crate::{
    model::{HoldReason, RollbackReason, RunState, WallTime},
    store::RunRow,
};

const REFRESH: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct RunsPage<'a> {
    pub(super) about: &'a ServerInfo,
    pub(super) now: WallTime,
    pub(super) query: ListQuery,
    pub(super) runs: Vec<RunRow>,
    /// Where the next page begins; `None` on the last one.
    pub(super) next: Option<i64>,
}

/// One choice of a filter.
struct FilterLink {
    text: String,
    path: String,
    is_chosen: bool,
}

impl RunsPage<'_> {
    pub(super) fn page(&self) -> String {
        let body = html! {
            header {
                h1 { "Runs" }
                span.dim {
                    (self.about.version) " · mode " (self.about.mode) " · " (timestamp(self.now))
                }
            }
            nav {
                a href="/" { "All clusters" }
                a href=(self.json()) { "These runs as JSON" }
            }
            div.filters {
                (filter("state", &self.states()))
                (filter("cluster", &self.clusters()))
                (filter("playbook", &self.playbooks()))
            }

            @if let Some(since) = &self.query.since { p.dim { "Created since " (since) } }
            (self.table())
            (self.paging())
        };

        // The place in older pages would be lost.
        let refresh = self.query.before.is_none().then_some(REFRESH);

        Document { title: "Runs - kafka-optimizer".to_owned(), refresh, body }.render()
    }

    /// The path of this page with one parameter changed, from the newest run on.
    fn with(&self, change: impl FnOnce(&mut ListQuery)) -> String {
        let mut query = ListQuery { before: None, ..self.query.clone() };
        change(&mut query);
        path("/runs", query)
    }

    fn json(&self) -> String {
        path("/api/v1/runs", self.query.clone())
    }

    fn states(&self) -> Vec<FilterLink> {
        let joined = |is_meant: &dyn Fn(RunState) -> bool| {
            let meant = RunState::ALL.iter().filter(|it| is_meant(**it));
            meant.map(|it| it.label()).collect::<Vec<_>>().join(",")
        };

        let waiting = joined(&|it| !it.is_end() && !it.is_active());
        let active = joined(&RunState::is_active);
        let groups = [("waiting".to_owned(), waiting), ("active".to_owned(), active)];
        let ends = RunState::ALL.iter().filter(|it| it.is_end());
        let ends = ends.map(|it| (words(it.label()), it.label().to_owned()));

        let chosen = self.query.state.as_deref().filter(|it| !it.is_empty());
        let mut links = vec![FilterLink {
            text: "all".to_owned(),
            path: self.with(|it| it.state = None),
            is_chosen: chosen.is_none(),
        }];
        links.extend(groups.into_iter().chain(ends).map(|(text, states)| FilterLink {
            text,
            is_chosen: chosen == Some(states.as_str()),
            path: self.with(|it| it.state = Some(states)),
        }));

        // A state that has no link of its own, such as one in the address bar.
        if let Some(other) = chosen.filter(|_| links.iter().all(|it| !it.is_chosen)) {
            let path = self.with(|_| ());
            links.push(FilterLink { text: words(other), path, is_chosen: true });
        }

        links
    }

    fn clusters(&self) -> Vec<FilterLink> {
        let names = self.about.clusters.iter().map(|it| it.name.to_string());
        self.named(names, self.query.cluster.as_deref(), |it, name| it.cluster = name)
    }

    /// The playbooks of the runs shown.
    fn playbooks(&self) -> Vec<FilterLink> {
        let names = self.runs.iter().map(|it| it.playbook.clone());
        self.named(names, self.query.playbook.as_deref(), |it, name| it.playbook = name)
    }

    fn named(
        &self,
        names: impl Iterator<Item = String>,
        chosen: Option<&str>,
        set: impl Fn(&mut ListQuery, Option<String>),
    ) -> Vec<FilterLink> {
        let names: BTreeSet<String> = names.chain(chosen.map(str::to_owned)).collect();
        let all = FilterLink {
            text: "all".to_owned(),
            path: self.with(|it| set(it, None)),
            is_chosen: chosen.is_none(),
        };
        let each = names.into_iter().map(|name| FilterLink {
            text: name.clone(),
            is_chosen: chosen == Some(name.as_str()),
            path: self.with(|it| set(it, Some(name))),
        });

        std::iter::once(all).chain(each).collect()
    }

    fn table(&self) -> Markup {
        if self.runs.is_empty() {
            return html! {
                p { "No run matches. An alert that matches a playbook starts one; so does "
                    code { "kafka-optimizer tune-brokers" } "." }
            };
        }

        html! {
            table {
                thead {
                    tr {
                        th { "run" }
                        th { "created" }
                        th { "state" }
                        th { "verdict" }
                        th { "cluster" }
                        th { "target" }

                        th { "playbook and cause" }
                    }
                }
                tbody { @for run in &self.runs { (self.row(run)) } }
            }
        }
    }

    fn row(&self, run: &RunRow) -> Markup {
        let reason = run.hold.map(HoldReason::label).filter(|_| run.state == RunState::Held);
        // The verdict itself says more than that it was the reason.
        let rolled_back = run.rollback_reason.filter(|it| *it != RollbackReason::Verdict);
        let reason = reason.or(rolled_back.map(RollbackReason::label));

        html! {
            tr {
                td.name { a href={ "/runs/" (run.id) } { (run.id) } }
                td data-of="created" { (since(self.now, Some(run.times.created))) }
                td {
                    span class=[severity(run).map(Severity::class)] { (words(run.state.label())) }
                    @if let Some(reason) = reason { span.dim { " (" (words(reason)) ")" } }
                }
                td data-of=[run.verdict.map(|_| "verdict")] {
                    @if let Some(verdict) = run.verdict { (verdict) }
                }
                td { (run.cluster) }
                td { (run.target) }
                td.why { (run.playbook) " " span.dim { (run.cause) } }
            }
        }
    }

    fn paging(&self) -> Markup {
        html! {
            nav {
                @if self.query.before.is_some() { a href=(self.with(|_| ())) { "Newest runs" } }
                @if let Some(next) = self.next {
                    a href=(self.with(|it| it.before = Some(next))) rel="next" { "Older runs" }
                }
            }
        }
    }
}

/// How a run ended; `None` if that is neither good nor bad.
pub(super) fn severity(run: &RunRow) -> Option<Severity> {
    match run.state {
        RunState::Stuck if !run.acknowledged => Some(Severity::Bad),
        RunState::Kept | RunState::Expired => Some(Severity::Good),
        RunState::Stuck
        | RunState::RolledBack
        | RunState::RollingBack
        | RunState::AwaitingApproval => Some(Severity::Warning),
        RunState::Queued
        | RunState::Held
        | RunState::Rehearsed
        | RunState::Acting
        | RunState::Settling
        | RunState::Observing
        | RunState::Expiring
        | RunState::Cancelled => None,
    }
}

fn filter(name: &str, links: &[FilterLink]) -> Markup {
    html! {
        p {
            span.dim { (name) } " "
            @for it in links {
                @if it.is_chosen { a href=(it.path) aria-current="true" { (it.text) } }
                @else { a href=(it.path) { (it.text) } }
                " "
            }
        }
    }
}

fn path(path: &str, query: ListQuery) -> String {
    with_query(
        path,
        &[
            ("cluster", query.cluster),
            ("state", query.state.filter(|it| !it.is_empty())),
            ("playbook", query.playbook),
            ("since", query.since),
            ("before", query.before.map(|it| it.to_string())),
            ("limit", query.limit.map(|it| it.to_string())),
        ],
    )
}
