"""`/decisions`: what was decided, newest first; `/decisions/ID`: one, with all that explains it."""

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
from bridge.web.pages.site import Site, tried

SHOWN, EARLIER = 50, 5
_GREATEST = 2**62
Name = Annotated[str, Query(max_length=500)]


def routes(site: Site) -> APIRouter:
    """A list goes on where the page before ended, so that what comes meanwhile shifts nothing."""
    router, telling = APIRouter(), _Telling(site)

    @router.get("/decisions")
    def several(
        project: Name = "", pipeline: Name = "", version: Name = "", rule: Name = "",
        outcome: Annotated[list[str] | None, Query()] = None,
        before: Annotated[int, Query(ge=0, le=_GREATEST)] = 0,
    ) -> HTMLResponse:  # fmt: skip
        outcomes = tuple(item for item in Outcome if item.value in (outcome or ()))
        asked = {
            "project": project, "pipeline": pipeline, "version": version, "rule": rule,
            "outcome": [item.value for item in outcomes],
        }  # fmt: skip
        parts = (project, pipeline, version)
        problems = [] if all(parts) or not any(parts) else ["A model is its project, pipeline and version: give all."]
        model = ModelKey(*parts) if all(parts) else None
        which = DecisionFilter(model, rule, outcomes, before=before, limit=SHOWN + 1)
        found = [] if problems else tried(lambda: site.queries.decisions(which), problems)
        older = site.link("/decisions", **asked, before=found[SHOWN - 1].id) if len(found) > SHOWN else ""
        return site.page(
            "decisions.html", live=not before, found=found[:SHOWN], problems=problems, asked=asked, model=model,
            filtered=any(asked.values()), outcomes=[item.value for item in Outcome], older=older,
            newest=site.link("/decisions", **asked) if before else "",
        )  # fmt: skip

    @router.get("/decisions/{number}")
    def one(number: int, again: bool = False) -> Response:
        if not 0 < number < _GREATEST:
            return telling.unknown()
        return telling.page(DecisionFilter(before=number + 1, limit=1), number, again=again)

    @router.get("/decision")
    def at(rule: Name, slot: str, project: Name = "", pipeline: Name = "", version: Name = "") -> Response:
        try:
            instant = int(slot) if slot.isascii() and slot.isdecimal() else parse_rfc3339(slot)
        except ValueError as error:
            return site.error(400, "Which decision", f"slot: {error}; or milliseconds since 1970")
        if instant >= _GREATEST:
            return telling.unknown()
        model = ModelKey(project, pipeline, version) if any((project, pipeline, version)) else None
        return telling.lead(DecisionFilter(model, rule, since=instant, until=instant, limit=1))

    return router


class _Telling:
    """One decision."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def lead(self, which: DecisionFilter) -> Response:
        """To the page of the decision, by its rule, model and slot."""
        try:
            found = self._site.queries.decisions(which)
        except StoreError as error:
            return self._unread(error)
        return RedirectResponse(self._site.decision_link(found[0]), 307) if found else self.unknown()

    def page(self, which: DecisionFilter, number: int, *, again: bool) -> Response:
        """The page of one. again: every check is computed again from Prometheus' history."""
        site = self._site
        try:
            found = site.queries.decisions(which)
        except StoreError as error:
            return self._unread(error)
        if not found or found[0].id != number:
            return self.unknown()
        item, problems = found[0], list[str]()
        before = DecisionFilter(item.model, item.rule, before=item.id, limit=EARLIER)
        return site.page(
            "decision.html", live=False, item=item, repeat=site.queries.repeat(item),
            earlier=[old for old in tried(lambda: site.queries.decisions(before), problems) if old.model == item.model],
            explanations=self._computed(item, problems) if again else [], again=again, problems=problems,
        )  # fmt: skip

    def _computed(self, item: Decision, problems: list[str]) -> list[Explanation]:
        model = item.model
        if model is None:
            return []
        try:
            return tried(lambda: self._site.queries.explain(model, item.rule, item.slot), problems)
        except RequestError as error:
            problems.append(f"The checks cannot be computed again: {error}")
            return []

    def unknown(self) -> Response:
        return self._site.error(
            404, "No such decision", "it was never made, or so long ago that it is no longer kept "
            "(--storage.retention.time says how long)",
        )  # fmt: skip

    def _unread(self, error: StoreError) -> Response:
        return self._site.error(503, "The store cannot be read", f"{error}; the page is worth another try")
