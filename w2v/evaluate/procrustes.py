"""Rotate sets of word vectors to agree as closely as possible: orthogonal Procrustes alignment.

The vectors of one training run can be compared with those of another only after a rotation, because
the loss does not change if all vectors of a run are rotated. A rotation may include a reflection
here.

References
----------
P. Schönemann (1966), A generalized solution of the orthogonal Procrustes problem. J. Gower (1975),
Generalized Procrustes analysis.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError

ROUNDS = 3
"""How often the common mean is computed from the rotated sets, before the final rotations."""


def rotation(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the orthogonal matrix R that minimizes the sum of squares of ``source @ R - target``.

    Parameters
    ----------
    source, target : (n, d)
        Vectors of the same n words.

    Returns
    -------
    float64 (d, d)
        A rotation, or a rotation with a reflection.

    References
    ----------
    P. Schönemann (1966), A generalized solution of the orthogonal Procrustes problem.
    """
    left, _, right = np.linalg.svd(source.astype(np.float64).T @ target.astype(np.float64))
    found: NDArray[np.float64] = left @ right
    return found


def align(
    sets: Sequence[NDArray[np.float32]], anchors: NDArray[np.intp]
) -> list[NDArray[np.float32]]:
    """Rotate several sets of vectors of the same V words to agree with their common mean.

    Parameters
    ----------
    sets
        The sets, float32 (V, d) each.
    anchors
        The indices, int (k,), of the words from which the rotations are computed.

    Returns
    -------
    list of float32 (V, d)
        The rotated sets, with all words.

    Raises
    ------
    InputError
        The sets have vectors of different dimensions.

    References
    ----------
    J. Gower (1975), Generalized Procrustes analysis.
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
