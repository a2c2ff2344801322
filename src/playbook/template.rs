//! A PromQL expression with places for a label's value.
//!
//! Invariant (I35): `$name` stands only as the whole value of an `=` matcher, so a value cannot
//! become part of the expression. Checked when the template is made; values are escaped when they
//! are put in.

use std::{collections::BTreeMap, fmt};

use promql_parser::{
    label::{MatchOp, Matchers},
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};

/// Values for the places, by name.
pub type Values = BTreeMap<&'static str, String>;

/// Labels that may be put in: those whose value is taken from live metadata or the configuration.
const PLACES: &[&str] = &["kafka_cluster", "broker_id", "consumergroup"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    selectors: Vec<String>,
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not PromQL.
    #[error("not a PromQL expression: {0}")]
    Syntax(String),
    /// A place where none may be.
    #[error(
        "`{0}`: a `$label` may only be the whole value of an `=` matcher, as in {{broker_id=\"$broker_id\"}}"
    )]
    Place(String),
    /// A label that has no checked value.
    #[error("`${0}` is not known; there are $kafka_cluster, $broker_id and $consumergroup")]
    Name(String),
}

/// Collects the vector selectors of an expression.
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
    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// When it is not PromQL, or has a `$label` in a place where a value could do harm.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let expr = parser::parse(text).map_err(TemplateError::Syntax)?;
        let mut found = Selectors::default();
        let Ok(_) = walk_expr(&mut found, &expr);
        let mut whole_values = 0_usize;
        for selector in &found.0 {
            whole_values = whole_values.saturating_add(check_matchers(&selector.matchers)?);
        }
        // A place in a string literal, a label_replace or a comment is in no matcher: count them
        // all.
        if places(text).count() != whole_values {
            let stray = places(text).next().unwrap_or_default();
            return Err(TemplateError::Place(format!("${stray}")));
        }
        let mut selectors: Vec<String> = found.0.iter().map(bare).collect();
        selectors.sort();
        selectors.dedup();
        Ok(Self { text: text.to_owned(), selectors })
    }

    /// The expression with `values` put in.
    pub fn render(&self, values: &Values) -> String {
        render(&self.text, values)
    }

    /// Every vector selector of the expression, with `values` put in: the inputs it depends on.
    pub fn inputs(&self, values: &Values) -> Vec<String> {
        self.selectors.iter().map(|it| render(it, values)).collect()
    }

    /// The labels it needs a value for.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        places(&self.text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The selector without modifiers, as text that parses again.
fn bare(selector: &VectorSelector) -> String {
    let mut plain = selector.clone();
    plain.offset = None;
    plain.at = None;
    plain.to_string()
}

/// How many whole-value places the matchers hold.
fn check_matchers(matchers: &Matchers) -> Result<usize, TemplateError> {
    let mut found = 0_usize;
    let alternatives = matchers.or_matchers.iter().flatten();
    for matcher in matchers.matchers.iter().chain(alternatives) {
        let Some(name) = places(&matcher.value).next() else { continue };
        if matcher.op != MatchOp::Equal || matcher.value != format!("${name}") {
            return Err(TemplateError::Place(matcher.to_string()));
        }
        if !PLACES.contains(&name) {
            return Err(TemplateError::Name(name.to_owned()));
        }
        found = found.saturating_add(1);
    }
    Ok(found)
}

/// The names after each `$` that a letter or `_` follows; a `$` that ends a regular expression is
/// none.
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let end = rest.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
        let name = &rest[..end.unwrap_or(rest.len())];
        name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_').then_some(name)
    })
}

fn render(text: &str, values: &Values) -> String {
    let mut done = text.to_owned();
    for (name, value) in values {
        for quote in ['"', '\'', '`'] {
            let place = format!("{quote}${name}{quote}");
            done = done.replace(&place, &quoted(value));
        }
    }
    done
}

/// `value` as a PromQL string: Go's escapes, nothing left that could end it.
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
    fn i35_a_value_stays_a_value_whatever_it_holds() {
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
    fn i35_a_place_is_the_whole_value_of_an_equal_matcher_or_refused() {
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
    fn every_selector_is_an_input() {
        let text = r#"sum(rate(a_total{broker_id="$broker_id"}[5m])) / max(b offset 5m)"#;
        let inputs = Template::new(text).unwrap().inputs(&values("main"));
        assert_eq!(inputs, [r#"a_total{broker_id="1"}"#, "b"]);
    }
}
