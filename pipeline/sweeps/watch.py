"""Show the progress of a running sweep; with ``report=all``, write reports of finished jobs."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipeline.config.settings import direction_of
from pipeline.stages.report import LATER
from pipeline.sweeps.results import FAILURE, JOB, SWEEP, read_json
from w2v.errors import sanitize
from w2v.training.memory import available_cores

POLL_SECONDS = 0.5
PLAIN_SECONDS = 30.0
"""Seconds between two lines on a sweep's progress where the output is not a terminal."""

PROGRAM = Path(__file__).parents[1] / "run.py"


class Watch:
    """Reads the files of a sweep's jobs to show its progress in a line; works with any launcher."""

    def __init__(self, folder: Path, total: int, objective: str, reports: bool) -> None:
        self.folder = folder
        self.total = total  # the number of jobs, 0 if unknown
        self.objective = objective  # empty if jobs are not comparable
        self.reports = reports  # whether each finished job gets one
        self.started = time.monotonic()
        self.ended: dict[int, str] = {}  # names of ended jobs, by number
        self.values: dict[int, float] = {}  # the objectives of those that finished
        self.running = 0
        self.waiting: list[Path] = []  # folders of jobs without a report
        self.processes: list[subprocess.Popen[bytes]] = []  # that make reports

    def look(self) -> Iterator[str]:
        """Read the jobs' files, and yield a line for each job that has failed since the last call.

        If the attribute `reports` is true, start processes that write finished jobs' HTML reports.
        """
        self.running = 0
        self.total = len(read_json(self.folder / SWEEP).get("jobs", ())) or self.total
        for path in self.folder.glob("[0-9]*"):
            if not path.name.isdecimal() or (number := int(path.name)) in self.ended:
                continue  # the folder of a day, or a job that has ended
            job, failure = read_json(path / JOB), read_json(path / FAILURE)
            if job.get("finished"):
                self.values[number] = job["value"]
                self.waiting += [path] * (self.reports and (path / LATER).exists())
            elif not failure:
                self.running += bool(job)
                continue
            self.ended[number] = job.get("name", str(number))
            if failure:
                yield f"error: job {number} ({self.ended[number]}): {failure['reason']}"
        self.start_reports(max(1, available_cores() // 2))

    def start_reports(self, processes: int) -> None:
        """Start up to `processes` processes to write missing reports, if none is running yet."""
        self.processes = [process for process in self.processes if process.poll() is None]
        if self.processes:
            return
        for first in range(min(processes, len(self.waiting))):
            batch = [f"report={path}" for path in self.waiting[first::processes]]
            command = [sys.executable, str(PROGRAM), *batch]
            self.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        self.waiting.clear()

    def line(self) -> str:
        """Return the progress in a line: jobs ended, running, failed; time left; the best job."""
        done = len(self.ended)
        parts = [f"{done} of {self.total} done" if self.total else f"{done} done"]
        parts += [f"{self.running} running", f"{done - len(self.values)} failed"]
        if done and self.total > done:
            left = (time.monotonic() - self.started) / done * (self.total - done)
            parts.append(f"{left:.0f} s left" if left < 90 else f"{left / 60:.0f} min left")
        if self.values and self.objective:
            best = min if direction_of(self.objective) == "minimize" else max
            number, value = best(self.values.items(), key=lambda item: item[1])
            parts.append(f"best {self.objective} {value:.4f} ({self.ended[number]})")
        return sanitize(", ".join(parts), terminal=True)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Show a sweep's progress in a ``with`` block, and then wait for its jobs' HTML reports.

    If the block raises an error, do not wait. Processes that `watch` starts write the reports.
    """
    stop = threading.Event()
    console = Console(highlight=False, soft_wrap=True)

    def work() -> None:
        shown = time.monotonic()
        live = Live(console=console, transient=True, auto_refresh=False)
        with live if console.is_terminal else nullcontext():
            while not stop.wait(POLL_SECONDS):
                with suppress(OSError, ValueError):  # a file is just being replaced
                    for line in watch.look():
                        if console.is_terminal:
                            console.print(Text(sanitize(line, terminal=True)))
                if console.is_terminal:
                    live.update(Text(watch.line(), no_wrap=True, overflow="ellipsis"), refresh=True)
                elif time.monotonic() - shown > PLAIN_SECONDS:
                    shown = time.monotonic()
                    print(watch.line(), flush=True)

    thread = threading.Thread(target=work, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    list(watch.look())
    while watch.waiting or watch.processes:
        for process in watch.processes:
            process.wait()
        watch.start_reports(available_cores())
