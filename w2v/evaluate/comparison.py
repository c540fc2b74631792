"""Compare runs over seeds: the interval of a mean, Tukey's test, and common neighbours.

`scipy.stats` is imported when a function needs it, because that takes most of a second.
"""

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from w2v.evaluate.neighbours import common_share
from w2v.vectors import WordVectors
from w2v.vectors.search import nearest_rows


def student_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean by Student's t; None for fewer than two values."""
    from scipy import stats

    if len(values) < 2:
        return None
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def tukey_against(samples: Sequence[Sequence[float]], best: int) -> list[float | None]:
    """Compare each sample with one of them by Tukey's test over all pairs.

    The level of the test holds for all pairs together, and so also for the pairs with a sample
    that was chosen because it is the best. Samples of different sizes are compared in the version
    of Tukey and Kramer. The test assumes that all samples have the same spread, and estimates it
    from all of them together, because three seeds of one sample would not be enough.

    Unlike `scipy.stats.tukey_hsd`, this computes only the pairs with the one sample: each pair
    takes a slow integral.

    Parameters
    ----------
    samples
        For each configuration, one value for each seed.
    best
        The index of the sample that the others are compared with.

    Returns
    -------
    list of float or None
        The p-value of each sample; None if it or the best sample has only one value.
    """
    from scipy import stats

    several = [i for i, sample in enumerate(samples) if len(sample) > 1]
    found: list[float | None] = [None] * len(samples)
    if best not in several:
        return found
    if all(len(set(samples[i])) == 1 for i in several):  # no noise at all
        for i in several:
            found[i] = float(samples[i][0] == samples[best][0])
        return found
    groups = [np.asarray(samples[i], dtype=np.float64) for i in several]
    freedom = sum(len(group) - 1 for group in groups)
    variance = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom
    reference = np.asarray(samples[best], dtype=np.float64)
    for i, group in zip(several, groups, strict=True):
        error = math.sqrt(variance / 2 * (1 / len(group) + 1 / len(reference)))
        q = abs(float(group.mean() - reference.mean())) / error
        found[i] = float(stats.studentized_range.sf(q, len(groups), freedom)) if q > 0 else 1.0
    return found


def mean_neighbour_overlap(
    runs: Iterable[WordVectors], k: int = 10, limit: int = 30_000, words: int = 500
) -> float | None:
    """Return the share of nearest neighbours on which two runs agree, the mean over all pairs.

    Parameters
    ----------
    runs
        The vectors of runs that differ in their seed. They are read one after the other, so a
        generator that loads them keeps only one in memory.
    k
        Neighbours of a word; fewer if there are fewer other words.
    limit
        Only the words of the first rows, which are the most frequent ones, can be neighbours.
    words
        The neighbours of this many first words are compared.

    Returns
    -------
    float or None
        From 0 to 1; None for fewer than two runs, or if their vocabularies differ.

    References
    ----------
    Wendlandt, Kummerfeld, Mihalcea (2018), Factors influencing the surprising instability of
    word embeddings.
    """
    found = []
    vocabulary: list[str] | None = None
    for vectors in runs:
        if vocabulary is not None and list(vectors.words) != vocabulary:
            return None
        vocabulary = list(vectors.words)
        unit = vectors.unit[:limit]
        rows = np.arange(min(words, len(unit)))
        found.append(nearest_rows(unit[rows], unit, min(k, len(unit) - 1), rows)[0])
    shares = [common_share(one, other) for one, other in itertools.combinations(found, 2)]
    return float(np.mean(shares)) if shares else None
