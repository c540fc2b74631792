"""Compare the training engines on one corpus: speed in words/s and FLOP/s, and memory.

Each training runs in a process of its own. In each round, every engine trains once, so that a
temporary slowdown of the machine affects all engines. The first round is a warm-up and is not
counted.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from pipeline.config.settings import Benchmark
from pipeline.runtime.console import make_table
from pipeline.stages.base import Context
from pipeline.stages.vocab import IDS
from w2v.engines import can_train, check_objective
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.training.cost import first_epoch_work
from w2v.training.memory import model_bytes
from w2v.training.timing import sgemm_gflops
from w2v.training.worker import run_worker
from w2v.vectors import VOCABULARY

PEER = "gensim"
"""The engine that the others are compared with."""


def benchmark(context: Context, settings: Benchmark) -> dict[str, Any]:
    """Train with each engine and number of threads, and return the measurements.

    The result has ``trials``, one dictionary per training; ``rows``, their medians per engine and
    number of threads; and ``matrices_mb`` and ``tokens_mb``, the sizes of the model and of the
    token ids in MiB. A line is printed after each training.
    """
    config = context.config
    names = [name for name in settings.engines if can_train(name, config.objective)]
    if not names:
        check_objective(settings.engines[0], config.objective)
    corpus, vocab = context.entries["tokenize"].path, context.entries["vocab"].path
    train, words = config.train, Vocabulary.load(vocab / VOCABULARY)
    files = corpus, vocab / VOCABULARY, vocab / IDS
    seeds: dict[str, Any] = {
        "seed": config.seed,
        "heldout": train.heldout,
        "heldout_seed": train.heldout_seed,
        "bootstrap": train.bootstrap,
    }
    counts = sorted(set(settings.threads or [context.threads]))
    trials = []
    for turn in range(settings.repeats + 1):
        for threads in counts:
            rate = sgemm_gflops(config.model.dim, threads)
            for engine in names:
                trial = run_worker(*files, config.objective, train, engine, threads, **seeds)
                label = f"repeat {turn}" if turn else "warm-up"
                speed = f"{trial['words_per_second']:,.0f} words/s"
                context.display.say(f"  {label}  {engine}, threads: {threads}  {speed}")
                if turn:
                    trials.append({"repeat": turn, **trial, "sgemm_gflops": rate})
    text = open_text(corpus, np.load(vocab / IDS, allow_pickle=False))
    work = first_epoch_work(text, words.counts, config.objective, train.horizon, **seeds)
    return {
        "rows": summarize(trials, work.flops * train.epochs),
        "trials": trials,
        "matrices_mb": model_bytes(len(words), config.objective) / 2**20,
        "tokens_mb": (corpus / "tokens.npy").stat().st_size / 2**20,
    }


def summarize(trials: Sequence[dict[str, Any]], flops: float) -> list[dict[str, Any]]:
    """Return the medians over the repeats, one row per engine and number of threads.

    Rows also have the slowest and the fastest speed, and the speed relative to gensim and to the
    engine's first number of threads. `flops` are the floating-point operations of one training.
    """
    optional = ("peak_mb", "imports_mb", "heldout_loss")
    table = pd.DataFrame(trials).astype(dict.fromkeys(optional, float))
    table["gflops"] = flops / table["seconds"] / 1e9
    table["over_imports_mb"] = table["peak_mb"] - table["imports_mb"]
    groups = table.groupby(["engine", "threads"], sort=False)
    rows = groups.agg(
        words_per_second=("words_per_second", "median"),
        least=("words_per_second", "min"),
        most=("words_per_second", "max"),
        gflops=("gflops", "median"),
        sgemm_gflops=("sgemm_gflops", "median"),
        peak_mb=("peak_mb", "median"),
        over_imports_mb=("over_imports_mb", "median"),
        compile_seconds=("compile_seconds", "median"),
        heldout_loss=("heldout_loss", "last"),
    ).reset_index()
    rows.insert(7, "of_sgemm", rows["gflops"] / rows["sgemm_gflops"])
    speeds = rows["words_per_second"]
    peer = rows[rows["engine"] == PEER].set_index("threads")["words_per_second"]
    rows["times_gensim"] = speeds / rows["threads"].map(peer)
    rows["scaling"] = speeds / rows.groupby("engine")["words_per_second"].transform("first")
    known = rows.astype(object).where(rows.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in known.to_dict("records")]


def format_table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """Format the rows returned by `summarize` as a table for the terminal."""
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
