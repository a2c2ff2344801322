//! Which alerts fire according to Prometheus (I34). One query answers for every alert of a cluster,
//! and one more for each `confirm` expression, so that the answer for one run costs no request.
//!
//! A Prometheus that does not answer confirms nothing, and refutes nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::{
    context::Context,
    evidence,
    hold::Hold,
    schedule::{BROKER_LABEL, GROUP_LABEL},
};
use crate::{
    model::{ClusterName, HoldReason, Target},
    playbook::{Playbook, Template, Values, quoted},
    prometheus::LabelSet,
};

const ALERT_LABEL: &str = "alertname";
const CLUSTER_LABEL: &str = "kafka_cluster";
const STATE_LABEL: &str = "alertstate";
const FIRING: &str = "firing";

/// What Prometheus reports of a playbook's alert about one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    Firing,
    /// It waits for its rule's `for`, or fires without these labels: it is neither confirmed nor
    /// refuted.
    Unclear(String),
    /// Prometheus answered, and has no such alert.
    Absent,
}

/// The answers of Prometheus at one moment.
#[derive(Debug)]
pub(super) struct Firing {
    cluster: ClusterName,
    /// Whether an alert without a `kafka_cluster` is about this cluster.
    is_only_cluster: bool,
    /// Labels of the pending and firing alerts that playbooks match.
    alerts: Result<SeriesIndex, Hold>,
    /// Labels of the series of each `confirm` expression.
    confirmed: BTreeMap<String, Result<SeriesIndex, Hold>>,
}

/// Labels of series, by the alert's name and by what they are about: tens of thousands of episodes
/// are looked up in thousands of series.
#[derive(Debug, Default)]
struct SeriesIndex {
    series: Vec<LabelSet>,
    by_subject: BTreeMap<SeriesSubject, Vec<usize>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SeriesSubject {
    /// Empty for the series of a `confirm` expression.
    alert: String,
    label: &'static str,
    /// Empty if the series does not have the label.
    value: String,
}

impl SeriesIndex {
    fn new(series: Vec<LabelSet>) -> Self {
        let mut by_subject = BTreeMap::<SeriesSubject, Vec<usize>>::new();
        for (position, labels) in series.iter().enumerate() {
            for name in [BROKER_LABEL, GROUP_LABEL] {
                let subject = SeriesSubject {
                    alert: label(labels, ALERT_LABEL).unwrap_or_default().to_owned(),
                    label: name,
                    value: label(labels, name).unwrap_or_default().to_owned(),
                };
                by_subject.entry(subject).or_default().push(position);
            }
        }

        Self { series, by_subject }
    }

    /// The series of `alert` that name `target`, or no target of its kind.
    fn about(&self, alert: &str, target: &Target) -> impl Iterator<Item = &LabelSet> {
        let (label, value) = match target {
            Target::Cluster => (BROKER_LABEL, String::new()),
            Target::Broker(id) => (BROKER_LABEL, id.to_string()),
            Target::Group(name) => (GROUP_LABEL, name.to_string()),
        };
        let named = SeriesSubject { alert: alert.to_owned(), label, value };
        let unnamed = SeriesSubject { value: String::new(), ..named.clone() };

        let mut found = self.by_subject.get(&named).cloned().unwrap_or_default();
        if unnamed != named {
            found.extend(self.by_subject.get(&unnamed).into_iter().flatten());
        }

        found.into_iter().filter_map(|it| self.series.get(it))
    }
}

impl Firing {
    /// Queries Prometheus for the alerts of all playbooks.
    pub(super) async fn query(context: &Context) -> Self {
        Self::query_for(context, &context.remediation.playbooks).await
    }

    /// Queries Prometheus for the alerts of `playbooks`.
    pub(super) async fn query_for<'a>(
        context: &Context,
        playbooks: impl IntoIterator<Item = &'a Playbook>,
    ) -> Self {
        let mut by_alert = Vec::new();
        let mut expressions = BTreeSet::new();

        for playbook in playbooks {
            match &playbook.confirm {
                Some(template) => {
                    expressions.insert(confirm_query(&context.cluster.name, template));
                }
                None => by_alert.push(playbook),
            }
        }

        let alerts = match alerts_query(&context.cluster.name, &by_alert) {
            Some(query) => series(context, &query).await,
            None => Ok(SeriesIndex::default()),
        };
        let confirmed = expressions.into_iter().map(|query| async move {
            let found = series(context, &query).await;
            (query, found)
        });

        Self {
            cluster: context.cluster.name.clone(),
            is_only_cluster: context.is_only_cluster,
            alerts,
            confirmed: join_all(confirmed).await.into_iter().collect(),
        }
    }

    /// Whether Prometheus has answered about the playbook's alert.
    pub(super) fn has_answered(&self, playbook: &Playbook) -> bool {
        match &playbook.confirm {
            Some(template) => {
                let query = confirm_query(&self.cluster, template);
                self.confirmed.get(&query).is_some_and(Result::is_ok)
            }
            None => self.alerts.is_ok(),
        }
    }

    /// Checks that the playbook's alert fires for `target`.
    ///
    /// # Errors
    ///
    /// Why it is not confirmed, and what to do about a label that is missing in Prometheus.
    pub(super) fn confirms(&self, playbook: &Playbook, target: &Target) -> Result<(), Hold> {
        match self.reported(playbook, target)? {
            Reported::Firing => Ok(()),
            Reported::Unclear(detail) => Err(Hold::new(HoldReason::NotConfirmed, detail)),
            Reported::Absent => {
                let detail = if let Some(template) = &playbook.confirm {
                    format!("`{template}` has no series for {target}")
                } else {
                    let alert = alert_name(playbook);
                    format!("`{alert}` does not fire in Prometheus for {target}")
                };
                Err(Hold::new(HoldReason::NotConfirmed, detail))
            }
        }
    }

    /// What Prometheus reports of the playbook's alert about `target`.
    ///
    /// # Errors
    ///
    /// If Prometheus has not answered.
    pub(super) fn reported(&self, playbook: &Playbook, target: &Target) -> Result<Reported, Hold> {
        match &playbook.confirm {
            Some(template) => self.reported_by_expression(template, target),
            None => self.reported_by_alert(playbook, target),
        }
    }

    fn reported_by_expression(
        &self,
        template: &Template,
        target: &Target,
    ) -> Result<Reported, Hold> {
        let query = confirm_query(&self.cluster, template);
        let Some(found) = self.confirmed.get(&query) else {
            let detail = format!("`{template}` has not been queried yet");
            return Ok(Reported::Unclear(detail));
        };
        let found = found.as_ref().map_err(Hold::clone)?;

        let of_cluster = |it: &&LabelSet| {
            label(it, CLUSTER_LABEL).is_none_or(|name| name == self.cluster.as_str())
        };
        let wanted = Wanted::of_target(target);
        let names_target = |it: &LabelSet| wanted.missing(it).is_some_and(|it| it.is_empty());
        let fires = found.about("", target).filter(of_cluster).any(names_target);

        Ok(if fires { Reported::Firing } else { Reported::Absent })
    }

    fn reported_by_alert(&self, playbook: &Playbook, target: &Target) -> Result<Reported, Hold> {
        let alerts = self.alerts.as_ref().map_err(Hold::clone)?;
        let mut wanted = Wanted::of_target(target);

        if !self.is_only_cluster {
            wanted.present.insert(CLUSTER_LABEL, self.cluster.to_string());
        }

        let labels = playbook.matcher.labels.iter();
        wanted.present.extend(labels.map(|(name, value)| (name.as_str(), value.clone())));

        let alert = alert_name(playbook);
        let mut reported = Reported::Absent;

        for series in alerts.about(alert, target) {
            let Some(missing) = wanted.missing(series) else { continue };
            let is_firing = label(series, STATE_LABEL) == Some(FIRING);

            if missing.is_empty() && is_firing {
                return Ok(Reported::Firing);
            }

            reported = Reported::Unclear(if missing.is_empty() {
                format!("`{alert}` is pending in Prometheus for {target}")
            } else {
                format!(
                    "`{alert}` fires in Prometheus without the label `{}`: `external_labels` and \
                     labels added by `alert_relabel_configs` are not in ALERTS; set the label in \
                     the alerting rule, remove it from the playbook's `match`, or set `confirm`",
                    missing.join("`, `")
                )
            });
        }

        Ok(reported)
    }
}

/// The labels that a series must have to be about an alert.
struct Wanted<'a> {
    present: BTreeMap<&'a str, String>,
    absent: Option<&'static str>,
}

impl<'a> Wanted<'a> {
    /// An alert about one broker does not confirm a change of all brokers.
    fn of_target(target: &Target) -> Self {
        let (present, absent) = match target {
            Target::Cluster => (None, Some(BROKER_LABEL)),
            Target::Broker(id) => (Some((BROKER_LABEL, id.to_string())), None),
            Target::Group(name) => (Some((GROUP_LABEL, name.to_string())), None),
        };

        Self { present: present.into_iter().collect(), absent }
    }

    /// The labels that the series lacks; `None` if one has another value.
    fn missing(&self, series: &LabelSet) -> Option<Vec<&'a str>> {
        if self.absent.is_some_and(|it| label(series, it).is_some()) {
            return None;
        }

        let mut missing = Vec::new();
        for (&name, value) in &self.present {
            match label(series, name) {
                Some(found) if found == value => (),
                Some(_) => return None,
                None => missing.push(name),
            }
        }

        Some(missing)
    }
}

/// The value of a label; `None` if it is absent or empty, which are the same to Prometheus.
fn label<'a>(series: &'a LabelSet, name: &str) -> Option<&'a str> {
    series.get(name).map(String::as_str).filter(|it| !it.is_empty())
}

fn alert_name(playbook: &Playbook) -> &str {
    playbook.matcher.labels.get(ALERT_LABEL).map_or("", String::as_str)
}

async fn series(context: &Context, query: &str) -> Result<SeriesIndex, Hold> {
    let found = evidence::prometheus(context)?.instant(query).await?;
    Ok(SeriesIndex::new(found.into_iter().map(|it| it.labels).collect()))
}

/// The pending and firing alerts of these playbooks; `None` if there are none. Grouped by the
/// labels that decide, so that others cannot multiply the series. Of the cluster, or without a
/// cluster: those explain why an alert is not confirmed.
fn alerts_query(cluster: &ClusterName, playbooks: &[&Playbook]) -> Option<String> {
    let names: BTreeSet<String> =
        playbooks.iter().map(|it| regex::escape(alert_name(it))).collect();
    let mut labels =
        BTreeSet::from([ALERT_LABEL, STATE_LABEL, CLUSTER_LABEL, BROKER_LABEL, GROUP_LABEL]);
    labels.extend(playbooks.iter().flat_map(|it| it.matcher.labels.keys()).map(String::as_str));

    let names = Vec::from_iter(names).join("|");
    let by = Vec::from_iter(labels).join(", ");
    let alerts = format!(
        "ALERTS{{{ALERT_LABEL}=~{},{CLUSTER_LABEL}=~{}}}",
        quoted(&names),
        quoted(&format!("{}|", regex::escape(cluster.as_str()))),
    );

    (!playbooks.is_empty()).then(|| format!("count by ({by}) ({alerts})"))
}

/// The `confirm` expression, rendered and grouped by the labels that name a target.
fn confirm_query(cluster: &ClusterName, template: &Template) -> String {
    let values = Values::from([(CLUSTER_LABEL, cluster.to_string())]);
    let expression = template.render(&values);

    // In lines of its own: the expression may end in a comment.
    format!("count by ({CLUSTER_LABEL}, {BROKER_LABEL}, {GROUP_LABEL}) (\n{expression}\n)")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::BrokerId,
        playbook::{AlertMatcher, Better, Objective, ObjectiveExpression, Optimizer, Windows},
    };

    fn template(text: &str) -> Template {
        Template::new(text).unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn playbook(matched: &[(&str, &str)], confirm: Option<&str>) -> Playbook {
        let second = Duration::from_secs(1);

        Playbook {
            name: "slow".to_owned(),
            matcher: AlertMatcher { labels: labels(matched) },
            confirm: confirm.map(template),
            when: None,
            optimizer: Optimizer::ElectLeaders,
            objective: Objective {
                measure: ObjectiveExpression::Gauge(template("a")),
                better: Better::Lower,
                at_least: 0.2,
            },
            load: Some(template("b")),
            guards: Vec::new(),
            windows: Windows {
                window: second,
                baseline: second,
                settle: second,
                observe: second,
                history: second,
                cooldown: second,
            },
            attempts_max: 1,
            reached_when: None,
            keep_neutral: false,
            approve: false,
            temporary: None,
        }
    }

    fn firing(series: Vec<LabelSet>) -> Firing {
        Firing {
            cluster: ClusterName::new("main"),
            is_only_cluster: false,
            alerts: Ok(SeriesIndex::new(series)),
            confirmed: BTreeMap::new(),
        }
    }

    fn broker(id: &str) -> Target {
        Target::Broker(BrokerId::parse(id).unwrap())
    }

    const OF_MAIN: (&str, &str) = ("kafka_cluster", "main");
    const SLOW: (&str, &str) = ("alertname", "Slow");
    const FIRES: (&str, &str) = ("alertstate", "firing");

    #[test]
    fn i34_a_series_of_the_alert_and_the_target_confirms() {
        let playbook = playbook(&[SLOW], None);
        let of_broker = firing(vec![labels(&[SLOW, FIRES, OF_MAIN, ("broker_id", "1")])]);
        let of_cluster = firing(vec![labels(&[SLOW, FIRES, OF_MAIN])]);

        assert_eq!(of_broker.confirms(&playbook, &broker("1")), Ok(()));
        assert!(of_broker.confirms(&playbook, &broker("2")).is_err());

        // An alert about one broker does not confirm a change of all of them.
        assert!(of_broker.confirms(&playbook, &Target::Cluster).is_err());
        assert_eq!(of_cluster.confirms(&playbook, &Target::Cluster), Ok(()));
    }

    #[test]
    fn an_alert_without_a_label_of_the_playbook_is_held_with_the_name_of_the_label() {
        let playbook = playbook(&[SLOW, ("team", "kafka")], None);
        let found = firing(vec![labels(&[SLOW, FIRES, ("broker_id", "1")])]);
        let hold = found.confirms(&playbook, &broker("1")).unwrap_err();

        assert_eq!(hold.reason, HoldReason::NotConfirmed);
        assert!(hold.detail.contains("`kafka_cluster`, `team`"), "{}", hold.detail);
        assert!(hold.detail.contains("alert_relabel_configs"), "{}", hold.detail);
        assert_ne!(found.reported(&playbook, &broker("1")), Ok(Reported::Absent));
    }

    #[test]
    fn an_alert_without_a_cluster_is_about_the_only_one() {
        let playbook = playbook(&[SLOW], None);
        let series = vec![labels(&[SLOW, FIRES, ("broker_id", "1")])];
        let only = Firing { is_only_cluster: true, ..firing(series) };

        assert_eq!(only.confirms(&playbook, &broker("1")), Ok(()));
    }

    #[test]
    fn a_pending_alert_is_neither_confirmed_nor_refuted() {
        let pending = labels(&[SLOW, ("alertstate", "pending"), OF_MAIN]);
        let playbook = playbook(&[SLOW], None);
        let found = firing(vec![pending]);

        assert!(found.confirms(&playbook, &Target::Cluster).is_err());
        assert_ne!(found.reported(&playbook, &Target::Cluster), Ok(Reported::Absent));
    }

    #[test]
    fn a_prometheus_that_does_not_answer_confirms_and_refutes_nothing() {
        let hold = Hold::new(HoldReason::PrometheusUnavailable, "connection refused");
        let silent = Firing { alerts: Err(hold.clone()), ..firing(Vec::new()) };
        let playbook = playbook(&[SLOW], None);

        assert_eq!(silent.confirms(&playbook, &Target::Cluster), Err(hold.clone()));
        assert_eq!(silent.reported(&playbook, &Target::Cluster), Err(hold));
    }

    #[test]
    fn an_expression_confirms_by_the_target_of_its_series() {
        let text = r#"idle{kafka_cluster="$kafka_cluster"} < 0.3 # percent"#;
        let playbook = playbook(&[SLOW], Some(text));
        let query = confirm_query(&ClusterName::new("main"), &template(text));

        assert!(query.contains(r#"kafka_cluster="main""#), "{query}");

        let series = vec![labels(&[("broker_id", "1")]), labels(&[("kafka_cluster", "other")])];
        let found = Firing {
            confirmed: BTreeMap::from([(query, Ok(SeriesIndex::new(series)))]),
            ..firing(vec![labels(&[SLOW, FIRES, OF_MAIN, ("broker_id", "2")])])
        };

        assert_eq!(found.confirms(&playbook, &broker("1")), Ok(()));
        assert!(found.confirms(&playbook, &broker("2")).is_err());
        assert!(found.confirms(&playbook, &Target::Cluster).is_err());
    }

    #[test]
    fn fifty_thousand_episodes_are_looked_up_by_their_target() {
        let playbook = playbook(&[SLOW], None);
        let series = (0..2_000)
            .map(|id: u32| labels(&[SLOW, FIRES, OF_MAIN, ("broker_id", &id.to_string())]));
        let found = firing(series.collect());
        let confirmed = (0..50_000_u32)
            .filter(|id| found.confirms(&playbook, &broker(&id.to_string())).is_ok());

        assert_eq!(confirmed.count(), 2_000);
    }

    #[test]
    fn one_query_asks_for_the_alerts_of_all_playbooks() {
        let (one, two) = (playbook(&[SLOW], None), playbook(&[("alertname", "a.b")], None));
        let query = alerts_query(&ClusterName::new("a\"b"), &[&one, &two]).unwrap();

        assert_eq!(
            query,
            "count by (alertname, alertstate, broker_id, consumergroup, kafka_cluster) \
             (ALERTS{alertname=~\"Slow|a\\\\.b\",kafka_cluster=~\"a\\\"b|\"})"
        );
        assert!(alerts_query(&ClusterName::new("main"), &[]).is_none());
    }
}
