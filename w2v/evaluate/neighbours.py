"""Nearest neighbors of words, and the share of them that different runs have in common."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.ensemble import HasVectors, vectors_of
from w2v.settings import check_whole
from w2v.vectors import WordVectors
from w2v.vectors.nearest import nearest_rows

# Frequent function words of four letters or more; their neighbors say little about the vectors.
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
    """A word, one of its nearest neighbors, and their cosine; the nearest neighbor has rank 1."""

    word: str
    rank: int
    neighbour: str
    cosine: float


class Overlap(NamedTuple):
    """A word and the share of its nearest neighbors that two sets of vectors have in common."""

    word: str
    overlap: float


def neighbours(vectors: WordVectors | HasVectors, words: Sequence[str], k: int) -> list[Neighbour]:
    """Return the k nearest neighbors of each word, in the order of `words`.

    If there are fewer than k other words, all of them are returned. `vectors` may be a trained
    model.

    Raises
    ------
    InputError
        `vectors` has no vectors, a word has no vector, or k < 1.
    """
    nearest = vectors_of("vectors", vectors).nearest
    return [
        Neighbour(word, rank, neighbour, cosine)
        for word in words
        for rank, (neighbour, cosine) in enumerate(nearest(word, k), start=1)
    ]


def probe_words(vectors: WordVectors, n: int) -> list[str]:
    """Choose n words whose nearest neighbors are worth inspecting; the most frequent comes first.

    Suitable words have at least four letters and no other characters, and are not English function
    words. The words are chosen from the most frequent fifth of the suitable words, without the most
    frequent twentieth of this fifth, and are about evenly spaced by the logarithm of the frequency
    rank. If this fifth has at most n words, the n most frequent suitable words are chosen; fewer if
    fewer words are suitable.
    """
    words = [
        word
        for word in (vectors.words[row] for row in vectors.by_frequency)
        if len(word) >= 4 and word.isalpha() and word.lower() not in _FUNCTION_WORDS
    ]
    # Rarer words have too few examples for good vectors, even in large corpora.
    words = words[: max(n, len(words) // 5)]
    if n >= len(words):
        return words
    ranks = np.geomspace(max(1, len(words) // 20), len(words), n).astype(int) - 1
    for index in range(1, n):  # move repeated ranks to the next free ones
        ranks[index] = max(ranks[index], ranks[index - 1] + 1)
    ranks = np.minimum(ranks, len(words) - n + np.arange(n))
    return [words[rank] for rank in ranks]


def neighbour_rows(
    vectors: WordVectors, words: Sequence[str], k: int, vocabulary: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Find the k nearest neighbors of n words by cosine, among the most frequent words.

    Parameters
    ----------
    k
        The number of neighbors per word; reduced to the number of candidates minus 1 if larger.
    vocabulary
        Only this many of the most frequent words are candidates. A word is not its own neighbor.

    Returns
    -------
    rows : intp (n, k)
        The neighbors' rows in `vectors`, the nearest first. Of equally near words, the more
        frequent one comes first (up to rounding).
    cosines : float32 (n, k)
        The cosine of each word with each of its neighbors.

    Raises
    ------
    InputError
        A word has no vector, or a vector contains NaN or an infinity.
    """
    candidates = vectors.by_frequency[:vocabulary]
    place = np.full(len(vectors), -1, dtype=np.intp)
    place[candidates] = np.arange(len(candidates))
    asked = np.array([vectors.row(word) for word in words], dtype=np.intp)
    k = min(k, len(candidates) - 1)
    unit = vectors.unit
    near, cosines = nearest_rows(unit[asked], unit[candidates], k, place[asked])
    return candidates[near], cosines


def neighbour_overlap(
    vectors: WordVectors | HasVectors,
    other: WordVectors | HasVectors,
    k: int = 10,
    limit: int = 30_000,
    words: int = 1000,
) -> list[Overlap]:
    """Return the share of nearest neighbors that two sets of vectors have in common, by word.

    Only words in both vocabularies are used. The result has the most frequent word first.

    Parameters
    ----------
    vectors, other
        The two sets of word vectors, or trained models. Their words may be in different order.
    k
        The number of neighbors per word; fewer if there are not enough other words.
    limit
        Only this many of the common words can be neighbors: those most frequent in `vectors`.
    words
        The neighbors of at most this many of these words, evenly spaced by frequency rank, are
        compared.

    Raises
    ------
    InputError
        A set has no vectors; `k`, `limit` or `words` is no whole number of at least 1 (`limit`: 2);
        the sets have fewer than two common words; or a vector that is used contains NaN or an
        infinity.

    References
    ----------
    Wendlandt, Kummerfeld, Mihalcea (2018), Factors influencing the surprising instability of word
    embeddings.
    """
    _check_sizes(k, limit, words)
    vectors, other = vectors_of("vectors", vectors), vectors_of("other", other)
    shared = [vectors.words[row] for row in vectors.by_frequency if vectors.words[row] in other]
    shared = shared[:limit]
    if len(shared) < 2:
        raise InputError(
            f"{len(shared)} of {len(vectors):,} words have vectors in both sets; "
            "neighbours compare among at least 2"
        )
    k = min(k, len(shared) - 1)
    compared = np.unique(np.linspace(0, len(shared) - 1, min(words, len(shared))).astype(np.intp))
    found = []
    for each in (vectors, other):
        unit = each.unit_rows([each.row(word) for word in shared])
        found.append(nearest_rows(unit[compared], unit, k, compared)[0])
    shares = common_share(*found)
    return [
        Overlap(shared[row], share) for row, share in zip(compared, shares.tolist(), strict=True)
    ]


def _check_sizes(k: int, limit: int, words: int) -> None:
    check_whole("k", k)
    check_whole("limit", limit, 2)
    check_whole("words", words)


def common_share(one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return, for each i, the share of entries of the row ``one[i]`` that ``other[i]`` has, too.

    Parameters
    ----------
    one, other
        Arrays (n, k) without repeated entries in a row, such as the nearest neighbors of n words in
        two sets of vectors.

    Returns
    -------
    float64 (n,)
        From 0 to 1.
    """
    common = np.zeros(len(one), np.intp)
    for column in other.T:  # at most one entry of a row equals it
        common += (one == column[:, None]).any(axis=1)
    shares: NDArray[np.float64] = common / one.shape[1]
    return shares


def mean_neighbour_overlap(
    runs: Iterable[WordVectors | HasVectors], k: int = 10, limit: int = 30_000, words: int = 500
) -> float | None:
    """Return the share of nearest neighbors that two runs have in common, averaged over words.

    For more than two runs, the share is also averaged over all pairs of runs. The result is None
    for fewer than two runs, for runs of fewer than two words, or if the words of the runs or their
    order differ.

    Parameters
    ----------
    runs
        The vectors, or the trained models, of runs with different seeds. They are used one at a
        time, so a generator can load each when it is needed.
    k
        The number of neighbors per word; fewer if there are not enough other words.
    limit
        Only this many words, the first ones, can be neighbors. Words should be in order of falling
        frequency.
    words
        The neighbors of this many words, the first ones, are compared.

    Raises
    ------
    InputError
        A run has no vectors; `k`, `limit` or `words` is no whole number of at least 1 (`limit`: 2);
        or a vector contains NaN or an infinity.

    References
    ----------
    Wendlandt, Kummerfeld, Mihalcea (2018), Factors influencing the surprising instability of word
    embeddings.
    """
    _check_sizes(k, limit, words)
    found = []
    vocabulary: list[str] | None = None
    for vectors in (vectors_of("runs", run) for run in runs):
        if len(vectors) < 2 or (vocabulary is not None and list(vectors.words) != vocabulary):
            return None
        vocabulary = list(vectors.words)
        unit = vectors.unit[:limit]
        rows = np.arange(min(words, len(unit)))
        found.append(nearest_rows(unit[rows], unit, min(k, len(unit) - 1), rows)[0])
    shares = [common_share(one, other) for one, other in itertools.combinations(found, 2)]
    return float(np.mean(shares)) if shares else None
