"""The common style of all charts: colors, sizes, titles, and how a chart is saved.

pyplot is not used, because it would keep figures in memory and choose a window system for the whole
process. matplotlib is imported inside the functions, because importing it takes time.
"""

import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from w2v.errors import sanitize
from w2v.files import written_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 180

WIDTH, HEIGHT = 5.2, 3.7
"""The default size in inches. Charts are small, so that their text stays readable on phones."""

INK = "#222222"
BLUE = "#174a80"
ORANGE = "#d9731a"
"""The second color of charts. `BLUE` is much darker, so that both differ in grayscale as well."""

LABEL_SIZE = 8.0
"""Font size of labels inside a chart, in points."""

MISSING_GLYPH = "Glyph .* missing from"
"""Matches matplotlib's warning about characters that the font lacks. They are drawn as boxes."""


def new_figure(width: float = WIDTH, height: float = HEIGHT) -> "tuple[Figure, Axes]":
    """Create a figure of the given size, in inches, with one pair of axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(fig)
    ax = fig.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    return fig, ax


def set_title(fig: "Figure", title: str) -> None:
    """Write a title above the chart, wrapped to its width."""
    if title:
        width = int(fig.get_figwidth() / 0.095)  # no letter of this size is wider, in inches
        lines = [
            part for line in title.split("\n") for part in textwrap.wrap(sanitize(line), width)
        ]
        fig.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10, parse_math=False)


def save(fig: "Figure", path: str | Path) -> None:
    """Save a figure as PNG. If this fails, a file that exists at `path` is unchanged."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=MISSING_GLYPH)
        fig.savefig(aside, format="png")
