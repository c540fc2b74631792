"""Test the significance tests of configurations against plain loops, SciPy and simulations."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from w2v import evaluate
from w2v.errors import InputError
from w2v.evaluate.answers import Answers, load_answers, save_answers
from w2v.evaluate.influence import (
    AnalogyBenchmark,
    MeanOfSets,
    SimilarityBenchmark,
    analogy_benchmark,
    similarity_benchmark,
    spearman_influences,
)
from w2v.evaluate.significance import (
    Comparison,
    Difference,
    Family,
    Noise,
    levels,
    spread_over_seeds,
)
from w2v.evaluate.verdicts import MEAN_OF_SETS, Judged, Setting, Verdicts, sentences
from w2v.report.sweep import score_table
from w2v.training.model import TrainedModel
from w2v.vectors import WordVectors

Floats = NDArray[np.float64]


# Slow oracles.


def weighted_spearman(x: Sequence[float], y: Sequence[float], weights: Sequence[float]) -> float:
    """Return Spearman's correlation of x and y, in which each pair of values has a weight."""

    def shares(values: Sequence[float]) -> list[float]:
        return [
            sum(w * ((v < u) + 0.5 * (v == u)) for v, w in zip(values, weights, strict=True)) - 0.5
            for u in values
        ]

    a, b = shares(x), shares(y)
    products = [
        sum(w * p * q for p, q, w in zip(one, other, weights, strict=True))
        for one, other in ((a, b), (a, a), (b, b))
    ]
    return products[0] / math.sqrt(products[1] * products[2])


def influences(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """Return the derivative of Spearman's correlation by the weight of each pair of values.

    When one weight grows, the others shrink, so that the sum of all weights is 1.
    """
    n, step = len(x), 1e-5
    found = []
    for k in range(n):
        more, less = (
            weighted_spearman(x, y, [(1 - e) / n + e * (i == k) for i in range(n)])
            for e in (step, -step)
        )
        found.append((more - less) / (2 * step))
    return found


def pair_variance(parts: Sequence[float], units: Sequence[Sequence[int]]) -> float:
    return sum(
        p * q
        for (p, one), (q, other) in itertools.product(zip(parts, units, strict=True), repeat=2)
        if {*one} & {*other}
    )


def oracle(
    gaps: Sequence[float],
    parts: Sequence[Sequence[float]],
    variance: Callable[[Sequence[float]], list[float]],
    units: int,
) -> tuple[float, float, float, float]:
    """Compare the scores of two configurations in plain loops, with Student's t from SciPy.

    Return the mean difference of the scores, the ends of its 95 % interval, and its p-value. The
    scores are on a benchmark, whose items are word pairs or analogy questions.

    Parameters
    ----------
    gaps
        The difference of the scores for each seed.
    parts
        For each seed, the influence of each item on the difference.
    variance
        A function that returns one or more estimates of the variance of the difference over
        samples of items, given the influence of each item. The largest estimate is used.
    units
        The number of independent units, from which the degrees of freedom over items follow: for
        word pairs, the number of items; for analogy questions, the number of distinct word pairs in
        them, because questions that share a pair are not independent.
    """
    seeds = len(gaps)
    mean = sum(gaps) / seeds
    of_seeds = sum((gap - mean) ** 2 for gap in gaps) / (seeds - 1) / seeds
    center = [sum(column) / seeds for column in zip(*parts, strict=True)]
    noise = [0.0]
    for row in parts:
        rest = [value - mid for value, mid in zip(row, center, strict=True)]
        own = variance(rest)
        noise = [a + b / (seeds - 1) / seeds for a, b in zip(noise * len(own), own, strict=False)]
    lost = variance([1 / len(center)] * len(center))
    estimates = [
        (v / (1 - q), n / (1 - q)) for v, n, q in zip(variance(center), noise, lost, strict=True)
    ]
    of_items = max(0.0, *(v - min(n, of_seeds) for v, n in estimates))
    ts = [float(stats.t.isf(0.025, df)) for df in (seeds - 1, units - 1)]
    critical = (ts[0] * of_seeds + ts[1] * of_items) / (of_seeds + of_items)
    error = math.sqrt(of_seeds + of_items)

    # The degrees of freedom at which t has this critical value.
    low, high = 1.0, 1e6
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if stats.t.isf(0.025, middle) > critical else (low, middle)
    p = 2 * float(stats.t.sf(abs(mean) / error, high))
    return mean, mean - critical * error, mean + critical * error, p


def as_runs(rows: Floats | NDArray[np.int8]) -> dict[str, Any]:
    return {str(seed): row for seed, row in enumerate(rows)}


def compared(
    benchmark: Any, answers: Sequence[Any], family: Family | None = None, **more: Any
) -> Comparison:
    """Return the `Comparison` of several configurations by their answers to a benchmark.

    `answers` has an array (seeds, items) for each configuration; items are word pairs or questions.
    `more` has other attributes of the `Comparison`.
    """
    values = []
    for rows in answers:
        used = [benchmark.known(row) for row in rows]
        if np.all(used):
            scores = benchmark.scores(np.array(rows), used[0]).values.tolist()
        else:
            scores = [
                float(benchmark.scores(row[None], known).values[0])
                for row, known in zip(rows, used, strict=True)
            ]
        values.append({str(seed): score for seed, score in enumerate(scores)})
    runs = [as_runs(rows) for rows in answers]
    return Comparison(values, family or Family(len(answers)), benchmark, runs, **more)


def word_pairs(people: Floats) -> SimilarityBenchmark:
    return SimilarityBenchmark(people, np.arange(len(people)))


# The influence of items.


@pytest.mark.parametrize("ties", [False, True])
def test_influences_are_derivatives_by_weight(ties: bool) -> None:
    random = np.random.default_rng(3)
    x, y = random.normal(size=14), random.normal(size=(2, 14))
    if ties:
        x, y = np.round(x), np.round(2 * y) / 2
    values, found = spearman_influences(x, y)
    for row, value, parts in zip(y, values, found, strict=True):
        assert value == pytest.approx(stats.spearmanr(x, row).statistic)
        assert parts.tolist() == pytest.approx(influences(x.tolist(), row.tolist()), abs=1e-6)
        assert parts.sum() == pytest.approx(0, abs=1e-12)


def test_undefined_correlations_are_nan() -> None:
    x, constant = np.arange(5.0), np.ones((1, 5))
    assert np.isnan(spearman_influences(x, constant).values[0])
    assert np.isnan(spearman_influences(np.ones(5), x[None]).values[0])
    assert np.isnan(spearman_influences(x[:1], x[None, :1]).values[0])


def test_the_variance_of_a_correlation_is_that_over_samples() -> None:
    random = np.random.default_rng(0)
    found, estimated = [], []
    for _ in range(400):
        x = random.normal(size=60)
        y = (0.6 * x + random.normal(size=60))[None]
        used = np.ones(60, bool)
        benchmark = word_pairs(x)
        values, parts = benchmark.scores(y, used)
        found.append(values[0])
        estimated.append(benchmark.variances(parts)[0, 0])
    assert np.mean(estimated) == pytest.approx(np.var(found), rel=0.15)


def test_questions_that_share_a_pair_are_dependent() -> None:
    questions = [
        evaluate.Question("c", f"a{one}", f"b{one}", f"a{other}", f"b{other}")
        for one, other in itertools.permutations(range(5), 2)
    ]
    questions.append(evaluate.Question("other", "a0", "b0", "a1", "b1"))  # pairs of its own
    benchmark = analogy_benchmark(questions)
    assert benchmark.units(np.ones(21, bool)) == 7
    assert benchmark.units(np.arange(21) < 20) == 5
    parts = np.random.default_rng(0).normal(size=(3, 21))
    dyadic, independent = benchmark.variances(parts)
    for row, one, other in zip(parts.tolist(), dyadic, independent, strict=True):
        assert one == pytest.approx(pair_variance(row, benchmark.pairs.tolist()))
        assert other == pytest.approx(sum(value**2 for value in row))


def test_a_question_of_one_pair_twice_counts_once() -> None:
    benchmark = AnalogyBenchmark(np.array([[0, 0], [0, 1], [1, 1], [2, 2]]))
    parts = np.array([[1.0, -2.0, 3.0, 5.0]])
    expected = pair_variance(parts[0].tolist(), benchmark.pairs.tolist())
    assert benchmark.variances(parts)[0, 0] == pytest.approx(expected)


def overlapping_sets() -> tuple[MeanOfSets, list[SimilarityBenchmark], NDArray[Any]]:
    """Return three similarity benchmarks as a `MeanOfSets` and as a list, and random cosines.

    `MeanOfSets` computes the mean correlation over sets of word pairs. The cosines are those of all
    pairs, one set after the other. The pairs of the second set are also in the first; the third has
    too few pairs to be used.
    """
    random = np.random.default_rng(5)
    pairs = [evaluate.Pair(f"a{i}", f"B{i}", float(random.normal())) for i in range(30)]
    part = [evaluate.Pair(b.lower(), a, score + 0.1) for a, b, score in pairs[:12]]
    few = [evaluate.Pair(f"c{i}", "d", float(i)) for i in range(9)]
    sets = [similarity_benchmark(one) for one in (pairs, part, few)]
    answers = np.concatenate([0.5 * one.people for one in sets]) + random.normal(size=51)
    return MeanOfSets(sets), sets, answers


def test_the_mean_of_sets_is_that_of_fishers_z() -> None:
    mean, sets, answers = overlapping_sets()
    used = np.ones(51, bool)
    assert mean.counted(used) == [0, 1]
    assert mean.units(used) == 30  # different pairs
    (value,), (parts,) = mean.scores(answers[None], used)
    rhos = [
        float(stats.spearmanr(one.people, given).statistic)
        for one, given in zip(sets[:2], (answers[:30], answers[30:42]), strict=True)
    ]
    z = (math.atanh(rhos[0]) + math.atanh(rhos[1])) / 2
    assert value == pytest.approx(math.tanh(z))
    wanted = np.zeros(51)
    for (start, end), rho in zip(((0, 30), (30, 42)), rhos, strict=True):
        people = mean.sets[start > 0].people.tolist()
        own = influences(people, answers[start:end].tolist())
        wanted[start:end] = np.array(own) / (end - start) / (1 - rho**2) / 2
    np.testing.assert_allclose(parts, (1 - value**2) * wanted, atol=1e-7)
    # A pair that is in two sets is one item: its two parts are added before they are squared.
    both = wanted[:30].copy()
    both[:12] += wanted[30:42]
    found = mean.interval(answers)
    assert found is not None
    half = stats.norm.isf(0.025) * math.sqrt((both**2).sum() * 30 / 29)
    assert found[1] == pytest.approx((math.tanh(z - half), math.tanh(z + half)), abs=1e-6)


def test_the_mean_leaves_out_sets_of_few_pairs_with_several_ratings() -> None:
    for different, counted in ((1, []), (9, []), (10, [0])):
        ratings = np.random.default_rng(0).normal(size=(2, 2 * different))
        mean = MeanOfSets([SimilarityBenchmark(ratings[0], np.arange(different).repeat(2))])
        assert mean.counted(np.ones(2 * different, bool)) == counted
        assert (mean.interval(ratings[1]) is None) == (not counted)


def test_sets_that_the_mean_leaves_out_do_not_change_a_difference() -> None:
    sizes = (12, *[9] * 20)
    people, *rows = np.random.default_rng(0).normal(size=(3, sum(sizes)))
    ends = np.cumsum(sizes)
    sets = [
        SimilarityBenchmark(people[end - size : end], np.arange(end - size, end))
        for size, end in zip(sizes, ends, strict=True)
    ]
    found = [
        compared(MeanOfSets(sets[:count]), [[row[: ends[count - 1]]] for row in rows], fixed=True)
        for count in (1, 21)
    ]
    alone, beside = (one.difference(0, 1) for one in found)
    assert (alone.verdict, alone.items, beside.items) == ("no difference shown", 12, 12)
    assert (beside.low, beside.high, beside.p) == pytest.approx((alone.low, alone.high, alone.p))


def test_the_interval_of_the_mean_of_sets_holds_it() -> None:
    """In 92-98 % of samples, the 95 % interval of a mean over sets of word pairs holds the truth.

    The interval is that of `MeanOfSets`. In each simulated sample, there are two sets of word pairs
    with a known correlation of cosines and human scores; the truth is the mean correlation.
    """
    random = np.random.default_rng(1)
    truth = math.tanh(
        np.mean([math.atanh(6 / math.pi * math.asin(k / math.hypot(k, 1) / 2)) for k in (0.3, 0.9)])
    )
    inside = []
    for _ in range(400):
        people = random.normal(size=(2, 80))
        answers = np.array([[0.3], [0.9]]) * people + random.normal(size=(2, 80))
        sets = [SimilarityBenchmark(p, np.arange(80) + 100 * i) for i, p in enumerate(people)]
        found = MeanOfSets(sets).interval(answers.ravel())
        assert found is not None
        inside.append(found[1][0] <= truth <= found[1][1])
    assert 0.92 <= np.mean(inside) <= 0.98  # 0.95, give or take two standard errors


# Differences of two settings, recomputed.


def test_a_difference_in_similarity_is_the_oracles() -> None:
    random = np.random.default_rng(1)
    people = np.round(random.normal(size=16), 1)
    a, b = 0.6 * people + random.normal(size=(2, 4, 16))
    a[2, 3] = b[0, 5] = math.nan  # unknown words: the pairs count nowhere
    found = compared(word_pairs(people), [a, b]).difference(0, 1)
    used = [i for i in range(16) if i not in (3, 5)]
    x = people[used].tolist()
    rows = [[row[used].tolist() for row in one] for one in (a, b)]
    rhos = [[stats.spearmanr(x, y).statistic for y in one] for one in rows]
    parts = [
        [(p - q) / 14 for p, q in zip(influences(x, y), influences(x, z), strict=True)]
        for y, z in zip(*rows, strict=True)
    ]
    gaps = [p - q for p, q in zip(*rhos, strict=True)]
    expected = oracle(gaps, parts, lambda own: [sum(v * v for v in own)], 14)
    assert (found.seeds, found.items) == (4, 14)
    got = (found.difference, found.low, found.high, found.p)
    assert got == pytest.approx(expected, abs=1e-5)
    assert (found.low, found.high) == (found.alone_low, found.alone_high)
    shown = found.low is not None and found.high is not None and not found.low < 0 < found.high
    assert (found.verdict in ("better", "worse")) == shown


@pytest.mark.parametrize("oov", ["skip", "zero"])
def test_a_difference_in_analogies_is_the_oracles(oov: Any) -> None:
    random = np.random.default_rng(7)
    pairs = np.array([*itertools.permutations(range(11), 2)])
    ranks = random.integers(-1, 4, size=(2, 3, 110)).astype(np.int8)
    ranks[0] = np.where(random.random((3, 110)) < 0.5, 1, ranks[0])
    found = compared(AnalogyBenchmark(pairs, oov), list(ranks)).difference(0, 1)
    used = [i for i in range(110) if oov == "zero" or (ranks[:, :, i] >= 0).all()]
    right = [[[float(r == 1) for r in row[used]] for row in one] for one in ranks]
    n = len(used)
    gaps = [sum(p) / n - sum(q) / n for p, q in zip(*right, strict=True)]
    parts = [
        [(x - sum(p) / n - y + sum(q) / n) / n for x, y in zip(p, q, strict=True)]
        for p, q in zip(*right, strict=True)
    ]
    units = pairs[used].tolist()

    def variance(own: Sequence[float]) -> list[float]:
        return [pair_variance(own, units), sum(v * v for v in own)]

    expected = oracle(gaps, parts, variance, len({unit for two in units for unit in two}))
    assert found.items == n
    got = (found.difference, found.low, found.high, found.p)
    assert got == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("categories", "size"), [(1, 12), (3, 4), (5, 8)])
def test_the_variance_over_pairs_of_questions_has_no_bias(categories: int, size: int) -> None:
    """The variance of a mean score over analogy questions is estimated without bias.

    Here, each word pair adds a random number of mean 0 and variance 1 to the scores of all
    questions that contain it. The estimated variance is a quadratic form of these numbers. So its
    expectation is the sum of the estimates for all samples in which one of the numbers is 1 and
    the others are 0. It must equal the true variance.
    """
    pairs = [
        (one, other)
        for start in range(0, categories * size, size)
        for one, other in itertools.permutations(range(start, start + size), 2)
    ]
    benchmark, total = AnalogyBenchmark(np.array(pairs)), categories * size
    expected = 0.0
    for number in range(total):
        right = np.array([[int(number in pair) for pair in pairs]])
        comparison = compared(benchmark, [right, np.zeros_like(right)], fixed=True)
        _, noise, *_ = comparison._noise(0, 1, ["0"])
        assert noise is not None
        expected += noise.items
    assert expected == pytest.approx(total * (2 / total) ** 2)


def test_a_figure_without_items_is_a_paired_t_test() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 5)) + random.normal(size=5)
    values = [as_runs(a), as_runs(b)]
    found = Comparison(values, Family(2), larger_is_better=False).difference(0, 1)
    expected = stats.ttest_rel(a, b)
    interval = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    moved = [as_runs(a - 50), as_runs(b)]
    assert Comparison(moved, Family(2), larger_is_better=False).difference(0, 1).verdict == "better"
    assert Comparison(moved, Family(2)).difference(0, 1).verdict == "worse"
    assert Comparison(moved, Family(2)).difference(1, 0).verdict == "better"


def test_equal_scores_are_equal_of_any_number_of_settings() -> None:
    for runs in (3, 4, 7):
        values = [{"0": 0.1, "1": 0.3, "2": 0.7}] * runs
        assert Comparison(values, Family(runs)).difference(1, 0).detectable is None


@pytest.mark.parametrize("settings", [2, 3, 4])
@pytest.mark.parametrize("items", [False, True])
def test_one_training_under_several_names_is_one_observation(settings: int, items: bool) -> None:
    """Adding copies of configurations changes no comparison of two different configurations.

    Two copies of one configuration are compared, too: no difference is shown, with p = 1 and the
    interval [0, 0]. With `items`, configurations are compared by their answers to the word pairs of
    a benchmark; without, by their scores alone.
    """
    benchmark, answers = simulated(np.random.default_rng(settings), settings, 2)
    once = compared(benchmark, answers)
    several = compared(benchmark, [row for row in answers for _ in range(3)])
    if not items:
        once, several = (replace(one, benchmark=None, answers=()) for one in (once, several))
    for a, b in itertools.permutations(range(3 * settings), 2):
        found = several.difference(a, b)
        if a // 3 != b // 3:
            assert replace(found, a=a // 3, b=b // 3) == once.difference(a // 3, b // 3)
        else:
            assert (found.verdict, found.p) == ("no difference shown", 1.0)
            assert (found.low, found.high, found.detectable) == (0.0, 0.0, None)


def test_equal_scores_with_other_answers_are_other_trainings() -> None:
    ranks = np.full((3, 2, 90), 7, np.int8)
    for number, right in enumerate(ranks):
        right[:, 4 * number : 4 * number + 4] = 1
    pairs = np.array([*itertools.permutations(range(10), 2)])
    assert compared(AnalogyBenchmark(pairs), list(ranks)).distinct == Family(3)
    assert compared(AnalogyBenchmark(pairs), list(ranks[[0, 0, 1]])).distinct == Family(2)


def test_a_copy_without_some_runs_is_no_observation_of_its_own() -> None:
    table = np.random.default_rng(0).normal(size=(3, 4))
    values = [as_runs(row) for row in table.tolist()]
    once = Comparison(values, Family(3))
    more = Comparison([{"1": values[0]["1"], "3": values[0]["3"]}, *values], Family(4))
    gaps = table[0, [1, 3]] - table[2, [1, 3]]
    assert more._over_seeds(0, 3, gaps) == pytest.approx(once._over_seeds(0, 2, gaps))
    assert more.distinct == Family(4)  # its difference from others is another one
    assert more.difference(0, 1).p == 1.0


def test_of_more_settings_the_larger_of_two_variances_counts() -> None:
    """With more than two configurations, tests of differences use the larger of two variances.

    Both are variances of the difference of two configurations over seeds. One is the sum of the
    variances of these two configurations, the other twice the variance pooled over all
    configurations.
    """
    table = np.random.default_rng(2).normal(size=(4, 3)) * [[1], [1], [1], [9]]
    rest = table - table.mean(1)[:, None] - table.mean(0) + table.mean()
    squares = [sum(v * v for v in row) for row in rest.tolist()]
    comparison = Comparison([as_runs(row) for row in table], Family(4))
    for a, b in itertools.permutations(range(4), 2):
        own = [squares[i] / 2 * 4 / 3 for i in (a, b)]
        variance, freedom = 2 * sum(squares) / 6, 6.0
        if sum(own) > variance:
            variance = sum(own)
            freedom = min(6.0, max(2.0, variance**2 / sum(v * v / 2 for v in own) * 3 / 4))
        gap = table[a].mean() - table[b].mean()
        found = comparison.difference(a, b)
        assert found.low is not None
        assert found.high is not None
        assert (found.low + found.high) / 2 == pytest.approx(gap)
        unit = math.sqrt(variance / 3 / 2)
        q, half = abs(gap) / unit, (found.high - found.low) / 2 / unit
        assert found.p == pytest.approx(stats.studentized_range.sf(q, 4, freedom), abs=1e-3)
        assert stats.studentized_range.sf(half / 1.002, 4, freedom) >= 0.05
        assert stats.studentized_range.sf(half / 0.998, 4, freedom) <= 0.05


def test_degrees_of_freedom_are_satterthwaites_or_the_careful_mean() -> None:
    noise = Noise(3.0, 4.0, 2.0, 50.0, careful=False)
    freedom = 25 / (9 / 4 + 4 / 50)
    q = stats.studentized_range.isf(0.05, 3, freedom) / math.sqrt(2)
    assert noise.critical(Family(3)) == pytest.approx(q, rel=1e-3)
    ends = [stats.studentized_range.isf(0.05, 3, df) / math.sqrt(2) for df in (4, 50)]
    careful = noise._replace(careful=True)
    assert careful.critical(Family(3)) == pytest.approx((3 * ends[0] + 2 * ends[1]) / 5, rel=1e-3)
    people = np.random.default_rng(0).normal(size=30)
    rows = list(people + np.random.default_rng(1).normal(size=(3, 4, 30)))
    for settings, seeds, wanted in ((2, 4, True), (3, 2, True), (3, 4, False)):
        comparison = compared(word_pairs(people), [row[:seeds] for row in rows[:settings]])
        _, found, *_ = comparison._noise(0, 1, [str(seed) for seed in range(seeds)])
        assert found is not None
        assert found.careful == wanted


def test_missing_runs_leave_the_common_seeds() -> None:
    table = np.random.default_rng(2).normal(size=(3, 5))
    table[0, 1] = table[1, 4] = np.nan
    values = [{k: float(v) for k, v in as_runs(row).items() if not np.isnan(v)} for row in table]
    found = Comparison(values, Family(3)).difference(0, 1)
    assert found.seeds == 3
    common = [0, 2, 3]
    assert found.difference == pytest.approx(np.mean(table[0, common] - table[1, common]))
    # The least squares fit of settings and seeds, as a regression.
    cells = [(c, s) for c in range(3) for s in range(5) if not np.isnan(table[c, s])]
    design = np.array(
        [[*(c == i for i in range(3)), *(s == j for j in range(1, 5))] for c, s in cells]
    )
    y = np.array([table[cell] for cell in cells])
    fit, (left,), rank, _ = np.linalg.lstsq(design.astype(float), y, rcond=None)
    variances, mean, freedom = spread_over_seeds(table)
    assert freedom == len(cells) - rank == 6
    assert mean == pytest.approx(left / 6)
    squares = (y - design @ fit) ** 2
    own = [sum(s for s, (c, _) in zip(squares, cells, strict=True) if c == i) for i in range(3)]
    share = 2 / 3
    assert variances.tolist() == pytest.approx(
        [o / (n * share) for o, n in zip(own, (3, 3, 4), strict=True)]
    )


UNDEFINED = {"0": math.nan, "1": math.nan}
INFINITE = {"0": math.inf, "1": -math.inf}


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize(
    "others", [[UNDEFINED], [UNDEFINED] * 3, [INFINITE], [{"9": 0.4}], [{"8": 0.4}, {"9": 0.3}]]
)
def test_settings_without_a_common_run_leave_the_verdict_on_two_others(
    seeds: int, others: list[dict[str, float]]
) -> None:
    a, b = np.array([[0.5, 0.52, 0.51], [0.3, 0.31, 0.33]])[:, :seeds]
    comparison = Comparison([as_runs(a), as_runs(b), *others], Family(2 + len(others)))
    within, freedom = comparison._over_seeds(0, 1, a - b)
    assert within == pytest.approx((a - b).var(ddof=1) / seeds)
    assert freedom == seeds - 1
    assert comparison.difference(0, 1).verdict == "better"
    with_none = Comparison([as_runs(a * math.nan)] * 3, Family(3))
    assert with_none.difference(0, 1).verdict == "undefined"


def test_what_cannot_be_compared_says_why() -> None:
    people = np.arange(12.0)
    rows = np.random.default_rng(0).normal(size=(2, 2, 12))
    rows[0, 0, :3] = np.nan
    found = compared(word_pairs(people), list(rows)).difference(0, 1)
    assert (found.verdict, found.items, found.low, found.p) == ("too few pairs", 9, None, None)
    found = compared(word_pairs(people), list(rows[:, 1:])).difference(0, 1)
    assert (found.verdict, found.seeds, found.low) == ("one seed", 1, None)
    assert math.isfinite(found.difference)
    values = [{"0": 1.0}, {"1": 2.0}]
    assert Comparison(values, Family(2)).difference(0, 1).verdict == "one seed"
    values = [as_runs(np.array([1.0, np.nan])), as_runs(np.ones(2))]
    found = Comparison(values, Family(2)).difference(0, 1)
    assert (found.verdict, found.items, found.low) == ("undefined", None, None)
    same = [as_runs(np.ones(3))] * 2
    found = Comparison(same, Family(2)).difference(0, 1)
    assert (found.verdict, found.p, found.low, found.high) == ("no difference shown", 1.0, 0.0, 0.0)
    assert found.detectable is None


def test_few_independent_questions_are_not_compared() -> None:
    """Configurations are not compared if the questions have too few independent word pairs.

    An analogy question has two word pairs. Four sets of questions are tested: the 20 questions that
    can be made from five word pairs; nine questions that have no pair in common; 20 questions that
    all have one pair in common; and 20 questions that each have one of the same two pairs.
    """
    of_five_pairs = [*itertools.permutations(range(5), 2)]
    separate = [(2 * i, 2 * i + 1) for i in range(9)]
    one_in_all = [(0, i) for i in range(1, 21)]
    two_in_all = [(i % 2, i) for i in range(2, 22)]
    for pairs in (of_five_pairs, separate, one_in_all, two_in_all):
        n = len(pairs)
        ranks = np.repeat([1, 2], n).astype(np.int8).reshape(2, 1, n)
        found = compared(AnalogyBenchmark(np.array(pairs)), list(ranks), fixed=True)
        one = found.difference(0, 1)
        assert (one.verdict, one.items, one.low) == ("too few pairs", n, None)
    assert AnalogyBenchmark(np.array([*separate, (18, 19)])).units(np.ones(10, bool)) == 10


def test_a_variance_that_is_estimated_as_0_is_no_certainty() -> None:
    """An estimated variance of 0 is not taken as certainty that configurations differ.

    In each case, a configuration has the same score with both of its seeds, or the difference
    between two configurations is the same with both: the estimated variance over seeds is 0.

    In the first case, configuration A answers two analogy questions correctly with each seed, and B
    answers one. The questions differ, so the variance over questions is not 0. The difference
    A - B has a confidence interval, which contains 0.

    In the second case, A answers all questions correctly and B none: the variance over questions is
    0, too. In the last two cases, there are only the scores of whole runs, and no answers to
    questions. In these three cases, the verdict is "no spread", and there is no interval.
    """
    pairs = np.array([*itertools.permutations(range(15), 2)])
    ranks = np.full((2, 2, 210), 7, np.int8)
    for run, right in zip(ranks.reshape(4, -1), ([0, 30], [61, 92], [124], [155]), strict=True):
        run[right] = 1
    found = compared(AnalogyBenchmark(pairs), list(ranks)).difference(0, 1)
    assert found.verdict == "no difference shown"
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.difference < found.high
    all_or_none = np.repeat([1, 7], 2 * 210).reshape(2, 2, 210).astype(np.int8)
    for comparison in (
        compared(AnalogyBenchmark(pairs), list(all_or_none)),
        Comparison([{"0": 0.5, "1": 0.51}, {"0": 0.3, "1": 0.31}], Family(2)),
        Comparison([{"0": one, "1": one} for one in (0.5, 0.3, 0.1)], Family(3)),
    ):
        found = comparison.difference(0, 1)
        assert (found.verdict, found.p, found.low) == ("no spread", None, None)


def test_a_score_that_is_the_same_in_all_runs_says_so() -> None:
    scores = {str(seed): {"analogy/x/accuracy": 0.0} for seed in range(3)}
    settings = [Setting(name, scores, {}) for name in ("a", "b")]
    judged = Verdicts(settings, "analogy/x/accuracy").judged
    assert sentences(judged) == [
        "analogy/x/accuracy: no difference shown: all runs of b and a have the same score"
    ]


def test_sentences_say_what_is_missing() -> None:
    settings = [Setting("b", {}, {}), Setting("a", {}, {})]

    def said(difference: float, verdict: Any, alone: bool = False, **facts: Any) -> str:
        found = Difference(1, 0, difference, verdict, **facts)
        judged = Judged("x", "", 0, settings, [0.0, 0.0], [found], seeds_alone=alone)
        return sentences([judged])[0]

    for verdict in ("better", "no difference shown"):
        over: dict[str, Any] = {"low": 0.1, "high": 0.3, "seeds": 3, "detectable": 0.2}
        for alone in (True, False):
            assert ("over seeds alone" in said(0.2, verdict, alone, **over)) == alone
    nothing = "so nothing can be said"
    assert said(math.nan, "one seed") == f"x: a and b have no seed in common, {nothing}"
    assert said(0.1, "one seed", seeds=1) == f"x: a and b have one seed in common, {nothing}"
    few = said(math.nan, "too few pairs", seeds=2, items=0)
    few_units = "fewer than 10 independent word pairs or questions"
    assert few == f"x: a and b have {few_units} in common, {nothing}"
    for items in (None, 353):
        undefined = said(math.nan, "undefined", seeds=2, items=items)
        assert undefined == f"x: the score of a or b is undefined, {nothing}"
    unknown = said(0.1, "no spread", seeds=2)
    chance = "how much of the difference between a and b is chance is unknown"
    assert unknown == f"x: {chance}, {nothing}"
    one: dict[str, Any] = {"low": -0.1, "high": 0.02, "seeds": 1, "items": 353, "detectable": 0.08}
    shown = "1 seed can show a difference of 0.080"
    for size, rest in ((0.9, ""), (0.05, "; one of 0.050 needs more pairs, not more seeds")):
        assert said(-0.04, "no difference shown", **one, size=size).endswith(f". {shown}{rest}")


@pytest.mark.parametrize(
    ("score", "largest"),
    [("similarity/x/spearman", 2.0), ("analogy/x/accuracy_3cosmul", 1.0), ("loss", math.inf)],
)
def test_no_more_is_said_than_a_score_can_have(score: str, largest: float) -> None:
    values = {"a": (-0.9, 0.9), "b": (0.9, -0.9)}
    settings = [
        Setting(name, {str(seed): {score: one} for seed, one in enumerate(some)}, {})
        for name, some in values.items()
    ]
    (judged,) = Verdicts(settings, score, size=0.01).judged
    (one,), (row,), (line,) = judged.differences, judged.rows(), sentences([judged])
    half = stats.t.isf(0.025, 1) * 1.8
    assert one.high == row["high"] == pytest.approx(min(half, largest))
    assert one.low == one.alone_low == row["low"] == -(one.high or 0)
    (shown,) = score_table(judged)["rows"]
    assert shown["shows_nothing"] == (row["detectable"] is None) == (largest < math.inf)
    nothing = ". 2 seeds can show nothing here"
    assert (nothing in line) == (largest < math.inf)
    assert f"may be from {min(half, largest):.1f}" in line
    with_size = replace(one, size=0.1, seeds_needed=900)
    said = sentences([replace(judged, differences=[with_size])])[0]
    assert (f"{nothing}; a difference of 0.10 needs 898 more" in said) == (largest < math.inf)
    assert score_table(judged)["digits"] == 3


def test_two_vectors_differ_by_no_more_than_correlations_do() -> None:
    random = np.random.default_rng(1)
    words = [f"w{number}" for number in range(40)]
    pairs = [(words[i], words[i + 1], float(random.normal())) for i in range(0, 40, 2)]
    runs = [[WordVectors(words, random.normal(size=(40, 3))) for _ in range(2)] for _ in range(2)]
    (one,) = evaluate.compare({"a": runs[0], "b": runs[1]}, pairs).differences
    assert (one.low, one.high) == (-2.0, 2.0)


def test_vectors_made_elsewhere_are_compared_over_pairs_alone() -> None:
    random = np.random.default_rng(1)
    people = random.normal(size=80)
    rows = np.array([2.0, 0.2])[:, None, None] * people + random.normal(size=(2, 1, 80))
    found = compared(word_pairs(people), list(rows), fixed=True).difference(0, 1)
    assert (found.verdict, found.seeds, found.seeds_needed) == ("better", 1, None)
    parts = [np.array(influences(people.tolist(), row[0].tolist())) / 80 for row in rows]
    half = stats.t.isf(0.025, 79) * math.sqrt(((parts[0] - parts[1]) ** 2).sum() * 80 / 79)
    assert found.low == pytest.approx(found.difference - half, abs=1e-6)


# Several settings, several scores.


@pytest.mark.parametrize("settings", [2, 3, 8])
def test_critical_values_are_scipys(settings: int) -> None:
    for freedom in (1.0, 2.0, 3.7, 11.0, 60.0, 5000.0):
        q = Family(settings, 0.02).critical(freedom) * math.sqrt(2)
        assert stats.studentized_range.sf(q / 1.002, settings, freedom) >= 0.02
        assert stats.studentized_range.sf(q / 0.998, settings, freedom) <= 0.02


def test_levels_hold_for_all_scores_together() -> None:
    assert levels(1, 0) == pytest.approx([0.05])
    assert levels(0, 1) == pytest.approx([0.05])
    for objective, others in ((1, 3), (2, 5), (0, 4), (3, 0)):
        shares = levels(objective, others)
        assert len(shares) == objective + others
        assert math.prod(1 - share for share in shares) == pytest.approx(0.95)
    assert math.prod(1 - share for share in levels(2, 3)[:2]) == pytest.approx(math.sqrt(0.95))


def test_a_corrected_p_value_is_below_the_level_where_a_difference_is_shown() -> None:
    family = Family(3, 0.01)
    for freedom in (2.0, 9.0, 80.0):
        critical = family.critical(freedom)
        for ratio, below in ((0.999 * critical, False), (1.001 * critical, True)):
            assert (family.p_value(ratio, critical, below) < 0.05) == below
        for below in (False, True):
            assert (family.p_value(critical, critical, below) < 0.05) == below
    assert family.p_value(0.0, family.critical(5.0), False) == pytest.approx(1)


@pytest.mark.parametrize(("settings", "seeds"), [(3, 2), (6, 2), (4, 3)])
def test_p_the_verdict_and_the_interval_agree(settings: int, seeds: int) -> None:
    """A p-value below 0.05, an interval without 0, and the verdict "better" or "worse" go together.

    For each pair of configurations, all three hold or none does. The scores of one configuration
    vary much more over seeds than those of the others, so that their variance determines the
    degrees of freedom. The test is repeated with a growing distance of this configuration's scores
    from the others.
    """
    random = np.random.default_rng(0)
    shown = []
    for distance in np.linspace(0, 40, 21):
        table = 0.01 * random.normal(size=(settings, seeds))
        table[0] = np.linspace(0, 1, seeds) + distance
        comparison = Comparison([as_runs(row) for row in table], Family(settings, 0.02))
        for a, b in itertools.combinations(range(settings), 2):
            _, noise, *_ = comparison._noise(a, b, [*comparison.values[a]])
            assert noise is not None
            assert noise.seeds_freedom >= seeds - 1
            found = comparison.difference(a, b)
            assert found.low is not None
            assert found.high is not None
            assert found.p is not None
            excluded = not found.low <= 0 <= found.high
            assert (found.p < 0.05) == excluded == (found.verdict in ("better", "worse"))
            shown.append(excluded)
    assert 0 < sum(shown) < len(shown)


# Simulations. Their figures are in w2v/evaluate/README.md.

Sample = tuple[SimilarityBenchmark, list[Floats]]


def simulated(
    random: np.random.Generator,
    settings: int,
    seeds: int,
    pairs: int = 60,
    gain: float = 0.0,
    spread: Sequence[float] = (0.15,),
) -> Sample:
    """Return a simulated benchmark, and for each configuration the cosines, (seeds, pairs).

    A cosine is a factor times the human score of the pair, plus three random terms: one for the
    pair, one for the pair in this configuration, and one for the pair and the seed.

    Parameters
    ----------
    settings, seeds, pairs
        The numbers of configurations, of seeds for each of them, and of word pairs.
    gain
        The factor has the mean 0.7, and 0.7 + `gain` in the first configuration.
    spread
        Standard deviations of the factor over seeds; the configurations use them in turn.
    """
    people = random.normal(size=pairs)
    of_pair = 0.5 * random.normal(size=pairs)
    found = []
    for setting in range(settings):
        of_setting = 0.4 * random.normal(size=pairs)
        sd = spread[setting % len(spread)]
        factor = 0.7 + gain * (setting == 0) + sd * random.normal(size=(seeds, 1))
        noise = 0.4 * random.normal(size=(seeds, pairs))
        found.append(factor * people + of_pair + of_setting + noise)
    return word_pairs(people), found


def true_gain(gain: float, spread: float = 0.15) -> float:
    """Return the true difference in Spearman's correlation between configurations of `simulated`.

    The correlation is that of the cosines of word pairs with the human scores of these pairs. The
    cosines are simulated: each is the human score times a factor, plus noise. The factor is random
    for each seed, with the standard deviation `spread`. Its mean is 0.7 + `gain` in the first
    configuration, and 0.7 in the others. The result is the expected correlation of the first
    configuration minus that of any other.
    """

    def mean(center: float) -> float:
        nodes, weights = np.polynomial.hermite_e.hermegauss(40)
        factor = center + spread * nodes
        rho = factor / np.hypot(factor, math.sqrt(0.5**2 + 0.4**2 + 0.4**2))
        return float((weights * 6 / math.pi * np.arcsin(rho / 2)).sum() / weights.sum())

    return mean(0.7 + gain) - mean(0.7)


def outcomes(
    settings: int, seeds: int, times: int, seed: int = 0, **more: Any
) -> list[list[Difference]]:
    """Return, for each of `times` simulations, the `Difference` of every two configurations.

    Parameters
    ----------
    settings, seeds
        The number of configurations, and of seeds for each of them.
    times
        The number of simulations.
    seed
        The seed of the random numbers.
    more
        Further arguments of `simulated`.
    """
    random = np.random.default_rng(seed)
    pairs = [*itertools.combinations(range(settings), 2)]
    return [
        compared(*simulated(random, settings, seeds, **more)).differences(pairs)
        for _ in range(times)
    ]


@pytest.mark.parametrize(("settings", "seeds"), [(2, 3), (2, 10), (4, 3)])
def test_equal_settings_are_rarely_called_different(settings: int, seeds: int) -> None:
    found = outcomes(settings, seeds, 300 if settings == 2 else 100)
    false = np.mean([any(one.verdict in ("better", "worse") for one in some) for some in found])
    alone = np.mean([one.alone_low <= 0 <= one.alone_high for some in found for one in some])  # type: ignore[operator]
    assert false <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / len(found))
    assert 0.925 <= alone <= 0.985


def test_intervals_hold_the_true_difference_and_power_is_as_planned() -> None:
    gain = 0.45
    truth = true_gain(gain)
    found = [one for (one,) in outcomes(2, 10, 300, gain=gain, seed=3)]
    inside = np.mean([one.low <= truth <= one.high for one in found])  # type: ignore[operator]
    assert 0.925 <= inside <= 0.975
    # At the difference that is called detectable, power is 80 %; here it is interpolated.
    shown = np.mean([one.verdict == "better" for one in found])
    detectable = float(np.median([one.detectable or 0 for one in found]))
    error = detectable / (stats.t.isf(0.025, 30) + stats.t.isf(0.2, 30))
    expected = stats.norm.sf(stats.t.isf(0.025, 30) - truth / error)
    assert shown == pytest.approx(expected, abs=0.1)


def test_as_many_seeds_as_are_said_show_the_difference() -> None:
    """With the estimated number of seeds, a difference is significant with a probability of 80 %.

    With two seeds fewer, this probability (the power of the t-test) is lower. The estimate is None
    if there are so few word pairs that no number of seeds gives this power.
    """
    random = np.random.default_rng(0)
    noise = Noise(1.0 / 4, 3, 0.0, 1.0)  # of differences with variance 1, over 4 seeds
    size = 0.9
    comparison = Comparison([as_runs(random.normal(size=4)) for _ in range(2)], Family(2))
    needed = comparison._seeds_needed(noise, 4, size)
    assert needed is not None
    for seeds, enough in ((needed, True), (needed - 2, False)):
        shift = size * math.sqrt(seeds)
        t = stats.t.isf(0.025, seeds - 1)
        power = stats.nct.sf(t, seeds - 1, shift) + stats.nct.cdf(-t, seeds - 1, shift)
        assert (power >= 0.79) == enough
    few_pairs = Noise(0.1, 9, 1.0, 50.0)  # no number of seeds makes up for pairs that are few
    assert comparison._seeds_needed(few_pairs, 10, 0.5) is None


@pytest.mark.long
@pytest.mark.parametrize(("settings", "seeds", "spread"), [(3, 3, (0.15,)), (6, 3, (0.3, 0.1)),
    (3, 10, (0.3, 0.1, 0.1)), (2, 2, (0.15,))])  # fmt: skip
def test_verdicts_are_rarely_wrong(settings: int, seeds: int, spread: tuple[float, ...]) -> None:
    times = 500
    found = outcomes(settings, seeds, times, spread=spread)
    false = np.mean([any(one.verdict in ("better", "worse") for one in some) for some in found])
    print(f"{settings} settings, {seeds} seeds, spread {spread}: {false:.1%} false")
    assert false <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / times)


# The whole table.


def settings_of(folder: Path, sample: Sample, figures: str) -> list[Setting]:
    """Save the simulated answers of runs in files; return a `Setting` for each configuration.

    A `Setting` has the scores of a configuration's runs and the paths of the files with their
    answers. The answer to a word pair of the benchmark is its cosine.

    Parameters
    ----------
    folder
        The folder of the files.
    sample
        The benchmark, and for each configuration the answers of its runs, (seeds, pairs).
    figures
        The name of the benchmark, which is part of the names of its scores.
    """
    benchmark, answers = sample
    found = []
    for number, rows in enumerate(answers):
        files, scores = {}, {}
        for seed, row in enumerate(rows):
            path = folder / f"{number}-{seed}.npz"
            save_answers(path, {f"similarity/{figures}/spearman": Answers(benchmark, row)})
            files[str(seed)] = path
            value = float(benchmark.scores(row[None], benchmark.known(row)).values[0])
            scores[str(seed)] = {f"similarity/{figures}/spearman": value, "loss": -value}
        found.append(Setting(f"window={number}", scores, files))
    return found


@pytest.mark.parametrize("smaller", [False, True])
def test_the_table_of_means_begins_with_the_best_and_has_the_reference(smaller: bool) -> None:
    values = [math.nan, *range(45)]
    settings = [Setting(f"{value}", {"0": {"x": value}}, {}) for value in values]
    (judged,) = Verdicts(settings, "x", smaller_is_better=lambda _: smaller).judged
    best = [(f"{value}", value) for value in (range(45) if smaller else range(44, -1, -1))]
    assert score_table(judged)["means"] == best[:40]
    undefined = replace(judged, reference=45)
    (*shown, last) = score_table(undefined)["means"]
    assert (shown, last[0]) == (best[:39], "nan")


def test_the_page_says_where_means_are_over_other_pairs_than_differences(tmp_path: Path) -> None:
    sample = simulated(np.random.default_rng(0), 2, 3)
    for known in (60, 30):
        sample[1][1][:, known:] = np.nan
        objective = "similarity/mine/spearman"
        (judged,) = Verdicts(settings_of(tmp_path, sample, "mine"), objective).judged
        assert score_table(judged)["apart"] == (known == 30)


def test_every_score_gets_verdicts_against_one_reference(tmp_path: Path) -> None:
    sample = simulated(np.random.default_rng(0), 3, 6, gain=2.0)
    settings = settings_of(tmp_path, sample, "mine")
    judged = Verdicts(settings, "loss", smaller_is_better=lambda score: score == "loss").judged
    assert [one.score for one in judged] == ["loss", "similarity/mine/spearman"]
    for one in judged:
        assert one.settings[one.reference].name == "window=0"
        assert {d.verdict for d in one.differences if d.b == one.reference} == {"worse"}
        assert len(one.differences) == 3  # all pairs
        row = one.rows()[0]
        assert (row["compared_with"], row["verdict"]) == ("window=0", "worse")
    assert judged[1].differences[0].items == 60
    lines = sentences(judged)
    assert len(lines) == 4
    assert lines[0].startswith("loss: window=")
    assert "is worse than window=0: " in lines[0]
    assert " higher, at least " in lines[0]  # a larger loss
    assert " lower, at least " in lines[2]


def test_the_mean_of_sets_is_that_of_the_sets_of_its_group(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    people = random.normal(size=(3, 20))
    settings = []
    for number, sets in enumerate(("ab", "ab", "abc", "abc")):
        files, scores = {}, {}
        for seed in range(2):
            given = {
                f"similarity/{name}/spearman": Answers(
                    SimilarityBenchmark(known, np.arange(20) + 20 * start),
                    known + random.normal(size=20),
                )
                for start, (name, known) in enumerate(zip(sets, people, strict=False))
            }
            path = files[f"{seed}"] = tmp_path / f"{number}-{seed}.npz"
            save_answers(path, given)
            scores[f"{seed}"] = {MEAN_OF_SETS: 0.5}
        settings.append(Setting(f"{number} {sets}", scores, files))
    judged = Verdicts(settings, MEAN_OF_SETS, group_of=lambda _, one: one.name.split()[1]).judged
    assert [(one.group, one.differences[0].items) for one in judged] == [("ab", 40), ("abc", 60)]


def test_answers_are_read_as_they_were_written(tmp_path: Path) -> None:
    pairs = [evaluate.Pair("a", "b", 1.0), evaluate.Pair("c", "d", 2.5)]
    questions = [
        evaluate.Question("k", "a", "b", "c", "d"),
        evaluate.Question("k", "c", "d", "a", "b"),
    ]
    first = similarity_benchmark(pairs, "zero"), np.array([0.5, np.nan])
    second = analogy_benchmark(questions), np.array([1, -1])
    path = tmp_path / "answers.npz"
    save_answers(
        path, {"similarity/x/spearman": Answers(*first), "analogy/y/accuracy": Answers(*second)}
    )
    known: dict[str, Any] = {}
    found = load_answers(path, known)
    assert [*found] == ["similarity/x/spearman", "analogy/y/accuracy"]
    one, other = (known[given.digest] for given in found.values())
    assert (one.people.tolist(), one.oov) == ([1.0, 2.5], "zero")
    assert (other.pairs.tolist(), other.oov) == ([[0, 1], [1, 0]], "skip")
    np.testing.assert_array_equal(found["similarity/x/spearman"].given, first[1])
    assert found["analogy/y/accuracy"].given.tolist() == [1, -1]
    again = load_answers(path, known)
    assert len(known) == 2
    assert [given.digest for given in again.values()] == [given.digest for given in found.values()]
    assert one.known(first[1]).tolist() == [True, True]
    assert other.known(second[1]).tolist() == [True, False]


def test_other_questions_of_the_same_shape_are_another_benchmark(tmp_path: Path) -> None:
    question = evaluate.Question("k", "a", "b", "c", "d")
    others = [
        question._replace(category="l"),
        question._replace(c="e"),
        question._replace(answer="e"),
        question._replace(others=("e",)),
    ]
    digests = []
    for number, asked in enumerate([question, question, *others]):
        path = tmp_path / f"{number}" / "answers.npz"
        path.parent.mkdir()
        save_answers(path, {"analogy/y/accuracy": Answers(analogy_benchmark([asked]), np.ones(1))})
        digests.append(load_answers(path, {})["analogy/y/accuracy"].digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 5


def test_several_ratings_of_a_pair_are_one_pair_in_a_comparison() -> None:
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    pairs = [
        evaluate.Pair(a, b, float(random.normal()))
        for a, b in zip(words[::2], words[1::2], strict=True)
    ]
    runs = {name: [WordVectors(words, random.normal(size=(60, 10)))] for name in "ab"}
    (once,) = evaluate.compare(runs, pairs).differences
    again = [evaluate.Pair(b.upper(), a, score) for a, b, score in pairs]
    (found,) = evaluate.compare(runs, [*pairs, *again, *pairs]).differences
    assert (found.low, found.high, found.p) == pytest.approx((once.low, once.high, once.p))
    assert (found.verdict, found.items) == ("no difference shown", 90)


def test_vectors_are_compared_in_one_call() -> None:
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    pairs = [evaluate.Pair(a, b, 0.0) for a, b in itertools.combinations(words, 2)][:120]
    truth = random.normal(size=(40, 10))
    exact = evaluate.pair_cosines(WordVectors(words, truth), pairs)
    pairs = [pair._replace(score=float(c)) for pair, c in zip(pairs, exact, strict=True)]
    noise = {"good": 0.3, "bad": 3.0}
    runs = {
        name: [WordVectors(words, truth + sd * random.normal(size=(40, 10))) for _ in range(3)]
        for name, sd in noise.items()
    }
    judged = evaluate.compare(runs, pairs, name="mine")
    assert [one.name for one in judged.settings] == ["good", "bad"]
    (line,) = evaluate.sentences([judged])
    assert line.startswith("mine: bad is worse than good: ")
    (row,) = judged.rows()
    rhos = {n: [evaluate.similarity(v, pairs).spearman or 0 for v in r] for n, r in runs.items()}
    assert row["difference"] == pytest.approx(np.mean(rhos["bad"]) - np.mean(rhos["good"]))
    models = {n: [TrainedModel(v, [], [], 0, 0, 0.0) for v in r] for n, r in runs.items()}
    assert evaluate.compare(models, pairs, name="mine").rows() == judged.rows()
    with pytest.raises(InputError) as refused:
        evaluate.compare({"a": ["path"], "b": ["path"]}, pairs)  # type: ignore[list-item]
    assert str(refused.value) == (
        "settings: holds 'path'; word vectors or trained models are needed, and WordVectors.load "
        "reads paths"
    )
    once = {name: (run for run in some) for name, some in runs.items()}
    assert evaluate.compare(once, pairs, name="mine").rows() == judged.rows()
    single = evaluate.compare({name: some[:1] for name, some in runs.items()}, pairs)
    assert single.differences[0].verdict == "worse"
    questions = [evaluate.Question("c", f"w{i}", "w1", "w2", f"w{i + 1}") for i in range(30)]
    assert evaluate.compare(runs, questions).differences[0].items == 30
    for settings, asked in (({"a": []}, pairs), (runs, []), ({"a": [], "b": []}, pairs)):
        with pytest.raises(InputError, match="must be"):
            evaluate.compare(settings, asked)
    with pytest.raises(InputError, match="oov='ignore': must be skip or zero"):
        evaluate.compare(runs, pairs, oov="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "size", "line"),
    [
        (lambda a: [[a], [a]], None, "settings=.*: must be a dict from names to lists of vectors"),
        (lambda a: {"x": a, "y": [a]}, None, "settings: 'x' must have a list of the vectors"),
        (lambda a: {"x": [a], "y": "a.vec"}, None, "settings: 'y' must have a list of the"),
        (
            lambda a: {"x": [a], "y": 5},
            None,
            "settings: 'y' must have a list of the vectors of its",
        ),
        (lambda a: {"x": [a], "y": iter([])}, None, "must be at least two, each with the vectors"),
        *(
            (
                lambda a: {"x": [a], "y": [a]},
                size,
                f"size={size!r}: must be a finite number above 0",
            )
            for size in (-0.1, 0, math.nan, math.inf, "x", True)
        ),
    ],
)
def test_what_cannot_be_compared_in_one_call_is_refused(
    settings: Callable[[WordVectors], Any], size: Any, line: str
) -> None:
    vectors = WordVectors(["a", "b", "c"], np.eye(3))
    with pytest.raises(InputError, match=line) as refused:
        evaluate.compare(settings(vectors), [("a", "b", 1.0), ("b", "c", 2.0)], size=size)
    assert str(refused.value).isprintable()
