"""Panel of what retrainings were worth, on a history whose difference in differences is known, in a real Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.grafana import View, dashboards, targets
from tests.support.servers import Prometheus, prometheus

STEP, HOURS, ASKED_AT = 180, 24, 12  # seconds; hours of history; hour of the request
LIMIT = 0.5
# pipeline -> signal before and after the hour of the request
SIGNALS = {"ranking": (0.7, 0.3), "search": (0.2, 0.3), "index": (0.1, 0.2)}


def history(begin: int) -> str:
    """Return OpenMetrics text of a bridge with three pipelines, of which one was retrained."""
    asked = begin + ASKED_AT * 3600 + 60
    times = range(begin, begin + HOURS * 3600 + 1, STEP)
    series: dict[str, list[tuple[str, list[float]]]] = {}

    def add(name: str, labels: str, values: list[float]) -> None:
        given = ",".join(filter(None, ['job="bridge"', labels]))
        series.setdefault(f"retrain_bridge_{name}", []).append((f"{{{given}}}", values))

    ones = [1.0 for _ in times]
    add("build_info", "", ones)
    add("web_info", 'external_url="http://bridge"', ones)
    for pipeline, (before, after) in SIGNALS.items():
        model = f'project="shop",pipeline="{pipeline}",version="7"'
        add("model_info", model, ones)
        add("signal_value", f'{model},rule="Drifted"', [after if at >= asked else before for at in times])
        add("signal_threshold", f'{model},rule="Drifted"', [LIMIT for _ in times])
        if pipeline == "ranking":
            values = [float(asked) if at >= asked else float("nan") for at in times]
            add("last_retrain_request_timestamp_seconds", f'{model},reason="drift"', values)
    counted = [float(at >= asked) for at in times]
    add("decisions_total", 'rule="Drifted",outcome="requested"', counted)
    add("retrainings_total", 'rule="Drifted",verdict="recovered"', counted)
    lines = []
    for name, rows in series.items():
        counter = name.endswith("_total")
        lines.append(f"# TYPE {name.removesuffix('_total')} {'counter' if counter else 'gauge'}")
        for labels, values in rows:
            lines += [f"{name}{labels} {value} {at}" for at, value in zip(times, values, strict=True)]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Prometheus, int]]:
    begin = (int(time.time()) // 3600 - HOURS - 1) * 3600
    with prometheus(history=history(begin)) as server:
        yield server, begin


def cells(filled: tuple[Prometheus, int], until: int) -> dict[str, list[tuple[str, float]]]:
    """Return rule and value of each query of the panel, in the hours from the begin to `until`."""
    server, begin = filled
    view = View(dashboards()["overview"], server.url, begin, begin + until * 3600)
    shown = {
        title.rpartition(" / ")[2]: view.shown(target)
        for title, target in targets(view.board) if title.startswith("What retrainings were worth / ")
    }  # fmt: skip
    return {name: [(labels["rule"], values[0]) for labels, values in found] for name, found in shown.items()}


def test_the_change_is_compared_with_that_of_the_siblings(filled: tuple[Prometheus, int]) -> None:
    """From 140 % of the limit to 60 %, while the siblings rose by 20 %: a difference of one whole limit."""
    found = cells(filled, 23)
    ((rule, change),) = found["Effect"]
    assert (rule, round(change, 6)) == ("Drifted", -1.0)
    assert [found[name] for name in ("Requested", "Helped", "NotHelped")] == [
        [("Drifted", number)] for number in (1, 1, 0)
    ]


def test_without_a_request_nothing_is_shown(filled: tuple[Prometheus, int]) -> None:
    """No row with a zero, and no effect of what was not done."""
    assert cells(filled, 11) == {"Requested": [], "Helped": [], "NotHelped": [], "Effect": []}
