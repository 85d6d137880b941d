"""Logging in logfmt or JSON: one line for each entry, whatever its values, and no secrets.

Modules log with the standard library and pass fields by `extra=`.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.domain.errors import BridgeError
from bridge.domain.printable import HOSTILE, escaped
from bridge.net.redact import redact
from bridge.net.repeats import STANDARD_FIELDS, CountingHandler

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FORMATS = ("logfmt", "json")
_PLAIN = re.compile(rf"[^\s\"=\\{HOSTILE}]+")
_HOSTILE = re.compile(rf"[{HOSTILE}\"\\]")
# Fields of every line, and names that log collectors take for them.
_RESERVED = frozenset({"ts", "timestamp", "level", "caller", "logger", "msg", "event", "exception", "exc_info"})
_OMITTED = STANDARD_FIELDS | {"color_message"}
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
    return _LineFormatter(logfmt if form == "logfmt" else _json)


class _LineFormatter(logging.Formatter):
    """Formatter that puts ts, level, caller and msg first, as Prometheus does, then the fields of `extra=`."""

    def __init__(self, render: Callable[[Mapping[str, Any]], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with all values redacted."""
        entry: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "caller": record.name,
            "msg": redact(record.getMessage()),
        }
        for key, value in vars(record).items():
            if key not in _OMITTED:  # a field with a reserved name would replace that one
                entry[f"{key}_" if key in _RESERVED else key] = _clean(value)
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return self._render(entry)


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    """Log an uncaught exception of a thread, which Python would print between the lines."""
    name = args.thread.name if args.thread else ""
    trace = (args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    logging.getLogger(__name__).critical("thread failed", extra={"thread_name": name}, exc_info=trace)


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


def logfmt(entry: Mapping[str, Any]) -> str:
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


def _json(entry: Mapping[str, Any]) -> str:
    """Encode as ASCII; json escapes all control characters but DEL."""
    return json.dumps(entry, ensure_ascii=True).replace("\x7f", "\\u007f")
