"""Shared causes: whether a model's breach is one of many on the same node, upstream or feature source. Pure functions.

Retraining a model cures no full node and no broken feed. Models that became unhealthy at about the same time and have a
label value in common most likely have that in common, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bridge.domain.rule import SharedCauses
from bridge.domain.times import Timestamp

Ints = NDArray[np.int64]
EVERY_MODEL = ""  # label of the sibling set that holds every model
UNKNOWN = -1  # value of a model whose label is not known
CHANCE = 0.01  # largest probability, over all labels together, that independent models breach like this
_PRIOR_BREACHED, _PRIOR_TOTAL = 0.5, 25.0  # prior of the share that breaches by itself in the window: 2 %
_SHOWN = 20  # models named in the evidence
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class SharedCause:
    """Evidence that a breach is not the model's own. Pipelines count once, whatever the number of their versions.

    label, value: what the models have in common; label "" = nothing but that they are monitored.
    breached, total: number of unhealthy models, and of all models, with that value.
    others_breached, others: the same numbers for models with another value.
    since: earliest breach of the models counted.
    models: some of the unhealthy models, as project/pipeline.
    """

    label: str
    value: str
    breached: int
    total: int
    others_breached: int
    others: int
    since: Timestamp
    models: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Label and value: requests with an equal key belong to one incident."""
        return self.label, self.value

    def __str__(self) -> str:
        """Return the evidence in one line: 17 of 20 models with node="n7" are unhealthy, and 1 of 80 others."""
        if self.label == EVERY_MODEL:
            return f"{self.breached} of all {self.total} models are unhealthy"
        others = f", and {self.others_breached} of {self.others} others" if self.others else ""
        return f'{self.breached} of {self.total} models with {self.label}="{self.value}" are unhealthy{others}'


def log_binomial_tail(k: int, n: int, p: float) -> float:
    """Return log P(X >= k) for X ~ Binomial(n, p), 0 < p < 1; 0.0 for a k that is not above the mean."""
    if k <= n * p:
        return 0.0
    if k > n:
        return -math.inf
    first = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    )
    odds, term, total = p / (1 - p), 1.0, 1.0
    for i in range(k, n):
        term *= (n - i) / (i + 1) * odds
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return min(0.0, first + math.log(total))


@dataclass(frozen=True)
class Siblings:
    """Present health of every pipeline, by the values of the labels.

    A pipeline counts once, by the version whose rules became active last.

    onsets: kind of signal -> int64 (n,), latest instant at which a rule on it became active, 0 = healthy; by row.
    seen: bool (n,), whether a rule knows the model.
    pipelines: int64 (n,), number of each row's pipeline.
    values: label -> int64 (n,), number of each row's value, UNKNOWN where it is not known.
    names: label -> texts of the values.
    pipeline_names: texts of the pipelines.
    """

    settings: SharedCauses
    onsets: Mapping[str, Ints]
    seen: NDArray[np.bool_]
    pipelines: Ints
    values: Mapping[str, Ints]
    names: Mapping[str, list[str]]
    pipeline_names: list[str]
    _present: dict[tuple[str, str], SharedCause] = field(default_factory=dict)
    _causes: dict[Timestamp, list[tuple[SharedCause, NDArray[np.bool_]]]] = field(default_factory=dict)

    @cached_property
    def onset(self) -> Ints:
        """Latest onset of each model over all kinds of signals, int64 (n,)."""
        latest: Ints = np.maximum.reduce([np.zeros(len(self.seen), np.int64), *self.onsets.values()])
        return latest

    @cached_property
    def _rows(self) -> Ints:
        """Row that stands for each known pipeline, ascending by pipeline."""
        rows = np.flatnonzero(self.seen)
        rows = rows[np.lexsort((self.onset[rows], self.pipelines[rows]))]
        last = np.ones(len(rows), np.bool_)
        last[:-1] = self.pipelines[rows[1:]] != self.pipelines[rows[:-1]]
        return rows[last]

    @cached_property
    def _onsets(self) -> Ints:
        """Onset of each known pipeline."""
        return self.onset[self._rows]

    @cached_property
    def _sets(self) -> dict[str, Ints]:
        """Value of each known pipeline, by label; in the set of EVERY_MODEL all have the value 0."""
        sets = {label: column[self._rows] for label, column in self.values.items()}
        return {**sets, EVERY_MODEL: np.zeros(len(self._rows), np.int64)}

    def _unit(self, row: int) -> int:
        """Return the position of the row's pipeline in `_rows`, -1 if no rule knows it."""
        if row >= len(self.pipelines) or not self.seen[row]:
            return -1
        return int(np.searchsorted(self.pipelines[self._rows], self.pipelines[row]))

    def has_siblings(self, row: int) -> bool:
        """Return whether the model has enough siblings under some label to be weighed against them."""
        unit = self._unit(row)
        if unit < 0:
            return False
        return any(
            values[unit] != UNKNOWN and np.count_nonzero(values == values[unit]) >= self.settings.min_models
            for values in self._sets.values()
        )

    def weigh(self, row: int, active: Iterable[tuple[str, str]] = ()) -> SharedCause | None:
        """Return the most likely shared cause of a model's breach; None: the breach is its own.

        active: keys of known incidents that are not over: a model with such a value shares that cause.
        """
        unit = self._unit(row)
        if unit < 0 or not self._onsets[unit]:
            return None
        for cause, members in self._causes_at(int(self._onsets[unit])):
            if members[unit] and self._alike(row, members):
                return cause
        ongoing = set(active)
        for label, values in self._sets.items():
            value = int(values[unit])
            if value != UNKNOWN and (label, self._name(label, value)) in ongoing:
                if label == EVERY_MODEL and not self._with_siblings(unit):
                    continue
                members = (values == value) & (self._onsets > 0)
                if self._alike(row, members):
                    return self._cause(label, value, values == value, self._onsets > 0)
        return None

    def _alike(self, row: int, members: NDArray[np.bool_]) -> bool:
        """Return whether the other unhealthy siblings show it in a kind of signal in which this model does, too.

        A model that drifts alone on a node where all others are slow has a cause of its own.
        """
        rows = self._rows[members]
        others = rows[self.pipelines[rows] != self.pipelines[row]]
        needed = max(self.settings.min_models - 1, self.settings.share * len(others))
        return any(column[row] and np.count_nonzero(column[others]) >= needed for column in self.onsets.values())

    def grown(self, cause: SharedCause) -> SharedCause:
        """Return the present evidence for a known cause, or the known one if that was stronger."""
        now = self._now(cause)
        return cause if now is None or now.breached <= cause.breached else now

    def refined(self, cause: SharedCause, row: int) -> SharedCause | None:
        """Return the known cause of a model's breach, with its present evidence; None: the breach is its own after all.

        The first breaches of an incident may look like those of the whole fleet. Once a node explains them, its models
        have that cause, and a model elsewhere has its own.
        """
        unit = self._unit(row)
        onset = int(self._onsets[unit]) if unit >= 0 and cause.label == EVERY_MODEL else 0
        found = self._causes_at(onset) if onset else []
        if not found or any(each.label == EVERY_MODEL for each, _ in found):
            return self.grown(cause)
        return next((each for each, members in found if members[unit]), None)

    def recovered(self, cause: SharedCause, row: int) -> bool:
        """Return whether the siblings of a model are healthy again, so that its breach is its own after all.

        That is so when fewer than half of the share that was unhealthy still is. While less than half of the siblings
        are known, as after a restart during an outage, it is not.
        """
        now = self._now(cause)
        if now is None:
            return cause.label not in self._sets  # the label is no longer configured
        unit = self._unit(row)
        own = unit >= 0 and (values := self._sets[cause.label])[unit] != UNKNOWN
        own = own and self._name(cause.label, int(values[unit])) == cause.value
        total = now.total - own
        breached = now.breached - (own and bool(self._onsets[unit]))
        if 2 * total < cause.total - 1:
            return False
        return breached * 2 * cause.total < cause.breached * total or not total

    def _now(self, cause: SharedCause) -> SharedCause | None:
        """Return the present evidence for a known cause, whenever its models breached; None: no model has it."""
        if cause.key not in self._present:
            names = [""] if cause.label == EVERY_MODEL else self.names.get(cause.label, [])
            if cause.value not in names or cause.label not in self._sets:
                return None
            value = names.index(cause.value)
            members = self._sets[cause.label] == value
            self._present[cause.key] = self._cause(cause.label, value, members, self._onsets > 0)
        return self._present[cause.key]

    def _with_siblings(self, unit: int) -> bool:
        """Return whether the siblings of a model under some label are unhealthy too, or it has no label."""
        labels = [values for label, values in self._sets.items() if label != EVERY_MODEL and values[unit] != UNKNOWN]
        shares = [float((self._onsets[values == values[unit]] > 0).mean()) for values in labels]
        return not shares or max(shares) >= self.settings.share

    def _causes_at(self, at: Timestamp) -> list[tuple[SharedCause, NDArray[np.bool_]]]:
        """Return the shared causes of breaches at about `at`, with the pipelines that each explains, the largest first.

        Each pipeline is explained once: what a full node explains is not evidence against a feature source, nor against
        the models of other nodes.
        """
        if at not in self._causes:
            hit = (self._onsets > 0) & (np.abs(self._onsets - at) <= self.settings.window)
            free = np.ones(len(hit), np.bool_)
            found = []
            while (best := self._best(hit, free)) is not None:
                label, value = best
                members = self._sets[label] == value
                found.append((self._cause(label, value, members, hit), members & hit & free))
                free &= ~(members & hit)
            self._causes[at] = found
        return self._causes[at]

    def _best(self, hit: NDArray[np.bool_], free: NDArray[np.bool_]) -> tuple[str, int] | None:
        """Return label and value of the set that explains most, None if chance explains every one.

        Sets are compared by their likelihood: the relative entropy of their unhealthy share to the usual one.
        """
        settings, most, best = self.settings, 0.0, None
        least = math.log(CHANCE / len(self._sets))
        for label, values in self._sets.items():
            known = free & (values != UNKNOWN)
            total, breached = np.bincount(values[known]), np.bincount(values[known & hit])
            everything, everywhere = int(total.sum()), int(breached.sum())
            for value in np.flatnonzero(breached >= settings.min_models).tolist():
                k, n = int(breached[value]), int(total[value])
                if k < settings.share * n or (gain := _gain(k, n)) <= most:
                    continue
                expected = (everywhere - k + _PRIOR_BREACHED) / (everything - n + _PRIOR_TOTAL)
                if log_binomial_tail(k - 1, n - 1, expected) < least:
                    most, best = gain, (label, value)
        return best

    def _name(self, label: str, value: int) -> str:
        return "" if label == EVERY_MODEL else self.names[label][value]

    def _cause(self, label: str, value: int, members: NDArray[np.bool_], hit: NDArray[np.bool_]) -> SharedCause:
        """Return the evidence against a set; hit: the pipelines that count as unhealthy."""
        chosen = members & hit
        names = sorted(self.pipeline_names[item] for item in self.pipelines[self._rows[chosen]].tolist())[:_SHOWN]
        others = (self._sets[label] != UNKNOWN) & ~members
        since = int(self._onsets[chosen].min()) if chosen.any() else 0
        return SharedCause(
            label, self._name(label, value), int(chosen.sum()), int(members.sum()),
            int((others & hit).sum()), int(others.sum()), since, tuple(names),
        )  # fmt: skip


def _gain(k: int, n: int) -> float:
    """Return the log-likelihood ratio of k of n at their own rate to the usual rate."""
    usual = _PRIOR_BREACHED / _PRIOR_TOTAL
    healthy = (n - k) * math.log((n - k) / n / (1 - usual)) if n > k else 0.0
    return k * math.log(k / n / usual) + healthy
