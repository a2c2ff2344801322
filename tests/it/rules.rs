//! Rules, dashboards and playbooks, compared with what the program and the brokers export.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use kafka_optimizer::{
    analysis::{
        Cause, Signal,
        thresholds::{self, LAG_FINDING},
    },
    expose::catalogue,
    optimizers::scale_consumers::{LAG_DOUBLE, LAG_HALF_MORE},
    playbook::{Template, Values},
};
use promql_parser::{
    parser::{self, Expr},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;

/// Series of Prometheus, Alertmanager and node-exporter.
const OF_OTHERS: &[&str] = &[
    "ALERTS",
    "up",
    "node_cpu_seconds_total",
    "node_disk_io_time_seconds_total",
    "alertmanager_notifications_failed_total",
    "prometheus_rule_evaluation_failures_total",
];

struct Rule {
    file: PathBuf,
    name: String,
    expr: String,
    alert: Option<Value>,
}

fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn rules() -> Vec<Rule> {
    let mut files: Vec<PathBuf> =
        fs::read_dir("prometheus/rules").unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();

    for file in files {
        for group in yaml(&file)["groups"].as_array().unwrap() {
            for rule in group["rules"].as_array().unwrap() {
                let alert = rule.get("alert").and_then(Value::as_str);
                let record = rule.get("record").and_then(Value::as_str);
                found.push(Rule {
                    file: file.clone(),
                    name: alert.or(record).unwrap().to_owned(),
                    expr: rule["expr"].as_str().unwrap().to_owned(),
                    alert: alert.map(|_| rule.clone()),
                });
            }
        }
    }

    found
}

#[derive(Default)]
struct MetricNames(BTreeSet<String>);

impl ExprVisitor for MetricNames {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        if let Expr::VectorSelector(it) = expr {
            self.0.extend(it.name.clone());
        }
        if let Expr::MatrixSelector(it) = expr {
            self.0.extend(it.vs.name.clone());
        }

        Ok(true)
    }
}

fn names(expr: &str) -> BTreeSet<String> {
    let parsed = parser::parse(expr).unwrap_or_else(|error| panic!("{expr}: {error}"));
    let mut names = MetricNames::default();
    let Ok(_) = walk_expr(&mut names, &parsed);

    names.0
}

fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = OF_OTHERS.iter().map(|it| (*it).to_owned()).collect();
    for spec in catalogue::all() {
        known.insert(spec.name.to_owned());
        for part in ["_bucket", "_sum", "_count"] {
            known.insert(format!("{}{part}", spec.name));
        }
    }

    let jmx = fs::read_to_string("prometheus/jmx/names.txt").unwrap();
    known.extend(jmx.lines().map(str::to_owned));
    known.extend(rules().into_iter().filter(|it| it.alert.is_none()).map(|it| it.name));

    known
}

/// Every query of the dashboard, with values for Grafana's variables.
fn dashboard_queries() -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("expr").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|it| walk(it, found));
            }
            Value::Array(all) => all.iter().for_each(|it| walk(it, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
        }
    }

    let text = fs::read_to_string("grafana/dashboards/overview.json").unwrap();
    let mut found = Vec::new();
    walk(&serde_json::from_str(&text).unwrap(), &mut found);
    let plain = |it: &String| {
        it.replace("$__rate_interval", "5m").replace("$__interval", "15s").replace("$__range", "1h")
    };

    found.iter().map(plain).collect()
}

#[test]
fn every_series_used_by_a_rule_a_panel_or_a_playbook_is_exported() {
    let known = known();
    let mut unknown = BTreeMap::<String, String>::new();
    let rules = rules();
    let read =
        rules.iter().map(|it| (it.expr.clone(), format!("{}: {}", it.file.display(), it.name)));
    let shown = dashboard_queries().into_iter().map(|it| (it, "overview.json".to_owned()));
    let analysed =
        Signal::ALL.iter().filter_map(|it| Some((it.template()?, format!("signal {it}"))));

    for (expr, place) in read.chain(shown).chain(analysed) {
        for name in names(&expr).difference(&known) {
            unknown.insert(name.clone(), place.clone());
        }
    }

    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn thresholds_equal_those_of_the_alert_rules() {
    let rules = rules();
    let mut compared = 0;

    for threshold in thresholds::ALL {
        let sides = [("warning", threshold.warning), ("critical", threshold.critical)];
        for (severity, limit) in sides {
            let Some((limit, alert)) = limit else { continue };
            let want = format!("{} {} {limit}", threshold.series, threshold.side.sign());
            let has = rules.iter().any(|it| {
                let severe =
                    it.alert.as_ref().is_some_and(|it| it["labels"]["severity"] == severity);

                // Some alerts are silent under further conditions, or have a second one.
                let rest = it.expr.trim().strip_prefix(&want);
                let has_limit = rest.is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with(" unless ") || rest.starts_with(" or ")
                });

                it.name == alert && severe && has_limit
            });

            assert!(has, "no {severity} rule {alert} says `{want}`");

            compared += 1;
        }
    }

    assert_eq!(compared, 22);

    // Of a value that is 0 or 1, the rule says `== 0`.
    let down = format!("{} == 0", thresholds::UP.series);
    assert!(rules.iter().any(|it| it.name == "KafkaClusterDown" && it.expr.trim() == down));
}

#[test]
fn the_alert_of_a_cause_exists_and_starts_its_optimizer() {
    let rules = rules();
    for cause in Cause::ALL {
        let spec = cause.spec();
        let Some(alert) = spec.alert else { continue };
        let rule = rules.iter().find(|it| it.name == alert);
        let rule = rule.unwrap_or_else(|| panic!("no rule {alert}"));
        let labels = &rule.alert.as_ref().unwrap()["labels"];

        assert_eq!(labels["remediation"].as_str(), spec.optimizer, "{cause}: {alert}");
    }
}

#[test]
fn cluster_severity_uses_the_thresholds_of_the_alerts() {
    let rules = rules();
    let of_brokers = ["kafka:broker_cpu:ratio", "kafka:broker_memory:ratio"];
    let lag = "kafka:consumergroup_topic_lag:sum";

    for series in of_brokers.into_iter().chain(["kafka:disk_io:ratio", lag]) {
        let threshold = thresholds::ALL.iter().find(|it| it.series == series).unwrap();

        // Lag is a finding before it is an alert.
        let warning = if series == lag { LAG_FINDING } else { threshold.warning.unwrap().0 };
        let critical = threshold.critical.unwrap().0;
        let want = format!("({series} > bool {warning}) + ({series} > bool {critical})");
        let says = |name: &str| rules.iter().any(|it| it.name == name && it.expr.contains(&want));

        assert!(says("kafka:signal_severity:max"), "{want}");
        assert_eq!(says("kafka:broker_severity:max"), of_brokers.contains(&series), "{want}");
    }
}

#[test]
fn a_group_alerts_for_consumers_only_where_it_can_be_scaled() {
    for (severity, limit) in [("warning", LAG_HALF_MORE), ("critical", LAG_DOUBLE)] {
        let want = format!("kafka:group_lag:sum > {limit} unless ");
        let asks = rules().into_iter().any(|it| {
            let severe = it.alert.as_ref().is_some_and(|it| it["labels"]["severity"] == severity);
            it.name == "KafkaConsumerGroupNotCatchingUp" && severe && it.expr.starts_with(&want)
        });
        assert!(asks, "no {severity} rule says `{want}`");
    }
}

/// The alerts with the label `remediation`, and what it says.
fn asking() -> BTreeSet<(String, String)> {
    let asked = rules().into_iter().filter_map(|it| {
        let remediation = it.alert.as_ref()?["labels"].get("remediation")?.as_str()?.to_owned();
        Some((it.name, remediation))
    });
    asked.collect()
}

#[test]
fn only_alerts_with_an_optimizer_carry_its_label() {
    let want = [
        ("KafkaBrokerConfigNotApplied", "reapply"),
        ("KafkaClusterYellow", "tune-brokers"),
        ("KafkaConsumerGroupNotCatchingUp", "scale-consumers"),
        ("KafkaLeadersNotPreferred", "elect-leaders"),
        ("KafkaNetworkProcessorsSaturated", "tune-brokers"),
        ("KafkaProducerFlood", "shed-load"),
        ("KafkaRequestHandlersSaturated", "tune-brokers"),
    ];
    assert_eq!(asking(), want.map(|(name, it)| (name.to_owned(), it.to_owned())).into());
}

#[test]
fn the_playbooks_of_the_lab_cover_exactly_the_alerts_with_an_optimizer() {
    let config = yaml(Path::new("lab/kafka-optimizer.yml"));
    let playbooks = config["remediation"]["playbooks"].as_array().unwrap();
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let answered: BTreeSet<(String, String)> = playbooks
        .iter()
        .map(|it| (text(&it["match"]["alertname"]), text(&it["match"]["remediation"])))
        .collect();
    let mut want = asking();

    // The operator chooses the clients to throttle, so this playbook is only an example.
    assert!(want.remove(&("KafkaProducerFlood".to_owned(), "shed-load".to_owned())));
    assert_eq!(answered, want);
}

#[test]
fn every_alert_has_its_runbook_and_a_severity_that_is_known() {
    for rule in rules() {
        let Some(alert) = rule.alert else { continue };
        let page = format!("docs/runbooks/{}.md", rule.name);

        assert!(Path::new(&page).is_file(), "{page}");

        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&page), "{}: {url}", rule.name);

        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{}", rule.name);
        assert!(alert["annotations"]["summary"].as_str().unwrap().ends_with('.'), "{}", rule.name);
    }
}

#[test]
fn the_labs_playbooks_read_series_that_exist() {
    let known = known();
    let config = yaml(Path::new("lab/kafka-optimizer.yml"));
    let values = Values::from([
        ("kafka_cluster", "main".to_owned()),
        ("broker_id", "1".to_owned()),
        ("consumergroup", "billing".to_owned()),
    ]);
    let mut read = 0;

    for playbook in config["remediation"]["playbooks"].as_array().unwrap() {
        let one = |it: &Value| it.as_str().map(str::to_owned);
        let guards = playbook["guards"].as_array().into_iter().flatten().filter_map(one);
        let soft = playbook["soft_guards"].as_array().into_iter().flatten();
        let soft = soft.filter_map(|it| one(&it["query"]));
        let objective = &playbook["objective"];
        let judged = [
            &objective["mean"]["sum"],
            &objective["mean"]["count"],
            &objective["rate"],
            &objective["gauge"],
            &objective["lag"],
            &playbook["load"],
            &playbook["when"],
            &playbook["expire_when"],
        ];

        for text in judged.into_iter().filter_map(one).chain(guards).chain(soft) {
            let expr = Template::new(&text).unwrap().render(&values);
            let missing: Vec<_> = names(&expr).difference(&known).cloned().collect();

            assert!(missing.is_empty(), "{text}: {missing:?}");

            read += 1;
        }
    }

    assert!(15 <= read, "only {read} expressions found");
}

fn panels(dashboard: &Value) -> Vec<Value> {
    let top = dashboard["panels"].as_array().unwrap();
    let inner = top.iter().flat_map(|it| it["panels"].as_array().into_iter().flatten());
    top.iter().chain(inner).filter(|it| it["type"] != "row").cloned().collect()
}

#[test]
fn grafana_loads_the_dashboard_without_edits() {
    let text = fs::read_to_string("grafana/dashboards/overview.json").unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();

    assert_eq!(dashboard["uid"], "kafka-optimizer-overview");
    assert_eq!(dashboard["editable"], false);
    assert!(dashboard["schemaVersion"].as_i64().unwrap() <= 42);

    for absent in ["__inputs", "__requires", "__elements", "gnetId"] {
        assert!(dashboard.get(absent).is_none(), "{absent}");
    }

    let panels = panels(&dashboard);
    let mut ids = BTreeSet::new();

    for panel in &panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{title}: its id is taken");
        assert!(!panel["description"].as_str().unwrap_or("").is_empty(), "{title}: no description");

        for place in std::iter::once(panel).chain(panel["targets"].as_array().into_iter().flatten())
        {
            if let Some(source) = place.get("datasource") {
                let uid = source["uid"].as_str().unwrap();
                assert!(uid == "${datasource}" || uid.starts_with("--"), "{title}: {uid}");
            }
        }
    }

    overlap_free(&panels);
}

fn overlap_free(panels: &[Value]) {
    let side = |it: &Value, key: &str| it["gridPos"][key].as_i64().unwrap();
    let mut taken = BTreeMap::new();

    for panel in panels {
        let title = panel["title"].as_str().unwrap().to_owned();
        assert!(side(panel, "x") + side(panel, "w") <= 24, "{title} is too wide");
        for y in side(panel, "y")..side(panel, "y") + side(panel, "h") {
            for x in side(panel, "x")..side(panel, "x") + side(panel, "w") {
                let before = taken.insert((x, y), title.clone());
                assert!(before.is_none(), "{title} lies on {before:?}");
            }
        }
    }
}

#[test]
fn rates_in_the_dashboard_use_the_rate_interval_of_the_panel() {
    let text = fs::read_to_string("grafana/dashboards/overview.json").unwrap();
    for line in text.lines().filter(|it| it.contains("rate(") || it.contains("increase(")) {
        assert!(line.contains("$__rate_interval") || line.contains("$__range"), "{line}");
    }
}
