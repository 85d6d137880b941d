"""Runs on the page of a request, and their cancellation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from bridge.domain.request import RequestState
from bridge.ports import Run, RunState
from tests.support.fake_views import AT, ID, REQUEST
from tests.support.web_app import Site

SENT = structs.replace(REQUEST, state=RequestState.RUNNING, destinations=("team/run/0",))
RUN = Run(
    ID, "team/run/0", f"rb-{ID}", "{}", AT, RunState.RUNNING, sent_at=AT, reference="<b>r-1</b>",
    link="https://prefect.example/runs/1", message="<script>alert(1)</script>", seen_at=AT, started_at=AT,
)  # fmt: skip


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site()
    monkeypatch.setattr(made.queries, "request", lambda _: SENT)
    made.queries.started = [RUN]
    return made


def test_a_request_shows_its_runs_with_their_links(site: Site) -> None:
    """State, times and message; hostile text is text."""
    page = site.http.get(f"/requests/{ID}").text
    assert 'href="https://prefect.example/runs/1"' in page
    assert "&lt;b&gt;r-1&lt;/b&gt;" in page
    assert "<script>alert" not in page


def test_a_run_can_be_cancelled_from_the_page(site: Site) -> None:
    """Once; after that there is nothing to press."""
    assert f'href="/requests/{ID}/cancel"' in site.http.get(f"/requests/{ID}").text
    assert "cancelled in their orchestrators" in site.http.get(f"/requests/{ID}/cancel").text
    done = site.http.post(f"/requests/{ID}/cancel", data={"by": "ann"})
    assert done.status_code in {200, 303}, done.text
    assert site.commands.acts[0][0] == "cancel"


def test_a_held_run_can_be_started_again_from_the_page(site: Site) -> None:
    """Only while it is not known whether it was started."""
    assert "/start-again" not in site.http.get(f"/requests/{ID}").text
    site.queries.started = [replace(RUN, state=RunState.UNKNOWN, reference="", seen_at=0, started_at=0)]
    page = site.http.get(f"/requests/{ID}").text
    assert f'href="/requests/{ID}/start-again"' in page
    assert ">Start again</a>" in page
    assert "there are two runs" in site.http.get(f"/requests/{ID}/start-again").text
    done = site.http.post(f"/requests/{ID}/start-again", data={"by": "ann"})
    assert done.status_code in {200, 303}, done.text
    assert site.commands.acts[0][0] == "start-again"


def test_the_api_has_the_runs_of_a_request(site: Site) -> None:
    """As on the page."""
    body = site.http.get(f"/api/v1/requests/{ID}").json()["data"]
    assert [(run["state"], run["link"], run["ended_at"]) for run in body["runs"]] == [("running", RUN.link, None)]
