"""Plug-ins: shipped classes, and those of installed packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from bridge import strategies as package
from bridge.domain.errors import StrategyError
from bridge.ports import plug_ins
from bridge.ports.plug_ins import find_plug_ins
from bridge.strategies.base import RetrainStrategy
from bridge.strategies.ks import KsStrategy


class Other(KsStrategy):
    """Third-party strategy."""

    name = "other"


class Impostor(KsStrategy):
    """Third-party strategy with the name of a shipped one."""


class Nameless(KsStrategy):
    """Third-party strategy without a name."""

    name = ""


def found(monkeypatch: pytest.MonkeyPatch, *values: str) -> dict[str, type[RetrainStrategy]]:
    """The strategies when packages with these entry points are installed."""
    points = [EntryPoint("x", value, "bridge.strategies") for value in values]
    monkeypatch.setattr(plug_ins, "entry_points", lambda group: points if group == "bridge.strategies" else [])
    return dict(find_plug_ins(package, RetrainStrategy, "name", StrategyError))


def test_shipped_and_installed_classes_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the names; a class may be shipped and have an entry point too."""
    names = found(monkeypatch, "tests.ports.test_plug_ins:Other", "bridge.strategies.ks:KsStrategy")
    assert (names["other"], names["ks"]) == (Other, KsStrategy)
    assert list(names) == sorted(names)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "Impostor",
            r"name 'ks' is used twice: by bridge\.strategies\.ks\.KsStrategy and tests\.ports\.",
        ),
        ("Nameless", r"Nameless in tests\.ports\.test_plug_ins:Nameless has no name"),
        ("found", r"entry point 'x' \(tests\.ports\.test_plug_ins:found\) of bridge\.strategies is not a RetrainStr"),
        (
            "Removed",
            r"'x' .* cannot be loaded: AttributeError: .*'Removed'; update or uninstall its package",
        ),
    ],
)
def test_an_unusable_class_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    """With two of one name, the import order would decide."""
    with pytest.raises(StrategyError, match=message):
        found(monkeypatch, f"tests.ports.test_plug_ins:{value}")


def test_a_package_whose_import_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StrategyError, match=r"\(no_such_package:Gone\) .* cannot be loaded: ModuleNotFoundError"):
        found(monkeypatch, "no_such_package:Gone")
