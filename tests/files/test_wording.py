"""Messages about values. test_validation.py has them on whole sections."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from bridge.files.validation import Section
from bridge.files.wording import bare, note_empty, variable_hint, where
from bridge.files.yaml import Document, parse


class Inner(BaseModel):
    """A section."""

    name: str = ""


@pytest.mark.parametrize(
    ("text", "hinted"),
    [
        ("${TOKEN}", True), ("http://$HOST/x", True), ("$(TOKEN)", True), ("{{ env `TOKEN` }}", True),
        ("{{ .Env.TOKEN }}", True), ("rate(x[$window])", False), ("a$", False), (3, False),
    ],
)  # fmt: skip
def test_variables_of_the_environment_are_noticed(text: object, hinted: bool) -> None:
    assert bool(variable_hint(text)) is hinted


def test_the_path_leaves_out_what_the_file_does_not_have() -> None:
    """Steps of pydantic, such as a member of a union."""
    document = parse("a: {b: [1, 2]}\n", Document("x.yml"))
    assert where(("a", "function-after", "b", 1), document, ()) == ("a", "b", 1)
    assert where(("a", "missing"), document, ()) == ("a",)


def test_empty_keys_are_noted_unless_they_may_be_empty() -> None:
    class Kept(Section):
        may_be_empty = frozenset({"labels"})
        labels: dict[str, str] = Field(default_factory=dict)
        limit: Annotated[int, Field(alias="max")] = 0

    document = parse("labels:\nmax:\nmx:\n", Document("x.yml", lenient=True))
    note_empty(Kept, document, ())
    assert [(problem.path, problem.message) for problem in document.problems] == [
        ("max", "has no value"), ("mx", "unknown key 'mx'"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "type_"),
    [
        (int | None, int), (Annotated[int, "x"], int), (Annotated[Inner | None, "x"], Inner), (str | Inner, Inner),
        (dict[str, int], dict[str, int]),
    ],
)  # fmt: skip
def test_a_type_without_its_wrapping(annotation: Any, type_: Any) -> None:
    assert bare(annotation) == type_
