"""Compare the speed of ``engine=numba`` with gensim and fastText, for each model and loss.

    python -m tests.benchmark_family reviews.txt [--threads 2] [--rounds 3]

Each line of the text is a document. Models with n-grams are compared with fastText if it is
installed, else with gensim's FastText; other models are compared with gensim's Word2Vec. The
dimension is 100, the window 5, and there are five noise words per pair. N-grams have 3 to 6
characters. Speeds are in words of the text per second, the best of several rounds. They are given
for the elapsed time and for the processor time of all threads.

The speed in FLOP/s is compared with that of a large matrix product on one core. Only the operations
of dot products and of their gradients are counted: for each dot product of vectors of d elements,
2 d for the product and 4 d for its gradients.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v.engines import Tally, Task, make_engine
from w2v.engines.tiles import noise_words
from w2v.losses import HierarchicalSoftmax
from w2v.objectives import Cbow, Objective, SkipGram, initial_model
from w2v.sampling import generator
from w2v.text.documents import FileSettings, source_of
from w2v.text.phrases import Phrases
from w2v.text.tokenize import tokenize
from w2v.text.tokenizer import Words
from w2v.text.tokens import Text, read_types
from w2v.training.subwords import subword_sums

MODELS: dict[str, Objective] = {
    "skip-gram, negative sampling": SkipGram(),
    "CBOW, negative sampling": Cbow(),
    "skip-gram, hierarchical softmax": SkipGram(loss=HierarchicalSoftmax()),
    "CBOW, hierarchical softmax": Cbow(loss=HierarchicalSoftmax()),
    "skip-gram, n-grams": SkipGram(subwords=True),
    "CBOW, n-grams": Cbow(subwords=True),
}
PREDICTED = {"skipgram": 14.0, "cbow": 1.0}
"""With negative sampling, the number of dot products of an input vector and the output vector of a
word that may be predicted, for each center word, by architecture. Skip-gram has one with each of
the 14 words in and around a block of four center words. CBOW has one with the center word."""


class Corpus:
    """A text with its vocabulary: the words that occur at least five times."""

    def __init__(self, source: Path, folder: Path) -> None:
        tokenize(folder, source_of(source, FileSettings()), Words(), Phrases())
        tokens = np.load(folder / "tokens.npy", allow_pickle=False)
        offsets = np.load(folder / "offsets.npy", allow_pickle=False)
        types, counts = read_types(folder)
        order = np.argsort(-counts, kind="stable")
        order = order[counts[order] >= 5]
        ids = np.full(len(types), -1, np.int32)
        ids[order] = np.arange(len(order))
        self.text = Text(tokens, ids, np.stack([offsets[:-1], offsets[1:]], axis=1))
        self.counts = counts[order]
        self.words = [types[i] for i in order]
        self.file = folder / "text.txt"
        with self.file.open("w", encoding="utf-8") as file:
            for start, end in self.text.spans:
                chosen = ids[tokens[start:end]]
                file.write(" ".join(self.words[i] for i in chosen[chosen >= 0]) + "\n")


class Clock:
    """Measures the elapsed seconds and the processor seconds since it was made."""

    def __init__(self) -> None:
        self.begun = np.array([time.perf_counter(), time.process_time()])

    def seconds(self) -> NDArray[np.float64]:
        """Return an array: elapsed seconds and processor seconds of all threads since the start."""
        return np.asarray([time.perf_counter(), time.process_time()] - self.begun)


Epoch: TypeAlias = Callable[[], NDArray[np.float64]]
"""A function that trains one epoch and returns the words per second of elapsed time and of
processor time."""


def ours(corpus: Corpus, objective: Objective, threads: int) -> Epoch:
    """Return a function that trains an epoch with ``engine=numba`` and measures its speed.

    `Epoch` is the type of this function. It takes no arguments, and returns two speeds in words per
    second: by elapsed time and by processor time.
    """
    model = initial_model(objective, len(corpus.counts), generator(0, "init"))
    sums = subword_sums(corpus.words, objective) if objective.subwords else None
    total = int(corpus.counts.sum())
    engine = make_engine(
        "numba", Task(model, objective, corpus.counts, total, threads=threads, subwords=sums)
    )

    def epoch() -> NDArray[np.float64]:
        clock, done = Clock(), Tally()
        for number, shard in enumerate(corpus.text.shards(engine.shard_words)):
            done += engine.train(shard, (0.025, 0.01), generator(0, "train", number))
        return np.asarray(done.words / clock.seconds())

    return epoch


def peer(corpus: Corpus, objective: Objective, threads: int) -> tuple[str, Epoch]:
    """Return the name of the library to compare with, and a function that trains an epoch with it.

    The function returns two speeds in words per second: by elapsed time and by processor time. The
    library is fastText for models with n-grams if it is installed, else gensim.
    """
    total = int(corpus.counts.sum())
    skipgram, tree = objective.name == "skipgram", objective.loss.name == "hsoftmax"
    if objective.subwords and (found := fasttext()) is not None:

        def fasttext_epoch() -> NDArray[np.float64]:
            def train(epochs: int) -> NDArray[np.float64]:
                clock = Clock()
                model = "skipgram" if skipgram else "cbow"
                options = {"model": model, "dim": 100, "ws": 5, "neg": 5, "minCount": 5}
                options |= {"epoch": epochs, "thread": threads, "verbose": 0, "t": 1e-3}
                found.train_unsupervised(str(corpus.file), minn=3, maxn=6, **options)
                return clock.seconds()

            # Reading the text and making the model take the rest.
            return np.asarray(total / (train(2) - train(1)))

        return "fastText", fasttext_epoch
    from gensim.models import FastText, Word2Vec

    kind, more = (FastText, {"min_n": 3, "max_n": 6}) if objective.subwords else (Word2Vec, {})

    def gensim_epoch() -> NDArray[np.float64]:
        model: Any = kind(
            vector_size=100, window=5, min_count=5, sg=skipgram, hs=tree, workers=threads,
            negative=0 if tree else 5, sample=1e-3, **more,
        )  # fmt: skip
        model.build_vocab(corpus_file=str(corpus.file))
        clock = Clock()
        size = {"total_words": total, "total_examples": len(corpus.text.spans)}
        model.train(corpus_file=str(corpus.file), epochs=1, **size)
        return np.asarray(total / clock.seconds())

    return f"gensim {kind.__name__}", gensim_epoch


def fasttext() -> Any:
    try:
        import fasttext  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return None
    return fasttext


def core_rate() -> float:
    """Return the speed of a large float32 matrix product on one core, in FLOP/s."""
    a = np.ones((1024, 1024), np.float32)
    with threadpool_limits(1):
        a @ a
        begun = time.process_time()
        for _ in range(10):
            a @ a
        return 10 * 2 * 1024**3 / (time.process_time() - begun)


def scores_of(corpus: Corpus, objective: Objective) -> float:
    """Return the expected number of dot products that training computes per word of the text."""
    from w2v.huffman import HuffmanTree
    from w2v.sampling import keep_probabilities

    kept = keep_probabilities(corpus.counts, objective.subsample) * corpus.counts
    if objective.loss.name == "negsample":
        each = PREDICTED[objective.name] + noise_words(objective)
    else:
        length = float(kept @ HuffmanTree(corpus.counts).lengths / kept.sum())
        # With skip-gram, four center words are scored with the nodes on about nine paths.
        each = length if objective.name == "cbow" else 9 * length
    return each * float(kept.sum() / corpus.counts.sum())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--models",
        default="",
        help="only those whose names contain one of these, separated by semicolons",
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(given.text, Path(folder))
        peak = core_rate()
        print(f"{len(corpus.words):,} types; a core's products: {peak / 1e9:.0f} GFLOP/s")
        for name, objective in MODELS.items():
            if not any(part in name for part in given.models.split(";")):
                continue
            mine = ours(corpus, objective, given.threads)
            label, theirs = peer(corpus, objective, given.threads)
            rounds = [(mine(), theirs()) for _ in range(given.rounds)]
            best, other = (np.max(rates, axis=0) for rates in zip(*rounds, strict=True))
            share = best[1] * scores_of(corpus, objective) * 600 / peak
            print(f"{name}, {label}: M words/s", flush=True)
            for n, kind in enumerate(("elapsed time", "processor time")):
                print(
                    f"    {kind}: {best[n] / 1e6:.2f} and {other[n] / 1e6:.3f}, "
                    f"{best[n] / other[n]:.1f} times",
                    flush=True,
                )
            print(f"    {share:.0%} of the products' rate")


if __name__ == "__main__":
    main()
