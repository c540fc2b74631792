"""Write the interactive map of words, an HTML page."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v.errors import sanitize
from w2v.evaluate.neighbours import neighbour_rows
from w2v.evaluate.projection import Projection
from w2v.report.page import embedded_json, write_page
from w2v.vectors import WordVectors

NEIGHBOURS = 10  # listed for each word
MAX_LETTERS = 200  # longer words are cut on the page


def words_to_map(vectors: WordVectors, first: Iterable[str], size: int) -> list[str]:
    """Choose at most `size` words for the map: those in `first`, then the most frequent ones."""
    frequent = (vectors.words[row] for row in vectors.by_frequency[:size])
    return list(dict.fromkeys([*first, *frequent]))[:size]


def write_map(
    path: Path,
    vectors: WordVectors,
    words: Sequence[str],
    projections: Sequence[Projection],
    title: str,
    vocabulary: int,
) -> None:
    """Write the interactive map of words: an HTML page with zoom, search, and neighbors of words.

    Parameters
    ----------
    path
        The HTML file to write.
    words
        The words on the map. If two labels do not fit, the earlier word keeps its label.
    projections
        The positions of the words by one or more methods of projection.
    vocabulary
        Only this many of the most frequent words can be neighbors. Neighbors are found by the
        cosines of the word vectors, not by the positions on the map.
    """
    near, cosines = neighbour_rows(vectors, words, NEIGHBOURS, vocabulary)
    own = [vectors.row(word) for word in words]
    others = np.setdiff1d(near, own).tolist()  # neighbors that are not on the map
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
    """Center and scale positions to integers from -10000 to 10000, with one factor for x and y.

    Returns
    -------
    list of int
        x and y of each point in turn.
    """
    if len(xy) == 0:
        return []
    centered = xy - (xy.max(axis=0) + xy.min(axis=0)) / 2
    scale = 10_000 / (float(np.abs(centered).max()) or 1.0)
    scaled: list[int] = np.rint(scale * centered).astype(int).ravel().tolist()
    return scaled
