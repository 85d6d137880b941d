"""Silences are fetched from every Alertmanager; no response makes the bridge lose the silences it has."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import responses

from bridge.domain import waits
from bridge.domain.times import HOUR, MINUTE
from bridge.net.http_config import Authorization, BasicAuth, HttpConfig, OAuth2, Secret, TlsConfig
from bridge.net.session import NetError
from bridge.ports import Silences, SilenceSnapshot
from bridge.ports.silencing import SilencingError, UnknownSilenceError
from bridge.sources import alertmanager_silences
from bridge.sources.alertmanager_silences import AlertmanagerSilences, SilenceTarget
from tests.support.processes import free_port, wait_until
from tests.support.receiver import DRIP, HANG, RESET, Behaviour, Raw, Receiver, Reply, receivers

NOW = 1_794_182_400_000  # 2026-11-09T00:00:00Z


def body(*ids: str, **changes: Any) -> bytes:
    """Return a list of silences as Alertmanager's API does."""
    given = {
        "status": {"state": "active"}, "updatedAt": "2026-11-08T23:00:00.000Z", "comment": "", "createdBy": "ops",
        "startsAt": "2026-11-08T23:00:00.000Z", "endsAt": "2026-11-09T01:00:00.000Z",
        "matchers": [{"name": "project", "value": "shop", "isRegex": False, "isEqual": True}],
    } | changes  # fmt: skip
    return json.dumps([{"id": id_, **given} for id_ in ids]).encode()


def source(*urls: str, http: HttpConfig | None = None, timeout: float = 5.0, base_dir: Path = Path()) -> Any:
    """Yield the source; close it at the end of the `with` block."""
    targets = [SilenceTarget(url, http or HttpConfig()) for url in urls]
    return closing(AlertmanagerSilences(targets, base_dir, timeout=timeout))


def ids(snapshot: SilenceSnapshot) -> list[str]:
    return sorted(silence.id for silence in snapshot.silences)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "bridge.sources.alertmanager_silences")
    return caplog


def messages(logged: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return message and reason of every log record."""
    return [(record.getMessage(), getattr(record, "reason", "")) for record in logged.records]


def test_before_the_first_fetch_nothing_is_known() -> None:
    """Before the first fetch, silences are unknown, which differs from none."""
    with source("http://am.test") as silences:
        assert silences.snapshot() == SilenceSnapshot((), 0)


def test_what_was_known_outlives_a_change_of_settings() -> None:
    """A reload keeps them until the first fetch; an Alertmanager that is down at that moment changes nothing."""
    with Receiver(Reply(200, body("a")), Reply(500), Reply(200, body("b"))) as server:
        with source(server.url) as silences:
            known = silences.fetch(NOW)
        target = SilenceTarget(server.url, HttpConfig(basic_auth=BasicAuth(username="ops")))
        with closing(AlertmanagerSilences([target], Path(), known=known)) as silences:
            assert silences.snapshot() is known
            assert silences.fetch(NOW + MINUTE) is known
            assert ids(silences.fetch(NOW + 2 * MINUTE)) == ["b"]


def test_silences_are_fetched_under_the_route_prefix(mocked: responses.RequestsMock) -> None:
    """One GET per Alertmanager; the snapshot has the silences and the time of the fetch."""
    mocked.get("http://am.test/prefix/api/v2/silences", body=body("a", "b"))
    with source("http://am.test/prefix/") as silences:
        assert silences.fetch(NOW) is silences.snapshot()
        port: Silences = silences
        assert (ids(port.snapshot()), port.snapshot().fetched_at) == (["a", "b"], NOW)
        assert port.snapshot().silences[0].silences({"project": "shop"}, NOW)
    assert [(call.request.method, call.request.body) for call in mocked.calls] == [("GET", None)]


def test_no_silences_are_an_answer(mocked: responses.RequestsMock) -> None:
    """An empty list is a result: nothing is silenced."""
    mocked.get("http://am.test/api/v2/silences", body=b"[]")
    with source("http://am.test") as silences:
        assert silences.fetch(NOW) == SilenceSnapshot((), NOW)


FAILURES = [
    (Reply(500, b"broken"), "http_5xx"), (Reply(503), "http_5xx"), (Reply(404, b"not here"), "http_4xx"),
    (Reply(429), "rate_limited"), (Reply(401), "unauthorized"), (Reply(403), "unauthorized"),
    (Reply(302, headers={"Location": "/login"}), "redirect"), (Reply(204), "invalid_answer"),
    (Reply(200, b"<html>Sign in</html>"), "invalid_answer"), (Reply(200, b""), "invalid_answer"),
    (Reply(200, b'{"status": "success"}'), "invalid_answer"), (Raw(b"SSH-2.0-server\r\n\r\n"), "network"),
    (RESET, "network"), (HANG, "timeout"), (DRIP, "timeout"),
]  # fmt: skip


@pytest.mark.parametrize(("behaviour", "reason"), FAILURES, ids=lambda value: str(value)[:40])
def test_an_alertmanager_that_does_not_answer_changes_nothing(
    behaviour: Behaviour, reason: str, logged: pytest.LogCaptureFixture
) -> None:
    """The last snapshot stays, with its age; nothing is raised; the failure and its end are each logged once."""
    good = Reply(200, body("a"))
    with Receiver(good, behaviour, behaviour, good) as server, source(server.url, timeout=4.0) as silences:
        known = silences.fetch(NOW)
        assert ids(known) == ["a"]
        for minute in (1, 2):
            assert silences.fetch(NOW + minute * MINUTE) is known
            assert silences.failing() == {server.url: reason}
        assert silences.fetch(NOW + 3 * MINUTE).fetched_at == NOW + 3 * MINUTE
        assert silences.failing() == {}
        assert {request.path for request in server.requests} == {"/api/v2/silences"}
    assert messages(logged) == [("silences cannot be fetched", reason), ("silences can be fetched again", "")]


def test_another_reason_is_logged_too(logged: pytest.LogCaptureFixture) -> None:
    """A different reason may need a different remedy."""
    with Receiver(Reply(500), Reply(502), Reply(401)) as server, source(server.url) as silences:
        for _ in range(3):
            silences.fetch(NOW)
    assert [reason for _, reason in messages(logged)] == ["http_5xx", "unauthorized"]


def test_a_closed_port(logged: pytest.LogCaptureFixture) -> None:
    """The address is shown without secrets."""
    port = free_port()
    with source(f"http://user:geheim@127.0.0.1:{port}") as silences:
        assert silences.fetch(NOW) == SilenceSnapshot((), 0)
        (shown,) = silences.failing()
    assert silences.failing()[shown] == "network"
    assert "geheim" not in shown + str([record.__dict__ for record in logged.records])


def test_those_that_answer_are_united(logged: pytest.LogCaptureFixture) -> None:
    """If one is down, the silences of the others are used. The same silence counts once."""
    plans: list[tuple[Behaviour, ...]] = [(Reply(200, body("a", "b")),), (Reply(500),), (Reply(200, body("b", "c")),)]
    with receivers(*plans) as servers, source(*[server.url for server in servers]) as silences:
        snapshot = silences.fetch(NOW)
        assert (ids(snapshot), snapshot.fetched_at) == (["a", "b", "c"], NOW)
        assert silences.failing() == {servers[1].url: "http_5xx"}


def test_one_that_hangs_leaves_time_for_the_others() -> None:
    """All are queried within one deadline, whichever of them hangs."""
    plans: list[tuple[Behaviour, ...]] = [(HANG,), (Reply(200, body("a")),), (DRIP,)]
    with receivers(*plans) as servers, source(*[server.url for server in servers], timeout=6.0) as silences:
        began = time.monotonic()
        assert ids(silences.fetch(NOW)) == ["a"]
        assert time.monotonic() - began >= 4.0
        assert silences.failing() == {servers[0].url: "timeout", servers[2].url: "timeout"}


def test_one_that_hangs_takes_no_more_than_its_share() -> None:
    """The first of three may use a third of the time, which leaves enough for the others."""
    good: tuple[Behaviour, ...] = (Reply(200, body("a")),)
    with (
        receivers((HANG,), good, good) as servers,
        source(*[server.url for server in servers], timeout=6.0) as silences,
    ):
        began = time.monotonic()
        assert ids(silences.fetch(NOW)) == ["a"]
        assert time.monotonic() - began >= 2.0
        assert silences.failing() == {servers[0].url: "timeout"}


def test_an_alertmanager_of_several_receivers_is_queried_once(mocked: responses.RequestsMock) -> None:
    """The same address with the same settings is the same."""
    mocked.get("http://am.test/api/v2/silences", body=body("a"))
    other = SilenceTarget("http://am.test", HttpConfig(basic_auth=BasicAuth(username="ops")))
    targets = [SilenceTarget("http://am.test"), other, SilenceTarget("http://am.test")]
    with closing(AlertmanagerSilences(targets, Path())) as silences:
        silences.fetch(NOW)
    assert [call.request.headers.get("Authorization") for call in mocked.calls] == [None, "Basic b3BzOg=="]


def test_without_an_alertmanager_no_silences_are_known() -> None:
    """Without an Alertmanager there is no answer either."""
    with source() as silences:
        assert silences.fetch(NOW) == SilenceSnapshot((), 0)


def test_silences_that_cannot_be_parsed_are_kept_and_logged_once(logged: pytest.LogCaptureFixture) -> None:
    """They hold the requests that they may cover; some are logged, without their secrets."""
    wrong = body(*"12345", matchers=[])
    secret = json.loads(body("6", endsAt="http://user:geheim@host/"))
    mixed = json.dumps([*secret, *json.loads(wrong), *json.loads(body("good"))]).encode()
    fewer = json.dumps([*json.loads(body("1", matchers=[])), *json.loads(body("good"))]).encode()
    plan = [Reply(200, mixed), Reply(200, mixed), Reply(200, fewer), Reply(200, body("good"))]
    with Receiver(*plan) as server, source(server.url) as silences:
        counts = []
        for _ in plan:
            found = silences.fetch(NOW).silences
            counts.append(sum(bool(silence.unclear) for silence in found))
            assert [silence.id for silence in found if not silence.unclear] == ["good"]
            assert "geheim" not in str(found)
    assert counts == [6, 6, 1, 0]
    assert messages(logged) == [("silences cannot be parsed: requests that they may cover are held", "")]
    (record,) = logged.records
    assert (record.__dict__["count"], len(record.__dict__["first"])) == (6, 3)
    assert "geheim" not in str(record.__dict__)


def test_what_ended_long_ago_is_dropped(mocked: responses.RequestsMock) -> None:
    """Alertmanager lists expired silences for days; a slot lies at most a little before the present."""
    mocked.get("http://am.test/api/v2/silences", body=body("a"))
    with source("http://am.test") as silences:
        ended = NOW + HOUR
        assert ids(silences.fetch(ended + HOUR - 1)) == ["a"]
        assert silences.fetch(ended + HOUR) == SilenceSnapshot((), ended + HOUR)


def test_an_answer_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A truncated list would lift the silences that it lacks."""
    monkeypatch.setattr("bridge.sources.alertmanager_silences.MOST_BYTES", 100)
    with Receiver(Reply(200, body("a"))) as server, source(server.url) as silences:
        assert silences.fetch(NOW) == SilenceSnapshot((), 0)
        assert silences.failing() == {server.url: "too_large"}


def test_settings_that_cannot_be_used_are_a_failure_like_others(tmp_path: Path) -> None:
    """A missing certificate or credential; once the file is there, it is used."""
    auth = HttpConfig(authorization=Authorization(credentials_file="token"))
    tls = HttpConfig(tls_config=TlsConfig(ca_file="ca.pem"))
    with Receiver(Reply(200, body("a"))) as server:
        with source(server.url, http=tls, base_dir=tmp_path) as silences:
            silences.fetch(NOW)
            assert silences.failing() == {server.url: "tls"}
        with source(server.url, http=auth, base_dir=tmp_path) as silences:
            silences.fetch(NOW)
            assert silences.failing() == {server.url: "credential"}
            (tmp_path / "token").write_text("t0k3n")
            assert ids(silences.fetch(NOW)) == ["a"]
        assert server.requests[-1].headers["authorization"] == "Bearer t0k3n"


def test_a_refused_token_is_fetched_anew() -> None:
    """It may have been revoked before its time."""
    token = Reply(200, b'{"access_token": "x", "expires_in": 3600}', {"Content-Type": "application/json"})
    plans: list[tuple[Behaviour, ...]] = [(token,), (Reply(401), Reply(200, body("a")))]
    with receivers(*plans) as (issuer, server):
        oauth = OAuth2(client_id="me", client_secret=Secret("s"), token_url=f"{issuer.url}/token")
        with source(server.url, http=HttpConfig(oauth2=oauth)) as silences:
            silences.fetch(NOW)
            assert silences.failing() == {server.url: "unauthorized"}
            assert ids(silences.fetch(NOW)) == ["a"]
        assert len(issuer.requests) == 2


def test_reading_never_waits_for_a_fetch() -> None:
    """A tick reads the last snapshot while an Alertmanager hangs; it never sees a partial one."""
    with Receiver(Reply(200, body("a")), HANG) as server, source(server.url, timeout=300.0) as silences:
        silences.fetch(NOW)
        fetching = threading.Thread(target=silences.fetch, args=(NOW + MINUTE,))
        fetching.start()
        wait_until(lambda: len(server.requests) == 2, 10, "the second question")
        seen: Sequence[SilenceSnapshot] = [silences.snapshot() for _ in range(1000)]
        assert fetching.is_alive()
        server.close()  # which ends what hangs
        fetching.join(300)
        assert {(tuple(ids(snapshot)), snapshot.fetched_at) for snapshot in seen} == {(("a",), NOW)}


def test_closing_never_waits_for_a_fetch() -> None:
    """An Alertmanager that hangs does not delay the shutdown; the fetch closes its connection itself."""
    with Receiver(Reply(200, body("a")), HANG) as server:
        silences = AlertmanagerSilences([SilenceTarget(server.url)], Path(), timeout=300.0)
        known = silences.fetch(NOW)
        fetching = threading.Thread(target=silences.fetch, args=(NOW + MINUTE,))
        fetching.start()
        wait_until(lambda: len(server.requests) == 2, 10, "the second question")
        silences.close()
        assert fetching.is_alive()
        server.close()  # which ends what hangs
        fetching.join(300)
        assert silences.fetch(NOW + 2 * MINUTE) is known
        assert len(server.requests) == 2
        assert [client._session for client in silences._clients] == [None]


def test_a_silence_is_ended_wherever_it_is() -> None:
    """One Alertmanager that has it suffices; if none has, every reason is said."""
    plans = ((Reply(200, b"{}"),), (Reply(404, b"not found"),), (Reply(500, b"already expired"),))
    with receivers(*plans) as (one, two, three):
        with source(one.url, two.url) as silences:
            silences.expire("a/b")
        assert [(request.method, request.path) for request in one.requests] == [("DELETE", "/api/v2/silence/a%2Fb")]
        with source(two.url, three.url) as silences, pytest.raises(SilencingError, match=r"404: not found; .*500: alr"):
            silences.expire("a")


def test_all_alertmanagers_share_the_time_to_end_a_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one that hangs leaves time for the others, and the caller an answer."""
    clock, given = [0.0], []

    def hang(session: object, method: str, url: str, *, deadline: float) -> None:
        given.append(deadline)
        clock[0] += deadline
        raise NetError("no answer", "timeout")

    monkeypatch.setattr(alertmanager_silences, "call", hang)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with source("http://a", "http://b") as silences, pytest.raises(SilencingError, match="did not answer"):
        silences.expire("a")
    assert given == [waits.SILENCE / 2] * 2


@pytest.mark.parametrize(
    "reply",
    [Reply(404, b""), Reply(404, b'"silence not found"'), Reply(500, b'"silence not found"\n'), Reply(422, b"uuid")],
)
def test_a_silence_is_unknown_if_no_alertmanager_has_it(reply: Reply) -> None:
    """Releases of Alertmanager say so in different ways; if one does not answer, it may have the silence."""
    with receivers((reply,), (reply,), (Reply(503, b"starting"),)) as (one, two, three):
        with source(one.url, two.url) as silences, pytest.raises(UnknownSilenceError) as unknown:
            silences.expire("a")
        assert str(unknown.value) == f"{one.url} has no silence 'a'; {two.url} has no silence 'a'"
        with source(one.url, three.url) as silences, pytest.raises(SilencingError, match="503: starting") as doubtful:
            silences.expire("a")
        assert not isinstance(doubtful.value, UnknownSilenceError)
