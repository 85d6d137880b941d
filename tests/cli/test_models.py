"""Commands `models list` and `rules list`."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from msgspec import structs

from bridge.domain.explain import Check, Explanation
from bridge.domain.request import RequestState
from bridge.domain.times import DAY, rfc3339
from bridge.domain.verdict import Crossing
from bridge.engine.api.views import ModelState
from tests.cli.conftest import REQUEST as WAITING
from tests.cli.conftest import Api, Command, columns
from tests.support.fake_views import AT, ID, MODEL, REQUEST, model_view, signal
from tests.support.web import Site

pytestmark = pytest.mark.usefixtures("site")


def test_models_are_listed_in_columns(command: Command) -> None:
    """Each model on one line, with its latest values; `wide` adds columns."""
    code, out, err = command("models", "list")
    assert (code, err) == (0, "")
    assert columns(out) == [
        ["MODEL", "STATE", "LAST SENT", "VALUES"],
        ["shop/ranking/7", "retrain_requested", rfc3339(AT), "drift 0.702 (limit 0.6)"],
        ["shop/search/2", "healthy", "-", "drift 0.702 (limit 0.6)"],
    ]
    wide = columns(command("models", "list", "-o", "wide")[1])
    assert wide[0][-2:] == ["REQUEST", "RULES"]
    assert wide[1][-2:] == [ID, "Drifted: breached"]


def test_an_expression_without_a_result_is_named(command: Command, site: Site) -> None:
    """In the list and of one model; the API has null."""
    site.queries.views = [replace(model_view(), signals=[signal(math.nan, math.nan, verdict="ok", empty=True)])]
    assert columns(command("models", "list")[1])[1][-1] == "drift empty result"
    assert "Drifted: drift empty result, ok, firing" in command("models", "show", "shop/ranking/7")[1]
    shown = json.loads(command("models", "show", "shop/ranking/7", "-o", "json")[1])
    assert shown["model"]["signals"][0]["value"] is None


def test_the_limit_of_a_statistic_follows_the_statistic(command: Command, site: Site) -> None:
    """Not the value with its unit; without a limit none is printed."""
    signals = [
        signal(0.3, 14.0, statistic=31.5, unit="seconds", signal="p95", rule="Slow"),
        signal(0.3, math.nan, statistic=math.nan, unit="seconds", signal="p99", rule="New"),
    ]  # fmt: skip
    site.queries.views = [replace(model_view(), signals=signals)]
    assert columns(command("models", "list")[1])[1][3] == "p95 0.3 seconds (statistic 31.5, limit 14), p99 0.3 seconds"
    assert "New: p99 0.3 seconds, breached, firing" in command("models", "show", "shop/ranking/7")[1]


def test_models_are_filtered(command: Command) -> None:
    """By project, pipeline, rule and state."""
    assert [row[0] for row in columns(command("models", "list", "--pipeline=search")[1])] == ["MODEL", "shop/search/2"]
    assert [row[0] for row in columns(command("models", "list", "--state=healthy")[1])] == ["MODEL", "shop/search/2"]
    assert len(columns(command("models", "list", "--rule=Drifted", "--project=shop")[1])) == 3
    assert command("models", "list", "--rule=Drifted", "--state=held") == (0, "no models\n", "")
    code, _, err = command("models", "list", "--state=ill")
    assert (code, "state" in err) == (1, True)


def test_rules_are_listed_with_the_results_of_retrainings(command: Command) -> None:
    """One line for each rule."""
    rows = columns(command("rules", "list", "--rule=Drifted")[1])
    assert rows[0] == ["RULE", "GROUP", "STATE", "HEALTH", "PENDING", "FIRING", "HELPED", "DID NOT HELP"]
    assert (rows[1][0], rows[1][-2:]) == ("Drifted", ["3", "1"])
    wide = columns(command("rules", "list", "--rule=Drifted", "-o", "wide")[1])
    assert (wide[0][-3:], wide[1][-3:-1]) == (["INCONCLUSIVE", "REQUESTS 7D", "QUERY"], ["0", "5"])


def test_models_that_a_rule_does_not_evaluate_are_listed(command: Command, site: Site) -> None:
    """An unknown rule gets a suggestion; other names cannot be combined."""
    assert command("models", "list", "--without-rule=Drifted", "--state=healthy")[0] == 0
    assert site.queries.asked[-1] == ("", (ModelState.HEALTHY,), 0, 1000, "Drifted")
    code, _, err = command("models", "list", "--without-rule=Drifed")
    assert (code, "did you mean 'Drifted'?" in err) == (1, True)
    assert command("models", "list", "--without-rule=Drifted", "--project=shop")[0] == 2


def test_one_model_is_shown_with_its_forecast(command: Command, site: Site) -> None:
    """State, signals, last request and crossing; without a forecast, what it needs."""
    site.queries.records = []
    crossing = Crossing(0.6, AT + DAY, AT + 2 * DAY, 0.9)
    site.queries.views = [replace(model_view(), signals=[signal(crossing=crossing)])]
    code, out, _ = command("models", "show", "shop/ranking/7")
    begin, end = rfc3339(AT + DAY), rfc3339(AT + 2 * DAY)
    assert code == 0
    assert out.splitlines()[:-1] == [
        "shop/ranking/7: retrain_requested", f"last sent request: {ID} at {rfc3339(AT)}",
        f"Drifted: drift 0.702 (limit 0.6), breached, firing; expected to cross 0.6 between {begin} and {end}",
    ]  # fmt: skip
    assert out.splitlines()[-1].startswith("next retraining: no forecast; it needs")
    assert json.loads(command("models", "show", "shop/ranking/7", "-o", "json")[1])["next_retraining"] is None
    code, _, err = command("models", "show", "shop/rankng/7")
    assert (code, "did you mean 'shop/ranking/7'?" in err) == (1, True)


def test_a_version_that_was_replaced_names_its_successor(command: Command, site: Site) -> None:
    """Whether its series last or not."""
    site.queries.records = [structs.replace(REQUEST, state=RequestState.SUCCEEDED, new_version="8")]
    by = f"replaced by shop/ranking/8 (request {ID})"
    site.queries.views = [replace(model_view(), state=ModelState.REPLACED)]
    assert command("models", "show", "shop/ranking/7")[1].splitlines()[0] == f"shop/ranking/7: {by}"
    site.queries.views = []
    shown = command("models", "show", "shop/ranking/7")[1].splitlines()[0]
    assert shown == f"shop/ranking/7: no rule tracks it now; {by}"
    site.queries.records = [structs.replace(REQUEST, state=RequestState.SUCCEEDED, new_version="7")]
    shown = command("models", "show", "shop/ranking/7")[1].splitlines()[0]
    assert shown == "shop/ranking/7: no rule tracks it now; it was replaced or retired"


def test_what_would_hold_a_request_is_shown_below_its_rule(
    command: Command, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closed gates, not the open ones."""
    held = Check("gate cooldown", passed=False, text="a request would be held: closed until 21:43")
    checks = (Check("state", passed=False, text="inactive"), held, Check("gate paused", passed=True, text="open"))
    found = [Explanation(name, MODEL, AT, "", checks, ()) for name in ("Drifted", "Other")]
    monkeypatch.setattr(site.queries, "explain", lambda *_: found, raising=False)
    out = command("models", "show", "shop/ranking/7")[1].splitlines()
    at = next(number for number, line in enumerate(out) if line.startswith("Drifted: "))
    assert out[at + 1 : -1] == ["  gate cooldown: a request would be held: closed until 21:43"]


@pytest.mark.parametrize(
    ("state", "hold", "text"),
    [
        ("awaiting_approval", "approval", "awaits approval: retrain-bridge requests approve ID"),
        ("held", "cooldown", "held by cooldown; to send it now: retrain-bridge requests release ID"),
        ("held", None, "held; to send it now: retrain-bridge requests release ID"),
    ],
)
def test_a_request_that_waits_is_shown_with_its_command(
    command: Command, api: Api, state: str, hold: str | None, text: str
) -> None:
    """It may be the first one of the model: none was sent."""
    names, number = {"project": "shop", "pipeline": "ranking", "version": "7"}, str(WAITING["id"])
    model: dict[str, object] = {
        **names,
        "state": state,
        "last_request_id": None,
        "last_request_at": None,
        "signals": [],
    }
    waiting = {**WAITING, "state": state, "hold": hold}
    api[1]["data"] = {
        "models": [model], "requests": [waiting], "decisions": [{}], "next_retraining": None,
        "explanations": [],
    }  # fmt: skip
    out = command("models", "show", "shop/ranking/7")[1].splitlines()
    said = f"waiting request: {number}, {text.replace('ID', number)}"
    assert out[:3] == [f"shop/ranking/7: {state}", said, "last sent request: none"]
    assert any("state=held&state=awaiting_approval" in path for _, path in api[0])


def test_a_forecast_is_printed_with_its_evidence(
    command: Command, api: tuple[list[tuple[str, str]], dict[str, object]]
) -> None:
    """An interval, and how many earlier retrainings it was learnt from."""
    forecast = {"earliest": "2026-12-03", "latest": "2026-12-20", "own": 2, "others": 5}
    api[1]["data"] = {"models": [], "decisions": [{}], "requests": [], "next_retraining": forecast}
    out = command("models", "show", "shop/ranking/7")[1]
    evidence = "from 2 earlier ones of this pipeline and 5 of its project"
    assert out.splitlines() == [
        "shop/ranking/7: no rule tracks it now; it was replaced or retired",
        f"next retraining: expected between 2026-12-03 and 2026-12-20 (90 %), {evidence}",
    ]
