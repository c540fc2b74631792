"""Measure the training time per (center, outside) pair, and the speed of matrix products."""

import time
from collections.abc import Callable
from timeit import Timer

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v import losses
from w2v.engines import Task, make_engine
from w2v.objectives import Objective, initial_model
from w2v.sampling import generator
from w2v.text.tokens import Text
from w2v.training.cost import work

TEXT_WORDS = 1 << 12
DOCUMENT_WORDS = 1 << 10

LEARNING_RATE = 1e-4
"""The learning rate, so small that a measurement hardly changes the vectors for the next one."""

PAIRWISE = "a pair at a time"
"""Used in place of an engine's name for `w2v.losses.naive_softmax`, the softmax of one pair."""


ROWS, COLUMNS = 2000, 50_000
"""The shape of the matrix product in `sgemm_gflops`: large enough for the full speed."""


def time_pair(
    way: str,
    objective: Objective,
    size: int,
    seed: int,
    threads: int,
    least: float,
    precision: str,
) -> dict[str, float]:
    """Return the training time per (center, outside) pair: the shortest that is measured.

    With CBOW, each predicted word counts as one pair.

    Parameters
    ----------
    way
        The name of an engine, or `PAIRWISE` for the reference function of the exact softmax, which
        uses only the dimension of `objective`.
    size
        The number of words in the vocabulary.
    seed
        The seed of the random text and the initial vectors.
    least
        Measurements are repeated until they have taken this many seconds together.
    precision
        The precision of matrix products of ``engine="jax"``.

    Returns
    -------
    dict
        ``seconds_per_pair``, and ``scores_per_pair``: the number of dot products of an input and an
        output vector per pair.
    """
    if way == PAIRWISE:
        random = generator(seed, "reference", size)
        center = random.normal(size=objective.dim)
        outside = random.normal(size=(size, len(center)))
        pair = Timer(lambda: losses.naive_softmax(center, 1, outside))
        seconds = shortest_time(lambda: pair.timeit(1), least)
        return {"seconds_per_pair": seconds, "scores_per_pair": size}
    # A loss that scores every word of the vocabulary gets a shorter text.
    scores_all = objective.loss.scores(1, 1, np.ones(size)) >= size
    words = TEXT_WORDS if scores_all else 16 * TEXT_WORDS
    text, counts = zipf_text(size, words, seed)
    start = initial_model(objective, size, generator(seed, "init"))
    task = Task(start, objective, counts, words, threads=threads, precision=precision)
    need = work(text, task, generator(seed, "work"))
    trainer = make_engine(way, task)

    def train() -> float:
        begun = time.perf_counter()
        done = trainer.train(text, (LEARNING_RATE, LEARNING_RATE), generator(seed, "train"))
        return time.perf_counter() - begun - done.setup_seconds

    seconds = shortest_time(train, least) / need.pairs
    return {"seconds_per_pair": seconds, "scores_per_pair": need.scores / need.pairs}


def sgemm_gflops(dim: int, threads: int) -> float:
    """Return the speed of NumPy's float32 matrix product, in GFLOP/s.

    The matrices have the shapes (ROWS, dim) and (dim, COLUMNS).
    """
    random = np.random.default_rng(0)
    a = random.random((ROWS, dim), dtype=np.float32)
    b = random.random((COLUMNS, dim), dtype=np.float32)
    out = np.empty((ROWS, COLUMNS), np.float32)
    product = Timer(lambda: np.matmul(a, b.T, out=out))
    with threadpool_limits(threads):
        product.timeit(1)  # the first call allocates memory and starts threads
        seconds = product.timeit(3)
    return 3 * 2 * ROWS * COLUMNS * dim / seconds / 1e9


def zipf_text(size: int, words: int, seed: int) -> tuple[Text, NDArray[np.int64]]:
    """Return a random text by Zipf's law, and the expected count of each word in a longer text.

    Zipf's law says that the frequency of a word is proportional to 1 / rank.

    Parameters
    ----------
    size
        The number of words in the vocabulary.
    words
        The length of the text in words.
    seed
        The random seed.

    Returns
    -------
    text : Text
    counts : int64 (size,)
        The expected count of each word in a text of ten million words, at least 1; not its count in
        `text`.
    """
    shares = 1 / np.arange(1, size + 1)
    shares /= shares.sum()
    tokens = generator(seed, "zipf", size).choice(size, words, p=shares).astype(np.int32)
    starts = np.arange(0, words, DOCUMENT_WORDS)
    spans = np.stack([starts, np.minimum(starts + DOCUMENT_WORDS, words)], axis=1).astype(np.int64)
    counts = np.maximum(1, np.round(shares * 1e7)).astype(np.int64)
    return Text(tokens, np.arange(size, dtype=np.int32), spans), counts


def shortest_time(call: Callable[[], float], least: float) -> float:
    """Measure a time repeatedly and return the shortest, which other programs disturbed least.

    Parameters
    ----------
    call
        Does the work and returns the seconds that it took. The first call is not counted.
    least
        `call` is repeated until its times add up to this many seconds.
    """
    call()
    spent = [call()]
    while sum(spent) < least:
        spent.append(call())
    return min(spent)
