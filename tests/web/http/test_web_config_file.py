"""Web config file: reloaded when it changes, kept when it is invalid."""

from __future__ import annotations

import logging
from pathlib import Path

import bcrypt
import pytest

from bridge.web.http.settings import WebSettings
from tests.web.http.test_guard import HASH, USERS, Site, sign_in


def test_users_are_reloaded_when_the_file_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An invalid file is logged once, and the previous one stays in force."""
    caplog.set_level(logging.ERROR)
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{ada: {HASH}}}\n")
    site = Site(WebSettings(web_config_file=file), USERS)
    ada, bob = sign_in(), sign_in("bob")
    assert (site.get(authorization=ada).status_code, site.get(authorization=bob).status_code) == (200, 401)
    file.write_text(f"basic_auth_users: {{bob: {HASH}}}  # instead of ada\n")
    assert (site.get(authorization=ada).status_code, site.get(authorization=bob).status_code) == (401, 200)
    file.write_text("basic_auth_users: {bob: secret}\n")
    assert [site.get(authorization=bob).status_code for _ in range(3)] == [200] * 3
    (record,) = caplog.records
    assert "keeping the previous one" in record.message
    file.unlink()
    assert site.get(authorization=bob).status_code == 200


def test_a_changed_hash_forgets_the_old_password(tmp_path: Path) -> None:
    """The remembered digest no longer matches."""
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{ada: {HASH}}}\n")
    site = Site(WebSettings(web_config_file=file), USERS)
    assert site.get(authorization=sign_in()).status_code == 200
    file.write_text(f"basic_auth_users: {{ada: {bcrypt.hashpw(b'new', bcrypt.gensalt(4)).decode()}}} # new\n")
    assert site.get(authorization=sign_in()).status_code == 401
    assert site.get(authorization=sign_in(password="new")).status_code == 200


@pytest.mark.parametrize("text", ["", "# later\n", "{}", "basic_auth_users: {}\n", "basic_auth_users:\n", "basic_au"])
def test_a_truncated_file_does_not_open_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    """The previous users stay until a restart; the log gives the reason."""
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{ada: {HASH}}}\n")
    site = Site(WebSettings("0.0.0.0:9095", web_config_file=file), USERS)
    assert site.get(authorization=sign_in()).status_code == 200
    file.write_text(text)
    assert [site.get().status_code, site.reload().status_code] == [401, 401]
    assert site.get(authorization=sign_in()).status_code == 200
    (message,) = [item.message for item in caplog.records if item.levelno >= logging.WARNING]
    assert message == "cannot load web config file, keeping the previous one"


def test_a_file_truncated_at_any_byte_admits_no_client(tmp_path: Path) -> None:
    """Truncated at any byte, it admits nobody without a password."""
    file = tmp_path / "web.yml"
    whole = f"# users\nbasic_auth_users:\n  ada: {HASH}\n  bob: {HASH}\n"
    site = Site(WebSettings("0.0.0.0:9095", web_config_file=file), USERS)
    for size in range(len(whole) + 1):
        file.write_text(whole[:size])
        assert site.get().status_code == 401
