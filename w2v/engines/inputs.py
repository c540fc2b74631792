"""Compute the input vectors of skip-gram and CBOW, with or without subwords, for all losses.

An input vector, from which words are predicted, is a weighted sum of word vectors: the vector of
the center word for skip-gram, the sum or mean of the vectors in a window for CBOW. With subwords, a
word vector is itself a weighted sum of rows of the input matrix. `InputTable` computes the input
vectors, and converts their gradients to gradients of the rows. The code of a loss is therefore the
same for skip-gram and CBOW.
"""

from importlib import import_module
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from w2v.engines import Task
from w2v.engines.step import WINDOW_SIZES, window_block
from w2v.objectives import Cbow, Objective
from w2v.sampling import Key, draw
from w2v.sums import F32, Sums
from w2v.text.tokens import Batch


class Inputs(Protocol):
    """Interface of an architecture: what an input vector is made of, and which words it predicts.

    An input vector is the vector that predicts other words. Skip-gram and CBOW have one class each.
    """

    targets: F32
    """The weights of predicted words in the loss, by distance: element k is for a word that is k
    positions away from the center position. float32 (largest distance + 1,)."""

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:
        """Return, for each center position, the words whose vectors add up to the input vector.

        The input vector, from which words are predicted, is a weighted sum of word vectors. The
        result has the words and their weights. A position without words is not trained.

        Parameters
        ----------
        batch
            The words at the center positions, with the m words before and the m words after them; m
            is the window size.
        key
            The key from which random numbers are computed.
        first
            The position of the batch's first center word in the shard (a part of the text), after
            sub-sampling.
        """
        ...


def make_inputs(objective: Objective, subwords: Sums | None = None) -> Inputs:
    """Make the object that says, for each input vector, which word vectors it is the sum of.

    An input vector is the vector that predicts other words: a weighted sum of word vectors. The
    class of the object belongs to the objective's architecture, skip-gram or CBOW, and implements
    the interface `Inputs`. The argument `subwords` has, for each word of the vocabulary, the rows
    of the input matrix whose weighted sum is the word's vector, with their weights. It is None
    without subwords, when the vector of a word is a single row.
    """
    module, name = objective.inputs.split(":")
    inputs: Inputs = getattr(import_module(module), name)(objective, subwords)
    return inputs


class SkipGramInputs:
    """Composes the input vectors of skip-gram: they are the vectors of the center words.

    The vector of a center word predicts the words at distances 1 to m, the window size.
    """

    def __init__(self, objective: Objective, _: Sums | None) -> None:
        self.window = objective.window
        self.targets = np.concatenate([[0], objective.pair_weights()]).astype(np.float32)

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:  # noqa: ARG002
        """Return the input vector of each center word, as a sum of one vector: the word's own.

        The input vector is the vector that predicts other words. Sum i of the result is the vector
        of center word i of the batch, with weight 1.

        Parameters
        ----------
        batch
            The center words, with the m words before and the m words after them; m is the window
            size.
        key, first
            Not used, because nothing is drawn at random.
        """
        return Sums(batch.ids[self.window : len(batch.ids) - self.window])


class CbowInputs:
    """Composes the input vectors of CBOW: sums or means of the vectors of the words in a window.

    The words at distances 1 to m predict the word between them. m is the window size or, with a
    dynamic window, a number drawn from 1 to the window size, once for 64 or more consecutive
    positions (`window_block`). Skip-gram weights pairs by their probability instead of drawing m.
    CBOW cannot do so, because the mean over a window is not linear in the weights of its words.
    """

    targets = np.ones(1, np.float32)

    def __init__(self, objective: Objective, subwords: Sums | None) -> None:
        assert isinstance(objective, Cbow)
        self.window, self.dynamic = objective.window, objective.dynamic_window
        self.mean = objective.combine != "sum"
        self.lengths: NDArray[np.int32] | None = None
        if objective.combine == "rows" and subwords is not None:
            self.lengths = np.diff(subwords.borders())
        self.exact = objective.context_gradient == "exact"

    def sums(self, batch: Batch, key: Key, first: int) -> Sums:
        """Return the words in the window of each center position, with their weights.

        The weights are 1 for a sum, and 1 / n for a mean of n words. With ``combine="rows"``, the
        weight of a word is the number of its rows (its own and those of its n-grams) divided by the
        number of rows of all words in the window. The center word and words of other documents are
        left out.

        `batch` has the words at the center positions, with the m words before and the m words after
        them; m is the window size. Random window sizes are computed from `key`. `first` is the
        index of the first center position in the shard (a part of the text), after sub-sampling.
        """
        m = self.window
        count = len(batch.ids) - 2 * m
        distances = np.abs(np.arange(-m, m + 1))
        sizes = np.full(count, m)
        if self.dynamic:
            bits = draw(key, WINDOW_SIZES, (first + np.arange(count)) // window_block(m))[0]
            sizes = 1 + (bits.astype(np.int64) * m >> 32)
        documents = sliding_window_view(batch.documents, 2 * m + 1)
        near = documents == batch.documents[m : m + count, None]
        near &= (distances <= sizes[:, None]) & (distances > 0)
        lengths = near.sum(axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        ids = sliding_window_view(batch.ids, 2 * m + 1)[near]
        weights = ones = np.ones(starts[-1], np.float32)
        if self.mean:
            rows = ones if self.lengths is None else self.lengths[ids]
            owner = np.repeat(np.arange(count), lengths)
            weights = (rows / np.bincount(owner, rows, minlength=count)[owner]).astype(np.float32)
        return Sums(ids, starts, weights, weights if self.exact else ones)


class InputTable:
    """The input matrix of a model, from which input vectors are computed.

    An input vector, the vector that predicts other words, is a weighted sum of rows of the matrix.
    The methods compute input vectors, and convert their gradients to gradients of the rows.
    """

    def __init__(self, task: Task) -> None:
        self.table = task.model.center
        self.words = task.subwords
        if (self.words is not None) != task.objective.subwords:
            raise ValueError("Task.subwords must be given if and only if subwords=True")

    def read(self, sums: Sums, out: F32) -> None:
        """Compute n input vectors, and write them into `out`, float32 (n, d).

        Each input vector is a weighted sum of word vectors. `sums` has the words and weights.
        """
        if self.words is not None:
            words, weights = sums.matrix(sums.weights)
            out[:] = weights @ self.words.take(words).of(self.table)
        elif sums.starts is None:
            take_rows(self.table, sums.ids, out)
        else:
            out[:] = sums.of(self.table)

    def spread(self, sums: Sums, gradients: F32, curvature: F32) -> tuple[Sums, F32, F32]:
        """With subwords, convert the gradients of input vectors to gradients of word vectors.

        An input vector is a weighted sum of word vectors, and a word vector a weighted sum of rows
        of the input matrix. Without subwords, the arguments are returned unchanged, because each
        word vector is a row.

        Input vector i has the gradient g_i and the curvature bound h_i: an upper bound on the
        second derivative of the loss in any direction. The weights of its words add up to W_i. Word
        j gets the gradient Σ_i s_ij g_i and the curvature bound Σ_i s_ij W_i h_i. The share s_ij is
        the word's weight in vector i or, for inexact gradients, another factor (`Sums.shares`).

        Parameters
        ----------
        sums
            The words, weights and shares of the n input vectors.
        gradients : float32 (n, d)
            The gradients g_i.
        curvature : float32 (n,)
            The curvature bounds h_i.

        Returns
        -------
        sums
            The rows, weights and shares of each of the k distinct words.
        gradients : float32 (k, d)
            The gradient of each word.
        curvature : float32 (k,)
            The curvature bound of each word.
        """
        if self.words is None:
            return sums, gradients, curvature
        words, shares = sums.matrix(sums.shares)
        spread = np.asarray(shares.T @ (curvature * sums.totals()), np.float32)
        return self.words.take(words), np.asarray(shares.T @ gradients), spread

    def gradient(self, sums: Sums, gradients: F32) -> tuple[NDArray[np.int32], F32]:
        """Convert the gradients of input vectors to gradients of rows of the input matrix.

        An input vector is a weighted sum of word vectors. A word gets the input vector's gradient
        times the word's share (`Sums.shares`). With subwords, a word vector is a weighted sum of
        rows, and each row gets the word's gradient times the row's share in the word. If all shares
        equal the weights, the result is the true gradient of the loss.

        Parameters
        ----------
        sums
            The words, weights and shares of the n input vectors.
        gradients : float32 (n, d)
            The gradient of the loss with respect to each input vector.

        Returns
        -------
        rows : int32 (k,)
            The distinct rows that occur in the sums.
        gradients : float32 (k, d)
            The total gradient of each of these rows.
        """
        sums, gradients, _ = self.spread(sums, gradients, np.zeros(sums.count, np.float32))
        rows, shares = sums.matrix(sums.shares)
        return rows, np.asarray(shares.T @ gradients)


def take_rows(matrix: F32, ids: NDArray[np.int32], out: F32) -> None:
    """Copy the rows `ids` of a matrix (n, d) into `out`, whose shape is that of `ids` plus (d,)."""
    # np.take is faster, but it would first copy a matrix whose rows are padded.
    if matrix.flags.c_contiguous:
        np.take(matrix, ids, axis=0, out=out, mode="clip")
    else:
        out[:] = matrix[ids]


def descend(table: F32, sums: Sums, gradients: F32, curvature: F32, rate: float) -> None:
    """Make one step of gradient descent for each table row in `sums`, with a bounded step size.

    The gradients of a row are added up. Its step size is the learning rate, but at most 2 / h,
    where h is an upper bound on the second derivative of the loss with respect to the row, in any
    direction. An update of one row alone then cannot increase the loss. For the formula of h, see
    ``w2v/README.md``, "Kept stable".

    Parameters
    ----------
    table : float32 (rows, d)
        Updated in place.
    sums
        n weighted sums of table rows. A row gets the gradient of a sum times the row's share
        (`Sums.shares`).
    gradients : float32, n rows of d
        The gradient of the loss with respect to each sum.
    curvature : float32, n values
        An upper bound on the second derivative of the loss with respect to each sum.
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
