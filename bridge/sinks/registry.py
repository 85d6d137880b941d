"""Registry of sinks: the modules of this package, and the entry points `bridge.sinks` of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from bridge import sinks as package
from bridge.domain.errors import BridgeError
from bridge.ports.plug_ins import find_plug_ins
from bridge.sinks.base import BaseSink


class SinkError(BridgeError):
    """Conflict or error among the installed sinks."""


@cache
def sinks() -> Mapping[str, type[BaseSink]]:
    """Return every sink by integration. Raises SinkError for duplicate names and for invalid entry points."""
    return find_plug_ins(package, BaseSink, "integration", SinkError)  # type: ignore[type-abstract]
