"""Run a training in a process of its own, to measure its speed and memory.

`run_worker` starts a new process for each training, so that memory that an earlier training has not
freed does not count. The settings and the result are sent as JSON.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from w2v.engines import Task, make_engine
from w2v.errors import InputError
from w2v.losses import LOSSES
from w2v.objectives import ARCHITECTURES, Objective, initial_model
from w2v.sampling import generator
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.schedule import Schedule
from w2v.training.subwords import subword_sums
from w2v.training.train import train

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_worker(
    corpus: Path,
    vocabulary: Path,
    ids: Path,
    objective: Objective,
    schedule: Schedule,
    engine: str,
    threads: int,
    **settings: Any,
) -> dict[str, Any]:
    """Train in a new process; return the speed, the held-out loss and the memory of the training.

    Parameters
    ----------
    corpus
        The folder of the tokenized text; see `w2v.text.tokens`.
    vocabulary, ids
        The file of the vocabulary, and the ``.npy`` file with the vocabulary id of each type
        (distinct token) of the corpus.
    engine
        The name of the engine.
    settings
        Other arguments of `w2v.training.train.train`, with values that JSON can represent.

    Returns
    -------
    dict
        The results of `train_once`, such as ``words_per_second``, ``heldout_loss`` and ``peak_mb``.

    Raises
    ------
    InputError
        The settings or the data are invalid.
    RuntimeError
        The process ended with another error.
    """
    loss, model = objective.loss, asdict(objective)
    plan = (schedule.epochs, schedule.lr, schedule.min_lr, schedule.decay_epochs)
    job = {
        "files": [str(path.absolute()) for path in (corpus, vocabulary, ids)],
        "loss": [loss.name, model.pop("loss")],
        "model": [objective.name, model],
        "schedule": plan,
        "engine": engine,
        "threads": threads,
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-m", "w2v.bench.worker"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **dict.fromkeys(POOLS, str(threads))},
        input=json.dumps(job).encode(),
        capture_output=True,
    )
    errors = done.stderr.decode(errors="replace").strip()
    if done.returncode == 2:
        raise InputError(errors.split("\n")[-1])
    if done.returncode:
        raise RuntimeError(f"the training of {engine} ended with {errors}")
    result: dict[str, Any] = json.loads(done.stdout.strip().split(b"\n")[-1])
    return result


def train_once(
    files: list[str],
    loss: tuple[str, dict[str, Any]],
    model: tuple[str, dict[str, Any]],
    schedule: list[Any],
    engine: str,
    threads: int,
    **settings: Any,
) -> dict[str, Any]:
    """Train in this process, and return the speed, the held-out loss and the memory.

    Parameters
    ----------
    files
        The paths of the corpus folder, of the vocabulary, and of the ``.npy`` file with the
        vocabulary id of each type (distinct token) of the corpus.
    loss, model
        The name and the settings of the loss and of the architecture.
    schedule
        The arguments of `Schedule`.
    engine, threads, **settings
        Arguments of `w2v.training.train.train`.

    Returns
    -------
    dict
        Among others ``seconds``, ``words_per_second``, ``heldout_loss`` (after the last epoch), and
        the memory of this process in MiB: ``imports_mb`` before the data are read, and ``peak_mb``
        at its peak.
    """
    architecture, settings_of_model = model
    name, values = loss
    objective = ARCHITECTURES[architecture][1](**settings_of_model, loss=LOSSES[name](**values))
    # A model of two words makes the engine import and load everything that it needs.
    small = initial_model(objective, 2, generator(0, "init"))
    sums = subword_sums(["a", "b"], objective) if objective.subwords else None
    make_engine(engine, Task(small, objective, np.array([2, 1]), 3, subwords=sums))
    imports = memory_mb("VmRSS")
    corpus, vocabulary, ids = map(Path, files)
    chosen = Vocabulary.load(vocabulary)
    text = open_text(corpus, np.load(ids, allow_pickle=False))
    plan = Schedule(*schedule)
    how = {"words": chosen.words, "engine": engine, "threads": threads, **settings}
    with np.errstate(all="ignore"):
        trained = train(text, chosen.counts, objective, plan, **how)
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


def memory_mb(field: str) -> float | None:
    """Return a field of Linux's ``/proc/self/status``, converted to MiB; None on other systems.

    ``VmRSS`` is the memory that this process holds now, and ``VmHWM`` the most that it has held.
    """
    try:
        lines = Path("/proc/self/status").read_text().split("\n")
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(values[0]) / 1024 if values else None


if __name__ == "__main__":
    try:
        print(json.dumps(train_once(**json.load(sys.stdin)), allow_nan=False))
    except InputError as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
