"""Test training with every loss and architecture, also with subwords (character n-grams).

A finished training can be continued for more epochs, and an interrupted one resumed. The result has
the same bits as that of a training without a break.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models.fasttext import load_facebook_vectors

import w2v
from tests import naive
from tests.test_engines import text_of
from tests.test_training_train import topics
from w2v.engines import check_objective
from w2v.losses import HierarchicalSoftmax, NegativeSampling, Softmax
from w2v.objectives import Cbow, Objective, SkipGram
from w2v.text.vocabulary import Vocabulary
from w2v.training.checkpoint import Checkpoints
from w2v.training.result import read_state, save_result
from w2v.training.schedule import Schedule
from w2v.training.train import Stopped, Trained, train
from w2v.vectors.ngrams import Subwords

LOSSES = [NegativeSampling(), HierarchicalSoftmax(), Softmax(batch_words=500)]
ARCHITECTURES: list[Objective] = [
    SkipGram(dim=6, window=2),
    Cbow(dim=6, window=2),
    Cbow(dim=6, window=2, context_gradient="word2vec"),
    SkipGram(dim=6, window=2, subwords=True, buckets=30),
    Cbow(dim=6, window=2, subwords=True, min_n=1, buckets=30),
]
OBJECTIVES = [replace(one, loss=loss) for one in ARCHITECTURES for loss in LOSSES]

TEXT = text_of(topics(200))
COUNTS = np.bincount(TEXT.tokens).astype(np.int64)
VOCABULARY = Vocabulary([f"w{i}" for i in range(len(COUNTS))], COUNTS)

every_objective = pytest.mark.parametrize("objective", OBJECTIVES, ids=str)


def run(objective: Objective, epochs: int = 2, **options: Any) -> Trained:
    schedule = Schedule(epochs=epochs, lr=0.1, decay_epochs=2)
    objective = replace(objective, subsample=0.05)
    return train(
        TEXT,
        COUNTS,
        objective,
        schedule,
        **{"words": VOCABULARY.words, "engine": "numpy", "heldout": 0.1, **options},
    )


@every_objective
def test_an_epoch_later_has_the_same_bits(objective: Objective, tmp_path: Path) -> None:
    whole = run(objective)
    save_result(tmp_path, VOCABULARY, run(objective, epochs=1))
    continued = run(objective, start=read_state(tmp_path))
    for one, other in zip(whole.model, continued.model, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [e.heldout_loss for e in whole.epochs] == [e.heldout_loss for e in continued.epochs]


@every_objective
def test_an_interrupted_training_resumes_with_the_same_bits(
    objective: Objective, tmp_path: Path
) -> None:
    whole = run(objective)
    checkpoints = Checkpoints(tmp_path, None)
    with pytest.raises(Stopped):
        run(objective, checkpoints=checkpoints, stop=lambda: True)
    resumed = run(objective, checkpoints=checkpoints)
    for one, other in zip(whole.model, resumed.model, strict=True):
        np.testing.assert_array_equal(one, other)


@every_objective
def test_the_heldout_loss_falls(objective: Objective) -> None:
    first, last = run(objective, epochs=6).epochs[::5]
    assert first.heldout_loss is not None
    assert last.heldout_loss is not None
    assert last.heldout_loss < first.heldout_loss


@pytest.mark.parametrize("model", [SkipGram(dim=8, window=2), Cbow(dim=8, window=2)], ids=str)
def test_a_model_of_the_hierarchical_softmax_has_no_outside_vectors(
    model: Objective, tmp_path: Path
) -> None:
    documents = ["the cat sat on the mat", "the dog sat on the rug"] * 20
    objective = replace(model, loss=w2v.HierarchicalSoftmax())
    trained = w2v.train(documents, objective, engine="numpy", epochs=1, progress=False)
    assert trained.vectors.outside is None
    trained.save(tmp_path)
    assert not (tmp_path / "outside_vectors.npy").exists()
    loaded = w2v.TrainedModel.load(tmp_path)
    np.testing.assert_array_equal(loaded.vectors.vectors, trained.vectors.vectors)
    state = read_state(tmp_path)
    assert state.arrays["outside"].shape == (len(trained.vectors) - 1, 8)
    with pytest.raises(w2v.InputError, match="has no outside vectors"):
        w2v.WordVectors.load(tmp_path, use="v+u")


@pytest.mark.parametrize("gradient", ["exact", "fasttext"])
def test_words_and_unknown_words_are_means_of_rows(gradient: str, tmp_path: Path) -> None:
    documents = ["the naïve cat sat on the mat a 日本語 😀", "the dog sat on a rug </s>"] * 20
    objective = w2v.SkipGram(
        dim=4, window=2, subwords=True, min_n=1, max_n=3, buckets=50, subword_gradient=gradient
    )
    trained = w2v.train(
        documents, objective, engine="numpy", tokenizer=w2v.Whitespace(), epochs=2, progress=False
    )
    words, rows = trained.vectors.words, trained.engine_state["own_rows"]
    subwords = trained.vectors.subwords
    assert subwords is not None
    for word in (*words, "unseen", "日本", "x"):
        parts = [rows[words.index(word)]] if word in words else []
        if word != "</s>":
            parts += [subwords.rows[row] for row in naive.fasttext_rows(word, 1, 3, 50)]
        wanted = np.mean(np.array(parts, np.float64), axis=0)
        np.testing.assert_allclose(trained.vectors[word], wanted, rtol=0, atol=1e-6)
    trained.save(tmp_path)
    loaded = w2v.WordVectors.load(tmp_path)
    np.testing.assert_array_equal(loaded["unseen"], trained.vectors["unseen"])
    loaded.export(tmp_path / "new", ["fasttext"])
    gensim = load_facebook_vectors(str(tmp_path / "new" / "vectors.fasttext.bin"))
    ours = w2v.WordVectors.load(tmp_path / "new")
    for word in (*words, "unseen", "日本", "x"):
        np.testing.assert_allclose(ours[word], loaded[word], rtol=0, atol=1e-6)
        if word != "</s>":  # gensim gives n-grams to this word, too
            np.testing.assert_allclose(gensim[word], loaded[word], rtol=0, atol=1e-6)
    w2v.WordVectors(["a", "b"], np.eye(2)).save(tmp_path)
    assert w2v.WordVectors.load(tmp_path).subwords is None


def test_damaged_ngrams_are_refused(tmp_path: Path) -> None:
    vectors = w2v.WordVectors(
        ["a", "b"], np.eye(2), subwords=Subwords(np.ones((3, 2), np.float32), 2, 3)
    )
    vectors.save(tmp_path)
    assert w2v.WordVectors.load(tmp_path)["ab"].tolist() == [1, 1]
    for name, content, line in (
        ("ngrams.json", b"{}", "ngrams.json: cannot be read"),
        (
            "ngrams.json",
            b'{"min_n": 2, "max_n": 3, "encoding": "no"}',
            r"ngrams.json: cannot be read \(unknown encoding: no\)",
        ),
        ("ngrams.json", b"\xff", "ngrams.json: cannot be read"),
        ("subwords.npy", b"x", "subwords.npy: cannot be read"),
    ):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content)
        with pytest.raises(w2v.InputError, match=line):
            w2v.WordVectors.load(tmp_path)
        (tmp_path / name).write_bytes(whole)
    np.save(tmp_path / "subwords.npy", np.ones((3, 1), np.float32))
    with pytest.raises(w2v.InputError, match="it is damaged"):
        w2v.WordVectors.load(tmp_path)


def test_training_goes_on_from_a_model_of_fasttext(tmp_path: Path) -> None:
    documents = ["the cat sat on the mat", "the dog sat on a rug"] * 20
    objective = w2v.SkipGram(dim=4, window=2, subwords=True, min_n=2, max_n=3, buckets=50)
    options: dict[str, Any] = {"tokenizer": w2v.Whitespace(), "progress": False}
    given = w2v.train(documents, objective, **options).vectors
    given.export(tmp_path, ["fasttext"])
    path = tmp_path / "vectors.fasttext.bin"
    more = [*documents, *["the cats sat"] * 10]
    barely = w2v.train(more, objective, init=path, lr=1e-12, min_lr=0, epochs=1, **options).vectors
    assert "cats" not in given
    for word in (*barely.words, "unseen"):
        np.testing.assert_allclose(barely[word], given[word], rtol=0, atol=1e-5)
    moved = w2v.train(more, objective, init=path, lr=0.1, **options).vectors
    assert not np.allclose(moved["unseen"], given["unseen"], atol=1e-3)
    with pytest.raises(w2v.InputError, match="min_n=2, max_n=3 and buckets=50; set them, not 2, 3"):
        w2v.train(more, replace(objective, buckets=9), init=path, **options)
    plain = w2v.WordVectors(["the", "cat"], np.ones((2, 4)))
    with pytest.raises(w2v.InputError, match="its words have no n-grams"):
        w2v.train(more, objective, init=plain, **options)
    plain = w2v.WordVectors.load(path, encoding="ascii")  # n-grams as in UTF-8
    assert w2v.train(more, objective, init=plain, **options).moved is not None
    latin = w2v.WordVectors.load(path, encoding="latin-1")
    with pytest.raises(w2v.InputError) as refused:
        w2v.train(more, objective, init=latin, **options)
    assert str(refused.value) == (
        "init=(vectors): its n-grams are those of words in iso8859-1, and training makes n-grams "
        "of words in utf-8; set subwords=false"
    )


def test_engines_refuse_by_name_what_they_lack() -> None:
    for objective, line in (
        (w2v.Cbow(), "model=cbow: engine=jax cannot train it; engine=numba can"),
        (w2v.SkipGram(subwords=True), "subwords=true: engine=jax cannot train them"),
        (
            w2v.SkipGram(loss=w2v.HierarchicalSoftmax()),
            "loss=hsoftmax: engine=jax cannot train it; engine=numba can",
        ),
    ):
        with pytest.raises(w2v.InputError, match=line):
            check_objective("jax", objective)
