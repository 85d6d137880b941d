"""A plugin that a page describes, as pip would install it: on the path of new processes, without pip."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.pages import ROOT, blocks


def installed(folder: Path, page: Path) -> dict[str, str]:
    """The environment of processes for which the page's one Python block and its entry point are installed."""
    [code], [metadata] = blocks(page, "python"), blocks(page, "toml")
    header, point = metadata.strip().splitlines()
    group = re.fullmatch(r'\[project\.entry-points\."(.+)"\]', header)
    target = re.search(r'"(\w+):\w+"', point)
    assert group is not None
    assert target is not None
    site, name = folder / "site", target[1]
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group[1]}]\n{point.replace(chr(34), '')}\n")
    path = os.pathsep.join(filter(None, [str(site), str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def cli(env: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    command = [sys.executable, "-m", "bridge.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
