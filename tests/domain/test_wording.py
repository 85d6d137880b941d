"""Messages about values, in plain words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.domain.wording import finding, kind, near


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("exprs", ["expr", "for"], "did you mean 'expr'?"),
        ("zzz", ["b", "a"], "known are: a, b"),
        ("zzz", [], ""),
        ("zzz", [f"name{number}" for number in range(21)], ""),
    ],
)
def test_a_near_word_or_a_short_list(word: str, known: list[str], hint: str) -> None:
    assert near(word, known) == hint


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "a boolean"),
        (1, "a number"),
        ("", "text"),
        ([], "a list"),
        ({}, "a mapping"),
        (b"", "bytes"),
    ],
)
def test_kinds_of_values(value: object, words: str) -> None:
    """A boolean is no number."""
    assert kind(value) == words


class Order(BaseModel):
    """A body with a member of each kind."""

    model_config = ConfigDict(extra="forbid")
    opinion: Literal["useful", "false", "late"] = "late"
    name: Annotated[str, Field(min_length=1, max_length=5)] = "x"
    key: Annotated[str, Field(min_length=2, pattern="^[a-f]*$")] = "ab"
    count: Annotated[int, Field(ge=1, lt=10)] = 1
    flag: bool = False
    entries: Annotated[list[float], Field(max_length=1)] = []
    inner: dict[str, int] = {}


@pytest.mark.parametrize(
    ("given", "text", "hint"),
    [
        ({"opinion": "usefull"}, "unknown opinion 'usefull'", "did you mean 'useful'?"),
        ({"opinion": "?"}, "unknown opinion '?'", "known are: false, late, useful"),
        ({"opinion": 3}, "must be one of useful, false, late, not a number", ""),
        ({"name": 3}, "must be text, not a number", ""),
        ({"name": ""}, "must not be empty", ""),
        ({"name": "abcdef"}, "must have at most 5 characters", ""),
        ({"key": "a"}, "must have at least 2 characters", ""),
        ({"key": "xy"}, "must match ^[a-f]*$", ""),
        ({"count": 0}, "must be at least 1", ""),
        ({"count": 10}, "must be less than 10", ""),
        ({"count": "many"}, "must be a whole number, not 'many'", ""),
        ({"count": 1.5}, "must be a whole number, not a number", ""),
        ({"flag": "perhaps"}, "must be true or false, not 'perhaps'", ""),
        ({"entries": 3}, "must be a list, not a number", ""),
        ({"entries": [1, 2]}, "must have at most 1 entry", ""),
        ({"inner": []}, "must be a mapping, not a list", ""),
        ({"other": 1}, "is unknown", ""),
    ],
)
def test_a_finding_has_no_words_of_the_validator(given: dict[str, Any], text: str, hint: str) -> None:
    """Nothing of the validator's own language is left."""
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(given)
    (details,) = caught.value.errors()
    assert finding(details, str(details["loc"][0])) == (text, hint)
    assert "nput" not in text
    assert "hould" not in text
