//! The levels of the feature `metadata.version`, as Kafka's own `MetadataVersion` names them.

/// The names of the levels, from level 1 on.
const NAMES: &[&str] = &[
    "3.0-IV1", "3.1-IV0", "3.2-IV0", "3.3-IV0", "3.3-IV1", "3.3-IV2", "3.3-IV3", "3.4-IV0",
    "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1",
    "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2",
    "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0",
];

/// The version that a level stands for, such as `4.0-IV3`; of a later one than this program knows,
/// its number.
pub fn metadata_version_name(level: i16) -> String {
    let index = usize::try_from(level).ok().and_then(|it| it.checked_sub(1));
    let name = index.and_then(|it| NAMES.get(it));

    name.map_or_else(|| format!("metadata.version {level}"), |it| (*it).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_the_name_of_its_version() {
        for (level, name) in [
            (1, "3.0-IV1"),
            (19, "3.7-IV4"),
            (21, "3.9-IV0"),
            (25, "4.0-IV3"),
            (27, "4.1-IV1"),
            (30, "4.3-IV0"),
            (99, "metadata.version 99"),
            (0, "metadata.version 0"),
        ] {
            assert_eq!(metadata_version_name(level), name);
        }
    }
}
