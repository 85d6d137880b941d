"""One action on several waiting requests."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridge.domain.errors import RequestError
from bridge.domain.request import HoldReason, RequestRecord, RequestState
from tests.support.fake_views import REQUEST
from tests.support.web_app import Site


def record(number: int, state: RequestState) -> RequestRecord:
    request = structs.replace(
        REQUEST.request, id=f"{number:032x}", model=structs.replace(REQUEST.request.model, version=str(number))
    )
    return structs.replace(REQUEST, request=request, state=state, hold=HoldReason.APPROVAL)


def waiting() -> Site:
    """Two requests that await approval, and one that is held."""
    site = Site()
    approval = RequestState.AWAITING_APPROVAL
    site.queries.records = [record(1, approval), record(2, approval), record(3, RequestState.HELD)]
    return site


def test_selected_requests_are_confirmed_together() -> None:
    """Those that cannot be approved are left out, with the reason; nothing changes yet."""
    site = waiting()
    page = site.http.get("/requests").text
    assert page.count('name="id"') == 3
    page = site.http.get("/requests/bulk", params={"what": "approve", "all": "yes"}).text
    assert "Approve 2 requests" in page
    assert "1 of the selected requests is left out: they do not await approval." in page
    assert f'value="{1:032x} {2:032x}"' in page
    one = site.http.get("/requests/bulk", params={"what": "withdraw", "id": [f"{3:032x}"]}).text
    assert "Withdraw 1 request<" in one
    assert "Select requests first" in site.http.get("/requests/bulk?what=release").text
    assert site.commands.acts == []


def test_every_selected_request_is_acted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails stops none of the others, and is named."""
    site, acted = waiting(), []

    def act(request_id: str, what: str, who: str, note: str = "", key: str = "") -> RequestRecord:
        if request_id.endswith("2"):
            raise RequestError("request 2 is requested")
        acted.append((request_id[-1], what, who, note, key))
        return record(int(request_id, 16), RequestState.REQUESTED)

    monkeypatch.setattr(site.commands, "act", act)
    ids = " ".join(f"{number:032x}" for number in (1, 2, 3))
    form = {"what": "release", "ids": ids, "by": "kim", "note": "all"}
    answer = site.http.post("/requests/bulk", data=form, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 200
    assert acted == [("1", "release", "kim", "all", "k1"), ("3", "release", "kim", "all", "k1")]
    assert "2 of 3 requests released." in answer.text
    assert "Not changed: request 2 is requested" in answer.text


def test_a_form_of_another_kind_is_refused() -> None:
    """An unknown action, and no request."""
    site = waiting()
    for data in ({"what": "redrive", "ids": "a"}, {"what": "approve", "ids": ""}):
        assert site.http.post("/requests/bulk", data=data).status_code == 400
    assert site.http.get("/requests/bulk?what=redrive").status_code == 400
