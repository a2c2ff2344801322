//! Generates the tables of keys in `docs/config.md` from the doc comments of `raw`; the prose
//! around them is written by hand.
//!
//! A key's doc comment says what the key means; its last paragraph, `Default: …`, becomes the
//! column `default`. So every key is documented, and no removed key stays. In the document, `<!--
//! keys: PREFIX -->` and `<!-- end -->` enclose the table of the keys below PREFIX that have no
//! longer matching prefix. Rows are in the order of `config/reference.yaml`, which has every key.

use std::{collections::BTreeMap, fmt::Write};

use schemars::generate::SchemaSettings;
use serde_json::Value as Schema;
use serde_yaml::Value;

use super::raw::RawConfig;

const REFERENCE: &str = include_str!("../../config/reference.yaml");
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
const BEGIN: &str = "<!-- keys: ";
const END: &str = "<!-- end -->";

/// Every key that takes a value, with its doc comment. `[]` stands for the entries of a list.
fn keys() -> BTreeMap<String, String> {
    let settings = SchemaSettings::default().with(|it| it.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<RawConfig>();
    let mut found = BTreeMap::new();
    collect_keys(schema.as_value(), "", "", &mut found);
    found
}

fn collect_keys(
    schema: &Schema,
    path: &str,
    description: &str,
    found: &mut BTreeMap<String, String>,
) {
    // An optional structure is written as any of the structure and null.
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    let parts: Vec<&Schema> = std::iter::once(schema).chain(choices).collect();
    if let Some(properties) = parts.iter().find_map(|it| it["properties"].as_object()) {
        for (name, value) in properties {
            let description = value["description"].as_str().unwrap_or_default();
            let dot = if path.is_empty() { "" } else { "." };
            collect_keys(value, &format!("{path}{dot}{name}"), description, found);
        }
    } else if let Some(entries) = parts.iter().find_map(|it| it.get("items")) {
        collect_keys(entries, &format!("{path}[]"), description, found);
    } else {
        found.insert(path.to_owned(), description.to_owned());
    }
}

/// The paths of the values in the file, in its order.
fn paths_in_order(
    value: &Value,
    path: &str,
    keys: &BTreeMap<String, String>,
    found: &mut Vec<String>,
) {
    match value {
        Value::Mapping(map) if !keys.contains_key(path) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                paths_in_order(
                    value,
                    &format!("{path}{dot}{}", key.as_str().unwrap()),
                    keys,
                    found,
                );
            }
        }
        Value::Sequence(list) if list.is_empty() => found.push(format!("{path}[]")),
        Value::Sequence(list) => {
            for value in list {
                paths_in_order(value, &format!("{path}[]"), keys, found);
            }
        }
        Value::Null => (),
        // A map with free keys counts as one key.
        Value::Mapping(_)
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Tagged(_) => {
            if !found.iter().any(|it| it == path) {
                found.push(path.to_owned());
            }
        }
    }
}

/// The rows of the tables: path and row, in the order of the reference file.
fn rows() -> Vec<(String, String)> {
    let raw: RawConfig = serde_yaml::from_str(REFERENCE).unwrap();
    let keys = keys();
    let mut order = Vec::new();
    paths_in_order(&serde_yaml::to_value(raw).unwrap(), "", &keys, &mut order);
    for key in keys.keys() {
        assert!(order.contains(key), "config/reference.yaml lacks {key}");
    }

    let row = |path: String| {
        let row = row(&path, &keys[&path]);
        (path, row)
    };

    order.into_iter().map(row).collect()
}

fn row(path: &str, description: &str) -> String {
    let description =
        description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    match description.rsplit_once(" Default: ") {
        Some((meaning, default)) if !default.is_empty() => {
            format!("| `{path}` | {default} | {meaning} |")
        }
        _ => panic!(
            "{path} needs a doc comment that ends with the paragraph `Default: …`: {description}"
        ),
    }
}

/// The document with its tables generated again.
fn document(text: &str, rows: &[(String, String)]) -> String {
    let prefix = |line: &str| Some(line.strip_prefix(BEGIN)?.strip_suffix(" -->")?.to_owned());
    let prefixes: Vec<String> = text.lines().filter_map(prefix).collect();
    let home = |path: &str| {
        let claims = prefixes.iter().filter(|it| path.starts_with(it.as_str()));
        claims.max_by_key(|it| it.len()).unwrap_or_else(|| panic!("no table for {path}"))
    };

    let mut made = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        writeln!(made, "{line}").unwrap();
        let Some(prefix) = prefix(line) else { continue };
        made.push_str("\n| key | default | meaning |\n| --- | --- | --- |\n");
        for (_, row) in rows.iter().filter(|it| *home(&it.0) == prefix) {
            writeln!(made, "{row}").unwrap();
        }

        let end = lines.find(|it| *it == END);
        writeln!(made, "\n{}", end.unwrap_or_else(|| panic!("{prefix} has no {END}"))).unwrap();
    }

    made
}

#[test]
fn the_document_matches_the_doc_comments() {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let rows = rows();

    assert!(rows.len() > 30, "{rows:?}");
    let made = document(&text, &rows);
    for (path, row) in &rows {
        assert_eq!(made.matches(row).count(), 1, "{path}");
    }

    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(DOCUMENT, &made).unwrap();
        return;
    }

    assert_eq!(text, made, "run it again with UPDATE_GOLDEN=1");
}

#[test]
fn a_row_goes_to_the_table_with_the_longest_prefix() {
    let rows = ["a.b", "a.c.d"].map(|it| (it.to_owned(), row(it, "x y\n\nDefault: none")));
    let text = "t\n<!-- keys: a -->\nold\n<!-- end -->\n<!-- keys: a.c -->\n<!-- end -->\nu\n";
    let made = document(text, &rows);
    let head = "| key | default | meaning |\n| --- | --- | --- |";
    let want = format!(
        "t\n<!-- keys: a -->\n\n{head}\n| `a.b` | none | x y |\n\n<!-- end -->\n\
         <!-- keys: a.c -->\n\n{head}\n| `a.c.d` | none | x y |\n\n<!-- end -->\nu\n"
    );

    assert_eq!(made, want);
    assert_eq!(document(&made, &rows), made);
}

#[test]
#[should_panic(expected = "a.b needs a doc comment")]
fn a_key_without_a_default_is_rejected() {
    row("a.b", "x y");
}
