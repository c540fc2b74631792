"""Compiled functions that find and combine the rows of a model that workers have changed."""

import numpy as np
from numpy.typing import NDArray

from w2v.engines.compiled.functions import allocating, compiled

SUM, MEAN, ORTHOGONAL, SEQUENTIAL = 0, 1, 2, 3
"""How `add_changes` treats a row that several workers have changed, numbered as in `COMBINERS`."""

STEEP, FLAT = 0.05, 0.002
"""Measured constants c (see `w2v.cluster.approach`): a loss term such as -log σ(u·v), of an input
and an output vector, has a second derivative of about c |u|² with respect to v. c is `STEEP` in the
direction in which other workers changed their copies of v, `FLAT` in an average direction."""


@allocating
def changed_rows(before: NDArray[np.int32], now: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the indices of the rows in which two matrices differ, ascending: int32 (n,).

    Parameters
    ----------
    before, now : int32 (rows, d)
        Views of two float32 matrices as integers, so that they are compared bit by bit. (As float32
        numbers, 0 would be equal to -0, and NaN would not be equal to itself.)
    """
    found = np.empty(len(before), np.int32)
    n = 0
    for row in range(len(before)):
        different = np.int32(0)
        for k in range(before.shape[1]):
            different |= before[row, k] ^ now[row, k]
        if different != 0:
            found[n] = row
            n += 1
    return found[:n]


@compiled
def add_changes(
    total: NDArray[np.float32],
    times: NDArray[np.int32],
    places: NDArray[np.int32],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    how: int,
    approach: NDArray[np.float32],
) -> None:
    """Add one worker's changes of rows to the combined changes of the workers added before it.

    The change of a row is its value after the worker's training minus its value before. The method
    `how` says what is added:

    - `SUM`, `MEAN`: the whole change. (For `MEAN`, `scale_changes` divides the sum.)
    - `ORTHOGONAL`: only the part of the change that is orthogonal to the row's combined change.
    - `SEQUENTIAL`: the orthogonal part, plus ``exp(-STEEP * times * approach)`` times the part
      parallel to the combined change.

    Parameters
    ----------
    total : float32 (rows, d)
        The combined changes so far; updated.
    times : int32 (rows,)
        The number of workers that have changed each row so far; updated.
    places : int32 (n,)
        The indices of the rows that this worker changed.
    before, after : float32 (n, d)
        These rows before and after the worker's training.
    approach : float32 (rows,)
        For `SEQUENTIAL`: how close one worker brings each row to its optimum, 0 (not at all) or
        more (`w2v.cluster.approach`).
    """
    dim = total.shape[1]
    for i in range(len(places)):
        place = places[i]
        share = np.float32(0)
        if how >= ORTHOGONAL and times[place] > 0:
            product, square = np.float32(0), np.float32(0)
            for k in range(dim):
                product += total[place, k] * (after[i, k] - before[i, k])
                square += total[place, k] * total[place, k]
            if square > 0:
                share = product / square
            if how == SEQUENTIAL:
                share *= np.float32(1 - np.exp(-times[place] * STEEP * approach[place]))
        for k in range(dim):
            total[place, k] += after[i, k] - before[i, k] - share * total[place, k]
        times[place] += 1


@compiled
def scale_changes(
    total: NDArray[np.float32],
    times: NDArray[np.int32],
    how: int,
    approach: NDArray[np.float32],
) -> None:
    """Scale the combined changes of each row after the changes of all workers have been added.

    If n workers changed the row, `MEAN` divides by n. `SEQUENTIAL` divides by a number from 1 (if
    `approach` is 0) to almost n (if `approach` is large).

    Parameters
    ----------
    total : float32 (rows, d)
        The combined changes; updated.
    times : int32 (rows,)
        The number of workers that have changed each row.
    how
        `MEAN` or `SEQUENTIAL`.
    approach : float32 (rows,)
        For `SEQUENTIAL`: how close one worker brings each row to its optimum, 0 (not at all) or
        more (`w2v.cluster.approach`).
    """
    for row in range(len(total)):
        factor = 1.0 / times[row]
        if how == SEQUENTIAL:
            way = FLAT * approach[row] + 1e-9
            factor = np.expm1(-times[row] * way) / (times[row] * np.expm1(-way))
        for k in range(total.shape[1]):
            total[row, k] *= np.float32(factor)
