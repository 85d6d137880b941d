"""Status page of the bridge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.config.load import load
from bridge.domain.config_change import ConfigChange, ConfigEvent
from bridge.domain.errors import StoreFullError
from bridge.domain.times import MINUTE
from bridge.engine.api.views import ReloadResult
from tests.config.test_load import SECRETS
from tests.support.fake_views import AT, GROUP, ID
from tests.support.web_app import Site

HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_status_page_shows_the_state_of_the_bridge(site: Site) -> None:
    """Version, evaluations, queues with dead deliveries, configuration."""
    page = site.http.get("/status").text
    for part in ("Python 3.", "2023-11-14 22:13:20", "team/coordinator/0", "on/call/webhook/1", "prometheus: {url:",
                 'href="/requests?state=requested"', 'href="/?state=healthy"'):  # fmt: skip
        assert part in page
    assert '<b class="bad">2</b>' in page


@pytest.mark.parametrize(("behind", "late"), [(3, False), (4, True)])
def test_a_group_that_is_not_evaluated_is_late(site: Site, behind: int, late: bool) -> None:
    """Measured by its own interval; without any evaluation, from the start."""
    site.queries.groups_ = [replace(GROUP, last_evaluation=AT - behind * MINUTE)]
    assert ("late:" in site.http.get("/status").text) is late
    site.queries.groups_ = [replace(GROUP, last_evaluation=0)]
    assert "late:" not in site.http.get("/status").text


def test_empty_parts_have_hints(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rules, no receivers, no models."""
    site.queries.groups_, site.queries.views = [], []
    monkeypatch.setattr(site.queries, "queue_depths", dict)
    monkeypatch.setattr(site.queries, "request_counts", dict)
    page = site.http.get("/status").text
    for part in ("No rule groups are configured", "No receivers are configured", "none yet"):
        assert part in page


def test_changes_of_the_configuration_are_shown(site: Site) -> None:
    """Each with its event, and its difference, its error, or neither; hostile text is escaped."""
    assert "None since the first start with this database" in site.http.get("/status").text
    site.queries.changes = [
        ConfigChange(AT, "", f"rules.yml:1: {HOSTILE}"),
        ConfigChange(AT, f"--- a\n+++ a\n@@ -1 +1 @@\n-{HOSTILE}\n+b\n"),
        ConfigChange(AT, "", event=ConfigEvent.START, replica=HOSTILE),
    ]  # fmt: skip
    page = site.http.get("/status").text
    for part in (
        "not applied",
        '<span class="plus">+b</span>',
        '<span class="minus">-&lt;script',
        "No difference",
        ">start of <bdi>",
    ):
        assert part in page
    assert HOSTILE not in page


def test_a_store_that_cannot_be_read_is_reported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is shown."""

    def broken() -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.queries, "queue_depths", broken)
    page = site.http.get("/status").text
    assert "disk is full" in page
    assert "No receivers are configured" not in page
    assert "prometheus: {url:" in page


def test_a_reload_is_confirmed_and_reported(site: Site) -> None:
    """GET reloads nothing."""
    assert "Reads the configuration and rule files again" in site.http.get("/reload").text
    assert site.commands.reloads == 0
    answer = site.http.post("/reload", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/status?result=reload")
    assert site.commands.reloads == 1
    assert "was reloaded" in site.http.get("/status?result=reload").text


def test_a_refused_reload_shows_the_reason(site: Site) -> None:
    """The reason is data, not markup."""
    site.commands.reloaded = ReloadResult(ok=False, message=f"bridge.yml:3: {HOSTILE}")
    page = site.http.post("/reload")
    assert page.status_code == 409
    assert "bridge.yml:3: &lt;script&gt;" in page.text
    assert "stays in force" in page.text


def test_no_page_shows_a_secret(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a configuration may contain one."""
    (tmp_path / "bridge.yml").write_text(SECRETS)
    shown = load(tmp_path / "bridge.yml").redacted()
    monkeypatch.setattr(site.queries, "configuration", lambda: shown)
    for path in ("/", "/status", "/rules", "/requests", f"/requests/{ID}", "/silences", "/decisions", "/docs"):
        page = site.http.get(path).text
        assert "hunter2" not in page
        assert "MfKQ9r8" not in page
    assert "&lt;secret&gt;" in site.http.get("/status").text


def test_a_foreign_page_cannot_reload(site: Site) -> None:
    """A form of another origin is refused."""
    assert site.http.post("/reload", headers={"Origin": "https://evil.example"}).status_code == 403
    assert site.commands.reloads == 0


def test_hostile_texts_are_data(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """In group names and the configuration."""
    site.queries.groups_ = [replace(GROUP, name=HOSTILE)]
    monkeypatch.setattr(site.queries, "configuration", lambda: HOSTILE)
    page = site.http.get("/status").text
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") == 2


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [("/nothing", 404, "/nothing: Not Found"), ("/?page=x", 400, "page: "), ("/decisions/x", 400, "number: ")],
)
def test_errors_are_pages_for_browsers_and_problems_for_programs(site: Site, path: str, status: int, said: str) -> None:
    """Depending on the Accept header; the API never answers with a page."""
    page = site.http.get(path, headers={"Accept": "text/html,*/*"})
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in page.text
    problem = site.http.get(path)
    assert (problem.status_code, problem.headers["content-type"]) == (status, "application/problem+json")
    assert site.http.get("/api/v1/nothing", headers={"Accept": "text/html"}).json()["status"] == 404
