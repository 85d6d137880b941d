"""Packs as texts: removal of parts, and joining of several."""

from __future__ import annotations

import pytest

from bridge.authoring.suggest.rule_packs import PACKS, Pack, join_rule_files, read, remove_signals

TEXT = """\
# A server.
groups:
- name: first
  models: {labels: {project: {const: x}, pipeline: model, version: version}}
  signals:
    mean:  # of all
      event: custom
      expr: >-
        sum by (model, version) (a)
        / sum by (model, version) (b)
    # goes with `best`
    best:
      event: custom
      expr: 'max by (model, version) (c)'
  rules:
  - alert: Mean
    signal: mean
    strategy: {threshold: {max: 1}}
  # and this one
  - alert: Best
    signal: best
    strategy: {threshold: {max: 1}}
  - alert: Both
    all: [{signal: mean, strategy: {threshold: {max: 1}}}, {signal: best, strategy: {threshold: {max: 2}}}]

# Of other machines.
- name: second
  signals:
    other: {event: custom, expr: d}
  rules:
  - {alert: Other, signal: other, strategy: {threshold: {max: 1}}}
"""


def test_a_signal_goes_with_its_comment_and_every_rule_on_it() -> None:
    """The rest is unchanged, including comments."""
    assert remove_signals(TEXT, "x", {"first.best"}) == TEXT.replace(
        """\
    # goes with `best`
    best:
      event: custom
      expr: 'max by (model, version) (c)'
""", ""
    ).replace(
        """\
  # and this one
  - alert: Best
    signal: best
    strategy: {threshold: {max: 1}}
  - alert: Both
    all: [{signal: mean, strategy: {threshold: {max: 1}}}, {signal: best, strategy: {threshold: {max: 2}}}]
""", ""
    )  # fmt: skip


def test_a_group_without_signals_goes_as_a_whole() -> None:
    """The last one with the comment above it, the first one without the comment of the next."""
    assert remove_signals(TEXT, "x", {"second.other"}) == TEXT.partition("\n# Of other machines.")[0]
    remaining = remove_signals(TEXT, "x", {"first.mean", "first.best"})
    assert (
        remaining.split() == ("# A server.\ngroups:\n\n# Of other machines." + TEXT.partition("machines.")[2]).split()
    )
    assert [group.name for group in read(remaining, "x")[1]] == ["second"]


def test_nothing_goes_when_nothing_is_named() -> None:
    """Not even a blank line."""
    assert remove_signals(TEXT, "x", frozenset()) == TEXT


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_every_part_of_a_pack_can_go(pack: Pack) -> None:
    """The rest is a valid rule file with the other signals, whichever one is missing."""
    text = pack.text()
    names = [f"{group.name}.{query}" for group in read(text, pack.name)[1] for query in group.queries]
    assert len(names) >= 1
    assert {*pack.advice, *pack.better, *pack.better.values()} <= set(names)
    for out in names if len(names) > 1 else ():
        remaining = remove_signals(text, pack.name, {out})
        rest = [f"{group.name}.{query}" for group in read(remaining, pack.name)[1] for query in group.queries]
        assert rest == [name for name in names if name != out]


def test_packs_become_one_file() -> None:
    """Under one header, each with its own comment."""
    text = join_rule_files({pack.name: pack.text() for pack in PACKS}, "# All.")
    _, groups = read(text, "all")
    assert len(groups) == 33
    assert text.startswith("# All.\ngroups:\n\n# NVIDIA Triton")
    assert text.count("\ngroups:") == 1


def test_a_constant_project_can_become_a_label() -> None:
    """In the mapping and in every grouping; packs with a label of their own keep it."""
    by_name = {pack.name: pack for pack in PACKS}
    text = by_name["kserve"].text("namespace")
    assert "{const: kserve}" not in text
    assert text.count("by (namespace, model_name") == text.count("by (") == 6
    assert by_name["knative"].text("namespace") == by_name["knative"].text()


def test_a_label_of_any_name_is_taken() -> None:
    """As Prometheus 3 does."""
    _, groups = read(PACKS[0].text("cloud.region"), "triton")
    assert {query.mapping.project.label for group in groups for query in group.queries.values()} == {"cloud.region"}
