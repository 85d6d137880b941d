"""Calls of the API of a running bridge: URL, credentials, unknown names."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest
from msgspec import structs

from bridge.web.http.web_config import WebConfig
from tests.cli.conftest import Command
from tests.support.fake_views import ID, REQUEST
from tests.support.web import Site, serving


def test_an_unreachable_bridge_is_reported(command: Command) -> None:
    """By every command that connects to a bridge."""
    for words in (("healthcheck",), ("requests", "list"), ("requests", "show", "x"), ("requests", "redrive", "x")):
        code, _, err = command(*words, "--bridge.url=http://127.0.0.1:1")
        assert code == 1
        assert "no bridge at http://127.0.0.1:1" in err
        hint = "; set --bridge.url or the environment variable RETRAIN_BRIDGE_URL"
        assert err.endswith(f"Connection refused{'' if words == ('healthcheck',) else hint}\n")


def test_http_config_authenticates_at_the_bridge(command: Command, tmp_path: Path) -> None:
    """The file has the format of amtool's and promtool's --http.config.file; its paths are relative to it."""
    file = tmp_path / "http.yml"
    file.write_text("basic_auth: {username: ada, password_file: password}\n")
    (tmp_path / "password").write_text("lovelace\n")
    users = WebConfig(basic_auth_users={"ada": bcrypt.hashpw(b"lovelace", bcrypt.gensalt(4)).decode()})
    with serving(config=users) as site:
        there = f"--bridge.url=http://127.0.0.1:{site.port}"
        assert command("healthcheck", there)[0] == 1
        assert command("healthcheck", there, f"--http.config.file={file}")[0] == 0
        assert command("requests", "list", there, f"--http.config.file={file}")[0] == 0
    file.write_text("basic_auth: {usrname: ada}\n")
    code, _, err = command("healthcheck", f"--http.config.file={file}")
    assert (code, "http.yml:1" in err, "did you mean 'username'?" in err) == (1, True, True), err


@pytest.mark.parametrize("url", ["127.0.0.1:9095", "ftp://127.0.0.1"])
def test_the_bridge_url_must_be_a_url(command: Command, url: str) -> None:
    """The message is plain, without library terms."""
    code, _, err = command("healthcheck", f"--bridge.url={url}")
    assert (code, err) == (
        1, f"retrain-bridge: {url!r} must be an http or https URL, for example http://127.0.0.1:9095\n",
    )  # fmt: skip


def test_an_unknown_model_gets_a_suggestion(command: Command, site: Site) -> None:
    """Exit code 1, for `explain` and `requests create`; `--force` creates the request anyway."""
    code, out, err = command("explain", "shop/rankng/7")
    assert (code, out) == (1, "")
    assert err.endswith("no signal has reported a model 'shop/rankng/7'; did you mean 'shop/ranking/7'?\n")
    words = ("requests", "create", "--project=shop", "--pipeline=rankng", "--version=7", "--reason=x", "--by=ada")
    code, _, err = command(*words)
    assert (code, err.endswith("did you mean 'shop/ranking/7'? (--force accepts it)\n")) == (1, True), err
    assert site.commands.acts == []
    assert command(*words, "--force")[0] == 0
    assert site.commands.acts == [("shop/rankng/7", "x", "ada")]


def test_a_request_is_named_by_the_first_digits_of_its_id(command: Command, site: Site) -> None:
    """As the page shows them; an ambiguous or unknown beginning is an error."""
    assert command("requests", "approve", ID[:8], "--by=ada")[:2] == (0, f"{ID}: requested\n")
    assert site.commands.acts == [("approve", "ada", "")]
    code, _, err = command("requests", "approve", "ffff")
    assert (code, err) == (1, "retrain-bridge: none of the latest 1 requests begin with 'ffff'\n")
    other = ID[:8] + "0" * 24
    site.queries.records = [REQUEST, structs.replace(REQUEST, request=structs.replace(REQUEST.request, id=other))]
    code, _, err = command("requests", "show", ID[:8])
    assert err == f"retrain-bridge: 2 of the latest 2 requests begin with {ID[:8]!r}: {ID}, {other}\n"
