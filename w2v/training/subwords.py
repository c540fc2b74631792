"""The n-grams of a vocabulary, as fastText has them, for training."""

from collections.abc import Sequence

import numpy as np

from w2v.objectives import Architecture
from w2v.sums import Sums
from w2v.vectors.fasttext import END_OF_SENTENCE, WORDS_AT_A_TIME, ngram_hashes


def subword_sums(words: Sequence[str] | None, architecture: Architecture) -> Sums:
    """Return the vector of each word as a mean of rows: its own, then those of its n-grams.

    Row w is word w's own; row V + h belongs to the n-grams whose hash is h, modulo the buckets. An
    n-gram that a word has twice counts twice. As in fastText, ``</s>`` has no n-grams.

    Parameters
    ----------
    words
        V words.
    architecture
        Its lengths of n-grams, its buckets, and who gets which share of the gradient.

    Raises
    ------
    ValueError
        There are no words.
    """
    if words is None:
        raise ValueError("subwords: the words are needed for their n-grams")
    size = len(words)
    encoded = [word.encode("utf-8", "replace") for word in words]
    ids = [np.arange(size, dtype=np.int32)]
    owners = [np.arange(size, dtype=np.intp)]
    for start in range(0, size, WORDS_AT_A_TIME):
        part = encoded[start : start + WORDS_AT_A_TIME]
        hashes, owner = ngram_hashes(part, architecture.min_n, architecture.max_n)
        has_ngrams = np.array([word != END_OF_SENTENCE for word in part])[owner]
        buckets = hashes[has_ngrams] % np.uint32(architecture.buckets)
        ids.append((buckets.astype(np.int64) + size).astype(np.int32))
        owners.append(owner[has_ngrams] + start)
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    lengths = np.bincount(owner, minlength=size)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    weights = np.repeat(1 / lengths, lengths).astype(np.float32)
    exact = architecture.subword_gradient == "exact"
    return Sums(
        np.concatenate(ids)[order], starts, weights, weights if exact else np.ones_like(weights)
    )
