"""Messages of errors that users read."""

from __future__ import annotations

from bridge.domain.errors import ConfigError, Problem, SourceError
from bridge.domain.verdict import Cause


def test_a_problem_names_file_line_path_and_hint() -> None:
    """A lint is a warning with its name; a problem of a whole file has no line."""
    error = Problem("a.yml", 3, "groups[0].name", "is missing", "add it")
    assert str(error) == "a.yml:3: groups[0].name: is missing (add it)"
    assert str(Problem("a.yml", 0, "", "is empty")) == "a.yml: is empty"
    assert str(Problem("a.yml", 3, "expr", "compares nothing", lint="no-limit")) == (
        "a.yml:3: expr: warning: compares nothing [no-limit]"
    )


def test_a_configuration_error_lists_its_problems_in_file_order() -> None:
    """One line each."""
    late, early = Problem("a.yml", 9, "", "late"), Problem("a.yml", 2, "", "early")
    error = ConfigError([late, early])
    assert error.problems == [early, late]
    assert str(error) == "a.yml:2: early\na.yml:9: late"


def test_a_failed_query_reads_the_same_at_every_slot_but_for_the_time() -> None:
    """Long expressions are truncated."""
    error = SourceError("HTTP 503", reason="unavailable", transient=True)
    assert (str(error), error.cause) == ("HTTP 503", Cause.QUERY_ERROR)
    error.query, error.when = "up" * 400, "2026-01-01"
    assert error.fault.startswith("HTTP 503; query: upup")
    assert "(cut, 500 of 800 characters)" in error.fault
    assert str(error) == f"{error.fault}; time: 2026-01-01"
