"""Registry of sinks: the modules of this package, and the entry points `bridge.sinks` of installed packages."""

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
    """Conflict or error among the installed sinks."""


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
            raise SinkError(f"entry point {point.name!r} ({point.value}) of {GROUP} is not a BaseSink")
        yield point.value, loaded


@cache
def sinks() -> Mapping[str, type[BaseSink]]:
    """Return every sink by integration. Raises SinkError if two share a name or an entry point is not a sink."""
    by_name: dict[str, type[BaseSink]] = {}
    for origin, sink in (*_shipped(), *_installed()):
        name = getattr(sink, "integration", "")
        if not name:
            raise SinkError(f"sink {sink.__name__} in {origin} has no integration")
        if name in by_name and by_name[name] is not sink:
            raise SinkError(f"two sinks are called {name!r}: {by_name[name].__module__} and {origin}")
        by_name[name] = sink
    return dict(sorted(by_name.items()))
