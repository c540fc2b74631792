"""``engine=numba``: negative sampling by compiled kernels, on several threads."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task, kernels, simd
from w2v.engines.numpy import NumpyEngine
from w2v.jit import one_process_at_a_time
from w2v.losses import NegativeSampling
from w2v.objectives import Model, SkipGram
from w2v.sampling import NoiseDistribution, keep_probabilities
from w2v.text.tokens import Text

Scalar = TypeVar("Scalar", bound=np.generic)

JOB_TOKENS = 1 << 14
"""Average tokens of a job, the text that a thread trains on at a time: enough to make the cost of a
call negligible, and few enough for all threads to finish at about the same time."""


class NumbaEngine:
    """Threads that update the model without locks.

    What is drawn for a job does not depend on the thread that takes it, but the order of the
    updates does. With one thread, equal generators give equal bits.

    Any loss but negative sampling is left to `NumpyEngine`: the exact softmax spends its time in
    large matrix products. So is a task with frozen vectors, which the kernels do not know.

    Attributes
    ----------
    compile_seconds
        The time it took to compile the kernels, or to load them from disk.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        # Threads wait for one another at the end of each shard, but there must be a few shards
        # for the schedule of the learning rate.
        self.shard_words = min(1 << 21, max(1 << 16, task.words // 8))
        self.compile_seconds = 0.0
        self.numpy: NumpyEngine | None = None
        loss = task.objective.loss
        if not isinstance(loss, NegativeSampling) or task.frozen is not None:
            self.numpy = NumpyEngine(task)
            self.shard_words = self.numpy.shard_words
            return
        noise = NoiseDistribution(task.counts, loss.exponent)
        weights = task.objective.pair_weights()
        center, outside = map(align_rows, task.model)
        dim = task.objective.dim
        self.task = replace(task, model=Model(center[:, :dim], outside[:, :dim]))
        self.problem = kernels.Problem(
            center,
            outside,
            keep_probabilities(task.counts, task.objective.subsample),
            noise.threshold,
            noise.alias,
            np.concatenate([weights[::-1], [0], weights]).astype(np.float32),
            np.float32(loss.negatives),
        )
        self.sizes = sizes = kernels.make_sizes(dim, task.objective.window)
        self.workers = [
            (
                (kernels.make_batch(sizes), kernels.make_batch(sizes)),
                kernels.make_scratch(sizes, 2 * JOB_TOKENS),
            )
            for _ in range(task.threads)
        ]
        start = time.perf_counter()
        empty = Text(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 2), np.int64))
        with one_process_at_a_time(kernels.train, Path(simd.__file__)):
            self._work(0, iter([(empty, (0.0, 0.0), np.uint64(0))]))
        self.compile_seconds = time.perf_counter() - start

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """See `w2v.engines.Engine.train`."""
        if self.numpy is not None:
            return self.numpy.train(text, rates, random)
        texts = text.shards(JOB_TOKENS)
        ends = np.cumsum([0, *(part.size for part in texts)])
        course = (rates[0] + (rates[1] - rates[0]) * ends / max(1, ends[-1])).tolist()
        seeds = random.integers(2**64, size=len(texts), dtype=np.uint64)
        jobs = iter(list(zip(texts, pairwise(course), seeds, strict=True)))
        if len(self.workers) == 1:
            return self._work(0, jobs)
        with ThreadPoolExecutor(len(self.workers)) as pool:
            tallies = pool.map(lambda n: self._work(n, jobs), range(len(self.workers)))
            return sum(tallies, Tally())

    def state(self) -> dict[str, NDArray[Any]]:
        """See `w2v.engines.Engine.state`."""
        return self.numpy.state() if self.numpy is not None else {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `w2v.engines.Engine.restore`."""
        if self.numpy is not None:
            self.numpy.restore(state)

    def _work(
        self, worker: int, jobs: Iterator[tuple[Text, tuple[float, float], np.uint64]]
    ) -> Tally:
        """Take jobs (text, learning rates, seed) until none is left; threads share ``jobs``."""
        batches, scratch = self.workers[worker]
        tally = Tally()
        for text, rates, seed in jobs:
            source = source_of(text)
            tally += Tally(
                *kernels.train(self.problem, self.sizes, source, batches, scratch, rates, seed)
            )
        return tally


def compile_kernels() -> float:
    """Compile the kernels, leave them on disk and return the seconds it took."""
    loss = NegativeSampling()
    objective = SkipGram(dim=1, window=1, loss=loss)
    model = Model(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32))
    return NumbaEngine(Task(model, objective, np.ones(2, np.int64), 2)).compile_seconds


def source_of(text: Text) -> kernels.Source:
    """Return a text in the form that the kernels take, without copying it."""
    return kernels.Source(read_only(text.tokens), read_only(text.ids), read_only(text.spans))


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a read-only view, so that Numba sees one type whether or not an array is mapped."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def align_rows(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Copy a matrix so that its rows start on cache lines.

    Parameters
    ----------
    matrix : float32 (V, d)

    Returns
    -------
    float32 (V, d rounded up to whole cache lines)
        Zero from column d on.
    """
    size, dim = matrix.shape
    rows = kernels.aligned_zeros(size, kernels.round_up(dim, kernels.LINE))
    rows[:, :dim] = matrix
    return rows
