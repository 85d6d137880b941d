"""Errors in coordinator.yml: all at once, with line and remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.coordinator.config import CoordinatorConfig, load_config, split_listen
from bridge.domain.errors import ConfigError
from tests.support.coordinator import SECRET, TOKEN


def refused(folder: Path, text: str, **flags: Any) -> list[str]:
    """The problems of a file, without its path."""
    file = folder / "coordinator.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, flags)
    return [re.sub(r"^coordinator\.yml:([0-9]+):[0-9]+: ", r"coordinator.yml:\1: ", problem) for problem in (
        str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems
    )]  # fmt: skip


def test_nothing_at_all_is_a_good_configuration() -> None:
    """It listens on a loopback address and only records requests."""
    config = load_config()
    assert (config.listen, config.command, config.time_limit) == ("127.0.0.1:8090", (), 21_600_000)
    assert (config.secrets(), config.token(), config.bridge_url) == ((), None, None)


def test_paths_in_a_file_are_relative_to_it_and_flags_to_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    file = tmp_path / "coordinator.yml"
    file.write_text("secret_file: secret\nstorage: data\n")
    assert load_config(file).storage == tmp_path / "data"
    assert load_config(file, {"storage": "here"}).storage == Path.cwd() / "here"
    assert load_config(file).base_dir == tmp_path
    assert load_config(file).secrets() == (SECRET,)


def test_a_full_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    file = tmp_path / "coordinator.yml"
    file.write_text(
        "listen: 0.0.0.0:8090\ncommand: [sh, -c, exit 0]\ntime_limit: 1h30m\nkill_grace: 5s\nmax_parallel: 2\n"
        "token_file: token\nbridge_url: http://localhost:9095/\nretention: 30d\nlog_limit: 2048\n"
    )
    config = load_config(file, {"bridge_url": None, "listen": ":8091"})
    assert (config.listen, config.command, config.time_limit) == (":8091", ("sh", "-c", "exit 0"), 5_400_000)
    assert (config.kill_grace, config.max_parallel, config.token()) == (5_000, 2, TOKEN)
    assert (config.bridge_url, config.retention, config.log_limit) == ("http://localhost:9095", 2_592_000_000, 2048)


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "coordinator.yml"
    file.write_text("# nothing yet\n")
    assert load_config(file).model_dump() == CoordinatorConfig().model_dump()


def test_all_errors_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    text = "listen: 8090\nmax_paralel: 2\ntime_limit: 90\ncommand: [no-such-program]\ntls: {cert: a, key_file: k}\n"
    assert refused(tmp_path, text) == [
        "coordinator.yml:1: listen: must be text, not the number 8090 (quote it)",
        "coordinator.yml:2: max_paralel: unknown key 'max_paralel' (did you mean 'max_parallel'?)",
        f"coordinator.yml:3: time_limit: must be a duration with a unit, not the number 90: {SECONDS_MEANT}",
        "coordinator.yml:4: command: 'no-such-program' is neither an executable file nor a command found on PATH",
        "coordinator.yml:5: tls: key 'cert_file' is missing",
        "coordinator.yml:5: tls.cert: unknown key 'cert' (did you mean 'cert_file'?)",
        f"coordinator.yml:5: tls.key_file: {tmp_path / 'k'}: No such file or directory",
    ]


NO_DURATION = "is not a duration; write it as in Prometheus, for example 30s, 5m or 1h30m"
SECONDS_MEANT = "write 90s if seconds are meant"
NO_URL = "must be a plain base URL; credentials belong in bridge_http_config"
PYTHON = "tag:yaml.org,2002:python/name:os.system"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen: localhost", "1: listen: must be HOST:PORT, for example 127.0.0.1:8090"),
        ("listen: localhost:99999", "1: listen: must be HOST:PORT, for example 127.0.0.1:8090"),
        ("time_limit: 5 minutes", f"1: time_limit: '5 minutes' {NO_DURATION}"),
        ("time_limit: 0s", "1: time_limit: must be more than 0"),
        ("time_limit: [1h]", "1: time_limit: must be a duration such as 30s, 5m or 1h30m, not a list"),
        ("bridge_url: http://box:0", "1: bridge_url: must be an http:// or https:// URL with a host"),
        ("max_parallel: 0", "1: max_parallel: must be at least 1"),
        ("command: sh -c true", "1: command: must be a list, not text"),
        ("bridge_url: localhost:9095", "1: bridge_url: must be an http:// or https:// URL with a host"),
        ("bridge_url: http://u:p@localhost", f"1: bridge_url: {NO_URL}"),
        ("command:\n- sh\n- 5\n", "3: command[1]: must be text, not the number 5 (quote it)"),
        (
            "max_parallel: 1\nmax_parallel: 1\n",
            "2: max_parallel: key 'max_parallel' is defined twice (first on line 1)",
        ),
        (
            "bridge_http_config: {htp_headers: {}}",
            "1: bridge_http_config.htp_headers: unknown key 'htp_headers' (did you mean 'http_headers'?)",
        ),
        ("[1, 2]", "1: must be a mapping, not a list"),
        ("listen: {", "1: is not YAML: expected the node content, but found '<stream end>'"),
        (
            "listen: 'a\n",
            "2: is not YAML: found unexpected end of stream (while scanning a quoted scalar that begins on line 1)",
        ),
        (f"storage: !<{PYTHON}> x", "1: storage: tag !!python/name:os.system is not allowed (remove it)"),
    ],
)
def test_an_error_has_a_hint(tmp_path: Path, text: str, problem: str) -> None:
    assert refused(tmp_path, text) == [f"coordinator.yml:{problem}"]


@pytest.mark.parametrize("address", ["0.0.0.0:8090", ":8090", "[::]:8090", "10.1.2.3:8090", "box:8090"])
def test_to_listen_for_other_machines_needs_a_secret(tmp_path: Path, address: str) -> None:
    """Anyone who can post can start the command."""
    [problem] = refused(tmp_path, f"listen: '{address}'\n")
    assert problem == (
        f"coordinator.yml:1: listen: {address} is reachable from other machines, and anyone who reaches it can start "
        "runs: set secret_file or token_file, or listen on 127.0.0.1"
    )
    (tmp_path / "secret").write_text(SECRET)
    file = tmp_path / "coordinator.yml"
    file.write_text(f"listen: '{address}'\nsecret_file: secret\n")
    assert load_config(file).listen == address


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:1", "[::1]:8090", "127.8.9.1:80"])
def test_this_machine_alone_needs_none(address: str) -> None:
    assert load_config(overrides={"listen": address}).listen == address


@pytest.mark.parametrize(
    ("key", "content", "problem"),
    [
        ("secret_file", None, "secret_file: {}: No such file or directory"),
        ("secret_file", b"", "secret_file: {} contains no secret; write one per line"),
        ("secret_file", b"\xff", "secret_file: {} is not plain ASCII text"),
        ("token_file", b"short", "token_file: {} must contain a token of at least 16 characters"),
    ],
)
def test_an_unusable_secret_is_reported_at_the_start(
    tmp_path: Path, key: str, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    assert refused(tmp_path, f"{key}: secret\n") == ["coordinator.yml:1: " + problem.format(path)]


def test_a_weak_secret_is_refused_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    [problem] = refused(tmp_path, "secret_file: secret\n")
    assert problem.startswith("coordinator.yml:1: secret_file: ")
    assert "hunter2" not in problem


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        load_config(tmp_path / "absent.yml")
    (tmp_path / "coordinator.yml").write_bytes(b"listen: \xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(tmp_path / "coordinator.yml")


def test_an_invalid_flag_is_reported() -> None:
    with pytest.raises(ConfigError, match=r"^flags: listen: must be HOST:PORT"):
        load_config(overrides={"listen": "x"})


def test_an_address_is_split() -> None:
    assert [split_listen(text) for text in ("1.2.3.4:5", "[::1]:6", ":7")] == [("1.2.3.4", 5), ("::1", 6), ("", 7)]
