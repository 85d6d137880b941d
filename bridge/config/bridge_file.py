"""bridge.yml: what it may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, PlainSerializer, WithJsonSchema

from bridge.config.labels import ModelsModel, check_labels
from bridge.config.time_intervals import read_time_intervals
from bridge.domain import waits
from bridge.domain.matchers import Matcher
from bridge.domain.route import EVERY_LABEL, Route
from bridge.domain.rule import DEFAULT_SERVER, Budget, Gates, SharedCauses, Storm
from bridge.domain.time_interval import TimeInterval
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND, format_duration, parse_duration
from bridge.domain.wording import kind, near
from bridge.files.validation import DurationField, PositiveDurationField, Section, checked, fixed, salvaged
from bridge.files.yaml import Document, KeyPath
from bridge.sinks.registry import sinks
from bridge.sources.config import PrometheusConfig

_REPEATS = "an open request is repeated to Alertmanagers every global.resend_delay"
_MATCH = "write matchers"
_SCRAPE = "the bridge scrapes nothing"
_LABEL = re.compile(r"""[^\s{}!=~,\\"'`]+""")  # any UTF-8, without the characters of matchers
_RATE = re.compile(r"([0-9]{1,6})/([0-9a-z]+)")
_UNITS = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
_OF_ALERTMANAGER = frozenset(
    f"{name}_configs"
    for name in (
        "discord", "email", "incidentio", "jira", "mattermost", "msteams", "msteamsv2", "opsgenie", "pagerduty",
        "pushover", "rocketchat", "slack", "sns", "telegram", "victorops", "webex", "wechat",
    )
)  # fmt: skip
# Stands in for a route that could not be read; such a configuration is never put in force.
_NO_ROUTE = Route("")


class GlobalSection(Section):
    """`global`: settings of the whole bridge, and defaults of every group."""

    elsewhere = fixed(scrape_interval=_SCRAPE, scrape_timeout=_SCRAPE)
    evaluation_interval: PositiveDurationField = MINUTE
    query_offset: DurationField = int(waits.QUERY * SECOND)
    query_timeout: PositiveDurationField = 30 * SECOND
    resend_delay: PositiveDurationField = MINUTE
    catch_up_limit: DurationField = HOUR
    external_labels: Mapping[str, str] = Field(default_factory=dict)


def _rate(value: object) -> Budget:
    found = _RATE.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    if found is None or int(found[1]) < 1:
        raise ValueError(f"must be a rate of requests, such as 2/day or 10/12h, not {value!r}")
    word = found[2]
    window = _UNITS[word] if word in _UNITS else parse_duration(word)
    if not 0 < window <= 30 * DAY:
        raise ValueError(f"the period must be more than 0 and at most 30d: {value}")
    return Budget(int(found[1]), window)


def _rate_text(rate: Budget) -> str:
    return f"{rate.count}/{format_duration(rate.window)}"


BudgetField = Annotated[
    Any,
    AfterValidator(_rate),
    PlainSerializer(_rate_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^ *[0-9]{1,6} */ *[0-9]*[a-z]+ *$"}, mode="validation"),
]


class BudgetSection(Section):
    """`budget: {per_pipeline: 2/day}`: maximum number of requests in any period of the given length."""

    per_pipeline: BudgetField | None = None
    per_project: BudgetField | None = None
    total: BudgetField | None = None


class StormSection(Section):
    """`storm: {share: 0.2, min_models: 20, hold: 30m}`: holds requests if many models of a group are breached."""

    share: Annotated[float, Field(gt=0, lt=1)]
    min_models: Annotated[int, Field(ge=2)] = 20
    hold: PositiveDurationField = 30 * MINUTE


def _sibling_label(value: object) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise ValueError(f"{value!r} is not a label name")
    if value in {"pipeline", "version"}:
        raise ValueError(f"{value} is different for every model; name a label whose value several models share")
    return value


class SharedCauseSection(Section):
    """`shared_cause: {labels: [node, project], share: 0.2}`: breaches are compared with those of sibling models."""

    labels: tuple[
        Annotated[Any, AfterValidator(_sibling_label), WithJsonSchema({"type": "string"}, mode="validation")], ...
    ] = ()
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    min_models: Annotated[int, Field(ge=2)] = 3
    window: PositiveDurationField = HOUR
    wait: DurationField = 15 * MINUTE


class VerdictSection(Section):
    """`verdict`: when to determine whether a retraining helped."""

    settle: DurationField = 5 * MINUTE
    limit: PositiveDurationField = DAY


class GatesSection(Section):
    """`gates`: conditions that hold the requests of all rules."""

    not_built = frozenset({"approval"})
    hold_limit: PositiveDurationField = 7 * DAY
    in_flight_limit: PositiveDurationField = DAY
    budget: BudgetSection = BudgetSection()
    storm: StormSection | None = None
    shared_cause: SharedCauseSection | None = None
    on_silences_unknown: Literal["send", "hold"] = "send"
    silences_max_age: PositiveDurationField = 5 * MINUTE
    verdict: VerdictSection = VerdictSection()


class RouteSection(Section):
    """A node of the routing tree."""

    elsewhere = fixed(group_interval=_REPEATS, repeat_interval=_REPEATS, match=_MATCH, match_re=_MATCH)
    receiver: str | None = None
    matchers: tuple[str, ...] = ()
    continue_: Annotated[bool, Field(alias="continue")] = False
    routes: tuple[RouteSection, ...] = ()
    group_by: tuple[str, ...] | None = None
    group_wait: PositiveDurationField | None = None
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()


class BridgeSection(Section):
    """Top level of `bridge.yml`. Installed sinks add their own `..._configs` to receivers."""

    not_built = frozenset({"approval", "shadow", "silences", "delivery"})
    elsewhere = fixed(inhibit_rules="inhibit in Alertmanager", scrape_configs=_SCRAPE, alerting="write receivers")
    stand_ins = fixed(prometheus={"url": "http://unknown"}, route={}, receivers=[])
    global_: Annotated[GlobalSection, Field(alias="global")] = GlobalSection()
    prometheus: PrometheusConfig
    prometheus_servers: Mapping[str, PrometheusConfig] = Field(default_factory=dict)
    models: ModelsModel = ModelsModel()
    rule_files: tuple[str, ...] = ()
    route: RouteSection
    receivers: list[Any]
    time_intervals: tuple[Any, ...] = ()
    gates: GatesSection = GatesSection()
    dry_run: bool = False


Receivers = dict[str, tuple[tuple[str, BaseModel], ...]]


@dataclass(slots=True)
class BridgeFile:
    """A checked bridge.yml; to be put in force only when its document has no problems."""

    section: BridgeSection
    route: Route = _NO_ROUTE
    receivers: Receivers = field(default_factory=dict)

    @property
    def servers(self) -> Mapping[str, PrometheusConfig]:
        """Servers that are queried, by name."""
        return {DEFAULT_SERVER: self.section.prometheus, **self.section.prometheus_servers}

    @property
    def gates(self) -> Gates:
        """Gates of the configuration."""
        gates = self.section.gates
        budget, storm, shared = gates.budget, gates.storm, gates.shared_cause
        return Gates(
            gates.in_flight_limit,
            gates.hold_limit,
            budget.per_pipeline,
            budget.per_project,
            budget.total,
            None if storm is None else Storm(storm.share, storm.min_models, storm.hold),
            gates.verdict.settle,
            gates.verdict.limit,
            gates.silences_max_age,
            gates.on_silences_unknown == "hold",
            None if shared is None else SharedCauses(**dict(shared)),
        )


def read_bridge_file(document: Document) -> BridgeFile | None:
    """Check bridge.yml; every problem is noted in `document`. None: nothing of it could be used."""
    section = salvaged(BridgeSection, document.value, document, ())
    if section is None:
        return None
    intervals = read_time_intervals(section.time_intervals, document, ("time_intervals",))
    for name in section.prometheus_servers:
        if name == DEFAULT_SERVER:
            text = f"{DEFAULT_SERVER!r} is the name of the server of the section 'prometheus'"
            document.add(("prometheus_servers", name), text, "give it another name")
        elif not (name.strip() and name.isprintable()):
            document.add(("prometheus_servers", name), "a server needs a name of printable characters")
    check_labels(section.global_.external_labels, document, ("global", "external_labels"), {})
    receivers: Receivers = {}
    for number, entry in enumerate(section.receivers):
        name, entries = _receiver(entry, receivers, document, ("receivers", number))
        receivers[name] = entries
    return BridgeFile(section, _root(section, receivers, intervals, document), receivers)


def _root(
    section: BridgeSection, receivers: Receivers, intervals: Mapping[str, TimeInterval], document: Document
) -> Route:
    route, path = section.route, ("route",)
    if path not in document.lines:
        return _NO_ROUTE
    if route.matchers:
        document.add((*path, "matchers"), "the root route matches everything: it must not have matchers")
    if route.continue_:
        document.add((*path, "continue"), "the root route has no sibling to continue to", "remove it")
    for key in ("mute_time_intervals", "active_time_intervals"):
        if getattr(route, key):
            document.add((*path, key), f"the root route has no {key}, as in Alertmanager", "write a route below it")
    if (*path, "receiver") not in document.lines:
        document.add(path, "key 'receiver' is missing", "the root route must name the default receiver")
    # When a receiver's name cannot be read, or there are none, other names would seem unknown: one mistake, not many.
    readable = bool(receivers) and not any(name.startswith("/") for name in receivers)
    known = receivers if readable else None
    return _route(route, _NO_ROUTE, known, intervals, document, path)


def _check_group_by(names: tuple[str, ...], document: Document, path: KeyPath) -> None:
    for number, name in enumerate(names):
        if name == EVERY_LABEL and len(names) > 1:
            message = "'...' means all labels, and cannot be combined with others"
            document.add((*path, number), message, "write group_by: ['...']")
        elif name != EVERY_LABEL and not _LABEL.fullmatch(name):
            document.add((*path, number), f"{name!r} is not a label name")


def _route(
    node: RouteSection, parent: Route, known: Receivers | None, intervals: Mapping[str, TimeInterval],
    document: Document, path: KeyPath,
) -> Route:  # fmt: skip
    receiver = parent.receiver if node.receiver is None else node.receiver
    group_by = parent.group_by if node.group_by is None else node.group_by
    group_wait = (parent.group_wait or 30 * SECOND) if node.group_wait is None else node.group_wait
    if node.group_wait is not None and not group_by:
        document.add((*path, "group_wait"), "'group_wait' requires 'group_by'", "write group_by: [project]")
    _check_group_by(node.group_by or (), document, (*path, "group_by"))
    here = Route(receiver, group_by=group_by, group_wait=group_wait)
    if node.receiver is not None and known is not None and node.receiver not in known:
        document.add((*path, "receiver"), f"there is no receiver {node.receiver!r}", near(node.receiver, known))
    matchers: list[Matcher] = []
    for number, text in enumerate(node.matchers):
        try:
            matchers += Matcher.parse_list(text)
        except ValueError as error:
            document.add((*path, "matchers", number), str(error))
    routes = (
        _route(child, here, known, intervals, document, (*path, "routes", number))
        for number, child in enumerate(node.routes)
    )
    mute, active = (
        tuple(_named_intervals(getattr(node, key), intervals, document, (*path, key)))
        for key in ("mute_time_intervals", "active_time_intervals")
    )
    return Route(receiver, tuple(matchers), node.continue_, tuple(routes), group_by, group_wait, mute, active)


def _named_intervals(
    names: Sequence[str], known: Mapping[str, TimeInterval], document: Document, path: KeyPath
) -> Iterator[TimeInterval]:
    for number, name in enumerate(names):
        if name in known:
            yield known[name]
        elif not document.reported(("time_intervals",)):
            document.add((*path, number), f"there is no time interval {name!r}", near(name, known))


def _receiver(
    entry: object, known: Receivers, document: Document, path: KeyPath
) -> tuple[str, tuple[tuple[str, BaseModel], ...]]:
    """Read one receiver; an unusable name is replaced by one that no file can hold."""
    if not isinstance(entry, dict):
        document.add(path, f"a receiver is a mapping, not {kind(entry)}", "- name: ...")
        return f"/{path[-1]}", ()
    name, where = entry.get("name"), (*path, "name")
    if not isinstance(name, str) or not name.strip():
        hint = "quote it" if isinstance(name, int | float) else ""
        document.add(where, "a receiver needs a name (text)", hint)
        name = f"/{path[-1]}"
    elif "/" in name:
        document.add(where, "a receiver's name must not contain '/'", "it separates the parts of a destination")
    elif name in known:
        document.add(where, f"receiver {name!r} is defined twice", "write its entries into one")
    return name, tuple(_entries(entry, document, path))


def _entries(entry: dict[str, Any], document: Document, path: KeyPath) -> list[tuple[str, BaseModel]]:
    known = {f"{integration}_configs": integration for integration in sinks()}
    found: list[tuple[str, BaseModel]] = []
    for key, value in entry.items():
        if key == "name":
            continue
        if key in _OF_ALERTMANAGER:
            hint = "send to an Alertmanager (alertmanager_configs), or to your own webhook (webhook_configs)"
            document.add((*path, key), f"{key!r} belongs to the configuration of Alertmanager", hint)
        elif key not in known:
            document.add((*path, key), f"unknown key {key!r}", near(key, ("name", *known)))
        elif not isinstance(value, list):
            document.add((*path, key), f"must be a list of entries, not {kind(value)}", f"{key}: [{{...}}]")
        else:
            for number, item in enumerate(value):
                config = checked(sinks()[known[key]].Config, item, document, (*path, key, number))
                found += [(known[key], config)] if config is not None else []
    return found
