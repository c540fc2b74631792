"""Test ``engine=gensim``: gensim gets the settings, and every known word of the text."""

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import naive
from tests.test_engines import Documents, random_documents, random_model, task_of, text_of
from w2v.engines import Task, make_engine
from w2v.engines.gensim import MIN_THREAD_WORDS, GensimEngine
from w2v.errors import InputError
from w2v.losses import HierarchicalSoftmax, Loss, NegativeSampling, Softmax
from w2v.objectives import Cbow, Model, SkipGram
from w2v.sampling import NoiseDistribution, generator, keep_probabilities
from w2v.text.tokens import Text

COUNTS = np.array([40_000, 3000, 700, 699, 12, 5], np.int64)


def engine_of(documents: Documents, objective: SkipGram, threads: int = 1) -> GensimEngine:
    counts = np.maximum(1, np.bincount(np.concatenate(documents))).astype(np.int64)
    model = random_model(len(counts), objective.dim, 0.1)
    return GensimEngine(Task(model, objective, counts, int(counts.sum()), threads=threads))


def trained_words(engine: GensimEngine, text: Text) -> tuple[int, int]:
    """Train on a text once; return how many words gensim trained on, and how many it read."""
    reported: list[tuple[int, int]] = []
    inner = engine.gensim.train

    def spy(**arguments: Any) -> None:
        reported.append(inner(**arguments))

    engine.gensim.train = spy
    tally = engine.train(text, (0.025, 0.02), generator(0, "train"))
    assert tally.words == int((text.ids[text.tokens] >= 0).sum())
    return reported[0]


def long_and_short() -> Documents:
    random = np.random.default_rng(0)
    words = random.zipf(1.5, 60_000).clip(1, 500) - 1
    return [part.tolist() for part in np.split(words, [25_000, 25_007, 25_008, 55_000, 55_400])]


@pytest.mark.parametrize("documents", [long_and_short(), random_documents(3, 40_000, 500)])
def test_no_word_is_lost(documents: Documents) -> None:
    engine = engine_of(documents, SkipGram(dim=2, window=1, subsample=0))
    trained, read = trained_words(engine, text_of(documents))
    assert trained == sum(map(len, documents))
    assert trained < read < 1.5 * trained  # also reads unknown words, which only fill batches


def test_gensim_would_lose_words_of_longer_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2v.engines.gensim.LINE", 10_000)
    monkeypatch.setattr("w2v.engines.gensim.MAX_KEPT", 1.0)
    with pytest.raises(AssertionError):
        test_no_word_is_lost(long_and_short())


@pytest.mark.parametrize("subsample", [1e-2, 0.1])
def test_subsampling_keeps_the_expected_share(subsample: float) -> None:
    documents = long_and_short()
    engine = engine_of(documents, SkipGram(dim=2, window=1, subsample=subsample))
    keep = keep_probabilities(engine.task.counts, subsample).astype(np.float64)
    wanted = keep @ engine.task.counts
    spread = math.sqrt((keep * (1 - keep)) @ engine.task.counts)
    trained, _ = trained_words(engine, text_of(documents))
    assert abs(trained - wanted) < 5 * spread


def test_no_word_is_lost_where_rare_words_stand_together() -> None:
    frequent, rare = [0] * 100_000, np.random.default_rng(0).integers(1, 3000, 50_000).tolist()
    documents = [frequent, rare]
    objective = SkipGram(dim=2, window=1, subsample=1e-3)
    engine = engine_of(documents, objective)
    wanted = keep_probabilities(engine.task.counts, 1e-3).astype(np.float64) @ engine.task.counts
    trained, _ = trained_words(engine, text_of(documents))
    assert abs(trained - wanted) < 5 * math.sqrt(wanted)


@pytest.mark.parametrize("loss", [NegativeSampling(2), HierarchicalSoftmax()])
def test_words_that_do_not_occur_can_be_in_the_vocabulary(loss: Loss) -> None:
    documents = [[0, 1, 2, 1] * 50]
    counts = np.array([50, 100, 50, 0, 0], np.int64)
    task = Task(random_model(5, 3, 0.1), SkipGram(dim=3, subsample=1e-2, loss=loss), counts, 200)
    if isinstance(loss, HierarchicalSoftmax):
        task = replace(task, model=task.model._replace(outside=task.model.outside[:-1]))
    engine = GensimEngine(task)
    before = engine.task.model.center.copy()
    assert engine.train(text_of(documents), (0.1, 0.05), generator(0, "train")).words == 200
    changed = (engine.task.model.center != before).any(axis=1)
    assert changed.tolist() == [True, True, True, False, False]
    if isinstance(loss, NegativeSampling):
        table = np.diff(engine.gensim.cum_table.astype(np.int64), prepend=0)
        assert (table[3:] == 0).all()


def test_words_outside_the_vocabulary_are_left_out() -> None:
    text = text_of([[0, 1, 2, 1] * 50])
    engine = GensimEngine(task_of(2, 3, SkipGram(dim=3, subsample=0)))
    only = Text(text.tokens, np.array([0, 1, -1], np.int32), text.spans)
    assert trained_words(engine, only)[0] == 150


@pytest.mark.parametrize("exponent", [0.75, 0.0, -1.0, 3.0])
@pytest.mark.parametrize("subsample", [1e-3, 1e-5, 0.5, 0.0, 1.0, 7.0])
def test_gensim_gets_counts_subsampling_and_noise_of_the_task(
    exponent: float, subsample: float
) -> None:
    objective = SkipGram(dim=3, subsample=subsample, loss=NegativeSampling(5, exponent))
    gensim = GensimEngine(Task(random_model(6, 3), objective, COUNTS, 1)).gensim
    assert gensim.wv.index_to_key == ["w0", "w1", "w2", "w3", "w4", "w5"]
    assert [gensim.wv.get_vecattr(f"w{i}", "count") for i in range(6)] == COUNTS.tolist()
    kept = gensim.wv.expandos["sample_int"] / (2**32 - 1) if gensim.sample else np.ones(6)
    np.testing.assert_allclose(kept, keep_probabilities(COUNTS, subsample), rtol=1e-6)
    noise = np.diff(gensim.cum_table.astype(np.float64), prepend=0) / (2**31 - 1)
    wanted = NoiseDistribution(COUNTS, exponent).probabilities
    np.testing.assert_allclose(noise, wanted, atol=1e-9)


@pytest.mark.parametrize("dynamic", [True, False])
def test_gensim_gets_the_other_settings(dynamic: bool) -> None:
    objective = SkipGram(dim=7, window=9, dynamic_window=dynamic, loss=NegativeSampling(3))
    gensim = GensimEngine(task_of(5, 7, objective)).gensim
    assert (gensim.sg, gensim.hs, gensim.negative) == (1, 0, 3)
    assert (gensim.vector_size, gensim.window, gensim.shrink_windows) == (7, 9, dynamic)


def looked_up(score: float) -> float:
    """Return the sigmoid of a score as gensim computes it, from a table of 1000 values."""
    return naive.sigmoid((int((score + 6) * 83) / 1000 * 2 - 1) * 6)


def test_the_update_is_the_gradient_step() -> None:
    task = task_of(3, 5, SkipGram(dim=5, window=1, subsample=0, loss=NegativeSampling(4)))
    v, u = (matrix.astype(np.float64) for matrix in task.model)
    engine = GensimEngine(task)
    engine.gensim.cum_table = np.array([0, 0, 2**31 - 1], np.uint32)
    engine.train(text_of([[0, 1]]), (0.1, 0.1), generator(0, "train"))
    for center, outside in ((1, 0), (0, 1)):
        step = np.zeros(5)
        for word, label in ((outside, 1), *[(2, 0)] * 4):
            slope = 0.1 * (label - looked_up(float(u[word] @ v[center])))
            step += slope * u[word]
            u[word] += slope * v[center]
        v[center] += step
    np.testing.assert_allclose(task.model.center, v, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(task.model.outside, u, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("architecture", [SkipGram, Cbow])
@pytest.mark.parametrize("hierarchical", [False, True])
def test_the_updates_of_each_model_are_gradient_steps(
    architecture: type[SkipGram | Cbow], hierarchical: bool
) -> None:
    loss: Loss = HierarchicalSoftmax() if hierarchical else NegativeSampling(2)
    objective = architecture(dim=5, window=2, dynamic_window=False, subsample=0, loss=loss)
    if isinstance(objective, Cbow):
        objective = replace(objective, context_gradient="word2vec")
    counts = np.array([9, 5, 4, 2])
    random = np.random.default_rng(0)
    center, outside = random.normal(0, 0.3, (2, 4, 5)).astype(np.float32)
    model = Model(center, outside[: loss.output_rows(4)].copy())
    v, u = (matrix.astype(np.float64) for matrix in model)
    engine = GensimEngine(Task(model, objective, counts, 20))
    engine.gensim.cum_table = np.array([0, 0, 0, 2**31 - 1], np.uint32)
    engine.train(text_of([[0, 1, 2]]), (0.1, 0.1), generator(0, "train"))
    paths = naive.huffman_paths(counts.tolist())
    for target in range(3):
        others = [word for word in range(3) if word != target]
        for context in [others] if architecture is Cbow else [[word] for word in others]:
            questions = [(target, 1), (3, 0), (3, 0)]
            if hierarchical:
                questions = [(node, 1 - code) for node, code in paths[target]]
            h, step = v[context].mean(axis=0), np.zeros(5)
            for row, label in questions:
                slope = 0.1 * (label - looked_up(float(u[row] @ h)))
                step += slope * u[row]
                u[row] += slope * h
            v[context] += step
    np.testing.assert_allclose(engine.task.model.center, v, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(engine.task.model.outside, u, rtol=1e-5, atol=1e-6)


def test_a_learning_rate_of_zero_changes_nothing() -> None:
    task = task_of(3, 5, SkipGram(dim=5, subsample=0))
    before = task.model.center.copy()
    GensimEngine(task).train(text_of([[0, 1, 2]]), (0.0, 0.0), generator(0, "train"))
    np.testing.assert_array_equal(task.model.center, before)


def test_gensim_trains_the_matrices_in_place() -> None:
    task = task_of(3, 16, SkipGram(dim=16, subsample=0))
    gensim = GensimEngine(task).gensim
    assert gensim.wv.vectors is task.model.center
    assert gensim.syn1neg is task.model.outside


def test_matrices_that_are_not_contiguous_are_copied() -> None:
    contiguous = task_of(9, 5, SkipGram(dim=5))
    storage = [np.zeros((9, 8), np.float32) for _ in range(2)]
    model = Model(*(rows[:, :5] for rows in storage))
    for padded, matrix in zip(model, contiguous.model, strict=True):
        padded[:] = matrix
    engine = GensimEngine(Task(model, contiguous.objective, contiguous.counts, 500))
    assert engine.gensim.wv.vectors is engine.task.model.center
    for copied, matrix in zip(engine.task.model, contiguous.model, strict=True):
        np.testing.assert_array_equal(copied, matrix)
        assert copied.flags.c_contiguous


@pytest.mark.parametrize(
    ("loss", "line"),
    [
        (Softmax(), "loss=softmax: engine=gensim cannot train it; it has negsample, hsoftmax only"),
        (
            NegativeSampling(2**31),
            "loss.negatives=2147483648: must be at most 2147483647 for engine=gensim",
        ),
        *(
            (
                NegativeSampling(5, exponent),
                f"loss.exponent={exponent}: engine=gensim cannot add up count ** exponent; "
                "choose one nearer to 0",
            )
            for exponent in (1e3, -1e3)
        ),
    ],
)
def test_what_gensim_cannot_train_is_refused(loss: Loss, line: str) -> None:
    with pytest.raises(InputError) as refusal:
        make_engine("gensim", Task(random_model(6, 100), SkipGram(loss=loss), COUNTS, 1))
    assert str(refusal.value) == line


def test_a_rate_with_which_gensim_crashes_is_refused() -> None:
    engine = GensimEngine(task_of(3, 5, SkipGram(dim=5)))
    with pytest.raises(InputError, match=r"^lr=1e\+39: engine=gensim crashes"):
        engine.train(text_of([[0, 1, 2]]), (1e39, 0.0), generator(0, "train"))


def test_vectors_with_which_gensim_crashes_are_refused() -> None:
    task = task_of(3, 5, SkipGram(dim=5))
    task.model.center[1] = 1e19
    with pytest.raises(InputError, match=r"^init: engine=gensim crashes with a vector that is lo"):
        GensimEngine(task)


@pytest.mark.parametrize(("subsample", "pairs"), [(1e-30, 0), (0, None)])
def test_the_number_of_pairs_is_0_where_subsampling_leaves_none(
    subsample: float, pairs: float | None
) -> None:
    engine = engine_of([[0, 1]] * 40, SkipGram(dim=3, subsample=subsample))
    for _ in range(2):
        tally = engine.train(text_of([[0, 1]] * 40), (0.025, 0.02), generator(0, "train"))
        assert (tally.words, tally.pairs) == (80, pairs)


def test_a_missing_gensim_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gensim.models", None)
    with pytest.raises(InputError, match="engine=gensim: gensim cannot be imported"):
        make_engine("gensim", task_of(3, 5, SkipGram(dim=5)))


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_temporary_files_are_deleted(
    error: type[BaseException] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = engine_of([[0, 1, 2]], SkipGram(dim=3, subsample=0))
    seen = []

    def fail(corpus_file: str, **_: Any) -> None:
        seen.append(Path(corpus_file).read_text())
        if error is not None:
            raise error

    engine.gensim.train = fail
    if error is None:
        engine.train(text_of([[0, 1, 2]]), (0.1, 0.1), generator(0, "train"))
    else:
        with pytest.raises(error):
            engine.train(text_of([[0, 1, 2]]), (0.1, 0.1), generator(0, "train"))
    assert seen == ["w0 w1 w2 - \n"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "workers"), [(MIN_THREAD_WORDS, 1), (3 * MIN_THREAD_WORDS, 2)])
def test_threads_share_a_text_that_is_long_enough(words: int, workers: int) -> None:
    documents = random_documents(0, words, 50)
    engine = engine_of(documents, SkipGram(dim=2, window=1, subsample=1e-2), threads=2)
    trained, read = trained_words(engine, text_of(documents))
    assert engine.gensim.workers == workers
    assert read == pytest.approx(words, rel=0.1)
    assert trained < 0.9 * read
    assert all(np.isfinite(matrix).all() for matrix in engine.task.model)
