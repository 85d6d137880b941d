"""Finds sinks: every module of this package, and the entry points `bridge.sinks` of installed packages."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points

from bridge import sinks as package
from bridge.domain.errors import BridgeError
from bridge.sinks.base import BaseSink

GROUP = "bridge.sinks"


class SinkError(BridgeError):
    """The installed sinks cannot be used together."""


def _shipped() -> Iterator[tuple[str, type[BaseSink]]]:
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and issubclass(value, BaseSink) and "integration" in vars(value):
                yield module.__name__, value


def _installed() -> Iterator[tuple[str, type[BaseSink]]]:
    for point in entry_points(group=GROUP):
        loaded = point.load()
        if not (isinstance(loaded, type) and issubclass(loaded, BaseSink)):
            raise SinkError(f"entry point {point.name!r} ({point.value}) of {GROUP} is not a Sink")
        yield point.value, loaded


@cache
def sinks() -> Mapping[str, type[BaseSink]]:
    """Every sink by integration. SinkError when two claim one, or an entry point is not a sink."""
    found: dict[str, type[BaseSink]] = {}
    for place, sink in (*_shipped(), *_installed()):
        name = getattr(sink, "integration", "")
        if not name:
            raise SinkError(f"sink {sink.__name__} in {place} has no integration")
        if name in found and found[name] is not sink:
            raise SinkError(f"two sinks are called {name!r}: {found[name].__module__} and {place}")
        found[name] = sink
    return dict(sorted(found.items()))
