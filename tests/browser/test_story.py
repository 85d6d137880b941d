"""Life of one model from drift to recovery, in the browser, with real servers."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support import coordinator as coordinators
from tests.support.bridge import bridge, drift_rules
from tests.support.browser import visit
from tests.support.processes import free_port
from tests.support.servers import exporter, prometheus

TRAIN = ["sh", "-c", """echo '{"new_version": "8"}'"""]


def drift(value: float, version: str = "7") -> str:
    return f'model_drift_score{{project="shop",pipeline="ranking",version="{version}"}} {value}\n'


def test_from_a_healthy_start_to_a_retraining_that_helped(browser: Browser, tmp_path: Path) -> None:
    """Healthy, drifting, waiting for somebody's yes, approved on the page, retrained, judged; each is told as it is."""
    port = free_port()
    receivers = {"coordinator_configs": [{"url": f"http://127.0.0.1:{port}"}]}
    with (
        exporter(drift(0.1)) as models,
        prometheus(targets=[models.target]) as source,
        bridge(source.url, drift_rules(approval="required"), receivers) as process,
        coordinators.process(
            tmp_path / "c", listen=f"127.0.0.1:{port}", command=TRAIN, bridge_url=process.url
        ),
        visit(browser, process.url) as seen,
    ):  # fmt: skip
        process.start()
        page = seen.page
        page.goto("/")
        row = page.locator("tr", has=page.get_by_role("link", name="shop/ranking/7")).first
        expect(row).to_contain_text("healthy")
        expect(page.get_by_text("No decisions yet")).to_be_visible()

        models.text = drift(0.9)
        expect(row).to_contain_text("awaiting approval")
        row.get_by_role("link", name="shop/ranking/7").click()
        expect(page.get_by_text("Drifted is firing since")).to_be_visible()
        expect(page.get_by_text("Latest request: awaiting approval since")).to_be_visible()
        expect(page.locator("figure .uplot")).to_have_count(1)

        page.get_by_role("link", name="Approve the request").click()
        page.get_by_label("Your name").fill("ada")
        page.get_by_label("Note").fill("labels are fresh")
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_text("Request approved")).to_be_visible()
        timeline = page.locator("section", has=page.get_by_role("heading", name="Timeline"))
        expect(timeline).to_contain_text("by ada: labels are fresh")
        expect(timeline).to_contain_text("to team/coordinator/0, attempt 1")
        expect(timeline).to_contain_text("succeeded")

        models.text = drift(0.1, "8")
        expect(timeline).to_contain_text("recovery verdict")
        expect(timeline).to_contain_text("recovered")
        assert seen.unusable() == []
        (request,) = process.requests()
        assert request["id"][:8] in page.locator("h1").inner_text()

        page.get_by_role("link", name="Decisions").click()
        outcomes = page.locator('td[data-name="Outcome"]')
        expect(outcomes.filter(has_text="held")).to_have_count(1)
        expect(outcomes.filter(has_text="judged")).to_have_count(1)
        page.locator("tr", has_text="held").get_by_role("link").first.click()
        expect(page.get_by_text("drift 0.9 above 0.6").first).to_be_visible()
        page.get_by_role("link", name="Recompute").click()
        expect(page.get_by_text("recomputed from history")).to_be_visible()
        assert seen.problems == []
