"""Page of one model, over fake views."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html import unescape

import pytest
from msgspec import structs

from bridge.domain.errors import StoreFullError
from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.domain.verdict import Crossing
from bridge.engine.api.views import ModelState
from tests.support.fake_views import MODEL, REQUEST, model_view, signal
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


ASKED = {"project": "shop", "pipeline": "ranking", "version": "7"}


def test_a_model_has_a_page_with_every_check_and_what_repeats_the_query(site: Site) -> None:
    """It is linked from the first page and has signals, explanation, requests and decisions."""
    assert 'href="/model?project=shop&amp;pipeline=ranking&amp;version=7"' in site.http.get("/").text
    page = site.http.get("/model", params=ASKED)
    assert page.status_code == 200
    for text in (str(MODEL), "0.702", "verdict: ok: drift 0.1, limit 0.6", "answered", "curl x", "retrain requested"):
        assert text in page.text
    assert "http://" not in page.text


@pytest.mark.parametrize("path", ["/", "/model"])
def test_an_expression_without_a_result_is_shown_as_such(site: Site, path: str) -> None:
    """Not by a dash, which stands for an unknown value."""
    site.queries.views = [replace(model_view(), signals=[signal(math.nan, math.nan, verdict="ok", empty=True)])]
    assert "empty result" in site.http.get(path, params=ASKED if path == "/model" else {}).text


def test_the_page_shows_the_expected_crossing(site: Site) -> None:
    """By weekday, and nothing where no crossing is forecast."""
    assert "is expected to cross" not in site.http.get("/model", params=ASKED).text
    crossing = Crossing(0.6, 1_764_600_000_000, 1_764_860_000_000, 0.9)
    site.queries.views[0] = replace(model_view(), signals=[signal(unit="s", crossing=crossing)])
    page = unescape(re.sub("<[^>]+>", "", site.http.get("/model", params=ASKED).text))
    assert (
        "Drifted: drift is expected to cross 0.6 s between Monday 2025-12-01 14:40 and Thursday 2025-12-04 14:53"
        " (UTC, 90 %)."
    ) in page


def test_the_page_of_a_hostile_model_escapes_it(site: Site) -> None:
    """In the heading, the title and the links, which still work."""
    model = ModelKey("<script>alert(1)</script>", 'a"b&c/d', "1?#")
    site.queries.views.append(model_view(model))
    (link,) = [
        part.split('"')[0]
        for part in site.http.get("/").text.split('href="')[1:]
        if "%3Cscript" in part[:60] and part.startswith("/model")
    ]
    page = site.http.get(link.replace("&amp;", "&"))
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;/a&#34;b&amp;c/d/1?#" in page.text


def test_the_page_states_what_a_rule_does_not_detect_yet(site: Site) -> None:
    """Below the answer of `explain`."""
    page = re.sub("<[^>]+>", "", site.http.get("/model", params=ASKED).text)
    assert "coverage \N{EN DASH} detects sudden changes so far; shifts from noon on" in page


def test_an_unknown_model_is_not_found(site: Site) -> None:
    """The page explains why; a missing label is a 400."""
    site.queries.told, site.queries.records = [], []
    page = site.http.get("/model", params={**ASKED, "version": "99"})
    assert page.status_code == 404
    assert "No rule tracks this model now" in page.text
    assert site.http.get("/model", params={"project": "shop"}).status_code in {400, 422}


def test_the_page_of_a_version_that_was_replaced_names_its_successor(site: Site) -> None:
    """No rule tracks it; its decisions are below."""
    site.queries.views = []
    page = site.http.get("/model", params=ASKED).text
    assert "No rule evaluates this model any more.</p>" in page
    site.queries.records = [structs.replace(REQUEST, state=RequestState.SUCCEEDED, new_version="8")]
    page = unescape(re.sub("<[^>]+>", "", site.http.get("/model", params=ASKED).text))
    assert "No rule evaluates this model any more: shop/ranking/8 has replaced it (request)." in page
    site.queries.told, site.queries.records, site.queries.lived = [], [], []
    assert "No rule has evaluated this model." in site.http.get("/model", params=ASKED).text


def test_the_page_of_a_model_shows_what_can_be_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is unavailable."""

    def broken(*_: object, **__: object) -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.queries, "decisions", broken)
    monkeypatch.setattr(site.queries, "requests", broken)
    page = site.http.get("/model", params=ASKED)
    assert page.status_code == 200
    assert page.text.count("This page is incomplete: disk is full") == 1
    assert "0.702" in page.text


@pytest.mark.parametrize("path", ["/", "/model"])
def test_a_version_that_was_replaced_is_not_called_degraded(site: Site, path: str) -> None:
    """Its old series still breach the rule; a request that is open again says more."""
    view = replace(model_view(state=ModelState.REPLACED), replaced_by="8", recovery="recovered")
    site.queries.views = [view]
    text = site.http.get(path, params=ASKED if path == "/model" else {}).text
    assert "replaced by <bdi>8</bdi>, recovered</span>" in text
    assert '<span class="state degraded">degraded</span> ' not in text.partition("Signals</th>")[2]
    site.queries.views = [replace(view, state=ModelState.HELD)]
    assert "replaced by" not in site.http.get(path, params=ASKED if path == "/model" else {}).text


def test_the_limit_of_a_statistic_has_no_unit(site: Site) -> None:
    """Also before the trail shows the statistic; without a limit there is a dash."""
    signals = [
        signal(0.3, 14.0, statistic=31.5, unit="seconds"),
        signal(0.3, math.nan, statistic=31.5, unit="seconds", rule="New"),
    ]  # fmt: skip
    site.queries.views, site.queries.seen = [replace(model_view(), signals=signals)], {}
    page = site.http.get("/model", params=ASKED).text
    assert 'data-name="Limit">14 <span class="quiet">of the statistic</span></td>' in page
    assert 'data-name="Limit">-</td>' in page
