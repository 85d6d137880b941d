"""Expressions that mean the query itself, over a real Prometheus: live, after a restart and in a backtest."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bridge.config.load import load_rules
from bridge.domain.model import ModelTable
from bridge.domain.rule import Gates
from bridge.domain.times import SECOND, parse_rfc3339
from bridge.engine.access import EngineSettings
from bridge.engine.engine import Engine
from bridge.ports import RequestFilter
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from bridge.store.memory import MemoryStore
from tests.support.processes import Program
from tests.support.servers import Prometheus, prometheus
from tests.support.world import FixedRoutes

FIRST = 1_700_000_000 // 3600 * 3600
SLOTS = 120
SHORT, LONG = range(41, 44), range(80, 121)  # slots of a breach that does not last, and of one that does
RULES = """
groups:
- name: g
  interval: 1s
  query_offset: 0s
  rules: [{retrain: Drifted, expr: 'drift%s > 0.6', for: 30s}]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Prometheus]:
    lines = [
        f'drift{{project="shop",pipeline="p",version="7"}} {0.9 if n in SHORT or n in LONG else 0.1} {FIRST + n}'
        for n in range(SLOTS + 1)
    ]
    with prometheus(history="\n".join(["# TYPE drift gauge", *lines, "# EOF\n"])) as running:
        yield running


def evaluated(server: Prometheus, rules: Path, slots: Sequence[int]) -> list[int]:
    """The slots of requests, where only `slots` are evaluated on time; the others are caught up."""
    table, store = ModelTable(), MemoryStore()
    with contextlib.closing(PrometheusSource(PrometheusConfig(url=server.url), table, Path())) as source:
        engine = Engine(source, store, table)
        engine.start(FIRST * SECOND)
        engine.configure(load_rules([rules]), EngineSettings(FixedRoutes(), Gates(settle=0)))
        for slot in slots:
            engine.evaluate("g", (FIRST + slot) * SECOND)
    return [record.request.triggered_at // SECOND - FIRST for record in store.requests(RequestFilter())]


def backtested(server: Prometheus, rules: Path) -> list[int]:
    """The same of `retrain-bridge backtest`."""
    command = [
        sys.executable, "-m", "bridge.cli", "backtest", f"--rules={rules}", f"--prometheus.url={server.url}",
        f"--from={FIRST}", f"--to={FIRST + SLOTS}", "--decisions=decisions.jsonl",
    ]  # fmt: skip
    program = Program(command, rules.parent, "backtest", dict(os.environ))
    program.start()
    assert program.process is not None
    assert program.process.wait(300) == 0, program.log
    found = map(json.loads, (rules.parent / "decisions.jsonl").read_text().splitlines())
    return [parse_rfc3339(request["triggered_at"]) // SECOND - FIRST for request in found]


@pytest.mark.parametrize("when", ["", " @ end()", " @ start()"])
def test_only_what_lasts_is_requested_live_late_and_in_a_backtest(
    server: Prometheus, tmp_path: Path, when: str
) -> None:
    """A breach of 3 s is none of 30 s, wherever the pieces of a range query begin and end."""
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES % when)
    due = [LONG.start + 30]
    assert evaluated(server, rules, range(SLOTS + 1)) == due
    assert evaluated(server, rules, [0, SHORT.stop - 1, SLOTS]) == due
    assert backtested(server, rules) == due
