"""Tests of what lab/counts.py counts."""

import unittest

import counts


def lines(places: list[counts.Place]) -> list[int]:
    """The numbers of the lines of places."""
    return [place.line for place in places]


class Blanked(unittest.TestCase):
    """Comments and literals."""

    def check(self, text: str, want: str) -> None:
        self.assertEqual(counts.blanked(text), want)

    def test_comments_and_literals_are_blanked_and_columns_stay(self) -> None:
        self.check("a // fn x\nb", "a        \nb")
        self.check('f("fn {", b)', 'f("     , b)')
        self.check('f(r#"a"b"#)', 'f("       )')
        self.check("'{' 'a: &'b str", "\"   'a: &'b str")

    def test_a_blank_line_of_a_literal_is_not_blank(self) -> None:
        self.check('"a\n\nb"', '" \n"\n" ')


class TupleParameters(unittest.TestCase):
    """Parameters that are tuples."""

    def check(self, text: str, want: int) -> None:
        self.assertEqual(len(list(counts.tuple_parameters(text))), want, text)

    def test_a_tuple_is_found_with_and_without_a_pattern(self) -> None:
        self.check("fn f((a, b): (u8, u8)) {}", 1)
        self.check("fn f<T: Fn(u8) -> u8>(a: &'x mut (u8, T), (b, c): &(u8, u8));", 2)

    def test_what_only_holds_a_tuple_is_none(self) -> None:
        self.check("fn f(a: &[(u8, u8)], b: impl Fn((u8, u8)), c: (), Pair(d): Pair) {}", 0)
        self.check("fn f(&self, a: u8) -> (u8, u8) { g(|(a, b): (u8, u8)| a) }", 0)


class BoolEnums(unittest.TestCase):
    """Enums that stand for a bool."""

    def check(self, text: str, want: int) -> None:
        self.assertEqual(len(list(counts.bool_enums(text))), want, text)

    def test_names_negations_and_conversions_tell_a_bool(self) -> None:
        self.check("enum A { Yes, No }", 1)
        self.check("enum A { #[default] Secured, Unsecured, }", 1)
        self.check("enum A { Ja, Nein } impl From<bool> for A {}", 1)

    def test_two_kinds_of_a_thing_are_no_bool(self) -> None:
        self.check("enum A { Text, Json }", 0)
        self.check("enum A { Yes(u8), No }", 0)
        self.check("enum A { Yes, No, Maybe }", 0)


class OldWords(unittest.TestCase):
    """Words of the rename list."""

    def check(self, path: str, text: str, want: list[str]) -> None:
        self.assertEqual([place.what for place in counts.old_words(path, text)], want)

    def test_a_word_is_found_as_a_part_of_an_identifier(self) -> None:
        self.check("src/a.rs", "x.lift_when", ["lift in `lift_when`"])
        self.check("docs/a.md", "LiftedRuns, uplifting", ["lifted in `LiftedRuns`"])

    def test_the_name_of_a_scenario_is_one_whole_word(self) -> None:
        self.check("lab/a.py", '"storm-of-nonsense"', [])
        self.check("docs/a.md", "nonsense", ["nonsense in `nonsense`"])
        self.check("docs/a.md", "storm-of-nonsense-2", ["nonsense in `nonsense`"])

    def test_a_verb_stays_and_the_noun_does_not(self) -> None:
        self.check("docs/a.md", "It measures lag until a measure ends.", ["a measure"])

    def test_a_definition_is_told_from_a_use(self) -> None:
        self.check("src/a.rs", "match x { Reading::Known(it) => it }", [])
        self.check("src/a.rs", "struct Known;", ["type Known"])
        self.check("src/a.rs", "fn who_is_told() {}", ["told in `who_is_told`"])

    def test_a_module_counts_by_its_file(self) -> None:
        self.check("src/drive/a.rs", "", ["module drive"])

    def test_the_upgrade_notes_may_name_an_old_word(self) -> None:
        self.check("docs/upgrade.md", "lift_when is now expire_when", [])


class Counted(unittest.TestCase):
    """The counts of a whole tree."""

    def test_short_doc_comments_are_counted_by_block(self) -> None:
        text = "/// Three words only.\nfn a() {}\n/// One two\n/// three four five.\nfn b() {}\n"
        found = counts.count({"src/a.rs": text})
        self.assertEqual(lines(found.places["short_doc_comments"]), [1])

    def test_a_type_name_is_counted_once_however_often_it_is_defined(self) -> None:
        found = counts.count(
            {
                "src/a.rs": "struct A;\nimpl B { type C = u8; }",
                "tests/b.rs": "enum A {}\ntrait A {}",
            }
        )
        self.assertEqual(found.values["type_names_twice.src"], 0)
        self.assertEqual(found.values["type_names_twice.tests"], 1)
        self.assertEqual(found.values["type_names_twice.all"], 1)

    def test_blank_lines_count_between_braces_only(self) -> None:
        text = "fn a() {\n    b();\n\n    c();\n    d();\n}\n\n\nstruct E;\n"
        self.assertEqual(counts.count({"src/a.rs": text}).values["blank_percent.src"], 25.0)

    def test_public_traits_are_counted_with_their_implementations(self) -> None:
        text = "pub trait A {}\ntrait B {}\nimpl A for u8 {}\nimpl<T: B> crate::A<T> for X<T> {}\n"
        found = counts.count({"src/a.rs": text + "impl B for u8 {}\n"})
        self.assertEqual(found.values["public_traits"], 1)
        self.assertEqual(found.values["public_trait_impls"], 2)


class Ratchet(unittest.TestCase):
    """What is worse, and what is stored."""

    def test_a_share_must_not_fall_and_a_number_must_not_grow(self) -> None:
        limits = {"blank_percent.src": 5.0, "bool_enums": 3.0}
        self.assertEqual(counts.worse({"blank_percent.src": 6.0, "bool_enums": 2.0}, limits), [])
        self.assertEqual(
            len(counts.worse({"blank_percent.src": 4.0, "bool_enums": 4.0}, limits)), 2
        )

    def test_only_a_better_value_is_stored_unless_it_is_raised_by_name(self) -> None:
        values = {"blank_percent.src": 4.0, "lines.src": 9.0, "bool_enums": 2.0}
        limits = {"blank_percent.src": 5.0, "lines.src": 8.0, "bool_enums": 3.0}
        stored = counts.tightened(values, limits, [])
        self.assertEqual(stored, {"blank_percent.src": 5.0, "lines.src": 8.0, "bool_enums": 2.0})
        self.assertEqual(counts.tightened(values, limits, ["lines.src"])["lines.src"], 9.0)


if __name__ == "__main__":
    unittest.main()
