"""Strategies in rules: found by name, parameters checked by their own class, lengths of time in the signal's unit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.config import strategy as module
from bridge.config.strategy import strategy_spec
from bridge.domain.batch import EventKind
from bridge.domain.rule import SignalQuery, StrategySpec
from bridge.domain.times import HOUR, MINUTE
from bridge.files.yaml import Document, parse
from bridge.strategies.base import RetrainStrategy, StrategyConfig
from bridge.strategies.decay import DecayStrategy
from bridge.strategies.registry import build, strategies
from bridge.strategies.threshold import ThresholdStrategy
from tests.contracts.test_strategies import EXAMPLES


def query(unit_ms: float = 1000.0, event: EventKind = EventKind.LATENCY, **exprs: str) -> SignalQuery:
    return SignalQuery("p95", event, exprs or {"value": "x"}, unit="seconds", unit_ms=unit_ms)


def spec(text: str, signal: SignalQuery | None) -> tuple[StrategySpec | None, list[str]]:
    document = parse(f"strategy: {text}", Document("a.yml"))
    found = strategy_spec(document.value["strategy"], signal, document, ("strategy",))
    return found, [problem.message for problem in document.problems]


@pytest.mark.parametrize(
    ("text", "unit_ms", "limit"),
    [
        ("200ms", 1000.0, 0.2), ("70ms", 1000.0, 0.07), ("0.2s", 1000.0, 0.2), ("1.5 s", 1000.0, 1.5),
        ("250us", 1.0, 0.25), ("250µs", 0.001, 250.0), ("2m", 60_000.0, 2.0), ("1h", 1000.0, 3600.0),
        ("0.3", 1000.0, 0.3), ("5", 1.0, 5.0),
    ],
)  # fmt: skip
def test_a_limit_of_a_latency_may_be_a_length_of_time(text: str, unit_ms: float, limit: float) -> None:
    """It becomes a number in the signal's unit, exactly; a plain number is in that unit already."""
    assert spec(f"{{threshold: {{max: {text}}}}}", query(unit_ms)) == (StrategySpec("threshold", {"max": limit}), [])


def test_a_length_of_time_is_for_latencies_alone() -> None:
    """200ms of drift means nothing."""
    found, said = spec("{threshold: {max: 200ms}}", query(1.0, EventKind.DRIFT))
    assert said == ["'200ms' is a duration, but signal 'p95' is not a latency"]
    assert found == StrategySpec("threshold", {"max": 0.0})


def test_of_a_wrong_signal_nothing_more_is_reported() -> None:
    """Its unit and columns are not known; the strategy's own mistakes are still told."""
    assert spec("{threshold: {max: 200ms}}", None)[1] == []
    assert spec("{threshold: {max: fast}}", None)[1] == ["must be a number, not text"]
    assert spec("{threshold: {maxi: 1, max: 1}}", None)[1] == ["unknown key 'maxi'"]


class Rate(RetrainStrategy):
    """A strategy that wants counts, a whole number, and a duration of its own."""

    name = "rate"
    needs = frozenset({"errors", "n"})

    class Config(StrategyConfig):
        """Parameters of three kinds."""

        share: float = 0.5
        count: int = 3
        window: str = "1h"

    def analyse(self, model: object, event: object) -> None:
        return None


@pytest.fixture
def rate(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"rate": Rate, "threshold": ThresholdStrategy}
    monkeypatch.setattr(module, "strategies", lambda: known)


def test_a_strategy_gets_the_columns_that_it_needs(rate: None) -> None:
    """Or the rule is refused, with what the signal has."""
    assert spec("rate", query(errors="e", total="t"))[1] == [
        "strategy 'rate' needs the columns n, but signal 'p95' has only errors, total, value"
    ]
    defaults = StrategySpec("rate", {"share": 0.5, "count": 3, "window": "1h"})
    assert spec("rate", query(errors="e", total="t", n="n")) == (defaults, [])


def test_the_mean_of_a_histogram_is_a_number_like_others() -> None:
    """Strategies on numbers take signals with buckets; those on errors do not."""
    signal = query(buckets="b", reference="r")
    assert spec("{threshold: {max: 200ms}}", signal) == (StrategySpec("threshold", {"max": 0.2}), [])
    assert spec("{burn_rate: {slo: 0.99}}", signal)[1] == [
        "strategy 'burn_rate' needs the columns errors, total, but signal 'p95' has only buckets, reference, value"
    ]


def test_only_numbers_are_lengths_of_time(rate: None) -> None:
    """A parameter that is text or a count is the strategy's own affair."""
    signal = query(errors="e", total="t", n="n")
    found, said = spec("{rate: {share: 200ms, window: 30m}}", signal)
    assert (found, said) == (StrategySpec("rate", {"share": 0.2, "count": 3, "window": "30m"}), [])
    assert spec("{rate: {count: 200ms}}", signal)[1] == ["must be a whole number, not text"]


def test_the_range_of_a_signal_is_known_to_strategies_that_count() -> None:
    """What `$window` was, unless the rule says another one; without it five minutes."""
    counted = {"errors": "e", "total": "t"}
    signal = replace(query(1.0, EventKind.INFERENCE_ERROR, **counted), window=10 * MINUTE)
    found = [
        spec(text, one)[0] for text in ("{burn_rate: {slo: 0.99}}", "{burn_rate: {slo: 0.99, window: 1m}}")
        for one in (signal, replace(signal, window=0))
    ]  # fmt: skip
    assert [item.params["window"] for item in found if item is not None] == ["10m", "5m", "1m", "1m"]


def test_histograms_are_added_up_where_the_range_is_known() -> None:
    """The signal's `$window`; without it nothing is known of the samples' range."""
    signal = replace(query(buckets="b", reference="r"), window=HOUR)
    found = [spec("chi_square", one)[0] for one in (signal, replace(signal, window=0))]
    assert [item.params.get("window") for item in found if item is not None] == ["1h", None]


def test_cheap_times_are_written_as_time_intervals() -> None:
    """The strategy gets them as calendar spans; a wrong word is reported at its place."""
    text = "{decay: {max: 1, lead_time: 1d, cheap_times: [{times: [{start_time: '22:00', end_time: '24:00'}]}]}}"
    found, said = spec(text, query(value="v"))
    assert (said, found is not None) == ([], True)
    assert found is not None
    strategy = build(found)
    assert isinstance(strategy, DecayStrategy)
    assert found.params["cheap_times"][0]["times"] == [[1320, 1440]]
    wrong = text.replace("22:00", "22h")
    assert spec(wrong, query(value="v"))[1] == [
        "'22h' is not a time; write hours and minutes with two digits each, 00:00 to 24:00"
    ]
    assert "must be a list" in spec("{decay: {max: 1, lead_time: 1d, cheap_times: nights}}", query(value="v"))[1][0]


FILLED_IN = {
    "adwin": "delta", "auto": "window samples sensitivity", "burn_rate": "window samples period", "chi_square": "n_min",
    "cost_aware": "window samples error_cost horizon", "decay": "confidence min_coverage cheap_times cheap_saving",
    "error_e_process": "window samples alpha restart", "ewma": "weight", "jensen_shannon": "n_min", "ks": "n_min",
    "kswin": "", "page_hinkley": "delta threshold forget", "psi": "n_min", "seasonal_cusum": "k", "threshold": "",
    "vote": "within", "wasserstein": "n_min",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILLED_IN))
def test_a_new_parameter_does_not_make_a_rule_another_one(name: str) -> None:
    """A rule's fingerprint contains the defaults that are filled in, except None: another one would end its episodes.

    So a parameter that is added to a strategy has the default None.
    """
    filled = strategies()[name].Config.model_validate(EXAMPLES[name]).model_dump(mode="json", exclude_none=True)
    assert [key for key in filled if key not in EXAMPLES[name]] == FILLED_IN[name].split()
