"""How much of Prometheus' own rule and test files is taken, beside promtool's verdicts.

    python -m benchmarks.compat --data DIR [--no-tests] [--fire SECONDS]

DIR/rules holds the files and expected.tsv: path, `rules` or `test`, promtool's exit code and last words. Each rule file
is checked by itself, as `retrain-bridge check rules` does; each test file is run as `retrain-bridge test rules` does.
Every file and alert that promtool takes and the bridge refuses is named with the reason, and so is every test file that
ends otherwise than with promtool. Then, for at most about SECONDS, alerts are made to fire by series written for them,
and compared with a real Prometheus (benchmarks/firing.py). An alert whose series have no labels of a model runs with a
constant one, whose labels are left out of the comparison. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import firing
from bridge.authoring.check.check import check_rules
from bridge.domain.errors import Problem

_RULE = re.compile(r"(?:spec\.)?groups\[(\d+)\]\.rules\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file and promtool's verdict on it, with its last words."""

    path: Path
    name: str
    kind: str
    taken: bool
    words: str


def entries(folder: Path) -> list[Entry]:
    """Return the files of expected.tsv."""
    lines = (folder / "expected.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line.strip())
    return [Entry(folder / row[0], row[0], row[1], row[2] == "0", row[3].strip()) for row in rows]


@dataclass(slots=True)
class Tally:
    """Files and alerts that promtool takes, those of them that the bridge takes, and files on which both agree."""

    files: int = 0
    files_taken: int = 0
    alerts: int = 0
    alerts_taken: int = 0
    agreed: int = 0
    compared: int = 0


def alerts_of(path: Path) -> set[tuple[int, int]]:
    """Return group and position of every alert of a file that promtool takes."""
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    groups = (document.get("spec") or document).get("groups") or []
    return {
        (number, position)
        for number, group in enumerate(groups)
        for position, rule in enumerate(group.get("rules") or [])
        if "alert" in rule
    }


def refused(problems: Iterable[Problem], alerts: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the alerts that the problems are about; a problem of a whole group or file is about all of them."""
    found: set[tuple[int, int]] = set()
    for problem in problems:
        where = _RULE.match(problem.path)
        if where is None:
            return alerts
        found |= {(int(where[1]), int(where[2]))} & alerts
    return found


def rule_file(entry: Entry, tally: Tally) -> Iterator[str]:
    """Check one rule file; yield what is refused, with its reason."""
    problems = check_rules([entry.path])
    tally.compared += 1
    tally.agreed += entry.taken == (not problems)
    if not entry.taken:
        if not problems:
            yield f"{entry.name}: taken, though promtool refuses it"
        return
    alerts = alerts_of(entry.path)
    tally.files += 1
    tally.files_taken += not problems
    tally.alerts += len(alerts)
    tally.alerts_taken += len(alerts) - len(refused(problems, alerts))
    for problem in problems:
        yield f"{entry.name}:{problem.line}: {problem.path}: {problem.message}"


def test_file(entry: Entry, tally: Tally) -> Iterator[str]:
    """Run one test file; yield how it ended when promtool ended otherwise."""
    command = [sys.executable, "-m", "bridge.cli", "test", "rules", entry.path.name]
    done = subprocess.run(command, cwd=entry.path.parent, capture_output=True, text=True, timeout=600, check=False)
    tally.compared += 1
    tally.agreed += entry.taken == (done.returncode == 0)
    if entry.taken != (done.returncode == 0):
        said = (done.stdout + done.stderr).strip().splitlines()
        wanted = "passes" if entry.taken else "fails"
        yield f"{entry.name}: {wanted} with promtool, and not here: {' | '.join(said[:4])[:600]}"
        yield f"{entry.name}: promtool's words: {entry.words[-300:]}"


def main() -> None:
    """Print what is refused, and the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--no-tests", action="store_true", help="check rule files only")
    parser.add_argument("--fire", type=float, default=90.0, help="seconds for alerts that fire, 0 = none (default 90)")
    args = parser.parse_args()
    rules, tests = Tally(), Tally()
    for entry in entries(args.data / "rules"):
        if entry.kind == "rules":
            lines = rule_file(entry, rules)
        elif args.no_tests:
            continue
        else:
            lines = test_file(entry, tests)
        for line in lines:
            print(line, flush=True)
    share = rules.alerts_taken / rules.alerts if rules.alerts else 1.0
    print(f"rule files taken: {rules.files_taken} of {rules.files}; alerts: {rules.alerts_taken} of {rules.alerts}")
    print(f"same verdict as promtool: {rules.agreed} of {rules.compared} rule files, "
          f"{tests.agreed} of {tests.compared} test files")  # fmt: skip
    files = [entry.path for entry in entries(args.data / "rules") if entry.kind == "rules" and entry.taken]
    fired = firing.compare(files, args.data / "rules", args.fire)
    for line in fired.different:
        print(line)
    print(f"alerts that fired: {fired.fired} of {fired.tried} in {fired.rounds} rounds; the same here: {fired.same}, "
          f"{fired.mapped} of them with a model of their own")  # fmt: skip
    print(json.dumps({
        "files": rules.files, "files_taken": rules.files_taken, "alerts": rules.alerts,
        "alerts_taken": rules.alerts_taken, "alerts_share": round(share, 4), "rules_agreed": rules.agreed,
        "rules_compared": rules.compared, "tests_agreed": tests.agreed, "tests_compared": tests.compared,
        "fired": fired.fired, "fired_same": fired.same, "fired_same_with_model": fired.mapped,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
