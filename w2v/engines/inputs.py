"""The architectures (skip-gram, CBOW, subwords): which input row predicts which words.

The input row of a center position is a weighted sum of rows of the input vectors: for skip-gram the
vector of the center word, for CBOW the sum or mean of the vectors around it. With subwords, the
vector of each word is itself a sum of rows. A loss gets the input rows as a matrix C and returns
∂J/∂C, the gradient of the loss J. `InputTable` computes C from the input vectors and distributes
the gradient to them, so that the code of a loss is the same for all architectures.
"""

from importlib import import_module
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from w2v.engines import Task
from w2v.engines.step import WINDOW_SIZES
from w2v.objectives import Cbow, Objective
from w2v.sampling import Key, draw
from w2v.sums import F32, Sums
from w2v.text.tokens import Batch


class Inputs(Protocol):
    """The interface of an architecture: which words form each input row, and what it predicts."""

    targets: F32
    """The weight of predicting a word from an input row, by their distance in the text, from 0 on:
    float32 (largest distance + 1,)."""

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:
        """Return the input row of each center position of a batch, as a weighted sum of words.

        A position whose sum is empty predicts nothing.

        Parameters
        ----------
        batch
            The words at the center positions, and m words before and after them, m being the window
            size.
        key
            The key from which the random numbers of the shard are computed.
        first
            The place of the first center position in the sub-sampled shard.
        """
        ...


def make_inputs(objective: Objective) -> Inputs:
    """Make the architecture that an objective names."""
    module, name = objective.inputs.split(":")
    inputs: Inputs = getattr(import_module(module), name)(objective)
    return inputs


class SkipGramInputs:
    """Skip-gram: each center word predicts the words at the distances 1 to m, the window size."""

    def __init__(self, objective: Objective) -> None:
        self.window = objective.window
        self.targets = np.concatenate([[0], objective.pair_weights()]).astype(np.float32)

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:  # noqa: ARG002
        """Return the center words: each input row is the vector of one word."""
        return Sums(batch.ids[self.window : len(batch.ids) - self.window])


class CbowInputs:
    """CBOW: the words at the distances 1 to m (the window size) predict the word between them.

    A position with no words around it is not trained. With a dynamic window, a window size from 1
    to m is drawn for each position, by the random number that belongs to its place in the
    sub-sampled shard. Skip-gram uses the expected weight of each pair instead; CBOW cannot, because
    the mean over a window is not linear in the weights of its words.
    """

    targets = np.ones(1, np.float32)

    def __init__(self, objective: Objective) -> None:
        assert isinstance(objective, Cbow)
        self.window, self.dynamic = objective.window, objective.dynamic_window
        self.mean = objective.combine == "mean"
        self.exact = objective.context_gradient == "exact"

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:
        """Return the sum, or mean, of the words in the window around each center position.

        Parameters
        ----------
        batch
            The words at the center positions, and m words before and after them.
        key
            The key from which the window sizes of the shard are computed.
        first
            The place of the first center position in the sub-sampled shard.
        """
        m = self.window
        count = len(batch.ids) - 2 * m
        distances = np.abs(np.arange(-m, m + 1))
        sizes = np.full(count, m)
        if self.dynamic:
            bits = draw(key, WINDOW_SIZES, first + np.arange(count))[0]
            sizes = 1 + (bits.astype(np.int64) * m >> 32)
        documents = sliding_window_view(batch.documents, 2 * m + 1)
        near = documents == batch.documents[m : m + count, None]
        near &= (distances <= sizes[:, None]) & (distances > 0)
        lengths = near.sum(axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        ones = np.ones(starts[-1], np.float32)
        weights = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
        weights = weights if self.mean else ones
        ids = sliding_window_view(batch.ids, 2 * m + 1)[near]
        return Sums(ids, starts, weights, weights if self.exact else ones)


class InputTable:
    """The matrix of input vectors; reads sums of its rows and distributes their gradients."""

    def __init__(self, task: Task) -> None:
        self.table = task.model.center
        self.words = task.subwords
        if (self.words is not None) != task.objective.subwords:
            raise ValueError("Task.subwords must be given if and only if subwords=True")

    def read(self, sums: Sums, out: F32) -> None:
        """Write the vectors of n weighted sums of words into `out`, float32 (n, d)."""
        if self.words is not None:
            words, weights = sums.matrix(sums.weights)
            out[:] = weights @ self.words.take(words).of(self.table)
        elif sums.starts is None:
            take_rows(self.table, sums.ids, out)
        else:
            out[:] = sums.of(self.table)

    def spread(self, sums: Sums, gradients: F32, curvature: F32) -> tuple[Sums, F32, F32]:
        """Express gradients with respect to sums of words as gradients for rows of the table.

        Without subwords, words are rows and the arguments are returned unchanged. With subwords,
        the result has one sum of rows for each distinct word.

        Parameters
        ----------
        sums
            n weighted sums of words, the input rows.
        gradients : float32 (n, d)
            The gradient of the loss with respect to each of these sums.
        curvature : float32 (n,)
            An upper bound on the curvature of the loss along each of these sums.

        Returns
        -------
        sums, gradients, curvature
            Sums of rows of the table, with the gradient and the curvature for each.
        """
        if self.words is None:
            return sums, gradients, curvature
        words, shares = sums.matrix(sums.shares)
        spread = np.asarray(shares.T @ (curvature * sums.totals()), np.float32)
        return self.words.take(words), np.asarray(shares.T @ gradients), spread

    def gradient(self, sums: Sums, gradients: F32) -> tuple[NDArray[np.int32], F32]:
        """Return the gradient of the loss with respect to each row of the table that `sums` use.

        Parameters
        ----------
        sums
            n weighted sums of words, the input rows.
        gradients : float32 (n, d)
            The gradient of the loss with respect to each of these sums.

        Returns
        -------
        rows : int32 (k,)
            The distinct rows of the table.
        gradients : float32 (k, d)
        """
        sums, gradients, _ = self.spread(sums, gradients, np.zeros(sums.count, np.float32))
        rows, shares = sums.matrix(sums.shares)
        return rows, np.asarray(shares.T @ gradients)


def take_rows(matrix: F32, ids: NDArray[np.int32], out: F32) -> None:
    """Copy the rows `ids` of a matrix into the array `out`."""
    # np.take is faster, but it would first copy a matrix whose rows are padded.
    if matrix.flags.c_contiguous:
        np.take(matrix, ids, axis=0, out=out, mode="clip")
    else:
        out[:] = matrix[ids]


def descend(table: F32, sums: Sums, gradients: F32, curvature: F32, rate: float) -> None:
    """Make one step of gradient descent for each row of a table, with a bounded step size.

    The gradients of a row that occurs several times are added up. The step size of a row is the
    learning rate, but at most 2 / h, where h bounds the curvature of the loss along the row: h is
    the sum, over all scores (dot products) of the row, of the score's curvature times the squared
    length of the other vector. A step of 2 / h or less cannot raise the loss. The bound matters
    only for words that are very frequent in a batch. Where an input row is a sum of several rows,
    which move together, each of these gets its share of the curvature, times the sum of the weights
    (``w2v/README.md``, "Kept stable").

    Parameters
    ----------
    table : float32 (V, d)
        Updated in place.
    sums
        n sums of rows of the table; a row may occur several times.
    gradients : float32, n rows of d
        The gradient of the loss with respect to each sum.
    curvature : float32, n of them
        The curvature h along each sum.
    rate
        The learning rate.
    """
    rows, places = np.unique(sums.ids.ravel(), return_inverse=True)
    entry_curvature = curvature.ravel()
    if sums.shares is not None:
        owner = np.repeat(np.arange(sums.count), np.diff(sums.borders()))
        entry_curvature = (entry_curvature * sums.totals())[owner] * sums.shares
    total = np.bincount(places, entry_curvature)
    step = np.minimum(rate, 2 / np.maximum(total, 1e-30)).astype(np.float32)[places]
    if sums.shares is not None:
        step *= sums.shares
    # A sparse matrix with a column for each sum scales the gradients and adds up those of a row.
    entries = step, places.astype(np.int32), sums.borders()
    n = sums.count
    table[rows] -= sp.csc_array(entries, shape=(len(rows), n)) @ gradients.reshape(
        n, table.shape[1]
    )
