"""Measure how training with several workers changes the scores of vectors; estimate the speed-up.

    python -m tests.benchmark_cluster score FOLDER --workers 8 --combine sequential >> scores.jsonl
    python -m tests.benchmark_cluster pictures FOLDER scores.jsonl pipeline/pictures

FOLDER is a tokenized corpus, such as ``outputs/cache/tokenize/<key>``. ``score`` trains with
``cluster=local``, which gives the same vectors as a real cluster, and prints a line of JSON;
without ``--combine``, it trains without a cluster. ``pictures`` estimates the speed-up, and draws
it and the scores in ``scores.jsonl`` as charts in the folder given last.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.cluster.cost import ROW_NUMBER, changed_rows
from w2v.cluster.settings import ClusterSettings
from w2v.cluster.workers import open_cluster
from w2v.engines import Task
from w2v.evaluate import analogies, benchmark_path, load_pairs, similarity
from w2v.objectives import Model, SkipGram
from w2v.text.tokens import Text, open_text, read_types
from w2v.text.vocabulary import Vocabulary, VocabularySettings, choose
from w2v.training.schedule import Schedule
from w2v.training.train import train
from w2v.vectors import WordVectors

MACHINES = (1, 2, 4, 8, 16)
BANDWIDTH = 10e9 / 8
"""The bandwidth of a network of 10 Gbit/s, in bytes per second."""

WORDS_PER_SECOND = 16.6e6
"""The training speed of ``engine=numba`` on 16 cores, at dimension 100, with window 5 and 5 noise
words per pair (w2v/engines/README.md)."""


def read(folder: Path, documents: int | None) -> tuple[Vocabulary, Text]:
    types, counts = read_types(folder)
    vocabulary, ids = choose(types, counts, VocabularySettings(), None, [])
    text = open_text(folder, ids)
    return vocabulary, Text(text.tokens, text.ids, text.spans[:documents])


def score(options: argparse.Namespace) -> dict[str, Any]:
    """Run the command ``score`` of this script: train vectors, evaluate them, return the result.

    `options` are the command's arguments. The result, which the script prints as JSON, has the
    options, the scores on benchmarks, the held-out loss, and the costs of training with workers
    (times and bytes sent); without a cluster, the costs are empty.
    """
    vocabulary, text = read(options.folder, options.documents)
    name = "none" if options.combine == "none" else "local"
    how = {} if name == "none" else {"combine": options.combine}
    settings = ClusterSettings(name, options.workers, options.round_words, **how)
    with open_cluster(settings, report=lambda _: None) as cluster:
        trained = train(
            text,
            vocabulary.counts,
            SkipGram(),
            Schedule(options.epochs),
            threads=options.threads,
            seed=options.seed,
            cluster=cluster,
        )
    center = np.ascontiguousarray(trained.model.center)
    vectors = WordVectors(vocabulary.words, center, vocabulary.counts)
    found: dict[str, Any] = {
        name: similarity(vectors, load_pairs(benchmark_path(name))).spearman
        for name in ("wordsim353", "simlex999")
    }
    found["google"] = analogies(vectors, benchmark_path("google")).accuracy
    found["heldout_loss"] = trained.epochs[-1].heldout_loss
    costs = {} if trained.cluster is None else vars(trained.cluster)
    return {**vars(options), "folder": str(options.folder), **found, "costs": costs}


def speed_ups(counts: NDArray[np.int64], words: int) -> Iterator[float]:
    """Yield the estimated speed-up over one machine, for each number of machines in `MACHINES`.

    `counts` says how often each word of the vocabulary occurs. In each round, each machine, with 16
    cores, trains on `words` words, then exchanges its changes to the model with the others.
    """
    model = np.broadcast_to(np.float32(0), (len(counts), 100))
    task = Task(Model(model, model), SkipGram(), counts, int(counts.sum()))
    row = 4 * 100 + ROW_NUMBER
    for machines in MACHINES:
        rows = changed_rows(task, words) + changed_rows(task, words * machines)
        sending = rows * row * (machines - 1) / machines / BANDWIDTH
        computing = words / WORDS_PER_SECOND
        yield machines * computing / (computing + sending)


def pictures(options: argparse.Namespace) -> None:
    """Plot scores by the number of workers, and the estimated speed-up by the number of machines.

    The files are ``workers.svg`` for the scores and ``machines.svg`` for the speed-up. In
    ``workers.svg``, a dot is a training, a line is the mean over seeds, and the gray band is the
    range of the scores of trainings without a cluster.
    """
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in options.scores.read_text().splitlines()]
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    names = {"wordsim353": "WordSim-353", "simlex999": "SimLex-999", "google": "Google analogies"}
    for axes, (key, name) in zip(figure.subplots(1, 3), names.items(), strict=True):
        alone = [one[key] for one in lines if one["combine"] == "none"]
        axes.axhspan(min(alone), max(alone), color="0.9", zorder=0)
        ways = {(one["combine"], one["round_words"]) for one in lines} - {("none", None)}
        for how, words in sorted(ways, key=str, reverse=True):
            found: dict[int, list[float]] = {1: alone}
            for one in lines:
                if (one["combine"], one["round_words"]) == (how, words):
                    found.setdefault(one["workers"], []).append(one[key])
            workers = sorted(found)
            label = how if words is None else f"{how}, {words:,} words a round"
            (line,) = axes.plot(workers, [np.mean(found[n]) for n in workers], label=label)
            for n in workers:
                axes.plot([n] * len(found[n]), found[n], "o", ms=4, color=line.get_color())
        axes.set(title=name, xscale="log", xlabel="workers")
        axes.set_xticks(MACHINES, labels=MACHINES, minor=False)
        axes.minorticks_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.savefig(options.out / "workers.svg", metadata={"Date": None})
    vocabulary, _ = read(options.folder, None)
    zipf = (2e7 / np.arange(1, 1_000_001)).astype(np.int64) + 5
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    corpora = {"56,512 words": vocabulary.counts, "a million words": zipf}
    for axes, (name, counts) in zip(figure.subplots(1, 2), corpora.items(), strict=True):
        for words in (100_000, 1_000_000, 5_000_000, 20_000_000):
            axes.plot(MACHINES, list(speed_ups(counts, words)), "o-", label=f"{words:,}")
        axes.plot(MACHINES, MACHINES, color="0.7", lw=0.8, zorder=0)
        axes.set(title=f"vocabulary of {name}", xlabel="machines", ylabel="speed, relative to one")
        axes.set_xticks(MACHINES)
    figure.axes[1].legend(title="words a round and machine")
    figure.savefig(options.out / "machines.svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("score")
    one.add_argument("folder", type=Path)
    one.add_argument("--workers", type=int, default=1)
    one.add_argument("--combine", default="none")
    one.add_argument("--round-words", type=int)
    one.add_argument("--documents", type=int)
    one.add_argument("--epochs", type=int, default=5)
    one.add_argument("--threads", type=int, default=2)
    one.add_argument("--seed", type=int, default=0)
    two = commands.add_parser("pictures")
    for name in ("folder", "scores", "out"):
        two.add_argument(name, type=Path)
    options = parser.parse_args()
    if options.command == "score":
        print(json.dumps(score(options)), flush=True)
    else:
        pictures(options)


if __name__ == "__main__":
    main()
