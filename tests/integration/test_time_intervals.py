"""Alertmanager's own tool takes the same time intervals as the bridge."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.interval_files import BAD, GOOD, NEVER, named

ROOT = "route: {receiver: none}\nreceivers: [{name: none}]\n"


def taken(folder: Path, texts: Iterable[str]) -> dict[str, bool]:
    """Text of one element -> whether `amtool check-config` accepts it."""
    file = folder / "alertmanager.yml"
    answers = {}
    for text in texts:
        file.write_text(f"{ROOT}time_intervals: {named(text)}\n")
        done = subprocess.run(["amtool", "check-config", str(file)], capture_output=True, text=True, check=False)
        answers[text] = done.returncode == 0
    return answers


@pytest.mark.parametrize(
    ("texts", "accepted"), [(GOOD, True), (BAD, False), (NEVER, True)], ids=["good", "bad", "never"]
)
def test_alertmanager_agrees(tmp_path: Path, texts: dict[str, object], accepted: bool) -> None:
    """What is right here is right there, what is wrong there is wrong here; what it would never match is wrong here."""
    assert taken(tmp_path, texts) == dict.fromkeys(texts, accepted)
