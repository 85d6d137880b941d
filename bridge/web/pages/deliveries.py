"""`/deliveries/discard`: end the deliveries to a receiver's destinations that are not configured any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from bridge.domain.destination import receiver_of
from bridge.domain.errors import StoreError
from bridge.ports import QueueDepth
from bridge.web.http.identity import signed_in, who
from bridge.web.pages.forms import form
from bridge.web.pages.site import Site

Name = Annotated[str, Query(max_length=1000)]


def routes(site: Site) -> APIRouter:
    """Return the routes: the confirmation, and the POST that ends the deliveries."""
    router = APIRouter()

    @router.get("/deliveries/discard")
    def confirm(request: Request, receiver: Name = "") -> Response:
        try:
            queues = _removed(site, receiver)
        except StoreError as error:
            return site.error(503, "Store unavailable", str(error))
        return site.page("discard.html", live=False, receiver=receiver, queues=queues, user=signed_in(request))

    @router.post("/deliveries/discard")
    async def discard(request: Request) -> Response:
        return await run_in_threadpool(_discard, site, request, await form(request))

    return router


def _removed(site: Site, receiver: str) -> Mapping[str, QueueDepth]:
    """Return the queues of a receiver's destinations that are not configured any more. Raises StoreError."""
    configured = site.queries.destinations()
    return {
        name: depth
        for name, depth in sorted(site.queries.queue_depths().items())
        if name not in configured and receiver_of(name) == receiver
    }


def _discard(site: Site, request: Request, values: Mapping[str, str]) -> Response:
    """End the deliveries, and redirect to the list of all queues."""
    receiver = values.get("receiver", "")
    try:
        found = site.commands.discard(receiver, who(request, values.get("by", "")), values.get("note", ""))
    except StoreError as error:
        text = f"Cannot write to the store: {error}. What was discarded before stays discarded; repeat it for the rest."
        return site.error(503, "Store unavailable", text)
    if not found.deliveries:
        text = f"No delivery waits for a destination of {receiver!r} that is not configured."
        return site.error(409, "Nothing to discard", text)
    return RedirectResponse(site.link("/status", result="discard"), 303)
