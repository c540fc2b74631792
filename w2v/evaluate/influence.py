"""The influence of each word pair or analogy question on a benchmark score.

The influence of an item is the derivative of the score with respect to the item's weight in the
sample (Hampel). The sum of (influence / n)² over all n items estimates the variance of the score
over samples of independent items: this is the infinitesimal jackknife (Efron). Unlike a bootstrap,
it takes one pass over the data.

References
----------
Hampel (1974), The influence curve and its role in robust estimation. Efron (1982), The jackknife,
the bootstrap and other resampling plans, chapter 6.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.evaluate.analogies import Question
from w2v.evaluate.similarity import Pair, Unknown, pair_text, ratings
from w2v.evaluate.statistics import (
    MIN_PAIRS_FOR_INTERVAL,
    NORMAL_QUANTILE,
    Interval,
    numbered,
)

FloatArray = NDArray[np.float64]

MAX_CORRELATION = 1 - 1e-9
"""Correlations are clipped to plus or minus this, because Fisher's z of 1 is infinite."""


class Scores(NamedTuple):
    """The scores of several runs on a benchmark, and the influence of each of its n items on them.

    Attributes
    ----------
    values : (runs,)
        The scores; NaN where a score is undefined.
    parts : (runs, n)
        In a result of `spearman_influences`, the influences: the derivative of each score with
        respect to each item's weight in the sample. In a result of `Benchmark.scores`, the
        influences divided by the number of used items (0 for unused items). For independent items,
        the sum of the squared quotients estimates the variance of the score.
    """

    values: FloatArray
    parts: FloatArray


class Benchmark(ABC):
    """The items of a benchmark (word pairs or analogy questions), and how runs are scored on them.

    Attributes
    ----------
    oov
        How items with unknown words are treated: ``skip`` leaves them out, ``zero`` counts them as
        a cosine of 0 or as a wrong answer.
    """

    oov: Unknown

    def known(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which items count for the score of each run: bool, of the shape of `answers`.

        All items count if `oov` is ``zero``, else those without unknown words.

        Parameters
        ----------
        answers : (runs, n), or (n,) for a single run
            The cosine of each pair, NaN if a word is unknown; or the rank of the correct answer to
            each question, negative if a word is unknown.
        """
        if self.oov == "zero":
            return np.ones(answers.shape, bool)
        return np.asarray(answers >= 0 if answers.dtype.kind == "i" else ~np.isnan(answers))

    def scored(self, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of the used items have an influence on the score: bool (n,).

        `used`, bool (n,), says which items are used. All of them have an influence, except word
        pairs that belong to a similarity set that `MeanOfSets` leaves out of the mean.
        """
        return used

    @abstractmethod
    def scores(self, answers: NDArray[Any], used: NDArray[np.bool_]) -> Scores:
        """Compute the score of each run on the used items, and the influence of each item on it.

        The influence is the derivative of the score with respect to the item's weight in the
        sample.

        Parameters
        ----------
        answers : (runs, n)
            The cosine of each pair, NaN if a word is unknown; or the rank of the correct answer to
            each question, as returned by `w2v.evaluate.answer_ranks`.
        used : bool (n,)
            Which items are used for the scores.
        """

    @abstractmethod
    def units(self, used: NDArray[np.bool_]) -> int:
        """Return the number of distinct word pairs among the items that a score is computed from.

        The distinct pairs are the sampling units when the variance of the score is estimated. A
        pair that occurs several times, such as in several questions or sets of pairs, counts once.
        `used`, bool (n,), says which items are used. Used items that have no influence on the score
        do not count; the method `scored` tells them apart. For analogy questions, which have two
        word pairs each, the result is the number of distinct pairs or the number of questions,
        whichever is smaller.
        """

    def variances(self, parts: FloatArray) -> FloatArray:
        """Estimate the variance of scores over random samples of items.

        Word pairs have one estimate. Analogy questions have two: the first allows for questions
        that depend on each other because they share a word pair; the second takes all questions as
        independent. The first may be too small by chance, or even negative, so use the larger one.

        Parameters
        ----------
        parts : (rows, n)
            For each score, the influence of each item on it, as in the result of the method
            `scores`.

        Returns
        -------
        (estimates, rows)
            One or two estimates of each score's variance.
        """
        return np.asarray(np.einsum("ij,ij->i", parts, parts))[None]


@dataclass(frozen=True)
class SimilarityBenchmark(Benchmark):
    """A benchmark of word pairs, scored by Spearman's correlation of cosines with human ratings.

    A pair with several ratings occurs once for each rating. Its occurrences together are one
    sampling unit.

    Attributes
    ----------
    people : (n,)
        The human rating of each pair.
    words : int64 (n,)
        A hash of the two words of each pair. Equal hashes mean equal pairs, also in different
        benchmarks.
    oov
        How pairs with unknown words are treated: ``skip`` leaves them out, ``zero`` counts them as
        a cosine of 0.
    """

    people: FloatArray
    words: NDArray[np.int64]
    oov: Unknown = "skip"

    def scores(self, answers: NDArray[Any], used: NDArray[np.bool_]) -> Scores:
        cosines = np.nan_to_num(answers.astype(np.float64)[:, used], nan=0.0)
        parts = np.zeros(answers.shape)
        values, influences = spearman_influences(self.people[used], cosines)
        parts[:, used] = influences / max(1, used.sum())
        return Scores(values, parts)

    def units(self, used: NDArray[np.bool_]) -> int:
        return len(np.unique(self.words[used]))

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        return numbered(self.words.tolist())

    def variances(self, parts: FloatArray) -> FloatArray:
        if self._numbers.max() + 1 < len(self._numbers):
            parts = np.ascontiguousarray(sums_by_pair(parts, self._numbers).T)
        return super().variances(parts)


@dataclass(frozen=True)
class AnalogyBenchmark(Benchmark):
    """A benchmark of analogy questions, scored by the share of correct answers.

    A question consists of two word pairs. Questions that share a pair are not independent;
    `variances` allows for this.

    Attributes
    ----------
    pairs : int64 (n, 2)
        The two word pairs of each question, as numbers from 0. Equal pairs of one category have the
        same number.
    oov
        How questions with unknown words are treated: ``skip`` leaves them out, ``zero`` counts them
        as wrong.
    content
        A hash of the questions; empty if it is not known.

    References
    ----------
    Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data.
    """

    pairs: NDArray[np.int64]
    oov: Unknown = "skip"
    content: str = ""

    def scores(self, answers: NDArray[Any], used: NDArray[np.bool_]) -> Scores:
        right = np.where(used, answers == 1, 0.0)
        values = right.sum(1) / used.sum() if used.any() else np.full(len(answers), np.nan)
        return Scores(values, np.where(used, right - values[:, None], 0.0) / max(1, used.sum()))

    def units(self, used: NDArray[np.bool_]) -> int:
        return min(len(np.unique(self.pairs[used])), int(used.sum()))

    @cached_property
    def _sums(self) -> tuple[Any, Any]:
        """Two sparse matrices, (groups, n), that sum one value per question over each group.

        In the first matrix, a group has the questions that contain a certain word pair; in the
        second, the questions that consist of the same two word pairs, in either order. The entries
        are 1 for the questions of the group, 0 for others. `variances` needs the sums, because
        questions that share a word pair are not independent.
        """
        from scipy.sparse import csr_matrix

        n = len(self.pairs)
        both = np.sort(self.pairs, axis=1)
        _, dyads = np.unique(both, axis=0, return_inverse=True)
        once = np.flatnonzero(both[:, 0] != both[:, 1])
        rows = np.concatenate([both[:, 0], both[once, 1]])
        columns = np.concatenate([np.arange(n), once])
        return (
            csr_matrix((np.ones(len(rows)), (rows, columns))),
            csr_matrix((np.ones(n), (dyads.reshape(-1), np.arange(n)))),
        )

    def variances(self, parts: FloatArray) -> FloatArray:
        # Products of all questions that share a pair; those that share both were counted twice.
        by_pair, by_dyad = (np.asarray(sums @ parts.T) ** 2 for sums in self._sums)
        twice = by_dyad.sum(0)
        same = self.pairs[:, 0] == self.pairs[:, 1]
        twice = twice - (parts[:, same] ** 2).sum(1)
        return np.stack([by_pair.sum(0) - twice, *super().variances(parts)])


@dataclass(frozen=True)
class MeanOfSets(Benchmark):
    """The mean of Spearman's correlation over several sets of word pairs, by Fisher's z-transform.

    The z values of the correlations are averaged, and the mean is transformed back to a
    correlation. A set is left out if fewer than `MIN_PAIRS_FOR_INTERVAL` distinct pairs of it are
    used (the argument `used` of the methods). The last axis of the methods' array arguments has the
    n items: the word pairs of all sets, one set after the other. A pair that occurs several times,
    in one set or in several, is one sampling unit.

    Attributes
    ----------
    sets
        The sets of word pairs.
    """

    sets: Sequence[SimilarityBenchmark]

    @property
    def oov(self) -> Unknown:  # type: ignore[override]
        """How pairs with unknown words are treated, the same in all sets: ``skip`` or ``zero``."""
        return self.sets[0].oov

    @cached_property
    def words(self) -> NDArray[np.int64]:
        """Numbers that show which of the n word pairs are equal: int64 (n,).

        Each set is a benchmark's list of word pairs. The array has a number for each pair of the
        first set, then for each pair of the second set, and so on. Equal pairs have the same
        number, also in different sets. The distinct pairs are numbered from 0. The numbers are
        needed because the occurrences of a pair together are one sampling unit.
        """
        words = np.concatenate([one.words for one in self.sets])
        return np.unique(words, return_inverse=True)[1].reshape(-1)

    def split(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        """Split an array over the word pairs of all benchmark sets into one array per set.

        The last axis of `array` has the n word pairs of all sets, one set after another.
        """
        return np.split(array, np.cumsum([len(one.people) for one in self.sets])[:-1], axis=-1)

    def counted(self, used: NDArray[np.bool_]) -> list[int]:
        """Return the indices of the sets of word pairs whose correlation enters the mean.

        These are the sets of which at least `MIN_PAIRS_FOR_INTERVAL` distinct pairs are used.
        `used`, bool (n,), says which of the pairs of all sets, one set after the other, are used to
        compute scores.
        """
        pieces = zip(self.sets, self.split(used), strict=True)
        sizes = [one.units(inside) for one, inside in pieces]
        return [number for number, size in enumerate(sizes) if size >= MIN_PAIRS_FOR_INTERVAL]

    def scored(self, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
        counted = self.counted(used)
        return np.concatenate(
            [inside & (number in counted) for number, inside in enumerate(self.split(used))]
        )

    def scores(self, answers: NDArray[Any], used: NDArray[np.bool_]) -> Scores:
        parts = np.zeros(answers.shape)
        counted = self.counted(used)
        if not counted:
            return Scores(np.full(len(answers), np.nan), parts)
        total = np.zeros(len(answers))
        pieces = zip(
            self.sets, self.split(answers), self.split(used), self.split(parts), strict=True
        )
        for number, (one, given, inside, out) in enumerate(pieces):
            if number in counted:
                found = one.scores(given, inside)
                rho = np.clip(found.values, -MAX_CORRELATION, MAX_CORRELATION)
                total += np.arctanh(rho)
                out[:] = found.parts / (1 - rho**2)[:, None]
        values = np.tanh(total / len(counted))
        return Scores(values, parts * ((1 - values**2) / len(counted))[:, None])

    def units(self, used: NDArray[np.bool_]) -> int:
        return len(np.unique(self.words[self.scored(used)]))

    def variances(self, parts: FloatArray) -> FloatArray:
        return np.asarray((sums_by_pair(parts, self.words) ** 2).sum(0))[None]

    def interval(self, answers: NDArray[Any]) -> tuple[float, Interval] | None:
        """Return the mean correlation of one run over the sets, and its 95 % confidence interval.

        The correlation is Spearman's, of cosines with human ratings. The interval treats the word
        pairs as a random sample, and the vectors as fixed. `answers`, (n,), has the cosines of the
        pairs of all sets, one set after the other, NaN for pairs with an unknown word. If `oov` is
        ``skip``, these pairs are not used; if it is ``zero``, their cosine is 0. Sets with fewer
        than `MIN_PAIRS_FOR_INTERVAL` distinct used pairs are left out. The result is None if no set
        remains, or if a remaining set has an undefined correlation.
        """
        used = self.known(answers)
        values, parts = self.scores(answers[None], used)
        units = self.units(used)
        if not units or not np.isfinite(values[0]):
            return None
        mean = float(values[0])
        error = math.sqrt(float(self.variances(parts).max()) * units / (units - 1))
        half = NORMAL_QUANTILE * error / (1 - mean**2)
        z = math.atanh(mean)
        return mean, (math.tanh(z - half), math.tanh(z + half))


def sums_by_pair(parts: FloatArray, numbers: NDArray[np.int64]) -> FloatArray:
    """Add up the influences of items that are the same word pair.

    Parameters
    ----------
    parts : (rows, n)
        For each score, a row with the influence of each item on it.
    numbers : int64 (n,)
        The word pair of each item; the different pairs are numbered from 0.

    Returns
    -------
    (different pairs, rows)
        For each word pair and score, the sum of the influences of the pair's items.
    """
    sums = np.zeros((numbers.max() + 1, len(parts)))
    np.add.at(sums, numbers, parts.T)
    return sums


def spearman_influences(x: FloatArray, y: FloatArray) -> Scores:
    """Compute Spearman's correlation of x with each row of y, and each item's influence on it.

    The influence is the derivative of the correlation with respect to the item's weight in the
    sample.

    Parameters
    ----------
    x : (n,)
        For example, the human ratings of n word pairs.
    y : (runs, n)
        For example, the cosines of the pairs in several runs.

    Returns
    -------
    values : (runs,)
        The correlations; NaN if x or the row of y is constant, or n < 2.
    parts : (runs, n)
        The influences, not divided by n.

    References
    ----------
    Croux, Dehon (2010), Influence functions of the Spearman and Kendall correlation measures.
    """
    if y.shape[1] < 2:
        return Scores(np.full(len(y), np.nan), np.zeros(y.shape))
    ranked_x, ranked_y = _Ranks(x[None]), _Ranks(y)
    a, b = ranked_x.centered, ranked_y.centered
    ab, aa, bb = (a * b).mean(1)[:, None], (a * a).mean(1)[:, None], (b * b).mean(1)[:, None]
    # The derivative of mean(a b) with respect to the weight of item k. Besides the product a_k b_k,
    # more weight of k raises a of the items with a larger x, and b of those with a larger y. As the
    # weights sum to 1, the others fall; mean(a b) is a sum of products of three weights, hence -3.
    moved_ab = a * b + ranked_x.mean_above(b) + ranked_y.mean_above(a) - 3 * ab
    moved_aa = a * a + 2 * ranked_x.mean_above(a) - 3 * aa
    moved_bb = b * b + 2 * ranked_y.mean_above(b) - 3 * bb
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = ab / np.sqrt(aa * bb)
        influences = moved_ab / np.sqrt(aa * bb) - rho / 2 * (moved_aa / aa + moved_bb / bb)
    return Scores(rho[:, 0], influences)


class _Ranks:
    """The ranks of the n values in each row of an array (rows, n).

    Attributes
    ----------
    order : (rows, n)
        The indices that sort each row in ascending order.
    first, last : (rows, n)
        For each value, the first and the last position, from 0, of the values equal to it in the
        sorted row.
    centered : (rows, n)
        For each value, the share of smaller values in the row, plus half the share of equal ones
        (itself included), minus 1/2.
    """

    def __init__(self, values: FloatArray) -> None:
        rows, n = values.shape
        self.order = np.argsort(values, axis=1, kind="stable")
        ordered = np.take_along_axis(values, self.order, 1)
        new = np.ones((rows, n), bool)
        new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        places = np.arange(n)
        # For each place in the sorted row, the first and the last place with an equal value.
        first = np.maximum.accumulate(np.where(new, places, 0), axis=1)
        ends = np.concatenate([new[:, 1:], np.ones((rows, 1), bool)], axis=1)
        last = np.minimum.accumulate(np.where(ends, places, n)[:, ::-1], axis=1)[:, ::-1]
        self.first, self.last = (self._by_value(part) for part in (first, last))
        self.centered: FloatArray = (self.first + self.last + 1) / (2 * n) - 0.5

    def _by_value(self, ordered: NDArray[np.int64]) -> NDArray[np.int64]:
        out = np.empty_like(ordered)
        np.put_along_axis(out, self.order, ordered, 1)
        return out

    def mean_above(self, weights: FloatArray) -> FloatArray:
        """For each value, add up the weights of the larger values in its row, and divide by n.

        The weights of equal values, and of the value itself, count half. `weights` has the weight
        of each value, (rows, n). If the weights or the values have a single row, it is used for all
        rows of the other array. The result has the shape (rows, n).
        """
        rows = max(len(weights), len(self.order))
        weights = np.broadcast_to(weights, (rows, weights.shape[1]))
        order, first, last = (
            np.broadcast_to(array, weights.shape) for array in (self.order, self.first, self.last)
        )
        sums = np.zeros((rows, weights.shape[1] + 1))
        np.cumsum(np.take_along_axis(weights, order, 1), axis=1, out=sums[:, 1:])
        below = np.take_along_axis(sums, first, 1) + np.take_along_axis(sums, last + 1, 1)
        above: FloatArray = (sums[:, -1:] - below / 2) / weights.shape[1]
        return above


def analogy_benchmark(questions: Sequence[Question], oov: Unknown = "skip") -> AnalogyBenchmark:
    """Make an `AnalogyBenchmark` of questions.

    A question is: a is to b as c is to what? Its word pairs are (a, b) and (c, answer). The result
    has a number for each pair in place of its words, to recognize questions that share a pair. Two
    pairs have the same number if they are equal and belong to the same category.

    `oov` says how questions with unknown words are treated: ``skip`` leaves them out, ``zero``
    counts them as wrong.
    """
    numbers: dict[tuple[str, str, str], int] = {}
    pairs = [
        [
            numbers.setdefault((category, first, second), len(numbers))
            for first, second in ((a, b), (c, answer))
        ]
        for category, a, b, c, answer, _ in questions
    ]
    content = hashlib.sha256(repr([*map(tuple, questions)]).encode()).hexdigest()
    return AnalogyBenchmark(np.array(pairs, np.int64).reshape(-1, 2), oov, content)


def similarity_benchmark(pairs: Sequence[Pair], oov: Unknown = "skip") -> SimilarityBenchmark:
    """Make a `SimilarityBenchmark` of word pairs.

    The result has the human rating of each pair. In place of the two words, it has a hash of them,
    which ignores their order and case; equal hashes show that pairs are equal. The words themselves
    are not needed, because the method `scores` of the result is given the cosine of each pair, in
    the order of `pairs`. `oov` says how pairs with a word that has no vector are treated: ``skip``
    leaves them out, ``zero`` counts them as a cosine of 0.

    Raises
    ------
    InputError
        A human rating is NaN or infinite.
    """
    digests = b"".join(
        hashlib.blake2b(pair_text(pair).encode("utf-8", "backslashreplace"), digest_size=8).digest()
        for pair in pairs
    )
    return SimilarityBenchmark(ratings(pairs), np.frombuffer(digests, np.int64), oov)
