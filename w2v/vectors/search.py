"""Nearest-neighbor search by cosine, for many query vectors at a time."""

import numpy as np
from numpy.typing import NDArray

MAX_COSINES = 1 << 22
"""Cosines held in memory at a time: 16 MiB of float32."""


def top_k(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Find the k largest scores of each row.

    Parameters
    ----------
    scores
        (n, m), without NaN.
    k
        The number of scores to find, from 1 to m.

    Returns
    -------
    (n, k) intp
        Column indices, the largest score first. Of equal scores, the one in the lower column comes
        first, so that the result is deterministic.
    """
    # Select all scores that equal the k-th largest, because np.partition picks any of them.
    kth = np.partition(scores, -k, axis=1)[:, -k]
    row, column = np.divmod(np.flatnonzero(scores >= kth[:, None]), scores.shape[1])
    order = np.lexsort((column, -scores[row, column], row))
    row, column = row[order], column[order]
    first = np.searchsorted(row, np.arange(len(scores)))
    found: NDArray[np.intp] = column[first[:, None] + np.arange(k)]
    return found


def nearest_rows(
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32],
    k: int,
    excluded: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Find the k candidates nearest by cosine to each query.

    Parameters
    ----------
    queries
        (n, d), query vectors, each of length 1 or zero.
    candidates
        (m, d), candidate vectors, each of length 1 or zero.
    k
        The number of neighbors per query, at most m - 1.
    excluded
        (n,), for each query a row of `candidates` that is not returned, usually the query itself;
        -1 to exclude none.

    Returns
    -------
    rows : (n, k) intp
        Rows of `candidates`, the nearest first; of equally near ones, the lower row first.
    cosines : (n, k) float32
        The cosine of each.
    """
    rows = np.empty((len(queries), max(k, 0)), dtype=np.intp)
    cosines = np.empty(rows.shape, dtype=np.float32)
    if k < 1:
        return rows, cosines
    batch = max(1, MAX_COSINES // len(candidates))
    for start in range(0, len(queries), batch):
        part = slice(start, start + batch)
        scores = queries[part] @ candidates.T
        known = np.flatnonzero(excluded[part] >= 0)
        scores[known, excluded[part][known]] = -np.inf
        rows[part] = top_k(scores, k)
        cosines[part] = np.take_along_axis(scores, rows[part], axis=1)
    return rows, np.clip(cosines, -1.0, 1.0)
