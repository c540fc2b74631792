"""The vectors of a few words, their lengths and directions, and the cosines between them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.vectors.lookup import word_list

if TYPE_CHECKING:
    from w2v.vectors.vectors import WordVectors


def similarity(vectors: "WordVectors", a: str | Sequence[str], b: str | Sequence[str]) -> float:
    """Return the cosine between the vectors of `a` and `b`, each a word or a list of words.

    The vector of a list is the mean of the vectors of its words. The cosine is 0 if one of the two
    vectors is zero.

    Raises
    ------
    InputError
        A word has no vector or one that is not finite, or a list is empty.
    """
    if isinstance(a, str) and isinstance(b, str) and vectors.subwords is None:  # the quick way
        x = vectors.vectors[vectors.row(a)].astype(np.float64)
        y = vectors.vectors[vectors.row(b)].astype(np.float64)
        squares = float(x @ x) * float(y @ y)
        if 0.0 < squares < math.inf:
            return min(1.0, max(-1.0, float(x @ y) / math.sqrt(squares)))
    sets = ([s] if isinstance(s, str) else word_list(n, s) for n, s in (("a", a), ("b", b)))
    both = [vectors_of(vectors, words) for words in sets]
    one, other = (given[0] if len(given) == 1 else given.mean(axis=0) for given in both)
    lengths = math.sqrt(one @ one) * math.sqrt(other @ other)
    return min(1.0, max(-1.0, float(one @ other) / lengths)) if lengths else 0.0


def odd_one_out(vectors: "WordVectors", words: Sequence[str]) -> str:
    """Return the one of `words` that is least similar to the others.

    It has the smallest cosine with the mean of the vectors of `words`, each scaled to length 1.

    Raises
    ------
    InputError
        A word has no vector or one that is not finite, or there are fewer than three words.
    """
    given = word_list("words", words)
    if len(given) < 3:
        raise InputError(f"words={given!r:.60}: must be at least three words")
    directions = directions_of(vectors, given)
    return given[int(np.argmin(directions @ directions.sum(axis=0)))]


def vectors_of(vectors: "WordVectors", words: Sequence[str]) -> NDArray[np.float64]:
    """Return the vectors of words: float64 (n, d).

    Raises
    ------
    InputError
        A word has no vector, or its vector is not finite.
    """
    chosen: NDArray[np.float64]
    if vectors.subwords is not None:
        chosen = np.array([vectors[word] for word in words], np.float64)
    elif len(words) == 1:
        chosen = vectors.vectors[vectors.row(words[0])].astype(np.float64)[np.newaxis]
    else:
        chosen = vectors.vectors[[vectors.row(word) for word in words]].astype(np.float64)
    refuse_not_finite(words, chosen)
    return chosen


def refuse_not_finite(words: Sequence[str], chosen: NDArray[np.floating]) -> None:
    """Raise an `InputError` if a row of `chosen`, (n, d), contains NaN or an infinity.

    Row i is the vector of ``words[i]``; the message names the word of the first such row.
    """
    if not math.isfinite(chosen.sum()):  # NaN and infinities stay in a sum
        finite = np.isfinite(chosen).all(axis=1)
        word = words[int(np.argmin(finite))]
        raise InputError(f"the vector of {word!r} holds NaN or an infinity")


def directions_of(vectors: "WordVectors", words: Sequence[str]) -> NDArray[np.float64]:
    """Return the vectors of words, scaled to length 1: float64 (n, d).

    Zero vectors stay zero.

    Raises
    ------
    InputError
        A word has no vector, or its vector is not finite.
    """
    chosen = vectors_of(vectors, words)
    norms = np.sqrt(np.einsum("ij,ij->i", chosen, chosen))
    norms[norms == 0.0] = 1.0
    chosen /= norms[:, np.newaxis]
    return chosen


def direction(vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a vector scaled to length 1; a zero vector stays zero."""
    largest = np.abs(vector).max(initial=0.0)
    if largest == 0.0:
        return vector.astype(np.float64)
    scaled = vector / np.float64(largest)  # keeps the squares from overflowing
    unit: NDArray[np.float64] = scaled / np.linalg.norm(scaled)
    return unit


def lengths(vectors: "WordVectors", rows: NDArray[np.intp] | slice) -> NDArray[np.float64]:
    """Return the Euclidean lengths of the vectors in some rows: float64 (rows,).

    Raises
    ------
    InputError
        One of these vectors contains NaN or an infinity.
    """
    chosen = vectors.vectors[rows]
    found: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", chosen, chosen, dtype=np.float64))
    if not np.isfinite(found).all():
        place = int(np.flatnonzero(~np.isfinite(found))[0])
        word = vectors.words[np.arange(len(vectors))[rows][place]]
        raise InputError(f"the vector of {word!r} holds NaN or an infinity")
    return found
