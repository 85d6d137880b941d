"""Stored output of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.coordinator.output import RunLog, Tail, last_lines, new_version


def test_a_short_output_is_kept_whole(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log", 100) as log:
        log.write(b"one\n")
        log.write(b"two\n")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_long_output_keeps_its_start_and_its_end(tmp_path: Path) -> None:
    """The file never exceeds the limit plus the note, which says how much is missing."""
    with RunLog(tmp_path / "log", 20) as log:
        for number in range(10):
            log.write(f"line {number}\n".encode())
    assert (tmp_path / "log").read_bytes() == b"line 0\nlin\n[... 50 bytes omitted ...]\n 8\nline 9\n"


def test_the_start_is_on_the_disk_while_the_run_continues(tmp_path: Path) -> None:
    """The log can be read while the training runs."""
    with RunLog(tmp_path / "log", 100) as log:
        log.write(b"epoch 1\n")
        assert (tmp_path / "log").read_bytes() == b"epoch 1\n"


def test_a_tail_keeps_the_last_bytes() -> None:
    tail = Tail(5)
    for part in (b"abc", b"", b"defg", b"h"):
        tail.add(part)
    assert (tail.data(), tail.dropped) == (b"defgh", 3)


def test_a_tail_cuts_one_large_piece() -> None:
    tail = Tail(3)
    tail.add(b"abcdefgh")
    assert (tail.data(), tail.dropped) == (b"fgh", 5)


def test_last_lines_are_made_safe_to_show() -> None:
    """Empty lines and control characters do not reach a page or a terminal."""
    assert last_lines(b"a\nb\n\n  c\x1b[31m \nd\n \n") == "b\nc?[31m\nd"
    assert last_lines(b"\xff" + b"x" * 500) == "x" * 400
    assert last_lines(b"") == ""


@pytest.mark.parametrize(
    ("stdout", "version"),
    [
        (b'{"new_version": "4"}\n', "4"),
        (b'{"new_version": "4"}\n{"new_version": "5"}\nbye\n', "5"),
        (b'{"new_version": "4"}\n{"new_version": 5}\n', "4"),
        (b'new_version: 4\n"new_version"\n', ""),
        (b"[" * 5000 + b'"new_version"\n', ""),
        (b'{"new_version": "' + b"4" * 300 + b'"}', "4" * 256),
        (b"", ""),
    ],
)
def test_the_last_json_line_that_names_it_gives_the_new_version(stdout: bytes, version: str) -> None:
    assert new_version(stdout) == version
