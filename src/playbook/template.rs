//! A PromQL expression with variables for label values.
//!
//! Invariant (I35): `$name` is allowed only as the whole value of an `=` matcher, so that a value
//! cannot become part of the expression. This is checked when a template is created; values are
//! escaped when it is rendered.

use std::{collections::BTreeMap, fmt, time::Duration};

use promql_parser::{
    label::{MatchOp, Matchers},
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};

use crate::model::BrokerId;

/// Values by variable name, without the `$`.
pub type Values = BTreeMap<&'static str, String>;

/// The variables: labels whose value comes from live metadata or the configuration.
const VARIABLES: &[&str] = &["kafka_cluster", "broker_id", "consumergroup"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    selectors: Vec<String>,
    is_counter: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("not a PromQL expression: {0}")]
    Syntax(String),
    #[error(
        "`{0}`: a `$label` may only be the whole value of an `=` matcher, as in {{broker_id=\"$broker_id\"}}"
    )]
    MisplacedVariable(String),
    #[error("`${0}` is unknown; there are $kafka_cluster, $broker_id and $consumergroup")]
    UnknownVariable(String),
}

/// Collects the selectors of an expression.
#[derive(Default)]
struct Selectors(Vec<VectorSelector>);

impl ExprVisitor for Selectors {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        if let Expr::VectorSelector(selector) = expr {
            self.0.push(selector.clone());
        }
        if let Expr::MatrixSelector(selector) = expr {
            self.0.push(selector.vs.clone());
        }
        Ok(true)
    }
}

impl Template {
    /// # Errors
    ///
    /// When `text` is not PromQL, or has a variable where a value could change the expression.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let expr = parser::parse(text).map_err(TemplateError::Syntax)?;
        let mut found = Selectors::default();
        let Ok(_) = walk_expr(&mut found, &expr);
        let mut whole_values = 0_usize;

        for selector in &found.0 {
            whole_values = whole_values.saturating_add(check_matchers(&selector.matchers)?);
        }

        // A variable in a string literal or a comment is in no matcher: compare with all variables.
        if variables(text).count() != whole_values {
            let first = variables(text).next().unwrap_or_default();
            return Err(TemplateError::MisplacedVariable(format!("${first}")));
        }

        let mut selectors: Vec<String> = found.0.iter().map(bare).collect();
        selectors.sort();
        selectors.dedup();

        Ok(Self { text: text.to_owned(), selectors, is_counter: is_counter(&expr) })
    }

    /// Whether the expression may be a counter: a selector, a sum of selectors, or one of them in
    /// another unit. Whether the series is one, only Prometheus knows.
    pub const fn is_counter(&self) -> bool {
        self.is_counter
    }

    pub fn render(&self, values: &Values) -> String {
        render(&self.text, values)
    }

    /// The expression about other brokers than `$broker_id`. `None` if it does not name one.
    pub fn render_others(&self, values: &Values, others: &[BrokerId]) -> Option<String> {
        // Ids are numbers, and need no escape.
        let ids: Vec<String> = others.iter().map(ToString::to_string).collect();
        self.render_brokers(values, &ids.join("|")).filter(|_| !others.is_empty())
    }

    /// The expression about every broker. `None` if it does not name one.
    pub fn render_all_brokers(&self, values: &Values) -> Option<String> {
        self.render_brokers(values, ".+")
    }

    /// Replaces `="$broker_id"`, which is the whole value of its matcher, as was checked.
    fn render_brokers(&self, values: &Values, pattern: &str) -> Option<String> {
        let mut text = self.text.clone();
        for quote in ['"', '\'', '`'] {
            let variable = format!("{quote}$broker_id{quote}");
            while let Some(at) = text.find(&variable) {
                let equal = text.get(..at)?.rfind('=')?;
                let end = at.saturating_add(variable.len());
                text.replace_range(equal..end, &format!("=~\"{pattern}\""));
            }
        }

        (text != self.text).then(|| render(&text, values))
    }

    /// Every selector of the expression, rendered: the inputs that it depends on.
    pub fn inputs(&self, values: &Values) -> Vec<String> {
        self.selectors.iter().map(|it| render(it, values)).collect()
    }

    /// The variables of the expression, without the `$`.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        variables(&self.text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_counter(expr: &Expr) -> bool {
    match expr {
        Expr::VectorSelector(it) => it.offset.is_none() && it.at.is_none(),
        Expr::Paren(it) => is_counter(&it.expr),
        Expr::Aggregate(it) => it.op.to_string() == "sum" && is_counter(&it.expr),
        // Of another unit.
        Expr::Binary(it) => {
            let is_scaled = matches!(it.op.to_string().as_str(), "*" | "/");
            is_scaled && is_counter(&it.lhs) && matches!(&*it.rhs, Expr::NumberLiteral(_))
        }
        Expr::Unary(_)
        | Expr::Subquery(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::MatrixSelector(_)
        | Expr::Call(_)
        | Expr::Extension(_) => false,
    }
}

/// The selector without `offset` and `@`, as PromQL.
fn bare(selector: &VectorSelector) -> String {
    let mut plain = selector.clone();
    plain.offset = None;
    plain.at = None;

    plain.to_string()
}

/// Number of variables in the matchers.
fn check_matchers(matchers: &Matchers) -> Result<usize, TemplateError> {
    let mut found = 0_usize;
    let alternatives = matchers.or_matchers.iter().flatten();

    for matcher in matchers.matchers.iter().chain(alternatives) {
        let Some(name) = variables(&matcher.value).next() else { continue };
        if matcher.op != MatchOp::Equal || matcher.value != format!("${name}") {
            return Err(TemplateError::MisplacedVariable(matcher.to_string()));
        }

        if !VARIABLES.contains(&name) {
            return Err(TemplateError::UnknownVariable(name.to_owned()));
        }

        found = found.saturating_add(1);
    }

    Ok(found)
}

/// The name after each `$` that a letter or `_` follows. A `$` at the end of a regular expression
/// is no variable.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let end = rest.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
        let name = &rest[..end.unwrap_or(rest.len())];
        name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_').then_some(name)
    })
}

/// Replaces the quoted variables, in one pass: a value that looks like a variable stays as it is.
fn render(text: &str, values: &Values) -> String {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;

    while let Some(at) = rest.find(['"', '\'', '`']) {
        let (before, literal) = rest.split_at(at);
        rendered.push_str(before);

        let variable = values.iter().find_map(|(name, value)| {
            let quote = literal.chars().next()?;
            let written = format!("{quote}${name}{quote}");
            Some((literal.strip_prefix(&written)?, value))
        });
        let end = at.saturating_add(1).min(rest.len());

        if let Some((after, value)) = variable {
            rendered.push_str(&quoted(value));
            rest = after;
        } else {
            rendered.push_str(&rest[at..end]);
            rest = &rest[end..];
        }
    }

    rendered.push_str(rest);

    rendered
}

/// The mean of `query` over each `bin`. Of a selector it is the mean of its true samples, of any
/// other expression that of its values at each `step`.
pub fn averaged(query: &str, bin: Duration, step: Duration) -> String {
    let (bin, step) = (bin.as_millis(), step.as_millis());
    let is_selector = matches!(
        parser::parse(query),
        Ok(Expr::VectorSelector(it)) if it.offset.is_none() && it.at.is_none()
    );

    if is_selector {
        format!("avg_over_time({query}[{bin}ms])")
    } else {
        format!("avg_over_time(({query})[{bin}ms:{step}ms])")
    }
}

/// `value` as a PromQL string literal, with Go's escapes.
pub fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for it in value.chars() {
        match it {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            it if it.is_control() => text.extend(format!("\\u{:04x}", u32::from(it)).chars()),
            it => text.push(it),
        }
    }

    text.push('"');

    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(cluster: &str) -> Values {
        Values::from([("kafka_cluster", cluster.to_owned()), ("broker_id", "1".to_owned())])
    }

    #[test]
    fn i35_any_value_stays_the_value_of_its_matcher() {
        let template = Template::new(r#"up{kafka_cluster="$kafka_cluster"} == 1"#).unwrap();
        let nasty = "a\"} or vector(1) #\\ \n$broker_id";
        let text = template.render(&values(nasty));
        let expr = parser::parse(&text).unwrap();
        let mut found = Selectors::default();
        let Ok(_) = walk_expr(&mut found, &expr);

        assert_eq!(found.0.len(), 1);
        assert_eq!(found.0[0].matchers.matchers[0].value, nasty);
    }

    #[test]
    fn i35_a_group_that_is_named_like_a_variable_is_one_value() {
        let template = Template::new(r#"lag{a='$consumergroup',b="$kafka_cluster"}"#).unwrap();

        for name in ["'$kafka_cluster'", "\"$broker_id\"", "`$consumergroup`", "$kafka_cluster"] {
            let mut values = values("main");
            values.insert("consumergroup", name.to_owned());
            let text = template.render(&values);
            let expr = parser::parse(&text).unwrap();
            let mut found = Selectors::default();
            let Ok(_) = walk_expr(&mut found, &expr);
            let matchers = &found.0[0].matchers.matchers;

            assert_eq!((matchers[0].value.as_str(), matchers[1].value.as_str()), (name, "main"));
        }
    }

    #[test]
    fn i35_a_variable_is_the_whole_value_of_an_equal_matcher_or_refused() {
        for text in [
            r#"up{kafka_cluster=~"$kafka_cluster"}"#,
            r#"up{kafka_cluster!="$kafka_cluster"}"#,
            r#"up{kafka_cluster="a$kafka_cluster"}"#,
            r#"label_replace(up, "a", "$kafka_cluster", "b", ".*")"#,
            r#"up{pod="$pod"}"#,
            "up > $broker_id",
            "up{",
        ] {
            assert!(Template::new(text).is_err(), "{text}");
        }

        assert!(Template::new(r#"up{x=~"a$"} and up{broker_id="$broker_id"}"#).is_ok());
    }

    #[test]
    fn the_untouched_brokers_are_those_of_the_same_expression() {
        let others = [2, 3].map(|it| BrokerId::from_wire(it).unwrap());
        let of = |text: &str| Template::new(text).unwrap().render_others(&values("main"), &others);
        let text = r#"sum(a{kafka_cluster="$kafka_cluster",broker_id = "$broker_id"}) / b{broker_id='$broker_id'}"#;
        let want = r#"sum(a{kafka_cluster="main",broker_id =~"2|3"}) / b{broker_id=~"2|3"}"#;

        assert_eq!(of(text).as_deref(), Some(want));
        assert_eq!(of(r#"max(a{kafka_cluster="$kafka_cluster"})"#), None);
        assert!(parser::parse(want).is_ok());
    }

    #[test]
    fn a_counter_is_a_selector_or_a_sum_of_selectors() {
        for text in ["a_total", "a / 1000", "sum(a_total)", r#"sum by (broker_id) ((a{b="c"}))"#] {
            assert!(Template::new(text).unwrap().is_counter(), "{text}");
        }
        for text in ["rate(a[5m])", "max(a)", "a offset 5m", "a / b", "a > 1", "sum(rate(a[1m]))"] {
            assert!(!Template::new(text).unwrap().is_counter(), "{text}");
        }
    }

    #[test]
    fn every_selector_of_an_expression_is_an_input() {
        let text = r#"sum(rate(a_total{broker_id="$broker_id"}[5m])) / max(b offset 5m)"#;
        let inputs = Template::new(text).unwrap().inputs(&values("main"));
        assert_eq!(inputs, [r#"a_total{broker_id="1"}"#, "b"]);
    }
}
