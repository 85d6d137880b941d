"""Saved progress of a backtest: continued, refused, or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.authoring.backtest import progress as resuming
from bridge.authoring.backtest.backtest import parts
from bridge.authoring.backtest.progress import BacktestError
from bridge.domain.times import MINUTE
from tests.authoring.backtest.test_backtest import FIRST, LAST, PLAN, Wave, interrupted, run


@pytest.mark.parametrize("charts", [False, True])
def test_an_interrupted_run_continues_from_its_last_part(tmp_path: Path, charts: bool) -> None:
    """Three times; results and charts equal those of an uninterrupted run."""
    whole = run(charts=charts)
    expected = whole.run()
    for after in (2, 30, 40):
        interrupted(tmp_path, after, charts=charts)
    last = run(tmp_path, charts=charts)
    assert last.run() == expected
    if charts:
        assert last.recorder is not None
        assert whole.recorder is not None
        assert last.recorder.recording() == whole.recorder.recording()


def test_a_complete_run_sends_no_query(tmp_path: Path) -> None:
    """Only the rest is queried; nothing for a completed run."""
    interrupted(tmp_path, 40)
    test = run(tmp_path)
    test.run()
    assert isinstance(test.source, Wave)
    asked = [at for _, at in test.source.asked]
    assert min(asked) >= parts(FIRST, LAST)[39][1]
    again = run(tmp_path)
    again.run()
    assert isinstance(again.source, Wave)
    assert again.source.asked == []


def test_a_folder_of_another_backtest_is_refused(tmp_path: Path) -> None:
    """Its results belong to other rules."""
    interrupted(tmp_path, 2)
    with pytest.raises(BacktestError, match="contains a backtest with other"):
        run(tmp_path, plan=PLAN.at_step(MINUTE)).run()
    with pytest.raises(BacktestError, match="contains a backtest with other"):
        run(tmp_path, charts=True).run()


def test_damaged_progress_is_refused(tmp_path: Path) -> None:
    """It is refused, not guessed."""
    (tmp_path / "backtest.msgpack").write_bytes(b"\x00garbage")
    with pytest.raises(BacktestError, match="damaged"):
        run(tmp_path).run()


def test_a_folder_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    """As the file that it is."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BacktestError, match=r"cannot read .*: Not a directory"):
        run(tmp_path / "file").run()


def test_the_saved_range_belongs_to_its_arguments(tmp_path: Path) -> None:
    """`now` keeps its meaning when the command is repeated; other words mean another range."""
    assert resuming.span(tmp_path, ("then", "now")) is None
    interrupted(tmp_path, 1)
    assert resuming.span(tmp_path, ("then", "now")) == (FIRST, LAST)
    assert resuming.span(tmp_path, ("earlier", "now")) is None


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the disk that is full."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BacktestError, match=r"cannot write to .*: No space left on device"):
        run(tmp_path).run()
