"""Engines in turn on one corpus: words per second, memory, and arithmetic against the machine's.

Each training is a process of its own. The engines take turns, so that a machine that slows down
slows all of them, and the first round is thrown away.
"""

import json
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

from pipeline.bench.worker import objective_of
from pipeline.config.schema import BenchmarkConfig, Config
from pipeline.stages.vocab import IDS, VOCABULARY
from w2v.engines import WITHOUT_SOFTMAX, Task
from w2v.errors import InputError
from w2v.objectives import initial_model
from w2v.sampling import generator
from w2v.text.tokens import hold_out, open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.cost import work

ROOT = Path(__file__).parents[2]

PEER = "gensim"
"""What the others are compared with."""

ROWS, COLUMNS = 2000, 50_000
"""Of the product that shows what the machine can do: large enough for its rate to level off."""


def sgemm_gflops(dim: int, threads: int) -> float:
    """The rate of NumPy's float32 matrix product, (ROWS × dim) by (dim × COLUMNS)."""
    random = np.random.default_rng(0)
    a = random.random((ROWS, dim), dtype=np.float32)
    b = random.random((COLUMNS, dim), dtype=np.float32)
    out = np.empty((ROWS, COLUMNS), np.float32)
    with threadpool_limits(threads):
        np.matmul(a, b.T, out=out)  # memory and threads are there from here on
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
    """Measure; returns ``rows``, one an engine and number of threads, and ``trials``, all of them.

    Parameters
    ----------
    corpus, vocab
        The folders of the tokenize and the vocab stage.
    threads
        Each engine is measured with each.
    say
        Told of each training as it ends.

    Raises
    ------
    InputError
        No engine has the loss, or one refuses a setting.
    """
    settings = config.measure
    assert isinstance(settings, BenchmarkConfig)
    schedule = {key: getattr(config.train, key) for key in ("epochs", "lr", "min_lr")}
    job: dict[str, Any] = {
        "corpus": str(corpus.absolute()),
        "vocab": str(vocab.absolute()),
        "model": asdict(config.model),
        "loss": {"name": config.loss_name, **asdict(config.loss)},
        "schedule": schedule,
        "seed": config.seed,
        "heldout": config.train.heldout,
        "heldout_seed": config.train.heldout_seed,
    }
    softmax = config.loss_name == "softmax"
    engines = [name for name in settings.engines if not (softmax and name in WITHOUT_SOFTMAX)]
    if not engines:
        raise InputError(WITHOUT_SOFTMAX[settings.engines[0]])
    trials: list[dict[str, Any]] = []
    rates: dict[int, list[float]] = {count: [] for count in threads}
    for turn in range(settings.repeats + 1):
        for count in threads:
            rate = sgemm_gflops(config.model.dim, count)
            if turn:
                rates[count].append(rate)
            for engine in engines:
                result = run_trial({**job, "engine": engine, "threads": count})
                name = f"repeat {turn}" if turn else "warm-up"
                speed = f"{result['words_per_second']:,.0f} words/s"
                say(f"  {name}  {engine}, threads: {count}  {speed}")
                if turn:
                    trials.append({"repeat": turn, **result, "sgemm_gflops": rate})
    flops = useful_flops(job) * config.train.epochs
    rows = [
        summed(engine, count, trials, flops, rates[count])
        for count in threads
        for engine in engines
    ]
    for row in rows:
        peers = [r for r in rows if (r["engine"], r["threads"]) == (PEER, row["threads"])]
        slowest = [r for r in rows if (r["engine"], r["threads"]) == (row["engine"], min(threads))]
        peer = peers[0]["words_per_second"] if peers else None
        row["times_gensim"] = row["words_per_second"] / peer if peer else None
        row["scaling"] = row["words_per_second"] / slowest[0]["words_per_second"]
    return {
        "rows": rows,
        "trials": trials,
        "matrices_mb": 2 * 4 * vocabulary_size(vocab) * config.model.dim / 2**20,
        "tokens_mb": (corpus / "tokens.npy").stat().st_size / 2**20,
    }


def run_trial(job: dict[str, Any]) -> dict[str, Any]:
    """One training in a fresh process; its refusals are ours."""
    command = [sys.executable, "-m", "pipeline.bench.worker"]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(job), capture_output=True, text=True)
    if done.returncode == 2:
        raise InputError(done.stderr.strip().split("\n")[-1])
    if done.returncode:
        raise RuntimeError(f"the training of {job['engine']} ended with {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return result


def useful_flops(job: dict[str, Any]) -> float:
    """What an epoch has to compute, by `w2v.training.cost`: the same for all engines."""
    vocab = Path(job["vocab"])
    words = Vocabulary.load(vocab / VOCABULARY)
    text = open_text(Path(job["corpus"]), np.load(vocab / IDS, allow_pickle=False))
    training, _ = hold_out(text, job["heldout"], generator(job["heldout_seed"], "heldout"))
    objective = objective_of(job["model"], job["loss"])
    model = initial_model(len(words.counts), objective.dim, generator(0, "init"))
    task = Task(model, objective, words.counts, training.words(), job["schedule"]["epochs"])
    order = training.shuffled(generator(job["seed"], "order", 1))
    return work(order, task, generator(job["seed"], "work")).flops


def vocabulary_size(vocab: Path) -> int:
    """The number of words in a folder of the vocab stage."""
    return len(Vocabulary.load(vocab / VOCABULARY))


def summed(
    engine: str, threads: int, trials: list[dict[str, Any]], flops: float, rates: list[float]
) -> dict[str, Any]:
    """The medians of an engine's trials."""
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


def table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """What a person sees."""

    def cell(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    names = ("engine", "threads", "words/s", "range", "× gensim", "× threads", "GFLOP/s")
    for name in (*names, "of sgemm", "peak MB", "over imports", "held-out loss"):
        shown.add_column(name, justify="left" if name == "engine" else "right")
    for row in rows:
        shown.add_row(
            row["engine"],
            str(row["threads"]),
            f"{row['words_per_second']:,.0f}",
            f"{row['least']:,.0f} … {row['most']:,.0f}",
            cell(row["times_gensim"], ".2f"),
            cell(row["scaling"], ".2f"),
            cell(row["gflops"], ".1f"),
            cell(row["of_sgemm"], ".0%"),
            cell(row["peak_mb"], ",.0f"),
            cell(row["over_imports_mb"], ",.0f"),
            cell(row["heldout_loss"], ".3f"),
        )
    return shown
