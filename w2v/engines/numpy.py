"""The engine in plain NumPy, and negative sampling as matrix products over running text.

For centre rows C and outside rows R of a block, with scores S = C Rᵀ, each loss gives a sum and
a matrix G = ∂J/∂S; then ∂J/∂C = G R and ∂J/∂R = Gᵀ C (see ``w2v/README.md``).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.softmax import SoftmaxStep
from w2v.objectives import NegativeSampling
from w2v.sampling import NoiseDistribution, keep_probabilities
from w2v.text.tokens import Chunk, Text

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


Drawn = TypeVar("Drawn")


class Step(Protocol[Drawn]):
    """What differs between the losses: how a batch is drawn, scored and learnt from."""

    batch_words: int
    """Sub-sampled words of a batch."""

    def batch_size(self, words: int) -> int:
        """How to cut so many sub-sampled words: the words of each batch but the last."""
        ...

    def draw(self, batch: Chunk, random: np.random.Generator) -> Drawn:
        """Fix all that is random about a batch; valid until the next draw."""
        ...

    def loss(self, draw: Drawn) -> Tally:
        """The tally of a batch, the model left as it is."""
        ...

    def update(self, draw: Drawn, rate: float) -> Tally:
        """Update the model; the tally is from before."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """What later updates depend on beside the model: the arrays in use, by name."""
        ...


class NumpyEngine:
    """NumPy; the matrix products use the BLAS library's threads."""

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
        kept = float(self.keep @ task.counts) / float(task.counts.sum())
        # A whole batch, where sub-sampling leaves what it leaves on average.
        self.piece_words = max(1 << 16, round(self.step.batch_words / kept))

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """See `w2v.engines.Engine.train`."""
        words, batches = self._batches(text, random)
        start, end = rates
        tally = Tally(words=words)
        for number, batch in enumerate(batches):
            rate = start + (end - start) * number / len(batches)
            tally += self.step.update(self.step.draw(batch, random), rate)
        return tally

    def state(self) -> dict[str, NDArray[Any]]:
        """See `w2v.engines.Engine.state`."""
        return self.step.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `w2v.engines.Engine.restore`."""
        for name, array in self.step.state().items():
            array[:] = state[name]

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
        m = self.task.objective.window
        sampled, owners = np.pad(ids[kept], m), np.pad(documents[kept], m, constant_values=-1)
        size = self.step.batch_size(len(sampled) - 2 * m)
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

    def batch_size(self, words: int) -> int:  # noqa: ARG002
        """Full batches, whose arrays are there already, and the rest."""
        return self.batch_words

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
        take_rows(self.model.center, draw.centers, self.C)
        take_rows(self.model.outside, draw.rows, self.R)
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

    def state(self) -> dict[str, NDArray[Any]]:
        """Nothing: every step is a function of the model and the draw."""
        return {}


def take_rows(matrix: F32, ids: I32, out: F32) -> None:
    """Copy rows of a matrix; NumPy's `take` is the faster, but would first copy a strided one."""
    if matrix.flags.c_contiguous:
        np.take(matrix, ids, axis=0, out=out, mode="clip")
    else:
        out[:] = matrix[ids]


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
