"""Measure how far training has moved the initial vectors that the user gave."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from w2v.vectors import WordVectors

LISTED = 10
"""The largest number of words in `Movement.farthest`."""

ROWS_AT_A_TIME = 1 << 16


class Movement(NamedTuple):
    """How far training has moved the initial vectors that the user gave.

    It is measured by the cosine between a word's vectors before and after training.

    Attributes
    ----------
    words
        The number of words of the vocabulary for which an initial vector was given.
    unchanged
        The number of these words whose vector is exactly the same as before.
    mean, median, least
        Mean, median and minimum of the cosines; 1 means that the direction is unchanged.
    farthest : list of (word, cosine)
        The words with the smallest cosines, at most ten.
    """

    words: int
    unchanged: int
    mean: float
    median: float
    least: float
    farthest: list[tuple[str, float]]


def movement(before: WordVectors, after: WordVectors) -> Movement:
    """Compare vectors before and after training, for the words that have a vector in both."""
    words: Sequence[str] = [word for word in after.words if word in before]
    cosines = np.empty(len(words))
    unchanged = 0
    for start in range(0, len(words), ROWS_AT_A_TIME):
        part = slice(start, start + ROWS_AT_A_TIME)
        old = np.array([before.row(word) for word in words[part]])
        new = np.array([after.row(word) for word in words[part]])
        same = (before.vectors[old] == after.vectors[new]).all(axis=1)
        unchanged += int(same.sum())
        units = before.unit_rows(old), after.unit_rows(new)
        # The cosine of a vector with itself is rounded, but of some zero vectors it is 0.
        cosines[part] = np.einsum("ij,ij->i", *units, dtype=np.float64)
        cosines[part][same & (cosines[part] > 0)] = 1
    np.clip(cosines, -1.0, 1.0, out=cosines)
    order = np.argsort(cosines, kind="stable")[:LISTED]
    return Movement(
        len(words),
        unchanged,
        float(cosines.mean()),
        float(np.median(cosines)),
        float(cosines.min()),
        [(words[row], float(cosines[row])) for row in order.tolist()],
    )
