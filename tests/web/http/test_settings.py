"""Settings of the web server, and the web config file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.domain.errors import ConfigError
from bridge.web.http import web_config
from bridge.web.http.settings import WebSettings, is_loopback, load_web_config
from bridge.web.http.web_config import WebConfig

HASH = "$2y$10$" + "a" * 53


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [
        ("127.0.0.1:9095", "127.0.0.1", 9095, True),
        ("127.9.9.9:1", "127.9.9.9", 1, True),
        ("[::1]:80", "::1", 80, True),
        ("localhost:80", "localhost", 80, True),
        (":9095", "", 9095, False),
        ("0.0.0.0:0", "0.0.0.0", 0, False),
        ("[::]:80", "::", 80, False),
        ("bridge.lan:80", "bridge.lan", 80, False),
    ],
)
def test_an_address_is_host_and_port(listen: str, host: str, port: int, loopback: bool) -> None:
    """It also determines whether only the local host can connect."""
    settings = WebSettings(listen)
    assert (settings.host, settings.port, settings.loopback) == (host, port, loopback)


def test_an_ipv4_address_written_as_ipv6_is_what_it_is() -> None:
    """A dual-stack server sees its IPv4 clients like this."""
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("::ffff:10.0.0.1")


@pytest.mark.parametrize("listen", ["9095", "", "localhost:", "localhost:http", "a:99999", "a:-1", "a:٣"])
def test_an_invalid_address_is_refused_with_an_example(listen: str) -> None:
    """The error names the flag."""
    with pytest.raises(ConfigError) as caught:
        WebSettings(listen)
    assert str(caught.value) == (
        f"--web.listen-address: {listen!r} is not HOST:PORT (for example 127.0.0.1:9095, or :9095 for all)"
    )


@pytest.mark.parametrize(
    "url", ["bridge.example.org", "ftp://x/", "http://", "http://x/?a=b", "http://x/#a", "http://u:p@x/", "http://[x"]
)
def test_an_invalid_base_url_is_refused_with_an_example(url: str) -> None:
    """Links are built from it."""
    with pytest.raises(ConfigError) as caught:
        WebSettings(external_url=url)
    assert str(caught.value).startswith(f"--web.external-url: {url!r} is not a base URL (for example https://")


def test_the_prefix_is_the_external_urls_path() -> None:
    """It has no trailing slash."""
    assert WebSettings(external_url="https://x.example/a/b/").prefix == "/a/b"
    assert WebSettings(external_url="https://x.example").prefix == WebSettings().prefix == ""


@pytest.mark.parametrize("text", ["", "# later\n", "---\n", "null"])
def test_an_empty_file_is_an_error(tmp_path: Path, text: str) -> None:
    """It was probably truncated, and must not open the server."""
    file = tmp_path / "web.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_web_config(file)
    assert str(caught.value).startswith(f"{file}: is empty (write {{}} to serve without TLS and users")


def test_a_pipe_is_no_file_that_can_be_read_again(tmp_path: Path) -> None:
    """Opening it would block forever."""
    os.mkfifo(tmp_path / "web.yml")
    with pytest.raises(ConfigError, match="is a pipe"):
        load_web_config(tmp_path / "web.yml")


def test_no_file_and_one_that_reports_it_protect_nothing(tmp_path: Path) -> None:
    """This is the default."""
    file = tmp_path / "web.yml"
    file.write_text("{}\n")
    assert load_web_config(None) == load_web_config(file) == WebConfig()
    assert not WebConfig().basic_auth_users
    assert not WebConfig().client_certificates


def test_two_errors_are_reported_at_once(tmp_path: Path) -> None:
    """All errors are reported."""
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {key_file: k}\nbasic_auth_users: {ada: x}\n")
    with pytest.raises(ConfigError) as caught:
        load_web_config(file)
    assert [problem.path for problem in caught.value.problems] == [
        "tls_server_config", "basic_auth_users.ada",
    ]  # fmt: skip


def test_a_duplicate_user_is_an_error(tmp_path: Path) -> None:
    """One of the two passwords would be lost silently."""
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users:\n  ada: {HASH}\n  ada: {HASH}\n")
    with pytest.raises(ConfigError) as caught:
        load_web_config(file)
    assert str(caught.value) == f"{file}:3:3: basic_auth_users.ada: key 'ada' is defined twice (first on line 2)"


@pytest.mark.parametrize("content", [b"a: [", b"a: !!python/object:os.system {}", b"\xff\xfe\xff", None, b"\x00"])
def test_an_unreadable_file_is_an_error_too(tmp_path: Path, content: bytes | None) -> None:
    """Missing, not YAML, not text, or YAML that would run code."""
    file = tmp_path / "web.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_web_config(file)
    assert str(caught.value).startswith(str(file))


def test_a_grafana_address_with_a_query_is_refused() -> None:
    """Links are built by appending to it."""
    with pytest.raises(ConfigError, match=r"web\.grafana-url"):
        WebSettings(grafana_url="https://grafana.example/?orgId=1")


@pytest.mark.parametrize(("cost", "seconds", "taken"), [
    (12, 1e9, True), (13, 0.015, True), (14, 0.02, False), (16, 0.0019, True), (17, 0.0019, False), (31, 0.0, False),
])  # fmt: skip
def test_a_hash_that_takes_more_than_two_seconds_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost: int, seconds: float, taken: bool
) -> None:
    """seconds: duration of a check of cost 6 on the host."""
    monkeypatch.setattr(web_config, "_seconds_of_a_check", lambda: seconds)
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users:\n  ada: {HASH}\n  bob: {HASH.replace('$10$', f'${cost}$')}\n")
    if taken:
        assert set(load_web_config(file).basic_auth_users) == {"ada", "bob"}
        return
    with pytest.raises(ConfigError) as caught:
        load_web_config(file)
    assert str(caught.value).startswith(f"{file}:3:3: basic_auth_users.bob: bcrypt cost {cost} takes more than 2 s")


def test_what_a_check_takes_is_measured() -> None:
    """The measurement is greater than zero."""
    assert 0 < web_config._seconds_of_a_check() < 60


@pytest.mark.parametrize("name", ["", "http://a", "a:80", "a/b", "a b@c", "[::1"])
def test_a_host_name_is_a_name_alone(name: str) -> None:
    """Otherwise it would never match, for no visible reason."""
    with pytest.raises(ConfigError, match=r"^--web\.allowed-host: "):
        WebSettings(allowed_hosts=(name,))
