"""The engine in plain NumPy: both losses as matrix products over blocks of running text.

For centre rows C and outside rows R of a block, with scores S = C Rᵀ, each loss gives a sum and
a matrix G = ∂J/∂S; then ∂J/∂C = G R and ∂J/∂R = Gᵀ C (see ``w2v/README.md``).
"""

from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.model import NegativeSampling, Softmax
from w2v.sampling import NoiseDistribution, keep_probabilities
from w2v.tokens import Chunk, Text

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


Drawn = TypeVar("Drawn")


class Step(Protocol[Drawn]):
    """What differs between the losses: how a batch is drawn, scored and learnt from."""

    batch_words: int
    """Sub-sampled words of a batch."""

    def draw(self, batch: Chunk, random: np.random.Generator) -> Drawn:
        """Fix all that is random about a batch; valid until the next draw."""
        ...

    def loss(self, draw: Drawn) -> Tally:
        """The tally of a batch, the model left as it is."""
        ...

    def update(self, draw: Drawn, rate: float) -> Tally:
        """Update the model; the tally is from before."""
        ...


class NumpyEngine:
    """One thread of NumPy; the matrix products use the BLAS library's threads."""

    piece_words = 1 << 16
    compile_seconds = 0.0

    def __init__(self, task: Task) -> None:
        self.task = task
        self.keep = keep_probabilities(task.counts, task.objective.subsample)
        loss = task.objective.loss
        self.step: Step[Any]
        if isinstance(loss, NegativeSampling):
            self.step = NegativeSamplingStep(task, loss)
        else:
            self.step = SoftmaxStep(task, loss)

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """See `w2v.engines.Engine.train`."""
        words, batches = self._batches(text, random)
        start, end = rates
        tally = Tally(words=words)
        for number, batch in enumerate(batches):
            rate = start + (end - start) * number / len(batches)
            tally += self.step.update(self.step.draw(batch, random), rate)
        return tally

    def loss(self, text: Text, random: np.random.Generator) -> Tally:
        """The objective on a text, by the same sub-sampling, windows and noise as training.

        The model is left as it is, so equal generators give comparable losses.
        """
        words, batches = self._batches(text, random)
        tally = Tally(words=words)
        for batch in batches:
            tally += self.step.loss(self.step.draw(batch, random))
        return tally

    def _batches(self, text: Text, random: np.random.Generator) -> tuple[int, list[Chunk]]:
        """Read, sub-sample and cut; returns the words before sub-sampling as well.

        A batch holds its centre words and the m words before and after them, which belong to its
        neighbours or, at the ends of the text, to no document (-1).
        """
        ids, documents = text.chunk()
        kept = random.random(len(ids), dtype=np.float32) < self.keep[ids]
        m, size = self.task.objective.window, self.step.batch_words
        sampled, owners = np.pad(ids[kept], m), np.pad(documents[kept], m, constant_values=-1)
        return len(ids), [
            Chunk(sampled[first : first + size + 2 * m], owners[first : first + size + 2 * m])
            for first in range(0, len(sampled) - 2 * m, size)
        ]


# ---------------------------------------------------------------- negative sampling

BLOCK = 32
"""Running centre words that share one set of noise words."""

NOISE = 32
"""Noise words of a block. Each stands for K / NOISE of the K a pair has, so the expected
gradient is that of fresh draws for every pair."""

BLOCKS = 32
"""Blocks in a step."""


class Draw(NamedTuple):
    """What a step updates, in B blocks of `BLOCK` running centre words.

    Attributes
    ----------
    centers : int32 (B, BLOCK)
    rows : int32 (B, P + NOISE)
        The text from m words before to m words after each block, P = BLOCK + 2 m words; then
        the noise words.
    weights : float32 (B, BLOCK, P + NOISE)
        How much each entry counts: a (centre, outside) pair its weight by distance, zero
        beyond the window and the document; a noise word K / NOISE times its centre's pairs.
    """

    centers: I32
    rows: I32
    weights: F32


class NegativeSamplingStep:
    """One step of stochastic gradient descent on a batch of running text."""

    batch_words = BLOCK * BLOCKS

    def __init__(self, task: Task, loss: NegativeSampling) -> None:
        self.model = task.model
        self.negatives = loss.negatives
        self.noise = NoiseDistribution(task.counts, loss.exponent)
        self.window = m = task.objective.window
        self.pairs = BLOCK + 2 * m
        distance = np.abs(np.arange(self.pairs) - m - np.arange(BLOCK)[:, None])
        by_distance = np.concatenate([[0], task.objective.pair_weights(), [0]])
        self.band = by_distance[np.minimum(distance, m + 1)].astype(np.float32)
        self.windows = BLOCK * np.arange(BLOCKS)[:, None] + np.arange(self.pairs)
        # Fresh arrays of this size cost page faults, more than the arithmetic on them.
        rows, dim = self.pairs + NOISE, task.objective.dim
        self.C = np.empty((BLOCKS, BLOCK, dim), np.float32)
        self.R = np.empty((BLOCKS, rows, dim), np.float32)
        self.dC, self.dR = np.empty_like(self.C), np.empty_like(self.R)
        scores = BLOCKS, BLOCK, rows
        self.S, self.G, self.T, self.W = (np.empty(scores, np.float32) for _ in range(4))

    def draw(self, batch: Chunk, random: np.random.Generator) -> Draw:
        """Lay the batch out in blocks and draw their noise.

        The weights are valid until the next draw.
        """
        m = self.window
        missing = BLOCK * BLOCKS + 2 * m - len(batch.ids)
        ids = np.pad(batch.ids, (0, missing))
        owners = np.pad(batch.documents, (0, missing), constant_values=-1)
        owner = owners[self.windows]
        center_owner = owner[:, m : m + BLOCK, None]
        same = (center_owner == owner[:, None, :]) & (center_owner >= 0)
        pair_weights = self.W[:, :, : self.pairs]
        np.multiply(same, self.band, out=pair_weights)
        share = np.float32(self.negatives / NOISE)
        self.W[:, :, self.pairs :] = share * pair_weights.sum(axis=2, keepdims=True)
        noise = self.noise.draw(random, (BLOCKS, NOISE))
        rows = np.concatenate([ids[self.windows], noise], axis=1)
        return Draw(rows[:, m : m + BLOCK], rows, self.W)

    def loss(self, draw: Draw) -> Tally:
        """The tally of a drawn batch; leaves ∂J/∂S in ``G`` and the curvature in ``S``."""
        np.take(self.model.center, draw.centers, axis=0, out=self.C, mode="clip")
        np.take(self.model.outside, draw.rows, axis=0, out=self.R, mode="clip")
        np.matmul(self.C, self.R.transpose(0, 2, 1), out=self.S)
        # −log σ(s) for a pair and −log σ(−s) for noise are one function, of −s and of s.
        self.S[:, :, : self.pairs] *= -1
        loss = logistic(self.S, draw.weights, self.G, self.T)
        self.G[:, :, : self.pairs] *= -1
        return Tally(0, float(draw.weights[:, :, : self.pairs].sum(dtype=np.float64)), loss)

    def update(self, draw: Draw, rate: float) -> Tally:
        """Step along the summed gradient of a drawn batch; the tally is from before the step."""
        tally = self.loss(draw)
        C, R, G, curvature = self.C, self.R, self.G, self.S
        np.matmul(G, R, out=self.dC)
        np.matmul(G.transpose(0, 2, 1), C, out=self.dR)
        center_curvature = curvature @ np.einsum("bid,bid->bi", R, R)[:, :, None]
        row_curvature = curvature.transpose(0, 2, 1) @ np.einsum("bid,bid->bi", C, C)[:, :, None]
        descend(self.model.center, draw.centers, self.dC, center_curvature, rate)
        descend(self.model.outside, draw.rows, self.dR, row_curvature, rate)
        return tally


def logistic(x: F32, weights: F32, gradient: F32, scratch: F32) -> float:
    """The weighted sum of log(1 + exp(x)), its gradient and its curvature.

    Parameters
    ----------
    x : float32
        Becomes weight / (2 max(2, |x|)), the curvature of a parabola that touches the function
        here and lies above it everywhere. The least such is tanh(x / 2) / (2 x) (Jaakkola and
        Jordan 2000); this one, cheaper, exceeds it by a third at most.
    weights : float32, of the shape of ``x``
    gradient : float32, of the shape of ``x``
        Becomes weight · σ(x).
    scratch : float32, of the shape of ``x``

    Returns
    -------
    float
        The sum.
    """
    largest = 80.0  # exp stays finite in float32; beyond, log(1 + exp(x)) is x to the last bit
    p = np.minimum(x, largest, out=scratch)
    np.exp(p, out=p)
    p += 1
    np.reciprocal(p, out=p)  # σ(−x)
    np.log(p, out=gradient)
    loss = -float(np.vdot(weights, gradient))
    if x.max() > largest:
        loss += float(np.vdot(weights, np.maximum(x - largest, 0)))
    np.subtract(1, p, out=gradient)
    gradient *= weights
    np.abs(x, out=x)
    np.maximum(x, 2, out=x)
    np.divide(weights, x, out=x)
    x *= 0.5
    return loss


def descend(rows: F32, ids: I32, gradients: F32, curvature: F32, rate: float) -> None:
    """Add up each word's gradients and take one step, no longer than its curvature allows.

    Along a row, the loss lies below a parabola of curvature ``h``, the sum of its entries'
    curvatures times |other row|², so a step of up to 2 / h cannot raise it. Rates below that, the
    usual case, are plain gradient descent; a very frequent word of a batch has its step bounded.

    Parameters
    ----------
    rows : float32 (V, d)
        Updated in place.
    ids : int32, n of them
        May repeat.
    gradients : float32, n rows of d
    curvature : float32, n of them
    rate
        The learning rate.
    """
    words, inverse = np.unique(ids.ravel(), return_inverse=True)
    n = len(inverse)
    total = np.bincount(inverse, curvature.ravel())
    step = np.minimum(rate, 2 / np.maximum(total, 1e-30)).astype(np.float32)
    # One entry a column: the sum over equal words, scaled, as a sparse matrix product.
    entries = step[inverse], inverse.astype(np.int32), np.arange(n + 1, dtype=np.int32)
    sums = sp.csc_array(entries, shape=(len(words), n)) @ gradients.reshape(n, -1)
    rows[words] -= sums


# ---------------------------------------------------------------- exact softmax


class PairCounts(NamedTuple):
    """The pairs of a batch by unique centre word: its words share one row of logits.

    Attributes
    ----------
    centers : int64 (M,)
        The distinct centre words.
    counts : float32 CSR (M, V)
        The weight of each (centre, outside) pair of words in the batch.
    """

    centers: NDArray[np.int64]
    counts: sp.csr_array


REACH = 300.0
"""How far a row moves at a constant learning rate of 1, if it always moves the same way, over the
square root of the steps. With this value one scale of learning rates serves both losses: on the
Stanford Sentiment Treebank 0.025, the default, is the best of 0.0175, 0.025 and 0.035."""

FEWEST_STEPS = 64.0
"""A short text gets smaller batches to make so many, for longer steps would overshoot."""

LEAST_BATCH = 2000
"""Words. Smaller batches cost more time a word and learn no better."""


class RowScale:
    """How large a row's gradients have been, for steps of even length.

    A step divides a row's gradient by its root mean square over the row's own steps so far, so
    rare words move as far in a step as frequent ones. The mean over all rows is added before the
    root: a row of few and tiny gradients should not be thrown about by them.
    """

    def __init__(self, size: int) -> None:
        self.squares = np.zeros(size, np.float32)
        self.steps = np.zeros(size, np.float32)

    def divide(self, gradients: F32, words: NDArray[np.int64] | slice = slice(None)) -> None:
        """Scale the gradients (n, d) of the n words, in place."""
        self.squares[words] += np.einsum("wd,wd->w", gradients, gradients) / gradients.shape[1]
        self.steps[words] += 1
        mean = self.squares[words] / self.steps[words]
        gradients /= np.sqrt(mean + mean.mean() + np.float32(1e-30))[:, None]


class SoftmaxStep:
    """One step on a batch of running text, over the whole vocabulary."""

    def __init__(self, task: Task, loss: Softmax) -> None:
        self.model = task.model
        self.by_distance = task.objective.pair_weights()
        size, dim = task.model.outside.shape
        keep = keep_probabilities(task.counts, task.objective.subsample)
        kept = task.words * float(keep @ task.counts) / float(task.counts.sum())
        least = min(LEAST_BATCH, kept * task.epochs / FEWEST_STEPS)
        self.batch_words = loss.batch_words or max(1, round(max(least, kept / 100)))
        steps = max(FEWEST_STEPS, kept * task.epochs / self.batch_words)
        self.reach = REACH / (steps * dim) ** 0.5
        self.block = max(1, loss.logits_mb * 2**20 // (4 * size))
        self.center_scale, self.outside_scale = RowScale(size), RowScale(size)
        most = min(size, self.batch_words)
        self.logits = np.empty((min(self.block, most), size), np.float32)
        self.dC = np.empty((most, dim), np.float32)
        self.dU = np.empty((size, dim), np.float32)

    def draw(self, batch: Chunk, random: np.random.Generator) -> PairCounts:  # noqa: ARG002
        """Count the batch's pairs; there is no chance in it."""
        ids, owners = batch
        m = len(self.by_distance)
        center = np.arange(m, len(ids) - m)
        found = []
        for distance, weight in enumerate(self.by_distance, start=1):
            for outside in (center - distance, center + distance):
                same = owners[center] == owners[outside]
                found.append((center[same], outside[same], np.full(same.sum(), weight)))
        left, right, weights = map(np.concatenate, zip(*found, strict=True))
        centers, rows = np.unique(ids[left], return_inverse=True)
        shape = len(centers), len(self.model.outside)
        counts = sp.coo_array((weights, (rows, ids[right])), shape=shape)
        return PairCounts(centers, counts.tocsr())

    def loss(self, draw: PairCounts) -> Tally:
        """The tally of a batch, the model left as it is."""
        C = self.model.center[draw.centers]
        loss = 0.0
        for first in range(0, len(C), self.block):
            rows = slice(first, first + self.block)
            loss += self._block(C[rows], draw.counts[rows])[0]
        return Tally(0, float(draw.counts.sum(dtype=np.float64)), loss)

    def gradient(self, draw: PairCounts) -> tuple[float, F32, F32]:
        """The objective summed over a batch, ∂J/∂C (M, d) and ∂J/∂U (V, d).

        The two arrays are valid until the next call.
        """
        u = self.model.outside
        C = self.model.center[draw.centers]
        dC = self.dC[: len(C)]
        self.dU.fill(0)
        loss = 0.0
        for first in range(0, len(C), self.block):
            rows = slice(first, first + self.block)
            block_loss, G = self._block(C[rows], draw.counts[rows])
            loss += block_loss
            np.matmul(G, u, out=dC[rows])
            self.dU += G.T @ C[rows]
        return loss, dC, self.dU

    def update(self, draw: PairCounts, rate: float) -> Tally:
        """Step along the summed gradient of a batch; the tally is from before the step."""
        if len(draw.centers) == 0:
            return Tally()
        loss, dC, dU = self.gradient(draw)
        self.center_scale.divide(dC, draw.centers)
        self.outside_scale.divide(dU)
        self.model.center[draw.centers] -= np.float32(rate * self.reach) * dC
        dU *= np.float32(rate * self.reach)
        np.subtract(self.model.outside, dU, out=self.model.outside)
        return Tally(0, float(draw.counts.sum(dtype=np.float64)), loss)

    def _block(self, C: F32, counts: sp.csr_array) -> tuple[float, F32]:
        """The loss of some centre words, and G = n ŷ − N, in the memory kept for logits."""
        S = self.logits[: len(C)]
        np.matmul(C, self.model.outside.T, out=S)
        total = counts.sum(axis=1)
        top = S.max(axis=1, keepdims=True)
        rows = np.repeat(np.arange(len(C)), np.diff(counts.indptr))
        scores = S[rows, counts.indices]
        S -= top
        np.exp(S, out=S)
        norm = S.sum(axis=1)
        loss = np.vdot(total, np.log(norm) + top[:, 0]) - np.vdot(counts.data, scores)
        S *= (total / norm)[:, None]
        S[rows, counts.indices] -= counts.data
        return float(loss), S
