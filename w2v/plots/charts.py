"""Draw charts of a training, of word vectors and of a corpus, and save them as PNG.

Elements that differ in color also differ in lightness or shape, for grayscale printing. Matplotlib
is imported when a chart is drawn.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v.errors import sanitize
from w2v.plots.labels import place_labels
from w2v.plots.style import BLUE, INK, LABEL_SIZE, ORANGE, WIDTH, new_figure, save, set_title

SMOOTHING = 0.03
"""Fraction of all points over which the smoothed loss is averaged."""

NAMED_PAIRS = 6
"""The number of word pairs that `similarity_scatter` marks as ranked most wrongly by the model."""

MARKERS = (("o", BLUE, BLUE), ("D", "white", ORANGE), ("s", INK, INK))
"""Marker styles: shape, fill color, edge color. The lines of a chart get them in turn, and so do
the methods of answering analogy questions (3CosAdd, 3CosMul)."""


def loss_curve(
    points: Sequence[tuple[float, float]],
    epochs: Sequence[Mapping[Any, Any]],
    path: str | Path,
    title: str = "",
) -> None:
    """Draw the training loss over the number of words read, and the held-out loss of each epoch.

    Parameters
    ----------
    points
        Tuples of the number of words read so far and the mean loss in nats. If there are fewer than
        two, the training loss of each epoch is drawn instead.
    epochs
        A mapping for each epoch: ``words`` is the number of words read since the start of training,
        ``loss`` the training loss, and ``heldout_loss`` the held-out loss. Both losses are means
        in nats; either of them may be None, and is then not drawn.
    path
        The PNG file to write.
    """
    fig, ax = new_figure()
    words, losses = np.array(points, dtype=np.float64).reshape(-1, 2).T
    ends = np.array([epoch["words"] for epoch in epochs], dtype=np.float64)
    last = max([*words, *ends, 1.0])
    unit, name = _unit(last)
    heights = [losses]  # the values that the vertical axis has to show
    if len(points) > 1:
        smooth = _smoothed(losses)
        heights = [np.percentile(losses, (0.5, 99.5)), smooth]
        ax.plot(words / unit, losses, color=BLUE, alpha=0.3, linewidth=0.7, label="training")
        ax.plot(words / unit, smooth, color=BLUE, linewidth=1.8, label="training, smoothed")
    elif any(epoch["loss"] is not None for epoch in epochs):
        per_epoch = np.array([epoch["loss"] for epoch in epochs], dtype=np.float64)
        heights = [per_epoch]
        ax.plot(ends / unit, per_epoch, "o-", color=BLUE, markersize=4, label="training, per epoch")
    heldout = np.array([epoch.get("heldout_loss") for epoch in epochs], dtype=np.float64)
    known = ~np.isnan(heldout)
    if known.any():
        heights.append(heldout[known])
        ax.plot(
            ends[known] / unit,
            heldout[known],
            "D--",
            color=ORANGE,
            linewidth=1.0,
            markersize=6,
            markeredgecolor="white",
            label="held out, per epoch",
            clip_on=False,
            zorder=3,
        )
    for end in ends[:-1] if len(ends) <= 20 else ():
        ax.axvline(end / unit, color=INK, alpha=0.12, linewidth=0.8, zorder=0)
    values = np.concatenate(heights)
    values = values[np.isfinite(values)]
    if len(values) > 0 and np.ptp(values) > 0:
        margin = 0.06 * np.ptp(values)
        ax.set_ylim(values.min() - margin, values.max() + margin)
    ax.set_xlim(0, 1.03 * last / unit)
    ax.set_xlabel(f"words seen ({name})" if name else "words seen")
    ax.set_ylabel("mean loss (nats)")
    set_title(fig, title)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, loc="best")
    ax.grid(axis="y", alpha=0.2)
    save(fig, path)


def score_curves(
    epochs: Sequence[Mapping[str, Any]], path: str | Path, title: str = "", kept: int | None = None
) -> None:
    """Draw benchmark scores over epochs, with one line for each score.

    Parameters
    ----------
    epochs
        For each epoch its number, ``epoch``, and a mapping from names to scores, ``scores``, which
        may be empty.
    kept
        The number of the epoch whose vectors are kept. A vertical line marks it; None for no line.
    """
    fig, ax = new_figure()
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch["scores"]))
    for number, name in enumerate(names):
        drawn = [(one["epoch"], one["scores"][name]) for one in epochs if name in one["scores"]]
        marker, fill, edge = MARKERS[number % len(MARKERS)]
        style = ("-", "--", ":")[number // len(MARKERS) % 3]
        at, scores = np.array(drawn, dtype=np.float64).T
        (line,) = ax.plot(at, scores, style, marker=marker, color=edge, label=name, markersize=5)
        line.set_markerfacecolor(fill)
    if kept is not None:
        ax.axvline(kept, color=INK, alpha=0.3, linewidth=1, label=f"epoch {kept}, kept")
    ax.set_xticks([epoch["epoch"] for epoch in epochs] if len(epochs) <= 20 else ax.get_xticks())
    ax.set_xlim(0.5, max(epoch["epoch"] for epoch in epochs) + 0.5)
    ax.set_xlabel("after epoch")
    ax.set_ylabel("score")
    set_title(fig, title)
    ax.legend(frameon=False, loc="best", fontsize=8)
    ax.grid(axis="y", alpha=0.2)
    save(fig, path)


def zipf(counts: ArrayLike, kept: ArrayLike, path: str | Path, title: str = "") -> None:
    """Draw the rank-frequency curve of a corpus: count over frequency rank, on logarithmic axes.

    Parameters
    ----------
    counts
        How often each type (distinct token) occurs, (types,), in any order.
    kept
        Whether each type is in the vocabulary, bool (types,). The two kinds get different lines.
    path
        The PNG file to write.
    """
    counts, kept = np.asarray(counts, dtype=np.int64), np.asarray(kept, dtype=bool)
    order = np.lexsort((~kept, -counts))  # of equally frequent types, the kept ones come first
    counts, kept = counts[order], kept[order]
    types, size = len(counts), int(kept.sum())
    percent = 100 / max(int(counts.sum()), 1)
    ranks = np.arange(1, types + 1)
    # On a logarithmic axis, 400 points look the same as a million.
    shown = np.unique(np.geomspace(1, max(types, 1), 400).round().astype(np.int64)) - 1
    shown = shown[shown < types]
    fig, ax = new_figure()
    ax.set_xscale("log")
    ax.set_yscale("log")
    kept_label = f"kept: {size:,} words, {percent * counts[kept].sum():.1f} % of the tokens"
    dropped_label = f"dropped: {types - size:,} types, {percent * counts[~kept].sum():.1f} %"
    for part, style, color, label in (
        (shown[kept[shown]], "-", BLUE, kept_label),
        (shown[~kept[shown]], ":", ORANGE, dropped_label),
    ):
        if len(part) > 0:
            ax.plot(ranks[part], counts[part], style, color=color, linewidth=2.4, label=label)
    if types > 0:
        middle = shown[len(shown) // 2]
        law = counts[middle] * ranks[middle] / ranks[shown]
        label = "count ∝ 1 / rank"
        ax.plot(ranks[shown], law, "--", color=INK, alpha=0.4, linewidth=0.9, label=label)
        ax.set_ylim(0.7, 2 * counts[0])
    # There is no such line if some rare words are kept on purpose (``vocab.keep``).
    if 0 < size < types and kept[:size].all():
        ax.axvline(size + 0.5, color=INK, linewidth=0.9)
        ax.annotate(
            f"last kept: {int(counts[size - 1]):,} times",
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
    set_title(fig, title)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, loc="lower left", fontsize=8)
    ax.grid(alpha=0.15)
    save(fig, path)


def _unit(largest: float) -> tuple[float, str]:
    """Return the unit in which to show the numbers on an axis, and its name: (1e6, "millions").

    `largest` is the largest number on the axis. The unit is a billion, a million or a thousand: the
    first of them that is at most half of `largest`; otherwise, the result is (1.0, "").
    """
    for unit, name in ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands")):
        if largest >= 2 * unit:
            return unit, name
    return 1.0, ""


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth the values of a loss curve by a centered moving average, which is returned.

    The window has about a fraction `SMOOTHING` of the values.
    At the start, where the loss falls fast, the window is shortened on both sides. At the end only
    its right half is shortened, so that the last values are averages as well.
    """
    half = int(len(values) * SMOOTHING / 2) + 1
    index = np.arange(len(values))
    before = np.minimum(index, half)
    after = np.minimum(before, len(values) - 1 - index)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    return np.asarray((sums[index + after + 1] - sums[index - before]) / (before + after + 1))


def similarity_scatter(
    pairs: Sequence[Mapping[Any, Any]],
    path: str | Path,
    title: str = "",
    spearman: float | None = None,
    interval: tuple[float, float] | None = None,
) -> None:
    """Plot model cosines against human ratings of word pairs, into the PNG file `path`.

    `NAMED_PAIRS` pairs are marked, and labeled where there is room: half are those that the model
    ranks farthest below their rank by human rating, half those farthest above. If fewer than twice
    `NAMED_PAIRS` pairs are used, none is marked.

    Parameters
    ----------
    pairs
        Rows with ``word_1``, ``word_2``, ``human`` (the rating), ``model`` (the cosine) and
        ``used``. Pairs that are not used are not drawn; used pairs without a cosine are drawn at 0.
    title
        The name of the similarity benchmark.
    spearman, interval
        Spearman's correlation and its 95 % interval, for the title; None if undefined.
    """
    from scipy.stats import rankdata

    used = [pair for pair in pairs if pair["used"]]
    human = np.array([pair["human"] for pair in used], np.float64)
    model = np.nan_to_num(np.array([pair["model"] for pair in used], np.float64))
    fig, ax = new_figure()
    ax.scatter(human, model, s=16, color=BLUE, alpha=0.45, linewidths=0, zorder=2)
    ax.margins(0.06, 0.1)
    ax.set_xlabel("human score (the benchmark's scale)")
    ax.set_ylabel("model score (cosine)")
    ax.grid(alpha=0.15)
    score = "not defined" if spearman is None else _two_decimals(spearman)
    if interval is not None:
        score += f" ({_two_decimals(interval[0])} … {_two_decimals(interval[1])})"
    set_title(fig, f"{title}\nSpearman {score} · {len(used):,} of {len(pairs):,} pairs")
    if len(used) >= 2 * NAMED_PAIRS:
        # The correlation compares ranks, so disagreement is a difference of ranks as well.
        order = np.argsort(rankdata(human) - rankdata(model), kind="stable")
        order = np.concatenate((order[: NAMED_PAIRS // 2], order[-NAMED_PAIRS // 2 :]))
        ax.scatter(human[order], model[order], s=26, facecolors="none", edgecolors=ORANGE, zorder=3)
        names = [sanitize(f"{pair['word_1']} – {pair['word_2']}") for pair in used]
        place_labels(fig, ax, names, np.column_stack((human, model)), order)
    save(fig, path)


def analogy_accuracy(rows: Sequence[Mapping[Any, Any]], path: str | Path, title: str = "") -> None:
    """Draw the accuracy in each analogy category with its 95 % interval, one marker per method.

    Parameters
    ----------
    rows
        The results on one benchmark, a row for each method and category: ``method``, ``section``,
        ``category``, ``questions`` (their number), ``accuracy``, and the ends ``low`` and ``high``
        of its interval. Categories are drawn in the order of the rows, with a gap between sections.
    path
        The PNG file to write.
    title
        The name of the benchmark.
    """
    methods = list(dict.fromkeys(row["method"] for row in rows))
    questions = {(row["section"], row["category"]): row["questions"] for row in reversed(rows)}
    categories = list(dict.fromkeys((row["section"], row["category"]) for row in rows))
    fig, ax = new_figure(WIDTH, 1.25 + 0.24 * max(len(categories), 3))
    sections = np.array([section for section, _ in categories])
    new_section = np.concatenate(([False], sections[1:] != sections[:-1]))[: len(categories)]
    heights = np.arange(len(categories)) + 0.6 * np.cumsum(new_section)
    height_of = dict(zip(categories, heights, strict=True))
    spread = 0.24 if len(methods) > 1 else 0.0
    for number, method in enumerate(methods):
        part = [row for row in rows if row["method"] == method]
        y = np.array([height_of[row["section"], row["category"]] for row in part])
        y += spread * (2 * number / max(len(methods) - 1, 1) - 1)
        low, high, accuracy = (
            100 * np.array([row[key] for row in part], np.float64)
            for key in ("low", "high", "accuracy")
        )
        shape, face, edge = MARKERS[number % len(MARKERS)]
        ax.hlines(y, low, high, color=edge, linewidth=1.3, alpha=0.8, zorder=2)
        ax.plot(
            accuracy,
            y,
            shape,
            markersize=5,
            markerfacecolor=face,
            markeredgecolor=edge,
            linestyle="none",
            label=method,
            zorder=3,
        )
    names = [
        f"{textwrap.shorten(sanitize(str(key[1])), 34, placeholder='…')} ({questions[key]:,})"
        for key in categories
    ]
    ax.set_yticks(heights, names, fontsize=8, parse_math=False)
    ax.set_ylim(heights.max(initial=0.0) + 0.6, -0.6)
    ends = np.array([[row["high"], row["accuracy"]] for row in rows], np.float64)
    largest = max(1.0, 100 * np.nanmax(ends, initial=0))
    ax.set_xlim(-0.02 * largest, min(1.05 * largest, 102.0))
    ax.set_xlabel("accuracy (% of the questions), 95 % interval")
    ax.grid(axis="x", alpha=0.2)
    ax.tick_params(axis="y", length=0)
    set_title(fig, title)
    if len(methods) > 1:
        fig.legend(frameon=False, loc="outside lower right", ncols=len(methods))
    save(fig, path)


def _two_decimals(value: float) -> str:
    """Format a number with two decimals and a Unicode minus sign, and 0 without a sign."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
