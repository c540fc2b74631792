"""Do configurations differ by more than the noise of their seeds? Tukey's test."""

from collections.abc import Sequence

import numpy as np

from w2v.evaluate.statistics import studentized_range_sf

LEVEL = 0.05
"""The chance that the test finds some difference where there is none at all."""


def verdict(p: float | None) -> str:
    """Return what the p-value of a configuration says about it in comparison with the best."""
    return "one seed" if p is None else "worse" if p < LEVEL else "within noise"


def tukey_p_values(samples: Sequence[Sequence[float]], best: int) -> list[float | None]:
    """Return the p-value of the difference between each sample and ``samples[best]``.

    A sample holds one value for each seed; the p-value is None if it or the best sample has only
    one. The level holds for all pairs of samples together, and so for the pairs with a sample
    that was chosen because it is the best. All samples are assumed to have the same variance,
    which is estimated from all of them. Samples may differ in size (Tukey and Kramer).

    """
    p_values: list[float | None] = [None] * len(samples)
    groups = {i: np.asarray(sample) for i, sample in enumerate(samples) if len(sample) > 1}
    if best not in groups:
        return p_values
    noise = any(len(set(samples[i])) > 1 for i in groups)
    freedom = sum(len(group) - 1 for group in groups.values())
    variance = sum(len(group) * float(group.var()) for group in groups.values()) / freedom
    gaps = np.array([abs(float(group.mean() - groups[best].mean())) for group in groups.values()])
    sizes = np.array([len(group) for group in groups.values()])
    if noise:
        errors = np.sqrt(variance / 2 * (1 / sizes + 1 / len(groups[best])))
        found = studentized_range_sf(gaps / errors, len(groups), freedom)
    for i, gap, p in zip(groups, gaps, found if noise else gaps == 0, strict=True):
        p_values[i] = float(gap == 0 or p)
    return p_values
