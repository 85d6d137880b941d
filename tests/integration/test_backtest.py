"""Backtests against a real Prometheus: what it holds, in as many processes as it takes."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.processes import Program, kept_for_the_test, wait_until
from tests.support.servers import Prometheus, prometheus

FIRST = 1_700_000_000 // 3600 * 3600
HOURS = 30
RULES = """
groups:
- name: serving
  interval: 1m
  query_offset: 0s
  signals:
    drift: {event: drift, expr: model_drift_score}
    errors: {event: inference_error, errors: 'rate(model_errors_total[5m])', total: 'rate(model_requests_total[5m])'}
  rules:
  - {retrain: Drifted, signal: drift, strategy: {threshold: {max: 0.6}}, for: 5m, cooldown: 3h}
  - {retrain: Failing, signal: errors, strategy: {threshold: {max: 0.2}}, cooldown: 3h}
  - {retrain: High, expr: model_drift_score > 0.75, cooldown: 3h}
  - {retrain: Higher, expr: model_drift_score > 0.9, cooldown: 3h}
- name: slower
  interval: 5m
  query_offset: 30s
  rules:
  - {retrain: Plain, expr: 'max by (project, pipeline, version) (model_drift_score) > 0.6', for: 10m}
"""


def history() -> str:
    """Ten models, a sample a minute: each is breached for an hour, one after the other, and errs for another."""
    drift, errors, total = [], [], []
    for number in range(10):
        labels = f'{{project="shop",pipeline="p{number}",version="1"}}'
        failed = 0
        for minute in range(HOURS * 60):
            at = FIRST + 60 * minute
            drift.append(f"model_drift_score{labels} {0.7 + number / 40 if minute // 60 % 12 == number else 0.2} {at}")
            failed += 40 if minute // 60 % 15 == number + 3 else 1
            errors.append(f"model_errors_total{labels} {failed} {at}")
            total.append(f"model_requests_total{labels} {100 * minute} {at}")
    parts = [["# TYPE model_drift_score gauge"], drift, ["# TYPE model_errors counter"], errors]
    return "\n".join(line for part in [*parts, ["# TYPE model_requests counter"], total] for line in part) + "\n# EOF\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Prometheus]:
    with prometheus(history=history()) as running:
        yield running


class Command:
    """`retrain-bridge backtest` as a process of its own."""

    def __init__(self, server: Prometheus, *flags: str, rules: str = RULES) -> None:
        folder = Path(tempfile.mkdtemp(prefix="backtest-"))
        (folder / "rules.yml").write_text(rules)
        command = [
            sys.executable, "-m", "bridge.cli", "backtest", "--rules=rules.yml", f"--prometheus.url={server.url}",
            f"--from={FIRST}", f"--to={FIRST + HOURS * 3600}", "--decisions=decisions.jsonl", "--json=results.json",
            "--html=report.html", *flags,
        ]  # fmt: skip
        self.folder = folder
        self.program = Program(command, folder, "backtest", {**os.environ, "COLUMNS": "200"})

    def run(self) -> int:
        self.program.start()
        assert self.program.process is not None
        return self.program.process.wait(300)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


def test_requests_of_a_real_history(server: Prometheus) -> None:
    """Each model once for its drift in each half of a day, and once for its errors; rules share requests."""
    command = Command(server)
    with kept_for_the_test(command.program):
        assert command.run() == 0, command.program.log
        results = json.loads(command.read("results.json"))
        fired = {row["rule"]: (row["fired"], row["models"], row["failed"]) for row in results["rules"]}
        assert fired == {
            "Drifted": (26, 10, 0), "Failing": (20, 10, 0), "High": (17, 7, 0), "Higher": (2, 1, 0),
            "Plain": (26, 10, 0),
        }  # fmt: skip
        lines = [json.loads(line) for line in command.read("decisions.jsonl").splitlines()]
        assert {row["rule"]: row["requests"] for row in results["rules"] if row["requests"]} == {
            "Drifted": 9, "Failing": 20, "High": 17,
        }  # fmt: skip
        assert len(lines) == results["total"]["requests"] == 46
        first = lines[0]
        assert (first["pipeline"], first["rule"]) == ("p0", "Drifted")
        assert first["triggered_at"] < "2023-11-14T22:08:00Z"
        assert all(line["pipeline"] in {f"p{number}" for number in range(10)} for line in lines)
        assert "all rules" in command.program.log
        assert "<svg" in command.read("report.html")


def test_a_range_before_the_history_is_an_error(server: Prometheus) -> None:
    """Prometheus understands the queries that look for the series of signals and of expressions."""
    command = Command(server, f"--from={FIRST - 7200}", f"--to={FIRST - 3600}")
    with kept_for_the_test(command.program):
        assert command.run() == 1, command.program.log
        assert "no rule has data from 2023-11-14T20:00:00.000Z to 2023-11-14T21:00:00.000Z." in command.program.log
        assert "none of their series in the last year" in command.program.log


def test_an_hour_without_a_breach_is_no_error(server: Prometheus) -> None:
    """The expressions return nothing, but their series have samples."""
    plain = RULES[: RULES.index("  - {retrain: Drifted")] + "  - {retrain: High, expr: model_drift_score > 7}\n"
    command = Command(server, f"--to={FIRST + 3600}", rules=plain)
    with kept_for_the_test(command.program):
        assert command.run() == 0, command.program.log
        assert "High: its expression returned nothing in this range" in command.program.log


def written_after(file: Path, at: int) -> bool:
    """Whether the file is there and newer than `at`, in nanoseconds."""
    return file.exists() and file.stat().st_mtime_ns > at


def test_a_run_that_is_killed_continues_and_ends_as_if_nothing_had_been(server: Prometheus) -> None:
    """kill -9 after the first part and after some more; then the same requests, results and report."""
    whole = Command(server)
    with kept_for_the_test(whole.program):
        assert whole.run() == 0, whole.program.log
        command = Command(server, "--resume=progress")
        with kept_for_the_test(command.program):
            progress = command.folder / "progress" / "backtest.msgpack"
            for _ in range(2):
                before = progress.stat().st_mtime_ns if progress.exists() else 0
                command.program.start()
                wait_until(partial(written_after, progress, before), 30, "a part")
                command.program.kill()
                assert not (command.folder / "decisions.jsonl").exists()
            assert command.run() == 0, command.program.log
            for name in ("decisions.jsonl", "results.json", "report.html"):
                assert command.read(name) == whole.read(name)


def test_skipping_quiet_slots_does_not_change_the_requests(server: Prometheus) -> None:
    """With a report every slot is looked at, without one only those in which something can change."""
    thorough, quick = Command(server), Command(server)
    quick.program.command = [flag for flag in quick.program.command if not flag.startswith("--html")]
    with kept_for_the_test(thorough.program), kept_for_the_test(quick.program):
        assert (thorough.run(), quick.run()) == (0, 0), quick.program.log
        assert quick.read("decisions.jsonl") == thorough.read("decisions.jsonl")
        assert quick.read("results.json") == thorough.read("results.json")


def test_an_expression_that_is_refused_is_reported_and_ends_the_run(server: Prometheus) -> None:
    """With the server's own words."""
    command = Command(server, rules=RULES.replace("rate(model_errors_total[5m])", "rates(model_errors_total[5m])"))
    with kept_for_the_test(command.program):
        code = command.run()
        assert "unknown function" in command.program.log
        assert code == 0, command.program.log  # the other rules were judged
