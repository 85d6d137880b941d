"""`/decisions`: list of decisions, newest first; `/decisions/ID`: one decision with its explanation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bridge.domain.errors import RequestError, StoreError
from bridge.domain.explain import Explanation
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Outcome
from bridge.domain.times import parse_rfc3339
from bridge.ports import DecisionFilter
from bridge.web.pages.site import Site, read

SHOWN, EARLIER = 50, 5
_GREATEST = 2**62
Name = Annotated[str, Query(max_length=500)]


def routes(site: Site) -> APIRouter:
    """Return the routes. Each page of the list starts after the last id of the previous one, so nothing shifts."""
    router, detail = APIRouter(), _DecisionPage(site)

    @router.get("/decisions")
    def index(
        project: Name = "", pipeline: Name = "", version: Name = "", rule: Name = "",
        outcome: Annotated[list[str] | None, Query()] = None,
        before: Annotated[int, Query(ge=0, le=_GREATEST)] = 0,
    ) -> HTMLResponse:  # fmt: skip
        outcomes = tuple(item for item in Outcome if item.value in (outcome or ()))
        filters = {
            "project": project, "pipeline": pipeline, "version": version, "rule": rule,
            "outcome": [item.value for item in outcomes],
        }  # fmt: skip
        parts = (project, pipeline, version)
        problems = [] if all(parts) or not any(parts) else ["Filter by project, pipeline and version together."]
        model = ModelKey(*parts) if all(parts) else None
        query = DecisionFilter(model, rule, outcomes, before=before, limit=SHOWN + 1)
        decisions = [] if problems else read(lambda: site.queries.decisions(query), problems)
        older = site.link("/decisions", **filters, before=decisions[SHOWN - 1].id) if len(decisions) > SHOWN else ""
        return site.page(
            "decisions.html", live=not before, decisions=decisions[:SHOWN], problems=problems, filters=filters,
            model=model, filtered=any(filters.values()), outcomes=[item.value for item in Outcome], older=older,
            newest=site.link("/decisions", **filters) if before else "",
        )  # fmt: skip

    @router.get("/decisions/{number}")
    def one(number: int, again: bool = False) -> Response:
        if not 0 < number < _GREATEST:
            return detail.not_found()
        return detail.page(DecisionFilter(before=number + 1, limit=1), number, again=again)

    @router.get("/decision")
    def at(rule: Name, slot: str, project: Name = "", pipeline: Name = "", version: Name = "") -> Response:
        try:
            instant = int(slot) if slot.isascii() and slot.isdecimal() else parse_rfc3339(slot)
        except ValueError as error:
            return site.error(400, "Invalid slot", f"slot: {error}; or give milliseconds since 1970")
        if instant >= _GREATEST:
            return detail.not_found()
        model = ModelKey(project, pipeline, version) if any((project, pipeline, version)) else None
        return detail.redirect(DecisionFilter(model, rule, since=instant, until=instant, limit=1))

    return router


class _DecisionPage:
    """Page of one decision."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def redirect(self, query: DecisionFilter) -> Response:
        """Redirect to the page of the decision with this rule, model and slot."""
        try:
            decisions = self._site.queries.decisions(query)
        except StoreError as error:
            return self._unavailable(error)
        return RedirectResponse(self._site.decision_link(decisions[0]), 307) if decisions else self.not_found()

    def page(self, query: DecisionFilter, number: int, *, again: bool) -> Response:
        """Return the page of one decision. again: recompute every check from Prometheus history."""
        site = self._site
        try:
            decisions = site.queries.decisions(query)
        except StoreError as error:
            return self._unavailable(error)
        if not decisions or decisions[0].id != number:
            return self.not_found()
        item, problems = decisions[0], list[str]()
        before = DecisionFilter(item.model, item.rule, before=item.id, limit=EARLIER)
        return site.page(
            "decision.html", live=False, item=item, repeat=site.queries.repeat(item),
            earlier=[old for old in read(lambda: site.queries.decisions(before), problems) if old.model == item.model],
            explanations=self._recomputed(item, problems) if again else [], again=again, problems=problems,
        )  # fmt: skip

    def _recomputed(self, item: Decision, problems: list[str]) -> list[Explanation]:
        model = item.model
        if model is None:
            return []
        try:
            return read(lambda: self._site.queries.explain(model, item.rule, item.slot), problems)
        except RequestError as error:
            problems.append(f"The checks cannot be recomputed: {error}")
            return []

    def not_found(self) -> Response:
        """Return the 404 page."""
        return self._site.error(
            404, "Decision not found", "It does not exist, or is older than the retention time "
            "(--storage.retention.time).",
        )  # fmt: skip

    def _unavailable(self, error: StoreError) -> Response:
        return self._site.error(503, "Store unavailable", f"{error}. Try again later.")
