"""Estimate how close a round of training brings each row of the model to its local optimum.

In a round, several workers start from the same model, and each trains on its own part of the text.
Near the optimum, n small steps with the learning rate lr cover the fraction 1 - exp(-a) of the
distance to it. Here a = lr n c, and c is the curvature (second derivative) of the loss.

A term of the loss, such as -log σ(u·v), has a curvature in v of at most u uᵀ / 4. So c is estimated
as a constant times m, a mean of u·u over all vectors u of the other matrix. The function `approach`
returns lr n m for each row; `w2v.cluster.kernels` multiplies it by measured constants.

If k workers trained one after another, they would cover (1 - exp(-k a)) / (1 - exp(-a)) times the
distance that the first one covers. By this formula, ``combine=sequential`` estimates from the
changes of the workers what training in sequence would have given.
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
    """Return, for each row of the model, the expected number of terms of the loss that contain it.

    The number is divided by the number of words of the text. With negative sampling, the loss has a
    term for each predicted word and each noise word; with the hierarchical softmax, for each inner
    node on the path of each predicted word.

    Returns
    -------
    center : float64 (rows,)
        For the input matrix. With CBOW, this estimate is too low: it takes each word of the text to
        be in one window only.
    outside : float64 (rows,)
        For the output matrix.

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

    The measure is the row's element of `terms` times the element of `steps` for the row's matrix.
    Both arguments have an item for the input matrix and one for the output matrix.

    Parameters
    ----------
    terms
        How many terms of the loss contain each row, per word of text (`row_terms`).
    steps
        The learning rate, times the number of words on which a worker trains in the round, times
        the mean squared length of the rows of the other matrix (`mean_square`).

    Returns
    -------
    float32 (rows,)
        The rows of the input matrix come first.
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
