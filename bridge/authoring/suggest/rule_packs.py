"""The shipped rule packs: what they are for, their texts, and how parts are taken out of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config.rule_file import Defaults, read_rule_file
from bridge.domain.errors import ConfigError
from bridge.domain.rule import Group, ModelLabels
from bridge.domain.times import MINUTE, SECOND
from bridge.files.yaml import Document, Place, parse

FOLDER = Path(__file__).parent / "packs"  # the project's rules/packs
INTERVAL, OFFSET = MINUTE, 30 * SECOND  # of an empty bridge.yml
_CONSTANT_PROJECT = re.compile(r"project: \{const: [\w-]+\}")


@dataclass(frozen=True, slots=True)
class Pack:
    """One server's rules. name: of the file without `.yml`. own: how the server's metrics begin.

    advice: group.signal -> what to do when its metrics are not there.
    better: group.signal -> the group.signal that it replaces where both are there.
    """

    name: str
    server: str
    own: tuple[str, ...]
    advice: Mapping[str, str] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)

    def text(self, project: str = "") -> str:
        """The file. project: the label that takes the place of a constant project, "" = none does."""
        text = (FOLDER / f"{self.name}.yml").read_text(encoding="utf-8")
        if not project or not _CONSTANT_PROJECT.search(text):
            return text
        text = _CONSTANT_PROJECT.sub(f"project: {project}", text)
        return re.sub(r"\bby \((?=\w)", f"by ({project}, ", text)


PACKS = (
    Pack("triton", "NVIDIA Triton", ("nv_",), {
        "triton-summaries.latency_p95": "for quantiles start Triton with --metrics-config summary_latencies=true; "
        "until then the mean says how slow a model is",
        "triton-first-response.first_response_p95": "only decoupled models have it, with --metrics-config "
        "histogram_latencies=true",
    }, {"triton-summaries.latency_p95": "triton.latency_mean"}),
    Pack("torchserve", "TorchServe", ("ts_", "Requests"), {
        "torchserve.latency_mean": "set metrics_mode=prometheus in config.properties",
        "torchserve-hosts.host_errors": "it is there after the first answer of a host",
    }),
    Pack("tfserving", "TensorFlow Serving", (":tensorflow:",), {
        "tfserving.errors": "older releases do not count requests by their outcome",
    }),
    Pack("kserve", "KServe, Python model server", ("request_",), {
        "kserve.latency_p95": "it is there after the first request",
        "kserve.errors": "it is there after the first request",
    }),
    Pack("knative", "KServe, serverless (Knative)", ("revision_", "queue_"), {
        "knative.latency_p95": "scrape the queue proxies' port http-usermetric, too",
    }),
    Pack("seldon-v1", "Seldon Core 1", ("seldon_api_", "seldon_metric_"), {
        "seldon-v1-drift.drift_distance": "only a deployment with a drift detector of Alibi Detect has it",
    }),
    Pack("seldon-v2", "Seldon Core 2", ("seldon_model_infer", "seldon_pipeline_"), {
        "seldon-v2-pipelines.pipeline_latency_p95": "only pipelines have a histogram; a model's mean is in its place",
        "seldon-v2-pipelines.pipeline_errors": "it is there when there are pipelines",
    }),
    Pack("mlserver", "MLServer", ("model_infer_", "rest_server_", "grpc_server_", "seldon_model_drift"), {
        "mlserver-drift.drift": "only a model with a drift detector of the Alibi Detect runtime has it",
        "mlserver-servers.server_latency_p95": "the REST server's metrics are off; the mean of each model is there",
    }),
    Pack("bentoml", "BentoML", ("bentoml_",), {
        "bentoml.latency_p95": "it is there after the first request",
    }),
    Pack("ray-serve", "Ray Serve", ("ray_",)),
    Pack("vllm", "vLLM", ("vllm:",)),
    Pack("evidently", "Evidently", ("evidently:",)),
)  # fmt: skip


def read(text: str, name: str) -> tuple[Document, list[Group]]:
    """A rule file's text with the places of its parts, and its groups. Raises ConfigError."""
    document = parse(text, Document(name))
    groups = read_rule_file(document, Defaults(INTERVAL, OFFSET, ModelLabels(), {}))
    if document.problems:
        raise ConfigError(document.problems)
    return document, groups


def without(text: str, name: str, signals: Set[str]) -> str:
    """The text without some signals (`group.signal`), the rules on them, and groups that have no others."""
    document, groups = read(text, name)
    lines: list[str | None] = list(text.splitlines())
    for number, group in enumerate(groups):
        out = {query for query in group.queries if f"{group.name}.{query}" in signals}
        place: Place = ("groups", number)
        if out == set(group.queries):
            _remove(lines, document.line(place))
            continue
        for query in out:
            _remove(lines, document.line((*place, "signals", query)))
        for position, rule in enumerate(group.rules):
            if out & set(rule.queries):
                _remove(lines, document.line((*place, "rules", position)))
    return "\n".join(line for line in lines if line is not None).rstrip() + "\n"


def _remove(lines: list[str | None], line: int) -> None:
    """Take out the block that begins on a line (from 1): what is indented more, and the comment right above."""
    begin = line - 1
    indent = _indent(lines[begin] or "")
    end = begin + 1
    while end < len(lines) and ((left := lines[end]) is None or (left.strip() and _indent(left) > indent)):
        end += 1
    while begin and (above := lines[begin - 1]) is not None and above.startswith(" " * indent + "#"):
        begin -= 1
    lines[begin:end] = [None] * (end - begin)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def joined(texts: Mapping[str, str], head: str) -> str:
    """One rule file of several: each one's comment stands above its groups."""
    parts = [f"{head}\ngroups:"]
    for text in texts.values():
        above, _, below = text.partition("groups:\n")
        parts.append(f"{above.rstrip()}\n{below.rstrip()}")
    return "\n\n".join(parts) + "\n"
