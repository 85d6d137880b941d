"""Shipped rule packs: their servers, their texts, and removal of signals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config.rule_file import Defaults, read_rule_file
from bridge.domain.errors import ConfigError
from bridge.domain.rule import Group, ModelLabels
from bridge.domain.times import MINUTE, SECOND
from bridge.files.yaml import Document, KeyPath, parse

FOLDER = Path(__file__).parent / "packs"  # the project's rules/packs
INTERVAL, OFFSET = MINUTE, 30 * SECOND  # of an empty bridge.yml
_CONSTANT_PROJECT = re.compile(r"project: \{const: [\w-]+\}")


@dataclass(frozen=True, slots=True)
class Pack:
    """Rules for one server.

    name: file name without `.yml`.
    own: prefixes of the server's metrics.
    advice: group.signal -> what to do when its metrics are missing.
    better: group.signal -> the group.signal that it replaces when both exist.
    """

    name: str
    server: str
    own: tuple[str, ...]
    advice: Mapping[str, str] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)

    def text(self, project: str = "") -> str:
        """Return the rule file. project: label that replaces a constant project, "" = none."""
        text = (FOLDER / f"{self.name}.yml").read_text(encoding="utf-8")
        if not project or not _CONSTANT_PROJECT.search(text):
            return text
        text = _CONSTANT_PROJECT.sub(f"project: {project}", text)
        return re.sub(r"\bby \((?=\w)", f"by ({project}, ", text)


PACKS = (
    Pack("triton", "NVIDIA Triton", ("nv_",), {
        "triton-summaries.latency_p95": "for quantiles start Triton with --metrics-config summary_latencies=true; "
        "without them the mean latency is used",
        "triton-first-response.first_response_p95": "only decoupled models have it, with --metrics-config "
        "histogram_latencies=true",
    }, {"triton-summaries.latency_p95": "triton.latency_mean"}),
    Pack("torchserve", "TorchServe", ("ts_", "Requests"), {
        "torchserve.latency_mean": "set metrics_mode=prometheus in config.properties",
        "torchserve-hosts.host_errors": "it appears after the first response of a host",
    }),
    Pack("tfserving", "TensorFlow Serving", (":tensorflow:",), {
        "tfserving.errors": "older releases do not count requests by outcome",
    }),
    Pack("kserve", "KServe, Python model server", ("request_",), {
        "kserve.latency_p95": "it appears after the first request",
        "kserve.errors": "it appears after the first request",
    }),
    Pack("knative", "KServe, serverless (Knative)", ("revision_", "queue_"), {
        "knative.latency_p95": "also scrape port http-usermetric of the queue proxies",
    }),
    Pack("seldon-v1", "Seldon Core 1", ("seldon_api_", "seldon_metric_"), {
        "seldon-v1-drift.drift_distance": "only a deployment with a drift detector of Alibi Detect has it",
    }),
    Pack("seldon-v2", "Seldon Core 2", ("seldon_model_infer", "seldon_pipeline_"), {
        "seldon-v2-pipelines.pipeline_latency_p95": "only pipelines have a histogram; models have a mean instead",
        "seldon-v2-pipelines.pipeline_errors": "it exists only with pipelines",
    }),
    Pack("mlserver", "MLServer", ("model_infer_", "rest_server_", "grpc_server_", "seldon_model_drift"), {
        "mlserver-drift.drift": "only a model with a drift detector of the Alibi Detect runtime has it",
        "mlserver-servers.server_latency_p95": "metrics of the REST server are off; use the mean of each model",
    }),
    Pack("bentoml", "BentoML", ("bentoml_",), {
        "bentoml.latency_p95": "it appears after the first request",
    }),
    Pack("ray-serve", "Ray Serve", ("ray_",)),
    Pack("vllm", "vLLM", ("vllm:",), {
        "vllm-engine.kv_cache": "older releases write gpu_cache_usage_perc",
        "vllm-engine.kv_cache_v0": "newer releases write kv_cache_usage_perc",
    }),
    Pack("ray-vllm", "vLLM under Ray", ("ray_vllm",)),
    Pack("nim", "NVIDIA NIM", (
        "e2e_request_latency_seconds", "time_to_first_token_seconds", "time_per_output_token_seconds", "num_request_",
        "num_requests_", "gpu_cache_usage_perc", "generation_tokens_total", "prompt_tokens_total", "request_success_",
        "request_failure_", "request_finish_", "request_prompt_tokens", "request_generation_tokens",
    )),
    Pack("sglang", "SGLang", ("sglang:",), {
        "sglang-engine.preemptions": "older releases do not count retracted requests",
    }),
    Pack("tgi", "Text Generation Inference", ("tgi_",), {
        "tgi.errors": "it appears after the first failed request",
    }),
    Pack("litellm", "LiteLLM", ("litellm_",), {
        "litellm.errors": "it appears after the first failed request",
        "litellm-first-token.first_token_p95": "it appears after the first streamed answer",
    }),
    Pack("evidently", "Evidently", ("evidently:",)),
)  # fmt: skip


def read(text: str, name: str) -> tuple[Document, list[Group]]:
    """Parse a rule file; return its document with line numbers, and its groups. Raises ConfigError."""
    document = parse(text, Document(name))
    groups = read_rule_file(document, Defaults(INTERVAL, OFFSET, ModelLabels(), {}))
    if document.problems:
        raise ConfigError(document.problems)
    return document, groups


def remove_signals(text: str, name: str, signals: Set[str]) -> str:
    """Return the text without some signals (`group.signal`), the rules on them, and groups that become empty."""
    document, groups = read(text, name)
    lines: list[str | None] = list(text.splitlines())
    for number, group in enumerate(groups):
        out = {query for query in group.queries if f"{group.name}.{query}" in signals}
        path: KeyPath = ("groups", number)
        if out == set(group.queries):
            _remove(lines, document.line(path))
            continue
        for query in out:
            _remove(lines, document.line((*path, "signals", query)))
        for position, rule in enumerate(group.rules):
            if out & set(rule.queries):
                _remove(lines, document.line((*path, "rules", position)))
    return "\n".join(line for line in lines if line is not None).rstrip() + "\n"


def _remove(lines: list[str | None], line: int) -> None:
    """Remove the block that begins on a line (from 1): the lines indented deeper, and the comment directly above."""
    begin = line - 1
    indent = _indent(lines[begin] or "")
    end = begin + 1
    while end < len(lines) and ((below := lines[end]) is None or (below.strip() and _indent(below) > indent)):
        end += 1
    while begin and (above := lines[begin - 1]) is not None and above.startswith(" " * indent + "#"):
        begin -= 1
    lines[begin:end] = [None] * (end - begin)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def join_rule_files(texts: Mapping[str, str], head: str) -> str:
    """Join several rule files into one; each file's comment stays above its groups."""
    parts = [f"{head}\ngroups:"]
    for text in texts.values():
        above, _, below = text.partition("groups:\n")
        parts.append(f"{above.rstrip()}\n{below.rstrip()}")
    return "\n\n".join(parts) + "\n"
