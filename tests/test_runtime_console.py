"""Test the terminal output of a run: progress bar, plain lines, and tables."""

import contextlib
import dataclasses
import io
from typing import Any

import pytest

from pipeline.runtime import console
from pipeline.runtime.console import Display
from w2v.training.history import Epoch, TrainState


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def test_a_line_is_printed_as_text() -> None:
    file = io.StringIO()
    Display(file).say("[red]a\x1b[31mb[/red] " + "long " * 100)
    assert file.getvalue() == "[red]a\\x1b[31mb[/red] " + "long " * 100 + "\n"


def test_progress_is_a_bar_in_a_terminal(terminal: Terminal) -> None:
    display = Display(terminal)
    with display.bar("tokenize"):
        display.downloading("a.zip", 25_000_000, 100_000_000)
        assert display.progress is not None
        display.progress.refresh()
        display.reading(1000, 5_000_000, 0.5)
        display.progress.refresh()
    assert display.progress is None
    shown = terminal.getvalue()
    assert "a.zip  25.0 of 100.0 MB" in shown
    assert "1,000 documents, 5.0 MB" in shown


@pytest.mark.parametrize(("seconds", "lines"), [(-1.0, 2), (3600.0, 0)])
def test_progress_is_a_line_now_and_then_elsewhere(
    monkeypatch: pytest.MonkeyPatch, seconds: float, lines: int
) -> None:
    monkeypatch.setattr(console, "PLAIN_SECONDS", seconds)
    file = io.StringIO()
    display = Display(file)
    with display.bar("tokenize"):
        display.hashing(5_000_000, 0.25)
        display.joining(2, 0.5)
    shown = file.getvalue().splitlines()
    assert len(shown) == lines
    if lines:
        assert shown[0].startswith("   25%  5.0 MB  ")
        assert shown[0].endswith(" s left")
        assert shown[1] == "   50%  phrases, pass 2"


EPOCH = Epoch(epoch=1, loss=2.5, heldout_loss=None, lr=0.1, words=1_000_000, pairs=9.0, seconds=2.0)


@pytest.mark.parametrize(("words", "part"), [(0, "0%"), (994, "99%"), (999, "99%")])
def test_a_training_that_goes_on_is_not_at_its_end(words: int, part: str) -> None:
    file = io.StringIO()
    display = Display(file)
    display.start(1000)
    display.resume(TrainState(epoch=4, words=words))
    assert file.getvalue() == f"  goes on in epoch 4, after {part} of the words\n"


def test_a_job_of_a_sweep_prints_only_warnings() -> None:
    files = io.StringIO(), io.StringIO()
    for file, display in zip(
        files, (Display(files[0]), Display(files[1], quiet=True)), strict=True
    ):
        display.stage("vocab", "11 words", False, 0.25)
        display.epoch(EPOCH)
        display.say("a warning")
        assert file.getvalue().endswith("a warning\n")
    assert files[0].getvalue().splitlines() == [
        "vocab     11 words  (0.2 s)",
        "  epoch 1  loss 2.500  held-out –  500 k words/s",
        "a warning",
    ]
    assert files[1].getvalue() == "a warning\n"


def test_a_score_has_its_own_name_in_the_line_of_an_epoch() -> None:
    file = io.StringIO()
    names = ("similarity/mean/spearman", "similarity/mine/pearson", "similarity/mine/coverage")
    scores = dict(zip(names, (0.068, 0.049, 1.0), strict=True))
    Display(file).epoch(dataclasses.replace(EPOCH, scores=scores))
    assert file.getvalue() == (
        "  epoch 1  loss 2.500  held-out –  500 k words/s"
        "  mean 0.068  mine pearson 0.049  mine coverage 1.000\n"
    )


def row(dim: int, mean: float, **more: Any) -> dict[str, Any]:
    figures = {"low": None, "high": None, "p": None, "overlap": None, "seconds": None}
    return {"model.dim": dim, "mean": mean, "seeds": 1, "verdict": "", **figures, **more}


@pytest.mark.parametrize(("width", "full"), [(120, True), (80, False)])
def test_the_table_of_a_sweep_fits_the_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, width: int, full: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [
        row(100, 0.5, low=0.25, high=0.75, verdict="best", seconds=612.4),
        row(50, 0.25, p=0.0001, verdict="worse", overlap=0.5, seconds=0.25),
    ]
    display = Display(terminal)
    display.configurations("heldout_loss", ["model.dim"], {"": rows}, [])
    shown = terminal.getvalue()
    assert "0.2500 … 0.7500" in shown
    for text in ("612 s", "0.25 s", "< 0.001", "50%"):
        assert (text in shown) == full


def test_what_a_job_of_a_sweep_says_does_not_break_into_the_line_of_the_sweep() -> None:
    display = Display(quiet=True)
    with contextlib.redirect_stdout(io.StringIO()) as live:  # as Rich does while it shows a line
        display.say("a warning", "yellow")
    assert live.getvalue() == "a warning\n"
