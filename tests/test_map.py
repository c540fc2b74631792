"""Projections, the words of the map, and its neighbours, against slow plain code."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report import map as maps
from w2v.vectors import WordVectors

RANDOM = np.random.default_rng(5)


def vectors_of(n: int, d: int = 4, counts: bool = True) -> WordVectors:
    made = np.random.default_rng(n).standard_normal((n, d))
    return WordVectors([f"w{i}" for i in range(n)], made, range(3 * n, 0, -3) if counts else None)


def clusters(each: int = 12) -> tuple[WordVectors, np.ndarray[Any, Any]]:
    """Words of three kinds that lie in three directions."""
    centres = 8 * np.eye(3, 10)
    kind = np.repeat(np.arange(3), each)
    made = centres[kind] + np.random.default_rng(0).standard_normal((3 * each, 10))
    return WordVectors([f"w{i}" for i in range(3 * each)], made), kind


@pytest.mark.filterwarnings("error:::pipeline")
@pytest.mark.parametrize("method", maps.METHODS)
def test_a_projection_keeps_kinds_together_and_repeats_itself(method: str) -> None:
    vectors, kind = clusters()
    shown = maps.project(vectors, vectors.words, method)
    assert (shown.name, shown.xy.shape) == (maps.METHODS[method], (36, 2))
    gaps = np.linalg.norm(shown.xy[:, None] - shown.xy, axis=2)
    np.fill_diagonal(gaps, np.inf)
    near = np.argsort(gaps, axis=1)[:, :5]
    assert (kind[near] == kind[:, None]).mean() > 0.95
    np.testing.assert_array_equal(maps.project(vectors, vectors.words, method).xy, shown.xy)


def test_principal_components_are_of_vectors_at_length_one() -> None:
    vectors = vectors_of(30)
    shown = maps.project(vectors, vectors.words, "pca")
    unit = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    centred = (unit - unit.mean(axis=0)).astype(np.float64)
    values, directions = np.linalg.eigh(centred.T @ centred)
    for column, which in enumerate((-1, -2)):
        expected = centred @ directions[:, which]
        sign = np.sign(expected @ shown.xy[:, column])
        np.testing.assert_allclose(shown.xy[:, column], sign * expected, atol=1e-6)
        share = values[which] / values.sum()
        assert f"({share:.0%} of the variance)" in shown.axes[column]


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_few_words_have_their_principal_components_alone(n: int) -> None:
    vectors = vectors_of(n)
    made = maps.projections(vectors, vectors.words, list(maps.METHODS))
    assert [one.method for one in made] == ["pca"]
    assert made[0].xy.shape == (n, 2)
    assert np.isfinite(made[0].xy).all()


@pytest.mark.parametrize("method", maps.METHODS)
@pytest.mark.parametrize(("n", "d"), [(5, 3), (6, 1), (16, 2)])
def test_any_shape_can_be_projected(method: str, n: int, d: int) -> None:
    vectors = vectors_of(n, d)
    xy = maps.project(vectors, vectors.words, method).xy
    assert xy.shape == (n, 2)
    assert np.isfinite(xy).all()


@pytest.mark.parametrize("method", maps.METHODS)
def test_words_in_one_place_can_be_projected(method: str) -> None:
    same = WordVectors([f"w{i}" for i in range(8)], np.ones((8, 3)))
    zeros = WordVectors([f"w{i}" for i in range(8)], np.zeros((8, 3)))
    for vectors in (same, zeros):
        np.testing.assert_allclose(maps.project(vectors, vectors.words, method).xy, 0, atol=1e-6)


def test_the_map_holds_the_words_asked_for_and_the_most_frequent() -> None:
    vectors = WordVectors(list("abcdef"), np.eye(6), [5, 60, 7, 80, 9, 10])
    assert maps.words_to_map(vectors, ["a", "d", "a"], 4) == ["a", "d", "b", "f"]
    assert maps.words_to_map(vectors, ["a", "d"], 1) == ["a"]
    assert maps.words_to_map(vectors, [], 9) == list("dbfeca")
    uncounted = WordVectors(list("abc"), np.eye(3))
    assert maps.words_to_map(uncounted, ["c"], 2) == ["c", "a"]


@given(
    size=st.integers(2, 40),
    k=st.integers(1, 12),
    vocabulary=st.integers(1, 50),
    seed=st.integers(0, 99),
    levels=st.sampled_from([2, 1000]),
)
def test_neighbours_equal_those_found_one_by_one(
    size: int, k: int, vocabulary: int, seed: int, levels: int
) -> None:
    random = np.random.default_rng(seed)
    made = random.integers(-levels, levels + 1, (size, 3)).astype(np.float32)
    vectors = WordVectors([f"w{i}" for i in range(size)], made, random.integers(0, 9, size))
    words = [f"w{i}" for i in random.permutation(size)]
    rows, cosines = maps.nearest_rows(vectors, words, k, vocabulary)
    ranked = sorted(range(size), key=lambda row: (-int(vectors.counts[row]), row))  # type: ignore[index]
    allowed = ranked[:vocabulary]
    assert rows.shape == (size, max(0, min(k, len(allowed) - 1)))
    for word, found, values in zip(words, rows.tolist(), cosines.tolist(), strict=True):
        own = vectors.row(word)
        assert len(set(found)) == len(found)
        assert set(found) <= set(allowed) - {own}
        every = {row: float(vectors.unit[own] @ vectors.unit[row]) for row in allowed if row != own}
        best = sorted(every.values(), reverse=True)[: len(found)]
        np.testing.assert_allclose(values, np.clip(best, -1, 1), atol=1e-6)
        np.testing.assert_allclose([every[row] for row in found], best, atol=1e-6)


def test_neighbours_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = vectors_of(50)
    whole = maps.nearest_rows(vectors, vectors.words, 5, 50)
    monkeypatch.setattr(maps, "_SCORES", 120)
    parts = maps.nearest_rows(vectors, vectors.words, 5, 50)
    np.testing.assert_array_equal(parts[0], whole[0])
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-6)


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.mark.parametrize("counts", [True, False])
def test_the_page_holds_words_places_and_neighbours(tmp_path: Path, counts: bool) -> None:
    vectors = vectors_of(30, counts=counts)
    words = maps.words_to_map(vectors, ["w20"], 12)
    shown = maps.projections(vectors, words, ["pca"])
    maps.write_map(tmp_path / "map.html", vectors, words, shown, "title", 25)
    data = embedded((tmp_path / "map.html").read_text(encoding="utf-8"))
    assert data["words"] == words
    assert data["counts"] == ([90 - 3 * int(w[1:]) for w in words] if counts else None)
    assert data["ranks"] == [int(w[1:]) for w in words]
    assert (data["dimensions"], data["vocabulary"]) == (4, 25)
    names = [*words, *data["others"]]
    rows, cosines = maps.nearest_rows(vectors, words, maps.NEIGHBOURS, 25)
    assert [names[i] for i in data["neighbours"]] == [vectors.words[r] for r in rows.ravel()]
    np.testing.assert_allclose(np.array(data["cosines"]) / 1000, cosines.ravel(), atol=6e-4)
    xy = np.array(data["maps"][0]["xy"]).reshape(-1, 2)
    assert np.abs(xy).max() == 10_000
    scaled = shown[0].xy - (shown[0].xy.max(axis=0) + shown[0].xy.min(axis=0)) / 2
    np.testing.assert_allclose(xy, 10_000 * scaled / np.abs(scaled).max(), atol=0.6)


@pytest.mark.parametrize("n", [2, 3])
def test_a_tiny_vocabulary_has_a_page(tmp_path: Path, n: int) -> None:
    vectors = vectors_of(n)
    shown = maps.projections(vectors, vectors.words, ["pca", "tsne"])
    maps.write_map(tmp_path / "map.html", vectors, vectors.words, shown, "tiny", 1)
    data = embedded((tmp_path / "map.html").read_text(encoding="utf-8"))
    assert data["neighbours"] == []
    assert len(data["maps"]) == 1


def test_long_words_are_cut(tmp_path: Path) -> None:
    vectors = WordVectors(["x" * 5000, "y"], np.eye(2))
    maps.write_map(
        tmp_path / "m", vectors, vectors.words, maps.projections(vectors, ["y"], []), "", 9
    )
    (long, short) = embedded((tmp_path / "m").read_text(encoding="utf-8"))["words"]
    assert (len(long), long[-1], short) == (200, "…", "y")
