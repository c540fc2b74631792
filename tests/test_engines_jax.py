"""Test ``engine=jax`` on the CPU: its random draws and updates are those of ``engine=numpy``."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

import w2v.engines
import w2v.engines.jax as engine
from tests.commands import SMALL, WITHOUT_SCORES, run_process, write_text
from tests.test_engines import random_documents, random_model, text_of
from w2v.engines import EngineSettings, Task, jax_functions, make_engine
from w2v.engines.jax import JaxEngine, power_of_two
from w2v.engines.jax_functions import (
    DrawTables,
    draws,
    draws_evenly,
    make_product,
    noise_words,
    sum_equal_rows,
)
from w2v.engines.jax_steps import SoftmaxSteps
from w2v.errors import InputError
from w2v.losses import Loss, NegativeSampling, Softmax
from w2v.objectives import Model, SkipGram
from w2v.sampling import Key, NoiseDistribution, draw, draw_evenly, generator
from w2v.text.tokens import Text

WORDS = 300
DOCUMENTS = random_documents(0, 6000, WORDS)


@pytest.fixture(autouse=True)
def short_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``engine=jax`` train on short shards (parts of a text), as compiling for them is faster.

    Without this fixture, a shard has at least 65,536 words.
    """
    monkeypatch.setattr(engine, "MIN_SHARD_WORDS", 8192)


def task_of(loss: Loss, dim: int = 20, window: int = 4, **others: Any) -> Task:
    counts = np.bincount(np.concatenate(DOCUMENTS).astype(int), minlength=WORDS) + 1
    objective = SkipGram(dim, window, subsample=0.02, loss=loss)
    return Task(random_model(WORDS, dim), objective, counts, 6000, **others)


def copied(task: Task) -> Task:
    return replace(task, model=Model(*map(np.copy, task.model)))


def assert_equal_but_rounding(ours: Any, theirs: Any) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


# The same draws and updates


@pytest.mark.parametrize(
    ("loss", "dim", "window", "rate"),
    [
        (NegativeSampling(), 20, 4, 0.3),
        (NegativeSampling(40, exponent=-0.5), 7, 21, 0.3),
        (Softmax(batch_words=500), 20, 4, 0.02),
        (Softmax(batch_words=400, optimizer="sgd"), 7, 21, 1e-4),
    ],
    ids=str,
)
def test_steps_are_those_of_numpy(
    loss: Loss, dim: int, window: int, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small_tiles(*arguments: Any) -> SoftmaxSteps:
        steps = SoftmaxSteps(*arguments)
        steps.tile, steps.most_centers = 64, 320
        return steps

    monkeypatch.setattr(engine, "SoftmaxSteps", small_tiles)
    slow = make_engine("numpy", task_of(loss, dim, window))
    fast = JaxEngine(copied(slow.task))
    for number in range(0, len(DOCUMENTS), 100):
        text = text_of(DOCUMENTS[number : number + 100])
        # Words occur many times in a step, so the size of their step is limited.
        assert max(Counter(text.tokens.tolist()).values()) > 100
        before = Model(*map(np.copy, slow.task.model))
        random = (generator(0, "train", number) for _ in range(2))
        wanted = slow.train(text, (rate, rate / 2), next(random))
        got = fast.train(text, (rate, rate / 2), next(random))
        assert got.words == wanted.words
        assert got.pairs == pytest.approx(wanted.pairs, rel=1e-6)
        assert got.loss == pytest.approx(wanted.loss, rel=1e-5)
        assert_equal_but_rounding(fast.task.model, slow.task.model)
        assert np.abs(slow.task.model.outside - before.outside).max() > 1e-3
        # Both go on from the same model, because steps make rounding errors grow.
        for ours, theirs in zip(fast.task.model, slow.task.model, strict=True):
            ours[:] = theirs
        fast.restore(slow.state())


def test_a_batch_without_pairs_is_no_step() -> None:
    objective = SkipGram(3, 1, subsample=0, loss=Softmax(batch_words=1))
    slow = make_engine("numpy", Task(random_model(2, 3), objective, np.array([4, 5]), 9))
    fast = JaxEngine(copied(slow.task))
    text = text_of([[0], [0, 1], [1], [0, 1], [1, 0], [1]])
    slow.train(text, (0.1, 0.05), generator(0, "train"))
    fast.train(text, (0.1, 0.05), generator(0, "train"))
    assert_equal_but_rounding(fast.task.model, slow.task.model)
    state = slow.state()
    for name, array in fast.state().items():
        np.testing.assert_allclose(array, state[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("loss", [NegativeSampling(), Softmax(batch_words=500)], ids=str)
def test_held_out_loss_is_that_of_numpy(loss: Loss) -> None:
    slow = make_engine("numpy", task_of(loss))
    fast = JaxEngine(slow.task)
    text = text_of(DOCUMENTS)
    wanted = slow.loss(text, generator(0, "loss"))  # type: ignore[attr-defined]
    got = fast.loss(text, generator(0, "loss"))
    assert got.words == wanted.words
    assert got.pairs == pytest.approx(wanted.pairs, rel=1e-6)
    assert got.loss == pytest.approx(wanted.loss, rel=1e-6)


def test_softmax_of_logits_beyond_the_range_of_exp() -> None:
    task = task_of(Softmax(batch_words=500))
    task.model.center[:] = np.abs(task.model.center) + 1
    task.model.outside[:] = 40 * (np.abs(task.model.outside) + 1)
    slow = make_engine("numpy", task)
    fast = JaxEngine(copied(task))
    text = text_of(DOCUMENTS)
    wanted = slow.train(text, (0.02, 0.02), generator(0, "t"))
    got = fast.train(text, (0.02, 0.02), generator(0, "t"))
    assert got.loss == pytest.approx(wanted.loss, rel=1e-5)
    for ours, theirs in zip(fast.task.model, slow.task.model, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_draws_are_those_of_the_library() -> None:
    numbers = np.array([0, 1, 2**31, 2**32 - 1, *range(1000)], np.int64)
    bits = draw(Key(np.uint32(7), np.uint32(2**32 - 1)), 1, numbers)
    key = jnp.array([7, 2**32 - 1], jnp.uint32)
    ours = draws(key, 1, jnp.asarray(numbers.astype(np.uint32)))
    np.testing.assert_array_equal(np.stack(bits), np.stack(ours))
    spread = draw_evenly(Key(np.uint32(7), np.uint32(2**32 - 1)), 1, numbers, 20)
    np.testing.assert_array_equal(
        draws_evenly(key, 1, jnp.asarray(numbers.astype(np.uint32)), 20), spread
    )


@pytest.mark.parametrize("size", [1, 2, 7, 65_535, 65_536, 65_537, 200_003])
def test_noise_words_are_those_of_the_library(size: int) -> None:
    noise = NoiseDistribution(np.arange(1, size + 1), 0.75)
    tables = DrawTables(jnp.empty(0, jnp.uint32), jnp.asarray(noise.last))
    spread = draw_evenly(Key(np.uint32(7), np.uint32(2**32 - 1)), 1, np.arange(1000), 20)
    extreme = np.array([0, 1, 2**16 - 1, 2**16, 2**31, 2**32 - 1], np.uint32)
    integers = np.concatenate([spread, noise.last, noise.last + np.uint32(1), extreme])
    np.testing.assert_array_equal(noise_words(tables, jnp.asarray(integers)), noise.words(integers))


# Sums in a fixed order


@pytest.mark.parametrize(
    ("entries", "words", "group", "last"),
    [(1, 31, 2, 1), (12, 7, 2, 1), (60, 31, 3, 5), (60, 2, 4, 4), (333, 31, 32, 1024)],
)
def test_equal_rows_are_summed_once(
    entries: int, words: int, group: int, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax_functions, "GROUP", group)
    monkeypatch.setattr(jax_functions, "LAST_GROUP", last)
    summed = jax.jit(lambda rows, *values: sum_equal_rows(rows, values[0], values[1], words))
    for seed in range(20):
        random = np.random.default_rng(seed)
        rows = np.sort((random.random(entries) ** 3 * words).astype(np.int32))
        gradients = random.integers(-99, 99, (entries, 3)).astype(np.float32)
        curvature = random.integers(0, 99, entries).astype(np.float32)
        wanted, got = np.zeros((2, words, 4))
        np.add.at(wanted, rows, np.column_stack([gradients, curvature]))
        for row, part, bend in summed(rows, gradients, curvature):
            used = np.asarray(row) < words
            assert len(np.unique(row[used])) == used.sum()
            got[row[used]] += np.column_stack([part, bend])[used]
        np.testing.assert_array_equal(got, wanted)


def test_no_sum_of_floats_depends_on_the_order_of_threads() -> None:
    """In JAX's program, each scatter-add of floats is declared to have unique indices.

    So no two floats are added to the same element, and their order cannot change a sum.
    """
    for loss in NegativeSampling(), Softmax(batch_words=500):
        made = JaxEngine(task_of(loss))
        sample, _, steps, size = made._sample(text_of(DOCUMENTS), generator(0, "t"))
        course = np.zeros(made._most_steps(sample), np.float32)
        arguments = made.vectors, made._state, sample, course, steps, size
        text = jax.jit(made._train).lower(*arguments).as_text()
        blocks = text.split('"stablehlo.scatter"')[1:]
        assert len(blocks) > 3
        for block in blocks:
            options, body = block.split("^bb0", 1)
            body = body.split("stablehlo.return")[0]
            floats = "tensor<f32>" in body and "stablehlo.add" in body
            assert not floats or "unique_indices = true" in options


@pytest.mark.parametrize("loss", [NegativeSampling(), Softmax(batch_words=500)], ids=str)
def test_same_bits_wherever_the_text_is(loss: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    models = []
    for limit in (engine.MAX_TEXT_BYTES, 0):
        monkeypatch.setattr(engine, "MAX_TEXT_BYTES", limit)
        made = JaxEngine(task_of(loss))
        text = text_of(DOCUMENTS)
        parts = text.shuffled(generator(0, "order")).shards(1500)
        assert len(parts) > 3
        for number, part in enumerate(parts):
            made.train(part, (0.03, 0.02), generator(0, "train", number))
        assert (made._text is None) == (limit == 0)
        models.append(made.task.model)
    for one, other in zip(*models, strict=True):
        np.testing.assert_array_equal(one, other)


# The device


def test_vectors_are_copied_when_they_are_asked_for() -> None:
    task = task_of(NegativeSampling())
    first = task.model.center.copy()
    made = JaxEngine(task)
    made.train(text_of(DOCUMENTS), (0.03, 0.02), generator(0, "t"))
    np.testing.assert_array_equal(task.model.center, first)
    assert made.task is task
    assert not np.array_equal(task.model.center, first)
    last = task.model.center.copy()
    task.model.center[:] = first
    assert made.task is task  # the model on the device is not newer
    np.testing.assert_array_equal(task.model.center, first)
    made.restore(made.state())
    made.train(text_of([[1]]), (0.03, 0.02), generator(0, "t"))
    np.testing.assert_array_equal(made.task.model.center, first)
    assert not np.array_equal(first, last)


def test_a_model_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, what in ((1000, "the model"), (100_000, "a step")):
        monkeypatch.setattr(JaxEngine, "_free_memory", lambda _, free=free: free)
        with pytest.raises(InputError, match=f"300 words and dim=20, {what} needs 0.0") as refused:
            JaxEngine(task_of(NegativeSampling()))
        assert "GiB left on" in str(refused.value)
        assert "\n" not in str(refused.value)
    monkeypatch.setattr(JaxEngine, "_free_memory", lambda _: 1 << 30)
    made = JaxEngine(task_of(NegativeSampling()))
    monkeypatch.setattr(JaxEngine, "_free_memory", lambda _: 1000)
    for _ in range(3):  # its two programs are compiled, and still do not fit
        with pytest.raises(InputError, match="a step needs"):
            made.loss(text_of(DOCUMENTS), generator(0, "t"))


def test_precisions() -> None:
    vectors: dict[str, NDArray[np.float32]] = {}
    for precision in "float32", "bfloat16":
        made = JaxEngine(task_of(NegativeSampling(), precision=precision))
        made.train(text_of(DOCUMENTS), (0.03, 0.02), generator(0, "t"))
        vectors[precision] = made.task.model.center
    apart = np.abs(vectors["float32"] - vectors["bfloat16"]).max()
    assert 1e-5 < apart < 0.02
    with pytest.raises(InputError, match=r"^precision=tf32: .* no GPU"):
        JaxEngine(task_of(NegativeSampling(), precision="tf32"))
    assert EngineSettings("jax", precision="tf32").precision == "tf32"
    with pytest.raises(InputError, match="precision=tf32: must be float32 with engine=numba"):
        EngineSettings("numba", precision="tf32")


def test_tf32_reaches_the_compiler() -> None:
    array = jax.ShapeDtypeStruct((8, 8), np.float32)
    product = make_product("tf32", type("Device", (), {"platform": "gpu"})())
    traced = jax.jit(lambda a, b: product("ij,jk->ik", a, b)).trace(array, array)
    assert "tf32" in traced.lower(lowering_platforms=("cuda",)).as_text().lower()


def test_jax_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w2v.engines, "find_spec", lambda name: None)
    wanted = 'engine=jax: the package jax is not installed; .*pip install "w2v-experiments.jax."'
    with pytest.raises(InputError, match=wanted):
        EngineSettings("jax")
    with pytest.raises(InputError, match=wanted):
        make_engine("jax", task_of(NegativeSampling()))
    EngineSettings("numba")


def test_a_text_without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    made = JaxEngine(task_of(NegativeSampling()))
    empty = Text(np.empty(0, np.int32), np.zeros(3, np.int32), np.empty((0, 2), np.int64))
    assert made.train(empty, (0.1, 0.1), generator(0, "t"))[:3] == (0, 0, 0)
    monkeypatch.setattr(engine, "MAX_TEXT_BYTES", 0)
    text = text_of(DOCUMENTS)
    nothing = Text(text.tokens, text.ids, text.spans[:0])  # held out where heldout=0
    assert made.loss(nothing, generator(0, "t"))[:3] == (0, 0, 0)


def test_power_of_two() -> None:
    assert [power_of_two(number) for number in (0, 1, 2, 3, 4, 5, 1023, 1025)] == [
        *(1, 1, 2, 4, 4, 8),
        *(1024, 2048),
    ]


@pytest.mark.long
def test_compiled_programs_are_kept_in_the_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    found = []
    for seed in (0, 1):
        done = run_process(
            *SMALL, WITHOUT_SCORES, "engine=jax", f"seed={seed}", "tracking=none", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert " on cpu" in done.stdout
        found.append({path.name for path in (tmp_path / "outputs" / "compiled").iterdir()})
    assert len(found[0]) >= 3
    assert found[1] == found[0]  # the second run compiles nothing
