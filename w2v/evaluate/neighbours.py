"""Words to look at: neighbours, how stable they are, and a plane to see them on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.vectors import WordVectors

# Long function words of English, which would crowd out the words that say something.
_FUNCTION_WORDS = frozenset(
    """about above after again also although another because been before being below between
    both cannot could does doing down during each either even every except from further have
    having here hers herself himself however instead into itself just like made make many more
    most much must myself neither only other others otherwise ours over rather same shall
    should since some such than that their theirs them themselves then there therefore these
    they this those though through thus toward under unless until upon very were what whatever
    when whenever where whereas whether which while whom whose will with within without would
    your yours yourself""".split()  # noqa: SIM905 (a list of 90 quoted words reads worse)
)


class Neighbour(NamedTuple):
    """`neighbour` is the word with the rank-th largest cosine (from 1) with `word`."""

    word: str
    rank: int
    neighbour: str
    cosine: float


class Overlap(NamedTuple):
    """The share of a word's nearest neighbours that two sets of vectors have in common."""

    word: str
    overlap: float


def neighbours(vectors: WordVectors, words: Sequence[str], k: int) -> list[Neighbour]:
    """The k nearest words of each word, as rows in the order of `words`.

    Raises
    ------
    InputError
        A word without a vector, k below 1.
    """
    return [
        Neighbour(word, rank, neighbour, cosine)
        for word in words
        for rank, (neighbour, cosine) in enumerate(vectors.nearest(word, k), start=1)
    ]


def probe_words(vectors: WordVectors, n: int) -> list[str]:
    """Choose words to look at: from frequent to middling, evenly spaced by log rank.

    Words of four letters or more count; numbers, anything else with other signs than letters,
    and the longer function words of English do not.

    Returns
    -------
    list of str
        n words, the most frequent first, or all that count where there are fewer.
    """
    words = [
        word
        for word in (vectors.words[row] for row in vectors.by_frequency)
        if len(word) >= 4 and word.isalpha() and word.lower() not in _FUNCTION_WORDS
    ]
    # Further down even large corpora show a word a few times only.
    words = words[: max(n, len(words) // 5)]
    if n >= len(words):
        return words
    ranks = np.geomspace(max(1, len(words) // 20), len(words), n).astype(int) - 1
    for index in range(1, n):  # where ranks crowd, move on to the next free one
        ranks[index] = max(ranks[index], ranks[index - 1] + 1)
    ranks = np.minimum(ranks, len(words) - n + np.arange(n))
    return [words[rank] for rank in ranks]


def project_2d(vectors: WordVectors, words: Sequence[str]) -> NDArray[np.float64]:
    """Project words' vectors on their first two principal components.

    Returns
    -------
    ndarray
        (n, 2), centred. The sign of a component is such that the coordinate of largest size is
        positive. Components that n words or d dimensions do not have are 0.

    Raises
    ------
    InputError
        A word without a vector.
    """
    rows = [vectors.row(word) for word in words]
    chosen = vectors.vectors[rows].astype(np.float64)
    xy = np.zeros((len(rows), 2))
    if len(rows) == 0:
        return xy
    left, singular, _ = np.linalg.svd(chosen - chosen.mean(axis=0), full_matrices=False)
    shown = min(2, len(singular))
    xy[:, :shown] = left[:, :shown] * singular[:shown]
    largest = xy[np.abs(xy).argmax(axis=0), np.arange(2)]
    return xy * np.where(largest < 0, -1.0, 1.0)


def neighbour_overlap(
    vectors: WordVectors, other: WordVectors, k: int = 10, limit: int = 30_000, words: int = 1000
) -> list[Overlap]:
    """How far two sets of vectors, as of two seeds, agree on the neighbours of words.

    Neighbours are sought among the words of both sets, so that words which one of them lacks do
    not count as disagreement.

    Parameters
    ----------
    k
        Neighbours of a word; all others where there are fewer.
    limit
        Only so many shared words, the most frequent ones of `vectors`, are looked at.
    words
        So many of them are asked about, evenly spaced by frequency rank.

    Raises
    ------
    InputError
        Fewer than two words are shared.

    References
    ----------
    Wendlandt, Kummerfeld, Mihalcea (2018), Factors influencing the surprising instability of
    word embeddings.
    """
    shared = [vectors.words[row] for row in vectors.by_frequency if vectors.words[row] in other]
    shared = shared[:limit]
    if len(shared) < 2:
        raise InputError(
            f"{len(shared)} of {len(vectors):,} words have vectors in both sets; "
            "neighbours compare among at least 2"
        )
    k = min(k, len(shared) - 1)
    asked = np.unique(np.linspace(0, len(shared) - 1, min(words, len(shared))).astype(np.intp))
    ours, theirs = (
        _nearest(each.unit_rows([each.row(word) for word in shared]), asked, k)
        for each in (vectors, other)
    )
    return [
        Overlap(shared[row], len(set(a) & set(b)) / k)
        for row, a, b in zip(asked, ours.tolist(), theirs.tolist(), strict=True)
    ]


def _nearest(unit: NDArray[np.float32], asked: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """The k rows nearest to each row asked about, itself left out: (asked, k), in any order."""
    found = np.empty((len(asked), k), dtype=np.intp)
    block = max(1, _COSINES // len(unit))
    for start in range(0, len(asked), block):
        rows = asked[start : start + block]
        cosines = unit[rows] @ unit.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        found[start : start + block] = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    return found


_COSINES = 1 << 22
"""Cosines held at a time."""
