"""A page of another origin, opened in the browser of somebody who may act, changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser

from tests.support.browser import visit
from tests.support.fake_views import ID
from tests.support.web import Site

ACTS = [
    f"/requests/{ID}/approve", f"/requests/{ID}/release", f"/requests/{ID}/withdraw", f"/requests/{ID}/redrive",
    "/requests/new", "/silences/abc/expire", "/api/v1/silences/abc/expire", "/pause", "/resume",
    "/reload", "/-/reload", "/deliveries/discard", "/api/v1/deliveries/discard",
    f"/api/v1/requests/{ID}/approve", "/api/v1/pause",
]  # fmt: skip


@contextlib.contextmanager
def hostile_page(target: str) -> Iterator[str]:
    """A server whose page holds a form for `target`."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (
                f'<form method="post" action="{target}"><input name="duration" value="1h"><input name="by" value="x">'
                '<input name="project" value="a"><input name="pipeline" value="b"><input name="version" value="c">'
                '<input name="reason" value="r"><input name="force" value="yes"><button>win a prize</button></form>'
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def nothing_was_done(site: Site) -> bool:
    done = site.commands
    return (done.acts, done.paused, done.reloads, done.reports) == ([], [], 0, [])


@pytest.mark.parametrize("path", ACTS)
def test_a_foreign_form_is_refused(browser: Browser, site: Site, path: str) -> None:
    """As a browser sends it, with its Origin."""
    with hostile_page(site.url + path) as elsewhere, visit(browser, elsewhere) as seen:
        seen.page.goto("/")
        with seen.page.expect_navigation() as answered:
            seen.page.get_by_role("button").click()
        answer = answered.value
        assert answer is not None
        assert answer.status in {403, 405, 415}
        assert nothing_was_done(site)


def test_a_foreign_script_is_refused_and_reads_nothing(browser: Browser, site: Site) -> None:
    """With and without cookies, as a simple request and as one that has to ask first."""
    with hostile_page(site.url) as elsewhere, visit(browser, elsewhere) as seen:
        seen.page.goto("/")
        for path in ACTS:
            for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded"):
                told = seen.page.evaluate(
                    """async ([url, kind]) => {
                      const body = kind.endsWith("json") ? "{}" : "duration=1h&by=x";
                      const headers = { "Content-Type": kind };
                      const options = { method: "POST", headers, body, credentials: "include" };
                      try { return (await fetch(url, options)).status; } catch (error) { return error.name; }
                    }""",
                    [site.url + path, kind],
                )
                assert told == "TypeError"
        read = seen.page.evaluate("(url) => fetch(url).then((a) => a.text()).catch((e) => e.name)", f"{site.url}/")
        assert read == "TypeError"
    assert nothing_was_done(site)


def test_a_page_of_another_origin_cannot_frame_the_web_interface(browser: Browser, site: Site) -> None:
    """So that nobody is led to press a button that he does not see."""
    with hostile_page(site.url) as elsewhere, visit(browser, elsewhere) as seen:
        seen.page.goto("/")
        shown = seen.page.evaluate(
            """(url) => new Promise((done) => {
              const frame = document.createElement("iframe");
              frame.onload = () => done(frame.contentDocument === null ? "refused or foreign" : "empty");
              frame.src = url;
              document.body.append(frame);
            })""",
            f"{site.url}/requests",
        )
        assert shown == "refused or foreign"
        assert any("frame-ancestors" in problem for problem in seen.problems)


def test_our_own_form_is_taken(browser: Browser, site: Site) -> None:
    """The refusals are about where a form comes from."""
    with visit(browser, site.url) as seen:
        seen.page.goto("/pause?project=shop")
        seen.page.get_by_role("button", name="Pause").click()
        assert "Requests are paused" in seen.page.locator(".done").inner_text()
    assert len(site.commands.paused) == 1
