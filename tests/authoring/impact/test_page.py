"""Impact report as a page."""

from __future__ import annotations

import json

from bridge.authoring.impact.impact import impact
from bridge.authoring.impact.page import page
from tests.authoring.impact.test_impact import alone, request


def test_the_report_is_a_page_and_json() -> None:
    """Names are escaped; the assumptions are stated."""
    found = impact([request(1, rule="<b>"), alone(2)], [])
    text = page(found, "90d")
    assert "<td>&lt;b&gt;</td>" in text
    assert "<td><b>" not in text
    assert "only if gates hold requests by chance" in text
    assert json.loads(json.dumps(found.to_json()))["rules"][0]["advice"] == "wait"
