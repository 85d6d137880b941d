"""Page of a trial: sentences, charts and files."""

from __future__ import annotations

from dataclasses import replace

from bridge.authoring.suggest.first_config import FirstConfig
from bridge.authoring.suggest.suggest import Suggestion
from bridge.authoring.trial.page import page, sentences
from bridge.authoring.trial.trial import Trial
from bridge.domain.times import DAY, MINUTE
from tests.authoring.backtest.test_backtest import FIRST, LAST, run
from tests.authoring.trial.test_trial import FILES, trial


def test_results_are_sentences() -> None:
    """Requests, a budget, and notifications, in words."""
    assert list(sentences(trial())) == [
        "On three models over the last 3d, these rules would have requested 12 retrainings, for two models.",
        "With a budget of one request a week (budget: {total: 1/week}), 11 would have been held.",
        "Rules that only notify would have sent 12 notifications.",
    ]


def test_limits_of_a_trial_are_reported() -> None:
    """A longer interval, and a time limit that ended it."""
    said = list(sentences(trial(until=LAST + DAY, step=5 * MINUTE)))
    assert "For a quick answer, the trial evaluated every 5m; the bridge evaluates every 1m." in said
    assert said[-1].startswith("The time limit ended the trial at 20")


def test_a_trial_without_models_has_no_result() -> None:
    """Instead of a result of no request, which would sound like good news."""
    test = run(charts=True)
    results = replace(test.run(), requests={})
    assert test.recorder is not None
    nobody, found = type(test.table)(), FirstConfig(Suggestion(1), FILES)
    empty = Trial("u", found, results, test.recorder, nobody, MINUTE, MINUTE, 30_000, 0, FIRST, LAST)
    nothing = "No model had a value at an evaluated time in the last 3d, so no rule was evaluated."
    assert list(sentences(empty)) == [
        nothing,
        "Their metrics are known to this Prometheus, but their queries return no series, now or in this period.",
    ]
    _, why = sentences(replace(empty, present=2))
    assert why.startswith("Two models have values now: their history is too short.")
    assert why.endswith("Rules are evaluated every 1m, 30s in the past; try again in 1m30s.")


def test_the_page_has_requests_charts_and_files() -> None:
    """All text is escaped; nothing is loaded from elsewhere."""
    text = page(trial())
    assert text.count("<figure") == 6
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text
    assert "<summary>bridge.yml</summary><pre># &lt;b&gt;mine&lt;/b&gt;" in text
    assert ">held</td>" in text
    assert "src=" not in text.partition("<style>")[0]
