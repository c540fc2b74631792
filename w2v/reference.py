"""The reference formulas: each loss and its gradients for one center word, as they are derived.

``w2v/README.md`` derives every formula, and every engine is tested against this module.
The settings of the losses are in `w2v.losses`.

Each loss is a function of the scores ``s = U v`` alone, so each function has the same three steps:
the scores, the loss with ``g = dJ/ds``, and the chain rule ``dJ/dv = Uᵀ g``, ``dJ/dU = g vᵀ``.

All arithmetic is float64; results are rounded once, to the dtype of the input. Finite input gives
finite output and no warning: intermediate results that overflow are computed again on a smaller
scale, and a result outside the range of its dtype becomes the largest number of the dtype, with
the right sign.
"""

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from w2v.errors import InputError

__all__ = [
    "LossAndGradients",
    "LossFunction",
    "naive_softmax",
    "negative_sampling",
    "sigmoid",
    "skipgram",
]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Float64Array: TypeAlias = npt.NDArray[np.float64]
LossAndGradients: TypeAlias = tuple[np.floating[Any], FloatArray, FloatArray]
LossFunction: TypeAlias = Callable[[FloatArray, int, FloatArray], LossAndGradients]

# Scales two factors below 2^1024 to below 2^424 each, so that sums of products stay in range.
_SMALL = 2.0**-600

# Underflow to zero is correct here, and overflow is detected and repaired.
_quiet = np.errstate(over="ignore", under="ignore", invalid="ignore")


@_quiet
def sigmoid(x: npt.ArrayLike) -> Any:
    """Compute the logistic function of each element: 1 / (1 + exp(-x)).

    Parameters
    ----------
    x : scalar or array of any shape
        Infinities and NaN are allowed.

    Returns
    -------
    scalar or array of x's shape and dtype (float64 for integers)
        In [0, 1], accurate to the last digits on both tails.

    Raises
    ------
    InputError
        If `x` is not real numbers.
    """
    x = _real("x", x)
    e = np.exp(-np.abs(x))  # at most 1, so neither branch overflows
    return np.where(x >= 0, 1.0, e) / (1 + e)


@_quiet
def naive_softmax(
    center_vector: npt.ArrayLike, outside_index: int, outside_vectors: npt.ArrayLike
) -> LossAndGradients:
    """Compute the exact softmax loss of one (center, outside) pair: J = -log softmax(U v)[o].

    Parameters
    ----------
    center_vector : (d,)
        v, the input vector of the center word.
    outside_index : int
        o, the row of the outside word.
    outside_vectors : (V, d)
        U, the output vectors of the whole vocabulary.

    Returns
    -------
    loss : scalar
    grad_center : (d,)
        Uᵀ(ŷ - y).
    grad_outside : (V, d)
        (ŷ - y) vᵀ.

        All three in the common dtype of the two arrays.

    Raises
    ------
    InputError
        If a shape, a dtype or the index is wrong, or a vector is not finite.

    Notes
    -----
    O(V d).

    References
    ----------
    Mikolov, Chen, Corrado & Dean 2013, "Efficient Estimation of Word Representations in Vector
    Space"; the form with separate input and output vectors is Mikolov, Sutskever, Chen, Corrado &
    Dean 2013, "Distributed Representations of Words and Phrases and their Compositionality", eq. 2.
    """
    v, U, dtype = _center_and_outside(center_vector, outside_vectors)
    o = _index("outside_index", outside_index, len(U))
    v = _finite_float64("center_vector", v)
    U = _finite_float64("outside_vectors", U)

    s = _scores_below_their_maximum(U, v)
    exp_s = np.exp(s)
    total = exp_s.sum()
    loss = np.log(total) - s[o]

    g = exp_s / total  # ŷ
    g[o] -= 1  # ŷ - y
    return (
        _within_range(loss, dtype),
        _within_range(_product(U.T, g), dtype),
        _within_range(np.outer(g, v), dtype),
    )


@_quiet
def negative_sampling(
    center_vector: npt.ArrayLike,
    outside_index: int,
    negative_indices: npt.ArrayLike,
    outside_vectors: npt.ArrayLike,
) -> LossAndGradients:
    """Compute the negative-sampling loss of one pair: J = -log σ(u_o·v) - Σ_k log σ(-u_k·v).

    Parameters
    ----------
    center_vector : (d,)
        v, the input vector of the center word.
    outside_index : int
        o, the row of the outside word.
    negative_indices : (K,) int
        The rows drawn as noise. A row may be drawn several times and may be `outside_index`; each
        draw counts. The list may be empty.
    outside_vectors : (V, d)
        U. Only the rows that the indices name are read.

    Returns
    -------
    loss : scalar
    grad_center : (d,)
        -(1 - σ(u_o·v)) u_o + Σ_k σ(u_k·v) u_k.
    grad_outside : (V, d)
        -(1 - σ(u_o·v)) v in row o, plus σ(u_k·v) v in row k for each draw of k; zero elsewhere.

        All three in the common dtype of the two arrays.

    Raises
    ------
    InputError
        If a shape, a dtype or an index is wrong, or a vector that is read is not finite.

    Notes
    -----
    O(K d), apart from filling `grad_outside` with zeros.

    References
    ----------
    Mikolov, Sutskever, Chen, Corrado & Dean 2013, "Distributed Representations of Words and Phrases
    and their Compositionality", eq. 4.
    """
    v, U, dtype = _center_and_outside(center_vector, outside_vectors)
    o = _index("outside_index", outside_index, len(U))
    rows = np.append(o, _indices("negative_indices", negative_indices, len(U)))
    v = _finite_float64("center_vector", v)
    u = _finite_float64("outside_vectors", U[rows])  # u_o, then every u_k

    signs = np.full(len(rows), -1.0)
    signs[0] = 1.0
    x = signs * _product(u, v)  # u_o·v, then -u_k·v
    loss = -_log_sigmoid(x).sum()

    g = -signs * sigmoid(-x)  # -(1 - σ(u_o·v)), then σ(u_k·v)
    drawn, draws = np.unique(rows, return_inverse=True)
    grad_outside = np.zeros(U.shape, dtype)
    # Sum the factors of each row before multiplying by v: the products might overflow in a sum.
    grad_outside[drawn] = _within_range(np.outer(np.bincount(draws, weights=g), v), dtype)
    return (
        _within_range(loss, dtype),
        _within_range(_product(u.T, g), dtype),
        grad_outside,
    )


def skipgram(
    center_index: int,
    outside_indices: npt.ArrayLike,
    center_vectors: npt.ArrayLike,
    outside_vectors: npt.ArrayLike,
    loss: LossFunction,
) -> LossAndGradients:
    """Compute the skip-gram loss of one window: the sum of `loss` over the outside words.

    Parameters
    ----------
    center_index : int
        c, the row of the center word.
    outside_indices : (n,) int
        The outside words of the window in order; a word may occur twice. If there are none, the
        loss and its gradients are zero.
    center_vectors, outside_vectors : (V, d)
        Input and output vectors.
    loss : callable
        ``(center_vector, outside_index, outside_vectors) -> loss, grad_center, grad_outside``,
        called with these three positional arguments, in float64, once for each outside word, in
        order.

    Returns
    -------
    loss : scalar
    grad_centers : (V, d)
        Zero outside row c.
    grad_outside : (V, d)

        All three in the common dtype of the two arrays.

    Raises
    ------
    InputError
        If a shape, a dtype or an index is wrong; and what `loss` raises.

    Notes
    -----
    A term that `loss` limited to the largest float64 enters the sum as that number.

    Examples
    --------
    `naive_softmax` can be passed directly. For `negative_sampling`, a closure passes new draws for
    each outside word:

    >>> rng = np.random.default_rng(0)
    >>> C, U = rng.normal(size=(2, 50, 8))
    >>> window = [3, 5, 8, 13]
    >>> draws = iter(rng.integers(50, size=(len(window), 10)))
    >>> total, grad_C, grad_U = skipgram(
    ...     7, window, C, U, lambda v, o, U: negative_sampling(v, o, next(draws), U)
    ... )
    """
    C = _real("center_vectors", center_vectors)
    U = _real("outside_vectors", outside_vectors)
    if C.ndim != 2 or C.shape != U.shape or C.size == 0:
        raise InputError(
            f"center_vectors has shape {C.shape} and outside_vectors {U.shape}; "
            "both must have one shape (V, d) with V and d at least 1"
        )
    c = _index("center_index", center_index, len(C))
    outside = _indices("outside_indices", outside_indices, len(U))
    dtype = np.result_type(C, U)

    # Partial sums of scaled terms cannot overflow. The scale is a power of two, which is exact.
    scale = 2.0 ** -len(outside).bit_length()
    v, U = C[c].astype(np.float64), U.astype(np.float64)
    total = np.float64(0)
    grad_center = np.zeros(v.shape)
    grad_outside = np.zeros(U.shape)
    for o in outside.tolist():
        one_loss, one_center, one_outside = loss(v, o, U)  # a custom loss may warn
        with np.errstate(under="ignore"):
            total += scale * np.float64(one_loss)
            grad_center += scale * np.asarray(one_center, np.float64)
            grad_outside += scale * np.asarray(one_outside, np.float64)

    with np.errstate(over="ignore", under="ignore"):
        grad_centers = np.zeros(C.shape, dtype)
        grad_centers[c] = _within_range(grad_center / scale, dtype)
        return (
            _within_range(total / scale, dtype),
            grad_centers,
            _within_range(grad_outside / scale, dtype),
        )


def _log_sigmoid(x: Float64Array) -> Float64Array:
    """Return log σ(x): -log1p(exp(-x)) if x >= 0, else x - log1p(exp(x))."""
    return np.asarray(np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))))


def _product(matrix: Float64Array, vector: Float64Array) -> Float64Array:
    """Multiply a matrix by a vector; an entry is infinite only if its true value overflows."""
    # Not `@`: BLAS may sum equal rows in different orders. Their scores, which should be equal,
    # would then differ by a rounding error, which is large if the scores are.
    product = np.asarray(np.sum(matrix * vector, axis=1))
    lost = ~np.isfinite(product)
    if lost.any():
        product[lost] = _small_product(matrix[lost], vector) / _SMALL / _SMALL
    return product


def _small_product(matrix: Float64Array, vector: Float64Array) -> Float64Array:
    """Return `_SMALL`² times the product, which is finite for all finite input.

    A term that underflows here is negligible beside the terms that overflow in the true product.
    """
    return np.asarray(np.sum((matrix * _SMALL) * (vector * _SMALL), axis=1))


def _scores_below_their_maximum(U: Float64Array, v: Float64Array) -> Float64Array:
    """Return U v - max(U v), which is correct even if U v overflows."""
    s = _product(U, v)
    below = np.asarray(s - s.max())
    lost = ~np.isfinite(below)
    if lost.any():
        small = _small_product(U, v)
        below[lost] = (small[lost] - small.max()) / _SMALL / _SMALL
    return below


def _within_range(x: Any, dtype: np.dtype[Any]) -> Any:
    """Round float64 to `dtype`, limited to the largest number of `dtype`."""
    largest = float(np.finfo(dtype).max)
    return np.clip(x, -largest, largest).astype(dtype)


def _real(name: str, x: npt.ArrayLike) -> FloatArray:
    """Convert to a float array; integers become float64, other types are refused."""
    try:
        array = np.asarray(x)
    except ValueError:  # ragged lists
        raise InputError(f"{name} is not an array: its rows differ in length") from None
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise InputError(f"{name} has dtype {array.dtype}; float64, float32 or float16 is wanted")
    return array


def _center_and_outside(
    center_vector: npt.ArrayLike, outside_vectors: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, np.dtype[Any]]:
    """Return both arrays and their common dtype; refuse shapes that do not agree."""
    v = _real("center_vector", center_vector)
    U = _real("outside_vectors", outside_vectors)
    if v.ndim != 1 or U.ndim != 2 or v.shape != U.shape[1:] or U.size == 0:
        raise InputError(
            f"center_vector has shape {v.shape} and outside_vectors {U.shape}; "
            "they must be (d,) and (V, d) with V and d at least 1"
        )
    return v, U, np.result_type(v, U)


def _finite_float64(name: str, x: FloatArray) -> Float64Array:
    """Convert to float64; refuse NaN and infinities."""
    if not np.isfinite(x).all():
        raise InputError(f"{name} holds NaN or infinity; every entry must be finite")
    return x.astype(np.float64, copy=False)


def _index(name: str, index: int, rows: int) -> int:
    """Return an index as an int; refuse one that is not a row of the vectors."""
    try:
        i = operator.index(index)
    except TypeError:
        raise InputError(f"{name} is {index!r}; an integer is wanted") from None
    if not 0 <= i < rows:
        raise InputError(f"{name} is {i}; it must be from 0 to {rows - 1}, a row of the vectors")
    return i


def _indices(name: str, indices: npt.ArrayLike, rows: int) -> npt.NDArray[np.intp]:
    """Return a list of indices as an array; refuse those that are not rows of the vectors."""
    try:
        array = np.asarray(indices)
    except ValueError:
        raise InputError(f"{name} is ragged; one list of integers is wanted") from None
    if array.shape == (0,):  # an empty list has no integer dtype
        return array.astype(np.intp)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; "
            "one list of integers is wanted"
        )
    for i in (int(array.min()), int(array.max())):
        _index(f"an entry of {name}", i, rows)
    return array.astype(np.intp)
