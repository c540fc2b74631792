"""Reduce the dimensions of vectors, and measure how much the cosines change."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROWS_AT_A_TIME = 1 << 16
"""Rows that are converted to float64 at a time."""

PAIRS = 100_000
"""Pairs of words whose cosines are compared before and after."""


class SimilarityLoss(NamedTuple):
    """How much the cosines of pairs of words change when vectors are reduced.

    Attributes
    ----------
    pairs
        The number of pairs of words that were compared; they are random, but the same in every
        call.
    mean, largest
        The mean and the largest absolute change of the cosine of a pair.
    spearman
        Spearman's rank correlation of the cosines before and after; None if it is undefined.
    """

    pairs: int
    mean: float
    largest: float
    spearman: float | None


def principal_axes(vectors: NDArray[np.floating], dim: int) -> NDArray[np.float64]:
    """Return the `dim` leading principal axes (d, dim) of vectors (n, d).

    They are the leading eigenvectors of the uncentered second-moment matrix. The mean is not
    subtracted, because this would change the cosines.
    """
    d = vectors.shape[1]
    moments = np.zeros((d, d))
    for start in range(0, len(vectors), ROWS_AT_A_TIME):
        part = vectors[start : start + ROWS_AT_A_TIME].astype(np.float64)
        moments += part.T @ part
    axes = np.linalg.eigh(moments)[1][:, ::-1][:, :dim]
    # An eigenvector has no sign of its own: its largest entry is made positive.
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dim)])
    return axes * np.where(signs == 0, 1.0, signs)


def rotated(vectors: NDArray[np.floating], axes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the coordinates of vectors (n, d) with respect to axes (d, dim): float32 (n, dim)."""
    out = np.empty((len(vectors), axes.shape[1]), np.float32)
    for start in range(0, len(vectors), ROWS_AT_A_TIME):
        part = slice(start, start + ROWS_AT_A_TIME)
        out[part] = vectors[part] @ axes
    return out


def compare_cosines(before: NDArray[np.float64], after: NDArray[np.float64]) -> SimilarityLoss:
    """Compare the cosines of pairs of words before and after a reduction of the vectors.

    Parameters
    ----------
    before, after : (pairs,)
        The cosine of each pair.
    """
    from scipy.stats import spearmanr

    difference = np.abs(after - before)
    defined = len(before) > 1 and np.ptp(before) > 0 and np.ptp(after) > 0
    return SimilarityLoss(
        len(before),
        float(difference.mean()) if len(before) else 0.0,
        float(difference.max(initial=0.0)),
        float(spearmanr(before, after).statistic) if defined else None,
    )
