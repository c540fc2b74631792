"""The input vectors of skip-gram and CBOW, with or without subwords, for all losses.

An input vector, or input row, is the vector that predicts other words. It is a weighted sum of rows
of the input matrix: for skip-gram the vector of the center word, for CBOW the sum or mean of the
vectors around the predicted word. With subwords, the vector of each word is itself a sum of rows. A
loss J gets the input vectors as a matrix C, and computes its gradient ∂J/∂C. `InputTable` computes
C from the input matrix, and converts ∂J/∂C to the gradient with respect to the input matrix. The
code of a loss is therefore the same for all architectures.
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

        The input vector is the vector that predicts other words: a weighted sum of word vectors.
        The result has these words and their weights. A position without words is not trained.

        Parameters
        ----------
        batch
            The words at the center positions, with the m words before and the m words after them; m
            is the window size.
        key
            The key from which the random numbers of the shard (part of the text) are computed.
        first
            The index, in the shard, of the batch's first center position. Indices count only the
            words that sub-sampling has kept.
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

    The words at distances 1 to m, the window size, predict the word between them.
    A position whose window contains no other word is not trained. With a dynamic window, the window
    size is drawn from 1 to m, for 64 or more consecutive positions at a time (`window_block`). The
    random number is a function of a key and of the positions in the sub-sampled shard (part of the
    text). Skip-gram draws no window sizes, but weights each pair by its expected frequency. CBOW
    cannot do so, because the mean over a window is not linear in the weights of its words.
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

        The weights are 1 for a sum, or 1 / n for a mean of n words. If the mean is taken over all
        rows, those of the words and of their n-grams, the weight of a word is the number of its own
        rows (its n-grams included) divided by the number of the rows of all words in the window.
        The center word itself is left out, and so are the words of other documents.

        Parameters
        ----------
        batch
            The words at the center positions, with the m words before and the m words after them.
        key
            The key from which random window sizes are computed.
        first
            The index, in the shard (part of the text), of the batch's first center position.
            Indices count only the words that sub-sampling has kept.
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

        An input vector is a weighted sum of word vectors. Without subwords, a word vector is one
        row of the table, the input matrix of the model. An input vector is then a sum of rows, and
        the three arguments are returned unchanged.

        With subwords, each word vector is itself a weighted sum of rows of the table. Let k be the
        number of distinct words in `sums`. Each result has one element for each of these words.

        A curvature bound of a vector is an upper bound on the second derivative of the loss with
        respect to this vector, in any direction. For input vector i, let g_i be the gradient, h_i
        the curvature bound, and W_i the total weight of its words. Let s_ij be the share of word j:
        the factor by which g_i is multiplied to get the gradient of the word (`Sums.shares`). Word
        j then has the gradient Σ_i s_ij g_i and the curvature bound Σ_i s_ij W_i h_i.

        Parameters
        ----------
        sums
            The words and weights of the n input vectors.
        gradients : float32 (n, d)
            The gradient of the loss with respect to each input vector.
        curvature : float32 (n,)
            The curvature bound of each input vector.

        Returns
        -------
        sums
            For each of the k words, the rows of the table whose weighted sum is its vector. Without
            subwords, the three arguments are returned, which have n elements instead of k.
        gradients : float32 (k, d)
            The gradient of the loss with respect to the vector of each of the k words.
        curvature : float32 (k,)
            The curvature bound of the vector of each of the k words.
        """
        if self.words is None:
            return sums, gradients, curvature
        words, shares = sums.matrix(sums.shares)
        spread = np.asarray(shares.T @ (curvature * sums.totals()), np.float32)
        return self.words.take(words), np.asarray(shares.T @ gradients), spread

    def gradient(self, sums: Sums, gradients: F32) -> tuple[NDArray[np.int32], F32]:
        """Convert the gradients of input vectors to gradients of rows of the table.

        The table is the input matrix of the model. An input vector is a weighted sum of word
        vectors. A word vector is a row of the table or, with subwords, itself a weighted sum of
        rows. Each summand also has a share: the factor by which the gradient of the sum is
        multiplied to get that of the summand (`Sums.shares`). The gradients that a row gets in this
        way, from all sums that contain it, are added up. If all shares equal the weights, the
        result is the true gradient of the loss. The settings ``context_gradient`` and
        ``subword_gradient`` can choose other shares.

        Parameters
        ----------
        sums
            The words, weights and shares of the n input vectors.
        gradients : float32 (n, d)
            The gradient of the loss with respect to each input vector.

        Returns
        -------
        rows : int32 (k,)
            The indices of the rows that occur in the sums, each once.
        gradients : float32 (k, d)
            The gradient by which each of these rows is to be trained.
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

    The gradients of a row that occurs several times are added up. The step size of a row is the
    learning rate, but at most 2 / h. h is the curvature bound of the row: an upper bound on the
    second derivative of the loss with respect to the row's vector, in any direction. A step of
    2 / h or less cannot increase the loss while the other rows stay the same. At usual learning
    rates, this limit changes only the steps of words that are very frequent in a batch. For the
    formula of h, see ``w2v/README.md``, "Kept stable".

    Parameters
    ----------
    table : float32 (rows, d)
        The matrix of vectors, which is updated in place.
    sums
        n weighted sums of rows of the table. A row may occur in several sums. In each, it has a
        share: the factor by which the gradient of the sum is multiplied to get that of the row
        (`Sums.shares`).
    gradients : float32, n rows of d
        The gradient of the loss with respect to each sum.
    curvature : float32, n values
        The curvature bound of each sum.
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
