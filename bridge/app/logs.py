"""Logging in logfmt or JSON: one line for each entry, whatever its values, and no secrets.

Modules log with the standard library and pass fields by `extra=`; structlog renders them here.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict

from bridge.domain.errors import BridgeError
from bridge.domain.printable import HOSTILE, escaped
from bridge.net.redact import redact
from bridge.net.repeats import CountingHandler

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FORMATS = ("logfmt", "json")
_PLAIN = re.compile(rf"[^\s\"=\\{HOSTILE}]+")
_HOSTILE = re.compile(rf"[{HOSTILE}\"\\]")
_RESERVED = frozenset(
    {"ts", "timestamp", "level", "caller", "logger", "msg", "event", "exception", "exc_info", "_record"}
)
# These log each job, connection and start, which the bridge logs itself.
_QUIET = {
    "apscheduler": logging.ERROR,
    "alembic": logging.WARNING,
    "urllib3": logging.ERROR,
    "uvicorn": logging.WARNING,
}


class LogSettingsError(BridgeError):
    """Unknown log level or format."""


def setup_logging(level: str, form: str) -> None:
    """Send every logger to standard error. Raises LogSettingsError for an unknown level or format."""
    _one_of("--log.level", level, LEVELS)
    _one_of("--log.format", form, dict.fromkeys(FORMATS))
    handler = CountingHandler()
    handler.setFormatter(formatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.getLogger("bridge").handlers.clear()  # those of a command
    root.setLevel(LEVELS[level])
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(LEVELS[level], least))
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_ended


def _one_of(flag: str, value: str, known: Mapping[str, object]) -> None:
    if value not in known:
        raise LogSettingsError(f"{flag} is {value!r}; it must be one of {', '.join(known)}")


def formatter(form: str) -> logging.Formatter:
    """Return the formatter of `logfmt` or `json` lines."""
    renderer: Any = logfmt if form == "logfmt" else structlog.processors.JSONRenderer(serializer=_json)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_fields,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _ordered,
            renderer,
        ],
    )


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    """Log an uncaught exception of a thread, which Python would print between the lines."""
    name = args.thread.name if args.thread else ""
    trace = (args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    logging.getLogger(__name__).critical("thread failed", extra={"thread_name": name}, exc_info=trace)


# ---------------------------------------------------------------- processors

_fields_of = structlog.stdlib.ExtraAdder()


def _add_fields(logger: Any, name: str, entry: EventDict) -> EventDict:
    """Add the fields of `extra=`. One with a reserved name gets an underscore, or it would replace that field."""
    fields = _fields_of(logger, name, {"_record": entry["_record"]})
    for key, value in fields.items():
        if key not in {"_record", "color_message"}:
            entry[f"{key}_" if key in _RESERVED else key] = value
    return entry


def _ordered(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Put ts, level, caller and msg first, as Prometheus does, and redact all values."""
    first = {"ts": entry.pop("timestamp", ""), "level": entry.pop("level", ""), "caller": entry.pop("logger", "")}
    message = redact(str(entry.pop("event", "")))
    return {**first, "msg": message, **{key: _clean(value) for key, value in entry.items()}}


def _clean(value: Any) -> Any:
    """Return a redacted value of JSON's types."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): _clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item) for item in value]
        case _:
            return redact(str(value))


# ---------------------------------------------------------------- renderers


def logfmt(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> str:
    """Render one logfmt line; values are quoted and escaped where necessary."""
    return " ".join(f"{_key(key)}={_value(value)}" for key, value in entry.items())


def _key(key: str) -> str:
    return re.sub(r"[^\w.\-]", "_", key, flags=re.ASCII)


def _value(value: object) -> str:
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = "" if value is None else str(value)
    return text if _PLAIN.fullmatch(text) else f'"{_HOSTILE.sub(escaped, text)}"'


def _json(entry: object, **_: object) -> str:
    """Encode as ASCII; json escapes all control characters but DEL."""
    return json.dumps(entry, ensure_ascii=True).replace("\x7f", "\\u007f")
