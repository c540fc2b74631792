"""Project word vectors into two dimensions: PCA, t-SNE and UMAP.

t-SNE needs scikit-learn, UMAP needs umap-learn; each is imported when it is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2v.evaluate.ensemble import HasVectors, vectors_of
from w2v.settings import check_choice
from w2v.threads import limited_threads
from w2v.vectors import WordVectors

NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
"""The usual name of each projection method."""

MIN_WORDS = 5
"""With fewer words, every projection is PCA, because t-SNE and UMAP need several neighbors."""

PERPLEXITY = 30.0
"""The perplexity of t-SNE, roughly the number of near neighbors; less for fewer than 91 words."""


@dataclass(frozen=True)
class Projection:
    """A projection of words into two dimensions: their coordinates and what the axes mean."""

    method: str  # a key of `NAMES`
    xy: NDArray[np.float64]  # (n, 2)
    axes: tuple[str, str]  # labels of the two axes

    @property
    def name(self) -> str:
        """The usual name of the method, such as t-SNE."""
        return NAMES[self.method]

    @property
    def about(self) -> str:
        """A caption for a plot: the name of the method, and how to read the positions of words."""
        if self.method == "pca":
            return f"{self.name}: {self.axes[0]} across, {self.axes[1]} up"
        return f"{self.name}: only small distances mean something, not directions nor large ones"


def project(
    vectors: WordVectors | HasVectors, words: Sequence[str], method: str, seed: int = 0
) -> Projection:
    """Project words into two dimensions, after scaling each vector to length 1.

    Parameters
    ----------
    vectors
        The word vectors, or a trained model.
    method
        ``pca``, ``tsne`` or ``umap``. PCA is also used if there are fewer than `MIN_WORDS` words,
        or if all their scaled vectors are equal.
    seed
        The seed of t-SNE and UMAP.

    Raises
    ------
    InputError
        `method` is unknown, `vectors` has no vectors, a word has no vector, or a vector contains
        NaN or an infinity.
    ImportError
        scikit-learn (for t-SNE) or umap-learn (for UMAP) is needed and not installed.

    References
    ----------
    van der Maaten, Hinton (2008), Visualizing data using t-SNE. McInnes, Healy, Melville (2018),
    UMAP.
    """
    check_choice("method", method, NAMES)
    vectors = vectors_of("vectors", vectors)
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
    name = NAMES[method]
    return Projection(method, xy - xy.mean(axis=0), (f"{name}, first dimension", f"{name}, second"))


def project_by(
    vectors: WordVectors, words: Sequence[str], methods: Sequence[str]
) -> list[Projection]:
    """Return the projections of words by several methods, without repeats.

    `project` may use PCA in place of other methods; the result has only one projection by PCA.
    """
    made = [project(vectors, words, method) for method in methods]
    return list({projection.method: projection for projection in made}.values())


def project_2d(vectors: WordVectors, words: Sequence[str]) -> NDArray[np.float64]:
    """Project the vectors of n words, without scaling, onto their first two principal components.

    Returns
    -------
    (n, 2) float64
        The coordinates of each word along the two components, with mean 0. The sign of a principal
        component is arbitrary. Here, it is such that, of the n coordinates along the component, the
        one of largest absolute value is positive. A column is 0 if there are too few words or
        dimensions for its component.

    Raises
    ------
    InputError
        A word has no vector.
    """
    rows = [vectors.row(word) for word in words]
    chosen = vectors.vectors[rows].astype(np.float64)
    xy = np.zeros((len(rows), 2))
    if len(rows) == 0:
        return xy
    left, singular, _ = np.linalg.svd(chosen - chosen.mean(axis=0), full_matrices=False)
    shown = min(2, len(singular))
    xy[:, :shown] = left[:, :shown] * singular[:shown]
    largest = xy[np.abs(xy).argmax(axis=0), np.arange(2)]
    return xy * np.where(largest < 0, -1.0, 1.0)


def _tsne(unit: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    start = "pca" if min(unit.shape) >= 2 else "random"
    perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init=start, random_state=seed, max_iter=500)
    # Several threads would wait for each other in busy loops, for minutes on a busy machine.
    with limited_threads(1):
        return np.asarray(model.fit_transform(unit), dtype=np.float64)


def _umap(unit: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    import umap

    near = min(15, len(unit) - 1)
    start = "spectral" if len(unit) > 15 else "random"
    # With more than one job, the result would differ from run to run despite the seed.
    model = umap.UMAP(n_neighbors=near, init=start, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(unit), dtype=np.float64)
