"""Forms and calls that name models which no signal has reported."""

from __future__ import annotations

import pytest

from bridge.domain.errors import StoreFullError
from bridge.web.upstream import Upstream
from tests.support.web_app import Site
from tests.web.pages.test_silence_creation import FakeSilencer

COMMON = {"duration": "1h", "by": "kim", "note": "move", "reason": "move", "force": "yes"}


@pytest.fixture
def site() -> Site:
    made = Site(upstream=Upstream(silencer=FakeSilencer("http://am")))
    made.queries.records = []
    return made


@pytest.mark.parametrize("path", ["/pause", "/silences/new", "/requests/new"])
def test_an_unknown_name_is_applied_only_on_a_second_confirmation(site: Site, path: str) -> None:
    """Near names are offered, and what was typed stays."""
    names = {"project": "shop", "pipeline": "rankng", **({"version": "7"} if path == "/requests/new" else {})}
    answer = site.http.post(path, data={**names, **COMMON}, follow_redirects=False)
    assert answer.status_code == 409
    name = "/".join(names.values())
    near = name.replace("rankng", "ranking")
    assert f"{name}. Did you mean {near}?" in answer.text
    assert 'value="rankng"' in answer.text
    assert (site.commands.paused, site.commands.acts) == ([], [])
    answer = site.http.post(path, data={**names, **COMMON, "unseen": "yes"}, follow_redirects=False)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "names", [{"everything": "yes"}, {"project": "shop"}, {"project": "shop", "pipeline": "ranking"}]
)
def test_known_names_need_none(site: Site, names: dict[str, str]) -> None:
    """Neither does everything."""
    assert site.http.post("/pause", data={**names, **COMMON}, follow_redirects=False).status_code == 303


def test_a_store_that_cannot_be_read_blocks_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The action itself reports it."""

    def broken(_: object) -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.queries, "requests", broken)
    answer = site.http.post("/pause", data={"project": "new", **COMMON}, follow_redirects=False)
    assert answer.status_code == 303


NAMES = {"project": "shop", "pipeline": "rankng"}
CALLS = {
    "requests": {**NAMES, "version": "7", "reason": "move"}, "pause": NAMES, "silences": {**NAMES, "note": "move"},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_refused_with_near_names_unless_it_is_forced(site: Site, name: str) -> None:
    """Nothing is done before; the status is in the OpenAPI document."""
    body = {**CALLS[name], "by": "kim"}
    answer = site.http.post(f"/api/v1/{name}", json=body)
    unknown = "model shop/rankng/7" if name == "requests" else "pipeline shop/rankng"
    near = unknown.partition(" ")[2].replace("rankng", "ranking")
    assert (answer.status_code, answer.json()["detail"]) == (
        422, f"No signal has reported a {unknown}. Did you mean {near}? To accept it, set force to true.",
    )  # fmt: skip
    assert (site.commands.paused, site.commands.acts) == ([], [])
    assert site.http.post(f"/api/v1/{name}", json={**body, "force": True}).status_code == 200
    assert "422" in site.http.get("/openapi.json").json()["paths"][f"/api/v1/{name}"]["post"]["responses"]


def test_the_pause_of_an_unknown_pipeline_can_be_ended(site: Site) -> None:
    """It may have been forced, or its models have retired."""
    assert site.http.post("/api/v1/pause", json={**NAMES, "duration": "0s"}).status_code == 200
