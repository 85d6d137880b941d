"""Network cuts between replicas, database and Prometheus, by dropped packets in namespaces of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.support.bridge import ROOT

NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def possible() -> bool:
    """Return whether this process may create namespaces and filter their packets."""
    if not shutil.which("ip") or not shutil.which("iptables"):
        return False
    probe = [*NAMESPACES, "iptables", "-t", "nat", "-L"]
    return subprocess.run(probe, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.skipif(not possible(), reason="network namespaces need root, iproute2 and iptables")
def test_standby_takes_over_from_an_owner_without_network() -> None:
    """Owner and database in both directions and in one; owner and Prometheus; owner and standby. See cut_network."""
    story = subprocess.run(
        [*NAMESPACES, sys.executable, "-m", "tests.soak.cut_network"], cwd=ROOT, capture_output=True, text=True,
        timeout=500, check=False,
    )  # fmt: skip
    print(story.stdout)
    assert story.returncode == 0, story.stdout + story.stderr[-8000:]
    assert story.stdout.count('"cut"') == 4
