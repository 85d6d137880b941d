"""API of trails: recent values of a model."""

from __future__ import annotations

import math
from dataclasses import replace

from tests.support.fake_views import MODEL, QUIET, TRAIL, model_view, signal
from tests.support.web_app import Site

PATH = "/api/v1/trail?project=shop&pipeline=ranking&version=7"


def test_a_trail_comes_in_columns_of_one_length() -> None:
    """Times are RFC 3339, states are names, missing numbers are null."""
    assert Site().data(PATH) == {
        "trails": [
            {
                "rule": "Drifted", "signal": "drift", "unit": "",
                "slots": ["2023-11-14T22:12:40.000Z", "2023-11-14T22:12:50.000Z", "2023-11-14T22:13:00.000Z",
                          "2023-11-14T22:13:10.000Z", "2023-11-14T22:13:20.000Z"],
                "value": [0.1, 0.2, None, 0.65, 0.702], "statistic": [0.1, 0.2, None, 0.65, 0.702],
                "threshold": [0.6] * 5, "lower": [0.05] * 5, "upper": [0.25] * 5,
                "state": ["inactive", "inactive", "inactive", "pending", "firing"],
            }
        ]
    }  # fmt: skip


def test_one_rule_and_the_last_slots_can_be_chosen() -> None:
    """The engine applies the number of slots."""
    site = Site()
    site.queries.views = [replace(model_view(), signals=[signal(), signal(rule="Slow")])]
    site.queries.seen = {MODEL: {"Drifted": TRAIL, "Slow": TRAIL}}
    rules = [item["rule"] for item in site.data(f"{PATH}&rule=Slow&last=3")["trails"]]
    assert rules == ["Slow"]
    assert ("trails", (MODEL,), 3) in site.queries.asked
    assert len(site.data(PATH)["trails"]) == 2
    assert site.data(f"{PATH}&rule=Gone") == {"trails": []}
    assert site.http.get(f"{PATH}&last=-1").status_code == 400


def test_infinity_is_a_text_and_digits_beyond_float32_are_left_out() -> None:
    """JSON has no infinity; 0.1 as float32 is 0.10000000149."""
    site = Site()
    limit = [math.inf, -math.inf, 0.10000000149011612, 0.0, math.nan]
    site.queries.seen = {MODEL: {"Drifted": replace(TRAIL, threshold=limit)}}
    (found,) = site.data(PATH)["trails"]
    assert found["threshold"] == ["+Inf", "-Inf", 0.1, 0.0, None]


def test_an_unknown_model_has_no_trail() -> None:
    """An unknown model, and one without values since the start, have empty lists, not errors."""
    assert Site().data("/api/v1/trail?project=no&pipeline=such&version=1") == {"trails": []}
    assert Site().data(f"/api/v1/trail?project=shop&pipeline={QUIET.pipeline}&version=2") == {"trails": []}
