"""bridge.yml: what it may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, Field

from bridge.config.labels import ModelsModel, check_labels
from bridge.config.shape import PositiveSpan, Section, Span, checked, near
from bridge.config.yaml import Document, Place
from bridge.domain.matchers import Matcher
from bridge.domain.route import Route
from bridge.domain.rule import Gates
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND
from bridge.sinks.registry import sinks
from bridge.sources.config import PrometheusConfig


class GlobalSection(Section):
    """`global`: defaults for every group. Durations in ms."""

    evaluation_interval: PositiveSpan = MINUTE
    query_offset: Span = 30 * SECOND
    query_timeout: PositiveSpan = 30 * SECOND
    resend_delay: PositiveSpan = MINUTE
    catch_up_limit: Span = HOUR
    external_labels: Mapping[str, str] = Field(default_factory=dict)


class GatesSection(Section):
    """`gates`: limits on asking, over all rules."""

    not_built = frozenset({"budget", "storm", "approval"})
    hold_limit: PositiveSpan = 7 * DAY
    in_flight_limit: PositiveSpan = DAY


class RouteSection(Section):
    """A node of the route tree."""

    not_built = frozenset(
        {"mute_time_intervals", "active_time_intervals", "group_by", "group_wait", "group_interval", "repeat_interval"}
    )
    receiver: str | None = None
    matchers: tuple[str, ...] = ()
    continue_: Annotated[bool, Field(alias="continue")] = False
    routes: tuple[RouteSection, ...] = ()


class BridgeSection(Section):
    """The whole file; receivers are checked one by one, as their keys depend on the installed sinks."""

    not_built = frozenset({"approval", "dry_run", "shadow"})
    global_: Annotated[GlobalSection, Field(alias="global")] = GlobalSection()
    prometheus: PrometheusConfig
    models: ModelsModel = ModelsModel()
    rule_files: tuple[str, ...] = ()
    route: RouteSection
    receivers: tuple[dict[str, Any], ...]
    time_intervals: tuple[Any, ...] = ()
    gates: GatesSection = GatesSection()


Receivers = dict[str, tuple[tuple[str, BaseModel], ...]]


@dataclass(slots=True)
class BridgeFile:
    """A checked bridge.yml. route None: it was wrong."""

    section: BridgeSection
    route: Route | None
    receivers: Receivers = field(default_factory=dict)

    @property
    def gates(self) -> Gates:
        return Gates(self.section.gates.in_flight_limit, self.section.gates.hold_limit)


def read_bridge_file(document: Document) -> BridgeFile | None:
    """Check bridge.yml; every problem is noted in `document`. None: its shape is wrong."""
    section = checked(BridgeSection, document.value, document, ())
    if section is None:
        _check_receivers_anyway(document)
        return None
    if section.time_intervals:
        document.add(("time_intervals",), "'time_intervals' is not built yet", "remove them")
    check_labels(section.global_.external_labels, document, ("global", "external_labels"), {})
    receivers = _receivers(list(section.receivers), document)
    root = ("route",)
    if section.route.matchers:
        document.add((*root, "matchers"), "the root route takes everything: it has no matchers")
    if section.route.continue_:
        document.add((*root, "continue"), "the root route has no sibling to continue to")
    if section.route.receiver is None:
        document.add(root, "key 'receiver' is missing", "the root route names the default receiver")
        return BridgeFile(section, None, receivers)
    return BridgeFile(section, _route(section.route, "", receivers, document, root), receivers)


def _check_receivers_anyway(document: Document) -> None:
    """The file as a whole is wrong; its receivers may be wrong as well, and all errors are told at once."""
    value = document.value.get("receivers") if isinstance(document.value, dict) else None
    if isinstance(value, list):
        _receivers([item for item in value if isinstance(item, dict)], document)


def _route(node: RouteSection, inherited: str, known: Receivers, document: Document, place: Place) -> Route:
    receiver = node.receiver or inherited
    if node.receiver is not None and node.receiver not in known:
        document.add((*place, "receiver"), f"there is no receiver {node.receiver!r}", near(node.receiver, known))
    matchers = []
    for number, text in enumerate(node.matchers):
        try:
            matchers.append(Matcher.parse(text))
        except ValueError as error:
            document.add((*place, "matchers", number), str(error))
    routes = (
        _route(child, receiver, known, document, (*place, "routes", number)) for number, child in enumerate(node.routes)
    )
    return Route(receiver, tuple(matchers), node.continue_, tuple(routes))


def _receivers(entries: list[dict[str, Any]], document: Document) -> Receivers:
    found: Receivers = {}
    for number, entry in enumerate(entries):
        place: Place = ("receivers", number)
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            document.add((*place, "name"), "a receiver needs a name (text)")
            name = f"receiver {number}"
        elif "/" in name:
            document.add((*place, "name"), "a receiver's name has no '/'", "it separates the parts of a destination")
        if name in found:
            document.add((*place, "name"), f"two receivers are called {name!r}")
        found[name] = tuple(_entries(entry, document, place))
    return found


def _entries(entry: dict[str, Any], document: Document, place: Place) -> list[tuple[str, BaseModel]]:
    known = {f"{integration}_configs": integration for integration in sinks()}
    found: list[tuple[str, BaseModel]] = []
    for key, value in entry.items():
        if key == "name":
            continue
        if key not in known:
            document.add((*place, key), f"unknown key {key!r}", near(key, ("name", *known)))
        elif not isinstance(value, list):
            document.add((*place, key), "must be a list of entries")
        else:
            for number, item in enumerate(value):
                config = checked(sinks()[known[key]].Config, item, document, (*place, key, number))
                if config is not None:
                    found.append((known[key], config))
    return found
