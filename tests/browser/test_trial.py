"""The page of a trial in a browser: its charts are drawn from one file, without an error, and it is usable."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from bridge.authoring.trial.page import page as trial_page
from tests.authoring.trial.test_trial import trial
from tests.browser.test_backtest_report import WIDEST_LINE


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_the_page_of_a_trial(browser: Browser, tmp_path: Path, scheme: str, width: int) -> None:
    """Lines in charts, and no element that is hard to use."""
    file = tmp_path / "report.html"
    file.write_text(trial_page(trial()))
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})  # type: ignore[arg-type]
    page, problems = context.new_page(), list[str]()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    expect(page.locator("figure canvas")).to_have_count(6)
    if scheme == "light":
        assert page.locator("figure canvas").first.evaluate(WIDEST_LINE) > 0.6
    violations = Axe().run(page).response["violations"]
    assert [item["id"] for item in violations if item["impact"] in {"serious", "critical"}] == []
    page.screenshot(path=str(tmp_path / "report.png"), full_page=True)
    assert problems == []
    context.close()
