"""The packs are where `rules suggest` looks for them, also in what people install."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from bridge.authoring.suggest.rule_packs import FOLDER, PACKS
from tests.support.packs import FILES, ROOT, groups


def test_every_file_has_its_entry_and_every_entry_its_file() -> None:
    """A pack that is added to the folder is offered."""
    assert sorted(pack.name for pack in PACKS) == sorted(FILES)
    assert FOLDER.resolve() == (ROOT / "rules" / "packs").resolve()


def test_the_wheel_holds_every_pack(tmp_path: Path) -> None:
    """As files, not as a link to a folder that is not installed; each as it is in the project."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "bridge", tmp_path / "bridge", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "rules" / "packs", tmp_path / "rules" / "packs")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        "out",
        ".",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {Path(name).stem: archive.read(name) for name in archive.namelist() if "/packs/" in name}
    assert held == {name: file.read_bytes() for name, file in FILES.items()}


def test_every_rule_of_every_pack_fires_in_a_test() -> None:
    """rules/tests/packs: whoever adds a rule adds what makes it fire."""
    told = "".join(file.read_text() for file in sorted((ROOT / "rules" / "tests" / "packs").glob("*.yml")))
    rules = [rule.name for pack in FILES for group in groups(pack) for rule in group.rules]
    assert len(rules) == 79
    assert [name for name in rules if not re.search(rf"rule: {name}\b|alertname: {name}\n    exp_alerts", told)] == []
