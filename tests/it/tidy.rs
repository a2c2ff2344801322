//! What the compiler and clippy do not check: who may name whom, which crate lives where, the shape
//! of the text, and that each safety invariant has a test that names it.
//!
//! A list named `…_STILL_…` only shrinks: an entry that is no longer needed fails its test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A module of `src/lib.rs`, and the modules of this crate it may name. Read top-down: nothing
/// names a later line.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &["model"]),
    ("shutdown", &[]),
    ("alert", &["model"]),
    ("playbook", &["model", "alert"]),
    ("security", &["model"]),
    ("config", &["model", "playbook", "security"]),
    ("docker", &["model", "clock"]),
    ("kafka", &["model", "clock", "shutdown", "security"]),
    ("prometheus", &["model", "security"]),
    ("telemetry", &["model", "playbook"]),
    ("snapshot", &["model"]),
    ("collect", &["model", "clock", "config", "docker", "kafka", "telemetry", "snapshot"]),
    ("expose", &["model", "telemetry", "snapshot"]),
    ("optimizers", &["model", "playbook"]),
    ("analysis", &["model", "playbook", "optimizers"]),
    ("advice", &["model", "analysis"]),
    ("sampling", &["model", "clock", "kafka", "snapshot", "analysis", "advice"]),
    ("verdict", &["model", "playbook"]),
    ("baseline", &["model", "playbook", "verdict"]),
    ("report", &["model", "playbook", "analysis", "baseline"]),
    (
        "diagnosis",
        &[
            "model",
            "clock",
            "playbook",
            "prometheus",
            "snapshot",
            "optimizers",
            "analysis",
            "advice",
            "sampling",
            "report",
        ],
    ),
    ("store", &["model", "alert", "playbook", "verdict", "baseline"]),
    (
        "remediation",
        &[
            "model",
            "clock",
            "shutdown",
            "alert",
            "playbook",
            "config",
            "docker",
            "kafka",
            "prometheus",
            "telemetry",
            "snapshot",
            "optimizers",
            "verdict",
            "baseline",
            "store",
        ],
    ),
    ("librdkafka", &["security"]),
    ("load", &["model", "clock", "librdkafka"]),
    ("probe", &["model", "clock", "shutdown", "security", "config", "telemetry", "librdkafka"]),
    (
        "http",
        &[
            "model",
            "clock",
            "shutdown",
            "alert",
            "playbook",
            "security",
            "config",
            "telemetry",
            "expose",
            "analysis",
            "advice",
            "diagnosis",
            "verdict",
            "baseline",
            "report",
            "store",
            "remediation",
        ],
    ),
    (
        "app",
        &[
            "model",
            "clock",
            "shutdown",
            "playbook",
            "config",
            "docker",
            "kafka",
            "prometheus",
            "telemetry",
            "snapshot",
            "collect",
            "expose",
            "sampling",
            "diagnosis",
            "store",
            "remediation",
            "probe",
            "http",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "clock",
            "shutdown",
            "playbook",
            "config",
            "prometheus",
            "analysis",
            "verdict",
            "baseline",
            "report",
            "telemetry",
            "librdkafka",
            "load",
            "http",
            "app",
        ],
    ),
];

/// Modules that take values and return values: what they may not hold.
const PURE: &[&str] = &[
    "model",
    "alert",
    "playbook",
    "analysis",
    "advice",
    "optimizers",
    "verdict",
    "baseline",
    "report",
];
const IMPURE_WORDS: &[&str] =
    &["async ", ".await", "tokio::", "std::fs", "std::net", "SharedClock"];

/// What talks to the outside world: named by its own seam, and by `app` and `cli`, which build it.
const ADAPTERS: &[&str] = &["kafka::wire", "docker::engine", "prometheus::http"];

/// A crate, and the only places that may name it.
const CONFINED: &[(&str, &[&str])] = &[
    ("kafka_protocol", &["src/kafka/wire"]),
    ("rsasl", &["src/kafka/wire"]),
    ("rustls_native_certs", &["src/security"]),
    ("rdkafka", &["src/librdkafka", "src/load", "src/probe"]),
    ("procfs", &["src/telemetry"]),
    ("bollard", &["src/docker"]),
    ("reqwest", &["src/prometheus", "src/cli"]),
    ("bcrypt", &["src/config/web", "src/http/web"]),
    ("tokio_rustls", &["src/http", "src/kafka/wire"]),
    ("x509_parser", &["src/http/web"]),
    ("uuid", &["src/kafka/wire"]),
    ("lz4_flex", &["src/advice"]),
    ("maud", &["src/http"]),
    ("clap_mangen", &["src/cli"]),
    ("dialoguer", &["src/cli"]),
    ("strsim", &["src/config"]),
    ("statrs", &["src/verdict"]),
    ("serde_yaml", &["src/config"]),
    ("rusqlite", &["src/store"]),
];

/// Methods of the Docker seam that change what is outside, and the one module that may call them.
const CHANGES: &[&str] = &["start_clone", "remove_clone"];
const CHANGER: &str = "remediation";
/// The methods of the seam that can change a cluster, and the only places that may name them.
const WRITERS: &[&str] = &["alter_broker_config", "alter_client_quota", "elect_preferred_leaders"];
const MAY_WRITE: &[&str] = &["src/kafka/", "src/remediation/"];
/// What says in words which they are.
const WRITERS_DOCUMENTED: &[&str] = &["src/kafka/mod.rs", "ARCHITECTURE.md"];

/// Reads of the time. In tests clippy's ban of the same calls has exceptions with reasons.
const TIME_READS: &[&str] = &["Instant::now", "SystemTime::now"];
const TIME_READER: &str = "src/clock.rs";

const COLUMNS_MAX: usize = 100;

/// Every safety rule: a table written by hand (number, rule, why, whether it is kept today), then a
/// table of the tests that name each number, which `UPDATE_GOLDEN=1` rewrites.
const INVARIANTS: &str = "docs/invariants.md";
const INVARIANT_TESTS: &str = "<!-- tests -->";
/// Files outside `src` and `tests` that may cite a safety rule by its number.
const CITING: &[&str] = &["md", "yml", "yaml", "sh", "py"];
const CITING_ROOTS: &[&str] = &["docs", "config", "prometheus", "alertmanager", "lab"];

/// A source file, by its path from the root of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module of `src/lib.rs` that it belongs to; none for the roots of the crates.
    fn module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let name = below.split('/').next()?.trim_end_matches(".rs");
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    /// Whether a line names another module of the crate without the word `crate`.
    fn climbs_to_the_root(&self, line: &str) -> bool {
        let steps = (1..9).take_while(|it| line.contains(&"super::".repeat(*it))).count();
        let nested = self.path.trim_end_matches("/mod.rs").matches('/').count();

        // What is indented may stand in a module of its own inside the file, as tests do.
        let inner = usize::from(line.starts_with(' '));

        nested + inner <= steps
    }

    /// The text without comments, which may name anything.
    fn code(&self) -> String {
        let code = |line: &str| -> String {
            let comment =
                if line.trim_start().starts_with("//") { Some(0) } else { line.find(" // ") };
            line[..comment.unwrap_or(line.len())].to_owned()
        };

        self.text.lines().map(code).collect::<Vec<_>>().join("\n")
    }
}

fn sources() -> Vec<Source> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }

    // Cargo runs tests in the package's directory. A path from compile time could be another
    // checkout's that shares the target directory.
    let mut found = Vec::new();
    walk(Path::new("src"), &mut found);
    walk(Path::new("tests"), &mut found);
    found.sort();
    let source = |path: &PathBuf| Source {
        path: path.to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };

    found.iter().map(source).collect()
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// The places of `name` as a whole word.
fn places<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(name).map(|it| it.0).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The paths that start with `crate::`, without it; the groups of a `use` are spread out.
fn paths(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for at in places(code, "crate") {
        if let Some(rest) = code[at..].strip_prefix("crate::") {
            spread("", rest, &mut found);
        }
    }

    found
}

/// Reads one path or group at the start of `rest`; returns what follows it.
fn spread<'a>(before: &str, rest: &'a str, found: &mut BTreeSet<String>) -> &'a str {
    let rest = rest.trim_start();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches(|it: char| it.is_whitespace() || it == ',');
            if let Some(after) = inside.strip_prefix('}') {
                return after;
            }

            let after = spread(before, inside, found);
            if after.len() == inside.len() {
                return after;
            }

            inside = after;
        }
    }

    let end = rest.find(|it: char| !is_word(it) && it != '*').unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let path = if before.is_empty() { name.to_owned() } else { format!("{before}::{name}") };

    if let Some(deeper) = after.strip_prefix("::") {
        return spread(&path, deeper, found);
    }

    found.insert(path);

    after
}

/// What `source` names that the table does not allow it.
fn trespasses(source: &Source) -> Vec<String> {
    let Some(module) = source.module() else { return Vec::new() };
    let Some((_, allowed)) = MAY_NAME.iter().find(|it| it.0 == module) else {
        return vec![format!("{}: add the module {module} to MAY_NAME", source.path)];
    };
    let builds_adapters = ["app", "cli"].contains(&module);
    let mut wrong = Vec::new();

    for path in paths(&source.code()) {
        let named = path.split("::").next().unwrap_or_default();
        if named != module && !allowed.contains(&named) {
            wrong.push(format!("{}: {module} must not name {path}", source.path));
        }

        let adapter = ADAPTERS.iter().find(|it| path.starts_with(**it));
        if adapter.is_some() && named != module && !builds_adapters {
            wrong.push(format!("{}: only app and cli may name the adapter {path}", source.path));
        }
    }

    let climbs = source.code().lines().any(|it| source.climbs_to_the_root(it));
    if climbs {
        wrong.push(format!("{}: write crate:: instead of super:: for its root", source.path));
    }

    wrong
}

/// The places where `source` names a crate that lives elsewhere.
fn strays(source: &Source) -> Vec<String> {
    let code = source.code();
    let stray = |(name, homes): &&(&str, &[&str])| {
        let at_home = homes.iter().any(|it| {
            source
                .path
                .strip_prefix(it)
                .is_some_and(|it| it.starts_with('/') || it.starts_with('.'))
        });
        let named = places(&code, name).any(|at| code[at + name.len()..].starts_with("::"));
        named && !at_home
    };
    let said = |it: &(&str, &[&str])| format!("{}: {} belongs in {:?}", source.path, it.0, it.1);

    CONFINED.iter().filter(stray).map(said).collect()
}

/// Whether a line is too long and could be broken: text in quotes and addresses are left alone.
fn is_too_long(line: &str) -> bool {
    COLUMNS_MAX < line.chars().count() && !line.contains('"') && !line.contains("://")
}

/// Whether a line leaves something to do without an issue's number.
fn is_loose_todo(line: &str) -> bool {
    let word = concat!("TO", "DO");
    line.find(word).is_some_and(|at| {
        let number = line[at + word.len()..].trim_start_matches([' ', '(']).strip_prefix('#');
        !number.is_some_and(|it| it.starts_with(|it: char| it.is_ascii_digit()))
    })
}

/// The names of the test functions in a text.
fn tests(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut marked = false;

    for line in code.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(rest) = line.trim_start_matches("async ").strip_prefix("fn ") {
            if marked {
                found.push(rest.split(|it| !is_word(it)).next().unwrap_or_default());
            }
            marked = false;
        }
    }

    found
}

/// The invariants that a test names: `i24_…`, `…_i24_…` or `…_i24`.
fn invariants(test: &str) -> impl Iterator<Item = u32> + '_ {
    test.split('_').filter_map(|it| it.strip_prefix('i')?.parse().ok())
}

/// Fails with all of `wrong`, so that one run of the tests shows everything.
#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_orders_all_modules_of_lib() {
    let mut seen = BTreeSet::new();
    for (module, allowed) in MAY_NAME {
        for name in *allowed {
            assert!(seen.contains(name), "{module} names {name}, which is not above it");
        }
        assert!(seen.insert(*module), "{module} is there twice");
    }

    let all = sources();
    let lib = all.iter().find(|it| it.path == "src/lib.rs").unwrap();
    let declared: BTreeSet<&str> = lib
        .text
        .lines()
        .filter_map(|it| it.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();

    assert_eq!(seen, declared);
}

#[test]
fn a_forbidden_import_is_found_in_every_notation() {
    let wrong = |path, text| trespasses(&source(path, text)).len();
    let fine = "use crate::{model::{BrokerId, Wall}, snapshot::Latest, expose::page};";

    assert_eq!(wrong("src/expose/encode.rs", fine), 0);
    assert_eq!(wrong("src/expose/encode.rs", "// use crate::remediation::Remediator;"), 0);
    assert_eq!(wrong("src/expose.rs", "use crate::remediation::Remediator;"), 1);
    assert_eq!(
        wrong("src/expose/mod.rs", "use crate::{\n    model::Wall,\n    remediation::X,\n};"),
        1
    );
    assert_eq!(wrong("src/expose/mod.rs", "fn f(x: &crate::remediation::Remediator) {}"), 1);
    assert_eq!(wrong("src/expose/a/b.rs", "use super::super::super::remediation;"), 1);
    assert_eq!(wrong("src/expose/a/b.rs", "use super::super::page;"), 0);
    assert_eq!(wrong("src/expose/mod.rs", "use super::remediation;"), 1);
    assert_eq!(wrong("src/expose.rs", "mod tests {\n    use super::*;\n}"), 0);
    assert_eq!(wrong("src/remediation/mod.rs", "use crate::kafka::{SharedKafka, wire::Wire};"), 1);
    assert_eq!(wrong("src/app.rs", "use crate::kafka::{SharedKafka, wire::Wire};"), 0);
    assert_eq!(wrong("src/unknown_crate.rs", ""), 1);
}

#[test]
fn modules_name_only_what_the_table_allows() {
    let wrong: Vec<String> = sources().iter().flat_map(trespasses).collect();
    none(&wrong);
}

#[test]
fn pure_modules_stay_pure() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.module().is_some_and(|it| PURE.contains(&it)) {
            let code = source.code();
            for word in IMPURE_WORDS.iter().filter(|it| code.contains(**it)) {
                wrong.push(format!("{}: {word:?} in a pure module", source.path));
            }
        }
    }

    none(&wrong);
}

#[test]
fn client_libraries_are_used_only_in_their_folder() {
    assert_eq!(strays(&source("src/remediation/mod.rs", "use rdkafka::ClientConfig;")).len(), 1);
    assert_eq!(strays(&source("src/loader.rs", "use rdkafka::ClientConfig;")).len(), 1);
    assert_eq!(strays(&source("src/load/client.rs", "use rdkafka::ClientConfig;")).len(), 0);
    assert_eq!(strays(&source("src/kafka/mod.rs", "//! Not rdkafka::ClientConfig.")).len(), 0);

    let wrong: Vec<String> =
        sources().iter().filter(|it| it.path.starts_with("src/")).flat_map(strays).collect();
    none(&wrong);
}

#[test]
fn only_remediation_changes_a_cluster() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|it| it.path.starts_with("src/")) {
        let code = source.code();
        let at_home = MAY_WRITE.iter().any(|it| source.path.starts_with(it));
        for writer in WRITERS.iter().filter(|it| !at_home && places(&code, it).next().is_some()) {
            wrong.push(format!("{}: {writer} belongs in {MAY_WRITE:?}", source.path));
        }
    }

    for path in WRITERS_DOCUMENTED {
        let text = fs::read_to_string(path).unwrap();
        for writer in WRITERS.iter().filter(|it| !text.contains(&format!("Kafka::{it}`"))) {
            wrong.push(format!("{path}: does not say that Kafka::{writer} can change a cluster"));
        }
    }

    none(&wrong);
}

#[test]
fn only_the_clock_reads_the_time() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|it| it.path.starts_with("src/")) {
        let code = source.code();
        for read in TIME_READS.iter().filter(|it| places(&code, it).next().is_some()) {
            if source.path != TIME_READER {
                wrong.push(format!("{}: {read} outside {TIME_READER}", source.path));
            }
        }
    }

    none(&wrong);
}

#[test]
fn only_remediation_changes_containers() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|it| it.module().is_some_and(|it| it != CHANGER)) {
        let code = source.code();
        let called = CHANGES.iter().filter(|it| code.contains(&format!(".{it}(")));
        wrong.extend(called.map(|it| format!("{}: {it} belongs in {CHANGER}", source.path)));
    }
    none(&wrong);
}

#[test]
fn lines_fit_the_page() {
    let mut wrong = Vec::new();
    for source in sources() {
        let long: Vec<usize> =
            (1..).zip(source.text.lines()).filter(|it| is_too_long(it.1)).map(|it| it.0).collect();
        if !long.is_empty() {
            wrong.push(format!("{}: more than {COLUMNS_MAX} columns: {long:?}", source.path));
        }
    }

    none(&wrong);
}

#[test]
fn each_module_starts_with_a_doc_comment() {
    let mut wrong = Vec::new();
    for source in sources() {
        let head = source.text.lines().next().unwrap_or_default();
        let headless = head.strip_prefix("//! ").is_none_or(|it| it.trim().is_empty());
        if headless {
            wrong.push(format!("{}: the first line must be a //! comment", source.path));
        }
    }

    none(&wrong);
}

#[test]
fn every_todo_names_an_issue() {
    let word = concat!("TO", "DO");

    assert!(is_loose_todo(&format!("// {word}: later")));
    assert!(is_loose_todo(&format!("// {word} # later")));
    assert!(!is_loose_todo(&format!("// {word}(#12): later")));
    assert!(!is_loose_todo(&format!("// {word} #12: later")));

    let mut wrong = Vec::new();
    for source in sources() {
        for (number, _) in (1..).zip(source.text.lines()).filter(|it| is_loose_todo(it.1)) {
            wrong.push(format!("{}:{number}: {word} without an issue's number", source.path));
        }
    }

    none(&wrong);
}

#[test]
fn no_test_name_starts_with_test() {
    let text =
        "#[test]\nfn test_a() {}\n#[tokio::test]\n#[ignore]\nasync fn b() {}\nfn test_c() {}";

    assert_eq!(tests(text), ["test_a", "b"]);

    let mut wrong = Vec::new();
    for source in sources() {
        let code = source.code();
        let named = tests(&code).into_iter().filter(|it| it.starts_with("test_"));
        wrong.extend(named.map(|it| format!("{}: {it}: say what it shows", source.path)));
    }

    // The made-up text above is no test of this file.
    wrong.retain(|it| !it.starts_with("tests/it/tidy.rs: test_a:"));
    none(&wrong);
}

/// Numbers that a text cites as `I24`.
fn cited(text: &str) -> BTreeSet<u32> {
    let words = text.split(|it| !is_word(it));
    let number = |word: &str| -> Option<u32> {
        let digits = word.strip_prefix('I').filter(|it| (1..=2).contains(&it.len()))?;
        digits.parse().ok()
    };

    words.filter_map(number).collect()
}

/// Text files that may cite a safety rule, beside the sources.
fn citing() -> Vec<PathBuf> {
    fn walk(path: PathBuf, found: &mut Vec<PathBuf>) {
        if path.is_dir() {
            let entries = fs::read_dir(path).unwrap();
            entries.for_each(|it| walk(it.unwrap().path(), found));
        } else if path.extension().is_some_and(|it| CITING.iter().any(|&one| it == one)) {
            found.push(path);
        }
    }

    let mut found = Vec::new();
    for root in CITING_ROOTS {
        walk(PathBuf::from(root), &mut found);
    }

    let top = fs::read_dir(".").unwrap().map(|it| it.unwrap().path());
    found.extend(top.filter(|it| it.extension().is_some_and(|it| it == "md")));

    found
}

/// A row of the table of rules: its number, and whether the last column says that nothing of it is
/// kept today.
fn rule(line: &str) -> Option<(u32, bool)> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [number, _rule, _why, kept] = cells[..] else { return None };
    Some((number.strip_prefix('I')?.parse().ok()?, kept.starts_with("**No")))
}

/// A row of the promises in [`INVARIANTS`]: the document, its words, and what shows that they hold.
fn promise(line: &str) -> Option<[&str; 3]> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [document, words, shown] = cells[..] else { return None };

    ["README.md", "SECURITY.md"].contains(&document).then_some([document, words, shown])
}

#[test]
fn every_promise_has_its_words_and_what_shows_that_it_holds() {
    let document = fs::read_to_string(INVARIANTS).unwrap();
    let (head, rest) = document.split_once("<!-- promises -->").unwrap();
    let (table, _) = rest.split_once("## Tests").unwrap();
    let rules: BTreeSet<u32> = head.lines().filter_map(rule).map(|it| it.0).collect();
    let sources = sources();
    let code: Vec<String> = sources.iter().map(Source::code).collect();
    let known: BTreeSet<&str> = code.iter().flat_map(|it| tests(it)).collect();
    let promises: Vec<_> = table.lines().filter_map(promise).collect();
    let mut wrong = Vec::new();

    for [document, words, shown] in &promises {
        if !fs::read_to_string(document).unwrap().contains(words) {
            wrong.push(format!("{document} does not say `{words}`"));
        }

        for one in shown.split(", ") {
            let test = one.trim_matches('`');
            let is_rule = cited(one).iter().all(|it| rules.contains(it)) && !cited(one).is_empty();
            if !is_rule && !known.contains(test) {
                wrong.push(format!("nothing is called {one}: `{words}`"));
            }
        }
    }

    none(&wrong);
    assert!(35 <= promises.len(), "only {} promises found", promises.len());
}

#[test]
fn every_safety_rule_is_documented_and_tested_and_every_citation_has_its_rule() {
    assert_eq!(invariants("i24_a_noisy_win_is_neutral").collect::<Vec<_>>(), [24]);
    assert_eq!(invariants("a_step_in_flight_ends_i22_i31").collect::<Vec<_>>(), [22, 31]);
    assert_eq!(invariants("it_is_in_ipv4_form").count(), 0);
    assert_eq!(cited("A lock (I10), I9; `I2`. Not I123, AI3 or I."), [2, 9, 10].into());

    let mut tested = BTreeMap::<u32, BTreeSet<String>>::new();
    let mut cites = BTreeMap::<u32, String>::new();

    for source in sources().iter().filter(|it| !it.path.ends_with("/tidy.rs")) {
        cites.extend(cited(&source.text).into_iter().map(|it| (it, source.path.clone())));
        for test in tests(&source.code()) {
            for number in invariants(test) {
                tested.entry(number).or_default().insert(test.to_owned());
            }
        }
    }

    for path in citing() {
        let text = fs::read_to_string(&path).unwrap();
        cites.extend(cited(&text).into_iter().map(|it| (it, path.display().to_string())));
    }

    let document = fs::read_to_string(INVARIANTS).unwrap();
    let (head, table) = document.split_once(INVARIANT_TESTS).unwrap();
    let rules: BTreeMap<u32, bool> = head.lines().filter_map(rule).collect();
    let mut wrong = Vec::new();

    for (number, path) in cites.iter().filter(|it| !rules.contains_key(it.0)) {
        wrong.push(format!("{path} cites I{number}, which {INVARIANTS} does not have"));
    }

    for number in tested.keys().filter(|it| !rules.contains_key(it)) {
        wrong.push(format!("a test names I{number}, which {INVARIANTS} does not have"));
    }

    for (number, unkept) in &rules {
        match (unkept, tested.contains_key(number)) {
            (false, false) => wrong.push(format!("no test names I{number}: fn i{number}_…")),
            (true, true) => wrong.push(format!("I{number} has a test: say what is kept of it")),
            (true, false) | (false, true) => (),
        }
    }

    none(&wrong);

    let row = |(number, tests): (&u32, &BTreeSet<String>)| {
        let names: Vec<String> = tests.iter().map(|it| format!("`{it}`")).collect();
        format!("| I{number} | {} |\n", names.join(", "))
    };
    let rows: String = tested.iter().map(row).collect();
    let made = format!("\n\n| rule | tests |\n| --- | --- |\n{rows}");

    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(INVARIANTS, format!("{head}{INVARIANT_TESTS}{made}")).unwrap();
        return;
    }

    assert_eq!(table, made, "{INVARIANTS} is out of date: run `make golden`");
}

#[test]
fn the_tables_allow_nothing_that_no_code_uses() {
    let sources = sources();
    let mut wrong = Vec::new();

    for (module, allowed) in MAY_NAME {
        let of_module = sources.iter().filter(|it| it.module() == Some(module));
        let named: BTreeSet<String> = of_module
            .flat_map(|it| paths(&it.code()))
            .map(|it| it.split("::").next().unwrap_or_default().to_owned())
            .collect();
        for name in allowed.iter().filter(|it| !named.contains(**it)) {
            wrong.push(format!("MAY_NAME: {module} no longer names {name}"));
        }
    }

    let below = |path: &str, home: &str| {
        path.strip_prefix(home).is_some_and(|it| it.starts_with('/') || it.starts_with('.'))
    };
    for (name, homes) in CONFINED {
        for home in *homes {
            let mut at_home = sources.iter().filter(|it| below(&it.path, home));
            if !at_home.any(|it| places(&it.code(), name).next().is_some()) {
                wrong.push(format!("CONFINED: nothing in {home} names {name}"));
            }
        }
    }

    none(&wrong);
}
