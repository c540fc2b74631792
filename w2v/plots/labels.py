"""Place text labels beside points without overlaps.

The package adjustText is not used: it never leaves a label out, so labels overlap where points are
dense, and it is at least five times slower.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2v.plots.style import INK, LABEL_SIZE, MISSING_GLYPH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_DISTANCES = (4.0, 8.0, 14.0, 21.0, 29.0)
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
# The places tried for a label: on the right first, and all sides at one distance before the next.
DISTANCE = np.repeat(_DISTANCES, len(_SIDES))
SIDE = np.tile(np.array(_SIDES, dtype=np.float64), (len(_DISTANCES), 1))
OFFSET = SIDE * np.where(SIDE.all(axis=1), 0.7, 1.0)[:, None] * DISTANCE[:, None]
"""Gap (x, y) between a point and its label, for each position that is tried, in 1/72 inch."""

WITHOUT_LINE = 8.0
"""A label farther from its point than this, in 1/72 inch, is connected with the point by a line."""


def place_labels(
    fig: "Figure", ax: "Axes", labels: Sequence[str], xy: Array, order: Iterable[int]
) -> None:
    """Write labels beside points so that no label overlaps another.

    Labels are placed one after the other, each near its point where it covers few points. A label
    for which there is no room is left out.

    Parameters
    ----------
    labels, xy
        The label and the position of each point, (n, 2) in data coordinates.
    order
        The indices of the points to label, the most important first. A label that has been placed
        is not moved again.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert isinstance(fig.canvas, FigureCanvasAgg)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=MISSING_GLYPH)
        fig.draw_without_rendering()  # fixes the layout, on which all positions below depend
        renderer = fig.canvas.get_renderer()  # type: ignore[no-untyped-call]
        pixel = fig.dpi / 72  # pixels per point
        points = ax.transData.transform(xy)
        frame = ax.get_window_extent(renderer)
        placed = np.empty((0, 2, 2))  # lower left and upper right corner of each label, in pixels
        for index in order:
            text = ax.annotate(
                labels[index],
                tuple(xy[index]),
                xytext=(0, 0),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=LABEL_SIZE,
                color=INK,
                parse_math=False,
                zorder=4,
            )
            extent = text.get_window_extent(renderer)
            half = np.array(extent.size) / 2 + pixel * np.array([1.5, 0.5])
            shift = SIDE * half + OFFSET * pixel
            low, high = points[index] + shift - half, points[index] + shift + half
            taken = _overlap(low, high, placed[:, 0], placed[:, 1]).any(axis=1)
            taken |= ((low < frame.min) | (high > frame.max)).any(axis=1)
            near = 2.5 * pixel
            covered = _overlap(low, high, points - near, points + near).sum(axis=1)
            cost = 0.5 * half.prod() * covered + 0.15 * DISTANCE * pixel * half[1]
            best = int(np.where(taken, np.inf, cost).argmin())
            if taken[best]:
                text.remove()
                continue
            placed = np.concatenate((placed, [[low[best], high[best]]]))
            text.set_position(tuple(shift[best] / pixel))
            if DISTANCE[best] > WITHOUT_LINE:
                end = np.clip(points[index], low[best], high[best])
                line = ax.transData.inverted().transform(np.array([points[index], end]))
                ax.plot(*line.T, color=INK, alpha=0.35, linewidth=0.6, zorder=1)


def _overlap(low: Array, high: Array, other_low: Array, other_high: Array) -> NDArray[np.bool_]:
    """Return which of n boxes overlap which of m other boxes: bool (n, m).

    Parameters
    ----------
    low, high : (n, 2)
        The lower left and the upper right corner of each box.
    other_low, other_high : (m, 2)
        The same corners of the other boxes.
    """
    meets = (high[:, None] > other_low) & (low[:, None] < other_high)
    return np.asarray(meets.all(axis=2))
