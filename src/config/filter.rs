//! Which names are collected: regular expressions that match the whole name, as in Prometheus.

use regex::RegexSet;

/// Which names are collected. Without any expression, all.
#[derive(Clone, Debug, Default)]
pub struct NameFilter {
    /// Empty means everything.
    include: RegexSet,
    exclude: RegexSet,
}

impl NameFilter {
    /// A name is collected when one of `include` matches it, or there is none, and none of
    /// `exclude` does.
    ///
    /// # Errors
    ///
    /// When one is no regular expression, or too large a one.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, regex::Error> {
        let whole = |it: &[String]| RegexSet::new(it.iter().map(|it| format!("^(?:{it})$")));
        Ok(Self { include: whole(include)?, exclude: whole(exclude)? })
    }

    /// Whether `name` is collected.
    pub fn admits(&self, name: &str) -> bool {
        (self.include.is_empty() || self.include.is_match(name)) && !self.exclude.is_match(name)
    }
}

impl PartialEq for NameFilter {
    fn eq(&self, other: &Self) -> bool {
        self.include.patterns() == other.include.patterns()
            && self.exclude.patterns() == other.exclude.patterns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these names are collected.
    #[track_caller]
    fn check(include: &[&str], exclude: &[&str], want: &[&str]) {
        let owned = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let filter = NameFilter::new(&owned(include), &owned(exclude)).unwrap();
        let names = ["orders", "orders-eu", "ab", "__offsets"];
        let admitted: Vec<&str> = names.into_iter().filter(|it| filter.admits(it)).collect();
        assert_eq!(admitted, want, "{include:?} {exclude:?}");
    }

    #[test]
    fn the_whole_name_is_matched_and_exclusion_wins() {
        check(&[], &[], &["orders", "orders-eu", "ab", "__offsets"]);
        check(&["orders"], &[], &["orders"]);
        check(&["orders.*", "ab"], &[], &["orders", "orders-eu", "ab"]);
        check(&["a|b"], &[], &[]);
        check(&[], &["__.*"], &["orders", "orders-eu", "ab"]);
        check(&[".*"], &["orders"], &["orders-eu", "ab", "__offsets"]);
    }
}
