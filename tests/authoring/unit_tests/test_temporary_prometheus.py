"""A Prometheus for the time of a test: the right one, or a clear word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bridge.authoring.unit_tests import temporary_prometheus
from bridge.authoring.unit_tests.temporary_prometheus import PrometheusNotFoundError, find_binary, throwaway_prometheus
from bridge.domain.times import DAY, parse_duration
from bridge.net.http_config import HttpConfig
from bridge.net.session import call, open_session

TAKEN = '#!/bin/sh\necho err="listen tcp 127.0.0.1:1: bind: address already in use"\nexit 1\n'


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(HttpConfig(), Path()) as found:
        yield found


def script(folder: Path, text: str) -> str:
    """A program."""
    path = folder / "program"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_it_is_empty_and_begins_at_the_epoch(session: requests.Session) -> None:
    """And is gone afterwards."""
    with throwaway_prometheus(find_binary(), session) as url:
        answer = call(session, "GET", f"{url}/api/v1/query?query=vector(time())&time=0", deadline=5.0)
        assert b'"value":[0,"0"]' in answer.body
        assert call(session, "GET", f"{url}/api/v1/labels", deadline=5.0).body == b'{"status":"success","data":[]}'
    with pytest.raises(Exception, match=r"refused|network"):
        call(session, "GET", f"{url}/-/ready", deadline=2.0)


def test_when_another_process_takes_the_port_it_tries_another(tmp_path: Path, session: requests.Session) -> None:
    """A few times."""
    first = f"#!/bin/sh\nif [ ! -e {tmp_path}/second ]; then touch {tmp_path}/second\n{TAKEN[10:]}fi\n"
    with throwaway_prometheus(script(tmp_path, f'{first}exec {find_binary()} "$@"\n'), session) as url:
        assert call(session, "GET", f"{url}/-/ready", deadline=5.0).status == 200
    assert (tmp_path / "second").exists()
    with (
        pytest.raises(PrometheusNotFoundError, match=r"did not start: .*address already in use"),
        throwaway_prometheus(script(tmp_path, TAKEN), session),
    ):
        pass


def test_it_never_talks_to_a_prometheus_of_another_user(
    tmp_path: Path, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers on the port, but has another store, would be filled with the samples of a test."""
    with throwaway_prometheus(find_binary(), session) as theirs:
        monkeypatch.setattr(temporary_prometheus, "_free_port", lambda: int(theirs.rpartition(":")[2]))
        monkeypatch.setattr(temporary_prometheus, "START", 0.5)
        with (
            pytest.raises(PrometheusNotFoundError, match="did not start: no word of it"),
            throwaway_prometheus(script(tmp_path, "#!/bin/sh\nexec sleep 30\n"), session),
        ):
            pass


def test_a_missing_binary_is_reported_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, or that there is none on PATH."""
    with pytest.raises(PrometheusNotFoundError, match=r"^/none is not a program: .*--prometheus.binary$"):
        find_binary("/none")
    monkeypatch.setenv("PATH", "/none")
    with pytest.raises(PrometheusNotFoundError, match=r"^there is no prometheus on PATH: .*apt-get install prometheus"):
        find_binary()


def test_it_keeps_every_sample_that_a_test_may_have(session: requests.Session) -> None:
    """From 1970 to the greatest duration of Go: a shorter retention deletes the first samples of a slow test."""
    with throwaway_prometheus(find_binary(), session) as url:
        flags = json.loads(call(session, "GET", f"{url}/api/v1/status/flags", deadline=5.0).body)["data"]
    assert parse_duration(flags["storage.tsdb.retention.time"]) >= 106_700 * DAY
