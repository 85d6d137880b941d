"""Command `decisions list`."""

from __future__ import annotations

import pytest

from bridge.domain.request import Outcome
from bridge.domain.times import rfc3339
from bridge.ports import DecisionFilter
from tests.cli.conftest import Command, columns
from tests.support.fake_views import AT, MODEL
from tests.support.web import Site

pytestmark = pytest.mark.usefixtures("site")


def test_decisions_are_listed_in_columns(command: Command, site: Site) -> None:
    """Of one model, or of all."""
    code, out, _ = command("decisions", "list", "shop/ranking/7", "--rule=Drifted", "--outcome=requested")
    assert (code, columns(out)) == (
        0,
        [
            ["SLOT", "MODEL", "RULE", "OUTCOME", "ALERT", "REASON"],
            [rfc3339(AT), "shop/ranking/7", "Drifted", "requested", "pending -> firing", "drift 0.702 above 0.6"],
        ],
    )  # fmt: skip
    assert site.queries.asked[-1] == DecisionFilter(
        None, "Drifted", (Outcome.REQUESTED,), 0, 0, 0, 51, *MODEL.labels().values()
    )
    assert command("decisions", "list", "--outcome=held") == (0, "no decisions\n", "")


def test_what_there_is_not_is_named(command: Command, site: Site) -> None:
    """An unknown model, project or rule ends with 1."""
    code, _, err = command("decisions", "list", "shop/rankng/7")
    assert (code, "did you mean 'shop/ranking/7'?" in err) == (1, True)
    code, _, err = command("decisions", "list", "--rule=Drifed")
    assert (code, "did you mean 'Drifted'?" in err) == (1, True)
    site.queries.records = []
    code, _, err = command("decisions", "list", "shp")
    assert (code, "did you mean 'shop'?" in err) == (1, True)


def test_decisions_are_listed_by_project_pipeline_and_time(command: Command, site: Site) -> None:
    """Part of a name is enough; a period has a length, or two ends."""
    assert command("decisions", "list", "shop")[0] == 0
    assert site.queries.asked[-1] == DecisionFilter(limit=51, project="shop")
    assert command("decisions", "list", "--pipeline=ranking")[0] == 0
    assert site.queries.asked[-1] == DecisionFilter(limit=51, pipeline="ranking")
    assert command("decisions", "list", "--from=1700000000", "--to=1700000060")[0] == 0
    asked = site.queries.asked[-1]
    assert (asked.since, asked.until) == (1_700_000_000_000, 1_700_000_060_000)
    code, _, err = command("decisions", "list", "--from=yesterday")
    assert (code, "now-30d" in err) == (2, True)
