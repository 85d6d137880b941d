"""Command `report`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from msgspec import structs

from bridge.domain.request import RecoveryVerdict
from bridge.domain.times import rfc3339
from bridge.ports import DecisionFilter
from tests.cli.conftest import Command, columns
from tests.support.web import Site

pytestmark = pytest.mark.usefixtures("site")


def test_the_report_counts_the_requests_of_the_period(command: Command, site: Site, tmp_path: Path) -> None:
    """As text with advice, as JSON, and as a page."""
    record = site.queries.records[0]
    now = int(time.time() * 1000)
    recent = structs.replace(
        record, request=structs.replace(record.request, triggered_at=now), verdict=RecoveryVerdict.RECOVERED
    )
    site.queries.records = [recent, record]  # the second is older than the period
    code, out, err = command("report", "--last=7d", f"--html={tmp_path / 'report.html'}")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("In the last 1w: 1 request, 1 sent; 1 retraining helped")
    assert lines[-1] == "Drifted: wait (outcomes of 1 retraining; advice needs 5)"
    assert ["Drifted", "1", "1", "1", "0", "0", "0", "0", "0"] in columns(out)
    assert "What retraining was worth" in (tmp_path / "report.html").read_text()
    assert json.loads(command("report", "-o", "json")[1])["total"]["helped"] == 1


def test_only_the_decisions_of_the_project_are_read(command: Command, site: Site) -> None:
    """Those of others would be counted until the limit, and take their time."""
    record = site.queries.records[0]
    now = int(time.time() * 1000)
    site.queries.records = [
        structs.replace(record, request=structs.replace(record.request, triggered_at=now), state=record.state)
    ]
    assert command("report", "--project=shop", "--no-signals")[0] == 0
    assert command("report", "shop/ranking", "--no-signals")[0] == 0
    read = [item for item in site.queries.asked if isinstance(item, DecisionFilter)]
    assert [(item.project, item.pipeline) for item in read] == [("shop", ""), ("shop", "ranking")]


def test_a_period_without_requests_is_an_error(command: Command, site: Site, tmp_path: Path) -> None:
    """With what to do; the report is printed and written nevertheless."""
    page = tmp_path / "report.html"
    code, out, err = command("report", "--last=7d", f"--html={page}")
    latest = rfc3339(site.queries.records[0].request.triggered_at)
    assert (code, err) == (
        1, f"no request was made in the last 1w; the latest one is of {latest}: choose a longer --last\n",
    )  # fmt: skip
    assert out.startswith("In the last 1w: 0 requests")
    assert page.exists()
    site.queries.records = []
    assert command("report", "--last=7d", "-o", "json")[::2] == (1, "no request was made in the last 1w, nor before\n")
