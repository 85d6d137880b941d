"""Web pages for users. Every page works without scripts; scripts add live updates and interactive charts."""

from __future__ import annotations

from fastapi import APIRouter

from bridge.web.pages import (
    api_docs,
    decisions,
    deliveries,
    model,
    models,
    request_actions,
    requests,
    rules,
    silences,
    static,
    status,
)
from bridge.web.pages.site import Site

__all__ = ["Site", "page_routes"]

_PAGES = (models, model, decisions, request_actions, requests, deliveries, rules, silences, status, api_docs)


def page_routes(site: Site) -> APIRouter:
    """Return the routes of every page and of the static files."""
    router = APIRouter(include_in_schema=False)
    for page in _PAGES:
        router.include_router(page.routes(site))
    router.include_router(static.routes())
    return router
