"""Wrong files, each beside the messages that it must get: tests/data/bad/CLASS/NAME.{bridge,rules}.yml, NAME.expected.

A folder below a class is a bridge.yml with the rule files that it names. A new case is a pair of files, no code.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.authoring.check.check import check_config, check_rules
from bridge.domain.errors import Problem

BAD = Path(__file__).parents[1] / "data" / "bad"
CASES = sorted([*BAD.glob("*/*.yml"), *BAD.glob("*/*/bridge.yml")])


def problems(case: Path) -> list[Problem]:
    return check_rules([case]) if case.name.endswith(".rules.yml") else check_config(case)


def expected(case: Path) -> str:
    name = "expected" if case.name == "bridge.yml" else f"{case.name.partition('.')[0]}.expected"
    return case.with_name(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(BAD)))
def test_a_wrong_file_gets_its_expected_messages(case: Path) -> None:
    """All of them, in file order, each with file, line, path and, where one is known, what would be right."""
    told = "".join(f"{problem}\n" for problem in problems(case))
    assert told.replace(f"{case.parent}/", "").replace(str(case.parent), ".") == expected(case)


def test_the_cases_are_many_and_of_many_classes() -> None:
    """A lost folder, or a pattern that matches nothing, would make the test above pass in silence."""
    assert len(CASES) >= 140
    assert len({case.relative_to(BAD).parts[0] for case in CASES}) >= 18


def test_no_message_holds_a_secret() -> None:
    """Wrong credentials are in several of the files; messages go to logs and to whoever reloads."""
    told = "".join(str(problem) for case in CASES for problem in problems(case))
    assert "hunter2" not in told
    assert "31337" not in told
    assert "basic_auth.password" in told
