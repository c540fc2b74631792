"""Draw the map of words: words as labeled points in the plane, as a PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from w2v.errors import sanitize
from w2v.plots.labels import place_labels
from w2v.plots.style import BLUE, new_figure, save, set_title


def word_map(
    words: Sequence[str],
    xy: ArrayLike,
    path: str | Path,
    counts: ArrayLike | None = None,
    title: str = "",
    axes: tuple[str, str] = ("first dimension", "second dimension"),
) -> None:
    """Draw words as points in the plane, labeled where a label does not overlap another.

    Parameters
    ----------
    words, xy
        n words and their positions, (n, 2).
    path
        The PNG file to write.
    counts
        How often each word occurs, (n,): more frequent words have larger points, and their labels
        are placed first. Without counts, labels are placed in the order of `words`.
    axes
        The labels of the two axes.
    """
    places = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    size = float(np.clip(3.6 + 0.04 * len(words), 5.0, 8.4))
    fig, ax = new_figure(size * 1.2, size)
    order = np.arange(len(words))
    areas = np.full(len(words), 14.0)
    if counts is not None and len(words) > 0:
        logs = np.log1p(np.asarray(counts, dtype=np.float64))
        areas = 6.0 + 30.0 * (logs - logs.min()) / max(np.ptp(logs), 1e-9)
        order = np.argsort(-logs, kind="stable")
    ax.scatter(places[:, 0], places[:, 1], s=areas, color=BLUE, alpha=0.75, linewidths=0, zorder=2)
    ax.margins(0.08, 0.06)
    ax.set_aspect("equal", adjustable="datalim")  # equal distances look equal in every direction
    ax.set_xlabel(axes[0])
    ax.set_ylabel(axes[1])
    ax.tick_params(labelsize=8)
    set_title(fig, title)
    place_labels(fig, ax, [sanitize(word) for word in words], places, order)
    save(fig, path)
