"""Validation of values from files: strict, all problems at once, and what is valid is kept."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from bridge.domain.wording import kind, near
from bridge.files.validation import DurationField, Section, checked, fixed, salvaged
from bridge.files.yaml import Document, parse


class Inner(Section):
    """Inside."""

    not_built = frozenset({"later"})
    size: int = 1
    name: str = ""


class Outer(Section):
    """Around."""

    stand_ins = fixed(needed="stood in")
    elsewhere = fixed(foreign="ask there")
    needed: str
    inner: Inner = Inner()
    many: list[Inner] = Field(default_factory=list)
    by_name: dict[str, Inner] = Field(default_factory=dict)
    maybe: Inner | None = None
    level: Literal["low", "high"] = "low"
    flag: bool = False
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    few: Annotated[int, Field(ge=1, lt=5)] = 1
    words: tuple[str, ...] = ()
    wait: DurationField = 0
    short: Annotated[str, Field(max_length=3)] = ""
    either: int | list[int] = 0


def document(text: str) -> Document:
    return parse(text, Document("a.yml"))


def said(text: str) -> list[str]:
    found = document(text)
    checked(Outer, found.value, found, ())
    return [re.sub(r"^a\.yml:1:[0-9]+: ", "", str(problem)) for problem in found.problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "key 'needed' is missing"),
        ("{needed: 1}", "needed: must be text, not the number 1 (quote it)"),
        ("{needed: false}", "needed: must be text, not the boolean false (quote it)"),
        ("{needed: [a]}", "needed: must be text, not a list"),
        ("{needed: a, inner: 5}", "inner: must be a mapping, not a number"),
        ("{needed: a, inner: {sise: 5}}", "inner.sise: unknown key 'sise' (did you mean 'size'?)"),
        ("{needed: a, inner: {later: 5}}", "inner.later: 'later' is not supported yet (remove it)"),
        ("{needed: a, many: [{}, {nam: x}]}", "many[1].nam: unknown key 'nam' (did you mean 'name'?)"),
        ("{needed: a, many: [{later: 1}]}", "many[0].later: 'later' is not supported yet (remove it)"),
        ("{needed: a, by_name: {x: {later: 1}}}", "by_name.x.later: 'later' is not supported yet (remove it)"),
        ("{needed: a, maybe: {nam: 1}}", "maybe.nam: unknown key 'nam' (did you mean 'name'?)"),
        ("{needed: a, foreign: 1}", "foreign: unknown key 'foreign' (ask there)"),
        ("{needed: a, level: hihg}", "level: unknown level 'hihg' (did you mean 'high'?)"),
        ("{needed: a, level: 1}", "level: must be one of low, high, not a number"),
        ("{needed: a, flag: 1}", "flag: must be true or false, not a number"),
        (
            "{needed: a, flag: no}",
            "flag: must be true or false, not text (write it unquoted; yes, no, on and off are text in YAML 1.2)",
        ),
        ("{needed: a, share: 0}", "share: must be more than 0.0"),
        ("{needed: a, share: 2}", "share: must be at most 1.0"),
        ("{needed: a, share: '1'}", "share: must be a number, not text (write it unquoted)"),
        ("{needed: a, few: 0}", "few: must be at least 1"),
        ("{needed: a, few: 5}", "few: must be less than 5"),
        ("{needed: a, few: 1.5}", "few: must be a whole number, not a fraction"),
        ("{needed: a, words: a}", "words: must be a list, not text"),
        ("{needed: a, words: [a, 1]}", "words[1]: must be text, not the number 1 (quote it)"),
        (
            "{needed: a, wait: 1.5}",
            "wait: must be a duration with a unit, not the number 1.5: write 1.5s if seconds are meant",
        ),
        ("{needed: a, wait: true}", "wait: must be a duration such as 30s, 5m or 1h30m, not a boolean"),
        ("{needed: a, wait: [1s]}", "wait: must be a duration such as 30s, 5m or 1h30m, not a list"),
        ("{needed: a, wait: 101y}", "wait: is longer than 100 years"),
        ("{needed: a, wait: 99999999999h}", "wait: '99999999999h' is too long; a duration is at most 292y"),
        ("{needed: a, short: long}", "short: must have at most 3 characters"),
        ("[a]", "must be a mapping, not a list"),
    ],
)  # fmt: skip
def test_a_problem_is_reported_in_the_words_of_the_file(text: str, problem: str) -> None:
    """Not in pydantic's."""
    assert said(text) == [problem]


def test_a_choice_between_types_lists_all_of_them() -> None:
    """Each at the same place."""
    assert said("{needed: a, either: x}") == [
        "either: must be a whole number, not text (write it unquoted)", "either: must be a list, not text"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0", "0s", "'0'", "0.0"])
def test_zero_needs_no_unit(text: str) -> None:
    """It is the same in all of them."""
    found = document(f"{{needed: a, wait: {text}}}")
    model = checked(Outer, found.value, found, ())
    assert model is not None
    assert model.wait == 0


def test_what_is_right_is_saved_from_a_wrong_section() -> None:
    """So that it is checked as well; a list with a wrong element is left out as a whole."""
    found = document("{inner: {size: x, name: kept}, words: [a, 1], few: 3, wrong: 1, maybe: {nope: 1}}")
    model = salvaged(Outer, found.value, found, ())
    assert model is not None
    assert (model.needed, model.few, model.words, model.maybe) == ("stood in", 3, (), Inner())
    assert model.inner == Inner(size=1, name="kept")
    assert len(found.problems) == 5


def test_nothing_is_salvaged_from_other_values_than_mappings() -> None:
    """There is nothing to go on with."""
    found = document("[a]")
    assert salvaged(Outer, found.value, found, ()) is None


def test_nothing_is_saved_without_stand_ins() -> None:
    """A required key that nothing stands in for."""

    class Strict(Section):
        needed: str

    found = document("{}")
    assert salvaged(Strict, found.value, found, ()) is None
    assert len(found.problems) == 1


def test_foreign_models_are_checked_by_the_same_rules() -> None:
    """A plug-in's configuration is a plain pydantic model, whatever its mode."""

    class Plugin(BaseModel):
        model_config = ConfigDict(extra="forbid")
        flag: bool
        times: dict[str, list[int]] = Field(default_factory=dict)

    found = document("{flag: yes, times: {a: [1, '2']}, more: 1}")
    assert checked(Plugin, found.value, found, ()) is None
    assert [(problem.path, problem.message) for problem in found.problems] == [
        ("flag", "must be true or false, not text"),
        ("times.a[1]", "must be a whole number, not text"),
        ("more", "unknown key 'more'"),
    ]


@pytest.mark.parametrize("key", ["password", "secret", "client_secret", "credentials", "X-Auth-Token"])
def test_a_number_in_the_place_of_a_secret_is_not_shown(key: str) -> None:
    """`password: 31337` is a mistake and a secret at once."""

    class Login(BaseModel):
        values: dict[str, str]

    found = document(f"{{values: {{{key}: 31337}}}}")
    checked(Login, found.value, found, ())
    assert [(problem.message, problem.hint) for problem in found.problems] == [
        ("must be text, not a number", "quote it")
    ]


@pytest.mark.parametrize(
    ("value", "word"),
    [(None, "nothing"), (True, "a boolean"), (1, "a number"), (1.5, "a number"), ("", "text"),
     ([], "a list"), ({}, "a mapping"), (object(), "object")],
)  # fmt: skip
def test_values_are_called_by_their_yaml_kind(value: Any, word: str) -> None:
    """Not by Python's."""
    assert kind(value) == word


def test_a_near_miss_is_named_and_otherwise_what_there_is() -> None:
    """Unless that is a long list."""
    assert near("treshold", ["threshold", "trend"]) == "did you mean 'threshold'?"
    assert near("zzz", ["b", "a"]) == "known are: a, b"
    assert near("zzz", []) == ""
    assert near("zzz", [f"n{i}" for i in range(21)]) == ""
