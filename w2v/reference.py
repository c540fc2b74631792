"""Reference implementations of the losses and their gradients for one center word.

``w2v/README.md`` derives the formulas. The training engines are tested against this module.

Each loss J depends only on the scores s = U v, where v is an input vector, and the rows of U are
output vectors. With g = dJ/ds, the gradients are dJ/dv = Uᵀ g and dJ/dU = g vᵀ. An architecture
(`skipgram`, `cbow`, `subword_skipgram`) determines which vector v predicts which words, for any of
the losses.

Losses and gradients are computed in float64 and rounded once, to the dtype of the input. Finite
input gives finite output and no warning: what overflows on the way is computed again from numbers
that are scaled down, and results are clipped to the finite range of their dtype.
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
    "cbow",
    "hierarchical_softmax",
    "naive_softmax",
    "negative_sampling",
    "sigmoid",
    "skipgram",
    "subword_skipgram",
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
        If the dtype of `x` is not an integer, float16, float32 or float64.
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
        In the common dtype of v and U, like the gradients.
    grad_center : (d,)
        Uᵀ(ŷ - y), where ŷ is softmax(U v), and y is the one-hot vector of o.
    grad_outside : (V, d)
        (ŷ - y) vᵀ.

    Raises
    ------
    InputError
        A shape, a dtype or the index is wrong, or a vector is not finite.

    References
    ----------
    Mikolov et al. 2013, "Distributed Representations of Words and Phrases", eq. 2.
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
        The rows k drawn as noise. A row may be drawn several times, and may be o; each draw counts.
        May be empty.
    outside_vectors : (V, d)
        The output vectors u. Only the indexed rows are read.

    Returns
    -------
    loss : scalar
        In the common dtype of the vectors, like the gradients.
    grad_center : (d,)
        (σ(u_o·v) - 1) u_o + Σ_k σ(u_k·v) u_k.
    grad_outside : (V, d)
        (σ(u_o·v) - 1) v in row o, plus σ(u_k·v) v in row k for each draw; else zero.

    Raises
    ------
    InputError
        A shape, a dtype or an index is wrong, or a vector that is read is not finite.

    References
    ----------
    Mikolov et al. 2013, "Distributed Representations of Words and Phrases", eq. 4.
    """
    v, U, dtype = _center_and_outside(center_vector, outside_vectors)
    o = _index("outside_index", outside_index, len(U))
    rows = np.append(o, _indices("negative_indices", negative_indices, len(U)))
    v = _finite_float64("center_vector", v)
    u = _finite_float64("outside_vectors", U[rows])  # u_o, then every u_k

    signs = np.full(len(rows), -1.0)
    signs[0] = 1.0
    return _logistic_terms(v, u, rows, signs, U.shape, dtype)


@_quiet
def hierarchical_softmax(
    center_vector: npt.ArrayLike,
    path_nodes: npt.ArrayLike,
    path_codes: npt.ArrayLike,
    node_vectors: npt.ArrayLike,
) -> LossAndGradients:
    """Compute the hierarchical-softmax loss of one pair: J = -Σ_l log σ(±n_l·v).

    The sum is over the inner nodes on the path from the root of a binary tree to the outside word;
    n_l is the vector of a node. The sign is + if the path takes the branch of code 0 at the node,
    and - for code 1.

    Parameters
    ----------
    center_vector : (d,)
        v, the input vector of the center word.
    path_nodes : (L,) int
        The rows of the inner nodes on the path (see `w2v.huffman.HuffmanTree`).
    path_codes : (L,) int
        The code of the branch that the path takes at each of these nodes, 0 or 1.
    node_vectors : (V - 1, d)
        The vectors of the inner nodes. Only the rows on the path are read.

    Returns
    -------
    loss : scalar
        In the common dtype of the vectors, like the gradients.
    grad_center : (d,)
        Σ_l (σ(n_l·v) - 1 + code_l) n_l.
    grad_nodes : (V - 1, d)
        (σ(n_l·v) - 1 + code_l) v in the rows of the path; else zero.

    Raises
    ------
    InputError
        A shape, a dtype, an index or a code is wrong, or a vector that is read is not finite.

    References
    ----------
    Morin & Bengio 2005, "Hierarchical Probabilistic Neural Network Language Model". Mikolov et al.
    2013, "Distributed Representations of Words and Phrases", eq. 3.
    """
    v, N, dtype = _center_and_outside(center_vector, node_vectors, "node_vectors")
    rows = _indices("path_nodes", path_nodes, len(N))
    codes = _indices("path_codes", path_codes, 2)
    if len(codes) != len(rows):
        raise InputError(f"path_codes has {len(codes)} entries for {len(rows)} nodes")
    v = _finite_float64("center_vector", v)
    n = _finite_float64("node_vectors", N[rows])
    signs = 1 - 2 * codes.astype(np.float64)
    return _logistic_terms(v, n, rows, signs, N.shape, dtype)


def _logistic_terms(
    v: Float64Array,
    u: Float64Array,
    rows: npt.NDArray[np.intp],
    signs: Float64Array,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> LossAndGradients:
    """Return J = -Σ_i log σ(sign_i u_i·v), and its gradients in v and the output vectors.

    Negative sampling and the hierarchical softmax have this form.

    Parameters
    ----------
    v : (d,)
        The input vector.
    u : (n, d)
        The output vector of each term; a vector may occur several times.
    rows : (n,) int
        The row of each u_i in the matrix of output vectors.
    signs : (n,)
        1 or -1 for each term.
    shape, dtype
        The shape of the matrix of output vectors, and the dtype of the results.
    """
    x = signs * _product(u, v)
    loss = -_log_sigmoid(x).sum()

    g = -signs * sigmoid(-x)  # σ(u·v) - 1 where the sign is +, σ(u·v) where it is -
    distinct, places = np.unique(rows, return_inverse=True)
    grad_rows = np.zeros(shape, dtype)
    # Sum the factors of each row before multiplying by v: the products might overflow in a sum.
    factors = np.bincount(places, weights=g, minlength=len(distinct))
    grad_rows[distinct] = _within_range(np.outer(factors, v), dtype)
    return (
        _within_range(loss, dtype),
        _within_range(_product(u.T, g), dtype),
        grad_rows,
    )


def skipgram(
    center_index: int,
    outside_indices: npt.ArrayLike,
    center_vectors: npt.ArrayLike,
    outside_vectors: npt.ArrayLike,
    loss: LossFunction,
) -> LossAndGradients:
    """Compute the skip-gram loss of one window: the sum of `loss` over the outside words.

    The results have the common dtype of the two matrices; the gradients have their shapes.

    Parameters
    ----------
    outside_indices : (n,) int
        A word may occur twice. If there are none, the results are zero.
    center_vectors : (V, d)
        The input vectors.
    outside_vectors : (V, d)
        The output vectors; for the hierarchical softmax those of the inner nodes, (V - 1, d).
    loss : callable
        ``(center_vector, outside_index, outside_vectors) -> loss, grad_center, grad_outside``, such
        as `naive_softmax`. It is called with float64 vectors and these three positional arguments,
        once for each outside word, in order.

    Returns
    -------
    loss, grad_centers, grad_outside

    Raises
    ------
    InputError
        A shape, a dtype or an index is wrong, or `loss` raises it.

    Examples
    --------
    With negative sampling, whose noise words are drawn anew for each outside word:

    >>> rng = np.random.default_rng(0)
    >>> C, U = rng.normal(size=(2, 50, 8))
    >>> window = [3, 5, 8, 13]
    >>> draws = iter(rng.integers(50, size=(len(window), 10)))
    >>> total, grad_C, grad_U = skipgram(
    ...     7, window, C, U, lambda v, o, U: negative_sampling(v, o, next(draws), U)
    ... )
    """
    C, U = _two_matrices("center_vectors", center_vectors, "outside_vectors", outside_vectors)
    if not len(C) - 1 <= len(U) <= len(C):
        raise InputError(
            f"center_vectors has shape {C.shape} and outside_vectors {U.shape}; "
            "both must have one shape (V, d), or the second V - 1 rows, the inner nodes of a tree"
        )
    c = _index("center_index", center_index, len(C))
    outside = _indices("outside_indices", outside_indices, len(C))
    ones = np.ones(1)
    return _predict(C, np.array([c]), ones, ones, outside, U, loss)


def cbow(
    center_index: int,
    context_indices: npt.ArrayLike,
    input_vectors: npt.ArrayLike,
    output_vectors: npt.ArrayLike,
    loss: LossFunction,
    combine: str = "mean",
    context_gradient: str = "exact",
) -> LossAndGradients:
    """Compute the CBOW loss of one window, in which the n context words predict the center word.

    The results have the common dtype of the two matrices; the gradients have their shapes.

    Parameters
    ----------
    context_indices : (n,) int
        A word may occur twice, and then gets its gradient twice. If there are none, the results are
        zero.
    input_vectors : (V, d)
        The input vector of each word.
    output_vectors : (V, d)
        The output vectors; for the hierarchical softmax those of the inner nodes, (V - 1, d).
    loss : callable
        ``(h, center_index, output_vectors) -> loss, grad_h, grad_outputs``, such as
        `naive_softmax`; called with float64 vectors and these three positional arguments.
    combine : "mean" or "sum"
        Whether h is the mean or the sum of the input vectors of the context words.
    context_gradient : "exact" or "word2vec"
        What each context word gets. ``exact``: the gradient of the loss, which is grad_h / n for a
        mean and grad_h for a sum. ``word2vec``: grad_h also for a mean, as in word2vec.c and
        gensim; for a mean, `grad_inputs` is then not the gradient of the loss.

    Returns
    -------
    loss, grad_inputs, grad_outputs

    Raises
    ------
    InputError
        A shape, a dtype, an index, `combine` or `context_gradient` is wrong, or `loss` raises it.

    References
    ----------
    Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space". On the
    gradient: İrsoy, Benton & Stratos 2021, "Corrected CBOW Performs as well as Skip-gram".
    """
    V, U = _two_matrices("input_vectors", input_vectors, "output_vectors", output_vectors)
    for name, value, choices in (
        ("combine", combine, ("mean", "sum")),
        ("context_gradient", context_gradient, ("exact", "word2vec")),
    ):
        if value not in choices:
            raise InputError(f"{name} is {value!r}; {' or '.join(choices)} is wanted")
    context = _indices("context_indices", context_indices, len(V))
    # No context, nothing to predict.
    target = np.array([_index("center_index", center_index, len(V))])[: len(context)]
    weights = np.full(len(context), 1 / max(1, len(context)) if combine == "mean" else 1.0)
    shares = weights if context_gradient == "exact" else np.ones(len(context))
    return _predict(V, context, weights, shares, target, U, loss)


def subword_skipgram(
    word_rows: npt.ArrayLike,
    outside_indices: npt.ArrayLike,
    input_vectors: npt.ArrayLike,
    output_vectors: npt.ArrayLike,
    loss: LossFunction,
    subword_gradient: str = "exact",
) -> LossAndGradients:
    """Compute the loss of one window of skip-gram with subwords (n-grams).

    The input vector v is the mean of the rows of the center word and of its n-grams. The results
    have the common dtype of the two matrices; the gradients have their shapes.

    Parameters
    ----------
    word_rows : (n,) int
        The rows whose mean is v; not empty. N-grams with the same hash share a row, so a row may
        occur twice; it then gets its gradient twice.
    outside_indices : (k,) int
        A word may occur twice. If there are none, the results are zero.
    input_vectors : (V + buckets, d)
        The rows of words, then those of n-grams.
    output_vectors : (V, d)
        The output vectors; for the hierarchical softmax those of the inner nodes, (V - 1, d).
    loss : callable
        ``(v, outside_index, output_vectors) -> loss, grad_v, grad_outputs``, such as
        `naive_softmax`. It is called with float64 vectors and these three positional arguments,
        once for each outside word, in order.
    subword_gradient : "exact" or "fasttext"
        What each row gets. ``exact``: the gradient of the loss, grad_v / n. ``fasttext``: grad_v,
        as in fastText; then `grad_inputs` is not the gradient of the loss.

    Returns
    -------
    loss, grad_inputs, grad_outputs

    Raises
    ------
    InputError
        A shape, a dtype, an index or `subword_gradient` is wrong, `word_rows` is empty, or `loss`
        raises it.

    References
    ----------
    Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information".
    """
    T, U = _two_matrices("input_vectors", input_vectors, "output_vectors", output_vectors)
    if subword_gradient not in ("exact", "fasttext"):
        raise InputError(f"subword_gradient is {subword_gradient!r}; exact or fasttext is wanted")
    rows = _indices("word_rows", word_rows, len(T))
    if len(rows) == 0:
        raise InputError("word_rows is empty; a word has at least its own row")
    weights = np.full(len(rows), 1 / len(rows))
    shares = weights if subword_gradient == "exact" else np.ones(len(rows))
    outside = _indices("outside_indices", outside_indices, len(T))
    return _predict(T, rows, weights, shares, outside, U, loss)


def _predict(
    inputs: FloatArray,
    rows: npt.NDArray[np.intp],
    weights: Float64Array,
    shares: Float64Array,
    targets: npt.NDArray[np.intp],
    outputs: FloatArray,
    loss: LossFunction,
) -> LossAndGradients:
    """Return the loss of predicting several words from one input vector, and its gradients.

    The input vector is v = Σ_j weights[j] inputs[rows[j]]. The losses of the words are added up.
    The results have the common dtype of `inputs` and `outputs`, the matrices of input and output
    vectors.

    Parameters
    ----------
    rows, weights, shares : (n,)
        The gradient in v, times shares[j], is added to row rows[j] of the gradient of `inputs`. If
        the shares equal the weights, this is the true gradient.
    targets : (k,) int
        The words to predict.
    loss
        Computes the loss for one target word, and its gradients.
    """
    dtype = np.result_type(inputs, outputs)
    # Partial sums of scaled terms cannot overflow. The scale is a power of two, which is exact.
    scale = 2.0 ** -len(targets).bit_length()
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        v = _product(inputs[rows].astype(np.float64).T, weights)
        v = np.asarray(_within_range(v, v.dtype)) if np.isfinite(inputs[rows]).all() else v
    U = outputs.astype(np.float64)
    total = np.float64(0)
    grad_vector = np.zeros(v.shape)
    grad_outputs = np.zeros(U.shape)
    for target in targets.tolist():
        one_loss, one_vector, one_outputs = loss(v, target, U)  # a custom loss may warn
        with np.errstate(under="ignore"):
            total += scale * np.float64(one_loss)
            grad_vector += scale * np.asarray(one_vector, np.float64)
            grad_outputs += scale * np.asarray(one_outputs, np.float64)

    with np.errstate(over="ignore", under="ignore"):
        grad_inputs = np.zeros(inputs.shape, dtype)
        distinct, places = np.unique(rows, return_inverse=True)
        share = np.bincount(places, weights=shares, minlength=len(distinct))
        grad_inputs[distinct] = _within_range(np.outer(share, grad_vector) / scale, dtype)
        return (
            _within_range(total / scale, dtype),
            grad_inputs,
            _within_range(grad_outputs / scale, dtype),
        )


def _log_sigmoid(x: Float64Array) -> Float64Array:
    """Return log σ(x) without overflow: -log1p(exp(-x)) if x >= 0, else x - log1p(exp(x))."""
    return np.asarray(np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))))


def _product(matrix: Float64Array, vector: Float64Array) -> Float64Array:
    """Multiply a matrix by a vector; an entry is infinite only if its exact value overflows."""
    # Not `@`: BLAS may sum equal rows in different orders. Their scores, which should be equal,
    # would then differ by a rounding error, which is large if the scores are.
    product = np.asarray(np.sum(matrix * vector, axis=1))
    lost = ~np.isfinite(product)
    if lost.any():
        product[lost] = _small_product(matrix[lost], vector) / _SMALL / _SMALL
    return product


def _small_product(matrix: Float64Array, vector: Float64Array) -> Float64Array:
    """Return the matrix-vector product times `_SMALL`², a factor that prevents overflow.

    The result is finite for all finite input. It is used where terms or partial sums of the true
    product overflow. The factor can make other terms underflow to zero, but those are negligible
    compared with the terms that overflow.
    """
    return np.asarray(np.sum((matrix * _SMALL) * (vector * _SMALL), axis=1))


def _scores_below_their_maximum(U: Float64Array, v: Float64Array) -> Float64Array:
    """Return the scores U v minus their maximum, (V,), for computing a softmax of the scores.

    The differences are correct even if U v overflows.
    """
    s = _product(U, v)
    below = np.asarray(s - s.max())
    lost = ~np.isfinite(below)
    if lost.any():
        small = _small_product(U, v)
        below[lost] = (small[lost] - small.max()) / _SMALL / _SMALL
    return below


def _within_range(x: Any, dtype: np.dtype[Any]) -> Any:
    """Round float64 numbers to `dtype`, and clip them to its range of finite numbers."""
    largest = float(np.finfo(dtype).max)
    return np.clip(x, -largest, largest).astype(dtype)


def _real(name: str, x: npt.ArrayLike) -> FloatArray:
    """Convert the argument called `name` to an array of floats; integers become float64.

    Raises
    ------
    InputError
        The argument is not an array of integers, or of floats of at most 64 bits.
    """
    try:
        array = np.asarray(x)
    except ValueError:  # ragged lists
        raise InputError(f"{name} is not an array: its rows differ in length") from None
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise InputError(f"{name} has dtype {array.dtype}; float64, float32 or float16 is wanted")
    return array


def _two_matrices(
    name: str, x: npt.ArrayLike, other: str, y: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Convert two arguments to matrices, and check that their rows are equally long.

    `name` and `other` are the names of the arguments for error messages.

    Raises
    ------
    InputError
        An argument is not a matrix of real numbers, is empty, or the rows differ in length.
    """
    a, b = _real(name, x), _real(other, y)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or 0 in (a.size, b.size):
        raise InputError(
            f"{name} has shape {a.shape} and {other} {b.shape}; "
            "they must be two matrices with rows of one length, (V, d)"
        )
    return a, b


def _center_and_outside(
    center_vector: npt.ArrayLike, outside_vectors: npt.ArrayLike, name: str = "outside_vectors"
) -> tuple[FloatArray, FloatArray, np.dtype[Any]]:
    """Convert two arguments to arrays, (d,) and (V, d); return them and their common dtype.

    `name` is the name of the second argument for error messages.

    Raises
    ------
    InputError
        An argument is not real numbers, or a shape is wrong.
    """
    v = _real("center_vector", center_vector)
    U = _real(name, outside_vectors)
    if v.ndim != 1 or U.ndim != 2 or v.shape != U.shape[1:] or U.size == 0:
        raise InputError(
            f"center_vector has shape {v.shape} and {name} {U.shape}; "
            "they must be (d,) and (V, d) with V and d at least 1"
        )
    return v, U, np.result_type(v, U)


def _finite_float64(name: str, x: FloatArray) -> Float64Array:
    """Convert the argument called `name` to float64.

    Raises
    ------
    InputError
        The argument contains NaN or an infinity.
    """
    if not np.isfinite(x).all():
        raise InputError(f"{name} holds NaN or infinity; every entry must be finite")
    return x.astype(np.float64, copy=False)


def _index(name: str, index: int, rows: int) -> int:
    """Check that the argument called `name` is an index from 0 to `rows` - 1; return it as an int.

    Raises
    ------
    InputError
        The argument is not an integer, or is out of range.
    """
    try:
        i = operator.index(index)
    except TypeError:
        raise InputError(f"{name} is {index!r}; an integer is wanted") from None
    if not 0 <= i < rows:
        raise InputError(f"{name} is {i}; it must be from 0 to {rows - 1}, a row of the vectors")
    return i


def _indices(name: str, indices: npt.ArrayLike, rows: int) -> npt.NDArray[np.intp]:
    """Check that the argument called `name` is a list of indices from 0 to `rows` - 1.

    Returns
    -------
    (n,) intp
        The indices.

    Raises
    ------
    InputError
        The argument is not a list of integers, or an index is out of range.
    """
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
