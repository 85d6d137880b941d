"""Commands that repeat a query."""

from __future__ import annotations

import shlex

from bridge.domain.explain import curl


def test_the_command_quotes_the_expression_for_a_shell() -> None:
    """Time in seconds, with milliseconds; a trailing slash of the URL is dropped."""
    command = curl("http://p:9090/", 'rate(errors{job="a b"}[5m])', 1_700_000_000_123)
    words = shlex.split(command)
    assert words[:3] == ["curl", "-sG", "http://p:9090/api/v1/query"]
    assert 'query=rate(errors{job="a b"}[5m])' in words
    assert "time=1700000000.123" in words
