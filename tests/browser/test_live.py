"""What the scripts add: a page that renews itself without getting into the way, and charts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Browser, expect

from bridge.engine.api.views import ModelState, TrailView
from tests.support.browser import visit
from tests.support.fake_views import AT, MODEL, QUIET, TRAIL, model_view
from tests.support.web import Site

MODEL_PAGE = "/model?project=shop&pipeline=ranking&version=7"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that renews itself every tenth of a second."""
    monkeypatch.setattr("bridge.web.pages.site.LIVE_SECONDS", 0.1)


def test_a_change_is_seen_without_loading_the_page(browser: Browser, site: Site, hurried: None) -> None:
    """The focus, open sections and the place on the page stay."""
    with visit(browser, site.url) as seen:
        page = seen.page
        page.goto("/")
        page.evaluate("window.loaded = 'once'")
        page.get_by_role("link", name="shop/search/2").focus()
        site.queries.views = [model_view(), model_view(QUIET, ModelState.DEGRADED)]
        expect(page.locator("tbody").first.get_by_text("degraded")).to_be_visible()
        assert page.evaluate("window.loaded") == "once"
        assert page.evaluate("document.activeElement.textContent") == "shop/search/2"
        page.goto(MODEL_PAGE)
        page.get_by_text("Show as a table").click()
        site.queries.views = [replace(model_view(), held="cooldown")]
        expect(page.get_by_text("held: cooldown")).to_be_visible()
        assert page.locator("figure details").first.get_attribute("open") is not None
        assert seen.problems == []


def test_what_a_user_types_is_left_alone(browser: Browser, site: Site, hurried: None) -> None:
    """A page in use is not renewed, and is once it is not."""
    with visit(browser, site.url) as seen:
        page = seen.page
        page.goto("/")
        page.get_by_role("combobox", name="Project, pipeline or version").fill("rank")
        expect(page.locator("datalist option")).to_have_attribute("value", "shop/ranking/7")
        asked = len(site.queries.asked)
        site.queries.views = [model_view(QUIET, ModelState.DEGRADED)]
        with pytest.raises(AssertionError):
            expect(page.locator("tbody").first.get_by_text("degraded")).to_be_visible(timeout=700)
        assert len(site.queries.asked) == asked
        assert page.get_by_role("combobox", name="Project, pipeline or version").input_value() == "rank"
        page.evaluate("document.activeElement.blur()")
        expect(page.locator("tbody").first.get_by_text("degraded")).to_be_visible()


def test_updates_can_be_paused(browser: Browser, site: Site, hurried: None) -> None:
    """And say so; when they go on, the page is renewed at once."""
    with visit(browser, site.url) as seen:
        page = seen.page
        page.goto("/")
        page.get_by_role("button", name="Pause updates").click()
        button = page.get_by_role("button", name="Resume updates")
        assert button.get_attribute("aria-pressed") == "true"
        site.queries.views = []
        with pytest.raises(AssertionError):
            expect(page.get_by_text("No models yet")).to_be_visible(timeout=700)
        button.click()
        expect(page.get_by_text("No models yet")).to_be_visible()


def test_a_bridge_that_is_gone_is_reported_and_found_again(browser: Browser, site: Site, hurried: None) -> None:
    """What is seen is old, and says so, until it is not."""
    with visit(browser, site.url) as seen:
        page = seen.page
        page.goto("/")
        page.context.set_offline(True)
        expect(page.get_by_text("The bridge is not responding")).to_be_visible()
        assert page.get_by_role("link", name="shop/ranking/7").count() > 0
        page.context.set_offline(False)
        expect(page.get_by_text("The bridge is not responding")).to_have_count(0)


def test_charts_are_drawn_and_updated(browser: Browser, site: Site, hurried: None) -> None:
    """One for each rule, with values at the cursor as text; renewing keeps the chart and adds what is new."""
    with visit(browser, site.url) as seen:
        page = seen.page
        page.goto(MODEL_PAGE)
        chart = page.locator("figure .uplot")
        expect(chart).to_have_count(1)
        assert page.locator("figure svg").count() == 0
        page.evaluate("document.querySelector('.uplot canvas').dataset.mine = 'kept'")
        legend = chart.locator(".u-legend")
        assert [item for item in ("value", "limit", "expected min", "expected max") if item in legend.inner_text()] == [
            "value", "limit", "expected min", "expected max",
        ]  # fmt: skip
        site.queries.seen = {MODEL: {"Drifted": longer()}}
        expect(page.get_by_text("in 6 slots")).to_be_visible()
        assert page.locator(".uplot canvas[data-mine]").count() == 1
        box = chart.locator(".u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
        expect(legend).to_contain_text("0.9")
        expect(legend).to_contain_text("2023-11-14 22:13:30")
        assert seen.problems == []


def test_a_chart_goes_with_the_keyboard(browser: Browser, site: Site, hurried: None) -> None:
    """It tells the newest slot until one goes to another; renewing leaves the focus where it is."""
    with visit(browser, site.url) as seen:
        page = seen.page
        page.goto(MODEL_PAGE)
        chart, legend = page.locator("figure .uplot"), page.locator(".u-legend")
        expect(legend).to_contain_text("2023-11-14 22:13:20")
        chart.focus()
        for key, told in (("ArrowLeft", "22:13:20"), ("ArrowLeft", "22:13:10"), ("Home", "22:12:40"),
                          ("ArrowLeft", "22:12:40"), ("ArrowRight", "22:12:50"), ("End", "22:13:20")):  # fmt: skip
            page.keyboard.press(key)
            expect(legend).to_contain_text(f"2023-11-14 {told}")
        site.queries.seen = {MODEL: {"Drifted": longer()}}
        expect(page.get_by_text("in 6 slots")).to_be_visible()
        assert chart.evaluate("element => element === document.activeElement")
        page.keyboard.press("Escape")
        expect(legend).to_contain_text("2023-11-14 22:13:30")
        assert seen.problems == []


def test_a_statistic_has_its_own_scale(browser: Browser, site: Site) -> None:
    """And its limit is not drawn among the values; dark or light, the chart is drawn again."""
    site.queries.seen = {MODEL: {"Drifted": replace(TRAIL, statistic=[5.0] * 5, threshold=[30.0] * 5)}}
    with visit(browser, site.url) as seen:
        seen.page.goto(MODEL_PAGE)
        expect(seen.page.locator(".u-legend")).to_contain_text("statistic limit")
        assert seen.page.locator(".u-axis").count() == 3
        seen.page.emulate_media(color_scheme="dark")
        expect(seen.page.locator("figure .uplot")).to_have_count(1)
        assert seen.problems == []


def longer() -> TrailView:
    """The trail, one slot later."""
    columns = {
        name: [*getattr(TRAIL, name), getattr(TRAIL, name)[-1]] for name in ("lower", "upper", "threshold", "state")
    }
    return replace(
        TRAIL,
        slots=[*TRAIL.slots, AT + 10_000],
        value=[*TRAIL.value, 0.9],
        statistic=[*TRAIL.statistic, 0.9],
        **columns,
    )
