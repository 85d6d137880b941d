"""Names of labels: any UTF-8 text since Prometheus 3, in queries between quotes unless it is a plain word."""

from __future__ import annotations

import json
import re

PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def in_promql(name: str) -> str:
    """Return a label name as PromQL has it in `by (...)`, `on (...)` and matchers."""
    return name if PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
