//! How a metric is described, once.

use crate::model::closed_list;

closed_list! {
    /// A metric's type in the text format.
    pub enum Kind {
        /// Only rises, until the process or the thing it counts starts again.
        Counter = "counter",
        Gauge = "gauge",
        /// Buckets, a sum and a count.
        Histogram = "histogram",
        /// No type: a name that the format reserves for another type, kept for its users.
        Untyped = "untyped",
    }
}

/// One exported metric. A metric's name is spelt in its `Spec` and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// As it stands on the page (a counter with its `_total`).
    pub name: &'static str,
    pub kind: Kind,
    /// Exactly as it stands on the page.
    pub help: &'static str,
    /// In the order of the page.
    pub labels: &'static [&'static str],
    /// What bounds the number of its series, in words.
    pub bound: &'static str,
}

/// Metrics by their constants, and `ALL` of them.
macro_rules! specs {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*]
        $help:literal, $bound:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: Spec = Spec {
                name: $name,
                kind: Kind::$kind,
                help: $help,
                labels: &[$($label),*],
                bound: $bound,
            };
        )+

        /// All of them, in the order of the documentation.
        pub const ALL: &[Spec] = &[$($constant),+];
    };
}

pub(super) use specs;
