"""Compare engines on one corpus: words per second, memory, and use of the machine's arithmetic.

Each training runs in a process of its own. The engines take turns, so that a machine that slows
down for a while slows all of them. The first round warms up and does not count.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from pipeline.config.settings import Benchmark, Config
from pipeline.runtime.console import make_table
from pipeline.stages.vocab import IDS
from w2v.engines import ENGINES, Task, check_loss
from w2v.errors import InputError
from w2v.objectives import LOSSES, SkipGram, initial_model
from w2v.sampling import generator
from w2v.text.tokens import hold_out, open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.cost import work
from w2v.vectors import VOCABULARY

ROOT = Path(__file__).parents[2]

PEER = "gensim"
"""The engine that the others are compared with."""

ROWS, COLUMNS = 2000, 50_000
"""Shape of the matrix product that measures the machine: large enough for its full speed."""


def sgemm_gflops(dim: int, threads: int) -> float:
    """Return the speed of NumPy's product of float32 (ROWS, dim) by (dim, COLUMNS), in GFLOP/s."""
    random = np.random.default_rng(0)
    a = random.random((ROWS, dim), dtype=np.float32)
    b = random.random((COLUMNS, dim), dtype=np.float32)
    out = np.empty((ROWS, COLUMNS), np.float32)
    with threadpool_limits(threads):
        np.matmul(a, b.T, out=out)  # the first call allocates memory and starts threads
        begun = time.perf_counter()
        for _ in range(3):
            np.matmul(a, b.T, out=out)
        seconds = time.perf_counter() - begun
    return 3 * 2 * ROWS * COLUMNS * dim / seconds / 1e9


def benchmark(
    config: Config,
    corpus: Path,
    vocab: Path,
    threads: Sequence[int],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Measure the engines.

    Parameters
    ----------
    corpus, vocab
        The folders of the tokenize and the vocab stage.
    threads
        Each engine is measured with each of these numbers of threads.
    say
        Prints a line after each training.

    Returns
    -------
    dict
        ``rows``: the medians for each engine and number of threads. ``trials``: the figures of
        every training. ``matrices_mb`` and ``tokens_mb``: the size of the model and of the text.

    Raises
    ------
    InputError
        If no engine can train the loss, or one of them refuses a setting.
    """
    settings = config.measure
    assert isinstance(settings, Benchmark)
    job: dict[str, Any] = {
        "corpus": str(corpus.absolute()),
        "vocab": str(vocab.absolute()),
        "model": asdict(config.model),
        "loss_name": config.loss.name,
        "loss": asdict(config.loss),
        "schedule": {key: getattr(config.train, key) for key in ("epochs", "lr", "min_lr")},
        "seed": config.seed,
        "heldout": config.train.heldout,
        "heldout_seed": config.train.heldout_seed,
    }
    engines = [
        engine
        for engine in settings.engines
        if config.loss.name in (ENGINES[engine].losses or LOSSES)
    ]
    if not engines:
        check_loss(settings.engines[0], config.loss)
    trials: list[dict[str, Any]] = []
    rates: dict[int, list[float]] = {count: [] for count in threads}
    for turn in range(settings.repeats + 1):
        for count in threads:
            rate = sgemm_gflops(config.model.dim, count)
            if turn:
                rates[count].append(rate)
            for engine in engines:
                result = run_worker({**job, "engine": engine, "threads": count})
                label = f"repeat {turn}" if turn else "warm-up"
                speed = f"{result['words_per_second']:,.0f} words/s"
                say(f"  {label}  {engine}, threads: {count}  {speed}")
                if turn:
                    trials.append({"repeat": turn, **result, "sgemm_gflops": rate})
    words = Vocabulary.load(vocab / VOCABULARY)
    flops = useful_flops(job, config.objective, words) * config.train.epochs
    rows = [
        medians(engine, count, trials, flops, rates[count])
        for count in threads
        for engine in engines
    ]
    speeds = {(row["engine"], row["threads"]): row["words_per_second"] for row in rows}
    for row in rows:
        peer = speeds.get((PEER, row["threads"]))
        row["times_gensim"] = row["words_per_second"] / peer if peer else None
        row["scaling"] = row["words_per_second"] / speeds[row["engine"], min(threads)]
    return {
        "rows": rows,
        "trials": trials,
        "matrices_mb": 2 * 4 * len(words) * config.model.dim / 2**20,
        "tokens_mb": (corpus / "tokens.npy").stat().st_size / 2**20,
    }


def run_worker(job: dict[str, Any]) -> dict[str, Any]:
    """Call `pipeline.bench.worker.train_once` in a fresh process, and return its figures.

    Raises
    ------
    InputError
        If the training refuses a setting.
    """
    command = [sys.executable, "-m", "pipeline.bench.worker"]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(job), capture_output=True, text=True)
    if done.returncode == 2:
        raise InputError(done.stderr.strip().split("\n")[-1])
    if done.returncode:
        raise RuntimeError(f"the training of {job['engine']} ended with {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return result


def useful_flops(job: dict[str, Any], objective: SkipGram, words: Vocabulary) -> float:
    """Return how many floating-point operations an epoch needs, the same for all engines.

    See `w2v.training.cost`. What an engine computes beyond that does not count.
    """
    text = open_text(Path(job["corpus"]), np.load(Path(job["vocab"]) / IDS, allow_pickle=False))
    training, _ = hold_out(text, job["heldout"], generator(job["heldout_seed"], "heldout"))
    model = initial_model(len(words.counts), objective.dim, generator(0, "init"))
    task = Task(model, objective, words.counts, training.words(), job["schedule"]["epochs"])
    order = training.shuffled(generator(job["seed"], "order", 1))
    return work(order, task, generator(job["seed"], "work")).flops


def medians(
    engine: str, threads: int, trials: list[dict[str, Any]], flops: float, rates: list[float]
) -> dict[str, Any]:
    """Return the medians of an engine with a number of threads, from the trials of all engines.

    A training needs `flops` operations. `rates` are those of the machine, in GFLOP/s.
    """
    own = [t for t in trials if (t["engine"], t["threads"]) == (engine, threads)]
    speeds = [t["words_per_second"] for t in own]
    known = [t for t in own if t["peak_mb"] is not None]
    gflops = median(flops / t["seconds"] / 1e9 for t in own)
    return {
        "engine": engine,
        "threads": threads,
        "words_per_second": median(speeds),
        "least": min(speeds),
        "most": max(speeds),
        "gflops": gflops,
        "sgemm_gflops": median(rates),
        "of_sgemm": gflops / median(rates),
        "peak_mb": median(t["peak_mb"] for t in known) if known else None,
        "over_imports_mb": (
            median(t["peak_mb"] - t["imports_mb"] for t in known) if known else None
        ),
        "compile_seconds": median(t["compile_seconds"] for t in own),
        "heldout_loss": own[-1]["heldout_loss"],
    }


def format_table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """Return the table that is shown in the terminal."""
    columns = {
        "threads": "{threads}",
        "words/s": "{words_per_second:,.0f}",
        "range": "{least:,.0f} … {most:,.0f}",
        "× gensim": "{times_gensim:.2f}",
        "× threads": "{scaling:.2f}",
        "GFLOP/s": "{gflops:.1f}",
        "of sgemm": "{of_sgemm:.0%}",
        "peak MB": "{peak_mb:,.0f}",
        "over imports": "{over_imports_mb:,.0f}",
        "held-out loss": "{heldout_loss:.3f}",
    }
    table = make_table(title, ["engine"], columns)
    for row in rows:
        known = {key: math.nan if value is None else value for key, value in row.items()}
        cells = [form.format(**known).replace("nan", "–") for form in columns.values()]
        table.add_row(row["engine"], *cells)
    return table
