"""Plug-ins: classes in the modules of a package of bridge, and in installed packages that have an entry point."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import TypeVar

from bridge.domain.errors import BridgeError

T = TypeVar("T")


def find_plug_ins(
    package: ModuleType, base: type[T], attribute: str, error: type[BridgeError]
) -> Mapping[str, type[T]]:
    """Return the subclasses of `base` by the name that their `attribute` holds.

    Raises `error` for a class without a name, for two classes with the same name, and for an entry point that cannot
    be loaded or is not a subclass.

    package: its modules define the shipped classes, and its name is the group of the entry points.
    """
    found: dict[str, type[T]] = {}
    for origin, plug_in in (*_shipped(package, base, attribute), *_installed(package.__name__, base, error)):
        name = getattr(plug_in, attribute, "")
        if not name:
            raise error(f"{plug_in.__name__} in {origin} has no {attribute}")
        if name in found and found[name] is not plug_in:
            first = f"{found[name].__module__}.{found[name].__name__}"
            raise error(f"{attribute} {name!r} is used twice: by {first} and {origin}; uninstall the package of one")
        found[name] = plug_in
    return dict(sorted(found.items()))


def _shipped(package: ModuleType, base: type[T], attribute: str) -> Iterator[tuple[str, type[T]]]:
    """Yield the classes that set the attribute themselves: others are bases of several plug-ins."""
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and issubclass(value, base) and attribute in vars(value):
                yield module.__name__, value


def _installed(group: str, base: type[T], error: type[BridgeError]) -> Iterator[tuple[str, type[T]]]:
    for point in entry_points(group=group):
        where = f"entry point {point.name!r} ({point.value}) of {group}"
        try:
            loaded = point.load()
        except Exception as fault:  # an import runs any code
            raise error(
                f"{where} cannot be loaded: {type(fault).__name__}: {fault}; update or uninstall its package"
            ) from fault
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise error(f"{where} is not a {base.__name__}")
        yield point.value, loaded
