"""The first page, over views that the test fills."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import StoreFull
from bridge.domain.model import ModelKey
from bridge.engine.views import ModelState
from bridge.ports import DeliveryState
from bridge.web.settings import WebSettings
from tests.support.fake_views import (
    DELIVERY,
    GROUP,
    MODEL,
    RULE,
    model_view,
)
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_page_tells_the_story_and_escapes_hostile_labels(site: Site) -> None:
    """A label value is data, never markup."""
    site.queries.views.append(model_view(ModelKey("<script>alert(1)</script>", 'a"b', "1")))
    page = site.http.get("/")
    assert page.status_code == 200
    for text in (str(MODEL), "retrain_requested", "0.702", "drift 0.702 above 0.6", "team/coordinator/0", "busy"):
        assert text in page.text
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_an_empty_bridge_says_what_to_do(site: Site) -> None:
    """Nothing known, nothing decided, nothing waiting."""
    site.queries.views, site.queries.told, site.queries.waiting = [], [], []
    site.queries.why = "starting"
    page = site.http.get("/").text
    for text in ("No rule has seen a model yet", "Nothing was decided yet", "Nothing waits", "Not ready"):
        assert text in page


def test_the_page_loads_nothing_from_elsewhere(site: Site) -> None:
    """Its style comes from here, and the policy forbids everything else."""
    page = site.http.get("/")
    assert "default-src 'none'; style-src 'self'" in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert site.http.get("/style.css").headers["content-type"].startswith("text/css")


def test_links_carry_the_external_urls_path() -> None:
    """Behind a proxy that serves us below a path."""
    site = Site(WebSettings(external_url="http://127.0.0.1/bridge/"))
    for path in ("/", "/bridge/"):
        assert 'href="/bridge/api/v1/rules"' in site.http.get(path).text
    assert site.http.get("/bridge/-/healthy").status_code == 200


def test_the_page_shows_the_models_while_the_store_cannot_be_read(site: Site, monkeypatch) -> None:
    """And says that the rest is missing."""

    def broken(limit: int) -> None:
        raise StoreFull("disk is full")

    monkeypatch.setattr(site.queries, "decisions", broken)
    page = site.http.get("/").text
    assert "The store cannot be read: disk is full" in page
    assert str(MODEL) in page
    assert "Nothing was decided yet" not in page


def test_the_page_names_the_rules_that_cannot_be_evaluated(site: Site) -> None:
    """With the error, before the models whose states may be old."""
    assert "cannot be evaluated" not in site.http.get("/").text
    site.queries.groups_ = [replace(GROUP, rules=[replace(RULE, health="err", last_error="HTTP 503 <b>")])]
    page = site.http.get("/").text
    assert page.index("HTTP 503 &lt;b&gt;") < page.index('id="models"')


def test_the_page_without_rules_says_where_they_belong(site: Site) -> None:
    """The first thing a newcomer sees."""
    site.queries.groups_, site.queries.views = [], []
    page = site.http.get("/").text
    assert "There are no rules" in page
    assert "retrain-bridge check config" in page


def test_the_page_shows_the_worst_first_and_not_more_than_it_can(site: Site) -> None:
    """Of 300 models 200, and where the others are."""
    healthy = [model_view(ModelKey("a", "b", str(n)), ModelState.HEALTHY) for n in range(299)]
    site.queries.views = [*healthy, model_view(ModelKey("z", "z", "worst"), ModelState.DEGRADED)]
    page = site.http.get("/").text
    assert page.index("z/z/worst") < page.index("a/b/0")
    assert page.count("<bdi>a/b/") == 199
    assert "These are 200 of 300" in page


def test_the_page_tells_how_to_send_what_was_given_up(site: Site) -> None:
    """Dead deliveries do not come back by themselves."""
    assert "redrive" not in site.http.get("/").text
    site.queries.waiting = [replace(DELIVERY, state=DeliveryState.DEAD)]
    assert "retrain-bridge requests redrive" in site.http.get("/").text


def test_the_page_leads_to_the_dashboards_that_grafana_has() -> None:
    """All of them, and for each model its own, whatever its labels hold; without a Grafana there are no such links."""
    site = Site(WebSettings(grafana_url="https://grafana.example/ops/"))
    site.queries.views = [model_view(ModelKey("a&b", 'x"y', "1 2"))]
    page = site.http.get("/").text
    assert 'href="https://grafana.example/ops/d/retrain-bridge-overview"' in page
    query = "var-project=a%26b&amp;var-pipeline=x%22y&amp;var-version=1+2"
    assert f'href="https://grafana.example/ops/d/retrain-bridge-decisions?{query}"' in page
    assert "over time" not in Site().http.get("/").text


ASKED = {"project": "shop", "pipeline": "ranking", "version": "7"}


def test_a_model_has_a_page_with_every_check_and_what_repeats_the_query(site: Site) -> None:
    """Reached from the first page; signals, explanation, requests, decisions."""
    assert 'href="/model?project=shop&amp;pipeline=ranking&amp;version=7"' in site.http.get("/").text
    page = site.http.get("/model", params=ASKED)
    assert page.status_code == 200
    for text in (str(MODEL), "0.702", "verdict: ok: drift 0.1, limit 0.6", "answered", "curl x", "retrain requested"):
        assert text in page.text
    assert "default-src 'none'; style-src 'self'" in page.headers["content-security-policy"]
    assert "http://" not in page.text


def test_the_page_of_a_hostile_model_escapes_it(site: Site) -> None:
    """In the heading, the title and the links, which lead to it again."""
    model = ModelKey("<script>alert(1)</script>", 'a"b&c/d', "1?#")
    site.queries.views.append(model_view(model))
    (link,) = [part.split('"')[0] for part in site.http.get("/").text.split('href="')[1:] if "script" in part[:60]]
    page = site.http.get(link.replace("&amp;", "&"))
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;/a&#34;b&amp;c/d/1?#" in page.text


def test_a_model_that_nobody_knows_is_not_found(site: Site) -> None:
    """And the page says what that may mean; without all three parts of its name it is no question."""
    site.queries.told, site.queries.records = [], []
    page = site.http.get("/model", params={**ASKED, "version": "99"})
    assert page.status_code == 404
    assert "No rule sees this model now" in page.text
    assert site.http.get("/model", params={"project": "shop"}).status_code in {400, 422}


def test_the_page_of_a_model_shows_what_can_be_read(site: Site, monkeypatch) -> None:
    """While the store cannot."""

    def broken(*_: object, **__: object) -> None:
        raise StoreFull("disk is full")

    monkeypatch.setattr(site.queries, "decisions", broken)
    monkeypatch.setattr(site.queries, "requests", broken)
    page = site.http.get("/model", params=ASKED)
    assert page.status_code == 200
    assert page.text.count("Not all can be shown: disk is full") == 1
    assert "0.702" in page.text
