"""The charts of a sweep: parallel coordinates, main effects, objective over training time."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.values import as_text, is_number, shortened
from pipeline.sweeps.analysis import SEED, Result
from pipeline.sweeps.results import Job
from w2v.evaluate import pareto_front
from w2v.plots.labels import place_labels
from w2v.plots.style import BLUE, INK, ORANGE, new_figure, save

COLORMAP = "viridis"
"""Its lightness grows evenly, so that it works in greyscale."""

MAX_TICKS = 8
"""A numeric setting with more values than this gets an axis with a scale."""

LOG_RATIO = 20
"""An axis is logarithmic if its largest value is more than this many times its smallest."""

MAX_LABELS = 12

Ticks = list[tuple[float, str]]
Point = tuple[float, float]
Key = tuple[str, ...]


def draw(folder: Path, result: Result) -> None:
    """Draw the charts for which a sweep has enough jobs, as PNG files in a folder."""
    if not result.finished:
        return
    # If jobs compare only within groups of one, there is no common scale to draw them on.
    if result.axes and not (result.compared_within and not any(result.centered.values())):
        parallel_coordinates(result, folder / "parallel.png")
    if len(result.effects) > 0:
        main_effects(result, folder / "effects.png")
    compared = set(result.configurations["verdict"]) != {"alone"}
    if compared and any(job.seconds is not None for job in result.finished):
        objective_over_seconds(result, folder / "seconds.png")


def objectives(result: Result) -> dict[int, float]:
    """Return what the charts show of each finished job, by its number.

    It is the objective, or its difference from the mean of the comparable jobs if not all jobs
    are comparable.
    """
    if result.compared_within:
        return result.centered
    return {job.number: job.figures[result.objective] for job in result.finished}


def axis_label(result: Result) -> str:
    """Return the name of the objective on an axis."""
    if result.compared_within:
        return f"{result.objective}, less its mean\namong jobs that compare"
    return result.objective


def axis_positions(jobs: list[Job], axis: str) -> tuple[NDArray[np.float64], Ticks]:
    """Place jobs by a setting, from 0 to 1 (NaN if a job lacks it), and return the axis' ticks."""
    values = [job.settings.get(axis) for job in jobs]
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
        labels += ["–"] * (None in values)
    at = np.linspace(0, 1, len(labels)) if len(labels) > 1 else np.array([0.5])
    ticks = [(float(x), short[label]) for x, label in zip(at, labels, strict=True)]
    return at[[labels.index(as_text(value)) for value in values]], ticks


def parallel_coordinates(result: Result, path: Path) -> None:
    """Draw each job as a line through its settings to its objective. Better jobs are darker."""
    import matplotlib as mpl

    jobs = result.finished
    y = np.array([objectives(result)[job.number] for job in jobs])
    low, high = y.min(), y.max()
    columns = [axis_positions(jobs, axis) for axis in result.axes]
    if high > low:
        marks = [(i / 4, f"{mark:.3f}") for i, mark in enumerate(np.linspace(low, high, 5))]
        columns.append(((y - low) / (high - low), marks))
    else:
        columns.append((np.full(len(jobs), 0.5), [(0.5, f"{low:.3f}")]))
    names = [*result.axes, axis_label(result)]
    fig, ax = new_figure(max(6.4, 1.5 * len(names) + 1), 4.2)
    ax.spines[["left", "bottom"]].set_visible(False)
    lines = np.column_stack([places for places, _ in columns])
    better = lines[:, -1] if result.sign > 0 else 1 - lines[:, -1]
    # Small shifts, so that jobs with equal settings do not hide each other.
    jitter = np.random.default_rng(0).uniform(-0.012, 0.012, lines.shape)
    lines[:, :-1] += jitter[:, :-1]
    colors = mpl.colormaps[COLORMAP]
    for i in np.argsort(better):
        ax.plot(
            np.arange(len(names)),
            lines[i],
            color=colors(0.92 * (1 - better[i])),
            linewidth=0.8 + 1.4 * better[i],
            alpha=0.45 + 0.5 * better[i],
        )
    for x, (_, ticks) in enumerate(columns):
        ax.axvline(x, color=INK, alpha=0.5, linewidth=0.8, zorder=0)
        for place, label in ticks:
            ax.annotate(
                label,
                (x, place),
                xytext=(5, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                color=INK,
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.6},
                zorder=5,
            )
    ax.set_xticks(np.arange(len(names)), names, fontsize=9)
    ax.tick_params(length=0)
    ax.set_yticks([])
    ax.set_ylim(-0.06, 1.06)
    ax.set_xlim(-0.2, len(names) - 0.55)
    ax.set_title(f"{len(jobs)} jobs; the better, the darker", loc="left", fontsize=10)
    save(fig, path)


def main_effects(result: Result, path: Path) -> None:
    """Draw the mean of the objective at each value of each setting, all on one scale."""
    table = result.effects
    names = list(dict.fromkeys(table["setting"]))
    column = "effect" if result.compared_within else "mean"
    mean = float(np.mean(list(objectives(result).values())))
    fig, first = new_figure(max(4.5, 2.2 * len(names) + 1), 3.4)
    first.remove()
    grid: Any = fig.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(grid, names, strict=True):
        rows = table[table["setting"] == name]
        numeric = all(is_number(job.settings.get(name, 0)) for job in result.finished)
        # No line between values that have no values in between.
        style = "o-" if numeric and name != SEED else "o"
        ax.plot(np.arange(len(rows)), rows[column], style, color=BLUE, markersize=5)
        short = shortened(rows["value"])
        ax.set_xticks(np.arange(len(rows)), [short[value] for value in rows["value"]])
        ax.axhline(mean, color=INK, alpha=0.3, linewidth=0.8)
        ax.set_title(name, fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.2)
        ax.margins(x=0.2)
        if any(len(value) > 6 for value in rows["value"]):
            ax.tick_params(axis="x", rotation=30, labelsize=7)
    grid[0].set_ylabel(f"mean {axis_label(result)}")
    save(fig, path)


def objective_over_seconds(result: Result, path: Path) -> None:
    """Draw each configuration's objective over its seconds of training.

    Configurations that no other one beats in both are drawn as diamonds, and named.
    """
    y = objectives(result)
    axes = [axis for axis in result.axes if axis != SEED]
    points: dict[Key, list[Point]] = {}
    group_of: dict[Key, Key] = {}
    for job in result.finished:
        if job.seconds is not None:
            key = tuple(as_text(job.settings.get(axis)) for axis in axes)
            points.setdefault(key, []).append((job.seconds, y[job.number]))
            group_of[key] = result.group(job)
    means: dict[Key, Point] = {}
    for key, of_seeds in points.items():
        seconds, value = np.mean(of_seeds, axis=0).tolist()
        means[key] = seconds, value
    best: set[Key] = set()
    for group in set(group_of.values()):
        keys = [key for key in means if group_of[key] == group]
        front = pareto_front([means[key] for key in keys], result.sign)
        best.update(keys[index] for index in front)
    fig, ax = new_figure(6.8, 4.6)
    for of_seeds in points.values():
        if len(of_seeds) > 1:
            ax.plot(*zip(*of_seeds, strict=True), ".", color=BLUE, alpha=0.35, markersize=5)
    for key, (x, value) in means.items():
        marker, color = ("D", ORANGE) if key in best else ("o", BLUE)
        ax.plot(x, value, marker, color=color, markersize=6)
    times = [x for x, _ in means.values()]
    if max(times) > LOG_RATIO * min(times):
        ax.set_xscale("log")
    ax.margins(0.12, 0.12)
    ax.set_xlabel("seconds of training")
    ax.set_ylabel(axis_label(result))
    title = "diamonds: nothing is better in less time"
    if axes:
        title = f"{' · '.join(axes)}\nlarge: mean over seeds; {title}"
    ax.set_title(title, loc="left", fontsize=9)
    ax.grid(alpha=0.2)
    short = [shortened(values) for values in zip(*means, strict=True)]
    labels = [" ".join(s[text] for s, text in zip(short, key, strict=True)) for key in means]
    order = [index for index, key in enumerate(means) if key in best]
    place_labels(fig, ax, labels, np.array(list(means.values())), order[:MAX_LABELS])
    save(fig, path)
