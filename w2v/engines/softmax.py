"""The step of the exact softmax: matrix products over the distinct center words of a batch.

The partition function depends on the center word alone, so all pairs of a center word share one
row of logits. For center vectors C (M, d), outside vectors U (V, d), pair counts N (M, V) with row
sums n, and E = exp(C Uᵀ) with row sums z,

    J = Σ n log z − Σ C ∘ (N U),   ∂J/∂C = (n / z) ∘ (E U) − N U,   ∂J/∂U = Eᵀ (n / z ∘ C) − Nᵀ C

(``w2v/README.md``, "Everything is one shape"). That is three large products per batch. E is not
divided by z: the factors n / z are applied to smaller matrices.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.losses import Softmax
from w2v.sampling import Key, keep_probabilities
from w2v.text.tokens import Batch

F32 = NDArray[np.float32]


class PairCounts(NamedTuple):
    """The pairs of a batch, by distinct center word.

    Attributes
    ----------
    centers : int32 (M,)
        The center words, ascending.
    counts : float32 CSR (M, V)
        The weight of each (center, outside) pair. A pair may have several entries, to be added.
    """

    centers: NDArray[np.int32]
    counts: sp.csr_array


STEP_SCALE = 300.0
"""A row that always moves in one direction moves this far, times the square root of the number of
steps, at a constant learning rate of 1. With this value the same learning rates suit both losses:
on the Stanford Sentiment Treebank 0.025, the default, is the best of 0.0175, 0.025 and 0.035."""

MIN_STEPS = 64.0
"""On short texts, batches are made smaller to reach this many steps. Longer steps would
overshoot."""

MIN_BATCH_WORDS = 2000
"""Smaller batches take more time per word and do not learn better."""

BATCHES_PER_EPOCH = 50
"""The number of batches on long texts. With more, the logits of a word are computed more often;
with fewer, an epoch learns less."""

MAX_PAIRS = 1 << 22
"""The most pairs in a batch, to bound the memory of their counts."""

THREAD_LOGITS = 1 << 20
"""Logits that a thread handles at a time: they stay in its cache from exp to the sum."""

SAFE_SUM = 1e30
"""Sums of exp between 1 / SAFE_SUM and SAFE_SUM are accurate in float32. The logits of word vectors
normally stay in that range. Where they do not, the largest logit is subtracted from each row."""


class RowScale:
    """Adagrad with one scale per row.

    A row's gradient is divided by its root mean square over the row's own steps so far, so that
    rare words move as far in a step as frequent ones. The mean over all rows is added under the
    root, so that a row with few and tiny gradients does not make large steps.
    """

    def __init__(self, size: int) -> None:
        self.squares = np.zeros(size, np.float32)
        self.steps = np.zeros(size, np.float32)

    def divide(self, gradients: F32, words: NDArray[np.int32] | slice = slice(None)) -> None:
        """Scale the gradients (n, d) of n words in place."""
        self.squares[words] += np.einsum("wd,wd->w", gradients, gradients) / gradients.shape[1]
        self.steps[words] += 1
        mean = self.squares[words] / self.steps[words]
        gradients /= np.sqrt(mean + mean.mean() + np.float32(1e-30))[:, None]


class SoftmaxStep:
    """The step on a batch of running text; see `w2v.engines.step.Step`."""

    def __init__(self, task: Task) -> None:
        loss = task.objective.loss
        assert isinstance(loss, Softmax)
        self.model = task.model
        weights = task.objective.pair_weights()
        m = len(weights)
        self.offsets = np.concatenate([np.arange(-m, 0), np.arange(1, m + 1)])
        self.weights = np.concatenate([weights[::-1], weights])
        size, dim = task.model.outside.shape
        keep = keep_probabilities(task.counts, task.objective.subsample)
        kept = task.words * float(keep @ task.counts) / float(task.counts.sum())
        smallest = min(MIN_BATCH_WORDS, kept * task.epochs / MIN_STEPS)
        chosen = loss.batch_words or round(max(smallest, kept / BATCHES_PER_EPOCH))
        self.batch_words = max(1, min(chosen, MAX_PAIRS // (2 * m)))
        steps = max(MIN_STEPS, kept * task.epochs / self.batch_words)
        self.adaptive = loss.optimizer == "adagrad"
        self.step_scale = STEP_SCALE / (steps * dim) ** 0.5 if self.adaptive else 1.0
        self.tile_rows = max(1, loss.logits_mb * 2**20 // (4 * size))
        self.threads = ThreadPoolExecutor(task.threads)
        self.center_scale, self.outside_scale = RowScale(size), RowScale(size)
        largest = min(size, 2 * self.batch_words)  # see batch_size
        self.logits = np.empty((min(self.tile_rows, largest), size), np.float32)
        self.dC = np.empty((largest, dim), np.float32)
        self.dU, self.tile_dU = np.empty((2, size, dim), np.float32)

    def batch_size(self, words: int) -> int:
        """Return a size near ``batch_words`` that makes all batches about equal.

        A small batch would cost nearly as much as a large one and learn less. A text of a single
        batch makes it up to 1.5 times ``batch_words`` long.
        """
        return -(-words // max(1, round(words / self.batch_words))) or 1

    def draw(self, batch: Batch, key: Key, first: int) -> PairCounts:  # noqa: ARG002
        """Collect the pairs of a batch by center word. Nothing is random."""
        ids, documents = batch
        m = len(self.offsets) // 2
        centers = ids[m : len(ids) - m]
        # The outside words follow their center, so that only the centers must be sorted.
        positions = np.argsort(centers, kind="stable") + m
        outside = positions[:, None] + self.offsets
        near = documents[outside] == documents[positions][:, None]
        words, first = np.unique(ids[positions], return_index=True)
        entries = (near * self.weights).ravel(), ids[outside].ravel()
        starts = np.append(first, len(positions)) * len(self.offsets)
        counts = sp.csr_array((*entries, starts), shape=(len(words), len(self.model.outside)))
        counts.eliminate_zeros()
        paired = np.diff(counts.indptr) > 0
        if not paired.all():
            words, counts = words[paired], counts[paired]
        return PairCounts(words, counts)

    def loss(self, draw: PairCounts) -> Tally:
        """Return the pairs and the summed loss of a batch. The model is not changed."""
        C = self.model.center[draw.centers]
        loss = 0.0
        for rows in self._tiles(C):
            loss += self._tile(C[rows], draw.counts[rows])[0]
        return Tally(0, float(draw.counts.sum(dtype=np.float64)), loss)

    def gradient(self, draw: PairCounts) -> tuple[float, F32, F32]:
        """Return the summed loss of a batch, ∂J/∂C (M, d) and ∂J/∂U (V, d).

        Both arrays are valid until the next call.
        """
        C = self.model.center[draw.centers]
        dC = self.dC[: len(C)]
        np.multiply(draw.counts.T @ C, -1, out=self.dU)
        loss = 0.0
        for rows in self._tiles(C):
            tile_loss, E, a, NU = self._tile(C[rows], draw.counts[rows])
            loss += tile_loss
            np.matmul(E, self.model.outside, out=dC[rows])
            dC[rows] *= a
            dC[rows] -= NU
            np.matmul(E.T, a * C[rows], out=self.tile_dU)
            self.dU += self.tile_dU
        return loss, dC, self.dU

    def update(self, draw: PairCounts, rate: float) -> Tally:
        """Take one step along the summed gradient. The tally is of the model before the step."""
        if len(draw.centers) == 0:
            return Tally()
        loss, dC, dU = self.gradient(draw)
        if self.adaptive:
            self.center_scale.divide(dC, draw.centers)
            self.outside_scale.divide(dU)
        self.model.center[draw.centers] -= np.float32(rate * self.step_scale) * dC
        dU *= np.float32(rate * self.step_scale)
        np.subtract(self.model.outside, dU, out=self.model.outside)
        return Tally(0, float(draw.counts.sum(dtype=np.float64)), loss)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the sums of squared gradients and the steps of each row."""
        scales = {"center": self.center_scale, "outside": self.outside_scale}
        return {
            f"{name}_{kind}": array
            for name, scale in scales.items()
            for kind, array in (("squares", scale.squares), ("steps", scale.steps))
        }

    def _tiles(self, C: F32) -> list[slice]:
        """Return slices of C, each with as many rows as there is memory for logits."""
        return [slice(first, first + self.tile_rows) for first in range(0, len(C), self.tile_rows)]

    def _tile(self, C: F32, counts: sp.csr_array) -> tuple[float, F32, F32, F32]:
        """Compute the loss of some center words, E, n / z (M, 1) and N U.

        E and z may have a common factor in each row.
        """
        E = self.logits[: len(C)]
        np.matmul(C, self.model.outside.T, out=E)
        z = self._exp(E)
        top = np.zeros((len(C), 1), np.float32)
        if not (z.min() > 1 / SAFE_SUM and z.max() < SAFE_SUM):
            np.matmul(C, self.model.outside.T, out=E)
            top = E.max(axis=1, keepdims=True)
            E -= top
            z = self._exp(E)
        n = counts.sum(axis=1, dtype=np.float64)[:, None]
        NU = counts @ self.model.outside
        log_z = np.log(z.astype(np.float64)) + top
        loss = np.vdot(n, log_z) - np.einsum("md,md->", C, NU, dtype=np.float64)
        return float(loss), E, (n / z).astype(np.float32), NU

    def _exp(self, logits: F32) -> F32:
        """Replace the logits by their exponentials and return the sums of the rows, (M, 1)."""
        sums = np.empty((len(logits), 1), np.float32)
        step = max(1, THREAD_LOGITS // logits.shape[1])

        def work(first: int) -> None:
            rows = logits[first : first + step]
            with np.errstate(over="ignore", under="ignore"):  # the caller checks the sums
                np.exp(rows, out=rows)
                np.sum(rows, axis=1, keepdims=True, out=sums[first : first + step])

        starts = range(0, len(logits), step)
        list(self.threads.map(work, starts) if len(starts) > 1 else map(work, starts))
        return sums
