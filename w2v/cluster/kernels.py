"""Compiled loops over the rows that workers have changed."""

import numpy as np
from numpy.typing import NDArray

from w2v.engines.simd import allocating, compiled

SUM, MEAN, ORTHOGONAL = 0, 1, 2
"""How `add_changes` treats a row that several workers have changed."""


@allocating
def changed_rows(before: NDArray[np.int32], now: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the rows whose bits differ, in their order: int32 (n,).

    Parameters
    ----------
    before, now : int32 (rows, d)
        The bits of float32 numbers: by value, 0 and -0 would be equal and NaN would not.
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
) -> None:
    """Add the changes of one worker to those of the workers before it.

    Parameters
    ----------
    total : float32 (rows, d)
        The combined changes so far; updated. With `MEAN`, their sum.
    times : int32 (rows,)
        How many workers have changed each row so far; updated.
    places : int32 (n,)
        The rows that this worker has changed.
    before, after : float32 (n, d)
        These rows before and after the round.
    how
        With `ORTHOGONAL`, only the part of a change is added that is orthogonal to the changes
        combined before it.
    """
    dim = total.shape[1]
    for i in range(len(places)):
        place = places[i]
        share = np.float32(0)
        if how == ORTHOGONAL and times[place] > 0:
            product, square = np.float32(0), np.float32(0)
            for k in range(dim):
                product += total[place, k] * (after[i, k] - before[i, k])
                square += total[place, k] * total[place, k]
            if square > 0:
                share = product / square
        for k in range(dim):
            total[place, k] += after[i, k] - before[i, k] - share * total[place, k]
        times[place] += 1
