"""``engine=numba`` against slow oracles, with several threads, processes and vector lengths."""

import copy
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from tests import naive
from tests.test_engines import Documents, random_documents, random_model, text_of
from w2v.engines import Tally, Task, kernels
from w2v.engines.kernels import BATCH, MR, NOISE, Batch
from w2v.engines.numba import JOB_TOKENS, NumbaEngine, align_rows, source_of
from w2v.engines.numpy import NumpyEngine
from w2v.engines.simd import FAST_MATH, LANES, address, host_features
from w2v.jit import one_process_at_a_time
from w2v.losses import NegativeSampling
from w2v.objectives import SkipGram
from w2v.sampling import generator
from w2v.text.tokens import Text

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def engine_of(
    documents: Documents,
    dim: int = 6,
    window: int = 3,
    negatives: int = 5,
    scale: float = 0.3,
    threads: int = 1,
    dynamic: bool = True,
) -> NumbaEngine:
    counts = np.bincount(np.concatenate(documents).astype(int)) + 1
    loss = NegativeSampling(negatives)
    objective = SkipGram(dim, window, dynamic, subsample=0, loss=loss)
    model = random_model(len(counts), dim, scale)
    return NumbaEngine(Task(model, objective, counts, 1000, threads=threads))


def batches_of(engine: NumbaEngine, documents: Documents, seed: int = 1) -> list[Batch]:
    """Return the batches of an epoch as the kernel draws them."""
    text = text_of(documents)
    (first, second), scratch = engine.workers[0]
    scratch.state[0] = seed
    words, kept = kernels.subsample(engine.problem, engine.sizes, source_of(text), scratch)
    assert words == kept == sum(map(len, documents))
    drawn = []
    for number, first_position in enumerate(range(0, kept, BATCH)):
        batch = (first, second)[number % 2]
        kernels.draw_batch(engine.problem, engine.sizes, scratch, first_position, batch)
        drawn.append(copy.deepcopy(batch))
    return drawn


def entries(engine: NumbaEngine, batch: Batch) -> list[tuple[int, int, int, int, float]]:
    """Return what the matrix of weights of a batch holds, apart from zeros.

    An item is (row, column, center word, outside or noise word, weight). The weight of a noise
    word is negative.
    """
    m, band, row, contexts, _ = engine.sizes
    found = []
    for i, center in enumerate(batch.centers.tolist()):
        indices = {j: i * row + j - i + MR - 1 for j in range(i, i + 2 * m + 1)}
        indices |= {contexts + k: i * row + band + MR - 1 + k for k in range(NOISE)}
        for j, index in indices.items():
            weight = float(batch.weights[index])
            if weight:
                found.append((i, j, center, int(batch.outside[j]), weight))
    assert len(found) == np.count_nonzero(batch.weights)
    return found


def oracle(engine: NumbaEngine, batch: Batch, v: F64, u: F64, rate: float) -> float:
    """Learn from a batch as the kernel should, in float64; return the loss.

    `v` and `u` are changed in place. The step of each word is limited by the curvature of its row;
    see ``w2v/README.md``.
    """
    moved = {"v": np.zeros_like(v), "u": np.zeros_like(u)}
    curvature = {"v": np.zeros(len(v)), "u": np.zeros(len(u))}
    losses = []
    for _, _, center, outside, weight in entries(engine, batch):
        s = float(v[center] @ u[outside])
        sign, size = math.copysign(1, weight), abs(weight)
        losses.append(-size * naive.log_sigmoid(sign * s))
        slope = weight * naive.sigmoid(-sign * s)
        moved["v"][center] += slope * u[outside]
        moved["u"][outside] += slope * v[center]
        h = size / (2 * max(2, abs(s)))
        curvature["v"][center] += h * float(u[outside] @ u[outside])
        curvature["u"][outside] += h * float(v[center] @ v[center])
    for matrix, side in ((v, "v"), (u, "u")):
        steps = np.minimum(rate, 2 / np.maximum(curvature[side], 1e-30))
        matrix += steps[:, None] * moved[side]
    return math.fsum(losses)


SHAPES = [
    # dim, window, negatives, scale, rate, documents
    (100, 5, 5, 0.1, 0.025, random_documents(0, 300, 60)),
    (1, 5, 5, 1.0, 0.025, [[0, 1, 0] * 15, [1]]),
    (8, 1, 1, 1.0, 0.025, [[0], [], [1], [2, 2], [0, 1]]),
    (20, 40, 3, 0.3, 0.025, random_documents(1, 150, 30)),
    (37, 10, 20, 0.2, 0.025, random_documents(2, 100, 7)),
    (300, 10, 10, 0.1, 0.025, [list(range(100))]),
    (1000, 3, 5, 0.05, 0.025, [[i % 50 for i in range(80)]]),
    (16, 5, 5, 2.0, 0.2, [[0, i % 9] * 9 for i in range(9)]),  # steps that must be limited
]


@pytest.mark.parametrize(("dim", "window", "negatives", "scale", "rate", "documents"), SHAPES)
def test_step(
    dim: int, window: int, negatives: int, scale: float, rate: float, documents: Documents
) -> None:
    engine = engine_of(documents, dim, window, negatives, scale)
    scratch = engine.workers[0][1]
    for batch in batches_of(engine, documents):
        v, u = (rows[:, :dim].astype(np.float64) for rows in engine.problem[:2])
        wanted = oracle(engine, batch, v, u, rate)
        got = kernels.update(engine.problem, engine.sizes, batch, scratch, np.float32(rate))
        assert got == pytest.approx(wanted, rel=1e-5)
        for rows, matrix in ((engine.problem.center, v), (engine.problem.outside, u)):
            np.testing.assert_allclose(rows[:, :dim], matrix, rtol=1e-4, atol=2e-6 * (1 + scale))
            assert not rows[:, dim:].any()
            rows[:, :dim] = matrix


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("window", [1, 4, 50])
def test_batches_have_exactly_the_pairs_of_the_text(window: int, dynamic: bool) -> None:
    documents = [*random_documents(0, 400, 20), [], [3] * 200]
    engine = engine_of(documents, window=window, dynamic=dynamic, negatives=7)
    trained: Counter[tuple[int, int]] = Counter()
    total = 0.0
    for batch in batches_of(engine, documents):
        of_centers: dict[int, list[float]] = {}
        for i, j, center, outside, weight in entries(engine, batch):
            sums = of_centers.setdefault(i, [0.0, 0.0])
            if j < engine.sizes.contexts:
                trained[center, outside] += weight  # type: ignore[assignment]
            sums[j >= engine.sizes.contexts] += weight
        for pairs, noise in of_centers.values():
            assert noise == pytest.approx(-7 * pairs, rel=1e-5)
        assert batch.pairs[0] == pytest.approx(sum(pairs for pairs, _ in of_centers.values()))
        total += batch.pairs[0]
    wanted: Counter[tuple[int, int]] = Counter()
    for center, outside, weight in naive.window_pairs(documents, window, dynamic):
        wanted[center, outside] += weight  # type: ignore[assignment]
    assert trained.keys() == wanted.keys()
    assert all(math.isclose(trained[pair], wanted[pair], rel_tol=1e-5) for pair in wanted)
    assert total == pytest.approx(sum(wanted.values()), rel=1e-6)


def test_noise_has_its_distribution() -> None:
    counts = np.array([1000, 300, 100, 30, 3])
    objective = SkipGram(2, loss=NegativeSampling(5, exponent=0.5))
    engine = NumbaEngine(Task(random_model(5, 2), objective, counts, 1000))
    scratch, batch = engine.workers[0][1], engine.workers[0][0][0]
    drawn = np.zeros(5)
    for _ in range(5000):
        kernels.draw_batch(engine.problem, engine.sizes, scratch, 0, batch)
        drawn += np.bincount(batch.outside[-NOISE:], minlength=5)
    wanted = 5000 * NOISE * counts**0.5 / (counts**0.5).sum()
    assert ((drawn - wanted) ** 2 / wanted).sum() < 23.5  # chi-squared, 4 degrees, 1e-4


@numba.njit(error_model="numpy", fastmath=set(FAST_MATH))
def logistic(scores: F32, weights: F32, curvature: F32) -> float:
    entries = address(scores), address(weights), address(curvature)
    return kernels.logistic(*entries, len(scores) // LANES)


@pytest.mark.parametrize("sign", [1, -1])
def test_logistic_over_the_whole_range(sign: int) -> None:
    xs = [-1e30, -200, -90, -20, -2.5, -1.9, -1e-3, -0.0, 1e-6, 0.3, 1, 2.1, 30, 87, 126, 1e30]
    for x in [*xs, *np.linspace(-30, 30, 200).tolist()]:
        scores = np.full(16, x, np.float32)
        weights, curvature = np.zeros(16, np.float32), np.zeros(16, np.float32)
        weights[5] = sign * 1.5
        loss = logistic(scores, weights, curvature)
        x32 = float(np.float32(x))
        assert loss == pytest.approx(-1.5 * naive.log_sigmoid(sign * x32), rel=1e-6, abs=1e-7)
        slope = sign * 1.5 * naive.sigmoid(max(-700.0, min(700.0, -sign * x32)))
        assert scores[5] == pytest.approx(slope, rel=2e-6, abs=1e-30)
        assert curvature[5] == pytest.approx(1.5 / (2 * max(2, abs(x32))), rel=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_shuffled_mapped_text_is_read_once(tmp_path: Path, threads: int) -> None:
    documents = random_documents(4, 60_000, 300)[:-1] * 3
    text = text_of(documents)
    np.save(tmp_path / "tokens.npy", text.tokens)
    ids = text.ids.copy()
    ids[7] = -1
    tokens = np.load(tmp_path / "tokens.npy", mmap_mode="r", allow_pickle=False)
    mapped = Text(tokens, ids, text.spans).shuffled(generator(0, "order"))
    engine = engine_of(documents, threads=threads)
    tally = engine.train(mapped, (1e-30, 1e-30), generator(0, "train"))
    known = [[word for word in document if word != 7] for document in documents]
    assert tally.words == sum(map(len, known))
    pairs = sum(weight for _, _, weight in naive.window_pairs(known, 3, True))
    assert tally.pairs == pytest.approx(pairs, rel=1e-6)


def test_the_reported_loss_is_that_of_the_numpy_engine() -> None:
    documents = random_documents(5, 100_000, 100)[:-1]
    engine = engine_of(documents)
    frozen = engine.train(text_of(documents), (0.0, 0.0), generator(0, "train"))
    held_out = NumpyEngine(engine.task).loss(text_of(documents), generator(0, "loss"))
    assert frozen.words == held_out.words
    # The two draw different noise.
    assert frozen.pairs == pytest.approx(held_out.pairs, rel=3e-3)
    assert frozen.mean_loss == pytest.approx(held_out.mean_loss, rel=5e-3)


def test_four_threads_reach_the_loss_of_one() -> None:
    documents = random_documents(6, 20 * JOB_TOKENS, 2000)
    losses = {}
    for threads in (1, 4):
        engine = engine_of(documents, dim=20, threads=threads, scale=0.02)
        for epoch in range(2):
            tally = engine.train(text_of(documents), (0.025, 0.025), generator(0, "t", epoch))
        losses[threads] = tally.mean_loss
    assert losses[1] == pytest.approx(losses[4], rel=0.03)


def adjacent(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Copy arrays into one buffer, in which each begins where the one before ends."""
    ends = np.cumsum([kernels.round_up(array.nbytes, 8) for array in arrays])
    parts = np.split(np.zeros(ends[-1], np.uint8), ends[:-1])
    copies = []
    for array, part in zip(arrays, parts, strict=True):
        copies.append(part[: array.nbytes].view(array.dtype).reshape(array.shape))
        copies[-1][:] = array
    return copies


def test_vectors_do_not_depend_on_where_arrays_are_in_memory() -> None:
    """Adjacent arrays give the same bits as separate ones.

    Compiled code may check whether arrays overlap, and then sum in another order.
    """
    documents = random_documents(8, 2000, 100)
    trained = []
    for shift in (None, *range(0, 30, 3)):
        engine = engine_of(documents, dim=20, window=10, scale=2.0)
        if shift is not None:
            (first, second), scratch = engine.workers[0]
            arrays = [engine.problem.pair_weights, *first, *second, *scratch]
            order = np.random.default_rng(shift).permutation(len(arrays))
            moved = dict(zip(order, adjacent([arrays[n] for n in order]), strict=True))
            weights, *rest = (moved[n] for n in range(len(arrays)))
            engine.problem = engine.problem._replace(pair_weights=weights)
            size = len(first)
            batches = Batch(*rest[:size]), Batch(*rest[size : 2 * size])
            engine.workers[0] = batches, kernels.Scratch(*rest[2 * size :])
        engine.train(text_of(documents), (0.1, 0.1), generator(0, "train"))
        trained.append(engine.problem[:2])
    for center, outside in trained:
        np.testing.assert_array_equal(center, trained[0][0])
        np.testing.assert_array_equal(outside, trained[0][1])


def test_the_loss_of_a_model_with_nan_is_nan() -> None:
    documents = random_documents(7, 500, 20)
    engine = engine_of(documents)
    engine.task.model.outside[3] = np.nan
    tally = engine.train(text_of(documents), (0.01, 0.01), generator(0, "train"))
    assert math.isnan(tally.loss or 0)


@pytest.mark.parametrize("dim", [1, 16, 20])
def test_rows_start_on_cache_lines(dim: int) -> None:
    matrix = np.random.default_rng(0).random((9, dim), np.float32)
    rows = align_rows(matrix)
    assert rows.shape == (9, kernels.round_up(dim, kernels.LINE))
    assert rows.ctypes.data % 64 == 0
    np.testing.assert_array_equal(rows[:, :dim], matrix)
    assert not rows[:, dim:].any()


# Other processors, and several processes


def start_with_features(
    features: str, compile_for: str, cache: Path, tests: str
) -> "subprocess.Popen[str]":
    """Start tests in a process that compiles for another processor, with its vector length.

    This needs a new process: `w2v.engines.simd` finds the vector length when it is imported, and
    Numba reads its setting when it first compiles.
    """
    code = f"""
import sys, numba, pytest
numba.config.CPU_FEATURES = {compile_for!r}
numba.njit("f8(f8)")(lambda x: x)
numba.config.CPU_FEATURES = {features!r}
from w2v.engines import simd
print("lanes", simd.LANES)
files = ["tests/test_engines_kernels.py", "tests/test_engines_simd.py"]
sys.exit(pytest.main(["-q", "-n0", "-p", "no:cacheprovider", "-k", {tests!r}, *files]))
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_passed(process: "subprocess.Popen[str]", lanes: int) -> None:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert f"lanes {lanes}" in output


# LLVM splits vectors that are longer than the processor's.
FEATURES = {4: "-avx2", 8: "+avx2", 16: "+avx512f"}


@pytest.mark.long
@pytest.mark.parametrize("lanes", sorted(FEATURES.keys() - {LANES}))
def test_other_vector_lengths(lanes: int, tmp_path: Path) -> None:
    features = FEATURES[lanes]
    compile_for = features if lanes == 4 else host_features()
    tests = "test_step or logistic or simd"
    assert_passed(start_with_features(features, compile_for, tmp_path, tests), lanes)


@pytest.mark.long
def test_processes_that_start_together_share_an_empty_cache(tmp_path: Path) -> None:
    host = host_features()
    processes = [start_with_features(host, host, tmp_path, "test_step") for _ in range(4)]
    for process in processes:
        assert_passed(process, LANES)
    assert list(tmp_path.rglob("kernels.lock"))


def test_the_lock_is_released() -> None:
    for _ in range(2):
        with one_process_at_a_time(kernels.train):
            pass


def test_what_was_compiled_is_deleted_when_another_source_changes(tmp_path: Path) -> None:
    function = Mock(__module__="room.kernels", stats=Mock(cache_path=str(tmp_path)))
    index, other = tmp_path / "kernels.train-1.nbi", tmp_path / "scanner.scan-1.nbi"
    source = tmp_path / "simd.py"
    for path in (source, index, other):
        path.touch()
    os.utime(source, (10, 10))
    with one_process_at_a_time(function, source):
        assert index.exists()
    os.utime(index, (9, 9))
    with one_process_at_a_time(function, source):
        assert not index.exists()
        assert other.exists()


def test_nothing_to_train_on() -> None:
    engine = engine_of([[0, 1]])
    empty = Text(np.empty(0, np.int32), np.array([0, 1], np.int32), np.empty((0, 2), np.int64))
    assert engine.train(empty, (0.1, 0.1), generator(0, "t")) == Tally()
