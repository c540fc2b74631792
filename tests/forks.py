"""Run the command ``pipeline/run.py`` many times quickly, in forks of one process.

The one process first imports the modules that the command needs. Then it reads requests from
standard input, one JSON object per line, and prints a reply to each. There are two kinds:

- ``{"start": ["seed=1"], "cwd": ..., "out": ..., "largest": ..., "max_wait": ...}`` starts the
  command in a fork. The list has the arguments of the command; the other keys are the other
  parameters of the function `child`. The reply is the process id of the fork.
- ``{"wait": id}`` waits until the fork with this process id ends. The reply is its exit status.
"""

import gc
import importlib
import json
import os
import resource
import runpy
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

IMPORTED = (
    *("pipeline.run", "pipeline.experiment", "pandas", "pyarrow.parquet", "scipy.stats", "jinja2"),
    *("matplotlib.backends.backend_agg", "matplotlib.figure", "mpl_toolkits.axes_grid1"),
    *("mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store"),
)
"""Modules that a command imports when it needs them, imported once for all forks."""


@dataclass
class Forked:
    """A command that was started in a fork; `number` is its process ID, `out` its output file."""

    server: "Forks"
    number: int
    out: Path
    begun: float

    def wait(self) -> int:
        """Wait until the command ends, and return its exit status."""
        return self.server.ask(wait=self.number)


class Forks:
    """A connection to a process that runs ``pipeline/run.py`` in forks of itself, to save time.

    The process has imported the modules that the command needs, so its forks need not do so.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self, **request: Any) -> int:
        """Send a request to the process that runs commands, and return its reply.

        The request starts a command in a fork, whose process id is the reply, or waits for a fork
        to end, whose exit status is the reply. It is sent as a JSON object, in the form that the
        docstring of this module describes.
        """
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(
        self,
        arguments: Sequence[str],
        cwd: Path,
        largest: int | None = None,
        max_wait: float | None = None,
    ) -> Forked:
        """Start ``pipeline/run.py`` in a fork, and return the running command.

        The method `wait` of the result waits until the command ends. `cwd` is the folder in which
        the command runs; its output goes to a new file there. `largest` limits the size of the
        files that the command writes, in bytes. `max_wait` limits the seconds that it waits, at its
        end, for a tracking store that cannot be reached.
        """
        out = cwd / f"output-{time.monotonic_ns()}.txt"
        limits = {"largest": largest, "max_wait": max_wait}
        number = self.ask(start=list(arguments), cwd=str(cwd), out=str(out), **limits)
        return Forked(self, number, out, time.monotonic())


@contextmanager
def forks() -> Iterator[Forks]:
    """Start a process that runs ``pipeline/run.py``; yield a connection to it; then end it.

    The process first imports the modules that the command needs. For each command that the yielded
    `Forks` starts, it forks a copy of itself, which need not import them again. This saves time.
    """
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield Forks(process)
        assert process.stdin
        process.stdin.close()


def child(
    arguments: list[str], cwd: str, out: str, largest: int | None, max_wait: float | None
) -> int:
    """Run ``pipeline/run.py`` in this process, which is a fork, and return its exit status.

    `out` is the file for the output. `largest` limits the size of the files that the command
    writes, in bytes. `max_wait` limits the seconds that it waits, at its end, for a tracking store
    that cannot be reached.
    """
    from pipeline.tracking.retries import RetryQueue

    os.setsid()
    if max_wait is not None:
        RetryQueue.close.__defaults__ = (max_wait,)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    os.chdir(cwd)
    stream = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (stream, 1), (stream, 2)):
        os.dup2(source, target)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.argv = [str(ROOT / "pipeline" / "run.py"), *arguments]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


def serve() -> None:
    """Run ``pipeline/run.py`` in forks of this process, as requests on standard input say.

    First, import the modules that ``pipeline/run.py`` needs, so that no fork has to import them.
    Then print "ready". After that, each line of standard input is a request to start a command or
    to wait for one, and a reply to each is printed (see the docstring of this module).
    """
    sys.path[0] = str(ROOT)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import numpy as np
    from hydra.core.plugins import Plugins

    for name in IMPORTED:
        importlib.import_module(name)
    from w2v.engines import Task, make_engine
    from w2v.objectives import SkipGram, initial_model

    objective = SkipGram(8)
    model = initial_model(objective, 4, np.random.default_rng(0))
    make_engine("numba", Task(model, objective, np.full(4, 9), 9))  # loads the compiled kernels
    Plugins.instance()  # finds the plug-ins of Hydra, and imports them
    gc.freeze()  # forks need not look for garbage in what is imported
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        number = os.fork()
        if number == 0:
            os._exit(child(request.pop("start"), **request))
        print(number, flush=True)


if __name__ == "__main__":
    serve()
