//! Declaration of a metric: name, type, help, labels.

use crate::model::closed_list;

closed_list! {
    /// Type of a metric in the text format.
    pub enum Kind {
        /// Monotonic, except for resets.
        Counter = "counter",
        Gauge = "gauge",
        Histogram = "histogram",
        /// For a name whose suffix the format reserves for another type; kept for compatibility.
        Untyped = "untyped",
    }
}

/// One exported metric. The name of a metric appears in the code only in its `Spec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// As exported, with the suffix `_total` of counters.
    pub name: &'static str,
    pub kind: Kind,
    /// Help text, exactly as exported.
    pub help: &'static str,
    /// Label names in the exported order.
    pub labels: &'static [&'static str],
    /// What bounds the number of series, for the documentation.
    pub bound: &'static str,
}

/// Declares a constant per metric, and `ALL` of them.
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
