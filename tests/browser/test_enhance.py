"""What the scripts do with texts: copy buttons, counts in the navigation, times in the reader's time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import bcrypt
import pytest
from playwright.sync_api import Browser, Page, expect

from bridge.domain.times import rfc3339
from bridge.web.http.web_config import WebConfig
from tests.support.browser import visit
from tests.support.fake_views import AT, ID
from tests.support.web import Site, serving

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


def act(page: Page, name: str | None = None) -> None:
    """Pause a project, under a name if there is one to give."""
    page.goto("/pause?project=shop")
    if name is not None:
        page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Pause", exact=True).click()
    page.wait_for_url("**/silences?result=pause")


def test_the_browser_remembers_the_name(browser: Browser, site: Site) -> None:
    """On every form, until it is emptied; another browser does not know it."""
    with visit(browser, site.url) as seen:
        act(seen.page, "ada")
        act(seen.page)
        assert [item.who for item in site.commands.paused] == ["ada", "ada"]
        for path in ("/silences/new", "/requests/new", f"/requests/{ID}/useful"):
            seen.page.goto(path)
            if path != "/silences/new":  # there is no Alertmanager here
                expect(seen.page.get_by_label("Your name")).to_have_value("ada")
        act(seen.page, "")
        seen.page.goto("/pause")
        expect(seen.page.get_by_label("Your name")).to_have_value("")
        assert seen.problems == []
    with visit(browser, site.url) as other:
        other.page.goto("/pause")
        expect(other.page.get_by_label("Your name")).to_have_value("")


def test_the_name_of_a_user_who_is_signed_in_is_not_remembered(browser: Browser) -> None:
    """The server knows it; an earlier name is neither used nor shown."""
    users = WebConfig(basic_auth_users={"kim": bcrypt.hashpw(b"word", bcrypt.gensalt(4)).decode()})
    with serving(config=users) as site, visit(browser, site.url, login=("kim", "word")) as seen:
        seen.page.goto("/pause?project=shop")
        seen.page.evaluate("localStorage.setItem('name', 'ada')")
        act(seen.page)
        assert [item.who for item in site.commands.paused] == ["kim"]
        assert seen.page.evaluate("localStorage.getItem('name')") is None
        seen.page.goto("/pause")
        assert "ada" not in seen.page.content()


def test_a_browser_that_stores_nothing_still_acts(browser: Browser, site: Site) -> None:
    """Storage may be blocked."""
    with visit(browser, site.url) as seen:
        seen.page.add_init_script("delete Window.prototype.localStorage")
        act(seen.page, "ada")
        assert [item.who for item in site.commands.paused] == ["ada"]
        assert seen.problems == []


def test_without_scripts_times_are_utc(browser: Browser, site: Site) -> None:
    """In any time zone."""
    with visit(browser, site.url, zone="Asia/Kolkata", scripts=False) as seen:
        seen.page.goto(REQUEST_PAGE)
        shown = seen.page.locator("main time[datetime]").first
        at = datetime.fromisoformat(shown.get_attribute("datetime") or "").astimezone(UTC)
        assert f"{at:%H:%M:%S}" in shown.inner_text()
