"""What a person sees in the terminal; in a pipe or a file, plain lines now and then."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pipeline.config.values import brief, short_names, shown
from pipeline.corpora.download import Received
from w2v.errors import harmless
from w2v.training.train import Epoch, Point, TrainState

PLAIN_SECONDS = 10.0
"""Between two lines where the output is not a terminal."""


def rate(words_per_second: float) -> str:
    """``1.23 M words/s``."""
    if words_per_second >= 1e6:
        return f"{words_per_second / 1e6:.2f} M words/s"
    return f"{words_per_second / 1e3:.0f} k words/s"


def figure(value: float | None) -> str:
    """Three decimals, or a dash where there is no figure."""
    return "–" if value is None else f"{value:.3f}"


def chance(p: float) -> str:
    """Three decimals, or that it is less than they can tell."""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


def duration(seconds: float) -> str:
    """``0.25 s``, ``4.1 s`` or ``612 s``."""
    digits = 0 if seconds >= 100 else 1 if seconds >= 1 else 2
    return f"{seconds:.{digits}f} s"


def interval(ends: Sequence[float] | None) -> str:
    """``0.12 … 0.34``, or a dash where there is none."""
    return "–" if ends is None else "{:.2f} … {:.2f}".format(*ends)


class Watch:
    """Shows one run: stages as they end, training as it goes, results at the end."""

    def __init__(self, file: Any = None) -> None:
        self.console = Console(file=file or sys.stdout, highlight=False, soft_wrap=True)
        self.progress: Progress | None = None
        self.task = TaskID(0)
        self.total = 0
        self.shown = 0.0
        self.begun = 0.0

    def wide(self) -> Console:
        """Where tables go: outside a terminal nothing breaks their lines."""
        if self.console.is_terminal:
            return self.console
        width = max(self.console.width, WIDE)
        return Console(file=self.console.file, width=width, highlight=False)

    def say(self, line: str, style: str = "") -> None:
        """Print one line; whatever it holds is text, never markup nor an escape sequence."""
        self.console.print(Text(harmless(line), style=style))

    def stage(self, name: str, detail: str, cached: bool, seconds: float) -> None:
        """Say that a stage has its result."""
        how = "cached" if cached else f"{seconds:.1f} s"
        self.say(f"{name:<9} {detail}  ({how})")

    @contextmanager
    def bar(self, name: str) -> Iterator[None]:
        """Show progress in the block; in a terminal, as a bar that goes when it ends."""
        self.shown = self.begun = time.monotonic()
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
        elif time.monotonic() - self.shown > PLAIN_SECONDS:
            self.shown = time.monotonic()
            self.say(f"  {line}")

    def received(self, of: Received) -> None:
        """Show a download."""
        size = f"{of.done / 1e6:.1f}" + (f" of {of.total / 1e6:.1f}" if of.total else "")
        line = f"{of.name}  {size} MB  {of.speed / 1e6:.1f} MB/s"
        if of.done == of.total:
            self._show(line, completed=0, total=None)  # the bar is the stage's again
        else:
            self._show(line, completed=of.done, total=of.total)

    def reading(self, documents: int, size: int, share: float | None) -> None:
        """Show how much text has been read, and its share of all where that is known."""
        self._read(f"{documents:,} documents, ", size, share)

    def hashed(self, size: int, share: float | None) -> None:
        """Show how far files have been read for their checksums."""
        self._read("", size, share)

    def _read(self, what: str, size: int, share: float | None) -> None:
        seconds = max(time.monotonic() - self.begun, 1e-6)
        line = f"{what}{size / 1e6:.1f} MB  {size / 1e6 / seconds:.1f} MB/s"
        if share and self.progress is None:  # the bar has a column for the time left
            line = f"{share:4.0%}  {line}  {seconds * (1 - share) / share:.0f} s left"
        total = None if share is None else 1.0
        self._show(line, completed=share or 0.0, total=total)

    def joining(self, number: int, share: float) -> None:
        """Show how much of a pass over the text for phrases is done."""
        self._show(f"{share:4.0%}  phrases, pass {number}", completed=share, total=1.0)

    def start(self, words: int) -> None:
        """Learn how many words training will read."""
        self.total = words
        if self.progress is not None:
            self.progress.update(self.task, total=words)

    def point(self, point: Point) -> None:
        """Show the state of training."""
        share = f"{point.words / self.total:4.0%}"
        speed = rate(point.words / point.seconds)
        self._show(
            f"{share}  epoch {point.epoch}  {speed}  loss {figure(point.loss)}  lr {point.lr:.4f}",
            completed=point.words,
        )

    def resume(self, at: TrainState) -> None:
        """Say where training goes on."""
        for epoch in at.epochs:
            self.epoch(epoch)
        share = at.words / self.total
        self.say(f"  goes on in epoch {at.epoch}, after {share:.0%} of the words", "green")

    def epoch(self, epoch: Epoch) -> None:
        """Say how an epoch ended."""
        self.say(
            f"  epoch {epoch.epoch}  loss {figure(epoch.loss)}  "
            f"held-out {figure(epoch.heldout_loss)}  {rate(epoch.words / epoch.seconds)}"
        )

    def results(
        self, title: str, scores: Mapping[str, Any], neighbours: Mapping[str, Sequence[str]]
    ) -> None:
        """Show the scores and some neighbours."""
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for column in ("benchmark", "score", "95 % interval", "used"):
            table.add_column(column, justify="left" if column == "benchmark" else "right")
        for name, s in scores["similarity"].items():
            used = f"{s['pairs']} of {s['total']} pairs"
            table.add_row(f"{name}  Spearman", figure(s["spearman"]), interval(s["ci95"]), used)
        for name, a in scores["analogy"].items():
            used = f"{a['questions']:,} of {a['total']:,}, top {a['vocabulary']:,} words"
            table.add_row(f"{name}  accuracy", figure(a["accuracy"]), interval(a["ci95"]), used)
        if "stability" in scores:
            s = scores["stability"]
            used = f"{s['k']} each of {s['words']:,} words"
            table.add_row("shared neighbours", figure(s["overlap"]), interval(s["ci95"]), used)
        self.console.print()
        self.console.print(table)
        if neighbours:
            self.console.print()
            for word, nearest in list(neighbours.items())[:8]:
                self.say(f"{word:>14}  {', '.join(nearest)}")
        self.console.print()

    def configurations(
        self,
        objective: str,
        axes: Sequence[str],
        groups: Mapping[str, Sequence[Mapping[str, Any]]],
        compared_within: Sequence[str],
    ) -> None:
        """Show the configurations of a sweep, best first within each group that compares."""
        title = f"by {objective}"
        if compared_within:
            title += f", which compares only within equal {', '.join(compared_within)}"
        console = self.wide()
        wide = console.width >= NARROW
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in short_names(axes).values():
            table.add_column(name, no_wrap=True)
        for column in ("mean", "95 % interval", "seeds"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for column in ("p", "overlap", "training") if wide else ():
            table.add_column(column, justify="right", no_wrap=True)
        styles = {"best": "bold green", "worse": "dim"}
        every = [row for rows in groups.values() for row in rows]
        values = {axis: brief(shown(row[axis]) for row in every) for axis in axes}
        for rows in groups.values():
            for row in rows:
                spread = "–"
                if row["low"] is not None:
                    spread = f"{row['low']:.4f} … {row['high']:.4f}"
                cells = [
                    *(Text(values[axis][shown(row[axis])]) for axis in axes),
                    f"{row['mean']:.4f}",
                    spread,
                    str(row["seeds"]),
                    row["verdict"],
                    "–" if row["p"] is None else chance(row["p"]),
                    "–" if row["overlap"] is None else f"{row['overlap']:.0%}",
                    "–" if row["seconds"] is None else duration(row["seconds"]),
                ]
                cells = cells if wide else cells[:-3]
                table.add_row(*cells, style=styles.get(row["verdict"], ""))
            table.add_section()
        console.print()
        console.print(table)


WIDE, NARROW = 160, 100
"""Characters in a line where there is no terminal; and where some columns are left out."""


class JobWatch(Watch):
    """Shows a job of a sweep: the bars of one that runs alone, and warnings; the rest is told in
    a line at its end."""

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

    def _show(self, line: str, **update: Any) -> None:
        if self.progress is not None:
            super()._show(line, **update)
