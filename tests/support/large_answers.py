"""Enormous answers, and a process of its own that asks for one and tells what memory it took.

python -m tests.support.large_answers URL MAX_BYTES instant|history|listing
"""

from __future__ import annotations

import contextlib
import gc
import gzip
import http.server
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from bridge.app.memory import keep_large_buffers
from bridge.domain.batch import EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource

ROOT = Path(__file__).parents[2]
MB = 1 << 20


def vector(size: int, labels: int = 40) -> bytes:
    """Many small series. labels: bytes of a further label of each."""
    one = '{"metric":{"project":"p","pipeline":"q","version":"%08d","more":"' + "x" * labels + '"},"value":[1,"0.25"]},'
    count = size // len(one % 0)
    result = "".join([one % number for number in range(count)])[:-1]
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}'.encode()


def matrix(size: int, points: int = 600) -> bytes:
    """Many series of `points` samples: 60 s, 120 s ..."""
    values = ",".join(f'[{60 * (index + 1)},"0.{index:03d}"]' for index in range(points))
    one = '{"metric":{"project":"p","pipeline":"q","version":"%08d"},"values":[' + values + "]},"
    result = "".join([one % number for number in range(size // len(one % 0))])[:-1]
    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}'.encode()


def names(size: int) -> bytes:
    """A list of label names."""
    result = ",".join([f'"name_{number:08d}"' for number in range(size // 16)])
    return f'{{"status":"success","data":[{result}]}}'.encode()


def bomb(size: int) -> bytes:
    """`size` bytes of nothing, a thousandth of it on the way."""
    return gzip.compress(b'{"status":"success","data":"' + b" " * size + b'"}', 1)


@contextlib.contextmanager
def served(body: bytes, status: int = 200, **headers: str) -> Iterator[str]:
    """A server that answers everything with this; its URL. Without a length when `headers` says chunked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Connection", "close")
            self.close_connection = True
            if headers.get("Transfer_Encoding") != "chunked":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self._send()

        do_POST = do_GET

        def _send(self) -> None:
            chunked = headers.get("Transfer_Encoding") == "chunked"
            for start in range(0, len(body), MB):
                part = body[start : start + MB]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def measured(url: str, max_bytes: int, how: str) -> dict[str, object]:
    """What a process of its own says: `outcome`, and in bytes `before`, `peak` and `after`."""
    command = [sys.executable, "-m", "tests.support.large_answers", url, str(max_bytes), how]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, cwd=ROOT)
    found: dict[str, object] = json.loads(done.stdout)
    return found


# ------------------------------------------------------------ the process


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def ask(url: str, max_bytes: int, how: str) -> str:
    """Ask once; how many elements there were, or why not."""
    query = SignalQuery("drift", EventKind.DRIFT, {"value": "drift"}, limit=1000)
    source = PrometheusSource(PrometheusConfig(url=url, max_answer_bytes=max_bytes), ModelTable(), Path(), timeout=120)
    try:
        if how == "listing":
            return str(len(source.label_names()))
        if how == "history":
            slots = list(range(60_000, 60_000 * 61, 60_000))
            return str(sum(batch.elements for batch in source.history(query, slots, 0)))
        return str(source.instant(query, 60_000, 60_000).elements)
    except SourceError as error:
        return f"{error.reason}: {error.fault}"
    finally:
        source.close()


def main(url: str, max_bytes: str, how: str) -> None:
    keep_large_buffers()
    with contextlib.suppress(OSError):
        ask("http://127.0.0.1:1", 65_536, "instant")
    before = resident()
    outcome = ask(url, int(max_bytes), how)
    status = Path("/proc/self/status").read_text()  # getrusage counts the process that we were forked from, too
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    gc.collect()  # also frees what the interpreter keeps for its next objects, which differs from run to run
    json.dump({"outcome": outcome[:300], "before": before, "peak": peak, "after": resident()}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
