"""/api/v1/rules and /api/v1/alerts: present state of the rules, in the format of Prometheus."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from msgspec import UNSET
from starlette.responses import Response

from bridge.domain.matchers import Matcher
from bridge.domain.regex import PROMETHEUS
from bridge.domain.times import DAY, Timestamp
from bridge.engine.api.interface import Queries
from bridge.engine.api.views import GroupView, RuleView
from bridge.net.problem import refusal
from bridge.web.api import encode, structs
from bridge.web.http.responses import success

RECENT = 7 * DAY  # in which the requests of a rule are counted
MOST_SELECTORS = 4096  # characters; bounds the cost, since each selector is matched against every rule
Texts = list[str]
State = Literal["firing", "pending", "inactive"]
Health = Literal["ok", "err", "unknown"]
AlertLimit = Annotated[int, Query(ge=0, le=2**31)]  # 0 = no limit
Offset = Annotated[int, Query(ge=0, le=2**31)]


@dataclass(frozen=True, slots=True)
class _Filter:
    """Filter for rules; empty = any. selectors: at least one must match, with all of its matchers."""

    names: Sequence[str]
    selectors: Sequence[Sequence[Matcher]]
    states: Sequence[str]
    healths: Sequence[str]

    def accepts(self, rule: RuleView) -> bool:
        """Return whether the rule passes the filter."""
        labels = {**rule.labels, "alertname": rule.name}
        return (
            (not self.names or rule.name in self.names)
            and (not self.states or rule.state in self.states)
            and (not self.healths or rule.health in self.healths)
            and (not self.selectors or any(_all(selector, labels) for selector in self.selectors))
        )


def rule_routes(queries: Queries, now: Callable[[], Timestamp]) -> APIRouter:
    """Return the route for rule groups."""
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
        limit_alerts: AlertLimit = 0,
        group_limit: Annotated[int, Query(ge=0)] = 0,
        group_next_token: str = "",
    ) -> Response:
        """List rule groups with their rules, and the pending and firing alerts of each rule.

        With `limit_alerts`, a rule lists at most so many alerts, and `totals` counts all of them.
        """
        try:
            selectors = _selectors(match)
        except ValueError as error:
            return refusal(400, f"match[]: {error}")
        groups = queries.groups(alerts=0) if type != "record" else []
        groups = [item for item in groups if _in(item.name, rule_group) and _in(item.file, file)]
        if group_next_token:
            groups = _from_token(groups, group_next_token)
            if not groups:
                return refusal(400, "group_next_token: the group no longer exists; start again without a token")
        wanted = _Filter(rule_name, selectors, state, health)
        most = 0 if exclude_alerts else limit_alerts or None
        sent = queries.sent(now() - RECENT)
        return success(_page(queries, sent, groups, wanted, most, with_totals=limit_alerts > 0, limit=group_limit))

    return router


def _page(
    queries: Queries, sent: Mapping[str, int], groups: Sequence[GroupView], wanted: _Filter, alerts: int | None, *,
    with_totals: bool, limit: int,
) -> structs.Rules:  # fmt: skip
    """Return the groups with rules that pass the filter.

    sent: recent requests by rule. alerts: most alerts of a rule, None for all. limit: most groups, 0 for all.
    """
    verdicts, feedback = queries.verdicts(), queries.feedback()
    page: list[structs.RuleGroup] = []
    for item in groups:
        encoded = [
            encode.rule(
                rule, verdicts.get(rule.name, {}), feedback.get(rule.name, {}), sent.get(rule.name, 0),
                alerts=() if alerts == 0 else queries.alerts(rule=rule.name, limit=alerts).alerts,
                with_totals=with_totals,
            )
            for rule in item.rules
            if wanted.accepts(rule)
        ]  # fmt: skip
        if encoded and limit and len(page) == limit:
            return structs.Rules(groups=page, next_token=_token(item))
        if encoded:
            page.append(encode.group(item, encoded))
    return structs.Rules(groups=page, next_token=UNSET)


def alert_routes(queries: Queries) -> APIRouter:
    """Return the route for alerts."""
    router = APIRouter(prefix="/api/v1", tags=["rules"])

    @router.get("/alerts")
    def alerts(limit: AlertLimit = 0, offset: Offset = 0) -> Response:
        """List the pending and firing alerts of all rules; 0 as `limit` lists all. `total` counts them."""
        page = queries.alerts(offset=offset, limit=limit or None)
        return success(
            structs.Alerts(alerts=encode.encoded_alerts(page.alerts), total=page.total if limit or offset else UNSET)
        )

    return router


def _selectors(texts: Sequence[str]) -> list[list[Matcher]]:
    """Return the matchers of every selector. Raises ValueError if one is invalid, or if they are too long in total."""
    if sum(map(len, texts)) > MOST_SELECTORS:
        raise ValueError(f"selectors have more than {MOST_SELECTORS} characters in total; send several requests")
    return [Matcher.parse_list(text, PROMETHEUS) for text in texts]


def _from_token(groups: list[GroupView], token: str) -> list[GroupView]:
    """Return the groups from that of the token on; none if there is no such group."""
    start = next((index for index, item in enumerate(groups) if _token(item) == token), len(groups))
    return groups[start:]


def _token(group: GroupView) -> str:
    """Return an opaque token for a group, as Prometheus does."""
    return hashlib.sha256(f"{group.file}\0{group.name}".encode()).hexdigest()[:32]


def _in(name: str, names: Sequence[str]) -> bool:
    return not names or name in names


def _all(matchers: Sequence[Matcher], labels: dict[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
