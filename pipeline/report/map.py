"""The map of words: projections, neighbours, a picture and a page to explore."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.report.html import embedded_json, write_page
from pipeline.report.sanitize import visible
from w2v.evaluate import project_2d
from w2v.vectors import WordVectors

METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}

FEWEST = 5
"""Words below which only the principal components make sense."""

PERPLEXITY = 30.0
NEIGHBOURS = 10

_SCORES = 1 << 22
"""Cosines held at a time: 16 MiB of float32."""

_LONGEST = 200
"""Letters of a word that the page carries."""


@dataclass(frozen=True)
class Projection:
    """Words in the plane.

    Attributes
    ----------
    method
        A name in `METHODS`.
    xy
        (n, 2) float64.
    axes
        What the two directions mean.
    """

    method: str
    xy: NDArray[np.float64]
    axes: tuple[str, str]

    @property
    def name(self) -> str:
        """The method as people write it."""
        return METHODS[self.method]

    @property
    def about(self) -> str:
        """One line under a title."""
        if self.method == "pca":
            return f"across: {self.axes[0]}, up: {self.axes[1]}"
        return f"{self.name}: who is near whom counts, directions and far distances do not"


def project(vectors: WordVectors, words: Sequence[str], method: str, seed: int = 0) -> Projection:
    """Project words' vectors, each taken at length 1 as cosines see them, into the plane.

    Parameters
    ----------
    method
        A name in `METHODS`. Fewer than `FEWEST` words, or words that all have one direction,
        get their principal components whatever the method; the axes say so.
    seed
        Of the methods that start at random.

    References
    ----------
    van der Maaten, Hinton (2008), Visualizing data using t-SNE. McInnes, Healy, Melville
    (2018), UMAP.
    """
    unit = np.asarray(vectors.unit[[vectors.row(word) for word in words]], dtype=np.float32)
    if method == "pca" or len(words) < FEWEST or np.ptp(unit, axis=0).max(initial=0.0) == 0.0:
        xy = project_2d(WordVectors(words, unit), words)
        total = float(np.square(unit - unit.mean(axis=0), dtype=np.float64).sum()) if words else 0
        shares = np.square(xy).sum(axis=0) / (total or 1.0)
        first, second = (
            f"{which} principal component ({share:.0%} of the variance)"
            for which, share in zip(("first", "second"), shares, strict=True)
        )
        return Projection("pca", xy, (first, second))
    name = METHODS[method]
    make = _tsne if method == "tsne" else _umap
    xy = make(unit, seed)
    return Projection(method, xy - xy.mean(axis=0), (f"{name}, first dimension", f"{name}, second"))


def projections(
    vectors: WordVectors, words: Sequence[str], methods: Sequence[str]
) -> list[Projection]:
    """One projection a method, and none twice where words are too few for any but one."""
    made = {one.method: one for one in (project(vectors, words, method) for method in methods)}
    return list(made.values())


def _tsne(unit: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    start = "pca" if min(unit.shape) >= 2 else "random"
    perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init=start, random_state=seed, max_iter=500)
    with threadpool_limits(1):  # its threads spin while they wait, on a busy machine for minutes
        return np.asarray(model.fit_transform(unit), dtype=np.float64)


def _umap(unit: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    import umap

    near = min(15, len(unit) - 1)
    start = "spectral" if len(unit) > 15 else "random"
    # One thread: with more, the seed would not decide the result.
    model = umap.UMAP(n_neighbors=near, init=start, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(unit), dtype=np.float64)


def words_to_map(vectors: WordVectors, first: Iterable[str], size: int) -> list[str]:
    """At most so many words: those of `first`, then the most frequent ones."""
    frequent = (vectors.words[row] for row in vectors.by_frequency[:size])
    return list(dict.fromkeys([*first, *frequent]))[:size]


def nearest_rows(
    vectors: WordVectors, words: Sequence[str], k: int, vocabulary: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The rows with the largest cosines with each word, among the most frequent words.

    Parameters
    ----------
    k
        Neighbours of a word; fewer where there are fewer other words.
    vocabulary
        How many words can be neighbours.

    Returns
    -------
    rows, cosines
        (n, k), the largest cosine first, ties by frequency. A word is not its own neighbour.
    """
    candidates = vectors.by_frequency[:vocabulary]
    asked = np.array([vectors.row(word) for word in words], dtype=np.intp)
    # A word among the candidates leaves itself out, so all can list one fewer.
    k = min(k, len(candidates) - 1)
    rows = np.empty((len(words), max(k, 0)), dtype=np.intp)
    cosines = np.empty(rows.shape, dtype=np.float32)
    if k <= 0:
        return rows, cosines
    place = np.full(len(vectors), -1, dtype=np.intp)
    place[candidates] = np.arange(len(candidates))
    unit = vectors.unit[candidates]
    batch = max(1, _SCORES // len(candidates))
    for start in range(0, len(words), batch):
        part = asked[start : start + batch]
        scores = vectors.unit[part] @ unit.T
        own = np.flatnonzero(place[part] >= 0)
        scores[own, place[part[own]]] = -np.inf
        # All that tie with the k-th, so that the order of the words decides and not chance.
        least = np.partition(scores, len(candidates) - k, axis=1)[:, len(candidates) - k]
        line, column = np.nonzero(scores >= least[:, None])
        order = np.lexsort((column, -scores[line, column], line))
        line, column = line[order], column[order]
        first = np.searchsorted(line, np.arange(len(part)))[:, None] + np.arange(k)
        rows[start : start + batch] = candidates[column[first]]
        cosines[start : start + batch] = scores[line[first], column[first]]
    return rows, np.clip(cosines, -1.0, 1.0)


def write_map(
    path: Path,
    vectors: WordVectors,
    words: Sequence[str],
    projections: Sequence[Projection],
    title: str,
    vocabulary: int,
) -> None:
    """Write the page: zoom, search, and neighbours in the original space.

    Parameters
    ----------
    words
        n words; where labels compete, the earlier wins.
    projections
        Of these words.
    vocabulary
        Neighbours are looked for among so many most frequent words.
    """
    near, cosines = nearest_rows(vectors, words, NEIGHBOURS, vocabulary)
    number = {vectors.row(word): index for index, word in enumerate(words)}
    others: list[str] = []
    for row in np.unique(near).tolist():
        if row not in number:
            number[row] = len(words) + len(others)
            others.append(vectors.words[row])
    place = np.empty(len(vectors), dtype=np.int64)
    place[vectors.by_frequency] = np.arange(len(vectors))
    own = [vectors.row(word) for word in words]
    data: dict[str, Any] = {
        "words": [_shown(word) for word in words],
        "others": [_shown(word) for word in others],
        "counts": None if vectors.counts is None else vectors.counts[own].tolist(),
        "ranks": place[own].tolist(),
        "neighbours": [number[row] for row in near.ravel().tolist()],
        "cosines": np.rint(1000 * cosines.ravel()).astype(int).tolist(),
        "dimensions": vectors.dimensions,
        "vocabulary": min(vocabulary, len(vectors)),
        "maps": [
            {"name": one.name, "about": one.about, "xy": _whole_numbers(one.xy)}
            for one in projections
        ],
    }
    write_page(
        path,
        "map.html",
        ("style.css", "map.css"),
        "map.js",
        title=title,
        size=len(words),
        data=embedded_json(data),
    )


def _shown(word: str) -> str:
    text = visible(word)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _whole_numbers(xy: NDArray[np.float64]) -> list[int]:
    """Places from −10000 to 10000, both axes on one scale, the middle at 0."""
    if len(xy) == 0:
        return []
    middle = (xy.max(axis=0) + xy.min(axis=0)) / 2
    reach = float(np.abs(xy - middle).max()) or 1.0
    whole: list[int] = np.rint(10_000 * (xy - middle) / reach).astype(int).ravel().tolist()
    return whole
