"""Every way in which a query can fail, its reason, and its deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from bridge.domain.errors import ConfigError, NoAnswerError, SourceError
from bridge.net.http_config import BasicAuth, Secret, TlsConfig
from bridge.sources.api import Api, names
from bridge.sources.config import PrometheusConfig
from bridge.sources.failures import AttemptError
from bridge.sources.patience import SHORTER, WITHOUT
from tests.sources.conftest import GOOD, QUERY, URL, ask, prometheus_error

LONG = {"query": "x" * 2_001}


@pytest.mark.parametrize("body", ["<!DOCTYPE html><title>Log in</title>", "  <html>"])
def test_an_html_page_is_not_prometheus(api: Api, mocked: responses.RequestsMock, body: str) -> None:
    """A login page with status 200 is reported as a configuration error."""
    mocked.get(QUERY, body=body)
    with pytest.raises(AttemptError, match="HTML page") as caught:
        ask(api)
    assert (caught.value.reason, caught.value.transient) == ("not_prometheus", False)


def test_an_html_error_is_named_not_quoted(api: Api, mocked: responses.RequestsMock) -> None:
    """Markup does not belong in a log line."""
    mocked.get(QUERY, status=404, body="<html><body>nginx</body></html>", content_type="text/html")
    with pytest.raises(AttemptError, match=r"^HTTP 404: an HTML page \(http.*path prefix.*\); query: x$"):
        ask(api)


def test_an_answer_over_the_size_limit_is_refused(mocked: responses.RequestsMock) -> None:
    """Memory is bounded: reason `limit`, and the message contains the remedy."""
    mocked.get(QUERY, body="{" + " " * 65_536 + "}")
    with closing(Api(PrometheusConfig(url=URL, max_answer_bytes=65_536), Path(), 5.0)) as api:
        with pytest.raises(AttemptError, match="larger than max_answer_bytes: 65536") as caught:
            ask(api)
        assert (caught.value.reason, caught.value.transient) == ("limit", False)


def test_redirects_are_followed_when_that_is_configured(api: Api, mocked: responses.RequestsMock) -> None:
    """follow_redirects is on by default, as in prometheus.yml."""
    mocked.get(QUERY, status=302, headers={"Location": "http://other.test/api/v1/query?query=x"})
    mocked.get("http://other.test/api/v1/query", body=GOOD)
    assert ask(api) == GOOD.encode()


def test_a_refused_redirect_names_its_target(mocked: responses.RequestsMock) -> None:
    """The target is named without its secrets."""
    mocked.get(QUERY, status=307, headers={"Location": "https://me:hunter2@other.test/api?token=s3cret"})
    with closing(Api(PrometheusConfig(url=URL, follow_redirects=False), Path(), 5.0)) as api:
        with pytest.raises(AttemptError, match="redirected") as caught:
            ask(api)
        assert caught.value.reason == "not_prometheus"
        assert "other.test" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "s3cret" not in str(caught.value)


def test_a_redirected_form_is_repeated_as_a_get(api: Api, mocked: responses.RequestsMock) -> None:
    """Following a redirect drops the form, so the query is sent as a GET, which keeps its parameters."""
    mocked.post(QUERY, status=302, headers={"Location": "http://other.test/api/v1/query"})
    get = mocked.get(QUERY, body=GOOD)
    assert ask(api, LONG) == GOOD.encode()
    assert get.calls[0].request.params == LONG


def test_another_refusal_of_a_form_is_not_repeated_as_a_get(api: Api, mocked: responses.RequestsMock) -> None:
    """An error in a long expression is reported as an error."""
    mocked.post(QUERY, status=400, body=prometheus_error("bad_data", "wrong"))
    with pytest.raises(AttemptError, match="wrong"):
        ask(api, LONG)
    assert [call.request.method for call in mocked.calls] == ["POST"]


def test_a_credential_file_that_cannot_be_read_is_unauthorized(tmp_path: Path) -> None:
    """The message names the file; nothing is sent without the credential."""
    config = PrometheusConfig(url=URL, basic_auth=BasicAuth(username="me", password_file="gone.txt"))
    with closing(Api(config, tmp_path, 5.0)) as api:
        with pytest.raises(AttemptError, match=r"gone\.txt") as caught:
            ask(api)
        assert caught.value.reason == "unauthorized"


def test_our_credentials_and_adapters_survive_the_clients_constructor(mocked: responses.RequestsMock) -> None:
    """prometheus-api-client mounts an adapter that sleeps and retries: ours replaces it."""
    mocked.get(QUERY, body=GOOD)
    config = PrometheusConfig(url=URL, basic_auth=BasicAuth(username="me", password=Secret("pw")))
    with closing(Api(config, Path(), 5.0)) as api:
        ask(api)
        retries = api.session.get_adapter(QUERY).max_retries  # type: ignore[attr-defined]
        assert retries.total == 0
    assert mocked.calls[0].request.headers["Authorization"] == "Basic bWU6cHc="
    assert mocked.calls[0].request.headers["Accept-Encoding"] == "identity"


def test_a_tls_file_that_cannot_be_used_is_a_configuration_error(tmp_path: Path) -> None:
    """The error is raised when the source is built, so that a reload keeps the old one."""
    config = PrometheusConfig(url=URL, tls_config=TlsConfig(ca_file="none.pem"))
    with pytest.raises(ConfigError, match=r"none\.pem"):
        Api(config, tmp_path, 5.0)


# ------------------------------------------------------------ servers that misbehave on the wire


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler, threading.Event], None]) -> Iterator[str]:
    """Serve every GET with `answer`; the event is set when the test is over."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client disconnects, which is what is tested
                answer(self, over)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def drip(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not over.wait(0.02):
        handler.wfile.write(b" ")


def hang(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    over.wait(10)


def cut(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"status":"success","data":{"resultType":"vector","result":[{"metric":')
    handler.wfile.flush()
    handler.connection.close()


@pytest.mark.parametrize("answer", [drip, hang])
def test_a_server_that_hangs_or_drips_costs_the_deadline_and_no_more(answer: Any) -> None:
    """The deadline is total: bytes that trickle in do not prolong it."""
    with serving(answer) as url, closing(Api(PrometheusConfig(url=url), Path(), 0.4)) as api:
        with pytest.raises(AttemptError) as caught:
            ask(api)
        assert (caught.value.reason, caught.value.transient) == ("timeout", True)


def test_a_connection_that_breaks_in_the_middle_is_the_network(pauses: list[float]) -> None:
    """A truncated answer is retried."""
    with serving(cut) as url, closing(Api(PrometheusConfig(url=url), Path(), 5.0, pause=pauses.append)) as api:
        with pytest.raises(AttemptError) as caught:
            ask(api)
        assert (caught.value.reason, caught.value.transient, len(pauses)) == ("network", True, 3)


# ------------------------------------------------------------ the client's own listings


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 500, "body": "no"}, "internal"),
        ({"status": 404, "body": "404 page not found"}, "not_prometheus"),
        ({"body": requests.Timeout("slow")}, "timeout"),
        ({"body": requests.ConnectionError("http://me:hunter2@prometheus.test refused")}, "network"),
        ({"body": "<html>"}, "not_prometheus"),
        ({"body": "{}"}, "not_prometheus"),
        ({"body": "[]"}, "not_prometheus"),
        ({"body": '{"data": 5}'}, "not_prometheus"),
        ({"body": "[" * 100_000}, "not_prometheus"),
        ({"body": '{"data": [5]}'}, "not_prometheus"),
    ],
)
def test_a_listing_fails_as_a_source_error_too(
    api: Api, mocked: responses.RequestsMock, answer: dict[str, Any], reason: str
) -> None:
    """Whatever the client raises becomes a SourceError, without secrets."""
    mocked.get(URL + "/api/v1/labels", **answer)
    with pytest.raises(SourceError) as caught:
        names(api.listing(lambda client: client.get_label_names()))
    assert caught.value.reason == reason
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("answer", "reason"), [(drip, "timeout"), (hang, "timeout"), (cut, "network")])
def test_a_listing_has_a_total_deadline_too(answer: Any, reason: str) -> None:
    """Bytes that trickle in do not prolong it, and an answer that breaks off is no traceback."""
    with serving(answer) as url, closing(Api(PrometheusConfig(url=url), Path(), 0.4)) as api:
        with pytest.raises(AttemptError, match=url) as caught:
            api.listing(lambda client: client.get_label_names())
        assert (caught.value.reason, caught.value.transient) == (reason, True)


def test_a_command_reports_failed_queries_and_leaves_a_server_that_answers_none(mocked: responses.RequestsMock) -> None:
    """With what follows; what a shorter time range cannot cure is left out."""
    reported: list[str] = []
    mocked.get(f"{URL}/api/v1/labels", status=500)
    mocked.get(QUERY, status=401)
    mocked.get(QUERY, body=GOOD)
    mocked.get(QUERY, body=requests.Timeout("slow"))
    report = lambda failure, follows: reported.append(f"{follows}: {failure}")  # noqa: E731
    with closing(Api(PrometheusConfig(url=URL), Path(), 0.2, report=report)) as api:
        with pytest.raises(SourceError):
            api.listing(lambda client: client.get_label_names())
        with pytest.raises(AttemptError):
            api.query("/api/v1/query", {"query": "y"}, api.deadline(), shorter=True)
        ask(api)
        for _ in range(2):
            with pytest.raises(AttemptError):
                api.query("/api/v1/query", {"query": "x"}, api.deadline(), shorter=True)
        with pytest.raises(NoAnswerError, match=r"within 0\.2 s each"):
            ask(api)
    assert [text.partition(": ")[0] for text in reported] == [WITHOUT, WITHOUT, SHORTER, SHORTER, WITHOUT]
    assert reported[2].startswith(f"{SHORTER}: no full answer from {QUERY} within 0.2 s; query: x")
    assert str(mocked.calls[-1].request.url).endswith("query=vector%281%29")


def test_a_failure_has_the_query_and_its_time(api: Api, mocked: responses.RequestsMock) -> None:
    """A query is not secret; the part that is the same at every slot is available separately."""
    mocked.get(QUERY, body=requests.ConnectionError("refused"))
    with pytest.raises(AttemptError) as caught:
        api.query("/api/v1/query", {"query": 'up{job="a b"} > 1', "time": "1700000000.5"}, time.monotonic() + 30)
    fault = f'{QUERY}: refused; query: up{{job="a b"}} > 1'
    assert (caught.value.fault, str(caught.value)) == (fault, f"{fault}; time: 2023-11-14T22:13:20.500Z")


def test_a_long_query_is_cut_in_messages(api: Api, mocked: responses.RequestsMock) -> None:
    """20 kB of PromQL do not belong in a log line."""
    mocked.post(QUERY, status=400, body=prometheus_error("bad_data"))
    with pytest.raises(AttemptError, match=r"x{499}… \(cut, 500 of 20001 characters\)$"):
        api.query("/api/v1/query", {"query": "y" + "x" * 20_000}, time.monotonic() + 30)
