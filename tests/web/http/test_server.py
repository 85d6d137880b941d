"""Web server: address, TLS, misbehaving clients, and shutdown."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from bridge.domain.errors import ConfigError
from bridge.web.app import create_app
from bridge.web.http.address import AddressInUseError
from bridge.web.http.server import Server
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import TlsServer, WebConfig
from tests.support.fake_views import AT, FakeCommands, FakeQueries
from tests.support.web import Site, ends, make_certificate, read_answer, serving

GET = "GET {} HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n"


def test_a_server_answers_on_the_address_that_it_names() -> None:
    """Port 0 is a free port."""
    with serving() as site:
        assert site.server.address == f"127.0.0.1:{site.port}"
        status, headers, body = site.raw(GET.format("/-/healthy"))
        assert (status, body) == (200, b"retrain-bridge is healthy.\n")
        assert "server" not in headers


def test_an_answer_does_not_wait_for_the_one_before_to_be_acknowledged() -> None:
    """With Nagle's algorithm a browser would wait 40 ms for every page."""
    with (
        serving() as site,
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)) as client,
    ):
        client.request("GET", "/-/healthy")
        assert client.getresponse().read()
        (connection,) = site.server._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_an_address_of_ipv6_and_all_addresses() -> None:
    """IPv6 in brackets, and nothing before the colon."""
    for listen, shown in (("[::1]:0", "[::1]:"), (":0", "[::]:"), ("localhost:0", "127.0.0.1:")):
        with serving(WebSettings(listen)) as site:
            assert site.server.address == f"{shown}{site.port}"


def test_a_busy_port_is_an_error_that_names_the_address() -> None:
    """The error is raised before anything runs."""
    with serving() as site, pytest.raises(AddressInUseError) as caught:
        Site(WebSettings(f"127.0.0.1:{site.port}"), WebConfig())
    assert str(caught.value) == f"cannot listen on 127.0.0.1:{site.port}: Address already in use"


def test_an_address_of_another_machine_is_an_error() -> None:
    """So is a name that does not resolve."""
    for listen in ("192.0.2.1:0", "no.such.host.invalid:9095"):
        with pytest.raises(AddressInUseError, match=f"cannot listen on {listen}: "):
            Site(WebSettings(listen), WebConfig())


def test_a_server_that_never_started_can_be_stopped() -> None:
    """It releases its port."""
    site = Site(WebSettings("127.0.0.1:0"), WebConfig())
    site.server.stop(1.0)
    with socket.create_server(("127.0.0.1", site.port)) as again:
        assert again.getsockname()[1] == site.port


def test_a_stop_ends_an_idle_server_quickly() -> None:
    """A client keeps its connection open."""
    with serving() as site, site.connect() as client:
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b""
        while not answer.endswith(b"is healthy.\n"):  # head and body may come one after the other
            answer += client.recv(65_536)
        assert ends(site)
        assert client.recv(100) == b""


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HT",
        b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc",
        b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_a_client_that_never_finishes_does_not_hold_up_the_stop(begun: bytes) -> None:
    """Neither an unfinished header nor an unfinished body."""
    with serving() as site, site.connect() as client:
        client.sendall(begun)
        assert site.raw(GET.format("/-/healthy"))[0] == 200
        assert ends(site)
        assert site.commands.reloads == 0


def test_a_client_that_reads_slowly_does_not_hold_up_the_stop() -> None:
    """50 MB that the client does not read."""
    with serving() as site, socket.socket() as client:
        site.metrics = b"x" * 50_000_000
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", site.port))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert ends(site)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(1 << 20):  # what had been sent is read, then it ends: nobody waits on the other side
                pass


def test_an_answer_under_way_is_finished_before_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finishes within the grace period."""
    entered, leave = threading.Event(), threading.Event()

    def slow() -> tuple[bool, str]:
        entered.set()
        leave.wait(300)
        return True, ""

    with serving() as site, site.connect() as client:
        monkeypatch.setattr(site.queries, "ready", slow)
        client.sendall(b"GET /-/ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert entered.wait(300)
        site.server._server.should_exit = True
        leave.set()
        assert read_answer(client)[0] == 200


def test_a_head_request_gets_the_head_of_the_get() -> None:
    """No body, but its length; a path without GET has no HEAD."""
    with serving() as site:
        status, headers, body = site.raw(GET.format("/-/healthy").replace("GET", "HEAD"))
        assert (status, headers["content-length"], body) == (200, "27", b"")
        assert site.raw(GET.format("/-/reload").replace("GET", "HEAD"))[0] == 405


def test_a_body_with_a_large_content_length_gets_a_response() -> None:
    """The client keeps sending."""
    body = b"x" * (3 << 20)
    head = f"POST /-/reload HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {len(body)}\n\n"
    with serving() as site:
        status, headers, answer = site.raw(head, body)
        assert (status, headers["connection"]) == (413, "close")
        assert json.loads(answer)["detail"] == "the body is larger than 1048576 bytes"
        assert site.commands.reloads == 0


def test_a_body_in_chunks_is_refused_when_it_becomes_too_long() -> None:
    """It has no Content-Length."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = "POST /-/reload HTTP/1.1\nHost: 127.0.0.1\nTransfer-Encoding: chunked\n\n"
    with serving() as site:
        assert site.raw(head, chunk * 32 + b"0\r\n\r\n")[0] == 413
        assert site.raw(head.replace("\n\n", "\nConnection: close\n\n"), chunk * 16 + b"0\r\n\r\n")[0] == 200
        assert site.commands.reloads == 1


def test_a_long_body_of_a_get_is_refused_too() -> None:
    """The limit applies to every method."""
    with serving() as site:
        head = "GET /-/healthy HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 1048577\n\n"
        assert site.raw(head, b"x" * 1_048_577)[0] == 413


def test_a_body_that_does_not_arrive_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout is ten seconds, shortened here."""
    monkeypatch.setattr("bridge.net.request_body.BODY_SECONDS", 0.05)
    monkeypatch.setattr("bridge.net.request_body._DISCARD_SECONDS", 0.05)
    with serving() as site:
        assert site.raw("POST /-/reload HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 10\n\n", b"abc")[0] == 408
        assert site.commands.reloads == 0


def test_a_client_that_goes_away_in_the_middle_of_its_body_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    """The next request succeeds, and no error is logged."""
    with serving() as site:
        with site.connect() as client:
            client.sendall(b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nabc")
        assert site.raw(GET.format("/-/healthy"))[0] == 200
    assert [item for item in caplog.records if item.levelname == "ERROR"] == []
    assert site.commands.reloads == 0


def test_rubbish_is_a_400() -> None:
    """The server keeps running."""
    with serving() as site:
        assert site.raw("\x16\x03\x01 rubbish\n\n")[0] == 400
        assert site.raw(GET.format("/-/healthy"))[0] == 200


def test_a_failing_server_reports_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It runs in its own thread, where a failure would go unnoticed."""
    app = create_app(FakeQueries(), FakeCommands(), WebSettings(), lambda _: b"", WebConfig(), lambda: AT)
    server = Server(app, WebSettings("127.0.0.1:0"), WebConfig())

    def broken(_: object) -> None:
        raise RuntimeError("no loop")

    monkeypatch.setattr("bridge.net.http_server.BoundedServer.serve_listener", broken)
    server.start()
    server.stop(2.0)
    assert [item.message for item in caplog.records] == ["the HTTP server failed"]


# ---------------------------------------------------------------- TLS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("server", "client", "stranger"):
        make_certificate(tmp_path, name)
    (tmp_path / "web.yml").write_text("")
    return tmp_path


def secured(folder: Path, **more: str) -> tuple[WebSettings, WebConfig]:
    tls = TlsServer.model_validate({"cert_file": "server.pem", "key_file": "server.key", **more})
    settings = WebSettings("127.0.0.1:0", web_config_file=folder / "web.yml")
    return settings, WebConfig(tls_server_config=tls)


def get(site: Site, folder: Path, trusted: str = "server", certificate: str = "", **more: object) -> int:
    """Return the status of GET /-/healthy over TLS, trusting one certificate and optionally presenting another."""
    context = ssl.create_default_context(cafile=folder / f"{trusted}.pem")
    for name, value in more.items():
        setattr(context, name, value)
    if certificate:
        context.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", site.port, timeout=60, context=context)
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status
    finally:
        connection.close()


def test_https_is_served_with_the_files_of_the_web_config(folder: Path) -> None:
    """Paths are relative to it; plain HTTP fails; TLS 1.1 is refused."""
    with serving(*secured(folder)) as site:
        assert get(site, folder) == 200
        with site.connect() as client:
            client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert not client.recv(100).startswith(b"HTTP")
    with serving(*secured(folder, min_version="TLS13")) as site, pytest.raises(ssl.SSLError):
        get(site, folder, maximum_version=ssl.TLSVersion.TLSv1_2)


def test_a_renewed_certificate_is_served_without_a_restart(folder: Path) -> None:
    """A partly written one leaves the previous one in force."""
    with serving(*secured(folder)) as site:
        assert get(site, folder) == 200
        new = folder / "new"
        new.mkdir()
        make_certificate(new, "server")
        (new / "server.pem").replace(folder / "renewed.pem")
        (folder / "server.pem").write_bytes((folder / "renewed.pem").read_bytes()[:-40])
        with pytest.raises(ssl.SSLCertVerificationError):
            get(site, folder, trusted="renewed")
        (folder / "server.pem").write_bytes((folder / "renewed.pem").read_bytes())
        (new / "server.key").replace(folder / "server.key")
        assert get(site, folder, trusted="renewed") == 200


def test_clients_without_a_certificate_are_refused(folder: Path) -> None:
    """RequireAndVerifyClientCert: without a certificate of the CA there is no connection."""
    more = {"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "client.pem"}
    settings, config = secured(folder, **more)
    with serving(settings, config) as site:
        assert get(site, folder, certificate="client") == 200
        for certificate in ("", "stranger"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                get(site, folder, certificate=certificate)


def test_a_certificate_that_is_given_is_verified_even_if_none_is_requested(folder: Path) -> None:
    """This is VerifyClientCertIfGiven."""
    more = {"client_auth_type": "VerifyClientCertIfGiven", "client_ca_file": "client.pem"}
    with serving(*secured(folder, **more)) as site:
        assert get(site, folder) == get(site, folder, certificate="client") == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            get(site, folder, certificate="stranger")


def test_files_that_cannot_be_used_are_all_named(folder: Path) -> None:
    """The startup error has the file and the key."""
    more = {"key_file": "client.key", "client_auth_type": "VerifyClientCertIfGiven", "client_ca_file": "no.pem"}
    with pytest.raises(ConfigError) as caught:
        Site(*secured(folder, **more))
    first, second = (str(problem).removeprefix(f"{folder}/web.yml: ") for problem in caught.value.problems)
    assert first.startswith("tls_server_config.cert_file: cannot use server.pem with client.key: ")
    assert second == "tls_server_config.client_ca_file: cannot use no.pem: No such file or directory"


def test_a_key_with_a_password_is_refused_and_does_not_wait_at_the_terminal(folder: Path) -> None:
    """A service has no terminal."""
    os.system(f"openssl ec -in {folder}/server.key -aes256 -passout pass:x -out {folder}/locked.key 2>/dev/null")
    with pytest.raises(ConfigError, match=r"cannot use .*locked\.key"):
        Site(*secured(folder, key_file="locked.key"))
