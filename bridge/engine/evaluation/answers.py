"""How a source's answer is taken by a rule."""

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
    """How good the answers were that a rule had in one slot, the worst last: a closed set, a metric's label."""

    WHOLE = "whole"
    NOTED = "noted"
    PARTIAL_USED = "partial_used"
    PARTIAL = "partial"
    FAILED = "failed"


def uses_partial(rule: Rule) -> bool:
    """Whether a partial answer is as good as a whole one for the rule."""
    return rule.policies.get(Cause.PARTIAL) == USE


def taken(batch: EventBatch, rule: Rule) -> EventBatch:
    """The batch as the rule takes it: a partial one for whole where its policy says so."""
    return replace(batch, cause=Cause.NONE) if batch.cause is Cause.PARTIAL and uses_partial(rule) else batch


def taken_all(answers: Answers, rule: Rule) -> Answers:
    """The same of the answers of a slot, by signal."""
    return {name: taken(found, rule) if isinstance(found, EventBatch) else found for name, found in answers.items()}


def quality(rule: Rule, signals: Mapping[str, object], answers: Answers) -> Quality:
    """The worst of the answers to the rule's signals; `signals`: by name."""
    order = list(Quality)
    found = (_of_one(rule, answers[name]) for name in signals if name in answers)
    return max(found, key=order.index, default=Quality.WHOLE)


def _of_one(rule: Rule, answer: Answer) -> Quality:
    if isinstance(answer, SourceError):
        return Quality.FAILED
    if answer.cause is Cause.PARTIAL:
        return Quality.PARTIAL_USED if uses_partial(rule) else Quality.PARTIAL
    return Quality.NOTED if answer.notes else Quality.WHOLE
