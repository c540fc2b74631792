"""Test the computed numbers of pairs, dot products and FLOPs of an epoch against plain counts."""

import numpy as np
import pytest

from tests import naive
from tests.test_engines import random_documents, task_of, text_of
from w2v.engines.numpy import NumpyEngine
from w2v.losses import NegativeSampling, Softmax
from w2v.objectives import SkipGram
from w2v.sampling import draw_key, generator, keep_probabilities
from w2v.training.cost import first_epoch_work, work


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_pairs_and_flops_of_negative_sampling(dynamic: bool, window: int) -> None:
    documents = random_documents(0, 700, 20)
    loss = NegativeSampling(7)
    objective = SkipGram(dim=4, window=window, dynamic_window=dynamic, subsample=0, loss=loss)
    done = work(text_of(documents), task_of(20, 4, objective), generator(0, "work"))
    pairs = sum(weight for _, _, weight in naive.window_pairs(documents, window, dynamic))
    assert done.pairs == pytest.approx(pairs, rel=1e-6)
    assert done.scores == pytest.approx(8 * pairs, rel=1e-6)
    assert done.flops == pytest.approx(6 * 4 * 8 * pairs, rel=1e-6)


def test_rows_of_the_softmax_are_those_that_the_engine_computes() -> None:
    text = text_of(np.random.default_rng(0).integers(0, 20, (70, 10)).tolist())
    task = task_of(20, 4, SkipGram(dim=4, subsample=0, loss=Softmax(batch_words=30)))
    engine = NumpyEngine(task)
    key = draw_key(generator(0, "work"))
    _, batches = engine._batches(text, key)
    centers = sum(len(engine.step.draw(batch, key, at).inputs.ids) for at, batch in batches)
    done = work(text, task, generator(0, "work"))
    assert (done.scores, done.flops) == (20 * centers, 6 * 4 * 20 * centers)


def test_what_sub_sampling_drops_is_not_counted() -> None:
    text = text_of([[0, 1] * 25_000])
    objective = SkipGram(dim=2, window=1, subsample=0.01)
    task = task_of(2, 2, objective)
    keep = keep_probabilities(task.counts, 0.01)
    done = work(text, task, generator(0, "work"))
    assert done.pairs == pytest.approx(2 * 25_000 * float(keep.sum()), rel=0.02)
    assert np.isfinite(done.flops)


def test_held_out_documents_are_not_counted() -> None:
    text, counts = text_of([[0, 1]] * 100), np.array([100, 100])
    objective = SkipGram(dim=2, window=1, subsample=0)
    done = first_epoch_work(text, counts, objective, epochs=3, seed=0, heldout=0.25, heldout_seed=0)
    assert done.pairs == 2 * 75
