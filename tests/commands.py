"""Run the command ``pipeline/run.py`` in tests, in this process (faster) or in a new one."""

import contextlib
import io
import json
import logging
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from pipeline.run import main

ROOT = Path(__file__).parents[1]

TEXT = """
the cat sat on the mat and the dog sat on the rug
a dog and a cat are animals and a mat and a rug are things
the king spoke to the queen and the queen spoke to the king
paris is in france and london is in england
""".strip().split("\n")

WITHOUT_SCORES = "stages=[tokenize,vocab,train]"

SMALL = (
    "corpus=files",
    "corpus.path=text.txt",
    "vocab.min_count=1",
    "model.dim=8",
    "train.epochs=2",
    "train.heldout=0.1",
)

BARE = (
    "evaluate.similarity={wordsim353:null,simlex999:null}",
    "evaluate.analogy={google:null}",
    "evaluate.map=[]",
)
"""No benchmarks and no maps, so that a run draws only two of its pictures."""


def write_text(folder: Path, repeats: int = 30) -> Path:
    """Write a few lines, `repeats` times each, to ``text.txt`` in a folder; return the folder."""
    (folder / "text.txt").write_text("\n".join(TEXT * repeats) + "\n")
    return folder


@dataclass(frozen=True)
class Done:
    """The exit status and the output of a command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, cwd: Path) -> Done:
    """Run ``pipeline/run.py`` in this process; return its exit status and output."""
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.dict(os.environ),
        mock.patch.object(sys, "argv", [str(ROOT / "pipeline" / "run.py"), *arguments]),
        mock.patch.object(logging, "raiseExceptions", True),
    ):
        try:
            status = main()
        except SystemExit as end:  # --help
            status = int(end.code or 0)
        finally:
            for handler in root.handlers:
                if handler not in handlers:
                    handler.close()
            root.handlers[:] = handlers
            root.setLevel(level)
    return Done(status, out.getvalue(), err.getvalue())


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "pipeline" / "run.py"), *arguments]


def start(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    """Start ``pipeline/run.py`` in a new process and session, so that tests can send it signals."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_process(*arguments: str, cwd: Path) -> Done:
    """Run ``pipeline/run.py`` in a new process, and wait until it ends."""
    with start(*arguments, cwd=cwd) as process:
        out, err = process.communicate(timeout=300)
    return Done(process.returncode, out, err)


def summary_of(cwd: Path) -> dict[str, Any]:
    """Return the content of ``summary.json`` of the newest run in ``outputs`` of `cwd`.

    Runs that are jobs of a sweep do not count.
    """
    found = sorted(cwd.glob("outputs/runs/*/*/summary.json"))
    summary: dict[str, Any] = json.loads(found[-1].read_bytes())
    return summary


def query(cwd: Path, sql: str) -> list[Any]:
    """Return the rows of an SQL query to the MLflow database in ``outputs`` of `cwd`."""
    with contextlib.closing(sqlite3.connect(cwd / "outputs" / "mlflow.db")) as database:
        return database.execute(sql).fetchall()


def runs_in(cwd: Path) -> list[tuple[str, str]]:
    """Return the name and status of every MLflow run in ``outputs`` of `cwd`, by start time."""
    return query(cwd, "select name, status from runs order by start_time")
