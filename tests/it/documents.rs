//! Documents and example files, compared with what they describe.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use kafka_optimizer::{
    analysis,
    config::{SecretFile, parse},
    model::HoldReason,
};
use serde_json::Value;

fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files of `dir` whose name ends in one of `extensions`, folders below it included.
fn files(dir: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(dir)];

    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| extensions.iter().any(|&one| it == one)) {
                found.push(path);
            }
        }
    }

    found.sort();

    found
}

/// The text between the first `start` and the next `end` after it, and what follows.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(start)?.1.split_once(end)
}

/// Method and path of every route, as `src/http/mod.rs` registers them.
fn registered() -> BTreeSet<String> {
    let source = text("src/http/mod.rs");
    let webhook = text("src/http/webhook.rs");
    let (webhook, _) = between(&webhook, "const PATH: &str = \"", "\"").unwrap();
    let mut routes = BTreeSet::new();

    for part in source.split(".route(").skip(1) {
        let (path, handlers) = part.split_once(',').unwrap();
        let path = match path.trim() {
            "&telemetry_path" => "/metrics",
            "webhook::PATH" => webhook,
            literal => literal.trim_matches('"'),
        };

        // What follows the last route of the chain is no route.
        let handlers = handlers.split(".fallback").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers.contains(&format!("{method}(")) {
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }

    routes
}

#[test]
fn the_api_document_lists_the_routes_of_the_router() {
    let document = text("docs/http-api.md");
    let (table, _) = between(&document, "## Routes", "\n## ").unwrap();
    let documented: BTreeSet<String> = table
        .lines()
        .filter_map(|line| {
            let (method, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
            Some(format!("{method} {}", rest.split_once('`')?.0))
        })
        .collect();

    assert!(documented.len() > 10, "{documented:?}");
    assert_eq!(documented, registered());
}

/// Stands in for the files that an example names: PEM files from a new key pair, or one word.
#[expect(clippy::unnecessary_wraps, reason = "a `SecretReader` may fail")]
fn any_file(path: &Path) -> io::Result<SecretFile> {
    let made = rcgen::generate_simple_self_signed(vec!["kafka".to_owned()]).unwrap();
    let text = match path.extension().and_then(|it| it.to_str()) {
        Some("pem") => made.cert.pem(),
        Some("key") => made.signing_key.serialize_pem(),
        _ => "0123456789abcdef\n".to_owned(),
    };

    Ok(SecretFile { text, world_readable: false })
}

#[test]
fn the_example_files_pass_check_config_without_a_warning() {
    let examples = files("config/examples", &["yml", "yaml"]);

    assert!(examples.len() >= 2, "{examples:?}");

    for path in examples {
        let loaded = parse(&text(&path), &any_file);
        let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", path.display()));

        assert!(loaded.warnings.is_empty(), "{}: {:?}", path.display(), loaded.warnings);
        assert!(!loaded.config.remediation.playbooks.is_empty(), "{}", path.display());
    }
}

/// Values of every key `alertname` in a YAML document, at any depth.
fn alertnames(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("alertname").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|it| alertnames(it, found));
        }
        Value::Array(all) => all.iter().for_each(|it| alertnames(it, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}

#[test]
fn every_alert_that_a_playbook_names_is_raised_by_a_rule() {
    // The lab's own rules raise alerts that exist only there.
    let rules = ["prometheus/rules", "lab"].map(|it| files(it, &["yml", "yaml"])).concat();
    let raised: BTreeSet<String> = rules
        .iter()
        .flat_map(|path| text(path).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| Some(line.trim().strip_prefix("- alert: ")?.to_owned()))
        .collect();

    assert!(raised.len() > 30, "{raised:?}");

    let mut named = 0;
    for path in ["config", "lab"].map(|it| files(it, &["yml", "yaml"])).concat() {
        let parsed: Result<Value, _> = serde_yaml::from_str(&text(&path));

        // Templates with placeholders are no YAML until they are rendered.
        let Ok(parsed) = parsed else { continue };
        let mut found = BTreeSet::new();
        alertnames(&parsed, &mut found);
        let missing: Vec<_> = found.difference(&raised).collect();

        assert!(missing.is_empty(), "{}: no rule raises {missing:?}", path.display());

        named += found.len();
    }

    assert!(named > 10, "only {named} alert names found");
}

/// Targets of the links in a Markdown text that lead to a file of the repository.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|it| it.split_once(')').map(|it| it.0));
    let targets = targets.filter(|it| !it.contains("://") && !it.starts_with('#'));
    targets.filter_map(|it| it.split('#').next()).filter(|it| !it.contains(' ')).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents = files("docs", &["md"]);
    documents.extend(
        ["README", "ARCHITECTURE", "CONTRIBUTING", "SECURITY", "CHANGELOG", "lab/README"]
            .map(|it| PathBuf::from(format!("{it}.md"))),
    );
    let mut broken = Vec::new();

    for path in documents {
        for link in links(&text(&path)) {
            if !path.parent().unwrap().join(link).exists() {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }

    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_runbook_of_held_runs_explains_every_hold() {
    const FILE: &str = "docs/runbooks/held-runs.md";

    let document = text(FILE);
    let (before, rest) = document.split_once("<!-- holds -->\n").unwrap();
    let (found, after) = rest.split_once("<!-- end -->").unwrap();
    let rows = HoldReason::ALL.iter().map(|it| {
        let help = it.help();
        format!("| `{it}` | {} | {} |\n", help.meaning, help.advice)
    });
    let head = "| hold | the run does not start, because … | what to do |\n| --- | --- | --- |\n";
    let wanted: String = std::iter::once(head.to_owned()).chain(rows).collect();

    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let made = format!("{before}<!-- holds -->\n{wanted}<!-- end -->{after}");
        fs::write(FILE, made).unwrap();
        return;
    }

    assert_eq!(found, wanted, "make golden writes {FILE}");
}

#[test]
fn the_page_about_analyze_is_made_from_the_tables_of_causes_and_signals() {
    const FILE: &str = "docs/analyze.md";

    let wanted = analysis::document();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(FILE, wanted).unwrap();
        return;
    }

    assert_eq!(text(FILE), wanted, "make golden writes {FILE}");
}
