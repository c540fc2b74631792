"""Test the training engines.

They must agree with slow reference implementations, must not depend on the number of threads, and
must keep vectors bounded.
"""

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tests import naive
from w2v.engines import ENGINES, Tally, Task, make_engine
from w2v.engines.inputs import descend
from w2v.engines.negative_sampling import NegativeSamplingStep
from w2v.engines.numpy import NumpyEngine
from w2v.engines.softmax import SoftmaxStep
from w2v.engines.tiles import CENTERS, NOISE, Draw, logistic
from w2v.losses import Loss, NegativeSampling, Softmax
from w2v.objectives import Model, SkipGram
from w2v.sampling import Key, generator
from w2v.sums import Sums
from w2v.text.tokens import Text

Documents = list[list[int]]

KEY = Key(np.uint32(1), np.uint32(2))


def text_of(documents: Documents) -> Text:
    """Convert documents, given as lists of word ids, to a `Text`; -1 is an unknown word."""
    tokens = np.array([word for document in documents for word in document], np.int32)
    ends = np.cumsum([len(document) for document in documents])
    spans = np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1).astype(np.int64)
    size = int(tokens.max(initial=0)) + 1
    tokens[tokens < 0] = size
    return Text(tokens, np.append(np.arange(size, dtype=np.int32), np.int32(-1)), spans)


def random_documents(seed: int, words: int, size: int) -> Documents:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 40, size=1000)
    ids = random.zipf(1.5, size=words).clip(1, size) - 1
    ends = np.cumsum(lengths)
    return [part.tolist() for part in np.split(ids, ends[ends < words])]


def random_model(size: int, dim: int, scale: float = 0.3) -> Model:
    random = np.random.default_rng(1)
    center, outside = random.normal(0, scale, (2, size, dim)).astype(np.float32)
    return Model(center, outside)


def task_of(size: int, dim: int, objective: SkipGram, scale: float = 0.3) -> Task:
    counts = np.arange(size, 0, -1, dtype=np.int64) * 3
    return Task(random_model(size, dim, scale), objective, counts, 1000)


def explicit_pairs(
    draw: Draw, negatives: int
) -> list[tuple[int, int, float, list[tuple[int, float]]]]:
    """Return the pairs of a batch as (center, outside, weight, noise words with their weights).

    `draw` is a batch for negative sampling, whose noise words have been drawn. `negatives` is K,
    the number of noise words per pair.
    """
    pairs = []
    centers = draw.inputs.ids.reshape(-1, CENTERS)
    for tile, rows in enumerate(draw.columns.rows):
        noise = [(int(word), negatives / NOISE) for word in rows[-NOISE:]]
        for i, center in enumerate(centers[tile]):
            for j, outside in enumerate(rows[:-NOISE]):
                weight = float(draw.columns.weights[tile, i, j])
                if weight:
                    pairs.append((int(center), int(outside), weight, noise))
    return pairs


# Which pairs are trained


def trained_pairs(engine: NumpyEngine, documents: Documents, batches: int) -> NDArray[np.float64]:
    """Return the (V, V) matrix of the total weight of each (center, outside) pair in an epoch.

    Check that the epoch has the given number of batches.
    """
    size = len(engine.task.counts)
    weights = np.zeros((size, size))
    _, cut = engine._batches(text_of(documents), KEY)
    assert len(cut) == batches
    for first, batch in cut:
        draw = engine.step.draw(batch, KEY, first)
        if isinstance(draw, Draw):
            for center, outside, weight, _ in explicit_pairs(draw, 5):
                weights[center, outside] += weight
        else:
            weights[draw.inputs.ids] += draw.counts.toarray()
    return weights


@pytest.mark.parametrize(
    ("loss", "words", "batches"),
    [
        (NegativeSampling(), 400, 1),
        (NegativeSampling(), 1400, 3),
        (Softmax(batch_words=400), 400, 1),
        (Softmax(batch_words=7), 400, 50),
    ],
)
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_an_epoch_trains_exactly_the_pairs_of_the_text(
    loss: NegativeSampling | Softmax, words: int, batches: int, dynamic: bool, window: int
) -> None:
    documents = random_documents(0, words, 20)
    words = sum(map(len, documents))
    objective = SkipGram(dim=4, window=window, dynamic_window=dynamic, subsample=0, loss=loss)
    engine = NumpyEngine(task_of(20, 4, objective))
    wanted = np.zeros((20, 20))
    for center, outside, weight in naive.window_pairs(documents, window, dynamic):
        wanted[center, outside] += weight
    np.testing.assert_allclose(trained_pairs(engine, documents, batches), wanted, rtol=1e-5)


# Loss and update


@pytest.mark.parametrize("negatives", [1, 5, 40])
def test_negative_sampling_loss_is_the_objective(negatives: int) -> None:
    loss = NegativeSampling(negatives)
    engine = NumpyEngine(task_of(12, 7, SkipGram(dim=7, window=3, subsample=0, loss=loss)))
    assert isinstance(engine.step, NegativeSamplingStep)
    _, batches = engine._batches(text_of(random_documents(3, 150, 12)), KEY)
    draw = engine.step.draw(batches[0][1], KEY, 0)
    tally = engine.step.loss(draw)
    pairs = explicit_pairs(draw, negatives)
    v, u = engine.task.model
    assert tally.pairs == pytest.approx(sum(weight for _, _, weight, _ in pairs), rel=1e-6)
    assert tally.mean_loss == pytest.approx(
        naive.negative_sampling_objective(pairs, v.tolist(), u.tolist()), rel=1e-6
    )


def test_negative_sampling_update_is_the_summed_gradient() -> None:
    negatives, rate = 5, 0.002
    objective = SkipGram(dim=7, window=3, subsample=0, loss=NegativeSampling(negatives))
    engine = NumpyEngine(task_of(200, 7, objective))
    assert isinstance(engine.step, NegativeSamplingStep)
    _, batches = engine._batches(text_of(random_documents(3, 90, 200)), KEY)
    draw = engine.step.draw(batches[0][1], KEY, 0)
    v, u = (m.astype(np.float64) for m in engine.task.model)
    grad_v, grad_u = np.zeros_like(v), np.zeros_like(u)
    for center, outside, weight, noise in explicit_pairs(draw, negatives):
        for word, sign, share in [(outside, 1, 1.0), *((k, -1, share) for k, share in noise)]:
            slope = -sign * weight * share * naive.sigmoid(-sign * float(u[word] @ v[center]))
            grad_v[center] += slope * u[word]
            grad_u[word] += slope * v[center]
    engine.step.update(draw, rate)
    np.testing.assert_allclose(engine.task.model.center, v - rate * grad_v, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(engine.task.model.outside, u - rate * grad_u, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("logits_mb", [1, 256])
def test_softmax_loss_and_gradient_are_the_objective(logits_mb: int) -> None:
    documents = random_documents(5, 120, 15)
    objective = SkipGram(dim=6, window=2, subsample=0, loss=Softmax(1000, logits_mb))
    engine = NumpyEngine(task_of(15, 6, objective))
    step = engine.step
    assert isinstance(step, SoftmaxStep)
    step.tile_rows = 4 if logits_mb == 1 else step.tile_rows  # several tiles per batch
    _, batches = engine._batches(text_of(documents), KEY)
    draw = step.draw(batches[0][1], KEY, 0)
    pairs = naive.window_pairs(documents, 2, True)
    v, u = (m.astype(np.float64) for m in engine.task.model)
    wanted = naive.softmax_objective(pairs, v.tolist(), u.tolist())
    assert step.loss(draw).mean_loss == pytest.approx(wanted, rel=1e-6)
    grad_v, grad_u = np.zeros_like(v), np.zeros_like(u)
    for center, outside, weight in pairs:
        _, to_center, to_outside = naive.softmax_loss(v[center], outside, u)
        grad_v[center] += weight * np.array(to_center)
        grad_u += weight * np.array(to_outside)
    total, by_centers, by_outside = step.gradient(draw)
    assert total == pytest.approx(wanted * (step.loss(draw).pairs or 0), rel=1e-6)
    np.testing.assert_allclose(by_centers, grad_v[draw.inputs.ids], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_outside, grad_u, rtol=1e-4, atol=1e-5)


def test_softmax_of_logits_beyond_the_range_of_exp() -> None:
    documents = random_documents(5, 120, 15)
    pairs = naive.window_pairs(documents, 2, True)
    objective = SkipGram(dim=6, window=2, subsample=0, loss=Softmax(batch_words=1000))
    for scale in (40, -40):  # scores of some ±1,000: exp gives 0 or infinity in float32
        task = task_of(15, 6, objective)
        task.model.center[:] = np.abs(task.model.center) + 1
        task.model.outside[:] = np.sign(scale) * np.abs(task.model.outside * scale) + scale
        engine = NumpyEngine(task)
        assert isinstance(engine.step, SoftmaxStep)
        _, batches = engine._batches(text_of(documents), KEY)
        draw = engine.step.draw(batches[0][1], KEY, 0)
        v, u = (m.astype(np.float64) for m in task.model)
        wanted = naive.softmax_objective(pairs, v.tolist(), u.tolist())
        assert engine.step.loss(draw).mean_loss == pytest.approx(wanted, rel=1e-5)
        grad_u = np.zeros_like(u)
        for center, outside, weight in pairs:
            grad_u += weight * np.array(naive.softmax_loss(v[center], outside, u)[2])
        np.testing.assert_allclose(engine.step.gradient(draw)[2], grad_u, rtol=1e-3, atol=1e-2)


def test_softmax_batches_have_nearly_equal_sizes() -> None:
    objective = SkipGram(dim=2, window=1, subsample=0, loss=Softmax(batch_words=100))
    step = NumpyEngine(task_of(5, 2, objective)).step
    assert [step.batch_size(words) for words in (0, 1, 149, 151, 1049)] == [1, 1, 149, 76, 105]


def test_a_softmax_batch_may_be_longer_than_the_setting() -> None:
    objective = SkipGram(dim=3, window=2, subsample=0, loss=Softmax(batch_words=7))
    engine = NumpyEngine(task_of(10, 3, objective))
    tally = engine.train(text_of([list(range(10))]), (0.01, 0.01), generator(0, "t"))
    assert tally.pairs == pytest.approx(2 * (9 + 8 / 2))


def test_softmax_update_is_the_scaled_gradient() -> None:
    objective = SkipGram(dim=6, window=2, subsample=0, loss=Softmax(batch_words=60))
    task = task_of(15, 6, objective)
    engine = NumpyEngine(task)
    step = engine.step
    assert isinstance(step, SoftmaxStep)
    _, batches = engine._batches(text_of(random_documents(5, 120, 15)), KEY)
    assert len(batches) == 2
    squares, taken = np.zeros((2, 15)), np.zeros((2, 15))
    for first, batch in batches:
        draw = step.draw(batch, KEY, first)
        _, by_centers, by_outside = step.gradient(draw)
        rows: list[NDArray[Any]] = [draw.inputs.ids, np.arange(15)]
        wanted = [matrix.astype(np.float64) for matrix in task.model]
        for side, gradient in enumerate([by_centers.astype(float), by_outside.astype(float)]):
            for g, w in zip(gradient, rows[side], strict=True):
                squares[side, w] += sum(x * x for x in g) / 6
                taken[side, w] += 1
            mean = squares[side, rows[side]] / taken[side, rows[side]]
            scale = np.sqrt(mean + mean.mean())[:, None]
            wanted[side][rows[side]] -= 0.025 * 300 / math.sqrt(64 * 6) * gradient / scale
        step.update(draw, 0.025)
        np.testing.assert_allclose(task.model.center, wanted[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(task.model.outside, wanted[1], rtol=1e-5, atol=1e-6)


def test_softmax_by_plain_descent_is_the_summed_gradient() -> None:
    documents = random_documents(5, 120, 15)
    loss = Softmax(batch_words=1000, optimizer="sgd")
    task = task_of(15, 6, SkipGram(dim=6, window=2, subsample=0, loss=loss))
    wanted = [matrix.astype(np.float64) for matrix in task.model]
    v, u = (matrix.copy() for matrix in wanted)
    for center, outside, weight in naive.window_pairs(documents, 2, True):
        _, to_center, to_outside = naive.softmax_loss(v[center], outside, u)
        wanted[0][center] -= 0.01 * weight * np.array(to_center)
        wanted[1] -= 0.01 * weight * np.array(to_outside)
    NumpyEngine(task).train(text_of(documents), (0.01, 0.01), generator(0, "t"))
    for ours, theirs in zip(task.model, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", [NegativeSampling(), Softmax(batch_words=100)])
def test_reported_loss_is_the_loss_of_frozen_vectors(loss: NegativeSampling | Softmax) -> None:
    documents = random_documents(7, 700, 25)
    objective = SkipGram(dim=5, window=4, subsample=0, loss=loss)
    task = task_of(25, 5, objective)
    engine = NumpyEngine(task)
    if isinstance(loss, NegativeSampling):
        engine.step.update = lambda draw, rate: engine.step.loss(draw)  # type: ignore
    tally = engine.train(text_of(documents), (0.0, 0.0), generator(0, "test"))
    assert tally.mean_loss == pytest.approx(
        engine.loss(text_of(documents), generator(0, "test")).mean_loss, rel=1e-9
    )
    assert tally.words == sum(map(len, documents))


def test_logistic_over_the_whole_range() -> None:
    x = np.array([-1e30, -90, -80, -5, 0, 5, 79.9, 80.1, 90, 1e30], np.float32)
    weights = np.arange(1, 11, dtype=np.float32)
    for value, weight in zip(x, weights, strict=True):
        gradient = np.empty(1, np.float32)
        curvature = np.array([value])
        got = logistic(curvature, np.array([weight]), gradient, np.empty(1, np.float32))
        wanted = -naive.log_sigmoid(-float(value)) * float(weight)
        assert got == pytest.approx(wanted, rel=1e-6, abs=1e-6)
        slope = naive.sigmoid(max(float(value), -700)) * float(weight)
        assert gradient[0] == pytest.approx(slope, abs=1e-6)
        for other in np.linspace(-30, 30, 61) * max(1.0, abs(float(value)) / 10):
            parabola = wanted + slope * other + float(curvature[0]) / 2 * other**2
            there = -naive.log_sigmoid(-float(value) - other) * float(weight)
            assert there <= parabola + 1e-5 * (1 + abs(wanted) + abs(slope * other))


# Stability


def test_descend_is_gradient_descent_until_the_step_would_overshoot() -> None:
    rows = np.zeros((3, 2), np.float32)
    gradients = np.array([[1, 0], [2, 0], [0, 4]], np.float32)
    curvature = np.array([1, 2, 100], np.float32)
    descend(rows, Sums(np.array([2, 2, 0], np.int32)), gradients, curvature, rate=0.1)
    np.testing.assert_allclose(rows, np.array([[0, -4 * 2 / 100], [0, 0], [-0.3, 0]]), rtol=1e-6)


def half_of_the_corpus(size: int, words: int) -> Documents:
    """Return documents in which every second word is word 0, which could make its vector grow.

    The other words are `words` random word ids from 1 to `size` - 1.
    """
    random = np.random.default_rng(0)
    others = random.integers(1, size, size=words)
    return [
        np.stack([np.zeros(20, int), part], axis=1).ravel().tolist()
        for part in others.reshape(-1, 20)
    ]


@pytest.mark.usefixtures("short_shards")
@pytest.mark.parametrize(
    ("name", "size"),
    # JAX compiles for each size of the vocabulary.
    [(name, size) for name in ENGINES for size in ((2, 50) if name == "jax" else (2, 3, 10, 50))],
)
def test_a_word_that_is_half_of_the_corpus_stays_bounded(name: str, size: int) -> None:
    # With less text, chance moves gensim's loss more than training does.
    documents = half_of_the_corpus(size, 20_000 if name == "gensim" else 4000)
    text = text_of(documents)
    objective = SkipGram(dim=20, window=5, subsample=0)
    counts = np.bincount(np.concatenate(documents), minlength=size).astype(np.int64)
    task = Task(random_model(size, 20, 0.01), objective, counts, int(counts.sum()))
    engine = make_engine(name, task)
    numpy_engine = NumpyEngine(engine.task)
    losses = []
    for epoch in range(5):
        tally = engine.train(text, (0.2, 0.2), generator(0, "train", epoch))
        if tally.loss is None:  # gensim reports no loss
            tally = numpy_engine.loss(text, generator(0, "loss"))
        losses.append(tally.mean_loss or math.inf)
    center = engine.task.model.center
    assert np.isfinite(center).all()
    assert max(losses[1:]) <= losses[0]
    assert np.abs(center).max() < 20


def test_without_the_bound_that_word_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    def unbounded(
        rows: NDArray[np.float32],
        sums: Sums,
        gradients: NDArray[np.float32],
        curvature: NDArray[np.float32],
        rate: float,
    ) -> None:
        descend(rows, sums, gradients, np.zeros_like(curvature), rate)

    monkeypatch.setattr("w2v.engines.tiles.descend", unbounded)
    with pytest.raises(AssertionError), np.errstate(all="ignore"):
        test_a_word_that_is_half_of_the_corpus_stays_bounded("numpy", 50)


# Threads


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("loss", [NegativeSampling(), Softmax(batch_words=700, logits_mb=8)])
def test_the_bits_do_not_depend_on_threads(name: str, loss: Loss) -> None:
    size = 5000  # several blocks of the softmax
    random = np.random.default_rng(4)
    documents = random.integers(0, size, (40, 70)).tolist() + random_documents(1, 2000, size)
    digests = set()
    for threads in (1, 2, 3, 5, 8):
        objective = SkipGram(dim=70, window=5, subsample=0, loss=loss)
        task = replace(task_of(size, 70, objective, 0.1), threads=threads)
        engine = make_engine(name, task)
        with threadpool_limits(1 + threads % 2):
            tally = engine.train(text_of(documents), (0.05, 0.02), generator(0, "t"))
        digest = hashlib.sha256(repr(tally).encode())
        for array in (*engine.task.model, *engine.state().values()):
            digest.update(np.ascontiguousarray(array).tobytes())
        digests.add(digest.hexdigest())
    assert len(digests) == 1


# The interface


def engines_and(*losses: Loss) -> pytest.MarkDecorator:
    """Return the pytest mark that runs a test for each engine and each of `losses` it can train."""
    return pytest.mark.parametrize(
        ("name", "loss"),
        [
            (name, loss)
            for name in ENGINES
            for loss in losses
            if loss.name in (ENGINES[name].losses or loss.name)
        ],
    )


@pytest.mark.usefixtures("short_shards")
@engines_and(NegativeSampling(), Softmax(batch_words=64))
@pytest.mark.parametrize(
    ("documents", "dim", "window", "negatives"),
    [
        ([[0, 1, 0, 1]], 3, 2, 30),
        ([[0], [1], [0, 1]], 1, 5, 3),
        ([[0, 1, 2] * 30], 1000, 100, 3),
        ([[i % 7 for i in range(1000)]], 5, 2, 30),
    ],
)
def test_odd_shapes(
    name: str, loss: Loss, documents: Documents, dim: int, window: int, negatives: int
) -> None:
    loss = NegativeSampling(negatives) if isinstance(loss, NegativeSampling) else loss
    size = max(map(max, documents)) + 1
    task = task_of(size, dim, SkipGram(dim=dim, window=window, subsample=0, loss=loss), 0.01)
    before = task.model.center.copy()
    engine = make_engine(name, task)
    tally = engine.train(text_of(documents), (0.05, 0.04), generator(0, "t"))
    assert tally.words == sum(map(len, documents))
    if name == "gensim":
        assert (tally.pairs, tally.loss, tally.mean_loss) == (None, None, None)
    else:
        assert (tally.pairs or 0) > 0
        assert math.isfinite(tally.mean_loss or math.nan)
    assert not np.array_equal(before, engine.task.model.center)
    assert all(np.isfinite(matrix).all() for matrix in engine.task.model)


@pytest.mark.usefixtures("short_shards")
@engines_and(NegativeSampling(), Softmax())
def test_a_text_without_pairs_changes_nothing(name: str, loss: Loss) -> None:
    task = task_of(5, 4, SkipGram(dim=4, loss=loss, subsample=0))
    before = [matrix.copy() for matrix in task.model]
    engine = make_engine(name, task)
    tally = engine.train(text_of([[1], [2], [3]]), (0.1, 0.1), generator(0, "t"))
    assert tally._replace(setup_seconds=0.0) == Tally(3, 0.0, 0.0)
    assert tally.mean_loss is None
    for old, new in zip(before, engine.task.model, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ["numpy", "numba"])  # for gensim: test_engines_gensim.py
def test_subsampling_keeps_the_expected_share(name: str) -> None:
    documents = [[0] * 50_000 + [1] * 50_000]
    objective = SkipGram(dim=2, window=1, dynamic_window=False, subsample=0.01)
    task = Task(random_model(2, 2), objective, np.array([50_000, 50_000]), 100_000)
    tally = make_engine(name, task).train(text_of(documents), (0.01, 0.01), generator(0, "t"))
    kept = math.sqrt(0.01 / 0.5) + 0.01 / 0.5
    assert tally.words == 100_000
    assert tally.pairs == pytest.approx(2 * 100_000 * kept, rel=0.02)
