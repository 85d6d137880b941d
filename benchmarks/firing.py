"""Alerts of public rule files, made to fire by series written for them, here and in a real Prometheus.

Each round writes one series for every metric that its alerts select, of a random shape, into a Prometheus that has the
alerts in force, without `for`. An alert that fires there is evaluated here at the same instant; its labels and
annotations must be the same. Alerts that never fire are tried again in the next round, with other shapes.
"""

from __future__ import annotations

import random
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import promql_parser as promql
import requests
import yaml

from bridge.authoring.unit_tests import remote_write
from bridge.config.load import load_rules
from bridge.domain.errors import BridgeError
from bridge.domain.model import ModelTable
from bridge.domain.regex import Regex
from bridge.domain.rule import Group
from bridge.engine.api.queries import rule_views
from bridge.engine.evaluation.expansion import External
from bridge.engine.replay.replay import NoDestinations, Replay
from bridge.net.http_config import HttpConfig
from bridge.net.session import NetError, call, open_session
from bridge.sources.config import PrometheusConfig
from bridge.sources.prometheus import PrometheusSource

SEED = 7
INTERVAL = 5.0  # seconds between evaluations of a group
_BACK, _AHEAD, _STEP = 3300, 120, 30  # seconds: the series begin, end and have a sample
_EXTERNAL = {"cluster": "bench"}
_URL = "http://prometheus.example:9090"
_LABEL = re.compile(r"\$labels\.([a-zA-Z_][a-zA-Z0-9_]*)")
_SHAPES = ("large", "zero", "one", "growing", "falling", "flapping")
_UNKNOWN = "-"
_MODEL = {"project": "shop", "pipeline": "ranking", "version": "7"}  # of every series
_CONSTANT = {name: f"const-{name}" for name in _MODEL}
_MODELS = {"models": {"labels": {name: {"const": value} for name, value in _CONSTANT.items()}}}
_CONSTANTS = re.compile("|".join(f" {name}:{value}|{name}:{value} ?" for name, value in _CONSTANT.items()))
Labels = dict[str, str]


@dataclass(slots=True)
class Alert:
    """Alert of a public file. needs: (metric, labels) of each selector; names: labels that its rule speaks of."""

    name: str
    rule: dict[str, Any]
    needs: list[tuple[str, Labels]]
    names: set[str]
    fired: bool = False
    differs: str = ""


@dataclass(slots=True)
class Tally:
    """Alerts tried, fired in Prometheus, and the same here; of these, those whose series have the model's labels."""

    tried: int = 0
    fired: int = 0
    same: int = 0
    mapped: int = 0
    rounds: int = 0
    different: list[str] = field(default_factory=list)


def alerts_of(files: Iterable[Path], folder: Path) -> Iterator[Alert]:
    """Yield the alerts of the files that the parser takes."""
    for path in files:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for group in (document.get("spec") or document).get("groups") or []:
            for index, rule in enumerate(group.get("rules") or []):
                if "alert" in rule:
                    found = _alert(f"{path.relative_to(folder)}: {group['name']}[{index}] {rule['alert']}", rule)
                    if found is not None:
                        yield found


def _alert(name: str, rule: dict[str, Any]) -> Alert | None:
    try:
        nodes = list(_walk(promql.parse(str(rule["expr"]))))
    except ValueError:
        return None
    texts = [*(rule.get("labels") or {}).values(), *(rule.get("annotations") or {}).values()]
    names = {label for text in texts for label in _LABEL.findall(str(text))}
    names |= {label for node in nodes for label in _grouping(node)}
    selectors = [node for node in nodes if isinstance(node, promql.VectorSelector)]
    needs = [need for node in selectors if (need := _need(node)) is not None]
    common = {key: value for _, labels in needs for key, value in labels.items()}
    needs = [(metric, {**common, **labels}) for metric, labels in needs]
    kept = {key: rule[key] for key in ("alert", "expr", "labels", "annotations") if key in rule}
    return Alert(name, kept, needs, names - {"__name__", "le"}) if len(needs) == len(selectors) else None


def _walk(node: Any) -> Iterator[Any]:
    if isinstance(node, promql.MatrixSelector):
        node = node.vector_selector
    yield node
    for key in ("lhs", "rhs", "expr", "param"):
        if (inner := getattr(node, key, None)) is not None:
            yield from _walk(inner)
    for inner in getattr(node, "args", None) or ():
        yield from _walk(inner)


def _grouping(node: Any) -> Iterator[str]:
    modifier = getattr(node, "modifier", None)
    grouping = getattr(modifier, "matching", None) or modifier
    if "without" not in str(grouping) and "ignoring" not in str(grouping):
        yield from getattr(grouping, "labels", None) or ()


def _need(node: Any) -> tuple[str, Labels] | None:
    """Return the metric and labels that a selector takes; None if there is no telling."""
    labels: Labels = {}
    for matcher in node.matchers.matchers:
        value = _value(str(matcher.op).rpartition(".")[2], matcher.value)
        if value is None:
            return None
        labels[matcher.name] = value
    metric = labels.pop("__name__", node.name)
    return (metric, {key: value for key, value in labels.items() if value}) if metric else None


def _value(kind: str, text: str) -> str | None:
    """Return a value that a matcher takes."""
    if kind == "Equal":
        return text
    if kind == "NotEqual":
        return "" if text else "some"
    regex = Regex(text)
    parts = re.split(r"[|()]", text)
    candidates = [
        "",
        "some",
        "a1",
        "5",
        "500",
        *(re.sub(r"\\(.)", r"\1", re.sub(r"\.[+*]", "x", part)) for part in parts),
    ]
    candidates += [candidate.replace("x", "") for candidate in candidates]
    return next((item for item in candidates if regex.matches(item) == (kind == "Re")), None)


# ------------------------------------------------------------ one round


def chosen(alerts: list[Alert], rng: random.Random) -> tuple[list[Alert], list[tuple[str, Labels]]]:
    """Return alerts that go together, and their series: one for each metric, two where an alert needs two."""
    series: dict[str, list[Labels]] = {}
    together = []
    for alert in rng.sample(alerts, len(alerts)):
        needs = [
            (metric, {**dict.fromkeys(alert.names, _UNKNOWN), **_MODEL, **labels}) for metric, labels in alert.needs
        ]
        if any(metric in series and labels not in series[metric] for metric, labels in needs):
            continue
        for metric, labels in needs:
            own = series.setdefault(metric, [])
            if labels not in own:
                own.append(labels)
        together.append(alert)
    return together, [(metric, labels) for metric, own in series.items() for labels in own]


def samples(series: Iterable[tuple[str, Labels]], now: int, number: int, rng: random.Random) -> Iterator[Any]:
    """Yield series with values of a shape: in the first rounds the same one for all, then each its own."""
    for metric, labels in series:
        shape = _SHAPES[number] if number < len(_SHAPES) else rng.choice(_SHAPES)
        bounds = ("0.1", "1", "10", "+Inf") if metric.endswith("_bucket") else ("",)
        for rank, bound in enumerate(bounds):
            points = [
                ((now + at) * 1000, _point(shape, at) * (1 + rank if bound else 1))
                for at in range(-_BACK, _AHEAD + 1, _STEP)
            ]
            yield {"__name__": metric, **labels, **({"le": bound} if bound else {})}, points


def _point(shape: str, at: int) -> float:
    steps = (at + _BACK) // _STEP
    values = {"large": 1e9, "zero": 0.0, "one": 1.0, "growing": 1e5 * steps, "falling": 1e6 - 1e5 * steps}
    return values.get(shape, float(steps % 2))


@contextmanager
def prometheus(folder: Path, session: requests.Session) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a Prometheus without rules; yield its URL and process."""
    config = {
        "global": {"evaluation_interval": f"{INTERVAL:g}s", "external_labels": _EXTERNAL},
        "rule_files": ["*.rules"],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={url.removeprefix('http://')}", "--web.enable-remote-write-receiver",
        "--web.enable-lifecycle", f"--web.external-url={_URL}", "--web.route-prefix=/", "--log.level=error",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _ready(session, url), 30.0)
        yield url, process
    finally:
        process.kill()
        process.wait()


def _ready(session: requests.Session, url: str) -> bool:
    try:
        return call(session, "GET", f"{url}/-/ready", deadline=2.0).status == 200
    except NetError:  # not up yet
        return False


def _until(done: Callable[[], bool], limit: float) -> None:
    ends = time.monotonic() + limit
    while not done():
        if time.monotonic() > ends:
            raise TimeoutError("Prometheus took too long")
        time.sleep(0.05)


def run_round(alerts: list[Alert], number: int, rng: random.Random, tally: Tally) -> None:
    """Write series, let Prometheus evaluate every alert once, and compare those that fire."""
    together, series = ([*alerts], []) if number == len(_SHAPES) else chosen(alerts, rng)
    with tempfile.TemporaryDirectory() as name, open_session(HttpConfig(), Path()) as session:
        folder = Path(name)
        with prometheus(folder, session) as (url, _):
            data = list(samples(series, int(time.time()) // _STEP * _STEP, number, rng))
            for first in range(0, len(data), 200):
                if refused := remote_write.write(session, url, data[first : first + 200]):
                    raise BridgeError(refused)
            groups = [{"name": f"g{index}", "rules": [alert.rule]} for index, alert in enumerate(together)]
            plain = _loaded(folder / "a.rules", groups)
            constant = _loaded(folder / "constant.yml", [{**group, **_MODELS} for group in groups])
            if call(session, "POST", f"{url}/-/reload", deadline=30.0).status != 200:
                raise BridgeError("Prometheus refused the rules")
            for group, at, theirs in _firing(url, len(groups)):
                alert = together[int(group[1:])]
                if alert.fired or len(theirs) > 1:
                    continue
                alert.fired = True
                tally.fired += 1
                mapped = all(_MODEL.keys() <= labels.keys() for labels, _ in theirs)
                ours = _evaluated((plain if mapped else constant)[group], url, at)
                tally.mapped += mapped and ours == theirs
                if ours == theirs:
                    tally.same += 1
                else:
                    tally.different.append(f"{alert.name}: Prometheus {theirs}, here {ours}")
    tally.rounds += 1


def _firing(url: str, count: int) -> Iterator[tuple[str, int, list[Any]]]:
    """Yield group, evaluation time in ms and alerts of every group that fires, as of its first evaluation."""
    seen: set[str] = set()
    ends = time.monotonic() + 4 * INTERVAL
    while len(seen) < count and time.monotonic() < ends:
        body = requests.get(f"{url}/api/v1/rules?type=alert", timeout=30).json()
        for group in body["data"]["groups"]:
            (rule,) = group["rules"]
            if group["name"] in seen or rule["lastEvaluation"].startswith("0001"):
                continue
            seen.add(group["name"])
            at = {_milliseconds(alert["activeAt"]) for alert in rule["alerts"]}
            once = all(abs(_milliseconds(rule["lastEvaluation"]) - item) < INTERVAL * 900 for item in at)
            if len(at) == 1 and once:
                yield group["name"], at.pop(), _shown(rule["alerts"])
        time.sleep(0.2)


def _milliseconds(text: str) -> int:
    whole, _, rest = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 1000 + int((rest + "000")[:3])


def _shown(alerts: Iterable[Mapping[str, Any]]) -> list[Any]:
    return sorted(([dict(item["labels"]), dict(item["annotations"])] for item in alerts), key=str)


def _evaluated(group: Group, url: str, at: int) -> list[Any]:
    """Return the firing alerts of a group here, at an instant."""
    table = ModelTable()
    source = PrometheusSource(PrometheusConfig(url=url), table, Path())
    errors: list[Any] = []
    phased = (replace(group, fixed_phase=at % group.interval),)
    routing, external = NoDestinations(external_labels=_EXTERNAL), External(_EXTERNAL, _URL, 0)
    replay = Replay(source, table, phased, lambda _: None, routing=routing, external=external)
    try:
        for evaluation in replay.walk(at, at, end=at):
            errors += evaluation.report.errors.values()
        views = [alert for view in rule_views(replay.engine) for alert in view.alerts if alert.state == "firing"]
        return errors or sorted(([_own(item.labels), _own_text(item.annotations)] for item in views), key=str)
    finally:
        replay.close()
        source.close()


def _own(labels: Mapping[str, str]) -> Labels:
    """Return the labels without those of the constant model, which an alert here carries besides its series'."""
    return {name: value for name, value in labels.items() if _CONSTANT.get(name) != value}


def _own_text(annotations: Mapping[str, str]) -> Labels:
    """Return the annotations likewise, where a template prints all labels."""
    return {name: _CONSTANTS.sub("", text) for name, text in annotations.items()}


def _loaded(file: Path, groups: list[dict[str, Any]]) -> dict[str, Group]:
    file.write_text(yaml.safe_dump({"groups": groups}, allow_unicode=True))
    return {group.name: group for group in load_rules([file], interval=int(INTERVAL * 1000), offset=0)}


def compare(files: Iterable[Path], folder: Path, seconds: float) -> Tally:
    """Run rounds until every alert has fired, or the time is up."""
    rng, tally = random.Random(SEED), Tally()
    alerts = list(alerts_of(files, folder))
    tally.tried = len(alerts)
    ends = time.monotonic() + seconds
    number = 0
    while time.monotonic() < ends and any(not alert.fired for alert in alerts):
        run_round([alert for alert in alerts if not alert.fired], number, rng, tally)
        number += 1
    return tally
