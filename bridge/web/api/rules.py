"""/api/v1/rules and /api/v1/alerts: what the rules say now, as Prometheus presents its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from bridge.domain.matchers import Matcher
from bridge.domain.regex import PROMETHEUS
from bridge.engine.api.views import GroupView, Queries, RuleView
from bridge.web.api import encode
from bridge.web.http.responses import refusal, success

MOST_SELECTORS = 4096  # characters: anybody may send them, and each is matched with every rule
Texts = list[str]
State = Literal["firing", "pending", "inactive"]
Health = Literal["ok", "err", "unknown"]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which rules to show; empty = any. selectors: one of them has to match, all matchers of it."""

    names: Sequence[str]
    selectors: Sequence[Sequence[Matcher]]
    states: Sequence[str]
    healths: Sequence[str]

    def takes(self, rule: RuleView) -> bool:
        labels = {**rule.labels, "alertname": rule.name}
        return (
            (not self.names or rule.name in self.names)
            and (not self.states or rule.state in self.states)
            and (not self.healths or rule.health in self.healths)
            and (not self.selectors or any(_all(selector, labels) for selector in self.selectors))
        )


def rule_routes(queries: Queries) -> APIRouter:
    """Groups and rules."""
    router = APIRouter(prefix="/api/v1", tags=["rules"])

    @router.get("/rules")
    def rules(
        type: Literal["alert", "record"] | None = None,  # noqa: A002 - Prometheus' name
        rule_name: Annotated[Texts, Query(alias="rule_name[]")] = [],  # noqa: B006 - FastAPI copies it
        rule_group: Annotated[Texts, Query(alias="rule_group[]")] = [],  # noqa: B006
        file: Annotated[Texts, Query(alias="file[]")] = [],  # noqa: B006
        match: Annotated[Texts, Query(alias="match[]")] = [],  # noqa: B006
        state: Annotated[list[State], Query()] = [],  # noqa: B006
        health: Annotated[list[Health], Query()] = [],  # noqa: B006
        exclude_alerts: bool = False,
        group_limit: Annotated[int, Query(ge=0)] = 0,
        group_next_token: str = "",
    ) -> Response:
        """Rule groups with their rules, and the pending and firing alerts of each."""
        try:
            selectors = _selectors(match)
        except ValueError as error:
            return refusal(400, f"match[]: {error}")
        groups = queries.groups() if type != "record" else []
        groups = [item for item in groups if _in(item.name, rule_group) and _in(item.file, file)]
        if group_next_token:
            places = [place for place, item in enumerate(groups) if _token(item) == group_next_token]
            if not places:
                return refusal(400, "group_next_token: there is no such group any more; begin without it")
            groups = groups[places[0] :]
        wanted, verdicts = _Wanted(rule_name, selectors, state, health), queries.verdicts()
        shown: list[dict[str, object]] = []
        following = ""
        for item in groups:
            found = [
                encode.rule(rule, verdicts.get(rule.name, {}), with_alerts=not exclude_alerts)
                for rule in item.rules
                if wanted.takes(rule)
            ]
            if found and group_limit and len(shown) == group_limit:
                following = _token(item)
                break
            shown += [encode.group(item, found)] if found else []
        return success({"groups": shown, **({"groupNextToken": following} if following else {})})

    return router


def alert_routes(queries: Queries) -> APIRouter:
    """What is pending and firing."""
    router = APIRouter(prefix="/api/v1", tags=["rules"])

    @router.get("/alerts")
    def alerts() -> Response:
        """Pending and firing alerts of all rules."""
        found = [encode.alert(item) for group in queries.groups() for rule in group.rules for item in rule.alerts]
        return success({"alerts": found})

    return router


def _selectors(texts: Sequence[str]) -> list[list[Matcher]]:
    """Return the matchers of every selector; ValueError when one is wrong, or when they are very long together."""
    if sum(map(len, texts)) > MOST_SELECTORS:
        raise ValueError(f"selectors of more than {MOST_SELECTORS} characters; ask in several requests")
    return [Matcher.parse_list(text, PROMETHEUS) for text in texts]


def _token(group: GroupView) -> str:
    """Names a group without telling what it is called."""
    return hashlib.sha256(f"{group.file}\0{group.name}".encode()).hexdigest()[:32]


def _in(name: str, names: Sequence[str]) -> bool:
    return not names or name in names


def _all(matchers: Sequence[Matcher], labels: dict[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
