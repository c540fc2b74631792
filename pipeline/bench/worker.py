"""Train once in a process of its own, for the benchmark: pickled arguments in, figures as JSON out.

A fresh process holds no memory from other trainings and nothing that they compiled or cached.
"""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.runtime.resources import read_field
from pipeline.stages.vocab import IDS
from w2v.engines import Task, make_engine
from w2v.errors import InputError
from w2v.objectives import SkipGram, initial_model
from w2v.sampling import generator
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.train import train
from w2v.vectors import VOCABULARY


def memory_mb(field: str) -> float | None:
    """Return a field of Linux's ``/proc/self/status`` in MiB, or ``None`` on other systems.

    ``VmRSS`` is the memory that this process holds now, ``VmHWM`` the most it has held.
    """
    try:
        return read_field(Path("/proc/self/status"), field) / 1024
    except OSError:
        return None


def train_once(
    corpus: Path, vocab: Path, objective: SkipGram, engine: str, threads: int, **settings: Any
) -> dict[str, Any]:
    """Train, and return the speed, the held-out loss and the memory.

    Parameters
    ----------
    corpus, vocab
        The folders of the tokenize and the vocab stage.
    settings
        Other arguments of `w2v.training.train.train`.
    """
    # A model of two words makes the engine import and load everything that it needs.
    small = initial_model(2, objective.dim, generator(0, "init"))
    make_engine(engine, Task(small, objective, np.array([2, 1]), 3))
    imports = memory_mb("VmRSS")
    words = Vocabulary.load(vocab / VOCABULARY)
    text = open_text(corpus, np.load(vocab / IDS, allow_pickle=False))
    with threadpool_limits(threads), np.errstate(all="ignore"):
        trained = train(text, words.counts, objective, engine=engine, threads=threads, **settings)
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
        print(json.dumps(train_once(**pickle.load(sys.stdin.buffer)), allow_nan=False))
    except InputError as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
