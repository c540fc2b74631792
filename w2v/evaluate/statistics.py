"""Correlations and shares, with intervals around them.

Figures that the data leave undefined are None, never NaN, so that results are valid JSON.
"""

import math

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]

FEWEST_FOR_INTERVAL = 10
"""Pairs below which the bootstrap says nothing."""

Z = 1.959963984540054
"""Standard normal quantile of a two-sided interval of 95 %."""

_BLOCK = 1 << 20
"""Weights of resamples held at a time."""


def ratio(part: float, whole: float) -> float | None:
    """part / whole; None of nothing."""
    return part / whole if whole else None


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Rank correlation; None for fewer than two pairs or a constant side."""
    return pearson(ranks(x), ranks(y))


def pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Product-moment correlation; None for fewer than two pairs or a constant side."""
    if len(x) < 2 or x.min() == x.max() or y.min() == y.max():
        return None
    x = x - x.mean()
    y = y - y.mean()
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(x @ y / scale, -1.0, 1.0)) if scale > 0.0 else None


def wilson(correct: int, asked: int) -> Interval | None:
    """Wilson's score interval (95 %) of a share; None where nothing was asked.

    References
    ----------
    E. B. Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """
    if asked == 0:
        return None
    share, extra = correct / asked, Z * Z / asked
    centre = share + extra / 2
    half = Z * math.sqrt(share * (1 - share) / asked + extra / (4 * asked))
    low, high = (centre - half) / (1 + extra), (centre + half) / (1 + extra)
    return (0.0 if correct == 0 else low, 1.0 if correct == asked else high)


def spearman_interval(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    generator: np.random.Generator,
    resamples: int = 2000,
) -> Interval | None:
    """Percentile bootstrap interval (95 %) of the rank correlation, over pairs.

    Resamples in which a side is constant, and the correlation undefined, are left out.

    Returns
    -------
    tuple of float
        None for fewer than ten pairs, or where the correlation itself is undefined.

    References
    ----------
    Efron, Tibshirani (1993), An introduction to the bootstrap, chapter 13.
    """
    n = len(x)
    if n < FEWEST_FOR_INTERVAL or spearman(x, y) is None:
        return None
    figures = []
    for start in range(0, resamples, max(1, _BLOCK // n)):
        size = min(resamples - start, max(1, _BLOCK // n))
        draws = generator.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        times = np.bincount(draws.ravel(), minlength=size * n).reshape(size, n)
        figures.append(_resampled_spearman(x, y, times))
    defined = np.concatenate(figures)
    low, high = np.percentile(defined[np.isfinite(defined)], (2.5, 97.5))
    return float(low), float(high)


def _resampled_spearman(
    x: NDArray[np.float64], y: NDArray[np.float64], times: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Rank correlations of samples in which the pairs stand so many times; NaN: undefined."""
    middle = (len(x) + 1) / 2
    a, b = _resampled_ranks(x, times) - middle, _resampled_ranks(y, times) - middle
    products = np.einsum("ij,ij,ij->i", times, a, b)
    squares = np.einsum("ij,ij,ij->i", times, a, a) * np.einsum("ij,ij,ij->i", times, b, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = products / np.sqrt(squares)
    return found


def _resampled_ranks(values: NDArray[np.float64], times: NDArray[np.int64]) -> NDArray[np.float64]:
    """The rank of each value in each sample: as `ranks`, where a value stands `times` times."""
    order = np.argsort(values, kind="stable")
    _, starts, group = np.unique(values[order], return_index=True, return_inverse=True)
    sizes = np.add.reduceat(times[:, order], starts, axis=1)
    middles = np.cumsum(sizes, axis=1) - (sizes - 1) / 2
    ranked = np.empty(times.shape)
    ranked[:, order] = middles[:, group]
    return ranked


def mean_interval(values: NDArray[np.float64]) -> Interval | None:
    """Normal interval (95 %) of a mean, within the values' range; None for fewer than two."""
    if len(values) < 2:
        return None
    half = Z * values.std(ddof=1) / math.sqrt(len(values))
    mean = values.mean()
    return float(max(mean - half, values.min())), float(min(mean + half, values.max()))
