"""Logging: one line for each entry, whatever its source and content."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator

import pytest

from bridge.app.logs import LogSettingsError, setup_logging

log = logging.getLogger("bridge.somewhere")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the logging of the process, which is global."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    shown = warnings.showwarning
    logging.captureWarnings(capture=False)  # a command in another test may have left it on
    monkeypatch.setattr(warnings, "showwarning", shown)
    root, names = logging.getLogger(), ("apscheduler", "alembic", "urllib3", "uvicorn")
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


def fail(error: Exception) -> None:
    raise error


class Lines:
    """Return what was written to standard error since the last call."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def setup(self, form: str = "logfmt", level: str = "info") -> None:
        setup_logging(level, form)

    def __call__(self) -> list[str]:
        return self._capsys.readouterr().err.splitlines()

    def one(self) -> str:
        (line,) = self()
        return line


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return Lines(capsys)


def after_time(line: str) -> str:
    """Return the line without its time."""
    assert line.startswith("ts=20")
    return line.partition(" ")[2]


def test_a_line_has_time_level_caller_message_and_the_fields(lines: Lines) -> None:
    """The order of Prometheus' own logs."""
    lines.setup()
    log.info("request made", extra={"model": "shop/ranking/7", "count": 2, "late": False, "hold": None})
    assert after_time(lines.one()) == (
        'level=info caller=bridge.somewhere msg="request made" model=shop/ranking/7 count=2 late=false hold=""'
    )


def test_json_holds_the_same_with_types(lines: Lines) -> None:
    """NaN and infinity become texts, because parsers are strict."""
    lines.setup("json")
    log.warning("read %s", "this", extra={"value": float("nan"), "limit": 0.6, "rules": ("A", "B"), "by": {1: None}})
    entry = json.loads(lines.one())
    assert entry.pop("ts").startswith("20")
    assert entry == {
        "level": "warning", "caller": "bridge.somewhere", "msg": "read this",
        "value": "nan", "limit": 0.6, "rules": ["A", "B"], "by": {"1": None},
    }  # fmt: skip


HOSTILE = 'a\nlevel=error msg="forged"\r\x1b[31m\x7f\x9b2J\u2028\u202eb\x00'


def test_a_hostile_label_value_neither_forges_a_line_nor_reaches_the_terminal(lines: Lines) -> None:
    """New lines, quotes, escape sequences, C1 controls and direction marks are shown as escapes."""
    lines.setup()
    log.info("seen", extra={"pipeline": HOSTILE})
    expected = r'pipeline="a\nlevel=error msg=\"forged\"\r\u001b[31m\u007f\u009b2J\u2028\u202eb\u0000"'
    assert lines.one().endswith(expected)


def test_json_survives_hostile_values_too(lines: Lines) -> None:
    """One ASCII line, and the value comes back as it was."""
    lines.setup("json")
    log.info(HOSTILE, extra={"pipeline": HOSTILE})
    line = lines.one()
    assert all(" " <= char <= "~" for char in line)
    assert json.loads(line)["pipeline"] == json.loads(line)["msg"] == HOSTILE


def test_a_field_cannot_take_the_place_of_the_message_or_level(lines: Lines) -> None:
    """Its name gets an underscore."""
    lines.setup()
    log.info("evaluated", extra={"event": "drift", "level": "none", "odd key=": 1})
    assert after_time(lines.one()) == (
        "level=info caller=bridge.somewhere msg=evaluated event_=drift level_=none odd_key_=1"
    )


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_secrets_are_hidden_in_messages_fields_lists_and_tracebacks(lines: Lines, form: str) -> None:
    """URLs with credentials come from exceptions of libraries."""
    lines.setup(form)
    url = "http://admin:hunter2@host/x?token=hunter2"
    try:
        fail(OSError(url))
    except OSError as error:
        log.exception("cannot reach %s", url, extra={"error": error, "all": [url], "by": {"a": url}})
    line = lines.one()
    assert "hunter2" not in line
    assert line.count("http://<secret>@host/x?<secret>") == 5


def test_a_traceback_stays_on_one_line(lines: Lines) -> None:
    """So that a log collector keeps it in one entry."""
    lines.setup()
    try:
        fail(ValueError("no"))
    except ValueError:
        log.exception("failed")
    line = lines.one()
    assert 'exception="Traceback (most recent call last):\\n' in line
    assert line.endswith('ValueError: no"')


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    """--log.level."""
    lines.setup(level="warn")
    log.info("no")
    log.warning("yes")
    assert "msg=yes" in lines.one()
    lines.setup(level="debug")
    log.debug("now")
    assert "level=debug" in lines.one()


@pytest.mark.parametrize("name", ["uvicorn.error", "apscheduler.scheduler", "alembic.runtime.migration"])
def test_libraries_speak_through_us_and_only_of_trouble(lines: Lines, name: str) -> None:
    """Their entries for each job or start would hide ours; uvicorn's colours are dropped."""
    lines.setup("json", "debug")
    logging.getLogger(name).info("started job")
    logging.getLogger(name).error("job failed", extra={"color_message": "\x1b[1mjob failed"})
    entry = json.loads(lines.one())
    assert (entry["caller"], entry["msg"], "color_message" in entry) == (name, "job failed", False)


def test_warnings_and_dying_threads_are_lines_too(lines: Lines) -> None:
    """Nothing is printed between the lines."""
    lines.setup()
    warnings.showwarning("old", DeprecationWarning, "file.py", 3)
    assert "caller=py.warnings" in lines.one()
    thread = threading.Thread(target=lambda: 1 / 0, name="courier")
    thread.start()
    thread.join(300)
    line = lines.one()
    assert 'level=critical caller=bridge.app.logs msg="thread failed" thread_name=courier' in line
    assert line.endswith('ZeroDivisionError: division by zero"')


@pytest.mark.parametrize(
    ("level", "form", "message"),
    [
        ("loud", "json", "--log.level is 'loud'; it must be one of debug, info, warn, error"),
        ("info", "xml", "--log.format is 'xml'; it must be one of logfmt, json"),
    ],
)
def test_unknown_settings_are_named_with_what_would_be_right(level: str, form: str, message: str) -> None:
    """And nothing was changed."""
    with pytest.raises(LogSettingsError) as caught:
        setup_logging(level, form)
    assert str(caught.value) == message
