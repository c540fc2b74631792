"""Test each loss with each architecture (skip-gram or CBOW, with or without subwords).

``engine=numpy`` is compared with plain loops, and ``engine=numba`` with ``engine=numpy``. The two
that are compared use the same random numbers.
"""

import hashlib
import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import naive
from tests.test_engines import KEY, Documents, random_documents, text_of
from w2v.engines import Engine, Tally, Task, make_engine, tiles
from w2v.engines.numpy import NumpyEngine
from w2v.engines.step import WINDOW_SIZES, window_block
from w2v.engines.tiles import CENTERS, Draw
from w2v.losses import HierarchicalSoftmax, Loss, NegativeSampling, Softmax
from w2v.objectives import Cbow, Model, Objective, SkipGram
from w2v.sampling import draw, generator
from w2v.training.subwords import subword_sums

LOSSES: list[Loss] = [
    NegativeSampling(4),
    HierarchicalSoftmax(),
    Softmax(batch_words=10_000, optimizer="sgd"),
]
ARCHITECTURES: list[Objective] = [
    SkipGram(dim=5, window=3, subsample=0),
    SkipGram(dim=4, window=1, dynamic_window=False, subsample=0),
    Cbow(dim=5, window=3, subsample=0),
    Cbow(dim=5, window=3, subsample=0, context_gradient="word2vec"),
    Cbow(dim=4, window=2, dynamic_window=False, subsample=0, combine="sum"),
    SkipGram(dim=5, window=2, subsample=0, subwords=True, buckets=9),
    SkipGram(dim=5, window=2, subsample=0, subwords=True, min_n=1, max_n=2, buckets=1),
    SkipGram(dim=4, window=2, subsample=0, subwords=True, buckets=7, subword_gradient="exact"),
    Cbow(dim=4, window=2, subsample=0, subwords=True, buckets=20, subword_gradient="exact"),
    Cbow(dim=4, window=2, subsample=0, subwords=True, buckets=20, context_gradient="word2vec"),
    Cbow(dim=4, window=3, subsample=0, subwords=True, buckets=20, combine="rows"),
    Cbow(
        dim=4,
        window=2,
        subsample=0,
        subwords=True,
        buckets=20,
        subword_gradient="exact",
        combine="rows",
        context_gradient="word2vec",
    ),
]
WORDS = ["a", "the", "then", "é", "日本語", "x", "theory", "😀", "aaaa", "</s>", "nähe", "thé"]
OBJECTIVES = [replace(one, loss=loss) for one in ARCHITECTURES for loss in LOSSES]


def task_of(objective: Objective, size: int, scale: float = 0.4) -> Task:
    random = np.random.default_rng(1)
    rows, outputs = objective.input_rows(size), objective.loss.output_rows(size)
    center = random.normal(0, scale, (rows, objective.dim)).astype(np.float32)
    outside = random.normal(0, scale, (outputs, objective.dim)).astype(np.float32)
    counts = np.arange(size, 0, -1, dtype=np.int64) * 3
    words = [*WORDS, *(f"word{i}" for i in range(len(WORDS), size))][:size]
    sums = subword_sums(words, objective) if objective.subwords else None
    return Task(Model(center, outside), objective, counts, 1000, subwords=sums)


class Prediction(NamedTuple):
    """A prediction of some words from a weighted sum of input vectors.

    `rows` are (row, weight in the sum, factor): the gradient of a row is this factor times the
    gradient of the sum. `targets` are (predicted word, weight of the prediction).
    """

    rows: list[tuple[int, float, float]]
    targets: list[tuple[int, float]]


def predictions(task: Task, documents: Documents) -> list[Prediction]:
    """Return the predictions that training makes for the words of documents, in plain loops.

    With skip-gram, each word predicts the words around it; with CBOW, these predict the word.
    """
    objective, found = task.objective, []
    m = objective.window
    for document in documents:
        for at, word in enumerate(document):
            if isinstance(objective, SkipGram):
                targets = [
                    (outside, (m - abs(at - other) + 1) / m if objective.dynamic_window else 1.0)
                    for other, outside in enumerate(document)
                    if 1 <= abs(at - other) <= m
                ]
                found.append(Prediction([(word, 1.0, 1.0)], targets))
            else:
                found.append(cbow_prediction(objective, document, at, len(found)))
    return found


def cbow_prediction(objective: Cbow, document: list[int], at: int, number: int) -> Prediction:
    """Return CBOW's prediction of the word at position `at` of a document from its context.

    `number`, the position of the word in the whole text, selects the random window size.
    """
    size = objective.window
    if objective.dynamic_window:
        block = number // window_block(size)
        size = 1 + int(draw(KEY, WINDOW_SIZES, np.array([block]))[0][0]) * size // 2**32
    context = [word for other, word in enumerate(document) if 1 <= abs(at - other) <= size]
    weight = 1 / max(1, len(context)) if objective.combine != "sum" else 1.0
    share = weight if objective.context_gradient == "exact" else 1.0
    rows = [(word, weight, share) for word in context]
    return Prediction(rows, [(document[at], 1.0)] if rows else [])


def with_subwords(
    task: Task, words: list[tuple[int, float, float]]
) -> list[tuple[int, float, float]]:
    """Replace each word by the rows of the word and its n-grams, if the task trains subwords.

    `words` and the result have the form of `Prediction.rows`: (row of the input matrix, weight,
    factor). In `words`, each row is that of a word. Other words are predicted from the weighted sum
    of all rows; the gradient of a row is its factor times the gradient of this sum.
    """
    objective, size = task.objective, len(task.counts)
    if not objective.subwords:
        return words
    parts = [[word] for word, _, _ in words]
    for own in parts:
        word = WORDS[own[0]]
        if word != "</s>":
            buckets = naive.fasttext_rows(word, objective.min_n, objective.max_n, objective.buckets)
            own += [size + bucket for bucket in buckets]
    count, rows = sum(map(len, parts)), []
    for (_, weight, share), own in zip(words, parts, strict=True):
        if isinstance(objective, Cbow) and objective.combine == "rows":
            weight = len(own) / count
            share = weight if objective.context_gradient == "exact" else 1.0
        part = 1 / len(own) if objective.subword_gradient == "exact" else 1.0
        rows += [(row, weight / len(own), share * part) for row in own]
    return rows


def loss_of(task: Task, v: Any, target: int, noise: list[int]) -> naive.Result:
    """Return the loss of predicting `target` from v, and its gradients.

    The gradients are with respect to v and to the output vectors. `noise` has the noise words for
    negative sampling. Each has the weight K / len(noise), where K is the setting `negatives`.
    """
    loss, outputs = task.objective.loss, task.model.outside.astype(np.float64).tolist()
    if isinstance(loss, HierarchicalSoftmax):
        path = naive.huffman_paths(task.counts.tolist())[target]
        return naive.hierarchical_softmax_loss(v, path, outputs)
    if isinstance(loss, Softmax):
        return naive.softmax_loss(v, target, outputs)
    assert isinstance(loss, NegativeSampling)
    pair, by_v, by_outputs = naive.negative_sampling_loss(v, target, [], outputs)
    one = [naive.negative_sampling_loss(v, target, [word], outputs) for word in noise]
    share = loss.negatives / len(noise)
    total = pair + share * math.fsum(each[0] - pair for each in one)
    slope = np.array(by_v) + share * sum(np.array(each[1]) - by_v for each in one)
    slopes = np.array(by_outputs) + share * sum(np.array(each[2]) - by_outputs for each in one)
    return total, slope.tolist(), slopes.tolist()


def oracle(
    task: Task, documents: Documents, noise: NDArray[np.int32]
) -> tuple[float, float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the weight, the loss and the gradients of one training step, computed in plain loops.

    The step trains on all of `documents`, lists of word ids, with the model and the settings of
    `task`. `noise` has a row of noise words for each tile, a group of center words that share them.
    The result is the total weight of the pairs, their total loss, and the summed gradients of the
    input and output vectors.
    """
    inputs, outputs = (table.astype(np.float64) for table in task.model)
    moved, moved_outputs = np.zeros_like(inputs), np.zeros_like(outputs)
    pairs, losses = 0.0, []
    for at, (words_of_row, targets) in enumerate(predictions(task, documents)):
        rows = with_subwords(task, words_of_row)
        v = sum((weight * inputs[row] for row, weight, _ in rows), np.zeros(inputs.shape[1]))
        words = noise[at // CENTERS].tolist() if len(noise) else []
        for target, weight in targets:
            one, by_v, by_outputs = loss_of(task, v.tolist(), target, words)
            pairs += weight
            losses.append(weight * one)
            moved_outputs += weight * np.array(by_outputs)
            for row, _, share in rows:
                moved[row] += weight * share * np.array(by_v)
    return pairs, math.fsum(losses), moved, moved_outputs


def test_the_mean_of_rows_without_ngrams_is_that_of_words() -> None:
    documents, models = random_documents(3, 1000, 12), []
    for combine in ("mean", "rows"):
        objective = Cbow(dim=4, window=2, subsample=0, combine=combine)
        engine = make_engine("numpy", task_of(objective, 12))
        engine.train(text_of(documents), (0.05, 0.02), generator(0, "t"))
        models.append(engine.task.model)
    for one, other in zip(*models, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_loss_and_update_equal_the_oracle(objective: Objective) -> None:
    documents = [[], [3], *random_documents(3, 100, 12), [7]]
    task = task_of(objective, 12)
    before = [table.copy() for table in task.model]
    engine = NumpyEngine(task)
    (first, batch), *others = engine._batches(text_of(documents), KEY)[1]
    assert not others
    draw = engine.step.draw(batch, KEY, first)
    with_noise = isinstance(draw, Draw) and isinstance(objective.loss, NegativeSampling)
    noise = np.empty((0, 0), np.int32)
    if with_noise:
        noise = draw.columns.rows[:, draw.columns.positives :]
    pairs, loss, moved, moved_outputs = oracle(task, documents, noise)
    rate = 0.001
    assert engine.step.loss(draw).loss == pytest.approx(loss, rel=1e-5)
    for table, same in zip(task.model, before, strict=True):
        np.testing.assert_array_equal(table, same)
    tally = engine.step.update(draw, rate)
    assert tally.pairs == pytest.approx(pairs, rel=1e-6)
    assert tally.loss == pytest.approx(loss, rel=1e-5)
    for table, old, by in zip(task.model, before, (moved, moved_outputs), strict=True):
        assert np.abs(by).max() > 0.1
        np.testing.assert_allclose((old - table) / rate, by, rtol=1e-3, atol=1e-3)


every_engine = pytest.mark.parametrize("name", ["numpy", "numba"])


@every_engine
@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_a_vocabulary_of_two(objective: Objective, name: str) -> None:
    engine = make_engine(name, task_of(objective, 2, scale=0.01))
    documents = [[0, 1, 0, 0, 1] * 8, [1]]
    losses = [
        engine.train(text_of(documents), (0.05, 0.05), generator(0, "t")).mean_loss or 0
        for _ in range(20)
    ]
    assert min(losses) < losses[0]
    largest = max(float(np.abs(table).max()) for table in engine.task.model)
    assert largest < (math.inf if isinstance(objective.loss, Softmax) else 20)


@every_engine
@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_windows_without_context_predict_nothing(objective: Objective, name: str) -> None:
    engine = make_engine(name, task_of(objective, 4))
    before = [table.copy() for table in engine.task.model]
    tally = engine.train(text_of([[0], [], [3], [1]]), (1, 1), generator(0, "t"))
    assert (tally.words, tally.pairs, tally.loss) == (3, 0, 0)
    for table, same in zip(engine.task.model, before, strict=True):
        np.testing.assert_array_equal(table, same)


@every_engine
@pytest.mark.parametrize("objective", [SkipGram(dim=4, subsample=0), Cbow(dim=4, subsample=0)])
def test_more_noise_words_than_words(objective: Objective, name: str) -> None:
    engine = make_engine(name, task_of(replace(objective, loss=NegativeSampling(1000)), 3))
    documents = random_documents(2, 500, 3)
    tally = engine.train(text_of(documents), (0.025, 0.025), generator(0, "t"))
    assert math.isfinite(tally.mean_loss or math.nan)


@every_engine
@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_a_word_that_is_half_of_the_text_stays_bounded(objective: Objective, name: str) -> None:
    if isinstance(objective.loss, Softmax):
        return  # its descent is not bounded: optimizer=sgd is the user's choice
    random = np.random.default_rng(0)
    documents = [[0 if i % 2 else int(random.integers(1, 20)) for i in range(40)]] * 200
    text = text_of(documents)
    engine = make_engine(name, task_of(objective, 20, scale=0.01))
    losses = [
        engine.train(text, (0.2, 0.2), generator(0, "t", epoch)).mean_loss or 0
        for epoch in range(5)
    ]
    assert max(losses[1:]) <= losses[0]
    assert np.abs(engine.task.model.center).max() < 100


COMPILED = [one for one in OBJECTIVES if not isinstance(one.loss, Softmax)]
LARGE: list[Objective] = [
    Cbow(dim=130, window=12, subsample=1e-2),
    Cbow(dim=20, window=70, subsample=0, loss=HierarchicalSoftmax()),
    SkipGram(dim=40, window=140, subsample=0, loss=HierarchicalSoftmax()),
    SkipGram(dim=300, window=5, subsample=1e-2, subwords=True, buckets=300),
]


def epoch_of(engine: Engine, documents: Documents, rates: tuple[float, float]) -> Tally:
    parts = text_of(documents).shards(3000)
    return sum(
        (engine.train(part, rates, generator(0, "t", n)) for n, part in enumerate(parts)), Tally()
    )


@pytest.mark.parametrize("step", [64, 192, 512])
@pytest.mark.parametrize("objective", [*COMPILED, *LARGE], ids=str)
def test_numba_makes_the_draws_and_updates_of_numpy(
    objective: Objective, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = window_block(objective.window)
    if step % block and block % step:
        step = block  # a step of the usual length has whole blocks
    monkeypatch.setattr(tiles, "MIN_STEP_WORDS", step)
    monkeypatch.setattr(tiles, "STEP_MULTIPLE", tiles.SHARED)
    documents = [[], [3], *random_documents(3, 4000, 60), [7], [5, 5]]
    models = []
    for name in ("numpy", "numba"):
        engine = make_engine(name, replace(task_of(objective, 60, scale=0.1), threads=2))
        before = [table.copy() for table in engine.task.model]
        models.append((epoch_of(engine, documents, (0.05, 0.02)), engine.task.model))
    (slow, wanted), (fast, got) = models
    assert fast.words == slow.words
    assert fast.pairs == pytest.approx(slow.pairs, rel=1e-6)
    assert fast.loss == pytest.approx(slow.loss, rel=1e-6)
    for table, same, old in zip(got, wanted, before, strict=True):
        assert np.abs(same - old).max() > 0.01
        np.testing.assert_allclose(table, same, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize(("dim", "size"), [(5, 60), (130, 3000), (300, 700)])
def test_cbow_sorts_center_words_by_their_paths(
    dim: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "MIN_STEP_WORDS", 256)
    objective = Cbow(dim=dim, window=4, subsample=0, loss=HierarchicalSoftmax())
    documents = [[], [3], *random_documents(3, 5000, size), [7], [5, 5]]
    # Some paths are longer than a vector.
    counts = 1 + (10**7 * 1.5 ** -np.arange(size)).astype(np.int64)
    engines = []
    for name, threads in (("numpy", 1), ("numba", 1), ("numba", 3)):
        task = replace(task_of(objective, size, scale=0.1), counts=counts, threads=threads)
        engine = make_engine(name, task)
        epoch_of(engine, documents, (0.05, 0.02))
        engines.append(engine.task.model)
    wanted, one, three = engines
    for n in range(2):
        np.testing.assert_allclose(one[n], wanted[n], rtol=1e-3, atol=2e-5)
        np.testing.assert_array_equal(one[n], three[n])


@pytest.mark.parametrize("objective", [*COMPILED, *LARGE], ids=str)
def test_the_bits_of_the_family_do_not_depend_on_threads(objective: Objective) -> None:
    documents = random_documents(6, 12_000, 60)
    digests = set()
    for threads in (1, 2, 3, 5):
        engine = make_engine("numba", replace(task_of(objective, 60), threads=threads))
        tally = epoch_of(engine, documents, (0.05, 0.02))
        digest = hashlib.sha256(repr(tally).encode())
        for table in engine.task.model:
            digest.update(np.ascontiguousarray(table).tobytes())
        digests.add(digest.hexdigest())
    assert len(digests) == 1
