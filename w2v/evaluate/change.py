"""Compare the vectors of two texts: find words whose use differs by more than chance.

Vectors are trained several times on each text. The differences between these runs show how much
chance changes the vector of a word. Runs on bootstrap samples of the documents also show how much
depends on the choice of documents.

The vectors are scaled to length 1 and aligned by rotations. For a word, let δ be the difference
between its mean vectors in the two texts. Under the null hypothesis, the word is used alike in both
texts, and δ has the covariance M, which is estimated from the spread of the runs. Then δ·δ / tr M
has approximately Fisher's F distribution with f = (tr M)² / tr(M²) and f (n + m - 2) degrees of
freedom, for n and m runs. The p-values are corrected for deviations from this distribution, and for
the number of words.

References
----------
A. Dempster (1958), A high dimensional two sample significance test. S. Chen, Y. Qin (2010), A
two-sample test for high-dimensional data with applications to gene-set testing. B. Devlin, K.
Roeder (1999), Genomic control for association studies. S. Holm (1979), A simple sequentially
rejective multiple test procedure.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.ensemble import Ensemble, HasVectors, vectors_of
from w2v.evaluate.procrustes import align
from w2v.vectors import WordVectors

ANCHORS = 5_000
"""The rotations that align the vectors of two texts are computed from at most this many words.

These are the words that are most frequent in both texts.
"""

MIN_COUNT = 20
"""Words known to occur less often than this are not compared: their vectors are hardly trained."""

BAND = 500
"""The least number of words in a band of word frequency, unless there are fewer words in all.

The test statistics of words are corrected, and their degrees of freedom estimated, for each band
separately (`Change.inflation`).
"""

QUARTILES = 1.349
"""The distance between the quartiles of the standard normal distribution."""

LEVEL = 0.01
"""The significance level: the probability of any false positive among all words."""


class Shift(NamedTuple):
    """The distance between the vectors of a word in two texts, and its significance.

    There are one or more training runs on each text.

    Attributes
    ----------
    before, after
        The count of the word in each text, in the first run; None if unknown.
    distance
        1 - cosine, averaged over all pairs of a run of one text and a run of the other.
    expected
        The distance expected by chance alone; None if there is only one run on each text.
    moved
        ``distance - expected``, which may be negative; None if `expected` is None.
    low, high
        The 95 % confidence interval of `moved`; None with fewer than three runs on each text.
    p
        The p-value of the hypothesis that the word is used alike in both texts, corrected for the
        number of words; None with fewer than three runs on each text.
    """

    word: str
    before: int | None
    after: int | None
    distance: float
    expected: float | None
    moved: float | None
    low: float | None
    high: float | None
    p: float | None

    @property
    def found(self) -> bool:
        """Whether the vector of the word differs significantly between the texts: p < `LEVEL`.

        False if `p` is None.
        """
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Change:
    """The result of comparing two texts: for each word, the shift of its vector."""

    shifts: list[Shift]
    """The shift of each word, ranked as `change` describes."""
    runs: tuple[int, int]
    """The number of training runs on the first text, and on the second text."""
    resampled: bool
    """Whether each run was trained on a bootstrap sample of the documents."""
    inflation: float | None
    """The median, over the words, of the factors by which test statistics are larger than expected
    by chance. Words of similar frequency share a factor; their p-values are corrected for it. None
    if each text has one training run; otherwise, 1 if no text has more than two (no p-values)."""
    anchors: int
    """The number of words from which the rotations that align the vectors were computed."""


class _Noise(NamedTuple):
    """How much the vectors of V words vary over training runs, estimated for each of two texts.

    The vectors of the two texts are compared. A text has one or more training runs. If it has too
    few runs for an estimate, it gets the estimate of the other text.
    """

    trace: NDArray[np.float64]
    """float64 (2, V): estimates of tr Σ for each text and word, where Σ is the covariance of the
    word's vector over the runs on the text. They need two runs."""
    square: NDArray[np.float64] | None
    """float64 (2, V): estimates of tr Σ² for each text and word, where Σ is the covariance of the
    word's vector over the runs on the text. They need three runs; None if no text has three."""
    cross: NDArray[np.float64]
    """float64 (V,): estimates of tr Σ₁Σ₂ for each word, where Σ₁ and Σ₂ are the covariances of its
    vector over the runs on each text. If one text has a single run, tr Σ² of the other text."""
    along: NDArray[np.float64]
    """float64 (2, V): estimates of δ·Σδ for each text and word. Σ is the covariance of the word's
    vector over the runs on the text, and δ the difference between its mean vectors in the two
    texts."""
    skew: float
    """A factor, at most 1, by which the numerator degrees of freedom of the F test are multiplied,
    so that the F distribution has the skewness of the test statistic. The same for all words."""


def change(
    before: Ensemble | WordVectors | HasVectors,
    after: Ensemble | WordVectors | HasVectors,
    resampled: bool,
) -> Change:
    """Rank the words that two texts share by the significance of the change of their vectors.

    If a text has three or more training runs, the words are ranked by their p-values before the
    correction for the number of words, the smallest first. With fewer runs, there are no p-values.
    The words are then ranked by the distance between their vectors, the largest first; if a text
    has two runs, by this distance relative to the variation between runs. Words known to occur less
    than `MIN_COUNT` times in a text are left out.

    Parameters
    ----------
    before, after
        The vectors trained on each text: an ensemble of runs, or the vectors or the model of a
        single run. If only one text has several runs, the other is assumed to vary as much.
    resampled
        Whether each run was trained on a bootstrap sample of its text's documents.

    Raises
    ------
    InputError
        An argument has no vectors, or vectors with NaN or infinities; the dimensions differ; fewer
        than ten words are left; or there are several runs on a text, but all runs on the same text
        have equal vectors.
    """
    sides = [_units("before", before), _units("after", after)]
    (words, counts, _), (others, other_counts, _) = sides
    rows_of = {word: row for row, word in enumerate(others)}
    pairs = [
        (row, rows_of[word])
        for row, word in enumerate(words)
        if word in rows_of
        and (counts is None or counts[row] >= MIN_COUNT)
        and (other_counts is None or other_counts[rows_of[word]] >= MIN_COUNT)
    ]
    if len(pairs) < 10:
        raise InputError(
            f"{len(pairs)} words occur {MIN_COUNT} times or more in both texts; 10 are needed"
        )
    # Sort words by frequency rank, in the text in which the word is rarer.
    ranks = np.maximum(*(np.argsort(np.argsort(column)) for column in np.array(pairs).T))
    pairs = [pairs[index] for index in np.argsort(ranks, kind="stable").tolist()]
    chosen = np.array(pairs, np.intp)
    sets = [unit[chosen[:, side]] for side in (0, 1) for unit in sides[side][2]]
    anchors = np.arange(min(ANCHORS, len(pairs)))
    aligned = align(sets, anchors)
    n, m = len(sides[0][2]), len(sides[1][2])
    found = _shifts(aligned[:n], aligned[n:], resampled)
    columns = (found.expected, found.moved, found.low, found.high, found.p)
    rows = [
        Shift(
            words[row],
            None if counts is None else int(counts[row]),
            None if other_counts is None else int(other_counts[other]),
            float(found.distance[index]),
            *(None if column is None else float(column[index]) for column in columns),
        )
        for index, (row, other) in enumerate(pairs)
    ]
    order = np.argsort(-found.rank, kind="stable")
    return Change([rows[i] for i in order], (n, m), resampled, found.inflation, len(anchors))


def _units(
    name: str, side: Ensemble | WordVectors | HasVectors
) -> tuple[list[str], NDArray[np.int64] | None, list[NDArray[np.float32]]]:
    """Return the words of a text, the most frequent first, with their counts and unit vectors.

    `side` has the vectors trained on the text, in one or several runs. The result has a matrix of
    unit vectors for each run. The counts are None if unknown. `name` is the name of the user's
    argument that holds `side`, for the error message.
    """
    if isinstance(side, Ensemble):
        return side.words, side.counts, side.units
    vectors = vectors_of(name, side)
    rows = vectors.by_frequency
    counts = None if vectors.counts is None else vectors.counts[rows]
    return [vectors.words[row] for row in rows], counts, [vectors.unit_rows(rows)]


class _Found(NamedTuple):
    """The result of `_shifts`: for each of V words, the distance between its vectors in two texts.

    There are one or more training runs on each text.
    """

    distance: NDArray[np.float64]
    """float64 (V,): 1 - cosine of a word's vectors in the two texts, averaged over all pairs of a
    run of one text and a run of the other."""
    expected: NDArray[np.float64] | None
    """float64 (V,): the `distance` expected by chance; None with one training run on each text."""
    moved: NDArray[np.float64] | None
    """float64 (V,): the distance between a word's vectors in the two texts, minus the distance
    expected by chance; None if there is only one training run on each text."""
    low: NDArray[np.float64] | None
    """float64 (V,): the lower end of the 95 % confidence interval of `moved`; None with fewer than
    three training runs on each text."""
    high: NDArray[np.float64] | None
    """float64 (V,): the upper end of the 95 % confidence interval of `moved`; None with fewer than
    three training runs on each text."""
    p: NDArray[np.float64] | None
    """float64 (V,): the p-values, corrected for the number of words; None with fewer than three
    training runs on each text."""
    rank: NDArray[np.float64]
    """float64 (V,): the statistic that ranks words, the largest first. Let n be the larger of the
    two texts' numbers of training runs. n ≥ 3: the z value of the test; n = 2: the squared distance
    between mean vectors, divided by the value expected by chance; n = 1: the squared distance."""
    inflation: float | None
    """The median factor by which test statistics are larger than expected by chance
    (`Change.inflation`)."""


def _shifts(
    before: list[NDArray[np.float32]], after: list[NDArray[np.float32]], resampled: bool
) -> _Found:
    """For each of V words, test whether its vectors differ between two texts by more than chance.

    The test statistic is the squared distance between the word's mean vectors in the two texts
    (means over the training runs). The docstring of this module describes the test. There is no
    test with fewer than three runs on each text.

    Parameters
    ----------
    before, after
        For each run on a text, the aligned unit vectors of the words: float32 (V, d). The words
        must be sorted by frequency.
    resampled
        Whether each run was trained on a bootstrap sample of its text's documents. If so, the
        covariance of the mean of n vectors with covariance Σ is taken to be (1 + 1/n) Σ, not Σ/n,
        because the mean still depends on the choice of documents.
    """
    from scipy import stats

    n, m = len(before), len(after)
    means = [np.mean(side, axis=0, dtype=np.float64) for side in (before, after)]
    delta = np.asarray(means[1] - means[0])
    apart = _squares(delta)
    distance = 1 - (means[0] * means[1]).sum(axis=1)
    if n == m == 1:
        return _Found(distance, None, None, None, None, None, apart, None)
    noise = _noise(before, after, delta)
    weights = np.array([resampled + 1 / n, resampled + 1 / m])
    trace = np.maximum(weights @ noise.trace, 1e-12)  # of M
    # The squared distance between single runs, less that between the means.
    spread = np.array([1 - 1 / n, 1 - 1 / m]) @ noise.trace
    ratio = apart / trace
    if noise.square is None:
        moved = (apart - trace) / 2
        return _Found(distance, (trace + spread) / 2, moved, None, None, None, ratio, 1.0)
    square = weights**2 @ noise.square + 2 * weights.prod() * noise.cross  # tr M²
    freedom = n + m - 2
    # With skew * f degrees of freedom in the numerator, F has about 1 / skew times the variance
    # of the ratio.
    inflation, dims = np.empty(len(ratio)), np.empty(len(ratio))
    for part in _bands(len(ratio)):
        total = max(float(square[part].sum()), 1e-300)
        dims[part] = np.clip((trace[part] ** 2).sum() / total, 1, delta.shape[1])
        middle = stats.f.median(dims[part][0] * noise.skew, dims[part][0] * freedom)
        median = 1 + (middle - 1) * np.sqrt(noise.skew)
        inflation[part] = max(float(np.median(ratio[part])) / median, 1e-12)
    null = inflation * trace
    moved = (apart - null) / 2
    # The variances of δ·δ and of tr M. The noise of δ makes the first one slightly too large, which
    # compensates for the skewness of δ·δ.
    along = weights @ noise.along
    variance = 4 * along
    shares = [one - 1 if one > 1 else freedom for one in (n, m)]
    variance += 2 * (weights**2 / shares) @ noise.square
    half = stats.t.ppf(0.975, freedom) * np.sqrt(inflation * variance) / 2
    scaled = 1 + (ratio / inflation - 1) / np.sqrt(noise.skew)
    z = -stats.norm.ppf(np.clip(stats.f.sf(scaled, dims * noise.skew, dims * freedom), 1e-300, 1))
    z = np.clip(z, -9, None)
    # The noise varies more between words than F assumes; the interquartile range of z shows by
    # how much.
    low, high = np.quantile(z, [0.25, 0.75])
    z /= max(1.0, float(high - low) / QUARTILES)
    p = holm(np.asarray(stats.norm.sf(z)))
    return _Found(
        *(distance, (null + spread) / 2, moved, moved - half, moved + half, p),
        *(z, float(np.median(inflation))),
    )


def _squares(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((vectors**2).sum(axis=1))


def _noise(
    before: list[NDArray[np.float32]],
    after: list[NDArray[np.float32]],
    delta: NDArray[np.float64],
) -> _Noise:
    """Estimate how much each word's vector varies over training runs, for each of two texts.

    A text with too few runs for an estimate gets the estimate of the other text. At least one text
    must have two or more runs.

    Parameters
    ----------
    before, after
        For each run on a text, the aligned unit vectors of the V words: float32 (V, d).
    delta : (V, d)
        For each word, the difference between its mean vectors in the two texts.

    Raises
    ------
    InputError
        No text has runs whose vectors differ.
    """
    sides, size = (before, after), len(delta)
    counts = [len(side) for side in sides]
    trace, along, square = np.zeros((2, size)), np.zeros((2, size)), np.zeros((2, size))
    cross, pooled = np.zeros(size), np.zeros((delta.shape[1], delta.shape[1]))
    for first in range(0, size, 1000):
        part = slice(first, first + 1000)
        offs = []
        for side in sides:
            each = np.stack([one[part] for one in side], axis=1).astype(np.float64)
            offs.append(each - each.mean(axis=1, keepdims=True))
        for index, (off, runs) in enumerate(zip(offs, counts, strict=True)):
            if runs > 1:
                gram = off @ off.transpose(0, 2, 1) / (runs - 1)
                trace[index, part] = np.trace(gram, axis1=1, axis2=2)
                square[index, part] = (gram**2).sum(axis=(1, 2))
                scaled = off / np.sqrt(np.maximum(trace[index, part], 1e-12))[:, None, None]
                rows = scaled.reshape(-1, off.shape[2])
                pooled += rows.T @ rows
                steps = np.einsum("vnd,vd->vn", off, delta[part])
                along[index, part] = (steps**2).sum(axis=1) / (runs - 1)
        if min(counts) > 1:
            both = offs[0] @ offs[1].transpose(0, 2, 1)
            cross[part] = (both**2).sum(axis=(1, 2)) / ((counts[0] - 1) * (counts[1] - 1))
    if trace.max() < 1e-12:
        raise InputError(
            "the trainings of a text have the same vectors, which do not show what chance moves; "
            "train them with several seeds"
        )
    for index, runs in enumerate(counts):
        if runs > 2:  # the plain estimate is too large
            plain = square[index] - trace[index] ** 2 / (runs - 1)
            square[index] = np.maximum(plain, 0) * (runs - 1) ** 2 / ((runs - 2) * (runs + 1))
    for own, other in ((0, 1), (1, 0)):
        if counts[own] < 3:
            square[own] = square[other]
        if counts[own] < 2:
            trace[own], along[own], cross = trace[other], along[other], square[other]
    # With this factor, F has the skewness of the test statistic, if the covariance of δ is
    # proportional to `pooled`. The runs are too few to compute such a factor for each word.
    one, two, three = (float((np.linalg.eigvalsh(pooled) ** power).sum()) for power in (1, 2, 3))
    skew = two**4 / (one * three) ** 2
    return _Noise(trace, square if max(counts) > 2 else None, cross, along, skew)


def _bands(size: int) -> list[slice]:
    """Divide `size` words, sorted by frequency, into bands of at least `BAND` words.

    The result has a slice of the words' indices for each band. If there are fewer than `BAND`
    words, they make a single band.
    """
    number = max(1, size // BAND)
    ends = np.linspace(0, size, number + 1).astype(int).tolist()
    return [slice(first, last) for first, last in pairwise(ends)]


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values corrected for multiple testing by Holm's method, in the order of `p`.

    References
    ----------
    S. Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected
