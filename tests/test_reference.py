"""Test `w2v.reference`, the losses and gradients written for clarity.

They must agree with finite differences, plain loops and automatic differentiation, and be accurate
for finite input of any size. A published solution of CS224N's assignment 2, called "the note" here,
has wrong formulas, which must fail the same gradient check.
"""

import doctest
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import autograd
import autograd.numpy as anp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests import naive
from w2v import losses, reference
from w2v.reference import naive_softmax, negative_sampling, sigmoid, skipgram

Array: TypeAlias = npt.NDArray[Any]
Result: TypeAlias = tuple[Any, Array, Array]

LARGEST = sys.float_info.max

# The same examples on every machine, and no limit on time.
steady = settings(derandomize=True, deadline=None, max_examples=50)


# Random cases with small vocabularies, so that some draws repeat or are the outside word.


class Case:
    """Random center and outside vectors, and random words: a pair, a skip-gram window, noise words.

    Tests compute the loss of the pair or of the window, and its gradients.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        size, d, draws = (int(n) for n in rng.integers([2, 1, 1], [9, 7, 9]))
        self.C, self.U = rng.normal(size=(2, size, d))
        self.c, self.o = (int(i) for i in rng.integers(size, size=2))
        self.v = self.C[self.c]
        self.negatives = rng.integers(size, size=draws)
        self.window = rng.integers(size, size=int(rng.integers(1, 6)))
        self.draws = rng.integers(size, size=(len(self.window), draws))

    def skipgram(self, C: Array, U: Array, loss: str) -> Result:
        if loss == "softmax":
            return skipgram(self.c, self.window, C, U, naive_softmax)
        draws = iter(self.draws)
        return skipgram(
            self.c, self.window, C, U, lambda v, o, U: negative_sampling(v, o, next(draws), U)
        )


SEEDS = range(10)
LOSSES = ["softmax", "negative_sampling"]


def test_the_random_cases_contain_the_special_ones() -> None:
    cases = [Case(seed) for seed in SEEDS]
    assert sum(len(set(case.negatives.tolist())) < len(case.negatives) for case in cases) > 2
    assert sum(case.o in case.negatives for case in cases) > 2
    assert sum(case.c in case.window for case in cases) > 0
    assert len({case.U.shape for case in cases}) > 5


# (a) Difference quotients


def difference_quotient(f: Callable[[Array], float], x: Array, step: float = 1e-3) -> Array:
    """Approximate the gradient of f at x by fourth-order central differences."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        moved = []
        for k in (-2, -1, 1, 2):
            y = x.copy()
            y[i] += k * step
            moved.append(float(f(y)))
        gradient[i] = (moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * step)
    return gradient


def relative_error(gradient: Array, expected: Array) -> float:
    """Return the largest relative error of an entry of the gradient.

    Entries smaller than 1e-3 are compared relative to 1e-3, because finite differences have
    rounding errors.
    """
    size = np.maximum(np.maximum(np.abs(gradient), np.abs(expected)), 1e-3)
    return float(np.max(np.abs(gradient - expected) / size))


def check_gradients(function: Callable[[Array, Array], Result], a: Array, b: Array) -> None:
    """Check by finite differences the gradients with respect to a and b that a function returns."""
    _, by_a, by_b = function(a, b)
    for name, gradient, quotient in (
        ("first", by_a, difference_quotient(lambda x: function(x, b)[0], a)),
        ("second", by_b, difference_quotient(lambda x: function(a, x)[0], b)),
    ):
        assert gradient.shape == quotient.shape, f"shape of the {name} gradient"
        error = relative_error(gradient, quotient)
        assert error < 1e-7, f"relative error {error:.1e} of the {name} gradient"


@pytest.mark.parametrize("seed", SEEDS)
def test_naive_softmax_gradients_are_difference_quotients(seed: int) -> None:
    case = Case(seed)
    check_gradients(lambda v, U: naive_softmax(v, case.o, U), case.v, case.U)


@pytest.mark.parametrize("seed", SEEDS)
def test_negative_sampling_gradients_are_difference_quotients(seed: int) -> None:
    case = Case(seed)
    check_gradients(lambda v, U: negative_sampling(v, case.o, case.negatives, U), case.v, case.U)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", SEEDS[:5])
def test_skipgram_gradients_are_difference_quotients(seed: int, loss: str) -> None:
    case = Case(seed)
    check_gradients(lambda C, U: case.skipgram(C, U, loss), case.C, case.U)


@pytest.mark.parametrize("x", [-30.0, -2.5, -1e-3, 0.0, 0.7, 3.0, 30.0])
def test_sigmoid_derivative(x: float) -> None:
    slope = difference_quotient(lambda y: float(sigmoid(y)), np.array(x))
    assert float(sigmoid(x) * (1 - sigmoid(x))) == pytest.approx(float(slope), abs=1e-11)


# (b) Plain loops


def assert_same(result: Result, expected: tuple[Any, Any, Any]) -> None:
    for ours, theirs in zip(result, expected, strict=True):
        np.testing.assert_allclose(ours, np.array(theirs), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("seed", SEEDS)
def test_naive_softmax_equals_loops(seed: int) -> None:
    case = Case(seed)
    assert_same(naive_softmax(case.v, case.o, case.U), naive.softmax_loss(case.v, case.o, case.U))


@pytest.mark.parametrize("seed", SEEDS)
def test_negative_sampling_equals_loops(seed: int) -> None:
    case = Case(seed)
    assert_same(
        negative_sampling(case.v, case.o, case.negatives, case.U),
        naive.negative_sampling_loss(case.v, case.o, case.negatives, case.U),
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", SEEDS[:5])
def test_skipgram_equals_loops(seed: int, loss: str) -> None:
    case = Case(seed)
    draws = None if loss == "softmax" else case.draws.tolist()
    assert_same(
        case.skipgram(case.C, case.U, loss),
        naive.skipgram_loss(case.c, case.window.tolist(), case.C, case.U, draws),
    )


@steady
@given(st.floats(-700, 700))
def test_sigmoid_equals_loops(x: float) -> None:
    assert float(sigmoid(x)) == pytest.approx(naive.sigmoid(x), rel=1e-14)
    assert float(reference._log_sigmoid(np.array([x]))[0]) == pytest.approx(
        naive.log_sigmoid(x), rel=1e-14
    )


# (c) Automatic differentiation of the definitions


def softmax_definition(v: Any, U: Any, o: int) -> Any:
    return -anp.log(anp.exp(anp.dot(U[o], v)) / anp.sum(anp.exp(anp.dot(U, v))))


def negative_sampling_definition(v: Any, U: Any, o: int, negatives: Array) -> Any:
    def log_sigma(x: Any) -> Any:
        return anp.log(1 / (1 + anp.exp(-x)))

    return -log_sigma(anp.dot(U[o], v)) - sum(log_sigma(-anp.dot(U[k], v)) for k in negatives)


def differentiate(definition: Callable[..., Any], *args: Any) -> tuple[Any, Any, Any]:
    return (
        definition(*args),
        autograd.grad(definition, 0)(*args),
        autograd.grad(definition, 1)(*args),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_naive_softmax_equals_autograd(seed: int) -> None:
    case = Case(seed)
    assert_same(
        naive_softmax(case.v, case.o, case.U),
        differentiate(softmax_definition, case.v, case.U, case.o),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_negative_sampling_equals_autograd(seed: int) -> None:
    case = Case(seed)
    assert_same(
        negative_sampling(case.v, case.o, case.negatives, case.U),
        differentiate(negative_sampling_definition, case.v, case.U, case.o, case.negatives),
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", SEEDS[:5])
def test_skipgram_equals_autograd(seed: int, loss: str) -> None:
    case = Case(seed)

    def definition(C: Any, U: Any) -> Any:
        if loss == "softmax":
            return sum(softmax_definition(C[case.c], U, o) for o in case.window)
        return sum(
            negative_sampling_definition(C[case.c], U, o, negatives)
            for o, negatives in zip(case.window, case.draws, strict=True)
        )

    assert_same(case.skipgram(case.C, case.U, loss), differentiate(definition, case.C, case.U))


# Which draws, words and rows count


def test_each_draw_counts() -> None:
    case = Case(0)
    v, U, o = case.v, case.U, 0
    alone = negative_sampling(v, o, [], U)
    once = negative_sampling(v, o, [1], U)
    thrice = negative_sampling(v, o, [1, 1, 1], U)
    for i in range(3):
        zero, one, three = (np.asarray(result[i]) for result in (alone, once, thrice))
        np.testing.assert_allclose(three - zero, 3 * (one - zero), rtol=1e-12)


def test_a_draw_of_the_outside_word_counts() -> None:
    v, U = np.array([0.5, -1.0]), np.array([[1.0, 0.25], [2.0, 2.0]])
    s = U[0] @ v
    loss, grad_center, grad_outside = negative_sampling(v, 0, [0], U)
    slope = -sigmoid(-s) + sigmoid(s)
    np.testing.assert_allclose(loss, -np.log(sigmoid(s)) - np.log(sigmoid(-s)))
    np.testing.assert_allclose(grad_center, slope * U[0])
    np.testing.assert_allclose(grad_outside, [slope * v, [0, 0]])


def test_rows_not_drawn_are_neither_read_nor_moved() -> None:
    U = np.full((6, 3), np.nan)
    U[[2, 4]] = [[1, 2, 3], [3, 2, 1]]
    loss, grad_center, grad_outside = negative_sampling(np.ones(3), 2, [4, 4], U)
    assert np.isfinite(loss)
    assert np.isfinite(grad_center).all()
    assert set(np.flatnonzero(grad_outside.any(axis=1))) == {2, 4}
    assert np.isfinite(grad_outside).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_skipgram_moves_only_the_center_row(loss: str) -> None:
    case = Case(3)
    _, grad_centers, _ = case.skipgram(case.C, case.U, loss)
    assert set(np.flatnonzero(grad_centers.any(axis=1))) == {case.c}


def test_skipgram_calls_the_loss_once_for_each_word_in_order() -> None:
    case = Case(1)
    seen: list[int] = []

    def count(v: Array, o: int, U: Array) -> Any:
        seen.append(o)
        assert isinstance(o, int)
        np.testing.assert_array_equal(v, case.C[0])
        return 1.0, np.ones_like(v), np.ones_like(U)

    total, grad_centers, grad_outside = skipgram(0, [1, 0, 1], case.C, case.U, count)
    assert seen == [1, 0, 1]
    assert total == 3
    assert (grad_centers[0] == 3).all()
    assert (grad_outside == 3).all()


def test_skipgram_without_outside_words_is_zero() -> None:
    case = Case(2)
    total, grad_centers, grad_outside = skipgram(0, [], case.C, case.U, naive_softmax)
    assert total == 0
    assert not grad_centers.any()
    assert not grad_outside.any()


def test_skipgram_shows_the_warnings_of_its_loss() -> None:
    def loud(v: Array, o: int, U: Array) -> Any:
        return np.exp(np.float64(1000)), v, U

    case = Case(2)
    with pytest.warns(RuntimeWarning, match="overflow"):
        skipgram(0, [1], case.C, case.U, loud)


def test_the_input_is_not_changed() -> None:
    case = Case(4)
    C, U = case.C.copy(), case.U.copy()
    for array in (case.C, case.U, case.v, case.negatives):
        array.setflags(write=False)
    for loss in LOSSES:
        case.skipgram(case.C, case.U, loss)
    np.testing.assert_array_equal(case.C, C)
    np.testing.assert_array_equal(case.U, U)


# The errata in w2v/README.md: each error of the note fails the check that the reference passes.


def pair_case() -> tuple[Array, Array]:
    v, U = np.random.default_rng(7).normal(size=(3,)), np.random.default_rng(8).normal(size=(5, 3))
    return v, U


OUTSIDE, NEGATIVES = 1, [0, 3, 3, 4]


def note_c_row_o(v: Array, U: Array) -> Result:
    """Return the softmax loss and its gradients with a mistake, which a gradient check must find.

    The mistake is one of a published solution of CS224N's assignment 2, part (c): the gradient of
    u_o, the vector of the outside word o, is (ŷ_x - 1) v with another word x instead of
    (ŷ_o - 1) v. Here v is the center vector, the rows of U are the outside vectors, and ŷ_w is the
    predicted probability of word w.
    """
    loss, grad_center, grad_outside = naive_softmax(v, OUTSIDE, U)
    y_hat = np.exp(U @ v) / np.exp(U @ v).sum()
    grad_outside[OUTSIDE] = (y_hat[OUTSIDE + 1] - 1) * v
    return loss, grad_center, grad_outside


def note_c_other_rows(v: Array, U: Array) -> Result:
    """Return the softmax loss and its gradients with a mistake, which a gradient check must find.

    The mistake is one of a published solution of CS224N's assignment 2, part (c). For each word w
    except the outside word, the gradient of its outside vector u_w is ŷ_x v with another word x
    instead of ŷ_w v. Here v is the center vector, the rows of U are the outside vectors, and ŷ_w is
    the predicted probability of word w.
    """
    loss, grad_center, grad_outside = naive_softmax(v, OUTSIDE, U)
    y_hat = np.exp(U @ v) / np.exp(U @ v).sum()
    others = [w for w in range(len(U)) if w != OUTSIDE]
    grad_outside[others] = np.outer(y_hat[others[1:] + others[:1]], v)
    return loss, grad_center, grad_outside


def note_e_sum_over_u_o(v: Array, U: Array) -> Result:
    """Return the negative-sampling loss and gradients with a mistake for a gradient check to find.

    The mistake is one of a published solution of CS224N's assignment 2, part (e). In the gradient
    of the center vector v, the term of each noise vector u_k is σ(u_o·v) u_o instead of
    σ(u_k·v) u_k, where u_o is the vector of the outside word. The gradient of U, the outside
    vectors, is returned as well, and is right.
    """
    loss, grad_center, grad_outside = negative_sampling(v, OUTSIDE, NEGATIVES, U)
    s = U @ v
    grad_center = -sigmoid(-s[OUTSIDE]) * U[OUTSIDE]
    grad_center += len(NEGATIVES) * sigmoid(s[OUTSIDE]) * U[OUTSIDE]
    return loss, grad_center, grad_outside


def note_e_difference(v: Array, U: Array) -> Result:
    """Return the negative-sampling loss and gradients with a mistake for a gradient check to find.

    The mistake is one of a published solution of CS224N's assignment 2, part (e). In the gradient
    of the center vector v, the term of each noise vector u_k is the difference
    u_k - (1 - σ(-u_k·v)) instead of the product u_k (1 - σ(-u_k·v)). The gradient of U, the outside
    vectors, is returned as well, and is right.
    """
    loss, grad_center, grad_outside = negative_sampling(v, OUTSIDE, NEGATIVES, U)
    s = U @ v
    grad_center = -sigmoid(-s[OUTSIDE]) * U[OUTSIDE]
    grad_center -= sum((1 - sigmoid(-s[k])) - U[k] for k in NEGATIVES)
    return loss, grad_center, grad_outside


def note_e_by_u_k(v: Array, U: Array) -> Result:
    """Return the negative-sampling loss and gradients with a mistake for a gradient check to find.

    The mistake is one of a published solution of CS224N's assignment 2, part (e). The gradient of
    each noise vector u_k, a row of U, is v (1 - σ(u_k·v)) instead of v (1 - σ(-u_k·v)). The
    gradient of the center vector v is returned as well, and is right.
    """
    loss, grad_center, grad_outside = negative_sampling(v, OUTSIDE, NEGATIVES, U)
    grad_outside = np.zeros_like(U)
    grad_outside[OUTSIDE] = -sigmoid(-U[OUTSIDE] @ v) * v
    for k in NEGATIVES:
        grad_outside[k] += v * (1 - sigmoid(U[k] @ v))
    return loss, grad_center, grad_outside


def test_the_reference_passes_where_the_note_fails() -> None:
    v, U = pair_case()
    check_gradients(lambda v, U: naive_softmax(v, OUTSIDE, U), v, U)
    check_gradients(lambda v, U: negative_sampling(v, OUTSIDE, NEGATIVES, U), v, U)


@pytest.mark.parametrize(
    ("note", "gradient"),
    [
        (note_c_row_o, "second"),
        (note_c_other_rows, "second"),
        (note_e_sum_over_u_o, "first"),
        (note_e_difference, "first"),
        (note_e_by_u_k, "second"),
    ],
)
def test_the_note_fails(note: Callable[[Array, Array], Result], gradient: str) -> None:
    v, U = pair_case()
    with pytest.raises(AssertionError, match=f"relative error .* of the {gradient} gradient"):
        check_gradients(note, v, U)


def test_the_note_on_the_sigmoid_jacobian() -> None:
    """The Jacobian of the elementwise sigmoid σ is diag(σ(1 - σ)), not diag(σ) or diag(-σ²).

    A published solution of CS224N's assignment 2, part (d), has the two wrong formulas. The
    Jacobian is compared with finite differences.
    """
    x = np.array([-2.0, -0.5, 0.0, 1.5])

    def row(i: int) -> Array:
        return difference_quotient(lambda y: float(sigmoid(y)[i]), x)

    jacobian = np.stack([row(i) for i in range(len(x))])
    s = sigmoid(x)
    assert relative_error(np.diag(s * (1 - s)), jacobian) < 1e-7
    assert relative_error(np.diag(s), jacobian) > 0.1
    assert relative_error(np.diag(-s * s), jacobian) > 0.1


# The block form that the engines use


def block() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(11)
    C, R = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    return C, R, rng.integers(0, 3, size=(4, 6)).astype(np.float64)


def test_block_form_of_softmax() -> None:
    """The gradients of the summed loss of many pairs follow from one matrix, G = diag(n) Ŷ - N.

    N counts the pairs (center, outside), n are its row sums, and Ŷ are the predicted probabilities.
    G is the gradient with respect to the scores, the dot products of center and outside vectors.
    """
    C, U, N = block()
    S = C @ U.T
    n = N.sum(axis=1, keepdims=True)
    log_partition = np.log(np.exp(S).sum(axis=1, keepdims=True))
    G = n * np.exp(S - log_partition) - N

    loss, grad_C, grad_U = 0.0, np.zeros_like(C), np.zeros_like(U)
    for (c, o), count in np.ndenumerate(N):
        one, by_v, by_U = naive_softmax(C[c], o, U)
        loss += count * one
        grad_C[c] += count * by_v
        grad_U += count * by_U
    np.testing.assert_allclose((n * log_partition).sum() - (N * S).sum(), loss)
    np.testing.assert_allclose(G @ U, grad_C, atol=1e-12)
    np.testing.assert_allclose(G.T @ C, grad_U, atol=1e-12)


def test_block_form_of_negative_sampling() -> None:
    """The gradients of negative sampling follow from one matrix, G = W⁺ (σ(S) - 1) + W⁻ σ(S).

    Each matrix has a row for each center word and a column for each outside word. S has the scores
    (dot products of center and outside vectors), and W⁺ and W⁻ the total weights of outside words
    and of noise words; products with σ are elementwise. G is the gradient of the summed loss with
    respect to S. G U and Gᵀ C are the gradients of the center vectors C and outside vectors U.
    """
    C, R, positive = block()
    noise = np.roll(positive, 1, axis=0) * positive.sum(axis=1, keepdims=True).astype(int)
    S = C @ R.T
    G = positive * (sigmoid(S) - 1) + noise * sigmoid(S)

    loss, grad_C, grad_R = 0.0, np.zeros_like(C), np.zeros_like(R)
    for c, r in np.ndindex(S.shape):
        alone = negative_sampling(C[c], r, [], R)
        with_draw = negative_sampling(C[c], r, [r], R)
        for result, count in ((alone, positive[c, r] - noise[c, r]), (with_draw, noise[c, r])):
            loss += count * result[0]
            grad_C[c] += count * result[1]
            grad_R += count * result[2]
    np.testing.assert_allclose(
        np.sum(positive * np.logaddexp(0, -S) + noise * np.logaddexp(0, S)), loss
    )
    np.testing.assert_allclose(G @ R, grad_C, atol=1e-12)
    np.testing.assert_allclose(G.T @ C, grad_R, atol=1e-12)


# Stability: the curvature of a row, and the step size that it allows


def row_loss(r: Any, X: Array, positive: Array, noise: Array) -> Any:
    s = anp.dot(X, r)
    return anp.sum(positive * anp.logaddexp(0, -s) + noise * anp.logaddexp(0, s))


def local_curvature(s: Array) -> Array:
    return np.asarray(sigmoid(s) * sigmoid(-s))


def safe_curvature(s: Array) -> Array:
    return np.asarray(0.5 / np.maximum(2, np.abs(s)))


def test_curvature_that_holds_at_any_distance() -> None:
    """A parabola of curvature κ̄ that touches log(1 + exp(t)) at s is an upper bound of this loss.

    The engines use κ̄ = 1 / (2 max(2, |s|)). The smallest such curvature is κ = tanh(s / 2) / (2s),
    and κ̄ is at most 4/3 κ. With the second derivative σ'(s), the parabola is no upper bound.
    """
    s, t = np.meshgrid(np.linspace(-30, 30, 240), np.linspace(-60, 60, 481))
    kappa = np.tanh(s / 2) / (2 * s)

    def least_margin(curvature: Array) -> float:
        parabola = np.logaddexp(0, s) + sigmoid(s) * (t - s) + curvature / 2 * (t - s) ** 2
        return float(np.min(parabola - np.logaddexp(0, t)))

    assert (local_curvature(s) <= kappa + 1e-15).all()
    assert (kappa <= safe_curvature(s)).all()
    assert (safe_curvature(s) <= 4 / 3 * kappa).all()
    assert least_margin(kappa) >= -1e-11
    assert least_margin(safe_curvature(s)) >= -1e-11
    assert least_margin(0.99 * kappa) < -0.1
    assert least_margin(local_curvature(s)) < -10


def test_curvature_of_a_row() -> None:
    """The Hessian of the loss with respect to a vector r has the trace Σ w σ'(x·r) |x|².

    The loss is the sum of terms w log(1 + exp(±x·r)), each with a weight w and another vector x.
    The trace is at least the largest eigenvalue of the Hessian, and at most the same sum with
    κ̄ = 1 / (2 max(2, |x·r|)) in place of σ'.
    """
    rng = np.random.default_rng(12)
    X, r = rng.normal(size=(9, 4)), rng.normal(size=4)
    positive, noise = rng.random((2, 9))
    weights = (positive + noise) * (X**2).sum(axis=1)
    hessian = autograd.hessian(row_loss)(r, X, positive, noise)
    assert np.trace(hessian) == pytest.approx(weights @ local_curvature(X @ r))
    assert np.linalg.eigvalsh(hessian).max() <= np.trace(hessian) <= weights @ safe_curvature(X @ r)


@pytest.mark.parametrize("distance", [0.0, 1.0, 10.0, 100.0])
def test_step_limit_stops_the_overshoot(distance: float) -> None:
    """Gradient descent never increases the loss if each step size is at most 2 / h; else it may.

    The loss is a sum of terms w log(1 + exp(±s)) with s = x·r. The vector r is trained; its start
    is `distance` times a random vector. The vector x and the weight w of each term are fixed. h is
    the sum of w κ̄ |x|² over the terms, where κ̄ = 1 / (2 max(2, |s|)).
    """
    rng = np.random.default_rng(13)
    X, start = rng.normal(size=(400, 5)), distance * rng.normal(size=5)
    positive, noise = rng.random((2, 400))
    lr = 1.0

    def descend(limited: bool) -> list[float]:
        r, seen = start, [float(row_loss(start, X, positive, noise))]
        for _ in range(30):
            s = X @ r
            g = (positive * (sigmoid(s) - 1) + noise * sigmoid(s)) @ X
            h = ((positive + noise) * safe_curvature(s)) @ (X**2).sum(axis=1)
            r = r - (min(1.0, 2 / (lr * h)) if limited else 1.0) * lr * g
            seen.append(float(row_loss(r, X, positive, noise)))
        return seen

    limited = descend(limited=True)
    assert all(after <= before + 1e-9 for before, after in pairwise(limited))
    assert limited[-1] < limited[0]
    assert any(after > 1.1 * before for before, after in pairwise(descend(limited=False)))


def test_step_limit_far_from_the_valley() -> None:
    """Gradient descent converges if its step size is limited by the curvature of an upper bound.

    If the second derivative of the loss limits the step size instead, descent does not converge.

    The loss is a sum of 1000 terms: log(1 + exp(s)) and log(1 + exp(-s)), 500 times each. Descent
    starts at s = 6, far from the minimum at 0. The step size is 0.025, but at most 1 / (1000 c).
    Here, c is one of two values for the curvature of a term. The first, 1 / (2 max(2, |s|)), is the
    curvature of a parabola that touches the term at s and is nowhere below it: descent converges.
    The second is the second derivative σ'(s): at s = 6 it is too small, so the steps are too long.
    """

    def converges(curvature: Callable[[Array], Array]) -> bool:
        s, lr, count = np.array(6.0), 0.025, 500
        for _ in range(50):
            slope = count * ((sigmoid(s) - 1) + sigmoid(s))
            s = s - min(lr, float(1 / (2 * count * curvature(s)))) * slope
        return abs(float(s)) < 1e-6

    assert not converges(local_curvature)
    assert converges(safe_curvature)


# Finite input of any size


@contextmanager
def no_warnings() -> Iterator[None]:
    """Raise an exception for each floating-point error or warning in a ``with`` block."""
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def nearest_float(x: Fraction) -> float:
    limit = Fraction(LARGEST)
    return float(max(-limit, min(limit, x)))


def exact_product(matrix: Any, vector: Any) -> list[Fraction]:
    return [
        sum((Fraction(a) * Fraction(b) for a, b in zip(row, vector, strict=True)), Fraction(0))
        for row in np.asarray(matrix).tolist()
    ]


def exact_softmax(v: Array, o: int, U: Array) -> tuple[float, list[float], list[list[float]]]:
    """Return the softmax loss and its gradients, computed with fractions except for exp and log."""
    s = exact_product(U, v.tolist())
    below = [x - max(s) for x in s]
    weights = [math.exp(max(x, Fraction(-800))) for x in below]
    total = math.fsum(weights)
    error = [Fraction(weight) / Fraction(total) for weight in weights]
    error[o] -= 1
    return (
        nearest_float(Fraction(math.log(total)) - below[o]),
        [nearest_float(x) for x in exact_product(U.T, error)],
        [[nearest_float(e * Fraction(float(x))) for x in v] for e in error],
    )


def exact_negative_sampling(
    v: Array, o: int, negatives: Any, U: Array
) -> tuple[float, list[float], list[list[float]]]:
    s = exact_product(U, v.tolist())

    def sigma(x: Fraction) -> Fraction:
        return Fraction(naive.sigmoid(float(max(Fraction(-700), min(Fraction(700), x)))))

    def minus_log_sigma(x: Fraction) -> Fraction:
        return Fraction(-naive.log_sigmoid(float(x))) if abs(x) < 700 else max(-x, Fraction(0))

    slopes = [Fraction(0)] * len(U)
    slopes[o] -= sigma(-s[o])
    for k in negatives:
        slopes[k] += sigma(s[k])
    loss = minus_log_sigma(s[o]) + sum(minus_log_sigma(-s[k]) for k in negatives)
    return (
        nearest_float(loss),
        [nearest_float(x) for x in exact_product(U.T, slopes)],
        [[nearest_float(g * Fraction(float(x))) for x in v] for g in slopes],
    )


@st.composite
def exact_vectors(draw: st.DrawFn) -> tuple[Array, Array]:
    """Draw a vector v and a matrix U whose product is exact, unless it overflows or underflows."""
    size, d = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    integers = st.integers(-3, 3)
    exponent = st.one_of(st.integers(-1000, 1022), st.integers(505, 520), st.integers(-4, 4))

    def row() -> list[float]:
        power = 2.0 ** draw(exponent)
        return [power * draw(integers) for _ in range(d)]

    return np.array(row()), np.array([row() for _ in range(size)])


def assert_close(ours: Any, true: Any, scale: float) -> None:
    """Check that each value differs from the true one by at most 1e-12 (|true value| + scale)."""
    difference = np.abs(np.asarray(ours) / 4 - np.array(true) / 4)  # / 4 prevents overflow
    allowed = 1e-12 * (np.abs(np.array(true)) / 4 + scale / 4)
    assert (difference <= allowed).all(), (ours, true)


@steady
@given(exact_vectors(), st.data())
@example((np.array([2.0**1000]), np.full((5, 1), 2.0**1000)), None)  # equal scores of 2^2000
@example((np.array([1.0]), np.array([[1.0], [-LARGEST], [-LARGEST]])), None)
def test_naive_softmax_is_true_at_any_size(
    vectors: tuple[Array, Array], data: st.DataObject | None
) -> None:
    v, U = vectors
    o = data.draw(st.integers(0, len(U) - 1)) if data else 0
    with no_warnings():
        loss, grad_center, grad_outside = naive_softmax(v, o, U)
    true_loss, true_center, true_outside = exact_softmax(v, o, U)
    assert_close(loss, true_loss, 1.0)
    assert_close(grad_center, true_center, float(np.abs(U).max()))
    assert_close(grad_outside, true_outside, float(np.abs(v).max()))


@steady
@given(exact_vectors(), st.data())
def test_negative_sampling_is_true_at_any_size(
    vectors: tuple[Array, Array], data: st.DataObject
) -> None:
    v, U = vectors
    words = st.integers(0, len(U) - 1)
    o, negatives = data.draw(words), data.draw(st.lists(words, max_size=6))
    with no_warnings():
        loss, grad_center, grad_outside = negative_sampling(v, o, negatives, U)
    true_loss, true_center, true_outside = exact_negative_sampling(v, o, negatives, U)
    assert_close(loss, true_loss, 1.0)
    assert_close(grad_center, true_center, float(np.abs(U).max()))
    assert_close(grad_outside, true_outside, float(np.abs(v).max()))


def test_terms_that_overflow_can_cancel() -> None:
    v = np.array([1e200, 1e200, 1.0])
    U = np.array([[1e200, -1e200, 0.0], [-1e200, 1e200, 0.0]])
    with no_warnings():
        assert float(naive_softmax(v, 0, U)[0]) == pytest.approx(math.log(2))
        assert float(negative_sampling(v, 0, [1], U)[0]) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e8, 1e100, 1e150, 1e200, 1e300])
def test_equal_rows_share_the_probability_at_any_size(size: float) -> None:
    """If all rows of U are equal, all words have the same probability, even if scores overflow."""
    rng = np.random.default_rng(5)
    v, u = size * rng.normal(size=(2, 33))
    for count in range(2, 20):
        with no_warnings():
            loss, _, grad_outside = naive_softmax(v, 1, np.tile(u, (count, 1)))
        assert float(loss) == pytest.approx(math.log(count))
        np.testing.assert_allclose(grad_outside[0], v / count)


def test_scores_may_overflow_if_their_difference_does_not() -> None:
    v = np.array([2.0])
    U = np.array([[-0.9e308], [-0.8e308], [-0.8e308]])  # the score -1.8e308 overflows
    with no_warnings():
        assert float(naive_softmax(v, 0, U)[0]) == pytest.approx(0.2e308)


def test_partial_sums_may_overflow() -> None:
    """Gradients are right even if the sum of some of their terms would overflow."""
    u = 0.9 * LARGEST
    v, U = np.array([0.0]), np.array([[-u], [u], [u], [-u], [-u]])
    with no_warnings():
        _, grad_center, _ = negative_sampling(v, 0, [1, 2, 3, 4], U)  # u/2 (1 + 1 + 1 - 1 - 1)
        assert grad_center == pytest.approx([0.5 * u])
        _, grad_center, _ = naive_softmax(v, 0, U)  # u/5 (4 + 1 + 1 - 1 - 1)
        assert grad_center == pytest.approx([0.8 * u])

    C, U = np.array([[2.0**1023], [1.0]]), np.zeros((2, 1))
    with no_warnings():
        _, _, grad_outside = skipgram(0, [1] * 5 + [0] * 4, C, U, naive_softmax)
    np.testing.assert_array_equal(grad_outside, [[2.0**1022], [-(2.0**1022)]])


def test_the_smallest_numbers() -> None:
    smallest = np.full((3, 2), 5e-324)
    with no_warnings():
        loss, _, grad_outside = skipgram(0, [1, 2], smallest, smallest, naive_softmax)
    assert float(loss) == pytest.approx(2 * math.log(3))
    assert np.abs(grad_outside).max() <= 1e-323


def test_a_result_that_overflows_is_the_largest_number() -> None:
    v, U = np.array([1e200, 0.0]), np.array([[-1e200, 1e308], [1e200, -1e308]])
    with no_warnings():
        loss, grad_center, _ = naive_softmax(v, 0, U)
    assert loss == LARGEST
    assert grad_center.tolist() == [2e200, -LARGEST]
    with no_warnings():
        single = np.array([[-3e38], [3e38]], np.float32)
        loss32, *_ = naive_softmax(single[1], 0, single)
    assert loss32 == np.finfo(np.float32).max


@st.composite
def any_case(draw: st.DrawFn) -> tuple[Array, Array, int, list[int], list[int]]:
    dtype: Any = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    size, d = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    entries = hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    largest = float(np.finfo(dtype).max)
    extremes = st.sampled_from([largest, -largest, 0.0, 1.0, -1.0]).map(dtype)
    C, U = (draw(hnp.arrays(dtype, (size, d), elements=entries | extremes)) for _ in range(2))
    words = st.integers(0, size - 1)
    return C, U, draw(words), draw(st.lists(words, max_size=5)), draw(st.lists(words, max_size=5))


@steady
@given(any_case())
def test_finite_in_finite_out_and_the_dtype_kept(
    case: tuple[Array, Array, int, list[int], list[int]],
) -> None:
    C, U, c, outside, negatives = case
    o = outside[0] if outside else 0
    with no_warnings():
        results = [
            naive_softmax(C[c], o, U),
            negative_sampling(C[c], o, negatives, U),
            skipgram(c, outside, C, U, naive_softmax),
            skipgram(c, outside, C, U, lambda v, o, U: negative_sampling(v, o, negatives, U)),
        ]
        assert sigmoid(U).dtype == U.dtype
    for loss, by_center, by_outside in results:
        assert loss >= 0
        assert by_center.shape in (C[c].shape, C.shape)
        assert by_outside.shape == U.shape
        for value in (loss, by_center, by_outside):
            assert value.dtype == C.dtype
            assert np.isfinite(value).all()


@pytest.mark.parametrize(
    ("first", "second", "out"),
    [
        ("f4", "f4", "f4"),
        ("f4", "f8", "f8"),
        ("f8", "f4", "f8"),
        ("i4", "f4", "f8"),
        ("f2", "f4", "f4"),
    ],
)
def test_dtypes(first: str, second: str, out: str) -> None:
    C, U = np.ones((3, 2), first), np.ones((3, 2), second)
    for result in (
        naive_softmax(C[0], 1, U),
        negative_sampling(C[0], 1, [2], U),
        skipgram(0, [1, 2], C, U, naive_softmax),
    ):
        assert [value.dtype for value in result] == [np.dtype(out)] * 3
    assert naive_softmax([1.0, 2.0], 0, [[1, 2], [3, 4]])[0].dtype == np.float64


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_float32_is_rounded_once(seed: int) -> None:
    case = Case(seed)
    C, U = case.C.astype(np.float32), case.U.astype(np.float32)
    for loss in LOSSES:
        single = case.skipgram(C, U, loss)
        double = case.skipgram(C.astype(np.float64), U.astype(np.float64), loss)
        for ours, exact in zip(single, double, strict=True):
            np.testing.assert_array_equal(ours, exact.astype(np.float32))


# The sigmoid


@steady
@given(hnp.from_dtype(np.dtype(np.float64), allow_nan=False))
def test_sigmoid_of_any_number(x: float) -> None:
    with no_warnings():
        assert 0 <= sigmoid(x) <= 1
        assert float(sigmoid(x) + sigmoid(-x)) == pytest.approx(1, rel=1e-15)


def test_sigmoid_keeps_shape_and_dtype() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        x = np.linspace(-5, 5, 12, dtype=dtype).reshape(3, 4)
        assert sigmoid(x).shape == (3, 4)
        assert sigmoid(x).dtype == dtype
        assert sigmoid(x[0, 0]).dtype == dtype
    assert sigmoid([0, 1]).dtype == np.float64
    assert sigmoid(0) == 0.5
    assert np.ndim(sigmoid(0.0)) == 0
    np.testing.assert_array_equal(sigmoid([-np.inf, np.inf, np.nan]), [0, 1, np.nan])
    assert sigmoid(-745.0) > 0  # near the smallest positive float64


# Bad input


@pytest.mark.skipif(
    np.finfo(np.longdouble).bits == 64, reason="longdouble is float64 on this platform"
)
def test_longer_floats_are_refused() -> None:
    with pytest.raises(ValueError, match="float64, float32 or float16 is wanted"):
        sigmoid(np.longdouble(1))


V3 = np.ones((4, 3))
WRONG: Any = 1.0  # not an index


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: naive_softmax(V3[0], 4, V3), "outside_index is 4; it must be from 0 to 3"),
        (lambda: naive_softmax(V3[0], -1, V3), "outside_index is -1; it must be from 0 to 3"),
        (lambda: naive_softmax(V3[0], WRONG, V3), "outside_index is 1.0; an integer is wanted"),
        (lambda: naive_softmax(V3[0], 1, V3[0]), r"shape \(3,\) and outside_vectors \(3,\)"),
        (lambda: naive_softmax(V3, 1, V3), r"center_vector has shape \(4, 3\)"),
        (lambda: naive_softmax(V3[0, :2], 1, V3), r"must be \(d,\) and \(V, d\)"),
        (lambda: naive_softmax(V3[0], 0, V3[:0]), "V and d at least 1"),
        (lambda: naive_softmax(V3[0] * 1j, 0, V3), "center_vector has dtype complex128"),
        (lambda: naive_softmax(["a", "b", "c"], 0, V3), "center_vector has dtype <U1"),
        (lambda: naive_softmax(V3[0], 0, [[1, 2], [3]]), "outside_vectors is not an array"),
        (lambda: naive_softmax(V3[0] * np.nan, 0, V3), "center_vector holds NaN or infinity"),
        (lambda: naive_softmax(V3[0], 0, V3 * np.inf), "outside_vectors holds NaN or infinity"),
        (lambda: negative_sampling(V3[0], 9, [0], V3), "outside_index is 9"),
        (lambda: negative_sampling(V3[0], 0, [0, 4], V3), "entry of negative_indices is 4"),
        (lambda: negative_sampling(V3[0], 0, [0, -1], V3), "entry of negative_indices is -1"),
        (lambda: negative_sampling(V3[0], 0, [0.0], V3), "negative_indices has shape .* float64"),
        (lambda: negative_sampling(V3[0], 0, [True], V3), "negative_indices has shape .* bool"),
        (lambda: negative_sampling(V3[0], 0, [[0]], V3), r"negative_indices has shape \(1, 1\)"),
        (lambda: negative_sampling(V3[0], 0, 0, V3), r"negative_indices has shape \(\)"),
        (lambda: negative_sampling(V3[0], 0, [[0], [1, 2]], V3), "negative_indices is ragged"),
        (lambda: negative_sampling(V3[0], 0, [1], V3 * np.nan), "outside_vectors holds NaN"),
        (lambda: skipgram(4, [0], V3, V3, naive_softmax), "center_index is 4"),
        (lambda: skipgram(0, [4], V3, V3, naive_softmax), "entry of outside_indices is 4"),
        (lambda: skipgram(0, [0.5], V3, V3, naive_softmax), "outside_indices has shape"),
        (lambda: skipgram(0, [1], V3[:2], V3, naive_softmax), r"must have one shape \(V, d\)"),
        (lambda: skipgram(0, [1], V3[0], V3[0], naive_softmax), "must be two matrices"),
        (lambda: sigmoid("x"), "x has dtype"),
        (lambda: sigmoid(1j), "x has dtype complex128"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# The documentation


def test_the_example_in_the_docstring_runs() -> None:
    results = doctest.testmod(reference)
    assert results.attempted > 0
    assert results.failed == 0


def test_tests_and_functions_named_in_the_readme_exist() -> None:
    text = (Path(losses.__file__).parent / "README.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(test_\w+)`", text))
    assert len(names) > 10
    sources = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")]
    assert names <= set(re.findall(r"^def (test_\w+)", "\n".join(sources), re.MULTILINE))
    for name in re.findall(r"`losses\.((?!py`)\w+)`", text):
        assert hasattr(losses, name)
