"""Show a run in the terminal: a progress bar, a line for each stage, tables of results.

In a pipe or a file, plain lines now and then take the place of the bar.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pipeline.config.values import as_text, short_names, shortened
from w2v.errors import sanitize
from w2v.training.history import Epoch, Point, TrainState

PLAIN_SECONDS = 10.0
"""Time between two lines of progress where the output is not a terminal."""

PLAIN_WIDTH = 160
"""Width of tables where the output is not a terminal, in characters."""

FULL_TABLE_WIDTH = 100
"""The table of a sweep leaves out some columns in a terminal that is narrower than this."""


def format_rate(words_per_second: float) -> str:
    """Return a rate such as ``1.23 M words/s`` or ``456 k words/s``."""
    if words_per_second >= 1e6:
        return f"{words_per_second / 1e6:.2f} M words/s"
    return f"{words_per_second / 1e3:.0f} k words/s"


def format_figure(value: float | None) -> str:
    """Return a number with three decimals, or a dash for ``None``."""
    return "–" if value is None else f"{value:.3f}"


def format_p_value(p: float) -> str:
    """Return a probability with three decimals, or ``< 0.001``."""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


def format_duration(seconds: float) -> str:
    """Return a duration such as ``0.25 s``, ``4.1 s`` or ``612 s``."""
    digits = 0 if seconds >= 100 else 1 if seconds >= 1 else 2
    return f"{seconds:.{digits}f} s"


def format_interval(ends: Sequence[float] | None) -> str:
    """Return an interval such as ``0.12 … 0.34``, or a dash for ``None``."""
    return "–" if ends is None else "{:.2f} … {:.2f}".format(*ends)


def make_table(title: str, left: Iterable[str], right: Iterable[str]) -> Table:
    """Return an empty table whose columns are aligned left or right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, no_wrap=True, justify="right")
    return table


class Display:
    """Shows one run: the stages, the progress of training, and the results.

    Parameters
    ----------
    file
        Where to write; ``None`` for standard output.
    """

    def __init__(self, file: Any = None) -> None:
        self.console = Console(file=file or sys.stdout, highlight=False, soft_wrap=True)
        self.progress: Progress | None = None
        self.task = TaskID(0)
        self.training_words = 0
        self.bar_begun = 0.0
        """When the bar of the current stage was started."""
        self.line_shown = 0.0
        """When the last plain line of progress was printed."""

    def table_console(self) -> Console:
        """Return a console for tables, which is wide enough where there is no terminal."""
        if self.console.is_terminal:
            return self.console
        width = max(self.console.width, PLAIN_WIDTH)
        return Console(file=self.console.file, width=width, highlight=False)

    def say(self, line: str, style: str = "") -> None:
        """Print a line of text as it is: markup and escape sequences in it have no effect."""
        self.console.print(Text(sanitize(line, terminal=True), style=style))

    def stage(self, name: str, detail: str, cached: bool, seconds: float) -> None:
        """Print that a stage has its result."""
        how = "cached" if cached else f"{seconds:.1f} s"
        self.say(f"{name:<9} {detail}  ({how})")

    @contextmanager
    def bar(self, name: str) -> Iterator[None]:
        """Show progress in the block: in a terminal by a bar that disappears at the end."""
        self.line_shown = self.bar_begun = time.monotonic()
        if not self.console.is_terminal:
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

    def _show(self, line: str, **update: Any) -> None:
        if self.progress is not None:
            self.progress.update(self.task, detail=line, **update)
        elif time.monotonic() - self.line_shown > PLAIN_SECONDS:
            self.line_shown = time.monotonic()
            self.say(f"  {line}")

    def downloading(self, name: str, done: int, total: int | None) -> None:
        """Show how much of a file has been downloaded, in bytes."""
        speed = done / max(time.monotonic() - self.bar_begun, 1e-3)
        size = f"{done / 1e6:.1f}" + (f" of {total / 1e6:.1f}" if total else "")
        line = f"{name}  {size} MB  {speed / 1e6:.1f} MB/s"
        if done == total:
            self._show(line, completed=0, total=None)  # the bar shows the stage again
        else:
            self._show(line, completed=done, total=total)

    def reading(self, documents: int, size: int, fraction: float | None) -> None:
        """Show how much text has been read: documents, bytes, and the fraction of all if known."""
        self._show_bytes(f"{documents:,} documents, ", size, fraction)

    def hashing(self, size: int, fraction: float | None) -> None:
        """Show how much of the files has been read to compute their checksums."""
        self._show_bytes("", size, fraction)

    def _show_bytes(self, prefix: str, size: int, fraction: float | None) -> None:
        seconds = max(time.monotonic() - self.bar_begun, 1e-6)
        line = f"{prefix}{size / 1e6:.1f} MB  {size / 1e6 / seconds:.1f} MB/s"
        if fraction and self.progress is None:  # the bar has a column for the time left
            left = seconds * (1 - fraction) / fraction
            line = f"{fraction:4.0%}  {line}  {left:.0f} s left"
        total = None if fraction is None else 1.0
        self._show(line, completed=fraction or 0.0, total=total)

    def joining(self, number: int, fraction: float) -> None:
        """Show how much of a pass that joins words to phrases is done."""
        self._show(f"{fraction:4.0%}  phrases, pass {number}", completed=fraction, total=1.0)

    def start(self, words: int) -> None:
        """Set the number of words that training will read."""
        self.training_words = words
        if self.progress is not None:
            self.progress.update(self.task, total=words)

    def point(self, point: Point) -> None:
        """Show the state of training."""
        fraction = f"{point.words / self.training_words:4.0%}"
        speed, loss = format_rate(point.words / point.seconds), format_figure(point.loss)
        self._show(
            f"{fraction}  epoch {point.epoch}  {speed}  loss {loss}  lr {point.lr:.4f}",
            completed=point.words,
        )

    def resume(self, state: TrainState) -> None:
        """Print the epochs that were finished before, and where training continues."""
        for epoch in state.epochs:
            self.epoch(epoch)
        fraction = state.words / self.training_words
        self.say(f"  goes on in epoch {state.epoch}, after {fraction:.0%} of the words", "green")

    def epoch(self, epoch: Epoch) -> None:
        """Print the losses of an epoch."""
        self.say(
            f"  epoch {epoch.epoch}  loss {format_figure(epoch.loss)}  "
            f"held-out {format_figure(epoch.heldout_loss)}  "
            f"{format_rate(epoch.words / epoch.seconds)}"
        )

    def results(
        self,
        title: str,
        lines: Sequence[tuple[str, float | None, Sequence[float] | None, str]],
        neighbours: Mapping[str, Sequence[str]],
        report: str,
    ) -> None:
        """Print the results of a run.

        Parameters
        ----------
        lines
            For each score its name, its value, its 95 % interval, and how much data it used.
        neighbours
            Some words with their nearest neighbours.
        report
            The path of the report.
        """
        table = make_table(title, ["benchmark"], ["score", "95 % interval", "used"])
        for name, score, interval, used in lines:
            table.add_row(name, format_figure(score), format_interval(interval), used)
        self.console.print()
        self.console.print(table)
        if neighbours:
            self.console.print()
            for word, nearest in list(neighbours.items())[:8]:
                self.say(f"{word:>14}  {', '.join(nearest)}")
        self.console.print()
        self.say(f"report    {report}")

    def configurations(
        self,
        objective: str,
        axes: Sequence[str],
        groups: Mapping[str, Sequence[Mapping[str, Any]]],
        compared_within: Sequence[str],
    ) -> None:
        """Print the table of a sweep's configurations, the best first in each group.

        Parameters
        ----------
        objective
            The figure by which configurations are compared.
        axes
            The settings that the sweep varies.
        groups
            The rows, by group: configurations of different groups cannot be compared.
        compared_within
            The settings that are equal within a group.
        """
        title = f"by {objective}"
        if compared_within:
            title += f", which compares only within equal {', '.join(compared_within)}"
        console = self.table_console()
        full = console.width >= FULL_TABLE_WIDTH
        names = short_names(axes).values()
        table = make_table(title, names, ["mean", "95 % interval", "seeds"])
        table.add_column("verdict", no_wrap=True)
        for column in ("p", "overlap", "training") if full else ():
            table.add_column(column, justify="right", no_wrap=True)
        styles = {"best": "bold green", "worse": "dim"}
        every = [row for rows in groups.values() for row in rows]
        values = {axis: shortened(as_text(row[axis]) for row in every) for axis in axes}
        for rows in groups.values():
            for row in rows:
                interval = "–"
                if row["low"] is not None:
                    interval = f"{row['low']:.4f} … {row['high']:.4f}"
                cells = [
                    *(Text(values[axis][as_text(row[axis])]) for axis in axes),
                    f"{row['mean']:.4f}",
                    interval,
                    str(row["seeds"]),
                    row["verdict"],
                    "–" if row["p"] is None else format_p_value(row["p"]),
                    "–" if row["overlap"] is None else f"{row['overlap']:.0%}",
                    "–" if row["seconds"] is None else format_duration(row["seconds"]),
                ]
                cells = cells if full else cells[:-3]
                table.add_row(*cells, style=styles.get(row["verdict"], ""))
            table.add_section()
        console.print()
        console.print(table)


class JobDisplay(Display):
    """Shows one job of a sweep: warnings, and the bar unless jobs run at the same time.

    The sweep prints a line for each job when it ends.

    Parameters
    ----------
    parallel
        Whether several jobs run at the same time.
    file
        Where to write; ``None`` for standard output.
    """

    def __init__(self, parallel: bool, file: Any = None) -> None:
        super().__init__(file)
        self.parallel = parallel

    @contextmanager
    def bar(self, name: str) -> Iterator[None]:
        if self.parallel:
            yield
            return
        with super().bar(name):
            yield

    def stage(self, name: str, detail: str, cached: bool, seconds: float) -> None:
        pass

    def epoch(self, epoch: Epoch) -> None:
        pass

    def results(self, *results: Any) -> None:
        pass

    def _show(self, line: str, **update: Any) -> None:
        if self.progress is not None:
            super()._show(line, **update)
