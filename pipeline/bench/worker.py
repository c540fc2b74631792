"""One training in a process of its own: settings as JSON on standard input, figures on output.

A fresh process has no memory but its own to show, and nothing compiled or cached by another.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.stages.vocab import IDS, VOCABULARY
from w2v.engines import ENGINES, Task, make_engine
from w2v.errors import InputError
from w2v.objectives import Loss, NegativeSampling, SkipGram, Softmax, initial_model
from w2v.sampling import generator
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.train import Schedule, train


def objective_of(model: dict[str, Any], loss: dict[str, Any]) -> SkipGram:
    """The library's objective; ``loss`` holds its name beside its settings."""
    settings = {key: value for key, value in loss.items() if key != "name"}
    kind: Loss = Softmax(**settings) if loss["name"] == "softmax" else NegativeSampling(**settings)
    return SkipGram(**model, loss=kind)


def memory_mb(field: str) -> float | None:
    """``VmRSS``, what this process holds now, or ``VmHWM``, the most it held; where Linux tells."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").split("\n")
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(values[0]) / 1024 if values else None


def trial(
    corpus: str,
    vocab: str,
    model: dict[str, Any],
    loss: dict[str, Any],
    schedule: dict[str, Any],
    engine: str,
    threads: int,
    **settings: Any,
) -> dict[str, Any]:
    """Train once; memory is told apart into what the engine's imports hold and the rest."""
    objective = objective_of(model, loss)
    import_module(ENGINES[engine].split(":")[0])
    # A model of two words makes the engine import and load all it will need.
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
        print(json.dumps(trial(**json.load(sys.stdin)), allow_nan=False))
    except InputError as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
