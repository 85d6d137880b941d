"""YAML 1.2 values, the line of every key and value, and limits on size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.domain.errors import ConfigError
from bridge.files.yaml import MOST_BYTES, Document, parse, path_text, read


def parsed(text: str) -> Document:
    return parse(text, Document("a.yml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("NO", "NO"),
        ("1:30", "1:30"), ("190:20:30", "190:20:30"), ("010", 10), ("0o10", 8), ("0x1F", 31), ("1_000", "1_000"),
        ("12", 12), ("-3", -3), ("+4", 4), ("1.10", 1.1), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0),
        ("-1.5E-3", -0.0015), ("=", "="),
        ("2024-01-31", "2024-01-31"), ("'1'", "1"), ('"true"', "true"), ("!!str 1.10", "1.10"), ("!!str", ""),
        ("1.2.3", "1.2.3"), ("0b11", "0b11"), ("9" * 301, "9" * 301), ("٣", "٣"),
    ],
)  # fmt: skip
def test_a_plain_value_is_read_by_yaml_1_2(text: str, value: Any) -> None:
    """Norway is no boolean, half past one no number, a date no date."""
    document = parsed(f"key: {text}")
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)
    assert document.problems == []


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_a_key_without_a_value_is_an_error(text: str) -> None:
    """What was meant is unknown: a forgotten limit must not be no limit."""
    document = parsed(f"a: 1\nb: {text}\n")
    assert document.value == {"a": 1}
    assert [str(problem) for problem in document.problems] == [
        "a.yml:2:1: b: has no value (write one, or remove the key)"
    ]


@pytest.mark.parametrize("text", [".inf", "-.INF", "+.Inf", ".nan", ".NaN", "1e999"])
def test_numbers_are_finite(text: str) -> None:
    """A limit of NaN would never be passed, and nobody would know."""
    assert [problem.message for problem in parsed(f"max: {text}").problems] == [f"{text} is not a finite number"]


def test_every_key_and_element_has_its_line() -> None:
    """A message points to the key, also when its value begins further down."""
    document = parsed("a:\n  - b: 1\n    c:\n      d\n  - {e: [1,\n    2]}\n")
    assert document.lines == {
        (): 1, ("a",): 1, ("a", 0): 2, ("a", 0, "b"): 2, ("a", 0, "c"): 3, ("a", 1): 5, ("a", 1, "e"): 5,
        ("a", 1, "e", 0): 5, ("a", 1, "e", 1): 6,
    }  # fmt: skip
    assert document.line(("a", 1, "e", 7, "x")) == 5


def test_an_alias_has_the_value_and_the_line_of_its_anchor() -> None:
    """The mistake is where the value is written."""
    document = parsed("a: &x {b: 1}\nc: *x\n")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.line(("c", "b")) == 1
    assert document.line(("c",)) == 2


def test_a_wrong_element_leaves_its_list_out_and_is_reported_once() -> None:
    """The list without it would mean something else."""
    document = parsed("a: [1, !own 2, 3]\nb: 4\n")
    assert document.value == {"b": 4}
    assert ("a",) in document.lines
    assert [str(problem) for problem in document.problems] == ["a.yml:1:8: a[1]: tag !own is not allowed (remove it)"]


def test_a_wrong_document_is_an_empty_one() -> None:
    """There is nothing to go on with."""
    document = parsed("!own [1]")
    assert document.value == {}
    assert len(document.problems) == 1


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    """As editors on Windows write."""
    path = tmp_path / "a.yml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read(path)
    assert document.value == {"a": 1, "b": 2}
    assert document.line(("b",)) == 2


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """A glob that hits a dump must not take the bridge down."""
    path = tmp_path / "a.yml"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(
        ConfigError, match=r"a\.yml: cannot be read: is larger than 4 MiB; check the path, or split the file"
    ):
        read(path)


def test_an_endless_file_is_refused_too() -> None:
    """What is no regular file is not read at all."""
    with pytest.raises(ConfigError, match="cannot be read: is a device, not a file; name a regular file"):
        read(Path("/dev/zero"))


def test_a_missing_file_and_a_folder_cannot_be_read(tmp_path: Path) -> None:
    """The operating system's reason is told."""
    with pytest.raises(ConfigError, match=r"none\.yml: cannot be read: No such file or directory"):
        read(tmp_path / "none.yml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_very_deep_brackets_are_an_error_and_no_crash() -> None:
    """Also where the parser itself recurses."""
    with pytest.raises(ConfigError, match=r"a\.yml: is nested too deeply \(at most 50 levels\)"):
        parsed("[" * 20_000)


def test_places_read_like_paths() -> None:
    """As people write them."""
    assert path_text(("groups", 0, "rules", 2, "for")) == "groups[0].rules[2].for"
    assert path_text(()) == ""


def test_a_document_knows_what_was_reported_of_a_place() -> None:
    """So that one mistake is not told twice in other words."""
    document = parsed("a: {b: [1]}\nab: 2\n")
    document.add(("a", "b", 0), "wrong")
    assert document.reported(("a",))
    assert document.reported(("a", "b"))
    assert document.reported(("a", "b", 0))
    assert not document.reported(("ab",))
    document.add(("a", "b", 0), "wrong")
    assert len(document.problems) == 1


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a: 1\nb:\n  - c: !own 2\n", "3:8"),
        ("a: {b: 1, c: .inf}", "1:14"),
        ("a: 1\n  b: 2\n", "2:4"),
        ("é: 1\né: 2", "2:1"),
        ("a: 'ä\x07'", "1:6"),
    ],
)
def test_an_error_has_line_and_column(text: str, position: str) -> None:
    """Columns count characters, from 1."""
    document = Document("a.yml")
    try:
        parse(text, document)
        problems = document.problems
    except ConfigError as error:
        problems = error.problems
    assert [str(problem).split(": ")[0] for problem in problems] == [f"a.yml:{position}"]


def test_a_file_that_is_not_utf_8_is_reported_with_its_first_wrong_byte(tmp_path: Path) -> None:
    """Line and column, after a byte order mark too."""
    file = tmp_path / "a.yml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\nb: \xc3\xa9\xff")
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}:2:5: is not UTF-8")
