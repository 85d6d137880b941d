"""The backtest report in a browser: uPlot draws its charts as lines, from one file."""

from __future__ import annotations

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.authoring.backtest.test_report import report

# Widest run of neighbouring columns of pixels in which the canvas is blue or green, as the value and its band are.
WIDEST_LINE = """canvas => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    let run = 0, widest = 0;
    for (let x = 0; x < width; x++) {
        let found = false;
        for (let y = 0; y < height; y++) {
            const [red, green, blue] = data.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
            if (red + 20 < Math.max(green, blue)) found = true;
        }
        run = found ? run + 1 : 0;
        widest = Math.max(widest, run);
    }
    return widest / width;
}"""


def test_charts_of_the_report_are_lines(browser: Browser, tmp_path: Path) -> None:
    """A line spans most of the chart, without an error, a request or an element that is hard to use."""
    text, _ = report(tmp_path)
    file = tmp_path / "report.html"
    file.write_text(text)
    context = browser.new_context(color_scheme="light")
    page, problems = context.new_page(), list[str]()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    expect(page.locator("figure canvas")).to_have_count(6)
    assert page.locator("figure canvas").first.evaluate(WIDEST_LINE) > 0.6
    assert [
        item["id"] for item in Axe().run(page).response["violations"] if item["impact"] in {"serious", "critical"}
    ] == []
    page.screenshot(path=str(tmp_path / "report.png"), full_page=True)
    assert problems == []
    context.close()
