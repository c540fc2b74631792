"""Compute vectors of texts: weighted means of the vectors of their words.

As in SIF (Arora, Liang, Ma 2017), the component of each text vector along a direction that most of
them share can be subtracted. This direction is the first right singular vector of the matrix whose
rows are the text vectors.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.text.token_lists import shown
from w2v.text.tokenizer import Tokenizer, Words, check_tokenizer
from w2v.vectors.cosines import lengths, refuse_not_finite

if TYPE_CHECKING:
    from w2v.vectors.vectors import WordVectors

TEXTS_AT_A_TIME = 1 << 12
"""Texts whose words are in memory at a time."""

Weights = Literal["mean", "sif"]


class TextVectors(NamedTuple):
    """The vectors of texts.

    Attributes
    ----------
    vectors : float32 (texts, d)
        The vector of each text; zero for a text in which no token has a vector.
    known : int64 (texts,)
        How many tokens of each text are in the vocabulary.
    unknown : dict of str to int
        The other tokens, including those that get a vector from their n-grams, and how often each
        occurs in all texts.
    """

    vectors: NDArray[np.float32]
    known: NDArray[np.int64]
    unknown: dict[str, int]


def sif_weights(counts: NDArray[np.int64], a: float) -> NDArray[np.float64]:
    """Return the smooth inverse frequency (SIF) weight of each word: a / (a + p).

    p is the count of the word divided by the sum of all counts.

    Parameters
    ----------
    counts : int64 (V,)
        How often each word occurs.
    a
        A positive number; the larger it is, the less the weights of words differ.

    Raises
    ------
    InputError
        All counts are 0.

    References
    ----------
    Arora, Liang, Ma (2017), A simple but tough-to-beat baseline for sentence embeddings.
    """
    total = int(counts.sum())
    if total == 0:
        raise InputError("weights=sif: needs counts that are not all 0")
    weights: NDArray[np.float64] = a / (a + counts / total)
    return weights


def text_vectors(
    vectors: "WordVectors",
    rows: Mapping[str, int],
    texts: Iterable[str] | Iterable[Iterable[str]],
    *,
    weights: Weights,
    tokenizer: Tokenizer | Callable[[str], Iterable[str]] | None,
    a: float,
    remove_common: bool | None,
) -> TextVectors:
    """Return the vectors of texts: the weighted means of the vectors of their words.

    This is the code of `WordVectors.text_vectors`, whose docstring says more.

    Parameters
    ----------
    rows
        The row of each word in ``vectors.vectors``.
    texts
        Strings, which are tokenized; or lists of tokens.
    weights
        ``mean``: all tokens have the same weight; ``sif``: the weights are `sif_weights` with `a`.
    tokenizer
        Splits strings into tokens; None: ``w2v.Words()``.
    remove_common
        Whether to apply `without_component` to the result; None: with ``sif`` only.

    Raises
    ------
    InputError
        An argument is not allowed, counts are needed and unknown, or the vector of a token is not
        finite.
    """
    if weights not in ("mean", "sif"):
        raise InputError(f"weights={weights!r:.40}: must be mean or sif")
    if not isinstance(a, int | float | np.integer | np.floating) or not 0 < a < np.inf:
        raise InputError(f"a={a!r:.40}: must be a finite number above 0")
    if remove_common not in (None, True, False):
        raise InputError(f"remove_common={remove_common!r:.40}: must be True, False or None")
    table = isinstance(texts, Mapping) or hasattr(texts, "columns")
    if isinstance(texts, str | bytes) or table or not hasattr(texts, "__iter__"):
        raise InputError(f"texts={shown(texts)}: must be a list of texts, as in [text]")
    if weights == "sif" and vectors.counts is None:
        raise InputError("weights=sif: needs counts; load the vectors with counts=")
    split = Words() if tokenizer is None else tokenizer
    check_tokenizer(split)
    splitter = split.tokens if isinstance(split, Tokenizer) else split
    found = weighted_means(
        (tokens_of(text, number, splitter) for number, text in enumerate(texts, start=1)),
        rows,
        vectors,
        sif_weights(vectors.counts, a) if weights == "sif" and vectors.counts is not None else None,
    )
    if remove_common or (remove_common is None and weights == "sif"):
        found = found._replace(vectors=without_component(found.vectors))
    return found


def tokens_of(text: object, number: int, split: Callable[[str], Iterable[str]]) -> Iterable[str]:
    """Return the tokens of a text, which is a string or already an iterable of tokens.

    Parameters
    ----------
    number
        The number of the text in the list of texts, from 1, for error messages.
    split
        Splits a string into tokens.

    Raises
    ------
    InputError
        The text is neither a string nor an iterable of tokens, or it is bytes or a mapping; or
        `split` returns something other than an iterable of tokens; or a token is not a string.
    """
    tokens, name, wanted = text, "text", "a string or a list"
    if isinstance(text, str):
        tokens, name, wanted = split(text), "tokenizer: its result for text", "a list of tokens"
    if isinstance(tokens, str | bytes | Mapping) or not isinstance(tokens, Iterable):
        raise InputError(f"texts: {name} {number} is {tokens!r:.60}; {wanted} is needed")
    tokens = list(tokens)
    odd = next((token for token in tokens if not isinstance(token, str)), None)
    if odd is not None:
        raise InputError(f"texts: {name} {number} holds {odd!r:.60}; tokens are strings")
    return tokens


def weighted_means(
    texts: Iterable[Iterable[str]],
    rows: Mapping[str, int],
    vectors: "WordVectors",
    weights: NDArray[np.float64] | None,
) -> TextVectors:
    """Return the weighted mean of each text's token vectors; count known and unknown tokens.

    The mean is zero for a text in which no token has a vector.

    Parameters
    ----------
    texts
        The tokens of each text.
    rows
        The row of each known word in ``vectors.vectors``.
    vectors
        The vectors of the known words. Unknown words with a vector from their n-grams
        (`WordVectors.ngram_vector`) have the weight 1; others are left out.
    weights : float64 (V,)
        The weight of each known word; None: all weights are 1.

    Raises
    ------
    InputError
        The vector of a token is not finite.
    """
    from scipy.sparse import csr_array

    parts: list[NDArray[np.float32]] = []
    known: list[int] = []
    unknown: Counter[str] = Counter()

    def means(batch: list[list[str]]) -> NDArray[np.float32]:
        found = [[rows[word] for word in text if word in rows] for text in batch]
        lacking = [[word for word in text if word not in rows] for text in batch]
        unknown.update(word for text in lacking for word in text)
        known.extend(map(len, found))
        columns = np.array([row for text in found for row in text], np.intp)
        borders = np.cumsum([0, *map(len, found)])
        values = np.ones(len(columns)) if weights is None else weights[columns]
        # Only the rows that occur are multiplied, each once.
        used, place = np.unique(columns, return_inverse=True)
        matrix = csr_array((values, place, borders), shape=(len(batch), len(used)))
        lengths(vectors, used)  # refuses vectors that are not finite
        sums = matrix @ vectors.vectors[used].astype(np.float64)
        divisors = np.asarray(matrix.sum(axis=1)).reshape(-1)
        if vectors.subwords is not None:
            for number, text in enumerate(lacking):
                for word in text:
                    made = vectors.ngram_vector(word)
                    if made is not None:
                        refuse_not_finite([word], made.astype(np.float64)[np.newaxis])
                        sums[number] += made
                        divisors[number] += 1
        divisors[divisors == 0] = 1.0
        return (sums / divisors[:, np.newaxis]).astype(np.float32)

    batch: list[list[str]] = []
    for text in texts:
        batch.append(list(text))
        if len(batch) == TEXTS_AT_A_TIME:
            parts.append(means(batch))
            batch = []
    if batch or not parts:
        parts.append(means(batch))
    return TextVectors(np.concatenate(parts), np.array(known, np.int64), dict(unknown))


def without_component(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove from each row of a matrix its component along the first right singular vector.

    Arora, Liang and Ma (2017) do this to text vectors after weighting words by `sif_weights`. The
    matrix is (n, d); a matrix of fewer than two rows is returned unchanged.
    """
    if len(vectors) < 2:
        return vectors
    moments = vectors.T.astype(np.float64) @ vectors.astype(np.float64)
    direction = np.linalg.eigh(moments)[1][:, -1]
    return (vectors - np.outer(vectors @ direction, direction)).astype(np.float32)
