//! docs/tour.md: whether what it types still exists, and whether every command is on it.

use std::{collections::BTreeSet, fs};

use crate::cli::offline;

/// Commands that a tour cannot show: one never ends, the others ask at a terminal or only help.
const NOT_SHOWN: [&str; 3] = ["serve", "menu", "help"];

fn page() -> String {
    fs::read_to_string("docs/tour.md").unwrap()
}

/// The words of each command that the page types, without the program's name.
fn typed(page: &str) -> Vec<Vec<String>> {
    let lines = page.lines().filter_map(|it| it.strip_prefix("$ kafka-optimizer "));

    lines.map(|it| shell_words::split(it).unwrap()).collect()
}

/// The names under `Commands:` of a help text; each is indented by two.
fn commands(help: &str) -> BTreeSet<String> {
    let listed = help.split("Commands:\n").nth(1).unwrap_or("");
    let listed = listed.split("\n\n").next().unwrap_or("");
    let names = listed.lines().filter_map(|it| it.strip_prefix("  "));

    names
        .filter(|it| !it.starts_with(' '))
        .filter_map(|it| it.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// The help of the deepest command that `words` begin with, and the other words.
fn help_of(words: &[String]) -> (String, &[String]) {
    let mut depth = 0;
    let mut help = offline(&["--help"]).out;
    while let Some(next) = words.get(depth).filter(|it| commands(&help).contains(*it)) {
        depth += 1;
        let path: Vec<&str> = words[..depth].iter().map(String::as_str).collect();
        help = offline(&[&path[..], &["--help"]].concat()).out;

        assert!(!help.is_empty(), "no help for {next}");
    }

    (help, &words[depth..])
}

#[test]
fn the_tour_types_commands_and_options_that_exist() {
    let typed = typed(&page());
    assert!(20 <= typed.len(), "only {} commands", typed.len());

    for words in &typed {
        let (help, rest) = help_of(words);
        assert!(rest.len() < words.len(), "no command in {words:?}");

        for option in rest.iter().filter(|it| it.starts_with("--")) {
            let name = option.split('=').next().unwrap();
            let is_known = help.split_whitespace().any(|it| it.trim_end_matches(',') == name);
            assert!(is_known, "{words:?}: no option {name}");
        }
    }
}

#[test]
fn every_command_is_on_the_tour() {
    let shown: BTreeSet<String> = typed(&page()).into_iter().map(|it| it[0].clone()).collect();
    let missing: Vec<_> = commands(&offline(&["--help"]).out)
        .into_iter()
        .filter(|it| !shown.contains(it) && !NOT_SHOWN.contains(&it.as_str()))
        .collect();

    assert!(missing.is_empty(), "not on the tour, run `make tour`: {missing:?}");
}

#[test]
fn what_needs_no_server_prints_what_the_tour_shows() {
    let page = page();
    let version = offline(&["version"]).out;
    let first = version.lines().next().unwrap();

    assert!(page.contains(first), "the tour shows another version than {first}");
}
