"""Logs as logfmt or JSON, one line an entry whatever the values hold."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict

from bridge.domain.errors import BridgeError
from bridge.net.redact import redact

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FORMATS = ("logfmt", "json")
_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# What could end a line, move the cursor or colour a terminal is shown, not sent.
_HOSTILE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\"\\]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_QUIET = ("apscheduler", "alembic", "urllib3", "uvicorn.access", "uvicorn.error")


class LogSettingsError(BridgeError):
    """An unknown level or format."""


def _escaped(text: str) -> str:
    return _HOSTILE.sub(lambda match: _SHORT.get(match[0], f"\\u{ord(match[0]):04x}"), text)


def logfmt(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> str:
    """One logfmt line: time, level and message first; values quoted and escaped where they need it."""
    return " ".join(f"{_key(key)}={_value(value)}" for key, value in entry.items())


def _key(key: str) -> str:
    return re.sub(r"[^\w.\-]", "_", key)


def _value(value: object) -> str:
    text = "" if value is None else str(value)
    return text if _PLAIN.fullmatch(text) else f'"{_escaped(text)}"'


def _ordered(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """ts, level, caller and msg first, as Prometheus' tools write them; texts redacted."""
    first = {"ts": entry.pop("timestamp", ""), "level": entry.pop("level", "")}
    caller, message = entry.pop("logger", ""), redact(str(entry.pop("event", "")))
    rest = {key: redact(value) if isinstance(value, str) else value for key, value in entry.items()}
    return {**first, "caller": caller, "msg": message, **rest}


class _Extras(structlog.stdlib.ExtraAdder):
    """The fields of `extra=`; uvicorn's own colours are left out."""

    def __call__(self, logger: Any, name: str, event_dict: EventDict) -> EventDict:
        found = super().__call__(logger, name, event_dict)
        found.pop("color_message", None)
        return found


def setup_logging(level: str, form: str) -> None:
    """Send the root logger to standard error. LogSettingsError for an unknown level or format."""
    _one_of("--log.level", level, LEVELS)
    _one_of("--log.format", form, dict.fromkeys(FORMATS))
    renderer: Any = logfmt if form == "logfmt" else structlog.processors.JSONRenderer(default=str, ensure_ascii=True)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Extras(),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _ordered,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(LEVELS[level], logging.WARNING))


def _one_of(flag: str, given: str, known: Mapping[str, object]) -> None:
    if given not in known:
        raise LogSettingsError(f"{flag} is {given!r}; it is one of {', '.join(known)}")
