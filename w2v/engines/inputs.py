"""What predicts, and what is predicted: the architectures, for every loss.

The input row of a running word is a sum of rows of the table of input vectors: for skip-gram the
word itself, for CBOW the words around it. With subwords each of these words is a mean of rows in
turn. A loss gets the rows as an array C and returns ∂J/∂C. `InputTable` reads C from the table and
brings the gradient back, so that losses know nothing of architectures.
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
    """The interface of an architecture, made from an `Objective`."""

    targets: F32
    """The weight of a word as what a running word's input row predicts, by the distance between
    the two, from 0 on."""

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:
        """Return the input row of each center word of a batch, as a sum of words.

        An empty sum predicts nothing. The parameters are those of `w2v.engines.step.Step.draw`.
        """
        ...


def make_inputs(objective: Objective) -> Inputs:
    """Make the inputs of an objective's architecture."""
    module, name = objective.inputs.split(":")
    inputs: Inputs = getattr(import_module(module), name)(objective)
    return inputs


class SkipGramInputs:
    """The center word predicts the words at the distances 1 to m."""

    def __init__(self, objective: Objective) -> None:
        self.window = objective.window
        self.targets = np.concatenate([[0], objective.pair_weights()]).astype(np.float32)

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:  # noqa: ARG002
        """See `Inputs.sums`. Nothing is random."""
        return Sums(batch.ids[self.window : len(batch.ids) - self.window])


class CbowInputs:
    """The words at the distances 1 to m predict the center word, if there are any.

    With a dynamic window, m is replaced by a number from 1 to m that is drawn for each word: by
    the draw whose number is the word's position in the sub-sampled shard. The mean over a window
    is not linear in the weights of its words, so expected weights would be another objective.
    """

    targets = np.ones(1, np.float32)

    def __init__(self, objective: Objective) -> None:
        assert isinstance(objective, Cbow)
        self.window, self.dynamic = objective.window, objective.dynamic_window
        self.mean = objective.combine == "mean"
        self.exact = objective.context_gradient == "exact"

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:
        """See `Inputs.sums`."""
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
    """The table of input vectors, and how sums of its words are read and updated."""

    def __init__(self, task: Task) -> None:
        self.table = task.model.center
        self.words = task.subwords
        if (self.words is not None) != task.objective.subwords:
            raise ValueError("Task.subwords must be given if and only if subwords=True")

    def read(self, sums: Sums, out: F32) -> None:
        """Compute the sums of the vectors of words, (n, d)."""
        if self.words is not None:
            words, weights = sums.matrix(sums.weights)
            out[:] = weights @ self.words.take(words).of(self.table)
        elif sums.starts is None:
            take_rows(self.table, sums.ids, out)
        else:
            out[:] = sums.of(self.table)

    def spread(self, sums: Sums, gradients: F32, curvature: F32) -> tuple[Sums, F32, F32]:
        """Return sums of rows of the table, with the gradient and the curvature by each.

        Parameters
        ----------
        sums
            n sums of words.
        gradients : float32 (n, d)
            ∂J by each of these sums.
        curvature : float32 (n,)
            The curvature of J in each of them, see `descend`.
        """
        if self.words is None:
            return sums, gradients, curvature
        words, shares = sums.matrix(sums.shares)
        spread = np.asarray(shares.T @ (curvature * sums.totals()), np.float32)
        return self.words.take(words), np.asarray(shares.T @ gradients), spread

    def gradient(self, sums: Sums, gradients: F32) -> tuple[NDArray[np.int32], F32]:
        """Return the distinct rows of the table that sums of words have, and ∂J by each row.

        Parameters
        ----------
        sums, gradients
            See `spread`.
        """
        sums, gradients, _ = self.spread(sums, gradients, np.zeros(sums.count, np.float32))
        rows, shares = sums.matrix(sums.shares)
        return rows, np.asarray(shares.T @ gradients)


def take_rows(matrix: F32, ids: NDArray[np.int32], out: F32) -> None:
    """Copy rows of a matrix into an array."""
    # np.take is faster, but it would first copy a matrix whose rows are padded.
    if matrix.flags.c_contiguous:
        np.take(matrix, ids, axis=0, out=out, mode="clip")
    else:
        out[:] = matrix[ids]


def descend(table: F32, sums: Sums, gradients: F32, curvature: F32, rate: float) -> None:
    """Add up the gradients of each row and take one step, bounded by the loss's curvature.

    Along a row the loss lies below a parabola of curvature h, the sum over the row's scores of
    their curvature times |other row|². A step of up to 2 / h cannot raise it. Most rates are
    below that, and the step is plain gradient descent; a word that is very frequent in the batch
    has its step bounded. Where a sum has several rows that move together, each gets its share of
    the sum's curvature, times the sum of the weights (``w2v/README.md``, "Kept stable").

    Parameters
    ----------
    table : float32 (V, d)
        Updated in place.
    sums
        The n sums of rows that the gradients are of; rows may repeat.
    gradients : float32, n rows of d
    curvature : float32, n of them
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
    # A sparse matrix with a column for each sum adds up the gradients of equal rows, scaled.
    entries = step, places.astype(np.int32), sums.borders()
    n = sums.count
    table[rows] -= sp.csc_array(entries, shape=(len(rows), n)) @ gradients.reshape(
        n, table.shape[1]
    )
