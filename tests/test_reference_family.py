"""Test the reference implementations of hierarchical softmax, CBOW and subwords.

Losses and gradients must equal those of plain loops and of automatic differentiation. Gradients
must also equal finite differences.
"""

import math
from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

from tests import naive
from tests.test_reference import (
    Array,
    Result,
    assert_same,
    check_gradients,
    differentiate,
    negative_sampling_definition,
    softmax_definition,
)
from w2v.errors import InputError
from w2v.huffman import HuffmanTree
from w2v.reference import (
    LossFunction,
    cbow,
    hierarchical_softmax,
    naive_softmax,
    negative_sampling,
    skipgram,
    subword_skipgram,
)

SEEDS = range(2, 7)
LOSSES = ["softmax", "negative_sampling", "hierarchical"]


class Case:
    """Random input of the losses: vectors, a window, a Huffman tree, and noise words."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        size, d = (int(n) for n in rng.integers([2, 1], [9, 6]))
        self.rows = size + 4  # of the input table: the words, and four buckets
        self.V, self.U = rng.normal(size=(self.rows, d)), rng.normal(size=(size, d))
        self.N = rng.normal(size=(size - 1, d))
        self.c = int(rng.integers(size))
        self.window = rng.integers(size, size=int(rng.integers(1, 6)))
        self.draws = rng.integers(size, size=(size, 4))  # of each word, when it is predicted
        self.word_rows = rng.integers(self.rows, size=int(rng.integers(1, 7)))
        self.tree = HuffmanTree(rng.integers(1, 50, size=size))

    def path(self, word: int) -> tuple[Array, Array]:
        part = slice(self.tree.starts[word], self.tree.starts[word + 1])
        return self.tree.nodes[part], self.tree.codes[part]

    def outputs(self, loss: str) -> Array:
        return self.N if loss == "hierarchical" else self.U

    def loss(self, name: str) -> LossFunction:
        if name == "softmax":
            return naive_softmax
        if name == "hierarchical":
            return lambda v, o, N: hierarchical_softmax(v, *self.path(o), N)
        return lambda v, o, U: negative_sampling(v, o, self.draws[o], U)

    def naive_loss(self, name: str, v: Any, o: int) -> naive.Result:
        if name == "softmax":
            return naive.softmax_loss(v, o, self.U)
        if name == "hierarchical":
            nodes, codes = (part.tolist() for part in self.path(o))
            return naive.hierarchical_softmax_loss(v, zip(nodes, codes, strict=True), self.N)
        return naive.negative_sampling_loss(v, o, self.draws[o], self.U)

    def definition(self, name: str, v: Any, o: int, U: Any) -> Any:
        if name == "softmax":
            return softmax_definition(v, U, o)
        if name == "hierarchical":
            return hierarchical_definition(v, U, *self.path(o))
        return negative_sampling_definition(v, U, o, self.draws[o])


def hierarchical_definition(v: Any, N: Any, nodes: Array, codes: Array) -> Any:
    """Return the hierarchical softmax loss by its definition.

    Parameters
    ----------
    v
        The center vector.
    N
        The vectors of the inner nodes.
    nodes, codes
        The path to the outside word: inner nodes, and the branch taken at each, 0 or 1.
    """
    return -sum(
        anp.log(1 / (1 + anp.exp(-(1 - 2 * code) * anp.dot(N[node], v))))
        for node, code in zip(nodes.tolist(), codes.tolist(), strict=True)
    )


def test_the_random_cases_contain_the_special_ones() -> None:
    cases = [Case(seed) for seed in SEEDS]
    assert any(len(set(case.window.tolist())) < len(case.window) for case in cases)
    assert any(len(set(case.word_rows.tolist())) < len(case.word_rows) for case in cases)
    assert len({len(case.U) for case in cases}) > 2


# Hierarchical softmax


@pytest.mark.parametrize("seed", SEEDS)
def test_hierarchical_softmax_gradients_are_difference_quotients(seed: int) -> None:
    case = Case(seed)
    path = case.path(case.c)
    check_gradients(lambda v, N: hierarchical_softmax(v, *path, N), case.V[0], case.N)


@pytest.mark.parametrize("seed", SEEDS)
def test_hierarchical_softmax_equals_loops(seed: int) -> None:
    case = Case(seed)
    assert_same(
        hierarchical_softmax(case.V[0], *case.path(case.c), case.N),
        case.naive_loss("hierarchical", case.V[0], case.c),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_hierarchical_softmax_equals_autograd(seed: int) -> None:
    case = Case(seed)
    assert_same(
        hierarchical_softmax(case.V[0], *case.path(case.c), case.N),
        differentiate(hierarchical_definition, case.V[0], case.N, *case.path(case.c)),
    )


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e5])
@pytest.mark.parametrize("size", [2, 3, 50])
def test_probabilities_of_the_hierarchical_softmax_sum_to_one(size: int, scale: float) -> None:
    rng = np.random.default_rng(size)
    tree = HuffmanTree(rng.zipf(1.2, size).clip(1, 10**6))
    v, N = scale * rng.normal(size=4), rng.normal(size=(size - 1, 4))
    paths = [slice(a, b) for a, b in zip(tree.starts[:-1], tree.starts[1:], strict=True)]
    losses = [hierarchical_softmax(v, tree.nodes[p], tree.codes[p], N)[0] for p in paths]
    assert math.fsum(np.exp(-np.array(losses))) == pytest.approx(1, abs=1e-12)


def test_a_tree_of_two_leaves_is_logistic_regression() -> None:
    tree = HuffmanTree(np.array([5, 3]))
    v, N = np.array([0.5, -1.0]), np.array([[2.0, 0.25]])
    for word, sign in ((0, -1), (1, 1)):
        part = slice(tree.starts[word], tree.starts[word + 1])
        loss, by_v, by_node = hierarchical_softmax(v, tree.nodes[part], tree.codes[part], N)
        probability = naive.sigmoid(sign * 0.75)
        assert loss == pytest.approx(-math.log(probability))
        np.testing.assert_allclose(by_v, -sign * (1 - probability) * N[0])
        np.testing.assert_allclose(by_node, -sign * (1 - probability) * v[None])


def test_hierarchical_softmax_reads_and_moves_its_path_alone() -> None:
    N = np.full((3, 2), np.nan)
    N[1] = 1
    loss, _, by_nodes = hierarchical_softmax([1.0, 1.0], [1], [0], N)
    assert np.isfinite(loss)
    assert np.flatnonzero(by_nodes.any(axis=1)).tolist() == [1]


def test_hierarchical_softmax_is_finite_at_any_size() -> None:
    N = np.array([[1e200, -1e200], [3e307, 3e307]])
    for codes in ([0, 1], [1, 0]):
        for result in hierarchical_softmax(np.array([1e200, 1e200]), [0, 1], codes, N):
            assert np.isfinite(result).all()


# The architectures


Vectors = Callable[[Any], Any]


def case_of(architecture: str, case: Case, loss: str) -> tuple[Callable[..., Result], Vectors, Any]:
    """Return a function for the loss of a case, one for its input vector, and the target words.

    Parameters
    ----------
    architecture
        ``skipgram``; ``subwords``, for skip-gram with subwords; or, for CBOW, its setting
        ``combine``: ``mean`` or ``sum``.
    case
        The random input: the center word, its window and others.
    loss
        The name of the loss, one of `LOSSES`.

    Returns
    -------
    function
        A function of the input and output matrices that returns the loss and its gradients.
    vector
        A function of the input matrix that returns the input vector.
    targets
        The words to predict from the input vector.
    """
    function, n = case.loss(loss), len(case.window)
    if architecture == "skipgram":
        size = len(case.U)
        return (
            lambda V, U: skipgram(case.c, case.window, V[:size], U, function),
            lambda V: V[case.c],
            case.window,
        )
    if architecture == "subwords":
        rows = case.word_rows
        return (
            lambda V, U: subword_skipgram(rows, case.window, V, U, function),
            lambda V: sum(V[row] for row in rows) / len(rows),
            case.window,
        )
    by = n if architecture == "mean" else 1
    return (
        lambda V, U: cbow(case.c, case.window, V, U, function, architecture),
        lambda V: sum(V[word] for word in case.window) / by,
        [case.c],
    )


combinations = pytest.mark.parametrize(
    ("architecture", "loss", "seed"),
    [
        (architecture, loss, seed)
        for architecture in ("skipgram", "subwords", "mean", "sum")
        for loss in LOSSES
        for seed in SEEDS
        if architecture != "skipgram" or loss == "hierarchical"  # the others: test_reference.py
    ],
)


@combinations
def test_architectures_equal_difference_quotients(architecture: str, loss: str, seed: int) -> None:
    case = Case(seed)
    V = case.V[: len(case.U)] if architecture == "skipgram" else case.V
    check_gradients(case_of(architecture, case, loss)[0], V, case.outputs(loss))


@combinations
def test_architectures_equal_autograd(architecture: str, loss: str, seed: int) -> None:
    case = Case(seed)
    V = case.V[: len(case.U)] if architecture == "skipgram" else case.V
    function, vector, targets = case_of(architecture, case, loss)

    def definition(V: Any, U: Any) -> Any:
        return sum(case.definition(loss, vector(V), o, U) for o in targets)

    assert_same(function(V, case.outputs(loss)), differentiate(definition, V, case.outputs(loss)))


@pytest.mark.parametrize("gradient", ["exact", "word2vec"])
@pytest.mark.parametrize("combine", ["mean", "sum"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_cbow_equals_loops(seed: int, loss: str, combine: str, gradient: str) -> None:
    case = Case(seed)
    words, n = case.window.tolist(), len(case.window)
    weight = 1 / n if combine == "mean" else 1.0
    h = naive.sum_of_rows(words, weight, case.V, case.V.shape[1])
    one, by_h, by_outputs = case.naive_loss(loss, h, case.c)
    share = weight if gradient == "exact" else 1.0
    assert_same(
        cbow(case.c, case.window, case.V, case.outputs(loss), case.loss(loss), combine, gradient),
        (one, naive.spread_gradient(by_h, words, share, case.rows), by_outputs),
    )


@pytest.mark.parametrize("gradient", ["exact", "fasttext"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_subword_skipgram_equals_loops(seed: int, loss: str, gradient: str) -> None:
    case = Case(seed)
    rows = case.word_rows.tolist()
    v = naive.sum_of_rows(rows, 1 / len(rows), case.V, case.V.shape[1])
    results = [case.naive_loss(loss, v, o) for o in case.window.tolist()]
    by_v = [math.fsum(result[1][i] for result in results) for i in range(len(v))]
    share = 1 / len(rows) if gradient == "exact" else 1.0
    assert_same(
        subword_skipgram(rows, case.window, case.V, case.outputs(loss), case.loss(loss), gradient),
        (
            math.fsum(result[0] for result in results),
            naive.spread_gradient(by_v, rows, share, case.rows),
            sum(np.array(result[2]) for result in results),
        ),
    )


def test_a_window_without_context_predicts_nothing() -> None:
    V = np.ones((3, 2))
    loss, by_inputs, by_outputs = cbow(1, [], V, V, naive_softmax)
    assert loss == 0
    assert not by_inputs.any()
    assert not by_outputs.any()


def test_a_word_without_ngrams_has_its_own_vector() -> None:
    rng = np.random.default_rng(0)
    T, U = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    ours = subword_skipgram([2], [1, 3], T, U, naive_softmax)
    theirs = skipgram(2, [1, 3], T[:4], U, naive_softmax)
    assert ours[0] == theirs[0]
    np.testing.assert_array_equal(ours[1][:4], theirs[1])
    np.testing.assert_array_equal(ours[2], theirs[2])


def test_sums_of_the_largest_numbers_stay_finite() -> None:
    largest = np.finfo(np.float64).max
    V, U = np.full((3, 2), largest), np.array([[1.0, 0], [0, 1.0], [-1.0, 0]])
    for combine in ("mean", "sum"):
        for result in cbow(0, [1, 2, 2], V, U, naive_softmax, combine):
            assert np.isfinite(result).all()


V3 = np.ones((4, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hierarchical_softmax(V3[0], [4], [0], V3), "entry of path_nodes is 4"),
        (lambda: hierarchical_softmax(V3[0], [0], [2], V3), "entry of path_codes is 2"),
        (lambda: hierarchical_softmax(V3[0], [0], [0, 1], V3), "path_codes has 2 entries for 1"),
        (lambda: hierarchical_softmax(V3[0], [0], [0], V3[0]), r"node_vectors \(3,\)"),
        (lambda: hierarchical_softmax(V3[0], [0], [0], V3 * np.nan), "node_vectors holds NaN"),
        (lambda: cbow(4, [0], V3, V3, naive_softmax), "center_index is 4"),
        (lambda: cbow(0, [4], V3, V3, naive_softmax), "entry of context_indices is 4"),
        (lambda: cbow(0, [1], V3, V3[:, :2], naive_softmax), "rows of one length"),
        (lambda: cbow(0, [1], V3, V3, naive_softmax, "max"), "combine is 'max'; mean or sum"),
        (lambda: cbow(0, [1], V3, V3, naive_softmax, "sum", ""), "exact or word2vec is wanted"),
        (lambda: cbow(0, [1], V3 * np.nan, V3, naive_softmax), "center_vector holds NaN"),
        (lambda: subword_skipgram([], [1], V3, V3, naive_softmax), "word_rows is empty"),
        (lambda: subword_skipgram([4], [1], V3, V3, naive_softmax), "entry of word_rows is 4"),
        (lambda: subword_skipgram([1], [4], V3, V3, naive_softmax), "entry of outside_indices"),
        (lambda: subword_skipgram([1], [1], V3, V3, naive_softmax, "x"), "exact or fasttext"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
