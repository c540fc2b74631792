"""Find the words or vectors nearest to queries, by cosine."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v.errors import InputError
from w2v.vectors.cosines import direction, directions_of
from w2v.vectors.lookup import word_list

if TYPE_CHECKING:
    from w2v.vectors.vectors import WordVectors

MAX_COSINES = 1 << 22
"""Cosines held in memory at a time: 16 MiB of float32."""


class Query(NamedTuple):
    """A query for the nearest words.

    Attributes
    ----------
    direction : float64 (d,)
        The vector of the query, scaled to length 1 unless it is zero.
    excluded : set of int
        The rows of the words in the query, which are never answers.
    """

    direction: NDArray[np.float64]
    excluded: set[int]


def make_query(
    vectors: "WordVectors",
    query: str | Sequence[str] | ArrayLike,
    minus: str | Sequence[str] = (),
) -> Query:
    """Make a `Query` from the arguments `query` and `minus` of `WordVectors.nearest`.

    The vectors of the words of `query` are scaled to length 1 and added, and those of `minus` are
    scaled to length 1 and subtracted; `Query.direction` is this sum, scaled to length 1 unless it
    is zero. A query that is a vector is treated like the vector of a word.

    Raises
    ------
    InputError
        A word has no vector, or the query is neither words nor d finite numbers.
    """
    negative = [minus] if isinstance(minus, str) else word_list("minus", minus, least=0)
    positive = _words_of(query, len(negative) > 0)
    if positive is None:
        vector = direction(_numbers(query, vectors.dimensions))
    elif positive:
        vector = directions_of(vectors, positive).sum(axis=0)
    else:
        vector = np.zeros(vectors.dimensions)
    if negative:
        vector = vector - directions_of(vectors, negative).sum(axis=0)
    words = [*(positive or ()), *negative]
    return Query(direction(vector), {vectors.row(word) for word in words if word in vectors})


def _words_of(query: object, may_be_empty: bool) -> list[str] | None:
    """Return the words of a query of `WordVectors.nearest`; None if the query is not words.

    Parameters
    ----------
    may_be_empty
        What to return if `query` is an empty list: an empty list if True, None if False.
    """
    if isinstance(query, str):
        return [query]
    given = np.asarray(query if hasattr(query, "__len__") else None, dtype=object)
    if given.ndim == 1 and given.size and all(isinstance(word, str) for word in given):
        return [str(word) for word in given]
    return [] if may_be_empty and given.shape == (0,) else None


def _numbers(query: object, dimensions: int) -> NDArray[np.float64]:
    """Convert a query of `WordVectors.nearest` that is a vector of numbers to float64 (d,).

    Raises
    ------
    InputError
        The query is not a vector of d = `dimensions` finite numbers.
    """
    try:
        vector = np.asarray(query, dtype=np.float64)
    except (TypeError, ValueError):
        vector = np.empty(())
    if vector.ndim == 0:
        raise InputError(
            f"the query is {query!r:.60}; a word, a list of words, or a vector of "
            f"{dimensions} numbers is needed"
        )
    if vector.shape != (dimensions,):
        raise InputError(f"a vector of shape {vector.shape} was given; these have ({dimensions},)")
    if not np.isfinite(vector).all():
        raise InputError("the vector holds NaN or an infinity")
    return vector


def possible_answers(
    vectors: "WordVectors", k: int, among: Sequence[str] | None, min_count: int | None
) -> tuple[int, NDArray[np.intp] | None]:
    """Check arguments of `WordVectors.nearest`, and return which words can be answers.

    `k` is the number of answers. Only the words `among` (None: all words) can be answers, and only
    words that occur at least `min_count` times in the corpus (None: any number of times).

    Returns
    -------
    k : int
        `k` as an int.
    rows : intp (n,) or None
        The rows of the words that can be answers, ascending; None: all words.

    Raises
    ------
    InputError
        An argument is not allowed, a word of `among` is not one of the words of `vectors`, or
        counts are needed and unknown.
    """
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise InputError(f"k={k!s:.40}: at least 1 neighbour must be asked for")
    if among is None and min_count is None:
        return int(k), None
    rows = None
    if among is not None:
        rows = np.unique([vectors.row(word) for word in word_list("among", among)]).astype(np.intp)
    if min_count is not None:
        if vectors.counts is None:
            raise InputError(f"min_count={min_count}: needs counts; the vectors have none")
        if not isinstance(min_count, int | np.integer) or min_count < 0:
            raise InputError(f"min_count={min_count!r:.40}: must be a whole number, at least 0")
        frequent = vectors.counts >= min_count
        rows = np.flatnonzero(frequent) if rows is None else rows[frequent[rows]]
    return int(k), rows


def nearest_words(
    words: Sequence[str],
    cosines_of: Callable[[NDArray[np.float32], NDArray[np.intp] | None], NDArray[np.float32]],
    queries: Sequence[Query],
    k: int,
    rows: NDArray[np.intp] | None = None,
) -> list[list[tuple[str, float]]]:
    """Return the k words nearest by cosine to each query, except words that the query excludes.

    Parameters
    ----------
    cosines_of
        A function of n vectors of length 1 or zero, float32 (n, d), and of the rows of m words
        (None: all words). It returns the cosines of vectors and words, float32 (n, m), in a new
        array, because `nearest_words` overwrites it.
    k
        The number of words per query, at least 1.
    rows
        The rows of the words that can be answers, ascending; None: all words.

    Returns
    -------
    list of lists of (word, cosine)
        A list for each query, the largest cosine first; of equal cosines, the lower row first. A
        list is shorter than k if there are fewer possible answers.
    """
    found: list[list[tuple[str, float]]] = []
    size = len(words) if rows is None else len(rows)
    if size == 0:
        return [[] for _ in queries]
    step = max(1, MAX_COSINES // size)
    for start in range(0, len(queries), step):
        directions, excluded = zip(*queries[start : start + step], strict=True)
        cosines = cosines_of(np.array(directions, np.float32), rows)
        counts = []
        for one, given in zip(cosines, excluded, strict=True):
            out = np.array([*given], np.intp)
            if rows is not None:
                place = np.minimum(np.searchsorted(rows, out), size - 1)
                out = place[rows[place] == out]
            one[out] = -np.inf
            counts.append(size - len(out))
        best = top_k(cosines, min(k, size))
        values = np.take_along_axis(cosines, best, axis=1).tolist()
        chosen = (best if rows is None else rows[best]).tolist()
        for places, scores, count in zip(chosen, values, counts, strict=True):
            pairs = zip(places[:count], scores[:count], strict=True)
            found.append([(words[row], score) for row, score in pairs])
    return found


def top_k(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Return the columns of the k largest scores of each row.

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
    queries, candidates
        (n, d) and (m, d), vectors of length 1 or zero.
    k
        The number of neighbors per query, from 0 to m - 1.
    excluded
        (n,), for each query a row of `candidates` that is not returned, usually the query itself;
        -1: none.

    Returns
    -------
    rows : (n, k) intp
        Rows of `candidates`, the nearest first; of equally near ones, the lower row first, up to
        the rounding of the matrix product.
    cosines : (n, k) float32
        The cosines of queries and neighbors.
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
