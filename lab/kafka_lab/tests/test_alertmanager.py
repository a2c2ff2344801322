from __future__ import annotations

import unittest
from unittest.mock import patch

from ..alertmanager import Alertmanager
from ..errors import LabError


class Silences(unittest.TestCase):
    def test_a_silence_matches_exactly_and_is_removed_after_a_failure(self) -> None:
        alertmanager = Alertmanager("http://127.0.0.1:1")
        answer = {"silenceID": "5f-1"}
        with (
            patch("kafka_lab.alertmanager.post_json", return_value=answer) as post,
            patch("kafka_lab.alertmanager.delete") as delete,
        ):
            with (
                self.assertRaises(LabError),
                alertmanager.silence({"alertname": "LabTune"}, seconds_max=400),
            ):
                delete.assert_not_called()
                raise LabError("not as expected")

            delete.assert_called_once_with("http://127.0.0.1:1/api/v2/silence/5f-1")
        [matcher] = post.call_args.args[1]["matchers"]
        wanted = {"name": "alertname", "value": "LabTune", "isRegex": False, "isEqual": True}
        self.assertEqual(matcher, wanted)
