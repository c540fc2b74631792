"""The character n-grams of a vocabulary, hashed as in fastText, for training with subwords."""

from collections.abc import Sequence

import numpy as np

from w2v.objectives import Architecture
from w2v.sums import Sums
from w2v.vectors.ngrams import END_OF_SENTENCE, WORDS_AT_A_TIME, ngram_hashes


def subword_sums(words: Sequence[str] | None, architecture: Architecture) -> Sums:
    """Return, for each word, the rows of the input matrix whose mean is the vector of the word.

    For word number w of the V words, they are row w and, for each character n-gram of the word, row
    V + (hash modulo ``architecture.buckets``). An n-gram that occurs twice in a word counts twice.
    As in fastText, ``</s>`` has no n-grams.

    The gradient of a word is multiplied by a factor (`Sums.shares`) to get that of each of its
    rows. The factor is the weight of the row in the mean if ``architecture.subword_gradient`` is
    ``"exact"``; otherwise it is 1, as in fastText.

    Raises
    ------
    ValueError
        `words` is None.
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
