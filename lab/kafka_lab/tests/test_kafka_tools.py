from __future__ import annotations

import unittest

from ..kafka_tools import EffectiveValue, parse_dynamic_config, parse_effective_value

ALL = """All configs for broker 1 are:
  num.io.threads=16 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:num.io.threads=16, \
STATIC_BROKER_CONFIG:num.io.threads=8, DEFAULT_CONFIG:num.io.threads=8}
  num.network.threads=8 sensitive=false synonyms={STATIC_BROKER_CONFIG:num.network.threads=8}
"""
DYNAMIC = """Dynamic configs for broker 1 are:
  num.network.threads=16 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:num.network.threads=16}
  num.io.threads=16 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:num.io.threads=16}
"""


class Parsing(unittest.TestCase):
    def test_an_effective_value_and_where_it_comes_from(self) -> None:
        self.assertEqual(
            parse_effective_value(ALL, "num.io.threads"),
            EffectiveValue("16", "DYNAMIC_BROKER_CONFIG"),
        )
        self.assertEqual(
            str(parse_effective_value(ALL, "num.network.threads")), "8 STATIC_BROKER_CONFIG"
        )

    def test_a_key_that_is_not_there(self) -> None:
        self.assertIsNone(parse_effective_value(ALL, "io.threads"))

    def test_dynamic_values_are_sorted(self) -> None:
        found = parse_dynamic_config(DYNAMIC)
        self.assertEqual(
            list(found.items()), [("num.io.threads", "16"), ("num.network.threads", "16")]
        )
