"""Middleware: access, changes and body limits."""

from __future__ import annotations

import base64
import socket
import threading

import bcrypt
import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from bridge.web.app import create_app
from bridge.web.http import auth
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import TlsServer, WebConfig
from tests.support.fake_views import AT, ID, FakeCommands, FakeQueries

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
USERS = WebConfig(basic_auth_users={"ada": HASH})
CERTIFICATES = WebConfig(
    tls_server_config=TlsServer(
        cert_file="c", key_file="k", client_auth_type="RequireAndVerifyClientCert", client_ca_file="ca"
    )
)
EVERYWHERE = WebSettings("0.0.0.0:9095")


class Site:
    """Application behind the guard."""

    def __init__(self, settings: WebSettings | None = None, config: WebConfig | None = None) -> None:
        self.commands, self.queries = FakeCommands(), FakeQueries()
        app = create_app(
            self.queries, self.commands, settings or WebSettings(), lambda _: b"", config or WebConfig(), lambda: AT
        )
        self.http = TestClient(app, base_url="http://127.0.0.1:9095", client=("127.0.0.1", 50_000))

    def get(self, **headers: str) -> httpx.Response:
        answer: httpx.Response = self.http.get("/-/healthy", headers=_names(headers))
        return answer

    def reload(self, **headers: str) -> httpx.Response:
        answer: httpx.Response = self.http.post("/-/reload", headers=_names(headers))
        return answer


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def sign_in(user: str = "ada", password: str = "secret") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# ---------------------------------------------------------------- host names


@pytest.mark.parametrize(
    "host",
    ["localhost:9095", "LOCALHOST", "localhost.", "127.0.0.1", "[::1]:9095", "10.1.2.3:9095", "bridge.example.org"],
)
def test_names_that_a_page_cannot_point_at_us_are_served(host: str) -> None:
    """The server's own names, addresses, and the host of the external URL."""
    site = Site(WebSettings(external_url="https://bridge.example.org/retrain"))
    assert site.http.get("/api/v1/models", headers={"host": host}).status_code == 200


EVIL = ["evil.example", "localhost.evil.example:9095", "127.0.0.1.nip.io", "[::1", "a@b@c"]


@pytest.mark.parametrize("host", EVIL)
@pytest.mark.parametrize(
    ("settings", "config"), [(WebSettings(), WebConfig()), (EVERYWHERE, WebConfig()), (None, USERS)]
)
def test_a_rebound_name_reads_nothing(host: str, settings: WebSettings | None, config: WebConfig) -> None:
    """A page that resolves its own name to the bridge gets no data, on any listen address."""
    answer = Site(settings, config).http.get("/api/v1/models", headers={"host": host, "authorization": sign_in()})
    assert (answer.status_code, answer.json()["errorType"]) == (421, "bad_data")
    assert "allow it with --web.allowed-host or --web.external-url" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/metrics", "/retrain/metrics"])
def test_health_and_metrics_are_answered_under_every_name(path: str) -> None:
    """Scrapers and orchestrators use names of their own."""
    site = Site(WebSettings("0.0.0.0:9095", external_url="https://bridge.example.org/retrain"))
    assert site.http.get(path, headers={"host": "some.name.svc"}).status_code == 200


def test_names_of_the_machine_and_those_that_are_allowed_are_served() -> None:
    """Case does not matter, on every address."""
    settings = WebSettings("bridge.lan:9095", allowed_hosts=("Bridge", "retrain.svc"))
    for host in (socket.gethostname(), "bridge:9095", "RETRAIN.svc.", "bridge.lan", "10.1.2.3", "[fe80::1%eth0]"):
        assert Site(settings).http.get("/api/v1/models", headers={"host": host}).status_code == 200


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9096"},
        {"origin": "http://[::1"},
        {"sec_fetch_site": "same-origin", "origin": "http://evil.example"},
    ],
)
def test_a_page_of_another_site_changes_nothing(headers: dict[str, str]) -> None:
    """Either of the two browser headers is enough."""
    site = Site()
    answer = site.reload(**headers)
    assert (answer.status_code, answer.json()["detail"]) == (403, "cross-site requests may not change anything")
    assert site.commands.reloads == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:9095"},
        {"sec_fetch_site": "none"},
        {"origin": "https://bridge.example.org"},
    ],
)
def test_our_own_page_and_programs_may_change(headers: dict[str, str]) -> None:
    """A TLS proxy sends the origin of the external URL."""
    site = Site(WebSettings(external_url="https://bridge.example.org/retrain"))
    assert site.reload(**headers).status_code == 200
    assert site.commands.reloads == 1


def test_reading_from_another_site_is_not_a_change() -> None:
    """A link from a wiki works."""
    assert Site().get(sec_fetch_site="cross-site").status_code == 200


@pytest.mark.parametrize("path", ["/-/reload", f"/api/v1/requests/{ID}/redrive"])
def test_beyond_loopback_unknown_clients_change_nothing(path: str) -> None:
    """The response explains how to fix it; reading stays open."""
    site = Site(EVERYWHERE)
    answer = site.http.post(path)
    assert answer.status_code == 403
    assert "set basic_auth_users or client certificates in --web.config.file" in answer.json()["detail"]
    assert site.commands.reloads == 0
    assert site.get().status_code == 200


@pytest.mark.parametrize(("config", "headers"), [(USERS, {"authorization": sign_in()}), (CERTIFICATES, {})])
def test_beyond_loopback_known_clients_may_change(config: WebConfig, headers: dict[str, str]) -> None:
    """A password or a verified client certificate is enough."""
    assert Site(EVERYWHERE, config).reload(**headers).status_code == 200


def test_a_certificate_that_is_not_required_allows_no_change() -> None:
    """VerifyClientCertIfGiven admits unauthenticated clients."""
    tls = TlsServer(cert_file="c", key_file="k", client_auth_type="VerifyClientCertIfGiven", client_ca_file="ca")
    assert Site(EVERYWHERE, WebConfig(tls_server_config=tls)).reload().status_code == 403


# ---------------------------------------------------------------- basic auth


@pytest.mark.parametrize(
    "header",
    [
        "", "Basic", "Basic !!!", "Bearer x", sign_in(password="wrong"), sign_in(user="bob"), sign_in("ada", ""),
        "Basic " + base64.b64encode(b"ada").decode(), "Basic " + base64.b64encode(b"\xff:x").decode(),
        "Basic " + base64.b64encode(b"ada:se\x00cret").decode(),
    ],
)  # fmt: skip
def test_without_the_right_password_there_is_nothing_to_see(header: str) -> None:
    """Health and metrics need a password too."""
    site = Site(config=USERS)
    for path in ("/", "/metrics", "/-/healthy", "/api/v1/models"):
        answer = site.http.get(path, headers={"authorization": header})
        assert (answer.status_code, answer.json()["errorType"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith('Basic realm="retrain-bridge"')


def test_the_right_password_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is hashed once: a scrape every 15 s must not cost a tenth of a second each."""
    checked = []

    def checkpw(*_: bytes) -> bool:
        checked.append(threading.current_thread())
        return True

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    site = Site(config=USERS)
    for _ in range(3):
        assert site.get(authorization=sign_in()).status_code == 200
    assert len(checked) == 1
    assert checked[0] is not threading.main_thread()


def test_an_unknown_user_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing must not reveal user names; a wrong password is hashed each time."""
    checked: list[bytes] = []

    def check(password: bytes, hashed: bytes) -> bool:
        checked.append(hashed)
        return password == b"secret"

    monkeypatch.setattr(auth.bcrypt, "checkpw", check)  # type: ignore[attr-defined]
    site = Site(config=USERS)
    for user, password in (("bob", "secret"), ("bob", "secret"), ("ada", "x"), ("ada", "x")):
        assert site.get(authorization=sign_in(user, password)).status_code == 401
    assert checked == [HASH.encode()] * 4


def test_a_long_password_counts_as_far_as_bcrypt_goes() -> None:
    """72 bytes; the library refuses longer ones, other tools truncate them."""
    hashed = bcrypt.hashpw(b"p" * 72, bcrypt.gensalt(4)).decode()
    site = Site(config=WebConfig(basic_auth_users={"ada": hashed}))
    assert site.get(authorization=sign_in(password="p" * 100)).status_code == 200


def test_a_hash_that_only_looks_like_one_lets_no_user_in() -> None:
    """Its format is valid, its salt is not."""
    site = Site(config=WebConfig(basic_auth_users={"ada": "$2b$04$" + "." * 21 + "z" + "." * 31}))
    assert site.get(authorization=sign_in()).status_code == 401


# ---------------------------------------------------------------- every answer


def test_every_answer_instructs_the_browser_to_be_careful() -> None:
    """Errors have the security headers too."""
    site = Site()
    answers = [
        site.get(), site.http.get("/"), site.http.get("/nothing"), site.http.get("/", headers={"host": "evil.example"}),
        site.reload(origin="null"), site.http.get("/api/v1/models"),
    ]  # fmt: skip
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")


def test_an_unexpected_error_is_a_500_and_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error text is not sent."""

    def broken(**_: object) -> None:
        raise KeyError("internal detail")

    site = Site()
    monkeypatch.setattr(site.queries, "models_by_name", broken)
    answer = site.http.get("/api/v1/models")
    assert (answer.status_code, answer.json()) == (
        500, {"type": "about:blank", "title": "Internal Server Error", "status": 500,
              "detail": "internal error; see the log of the bridge", "errorType": "internal", "errors": []},
    )  # fmt: skip
    assert answer.headers["x-frame-options"] == "DENY"
    (record,) = [item for item in caplog.records if item.name == "bridge.web.http.guard"]
    assert record.exc_info is not None
    assert (vars(record)["method"], vars(record)["path"]) == ("GET", "/api/v1/models")


@pytest.mark.parametrize("path", ["/retrain", "/retrain/", "/", "/retrain/-/healthy", "/-/healthy"])
def test_the_external_urls_path_is_served_with_and_without_it(path: str) -> None:
    """A proxy may strip it or not; it matches whole path segments only."""
    site = Site(WebSettings(external_url="http://127.0.0.1:9095/retrain/"))
    assert site.http.get(path).status_code == 200
    assert site.http.get(f"/retraining{path}").status_code == 404


def test_the_application_can_be_started_and_stopped_by_other_servers() -> None:
    """The guard passes non-HTTP scopes through."""
    site = Site()
    with site.http:
        assert site.get().status_code == 200
