"""Trainings of every loss with every architecture: continued, resumed, and learning topics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import w2v
from tests.test_engines import text_of
from tests.test_training_train import topics
from w2v.losses import HierarchicalSoftmax, NegativeSampling, Softmax
from w2v.objectives import Cbow, Objective, SkipGram
from w2v.text.vocabulary import Vocabulary
from w2v.training.checkpoint import Checkpoints
from w2v.training.result import read_state, save_result
from w2v.training.schedule import Schedule
from w2v.training.train import Stopped, Trained, train

LOSSES = [NegativeSampling(), HierarchicalSoftmax(), Softmax(batch_words=500)]
ARCHITECTURES: list[Objective] = [
    SkipGram(dim=6, window=2),
    Cbow(dim=6, window=2),
    Cbow(dim=6, window=2, context_gradient="word2vec"),
]
OBJECTIVES = [replace(one, loss=loss) for one in ARCHITECTURES for loss in LOSSES]

TEXT = text_of(topics())
COUNTS = np.bincount(TEXT.tokens).astype(np.int64)
VOCABULARY = Vocabulary([f"w{i}" for i in range(len(COUNTS))], COUNTS)

every_objective = pytest.mark.parametrize("objective", OBJECTIVES, ids=str)


def run(objective: Objective, epochs: int = 2, **options: Any) -> Trained:
    schedule = Schedule(epochs=epochs, lr=0.1, decay_epochs=2)
    objective = replace(objective, subsample=0.05)
    return train(
        TEXT, COUNTS, objective, schedule, **{"engine": "numpy", "heldout": 0.1, **options}
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


def test_engines_refuse_by_name_what_they_lack() -> None:
    for objective, line in (
        (w2v.Cbow(), "model=cbow: engine=numba cannot train it; engine=numpy can"),
        (
            w2v.SkipGram(loss=w2v.HierarchicalSoftmax()),
            "loss=hsoftmax: engine=numba cannot train it; engine=numpy can",
        ),
    ):
        with pytest.raises(w2v.InputError, match=line):
            w2v.train(["a b"], objective)
