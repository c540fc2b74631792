"""Train once in a process of its own, for the benchmark: settings in, figures out, as JSON.

A fresh process holds no memory from other trainings and nothing that they compiled or cached.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.stages.vocab import IDS
from w2v.engines import Task, make_engine
from w2v.errors import InputError
from w2v.objectives import LOSSES, SkipGram, initial_model
from w2v.sampling import generator
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.schedule import Schedule
from w2v.training.train import train
from w2v.vectors import VOCABULARY


def memory_mb(field: str) -> float | None:
    """Return a field of Linux's ``/proc/self/status`` in MiB, or ``None`` on other systems.

    ``VmRSS`` is the memory that this process holds now, ``VmHWM`` the most it has held.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").split("\n")
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(values[0]) / 1024 if values else None


def train_once(
    corpus: str,
    vocab: str,
    model: dict[str, Any],
    loss_name: str,
    loss: dict[str, Any],
    schedule: dict[str, Any],
    engine: str,
    threads: int,
    **settings: Any,
) -> dict[str, Any]:
    """Train, and return the speed, the held-out loss and the memory.

    Parameters
    ----------
    corpus, vocab
        The folders of the tokenize and the vocab stage.
    model, loss_name, loss, schedule
        Settings of `SkipGram`, the name and the settings of its loss, and those of `Schedule`.
    settings
        Other arguments of `w2v.training.train.train`.
    """
    objective = SkipGram(**model, loss=LOSSES[loss_name](**loss))
    # A model of two words makes the engine import and load everything that it needs.
    small = initial_model(2, objective.dim, generator(0, "init"))
    make_engine(engine, Task(small, objective, np.array([2, 1]), 3))
    imports = memory_mb("VmRSS")
    words = Vocabulary.load(Path(vocab) / VOCABULARY)
    text = open_text(Path(corpus), np.load(Path(vocab) / IDS, allow_pickle=False))
    with threadpool_limits(threads), np.errstate(all="ignore"):
        trained = train(
            text,
            words.counts,
            objective,
            Schedule(**schedule),
            engine=engine,
            threads=threads,
            **settings,
        )
    return {
        "engine": engine,
        "threads": threads,
        "words": trained.words,
        "seconds": trained.seconds,
        "words_per_second": trained.words / trained.seconds,
        "compile_seconds": trained.compile_seconds,
        "heldout_loss": trained.epochs[-1].heldout_loss,
        "imports_mb": imports,
        "peak_mb": memory_mb("VmHWM"),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(train_once(**json.load(sys.stdin)), allow_nan=False))
    except InputError as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
