"""Plots and tables of a run, from plain data.

matplotlib and pandas are imported inside the functions: a run that finds all its stages in the
cache draws nothing and should not wait for them.
"""

import textwrap
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v.evaluate import AnalogyResult, Neighbour, SimilarityResult, project_2d
from w2v.vectors import written_aside

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pipeline.stages.evaluate import Findings

DPI = 150
INK = "#222222"
BLUE = "#1f5fa8"
ORANGE = "#c4570a"
"""Blue is darker than orange, so that the two differ in greyscale as well."""

SMOOTHED_OVER = 0.03
"""Share of the points that each point of the smoothed loss averages."""


def loss_curve(
    points: Sequence[tuple[float, float]],
    epochs: Sequence[Mapping[str, Any]],
    path: str | Path,
    title: str = "",
) -> None:
    """Draw the training loss over words seen, and the held-out loss of each epoch, as PNG.

    Parameters
    ----------
    points
        (words seen, mean loss per pair in nats) as training went on; may be empty.
    epochs
        One mapping an epoch with ``words`` (seen by its end, all epochs together), ``loss``
        (over the epoch; None where the engine does not tell) and ``heldout_loss``, None or absent
        where nothing was held out.
    title
        Names the run.
    """
    fig, ax = _figure(6.4, 4.0)
    words, losses = np.array(points, dtype=np.float64).reshape(-1, 2).T
    ends = np.array([epoch["words"] for epoch in epochs], dtype=np.float64)
    unit, name = _unit_of(max(words.max(initial=0.0), ends.max(initial=0.0)))
    shown = [losses]
    if len(points) > 1:
        smooth = _smoothed(losses)
        shown = [np.percentile(losses, (0.5, 99.5)), smooth]
        ax.plot(words / unit, losses, color=BLUE, alpha=0.3, linewidth=0.7, label="training")
        ax.plot(words / unit, smooth, color=BLUE, linewidth=1.8, label="training, smoothed")
    elif any(epoch["loss"] is not None for epoch in epochs):
        losses = np.array([epoch["loss"] for epoch in epochs], dtype=np.float64)
        shown.append(losses)
        ax.plot(ends / unit, losses, "o-", color=BLUE, markersize=4, label="training, per epoch")
    heldout = [
        (epoch["words"], epoch["heldout_loss"])
        for epoch in epochs
        if epoch.get("heldout_loss") is not None
    ]
    if heldout:
        x, y = np.array(heldout, dtype=np.float64).T
        shown.append(y)
        ax.plot(
            x / unit,
            y,
            "D--",
            color=ORANGE,
            linewidth=1.0,
            markersize=6,
            markeredgecolor="white",
            label="held out, per epoch",
            clip_on=False,
            zorder=3,
        )
    for end in ends[:-1] if 1 < len(ends) <= 20 else ():
        ax.axvline(end / unit, color=INK, alpha=0.12, linewidth=0.8, zorder=0)
    values = np.concatenate(shown)
    values = values[np.isfinite(values)]
    if len(values) > 0 and values.max() > values.min():
        margin = 0.06 * (values.max() - values.min())
        ax.set_ylim(values.min() - margin, values.max() + margin)
    ax.set_xlim(0, 1.03 * max(words.max(initial=0.0), ends.max(initial=0.0), 1.0) / unit)
    ax.set_xlabel(f"words seen ({name})" if name else "words seen")
    ax.set_ylabel("mean loss per pair (nats)")
    _title(fig, ax, title)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, loc="best")
    ax.grid(axis="y", alpha=0.2)
    _save(fig, path)


def word_map(
    words: Sequence[str],
    xy: ArrayLike,
    path: str | Path,
    counts: ArrayLike | None = None,
    title: str = "",
) -> None:
    """Draw words as labelled points, as PNG.

    Parameters
    ----------
    words
        n labels.
    xy
        (n, 2), as `w2v.evaluate.project_2d` gives it.
    counts
        (n,): more frequent words get a larger point, and their label is placed first.
    title
        Names the run.
    """
    places = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    size = float(np.clip(4.0 + 0.045 * len(words), 5.5, 12.0))
    fig, ax = _figure(size * 1.25, size)
    order = np.arange(len(words))
    areas = np.full(len(words), 14.0)
    if counts is not None and len(words) > 0:
        logs = np.log1p(np.asarray(counts, dtype=np.float64))
        areas = 6.0 + 30.0 * (logs - logs.min()) / max(np.ptp(logs), 1e-9)
        order = np.argsort(-logs, kind="stable")
    ax.axhline(0, color=INK, alpha=0.12, linewidth=0.8, zorder=0)
    ax.axvline(0, color=INK, alpha=0.12, linewidth=0.8, zorder=0)
    ax.scatter(places[:, 0], places[:, 1], s=areas, color=BLUE, alpha=0.75, linewidths=0, zorder=2)
    ax.margins(0.08, 0.06)
    ax.set_aspect("equal", adjustable="datalim")  # so that distances compare in all directions
    ax.set_xlabel("first principal component")
    ax.set_ylabel("second principal component")
    _title(fig, ax, title)
    _label(fig, ax, words, places, order)
    _save(fig, path)


def score_table(
    similarity: Mapping[str, SimilarityResult], analogy: Mapping[str, AnalogyResult]
) -> "pd.DataFrame":
    """One row a score, by the benchmark's name.

    Returns
    -------
    DataFrame
        benchmark, category (``all`` for the whole benchmark), metric (``spearman``,
        ``pearson``, ``accuracy``), value, low and high (95 % interval), used and total (pairs
        or questions), coverage (used / total), vocabulary (words that could answer).
        Undefined figures are NaN, an undefined vocabulary is NA.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, s in similarity.items():
        low, high = s.ci95 or (None, None)
        size = {"used": s.pairs, "total": s.total, "coverage": s.coverage}
        kind = {"benchmark": name, "category": "all"}
        rows.append({**kind, "metric": "spearman", "value": s.spearman, **size})
        rows[-1].update(low=low, high=high)
        rows.append({**kind, "metric": "pearson", "value": s.pearson, **size})
    for name, a in analogy.items():
        parts = {"all": (a.accuracy, a.questions, a.total)}
        for kind_name, value, syntactic in (
            ("semantic", a.semantic, False),
            ("syntactic", a.syntactic, True),
        ):
            of_kind = [c for c in a.categories if c.category.startswith("gram") == syntactic]
            used, total = sum(c.questions for c in of_kind), sum(c.total for c in of_kind)
            parts[kind_name] = (value, used, total)
        parts |= {c.category: (c.accuracy, c.questions, c.total) for c in a.categories}
        for category, (value, used, total) in parts.items():
            rows.append(
                {
                    "benchmark": name,
                    "category": category,
                    "metric": "accuracy",
                    "value": value,
                    "used": used,
                    "total": total,
                    "coverage": used / total if total else None,
                    "vocabulary": a.vocabulary,
                }
            )
    types = {
        "benchmark": "str",
        "category": "str",
        "metric": "str",
        "value": "float64",
        "low": "float64",
        "high": "float64",
        "used": "int64",
        "total": "int64",
        "coverage": "float64",
        "vocabulary": "Int64",
    }
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def neighbour_table(neighbours: Iterable[Neighbour]) -> "pd.DataFrame":
    """One row a neighbour: word, rank (from 1), neighbour, cosine."""
    import pandas as pd

    types = {"word": "str", "rank": "int64", "neighbour": "str", "cosine": "float64"}
    return pd.DataFrame(list(neighbours), columns=list(types)).astype(types)


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    # No pyplot: it keeps figures and picks a window system, process-wide.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(fig)
    ax = fig.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    return fig, ax


def _title(fig: "Figure", ax: "Axes", title: str) -> None:
    if title:
        # A character of this size is at most 0.095 inch wide.
        lines = textwrap.wrap(_drawable(title), int(fig.get_figwidth() / 0.095))
        ax.set_title("\n".join(lines), loc="left", fontsize=10, parse_math=False)


def _save(fig: "Figure", path: str | Path) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside, warnings.catch_warnings():
        # A script that the font lacks shows as boxes; that is no fault of the run.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig.savefig(aside, format="png")


def _drawable(text: str) -> str:
    """The text with what no font engine takes (lone surrogates, controls) replaced."""
    return "".join(
        "\ufffd" if "\ud800" <= letter <= "\udfff" or not letter.isprintable() else letter
        for letter in text
    )


def _unit_of(largest: float) -> tuple[float, str]:
    for unit, name in ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands")):
        if largest >= 2 * unit:
            return unit, name
    return 1.0, ""


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running mean, centred but at the last points: it neither lags nor ends in noise.

    At the start, where the loss falls fast, the window shrinks on both sides.
    """
    half = int(len(values) * SMOOTHED_OVER / 2) + 1
    index = np.arange(len(values))
    before = np.minimum(index, half)
    after = np.minimum(before, len(values) - 1 - index)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    smooth: NDArray[np.float64] = sums[index + after + 1] - sums[index - before]
    smooth /= before + after + 1
    return smooth


def _label(
    fig: "Figure",
    ax: "Axes",
    words: Sequence[str],
    places: NDArray[np.float64],
    order: NDArray[np.intp],
) -> None:
    """Write each word where it covers least: other labels, points, the edge of the plot.

    Greedy: for each word in turn the cheapest of a few places on growing rings around its
    point; a thin line leads back to the point from the outer rings.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert isinstance(fig.canvas, FigureCanvasAgg)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig.draw_without_rendering()  # settles the layout, which the sizes below depend on
        renderer = fig.canvas.get_renderer()  # type: ignore[no-untyped-call]
        points = ax.transData.transform(places)
        frame = ax.get_window_extent(renderer)
        pixel = fig.dpi / 72
        placed = np.empty((0, 4))
        for index in order:
            text = ax.annotate(
                _drawable(words[index]),
                tuple(places[index]),
                fontsize=8,
                color=INK,
                xytext=(0, 0),
                textcoords="offset points",
                ha="center",
                va="center",
                parse_math=False,
                zorder=4,
            )
            extent = text.get_window_extent(renderer)
            half = np.array([extent.width, extent.height]) / 2 + pixel * np.array([1.5, 0.0])
            best = (np.inf, np.zeros(2), np.zeros(4), 0.0)
            for gap in (4.0, 8.0, 14.0, 21.0, 29.0):
                for x, y in _DIRECTIONS:
                    shift = np.array([x, y]) * (half + gap * pixel * (0.7 if x and y else 1.0))
                    low, high = points[index] + shift - half, points[index] + shift + half
                    box = np.array([*low, *high])
                    outside = np.maximum(frame.min - low, 0) + np.maximum(high - frame.max, 0)
                    cost = (
                        _overlap(box, placed)
                        + 0.5 * half.prod() * _inside(points, box, 2.5 * pixel)
                        + float(outside.sum()) * half[1]
                        + 0.15 * gap * pixel * half[1]
                    )
                    if cost < best[0]:
                        best = (cost, shift, box, gap)
            _, shift, box, gap = best
            placed = np.vstack((placed, box))
            text.set_position(tuple(shift / pixel))
            if gap > 8.0:
                end = np.clip(points[index], box[:2], box[2:])
                line = ax.transData.inverted().transform(np.array([points[index], end]))
                ax.plot(*line.T, color=INK, alpha=0.35, linewidth=0.6, zorder=1)


_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Right of the point first, where a reader looks."""


def _overlap(box: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return float(np.maximum(sides, 0.0).prod(axis=1).sum())


def _inside(points: NDArray[np.float64], box: NDArray[np.float64], radius: float) -> int:
    return int(((points > box[:2] - radius) & (points < box[2:] + radius)).all(axis=1).sum())


MAPPED = 60
"""Words on a map beside the probes."""


def write(out: Path, findings: "Findings", title: str) -> None:
    """Write the pictures (PNG) of a run into a folder."""
    vectors = findings.vectors
    ends = np.cumsum([epoch.words for epoch in findings.epochs])
    epochs = [
        {"words": int(end), "loss": epoch.loss, "heldout_loss": epoch.heldout_loss}
        for end, epoch in zip(ends, findings.epochs, strict=True)
    ]
    points = [(point.words, point.loss) for point in findings.points if point.loss is not None]
    if epochs:
        loss_curve(points, epochs, out / "loss.png", title)
    nearest = findings.neighbours.query("rank <= 2")["neighbour"].tolist()
    words = list(dict.fromkeys([*findings.probes, *nearest]))[: len(findings.probes) + MAPPED]
    counts = None if vectors.counts is None else [vectors.counts[vectors.row(w)] for w in words]
    word_map(words, project_2d(vectors, words), out / "map.png", counts, title)
