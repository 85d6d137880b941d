"""Time limits of calls of the API, in seconds: each caller waits longer than the server that it calls may take."""

from __future__ import annotations

QUERY = 30.0  # one signal in one slot; the default of `query_timeout`
REPLAY = 20.0  # replay of history, after which no other slot begins
CHART_TURN, CHART = 5.0, 15.0  # wait for one's turn, and the queries of a chart
SILENCE = 10.0  # change of a silence in all Alertmanagers; then end of a reading under way; then another reading
ATTEMPT = 10.0  # one of several attempts of a standby to forward a change
TAKE_OVER = 30.0  # by another replica of a fleet, with the default `--fleet.lease`
READY = 10.0  # readiness
SILENCES = "/silences"
_MARGIN = 5.0
_REPLAYED = ("/api/v1/explain", "/decisions/")


def of_server(path: str) -> float:
    """Return the longest time that the active bridge takes to answer. path: without the host."""
    path = path.partition("?")[0]
    if any(part in path for part in _REPLAYED):
        return REPLAY + QUERY
    return 3 * SILENCE if SILENCES in path else CHART_TURN + CHART


def of_standby(path: str) -> float:
    """Return how long a standby waits for the answer of the active bridge to a call that it does not repeat."""
    return of_server(path) + _MARGIN


def of_client(method: str, path: str) -> float:
    """Return how long the command line waits for an answer, also of a standby, which repeats most changes."""
    repeated = 0.0 if method == "GET" else ATTEMPT + TAKE_OVER + ATTEMPT
    return max(of_standby(path), repeated) + _MARGIN
