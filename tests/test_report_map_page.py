"""Test the map of words: its projections, its choice of words, and the data in its page."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v.evaluate.neighbours import neighbour_rows
from w2v.evaluate.projection import NAMES, project, project_by
from w2v.report import map_page
from w2v.vectors import WordVectors

METHODS = ["pca", "tsne", pytest.param("umap", marks=pytest.mark.long)]  # UMAP compiles for long


def vectors_of(n: int, d: int = 4, counts: bool = True) -> WordVectors:
    made = np.random.default_rng(n).standard_normal((n, d))
    return WordVectors([f"w{i}" for i in range(n)], made, range(3 * n, 0, -3) if counts else None)


@pytest.mark.filterwarnings("error:::pipeline")
@pytest.mark.parametrize("method", METHODS)
def test_a_projection_keeps_clusters_together_and_repeats_itself(method: str) -> None:
    cluster = np.repeat(np.arange(3), 12)
    made = 8 * np.eye(3, 10)[cluster] + np.random.default_rng(0).standard_normal((36, 10))
    vectors = WordVectors([f"w{i}" for i in range(36)], made)
    projection = project(vectors, vectors.words, method)
    assert (projection.name, projection.xy.shape) == (NAMES[method], (36, 2))
    distances = np.linalg.norm(projection.xy[:, None] - projection.xy, axis=2)
    np.fill_diagonal(distances, np.inf)
    near = np.argsort(distances, axis=1)[:, :5]
    assert (cluster[near] == cluster[:, None]).mean() > 0.95
    again = project(vectors, vectors.words, method)
    np.testing.assert_array_equal(again.xy, projection.xy)


def test_pca_equals_the_eigenvectors_of_the_covariance_of_unit_vectors() -> None:
    vectors = vectors_of(30)
    projection = project(vectors, vectors.words, "pca")
    unit = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    centered = (unit - unit.mean(axis=0)).astype(np.float64)
    values, directions = np.linalg.eigh(centered.T @ centered)
    for column, which in enumerate((-1, -2)):
        expected = centered @ directions[:, which]
        sign = np.sign(expected @ projection.xy[:, column])
        np.testing.assert_allclose(projection.xy[:, column], sign * expected, atol=1e-6)
        share = values[which] / values.sum()
        assert f"({share:.0%} of the variance)" in projection.axes[column]


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_too_few_words_get_one_map_by_pca(n: int) -> None:
    vectors = vectors_of(n)
    made = project_by(vectors, vectors.words, list(NAMES))
    assert [projection.method for projection in made] == ["pca"]
    assert made[0].xy.shape == (n, 2)
    assert np.isfinite(made[0].xy).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "d"), [(5, 3), (6, 1), (16, 2)])
def test_few_words_and_few_dimensions_can_be_projected(method: str, n: int, d: int) -> None:
    vectors = vectors_of(n, d)
    xy = project(vectors, vectors.words, method).xy
    assert xy.shape == (n, 2)
    assert np.isfinite(xy).all()


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_vectors_can_be_projected(method: str, value: float) -> None:
    vectors = WordVectors([f"w{i}" for i in range(8)], np.full((8, 3), value))
    xy = project(vectors, vectors.words, method).xy
    np.testing.assert_allclose(xy, 0, atol=1e-6)


def test_the_map_holds_the_words_asked_for_and_the_most_frequent() -> None:
    vectors = WordVectors(list("abcdef"), np.eye(6), [5, 60, 7, 80, 9, 10])
    assert map_page.words_to_map(vectors, ["a", "d", "a"], 4) == ["a", "d", "b", "f"]
    assert map_page.words_to_map(vectors, ["a", "d"], 1) == ["a"]
    assert map_page.words_to_map(vectors, [], 9) == list("dbfeca")
    uncounted = WordVectors(list("abc"), np.eye(3))
    assert map_page.words_to_map(uncounted, ["c"], 2) == ["c", "a"]


@settings(max_examples=30)
@given(
    size=st.integers(2, 40),
    k=st.integers(1, 12),
    vocabulary=st.integers(1, 50),
    seed=st.integers(0, 99),
    levels=st.sampled_from([2, 1000]),
)
def test_neighbours_equal_those_of_a_plain_sort(
    size: int, k: int, vocabulary: int, seed: int, levels: int
) -> None:
    random = np.random.default_rng(seed)
    made = random.integers(-levels, levels + 1, (size, 3)).astype(np.float32)
    vectors = WordVectors([f"w{i}" for i in range(size)], made, random.integers(0, 9, size))
    words = [f"w{i}" for i in random.permutation(size)]
    rows, cosines = neighbour_rows(vectors, words, k, vocabulary)
    by_frequency = sorted(range(size), key=lambda row: (-int(vectors.counts[row]), row))  # type: ignore[index]
    candidates = by_frequency[:vocabulary]
    assert rows.shape == (size, max(0, min(k, len(candidates) - 1)))
    for word, found, values in zip(words, rows.tolist(), cosines.tolist(), strict=True):
        own = vectors.row(word)
        assert len(set(found)) == len(found)
        assert set(found) <= set(candidates) - {own}
        every = {r: float(vectors.unit[own] @ vectors.unit[r]) for r in candidates if r != own}
        best = sorted(every.values(), reverse=True)[: len(found)]
        np.testing.assert_allclose(values, np.clip(best, -1, 1), atol=1e-6)
        np.testing.assert_allclose([every[row] for row in found], best, atol=1e-6)


def written(path: Path, vectors: WordVectors, words: list[str], vocabulary: int) -> dict[str, Any]:
    """Write a map of `words` to the HTML page `path`, and return the JSON data in the page.

    The positions of the words are projections of their vectors by PCA and t-SNE. The page also
    lists neighbors of each word, which are chosen among the `vocabulary` most frequent words.
    """
    made = project_by(vectors, words, ["pca", "tsne"])
    map_page.write_map(path, vectors, words, made, "title", vocabulary)
    page = path.read_text(encoding="utf-8")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.mark.parametrize("counts", [True, False])
def test_the_page_holds_words_places_and_neighbours(tmp_path: Path, counts: bool) -> None:
    vectors = vectors_of(30, counts=counts)
    words = map_page.words_to_map(vectors, ["w20"], 12)
    data = written(tmp_path / "map.html", vectors, words, 25)
    assert data["words"] == words
    assert data["counts"] == ([90 - 3 * int(w[1:]) for w in words] if counts else None)
    assert data["ranks"] == [int(w[1:]) for w in words]
    assert (data["dimensions"], data["vocabulary"]) == (4, 25)
    names = [*words, *data["others"]]
    assert len(set(names)) == len(names)
    rows, cosines = neighbour_rows(vectors, words, map_page.NEIGHBOURS, 25)
    assert [names[i] for i in data["neighbours"]] == [vectors.words[r] for r in rows.ravel()]
    np.testing.assert_allclose(np.array(data["cosines"]) / 1000, cosines.ravel(), atol=6e-4)
    assert [one["name"] for one in data["maps"]] == ["PCA", "t-SNE"]
    xy = np.array(data["maps"][0]["xy"]).reshape(-1, 2)
    assert np.abs(xy).max() == 10_000
    pca = project(vectors, words, "pca").xy
    scaled = pca - (pca.max(axis=0) + pca.min(axis=0)) / 2
    np.testing.assert_allclose(xy, 10_000 * scaled / np.abs(scaled).max(), atol=0.6)


@pytest.mark.parametrize("n", [2, 3])
def test_a_tiny_vocabulary_has_a_page(tmp_path: Path, n: int) -> None:
    vectors = vectors_of(n)
    data = written(tmp_path / "map.html", vectors, list(vectors.words), 1)
    assert data["neighbours"] == []
    assert len(data["maps"]) == 1


def test_long_words_are_cut(tmp_path: Path) -> None:
    vectors = WordVectors(["x" * 5000, "y"], np.eye(2))
    long, short = written(tmp_path / "map.html", vectors, list(vectors.words), 9)["words"]
    assert (len(long), long[-1], short) == (200, "…", "y")
