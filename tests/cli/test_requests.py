"""Commands `requests list`, `show`, `retry` and `redrive`."""

from __future__ import annotations

import json
from dataclasses import replace

from bridge.domain.times import rfc3339
from bridge.ports import RequestFilter
from tests.cli.conftest import REQUEST, Api, Command, columns
from tests.support.fake_views import AT, ID
from tests.support.web import Site


def test_requests_are_listed_in_columns(command: Command, api: Api) -> None:
    """Markup in a reason is text; nothing is cut, and a listing without requests says so."""
    asked, answers = api
    answers["data"] = {"requests": [REQUEST]}
    _, out, _ = command("requests", "list", "--state=held", "--limit=5")
    assert asked == [("GET", "/api/v1/requests?limit=5&state=held")]
    assert out.splitlines()[1] == f"{'a' * 32}  shop/ranking/7  held   2026-01-01T00:00:00.000Z  [red]drift[/red]"
    answers["data"] = {"requests": []}
    assert command("requests", "list")[1] == "no requests\n"


def test_a_request_is_shown_as_json(command: Command, api: Api) -> None:
    """It can be piped into jq."""
    api[1]["data"] = REQUEST
    assert json.loads(command("requests", "show", "a" * 32)[1]) == REQUEST


def test_retry_prints_the_number_of_deliveries(command: Command, api: Api) -> None:
    """The call goes to the retry endpoint."""
    asked, answers = api
    answers["data"] = {"retried": 1}
    assert command("requests", "retry", "x")[1] == "1 delivery retried\n"
    assert asked[-1] == ("POST", "/api/v1/requests/x/retry")


def test_redrive_prints_the_number_of_deliveries(command: Command, api: Api) -> None:
    """One destination, or all."""
    asked, answers = api
    answers["data"] = {"redriven": 1}
    assert command("requests", "redrive", "x")[1] == "1 delivery requeued\n"
    answers["data"] = {"redriven": 2}
    assert command("requests", "redrive", "x", "--destination=a/b/0")[1] == "2 deliveries requeued\n"
    assert asked[-1] == ("POST", "/api/v1/requests/x/redrive?destination=a%2Fb%2F0")


def test_filters_are_passed_to_the_store(command: Command, site: Site) -> None:
    """Each option is a parameter; a long reason is not cut."""
    long = "drift " + "x" * 300
    site.queries.records = [replace(item, request=replace(item.request, reason=long)) for item in site.queries.records]
    code, out, _ = command("requests", "list", "--project=shop", "--rule=Drifted", "--limit=5")
    assert (code, columns(out)[1]) == (0, [ID, "shop/ranking/7", "requested", rfc3339(AT), long])
    assert site.queries.asked[-1] == RequestFilter((), "shop", "", "", 6, "", "Drifted")
