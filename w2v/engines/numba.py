"""``engine=numba``: negative sampling by compiled kernels, on any number of threads."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v import sampling
from w2v.engines import Tally, Task, jobs, kernels, negative_sampling, simd, step, tiles
from w2v.engines.negative_sampling import step_words
from w2v.engines.numpy import NumpyEngine
from w2v.jit import one_process_at_a_time
from w2v.losses import NegativeSampling
from w2v.objectives import Model, SkipGram
from w2v.sampling import NoiseDistribution, draw_key, keep_thresholds
from w2v.text.tokens import Text

Scalar = TypeVar("Scalar", bound=np.generic)

KERNEL_SOURCES = jobs, negative_sampling, sampling, simd, step, tiles
"""The modules, besides their own, that the kernels take code and constants from."""

STEPS_AHEAD = 4
"""Steps that each thread plans at a time, on average."""


class NumbaEngine:
    """Threads that compute each step together. The result does not depend on their number.

    Any loss but negative sampling is left to `NumpyEngine`: the exact softmax spends its time in
    large matrix products. So is a task with frozen vectors, which the kernels do not know.

    Attributes
    ----------
    compile_seconds
        The time it took to compile the kernels, or to load them from disk.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        # Threads start anew with each shard, but there must be a few shards for the schedule of
        # the learning rate.
        self.shard_words = min(1 << 20, max(1 << 16, task.words // 8))
        self.compile_seconds = 0.0
        self.numpy: NumpyEngine | None = None
        loss = task.objective.loss
        if not isinstance(loss, NegativeSampling) or task.frozen is not None:
            self.numpy = NumpyEngine(task)
            self.shard_words = self.numpy.shard_words
            return
        noise = NoiseDistribution(task.counts, loss.exponent)
        weights = task.objective.pair_weights()
        by_distance = np.concatenate([weights[::-1], [0], weights]).astype(np.float32)
        center, outside = map(align_rows, task.model)
        dim = task.objective.dim
        self.task = replace(task, model=Model(center[:, :dim], outside[:, :dim]))
        self.problem = kernels.Problem(
            center,
            outside,
            keep_thresholds(task.counts, task.objective.subsample),
            noise.threshold,
            noise.alias,
            by_distance,
            np.concatenate([[0], np.cumsum(by_distance)]).astype(np.float32),
            np.float32(loss.negatives),
        )
        self.sizes = sizes = kernels.make_sizes(dim, task.objective.window, step_words(task))
        self.plans = kernels.make_plans(sizes, STEPS_AHEAD * task.threads)
        self.buffer = kernels.make_buffer(sizes)
        self.scratches = [
            kernels.make_scratch(sizes, len(task.counts)) for _ in range(task.threads)
        ]
        start = time.perf_counter()
        empty = Text(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 2), np.int64))
        sources = [Path(str(module.__file__)) for module in KERNEL_SOURCES]
        with one_process_at_a_time(kernels.train, *sources):
            self.train(empty, (0.0, 0.0), np.random.default_rng(0))
        self.compile_seconds = time.perf_counter() - start

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """See `w2v.engines.Engine.train`."""
        if self.numpy is not None:
            return self.numpy.train(text, rates, random)
        key, source, sizes = draw_key(random), source_of(text), self.sizes
        shard = kernels.make_shard(sizes, text.size, len(self.plans.ids))

        def work(scratch: kernels.Scratch) -> None:
            kernels.train(
                self.problem, sizes, source, key, rates, self.plans, self.buffer, shard, scratch
            )

        if len(self.scratches) == 1:
            work(self.scratches[0])
        else:
            with ThreadPoolExecutor(len(self.scratches)) as pool:
                list(pool.map(work, self.scratches))
        pairs, loss = shard.tallies.sum(axis=0).tolist()
        return Tally(int(shard.words.sum()), pairs, loss)

    def state(self) -> dict[str, NDArray[Any]]:
        """See `w2v.engines.Engine.state`."""
        return self.numpy.state() if self.numpy is not None else {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `w2v.engines.Engine.restore`."""
        if self.numpy is not None:
            self.numpy.restore(state)


def compile_kernels() -> float:
    """Compile the kernels, leave them on disk and return the seconds it took."""
    loss = NegativeSampling()
    objective = SkipGram(dim=1, window=1, loss=loss)
    model = Model(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32))
    return NumbaEngine(Task(model, objective, np.ones(2, np.int64), 2)).compile_seconds


def source_of(text: Text) -> kernels.Source:
    """Return a text in the form that the kernels take, without copying its tokens."""
    starts, ends = text.spans.T
    borders = np.cumsum(ends - starts)
    return kernels.Source(
        read_only(text.tokens), read_only(text.ids), starts - (borders - (ends - starts)), borders
    )


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
