"""Servers that scripts/lib.sh unpacks instead of installing them: they use their own files, not those of the system."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import Program, free_port, kept_for_the_test, wait_until
from tests.support.servers import NO_RECEIVER, http

LIBRARY = Path(__file__).parents[2] / "scripts" / "lib.sh"


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Debian's Prometheus and Alertmanager as unpacked packages, made startable."""
    folder = tmp_path / "with a space"
    (folder / "root/usr/bin").mkdir(parents=True)
    for name in ("prometheus", "prometheus-alertmanager"):
        program = shutil.which(name)
        assert program is not None, f"{name} is not on PATH (scripts/test sees to it)"
        real = Path(program).resolve()
        top = real.parent / "root" if real.name == "start" else Path("/")
        shutil.copy(top / "usr/bin" / name, folder / "root/usr/bin")
    shutil.copytree(top / "usr/share/prometheus", folder / "root/usr/share/prometheus", symlinks=True)
    subprocess.run(["sh", "-euc", f'. "{LIBRARY}"; make_startable'], cwd=folder, check=True, timeout=300)
    return folder


def alertmanager(unpacked: Path, folder: Path) -> tuple[Program, str]:
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(NO_RECEIVER)
    port = free_port()
    command = [
        str(unpacked / "bin/prometheus-alertmanager"), "--config.file=alertmanager.yml", "--storage.path=data",
        "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    return Program(command, folder, "alertmanager"), f"http://127.0.0.1:{port}"


def test_alertmanager_has_the_templates_that_were_unpacked_with_it(unpacked: Path, tmp_path: Path) -> None:
    """A fault in that copy ends it; with a good one it is ready, and reads it again when it is told to reload."""
    template = unpacked / "root/usr/share/prometheus/alertmanager/default.tmpl"
    good = template.read_text()
    template.write_text("{{ planted")
    program, base = alertmanager(unpacked, tmp_path / "broken")
    with kept_for_the_test(program):
        program.start()
        wait_until(lambda: not program.running, 60, "it ends")
        assert "planted" in program.log

    template.write_text(good)
    program, base = alertmanager(unpacked, tmp_path / "good")
    with kept_for_the_test(program):
        program.start()
        program.wait_ready(lambda: http("GET", f"{base}/-/ready")[0] == 200, 60)
        assert http("POST", f"{base}/-/reload")[0] == 200, program.log
        template.write_text("{{ planted")
        assert http("POST", f"{base}/-/reload")[0] == 500, program.log


def test_prometheus_has_the_pages_that_were_unpacked_with_it(unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "root/usr/share/prometheus/web/static/css/targets.css").write_text("planted {}")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text("{}")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    command = [
        str(unpacked / "bin/prometheus"), f"--config.file={tmp_path}/prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with kept_for_the_test(Program(command, folder, "prometheus")) as program:
        program.start()
        program.wait_ready(lambda: http("GET", f"http://127.0.0.1:{port}/-/ready")[0] == 200, 60)
        assert http("GET", f"http://127.0.0.1:{port}/classic/static/css/targets.css") == (200, "planted {}")
