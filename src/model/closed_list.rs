//! Closed lists: enums whose labels are part of a contract (metric labels, states, reasons).

/// An enum whose every variant has a label. Implemented by `closed_list!` only; for code that is
/// generic over such enums, as the inherent items of the same names are usable in constants.
pub trait ClosedList: Copy + Eq + Sized + 'static {
    /// Every variant, in the order of declaration.
    const ALL: &'static [Self];

    /// The word for the variant in metrics, in the API and in the store.
    fn label(self) -> &'static str;

    /// The variant with this label.
    fn from_label(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.label() == label)
    }
}

/// Declares an enum, all of its variants and their labels from one text: a variant cannot be added
/// and left out of the series that are created at start.
macro_rules! closed_list {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $variant:ident = $label:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of declaration.
            $vis const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word for the variant in metrics, in the API and in the store.
            $vis const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// The variant with this label.
            $vis fn from_label(label: &str) -> Option<Self> {
                <Self as $crate::model::ClosedList>::from_label(label)
            }
        }

        impl $crate::model::ClosedList for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn label(self) -> &'static str {
                Self::label(self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.label())
            }
        }
    };
}
pub(crate) use closed_list;

/// The label of a closed list as its form in JSON, for `#[serde(with = …)]`.
pub(crate) mod as_label {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::ClosedList;

    pub(crate) fn serialize<T: ClosedList, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.label())
    }

    pub(crate) fn deserialize<'de, T: ClosedList, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let label = String::deserialize(deserializer)?;
        T::from_label(&label).ok_or_else(|| D::Error::custom(format!("unknown label `{label}`")))
    }
}
