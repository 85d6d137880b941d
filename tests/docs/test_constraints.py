"""Tests of the pinned versions: each installs on the oldest Python that the project supports."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
OLDEST = "3.11.0"


def _pins() -> list[Requirement]:
    lines = CONSTRAINTS.read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def _refusal(name: str) -> str | None:
    """Return the Requires-Python of a distribution that refuses the oldest Python, or None."""
    needs = distribution(name).metadata["Requires-Python"]
    return needs if needs and OLDEST not in SpecifierSet(needs) else None


@pytest.mark.parametrize("pin", _pins(), ids=lambda pin: str(pin.name))
def test_pin_installs_on_the_oldest_python(pin: Requirement) -> None:
    """Debian 12 has Python 3.11.2: a package that requires 3.11.5 stops both commands of the README there."""
    installed = distribution(pin.name)
    assert installed.version in pin.specifier, f"{pin.name} {installed.version} is installed, {pin} is pinned"
    assert _refusal(pin.name) is None, f"{pin}: requires Python {_refusal(pin.name)}"
