"""What the scripts do with texts: copy buttons, counts in the navigation, times in the reader's time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, expect

from bridge.domain.times import rfc3339
from tests.support.browser import visit
from tests.support.fake_views import AT, ID
from tests.support.web import Site

REQUEST_PAGE = f"/requests/{ID}"


def test_identifiers_and_commands_can_be_copied(browser: Browser, site: Site) -> None:
    """The clipboard has the text alone, and the button says so; a refusal is shown too."""
    with visit(browser, site.url) as seen:
        page = seen.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
        page.goto(REQUEST_PAGE)
        button = page.get_by_role("button", name=f"Copy {ID}")
        button.click()
        expect(page.get_by_text("Copied", exact=True)).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == ID
        expect(page.get_by_text("Copied", exact=True)).to_have_count(0)
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('denied')); }")
        button.click()
        expect(page.get_by_text("Cannot copy", exact=True)).to_be_visible()
        page.goto("/status")
        page.get_by_role("button", name="Copy prometheus: ").click()
        expect(page.get_by_text("Copied", exact=True)).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == site.queries.configuration().strip()
        assert seen.problems == []


def test_the_navigation_counts_what_waits(browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that are held or await approval, and pauses; nothing where nothing waits."""
    monkeypatch.setattr("bridge.web.pages.site.LIVE_SECONDS", 0.1)
    with visit(browser, site.url) as seen:
        navigation = seen.page.get_by_role("navigation", name="Pages")
        monkeypatch.setattr(site.queries, "request_counts", lambda: {"requested": 1})
        seen.page.goto("/")
        expect(navigation.get_by_role("link", name="Requests", exact=True)).to_be_visible()
        monkeypatch.setattr(site.queries, "request_counts", lambda: {"held": 2, "awaiting_approval": 1, "running": 4})
        site.commands.pause("shop", "", 3_600_000, "ada")
        seen.page.goto("/rules")
        expect(navigation.get_by_role("link", name="Requests 3 waiting")).to_be_visible()
        expect(navigation.get_by_role("link", name="Silences 1 paused")).to_be_visible()
        assert seen.unusable() == []


@pytest.mark.parametrize(
    ("zone", "local"),
    [
        ("America/New_York", "2023-11-14 17:13:20"),
        ("Asia/Kolkata", "2023-11-15 03:43:20"),
        ("UTC", "2023-11-14 22:13:20"),
    ],
)
def test_times_are_those_of_the_reader(browser: Browser, site: Site, zone: str, local: str) -> None:
    """With UTC on hover, also on the other side of midnight."""
    with visit(browser, site.url, zone=zone) as seen:
        seen.page.goto(REQUEST_PAGE)
        shown = seen.page.locator(f'main time[datetime^="{rfc3339(AT)[:19]}"]').first
        expect(shown).to_have_text(local)
        assert shown.get_attribute("title") == "2023-11-14 22:13:20 UTC"
        assert seen.problems == []


def test_without_scripts_times_are_utc(browser: Browser, site: Site) -> None:
    """In any time zone."""
    with visit(browser, site.url, zone="Asia/Kolkata", scripts=False) as seen:
        seen.page.goto(REQUEST_PAGE)
        shown = seen.page.locator("main time[datetime]").first
        at = datetime.fromisoformat(shown.get_attribute("datetime") or "").astimezone(UTC)
        assert f"{at:%H:%M:%S}" in shown.inner_text()
