"""Test Tukey's range test between configurations: p-values equal SciPy's, errors are rare."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from w2v.evaluate.significance import LEVEL, tukey_p_values, verdict


def test_differences_are_those_of_tukeys_test() -> None:
    random = np.random.default_rng(2)
    samples = [random.normal(size=n).tolist() for n in (2, 3, 4)]
    expected = stats.tukey_hsd(*samples).pvalue
    for best in range(3):
        assert tukey_p_values(samples, best) == pytest.approx(expected[best].tolist(), abs=1e-6)


def test_noise_is_rarely_called_a_difference() -> None:
    """The best and the worst of six equal configurations rarely (5 %) differ significantly.

    Tukey's test takes into account that the two are chosen by their results.
    """
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        samples = random.normal(size=(6, 3))
        ends = [int(samples.mean(axis=1).argmin()), int(samples.mean(axis=1).argmax())]
        both = [samples[i].tolist() for i in range(6)]
        (p,) = [tukey_p_values(both, ends[1])[ends[0]]] if could_differ(samples, ends) else [1.0]
        wrong += p is not None and p < 0.05
    assert 1 <= wrong <= 20  # 10 expected of 200; 20 has a chance of 0.3 %


def could_differ(samples: Any, ends: Sequence[int]) -> bool:
    """Return whether two means are so far apart that Tukey's test could find them different.

    The test is slow, and so it is computed only if this is true.

    Parameters
    ----------
    samples
        The scores, (configurations, seeds).
    ends
        The rows of the lowest and the highest mean.
    """
    low, high = (samples[i].mean() for i in ends)
    return bool((high - low) / math.sqrt(samples.var(axis=1, ddof=1).mean() / 3) > 4)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([[1.0], [2.0, 2.1]], [None, 1.0]),
        ([[1.0, 1.0], [2.0, 2.0]], [0.0, 1.0]),
        ([[2.0, 2.0], [2.0, 2.0]], [1.0, 1.0]),
        ([[1.0], [2.0]], [None, None]),
        ([[1.0, 1.2]], [1.0]),
    ],
)
def test_tukey_on_samples_without_noise_or_seeds(
    samples: list[list[float]], expected: list[float | None]
) -> None:
    assert tukey_p_values(samples, len(samples) - 1) == expected


def test_a_verdict_depends_on_the_p_value() -> None:
    assert verdict(None) == "one seed"
    assert verdict(LEVEL * 0.99) == "worse"
    assert verdict(LEVEL) == verdict(1.0) == "within noise"
