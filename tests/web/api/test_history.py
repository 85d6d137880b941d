"""API of earlier values, from Prometheus."""

from __future__ import annotations

import pytest

from bridge.domain.errors import RequestError, SourceError
from bridge.web.upstream import Upstream
from tests.support.fake_histories import FakeHistories
from tests.support.fake_views import AT, MODEL
from tests.support.web_app import Site

PATH = "/api/v1/history?project=shop&pipeline=ranking&version=7&rule=Drifted"


def test_values_before_the_start_are_read_from_prometheus() -> None:
    """For one model and rule, over the period; missing values are null."""
    histories = FakeHistories()
    site = Site(upstream=Upstream(histories))
    assert site.data(f"{PATH}&last=6h") == {
        "slots": ["2023-11-14T22:12:20.000Z", "2023-11-14T22:13:20.000Z"], "value": [None, 0.5],
    }  # fmt: skip
    assert histories.asked == [(MODEL, "Drifted", 6 * 3_600_000, 0)]
    site.data(f"{PATH}&until=2023-11-14T22:13:20Z")
    assert histories.asked[-1] == (MODEL, "Drifted", 24 * 3_600_000, AT)


@pytest.mark.parametrize(
    "error",
    [SourceError("no answer within 30 s", reason="timeout", transient=True), RequestError("too many charts")],
)
def test_a_prometheus_that_is_away_is_reported(error: Exception) -> None:
    """With the reason, and when to try again."""
    answer = Site(upstream=Upstream(FakeHistories(error))).http.get(PATH)
    assert answer.status_code == 503
    assert answer.json()["detail"] == str(error)
    assert answer.headers["Retry-After"] == "5"


def test_an_unknown_rule_has_no_history() -> None:
    """Nor has an unknown period or instant, and a server without a Prometheus; a version that left still has one."""
    site = Site(upstream=Upstream(FakeHistories()))
    assert site.http.get(PATH.replace("Drifted", "Other")).status_code == 404
    assert site.http.get(PATH.replace("version=7", "version=6")).status_code == 200
    assert site.http.get(f"{PATH}&until=soon").status_code == 400
    assert site.http.get(f"{PATH}&last=5y").status_code == 400
    assert Site().http.get(PATH).status_code == 404
