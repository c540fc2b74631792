"""Shrink vectors to fewer words, dimensions or bytes, and measure how much cosines change."""

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v.errors import InputError
from w2v.vectors.cosines import lengths

if TYPE_CHECKING:
    from w2v.vectors.vectors import WordVectors

Vectors = TypeVar("Vectors", bound="WordVectors")

ROWS_AT_A_TIME = 1 << 16
"""Rows that are converted to float64 at a time."""

PAIRS = 100_000
"""The largest number of pairs of words whose cosines are compared before and after shrinking."""


class SimilarityLoss(NamedTuple):
    """How much the cosines of pairs of words change with fewer words, dimensions or bytes.

    Attributes
    ----------
    pairs
        The number of pairs of words that were compared. They are drawn from the words that are
        kept, with a fixed seed.
    mean, largest
        The mean and the largest absolute change of the cosine of a pair.
    spearman
        Spearman's rank correlation of the cosines before and after; None if it is undefined.
    """

    pairs: int
    mean: float
    largest: float
    spearman: float | None


def shrink_vectors(
    vectors: Vectors, words: int | None, dim: int | None, dtype: DTypeLike
) -> tuple[Vectors, SimilarityLoss]:
    """Return vectors of fewer words, dimensions or bytes, and how much their cosines change.

    Parameters
    ----------
    words
        The number of words to keep, the most frequent ones; None: all.
    dim
        The number of leading principal axes to project onto; the result then has no outside
        vectors. None: keep all dimensions.
    dtype
        ``float32`` or ``float16``.

    Returns
    -------
    made : WordVectors
        The smaller vectors, without n-grams.
    loss : SimilarityLoss
        How much the cosines of random pairs of the kept words change.

    Raises
    ------
    InputError
        `words` or `dim` is out of range, `dtype` is neither float32 nor float16, a vector of a kept
        word is not finite, or a number does not fit into float16.
    """
    for name, value, most in (("words", words, len(vectors)), ("dim", dim, vectors.dimensions)):
        if value is not None and (
            not isinstance(value, int | np.integer) or not 1 <= value <= most
        ):
            raise InputError(f"{name}={value!r:.40}: must be from 1 to {most:,}, or None")
    kind = np.dtype(dtype) if dtype in ("float16", "float32", np.float16, np.float32) else None
    if kind is None:
        raise InputError(f"dtype={dtype!r:.40}: must be float32 or float16")
    rows = np.arange(len(vectors)) if words is None else np.sort(vectors.by_frequency[:words])
    lengths(vectors, rows)  # refuses vectors that are not finite
    chosen, outside = vectors.vectors[rows], vectors.outside
    if dim is None and outside is not None and not np.isfinite(outside[rows]).all():
        raise InputError("an outside vector holds NaN or an infinity")
    if dim is not None:
        chosen, outside = rotated(chosen, principal_axes(chosen, dim)), None
    with np.errstate(over="ignore"):
        chosen = chosen.astype(kind)
        outside = None if outside is None else outside[rows].astype(kind)
    if not np.isfinite(chosen).all() or (outside is not None and not np.isfinite(outside).all()):
        raise InputError("dtype=float16: a number is larger than 65,504")
    made = type(vectors)(
        [vectors.words[row] for row in rows.tolist()],
        chosen,
        None if vectors.counts is None else vectors.counts[rows],
        outside,
    )
    random = np.random.default_rng(0)
    pairs = random.integers(0, len(rows), (2, PAIRS if len(rows) > 1 else 0))
    pairs = pairs[:, pairs[0] != pairs[1]]
    return made, compare_cosines(pair_cosines(vectors, rows[pairs]), pair_cosines(made, pairs))


def principal_axes(vectors: NDArray[np.floating], dim: int) -> NDArray[np.float64]:
    """Return the `dim` leading principal axes of vectors (n, d): the columns of an array (d, dim).

    They are the leading eigenvectors of the uncentered second-moment matrix. The mean is not
    subtracted, because this would change the cosines.
    """
    d = vectors.shape[1]
    moments = np.zeros((d, d))
    for start in range(0, len(vectors), ROWS_AT_A_TIME):
        part = vectors[start : start + ROWS_AT_A_TIME].astype(np.float64)
        moments += part.T @ part
    axes = np.linalg.eigh(moments)[1][:, ::-1][:, :dim]
    # An eigenvector has no sign of its own: its largest entry is made positive.
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dim)])
    return axes * np.where(signs == 0, 1.0, signs)


def rotated(vectors: NDArray[np.floating], axes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the coordinates of vectors (n, d) with respect to axes (d, dim): float32 (n, dim)."""
    out = np.empty((len(vectors), axes.shape[1]), np.float32)
    for start in range(0, len(vectors), ROWS_AT_A_TIME):
        part = slice(start, start + ROWS_AT_A_TIME)
        out[part] = vectors[part] @ axes
    return out


def compare_cosines(before: NDArray[np.float64], after: NDArray[np.float64]) -> SimilarityLoss:
    """Compute how much the cosines of pairs of words have changed when the vectors were shrunk.

    Parameters
    ----------
    before, after : (pairs,)
        The cosine of each pair before and after shrinking.

    Returns
    -------
    SimilarityLoss
        The number of pairs; the mean and the largest absolute change, 0 if there are no pairs; and
        Spearman's correlation of `before` and `after`, None if there are fewer than two pairs, or
        if all values of `before` or all values of `after` are equal.
    """
    from scipy.stats import spearmanr

    difference = np.abs(after - before)
    defined = len(before) > 1 and np.ptp(before) > 0 and np.ptp(after) > 0
    return SimilarityLoss(
        len(before),
        float(difference.mean()) if len(before) else 0.0,
        float(difference.max(initial=0.0)),
        float(spearmanr(before, after).statistic) if defined else None,
    )


def pair_cosines(vectors: "WordVectors", rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the cosine of each pair of vectors: float64 (n,).

    Parameters
    ----------
    rows : (2, n)
        The rows of the two vectors of each pair.
    """
    parts = []
    for start in range(0, rows.shape[1], PAIRS // 10):
        a, b = (vectors.unit_rows(one[start : start + PAIRS // 10]) for one in rows)
        parts.append(np.einsum("ij,ij->i", a, b, dtype=np.float64))
    return np.concatenate(parts) if parts else np.empty(0)
