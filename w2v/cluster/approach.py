"""How far a round brings each row towards the place where it would rest.

Near that place, the gradient by a row is its distance times the curvature of the loss there. A
worker that makes n small steps of the rate lr along a direction of curvature c goes the part
1 - exp(-a) of the way, with a = lr n c. A term of the loss, such as -log σ(u·v), curves in v by at
most u uᵀ / 4; so c is a constant times the mean squared length of the rows on the other side.
`approach` is lr times n times that mean, and `w2v.cluster.kernels` has the constants.

A worker that trained after j others would find exp(-j a) of the way left, and k workers in turn
would go (1 - exp(-k a)) / (1 - exp(-a)) times as far as the first. ``combine=sequential`` makes of
the changes of workers that started together what workers in turn would have made.
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
    """Return in how many terms of the loss each row is expected, for each word of the text.

    Returns
    -------
    center, outside : float64 (rows,)
        Of each table of the model. With CBOW, a word of the context counts as one center word.
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
    """Return how far a round brings each row: float32, for both tables one after the other.

    Parameters
    ----------
    terms
        See `row_terms`.
    steps
        For each table, the rate times the words of a worker times the mean squared length of the
        rows of the other table; see `mean_square`.
    """
    return np.concatenate([n * step for n, step in zip(terms, steps, strict=True)]).astype(
        np.float32
    )


def mean_square(terms: F64, table: NDArray[np.float32]) -> float:
    """Return the mean squared length of the rows of a table, by the terms that each is in."""
    squares = np.square(table).sum(axis=1, dtype=np.float64)
    return float((terms * squares).sum() / terms.sum())
