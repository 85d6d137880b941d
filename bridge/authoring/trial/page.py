"""Page of a trial: one self-contained HTML file with what the rules would have done, and the files to keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from bridge.authoring.backtest.report import KEY, charts, document, figure, table
from bridge.authoring.backtest.results import BacktestRequest
from bridge.authoring.trial.trial import Trial, waiting
from bridge.domain.times import Timestamp, format_duration, rfc3339

SHOWN = 100  # requests and models in one list
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_REQUESTS = {"at": "at", "model": "model", "rule": "rule", "reason": "reason", "budget": "with one a week"}
_RULES = {"rule": "rule", "kind": "kind", "requests": "requests", "notified": "notifications", "models": "models"}


def sentences(trial: Trial) -> Iterator[str]:
    """Yield the results in sentences, most important first."""
    results, sent = trial.results, trial.results.sent()
    span = format_duration((results.until - results.since) // 60_000 * 60_000)
    models = len(trial.table)
    if not models:
        yield f"No model had a value at an evaluated time in the last {span}, so no rule was evaluated."
        yield _why_no_model(trial)
        yield from (f"{rule}: {message}" for rule, message in results.errors.items())
        return
    whom = f", for {_count(len({item.model for item in sent}), 'model')}" if sent else ""
    asked = f"{_count(len(sent), 'retraining')}{whom}"
    yield f"On {_count(models, 'model')} over the last {span}, these rules would have requested {asked}."
    held = waiting(sent)
    if len(sent) > 1:
        budget = "With a budget of one request a week (budget: {total: 1/week})"
        yield f"{budget}, {_number(len(held))} would have been held."
    notified = sum(tally.notified for tally in results.rules.values())
    if notified:
        yield f"Rules that only notify would have sent {_count(notified, 'notification')}."
    missing = trial.without_verdict
    if missing:
        few = "has" if len(missing) == 1 else "have"
        yield f"{_count(len(missing), 'model').capitalize()} {few} too few values for a verdict so far."
    yield from _limits(trial)


def _why_no_model(trial: Trial) -> str:
    """Return why no model had a value."""
    if not trial.present:
        return "Their metrics are known to this Prometheus, but their queries return no series, now or in this period."
    own, offset = format_duration(trial.interval), format_duration(trial.offset)
    whose = "has a value now: the" if trial.present == 1 else "have values now: their"
    return (
        f"{_count(trial.present, 'model').capitalize()} {whose} history is too short. Rules are "
        f"evaluated every {own}, {offset} in the past; try again in {format_duration(trial.interval + trial.offset)}."
    )


def _limits(trial: Trial) -> Iterator[str]:
    """Yield what makes the results less than a full answer."""
    results = trial.results
    if trial.begins - trial.asked_since > (results.until - trial.asked_since) // 10:
        yield f"The history of these models begins at {_when(trial.begins)}."
    if trial.step > trial.interval:
        step, own = format_duration(trial.step), format_duration(trial.interval)
        yield f"For a quick answer, the trial evaluated every {step}; the bridge evaluates every {own}."
    if trial.stopped:
        yield f"The time limit ended the trial at {_when(results.until)}; --time-limit sets a longer one."
    for rule, message in results.errors.items():
        yield f"{rule}: {results.rules[rule].failed} evaluations failed; last error: {message}"


def page(trial: Trial) -> str:
    """Return the page."""
    results, sent = trial.results, trial.results.sent()
    held = {item.id for item in waiting(sent)}
    drawn, left_out = charts(results, trial.recorder, trial.table, ())
    span = f"{_when(results.since)} to {_when(results.until)}"
    said = [escape(text) for text in sentences(trial)]
    body = [
        f"<h1>What these rules would have done</h1><p>{said[0]}</p>",
        "".join(f"<p>{text}</p>" for text in said[1:]),
        f'<p class="soft">{escape(trial.url)}, {span}, {results.slots:,} evaluations. Nothing was sent.</p>',
        "<h2>Requests</h2>",
        _requests(sent, held),
    ]
    if drawn:
        body += ["<h2>Where, and why</h2>", KEY, *(figure(chart, number) for number, chart in enumerate(drawn))]
    if left_out:
        body.append(f'<p class="soft">{left_out} more charts are omitted.</p>')
    body += ["<h2>Rules</h2>", table(_RULES, _rules(trial))]
    body += ["<h2>What this Prometheus holds</h2>", *_found(trial)]
    body += _list("Models with too few values", map(str, trial.without_verdict))
    body += ["<h2>Files to keep</h2>", *_files(trial)]
    return document("What these rules would have done", body)


def _requests(sent: Sequence[BacktestRequest], held: set[str]) -> str:
    if not sent:
        return (
            "<p>None. Either the models were well, or the rules miss what hurts you: compare with your incidents.</p>"
        )
    rows = (
        {
            "at": _when(item.sent_at), "model": item.model, "rule": item.rule, "reason": item.reason,
            "budget": "held" if item.id in held else "sent",
        }
        for item in sent[:SHOWN]
    )  # fmt: skip
    more = f'<p class="soft">and {len(sent) - SHOWN} more</p>' if len(sent) > SHOWN else ""
    return table(_REQUESTS, rows) + more


def _rules(trial: Trial) -> Iterator[dict[str, object]]:
    for row in trial.results.rows():
        if row["rule"]:
            yield {**row, "notified": trial.results.rules[row["rule"]].notified}


def _found(trial: Trial) -> Iterator[str]:
    """Yield what was found: packs with their signals, and rules on other metrics."""
    suggestion = trial.config.suggestion
    yield f"<p>{suggestion.metrics:,} metrics.</p>"
    for pack in suggestion.packs:
        signals = [f"{signal.name}: {signal.text}" for signal in pack.signals]
        yield from _list(f"Rule pack {pack.name} ({pack.server})", signals)
    guessed = [f"{rule.metric}: {_count(rule.models, 'model')}, rule {rule.name}" for rule in trial.config.rules]
    yield from _list("Metrics that look like signals of models, a guess by their names and labels", guessed)
    yield from _list("Notes", trial.config.notes)


def _files(trial: Trial) -> Iterator[str]:
    for name, text in trial.config.files.items():
        yield f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"


def _list(title: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    if not found:
        return []
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    items = "".join(f"<li>{escape(line)}</li>" for line in [*found[:SHOWN], *more])
    return [f"<h3>{escape(title)}</h3><ul>{items}</ul>"]


def _when(at: Timestamp) -> str:
    return rfc3339(at)[:16].replace("T", " ") + " UTC"


def _number(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else f"{number:,}"


def _count(number: int, noun: str) -> str:
    return f"{_number(number)} {noun}{'' if number == 1 else 's'}"
