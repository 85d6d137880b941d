"""The log sink."""

from __future__ import annotations

import logging

import pytest

from bridge.ports import Result
from bridge.sinks.base import SinkContext
from bridge.sinks.log import LogConfig, LogSink
from tests.support.notifications import REQUEST, T0, firing, resolved


def test_a_request_is_one_structured_line(caplog: pytest.LogCaptureFixture) -> None:
    """Message, level and fields identify the request."""
    sink = LogSink(LogConfig(level="warning"), SinkContext("trail", 0))
    with caplog.at_level(logging.DEBUG):
        assert sink.send(firing(), T0).result is Result.DELIVERED
        assert sink.send(resolved(), T0).result is Result.DELIVERED
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "retraining requested"),
        ("WARNING", "retraining no longer requested"),
    ]
    wanted = {
        "receiver": "trail",
        "request_id": REQUEST.id,
        "project": "shop",
        "pipeline": "ranking",
        "version": "7",
        "rule": "DriftHigh",
        "reason": "drift 0.702 is above 0.6",
        "triggered_at": "2023-11-14T22:13:20.000Z",
    }
    assert {name: caplog.records[0].__dict__[name] for name in wanted} == wanted


def test_resolved_messages_can_be_disabled() -> None:
    """`send_resolved: false`."""
    assert LogSink(LogConfig(), SinkContext("trail", 0)).sends_resolved
    assert not LogSink(LogConfig(send_resolved=False), SinkContext("trail", 0)).sends_resolved
