"""The README's promises about itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_library_example_prints_its_documented_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Pasted as it stands."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out == "drift 0.702 above 0.6\n"


def test_it_can_be_read_in_a_few_minutes() -> None:
    """Under 150 lines; the details are in docs/."""
    assert len(TEXT.splitlines()) < 150
