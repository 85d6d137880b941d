"""Every page in a real browser: usable, safe, from one origin, whatever the labels are."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from msgspec import structs
from playwright.sync_api import Browser

from bridge.domain.matchers import Matcher
from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason, OperatorAction, RequestState
from bridge.domain.silence import Silence
from bridge.domain.times import HOUR
from bridge.engine.api.silence_views import SilencesView, SilenceView
from bridge.ports import Pause
from tests.support.browser import visit
from tests.support.fake_views import ALERT, AT, DECISION, DELIVERY, GROUP, ID, REQUEST, RULE, TRAIL, model_view, signal
from tests.support.web import Site

HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(2)</script>\"'`&{{7*7}}\u202e\u0000]]>javascript:alert(3)" + "long" * 60
)
MODEL_PAGE = "/model?project=shop&pipeline=ranking&version=7"
PAGES = [
    "/", "/?q=nothing", MODEL_PAGE, "/model?project=a&pipeline=b&version=c", "/rules", "/requests", f"/requests/{ID}",
    f"/requests/{ID}/approve", f"/requests/{ID}/redrive", "/requests/new", "/requests/unknown", "/decisions",
    "/decisions/9", "/decisions/9?again=true", "/silences", "/silences/new?project=shop", "/silences/abc/expire",
    "/pause", "/resume", "/requests/bulk?what=approve&all=yes", "/deliveries/discard?receiver=on/call",
    "/deliveries/discard?receiver=team", "/status", "/reload", "/docs",
]  # fmt: skip
WINDOWS = [("light", 1280), ("dark", 360)]


def fill(site: Site, text: str = "") -> None:
    """A bridge that has everything; text: in every label and every text, where it is given."""
    queries = site.queries
    model = ModelKey(text, text, text) if text else DECISION.model
    assert model is not None
    alerts = [replace(ALERT, model=model)]
    rule = replace(
        RULE, name=text or RULE.name, query=text or RULE.query, alerts=alerts, labels={"team": text or "ml"},
        annotations={"summary": text or "Drift"}, health="err", last_error=text or "HTTP 503",
    )  # fmt: skip
    queries.groups_ = [replace(GROUP, name=text or GROUP.name, file=text or GROUP.file, rules=[rule])]
    queries.told = [
        structs.replace(DECISION, id=9, model=model, reason=text or DECISION.reason, query=text or DECISION.query)
    ]
    request = structs.replace(
        REQUEST.request, model=model, reason=text or REQUEST.request.reason, labels={"team": text or "ml"},
        annotations={"summary": text or "Drift"},
    )  # fmt: skip
    record = structs.replace(
        REQUEST, request=request, state=RequestState.AWAITING_APPROVAL, hold=HoldReason.APPROVAL,
        acts=(OperatorAction("create", text or "kim", AT, text or "please"),), message=text,
    )  # fmt: skip
    queries.records = [record]
    queries.request = lambda request_id: record if request_id == ID else None  # type: ignore[method-assign]
    queries.waiting = [replace(DELIVERY, answer=text or "busy", destination=text or DELIVERY.destination)]
    queries.views = [replace(model_view(model), signals=[signal(unit=text, rule=text or "Drifted", since=AT)])]
    queries.seen = {model: {text or "Drifted": replace(TRAIL, statistic=[3.0] * 5)}}
    silence = Silence("s", (Matcher("project", "=", text or "shop"),), AT, AT + HOUR, text or "kim", text or "release")
    queries.silenced = SilencesView([SilenceView(silence, [record])], 1, AT, fresh=True, holds_unknown=False,
                                    failing={text or "http://am": "http_5xx"})  # fmt: skip
    queries.configured = ("team/coordinator/0",)
    queries.why = text
    site.commands.paused = [Pause(text or "shop", text, AT + HOUR, text or "kim", AT, text)]


@pytest.mark.parametrize(("scheme", "width"), WINDOWS)
def test_every_page_is_usable_and_stays_at_home(
    browser: Browser, site: Site, scheme: Literal["light", "dark"], width: int
) -> None:
    """axe-core finds nothing serious, nothing is wider than the window, nothing comes from elsewhere or is refused."""
    fill(site)
    found = []
    with visit(browser, site.url, scheme=scheme, width=width) as seen:
        for path in PAGES:
            seen.page.goto(path)
            found += [f"{path}: {problem}" for problem in (*seen.problems, *seen.unusable())]
            found += [f"{path}: {seen.too_wide()} pixels too wide"] * (seen.too_wide() > 0)
            seen.problems.clear()
    assert found == []


@pytest.mark.parametrize(("scheme", "width"), WINDOWS)
def test_hostile_labels_are_data(browser: Browser, site: Site, scheme: Literal["light", "dark"], width: int) -> None:
    """No script of theirs runs, no policy is broken, no page falls apart; they are shown as they are."""
    fill(site, HOSTILE)
    found = []
    with visit(browser, site.url, scheme=scheme, width=width) as seen:
        for path in PAGES:
            seen.page.goto(path)
            found += [f"{path}: {problem}" for problem in seen.problems]
            found += [f"{path}: {seen.too_wide()} pixels too wide"] * (seen.too_wide() > 0)
            found += [f"{path}: became markup"] * seen.page.locator("img").count()
            seen.problems.clear()
        seen.page.goto("/")
        assert "<script>alert(2)</script>" in seen.page.locator("tbody th").first.inner_text()
        seen.page.locator("tbody th a").first.click()
        assert "<script>alert(2)</script>" in seen.page.locator("h1").inner_text()
    assert found == []


def test_pages_work_without_scripts(browser: Browser, site: Site) -> None:
    """Pictures are there, forms lead on, and what people do is done."""
    fill(site)
    with visit(browser, site.url, scripts=False) as seen:
        seen.page.goto(MODEL_PAGE)
        assert seen.page.locator("figure svg.chart path.value").count() == 1
        seen.page.goto("/requests")
        seen.page.get_by_role("link", name="Approve the request").first.click()
        seen.page.get_by_label("Your name").fill("kim")
        seen.page.get_by_role("button", name="Approve").click()
        assert "Request approved" in seen.page.get_by_role("status").inner_text()
        site.commands.removed = "on/call"
        seen.page.goto("/status")
        seen.page.get_by_role("link", name="Discard the deliveries to on/call").click()
        seen.page.get_by_label("Your name").fill("kim")
        seen.page.get_by_label("Note").fill("moved")
        seen.page.get_by_role("button", name="Discard").click()
        assert "were discarded" in seen.page.get_by_role("status").inner_text()
    assert site.commands.acts == [("approve", "kim", ""), ("discard on/call", "kim", "moved")]


def test_all_can_be_reached_with_the_keyboard(browser: Browser, site: Site) -> None:
    """Tab by tab: the link that skips the navigation first, then every link and control, each with a visible focus."""
    fill(site)
    with visit(browser, site.url) as seen:
        seen.page.goto("/requests")
        wanted = seen.page.locator("a[href], button, input, select, textarea, summary").count()
        first = ""
        for _ in range(wanted + 2):
            seen.page.keyboard.press("Tab")
            first = first or seen.page.evaluate("document.activeElement.className")
            seen.page.evaluate(
                """() => {
                  const active = document.activeElement;
                  window.reached ||= new Set();
                  if (active !== document.body) window.reached.add(active);
                  if (getComputedStyle(active).outlineStyle === "none") active.dataset.unmarked = "yes";
                }"""
            )
        assert first == "skip"
        assert seen.page.evaluate("window.reached.size") == wanted
        assert seen.page.locator("body [data-unmarked]").count() == 0
        seen.page.goto("/requests")
        seen.page.keyboard.press("Tab")
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.activeElement.id") == "main"


# ------------------------------------------------------------ that these checks notice


def test_the_checks_notice_what_is_wrong(browser: Browser, site: Site) -> None:
    """An unlabelled control, a page that is too wide, a foreign picture, a script in the page."""
    fill(site)
    with visit(browser, site.url) as seen:
        seen.page.goto("/")
        assert seen.unusable() == []
        seen.page.evaluate("document.querySelector('main').append(document.createElement('select'))")
        assert [item.partition(":")[0] for item in seen.unusable()] == ["select-name"]
        seen.page.evaluate("document.querySelector('h1').style.width = '3000px'")
        assert seen.too_wide() > 1000
        assert seen.problems == []
        seen.page.evaluate(
            """async () => {
              const script = document.createElement("script");
              script.textContent = "alert(1)";
              document.body.append(script);
              const picture = new Image();
              const over = new Promise((done) => { picture.onerror = picture.onload = done; });
              picture.src = "http://127.0.0.2:1/x.png";
              document.body.append(picture);
              await over;
            }"""
        )
        told = " ".join(seen.problems)
        assert "Content Security Policy" in told
        assert "script-src" in told
        assert "img-src" in told
