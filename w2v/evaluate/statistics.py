"""Correlations, 95 % intervals, the studentized range, and the Pareto front.

A result that is undefined for the given data is None, not NaN, so that results are valid JSON.
`scipy.stats` is not used, because importing it takes most of a second.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]

MIN_PAIRS_FOR_INTERVAL = 10
"""Fewer pairs make the bootstrap interval unreliable: too narrow."""

NORMAL_QUANTILE = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution, for two-sided 95 % intervals."""

_MAX_WEIGHTS = 1 << 16
"""Bootstrap samples are computed in batches that fit in the CPU's cache. A batch is an array with a
weight for each sample and item: how often the sample contains the item. It has at most this many
weights, or more if it has only one sample."""


def nan_last(value: float) -> tuple[bool, float]:
    """Return a key that sorts numbers in ascending order, and NaN behind them."""
    return (True, 0.0) if math.isnan(value) else (False, float(value))


def ratio(part: float, whole: float) -> float | None:
    """Return part / whole, or None if `whole` is 0."""
    return part / whole if whole else None


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Return Spearman's correlation; None for fewer than two pairs, or if x or y is constant."""
    return pearson(ranks(x), ranks(y))


def pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Return Pearson's correlation; None for fewer than two pairs, or if x or y is constant."""
    if len(x) < 2 or x.min() == x.max() or y.min() == y.max():
        return None
    a, b = (one / np.abs(one).max() for one in (x - x.mean(), y - y.mean()))  # no overflow
    return min(1.0, max(-1.0, float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))))


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value, from 1 for the smallest; equal values get their mean rank."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    middles: NDArray[np.float64] = np.cumsum(sizes) - (sizes - 1) / 2
    return middles[group]


def wilson(correct: int, asked: int) -> Interval | None:
    """Return Wilson's 95 % confidence interval of the share correct / asked; None if asked is 0.

    References
    ----------
    E. B. Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """
    if asked == 0:
        return None
    share, z = correct / asked, NORMAL_QUANTILE
    middle = 2 * correct + z**2
    half = z * math.sqrt(4 * correct * (1 - share) + z**2)
    low, high = ((middle + side) / (2 * (asked + z**2)) for side in (-half, half))
    return low if correct else 0.0, high if correct < asked else 1.0


def mean_interval(values: NDArray[np.float64]) -> Interval | None:
    """Return the 95 % confidence interval of the mean of values, by the normal approximation.

    The interval is clipped to the range of the values. None for fewer than two values.
    """
    if len(values) < 2:
        return None
    half = NORMAL_QUANTILE * values.std(ddof=1) / math.sqrt(len(values))
    mean = values.mean()
    return float(max(mean - half, values.min())), float(min(mean + half, values.max()))


def student_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the mean of values by Student's t.

    None for fewer than two values.
    """
    from scipy.special import stdtrit  # scipy.stats would take half a second

    if len(values) < 2:
        return None
    half = stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def prediction_interval(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % prediction interval for one more value of the same kind, by Student's t.

    At least two values are needed.
    """
    from scipy.special import stdtrit

    count = len(values)
    spread = np.std(values, ddof=1) * math.sqrt(1 + 1 / count)
    half = stdtrit(count - 1, 0.975) * spread
    return float(np.mean(values) - half), float(np.mean(values) + half)


def means_with_equal_seeds(values: Sequence[Mapping[str, float]]) -> list[float]:
    """Return the mean score of each configuration, as if it had a run of every seed.

    A seed may raise or lower the scores of all configurations, so means over different seeds
    mislead. A least-squares fit therefore makes each score the sum of an effect of the
    configuration and one of the seed. A missing run counts as its fitted score.

    `values` has, for each configuration, the scores of its runs by seed, at least one. The results
    are plain means if no run is missing, or if configurations fall into groups that share no seed.
    A configuration with a score that is NaN or infinite gets its plain mean, and is left out of the
    fit.
    """
    means = [float(np.mean([*runs.values()])) for runs in values]
    finite = [index for index, mean in enumerate(means) if math.isfinite(mean)]
    seeds = list(dict.fromkeys(seed for index in finite for seed in values[index]))
    table = np.array([[values[i].get(seed, math.nan) for seed in seeds] for i in finite])
    known = np.isfinite(table)
    if known.all():
        return means
    # The normal equations of the effects of seeds, whose sum is 0 in the smallest solution.
    shares = known / known.sum(1, keepdims=True)
    matrix = np.diag(known.sum(0)) - known.T @ shares
    gaps = np.where(known, table - np.array(means)[finite, None], 0.0)
    effects, _, rank, _ = np.linalg.lstsq(matrix, gaps.sum(0), rcond=1e-9)
    if rank == len(seeds) - 1:
        for index, effect in zip(finite, shares @ effects, strict=True):
            means[index] -= float(effect)
    return means


@cache
def _gauss_legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 128 nodes and weights of Gauss-Legendre integration from -1 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(128)
    return nodes, weights


def studentized_range_sf(
    q: NDArray[np.float64], groups: int, freedom: float
) -> NDArray[np.float64]:
    """Return the probability that the studentized range exceeds each q: float64 (n,).

    This is a hundred times as fast as `scipy.stats.studentized_range`. The error is below 1e-5 if
    ``freedom`` is at least ``groups``. Otherwise, for up to 300 groups, it is below 1e-3 if
    ``freedom`` is at least 2, and below 5e-3 if it is at least 1.

    Parameters
    ----------
    q
        (n,) ranges of means (the largest minus the smallest), divided by the standard error of a
        mean.
    groups
        The number of means, at least 2.
    freedom
        The degrees of freedom of the standard error.

    References
    ----------
    Lund, Lund (1983), Algorithm AS 190: Probabilities and upper quantiles for the studentized
    range.
    """
    from scipy.special import gammaln, ndtr

    # The distribution function of q is the mean over S = chi / sqrt(freedom) of
    # groups * integral of phi(z) * (Phi(z) - Phi(z - q S)) ** (groups - 1) dz. Both integrals, over
    # z and over log S, are computed by Gauss-Legendre quadrature.
    nodes, weights = _gauss_legendre()
    z, of_z = 9 * nodes, 9 * weights * np.exp(-((9 * nodes) ** 2) / 2) / math.sqrt(2 * math.pi)
    # At these limits, the density of log S is at most exp(-40) of its maximum, which is at 0.
    low, high = -40 / freedom - 9 / math.sqrt(2 * freedom), math.log(1 + 9 / math.sqrt(freedom))
    logs = (high - low) / 2 * nodes + (high + low) / 2
    half = freedom / 2
    density = math.log(2) + half * math.log(half) - float(gammaln(half))
    of_s = (high - low) / 2 * weights * np.exp(density + freedom * logs - half * np.exp(2 * logs))
    found = np.empty(len(q))
    for index, value in enumerate(q):
        inside = ndtr(z) - ndtr(z - value * np.exp(logs)[:, None])
        found[index] = of_s @ (1 - groups * (inside ** (groups - 1)) @ of_z)
    return np.clip(found, 0.0, 1.0)


def pareto_front(points: Sequence[tuple[float, float]], sign: int) -> list[int]:
    """Return the indices of the points on the Pareto front of cost and score, by rising cost.

    A point is on the front if no other point is at least as good in both and better in one.

    Parameters
    ----------
    points
        Pairs (cost, score), one for each configuration. A smaller cost is better.
    sign
        1 if a larger score is better, -1 if a smaller score is.

    Returns
    -------
    list of int
        Indices of `points`. Of equal points, only the first one is included.
    """
    front: list[int] = []
    best = -math.inf
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -sign * points[i][1])):
        if sign * points[index][1] > best:
            best = sign * points[index][1]
            front.append(index)
    return front


def numbered(keys: Iterable[Hashable]) -> NDArray[np.int64]:
    """Return an integer for each key, so that equal keys have the same integer.

    The different keys are numbered from 0 in the order in which they first appear.
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def spearman_interval(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    pairs: NDArray[np.int64],
    generator: np.random.Generator,
    resamples: int = 2000,
) -> Interval | None:
    """Return the 95 % percentile bootstrap interval of Spearman's rank correlation.

    Word pairs are drawn with replacement, each with all of its ratings. Bootstrap samples in which
    x or y is constant are left out, because the correlation is undefined.

    Parameters
    ----------
    x, y
        (n,) each; x[i] and y[i] are the rating and the cosine of a word pair.
    pairs
        (n,); pairs[i] is the integer that identifies this word pair (`numbered`). A pair with
        several ratings occurs several times.
    resamples
        The number of bootstrap samples.

    Returns
    -------
    (low, high) or None
        None for fewer than ten different pairs, or if the correlation itself is undefined.

    References
    ----------
    Efron, Tibshirani (1993), An introduction to the bootstrap, chapter 13.
    """
    n = int(pairs.max(initial=-1)) + 1
    if n < MIN_PAIRS_FOR_INTERVAL or spearman(x, y) is None:
        return None
    found = []
    batch = max(1, _MAX_WEIGHTS // len(x))
    for start in range(0, resamples, batch):
        size = min(resamples - start, batch)
        places = generator.integers(n, size=(size, n)) * size + np.arange(size)[:, None]
        # Ranks are computed from how often a sample has each value, three times as fast as ranking
        # it. (scipy.stats.bootstrap returns NaN if one sample has no correlation.)
        times = np.bincount(places.ravel(), minlength=n * size).reshape(n, size)
        found.append(_resampled_spearman(x, y, times[pairs]))
    correlations = np.concatenate(found)
    low, high = np.percentile(correlations[np.isfinite(correlations)], (2.5, 97.5))
    return float(low), float(high)


def _resampled_spearman(
    x: NDArray[np.float64], y: NDArray[np.float64], times: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return Spearman's correlation in each bootstrap sample, (samples,); NaN if undefined.

    Parameters
    ----------
    x, y
        (n,) each; x[i] and y[i] are a pair.
    times
        (n, samples), how often a sample contains each pair.
    """
    a, aa = _resampled_ranks(x, times)
    b, bb = _resampled_ranks(y, times)
    a *= b
    products = np.einsum("ij,ij->j", times, a)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = products / np.sqrt(aa * bb)
    return found


def _resampled_ranks(
    values: NDArray[np.float64], times: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the ranks of values in bootstrap samples, minus the mean rank of the sample.

    Equal values get the mean of their ranks.

    Parameters
    ----------
    values
        (n,), the original data.
    times
        (n, samples), how often a sample contains each value.

    Returns
    -------
    ranks : (n, samples)
        The rank of each value in each sample, minus the mean rank.
    squares : (samples,)
        The sum of the squares of these ranks over the values of a sample.
    """
    order = np.argsort(values, kind="stable")
    _, starts, group = np.unique(values[order], return_index=True, return_inverse=True)
    sizes = times[order].astype(np.float64)
    if len(starts) < len(values):
        sizes = np.add.reduceat(sizes, starts, axis=0)
    middles = np.cumsum(sizes, axis=0)
    total = middles[-1].copy()
    middles -= sizes / 2
    middles -= total / 2
    place = np.empty(len(values), np.intp)
    place[order] = group
    return middles[place], np.einsum("ij,ij,ij->j", sizes, middles, middles)
