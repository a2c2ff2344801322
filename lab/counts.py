#!/usr/bin/env python3
"""Counts what makes the code hard to read, and fails when a count gets worse.

lab/counts.json holds the worst value that is allowed of each count. It is a ratchet: `--write`
moves it towards better values only. A change that needs a worse value, as a feature needs lines,
says so by name: `--write --raise lines.src`.

usage: lab/counts.py                  print the counts, fail if one is worse than lab/counts.json
       lab/counts.py --at REV         print the counts of a commit beside those of the working tree
       lab/counts.py --list KEY       print the places that a count counts
       lab/counts.py --write          store better values in lab/counts.json

What is counted, and how (a Rust file is read with comments and literals blanked out):

tuple_parameters    Parameters of a named function whose type is a tuple, or a reference to one.
bool_enums          Enums of exactly two variants without fields that stand for a bool: one variant
                    is Yes, No, On, Off, True, False, Not or Maybe; or one is the other with Not,
                    Un, No or Without before it; or the pair is in OPPOSITES; or there is an
                    `impl From<bool>` for it. Two kinds of a thing (Text or Json) are no bool.
old_words.AREA      Old words of the rename list: see WORDS and the lists below it. The area is
                    the first folder; the documents at the root are `docs`.
short_doc_comments  Blocks of `///` or `//!` of four words or fewer.
type_names_twice.*  Names of structs, enums, traits and type aliases that are defined more than
                    once: in src, in tests, and in both together.
blank_percent.*     Blank lines inside functions, in percent of the lines between a function's
                    braces. The only counts that must not fall.
public_traits       Traits with `pub` in any form.
public_trait_impls  `impl … for …` of those traits.
lines.*             Lines of code and configuration.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
LIMITS = ROOT / "lab" / "counts.json"

AREAS = ("src", "tests", "lab", "docs")
ROOT_DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile")
CODE = (".rs", ".sql", ".css", ".py", ".sh", ".java", ".c", ".yml", ".toml", ".patch")
TEXT = (*CODE, ".md", ".json")
SHORT_DOC_WORDS_MAX = 4

# Files that must name an old word: the upgrade from it, the history, and this list itself.
ALLOWED = (
    "lab/counts.py",
    "lab/test_counts.py",
    "lab/counts.json",
    "CHANGELOG.md",
    "docs/upgrade*.md",
    "docs/upgrading*.md",
    "src/store/from_*.sql",
    "src/store/migrate*.rs",
    "src/store/migrate/*",
    "tests/it/golden/*",
)


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# Words anywhere in a text, also as a part of an identifier: `lift` is found in `lift_when` and in
# `LiftWhen`.
WORDS = words(
    """
    remedy remedies deed deeds driven lift lifts lifted lifting newness urgency tally tallies
    speaker nonsense unheard firsts lasts mood optimize resting
    """
)
# Words that are old only in a phrase: "measure" is also what an exporter does.
PHRASES = re.compile(
    r"\btime_limit\b|\bare_nobody\b|\bhad_turn\b|(?:kafka-optimizer |/)measures\b"
    r"|\b(?:a|an|the|each|one|this|that|its|no|every) measures?\b"
    r"|\b(?:a|its|this|that|long|real) rest\b",
    re.IGNORECASE,
)
# Public names with hyphens that contain an old word and stay: read as one whole word each.
SLUGS = re.compile(r"(?<![\w-])(?:storm-of-nonsense)(?![\w-])")
# Types, by the name of their definition. `Known` as a variant of `Reading` is right.
TYPES = words(
    """
    Remedy DeedError Standing Driven Held Fine Measure Measured Extent Urgency Newness Told
    Looked Memory Known Heard Beside Stands Did Before Tally Tallies Kept Moment Question Asked
    Pool Firsts Lasts Edge Ends Ending Nonsense Unheard NotSecured Lane Peer Objection Bounded
    Pause Proof Speaker Refused Refusal Door Site Live Print Seen Turn Brief Wall Uptime Page
    FakeKafka Pipe Hand Mood Bench OfTopic Answered
    """
)
# Of these also each use in Rust code: the name has no other meaning there.
UNMISTAKABLE = words(
    """
    DeedError Standing Driven Extent Told Looked Heard Beside Stands Asked Firsts Lasts
    NotSecured Lane Objection Wall Uptime FakeKafka OfTopic
    """
)
# Functions, by the name of their definition.
FUNCTIONS = words(
    """
    look learn prove explain told move_to back spring include are_nobody had_turn lacks
    """
)
# Words that no name of a function, type, module or constant may have as a part.
NAME_PARTS = words(
    """
    deed moves look told heard beside stands spring door mood
    """
)
# Modules of src, by file or folder.
MODULES = words(
    """
    remedy deed drive moves held gate past facts trap measure measures speaker words explain
    refused tally kept optimize
    """
)

BOOL_VARIANTS = frozenset(
    {
        "Yes",
        "No",
        "On",
        "Off",
        "True",
        "False",
        "Not",
        "Maybe",
    }
)
NEGATIONS = ("Not", "Un", "No", "Without")
OPPOSITES = frozenset(
    {
        frozenset(("Open", "Shut")),
        frozenset(("Open", "Closed")),
        frozenset(("Awaited", "Over")),
        frozenset(("Given", "ToBeAsked")),
        frozenset(("Ours", "Theirs")),
        frozenset(("Healthy", "Lost")),
    }
)

# Comments and literals of Rust; the leftmost match decides what a quote means.
LITERAL = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | \b[bc]?r(?P<hashes>\#*)".*?"(?P=hashes) | \b[bc]?"(?:\\.|[^"\\])*"
      | "(?:\\.|[^"\\])*" | '(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^'\\\n])'""",
    re.DOTALL | re.VERBOSE,
)
FUNCTION = re.compile(r"\bfn\s+(\w+)")
TYPE = re.compile(r"\b(?:struct|enum|union|trait)\s+(\w+)|^(?:pub(?:\([^)]*\))? )?type (\w+)", re.M)
NAME = re.compile(r"\b(?:fn|struct|enum|union|trait|mod|const|static|type)\s+(\w+)")
ENUM = re.compile(r"\benum\s+(\w+)[^{;]*\{([^{}()]*)\}")
PUBLIC_TRAIT = re.compile(r"\bpub(?:\([^)]*\))?\s+(?:unsafe\s+)?trait\s+(\w+)")
TRAIT_IMPL = re.compile(r"^\s*(?:unsafe\s+)?impl\b([^{;]*?)\sfor\s", re.M)
IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@dataclass(frozen=True)
class Place:
    """Where something was counted, and what it is."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass
class Counts:
    """The value of each count, and the places of those that count places."""

    values: dict[str, float] = field(default_factory=dict)
    places: dict[str, list[Place]] = field(default_factory=dict)

    def add(self, key: str, places: list[Place]) -> None:
        """Stores a count that is the number of its places."""
        self.places[key] = places
        self.values[key] = len(places)


def must_not_fall(key: str) -> bool:
    """Whether a higher value is the better one."""
    return key.startswith("blank_percent.")


def blanked(text: str) -> str:
    """The Rust text with comments and literals as spaces; lines and columns stay the same.

    A line that is blank inside a literal gets a mark, because it is no blank line of the code.
    """

    def blank(match: re.Match[str]) -> str:
        lines = match[0].split("\n")
        if match[0].startswith("/"):
            return "\n".join(" " * len(line) for line in lines)
        return "\n".join('"' + " " * (len(line) - 1) for line in lines)

    return LITERAL.sub(blank, text)


def line_of(text: str, at: int) -> int:
    """The number of the line at an index; the first is 1."""
    return text.count("\n", 0, at) + 1


def closing(text: str, opening: int) -> int:
    """The index of the bracket that closes the one at `opening`, or the end of the text."""
    depth = 0
    for match in re.compile(r"[(\[{]|[)\]}]").finditer(text, opening):
        depth += 1 if match[0] in "([{" else -1
        if depth == 0:
            return match.start()
    return len(text)


def split_top(text: str) -> list[str]:
    """The parts between the commas that no bracket encloses."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char in "([{<":
            depth += 1
        elif char in ")]}" or (char == ">" and text[at - 1] not in "-="):
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


@dataclass(frozen=True)
class Function:
    """A named function: its parameters, and the range of its body. No body in a trait: (0, 0)."""

    name: str
    at: int
    parameters: str
    body_start: int
    body_end: int


def functions(code: str) -> Iterator[Function]:
    """Each named function of a blanked text, in order."""
    for match in FUNCTION.finditer(code):
        opening = match.end()
        if code[opening : opening + 1] == "<":
            depth = 0
            while opening < len(code):
                if code[opening] == "<":
                    depth += 1
                elif code[opening] == ">" and code[opening - 1] not in "-=":
                    depth -= 1
                opening += 1
                if depth == 0:
                    break
        if code[opening : opening + 1] != "(":
            continue
        end = closing(code, opening)
        start = end + 1
        while start < len(code) and code[start] not in "{;":
            start = closing(code, start) + 1 if code[start] in "([" else start + 1
        has_body = code[start : start + 1] == "{"
        body = (start, closing(code, start)) if has_body else (0, 0)
        yield Function(match[1], match.start(), code[opening + 1 : end], *body)


def tuple_parameters(code: str) -> Iterator[tuple[int, str]]:
    """The index and the name of each parameter whose type is a tuple."""
    for function in functions(code):
        for parameter in split_top(function.parameters):
            pattern_end = closing(parameter, parameter.index("(")) if "(" in parameter else 0
            has_pattern = parameter.lstrip().startswith("(")
            kind = parameter[pattern_end if has_pattern else 0 :].partition(":")[2]
            kind = re.sub(r"^\s*(?:&\s*(?:'\w+\s+)?(?:mut\s+)?)*", "", kind)
            if kind.startswith("(") and len(split_top(kind[1 : closing(kind, 0)])) > 1:
                yield function.at, f"fn {function.name}: {' '.join(parameter.split())}"


def stands_for_bool(name: str, variants: list[str], from_bool: frozenset[str]) -> bool:
    """Whether an enum of these variants without fields is a bool: see the head of this file."""
    if len(variants) != 2:
        return False
    lower = frozenset(it.lower() for it in variants)
    negated = any((prefix + it).lower() in lower for prefix in NEGATIONS for it in variants)
    return (
        bool(BOOL_VARIANTS.intersection(variants))
        or negated
        or frozenset(variants) in OPPOSITES
        or name in from_bool
    )


def bool_enums(code: str) -> Iterator[tuple[int, str]]:
    """The index and the name of each enum that stands for a bool."""
    from_bool = frozenset(re.findall(r"\bFrom<bool>\s+for\s+(\w+)", code))
    for match in ENUM.finditer(code):
        body = re.sub(r"#\[[^\]]*\]", "", match[2])
        variants = [it.strip() for it in body.split(",") if it.strip()]
        is_plain = all(re.fullmatch(r"\w+", it) for it in variants)
        if is_plain and stands_for_bool(match[1], variants, from_bool):
            yield match.start(), f"enum {match[1]} {{ {', '.join(variants)} }}"


def doc_blocks(text: str) -> Iterator[tuple[int, str]]:
    """The first line's number and the text of each block of doc comments."""
    block: list[str] = []
    begun = last = 0
    mark = ""
    for match in LITERAL.finditer(text):
        comment = match[0]
        is_doc = re.match(r"///(?!/)|//!", comment)
        if is_doc is None:
            continue
        line = line_of(text, match.start())
        if block and (line != last + 1 or is_doc[0] != mark):
            yield begun, " ".join(block)
            block = []
        if not block:
            begun = line
        block.append(comment[3:].strip())
        last, mark = line, is_doc[0]
    if block:
        yield begun, " ".join(block)


def blank_lines(code: str) -> tuple[int, int]:
    """Blank lines inside functions, and all lines between the braces of functions."""
    blank = total = covered = 0
    for function in functions(code):
        if function.body_start < covered or function.body_end == 0:
            continue
        covered = function.body_end
        inside = code[function.body_start : function.body_end].split("\n")[1:-1]
        total += len(inside)
        blank += sum(not line for line in inside)
    return blank, total


def parts(identifier: str) -> list[str]:
    """The words of an identifier, in lower case."""
    return [part.lower() for part in PART.findall(identifier)]


def old_words(path: str, text: str) -> Iterator[Place]:
    """Each old word of the rename list in a file."""
    pure = PurePosixPath(path)
    if any(pure.match(pattern) for pattern in ALLOWED):
        return
    if pure.parts[0] == "src":
        for part in MODULES.intersection((*pure.parts[1:-1], pure.stem)):
            yield Place(path, 1, f"module {part}")
    for number, line in enumerate(text.split("\n"), start=1):
        for word in words_of(line):
            yield Place(path, number, word)
    if path.endswith(".rs"):
        code = blanked(text)
        for at, name in old_names(code):
            yield Place(path, line_of(code, at), name)


def words_of(line: str) -> Iterator[str]:
    """Each old word and phrase in a line of text."""
    line = SLUGS.sub("", line)
    for identifier in IDENTIFIER.findall(line):
        for part in parts(identifier):
            if part in WORDS:
                yield f"{part} in `{identifier}`"
    for match in PHRASES.finditer(line):
        yield match[0]


def old_names(code: str) -> Iterator[tuple[int, str]]:
    """The index of each old name in a blanked Rust text."""
    for match in TYPE.finditer(code):
        name = match[1] or match[2]
        if name in TYPES - UNMISTAKABLE:
            yield match.start(), f"type {name}"
    for match in IDENTIFIER.finditer(code):
        if match[0] in UNMISTAKABLE and not WORDS.intersection(parts(match[0])):
            yield match.start(), f"type {match[0]}"
    for match in FUNCTION.finditer(code):
        if match[1] in FUNCTIONS:
            yield match.start(), f"fn {match[1]}"
    for match in NAME.finditer(code):
        for part in parts(match[1]):
            if part in NAME_PARTS - WORDS and match[1] not in FUNCTIONS:
                yield match.start(), f"{part} in `{match[1]}`"


def area_of(path: str) -> str | None:
    """The area a file belongs to."""
    first = path.split("/")[0]
    return first if first in AREAS else "docs" if path in ROOT_DOCUMENTS else None


def names_twice(definitions: list[tuple[str, Place]]) -> list[Place]:
    """The places of each name that is defined more than once, as one place for each name."""
    by_name: dict[str, list[Place]] = defaultdict(list)
    for name, place in definitions:
        by_name[name].append(place)
    found = []
    for name, places in sorted(by_name.items()):
        if len(places) > 1:
            others = ", ".join(f"{it.path}:{it.line}" for it in places[1:])
            found.append(Place(places[0].path, places[0].line, f"{name}, also {others}"))
    return found


def count(files: dict[str, str]) -> Counts:
    """All counts of a tree, given as text by path."""
    counts = Counts()
    tuples: list[Place] = []
    bools: list[Place] = []
    shorts: list[Place] = []
    old: dict[str, list[Place]] = {area: [] for area in AREAS}
    types: dict[str, list[tuple[str, Place]]] = {"src": [], "tests": []}
    blanks = {"src": [0, 0], "tests": [0, 0]}
    lines = dict.fromkeys(("src", "tests", "lab"), 0)
    rust: dict[str, str] = {}
    for path, text in sorted(files.items()):
        area = area_of(path)
        if area is None:
            continue
        old[area].extend(old_words(path, text))
        if area in lines and path.endswith(CODE):
            lines[area] += text.count("\n")
        if area not in types or not path.endswith(".rs"):
            continue
        code = rust[path] = blanked(text)
        tuples.extend(Place(path, line_of(code, at), it) for at, it in tuple_parameters(code))
        bools.extend(Place(path, line_of(code, at), it) for at, it in bool_enums(code))
        shorts.extend(
            Place(path, line, it)
            for line, it in doc_blocks(text)
            if len(it.split()) <= SHORT_DOC_WORDS_MAX
        )
        for match in TYPE.finditer(code):
            place = Place(path, line_of(code, match.start()), match[0])
            types[area].append((match[1] or match[2], place))
        blank, total = blank_lines(code)
        blanks[area][0] += blank
        blanks[area][1] += total
    counts.add("tuple_parameters", tuples)
    counts.add("bool_enums", bools)
    for area in AREAS:
        counts.add(f"old_words.{area}", old[area])
    counts.add("short_doc_comments", shorts)
    counts.add("type_names_twice.src", names_twice(types["src"]))
    counts.add("type_names_twice.tests", names_twice(types["tests"]))
    counts.add("type_names_twice.all", names_twice(types["src"] + types["tests"]))
    for area, (blank, total) in blanks.items():
        counts.values[f"blank_percent.{area}"] = round(100 * blank / max(total, 1), 1)
    counts.add("public_traits", traits := list(public_traits(rust)))
    names = frozenset(it.what.removeprefix("trait ") for it in traits)
    counts.add("public_trait_impls", list(trait_impls(rust, names)))
    for area, number in lines.items():
        counts.values[f"lines.{area}"] = number
    return counts


def public_traits(rust: dict[str, str]) -> Iterator[Place]:
    """Each trait that is public in any form."""
    for path, code in rust.items():
        for match in PUBLIC_TRAIT.finditer(code):
            yield Place(path, line_of(code, match.start()), f"trait {match[1]}")


def trait_impls(rust: dict[str, str], names: frozenset[str]) -> Iterator[Place]:
    """Each implementation of one of the named traits."""
    for path, code in rust.items():
        for match in TRAIT_IMPL.finditer(code):
            # The trait is the last path before `for`, without its parameters.
            implemented = re.sub(r"<.*", "", match[1].split("::")[-1].split()[-1], flags=re.S)
            if implemented in names:
                line = line_of(code, match.start(1))
                yield Place(path, line, f"impl {implemented}")


def is_counted(path: str) -> bool:
    """Whether a file of the repository is read."""
    return area_of(path) is not None and (path.endswith(TEXT) or path in ROOT_DOCUMENTS)


def git(*arguments: str) -> bytes:
    """What git prints; a failure is git's own message."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def working_tree() -> dict[str, str]:
    """The files as they stand, also those that git does not know yet."""
    listed = git("ls-files", "-coz", "--exclude-standard").decode().split("\0")
    found = {path: ROOT / path for path in listed if is_counted(path)}
    return {path: file.read_text("utf-8") for path, file in found.items() if file.is_file()}


def commit(revision: str) -> dict[str, str]:
    """The files of a commit."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", revision))) as archive:
        members = [it for it in archive if it.isfile() and is_counted(it.name)]
        contents = {it.name: archive.extractfile(it) for it in members}
        return {path: it.read().decode() for path, it in contents.items() if it is not None}


def worse(values: dict[str, float], limits: dict[str, float]) -> list[str]:
    """A sentence for each count that is worse than its limit, or has none."""
    found = []
    for key, value in values.items():
        if key not in limits:
            found.append(f"{key} is not in {LIMITS.name}: run lab/counts.py --write")
        elif must_not_fall(key) and value < limits[key]:
            found.append(f"{key} fell from {limits[key]:g} to {value:g}")
        elif not must_not_fall(key) and value > limits[key]:
            found.append(
                f"{key} grew from {limits[key]:g} to {value:g}; see lab/counts.py --list {key}"
                if not key.startswith("lines.")
                else f"{key} grew from {limits[key]:g} to {value:g}; "
                f"if the change needs them: lab/counts.py --write --raise {key}"
            )
    return found


def tightened(
    values: dict[str, float], limits: dict[str, float], raised: list[str]
) -> dict[str, float]:
    """The limits with each better value taken over, and those of `raised` as they are now."""
    best = {}
    for key, value in values.items():
        old = limits.get(key, value)
        better = max(old, value) if must_not_fall(key) else min(old, value)
        best[key] = value if key in raised else better
    return best


def table(columns: dict[str, dict[str, float]]) -> str:
    """The counts as text, one column for each source of values."""
    keys = list(next(iter(columns.values())))
    lines = [f"{'':24}" + "".join(f"{name:>12}" for name in columns)]
    for key in keys:
        cells = (column.get(key) for column in columns.values())
        lines.append(
            f"{key:24}" + "".join(f"{'-' if it is None else f'{it:g}':>12}" for it in cells)
        )
    return "\n".join(lines)


def main() -> int:
    """Runs the command line; 1 when a count is worse than its limit."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--at", metavar="REV", action="append", default=[])
    arguments.add_argument("--list", metavar="KEY")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--raise", metavar="KEY", action="append", default=[], dest="raised")
    options = arguments.parse_args()

    counts = count(working_tree())
    if options.list is not None:
        for place in counts.places.get(options.list, []):
            print(place)
        return 0

    limits: dict[str, float] = json.loads(LIMITS.read_text()) if LIMITS.exists() else {}
    if options.write:
        limits = tightened(counts.values, limits, options.raised)
        LIMITS.write_text(json.dumps(limits, indent=2) + "\n")

    columns = {revision[:11]: count(commit(revision)).values for revision in options.at}
    print(table({**columns, "limit": limits, "now": counts.values} if limits else columns))
    problems = worse(counts.values, limits)
    for problem in problems:
        print(f"counts.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
