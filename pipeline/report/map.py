"""The map of words: project vectors into two dimensions, and write the interactive page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.report.html import embedded_json, write_page
from w2v.errors import sanitize
from w2v.evaluate import project_2d
from w2v.vectors import WordVectors
from w2v.vectors.search import nearest_rows

METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
"""The projections, as settings and as pages name them."""

MIN_WORDS = 5
"""With fewer words, every projection is PCA, because the others have nothing to arrange."""

PERPLEXITY = 30.0
"""Of t-SNE: about how many neighbours of a word count as near."""

NEIGHBOURS = 10
"""Neighbours that the page lists for each word."""

MAX_LETTERS = 200
"""Longer words are cut on the page."""


@dataclass(frozen=True)
class Projection:
    """Where words are in two dimensions."""

    method: str  # a key of `METHODS`
    xy: NDArray[np.float64]  # (n, 2)
    axes: tuple[str, str]  # what the two directions mean

    @property
    def name(self) -> str:
        """Return the method's name as papers write it."""
        return METHODS[self.method]

    @property
    def about(self) -> str:
        """Return a line that names the method and says how to read the map."""
        if self.method == "pca":
            return f"{self.name}: {self.axes[0]} across, {self.axes[1]} up"
        return f"{self.name}: only small distances mean something, not directions nor large ones"


def project(vectors: WordVectors, words: Sequence[str], method: str, seed: int = 0) -> Projection:
    """Project words into two dimensions, each vector scaled to length 1 as for cosines.

    ``method`` is a key of `METHODS`. With fewer than `MIN_WORDS` words, or if all words have the
    same vector, the result is PCA. For the others see van der Maaten, Hinton (2008), Visualizing
    data using t-SNE; McInnes, Healy, Melville (2018), UMAP.
    """
    unit = np.asarray(vectors.unit[[vectors.row(word) for word in words]], dtype=np.float32)
    if method == "pca" or len(words) < MIN_WORDS or np.ptp(unit, axis=0).max(initial=0.0) == 0.0:
        xy = project_2d(WordVectors(words, unit), words)
        variance = np.square(unit - unit.mean(axis=0), dtype=np.float64).sum() if words else 0.0
        first, second = np.square(xy).sum(axis=0) / (variance or 1.0)
        axes = (
            f"first principal component ({first:.0%} of the variance)",
            f"second principal component ({second:.0%} of the variance)",
        )
        return Projection("pca", xy, axes)
    xy = _tsne(unit, seed) if method == "tsne" else _umap(unit, seed)
    name = METHODS[method]
    return Projection(method, xy - xy.mean(axis=0), (f"{name}, first dimension", f"{name}, second"))


def projections(
    vectors: WordVectors, words: Sequence[str], methods: Sequence[str]
) -> list[Projection]:
    """Project words by several methods. If there are too few words, all that is left is PCA."""
    made = [project(vectors, words, method) for method in methods]
    return list({projection.method: projection for projection in made}.values())


def _tsne(unit: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    start = "pca" if min(unit.shape) >= 2 else "random"
    perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init=start, random_state=seed, max_iter=500)
    # Several threads would wait for each other in busy loops, for minutes on a busy machine.
    with threadpool_limits(1):
        return np.asarray(model.fit_transform(unit), dtype=np.float64)


def _umap(unit: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    import umap

    near = min(15, len(unit) - 1)
    start = "spectral" if len(unit) > 15 else "random"
    # With more than one job, the result would differ from run to run despite the seed.
    model = umap.UMAP(n_neighbors=near, init=start, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(unit), dtype=np.float64)


def words_to_map(vectors: WordVectors, first: Iterable[str], size: int) -> list[str]:
    """Choose at most `size` words: those in `first`, then the most frequent ones."""
    frequent = (vectors.words[row] for row in vectors.by_frequency[:size])
    return list(dict.fromkeys([*first, *frequent]))[:size]


def neighbour_rows(
    vectors: WordVectors, words: Sequence[str], k: int, vocabulary: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Find the k nearest neighbours of n words by cosine, among the most frequent words.

    Returns their rows, (n, k) intp, the nearest first and of equally near ones the more frequent
    first, and their cosines, (n, k) float32. Only the ``vocabulary`` most frequent words can be
    neighbours; k is smaller if there are fewer.
    """
    candidates = vectors.by_frequency[:vocabulary]
    place = np.full(len(vectors), -1, dtype=np.intp)
    place[candidates] = np.arange(len(candidates))
    asked = np.array([vectors.row(word) for word in words], dtype=np.intp)
    k = min(k, len(candidates) - 1)
    unit = vectors.unit
    near, cosines = nearest_rows(unit[asked], unit[candidates], k, place[asked])
    return candidates[near], cosines


def write_map(
    path: Path,
    vectors: WordVectors,
    words: Sequence[str],
    projections: Sequence[Projection],
    title: str,
    vocabulary: int,
) -> None:
    """Write the interactive page: zoom, search, and each word's neighbours.

    Neighbours are found in the original space, among the ``vocabulary`` most frequent words. If
    two labels do not fit, the earlier word keeps its label.
    """
    near, cosines = neighbour_rows(vectors, words, NEIGHBOURS, vocabulary)
    own = [vectors.row(word) for word in words]
    others = np.setdiff1d(near, own).tolist()  # neighbours that are not on the map
    index_of = {row: index for index, row in enumerate([*own, *others])}
    rank = np.empty(len(vectors), dtype=np.int64)
    rank[vectors.by_frequency] = np.arange(len(vectors))
    data = {
        "words": [_cut(word) for word in words],
        "others": [_cut(vectors.words[row]) for row in others],
        "counts": None if vectors.counts is None else vectors.counts[own].tolist(),
        "ranks": rank[own].tolist(),
        "neighbours": [index_of[row] for row in near.ravel().tolist()],
        "cosines": np.rint(1000 * cosines.ravel()).astype(int).tolist(),
        "dimensions": vectors.dimensions,
        "vocabulary": min(vocabulary, len(vectors)),
        "maps": [
            {"name": one.name, "about": one.about, "xy": _integers(one.xy)} for one in projections
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


def _cut(word: str) -> str:
    text = sanitize(word)
    return text if len(text) <= MAX_LETTERS else text[: MAX_LETTERS - 1] + "…"


def _integers(xy: NDArray[np.float64]) -> list[int]:
    """Scale positions to integers from -10000 to 10000, 0 in the middle, both axes alike."""
    if len(xy) == 0:
        return []
    centered = xy - (xy.max(axis=0) + xy.min(axis=0)) / 2
    scale = 10_000 / (float(np.abs(centered).max()) or 1.0)
    scaled: list[int] = np.rint(scale * centered).astype(int).ravel().tolist()
    return scaled
