"""Errors that `check` finds in PromQL without a server, beside the verdicts of promtool and of a real Prometheus.

    python -m benchmarks.promql --data DIR [--mutants N] [--seed N]

DIR/rules holds rule and test files with expected.tsv (path, `rules` or `test`, promtool's exit code). Every `expr` of
them is parsed; an error in a file that promtool takes is named. Then N mutants of these expressions (tokens removed,
repeated, exchanged) are parsed by `check` and by a Prometheus of its own. Exit code 1 for an error that Prometheus does
not have. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import requests
import yaml

from benchmarks.compat import entries
from bridge.authoring.check.promql_errors import promql_error
from tests.support.servers import prometheus

_TOKEN = re.compile(r'"[^"\n]*"|[\w.:]+|\s+|.', re.DOTALL)
SHOWN = 10
LONGEST = 400  # characters of an expression that is mutated


def expressions(value: object) -> Iterator[str]:
    """Yield every `expr` of a file."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "expr" and not isinstance(item, dict | list):
                yield str(item)
            else:
                yield from expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item)


def mutant(text: str, pool: list[str], source: random.Random) -> str:
    """Return the expression with one to three tokens removed, repeated or exchanged."""
    tokens = _TOKEN.findall(text)
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        index, way = source.randrange(len(tokens)), source.random()
        if way < 0.35 and len(tokens) > 1:
            del tokens[index]
        elif way < 0.55:
            tokens.insert(index, tokens[index])
        elif way < 0.8:
            tokens[index] = source.choice(pool)
        else:
            tokens.insert(index, f" {source.choice(pool)} ")
    return "".join(tokens)


def compare(texts: list[str], count: int, seed: int) -> Counter[str]:
    """Return how often `check` and a Prometheus agree on mutants; prints the first on which they do not."""
    source = random.Random(seed)
    pool = [token for text in texts for token in _TOKEN.findall(text) if token.strip()]
    found: Counter[str] = Counter()
    with prometheus() as server, requests.Session() as session:
        for _ in range(count):
            text = mutant(source.choice(texts), pool, source)
            answer = session.post(f"{server.url}/api/v1/query", data={"query": text, "time": "1"}, timeout=30).json()
            taken, error = answer.get("errorType") != "bad_data", promql_error(text)
            word = "agreed" if taken is (error is None) else "false error" if taken else "missed"
            found[word] += 1
            if word != "agreed" and found[word] <= SHOWN:
                print(f"{word}: {text!r}: {error or answer.get('error')}")
    return found


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mutants", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    count, wrong, known = 0, 0, set()
    for entry in entries(arguments.data / "rules"):
        for text in expressions(list(yaml.safe_load_all(entry.path.read_text(encoding="utf-8")))):
            count += 1
            known.add(text)
            if error := promql_error(text):
                wrong += entry.taken
                print(f"{'false error' if entry.taken else 'error, as promtool'}: {entry.name}: {text!r}: {error}")
    short = sorted(text for text in known if 0 < len(text) < LONGEST)
    mutants = compare(short, arguments.mutants, arguments.seed)
    print(json.dumps({
        "expressions": count, "distinct": len(known), "false_errors": wrong, "seed": arguments.seed,
        "mutants": arguments.mutants, "agreed": mutants["agreed"], "missed": mutants["missed"],
        "false_errors_of_mutants": mutants["false error"],
    }))  # fmt: skip
    return 1 if wrong or mutants["false error"] else 0


if __name__ == "__main__":
    sys.exit(main())
