"""Estimate how close a round of training brings each row of the model to its local optimum.

In a round, several workers start from the same model, and each trains on its own part of the text.

Near the optimum, the gradient of a row is its distance from the optimum times the curvature c of
the loss. A worker that makes n small steps with the learning rate lr therefore covers the fraction
1 - exp(-a) of the distance, with a = lr n c.

A term of the loss, such as -log σ(u·v), has a curvature in v of at most u uᵀ / 4. So c is estimated
as a constant times a mean squared length m. For a row of the input matrix, m is the mean over the
rows of the output matrix, and vice versa. The function `approach` returns lr n m, which does not
include the constant. `w2v.cluster.kernels` multiplies it by a measured constant to get a.

If workers trained one after another, the fraction exp(-j a) of the distance would be left after j
of them. So k of them would cover (1 - exp(-k a)) / (1 - exp(-a)) times the distance that the first
one covers. By this formula, ``combine=sequential`` estimates from the changes of the workers what
training in sequence would have given.
"""

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Task
from w2v.huffman import HuffmanTree
from w2v.losses import HierarchicalSoftmax, NegativeSampling
from w2v.objectives import Cbow
from w2v.sampling import NoiseDistribution, keep_probabilities

F64 = NDArray[np.float64]


def row_terms(task: Task) -> tuple[F64, F64]:
    """Return for each row of the model how many terms of the loss contain it, per word of the text.

    For each predicted word, noise word or inner node, the loss has one term. A term contains the
    output vector of this word or node, and the input vector that predicts it. The numbers are
    expected values.

    Returns
    -------
    center : float64 (rows,)
        A number for each row of the input matrix. With CBOW, it is too low: each word of the text
        counts for one window only, although its row is part of the input vector of every window in
        which it is a context word.
    outside : float64 (rows,)
        A number for each row of the output matrix.

    Raises
    ------
    ValueError
        The loss is neither negative sampling nor the hierarchical softmax.
    """
    objective, loss = task.objective, task.objective.loss
    kept = task.counts / task.counts.sum()
    kept = kept * keep_probabilities(task.counts, objective.subsample)
    pairs = 1.0 if isinstance(objective, Cbow) else 2.0 * float(objective.pair_weights().sum())
    predicted = pairs * kept
    if isinstance(loss, NegativeSampling):
        noise = NoiseDistribution(task.counts, loss.exponent).probabilities
        outside = predicted + loss.negatives * predicted.sum() * noise
    elif isinstance(loss, HierarchicalSoftmax):
        tree = HuffmanTree(task.counts)
        size = loss.output_rows(len(predicted))
        outside = np.bincount(tree.nodes, np.repeat(predicted, tree.lengths), size)
    else:
        raise ValueError(f"{loss.name}: its terms are not known")
    center = predicted * (outside.sum() / predicted.sum())
    if task.subwords is not None:
        sums = task.subwords
        owners = np.repeat(np.arange(sums.count), np.diff(sums.borders()))
        center = np.bincount(sums.ids, center[owners], len(task.model.center))
    return center, outside


def approach(terms: tuple[F64, F64], steps: tuple[float, float]) -> NDArray[np.float32]:
    """Return a measure of how far each row of the model moves towards its optimum in a round.

    In a round, each worker trains on its part of the text. The larger the measure of a row, the
    closer a worker brings the row to its optimum. The measure is the row's element of `terms` times
    its matrix's element of `steps`.

    Parameters
    ----------
    terms
        Two arrays, for the rows of the input matrix and of the output matrix, from `row_terms`: how
        many terms of the loss contain the row, on average, per word of text.
    steps
        Two numbers, for the input matrix and the output matrix: the learning rate, times the number
        of words on which a worker trains in the round, times the mean squared length of the rows of
        the other matrix (`mean_square`).

    Returns
    -------
    float32 (rows,)
        The measures of the rows of the input matrix, followed by those of the output matrix.
    """
    return np.concatenate([n * step for n, step in zip(terms, steps, strict=True)]).astype(
        np.float32
    )


def mean_square(terms: F64, table: NDArray[np.float32]) -> float:
    """Return the mean squared length of the rows of a matrix, weighted by `terms`.

    `terms` has a weight for each row: how many terms of the loss contain it (`row_terms`).
    """
    squares = np.square(table).sum(axis=1, dtype=np.float64)
    return float((terms * squares).sum() / terms.sum())
