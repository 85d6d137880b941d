"""Usage lines and types in the help of each command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_origin

import pytest
import typer
from typer.testing import CliRunner

from bridge.cli.commands import app


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """The help of each command and group, by its words."""

    def visit(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        result = CliRunner().invoke(app, [*words, "-h"], env={"COLUMNS": "120", "TERMINAL_WIDTH": "120"})
        assert result.exit_code == 0, words
        yield " ".join(words), result.output
        for name, inner in getattr(command, "commands", {}).items():
            yield from visit(inner, (*words, name))

    return dict(visit(typer.main.get_command(app), ()))


def test_help_shows_metavars_instead_of_python_types(helps: dict[str, str]) -> None:
    """MODEL, DURATION, FILE ..., and not the types of Python, nor the syntax of ranges."""
    assert len(helps) > 35
    leaks = re.compile(r"<[a-z_]*(str|int|float|bool|Path|range|list)\b|list\[|\{|<=x|\[required\]$", re.IGNORECASE)
    assert {words: found for words, text in helps.items() if (found := leaks.findall(text))} == {}


def test_the_usage_names_arguments_as_they_are_typed(helps: dict[str, str]) -> None:
    """A required one is bare, an optional one is in brackets, and one that repeats has dots."""
    usage = {words: " ".join(text.partition("\n\n")[0].split()) for words, text in helps.items()}
    start = "Usage: retrain-bridge"
    assert usage["requests show"] == f"{start} requests show [OPTIONS] ID"
    assert usage["check rules"] == f"{start} check rules [OPTIONS] FILE..."
    assert usage["check schema"] == f"{start} check schema [OPTIONS] KIND"
    assert usage["explain"] == f"{start} explain [OPTIONS] [PROJECT/PIPELINE/VERSION]"
    assert usage["pause list"] == f"{start} pause list [OPTIONS]"
    assert usage["silence expire"] == f"{start} silence expire [OPTIONS] ID"
    assert "  ID  Id of the request, or at least its first 4 digits.\n" in helps["requests show"]


@pytest.mark.parametrize("number", ["0", "10001", "many"])
def test_an_invalid_limit_is_refused_with_the_range(number: str) -> None:
    """In words."""
    result = CliRunner().invoke(app, ["requests", "list", "--limit", number])
    assert result.exit_code == 2
    assert "a whole number from 1 to 10000" in " ".join(result.output.replace("│", " ").split())


def choices() -> Iterator[tuple[str, list[str]]]:
    """Yield the words of each command that end with a value that is none of the choices of a parameter."""

    def visit(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
        for item in command.params:
            if get_origin(item.type_descriptor.annotation) is Literal:
                flag = [item.opts[-1]] if item.param_type_name == "option" else ["x"] * (words == ("feedback",))
                yield " ".join((*words, item.name)), [*words, *flag, "bogus"]
        for name, inner in getattr(command, "commands", {}).items():
            yield from visit(inner, (*words, name))

    return visit(typer.main.get_command(app), ())


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in choices()])
def test_a_value_that_is_no_choice_is_refused_with_the_choices(words: list[str]) -> None:
    """In words of the command line, not in those of the library that checks it."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert re.search(r"Error: Invalid value for '\S.*': 'bogus' is not one of '\w+', '", result.output), result.output
