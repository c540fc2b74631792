"""Charts that compare many training runs: parallel coordinates, main effects, score over cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.labels import as_text, is_number, shortened
from w2v.plots.labels import place_labels
from w2v.plots.style import BLUE, INK, ORANGE, new_figure, save

COLORMAP = "viridis"
"""matplotlib's color map for scores. Its lightness grows evenly, so that it works in grayscale."""

LOG_RATIO = 20
"""An axis of positive values is logarithmic if largest / smallest is more than this."""

MAX_LABELS = 12

MAX_TICKS = 8
"""A numeric setting with more values than this gets a scale, not a tick for each value."""

Ticks = list[tuple[float, str]]
"""The ticks of an axis: position from 0 to 1, and label."""


@dataclass(frozen=True)
class Panel:
    """A panel of the chart of `main_effects`: the mean score at each value of one setting.

    Attributes
    ----------
    name
        The name of the setting.
    labels, means
        The values of the setting as text, and the mean score at each value.
    connected
        Whether to connect the means by a line, which makes sense for a numeric setting.
    """

    name: str
    labels: Sequence[str]
    means: Sequence[float]
    connected: bool


@dataclass(frozen=True)
class Cloud:
    """The costs and scores of the training runs of one configuration.

    The runs differ in the seed only. The cost of a run is, for example, its training time.

    Attributes
    ----------
    label
        The name of the configuration.
    points
        Pairs of cost and score, one for each run.
    unbeaten
        Whether to draw the configuration as Pareto-optimal. That means that no configuration with
        which it is compared is at least as good in both mean cost and mean score, and better in
        one of them.
    """

    label: str
    points: Sequence[tuple[float, float]]
    unbeaten: bool

    @property
    def mean(self) -> tuple[float, float]:
        """The mean cost, such as the training time, and the mean score of a configuration's runs.

        The runs differ in the seed only.
        """
        cost, value = np.mean(self.points, axis=0).tolist()
        return cost, value


def axis_positions(values: Sequence[Any]) -> tuple[NDArray[np.float64], Ticks]:
    """Return the position of each value of a setting on its axis, 0 to 1, and the axis's ticks.

    If all values are numbers or None, and there are more than `MAX_TICKS` different numbers, the
    axis is a scale: logarithmic if the smallest number is positive and the largest is more than
    `LOG_RATIO` times as large, otherwise linear. The position of None is then NaN.

    Otherwise, the different values are evenly spaced. If all are numbers or None, the numbers are
    in ascending order, and None is last. If there are other values, such as texts, all values,
    including None, are in order of first appearance.
    """
    numbers = [value for value in values if value is not None]
    labels = list(dict.fromkeys(as_text(value) for value in values))
    short = shortened(labels)
    if numbers and all(is_number(value) for value in numbers):
        labels = [as_text(value) for value in sorted(set(numbers))]
        if len(labels) > MAX_TICKS:
            low, high = min(numbers), max(numbers)
            log = low > 0 and high / low > LOG_RATIO
            marks = np.geomspace(low, high, 5) if log else np.linspace(low, high, 5)
            scaled = np.array([low, high, *values], dtype=np.float64)
            if log:
                scaled = np.log(scaled)
            places = (scaled[2:] - scaled[0]) / (scaled[1] - scaled[0])
            return places, [(i / 4, f"{mark:.4g}") for i, mark in enumerate(marks)]
        labels += [as_text(None)] * (None in values)
    at = np.linspace(0, 1, len(labels)) if len(labels) > 1 else np.array([0.5])
    ticks = [(float(x), short[label]) for x, label in zip(at, labels, strict=True)]
    return at[[labels.index(as_text(value)) for value in values]], ticks


def parallel_coordinates(
    settings: Sequence[Sequence[Any]],
    scores: Sequence[float],
    names: Sequence[str],
    path: str | Path,
    title: str = "",
    larger_is_better: bool = True,
) -> None:
    """Draw each training run as a line through its settings to its score; better runs are darker.

    Parameters
    ----------
    settings
        For each setting, its value in each run: numbers, texts or None.
    scores
        The score of each run.
    names
        The names of the settings, and last that of the score.
    path
        The PNG file to write.
    larger_is_better
        Whether larger scores are better.
    """
    import matplotlib as mpl
    from matplotlib.collections import LineCollection

    y = np.array(scores, dtype=np.float64)
    low, high = y.min(), y.max()
    axes = [axis_positions(values) for values in settings]
    if high > low:
        marks = [(i / 4, f"{mark:.3f}") for i, mark in enumerate(np.linspace(low, high, 5))]
        axes.append(((y - low) / (high - low), marks))
    else:
        axes.append((np.full(len(y), 0.5), [(0.5, f"{low:.3f}")]))
    lines = np.column_stack([places for places, _ in axes])
    better = lines[:, -1] if larger_is_better else 1 - lines[:, -1]
    # Small shifts, so that trainings with equal settings do not hide each other.
    jitter = np.random.default_rng(0).uniform(-0.012, 0.012, lines.shape)
    lines[:, :-1] += jitter[:, :-1]
    fig, ax = new_figure(max(6.4, 1.5 * len(names) + 1), 4.2)
    ax.spines[["left", "bottom"]].set_visible(False)
    order = np.argsort(better)
    colors = mpl.colormaps[COLORMAP](0.92 * (1 - better))
    colors[:, 3] = 0.45 + 0.5 * better
    places = np.broadcast_to(np.arange(len(names)), lines.shape)
    ax.add_collection(
        LineCollection(
            list(np.stack([places, lines], axis=2)[order]),
            colors=colors[order],
            linewidths=0.8 + 1.4 * better[order],
        )
    )
    for x, (_, marks) in enumerate(axes):
        ax.axvline(x, color=INK, alpha=0.5, linewidth=0.8, zorder=0)
        for place, label in marks:
            ax.annotate(
                label,
                (x, place),
                xytext=(5, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                color=INK,
                parse_math=False,
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.6},
                zorder=5,
            )
    ax.set_xticks(np.arange(len(names)), names, fontsize=9, parse_math=False)
    ax.tick_params(length=0)
    ax.set_yticks([])
    ax.set_ylim(-0.06, 1.06)
    ax.set_xlim(-0.2, len(names) - 0.55)
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    save(fig, path)


def main_effects(panels: Sequence[Panel], mean: float, ylabel: str, path: str | Path) -> None:
    """Draw the mean score at each value of each setting, in one panel per setting.

    Parameters
    ----------
    panels
        The settings with their values and means.
    mean
        The mean score of all runs, drawn as a line in each panel.
    ylabel
        The label of the axis of scores.
    path
        The PNG file to write.
    """
    fig, first = new_figure(max(4.5, 2.2 * len(panels) + 1), 3.4)
    first.remove()
    grid: Any = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, panel in zip(grid, panels, strict=True):
        style = "o-" if panel.connected else "o"
        ax.plot(np.arange(len(panel.means)), panel.means, style, color=BLUE, markersize=5)
        ax.set_xticks(np.arange(len(panel.labels)), panel.labels, parse_math=False)
        ax.axhline(mean, color=INK, alpha=0.3, linewidth=0.8)
        ax.set_title(panel.name, fontsize=9, parse_math=False)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.2)
        ax.margins(x=0.2)
        if any(len(label) > 6 for label in panel.labels):
            ax.tick_params(axis="x", rotation=30, labelsize=7)
    grid[0].set_ylabel(ylabel, parse_math=False)
    save(fig, path)


def value_over_cost(
    clouds: Sequence[Cloud], xlabel: str, ylabel: str, title: str, path: str | Path
) -> None:
    """Plot the mean score of each configuration against its mean cost.

    Each item of `clouds` has the runs of one configuration. If it has several runs, these are drawn
    as small dots. Pareto-optimal configurations are drawn as diamonds, the others as circles. Of
    the Pareto-optimal ones, the first `MAX_LABELS` in the order of `clouds` are labeled where there
    is room.
    """
    means = [cloud.mean for cloud in clouds]
    fig, ax = new_figure(6.8, 4.6)
    several = [point for cloud in clouds for point in cloud.points if len(cloud.points) > 1]
    if several:
        ax.plot(*zip(*several, strict=True), ".", color=BLUE, alpha=0.35, markersize=5)
    for cloud, (x, value) in zip(clouds, means, strict=True):
        marker, color = ("D", ORANGE) if cloud.unbeaten else ("o", BLUE)
        ax.plot(x, value, marker, color=color, markersize=6)
    times = [x for x, _ in means]
    if max(times) > LOG_RATIO * min(times) > 0:
        ax.set_xscale("log")
    ax.margins(0.12, 0.12)
    ax.set_xlabel(xlabel, parse_math=False)
    ax.set_ylabel(ylabel, parse_math=False)
    ax.set_title(title, loc="left", fontsize=9, parse_math=False)
    ax.grid(alpha=0.2)
    order = [index for index, cloud in enumerate(clouds) if cloud.unbeaten]
    labels = [cloud.label for cloud in clouds]
    place_labels(fig, ax, labels, np.array(means), order[:MAX_LABELS])
    save(fig, path)
