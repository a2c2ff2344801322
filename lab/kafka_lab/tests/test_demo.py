from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from ..demo.result import Result


class ResultFile(unittest.TestCase):
    def test_an_act_that_has_begun_is_there_with_every_key(self) -> None:
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "result.json"
        result = Result()
        result.begin("starved request handlers").alert = "KafkaRequestHandlersSaturated"
        result.write(file)
        [act] = json.loads(file.read_text())["acts"]
        keys = (
            "name alert optimizer verdict outcome alert_to_webhook_s webhook_to_effective_s"
            " fault_to_recovery_s"
        )
        self.assertEqual(list(act), keys.split())
        self.assertEqual(act["alert"], "KafkaRequestHandlersSaturated")
        self.assertIsNone(act["verdict"])

    def test_no_act_is_an_empty_list(self) -> None:
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "demo" / "result.json"
        Result().write(file)
        self.assertEqual(json.loads(file.read_text()), {"acts": []})
