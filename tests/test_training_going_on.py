"""Test training that starts from given vectors, some of which may be frozen."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import w2v
from w2v import InputError, NegativeSampling, SkipGram, Softmax, TrainedModel, WordVectors
from w2v.engines import Frozen, Task
from w2v.engines.numpy import NumpyEngine
from w2v.losses import HierarchicalSoftmax
from w2v.objectives import Model
from w2v.text.tokens import Text

OLD = ["the cat sat on the mat", "the dog sat on the rug", "a cat and a dog"] * 20
NEW = ["the king sat on the throne", "the queen sat on the throne", "the cat and the king"] * 20
LOSSES = [NegativeSampling(3), Softmax()]


def train(documents: Any, loss: Any = LOSSES[0], **settings: Any) -> TrainedModel:
    options = {"min_count": 5, "epochs": 2, "heldout": 0.1, "threads": 1, "progress": False}
    return w2v.train(
        documents, SkipGram(dim=6, window=2, subsample=0, loss=loss), **{**options, **settings}
    )


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return train(OLD)


def cosine(a: Any, b: Any) -> float:
    one, other = a.astype(float), b.astype(float)
    return float(one @ other / math.hypot(*one) / math.hypot(*other))


def rows(vectors: WordVectors, words: list[str]) -> Any:
    return np.array([vectors[word] for word in words])


@pytest.mark.parametrize("loss", LOSSES)
def test_which_words_there_are(model: TrainedModel, loss: Any) -> None:
    old, new = set(model.vectors.words), {word for text in NEW for word in text.split()}
    assert set(train(NEW, loss, init=model).vectors.words) == new
    union = train(NEW, loss, init=model, vocabulary="union")
    assert set(union.vectors.words) == old | new
    given = train(NEW, loss, init=model, vocabulary="given")
    assert set(given.vectors.words) == old
    assert union.vocabulary["types_dropped"] == 0
    assert given.vocabulary["types_dropped"] == len(new - old)
    lacking = sorted(old - new)
    for made in (union, given):
        np.testing.assert_array_equal(rows(made.vectors, lacking), rows(model.vectors, lacking))
        assert not np.array_equal(made.vectors["cat"], model.vectors["cat"])
        # The exact softmax makes every word that is not next to the center word less probable.
        before, after = (
            v.outside[[v.row(word) for word in lacking]]
            for v in (model.vectors, made.vectors)
            if v.outside is not None
        )
        assert np.array_equal(before, after) == (not isinstance(loss, Softmax))


@pytest.mark.parametrize("vocabulary", ["union", "given"])
def test_words_to_drop_are_dropped_though_they_are_given(
    model: TrainedModel, vocabulary: str
) -> None:
    apostrophe = WordVectors(["don't", "king", "sat"], np.eye(3, 6))
    settings: dict[str, Any] = {"init": apostrophe, "vocabulary": vocabulary, "drop": ["don’t"]}
    assert "don't" not in train([*NEW, "the king don't sit"], **settings).vectors
    made = train(NEW, init=model, vocabulary=vocabulary, drop=["the", "cat"], freeze="given")
    whole = train(NEW, init=model, vocabulary=vocabulary)
    assert set(whole.vectors.words) - set(made.vectors.words) == {"the", "cat"}
    assert set(made.vectors.words) < set(whole.vectors.words)
    assert made.vocabulary["words_to_drop_found"] == 2


def test_counts_and_order_are_of_both_texts(model: TrainedModel) -> None:
    union = train(NEW, init=model, vocabulary="union").vectors
    texts = [text.split() for text in (*OLD, *NEW)]
    assert union.counts is not None
    for word, count in zip(union.words, union.counts.tolist(), strict=True):
        assert count == sum(text.count(word) for text in texts)
    assert (np.diff(union.counts) <= 0).all()
    unknown = WordVectors(model.vectors.words, model.vectors.vectors)
    without = train(NEW, init=unknown, vocabulary="union").vectors
    assert without.counts is not None
    assert without.counts[without.row("mat")] == 0


def test_vectors_of_both_texts_keep_their_ngrams() -> None:
    objective = SkipGram(dim=6, window=2, loss=LOSSES[0], subwords=True, buckets=50)
    old = w2v.train(OLD, objective, progress=False)
    union = w2v.train(NEW, objective, init=old, vocabulary="union", progress=False)
    assert union.vectors.subwords is not None
    assert np.abs(union.vectors["unknown"]).max() > 0
    assert union.engine_state == {}


def test_rare_words_of_the_text_stay_out_unless_they_are_given(model: TrainedModel) -> None:
    texts = [*NEW, "a rare mat"]
    union = train(texts, init=model, vocabulary="union").vectors
    assert "rare" not in union
    assert "mat" in union
    assert "throne" not in train(texts, init=model, vocabulary="union", drop=["throne"]).vectors


@pytest.mark.parametrize("vocabulary", ["union", "given"])
def test_given_words_are_chosen_as_they_are_spelled(vocabulary: str) -> None:
    given = WordVectors(["don’t", "king", "the"], np.eye(3, 6))
    settings = {"init": given, "vocabulary": vocabulary, "engine": "numpy"}
    texts = [*NEW, "the king don't sit"]
    made = train(texts, **settings).vectors
    assert "don’t" in made
    assert "don't" not in made  # it occurs less than min_count times
    assert "don't" in train(texts, keep=["don’t"], **settings).vectors


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_frozen_words_stay_bit_for_bit(model: TrainedModel, loss: Any, engine: str) -> None:
    options: dict[str, Any] = {"init": model, "vocabulary": "union", "engine": engine}
    made = train(NEW, loss, freeze="given", **options)
    old = list(model.vectors.words)
    np.testing.assert_array_equal(rows(made.vectors, old), model.vectors.vectors)
    assert made.vectors.outside is not None
    assert model.vectors.outside is not None
    for word in old:
        np.testing.assert_array_equal(
            made.vectors.outside[made.vectors.row(word)],
            model.vectors.outside[model.vectors.row(word)],
        )
    free = train(NEW, loss, **options)
    assert not np.array_equal(made.vectors["king"], free.vectors["king"])
    some = train(NEW, loss, freeze=np.array(["cat"]), **options)
    np.testing.assert_array_equal(some.vectors["cat"], model.vectors["cat"])
    assert not np.array_equal(some.vectors["sat"], model.vectors["sat"])


def test_outside_vectors_that_were_not_given_are_learnt(model: TrainedModel) -> None:
    given = WordVectors(model.vectors.words, model.vectors.vectors)
    made = train(NEW, init=given, freeze="given").vectors
    np.testing.assert_array_equal(made["cat"], given["cat"])
    assert made.outside is not None
    assert made.outside[made.row("cat")].any()


@pytest.mark.parametrize("frozen_side", ["center", "outside"])
def test_the_others_learn_against_the_fixed_values(frozen_side: str) -> None:
    """A training step keeps frozen rows, and updates the others as if no row were frozen."""
    random = np.random.default_rng(0)
    size, dim = 6, 4
    tokens = random.integers(0, size, 400).astype(np.int32)
    spans = np.stack([np.arange(0, 400, 20), np.arange(20, 420, 20)], axis=1).astype(np.int64)
    text = Text(tokens, np.arange(size, dtype=np.int32), spans)
    counts = np.bincount(tokens, minlength=size).astype(np.int64)
    start = random.normal(0, 0.1, (2, size, dim)).astype(np.float32)
    loss = Softmax(batch_words=10**6, optimizer="sgd")
    objective = SkipGram(dim=dim, window=2, subsample=0, loss=loss)
    mask = np.arange(size) < 3
    none = np.zeros(size, bool)
    frozen = Frozen(mask, none) if frozen_side == "center" else Frozen(none, mask)

    def step(frozen: Frozen | None) -> Model:
        task = Task(Model(*start.copy()), objective, counts, 400, frozen=frozen)
        NumpyEngine(task).train(text, (1e-3, 1e-3), np.random.default_rng(1))
        return task.model

    free, held = step(None), step(frozen)
    for name in ("center", "outside"):
        expected = getattr(free, name).copy()
        if name == frozen_side:
            expected[mask] = start[0 if name == "center" else 1][mask]
        np.testing.assert_array_equal(getattr(held, name), expected)


@pytest.mark.parametrize("loss", [*LOSSES, HierarchicalSoftmax()])
@pytest.mark.parametrize("kind", [SkipGram, w2v.Cbow])
def test_words_are_frozen_with_every_model_and_loss(
    model: TrainedModel, kind: Any, loss: Any
) -> None:
    objective = kind(dim=model.vectors.dimensions, window=2, subsample=0, loss=loss)
    options: dict[str, Any] = {"init": model, "min_count": 1, "vocabulary": "union"}
    made = w2v.train(NEW, objective, freeze=["cat"], progress=False, **options).vectors
    np.testing.assert_array_equal(made["cat"], model.vectors["cat"])
    assert not np.array_equal(made["sat"], model.vectors["sat"])


def test_words_that_share_rows_cannot_be_frozen(model: TrainedModel) -> None:
    objective = SkipGram(dim=model.vectors.dimensions, subwords=True)
    with pytest.raises(InputError, match=r"^freeze: must be empty with subwords"):
        w2v.train(NEW, objective, init=model, freeze=["cat"])


def test_how_far_words_moved_is_told(model: TrainedModel) -> None:
    made = train(NEW, init=model, vocabulary="union", freeze=["cat"])
    moved = made.moved
    assert moved is not None
    old = list(model.vectors.words)
    cosines = {word: cosine(model.vectors[word], made.vectors[word]) for word in old}
    assert moved.words == len(old)
    assert moved.mean == pytest.approx(math.fsum(cosines.values()) / len(old), abs=1e-6)
    assert moved.least == pytest.approx(min(cosines.values()), abs=1e-6)
    assert moved.farthest[0][0] == min(cosines, key=lambda word: cosines[word])
    same = [word for word in old if np.array_equal(made.vectors[word], model.vectors[word])]
    assert moved.unchanged == len(same)
    assert "cat" in same
    assert f"{len(old)} given words at a mean cosine of " in repr(made)
    assert train(NEW).moved is None


def test_a_frozen_training_continues_from_its_checkpoint(
    model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.test_training_documents import interrupt_at

    options: dict[str, Any] = {"init": model, "vocabulary": "union", "freeze": ["cat", "the"]}
    interrupt_at(monkeypatch, 1)
    with pytest.warns(UserWarning, match="the same call continues"):
        train(NEW, checkpoints=tmp_path, **options)
    monkeypatch.undo()
    resumed, whole = train(NEW, checkpoints=tmp_path, **options), train(NEW, **options)
    np.testing.assert_array_equal(resumed.vectors.vectors, whole.vectors.vectors)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"vocabulary": "old"}, "vocabulary='old': must be new, union or given"),
        ({"vocabulary": "union", "init": None}, "vocabulary=union: must be new where there is no"),
        ({"vocabulary": "given", "words": ["cat", "dog"]}, "words: must be None with vocabulary="),
        ({"freeze": ["nowhere"]}, "freeze: 'nowhere' is not among the 9 given words"),
        ({"freeze": "cat"}, "freeze='cat': must be a list of words"),
        ({"freeze": "given", "init": None}, "freeze='given': must be empty where there is no init"),
        ({"freeze": "given", "engine": "gensim"}, "freeze: engine=gensim cannot leave vectors"),
        (
            {"vocabulary": "union", "loss": NegativeSampling(exponent=0.0)},
            r"vocabulary=union: must be new where exponent=0.0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    model: TrainedModel, settings: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError, match=f"^{line}") as refused:
        train(NEW, **{"init": model, **settings})
    assert "\n" not in str(refused.value)
