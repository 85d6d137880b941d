"""Warnings: each appears where it applies, and only there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.authoring.check.check import check_config, check_rules
from tests.support.pages import ROOT

SIGNALS = """
  signals:
    drift: {event: drift, expr: model_drift_score}
    slow: {event: latency, unit: seconds, expr: 'max by (project, pipeline, version) (latency_p95_seconds)'}
    quick: {event: latency, unit: milliseconds, expr: latency_p95}
    errors: {event: inference_error, window: 5m, errors: 'increase(e[$window])', total: 'increase(t[$window])'}
"""


def doubts(folder: Path, rule: str, signals: str = SIGNALS, interval: str = "1m") -> list[str]:
    """Return the names of the lints of one rule."""
    file = folder / "rules.yml"
    file.write_text(f"groups:\n- name: g\n  interval: {interval}{signals}  rules:\n  - {{{rule}}}\n")
    assert check_rules([file]) == []
    return [problem.lint for problem in check_rules([file], lint=True) if problem.lint != "unused-signal"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("retrain: A, expr: up == 0, for: 30s", ["shorter-than-interval"]),
        ("retrain: A, expr: up == 0, keep_firing_for: 59s", ["shorter-than-interval"]),
        ("retrain: A, expr: up == 0, for: 1m", []),
        ("retrain: A, expr: up == 0, for: 2h", ["short-cooldown"]),
        ("retrain: A, expr: up == 0, for: 2h, cooldown: 6h", []),
        ("alert: A, expr: up == 0, for: 2h", []),
        ("retrain: A, expr: 'rate(x[30s]) > 1'", ["gap-between-windows"]),
        ("retrain: A, expr: 'rate(x[1m]) > 1'", []),
        ("retrain: A, signal: errors, strategy: {threshold: {max: 0.1}}, breaches: {at_least: 2, of: 5}",
         ["overlapping-windows"]),
        ("retrain: A, signal: errors, strategy: {threshold: {max: 0.1}}, breaches: {at_least: 2, of: 6}", []),
        ("retrain: A, signal: errors, strategy: {threshold: {max: 5}}", ["never-fires"]),
        ("retrain: A, signal: drift, strategy: {threshold: {min: 0}}", ["never-fires"]),
        ("retrain: A, signal: drift, strategy: {threshold: {max: 0.99}}", []),
        ("retrain: A, signal: slow, strategy: {threshold: {max: 5000}}", ["unit-of-threshold"]),
        ("retrain: A, signal: slow, strategy: {threshold: {max: 200}}", ["unit-of-threshold"]),
        ("retrain: A, signal: slow, strategy: {threshold: {max: 60}}", []),
        ("retrain: A, signal: slow, strategy: {threshold: {max: 200ms}}", []),
        ("retrain: A, signal: quick, strategy: {threshold: {max: 0.2}}", ["unit-of-threshold"]),
        ("retrain: A, signal: quick, strategy: {threshold: {max: 1}}", []),
        ("retrain: A, any: [&slow {signal: slow, strategy: {threshold: {max: 90}}}, *slow]",
         ["unit-of-threshold", "unit-of-threshold"]),
        ("retrain: A, signal: errors, strategy: {error_e_process: {p0: 0.01}}, fdr: 0.05", ["evidence-ends-early"]),
        ("retrain: A, signal: errors, strategy: {error_e_process: {p0: 0.01, alpha: 0.001}}, fdr: 0.05", []),
        ("retrain: A, signal: errors, strategy: {error_e_process: {p0: 0.01}}", []),
        ("retrain: A, expr: up == 0, annotations: {summary: 'over {{ $threshold }}'}", ["threshold-without-strategy"]),
        ("retrain: A, signal: drift, strategy: {threshold: {max: 1e-1}}, annotations: {a: '{{ $threshold }}'}", []),
        ("retrain: A, expr: up == 0, annotations: {a: '{{ match \"(\" \"x\" }}'}", ["invalid-regex"]),
        ("retrain: A, expr: up == 0, labels: {b: '{{ match \"[\" \"x\" }}'}", ["invalid-regex"]),
        ("retrain: A, expr: up == 0, annotations: {a: '{{ match \"(a)\" \"x\" }}'}", []),
    ],
)  # fmt: skip
def test_a_warning_has_the_rule_that_it_is_about(tmp_path: Path, rule: str, expected: list[str]) -> None:
    """Just on one side of its limit, but not on the other."""
    assert doubts(tmp_path, rule) == expected


@pytest.mark.parametrize(
    ("unit", "expr", "expected"),
    [
        ("milliseconds", "latency_seconds", ["unit-of-name"]),
        ("seconds", "request_duration_ms", ["unit-of-name"]),
        ("seconds", "rate(request_duration_seconds_sum[5m]) / rate(request_duration_seconds_count[5m])", []),
        ("milliseconds", "latency_seconds * 1000", []),
        ("seconds", "latency", []),
        ("seconds", "models_total", []),
    ],
)
def test_the_unit_is_read_from_the_name_of_a_metric(tmp_path: Path, unit: str, expr: str, expected: list[str]) -> None:
    """Unless the expression converts it."""
    signals = f"\n  signals:\n    s: {{event: latency, unit: {unit}, expr: '{expr}'}}\n"
    assert doubts(tmp_path, "retrain: A, signal: s, strategy: {threshold: {max: 200ms}}", signals) == expected


@pytest.mark.parametrize(
    ("window", "reference", "expected"),
    [
        ("3m", "4w", []),
        ("3m", "30s", []),
        ("1h", "1h", ["overlapping-windows"]),
        ("30s", "1h", ["gap-between-windows"]),
    ],
)
def test_windows_of_a_reference_may_be_of_any_length(
    tmp_path: Path, window: str, reference: str, expected: list[str]
) -> None:
    """Only the ranges of `buckets` count."""
    signals = f"""
  signals:
    scores: {{event: custom, buckets: 'increase(m_bucket[{window}])', reference: 'increase(m_bucket[{reference}])'}}
"""
    rule = "retrain: A, signal: scores, breaches: {at_least: 2, of: 5}"
    assert doubts(tmp_path, rule, signals) == expected


def test_an_alert_rule_without_a_receiver_is_reported(tmp_path: Path) -> None:
    """Routed only to a coordinator; routed to an Alertmanager it is fine."""
    (tmp_path / "rules.yml").write_text(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up == 0, labels: {to: ops}}\n"
    )
    config = """
prometheus: {url: 'http://localhost:9090'}
rule_files: [rules.yml]
route: {receiver: c, routes: [{matchers: ['to="ops"'], receiver: %s}]}
receivers:
- {name: c, coordinator_configs: [{url: 'http://localhost:8090'}]}
- {name: a, alertmanager_configs: [{url: 'http://localhost:9093'}]}
"""
    (tmp_path / "bridge.yml").write_text(config % "c")
    (doubt,) = check_config(tmp_path / "bridge.yml", lint=True)
    assert str(doubt) == (
        f"{tmp_path}/rules.yml:4: A: warning: its labels route to c, which has no alertmanager_configs: "
        "nobody is notified (route it to an Alertmanager) [alert-to-nobody]"
    )
    (tmp_path / "bridge.yml").write_text(config % "a")
    assert check_config(tmp_path / "bridge.yml", lint=True) == []


def test_the_shipped_rules_have_no_warning() -> None:
    """Those of the demo and of the examples."""
    assert check_rules([ROOT / "rules" / "demo.yml"], lint=True) == []
    assert check_config(ROOT / "examples" / "bridge.yml", lint=True) == []


def test_a_signal_that_no_rule_uses_is_reported(tmp_path: Path) -> None:
    """Each by its name; parts of conditions are used."""
    file = tmp_path / "rules.yml"
    part = "strategy: {threshold: {max: 0.9}}"
    rule = f"{{retrain: A, all: [{{signal: drift, {part}}}, {{signal: errors, {part}}}]}}"
    file.write_text(f"groups:\n- name: g\n  interval: 1m{SIGNALS}  rules:\n  - {rule}\n")
    assert [str(problem) for problem in check_rules([file], lint=True)] == [
        f"{file}: warning: no rule of group 'g' uses the signal '{name}' (remove it or add a rule) [unused-signal]"
        for name in ("quick", "slow")
    ]


def test_every_lint_is_explained() -> None:
    """Its name is in the code as often as in the table of docs/check.md: once."""
    names = ("lint", "promql_lint", "online_lint", "sibling_labels", "online", "check", "receivers")
    code = "".join((ROOT / "bridge" / "authoring" / "check" / f"{name}.py").read_text() for name in names)
    named = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', code))
    rows = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "check.md").read_text(), re.MULTILINE)
    assert len(rows) == 30
    assert sorted(named) == sorted(rows)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("retrain: A, expr: model_drift_score > bool 5", "with 'bool', a comparison always returns a series"),
        ("retrain: A, expr: model_drift_score", "the expression has no comparison"),
        ("alert: A, expr: sum(up)", "the expression has no comparison"),
        ("retrain: A, expr: vector(1)", "the expression has no comparison"),
        ("alert: A, expr: vector(1)", ""),
        ("alert: A, expr: absent(up)", ""),
        ("retrain: A, signal: drift", ""),
    ],
)
def test_what_is_always_in_the_result_is_reported(tmp_path: Path, rule: str, expected: str) -> None:
    """It would fire with every value; a dead man's switch is meant so."""
    file = tmp_path / "rules.yml"
    file.write_text(f"groups:\n- name: g\n  signals: {{drift: {{event: drift, expr: d}}}}\n  rules: [{{{rule}}}]\n")
    found = [problem for problem in check_rules([file], lint=True) if problem.lint != "unused-signal"]
    assert [problem.lint for problem in found] == (["always-in-result"] if expected else [])
    assert "".join(problem.message for problem in found).startswith(expected)


def test_an_aggregation_that_drops_a_model_label_is_reported(tmp_path: Path) -> None:
    """Where the labels of models are known: from bridge.yml, or from the group."""
    rules = """
groups:
- name: g
  signals:
    kept: {event: drift, expr: 'max by (project, pipeline, ver) (d)'}
    dropped: {event: drift, expr: 'max by (project, pipeline) (d)'}
  rules:
  - {retrain: Kept, signal: kept}
  - {retrain: Dropped, signal: dropped}
  - {alert: All, expr: count(up) > 5}
"""
    file = tmp_path / "rules.yml"
    file.write_text(rules)
    (tmp_path / "bridge.yml").write_text("""
prometheus: {url: 'http://localhost:9090'}
models: {labels: {version: ver}}
rule_files: [rules.yml]
route: {receiver: c}
receivers: [{name: c, alertmanager_configs: [{url: 'http://localhost:9093'}]}]
""")
    assert check_rules([file], lint=True) == []
    dropped, all_ = check_config(tmp_path / "bridge.yml", lint=True)
    assert (dropped.line, dropped.lint, dropped.message) == (
        9, "drops-model-label", "dropped: the expression drops the model label ver",
    )  # fmt: skip
    assert all_.message == "All: the expression drops the model labels project, pipeline, ver"
    file.write_text(rules.replace("  signals:", "  models: {labels: {version: ver}}\n  signals:"))
    assert [problem.lint for problem in check_rules([file], lint=True)] == ["drops-model-label"] * 2


def test_warnings_of_right_files_are_there_beside_errors_of_wrong_ones(tmp_path: Path) -> None:
    """All mistakes in one pass."""
    group = "groups:\n- name: {name}\n  rules: [{{retrain: {name}, expr: {expr}}}]\n"
    right, wrong = tmp_path / "right.yml", tmp_path / "wrong.yml"
    right.write_text(group.format(name="A", expr="up"))
    wrong.write_text(group.format(name="B", expr="rat(up)").replace("expr:", "exprs: 1, expr:"))
    found = [(problem.file, problem.lint, problem.column) for problem in check_rules([right, wrong], lint=True)]
    assert found == [
        (str(right), "always-in-result", 0), (str(wrong), "", 24), (str(wrong), "", 40),
    ]  # fmt: skip


def test_promql_errors_are_warnings_where_the_server_is_no_prometheus(tmp_path: Path) -> None:
    """Its query language may have more."""
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n- name: g\n  rules: [{alert: A, expr: median(up) > 0}]\n")
    assert [problem.lint for problem in check_rules([file])] == [""]
    assert check_rules([file], flavor="victoriametrics") == []
    (problem,) = check_rules([file], flavor="victoriametrics", lint=True)
    assert str(problem) == (
        f"{file}:3:28: groups[0].rules[0].expr: warning: unknown function 'median'; victoriametrics may accept it "
        "(write quantile(0.5, ...)) [promql-syntax]"
    )


def test_warnings_of_right_rules_are_there_beside_errors_of_wrong_ones(tmp_path: Path) -> None:
    """Also in one file; the signals of a wrong rule do not seem unused."""
    file = tmp_path / "rules.yml"
    file.write_text("""
groups:
- name: g
  signals: {drift: {event: drift, expr: d}, other: {event: drift, expr: e}}
  rules:
  - {retrain: A, expr: up}
  - {retrain: B, expr: 'sum(up'}
  - {retrain: C, signal: drift, strategy: {threshold: {maxx: 1}}}
""")
    found = [(problem.line, problem.lint) for problem in check_rules([file], lint=True)]
    assert found == [(0, "unused-signal"), (6, "always-in-result"), (7, ""), (8, "")]
