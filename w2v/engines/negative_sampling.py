"""The NumPy step of negative sampling: matrix products over tiles of running text.

For center rows C and outside rows R of a tile, with scores S = C Rᵀ, the loss gives a sum and a
matrix G = ∂J/∂S; then ∂J/∂C = G R and ∂J/∂R = Gᵀ C (see ``w2v/README.md``).
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.step import NOISE_WORDS
from w2v.losses import NegativeSampling
from w2v.sampling import Key, NoiseDistribution, draw, keep_probabilities
from w2v.text.tokens import Batch

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

CENTERS = 32
"""Running center words that share one set of noise words, a tile. The first tile begins at the
start of the shard."""

NOISE = 16
"""Noise words of a tile. Each counts K / NOISE for every pair, so the expected gradient is that
of K fresh draws for every pair."""

STEP_NUMBERS, MAX_STEP_WORDS = 1 << 18, 4096
"""The most numbers in the center rows of a step, so that its gradients stay in a processor's
cache, and the most center words."""

MIN_STEP_WORDS, STEPS_PER_EPOCH = 512, 200
"""On short texts, steps are made shorter to reach this many in an epoch, but not shorter than
`MIN_STEP_WORDS`: threads have to wait for each other after each."""


def step_words(task: Task) -> int:
    """Return the center words of a step: a multiple of `CENTERS`, the same for all engines."""
    most = min(MAX_STEP_WORDS, STEP_NUMBERS // task.objective.dim)
    keep = keep_probabilities(task.counts, task.objective.subsample)
    kept = task.words * float(keep @ task.counts) / float(task.counts.sum())
    words = max(MIN_STEP_WORDS, min(most, kept / STEPS_PER_EPOCH))
    return max(1, int(words / CENTERS)) * CENTERS


class Draw(NamedTuple):
    """What a step updates, in B tiles of `CENTERS` running center words.

    Attributes
    ----------
    centers : int32 (B, CENTERS)
    rows : int32 (B, P + NOISE)
        The text from m words before to m words after each tile, P = CENTERS + 2 m words; then
        the noise words.
    weights : float32 (B, CENTERS, P + NOISE)
        How much each score counts: a (center, outside) pair by its distance, zero beyond the
        window and the document; a noise word K / NOISE times its center's pairs.
    """

    centers: I32
    rows: I32
    weights: F32


class NegativeSamplingStep:
    """One step of stochastic gradient descent on a batch. See `w2v.engines.step.Step`."""

    def __init__(self, task: Task) -> None:
        loss = task.objective.loss
        assert isinstance(loss, NegativeSampling)
        self.model = task.model
        self.batch_words = step_words(task)
        self.negatives = loss.negatives
        self.noise = NoiseDistribution(task.counts, loss.exponent)
        self.window = m = task.objective.window
        self.pairs = CENTERS + 2 * m
        distance = np.abs(np.arange(self.pairs) - m - np.arange(CENTERS)[:, None])
        by_distance = np.concatenate([[0], task.objective.pair_weights(), [0]])
        self.band = by_distance[np.minimum(distance, m + 1)].astype(np.float32)
        # Allocated once: fresh arrays of this size cost page faults, more than the arithmetic.
        tiles, rows, dim = self.batch_words // CENTERS, self.pairs + NOISE, task.objective.dim
        self.C = np.empty((tiles, CENTERS, dim), np.float32)
        self.R = np.empty((tiles, rows, dim), np.float32)
        self.dC, self.dR = np.empty_like(self.C), np.empty_like(self.R)
        scores = tiles, CENTERS, rows
        self.S, self.G, self.T, self.W = (np.empty(scores, np.float32) for _ in range(4))

    def batch_size(self, words: int) -> int:  # noqa: ARG002
        """Return the one size for which the arrays are allocated."""
        return self.batch_words

    def draw(self, batch: Batch, key: Key, first: int) -> Draw:
        """Arrange a batch in tiles and draw the noise words of each.

        Tile t of the shard has the noise words of the draws from t * `NOISE` on. The `weights` of
        the result are a buffer that the next draw overwrites.
        """
        m = self.window
        tiles = -(-(len(batch.ids) - 2 * m) // CENTERS)
        windows = CENTERS * np.arange(tiles)[:, None] + np.arange(self.pairs)
        missing = CENTERS * tiles + 2 * m - len(batch.ids)
        ids = np.pad(batch.ids, (0, missing))
        documents = np.pad(batch.documents, (0, missing), constant_values=-1)[windows]
        center_documents = documents[:, m : m + CENTERS, None]
        same = (center_documents == documents[:, None, :]) & (center_documents >= 0)
        weights = self.W[:tiles]
        np.multiply(same, self.band, out=weights[:, :, : self.pairs])
        pairs = weights[:, :, : self.pairs].sum(axis=2, keepdims=True)
        weights[:, :, self.pairs :] = np.float32(self.negatives / NOISE) * pairs
        numbers = first // CENTERS * NOISE + np.arange(tiles * NOISE)
        noise = self.noise.words(*draw(key, NOISE_WORDS, numbers)).reshape(tiles, NOISE)
        rows = np.concatenate([ids[windows], noise], axis=1)
        return Draw(rows[:, m : m + CENTERS], rows, weights)

    def loss(self, draw: Draw) -> Tally:
        """Return the tally of a batch. Leaves ∂J/∂S in ``G`` and the curvature in ``S``."""
        C, R, S, G, T = self._arrays(draw)[:5]
        take_rows(self.model.center, draw.centers, C)
        take_rows(self.model.outside, draw.rows, R)
        np.matmul(C, R.transpose(0, 2, 1), out=S)
        # −log σ(s) for a pair and −log σ(−s) for noise are one function, of −s and of s.
        S[:, :, : self.pairs] *= -1
        loss = logistic(S, draw.weights, G, T)
        G[:, :, : self.pairs] *= -1
        return Tally(0, float(draw.weights[:, :, : self.pairs].sum(dtype=np.float64)), loss)

    def update(self, draw: Draw, rate: float) -> Tally:
        """Take one step along the summed gradient of a batch."""
        tally = self.loss(draw)
        C, R, curvature, G, _, dC, dR = self._arrays(draw)
        np.matmul(G, R, out=dC)
        np.matmul(G.transpose(0, 2, 1), C, out=dR)
        center_curvature = curvature @ np.einsum("bid,bid->bi", R, R)[:, :, None]
        row_curvature = curvature.transpose(0, 2, 1) @ np.einsum("bid,bid->bi", C, C)[:, :, None]
        descend(self.model.center, draw.centers, dC, center_curvature, rate)
        descend(self.model.outside, draw.rows, dR, row_curvature, rate)
        return tally

    def _arrays(self, draw: Draw) -> list[F32]:
        """Return C, R, S, G, T, ∂J/∂C and ∂J/∂R for the tiles of a draw."""
        arrays = self.C, self.R, self.S, self.G, self.T, self.dC, self.dR
        return [array[: len(draw.centers)] for array in arrays]

    def state(self) -> dict[str, NDArray[Any]]:
        """Return nothing: a step depends on the model and the draw alone."""
        return {}


def take_rows(matrix: F32, ids: I32, out: F32) -> None:
    """Copy rows of a matrix into an array."""
    # np.take is faster, but it would first copy a matrix whose rows are padded.
    if matrix.flags.c_contiguous:
        np.take(matrix, ids, axis=0, out=out, mode="clip")
    else:
        out[:] = matrix[ids]


def logistic(x: F32, weights: F32, gradient: F32, scratch: F32) -> float:
    """Compute the weighted sum of log(1 + exp(x)), its gradient and its curvature.

    Parameters
    ----------
    x : float32
        Replaced by weight / (2 max(2, |x|)), the curvature of a parabola that touches the
        function at x and lies above it everywhere. The smallest such curvature is
        tanh(x / 2) / (2 x) (Jaakkola and Jordan 2000); this one is cheaper and at most a third
        larger.
    weights : float32, of the shape of ``x``
    gradient : float32, of the shape of ``x``
        Filled with weight · σ(x).
    scratch : float32, of the shape of ``x``
        Overwritten.

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
    """Add up the gradients of each word and take one step, bounded by the loss's curvature.

    Along a row the loss lies below a parabola of curvature h, the sum over the row's scores of
    their curvature times |other row|². A step of up to 2 / h cannot raise it. Most rates are
    below that, and the step is plain gradient descent; a word that is very frequent in the batch
    has its step bounded.

    Parameters
    ----------
    rows : float32 (V, d)
        Updated in place.
    ids : int32, n of them
        Rows to update; they may repeat.
    gradients : float32, n rows of d
    curvature : float32, n of them
    rate
        The learning rate.
    """
    words, inverse = np.unique(ids.ravel(), return_inverse=True)
    n = len(inverse)
    total = np.bincount(inverse, curvature.ravel())
    step = np.minimum(rate, 2 / np.maximum(total, 1e-30)).astype(np.float32)
    # A sparse matrix with one entry a column sums the gradients of equal words and scales them.
    entries = step[inverse], inverse.astype(np.int32), np.arange(n + 1, dtype=np.int32)
    sums = sp.csc_array(entries, shape=(len(words), n)) @ gradients.reshape(n, -1)
    rows[words] -= sums
