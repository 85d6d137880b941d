"""Page of rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import StoreFullError
from bridge.domain.model import ModelKey
from bridge.engine.api.alert_views import AlertView
from bridge.engine.api.views import RuleView
from tests.support.fake_views import ALERT, AT, GROUP, NAN, RULE
from tests.support.web_app import Site

HOSTILE = "<script>alert(1)</script>\"'&"
BROKEN = replace(RULE, name="Broken", state="inactive", health="err", last_error="HTTP 503", alerts=[], firing=0)


@pytest.fixture
def site() -> Site:
    return Site()


def many(site: Site, rules: list[RuleView]) -> None:
    site.queries.groups_ = [replace(GROUP, rules=rules)]


def test_a_rule_is_shown_with_its_evaluation_and_its_alerts(site: Site) -> None:
    """Like the page of Prometheus, plus whether retrainings helped."""
    page = site.http.get("/rules").text
    for part in ("rules.yml", "every 1m", "2023-11-14 22:13:20", "model_drift", "<b>threshold</b>: max 0.6; ",
                 "for 10s", 'severity="page"', "shop/ranking/7", "3 of 4 retrainings helped",
                 'href="/requests?rule=Drifted" aria-label="Requests by Drifted">5</a>'):  # fmt: skip
        assert part.replace('"', "&#34;") in page or part in page, part


def test_a_rule_shows_its_cooldown_and_approval(site: Site) -> None:
    """With the strategy's parameters; a missed evaluation is counted in the singular."""
    site.queries.groups_ = [replace(GROUP, missed=1, rules=[replace(RULE, cooldown=3_600_000, approval=True)])]
    page = site.http.get("/rules").text
    for part in ("for 10s, cooldown 1h, needs approval", "1 evaluation missed"):
        assert part in page


def test_models_that_a_rule_does_not_evaluate_are_linked(site: Site) -> None:
    """The list says why it is short."""
    site.queries.groups_ = [replace(GROUP, rules=[replace(RULE, models=1)])]
    page = site.http.get("/rules").text
    assert "1 of 2 <a" in page
    assert 'href="/?without=Drifted"' in page
    assert "The rule <b>" not in site.http.get("/").text
    listed = site.http.get("/?without=Drifted").text
    assert "Models that the rule <b><bdi>Drifted</bdi></b> does not evaluate" in listed
    assert ("", (), 0, 50, "Drifted") in site.queries.asked


def test_rules_are_filtered_by_the_server(site: Site) -> None:
    """By words of the name, state and health; empty groups are omitted."""
    many(site, [RULE, BROKEN])
    for query, shown in (("q=drift", "Drifted"), ("state=firing", "Drifted"), ("health=err", "Broken"),
                         ("q=broken+serving", "Broken")):  # fmt: skip
        table = site.http.get(f"/rules?{query}").text.partition("<tbody>")[2]
        assert [name for name in ("Drifted", "Broken") if f"<bdi>{name}</bdi></th>" in table] == [shown]
    assert "No matching rules" in site.http.get("/rules?q=nothing").text


def test_failing_rules_are_reported_first_with_what_to_do(site: Site) -> None:
    """Before any table, including those on other pages."""
    many(site, [*(replace(RULE, name=f"R{number}") for number in range(40)), BROKEN])
    page = site.http.get("/rules").text
    notice = page.partition('role="alert"')[2].partition("</div>")[0]
    assert "HTTP 503" in notice
    assert "states of their models stay unchanged" in " ".join(notice.split())
    assert "R30" not in page
    assert 'href="/rules?page=2"' in page
    assert "R30" in site.http.get("/rules?page=2").text


def test_big_rule_sets_stay_small_pages(site: Site) -> None:
    """1,000 rules with 10,000 alerts: at most 100 kB, with a count of what is omitted."""
    model = ModelKey("a-project-with-a-name", "pipeline-with-a-name", "2026-11-24.1")
    alerts: list[AlertView] = [replace(ALERT, model=model)] * 10
    many(
        site, [replace(RULE, name=f"Rule{number}", query="x" * 400, alerts=alerts, firing=10) for number in range(1000)]
    )
    page = site.http.get("/rules")
    assert len(page.content) <= 100_000
    assert "and 5 more" in page.text


def test_no_rules_is_reported_with_what_to_do(site: Site) -> None:
    """The empty page explains how to add rules."""
    site.queries.groups_ = []
    page = site.http.get("/rules").text
    assert "No rules are configured" in page
    assert "retrain-bridge check config" in page


def test_a_rule_that_never_ran_reports_it(site: Site) -> None:
    """An instant of 0 is not shown as 1970; missed evaluations are counted."""
    site.queries.groups_ = [replace(GROUP, last_evaluation=0, missed=7, rules=[replace(BROKEN, last_evaluation=0)])]
    page = site.http.get("/rules").text
    assert page.count("not evaluated yet") == 2
    assert "1970" not in page
    assert "7 evaluations missed" in page


def test_what_the_store_cannot_tell_leaves_the_rest(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules come from the engine."""

    def broken() -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.queries, "verdicts", broken)
    page = site.http.get("/rules").text
    assert "disk is full" in page
    assert "model_drift" in page


def test_hostile_texts_are_data(site: Site) -> None:
    """In names, queries, labels, annotations and errors."""
    rule = replace(
        RULE, name=HOSTILE, query=HOSTILE, labels={"a": HOSTILE}, annotations={"summary": HOSTILE}, last_error=HOSTILE,
        health="err", alerts=[replace(ALERT, model=ModelKey(HOSTILE, HOSTILE, HOSTILE), value=NAN)],
    )  # fmt: skip
    site.queries.groups_ = [replace(GROUP, name=HOSTILE, file=HOSTILE, rules=[rule], last_evaluation=AT)]
    page = site.http.get(f"/rules?q={'%3Cscript%3E'}").text
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 8
