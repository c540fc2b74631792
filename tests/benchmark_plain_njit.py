"""Measure what `w2v.engines.simd` gains: the kernels against the same step in plain loops.

    python -m tests.benchmark_plain_njit TEXT [--lines 20000] [--repeats 7]

TEXT has one document per line and may be compressed by xz. Both variants train skip-gram with
negative sampling (100 dimensions, window 5, 5 noise words) on one thread for an epoch, in turns.
They differ in the function `update` only, and the script checks that they train the same vectors
up to rounding. Rates are words per second of processor time, which other programs disturb less.
"""

import argparse
import lzma
import statistics
import time
from collections import Counter
from itertools import chain, islice
from pathlib import Path
from types import FunctionType
from typing import Any
from unittest.mock import patch

import numba
import numpy as np
from numpy.typing import NDArray

from w2v.engines import Task, kernels
from w2v.engines.kernels import BATCH, MR, NOISE, Batch, Problem, Scratch, Sizes
from w2v.engines.numba import NumbaEngine
from w2v.losses import NegativeSampling
from w2v.objectives import SkipGram, initial_model
from w2v.sampling import generator
from w2v.text.tokens import Text

F32 = NDArray[np.float32]
plain = numba.njit(nogil=True, error_model="numpy", fastmath=True)


@plain
def score(C: F32, R: F32, scratch: Scratch, i: int, j: int, at: int, weight: Any) -> float:
    """Return the loss of center row i and outside row j; write its derivative and curvature."""
    if weight == 0:
        scratch.scores[at] = scratch.curvature[at] = 0
        return 0.0
    s = np.float32(0)
    for k in range(C.shape[1]):
        s += C[i, k] * R[j, k]
    x = -s if weight > 0 else s
    e = np.exp(-abs(x))
    sigma = (np.float32(1) if x > 0 else e) / (1 + e)
    scratch.scores[at] = weight * sigma
    scratch.curvature[at] = abs(weight) / (2 * max(np.float32(2), abs(s)))
    loss: float = abs(weight) * (np.log1p(e) + max(x, np.float32(0)))
    return loss


@plain
def add_gradient(C: F32, R: F32, dC: F32, dR: F32, i: int, j: int, g: np.float32) -> None:
    """Add what center row i and outside row j contribute to the gradients of each other."""
    for k in range(C.shape[1]):
        dC[i, k] += g * R[j, k]
        dR[j, k] += g * C[i, k]


@plain
def move_rows(matrix: F32, ids: NDArray[np.int32], steps: F32, gradients: F32) -> None:
    """Move some rows of a matrix, each by its gradient times its own learning rate."""
    for i in range(len(ids)):
        if ids[i] >= 0:
            for k in range(gradients.shape[1]):
                matrix[ids[i], k] += steps[i] * gradients[i, k]


@plain
def update(
    problem: Problem, sizes: Sizes, batch: Batch, scratch: Scratch, rate: np.float32
) -> float:
    """Take the step of `w2v.engines.kernels.update`."""
    C, R = scratch.C, scratch.R
    kernels.gather_rows(problem.center, batch.centers, C, scratch.center_norms)
    kernels.gather_rows(problem.outside, batch.outside, R, scratch.outside_norms)
    loss = 0.0
    for i in range(BATCH):
        at = i * sizes.row + MR - 1
        for j in range(2 * sizes.window + 1):
            loss += score(C, R, scratch, i, i + j, at + j, batch.weights[at + j])
        at += sizes.band
        for j in range(NOISE):
            loss += score(C, R, scratch, i, sizes.contexts + j, at + j, batch.weights[at + j])
    kernels.set_steps(sizes, batch, scratch, rate)
    dC, dR = np.zeros_like(C), np.zeros_like(R)
    for i in range(BATCH):
        at = i * sizes.row + MR - 1
        for j in range(2 * sizes.window + 1):
            add_gradient(C, R, dC, dR, i, i + j, scratch.scores[at + j])
        at += sizes.band
        for j in range(NOISE):
            add_gradient(C, R, dC, dR, i, sizes.contexts + j, scratch.scores[at + j])
    move_rows(problem.center, batch.centers, scratch.center_steps, dC)
    move_rows(problem.outside, batch.outside, scratch.outside_steps, dR)
    return loss


def read_text(path: Path, lines: int) -> tuple[Text, NDArray[np.int64]]:
    """Return the text and the counts of its words that occur at least five times."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        documents = [line.lower().split() for line in islice(file, lines)]
    frequent = [(w, n) for w, n in Counter(chain(*documents)).most_common() if n >= 5]
    ids = {word: number for number, (word, _) in enumerate(frequent)}
    known = [[ids[word] for word in document if word in ids] for document in documents]
    ends = np.cumsum([0, *map(len, known)])
    tokens = np.fromiter(chain(*known), np.int32, ends[-1])
    spans = np.stack([ends[:-1], ends[1:]], axis=1).astype(np.int64)
    counts = np.array([count for _, count in frequent], np.int64)
    return Text(tokens, np.arange(len(frequent), dtype=np.int32), spans), counts


def main() -> None:
    """Print the rates of both variants and the ratio of their medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    text, counts = read_text(arguments.text, arguments.lines)
    words = len(text.tokens)
    objective = SkipGram(dim=100, window=5, loss=NegativeSampling(5))

    # The same outer loop, with the other step.
    compiled: Any = kernels.train
    names = vars(kernels) | {"update": update}
    plain_train = plain(FunctionType(compiled.py_func.__code__, names))
    trained: dict[str, F32] = {}
    rates: dict[str, list[float]] = {"kernels": [], "plain loops": []}
    for repeat in range(arguments.repeats + 1):
        for name, train in (("kernels", kernels.train), ("plain loops", plain_train)):
            with patch.object(kernels, "train", train):
                model = initial_model(len(counts), objective.dim, generator(0, "model"))
                with patch("w2v.engines.numba.one_process_at_a_time"):
                    engine = NumbaEngine(Task(model, objective, counts, words))
                start = time.process_time()
                engine.train(text, (0.025, 0.0001), generator(0, "train"))
                rate = words / (time.process_time() - start)
            trained[name] = engine.task.model.center
            if repeat > 0:  # the first warms up
                rates[name].append(rate)
    first, second = trained.values()
    np.testing.assert_allclose(first, second, atol=1e-3)
    for name, measured in rates.items():
        print(f"{name}: {statistics.median(measured):,.0f} words/s", *map(round, measured))
    kernel_rate, plain_rate = map(statistics.median, rates.values())
    print(f"ratio of medians: {kernel_rate / plain_rate:.2f}")


if __name__ == "__main__":
    main()
