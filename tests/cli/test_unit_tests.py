"""Command `test rules`: exit codes and output. tests/authoring/unit_tests and tests/integration run the tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bridge.authoring.unit_tests import file as unit_test_file
from bridge.authoring.unit_tests import runner, temporary_prometheus
from bridge.authoring.unit_tests.diff import Failure
from bridge.authoring.unit_tests.runner import Outcome
from bridge.cli.unit_tests import _exit_on_sigterm
from tests.cli.conftest import Command

FILE = Path("tests.yml")
PASSED = Outcome(FILE, "quiet", (), notes=("a note",))
FAILED = Outcome(FILE, "drift", (Failure(7, "expected\nfiring"),))
BROKEN = Outcome(FILE, "latency", (), error="Prometheus refused samples")


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """Results of the tests, to be filled."""
    found: list[Outcome] = []
    monkeypatch.setattr(unit_test_file, "read_unit_test_files", lambda files: [])
    monkeypatch.setattr(temporary_prometheus, "find_binary", lambda given: "prometheus")
    monkeypatch.setattr(
        runner,
        "run",
        lambda files, binary, wanted, models: (item for item in found if not wanted or wanted.matches(item.name)),
    )
    return found


def test_tests_that_pass_exit_with_0(command: Command, outcomes: list[Outcome]) -> None:
    """Notes are printed below the test."""
    outcomes.append(PASSED)
    assert command("test", "rules", "tests.yml") == (0, "tests.yml: quiet: SUCCESS\n  note: a note\n", "")


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (FAILED, "tests.yml: drift: FAILED\n  tests.yml:7: expected\nfiring\n"),
        (BROKEN, "tests.yml: latency: FAILED\n  Prometheus refused samples\n"),
    ],
)
def test_one_failed_test_exits_with_1(command: Command, outcomes: list[Outcome], outcome: Outcome, text: str) -> None:
    """All tests run and are printed, and written as JUnit XML."""
    outcomes += [outcome, PASSED]
    code, out, _ = command("test", "rules", "tests.yml")
    assert (code, out.startswith(text), "quiet: SUCCESS" in out) == (1, True, True), out


def test_junit_is_written_for_failures_too(command: Command, outcomes: list[Outcome], tmp_path: Path) -> None:
    outcomes.append(FAILED)
    assert command("test", "rules", "tests.yml", f"--junit={tmp_path / 'junit.xml'}")[0] == 1
    assert 'name="drift"' in (tmp_path / "junit.xml").read_text()


def test_no_test_at_all_is_a_failure(command: Command, outcomes: list[Outcome]) -> None:
    """A misspelled --run must not look like success; it is matched anywhere in the name."""
    outcomes.append(PASSED)
    assert command("test", "rules", "tests.yml", "--run=drift") == (1, "no test matches 'drift'\n", "")
    assert command("test", "rules", "tests.yml", "--run=uie")[0] == 0


def test_a_wrong_regular_expression_is_wrong_usage(command: Command, outcomes: list[Outcome]) -> None:
    code, _, err = command("test", "rules", "tests.yml", "--run=(")
    assert (code, "--run: " in err) == (2, True)


def test_sigterm_ends_the_run_as_an_exit() -> None:
    """So that the temporary Prometheus is stopped; the former handler comes back."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, _exit_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
