"""One action on several waiting requests, with one confirmation: `/requests/bulk`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bridge.domain.errors import RequestError, StoreError
from bridge.domain.request import RequestRecord, RequestState
from bridge.ports import RequestFilter
from bridge.web.http.identity import call_key, signed_in, who
from bridge.web.pages.forms import form
from bridge.web.pages.requests import WAITING, WAITING_STATES
from bridge.web.pages.site import Site, read

Action = Literal["approve", "release", "withdraw"]
TEXTS = {
    "approve": ("Approve", "approved", "it is sent once the other gates are open too."),
    "release": ("Release", "released", "it is sent now, bypassing every gate that holds it."),
    "withdraw": ("Withdraw", "withdrawn", "it is never sent, and its episode makes no further request."),
}
Ids = Annotated[list[str] | None, Query(max_length=WAITING)]


def add(router: APIRouter, site: Site) -> None:
    """Add the routes. id: selected requests; all: `yes` selects every one that the page of requests lists."""
    bulk = _Bulk(site)

    @router.get("/requests/bulk")
    def confirm(request: Request, what: Action, id: Ids = None, all: str = "") -> Response:  # noqa: A002
        return bulk.confirm(request, what, None if all == "yes" else id or [])

    @router.post("/requests/bulk")
    async def act(request: Request) -> Response:
        return await run_in_threadpool(bulk.act, request, await form(request))


@dataclass(frozen=True, slots=True)
class _Bulk:
    """Actions on several requests."""

    site: Site

    def confirm(self, request: Request, what: Action, ids: Sequence[str] | None) -> Response:
        """Return the confirmation of an action on the requests of these ids, None = on all that wait."""
        problems: list[str] = []
        waiting = read(lambda: self.site.queries.requests(RequestFilter(WAITING_STATES, limit=WAITING)), problems)
        chosen = [item for item in waiting if ids is None or item.id in ids]
        fit = [item for item in chosen if _fits(item, what)]
        left_out = (len(chosen) if ids is None else len(set(ids))) - len(fit)
        why = "they do not await approval." if what == "approve" else "they are not held any more."
        return self._page(
            what, fit, problems=problems, asks=True, left_out=left_out, why_left_out=why, user=signed_in(request)
        )

    def act(self, request: Request, values: dict[str, str]) -> Response:
        """Perform the action on each request, and return what was done."""
        what, ids = values.get("what", ""), list(dict.fromkeys(values.get("ids", "").split()))
        if what not in TEXTS or not ids or len(ids) > WAITING:
            raise HTTPException(400, f"what: one of {', '.join(TEXTS)}; ids: 1 to {WAITING} requests")
        done, problems = list[RequestRecord](), list[str]()
        by, key = who(request, values.get("by", "")), call_key(request)
        for request_id in ids:
            try:
                done.append(self.site.commands.act(request_id, what, by, values.get("note", ""), key))
            except (RequestError, StoreError) as error:
                problems.append(f"Not changed: {error}")
        text = f"{len(done)} of {len(ids)} requests {TEXTS[what][1]}."
        return self._page(what, done, 200 if done else 409, problems=problems, asks=False, done=text)

    def _page(self, what: str, records: Sequence[RequestRecord], status: int = 200, **values: object) -> Response:
        title, _, text = TEXTS[what]
        return self.site.page(
            "bulk.html", status, live=False, what=what, title=title, text=text, records=records, **values
        )


def _fits(record: RequestRecord, what: Action) -> bool:
    return record.state.waiting and (what != "approve" or record.state is RequestState.AWAITING_APPROVAL)
