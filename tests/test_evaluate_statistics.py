"""Test `w2v.evaluate.statistics`: its figures equal those of SciPy and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from w2v.evaluate import statistics

few = settings(max_examples=30)
values = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30)


def pearson_by_loops(x: list[float], y: list[float]) -> float:
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    products = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    squares = [math.fsum((v - m) ** 2 for v in vs) for vs, m in ((x, mean_x), (y, mean_y))]
    return products / math.sqrt(squares[0] * squares[1])


def ranks_by_loops(values: list[float]) -> list[float]:
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


@pytest.mark.parametrize("settings", [2, 5])
def test_means_with_equal_seeds_are_those_of_a_regression(settings: int) -> None:
    random = np.random.default_rng(settings)
    table = random.normal(size=(settings, 4)) + 3 * random.normal(size=4)
    table[1, 0] = table[-1, 0] = table[0, 3] = np.nan
    runs = [
        {str(seed): float(value) for seed, value in enumerate(row) if not math.isnan(value)}
        for row in table
    ]
    cells = [(c, s) for c, some in enumerate(runs) for s in map(int, some)]
    design = np.array([[*np.eye(settings)[c], *(np.eye(4)[s] - 1 / 4)] for c, s in cells])
    fit = np.linalg.lstsq(design, np.array([table[cell] for cell in cells]), rcond=None)[0]
    found = statistics.means_with_equal_seeds(runs)
    assert found == pytest.approx(fit[:settings].tolist())
    if settings == 2:
        assert found[0] - found[1] == pytest.approx(np.mean(table[0, 1:3] - table[1, 1:3]))
    undefined = [{"0": math.nan, "9": 1.0}, {"3": math.inf}]
    with_undefined = statistics.means_with_equal_seeds([*runs, *undefined])
    assert with_undefined[:settings] == pytest.approx(found)
    assert math.isnan(with_undefined[-2])
    assert with_undefined[-1] == math.inf


def test_means_of_seeds_that_cannot_be_compared_are_those_of_the_runs() -> None:
    separate = [{"0": 1.0, "1": 2.0}, {"2": 5.0, "3": 6.0}, {"3": 8.0}]
    assert statistics.means_with_equal_seeds(separate) == [1.5, 5.5, 8.0]
    assert statistics.means_with_equal_seeds([{"0": 1.0}, {"0": 3.0}]) == [1.0, 3.0]


@few
@given(values)
def test_correlations_equal_loops(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=np.float64).T
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert statistics.spearman(x, y) is statistics.pearson(x, y) is None
    else:
        a, b = x.tolist(), y.tolist()
        assert statistics.pearson(x, y) == pytest.approx(pearson_by_loops(a, b))
        expected = pearson_by_loops(ranks_by_loops(a), ranks_by_loops(b))
        assert statistics.spearman(x, y) == pytest.approx(expected)


@few
@given(st.integers(0, 60), st.integers(1, 60))
def test_wilsons_interval_solves_its_equation(correct: int, asked: int) -> None:
    """Each end p of Wilson's interval differs by 1.96 √(p(1 - p) / n) from the observed share.

    n is the number of questions asked.
    """
    share = min(correct, asked) / asked
    interval = statistics.wilson(min(correct, asked), asked)
    assert interval is not None
    for p in interval:
        distance = statistics.NORMAL_QUANTILE * math.sqrt(p * (1 - p) / asked)
        assert abs(share - p) == pytest.approx(distance, abs=1e-9)
    assert 0 <= interval[0] <= share <= interval[1] <= 1


def test_without_data_there_is_no_interval() -> None:
    assert statistics.wilson(0, 0) is None
    assert statistics.mean_interval(np.array([0.5])) is None


@few
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12),
    st.integers(0, 100),
)
def test_resampled_correlations_equal_scipy(pairs: list[tuple[int, int]], seed: int) -> None:
    x, y = np.array(pairs, dtype=np.float64).T
    draws = np.random.default_rng(seed).integers(len(x), size=(5, len(x)))
    times = np.array([np.bincount(draw, minlength=len(x)) for draw in draws]).T
    found = statistics._resampled_spearman(x, y, times)
    for figure, draw in zip(found, draws, strict=True):
        if np.ptp(x[draw]) == 0 or np.ptp(y[draw]) == 0:
            assert np.isnan(figure)
        else:
            assert figure == pytest.approx(float(stats.spearmanr(x[draw], y[draw])[0]))


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=40))
def test_correlations_equal_scipy(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=np.float64).T
    assert statistics.ranks(x).tolist() == stats.rankdata(x).tolist()
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert statistics.pearson(x, y) is None
    else:
        for scale in (1.0, 1e-200, 1e200):
            wanted = float(stats.pearsonr(x, y).statistic)
            assert statistics.pearson(x * scale, y) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("size", "correlation", "levels"), [(12, 0.0, 0), (15, 0.7, 4), (40, 0.4, 2), (60, 0.7, 0)]
)
def test_intervals_cover_the_truth_in_95_of_100_samples(
    size: int, correlation: float, levels: int
) -> None:
    """The bootstrap interval contains the true correlation in about 95 of 100 random samples.

    Its mean width is less than 1.2 times that of the interval by Fisher's z-transform.
    """
    generator = np.random.default_rng(0)

    def sample(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        cosines = generator.standard_normal(n)
        people = correlation * cosines
        people += np.sqrt(1 - correlation**2) * generator.standard_normal(n)
        return np.round(people * levels / 2) if levels else people, cosines

    truth = statistics.spearman(*sample(400_000))
    assert truth is not None
    trials, covered, width = 200, 0, 0.0
    for _ in range(trials):
        interval = statistics.spearman_interval(*sample(size), np.arange(size), generator, 400)
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
        width += interval[1] - interval[0]
    # One standard deviation of the share is 0.015.
    assert 0.92 <= covered / trials <= 0.99
    fisher = np.tanh(np.arctanh(truth) + 1.96 * np.array([-1, 1]) / np.sqrt(size - 3))
    assert width / trials < 1.2 * (fisher[1] - fisher[0])


@pytest.mark.parametrize("asked", [25, 200])
def test_wilsons_interval_covers_the_truth(asked: int) -> None:
    """Wilson's 95 % interval contains the true share of right answers in about 95 % of samples.

    A sample has the answers to `asked` questions. The percentage of samples is computed for each
    true share from 0.02 to 0.98 in steps of 0.01. The mean of these percentages is about 95; each
    of them is more than 90.
    """
    intervals = np.array([statistics.wilson(correct, asked) for correct in range(asked + 1)])
    shares = np.linspace(0.02, 0.98, 97)
    chances = stats.binom.pmf(np.arange(asked + 1), asked, shares[:, None])
    covers = (intervals[:, 0] <= shares[:, None]) & (shares[:, None] <= intervals[:, 1])
    coverage = (chances * covers).sum(axis=1)
    assert 0.945 <= coverage.mean() <= 0.958
    assert coverage.min() > 0.9


@pytest.mark.parametrize(("groups", "freedom"), [(2, 2), (3, 6), (10, 20), (40, 80), (200, 800)])
def test_studentized_ranges_are_those_of_scipy(groups: int, freedom: int) -> None:
    q = np.array([0.1, 1.0, 2.5, 3.5, 4.5, 6.0, 12.0])
    expected = [stats.studentized_range.sf(value, groups, freedom) for value in q]
    found = statistics.studentized_range_sf(q, groups, freedom)
    np.testing.assert_allclose(found, expected, atol=1e-5)
