"""First page, over fake views."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import StoreFullError
from bridge.domain.model import ModelKey
from bridge.engine.api.views import ModelState
from bridge.web.http.settings import WebSettings
from tests.support.fake_views import (
    GROUP,
    MODEL,
    RULE,
    model_view,
    signal,
)
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_page_shows_the_story_and_escapes_hostile_labels(site: Site) -> None:
    """A label value is data, never markup."""
    site.queries.views.append(model_view(ModelKey("<script>alert(1)</script>", 'a"b', "1")))
    page = site.http.get("/")
    assert page.status_code == 200
    for text in (str(MODEL), "retrain_requested", "0.702", "drift 0.702 above 0.6", "team/coordinator/0", "busy"):
        assert text in page.text
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_an_empty_bridge_shows_the_next_step(site: Site) -> None:
    """There are no models, decisions or deliveries."""
    site.queries.views, site.queries.told, site.queries.waiting = [], [], []
    site.queries.why = "starting"
    page = site.http.get("/").text
    for text in ("No models yet", "No decisions yet", "No pending or dead deliveries", "Not ready"):
        assert text in page


def test_the_page_loads_nothing_from_elsewhere(site: Site) -> None:
    """The stylesheet is local, and the policy forbids everything else."""
    page = site.http.get("/")
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in ("style.css", "favicon.svg", "app.js"):
        assert f"/static/{name}?v=" in page.text
        assert site.http.get(f"/static/{name}").status_code == 200


def test_links_carry_the_external_urls_path() -> None:
    """A proxy serves the bridge below a path."""
    site = Site(WebSettings(external_url="http://127.0.0.1/bridge/"))
    for path in ("/", "/bridge/"):
        assert 'href="/bridge/rules"' in site.http.get(path).text
    assert site.http.get("/bridge/-/healthy").status_code == 200


def test_the_page_shows_the_models_while_the_store_cannot_be_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says that the rest is missing."""

    def broken(limit: int) -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.queries, "decisions", broken)
    page = site.http.get("/").text
    assert "This page is incomplete: disk is full" in page
    assert str(MODEL) in page
    assert "No decisions yet" not in page


@pytest.mark.parametrize("query", ["q=rank", "state=degraded", "without=Drifted", "page=2"])
def test_a_part_of_the_models_is_shown_without_the_lists_of_all_models(
    site: Site, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decisions and deliveries of other models would mislead; their queries are saved."""
    for name in ("decisions", "pending_deliveries"):
        monkeypatch.delattr(type(site.queries), name)
    page = site.http.get(f"/?{query}")
    assert page.status_code == 200
    assert "Latest decisions" not in page.text
    assert "Pending deliveries" not in page.text


def test_the_page_names_the_rules_that_cannot_be_evaluated(site: Site) -> None:
    """The error comes before the models, whose states may be old."""
    assert "cannot be evaluated" not in site.http.get("/").text
    site.queries.groups_ = [replace(GROUP, rules=[replace(RULE, health="err", last_error="HTTP 503 <b>")])]
    page = site.http.get("/").text
    assert page.index("HTTP 503 &lt;b&gt;") < page.index("<table>")


def test_the_page_without_rules_names_the_rule_files(site: Site) -> None:
    """New users see this first."""
    site.queries.groups_, site.queries.views = [], []
    page = site.http.get("/").text
    assert "No rules are configured" in page
    assert "retrain-bridge check config" in page


def test_the_page_shows_the_worst_first_and_leads_through_the_others(site: Site) -> None:
    """300 models on six pages."""
    healthy = [model_view(ModelKey("a", "b", f"{n:03}"), ModelState.HEALTHY) for n in range(299)]
    site.queries.views = [*healthy, model_view(ModelKey("z", "z", "worst"), ModelState.DEGRADED)]
    page = site.http.get("/").text
    assert page.index("z/z/worst") < page.index("a/b/000")
    assert page.count("<bdi>a/b/") == 49
    assert "1 to 50 of 300" in page
    assert 'rel="next" href="/?page=2"' in page
    last = site.http.get("/?page=6").text
    assert "251 to 300 of 300" in last
    assert 'rel="next"' not in last
    assert "No matching models on this page" in site.http.get("/?page=7").text


def test_the_page_is_searched_on_the_server(site: Site) -> None:
    """By words of the name and by state; pagination keeps both."""
    site.queries.views = [model_view(ModelKey("shop", "ranking", f"{n:03}"), ModelState.HEALTHY) for n in range(60)]
    site.queries.views.append(model_view(ModelKey("bank", "fraud", "1"), ModelState.DEGRADED))
    found = site.http.get("/", params={"q": "BANK fraud"}).text
    assert "bank/fraud/1" in found
    assert "shop/ranking" not in found
    assert 'value="BANK fraud"' in found
    healthy = site.http.get("/", params={"q": "rank", "state": "healthy"}).text
    assert 'href="/?q=rank&amp;state=healthy&amp;page=2"' in healthy
    none = site.http.get("/", params={"q": "<b>nothing"}).text
    assert "No matching models" in none
    assert 'value="&lt;b&gt;nothing"' in none


def test_the_page_leads_to_the_dashboards_that_grafana_has() -> None:
    """The overview, and one per model, whatever its labels contain; no links without Grafana."""
    site = Site(WebSettings(grafana_url="https://grafana.example/ops/"))
    site.queries.views = [model_view(ModelKey("a&b", 'x"y', "1 2"))]
    page = site.http.get("/").text
    assert 'href="https://grafana.example/ops/d/retrain-bridge-overview"' in page
    query = "var-project=a%26b&amp;var-pipeline=x%22y&amp;var-version=1+2"
    assert f'href="https://grafana.example/ops/d/retrain-bridge-decisions?{query}"' in page
    assert "over time" not in Site().http.get("/").text


def test_a_row_shows_the_rules_that_matter_most_and_counts_the_others(site: Site) -> None:
    """A page of fifty rules is not larger than one of three."""
    quiet = [signal(0.1, rule=f"Quiet{number}", state="inactive", verdict="ok") for number in range(50)]
    loud = [
        signal(rule="Breached", state="inactive"), signal(rule="Pending", state="pending"), signal(rule="Firing"),
    ]  # fmt: skip
    site.queries.views = [replace(model_view(MODEL), signals=[*quiet, *loud])]
    page = site.http.get("/").text
    row = page[page.index("<tbody>") : page.index("</tbody>")]
    assert row.index("Firing") < row.index("Pending") < row.index("Breached")
    assert "Quiet" not in row
    assert "50 more" in row
