"""Terminal output of a run: a progress bar or lines, a line per stage, and tables of results."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from w2v.errors import sanitize
from w2v.labels import (
    as_text,
    format_duration,
    format_figure,
    format_interval,
    format_part,
    format_rate,
    format_scores,
    short_names,
    shortened,
)
from w2v.training.history import Epoch, Point, TrainState

PLAIN_SECONDS = 10.0
"""Seconds between two lines of progress where the output is not a terminal."""


def make_table(title: str, left: Iterable[str], right: Iterable[str]) -> Table:
    """Return an empty table with left-aligned columns `left` and right-aligned columns `right`."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, no_wrap=True, justify="right")
    return table


class Display:
    """Prints the progress and the results of a run or a sweep.

    With `quiet`, used for jobs of a sweep, only the progress bar and lines given to `say`, such as
    warnings, are shown. Jobs that run in parallel need ``bars=False``.
    """

    def __init__(self, file: Any = None, quiet: bool = False, bars: bool = True) -> None:
        self.file = file
        self.console = Console(file=file or sys.stdout, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = max(self.console.width, 160)  # for tables
        self.quiet = quiet
        self.bars = bars and self.console.is_terminal
        self.progress: Progress | None = None
        self.task = TaskID(0)
        self.training_words = 0
        self.bar_begun = 0.0
        """When the current stage began, in seconds of `time.monotonic`."""
        self.line_shown = 0.0
        """When a line of progress was last printed, or the stage began, by `time.monotonic`."""

    def say(self, line: str, style: str = "") -> None:
        """Print a line, even if quiet; markup and escape sequences in it have no effect."""
        if self.quiet:  # Rich's console would write into the line that shows the sweep
            print(sanitize(line, terminal=True), file=self.file, flush=True)
            return
        self.console.print(Text(sanitize(line, terminal=True), style=style))

    def _tell(self, line: str, style: str = "") -> None:
        """Print a line unless the display is quiet."""
        if not self.quiet:
            self.say(line, style)

    def stage(self, name: str, detail: str, cached: bool, seconds: float) -> None:
        """Print the name of a finished stage, the text `detail`, and its time or "cached"."""
        how = "cached" if cached else f"{seconds:.1f} s"
        self._tell(f"{name:<9} {detail}  ({how})")

    @contextmanager
    def bar(self, name: str) -> Iterator[None]:
        """Show a progress bar during the block, if `bars` is set and the output is a terminal."""
        self.line_shown = self.bar_begun = time.monotonic()
        if not self.bars:
            yield
            return
        columns = (
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self.console, transient=True) as self.progress:
            self.task = self.progress.add_task(name, total=None, detail="")
            yield
        self.progress = None

    def _show(self, line: str, done: float, total: float | None) -> None:
        if self.progress is not None:
            self.progress.update(self.task, detail=line, completed=done, total=total)
        elif time.monotonic() - self.line_shown > PLAIN_SECONDS:
            self.line_shown = time.monotonic()
            self._tell(f"  {line}")

    def _rate(self, size: int, shown: str) -> str:
        seconds = max(time.monotonic() - self.bar_begun, 1e-3)
        return f"{shown} MB  {size / 1e6 / seconds:.1f} MB/s"

    def downloading(self, name: str, done: int, total: int | None) -> None:
        """Show the progress of a download in bytes; `total` is ``None`` if unknown."""
        size = f"{done / 1e6:.1f}" + (f" of {total / 1e6:.1f}" if total else "")
        self._show(f"{name}  {self._rate(done, size)}", done, total)

    def reading(self, documents: int, size: int, fraction: float | None) -> None:
        """Show how much text has been read: documents, bytes and, if known, the fraction done."""
        self.hashing(size, fraction, f"{documents:,} documents, ")

    def hashing(self, size: int, fraction: float | None, prefix: str = "") -> None:
        """Show the progress of hashing: `prefix`, bytes so far and, if known, the fraction done."""
        line = prefix + self._rate(size, f"{size / 1e6:.1f}")
        if fraction and self.progress is None:  # the bar has a column for the time left
            left = (time.monotonic() - self.bar_begun) * (1 - fraction) / fraction
            line = f"{format_part(fraction):>4}  {line}  {left:.0f} s left"
        self._show(line, fraction or 0.0, None if fraction is None else 1.0)

    def joining(self, number: int, fraction: float) -> None:
        """Show the progress of phrase detection: the `fraction` of pass `number` that is done."""
        self._show(f"{format_part(fraction):>4}  phrases, pass {number}", fraction, 1.0)

    def start(self, words: int) -> None:
        """Set the number of words that training will read, for the progress bar."""
        self.training_words = words

    def point(self, point: Point) -> None:
        """Show the progress of training: epoch, speed, loss and learning rate."""
        fraction = format_part(point.words / self.training_words)
        speed, loss = format_rate(point.words / point.seconds), format_figure(point.loss)
        line = f"{fraction:>4}  epoch {point.epoch}  {speed}  loss {loss}  lr {point.lr:.4f}"
        self._show(line, point.words, self.training_words)

    def resume(self, state: TrainState) -> None:
        """Print the epochs that an interrupted training had finished, and where it continues."""
        for epoch in state.epochs:
            self.epoch(epoch)
        fraction = format_part(state.words / self.training_words)
        self._tell(f"  goes on in epoch {state.epoch}, after {fraction} of the words", "green")

    def epoch(self, epoch: Epoch) -> None:
        """Print the training loss, held-out loss, speed and scores of an epoch."""
        losses = f"{format_figure(epoch.loss)}  held-out {format_figure(epoch.heldout_loss)}"
        rate = format_rate(epoch.words / epoch.seconds)
        self._tell(f"  epoch {epoch.epoch}  loss {losses}  {rate}{format_scores(epoch.scores)}")

    def results(
        self,
        title: str,
        lines: Sequence[tuple[str, float | None, Sequence[float] | None, str]],
        neighbours: Mapping[str, Sequence[str]],
        report: str,
    ) -> None:
        """Print a run's scores, nearest neighbors and the path of the report, unless `quiet`.

        Each of `lines` is (score name, score, 95 % confidence interval, benchmark items used);
        None gives a dash. `neighbours` maps words to neighbors; the first eight words are shown.
        """
        if self.quiet:
            return
        table = make_table(title, ["benchmark"], ["score", "95 % interval", "used"])
        for name, score, interval, used in lines:
            ends = interval or (None, None)
            table.add_row(name, format_figure(score), format_interval(*ends), used)
        self.console.print("", table)
        self.console.print()
        for word, nearest in list(neighbours.items())[:8]:
            self.say(f"{word:>14}  {', '.join(nearest)}")
        if neighbours:
            self.console.print()
        self.say(f"report    {report}")

    def configurations(
        self,
        objective: str,
        axes: Sequence[str],
        groups: Mapping[str, Sequence[Mapping[str, Any]]],
        compared_within: Sequence[str],
    ) -> None:
        """Print a table of the configurations of a sweep, ranked by the metric `objective`.

        `axes` are the settings that vary. Configurations are comparable only if they agree in the
        settings `compared_within`. `groups` maps the values of `compared_within`, as one text, to
        the rows of `Sweep.configurations` that have these values.
        """
        title = f"by {objective}"
        if compared_within:
            title += f", which compares only within equal {', '.join(compared_within)}"
        table = make_table(title, short_names(axes).values(), ["mean", "95 % interval", "seeds"])
        table.add_column("verdict", no_wrap=True)
        for column in ("p", "overlap", "training") if self.console.width >= 100 else ():
            table.add_column(column, justify="right", no_wrap=True)
        styles = {"best": "bold green", "worse": "dim"}
        every = [row for rows in groups.values() for row in rows]
        values = {axis: shortened(as_text(row[axis]) for row in every) for axis in axes}
        for rows in groups.values():
            for row in rows:
                p, seconds = row["p"], row["seconds"]
                cells = [
                    *(Text(values[axis][as_text(row[axis])]) for axis in axes),
                    format_figure(row["mean"], ".4f"),
                    format_interval(row["low"], row["high"], ".4f"),
                    str(row["seeds"]),
                    row["verdict"],
                    "< 0.001" if p is not None and p < 0.0005 else format_figure(p),
                    format_figure(row["overlap"], ".0%"),
                    "–" if seconds is None else format_duration(seconds),
                ]
                style = styles.get(row["verdict"], "")
                table.add_row(*cells[: len(table.columns)], style=style)
            table.add_section()
        self.console.print("", table)
