"""Test ``engine=numba`` against plain loops, with several threads, processes and SIMD lengths."""

import gc
import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numba
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import naive
from tests.test_engines import Documents, random_documents, random_model, text_of
from w2v.engines import Tally, Task, tiles
from w2v.engines.compiled import loop, structures
from w2v.engines.compiled.logistic import logistic as logistic_kernel
from w2v.engines.compiled.simd import LANES, address, host_features
from w2v.engines.numba import KERNEL_SOURCES, NumbaEngine, align_rows
from w2v.engines.numpy import NumpyEngine
from w2v.engines.step import window_block
from w2v.jit import COLLECT_AFTER, one_process_at_a_time
from w2v.losses import NegativeSampling
from w2v.objectives import Model, SkipGram
from w2v.sampling import NoiseDistribution, draw_key, generator, keep_thresholds
from w2v.source_code import imported_modules, module_file
from w2v.text.tokens import Text

few_examples = settings(
    derandomize=True, deadline=None, max_examples=25, phases=[Phase.explicit, Phase.generate]
)

F32 = NDArray[np.float32]


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


def assert_steps(
    documents: Documents, rate: float, engine: NumbaEngine, *others: NumpyEngine
) -> None:
    """Train engines with negative sampling, and check the results against those of plain loops.

    The vectors, losses, total weights of the pairs and numbers of words are compared. All engines
    must have been made for equal tasks (`Task`: the initial vectors, settings and counts). The
    learning rate rises from `rate` to twice `rate`.
    """
    objective = engine.task.objective
    key = draw_key(generator(0, "train"))
    last = NoiseDistribution(engine.task.counts, 0.75).last.tolist()
    keep = keep_thresholds(engine.task.counts, objective.subsample).tolist()
    v, u = (matrix.astype(np.float64).tolist() for matrix in engine.task.model)
    words = naive.sampled_words(documents, keep, key)
    size, pairs, loss = tiles.step_words(engine.task), 0.0, 0.0
    assert isinstance(objective.loss, NegativeSampling)
    steps = -(-len(words) // size)
    for number in range(steps):
        terms = naive.step_terms(
            words,
            number * size,
            size,
            objective.window,
            objective.dynamic_window,
            objective.loss.negatives,
            lambda number: naive.noise_word(key, number, last),
        )
        tally = naive.negative_sampling_step(terms, v, u, rate * (1 + number / steps))
        pairs, loss = pairs + tally[0], loss + tally[1]
    scale = 1 + max(np.abs(v).max(), np.abs(u).max())
    engines: tuple[NumbaEngine | NumpyEngine, ...] = (engine, *others)
    for one in engines:
        done = one.train(text_of(documents), (rate, 2 * rate), generator(0, "train"))
        assert done.words == sum(word >= 0 for document in documents for word in document)
        assert done.pairs == pytest.approx(pairs, rel=1e-5)
        assert done.loss == pytest.approx(loss, rel=1e-5)
        for got, wanted in zip(one.task.model, (v, u), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=4e-6 * scale)


@pytest.mark.parametrize(
    ("dim", "window", "negatives", "scale", "rate", "documents", "step"),
    [
        (*shape, step)
        for shape in SHAPES
        # A text that fits into a shorter step would be trained in the same way with a longer one.
        for shorter, step in ((0, 64), (64, 192), (192, 512))
        if sum(map(len, shape[-1])) > shorter
    ],
)
def test_step(
    dim: int,
    window: int,
    negatives: int,
    scale: float,
    rate: float,
    documents: Documents,
    step: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiles, "MIN_STEP_WORDS", step)
    monkeypatch.setattr(tiles, "STEP_MULTIPLE", tiles.SHARED)
    engine = engine_of(documents, dim, window, negatives, scale, threads=2)
    slow = NumpyEngine(engine_of(documents, dim, window, negatives, scale).task)
    assert_steps(documents, rate, engine, *[slow] * (step == 64))
    assert not any(rows[:, dim:].any() for rows in engine.problem[:2])


@few_examples
@given(
    words=st.integers(1, 8),
    lengths=st.lists(st.integers(0, 100), min_size=1, max_size=6),
    window=st.integers(1, 70),
    step=st.sampled_from([64, 128, 320, 512]),
    threads=st.integers(1, 4),
    subsample=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 99),
)
def test_step_of_words_that_are_in_many_tiles(
    words: int,
    lengths: list[int],
    window: int,
    step: int,
    threads: int,
    subsample: float,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    documents = [random.integers(-1, words, length).tolist() for length in lengths]
    counts = np.full(words, 10, np.int64)
    objective = SkipGram(dim=3, window=window, subsample=subsample, loss=NegativeSampling(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "MIN_STEP_WORDS", step)
        patch.setattr(tiles, "STEP_MULTIPLE", tiles.SHARED)
        task = Task(random_model(words, 3, 0.3), objective, counts, 100, threads=threads)
        assert_steps(documents, 0.01, NumbaEngine(task))


def test_numba_and_numpy_make_the_same_updates_over_an_epoch() -> None:
    documents = random_documents(3, 60_000, 500)
    counts = np.bincount(np.concatenate(documents).astype(int), minlength=500) + 1
    objective = SkipGram(dim=30, window=5, subsample=1e-2)
    task = Task(random_model(500, 30, 0.1), objective, counts, int(counts.sum()), threads=3)
    numba_engine = NumbaEngine(task)
    numpy_engine = NumpyEngine(replace(task, model=Model(*map(np.copy, task.model))))
    done = [
        engine.train(text_of(documents), (0.025, 0.001), generator(0, "train"))
        for engine in (numba_engine, numpy_engine)
    ]
    assert done[0].words == done[1].words
    assert done[0].pairs == pytest.approx(done[1].pairs, rel=1e-6)
    assert done[0].loss == pytest.approx(done[1].loss, rel=1e-6)
    for ours, theirs in zip(numba_engine.task.model, numpy_engine.task.model, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("window", [5, 70])
def test_steps_of_cbow_have_whole_blocks_of_windows(window: int) -> None:
    block = window_block(window)
    for step in (block // 2, block, 3 * block):
        structures.make_sizes(8, window, step, reach=0)
    with pytest.raises(ValueError, match=f"must be a multiple or a divisor of {block}"):
        structures.make_sizes(8, window, block * 3 // 2, reach=0)


@pytest.mark.parametrize(("window", "ahead"), [(5, 1), (5, 2), (100, 2)])
def test_the_bits_do_not_depend_on_the_number_of_threads(
    window: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With 1, groups of steps that are prepared together are so small that also 8 threads use the
    # memory of a group again.
    monkeypatch.setattr("w2v.engines.numba.STEPS_AHEAD", ahead)
    documents = random_documents(6, 40_000, 2000)
    digests = set()
    for threads in (1, 2, 3, 5, 8):
        engine = engine_of(documents, dim=20, window=window, threads=threads, scale=0.02)
        tally = Tally()
        for part in text_of(documents).shards(15_000):
            tally += engine.train(part, (0.05, 0.02), generator(0, "t"))
        digest = hashlib.sha256(repr(tally).encode())
        for matrix in engine.task.model:
            digest.update(np.ascontiguousarray(matrix).tobytes())
        digests.add(digest.hexdigest())
    assert len(digests) == 1


@numba.njit(error_model="numpy")
def logistic(scores: F32, weights: F32, curvature: F32) -> float:
    entries = address(scores), address(weights), address(curvature)
    return logistic_kernel(*entries, len(scores) // LANES)


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
    held_out = NumpyEngine(engine.task).loss(text_of(documents), generator(0, "train"))
    assert frozen.words == held_out.words
    assert frozen.pairs == pytest.approx(held_out.pairs, rel=1e-6)
    assert frozen.mean_loss == pytest.approx(held_out.mean_loss, rel=1e-6)


def adjacent(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return copies of arrays, side by side in one buffer, each at the next multiple of 8 bytes.

    Tests train with such copies, to check that vectors do not depend on where arrays are in memory.
    """
    ends = np.cumsum([structures.round_up(array.nbytes, 8) for array in arrays])
    parts = np.split(np.zeros(ends[-1], np.uint8), ends[:-1])
    copies = []
    for array, part in zip(arrays, parts, strict=True):
        copies.append(part[: array.nbytes].view(array.dtype).reshape(array.shape))
        copies[-1][:] = array
    return copies


def flat(group: Any) -> list[NDArray[Any]]:
    """Return all arrays of a named tuple whose elements are arrays or further named tuples."""
    if not isinstance(group, tuple):
        return [group]
    return [array for part in group for array in flat(part)]


def rebuilt(group: Any, arrays: Iterator[NDArray[Any]]) -> Any:
    """Return a nested named tuple like `group`, with its arrays replaced by those of `arrays`."""
    if not isinstance(group, tuple):
        return next(arrays)
    return type(group)(*(rebuilt(part, arrays) for part in group))


def test_vectors_do_not_depend_on_where_arrays_are_in_memory() -> None:
    documents = random_documents(8, 2000, 100)
    trained = []
    for shift in (None, *range(0, 30, 3)):
        engine = engine_of(documents, dim=20, window=10, scale=2.0)
        if shift is not None:
            groups: list[Any] = [engine.plans, engine.buffer, engine.scratches[0]]
            arrays = [array for group in groups for array in flat(group)]
            order = np.random.default_rng(shift).permutation(len(arrays))
            moved = dict(zip(order, adjacent([arrays[n] for n in order]), strict=True))
            copies = iter([moved[n] for n in range(len(arrays))])
            engine.plans, engine.buffer, engine.scratches[0] = (
                rebuilt(group, copies) for group in groups
            )
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
    assert rows.shape == (9, structures.round_up(dim, structures.LINE))
    assert rows.ctypes.data % 64 == 0
    np.testing.assert_array_equal(rows[:, :dim], matrix)
    assert not rows[:, dim:].any()


# Other processors, and several processes


TRAIN_ALL_KINDS = """
import hashlib
import numpy as np
from tests.test_engines import random_documents, text_of
from w2v.engines import Task
from w2v.engines.numba import NumbaEngine
from w2v.losses import HierarchicalSoftmax, NegativeSampling
from w2v.objectives import Cbow, SkipGram, initial_model
from w2v.sampling import generator

documents = random_documents(0, 60_000, 300)
counts = np.bincount(np.concatenate(documents), minlength=300) + 1
for objective in (
    model(loss=loss)
    for model in (SkipGram, Cbow)
    for loss in (NegativeSampling(), HierarchicalSoftmax())
):
    model = initial_model(objective, len(counts), generator(0, "init"))
    engine = NumbaEngine(Task(model, objective, counts, 60_000))
    tally = engine.train(text_of(documents), (0.05, 0.01), generator(0, "train"))
    print(tally, *(hashlib.sha256(matrix.tobytes()).hexdigest() for matrix in engine.task.model))
"""


def start_with_features(
    features: str, compile_for: str, cache: Path, tests: str
) -> "subprocess.Popen[str]":
    """Start tests in a new process that compiles as if for another processor; return the process.

    Before the tests, the process trains skip-gram and CBOW, each with negative sampling and with
    hierarchical softmax, and prints the results.

    Parameters
    ----------
    features
        The processor features from which the length of SIMD vectors is chosen.
    compile_for
        The processor features for which Numba compiles.
    cache
        The folder of Numba's compiled code.
    tests
        The tests to run, as an expression for ``pytest -k``.
    """
    code = f"""
import sys, numba, pytest
numba.config.CPU_FEATURES = {compile_for!r}
numba.njit("f8(f8)")(lambda x: x)
numba.config.CPU_FEATURES = {features!r}
from w2v.engines.compiled import simd
print("lanes", simd.LANES)
{TRAIN_ALL_KINDS}
files = [f"tests/test_engines_{{name}}.py" for name in ("kernels", "simd", "family")]
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


def assert_passed(process: "subprocess.Popen[str]", lanes: int) -> list[str]:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert f"lanes {lanes}" in output
    trained = [line for line in output.splitlines() if line.startswith("Tally")]
    assert len(trained) == 4
    return trained


# LLVM splits vectors that are longer than the processor's.
FEATURES = {4: "-avx2", 8: "+avx2", 16: "+avx512f"}


@pytest.mark.long
@pytest.mark.xdist_group("compiling")  # groups start before single tests
@pytest.mark.parametrize(
    ("lanes", "processes"), list(zip(sorted(FEATURES.keys() - {LANES}), (1, 2), strict=True))
)
def test_other_vector_lengths_and_processes_that_share_an_empty_cache(
    lanes: int, processes: int, tmp_path: Path
) -> None:
    features = FEATURES[lanes]
    compile_for = features if lanes == 4 else host_features()
    tests = "make_the_same_updates_over_an_epoch"
    # Steps of 64 words: how many words a step has does not concern the length of vectors.
    more = f"{tests} or ((test_step or numba_makes) and -64]) or logistic or simd"
    together = [
        start_with_features(features, compile_for, tmp_path, some)
        for some in (more, tests)[:processes]
    ]
    # One process compiles the kernels, and the other loads them: they train the same bits.
    first, *others = [assert_passed(process, lanes) for process in together]
    assert others in ([], [first])
    assert list(tmp_path.rglob("loop.lock"))


def test_python_cannot_call_the_parts_of_a_kernel() -> None:
    with pytest.raises(TypeError, match="logistic can only be called by compiled functions"):
        logistic_kernel(0, 0, 0, 0)


def test_the_lock_is_released_and_garbage_is_collected_as_before() -> None:
    thresholds = gc.get_threshold()
    for _ in range(2):
        with one_process_at_a_time(loop.train):
            assert gc.get_threshold()[0] >= max(COLLECT_AFTER, thresholds[0])
        assert gc.get_threshold() == thresholds


FORK_WHILE_COMPILING = """
import fcntl, os, sys
from unittest.mock import Mock
from w2v.jit import one_process_at_a_time

waits, ends = os.pipe()
with one_process_at_a_time(Mock(__module__="room.kernels", stats=Mock(cache_path=sys.argv[1]))):
    child = os.fork()
    if child == 0:
        os.close(ends)
        os.read(waits, 1)  # until the parent has ended
        os._exit(0)
with open(os.path.join(sys.argv[1], "kernels.lock"), "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_process_that_was_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORK_WHILE_COMPILING, str(tmp_path)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], stderr=subprocess.PIPE, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


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


def test_the_sources_of_the_kernels_are_what_they_import() -> None:
    folder = Path(loop.__file__).parent
    imported = {
        path
        for source in folder.glob("*.py")
        for name in imported_modules(source.read_text(), ("w2v.",))
        for module in (name, name.rpartition(".")[0] or name)
        if (path := module_file(module)) is not None and path.name != "__init__.py"
    }
    assert len(imported) > 10
    assert imported <= set(KERNEL_SOURCES) <= imported | set(folder.glob("*.py"))


def test_integer_rates_compile_nothing_more() -> None:
    engine = engine_of([[0, 1, 0, 2]])
    kernel: Any = loop.train
    compiled = set(kernel.signatures)
    for rates in ((1, 1), (0.5, 0)):
        engine.train(text_of([[0, 1, 0, 2]]), rates, generator(0, "train"))
    assert set(kernel.signatures) == compiled


def test_nothing_to_train_on() -> None:
    engine = engine_of([[0, 1]])
    empty = Text(np.empty(0, np.int32), np.array([0, 1], np.int32), np.empty((0, 2), np.int64))
    assert engine.train(empty, (0.1, 0.1), generator(0, "t")) == Tally()
