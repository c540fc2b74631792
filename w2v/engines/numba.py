"""``engine=numba``: training by functions (kernels) that Numba compiles.

The kernels train negative sampling and the hierarchical softmax. The exact softmax is left to the
engine in NumPy.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v import sampling
from w2v.engines import Tally, Task, step, tiles
from w2v.engines.compiled import loop, structures
from w2v.engines.compiled.simd import LANES
from w2v.engines.inputs import CbowInputs, make_inputs
from w2v.engines.numpy import NumpyEngine
from w2v.engines.tiles import noise_words, step_words
from w2v.huffman import HuffmanTree
from w2v.jit import one_process_at_a_time
from w2v.losses import HierarchicalSoftmax, NegativeSampling
from w2v.objectives import Model, SkipGram
from w2v.sampling import NoiseDistribution, draw_key, keep_thresholds
from w2v.sums import Sums
from w2v.text.tokens import Text

Scalar = TypeVar("Scalar", bound=np.generic)

COMPILED_LOSSES = NegativeSampling, HierarchicalSoftmax
"""The losses that the compiled kernels can train."""

KERNEL_SOURCES = (
    *sorted(Path(loop.__file__).parent.glob("*.py")),
    *(Path(str(module.__file__)) for module in (sampling, step, tiles)),
)
"""If one of these files is newer than the compiled kernels on disk, the kernels are compiled again
(on POSIX systems only; see `w2v.jit`)."""

STEPS_AHEAD = 2
"""Training steps are prepared in groups of this number times the number of threads: the words and
random numbers of all steps of a group are chosen before the first of these steps is computed.
There is memory for two groups. While a group is computed, threads that would have to wait for
others prepare the next one."""


class NumbaEngine:
    """An engine that trains with compiled kernels; all threads work together on each training step.

    The vectors do not depend on the number of threads. With the exact softmax, or if some vectors
    are frozen (not updated), the training is left to a `NumpyEngine`: the softmax spends its time
    in large matrix products anyway, and the kernels do not support frozen vectors.

    Attributes
    ----------
    compile_seconds
        Seconds spent on compiling the kernels, or on loading them from disk; 0 with a
        `NumpyEngine`.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        # Starting threads for each shard takes time, but the learning-rate schedule needs several
        # shards.
        self.shard_words = min(1 << 20, max(1 << 16, task.words // 8))
        self.compile_seconds = 0.0
        self.numpy: NumpyEngine | None = None
        loss = task.objective.loss
        if not isinstance(loss, COMPILED_LOSSES) or task.frozen is not None:
            self.numpy = NumpyEngine(task)
            self.shard_words = self.numpy.shard_words
            return
        center, outside = map(align_rows, task.model)
        dim = task.objective.dim
        self.task = replace(task, model=Model(center[:, :dim], outside[:, :dim]))
        self.problem, sizes = make_problem(self.task, center, outside)
        sizes = self.sizes = sizes._replace(halves=task.threads <= 2)
        self.plans = structures.make_plans(sizes, 2 * STEPS_AHEAD * task.threads)
        self.buffer = structures.make_buffer(sizes)
        self.scratches = [structures.make_scratch(sizes, self.problem) for _ in range(task.threads)]
        start = time.perf_counter()
        empty = Text(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 2), np.int64))
        with one_process_at_a_time(loop.train, *KERNEL_SOURCES):
            self.train(empty, (0.0, 0.0), np.random.default_rng(0))
        self.compile_seconds = time.perf_counter() - start

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Train on a shard (part of the text) once, on all threads; update the model in place.

        `rates` has the learning rate at the start and at the end of the shard. The result has the
        number of tokens that are in the vocabulary, before sub-sampling; the summed weight of the
        (center, outside) pairs; and the weighted sum of their losses. The weight of a pair is 1 or,
        with the setting `dynamic_window`, (m - j + 1) / m at distance j, for a window size of m.
        For CBOW, each predicted word counts as one pair of weight 1.
        """
        if self.numpy is not None:
            return self.numpy.train(text, rates, random)
        key, source, sizes = draw_key(random), source_of(text), self.sizes
        floats = float(rates[0]), float(rates[1])  # the kernel would be compiled again for integers
        shard = structures.make_shard(sizes, text.size, len(self.plans.ids) // 2)

        def work(scratch: structures.Scratch) -> None:
            loop.train(
                self.problem, sizes, source, key, floats, self.plans, self.buffer, shard, scratch
            )

        if len(self.scratches) == 1:
            work(self.scratches[0])
        else:
            with ThreadPoolExecutor(len(self.scratches)) as pool:
                list(pool.map(work, self.scratches))
        pairs, loss = shard.tallies.sum(axis=0).tolist()
        return Tally(int(shard.words.sum()), pairs, loss)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, by name, that later updates depend on in addition to the model.

        With the exact softmax, or if some vectors are frozen (not updated), this engine leaves the
        training to a `NumpyEngine` of its own. The arrays of that engine are then returned, not
        copied. Otherwise, the dict is empty.
        """
        return self.numpy.state() if self.numpy is not None else {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from the state of an earlier engine: what its method `state` returned.

        The earlier engine must have been made for the same training task: the same objective,
        vocabulary and text. With the exact softmax, or if some vectors are frozen (not updated),
        this engine leaves the training to a `NumpyEngine` of its own, which copies the arrays. In
        all other cases, an engine has no state, and nothing is done.
        """
        if self.numpy is not None:
            self.numpy.restore(state)


def make_problem(
    task: Task, center: NDArray[np.float32], outside: NDArray[np.float32]
) -> tuple[structures.Problem, structures.Sizes]:
    """Return what the kernels (compiled functions) work on: the model, its settings, and sizes.

    The first result has the model and the settings of its training. The second has numbers of
    words: in a training step, and in the parts into which it is divided for the threads.

    Parameters
    ----------
    task
        The training task.
    center, outside
        The matrices of the task's vectors, with rows padded to whole cache lines.
    """
    objective, loss = task.objective, task.objective.loss
    inputs, words = make_inputs(objective, task.subwords), step_words(task)
    by_distance = np.concatenate([inputs.targets[:0:-1], inputs.targets])
    cbow = inputs if isinstance(inputs, CbowInputs) else None
    reach = None if cbow is None else len(inputs.targets) - 1
    negatives, exponent, shared = 0, 0.0, 0
    starts, branches, leaves = np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32)
    depth = inner = 0
    if isinstance(loss, HierarchicalSoftmax):
        tree = HuffmanTree(task.counts)
        starts = tree.starts.astype(np.int32)
        branches = np.append(2 * tree.nodes + tree.codes, np.zeros(LANES, np.int32))
        leaves = tree.leaf_positions() if cbow else leaves
        depth, inner = int(tree.lengths.max()), len(tree.lengths) - 1
    elif isinstance(loss, NegativeSampling):
        negatives, exponent, shared = loss.negatives, loss.exponent, noise_words(objective)
    sizes = structures.make_sizes(
        objective.dim, objective.window, words, reach, shared, depth, inner
    )
    noise = NoiseDistribution(task.counts, exponent)
    sums, none = task.subwords or Sums(np.zeros(0, np.int32)), np.zeros(0, np.float32)
    weights, shares = (none if one is None else one for one in (sums.weights, sums.shares))
    lengths = None if cbow is None else cbow.lengths
    if cbow is not None and lengths is not None:
        # The vectors of words are sums instead of means of rows, so that all vectors of a window
        # have the same weight.
        factors = np.repeat(lengths, lengths).astype(np.float32)
        weights, shares = weights * factors, shares * factors if cbow.exact else shares
    parts = structures.Parts(
        read_only(sums.borders()),
        read_only(sums.ids),
        read_only(weights),
        read_only(shares),
        read_only(sums.totals()),
    )
    if task.subwords is not None:
        sizes = structures.with_parts(sizes, parts)
    problem = structures.Problem(
        center,
        outside,
        keep_thresholds(task.counts, objective.subsample),
        noise.last,
        noise.start,
        draws_windows=cbow is not None and cbow.dynamic,
        mean=cbow is not None and cbow.mean,
        by_rows=lengths is not None,
        exact=cbow is not None and cbow.exact,
        pairs=structures.Pairs(
            by_distance,
            np.concatenate([[0], np.cumsum(by_distance)]).astype(np.float32),
            np.float32(negatives),
        ),
        paths=structures.Paths(read_only(starts), read_only(branches), read_only(leaves)),
        parts=parts,
    )
    return problem, sizes


def compile_kernels() -> float:
    """Compile the kernels of ``engine=numba``, and cache them on disk; return the seconds it took.

    If compiled kernels are in the cache already, they are loaded instead.
    """
    loss = NegativeSampling()
    objective = SkipGram(dim=1, window=1, loss=loss)
    model = Model(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32))
    return NumbaEngine(Task(model, objective, np.ones(2, np.int64), 2)).compile_seconds


def source_of(text: Text) -> structures.Source:
    """Convert a text to the form in which the kernels (compiled functions) read it.

    Arrays of tokens are not copied if they are contiguous.
    """
    starts, ends = text.spans.T
    borders = np.cumsum(ends - starts)
    return structures.Source(
        read_only(text.tokens), read_only(text.ids), starts - (borders - (ends - starts)), borders
    )


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a read-only view of an array, or of a contiguous copy if it is not contiguous.

    Numba compiles a function separately for read-only and for writable arguments. Memory-mapped
    arrays are read-only; if all other arrays are as well, it compiles only once.
    """
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def align_rows(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Copy a matrix so that each row starts on a cache line.

    Parameters
    ----------
    matrix : float32 (V, d)

    Returns
    -------
    float32 (V, d rounded up to whole cache lines)
        Zero from column d on.
    """
    size, dim = matrix.shape
    rows = structures.aligned_zeros(size, structures.round_up(dim, structures.LINE))
    rows[:, :dim] = matrix
    return rows
