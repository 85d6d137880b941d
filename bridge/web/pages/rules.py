"""`/rules`: rule groups with their last evaluation, rules and alerts, like the rules page of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from bridge.domain.request import RecoveryVerdict
from bridge.engine.api.views import GroupView, RuleView
from bridge.web.api.rules import RECENT
from bridge.web.pages.site import Paging, Site, read

SHOWN, ALERTS = 30, 5
STATES, HEALTHS = ("firing", "pending", "inactive"), ("ok", "err", "unknown")


def routes(site: Site) -> APIRouter:
    """Return the routes. q: words of rule, group and file name; page: page number of the rules, from 1."""
    router = APIRouter()

    @router.get("/rules")
    def index(
        q: Annotated[str, Query(max_length=500)] = "",
        state: Annotated[str, Query(max_length=20)] = "",
        health: Annotated[str, Query(max_length=20)] = "",
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> HTMLResponse:
        groups, problems = site.queries.groups(alerts=ALERTS), list[str]()
        every = [rule for group in groups for rule in group.rules]
        matching = [rule for rule in every if _matches(rule, q.lower().split(), state, health)]
        rules = matching[(page - 1) * SHOWN : page * SHOWN]
        verdicts = dict(read(lambda: list(site.queries.verdicts().items()), problems))
        return site.page(
            "rules.html", groups=_grouped(groups, rules), problems=problems, filters={"q": q, "state": state,
            "health": health}, filtered=bool(q or state or health), rules=len(every), states=STATES, healths=HEALTHS,
            failing=[rule for rule in every if rule.health == "err"],
            opinions=dict(read(lambda: list(site.queries.feedback().items()), problems)),
            models=sum(site.queries.model_counts().values()),
            sent=dict(read(lambda: list(site.queries.sent(site.now() - RECENT).items()), problems)),
            helped={name: _helped(counts) for name, counts in verdicts.items()},
            paging=Paging(page, SHOWN, len(matching) > page * SHOWN, len(matching)),
            at_page=lambda number: site.link(
                "/rules", q=q, state=state, health=health, page=number if number > 1 else ""
            ),
        )  # fmt: skip

    return router


def _matches(rule: RuleView, words: list[str], state: str, health: str) -> bool:
    name = f"{rule.name} {rule.group} {rule.file}".lower()
    return state in {"", rule.state} and health in {"", rule.health} and all(word in name for word in words)


def _grouped(groups: list[GroupView], rules: list[RuleView]) -> list[GroupView]:
    """Return the groups reduced to these rules, without empty groups."""
    names = {(rule.group, rule.name) for rule in rules}
    reduced = [
        replace(group, rules=[rule for rule in group.rules if (rule.group, rule.name) in names]) for group in groups
    ]
    return [group for group in reduced if group.rules]


def _helped(counts: Mapping[RecoveryVerdict, int]) -> str:
    total = sum(counts.values())
    return f"{counts.get(RecoveryVerdict.RECOVERED, 0)} of {total} retrainings helped" if total else ""
