"""Rotate sets of vectors so that they agree: orthogonal Procrustes alignment.

Two trainings place their words alike only up to a rotation. P. Schönemann (1966), A generalized
solution of the orthogonal Procrustes problem; J. Gower (1975), Generalized Procrustes analysis.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError

ROUNDS = 3
"""How often all sets are rotated towards their mean."""


def rotation(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rotation, (d, d), that takes (n, d) vectors nearest to those of a target.

    It is the orthogonal R, reflections included, with the smallest sum of squares of
    ``source @ R - target``.
    """
    left, _, right = np.linalg.svd(source.astype(np.float64).T @ target.astype(np.float64))
    found: NDArray[np.float64] = left @ right
    return found


def align(
    sets: Sequence[NDArray[np.float32]], anchors: NDArray[np.intp]
) -> list[NDArray[np.float32]]:
    """Rotate sets of vectors of the same words towards their mean.

    Parameters
    ----------
    sets
        (V, d) float32 each.
    anchors
        The rows by which the rotations are chosen.

    Raises
    ------
    InputError
        The sets have vectors of different lengths.
    """
    lengths = sorted({one.shape[1] for one in sets})
    if len(lengths) > 1:
        numbers = " and ".join(map(str, lengths))
        raise InputError(f"vectors of {numbers} numbers cannot be aligned; train with one dim")
    mean = sets[0][anchors].astype(np.float64)
    for _ in range(ROUNDS):
        turned = [one[anchors] @ rotation(one[anchors], mean) for one in sets]
        mean = np.mean(turned, axis=0)
    return [(one @ rotation(one[anchors], mean)).astype(np.float32) for one in sets]
