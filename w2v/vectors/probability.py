"""The probability that a model gives to outside words, given center words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from w2v.errors import InputError
from w2v.vectors.cosines import lengths
from w2v.vectors.lookup import word_list
from w2v.vectors.nearest import MAX_COSINES

if TYPE_CHECKING:
    from w2v.vectors.vectors import WordVectors


def outside_probability(
    vectors: "WordVectors",
    context: str | Sequence[str] | None,
    word: str | Sequence[str],
    exponent: float,
) -> Any:
    """Return P(outside word | center word), the softmax of u_x · v over all words x.

    v is the center vector of the center word, and u_x the outside vector of x.

    Parameters
    ----------
    context
        The outside word, or several; None: all words.
    word
        The center word, or several.
    exponent
        0 for a model trained with the exact softmax. For negative sampling, the exponent of its
        noise distribution: exp(u_x · v) is multiplied by count ** exponent, and words with the
        count 0 get the probability 0.

    Returns
    -------
    float, or float64 array
        (center words, outside words). An argument that is a single word has no axis.

    Raises
    ------
    InputError
        There are no outside vectors, a word has no vector, a vector or `exponent` is not finite, or
        `exponent` is not 0 and counts are unknown or all 0.
    """
    if vectors.outside is None:
        raise InputError(
            "there are no outside vectors; they are in the folder of a model, which "
            "w2v.train(...).save or a run writes, except with the hierarchical softmax"
        )
    if not isinstance(exponent, int | float | np.integer | np.floating) or not np.isfinite(
        exponent
    ):
        raise InputError(f"exponent={exponent!r:.40}: must be a finite number")
    if exponent and vectors.counts is None:
        raise InputError(f"exponent={exponent}: needs counts; the vectors have none")
    centers = [
        vectors.row(w) for w in ([word] if isinstance(word, str) else word_list("word", word))
    ]
    lengths(vectors, np.array(centers))  # refuses vectors that are not finite
    if not np.isfinite(vectors.outside).all():
        raise InputError("an outside vector holds NaN or an infinity")
    columns: list[int] | slice = slice(None)
    if context is not None:
        listed = [context] if isinstance(context, str) else word_list("context", context)
        columns = [vectors.row(w) for w in listed]
    # exp(u_x · v) * count ** exponent is the exponential of a sum. Words that never occur are no
    # noise words, whatever the exponent.
    log_noise = np.zeros(len(vectors))
    if exponent and vectors.counts is not None:
        occurring = vectors.counts > 0
        if not occurring.any():
            raise InputError(f"exponent={exponent}: needs counts, but no word has one above 0")
        log_noise[~occurring] = -np.inf
        log_noise[occurring] = exponent * np.log(vectors.counts[occurring])
    parts = []
    step = max(1, MAX_COSINES // len(vectors))
    outside = vectors.outside.astype(np.float64)
    for start in range(0, len(centers), step):
        scores = vectors.vectors[centers[start : start + step]].astype(np.float64) @ outside.T
        scores += log_noise
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        parts.append(scores[:, columns])
    found = np.concatenate(parts)
    if isinstance(context, str):
        found = found[:, 0]
    if isinstance(word, str):
        found = found[0]
    return float(found) if found.ndim == 0 else found
