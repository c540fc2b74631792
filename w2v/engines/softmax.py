"""The exact softmax by large batches: matrix products over the batch's distinct centre words.

The partition function depends on the centre alone, so one row of logits serves all pairs of a
centre word. With centres C (M, d), outside vectors U (V, d), pair counts N (M, V) of row sums n,
E = exp(C Uᵀ) and z its row sums,

    J = Σ n log z − Σ C ∘ (N U),   ∂J/∂C = (n / z) ∘ (E U) − N U,   ∂J/∂U = Eᵀ (n / z ∘ C) − Nᵀ C

(``w2v/README.md``, "Everything is one shape"), three large products a batch. E is never divided
by z as a whole: beside the products it is written once and read once, for exp and the sum.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.objectives import Softmax
from w2v.sampling import keep_probabilities
from w2v.text.tokens import Chunk

F32 = NDArray[np.float32]


class PairCounts(NamedTuple):
    """The pairs of a batch by distinct centre word.

    Attributes
    ----------
    centers : int32 (M,)
        The centre words, ascending.
    counts : float32 CSR (M, V)
        The weight of each (centre, outside) pair of words; equal pairs stand as several entries.
    """

    centers: NDArray[np.int32]
    counts: sp.csr_array


REACH = 300.0
"""How far a row moves at a constant learning rate of 1, if it always moves the same way, over the
square root of the steps. With this value one scale of learning rates serves both losses: on the
Stanford Sentiment Treebank 0.025, the default, is the best of 0.0175, 0.025 and 0.035."""

FEWEST_STEPS = 64.0
"""A short text gets smaller batches to make so many, for longer steps would overshoot."""

LEAST_BATCH = 2000
"""Words. Smaller batches cost more time a word and learn no better."""

BATCHES = 50
"""Batches an epoch where the text is long: the more of them, the more often a word's logits are
computed; ever fewer, and an epoch learns less."""

MOST_PAIRS = 1 << 22
"""Pairs of a batch, which bounds the memory of their counts."""

CELLS = 1 << 20
"""Logits that a thread takes at a time: they stay in its cache from exp to the sum."""

SAFE = 1e30
"""Row sums of exp between 1 / SAFE and SAFE have lost nothing in float32. Logits of word vectors
stay within; where they do not, the rows are shifted by their largest logit first."""


class RowScale:
    """How large a row's gradients have been, for steps of even length.

    A step divides a row's gradient by its root mean square over the row's own steps so far, so
    rare words move as far in a step as frequent ones. The mean over all rows is added before the
    root: a row of few and tiny gradients should not be thrown about by them.
    """

    def __init__(self, size: int) -> None:
        self.squares = np.zeros(size, np.float32)
        self.steps = np.zeros(size, np.float32)

    def divide(self, gradients: F32, words: NDArray[np.int32] | slice = slice(None)) -> None:
        """Scale the gradients (n, d) of the n words, in place."""
        self.squares[words] += np.einsum("wd,wd->w", gradients, gradients) / gradients.shape[1]
        self.steps[words] += 1
        mean = self.squares[words] / self.steps[words]
        gradients /= np.sqrt(mean + mean.mean() + np.float32(1e-30))[:, None]


class SoftmaxStep:
    """One step on a batch of running text, over the whole vocabulary."""

    def __init__(self, task: Task, loss: Softmax) -> None:
        self.model = task.model
        weights = task.objective.pair_weights()
        m = len(weights)
        self.offsets = np.concatenate([np.arange(-m, 0), np.arange(1, m + 1)])
        self.weights = np.concatenate([weights[::-1], weights])
        size, dim = task.model.outside.shape
        keep = keep_probabilities(task.counts, task.objective.subsample)
        kept = task.words * float(keep @ task.counts) / float(task.counts.sum())
        least = min(LEAST_BATCH, kept * task.epochs / FEWEST_STEPS)
        chosen = loss.batch_words or round(max(least, kept / BATCHES))
        self.batch_words = max(1, min(chosen, MOST_PAIRS // (2 * m)))
        steps = max(FEWEST_STEPS, kept * task.epochs / self.batch_words)
        self.adaptive = loss.optimizer == "adagrad"
        self.reach = REACH / (steps * dim) ** 0.5 if self.adaptive else 1.0
        self.block = max(1, loss.logits_mb * 2**20 // (4 * size))
        self.threads = ThreadPoolExecutor(task.threads)
        self.center_scale, self.outside_scale = RowScale(size), RowScale(size)
        most = min(size, 2 * self.batch_words)  # see batch_size
        self.logits = np.empty((min(self.block, most), size), np.float32)
        self.dC = np.empty((most, dim), np.float32)
        self.dU, self.part = np.empty((2, size, dim), np.float32)

    def batch_size(self, words: int) -> int:
        """Batches of equal size: a small one would cost nearly as much and learn less.

        They are up to half as long again as ``batch_words``, where there is but one.
        """
        return -(-words // max(1, round(words / self.batch_words))) or 1

    def draw(self, batch: Chunk, random: np.random.Generator) -> PairCounts:  # noqa: ARG002
        """Gather the batch's pairs by centre word; there is no chance in it."""
        ids, owners = batch
        m = len(self.offsets) // 2
        centers = ids[m : len(ids) - m]
        # Every occurrence has a row of places for its outside words, so nothing is sorted but
        # the occurrences.
        place = np.argsort(centers, kind="stable") + m
        outside = place[:, None] + self.offsets
        near = owners[outside] == owners[place][:, None]
        words, first = np.unique(ids[place], return_index=True)
        entries = (near * self.weights).ravel(), ids[outside].ravel()
        starts = np.append(first, len(place)) * len(self.offsets)
        counts = sp.csr_array((*entries, starts), shape=(len(words), len(self.model.outside)))
        counts.eliminate_zeros()
        paired = np.diff(counts.indptr) > 0
        if not paired.all():
            words, counts = words[paired], counts[paired]
        return PairCounts(words, counts)

    def loss(self, draw: PairCounts) -> Tally:
        """The tally of a batch, the model left as it is."""
        C = self.model.center[draw.centers]
        loss = 0.0
        for rows in self._blocks(C):
            loss += self._block(C[rows], draw.counts[rows])[0]
        return Tally(0, float(draw.counts.sum(dtype=np.float64)), loss)

    def gradient(self, draw: PairCounts) -> tuple[float, F32, F32]:
        """The objective summed over a batch, ∂J/∂C (M, d) and ∂J/∂U (V, d).

        The two arrays are valid until the next call.
        """
        C = self.model.center[draw.centers]
        dC = self.dC[: len(C)]
        np.multiply(draw.counts.T @ C, -1, out=self.dU)
        loss = 0.0
        for rows in self._blocks(C):
            block_loss, E, a, NU = self._block(C[rows], draw.counts[rows])
            loss += block_loss
            np.matmul(E, self.model.outside, out=dC[rows])
            dC[rows] *= a
            dC[rows] -= NU
            np.matmul(E.T, a * C[rows], out=self.part)
            self.dU += self.part
        return loss, dC, self.dU

    def update(self, draw: PairCounts, rate: float) -> Tally:
        """Step along the summed gradient of a batch; the tally is from before the step."""
        if len(draw.centers) == 0:
            return Tally()
        loss, dC, dU = self.gradient(draw)
        if self.adaptive:
            self.center_scale.divide(dC, draw.centers)
            self.outside_scale.divide(dU)
        self.model.center[draw.centers] -= np.float32(rate * self.reach) * dC
        dU *= np.float32(rate * self.reach)
        np.subtract(self.model.outside, dU, out=self.model.outside)
        return Tally(0, float(draw.counts.sum(dtype=np.float64)), loss)

    def state(self) -> dict[str, NDArray[Any]]:
        """How large each row's gradients have been."""
        scales = {"center": self.center_scale, "outside": self.outside_scale}
        return {
            f"{name}_{kind}": array
            for name, scale in scales.items()
            for kind, array in (("squares", scale.squares), ("steps", scale.steps))
        }

    def _blocks(self, C: F32) -> list[slice]:
        """Rows of C whose logits fit the memory kept for them."""
        return [slice(first, first + self.block) for first in range(0, len(C), self.block)]

    def _block(self, C: F32, counts: sp.csr_array) -> tuple[float, F32, F32, F32]:
        """The loss of some centre words, E up to a factor a row, n / z (M, 1) to match, and N U."""
        E = self.logits[: len(C)]
        np.matmul(C, self.model.outside.T, out=E)
        z = self._exp(E)
        top = np.zeros((len(C), 1), np.float32)
        if not (z.min() > 1 / SAFE and z.max() < SAFE):
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
        """Put exp in place of the logits; returns the sums of rows, (M, 1)."""
        sums = np.empty((len(logits), 1), np.float32)
        step = max(1, CELLS // logits.shape[1])

        def work(first: int) -> None:
            rows = logits[first : first + step]
            with np.errstate(over="ignore", under="ignore"):  # the sums will tell
                np.exp(rows, out=rows)
                np.sum(rows, axis=1, keepdims=True, out=sums[first : first + step])

        starts = range(0, len(logits), step)
        list(self.threads.map(work, starts) if len(starts) > 1 else map(work, starts))
        return sums
