from __future__ import annotations

import unittest
from typing import Any
from unittest.mock import patch

from ..prometheus import Prometheus, firing, selector


def answer(*series: dict[str, Any]) -> Any:
    return patch("kafka_lab.prometheus.get_json", return_value={"data": {"result": list(series)}})


class Queries(unittest.TestCase):
    prometheus = Prometheus("http://127.0.0.1:1")

    def test_the_value_of_the_first_series_or_none(self) -> None:
        with answer({"metric": {}, "value": [10.5, "0.25"]}):
            self.assertEqual(self.prometheus.value("up"), 0.25)
        with answer():
            self.assertIsNone(self.prometheus.value("up"))

    def test_the_first_time_of_any_series(self) -> None:
        with answer({"values": [[12, "1"], [13, "1"]]}, {"values": [[11, "1"]]}):
            self.assertEqual(self.prometheus.first_time("up == 1", 10, 20), 11)

    def test_an_alert_that_fired_before_the_fault_fires_from_the_fault_on(self) -> None:
        with answer({"metric": {}, "value": [0, "90"]}):
            self.assertEqual(self.prometheus.fired_at("Saturated", since=100.0), 100.0)

    def test_an_alert_is_firing_pending_or_inactive(self) -> None:
        alerts = [
            {"state": "pending", "labels": {"alertname": "Saturated", "broker_id": "1"}},
            {"state": "firing", "labels": {"alertname": "Saturated", "broker_id": "2"}},
        ]
        with patch("kafka_lab.prometheus.get_json", return_value={"data": {"alerts": alerts}}):
            states = [self.prometheus.alert_state("Saturated", broker_id=id) for id in "123"]
        self.assertEqual(states, ["pending", "firing", "inactive"])


class Selectors(unittest.TestCase):
    def test_labels_are_matched_exactly(self) -> None:
        self.assertEqual(selector("up", job="kafka"), 'up{job="kafka"}')
        self.assertEqual(
            firing("Flood", broker_id="1"),
            'ALERTS{alertname="Flood",alertstate="firing",broker_id="1"}',
        )
