"""Test the training loop: learning rate, held-out text, history, and reproducibility by seed."""

import json
import math
from typing import Any

import numpy as np
import pytest

from tests import naive
from tests.test_engines import Documents, engines_and, random_documents, text_of
from w2v.engines import Frozen, Tally
from w2v.engines.numpy import NumpyEngine
from w2v.errors import InputError
from w2v.losses import Loss, NegativeSampling, Softmax
from w2v.objectives import Model, Objective, SkipGram
from w2v.sampling import generator
from w2v.text.tokens import Text
from w2v.training.heldout import hold_out
from w2v.training.history import Epoch, Point
from w2v.training.schedule import Schedule
from w2v.training.train import Trained, train

LOSSES: list[Loss] = [NegativeSampling(), Softmax(batch_words=200)]


def topics(documents: int = 400) -> Documents:
    """Return documents, each on one of two topics; each topic has half of the vocabulary."""
    random = np.random.default_rng(0)
    return [(10 * (i % 2) + random.integers(0, 10, size=20)).tolist() for i in range(documents)]


def run(
    documents: Documents,
    loss: NegativeSampling | Softmax,
    epochs: int = 3,
    engine: str = "numpy",
    seed: int = 0,
    heldout: float = 0.1,
) -> Trained:
    text = text_of(documents)
    counts = np.bincount(text.tokens).astype(np.int64)
    objective = SkipGram(dim=8, window=3, subsample=0, loss=loss)
    schedule = Schedule(epochs, lr=0.05, min_lr=0.001)
    return train(text, counts, objective, schedule, engine=engine, seed=seed, heldout=heldout)


@pytest.mark.usefixtures("short_shards")
@engines_and(*LOSSES)
def test_training_brings_words_of_a_topic_together(
    name: str, loss: NegativeSampling | Softmax
) -> None:
    trained = run(topics(), loss, epochs=8, engine=name)
    heldout = [epoch.heldout_loss or math.nan for epoch in trained.epochs]
    training = [epoch.loss or math.nan for epoch in trained.epochs]
    assert heldout[-1] < heldout[0]
    if name == "gensim":  # gensim reports neither loss nor pairs
        assert {epoch.loss for epoch in trained.epochs} == {None}
        assert {epoch.pairs for epoch in trained.epochs} == {None}
    else:
        assert training[-1] < training[0]
    v = trained.model.center / np.linalg.norm(trained.model.center, axis=1, keepdims=True)
    cosines = v @ v.T
    within = (cosines[:10, :10].sum() - 10) / 90, (cosines[10:, 10:].sum() - 10) / 90
    assert min(within) > cosines[:10, 10:].mean() + 0.3


@pytest.mark.usefixtures("short_shards")
@engines_and(*LOSSES)
def test_same_seed_same_bits(name: str, loss: NegativeSampling | Softmax) -> None:
    documents = random_documents(0, 3000, 20)  # as many words as `topics`, for JAX's programs
    first, second = (run(documents, loss, engine=name) for _ in range(2))
    for a, b in zip(first.model, second.model, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p._replace(seconds=0.0) for p in first.points] == [
        p._replace(seconds=0.0) for p in second.points
    ]
    other = run(documents, loss, engine=name, seed=1)
    assert not np.array_equal(first.model.center, other.model.center)


def test_heldout_loss_of_the_softmax_is_the_oracles_on_the_final_vectors() -> None:
    documents = random_documents(1, 600, 15)
    trained = run(documents, Softmax(batch_words=10_000), heldout=0.2)
    _, judged = hold_out(text_of(documents), 0.2, generator(0, "heldout"))
    held = [judged.tokens[start:end].tolist() for start, end in judged.spans]
    wanted = naive.softmax_objective(
        naive.window_pairs(held, 3, True),
        trained.model.center.tolist(),
        trained.model.outside.tolist(),
    )
    assert trained.epochs[-1].heldout_loss == pytest.approx(wanted, rel=1e-5)


def test_heldout_loss_of_negative_sampling_is_the_expected_objective() -> None:
    documents = random_documents(1, 4000, 15)
    trained = run(documents, NegativeSampling(negatives=5), heldout=0.5)
    text = text_of(documents)
    _, judged = hold_out(text, 0.5, generator(0, "heldout"))
    held = [judged.tokens[start:end].tolist() for start, end in judged.spans]
    weights = np.bincount(text.tokens) ** 0.75
    noise = [(word, 5 * p) for word, p in enumerate((weights / weights.sum()).tolist())]
    pairs = [(c, o, weight, noise) for c, o, weight in naive.window_pairs(held, 3, True)]
    wanted = naive.negative_sampling_objective(
        pairs, trained.model.center.tolist(), trained.model.outside.tolist()
    )
    # The engine draws noise words, and the expected value sums over all of them.
    assert trained.epochs[-1].heldout_loss == pytest.approx(wanted, rel=0.02)


def test_heldout_losses_of_different_seeds_compare() -> None:
    documents = random_documents(1, 3000, 15)
    text = text_of(documents)
    counts = np.bincount(text.tokens).astype(np.int64)
    frozen = Schedule(1, lr=1e-30, min_lr=1e-30)
    objective = SkipGram(dim=8, window=3)
    losses = {
        train(text, counts, objective, frozen, seed=seed, heldout=0.2).epochs[0].heldout_loss
        for seed in (0, 1)
    }
    # Outside vectors start at zero, so every score is zero whatever the seed: (1 + K) log 2.
    assert all(loss == pytest.approx(6 * math.log(2), rel=1e-6) for loss in losses)


@pytest.mark.parametrize("heldout", [0.0, 0.2])
def test_a_bootstrap_trains_on_drawn_documents_and_holds_out_the_same(heldout: float) -> None:
    documents = random_documents(1, 3000, 15)
    text = text_of(documents)
    counts = np.bincount(text.tokens).astype(np.int64)
    objective, schedule = SkipGram(dim=8, window=3), Schedule(2)
    made = {
        seed: train(
            text, counts, objective, schedule, seed=seed, heldout=heldout, bootstrap=True,
            engine="numpy",
        )
        for seed in (0, 1)
    }  # fmt: skip
    left, _ = hold_out(text, heldout, generator(0, "heldout"))
    for seed, trained in made.items():
        drawn = generator(seed, "bootstrap").integers(len(left.spans), size=len(left.spans))
        spans = [left.spans[i].tolist() for i in drawn.tolist()]
        copied = text_of([text.tokens[start:end].tolist() for start, end in spans])
        wanted = train(copied, counts, objective, schedule, seed=seed, heldout=0.0, engine="numpy")
        np.testing.assert_array_equal(trained.model.center, wanted.model.center)
        assert trained.words == wanted.words
    assert made[0].words != made[1].words
    assert (made[0].epochs[-1].heldout_loss is None) == (heldout == 0)


def test_a_bootstrap_needs_documents() -> None:
    text = text_of([[0, 1, 2] * 400])
    counts = np.bincount(text.tokens).astype(np.int64)
    with pytest.raises(InputError, match="bootstrap=true: must be false with 1 document"):
        train(text, counts, SkipGram(dim=4), Schedule(1), bootstrap=True)
    two = text_of([[0, 1, 2] * 400] * 2)  # one is held out
    with pytest.raises(InputError, match="bootstrap=true: must be false with 1 document"):
        train(two, counts, SkipGram(dim=4), Schedule(1), bootstrap=True, heldout=0.5)
    few = text_of([[0, 1, 2] * 40] * 19)
    with pytest.warns(UserWarning, match="samples of only 19 documents"):
        train(few, counts, SkipGram(dim=4), Schedule(1), bootstrap=True)


def test_the_history_has_every_epoch_and_many_points() -> None:
    documents = random_documents(2, 300_000, 50)
    seen: list[Point] = []
    ended: list[Epoch] = []
    announced: list[int] = []
    text = text_of(documents)
    counts = np.bincount(text.tokens).astype(np.int64)
    trained = train(
        text,
        counts,
        SkipGram(dim=2, window=1),
        Schedule(2, lr=0.1, min_lr=0.02),
        heldout=0,
        on_start=announced.append,
        on_point=seen.append,
        on_epoch=ended.append,
    )
    assert announced == [2 * len(text.tokens)] == [trained.words]
    assert seen == trained.points
    assert ended == trained.epochs
    assert [point.words for point in seen] == sorted({point.words for point in seen})
    for point in seen:
        assert point.lr == pytest.approx(0.1 - 0.08 * point.words / trained.words)
    for epoch in ended:
        own = [point for point in seen if point.epoch == epoch.epoch]
        assert len(own) > 2
        assert epoch.words == len(text.tokens)
        assert epoch.heldout_loss is None
        assert min(p.loss or 0 for p in own) <= (epoch.loss or 0) <= max(p.loss or 0 for p in own)
    assert trained.seconds == pytest.approx(sum(epoch.seconds for epoch in ended))


@pytest.mark.parametrize("documents", [[[0], [1], [2]], [[0, 3], [3, 1]]])
def test_a_text_without_pairs_of_words_is_refused(documents: Documents) -> None:
    text = text_of(documents)
    only = Text(text.tokens, np.array([0, 1, 2, -1], np.int32)[: text.tokens.max() + 1], text.spans)
    with pytest.raises(InputError, match="no document holds two words of the vocabulary"):
        train(only, np.array([1, 1, 1]), SkipGram(dim=2, subsample=0), Schedule(), heldout=0)


def test_a_text_that_is_all_held_out_is_refused() -> None:
    text = text_of([[0, 1, 0, 1]])
    with pytest.raises(InputError, match=r"^heldout=0\.9: holds out all words; lower it"):
        train(text, np.array([2, 2]), SkipGram(dim=2), Schedule(), heldout=0.9)


@pytest.mark.parametrize(
    ("engine", "loss"),
    [
        ("gensim", NegativeSampling()),
        ("jax", NegativeSampling()),
        ("jax", Softmax()),
        ("numpy", NegativeSampling()),
        ("numpy", Softmax()),
    ],
)
@pytest.mark.parametrize("subsample", [1e-40, 1e-300])
def test_where_subsampling_leaves_nothing_is_said(
    subsample: float, loss: Loss, engine: str
) -> None:
    text, objective = text_of([[0, 1, 0, 1]] * 10), SkipGram(dim=2, subsample=subsample, loss=loss)
    with pytest.raises(InputError, match=rf"^subsample={subsample}: leaves no document"):
        train(text, np.array([20, 20]), objective, Schedule(), engine=engine, heldout=0.0)


def test_words_that_share_rows_cannot_be_frozen() -> None:
    objective = SkipGram(dim=2, subwords=True, buckets=5)
    words, counts = ["a", "b"], np.array([9, 9])
    frozen = Frozen(np.array([True, False]), np.array([True, False]))
    with pytest.raises(InputError, match=r"^freeze: must be empty with subwords"):
        train(text_of([[0, 1]] * 9), counts, objective, Schedule(), words=words, frozen=frozen)


def test_the_last_rate_is_exact() -> None:
    assert Schedule().rate(1.0) == Schedule().min_lr
    assert Schedule(lr=1e13).rate(2.0) == Schedule().min_lr


def test_numbers_of_numpy_become_pythons() -> None:
    schedule = Schedule(epochs=np.int64(3), lr=np.float32(0.5))  # type: ignore[arg-type]
    assert (type(schedule.epochs), type(schedule.lr)) == (int, float)
    assert json.dumps(schedule.rate(0.5))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_that_is_not_finite_ends_the_run(
    loss: NegativeSampling | Softmax, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_of(topics())
    counts = np.bincount(text.tokens).astype(np.int64)

    def broken(objective: Objective, size: int, random: np.random.Generator) -> Model:
        return Model(*np.full((2, size, objective.dim), np.nan, np.float32))

    monkeypatch.setattr("w2v.training.train.initial_model", broken)
    line = r"the loss is not finite in epoch 1 after 8,000 words; lr=0.5 is probably too large"
    with pytest.raises(InputError, match=line), np.errstate(all="ignore"):
        train(text, counts, SkipGram(dim=2, loss=loss), Schedule(lr=0.5), heldout=0)


def test_a_heldout_loss_that_is_not_finite_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyEngine, "loss", lambda *_: Tally(1, 1.0, math.nan))
    line = "the held-out loss is not finite in epoch 1 after 7,200 words; lr=0.05 is probably"
    with pytest.raises(InputError, match=line):
        run(topics(), NegativeSampling())


def test_what_is_not_training_does_not_count_as_training(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = NumpyEngine.train

    def slow_to_set_up(self: NumpyEngine, *arguments: Any) -> Tally:
        return trained(self, *arguments)._replace(setup_seconds=1e6)

    monkeypatch.setattr(NumpyEngine, "train", slow_to_set_up)
    result = run(topics(), NegativeSampling(), epochs=2)
    assert [round(epoch.seconds, -4) for epoch in result.epochs] == [-1e6, -1e6]
    assert round(result.seconds, -4) == -2e6


@pytest.mark.parametrize("size", [2, 5])
def test_the_softmax_does_not_overshoot_on_a_short_text(size: int) -> None:
    random = np.random.default_rng(0)
    documents = random.integers(0, size, (500, 10)).tolist()
    trained = run(documents, Softmax(), epochs=2)
    losses = [point.loss or math.inf for point in trained.points]
    assert max(losses) < 1.2 * math.log(size)
    assert losses[-1] < 1.05 * math.log(size)


def test_rate_is_linear_and_ends_at_the_minimum() -> None:
    schedule = Schedule(5, 0.025, 1e-4)
    assert [schedule.rate(x) for x in (0, 0.5, 1, 2)] == pytest.approx([0.025, 0.01255, 1e-4, 1e-4])
