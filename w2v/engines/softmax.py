"""NumPy training step of the exact softmax, by matrix products over a batch's distinct input rows.

An input row is the vector that predicts (with skip-gram, that of a center word). Let C (M, d) be
the input rows, U (V, d) the output vectors, N (M, V) the pair counts with row sums n, and
E = exp(C Uᵀ) with row sums z. The loss J and its gradients are

    J = Σ n log z − Σ C ∘ (N U),   ∂J/∂C = (n / z) ∘ (E U) − N U,   ∂J/∂U = Eᵀ (n / z ∘ C) − Nᵀ C

(``w2v/README.md``, "Everything is one shape").
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.inputs import InputTable, make_inputs
from w2v.engines.step import Buffers
from w2v.losses import Softmax
from w2v.sampling import Key, keep_probabilities
from w2v.sums import F32, Sums
from w2v.text.tokens import Batch


class PairCounts(NamedTuple):
    """The (input, predicted word) pairs of a batch, grouped by distinct input vector.

    Attributes
    ----------
    inputs
        The M distinct input vectors that have pairs, as weighted sums of word vectors. For
        skip-gram, each sum has one word; ``inputs.ids``, int32 (M,), has these center words,
        ascending. For CBOW, each center position counts as an input vector of its own.
    counts : float32 CSR (M, V)
        The summed weight of the pairs of each input vector and predicted word. Repeated entries of
        the sparse matrix are to be added up.
    """

    inputs: Sums
    counts: sp.csr_array


STEP_SCALE = 300.0
"""With Adagrad, the learning rate r is multiplied by ``STEP_SCALE / sqrt(n * d)``. Here, d is the
dimension of the vectors, and n the number of steps of the training, or `MIN_STEPS` if that is more.
If all gradients of a vector have the same length, a step moves it by at most
``r * STEP_SCALE / sqrt(n)`` (see `RowScale`). With this value, the same learning rates suit the
exact softmax and negative sampling: on the Stanford Sentiment Treebank, the default of 0.025 is the
best of 0.0175, 0.025 and 0.035."""

MIN_STEPS = 64.0
"""About the number of steps that training on a short text should still have, over all epochs. It
has two uses. First, the default number of center words per batch is reduced below `MIN_BATCH_WORDS`
to reach this number of steps, but not so far that an epoch has more than `BATCHES_PER_EPOCH`
batches. Second, with Adagrad, the learning rate is divided by the square root of the number of
steps. Fewer steps than `MIN_STEPS` count as `MIN_STEPS`, so that no step is too long."""

MIN_BATCH_WORDS = 2000
"""By default, the setting ``batch_words``, the number of center words per batch, is at least this
number, except on short texts (see `MIN_STEPS`) or with huge windows (see `MAX_PAIRS`). Smaller
batches take more time per word and do not learn better."""

BATCHES_PER_EPOCH = 50
"""By default, an epoch has about this many batches. If a text has, after sub-sampling, fewer than
BATCHES_PER_EPOCH * MIN_BATCH_WORDS words, its epochs may have fewer batches, so that batches do not
become too small (see `MIN_STEPS`). Huge windows may require more batches (see `MAX_PAIRS`). With
skip-gram, a batch computes the logits once for each of its distinct center words, so an epoch with
more batches takes more time. With fewer batches, the model learns less in an epoch."""

MAX_PAIRS = 1 << 22
"""About the largest number of (center word, context word) pairs in a batch. A center word has at
most 2 m pairs, where m is the window size. So the number of center words per batch
(``batch_words``) is reduced to at most ``max(1, MAX_PAIRS // (2 * m))``, even if the user has
chosen it. This limits the memory for the pairs of a batch (`PairCounts`)."""

BLOCK_WORDS = 2048
"""The number of words in a block of the vocabulary. Each block is computed by one thread, with its
own matrix products, and sums over blocks are taken in the order of the blocks. The result is
therefore bit-identical for any number of threads."""

SAFE_SUM = 1e30
"""A sum of exp(logit) over the vocabulary is accurate in float32 if it is between 1 / SAFE_SUM and
SAFE_SUM, as is normal for word vectors. The sums of many input vectors are computed together. If
one of them is not in this range, the largest logit of each input vector is subtracted from all its
logits, and all the sums are computed again."""


class RowScale:
    """A variant of the Adagrad optimizer, with one learning-rate scale per row of a matrix.

    The gradient of a row is divided by sqrt(q + r). q is the mean of the squared elements of all
    gradients that the row has had, including the present one. Adagrad has a sum instead of the
    mean, which shortens steps with time. r is the average of q over all rows that the present step
    updates; it keeps a row with few and tiny gradients from making large steps.
    """

    def __init__(self, size: int) -> None:
        self.squares = np.zeros(size, np.float32)
        self.steps = np.zeros(size, np.float32)

    def divide(self, gradients: F32, words: NDArray[np.int32] | slice = slice(None)) -> None:
        """Divide each row's gradient by about the root mean square of the row's gradients so far.

        For each row, let q = (|g_1|² + ... + |g_t|²) / (t d), where g_1 to g_t are its gradients so
        far, each with d elements. The new gradient g_t is divided, in place, by
        sqrt(q + mean(q) + 1e-30), where the mean is over the rows `words`.

        Parameters
        ----------
        gradients : float32 (n, d)
        words : int32 (n,)
            The row that each gradient belongs to. No row may occur twice. The default is all rows.
        """
        self.squares[words] += np.einsum("wd,wd->w", gradients, gradients) / gradients.shape[1]
        self.steps[words] += 1
        mean = self.squares[words] / self.steps[words]
        gradients /= np.sqrt(mean + mean.mean() + np.float32(1e-30))[:, None]


class SoftmaxStep:
    """NumPy training step of the exact softmax: one update of the model by one batch."""

    def __init__(self, task: Task) -> None:
        loss = task.objective.loss
        assert isinstance(loss, Softmax)
        self.model = task.model
        self.inputs = make_inputs(task.objective, task.subwords)
        self.table = InputTable(task)
        self.window = m = task.objective.window
        reach = len(self.inputs.targets) - 1
        offsets = np.arange(-reach, reach + 1)
        weights = self.inputs.targets[np.abs(offsets)]
        self.offsets, self.weights = offsets[weights > 0], weights[weights > 0]
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
        self.blocks = [slice(n, min(n + BLOCK_WORDS, size)) for n in range(0, size, BLOCK_WORDS)]
        self.center_scale, self.outside_scale = RowScale(len(task.model.center)), RowScale(size)
        self.buffers = Buffers()
        self.dU = np.empty((size, dim), np.float32)

    def batch_size(self, words: int) -> int:
        """Return a batch size near ``batch_words``, or less if there are fewer words; at least 1.

        `words` is the number of words that are cut into batches. The batches are nearly equal: of n
        batches, the last has at most n - 1 words fewer than each of the others. A small last batch
        would take nearly as much time as a full one and train less. No batch has more than 1.5
        times ``batch_words`` words.
        """
        return -(-words // max(1, round(words / self.batch_words))) or 1

    def draw(self, batch: Batch, key: Key, first: int) -> PairCounts:
        """Group the (input, predicted word) pairs of a batch by distinct input vector.

        With skip-gram, all occurrences of a center word have the same input vector. Nothing is
        random: with a dynamic window, the weight of a pair is the probability that the window
        contains it. `key` and `first` are not used.

        With CBOW, each position has an input vector of its own. With a dynamic window, its window
        size is a function of `key` and of its index in the sub-sampled shard (part of the text).
        `first` is the index of the batch's first center position.
        """
        ids, documents = batch
        inputs = self.inputs.sums(batch, key, first)
        order, borders = inputs.equal()
        # Pairs are listed by input row, so that only the rows have to be sorted.
        positions = order + self.window
        outside = positions[:, None] + self.offsets
        near = documents[outside] == documents[positions][:, None]
        entries = (near * self.weights).ravel(), ids[outside].ravel()
        shape = len(borders) - 1, len(self.model.outside)
        counts = sp.csr_array((*entries, borders * len(self.offsets)), shape=shape)
        counts.eliminate_zeros()
        inputs = inputs.take(order[borders[:-1]])
        paired = (np.diff(counts.indptr) > 0) & inputs.used()
        if not paired.all():
            inputs, counts = inputs.take(np.flatnonzero(paired)), counts[paired]
        return PairCounts(inputs, counts)

    def loss(self, draw: PairCounts) -> Tally:
        """Return the summed weight of the pairs of a batch, and the weighted sum of their losses.

        `draw` is what the method `draw` returned for the batch. The field `words` of the result is
        0, because the caller counts the words. The model is not changed.
        """
        C = self.rows(draw)
        loss = 0.0
        for rows in self._tiles(C):
            loss += self._tile(C[rows], draw.counts[rows])[0]
        return Tally(0, float(draw.counts.sum(dtype=np.float64)), loss)

    def gradient(self, draw: PairCounts) -> tuple[float, F32, F32]:
        """Return the loss of a batch, and its gradients with respect to input and output vectors.

        `draw` is the batch, as returned by the method `draw`: its M distinct input vectors, and the
        summed weight of the pairs of each input vector with each output word.

        Returns
        -------
        loss
            The weighted sum of the losses of all pairs.
        dC : float32 (M, d)
            The gradient with respect to each distinct input vector. The next call overwrites it.
        dU : float32 (V, d)
            The gradient with respect to each output vector. The next call overwrites it.
        """
        C = self.rows(draw)
        dC = self.buffers.get("dC", *C.shape)
        np.multiply(draw.counts.T @ C, -1, out=self.dU)
        loss = 0.0
        for rows in self._tiles(C):
            tile_loss, a, NU, sums = self._tile(C[rows], draw.counts[rows], self._weighted_sum)
            loss += tile_loss
            dC[rows] = sum(sums) * a - NU
            self._each_block(self._add_outside_gradient, a * C[rows])
        return loss, dC, self.dU

    def update(self, draw: PairCounts, rate: float) -> Tally:
        """Update the model by one step of gradient descent on the summed loss of a batch.

        `draw` is what the method `draw` returned for the batch, and `rate` the learning rate. For
        ``optimizer=adagrad``, gradients are scaled by `RowScale`. Return the summed weight of the
        pairs of the batch, and the weighted sum of their losses before the step. The field `words`
        of the result is 0, because the caller counts the words.
        """
        if draw.inputs.count == 0:
            return Tally()
        loss, dC, dU = self.gradient(draw)
        rows, by_rows = self.table.gradient(draw.inputs, dC)
        if self.adaptive:
            self.center_scale.divide(by_rows, rows)
            self.outside_scale.divide(dU)
        self.model.center[rows] -= np.float32(rate * self.step_scale) * by_rows
        dU *= np.float32(rate * self.step_scale)
        np.subtract(self.model.outside, dU, out=self.model.outside)
        return Tally(0, float(draw.counts.sum(dtype=np.float64)), loss)

    def rows(self, draw: PairCounts) -> F32:
        """Return the distinct input vectors of a batch, float32 (M, d)."""
        C = np.empty((draw.inputs.count, self.model.center.shape[1]), np.float32)
        self.table.read(draw.inputs, C)
        return C

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the optimizer's arrays by name, without copying them.

        ``center_steps`` has, for each row of the center matrix, the number of steps that updated
        the row. ``center_squares`` has the sum of one number for each of these steps: the mean
        square of the elements of the row's gradient. ``outside_steps`` and ``outside_squares`` are
        those of the outside matrix.
        """
        scales = {"center": self.center_scale, "outside": self.outside_scale}
        return {
            f"{name}_{kind}": array
            for name, scale in scales.items()
            for kind, array in (("squares", scale.squares), ("steps", scale.steps))
        }

    def _tiles(self, C: F32) -> list[slice]:
        """Cut the rows of C into slices so short that the logits of each fit in ``logits_mb`` MiB.

        C, (M, d), has the input vectors of a batch. A slice has at least one row, even if the
        logits of one row do not fit.
        """
        return [slice(first, first + self.tile_rows) for first in range(0, len(C), self.tile_rows)]

    def _tile(
        self, C: F32, counts: sp.csr_array, use: Callable[[F32, slice], Any] = lambda *_: 0
    ) -> tuple[float, F32, F32, list[Any]]:
        """Compute the loss of some input vectors, and apply a function to blocks of exp(logits).

        C (M, d) are the input vectors, U (V, d) the output vectors, and E = exp(C Uᵀ), which is
        computed in blocks of columns. To prevent overflow, a row of E may be multiplied by a
        constant. `counts` is N, (M, V), the summed weight of the pairs of each input vector and
        word. `use` is a function of a block of E, and of the slice of the vocabulary that its
        columns stand for.

        Returns
        -------
        loss
            The weighted sum of the losses of all pairs.
        scale : (M, 1)
            The row sums of N, divided by the row sums of E, which contain the constants.
        NU : (M, d)
            The product N U.
        used
            The results of `use`, one for each block.
        """
        self.logits = self.buffers.get("logits", len(C) * len(self.model.outside))
        E_of = partial(self._exp, C, use)
        top = np.zeros((len(C), 1), np.float32)
        sums, used = zip(*self._each_block(E_of, top), strict=True)
        z = np.sum(sums, axis=0)
        if not (z.min() > 1 / SAFE_SUM and z.max() < SAFE_SUM):
            top = np.max(self._each_block(self._largest_logits, C), axis=0)
            sums, used = zip(*self._each_block(E_of, top), strict=True)
            z = np.sum(sums, axis=0)
        n = counts.sum(axis=1, dtype=np.float64)[:, None]
        NU = counts @ self.model.outside
        log_z = np.log(z.astype(np.float64)) + top
        loss = np.vdot(n, log_z) - np.einsum("md,md->", C, NU, dtype=np.float64)
        return float(loss), (n / z).astype(np.float32), NU, list(used)

    def _each_block(self, work: Callable[[F32, slice], Any], argument: F32) -> list[Any]:
        """Call ``work(argument, block)`` for each block of the vocabulary, on several threads.

        A block is a slice of the vocabulary. Return the results in the order of the blocks.
        """
        return list(self.threads.map(work, repeat(argument), self.blocks))

    def _logits(self, words: slice, rows: int) -> F32:
        """Return memory for the logits of some input vectors and a block of the vocabulary.

        `words` is the block, and `rows` the number of input vectors. The result is a part of
        ``self.logits``, as a matrix (rows, words of the block). It still has the values that were
        last written to it.
        """
        size = words.stop - words.start
        return self.logits[words.start * rows :][: rows * size].reshape(rows, size)

    def _exp(
        self, C: F32, use: Callable[[F32, slice], Any], top: F32, words: slice
    ) -> tuple[F32, Any]:
        """Compute E = exp(C Uᵀ - top) for a block of the vocabulary, and call `use` with it.

        Parameters
        ----------
        C
            The input vectors, (M, d); U are the output vectors of the block.
        use
            A function of E and `words`.
        top
            What is subtracted from the logits of each input vector to prevent overflow, (M, 1).
        words
            The block of the vocabulary.

        Returns
        -------
        sums : (M, 1)
            The row sums of E.
        used
            The result of ``use(E, words)``.
        """
        E = np.matmul(C, self.model.outside[words].T, out=self._logits(words, len(C)))
        if top.any():
            E -= top
        with np.errstate(over="ignore", under="ignore"):  # the caller checks the sums
            np.exp(E, out=E)
            return E.sum(axis=1, keepdims=True), use(E, words)

    def _largest_logits(self, C: F32, words: slice) -> F32:
        """Return, for each input vector, its largest logit in a block of the vocabulary: (M, 1).

        `C` has the input vectors, (M, d), and `words` is the block.
        """
        logits = np.matmul(C, self.model.outside[words].T, out=self._logits(words, len(C)))
        largest: F32 = logits.max(axis=1, keepdims=True)
        return largest

    def _weighted_sum(self, E: F32, words: slice) -> F32:
        """Return the product E U for a block of the vocabulary, float32 (M, d).

        E (M, words of the block) is exp(logits) of M input vectors, `words` the block, and U the
        output vectors of its words.
        """
        with np.errstate(invalid="ignore"):  # E may be infinite, see `_exp`
            return E @ self.model.outside[words]

    def _add_outside_gradient(self, aC: F32, words: slice) -> None:
        """Add Eᵀ A to the gradient of the output vectors, for a block of the vocabulary.

        The gradient is ``self.dU``. E, (M, words of the block), is exp(logits) of M input vectors,
        which `_tile` has left in ``self.logits``. `aC` is A, (M, d): row i is input vector i times
        n_i / z_i, where n_i is the summed weight of its pairs, and z_i the sum of row i of E over
        the whole vocabulary. If `_tile` has multiplied this row by a constant to prevent overflow,
        z_i contains the constant, which thus cancels.
        """
        self.dU[words] += self._logits(words, len(aC)).T @ aC
