"""Check of the Host header against DNS rebinding."""

from __future__ import annotations

import socket

import pytest

from bridge.net.hosts import Hosts, check_name, host_of, is_http_url, is_loopback, refused


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("", True), ("localhost", True), ("LOCALHOST.:9095", True), ("127.0.0.1:9095", True), ("[::1]:9095", True),
        ("10.1.2.3", True), ("bridge.example:443", True), ("Bridge.Example.", True), ("evil.example", False),
        ("bridge.example.evil.example", False), ("127.0.0.1.evil.example", False), ("[::1", False),
    ],
)  # fmt: skip
def test_names_are_allowed_and_addresses_always(host: str, allowed: bool) -> None:
    """A page can point its own name here, but not an address."""
    assert Hosts(["Bridge.example"]).allows(host) is allowed


def test_the_name_of_the_machine_is_allowed() -> None:
    assert Hosts([]).allows(socket.gethostname())


def test_an_empty_name_allows_nothing_more() -> None:
    assert not Hosts([""]).allows("evil.example")


@pytest.mark.parametrize("name", ["", "http://x", "x:80", "x/y", "//x", "[::1"])
def test_other_texts_are_no_host_names(name: str) -> None:
    """The error says what to leave out."""
    with pytest.raises(ValueError, match="omit scheme and port"):
        check_name(name)


@pytest.mark.parametrize("name", ["bridge", "Bridge.Example.org", "bridge."])
def test_a_host_name_is_returned_as_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://User@Host.Example:80/x", "host.example"), ("//x.", "x"), ("x", ""), ("http://[::1", "?"), ("", "")],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("Localhost.", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True),
        ("::ffff:127.0.0.1", True), ("", False), ("0.0.0.0", False), ("::", False), ("example.org", False),
    ],
)  # fmt: skip
def test_what_counts_as_loopback(host: str, loopback: bool) -> None:
    """The empty host stands for every address."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("http://a", True), ("https://a:9095/prefix", True), ("HTTP://[::1]:1", True), ("http://", False),
        ("ftp://a", False), ("a:9095", False), ("http://a:0", False), ("http://a:x", False), ("http://a:65536", False),
        ("http://[::1", False), ("", False),
    ],
)  # fmt: skip
def test_what_counts_as_a_url(text: str, usable: bool) -> None:
    assert is_http_url(text) is usable


def test_a_refusal_names_the_flag_and_cuts_the_name() -> None:
    text = refused("x" * 1000, " or --other")
    assert "--web.allowed-host or --other" in text
    assert len(text) < 400
