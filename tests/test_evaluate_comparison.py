"""Test comparisons of runs: confidence intervals, overlap of neighbors, and the Pareto front."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from w2v import WordVectors
from w2v.evaluate import mean_neighbour_overlap, pareto_front, student_interval
from w2v.evaluate.advice import advice
from w2v.evaluate.sweep import Run, Sweep
from w2v.tables import without_nan
from w2v.vectors import Use


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(0).normal(size=4).tolist()
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert student_interval(values) == pytest.approx(tuple(expected))
    assert student_interval(values[:1]) is None


def test_overlap_of_neighbours_between_seeds() -> None:
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    runs, nearest = [], []
    for _ in range(3):
        vectors = random.normal(size=(40, 5)).astype(np.float32)
        runs.append(WordVectors(words, vectors))
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        nearest.append(
            [
                {j for _, j in sorted((-unit[i] @ unit[j], j) for j in range(40) if j != i)[:10]}
                for i in range(40)
            ]
        )
    expected = np.mean(
        [
            len(nearest[a][i] & nearest[b][i]) / 10
            for a, b in ((0, 1), (0, 2), (1, 2))
            for i in range(40)
        ]
    )
    assert mean_neighbour_overlap(runs) == pytest.approx(expected)
    assert mean_neighbour_overlap([runs[0], runs[0]]) == 1.0
    assert mean_neighbour_overlap(runs[:1]) is None
    assert mean_neighbour_overlap([WordVectors(["one"], vectors[:1])] * 2) is None
    other = WordVectors([*words[:-1], "other"], vectors)
    assert mean_neighbour_overlap([runs[0], other]) is None


@pytest.mark.parametrize("suffix", ["", "/vectors.npy", ".txt"])
def test_the_neighbours_of_a_sweep_are_those_of_its_files(tmp_path: Path, suffix: str) -> None:
    random = np.random.default_rng(0)
    every = [WordVectors([f"w{i}" for i in range(40)], random.normal(size=(40, 5))) for _ in "abc"]
    every[0].save(tmp_path)
    for seed, vectors in enumerate(every):
        vectors.save(tmp_path / f"{seed}")
        vectors.save_word2vec(tmp_path / f"{seed}.txt")
    runs = [
        Run(
            number=n,
            settings={"seed": n},
            figures={"loss": n},
            vectors=f"{tmp_path / str(n)}{suffix}",
        )
        for n in range(3)
    ]
    (found,) = Sweep("loss", runs).configurations
    assert found["overlap"] == pytest.approx(mean_neighbour_overlap(every))


def test_the_overlap_is_that_of_the_vectors_that_are_scored(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    for seed in range(2):
        center, outside = random.normal(size=(2, 40, 5))
        WordVectors(words, center, outside=outside).save(tmp_path / f"{seed}")
    runs = [
        Run(
            number=number,
            settings={"seed": seed, "evaluate.use": use},
            figures={"loss": number},
            vectors=f"{tmp_path / str(seed)}/vectors.npy",
        )
        for number, (use, seed) in enumerate(product(("v", "v+u"), range(2)))
    ]
    found = {row["evaluate.use"]: row["overlap"] for row in Sweep("loss", runs).configurations}
    uses: tuple[Use, ...] = ("v", "v+u")
    for use in uses:
        every = [WordVectors.load(tmp_path / str(seed), use) for seed in range(2)]
        assert found[use] == pytest.approx(mean_neighbour_overlap(every))
    assert found["v"] != found["v+u"]


@pytest.mark.parametrize("seeds", [1, 3])
def test_seeds_of_given_vectors_are_one_run(seeds: int) -> None:
    scores = {"a.txt": 0.5, "b.txt": 0.4, "copy_of_b.txt": 0.4}
    runs = [
        Run(
            number=number,
            settings={"seed": seed, "evaluate.vectors": path},
            figures={"similarity/mine/pearson": scores[path]},
        )
        for number, (path, seed) in enumerate(product(scores, range(seeds)))
    ]
    result = Sweep("similarity/mine/pearson", runs)
    found = [(row["verdict"], row["seeds"], row["p"]) for row in without_nan(result.configurations)]
    assert found == [("best", 1, None), ("no spread", 1, None), ("no spread", 1, None)]
    between = [one for one in result.judged[0].differences if one.b]
    assert [(one.verdict, one.p) for one in between] == [("no difference shown", 1.0)]
    (line,) = advice(result)
    assert line.startswith("no spread: nothing shows how much of these differences is chance; ")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seed", range(5))
def test_the_pareto_front_is_what_nothing_beats(seed: int, sign: int) -> None:
    random = np.random.default_rng(seed)
    pairs = {(float(a), float(b)) for a, b in random.integers(0, 6, (12, 2))}  # with many ties
    points = sorted(pairs, key=lambda _: random.random())
    expected = {
        (cost, value)
        for cost, value in points
        if not any(c <= cost and sign * v >= sign * value for c, v in pairs - {(cost, value)})
    }
    front = [points[index] for index in pareto_front(points, sign)]
    assert front == sorted(expected)
    assert pareto_front([(1.0, 2.0), (1.0, 2.0)], sign) == [0]
