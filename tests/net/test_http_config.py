"""Invalid http_config, and hiding of secrets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.net.http_config import HttpConfig, SinkHttpConfig


def refused(model: type[HttpConfig], settings: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(settings)
    assert "topsecret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"basic_auth": {}, "oauth2": {"client_id": "x", "token_url": "http://x"}}, "one of basic_auth, oauth2 may"),
        ({"basic_auth": {"username": "a", "username_file": "b"}}, "at most one of username, username_file may be set"),
        ({"basic_auth": {"password": "topsecret", "password_file": "b"}}, "at most one of password, password_file"),
        ({"authorization": {"credentials": "topsecret", "credentials_file": "b"}}, "credentials, credentials_file"),
        ({"authorization": {"type": " basic", "credentials": "topsecret"}}, "for type Basic use basic_auth"),
        ({"oauth2": {"client_id": "x"}}, "token_url"),
        ({"oauth2": {"client_id": "x", "token_url": "ftp://x"}}, "token_url must be an http or https URL"),
        (
            {"oauth2": {"client_id": "x", "token_url": "http://x", "client_secret": "topsecret",
                        "client_secret_file": "y"}},
            "at most one of client_secret, client_secret_file",
        ),
        ({"tls_config": {"cert_file": "a"}}, "cert_file and key_file must be set together"),
        ({"tls_config": {"min_version": "SSL3"}}, "TLS13"),
        ({"proxy_url": "localhost:3128"}, "must be the http or https URL of a proxy"),
        ({"proxy_url": "http://x", "proxy_from_environment": True}, "at most one of proxy_url, proxy_from_environment"),
        ({"no_proxy": "localhost"}, "no_proxy requires proxy_url"),
        ({"http_headers": {"authorization": {"secrets": ["topsecret"]}}}, "http_headers may not set authorization"),
        ({"basic_auht": {}}, "basic_auht"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    """The message names the setting, and never contains a secret."""
    assert message in refused(HttpConfig, settings)


def test_receivers_follow_no_redirect() -> None:
    """A redirected POST becomes a GET that answers 200, and the request is lost."""
    assert SinkHttpConfig().follow_redirects is False
    assert "follow_redirects is not allowed here" in refused(SinkHttpConfig, {"follow_redirects": True})


def test_secrets_are_not_shown_in_any_form() -> None:
    """Printed, formatted, as JSON or as a dict: <secret>; only reveal() returns the value."""
    config = HttpConfig.model_validate({"basic_auth": {"username": "ada", "password": "topsecret"}})
    assert config.basic_auth is not None
    password = config.basic_auth.password
    shown = (
        f"{config} {config!r} {config.model_dump_json()} {config.model_dump(mode='json')} {password} {password!r:>9}"
    )
    assert "topsecret" not in shown
    assert shown.count("<secret>") >= 6
    assert password.reveal() == "topsecret"
