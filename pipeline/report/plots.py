"""The pictures of a run, as PNG, from plain data.

Each is read at two widths, beside another on a page and alone on a phone, so figures are small
and their letters large. What differs in colour differs in lightness or in shape as well.

matplotlib is imported inside the functions: a run that finds all its stages in the cache draws
nothing and should not wait for it.
"""

import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.report.labels import GLYPHS, LABEL_SIZE, place_labels
from pipeline.report.sanitize import visible
from w2v.evaluate.statistics import ranks
from w2v.files import written_aside

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 180
WIDTH, HEIGHT = 5.2, 3.7
"""Inches."""

INK = "#222222"
BLUE = "#174a80"
ORANGE = "#d9731a"
"""Blue is much darker than orange, so that the two differ in greyscale as well."""

SMOOTHED_OVER = 0.03
"""Share of the points that each point of the smoothed loss averages."""

ODD_PAIRS = 6
"""Pairs that are named where the model and people disagree most."""


def loss_curve(
    points: Sequence[tuple[float, float]],
    epochs: Sequence[Mapping[str, Any]],
    path: str | Path,
    title: str = "",
) -> None:
    """Draw the training loss over words seen, and the held-out loss of each epoch.

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
    fig, ax = _figure(WIDTH, HEIGHT)
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
    _title(fig, title)
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
    axes: tuple[str, str] = ("first dimension", "second dimension"),
) -> None:
    """Draw words as labelled points; a label that would cover another is left out.

    Parameters
    ----------
    words
        n labels.
    xy
        (n, 2) places.
    counts
        (n,): more frequent words get a larger point, and their label is placed first.
    title
        Names the run.
    axes
        What the two directions mean.
    """
    places = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    size = float(np.clip(3.6 + 0.04 * len(words), 5.0, 8.4))
    fig, ax = _figure(size * 1.2, size)
    order = np.arange(len(words))
    areas = np.full(len(words), 14.0)
    if counts is not None and len(words) > 0:
        logs = np.log1p(np.asarray(counts, dtype=np.float64))
        areas = 6.0 + 30.0 * (logs - logs.min()) / max(np.ptp(logs), 1e-9)
        order = np.argsort(-logs, kind="stable")
    ax.scatter(places[:, 0], places[:, 1], s=areas, color=BLUE, alpha=0.75, linewidths=0, zorder=2)
    ax.margins(0.08, 0.06)
    ax.set_aspect("equal", adjustable="datalim")  # so that distances compare in all directions
    ax.set_xlabel(axes[0])
    ax.set_ylabel(axes[1])
    ax.tick_params(labelsize=8)
    _title(fig, title)
    place_labels(fig, ax, [visible(word) for word in words], places, order)
    _save(fig, path)


def agreement(
    pairs: "pd.DataFrame",
    path: str | Path,
    title: str = "",
    spearman: float | None = None,
    interval: tuple[float, float] | None = None,
) -> None:
    """Draw the model's cosines over people's scores, and name the pairs that disagree most.

    Parameters
    ----------
    pairs
        Of one benchmark: ``word_1``, ``word_2``, ``human``, ``model``, ``used``. Pairs that
        were not used are not drawn; one that counts without a cosine counts as 0.
    title
        Names the benchmark.
    spearman, interval
        The figure and its 95 % interval, where they are defined.
    """
    used = pairs[pairs["used"]].fillna({"model": 0.0})
    human = used["human"].to_numpy(np.float64)
    model = used["model"].to_numpy(np.float64)
    fig, ax = _figure(WIDTH, HEIGHT)
    ax.scatter(human, model, s=16, color=BLUE, alpha=0.45, linewidths=0, zorder=2)
    ax.margins(0.06, 0.1)
    ax.set_xlabel("human score (the benchmark's scale)")
    ax.set_ylabel("model score (cosine)")
    ax.grid(alpha=0.15)
    lines = [title] if title else []
    figure = "not defined" if spearman is None else _hundredths(spearman)
    if interval is not None:
        figure += f" ({_hundredths(interval[0])} … {_hundredths(interval[1])})"
    lines.append(f"Spearman {figure} · {len(used):,} of {len(pairs):,} pairs")
    _title(fig, "\n".join(lines))
    if len(used) >= 2 * ODD_PAIRS:
        # By rank, as the correlation sees them.
        order = np.argsort(ranks(human) - ranks(model), kind="stable")
        order = np.concatenate((order[: ODD_PAIRS // 2], order[-ODD_PAIRS // 2 :]))
        names = [
            f"{visible(str(a))} – {visible(str(b))}"
            for a, b in zip(used["word_1"], used["word_2"], strict=True)
        ]
        ax.scatter(human[order], model[order], s=26, facecolors="none", edgecolors=ORANGE, zorder=3)
        place_labels(fig, ax, names, np.column_stack((human, model)), order)
    _save(fig, path)


def analogy_accuracy(table: "pd.DataFrame", path: str | Path, title: str = "") -> None:
    """Draw the accuracy in each category with its 95 % interval, one mark a method.

    Parameters
    ----------
    table
        Of one benchmark: ``method``, ``section``, ``category``, ``questions``, ``accuracy``,
        ``low``, ``high``; accuracies are 0 to 1, NaN where no question was used. Categories
        are drawn in their order, sections apart.
    title
        Names the benchmark.
    """
    methods = list(dict.fromkeys(table["method"]))
    rows = table[["section", "category", "questions"]].drop_duplicates(["section", "category"])
    fig, ax = _figure(WIDTH, 1.25 + 0.24 * max(len(rows), 3))
    places: dict[tuple[str, str], float] = {}
    at, before = 0.0, None
    for section, category in zip(rows["section"], rows["category"], strict=True):
        at += 0.6 if before not in (None, section) else 0.0
        places[section, category] = at
        at, before = at + 1.0, section
    spread = 0.24 if len(methods) > 1 else 0.0
    for number, method in enumerate(methods):
        part = table[table["method"] == method]
        shift = spread * (2 * number / max(len(methods) - 1, 1) - 1)
        y = np.array([places[key] for key in zip(part["section"], part["category"], strict=True)])
        low, high, accuracy = (
            100 * part[name].to_numpy(np.float64) for name in ("low", "high", "accuracy")
        )
        marks = (("o", BLUE, BLUE), ("D", "white", ORANGE), ("s", INK, INK))
        shape, face, edge = marks[number % len(marks)]
        ax.hlines(y + shift, low, high, color=edge, linewidth=1.3, alpha=0.8, zorder=2)
        ax.plot(
            accuracy,
            y + shift,
            shape,
            markersize=5,
            markerfacecolor=face,
            markeredgecolor=edge,
            linestyle="none",
            label=method,
            zorder=3,
        )
    names = [
        f"{textwrap.shorten(visible(str(category)), 34, placeholder='…')} ({questions:,})"
        for category, questions in zip(rows["category"], rows["questions"], strict=True)
    ]
    ax.set_yticks(list(places.values()), names, fontsize=8, parse_math=False)
    ax.set_ylim(at - 0.4, -0.6)
    largest = 100 * np.nanmax(table[["high", "accuracy"]].to_numpy(np.float64), initial=0.0)
    ax.set_xlim(-0.02 * max(largest, 1.0), min(1.05 * max(largest, 1.0), 102.0))
    ax.set_xlabel("accuracy (% of the questions), 95 % interval")
    ax.grid(axis="x", alpha=0.2)
    ax.tick_params(axis="y", length=0)
    _title(fig, title)
    if len(methods) > 1:
        fig.legend(frameon=False, loc="outside lower right", ncols=len(methods))
    _save(fig, path)


def zipf(counts: ArrayLike, kept: ArrayLike, path: str | Path, title: str = "") -> None:
    """Draw how often each type of the corpus occurs over its rank, both axes by powers of ten.

    Parameters
    ----------
    counts
        (types,) of all types of the corpus, in any order.
    kept
        (types,) bool: which of them are in the vocabulary.
    title
        Names the corpus.
    """
    counts, kept = np.asarray(counts, dtype=np.int64), np.asarray(kept, dtype=bool)
    order = np.lexsort((~kept, -counts))  # of types as frequent, the kept ones first
    counts, kept = counts[order], kept[order]
    size, tokens = int(kept.sum()), int(counts.sum())
    covered = int(counts[kept].sum())
    places = np.arange(1, len(counts) + 1)
    # A million points look like four hundred on this axis.
    shown = np.unique(np.geomspace(1, max(len(counts), 1), 400).round().astype(np.int64)) - 1
    shown = shown[shown < len(counts)]
    fig, ax = _figure(WIDTH, HEIGHT)
    ax.set_xscale("log")
    ax.set_yscale("log")
    parts = (
        (True, "-", BLUE, f"kept: {size:,} words, {_share(covered, tokens)} of the tokens"),
        (
            False,
            ":",
            ORANGE,
            f"dropped: {len(counts) - size:,} types, {_share(tokens - covered, tokens)}",
        ),
    )
    for part, style, colour, label in parts:
        chosen = shown[kept[shown] == part]
        if len(chosen):
            ax.plot(places[chosen], counts[chosen], style, color=colour, linewidth=2.4, label=label)
    if len(counts):
        middle = shown[len(shown) // 2]
        falling = counts[middle] * places[middle] / places[shown]
        ax.plot(
            places[shown],
            falling,
            "--",
            color=INK,
            alpha=0.4,
            linewidth=0.9,
            label="count ∝ 1 / rank",
        )
        ax.set_ylim(0.7, 2 * counts[0])
    if 0 < size < len(counts) and kept[:size].all():  # not so where rare words are kept by name
        ax.axvline(size + 0.5, color=INK, linewidth=0.9)
        least = int(counts[kept].min())
        ax.annotate(
            f"last kept: {least:,} times",
            (size + 0.5, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=LABEL_SIZE,
        )
    ax.set_xlabel("rank of the type by frequency")
    ax.set_ylabel("occurrences in the corpus")
    _title(fig, title)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, loc="lower left", fontsize=8)
    ax.grid(alpha=0.15)
    _save(fig, path)


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    # No pyplot: it keeps figures and picks a window system, process-wide.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(fig)
    ax = fig.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    return fig, ax


def _title(fig: "Figure", title: str) -> None:
    if title:
        # A character of this size is at most 0.095 inch wide.
        width = int(fig.get_figwidth() / 0.095)
        lines = [part for line in title.split("\n") for part in textwrap.wrap(visible(line), width)]
        fig.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10, parse_math=False)


def _save(fig: "Figure", path: str | Path) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside, warnings.catch_warnings():
        # A script that the font lacks shows as boxes; that is no fault of the run.
        warnings.filterwarnings("ignore", message=GLYPHS)
        fig.savefig(aside, format="png")


def _unit_of(largest: float) -> tuple[float, str]:
    for unit, name in ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands")):
        if largest >= 2 * unit:
            return unit, name
    return 1.0, ""


def _hundredths(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # no −0.00


def _share(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else math.nan
    return f"{share:.1f} %"


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
