"""Commands `requests list`, `show`, `retry` and `redrive`."""

from __future__ import annotations

import json
from dataclasses import replace

from msgspec import structs

from bridge.domain.request import OperatorAction
from bridge.domain.times import rfc3339
from bridge.ports import DeliveryState, RequestFilter
from tests.cli.conftest import REQUEST, Api, Command, columns
from tests.support.fake_views import AT, DELIVERY, ID
from tests.support.web import Site

FUTURE = 4_102_444_800_000  # in 2100


def test_requests_are_listed_in_columns(command: Command, api: Api) -> None:
    """Markup in a reason is text; nothing is cut, and a listing without requests says so."""
    asked, answers = api
    answers["data"] = {"requests": [REQUEST], "next": None}
    _, out, _ = command("requests", "list", "--state=held", "--limit=5")
    assert asked == [("GET", "/api/v1/requests?limit=5&state=held")]
    assert out.splitlines()[1] == f"{'a' * 32}  shop/ranking/7  held   2026-01-01T00:00:00.000Z  [red]drift[/red]"
    answers["data"] = {"requests": [], "next": None}
    assert command("requests", "list")[1] == "no requests\n"


def test_a_request_is_shown_as_json(command: Command, api: Api) -> None:
    """It can be piped into jq."""
    api[1]["data"] = REQUEST
    assert json.loads(command("requests", "show", "a" * 32, "-o", "json")[1]) == REQUEST


def test_retry_prints_the_number_of_deliveries(command: Command, api: Api) -> None:
    """The call goes to the retry endpoint."""
    asked, answers = api
    answers["data"] = {"retried": 1, "id": "x", "deliveries": []}
    assert command("requests", "retry", "x")[1] == "1 delivery retried\n"
    assert ("POST", "/api/v1/requests/x/retry") in asked


def test_retry_names_the_reason_if_no_delivery_is_retried(command: Command, site: Site) -> None:
    """For each delivery."""
    site.commands.waiting_for_retry = 0
    code, out, _ = command("requests", "retry", ID)
    assert (code, out.splitlines()) == (
        0,
        [
            "no delivery retried: none to a configured destination waits for a later attempt",
            f"  team/coordinator/0 (firing): retry, due since {rfc3339(AT + 5000)}",
        ],
    )


def test_retry_names_the_deliveries_that_are_left_out(command: Command, site: Site) -> None:
    """Those to a removed destination, beside one that is retried."""
    site.queries.sent_to = [DELIVERY, replace(DELIVERY, destination="old/webhook/0")]
    assert command("requests", "retry", ID)[1].splitlines() == [
        "1 delivery retried",
        "  old/webhook/0 (firing): retry; destination not configured any more",
        "  to end those whose destination is not configured any more: retrain-bridge deliveries discard --receiver old",
    ]


def test_retry_names_the_command_that_ends_deliveries_to_a_removed_destination(command: Command, site: Site) -> None:
    """They cannot be retried."""
    site.commands.waiting_for_retry, site.queries.configured = 0, ()
    first, second = command("requests", "retry", ID)[1].splitlines()[1:]
    assert first == "  team/coordinator/0 (firing): retry; destination not configured any more"
    assert second.endswith("not configured any more: retrain-bridge deliveries discard --receiver team")


def test_redrive_prints_the_number_of_deliveries(command: Command, api: Api) -> None:
    """One destination, or all."""
    asked, answers = api
    answers["data"] = {"redriven": 1}
    assert command("requests", "redrive", "x")[1] == "1 delivery requeued\n"
    answers["data"] = {"redriven": 2}
    assert command("requests", "redrive", "x", "--destination=a/b/0")[1] == "2 deliveries requeued\n"
    assert asked[-1] == ("POST", "/api/v1/requests/x/redrive?destination=a%2Fb%2F0")


def test_redrive_names_what_is_dead_if_it_requeues_nothing(command: Command, site: Site) -> None:
    """The destination may be mistyped; the exit code is 1."""
    dead = replace(DELIVERY, state=DeliveryState.DEAD)
    site.commands.dead, site.queries.sent_to = 0, [dead, DELIVERY]
    code, out, err = command("requests", "redrive", ID, "--destination=old/foo/1")
    text = "nothing requeued: no delivery of this request to 'old/foo/1' is dead; dead: team/coordinator/0\n"
    assert (code, out, err) == (1, "", text)
    site.queries.sent_to = []
    assert command("requests", "redrive", ID) == (1, "", "nothing requeued: no delivery of this request is dead\n")


def test_deliveries_to_a_removed_destination_are_marked(command: Command, site: Site) -> None:
    """The command that ends them is on standard error, so that the listing can be piped."""
    site.queries.configured = ()
    code, out, err = command("requests", "deliveries")
    assert (code, columns(out)[1][4]) == (0, "destination not configured any more")
    assert err.endswith("not configured any more: retrain-bridge deliveries discard --receiver team\n")
    (item,) = json.loads(command("requests", "deliveries", "-o", "json")[1])
    assert item["configured"] is False


def test_filters_are_passed_to_the_store(command: Command, site: Site) -> None:
    """Each option is a parameter; a long reason is not cut."""
    long = "drift " + "x" * 300
    site.queries.records = [
        structs.replace(item, request=structs.replace(item.request, reason=long)) for item in site.queries.records
    ]
    code, out, _ = command("requests", "list", "--project=shop", "--rule=Drifted", "--limit=5")
    assert (code, columns(out)[1]) == (0, [ID, "shop/ranking/7", "requested", rfc3339(AT), long])
    assert site.queries.asked[-1] == RequestFilter((), "shop", "", "", 6, "", "Drifted")


def test_requests_are_listed_by_time(command: Command, site: Site) -> None:
    """A period has one end, or two."""
    assert command("requests", "list", "--from=1700000000", "--to=1700000060")[0] == 0
    assert site.queries.asked[-1] == RequestFilter(limit=51, since=1_700_000_000_000, until=1_700_000_060_000)
    code, _, err = command("requests", "list", "--to=yesterday")
    assert (code, "--to" in err, "now-30d" in err) == (2, True, True)


def test_deliveries_that_wait_are_listed(command: Command, site: Site) -> None:
    """With the reason, and the next attempt unless they are dead; everything is also in the JSON."""
    due = site.queries.waiting[0]
    dead = replace(due, state=DeliveryState.DEAD, reason="http_4xx", status=404)
    site.queries.waiting += [dead, replace(due, next_at=FUTURE)]
    code, out, _ = command("requests", "deliveries")
    assert (code, columns(out)[1:]) == (
        0,
        [
            [ID, "team/coordinator/0", "retry", "2", "due", "http_5xx", "503"],
            [ID, "team/coordinator/0", "dead", "2", "-", "http_4xx", "404"],
            [ID, "team/coordinator/0", "retry", "2", rfc3339(FUTURE), "http_5xx", "503"],
        ],
    )  # fmt: skip
    assert [item["answer"] for item in json.loads(command("requests", "deliveries", "-o", "json")[1])] == ["busy"] * 3
    site.queries.waiting = []
    assert command("requests", "deliveries")[1] == "no delivery waits, and none is dead\n"


def test_a_wide_listing_names_who_did_what(command: Command, site: Site) -> None:
    """Approvals, releases and opinions."""
    acts = (OperatorAction("approve", "ada", AT, ""), OperatorAction("useful", "kim", AT, ""))
    site.queries.records = [structs.replace(item, acts=acts) for item in site.queries.records]
    assert "approve by ada; useful by kim" in command("requests", "list", "-o", "wide")[1]


def test_an_id_of_too_few_digits_is_refused(command: Command, api: Api) -> None:
    """It would be looked up as if it were complete."""
    for words in (("requests", "show", "abc"), ("requests", "retry", "0"), ("feedback", "abc", "useful")):
        code, _, err = command(*words)
        assert (code, "is too short: give the id of the request, or at least its first 4 digits" in err) == (2, True)
    assert api[0] == []


def test_an_empty_id_is_refused(command: Command, api: Api) -> None:
    """A variable of a script may be empty."""
    for words in (("requests", "show"), ("requests", "retry"), ("requests", "withdraw"), ("feedback",)):
        code, _, err = command(*words, "", *["useful"] * (words == ("feedback",)))
        assert (code, "the id is empty" in err) == (2, True), words
    assert api[0] == []


def test_a_word_that_is_not_utf8_is_refused(command: Command, site: Site) -> None:
    """It cannot name anything."""
    for words in (("requests", "show", "\udcff"), ("requests", "list", "\udcff"), ("pause", "\udcff", "--force")):
        code, _, err = command(*words)
        assert (code, "is not UTF-8" in err) == (2, True), (words, err)


def test_a_period_that_ends_before_it_begins_is_refused(command: Command, site: Site) -> None:
    """It would list nothing."""
    for listing in ("requests", "decisions"):
        code, _, err = command(listing, "list", "--from=now", "--to=now-1d")
        assert (code, "--from must be before --to" in err) == (2, True)
