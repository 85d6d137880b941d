"""Running of unit-test files. The Prometheus is simulated; tests/integration has a real one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.authoring.unit_tests import remote_write, runner
from bridge.authoring.unit_tests.diff import Failure
from bridge.authoring.unit_tests.file import read_unit_test_file
from bridge.authoring.unit_tests.runner import Outcome
from bridge.domain.errors import ConfigError
from bridge.domain.regex import Regex
from bridge.domain.times import HOUR, MINUTE

RULES = "groups:\n- name: b\n  rules: []\n- name: a\n  rules: [{alert: A, expr: m > 1}]\n"
TESTS = """
rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [a, b]
tests:
- name: first
  interval: 1m
  input_series: [{series: 'm{a="x"}', values: '1x89'}]
- interval: 1m
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Simulated Prometheus: what was started and written, and what it refuses."""
    seen: dict[str, Any] = {"started": 0, "written": [], "refuses": "", "groups": []}

    @contextlib.contextmanager
    def throwaway(binary: str, session: object) -> Iterator[str]:
        seen["started"] += 1
        yield "http://p"

    def write(_: object, __: str, series: list[Any]) -> str:
        seen["written"] += [(dict(labels), len(points), points[0][0], points[-1][0]) for labels, points in series]
        return str(seen["refuses"])

    class Run:
        notes: frozenset[str] = frozenset({"a note"})

        def __init__(self, file: object, number: int, groups: tuple[Any, ...], *_: object) -> None:
            seen["groups"].append([group.name for group in groups])
            self.number = number

        def failures(self) -> list[Failure]:
            return [Failure(9, "late"), Failure(3, "early")] if self.number == 1 else []

    monkeypatch.setattr(runner, "throwaway_prometheus", throwaway)
    monkeypatch.setattr(remote_write, "write", write)
    monkeypatch.setattr(runner, "RuleTestRun", Run)
    return seen


def run(folder: Path, wanted: str = "", text: str = TESTS) -> list[Outcome]:
    (folder / "rules.yml").write_text(RULES)
    (folder / "tests.yml").write_text(text)
    pattern = Regex(f".*{wanted}.*") if wanted else None
    return list(runner.run([read_unit_test_file(folder / "tests.yml")], "prometheus", pattern))


def test_each_test_has_a_prometheus_of_its_own(tmp_path: Path, server: dict[str, Any]) -> None:
    """A test without a name is numbered; failures are in the order of the file."""
    first, second = run(tmp_path)
    assert (first.name, first.passed, first.notes) == ("first", True, ("a note",))
    assert (second.name, second.passed, [item.line for item in second.failures]) == ("test 2", False, [3, 9])
    assert server["started"] == 2


def test_groups_run_in_the_order_of_the_file(tmp_path: Path, server: dict[str, Any]) -> None:
    run(tmp_path)
    assert server["groups"][0] == ["a", "b"]


def test_only_matching_tests_are_run(tmp_path: Path, server: dict[str, Any]) -> None:
    assert [item.name for item in run(tmp_path, "irs")] == ["first"]
    assert server["started"] == 1


def test_samples_are_written_in_pieces_of_time(tmp_path: Path, server: dict[str, Any]) -> None:
    """Prometheus takes no sample that is much older than its newest."""
    run(tmp_path, "first")
    assert sum(count for _, count, _, _ in server["written"]) == 90
    assert all(last - begin < HOUR // 2 for _, _, begin, last in server["written"])
    ends = [(begin, last) for _, _, begin, last in server["written"]]
    assert ends == sorted(ends)
    assert (ends[0][0], ends[-1][1]) == (0, 89 * MINUTE)


def test_refused_samples_are_an_error_of_the_test(tmp_path: Path, server: dict[str, Any]) -> None:
    """The next test is run."""
    server["refuses"] = "out of bounds"
    first, second = run(tmp_path)
    assert first.error == "Prometheus refused samples of the test: out of bounds"
    assert (first.passed, second.error) == (False, "")


def test_a_wrong_rule_file_ends_the_run_before_it_begins(tmp_path: Path, server: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="none"):
        run(tmp_path, text=TESTS.replace("rules.yml", "none.yml"))
    assert server["started"] == 0
