"""Interpretation of a source's responses by a rule, and their quality for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.rule import Rule
from bridge.domain.verdict import USE, Cause

Answer = EventBatch | SourceError
Answers = Mapping[str, Answer]


class Quality(StrEnum):
    """Quality of the responses that a rule got in one slot, the worst last. A closed set, a metric label."""

    WHOLE = "whole"
    NOTED = "noted"
    PARTIAL_USED = "partial_used"
    PARTIAL = "partial"
    FAILED = "failed"


def uses_partial(rule: Rule) -> bool:
    """Return whether the rule's policy treats a partial response as complete."""
    return rule.policies.get(Cause.PARTIAL) == USE


def taken(batch: EventBatch, rule: Rule) -> EventBatch:
    """Return the batch as the rule reads it: a partial one counts as complete if the rule's policy allows it."""
    return replace(batch, cause=Cause.NONE) if batch.cause is Cause.PARTIAL and uses_partial(rule) else batch


def taken_all(answers: Answers, rule: Rule) -> Answers:
    """Return the responses of a slot, by signal, as the rule reads them."""
    return {name: taken(answer, rule) if isinstance(answer, EventBatch) else answer for name, answer in answers.items()}


def quality(rule: Rule, signals: Mapping[str, object], answers: Answers) -> Quality:
    """Return the worst quality of the responses to `signals`; signals without a response are skipped."""
    order = list(Quality)
    qualities = (_quality_of(rule, answers[name]) for name in signals if name in answers)
    return max(qualities, key=order.index, default=Quality.WHOLE)


def _quality_of(rule: Rule, answer: Answer) -> Quality:
    if isinstance(answer, SourceError):
        return Quality.FAILED
    if answer.cause is Cause.PARTIAL:
        return Quality.PARTIAL_USED if uses_partial(rule) else Quality.PARTIAL
    return Quality.NOTED if answer.notes else Quality.WHOLE
