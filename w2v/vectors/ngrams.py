"""Character n-grams of words (subwords): fastText's hashes of them, and vectors made from them.

References
----------
Bojanowski, Grave, Joulin, Mikolov (2017), Enriching Word Vectors with Subword Information.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

END_OF_SENTENCE = b"</s>"
"""The word that stands for the end of a line in fastText; it has no n-grams."""

WORDS_AT_A_TIME = 1 << 14
"""The number of words whose n-grams are in memory at a time."""

GATHERED = 1 << 22
"""How many float32 numbers of n-gram vectors are copied at a time, at most, to compute means."""

FNV_OFFSET, PRIME = np.uint32(2166136261), np.uint32(16777619)


class Subwords(NamedTuple):
    """The character n-grams of a model with subwords, as in fastText, and their vectors.

    Attributes
    ----------
    rows : float32 (buckets, d)
        The vectors of n-grams. Row i is that of all n-grams whose hash is i modulo ``buckets``.
    shortest, longest
        The smallest and the largest length of n-grams, in characters. A word is enclosed in angle
        brackets, as ``<word>``, before n-grams are taken.
    encoding
        The character encoding, such as ``utf-8``, in which words are converted to bytes before
        their n-grams are hashed.
    """

    rows: NDArray[np.float32]
    shortest: int
    longest: int
    encoding: str = "utf-8"

    def means(
        self, words: Sequence[bytes], own: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """For each word, average its n-gram vectors and, if `own` is given, its vector in `own`.

        Parameters
        ----------
        words
            The words as bytes, in the encoding of the model (the attribute `encoding`).
        own : float32 (words, d)
            For each word, a vector that is included in the mean. The array is overwritten with the
            means and returned. None: the mean is that of the n-gram vectors only.

        Returns
        -------
        float32 (words, d)
            The means; zero for a word without n-grams, if `own` is None.
        """
        dim = self.rows.shape[1]
        means = np.zeros((len(words), dim), np.float32) if own is None else own
        for start in range(0, len(words), WORDS_AT_A_TIME):
            part = slice(start, start + WORDS_AT_A_TIME)
            means[part] = self._means(words[part], means[part], own is not None)
        return means

    def own(self, words: Sequence[bytes], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute the row of each word in fastText's input matrix, to write a model of fastText.

        In fastText, the vector of a word is the mean of this row and of the vectors of the word's
        n-grams. The row is chosen such that this mean is the word's vector in `vectors`.

        Parameters
        ----------
        words
            The words as bytes, in the encoding of the model (the attribute `encoding`).
        vectors : float32 (words, d)
            The vector of each word.

        Returns
        -------
        float64 (words, d)
        """
        encoded = [word for word in words if word != END_OF_SENTENCE]
        _, owners = ngram_hashes(encoded, self.shortest, self.longest)
        counts = np.zeros(len(words))
        with_ngrams = np.flatnonzero([word != END_OF_SENTENCE for word in words])
        counts[with_ngrams] = np.bincount(owners, minlength=len(encoded))
        sums = self.means(words).astype(np.float64) * counts[:, np.newaxis]
        return vectors * (counts[:, np.newaxis] + 1) - sums

    def _means(
        self, words: Sequence[bytes], own: NDArray[np.float32], counts: bool
    ) -> NDArray[np.float64]:
        """For each word, average its n-gram vectors and its vector in `own`: float64 (words, d).

        The hashes of all n-grams are in memory at the same time, so there must be few words.

        Parameters
        ----------
        words
            The words as bytes, in the encoding of the model (the attribute `encoding`).
        own : float32 (words, d)
            For each word, one more vector, which is added to the sum of its n-gram vectors.
        counts
            Whether the mean counts the vector in `own`. If False, `own` must be zero.
        """
        sums, parts = own.astype(np.float64), np.full(len(words), counts, np.intp)
        with_ngrams = [row for row, word in enumerate(words) if word != END_OF_SENTENCE]
        hashes, owners = ngram_hashes(
            [words[row] for row in with_ngrams], self.shortest, self.longest
        )
        owners = np.array(with_ngrams, np.intp)[owners]
        step = max(1, GATHERED // own.shape[1])
        for begin in range(0, len(hashes), step):
            rows = self.rows[hashes[begin : begin + step] % np.uint32(len(self.rows))]
            mine = owners[begin : begin + step]
            borders = np.flatnonzero(np.diff(mine, prepend=-1))
            sums[mine[borders]] += np.add.reduceat(rows, borders, axis=0, dtype=np.float64)
            np.add.at(parts, mine, 1)
        sums /= np.maximum(parts, 1)[:, np.newaxis]
        return sums


def ngram_hashes(
    words: Sequence[bytes], shortest: int, longest: int
) -> tuple[NDArray[np.uint32], NDArray[np.intp]]:
    """Return the hashes of the words' character n-grams, as fastText computes them.

    Parameters
    ----------
    words
        The words, as bytes. A character is a byte with the UTF-8 continuation bytes after it.
    shortest, longest
        The smallest and the largest length of n-grams, in characters. A word is enclosed in angle
        brackets, as ``<word>``, before n-grams are taken; a bracket alone is no n-gram.

    Returns
    -------
    hashes : uint32 (n,)
        The FNV-1a hash of each n-gram, computed over signed bytes as in fastText.
    owners : intp (n,)
        The index of the word of each n-gram; the n-grams of a word are consecutive.
    """
    text = np.frombuffer(b"".join(b"<%b>" % word for word in words), np.uint8)
    lengths = np.fromiter((len(word) + 2 for word in words), np.intp, len(words))
    starts = np.flatnonzero((text & 0xC0) != 0x80)  # first bytes of characters
    stops = np.append(starts[1:], len(text))
    owner = np.repeat(np.arange(len(words)), lengths)[starts]
    last = np.searchsorted(owner, owner, side="right")  # the end of each word, in characters
    first = np.searchsorted(owner, owner, side="left")
    hashes = np.full(len(starts), FNV_OFFSET)
    alive = np.arange(len(starts))  # where n-grams of the current length start
    found, owners = [], []
    for length in range(1, min(longest, int((last - first).max(initial=0))) + 1):
        alive = alive[alive + length <= last[alive]]
        place, stop = starts[alive + length - 1], stops[alive + length - 1]
        while len(place):
            more = place < stop
            at = alive[more]
            hashes[at] = (hashes[at] ^ text[place[more]].astype(np.int8).astype(np.uint32)) * PRIME
            place = place + 1
            if not (place < stop).any():
                break
        if length >= shortest:
            kept = alive
            if length == 1:  # "<" and ">" alone are no n-grams
                kept = alive[(alive > first[alive]) & (alive < last[alive] - 1)]
            found.append(hashes[kept])
            owners.append(owner[kept])
    if not found:
        return np.empty(0, np.uint32), np.empty(0, np.intp)
    every = np.concatenate(owners)
    order = np.argsort(every, kind="stable")
    return np.concatenate(found)[order], every[order]
