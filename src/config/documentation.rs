//! Holds `docs/config.md` against the raw configuration: the tables of keys are made from the doc
//! comments of `raw`, the prose around them is written by hand.
//!
//! A key's doc comment says what the key means; its last paragraph, `Default: …`, is the column of
//! that name. So a key cannot exist without its documentation, nor outlive it. In the document,
//! `<!-- keys: PREFIX -->` and `<!-- end -->` enclose the table of the keys below PREFIX that no
//! longer prefix claims. Rows stand in the order of `config/reference.yaml`, which has every key.

use std::{collections::BTreeMap, fmt::Write};

use schemars::generate::SchemaSettings;
use serde_json::Value as Schema;
use serde_yaml::Value;

use super::raw::RawConfig;

const REFERENCE: &str = include_str!("../../config/reference.yaml");
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
const BEGIN: &str = "<!-- keys: ";
const END: &str = "<!-- end -->";

/// Every key that takes a value, with its doc comment. `[]` stands for a list's entries.
fn keys() -> BTreeMap<String, String> {
    let settings = SchemaSettings::default().with(|it| it.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<RawConfig>();
    let mut found = BTreeMap::new();
    descend(schema.as_value(), "", "", &mut found);
    found
}

fn descend(schema: &Schema, at: &str, said: &str, found: &mut BTreeMap<String, String>) {
    // An optional structure is written as any of the structure and null.
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    let parts: Vec<&Schema> = std::iter::once(schema).chain(choices).collect();
    if let Some(properties) = parts.iter().find_map(|it| it["properties"].as_object()) {
        for (name, value) in properties {
            let said = value["description"].as_str().unwrap_or_default();
            let dot = if at.is_empty() { "" } else { "." };
            descend(value, &format!("{at}{dot}{name}"), said, found);
        }
    } else if let Some(entries) = parts.iter().find_map(|it| it.get("items")) {
        descend(entries, &format!("{at}[]"), said, found);
    } else {
        found.insert(at.to_owned(), said.to_owned());
    }
}

/// The paths of the values that are written, in their order.
fn written(value: &Value, at: &str, keys: &BTreeMap<String, String>, found: &mut Vec<String>) {
    match value {
        Value::Mapping(map) if !keys.contains_key(at) => {
            for (key, value) in map {
                let dot = if at.is_empty() { "" } else { "." };
                written(value, &format!("{at}{dot}{}", key.as_str().unwrap()), keys, found);
            }
        }
        Value::Sequence(list) if list.is_empty() => found.push(format!("{at}[]")),
        Value::Sequence(list) => {
            for value in list {
                written(value, &format!("{at}[]"), keys, found);
            }
        }
        Value::Null => (),
        // Free labels are one key.
        Value::Mapping(_)
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Tagged(_) => {
            if !found.iter().any(|it| it == at) {
                found.push(at.to_owned());
            }
        }
    }
}

/// The rows of the tables: path and row, in the order of the reference file.
fn rows() -> Vec<(String, String)> {
    let raw: RawConfig = serde_yaml::from_str(REFERENCE).unwrap();
    let keys = keys();
    let mut order = Vec::new();
    written(&serde_yaml::to_value(raw).unwrap(), "", &keys, &mut order);
    for key in keys.keys() {
        assert!(order.contains(key), "config/reference.yaml leaves out {key}");
    }
    let row = |path: String| {
        let row = row(&path, &keys[&path]);
        (path, row)
    };
    order.into_iter().map(row).collect()
}

fn row(path: &str, said: &str) -> String {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    match said.rsplit_once(" Default: ") {
        Some((meaning, default)) if !default.is_empty() => {
            format!("| `{path}` | {default} | {meaning} |")
        }
        _ => panic!("{path} needs a doc comment that ends with the paragraph `Default: …`: {said}"),
    }
}

/// The document with its tables made again.
fn document(text: &str, rows: &[(String, String)]) -> String {
    let prefix = |line: &str| Some(line.strip_prefix(BEGIN)?.strip_suffix(" -->")?.to_owned());
    let prefixes: Vec<String> = text.lines().filter_map(prefix).collect();
    let home = |path: &str| {
        let claims = prefixes.iter().filter(|it| path.starts_with(it.as_str()));
        claims.max_by_key(|it| it.len()).unwrap_or_else(|| panic!("no table is for {path}"))
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
fn the_document_says_what_the_doc_comments_say() {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let rows = rows();
    assert!(30 < rows.len(), "{rows:?}");
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
fn a_row_goes_to_the_table_of_its_longest_prefix() {
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
fn a_key_without_a_default_is_refused() {
    row("a.b", "x y");
}
