"""Labels beside points, none on top of another."""

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL_SIZE = 8.0
"""Points."""

INK = "#222222"

GLYPHS = "Glyph .* missing from"
"""What matplotlib warns of where the font lacks a script."""

GAPS = (4.0, 8.0, 14.0, 21.0, 29.0)
"""Distances of a label from its point, in points; from the third on a line leads back."""

DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Right of the point first, where a reader looks."""


def place_labels(
    fig: "Figure",
    ax: "Axes",
    labels: Sequence[str],
    places: NDArray[np.float64],
    order: Iterable[int],
) -> None:
    """Write each label inside the plot where it covers fewest points, and no other label.

    Greedy: for each label in turn the cheapest of a few places on growing rings around its
    point; a thin line leads back to the point from the outer rings. A label without a free
    place is left out.

    Parameters
    ----------
    places
        (n, 2), in data coordinates: a point for each label.
    order
        The labels to write, the most important first.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert isinstance(fig.canvas, FigureCanvasAgg)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=GLYPHS)
        fig.draw_without_rendering()  # settles the layout, which the sizes below depend on
        renderer = fig.canvas.get_renderer()  # type: ignore[no-untyped-call]
        points = ax.transData.transform(places)
        frame = ax.get_window_extent(renderer)
        pixel = fig.dpi / 72
        placed = np.empty((0, 4))
        for index in order:
            text = ax.annotate(
                labels[index],
                tuple(places[index]),
                fontsize=LABEL_SIZE,
                color=INK,
                xytext=(0, 0),
                textcoords="offset points",
                ha="center",
                va="center",
                parse_math=False,
                zorder=4,
            )
            extent = text.get_window_extent(renderer)
            half = np.array([extent.width, extent.height]) / 2 + pixel * np.array([1.5, 0.5])
            shifts = np.array([_shift(d, gap, half, pixel) for gap in GAPS for d in DIRECTIONS])
            gaps = np.repeat(GAPS, len(DIRECTIONS))
            low, high = points[index] + shifts - half, points[index] + shifts + half
            unfit = _overlaps(low, high, placed)
            unfit |= ((low < frame.min) | (high > frame.max)).any(axis=1)
            covered = _inside(points, low, high, 2.5 * pixel)
            cost = 0.5 * half.prod() * covered + 0.15 * gaps * pixel * half[1]
            cost[unfit] = np.inf
            best = int(cost.argmin())
            if unfit[best]:
                text.remove()
                continue
            placed = np.vstack((placed, [*low[best], *high[best]]))
            text.set_position(tuple(shifts[best] / pixel))
            if gaps[best] > 8.0:
                end = np.clip(points[index], low[best], high[best])
                line = ax.transData.inverted().transform(np.array([points[index], end]))
                ax.plot(*line.T, color=INK, alpha=0.35, linewidth=0.6, zorder=1)


def _shift(
    direction: tuple[int, int], gap: float, half: NDArray[np.float64], pixel: float
) -> NDArray[np.float64]:
    diagonal = 0.7 if all(direction) else 1.0
    return np.array(direction) * (half + gap * pixel * diagonal)


def _overlaps(
    low: NDArray[np.float64], high: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which of the boxes (low, high) cover one of the others, (m, 4)."""
    meet = (high[:, None] > others[:, :2]) & (low[:, None] < others[:, 2:])
    covers: NDArray[np.bool_] = np.any(meet.all(axis=2), axis=1)
    return covers


def _inside(
    points: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    radius: float,
) -> NDArray[np.intp]:
    """How many points each box covers."""
    within = (points > low[:, None] - radius) & (points < high[:, None] + radius)
    count: NDArray[np.intp] = within.all(axis=2).sum(axis=1)
    return count
