"""One contract for every query back end: the same cases for each flavor, over a real Prometheus or VictoriaMetrics.

Where there is no real server of a vendor here, a stand-in checks each request as the vendor's documentation says, and
a real server evaluates the query.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.codes import Cause
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.sources.config import PrometheusConfig
from bridge.sources.prometheus import PrometheusSource
from tests.support.back_end_kinds import KINDS, LOST
from tests.support.back_ends import StandIn, stand_in
from tests.support.batches import plain
from tests.support.processes import Program, free_port, kept_for_the_test
from tests.support.remote_write import remote_write
from tests.support.servers import http, prometheus

STEP, OFFSET = 15_000, 30_000
END = int(time.time()) // 60 * 60_000 - 120_000
SLOTS = [END - index * STEP for index in reversed(range(24))]
FLOOD = 200
DRIFT = SignalQuery("drift", EventKind.DRIFT, {"value": "max by (project, pipeline, version) (drift) > 0.25"})
LONG = SignalQuery("drift", EventKind.DRIFT, {"value": f'drift{{version!="{"x" * 2_100}"}}'})
ODD = SignalQuery("odd", EventKind.DRIFT, {"value": 'drift{version=~"v[0-9]+|~ü *%+/"}'})
MANY = SignalQuery("flood", EventKind.DRIFT, {"value": "max by (project) (flood)"})
flavors = pytest.mark.parametrize("flavor", list(KINDS))


def fill(url: str) -> None:
    """Write four models at every slot, and one with many series."""

    def labels(name: str, version: int, **more: str) -> dict[str, str]:
        return {"__name__": name, "project": "shop", "pipeline": "fraud", "version": f"v{version}", **more}

    times = [slot - OFFSET for slot in SLOTS]
    drift = [(labels("drift", v), [(at, (v + n % 7) / 10) for n, at in enumerate(times)]) for v in range(4)]
    remote_write(url, [*drift, *((labels("flood", n), [(times[-1], 1.0)]) for n in range(FLOOD))])


@contextlib.contextmanager
def victoria_metrics() -> Iterator[str]:
    """A real VictoriaMetrics that refuses queries of more than 100 series."""
    folder = Path(tempfile.mkdtemp(prefix="victoria-metrics-"))
    listen = f"127.0.0.1:{free_port()}"
    program = Program(
        [
            "victoria-metrics", f"-httpListenAddr={listen}", f"-storageDataPath={folder}/data", "-retentionPeriod=100y",
            "-search.maxUniqueTimeseries=100",
        ],
        folder, "victoria-metrics",
    )  # fmt: skip
    with kept_for_the_test(program):
        program.start()
        program.wait_ready(lambda: http("GET", f"http://{listen}/health", timeout=2)[0] == 200)
        yield f"http://{listen}"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """URLs of the real servers, filled with the same samples: `prometheus`, `victoriametrics`."""
    flags = ["--web.enable-remote-write-receiver", "--query.max-samples=100"]
    with prometheus(flags=flags) as first, victoria_metrics() as second:
        fill(first.url)
        fill(second)
        http("GET", f"{second}/internal/force_flush")
        yield {"prometheus": first.url, "victoriametrics": second}


@pytest.fixture
def made(flavor: str, servers: dict[str, str]) -> Iterator[StandIn]:
    with stand_in(KINDS[flavor], servers.get(flavor, servers["prometheus"])) as running:
        yield running


@pytest.fixture
def source(made: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrometheusSource]:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credential"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with closing(opened(made, tmp_path)) as found:
        yield found


def opened(made: StandIn, folder: Path, **more: object) -> PrometheusSource:
    kind = made.kind
    settings = {"url": made.url + kind.prefix, "flavor": kind.flavor, **kind.settings(made, folder), **more}
    config = PrometheusConfig.model_validate(settings)
    return PrometheusSource(config, ModelTable(), folder, timeout=20.0)


def read(batch: EventBatch) -> dict[str, object]:
    """Return a batch as values; the order of series in an answer means nothing."""
    found = plain(batch)
    values = dict(zip(found["models"], zip(found["series"], batch.columns["value"].tolist(), strict=True), strict=True))
    return {key: found[key] for key in ("slot", "cause", "notes", "elements", "skipped")} | {"values": values}


def direct(url: str, query: SignalQuery, slots: Sequence[int] = SLOTS) -> list[dict[str, object]]:
    """Return what the source reads from a real server, without a stand-in between."""
    with closing(PrometheusSource(PrometheusConfig(url=url), ModelTable(), Path())) as plainly:
        return [read(plainly.instant(query, slot, slot - OFFSET)) for slot in slots]


def failure(source: PrometheusSource, query: SignalQuery = DRIFT) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.instant(query, SLOTS[-1], SLOTS[-1] - OFFSET)
    return caught.value


def rotate(made: StandIn, folder: Path) -> None:
    """Let the server accept another credential than before, and give it to the bridge."""
    made.credential = "second"
    settings = made.kind.settings(made, folder) if made.token_answer is None else {}
    assert settings is not None


# ------------------------------------------------------------ the contract


@flavors
def test_equal_samples_are_equal_batches(source: PrometheusSource, servers: dict[str, str]) -> None:
    """At an instant and over time, as a Prometheus with the same samples answers; characters that a URL escapes too."""
    for query in (DRIFT, ODD):
        wanted = direct(servers["prometheus"], query)
        assert [read(source.instant(query, slot, slot - OFFSET)) for slot in SLOTS] == wanted
        assert [read(batch) for batch in source.history(query, SLOTS, OFFSET)] == wanted
    assert any(batch["values"] for batch in direct(servers["prometheus"], ODD))


@flavors
def test_long_queries_arrive(made: StandIn, source: PrometheusSource, servers: dict[str, str]) -> None:
    """By POST, or by GET where the server takes nothing else."""
    found = read(source.instant(LONG, SLOTS[-1], SLOTS[-1] - OFFSET))
    assert [found] == direct(servers["prometheus"], LONG, SLOTS[-1:])
    assert {request.method for request in made.requests} == ({"POST"} if made.kind.post else {"GET"})


@flavors
def test_listings_for_check_arrive(source: PrometheusSource) -> None:
    """Label and metric names, with the credentials of the flavor."""
    assert {"project", "pipeline", "version"} <= set(source.label_names("drift", SLOTS[0] - OFFSET, END))
    assert "drift" in source.metric_names("", SLOTS[0] - OFFSET, END)


@flavors
def test_rotated_credentials_count_after_one_refusal(made: StandIn, source: PrometheusSource, tmp_path: Path) -> None:
    """The refusal names what the flavor wants; the next query has the new credential."""
    source.instant(DRIFT, SLOTS[-1], SLOTS[-1] - OFFSET)
    made.credential = "second"
    before = len(made.requests)
    refused = failure(source)
    assert refused.reason == "unauthorized"
    assert source._api.config.back_end.login in str(refused)
    assert len(made.requests) == before + 1
    rotate(made, tmp_path)
    assert source.instant(DRIFT, SLOTS[-1], SLOTS[-1] - OFFSET).index.size


@flavors
def test_throttled_query_is_repeated(made: StandIn, source: PrometheusSource) -> None:
    """After what Retry-After says, within the deadline."""
    made.plan = [made.kind.throttled]
    assert source.instant(DRIFT, SLOTS[-1], SLOTS[-1] - OFFSET).index.size
    assert len(made.requests) == 2


@flavors
def test_query_over_a_limit_is_named_and_not_repeated(made: StandIn, source: PrometheusSource) -> None:
    """Reason `limit`, with the words of the server; over time a shorter range is tried."""
    made.plan = [made.kind.limit]
    found = failure(source)
    assert (found.reason, len(made.requests)) == ("limit", 1)
    assert "limit" in str(found) or "too many samples" in str(found) or "cannot select more than" in str(found)
    made.plan = [None, made.kind.limit]
    assert len(list(source.history(DRIFT, SLOTS, OFFSET))) == len(SLOTS)


@flavors
def test_lost_store_is_never_a_healthy_answer(made: StandIn, source: PrometheusSource, tmp_path: Path) -> None:
    """Refused by default, inconclusive where partial answers are allowed; servers that have none ignore the case."""
    made.lacking = True
    if made.kind.partial({}) is None:
        assert source.instant(DRIFT, SLOTS[-1], SLOTS[-1] - OFFSET).cause is Cause.NONE
        return
    assert LOST in str(failure(source))
    with closing(opened(made, tmp_path, partial_response=True)) as allowing:
        assert allowing.instant(DRIFT, SLOTS[-1], SLOTS[-1] - OFFSET).cause is Cause.PARTIAL


@flavors
def test_broken_and_compressed_answers(made: StandIn, source: PrometheusSource, servers: dict[str, str]) -> None:
    """A cut answer is repeated; a compressed one is read, although none was requested."""
    made.plan, made.zipped = ["cut"], True
    found = read(source.instant(DRIFT, SLOTS[-1], SLOTS[-1] - OFFSET))
    assert [found] == direct(servers["prometheus"], DRIFT, SLOTS[-1:])
    assert len(made.requests) == 2


# ------------------------------------------------------------ what only the real servers show


@pytest.mark.parametrize(
    ("flavor", "words"),
    [("prometheus", "too many samples"), ("victoriametrics", "at vmselect")],
)
def test_real_server_names_the_limit_that_a_query_exceeds(
    made: StandIn, source: PrometheusSource, flavor: str, words: str
) -> None:
    """The real text has reason `limit`, and is not repeated."""
    found = failure(source, MANY)
    assert (found.reason, len(made.requests)) == ("limit", 1), str(found)
    assert words in str(found)


def test_real_victoria_metrics_reads_as_prometheus_without_a_stand_in(servers: dict[str, str]) -> None:
    """The flavor's parameters are taken by the server itself."""
    config = PrometheusConfig(url=servers["victoriametrics"], flavor="victoriametrics")
    with closing(PrometheusSource(config, ModelTable(), Path())) as source:
        wanted = direct(servers["prometheus"], DRIFT)
        assert [read(source.instant(DRIFT, slot, slot - OFFSET)) for slot in SLOTS] == wanted
        assert [read(batch) for batch in source.history(DRIFT, SLOTS, OFFSET)] == wanted


def test_real_victoria_metrics_hides_no_fresh_sample(servers: dict[str, str]) -> None:
    """Its -search.latencyOffset of 30 s does not apply: a slot answers the same at its time and in catch-up."""
    query, now = SignalQuery("fresh", EventKind.DRIFT, {"value": "fresh"}), int(time.time()) * 1000
    labels = {"__name__": "fresh", "project": "shop", "pipeline": "fraud", "version": "v1"}
    points = [(at, 1.0) for at in range(now - 60_000, now - 10_000, 1000)]
    points += [(at, 2.0) for at in range(now - 10_000, now + 120_000, 1000)]
    for url in servers.values():
        remote_write(url, [(labels, points)])
    http("GET", f"{servers['victoriametrics']}/internal/force_flush")
    config = PrometheusConfig(url=servers["victoriametrics"], flavor="victoriametrics")
    with closing(PrometheusSource(config, ModelTable(), Path())) as source:
        assert source.instant(query, now, now).columns["value"].tolist() == [2.0]
