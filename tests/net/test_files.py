"""Configured files: a pipe or a device in their place must not block anything."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.app.service import ServeOptions, open_store
from bridge.config.load import examine_rules, load
from bridge.coordinator import config as coordinator
from bridge.net.adapter import tls_context
from bridge.net.credentials import read_secret
from bridge.net.files import MIB, read_bytes, read_text
from bridge.net.http_config import TlsConfig
from bridge.sinks.signing import SignedSinkConfig, Signer
from bridge.web.http.settings import WebSettings
from bridge.web.http.tls import server_context
from bridge.web.http.web_config import TlsServer, load_web_config


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    """Kubernetes mounts secrets as links; an empty file is a file."""
    (tmp_path / "file").write_text("größe\n")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "empty").touch()
    assert read_text(tmp_path / "link") == "größe\n"
    assert read_bytes(tmp_path / "empty") == b""


def test_the_limit_is_a_size_that_still_fits(tmp_path: Path) -> None:
    """One byte more is refused, with the remedy."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * MIB)
    assert len(read_bytes(file)) == MIB
    file.write_bytes(b"x" * (MIB + 1))
    with pytest.raises(OSError, match="is larger than 1 MiB; check the path, or split the file"):
        read_bytes(file)


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "there")
    return folder / "there"


def listening(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "there"))
    return folder / "there"


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (pipe, "is a pipe, not a file"), (lambda _: Path("/dev/zero"), "is a device, not a file"),
        (lambda _: Path("/dev/tty"), "is a device, not a file|No such device"),
        (listening, "No such device"), (lambda folder: folder, "Is a directory"),
        (lambda folder: folder / "missing", "No such file"),
    ],
)  # fmt: skip
def test_other_paths_than_files_are_refused_at_once(make: Callable[[Path], Path], kind: str, tmp_path: Path) -> None:
    """The message says what it is."""
    with pytest.raises(OSError) as raised:  # noqa: PT011 - its text differs
        read_bytes(make(tmp_path))
    assert raised.value.strerror
    assert re.search(kind, raised.value.strerror)


def _tls(file: Path) -> object:
    return tls_context(TlsConfig(ca_file=str(file)), file.parent)


def _pair(file: Path) -> object:
    return tls_context(TlsConfig(cert_file=str(file), key_file=str(file)), file.parent)


def _server(file: Path) -> object:
    return server_context(TlsServer(cert_file=str(file), key_file=str(file)), file)


def _rule_file(file: Path) -> object:
    (file.parent / "bridge.yml").write_text(
        "{rule_files: ['ther?'], prometheus: {url: 'http://localhost'}, route: {receiver: a}, receivers: [{name: a}]}"
    )
    return load(file.parent / "bridge.yml")


def _coordinator(file: Path) -> object:
    (file.parent / "coordinator.yml").write_text(f"{{secret_file: {file}, command: [true]}}")
    return coordinator.load_config(file.parent / "coordinator.yml")


def _store(file: Path) -> object:
    return open_store(ServeOptions(file.parent, file, WebSettings()))


@pytest.mark.parametrize(
    "use",
    [
        load, _rule_file, load_web_config, _tls, _pair, _server, coordinator.load_config, _coordinator, _store,
        lambda file: read_secret(str(file), file.parent),
        lambda file: Signer(SignedSinkConfig(url="http://localhost", secret_file=str(file)), file.parent).current(),
    ],
)  # fmt: skip
def test_no_place_that_names_a_file_waits_for_a_pipe(use: Callable[[Path], object], tmp_path: Path) -> None:
    """The messages for configuration, rules, secrets and certificates say what is there instead."""
    with pytest.raises(Exception, match="is a pipe, not a file"):
        use(pipe(tmp_path))


def test_rule_files_by_themselves_do_not_wait_either(tmp_path: Path) -> None:
    """`check rules` reports it as a problem of the file."""
    (problem,) = examine_rules([pipe(tmp_path)]).problems
    assert problem.message == "cannot be read: is a pipe, not a file; name a regular file"
