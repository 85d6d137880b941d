"""Screenshots of the web interface in docs/img, from a running demo.

scripts/demo &                                      # prints the URL of the web interface
python scripts/screenshots.py http://127.0.0.1:PORT

From scripts/demo --prefect: the request's page, and its run in Prefect's own web interface.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import APIRequestContext, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "img"
LIMIT_SECONDS = 90.0
SHOTS = (
    # name, path, width, height, colours
    ("models", "/", 1200, 760, "light"),
    ("model", "{model}", 1200, 900, "light"),
    ("decision", "{decision}", 1200, 760, "light"),
    ("rules", "/rules", 1200, 620, "dark"),
    ("phone", "{request}", 390, 844, "dark"),
)


RUN_SHOTS = (
    ("run", "{request}", 1200, 1120, "light"),
    ("prefect", "{run}", 1200, 760, "light"),
)
PAUSE_MS = 500
PAUSE_OF_PREFECT_MS = 5000  # its page loads in steps


def evaluated_request(client: APIRequestContext) -> dict[str, Any]:
    """Wait for a recovery verdict, and return its request."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        requests = [item for item in client.get("/api/v1/requests").json()["data"]["requests"] if item["verdict"]]
        if requests:
            return dict(requests[0])
        time.sleep(1)
    sys.exit("no recovery verdict: is the demo running?")


def main() -> None:
    """Take all screenshots of SHOTS, or of RUN_SHOTS if the request has a run."""
    base = sys.argv[1].rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        context = browser.new_context(base_url=base)
        request = evaluated_request(context.request)
        decisions = context.request.get("/api/v1/decisions?outcome=requested").json()["data"]["decisions"]
        paths = {
            "model": f"/model?project={request['project']}&pipeline={request['pipeline']}&version={request['version']}",
            "request": f"/requests/{request['id']}", "decision": f"/decisions/{decisions[0]['id']}?again=true",
            "run": request["link"],
        }  # fmt: skip
        for name, path, width, height, colours in RUN_SHOTS if request["link"] else SHOTS:
            page = browser.new_context(
                base_url=base, viewport={"width": width, "height": height}, color_scheme=colours
            ).new_page()
            answer = page.goto(path.format(**paths))
            if answer is None or not answer.ok:
                sys.exit(f"{path}: no page")
            page.wait_for_timeout(PAUSE_OF_PREFECT_MS if path == "{run}" else PAUSE_MS)
            page.screenshot(path=FOLDER / f"page-{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
