"""The compiled engine: negative sampling by the kernels, on as many threads as are asked for."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task, kernels
from w2v.engines.numpy import NumpyEngine
from w2v.jit import one_process_at_a_time
from w2v.objectives import Model, NegativeSampling, SkipGram
from w2v.sampling import NoiseDistribution, keep_probabilities
from w2v.text.tokens import Text

Scalar = TypeVar("Scalar", bound=np.generic)

PART = 1 << 14
"""Tokens that a thread takes at a time, on average: enough for the call not to matter, few enough
for threads to end together."""


class NumbaEngine:
    """Threads that update the model without locks.

    Which thread trains a part of the text is left to chance, but not what is drawn there. One
    thread alone gives the same bits for the same generator. The exact softmax, whose time goes
    into large matrix products, is left to `NumpyEngine`.

    Attributes
    ----------
    compile_seconds
        Spent here on compiling the kernels, or on loading them from disk.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        # Threads wait for one another at the end of a piece, yet a curve needs a few of them.
        self.piece_words = min(1 << 21, max(1 << 16, task.words // 8))
        self.compile_seconds = 0.0
        self.numpy: NumpyEngine | None = None
        loss = task.objective.loss
        if not isinstance(loss, NegativeSampling):
            self.numpy = NumpyEngine(task)
            self.piece_words = self.numpy.piece_words
            return
        noise = NoiseDistribution(task.counts, loss.exponent)
        weights = task.objective.pair_weights()
        center, outside = map(on_cache_lines, task.model)
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
        self.sizes = sizes = kernels.sizes_of(dim, task.objective.window)
        self.workers = [
            (
                (kernels.make_block(sizes), kernels.make_block(sizes)),
                kernels.make_scratch(sizes, 2 * PART),
            )
            for _ in range(task.threads)
        ]
        begun = time.perf_counter()
        nothing = Text(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 2), np.int64))
        with one_process_at_a_time(kernels.train):
            self._work(0, iter([(nothing, (0.0, 0.0), np.uint64(0))]))
        self.compile_seconds = time.perf_counter() - begun

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """See `w2v.engines.Engine.train`."""
        if self.numpy is not None:
            return self.numpy.train(text, rates, random)
        parts = text.pieces(PART)
        ends = np.cumsum([0, *(part.size for part in parts)])
        course = rates[0] + (rates[1] - rates[0]) * ends / max(1, ends[-1])
        seeds = random.integers(2**64, size=len(parts), dtype=np.uint64)
        jobs = iter(
            [
                (part, (float(start), float(end)), seed)
                for part, start, end, seed in zip(
                    parts, course[:-1], course[1:], seeds, strict=True
                )
            ]
        )
        if len(self.workers) == 1:
            return self._work(0, jobs)
        with ThreadPoolExecutor(len(self.workers)) as pool:
            done = pool.map(lambda n: self._work(n, jobs), range(len(self.workers)))
            return sum(done, Tally())

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
        """Train on one part after another until none is left; threads share ``jobs``."""
        blocks, scratch = self.workers[worker]
        tally = Tally()
        for text, rates, seed in jobs:
            source = source_of(text)
            tally += Tally(
                *kernels.train(self.problem, self.sizes, source, blocks, scratch, rates, seed)
            )
        return tally


def compile_kernels() -> float:
    """Leave the compiled kernels on disk; returns the seconds it took."""
    loss = NegativeSampling()
    objective = SkipGram(dim=1, window=1, loss=loss)
    model = Model(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32))
    return NumbaEngine(Task(model, objective, np.ones(2, np.int64), 2)).compile_seconds


def source_of(text: Text) -> kernels.Source:
    """A text as the kernels take it, nothing copied."""
    return kernels.Source(read_only(text.tokens), read_only(text.ids), read_only(text.spans))


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """A view that may not be written: one type to the compiler, memory-mapped or not."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def on_cache_lines(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """A copy whose rows start on cache lines.

    Parameters
    ----------
    matrix : float32 (V, d)

    Returns
    -------
    float32 (V, d rounded up to whole lines)
        Zero from column d on.
    """
    size, dim = matrix.shape
    rows = kernels.line_aligned(size, kernels.whole(dim, kernels.LINE))
    rows[:, :dim] = matrix
    return rows
