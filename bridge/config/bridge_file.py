"""bridge.yml: what it may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, Field

from bridge.config.labels import ModelsModel, check_labels
from bridge.config.shape import PositiveSpan, Section, Span, checked, fixed, salvaged
from bridge.config.wording import kind, near
from bridge.config.yaml import Document, Place
from bridge.domain.matchers import Matcher
from bridge.domain.route import Route
from bridge.domain.rule import Gates
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND
from bridge.sinks.registry import sinks
from bridge.sources.config import PrometheusConfig

_ALONE = "every request is sent by itself; group alerts in Alertmanager"
_MATCH = "write matchers"
_SCRAPE = "the bridge scrapes nothing"
# Stands in for a route that could not be read; such a configuration is never put in force.
_NO_ROUTE = Route("")


class GlobalSection(Section):
    """`global`: defaults for every group. Durations in ms."""

    not_built = frozenset({"on_silences_unknown"})
    elsewhere = fixed(scrape_interval=_SCRAPE, scrape_timeout=_SCRAPE)
    evaluation_interval: PositiveSpan = MINUTE
    query_offset: Span = 30 * SECOND
    query_timeout: PositiveSpan = 30 * SECOND
    resend_delay: PositiveSpan = MINUTE
    catch_up_limit: Span = HOUR
    external_labels: Mapping[str, str] = Field(default_factory=dict)


class GatesSection(Section):
    """`gates`: limits on asking, over all rules."""

    not_built = frozenset({"budget", "storm", "approval", "on_silences_unknown"})
    hold_limit: PositiveSpan = 7 * DAY
    in_flight_limit: PositiveSpan = DAY


class RouteSection(Section):
    """A node of the route tree."""

    not_built = frozenset({"mute_time_intervals", "active_time_intervals"})
    elsewhere = fixed(
        group_by=_ALONE, group_wait=_ALONE, group_interval=_ALONE, repeat_interval=_ALONE, match=_MATCH, match_re=_MATCH
    )
    receiver: str | None = None
    matchers: tuple[str, ...] = ()
    continue_: Annotated[bool, Field(alias="continue")] = False
    routes: tuple[RouteSection, ...] = ()


class BridgeSection(Section):
    """The whole file; receivers are checked one by one, as their keys depend on the installed sinks."""

    not_built = frozenset({"approval", "dry_run", "shadow", "silences", "delivery"})
    elsewhere = fixed(inhibit_rules="inhibit in Alertmanager", scrape_configs=_SCRAPE, alerting="write receivers")
    stand_ins = fixed(prometheus={"url": "http://unknown"}, route={}, receivers=[])
    global_: Annotated[GlobalSection, Field(alias="global")] = GlobalSection()
    prometheus: PrometheusConfig
    models: ModelsModel = ModelsModel()
    rule_files: tuple[str, ...] = ()
    route: RouteSection
    receivers: list[Any]
    time_intervals: tuple[Any, ...] = ()
    gates: GatesSection = GatesSection()


Receivers = dict[str, tuple[tuple[str, BaseModel], ...]]


@dataclass(slots=True)
class BridgeFile:
    """A checked bridge.yml; to be put in force only when its document has no problems."""

    section: BridgeSection
    route: Route = _NO_ROUTE
    receivers: Receivers = field(default_factory=dict)

    @property
    def gates(self) -> Gates:
        return Gates(self.section.gates.in_flight_limit, self.section.gates.hold_limit)


def read_bridge_file(document: Document) -> BridgeFile | None:
    """Check bridge.yml; every problem is noted in `document`. None: nothing of it could be used."""
    section = salvaged(BridgeSection, document.value, document, ())
    if section is None:
        return None
    if section.time_intervals:
        document.add(("time_intervals",), "'time_intervals' is not built yet", "leave the list empty")
    check_labels(section.global_.external_labels, document, ("global", "external_labels"), {})
    receivers: Receivers = {}
    for number, entry in enumerate(section.receivers):
        name, entries = _receiver(entry, receivers, document, ("receivers", number))
        receivers[name] = entries
    return BridgeFile(section, _root(section, receivers, document), receivers)


def _root(section: BridgeSection, receivers: Receivers, document: Document) -> Route:
    route, place = section.route, ("route",)
    if place not in document.lines:
        return _NO_ROUTE
    if route.matchers:
        document.add((*place, "matchers"), "the root route takes everything: it has no matchers")
    if route.continue_:
        document.add((*place, "continue"), "the root route has no sibling to continue to", "remove it")
    if (*place, "receiver") not in document.lines:
        document.add(place, "key 'receiver' is missing", "the root route names the default receiver")
    # When a receiver's name cannot be read, or there are none, other names would seem unknown: one mistake, not many.
    readable = bool(receivers) and not any(name.startswith("/") for name in receivers)
    known = receivers if readable else None
    return _route(route, "", known, document, place)


def _route(node: RouteSection, inherited: str, known: Receivers | None, document: Document, place: Place) -> Route:
    receiver = inherited if node.receiver is None else node.receiver
    if node.receiver is not None and known is not None and node.receiver not in known:
        document.add((*place, "receiver"), f"there is no receiver {node.receiver!r}", near(node.receiver, known))
    matchers: list[Matcher] = []
    for number, text in enumerate(node.matchers):
        try:
            matchers += Matcher.parse_list(text)
        except ValueError as error:
            document.add((*place, "matchers", number), str(error))
    routes = (
        _route(child, receiver, known, document, (*place, "routes", number)) for number, child in enumerate(node.routes)
    )
    return Route(receiver, tuple(matchers), node.continue_, tuple(routes))


def _receiver(
    entry: object, known: Receivers, document: Document, place: Place
) -> tuple[str, tuple[tuple[str, BaseModel], ...]]:
    """One receiver; an unusable name is replaced by one that no file can hold."""
    if not isinstance(entry, dict):
        document.add(place, f"a receiver is a mapping, not {kind(entry)}", "- name: ...")
        return f"/{place[-1]}", ()
    name, where = entry.get("name"), (*place, "name")
    if not isinstance(name, str) or not name.strip():
        hint = "quote it" if isinstance(name, int | float) else ""
        document.add(where, "a receiver needs a name (text)", hint)
        name = f"/{place[-1]}"
    elif "/" in name:
        document.add(where, "a receiver's name has no '/'", "it separates the parts of a destination")
    elif name in known:
        document.add(where, f"receiver {name!r} is there twice", "write its entries into one")
    return name, tuple(_entries(entry, document, place))


def _entries(entry: dict[str, Any], document: Document, place: Place) -> list[tuple[str, BaseModel]]:
    known = {f"{integration}_configs": integration for integration in sinks()}
    found: list[tuple[str, BaseModel]] = []
    for key, value in entry.items():
        if key == "name":
            continue
        if key not in known:
            document.add((*place, key), f"unknown key {key!r}", near(key, ("name", *known)))
        elif not isinstance(value, list):
            document.add((*place, key), f"must be a list of entries, not {kind(value)}", f"{key}: [{{...}}]")
        else:
            for number, item in enumerate(value):
                config = checked(sinks()[known[key]].Config, item, document, (*place, key, number))
                found += [(known[key], config)] if config is not None else []
    return found
