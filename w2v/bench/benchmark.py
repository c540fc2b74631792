"""Compare the training engines on one corpus: speed in words/s and FLOP/s, and memory.

Each training runs in a process of its own. In each round, every engine trains once with each number
of threads, so that a temporary slowdown of the machine affects all engines. The first round is a
warm-up and is not counted.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from w2v.bench.settings import Benchmark
from w2v.bench.timing import sgemm_gflops
from w2v.bench.worker import run_worker
from w2v.objectives import Objective
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.cost import first_epoch_work
from w2v.training.memory import model_bytes
from w2v.training.schedule import TrainingSettings

PEER = "gensim"
"""The engine that the others are compared with."""


def benchmark(
    files: tuple[Path, Path, Path],
    objective: Objective,
    train: TrainingSettings,
    settings: Benchmark,
    *,
    seed: int,
    threads: int,
    precision: str = "float32",
    on_trial: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Train with each engine and number of threads in turn, and return the measurements.

    Each combination is trained once as a warm-up, which is not counted, and then
    ``settings.repeats`` times. Engines that cannot train the objective are left out.

    Parameters
    ----------
    files
        The corpus folder (`w2v.text.tokens`), the file of the vocabulary, and the ``.npy`` file
        with the vocabulary id of each type (distinct token).
    train
        Only the schedule, ``heldout``, ``heldout_seed`` and ``bootstrap`` are used.
    threads
        The number of threads if ``settings.threads`` is None.
    precision
        The precision of matrix products of ``engine="jax"``, one of `w2v.engines.PRECISIONS`.
    on_trial
        Called with a line of text when a training has ended.

    Returns
    -------
    dict
        ``trials``, the measurements of each training; ``rows``, their summary by `summarize`;
        ``matrices_mb`` and ``tokens_mb``, the size of the model and of the file ``tokens.npy``, in
        MiB.

    Raises
    ------
    InputError
        No engine can train the objective, or the settings or the data are invalid.
    RuntimeError
        A training ended with another error.
    """
    names = settings.able(objective)
    corpus, vocabulary, ids = files
    counts = Vocabulary.load(vocabulary).counts
    seeds: dict[str, Any] = {
        "seed": seed,
        "heldout": train.heldout,
        "heldout_seed": train.heldout_seed,
        "bootstrap": train.bootstrap,
    }
    how = {**seeds, "precision": precision}
    trials = []
    for turn in range(settings.repeats + 1):
        for cores in sorted(set(settings.threads or [threads])):
            rate = sgemm_gflops(objective.dim, cores)
            for engine in names:
                trial = run_worker(*files, objective, train, engine, cores, **how)
                label = f"repeat {turn}" if turn else "warm-up"
                speed = f"{trial['words_per_second']:,.0f} words/s"
                on_trial(f"{label}  {engine}, threads: {cores}  {speed}")
                if turn:
                    trials.append({"repeat": turn, **trial, "sgemm_gflops": rate})
    text = open_text(corpus, np.load(ids, allow_pickle=False))
    work = first_epoch_work(text, counts, objective, train.horizon, **seeds)
    return {
        "rows": summarize(trials, work.flops * train.epochs),
        "trials": trials,
        "matrices_mb": model_bytes(len(counts), objective) / 2**20,
        "tokens_mb": (corpus / "tokens.npy").stat().st_size / 2**20,
    }


def summarize(trials: Sequence[Mapping[str, Any]], flops: float) -> list[dict[str, Any]]:
    """Return medians over repeated trainings, one dictionary per engine and number of threads.

    `trials` has the measurements of each training; `flops` is the number of floating-point
    operations of one training. The medians are those of speed (words/s and GFLOP/s), memory and
    compile time, and of the GFLOP/s of NumPy's matrix product. Each dictionary also has the lowest
    and the highest words/s, the held-out loss of the last training that has one, and ratios of
    medians:

    - ``of_sgemm``: GFLOP/s, divided by the GFLOP/s of the matrix product;
    - ``times_gensim``: words/s, divided by gensim's words/s with the same number of threads;
    - ``scaling``: words/s, divided by the same engine's words/s with the number of threads of its
      first training in `trials`.

    A value that is not known is None.
    """
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for trial in trials:
        groups.setdefault((trial["engine"], trial["threads"]), []).append(trial)
    rates = {key: median(one["words_per_second"] for one in own) for key, own in groups.items()}
    rows = []
    for (engine, threads), own in groups.items():
        speeds = [one["words_per_second"] for one in own]
        gflops = median(flops / one["seconds"] / 1e9 for one in own)
        sgemm = median(one["sgemm_gflops"] for one in own)
        measured = [one for one in own if one["peak_mb"] is not None]
        losses = [one["heldout_loss"] for one in own if one["heldout_loss"] is not None]
        rate, peer = rates[engine, threads], rates.get((PEER, threads))
        first = next(value for (name, _), value in rates.items() if name == engine)
        rows.append(
            {
                "engine": engine,
                "threads": threads,
                "words_per_second": rate,
                "least": min(speeds),
                "most": max(speeds),
                "gflops": gflops,
                "sgemm_gflops": sgemm,
                "of_sgemm": gflops / sgemm,
                "peak_mb": _median([one["peak_mb"] for one in measured]),
                "over_imports_mb": _median(
                    [one["peak_mb"] - one["imports_mb"] for one in measured]
                ),
                "compile_seconds": median(one["compile_seconds"] for one in own),
                "heldout_loss": losses[-1] if losses else None,
                "times_gensim": None if peer is None else rate / peer,
                "scaling": rate / first,
            }
        )
    return rows


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
