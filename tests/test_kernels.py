"""The compiled engine against slow oracles, with other processors' vectors and side by side."""

import copy
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import naive
from tests.test_engines import Documents, random_documents, random_model, text_of
from w2v.engines import Tally, Task, kernels
from w2v.engines.kernels import BLOCK, LANES, NOISE, TALL, Block
from w2v.engines.numba import PART, NumbaEngine, on_cache_lines, source_of
from w2v.engines.numpy import NumpyEngine
from w2v.jit import one_process_at_a_time
from w2v.objectives import NegativeSampling, SkipGram
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


def blocks_of(engine: NumbaEngine, documents: Documents, seed: int = 1) -> list[Block]:
    """What the engine would train on, block by block."""
    text = text_of(documents)
    (first, second), scratch = engine.workers[0]
    scratch.state[0] = seed
    words, kept = kernels.read(engine.problem, engine.sizes, source_of(text), scratch)
    assert words == kept == sum(map(len, documents))
    drawn = []
    for number, place in enumerate(range(0, kept, BLOCK)):
        block = (first, second)[number % 2]
        kernels.draw(engine.problem, engine.sizes, scratch, place, block)
        drawn.append(copy.deepcopy(block))
    return drawn


def entries(engine: NumbaEngine, block: Block) -> list[tuple[int, int, int, int, float]]:
    """The entries that count: places i, j in the block, words and signed weight."""
    m, band, row, contexts, _ = engine.sizes
    found = []
    for i, center in enumerate(block.centers.tolist()):
        places = {j: i * row + j - i + TALL - 1 for j in range(i, i + 2 * m + 1)}
        places |= {contexts + k: i * row + band + TALL - 1 + k for k in range(NOISE)}
        for j, place in places.items():
            weight = float(block.weights[place])
            if weight:
                found.append((i, j, center, int(block.outside[j]), weight))
    assert len(found) == np.count_nonzero(block.weights)
    return found


def oracle(engine: NumbaEngine, block: Block, v: F64, u: F64, rate: float) -> float:
    """One step in float64, in place; every word's summed step is bounded by its curvature."""
    moved = {"v": np.zeros_like(v), "u": np.zeros_like(u)}
    curvature = {"v": np.zeros(len(v)), "u": np.zeros(len(u))}
    losses = []
    for _, _, center, outside, weight in entries(engine, block):
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
    (16, 5, 5, 2.0, 0.2, [[0, i % 9] * 9 for i in range(9)]),  # steps that must be bounded
]


@pytest.mark.parametrize(("dim", "window", "negatives", "scale", "rate", "documents"), SHAPES)
def test_step(
    dim: int, window: int, negatives: int, scale: float, rate: float, documents: Documents
) -> None:
    engine = engine_of(documents, dim, window, negatives, scale)
    scratch = engine.workers[0][1]
    for block in blocks_of(engine, documents):
        v, u = (rows[:, :dim].astype(np.float64) for rows in engine.problem[:2])
        wanted = oracle(engine, block, v, u, rate)
        got = kernels.update(engine.problem, engine.sizes, block, scratch, np.float32(rate))
        assert got == pytest.approx(wanted, rel=1e-5)
        for rows, matrix in ((engine.problem.center, v), (engine.problem.outside, u)):
            np.testing.assert_allclose(rows[:, :dim], matrix, rtol=1e-4, atol=2e-6 * (1 + scale))
            assert not rows[:, dim:].any()
            rows[:, :dim] = matrix


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("window", [1, 4, 50])
def test_blocks_hold_exactly_the_pairs_of_the_text(window: int, dynamic: bool) -> None:
    documents = [*random_documents(0, 400, 20), [], [3] * 200]
    engine = engine_of(documents, window=window, dynamic=dynamic, negatives=7)
    trained: Counter[tuple[int, int]] = Counter()
    total = 0.0
    for block in blocks_of(engine, documents):
        of_centers: dict[int, list[float]] = {}
        for i, j, center, outside, weight in entries(engine, block):
            sums = of_centers.setdefault(i, [0.0, 0.0])
            if j < engine.sizes.contexts:
                trained[center, outside] += weight  # type: ignore[assignment]
            sums[j >= engine.sizes.contexts] += weight
        for pairs, noise in of_centers.values():
            assert noise == pytest.approx(-7 * pairs, rel=1e-5)
        assert block.pairs[0] == pytest.approx(sum(pairs for pairs, _ in of_centers.values()))
        total += block.pairs[0]
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
    scratch, block = engine.workers[0][1], engine.workers[0][0][0]
    drawn = np.zeros(5)
    for _ in range(5000):
        kernels.draw(engine.problem, engine.sizes, scratch, 0, block)
        drawn += np.bincount(block.outside[-NOISE:], minlength=5)
    wanted = 5000 * NOISE * counts**0.5 / (counts**0.5).sum()
    assert ((drawn - wanted) ** 2 / wanted).sum() < 23.5  # chi-squared, 4 degrees, 1e-4


@kernels.compiled
def logistic(scores: F32, weights: F32, curvature: F32) -> float:
    address = kernels._address
    count = len(scores) // LANES
    loss: float = kernels._logistic(address(scores), address(weights), address(curvature), count)
    return loss


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


def test_reported_loss_is_the_numpy_engines() -> None:
    documents = random_documents(5, 100_000, 100)[:-1]
    engine = engine_of(documents)
    frozen = engine.train(text_of(documents), (0.0, 0.0), generator(0, "train"))
    judged = NumpyEngine(engine.task).loss(text_of(documents), generator(0, "judge"))
    assert frozen.words == judged.words
    # Batches there share no pairs, and either has noise of its own.
    assert frozen.pairs == pytest.approx(judged.pairs, rel=3e-3)
    assert frozen.mean_loss == pytest.approx(judged.mean_loss, rel=5e-3)


def test_threads_change_the_vectors_by_noise_only() -> None:
    documents = random_documents(6, 20 * PART, 2000)
    losses = {}
    for threads in (1, 4):
        engine = engine_of(documents, dim=20, threads=threads, scale=0.02)
        for epoch in range(2):
            tally = engine.train(text_of(documents), (0.025, 0.025), generator(0, "t", epoch))
        losses[threads] = tally.mean_loss
    assert losses[1] == pytest.approx(losses[4], rel=0.03)


def test_a_model_that_is_not_finite_shows_in_the_loss() -> None:
    documents = random_documents(7, 500, 20)
    engine = engine_of(documents)
    engine.task.model.outside[3] = np.nan
    tally = engine.train(text_of(documents), (0.01, 0.01), generator(0, "train"))
    assert math.isnan(tally.loss or 0)


@pytest.mark.parametrize("dim", [1, 16, 20])
def test_rows_start_on_cache_lines(dim: int) -> None:
    matrix = np.random.default_rng(0).random((9, dim), np.float32)
    rows = on_cache_lines(matrix)
    assert rows.shape == (9, kernels.whole(dim, kernels.LINE))
    assert rows.ctypes.data % 64 == 0
    np.testing.assert_array_equal(rows[:, :dim], matrix)
    assert not rows[:, dim:].any()


# Other machines


def test_lanes_of_processors() -> None:
    assert kernels.lanes_of("+sse2,+avx2,+fma,+avx512f") == 16
    assert kernels.lanes_of("+sse2,+avx2,-avx512f") == 8
    assert kernels.lanes_of("+neon,-avx2") == 4


def step_on(features: str, compile_for: str, folder: Path) -> "subprocess.Popen[str]":
    """Run the oracle tests of this file with the vectors of another processor.

    Numba fixes what it compiles for when it first does so; the kernels choose at import.
    """
    code = f"""
import sys, numba, pytest
numba.config.CPU_FEATURES = {compile_for!r}
numba.njit("f8(f8)")(lambda x: x)
numba.config.CPU_FEATURES = {features!r}
from w2v.engines import kernels
print("lanes", kernels.LANES)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "test_step or logistic", {__file__!r}]))
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder)},
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def passed(process: "subprocess.Popen[str]", lanes: int) -> None:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert f"lanes {lanes}" in output


def test_wide_vectors(tmp_path: Path) -> None:
    # On a processor without them LLVM splits each in two or four.
    host = kernels.binding.get_host_cpu_features().flatten()
    passed(step_on("+avx512f", host, tmp_path), 16)


def test_narrow_vectors_and_four_processes_on_an_empty_cache(tmp_path: Path) -> None:
    processes = [step_on("-avx2", "-avx2", tmp_path) for _ in range(4)]
    for process in processes:
        passed(process, 4)
    assert list(tmp_path.rglob("kernels.lock"))


def test_the_lock_is_free_again() -> None:
    for _ in range(2):
        with one_process_at_a_time(kernels.train):
            pass


def test_nothing_to_train_on() -> None:
    engine = engine_of([[0, 1]])
    empty = Text(np.empty(0, np.int32), np.array([0, 1], np.int32), np.empty((0, 2), np.int64))
    assert engine.train(empty, (0.1, 0.1), generator(0, "t")) == Tally()
