"""`check` of files."""

from __future__ import annotations

from pathlib import Path

from bridge.authoring.check.check import check_config, check_rules

GOOD = Path(__file__).parents[2] / "data" / "good"


def test_good_files_have_no_problems() -> None:
    """No problem and no exception."""
    assert check_config(GOOD / "bridge.yml") == []
    assert check_rules([GOOD / "rules" / "serving.yml"]) == []


def test_a_file_that_cannot_be_read_is_a_problem_like_another(tmp_path: Path) -> None:
    """A problem, not a traceback."""
    missing = tmp_path / "none.yml"
    assert [str(problem) for problem in check_config(missing)] == [
        f"{missing}: cannot be read: No such file or directory"
    ]
    assert [problem.message for problem in check_rules([missing, GOOD / "rules" / "serving.yml"])] == [
        "cannot be read: No such file or directory"
    ]
