//! The report in sections, for every rendering.

use super::{
    cost::money,
    data::{Report, ReportedCluster, ReportedComparison, ReportedMetric, ReportedRun},
    growth::{Growth, GrowthMetric},
    lessons,
    scaling::{self, ScalingTerm},
    trend::DAYS_MIN,
};
use crate::{
    baseline::{Metric, Unit, short},
    model::counted,
};

/// One titled section of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportSection {
    pub title: String,
    /// 2 for a cluster, 3 for what is said of it.
    pub level: usize,
    pub blocks: Vec<ReportBlock>,
}

/// A part of a section. In texts, what stands between two backticks is code.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportBlock {
    Paragraph(String),
    Table(ReportTable),
    List(Vec<String>),
    Checklist(Vec<ReportStep>),
    /// Before and after, drawn where there is a canvas.
    Bars(Vec<BarPair>),
    /// Drawn where there is a canvas.
    GrowthCharts(Vec<Growth>),
}

/// Cells of text, each number with its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTable {
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// What to do, with the exact command where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportStep {
    pub text: String,
    pub command: Option<String>,
}

/// What a kept run changed: after as a share of before.
#[derive(Clone, Debug, PartialEq)]
pub struct BarPair {
    pub label: String,
    pub share: f64,
}

/// A run that is in force, or was until it expired.
const APPLIED: &[&str] = &["kept", "expiring", "expired", "acting", "settling", "observing"];

/// A larger share of before is no measurement.
const SHARE_MAX: f64 = 1e6;

const LEVELS: &[&str] = &["producer", "broker", "consumer", "infrastructure"];

impl Report {
    /// What the report is about, in one line.
    pub fn subtitle(&self) -> String {
        format!(
            "Runs and baselines since {}, growth of the last {} days. Made at {} by \
             kafka-optimizer {}.",
            minute(&self.since),
            self.days,
            minute(&self.made_at),
            self.version
        )
    }

    /// The sections that have something to say.
    pub fn sections(&self) -> Vec<ReportSection> {
        self.clusters.iter().flat_map(ReportedCluster::sections).collect()
    }
}

fn section(title: &str, blocks: Vec<ReportBlock>) -> ReportSection {
    ReportSection { title: title.to_owned(), level: 3, blocks }
}

/// A table with a header; `None` without rows.
fn table(header: &[&'static str], rows: Vec<Vec<String>>) -> Option<ReportBlock> {
    let header = header.to_vec();
    (!rows.is_empty()).then_some(ReportBlock::Table(ReportTable { header, rows }))
}

impl ReportedCluster {
    fn sections(&self) -> Vec<ReportSection> {
        let title = format!("Cluster {}", self.facts.cluster);
        let summary = ReportBlock::Paragraph(self.summary());
        let head = ReportSection { title, level: 2, blocks: vec![summary] };
        let all = [
            Some(head),
            self.before_and_after(),
            self.applied(),
            self.rolled_back(),
            self.growth_section(),
            self.scaling_section(),
            self.cost_section(),
            self.lessons_section(),
            self.next_steps_section(),
            self.unknown_section(),
        ];

        all.into_iter().flatten().collect()
    }

    fn summary(&self) -> String {
        let state = match self.facts.severity.as_deref() {
            Some(light) => {
                format!("Severity {light}, {}.", counted(self.facts.findings.len(), "finding"))
            }
            None => "Nothing could be seen of the cluster.".to_owned(),
        };
        let number = |states: &[&str]| self.in_states(states).count();
        let brokers = self.facts.usage.brokers.map(|it| format!(" {it:.0} brokers."));

        format!(
            "{state}{} {}: {} kept, {} rolled back, {} stuck.",
            brokers.unwrap_or_default(),
            counted(self.facts.runs.len(), "run"),
            number(&["kept", "expiring", "expired"]),
            number(&["rolled_back"]),
            number(&["stuck"]),
        )
    }

    fn before_and_after(&self) -> Option<ReportSection> {
        let mut blocks = Vec::new();
        if let Some(compared) = &self.facts.comparison {
            blocks.extend(compared.blocks());
        }

        let judged: Vec<&ReportedRun> = self
            .in_states(&["kept", "expiring", "expired"])
            .filter(|it| it.before.is_some() && it.after.is_some())
            .collect();
        let header = ["run", "target", "playbook", "before", "after", "improvement", "evidence"];
        let rows = judged.iter().map(|it| it.judged_row()).collect();

        if let Some(table) = table(&header, rows) {
            blocks.push(ReportBlock::Paragraph(
                "What kept runs changed: the objective of each in its baseline and in its \
                 observation; the improvement is less what the load explains."
                    .to_owned(),
            ));
            blocks.push(table);
            blocks.push(ReportBlock::Bars(judged.iter().filter_map(|it| it.bars()).collect()));
        }

        (!blocks.is_empty()).then(|| section("Before and after", blocks))
    }

    /// What is in force, or was for its time, by where it acts.
    fn applied(&self) -> Option<ReportSection> {
        let mut rows = Vec::new();
        for level in LEVELS {
            for run in self.in_states(APPLIED) {
                let of_level = run.changes.iter().filter(|it| it.level == **level);
                rows.extend(of_level.map(|it| {
                    let to = it.to.clone().unwrap_or_else(|| "removed".to_owned());
                    let cells = [it.subject.clone(), it.key.clone(), it.from.clone(), to];
                    let state = run.state.replace('_', " ");
                    let first = [(*level).to_owned(), run.name()];

                    first.into_iter().chain(cells).chain([state]).collect()
                }));
            }
        }

        let is_used = |level: &&&str| {
            rows.iter().any(|it: &Vec<String>| it.first().is_some_and(|it| it == **level))
        };
        let unused: Vec<&str> = LEVELS.iter().filter(|it| !is_used(it)).copied().collect();
        let nothing = format!("Nothing was applied at: {}.", unused.join(", "));
        let table = table(&["level", "run", "subject", "key", "from", "to", "state"], rows)?;
        let mut blocks = vec![table];

        if !unused.is_empty() {
            blocks.push(ReportBlock::Paragraph(nothing));
        }

        Some(section("What was applied", blocks))
    }

    fn rolled_back(&self) -> Option<ReportSection> {
        let row = |it: &ReportedRun| {
            let words = |it: &Option<String>| it.clone().unwrap_or_default().replace('_', " ");
            let evidence = it.sentence.clone().or(it.note.clone()).unwrap_or_default();
            let (reason, verdict) = (words(&it.rollback_reason), words(&it.verdict));

            vec![it.name(), it.target.clone(), it.playbook.clone(), reason, verdict, evidence]
        };
        let rows = self.in_states(&["rolled_back", "rolling_back", "stuck"]).map(row).collect();
        let header = ["run", "target", "playbook", "reason", "verdict", "evidence"];

        table(&header, rows).map(|it| section("What was rolled back", vec![it]))
    }

    fn growth_section(&self) -> Option<ReportSection> {
        let rows = self.facts.growth.iter().filter_map(Growth::row).collect();
        let header = ["what", "now", "a day", "95 % bounds", "days known", "limit", "reached"];
        let text = "A line through the highest value of each day, which a few odd days do not \
                    move. It says what comes if the growth goes on as it was.";
        let table = table(&header, rows)?;
        let drawn = self.facts.growth.iter().filter(|it| it.trend.is_some()).cloned().collect();

        Some(section(
            "Growth",
            vec![ReportBlock::Paragraph(text.to_owned()), table, ReportBlock::GrowthCharts(drawn)],
        ))
    }

    fn scaling_section(&self) -> Option<ReportSection> {
        if self.facts.growth.iter().all(|it| it.trend.is_none()) {
            return None;
        }

        let currency = self.facts.prices.as_ref().map(|it| it.currency.as_str());

        // Without prices the last column is not there.
        let priced = |cells: Vec<String>, cost: Option<f64>| {
            let cost = currency.map(|it| cost.map(|cost| money(cost, it)).unwrap_or_default());
            cells.into_iter().chain(cost).collect::<Vec<String>>()
        };
        let row = |term: ScalingTerm| {
            let mut of_term: Vec<Vec<String>> = self
                .scaling
                .iter()
                .filter(|it| it.term == term)
                .map(|it| {
                    let term = term.words().to_owned();
                    priced(vec![term, it.text.clone(), it.arithmetic.clone()], it.per_month)
                })
                .collect();
            if of_term.is_empty() {
                let nothing = "Nothing is due by growth that is sure";
                let cells = [term.words(), nothing, ""].map(str::to_owned);
                of_term.push(priced(cells.to_vec(), None));
            }

            of_term
        };
        let rows = ScalingTerm::ALL.iter().flat_map(|it| row(*it)).collect();
        let header = ["term", "advice", "arithmetic", "cost a month"];
        let columns = if currency.is_some() { header.len() } else { header.len() - 1 };
        let header = header.get(..columns).unwrap_or_default();
        let mut blocks: Vec<ReportBlock> = table(header, rows).into_iter().collect();

        if let Some(tenfold) = &self.tenfold {
            let cost = tenfold.per_month.zip(currency);
            let cost = cost.map(|(it, currency)| format!(", {} a month", money(it, currency)));
            blocks.push(ReportBlock::Paragraph(format!(
                "Ten times the load would need {:.0} brokers of this kind{}, if everything grows \
                 with it:",
                tenfold.brokers,
                cost.unwrap_or_default()
            )));
            blocks.push(ReportBlock::List(tenfold.arithmetic.clone()));
        }

        Some(section("Scaling", blocks))
    }

    fn cost_section(&self) -> Option<ReportSection> {
        let cost = self.cost.as_ref()?;
        let of = |it: f64| money(it, &cost.currency);
        let mut rows: Vec<Vec<String>> = cost
            .items
            .iter()
            .map(|it| vec![it.what.clone(), it.arithmetic.clone(), of(it.per_hour)])
            .collect();
        let month = format!("{} a month", of(cost.per_month));
        rows.push(vec!["together".to_owned(), month, of(cost.per_hour)]);

        let mut blocks: Vec<ReportBlock> =
            table(&["what", "arithmetic", "cost an hour"], rows).into_iter().collect();
        if let (Some(each), Some(records)) =
            (cost.per_million_records, self.facts.usage.records_per_second)
        {
            blocks.push(ReportBlock::Paragraph(format!(
                "{} per million records: {} an hour ÷ ({} records/s × 3600 s ÷ 1,000,000).",
                of(each),
                of(cost.per_hour),
                short(records)
            )));
        }

        Some(section("Cost", blocks))
    }

    fn lessons_section(&self) -> Option<ReportSection> {
        let rows = self
            .lessons
            .iter()
            .map(|it| {
                vec![
                    it.optimizer.clone(),
                    it.target.clone(),
                    counted(it.kept, "run"),
                    counted(it.rolled_back, "run"),
                    percent(it.median_effect),
                    it.words().to_owned(),
                ]
            })
            .collect();
        let header = ["optimizer", "target", "kept", "rolled back", "median effect", "lesson"];

        table(&header, rows).map(|it| section("Lessons", vec![it]))
    }

    fn next_steps_section(&self) -> Option<ReportSection> {
        let steps = lessons::next_steps(self);
        (!steps.is_empty()).then(|| section("Next steps", vec![ReportBlock::Checklist(steps)]))
    }

    /// What the report cannot say, and why.
    fn unknown_section(&self) -> Option<ReportSection> {
        let facts = &self.facts;
        let mut unknown = facts.not_read.clone();

        if facts.comparison.is_none() && facts.baselines.len() < 2 {
            unknown.push(
                "throughput, times, CPU and memory before and after: there are not two baselines \
                 to compare"
                    .to_owned(),
            );
        }

        let has_p99 = facts
            .comparison
            .iter()
            .flat_map(|it| &it.metrics)
            .any(|it| it.metric == ReportedMetric::PROBE_P99);
        if !has_p99 {
            unknown.push(
                "p99: brokers have no percentile of a window, so times are means; with `probe` in \
                 the configuration, that of the probe's records is known"
                    .to_owned(),
            );
        }

        let few = |it: &&GrowthMetric| {
            let found = facts.growth.iter().find(|growth| growth.metric == **it);
            found.is_none_or(|it| it.trend.is_none())
        };
        let few: Vec<&str> = GrowthMetric::ALL.iter().filter(few).map(|it| it.words()).collect();

        // Without any growth, what could not be read says why.
        if !few.is_empty() && !facts.growth.is_empty() {
            unknown.push(format!(
                "growth of {}: Prometheus has fewer than {DAYS_MIN} days of it",
                few.join(", ")
            ));
        }

        let has_network =
            facts.growth.iter().any(|it| it.metric == GrowthMetric::Network && it.limit.is_none());
        if has_network {
            unknown.push(
                "when the network runs out: the configuration has no `capacity.network_per_broker`"
                    .to_owned(),
            );
        }

        match (&facts.prices, &self.cost) {
            (None, _) => unknown.push("cost: the configuration has no `prices`".to_owned()),
            (Some(_), None) => {
                unknown.push("cost: what has a price is not known to Prometheus".to_owned());
            }
            (Some(_), Some(cost)) if cost.per_million_records.is_none() => {
                unknown.push("cost per million records: Prometheus has no records in".to_owned());
            }
            (Some(_), Some(_)) => {}
        }

        (!unknown.is_empty())
            .then(|| section("What is not known", vec![ReportBlock::List(unknown)]))
    }
}

impl ReportedComparison {
    fn blocks(&self) -> Vec<ReportBlock> {
        let rows = self.metrics.iter().filter_map(ReportedMetric::row).collect();
        let header = ["what", "before", "after", "improvement", "95 % bounds", "verdict"];
        let Some(table) = table(&header, rows) else { return Vec::new() };
        let text = format!(
            "The whole cluster, from baseline {} ({}) to baseline {} ({}): medians of minutes; the \
             improvement is less what the load explains.",
            self.before.name,
            minute(&self.before.recorded_at),
            self.after.name,
            minute(&self.after.recorded_at)
        );

        let mut blocks = vec![ReportBlock::Paragraph(text), table];
        if !self.notes.is_empty() {
            blocks.push(ReportBlock::List(self.notes.clone()));
        }

        blocks
    }
}

impl ReportedMetric {
    /// `None` if nothing was measured in either window.
    fn row(&self) -> Option<Vec<String>> {
        let unit = Unit::from_label(&self.unit)?;
        let shown = |it: Option<f64>| {
            it.filter(|it| it.is_finite()).map(|it| unit.shown(it)).unwrap_or_default()
        };
        let (low, high) = (percent(self.improvement_low), percent(self.improvement_high));
        let between = if low.is_empty() || high.is_empty() {
            String::new()
        } else {
            format!("{low} to {high}")
        };

        (self.before.is_some() || self.after.is_some()).then(|| {
            vec![
                words(&self.metric),
                shown(self.before),
                shown(self.after),
                percent(self.improvement),
                between,
                self.verdict.clone().unwrap_or_else(|| "(the load)".to_owned()),
            ]
        })
    }
}

/// A metric of baselines, as people call it.
fn words(metric: &str) -> String {
    if metric == ReportedMetric::PROBE_P99 {
        return "p99 of the probe's records".to_owned();
    }

    let known = Metric::from_label(metric).map(|it| match it {
        Metric::ProduceTime => "mean produce time",
        Metric::FetchTime => "mean fetch time",
        Metric::BytesIn => "throughput in",
        Metric::BytesOut => "throughput out",
        Metric::Requests => "requests of clients",
        Metric::Cpu => "CPU",
        Metric::HandlerIdle => "request handlers idle",
        Metric::NetworkIdle => "network processors idle",
        Metric::Heap => "memory (heap)",
    });

    known.map_or_else(|| metric.replace('_', " "), str::to_owned)
}

impl ReportedRun {
    fn name(&self) -> String {
        format!("run {}", self.id)
    }

    fn judged_row(&self) -> Vec<String> {
        let unit = self.objective.as_deref().and_then(objective_unit);
        let (before, after) = match (unit, self.before, self.after) {
            (Some(unit), Some(before), Some(after)) if before.is_finite() && after.is_finite() => {
                (unit.shown(before), unit.shown(after))
            }
            _ => {
                let share = self.share().map(|it| format!("{:.0} % of before", it * 100.0));
                ("100 %".to_owned(), share.unwrap_or_default())
            }
        };

        vec![
            self.name(),
            self.target.clone(),
            self.playbook.clone(),
            before,
            after,
            percent(self.effect),
            self.sentence.clone().unwrap_or_default(),
        ]
    }

    /// After as a share of before.
    fn share(&self) -> Option<f64> {
        // There is no -0.
        let share = self.after? / self.before? + 0.0;
        (0.0..SHARE_MAX).contains(&share).then_some(share)
    }

    fn bars(&self) -> Option<BarPair> {
        let label = format!("{}, {}, {}", self.name(), self.target, self.playbook);
        Some(BarPair { label, share: self.share()? })
    }
}

/// The unit of an objective, by the names of the series of the recording rules. `None` for others:
/// a number without its unit says nothing.
fn objective_unit(objective: &str) -> Option<Unit> {
    let has = |it: &str| objective.contains(it);
    let is_time = has(":milliseconds_sum") && has("/ 1000") || has(":mean_seconds");

    if is_time {
        return Some(Unit::Seconds);
    }

    let is_throughput = has("kafka:bytes_in:rate") || has("kafka:bytes_out:rate");
    let share = has(":ratio").then_some(Unit::Ratio);

    is_throughput.then_some(Unit::BytesPerSecond).or(share)
}

impl Growth {
    /// Its row in the table; `None` without a trend.
    fn row(&self) -> Option<Vec<String>> {
        let trend = self.trend?;

        // What is nothing beside the value itself is none.
        let least = trend.now.abs() * 1e-5;
        let shown = |it: f64| self.unit.shown(if it.abs() > least { it } else { 0.0 });
        let limit = match self.limit {
            Some(limit) if self.metric.is_load() => format!("+30 %: {}", shown(limit)),
            Some(limit) => shown(limit),
            None => "not known".to_owned(),
        };
        let reached = match self.until {
            Some(_) if self.limit.is_some_and(|it| it <= trend.now) => "now".to_owned(),
            Some(until) if self.is_sure() => scaling::days(&until),
            Some(until) => {
                format!("no growth that is sure; not before {:.0} days", until.earliest)
            }
            None if self.limit.is_none() => String::new(),
            None => "not within ten years".to_owned(),
        };

        Some(vec![
            self.metric.words().to_owned(),
            shown(trend.now.max(0.0)),
            shown(trend.per_day),
            format!("{} to {}", shown(trend.per_day_low), shown(trend.per_day_high)),
            counted(trend.days, "day"),
            limit,
            reached,
        ])
    }
}

/// A time such as `2026-01-02T03:04:05.006Z` to the minute; another text as it is.
fn minute(at: &str) -> String {
    let to_the_minute = at.get(..16).filter(|_| at.ends_with('Z'));
    to_the_minute.map_or_else(|| at.to_owned(), |it| format!("{} UTC", it.replace('T', " ")))
}

/// A share with its sign; empty if it is not known.
fn percent(share: Option<f64>) -> String {
    let known = share.filter(|it| it.is_finite());

    known.map(|it| it * 100.0).map_or_else(String::new, |it| match it.abs() {
        size if size < 0.5 => "0 %".to_owned(),
        size if size < 1000.0 => format!("{it:+.0} %"),
        _ => format!("{} %", short(it)),
    })
}
