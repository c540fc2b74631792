"""Pictures of a sweep: parallel coordinates, main effects, score against seconds."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.values import brief, is_number, shown
from pipeline.report.labels import place_labels
from pipeline.report.plots import BLUE, INK, ORANGE, _figure, _save
from pipeline.sweeps.analysis import SEED, Result, centred
from pipeline.sweeps.results import Job

CURVES = "viridis"
"""Its lightness rises evenly, so that it reads in greyscale."""


def draw(folder: Path, result: Result) -> None:
    """Write the pictures that the jobs allow."""
    if not result.finished:
        return
    # A group of one job has no scale of its own.
    if result.axes and not (result.compared_within and not any(centred(result).values())):
        parallel_coordinates(result, folder / "parallel.png")
    if len(result.effects) > 0:
        main_effects(result, folder / "effects.png")
    compared = set(result.configurations["verdict"]) != {"alone"}
    if compared and any(job.seconds is not None for job in result.finished):
        score_against_seconds(result, folder / "seconds.png")


def label_of(result: Result) -> str:
    """The objective as an axis names it."""
    if result.compared_within:
        return f"{result.objective}, less its mean\namong jobs that compare"
    return result.objective


def positions(jobs: list[Job], axis: str) -> tuple[np.ndarray[Any, Any], list[tuple[float, str]]]:
    """Where jobs stand on an axis, from 0 to 1, and its ticks."""
    values = [job.settings.get(axis) for job in jobs]
    numbers = [value for value in values if value is not None]
    told = brief(shown(value) for value in values)
    labels = list(told)
    if numbers and all(is_number(value) for value in numbers):
        labels = [shown(value) for value in sorted(set(numbers))]
        if len(labels) > 8:
            low, high = min(numbers), max(numbers)
            log = low > 0 and high / low > 20
            scale = np.log if log else np.asarray
            ends = scale(np.array([low, high], dtype=float))
            places = [
                np.nan
                if value is None
                else (scale(np.array(float(value))) - ends[0]) / np.ptp(ends)
                for value in values
            ]
            marks = np.geomspace(low, high, 5) if log else np.linspace(low, high, 5)
            ticks = [(i / 4, f"{mark:.4g}") for i, mark in enumerate(marks)]
            return np.array(places, dtype=float), ticks
        labels += ["–"] * any(value is None for value in values)
    step = 1 / max(len(labels) - 1, 1)
    places = [labels.index(shown(value)) * step if len(labels) > 1 else 0.5 for value in values]
    ticks = [(i * step if len(labels) > 1 else 0.5, told[text]) for i, text in enumerate(labels)]
    return np.array(places, dtype=float), ticks


def parallel_coordinates(result: Result, path: Path) -> None:
    """One line a job through its settings to its objective; the better, the darker."""
    import matplotlib as mpl

    jobs = result.finished
    y = centred(result) if result.compared_within else None
    ends = np.array([y[j.number] if y else j.figures[result.objective] for j in jobs])
    low, high = float(ends.min()), float(ends.max())
    span = high - low
    columns = [positions(jobs, axis) for axis in result.axes]
    if span > 0:
        marks = [(i / 4, f"{mark:.3f}") for i, mark in enumerate(np.linspace(low, high, 5))]
        columns.append(((ends - low) / span, marks))
    else:
        columns.append((np.full(len(jobs), 0.5), [(0.5, f"{low:.3f}")]))
    names = [*result.axes, label_of(result)]
    fig, ax = _figure(max(6.4, 1.5 * len(names) + 1), 4.2)
    ax.spines[["left", "bottom"]].set_visible(False)
    lines = np.column_stack([places for places, _ in columns])
    jitter = np.random.default_rng(0).uniform(-0.012, 0.012, lines.shape)
    jitter[:, -1] = 0
    colours = mpl.colormaps[CURVES]
    better = columns[-1][0] if result.sign > 0 else 1 - columns[-1][0]
    for i in np.argsort(better):
        ax.plot(
            np.arange(len(names)),
            lines[i] + jitter[i],
            color=colours(0.92 * (1 - better[i])),
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
    _save(fig, path)


def main_effects(result: Result, path: Path) -> None:
    """The mean of the objective at each value of each setting, side by side on one scale."""
    table = result.effects
    names = list(dict.fromkeys(table["setting"]))
    column = "effect" if result.compared_within else "mean"
    fig, first = _figure(max(4.5, 2.2 * len(names) + 1), 3.4)
    first.remove()
    grid: Any = fig.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(grid, names, strict=True):
        rows = table[table["setting"] == name]
        ordered = all(is_number(job.settings.get(name, 0)) for job in result.finished)
        # A line would say that there is something between.
        style = "o-" if ordered and name != SEED else "o"
        ax.plot(np.arange(len(rows)), rows[column], style, color=BLUE, markersize=5)
        told = brief(rows["value"])
        ax.set_xticks(np.arange(len(rows)), [told[value] for value in rows["value"]])
        ax.axhline(0 if column == "effect" else centre(result), color=INK, alpha=0.3, linewidth=0.8)
        ax.set_title(name, fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.2)
        ax.margins(x=0.2)
        if any(len(value) > 6 for value in rows["value"]):
            ax.tick_params(axis="x", rotation=30, labelsize=7)
    grid[0].set_ylabel(f"mean {label_of(result)}")
    _save(fig, path)


def centre(result: Result) -> float:
    """The mean of the objective over all finished jobs."""
    return float(np.mean([job.figures[result.objective] for job in result.finished]))


def score_against_seconds(result: Result, path: Path) -> None:
    """Each job's objective over the seconds of its training; the best bargains are named."""
    fig, ax = _figure(6.8, 4.6)
    y = centred(result) if result.compared_within else None
    seen: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    groups: dict[tuple[str, ...], tuple[str, ...]] = {}
    axes = [axis for axis in result.axes if axis != SEED]
    for job in result.finished:
        if job.seconds is None:
            continue
        key = tuple(shown(job.settings.get(axis)) for axis in axes)
        groups[key] = result.group(job)
        value = y[job.number] if y else job.figures[result.objective]
        seen.setdefault(key, []).append((job.seconds, value))
    means = {key: tuple(np.mean(points, axis=0)) for key, points in seen.items()}
    for points in seen.values():
        if len(points) > 1:
            xs, ys = zip(*points, strict=True)
            ax.plot(xs, ys, ".", color=BLUE, alpha=0.35, markersize=5)
    bargains = [
        key
        for group in dict.fromkeys(groups.values())
        for key in front({k: v for k, v in means.items() if groups[k] == group}, result.sign)
    ]
    for key, (x, value) in means.items():
        colour = ORANGE if key in bargains else BLUE
        ax.plot(x, value, "D" if key in bargains else "o", color=colour, markersize=6)
    many = max((x for x, _ in means.values())) / min((x for x, _ in means.values())) > 20
    if many:
        ax.set_xscale("log")
    ax.margins(0.12, 0.12)
    ax.set_xlabel("seconds of training")
    ax.set_ylabel(label_of(result))
    what = " · ".join(axes)
    ax.set_title(
        f"{what}\nlarge: mean over seeds; diamonds: nothing is better in less time"
        if what
        else "diamonds: nothing is better in less time",
        loc="left",
        fontsize=9,
    )
    ax.grid(alpha=0.2)
    short = [brief(values) for values in zip(*means, strict=True)]
    names = [" ".join(told[text] for told, text in zip(short, key, strict=True)) for key in means]
    order = [index for index, key in enumerate(means) if key in bargains]
    place_labels(fig, ax, names, np.array(list(means.values())), order[:12])
    _save(fig, path)


def front(means: "dict[tuple[str, ...], tuple[float, ...]]", sign: int) -> list[tuple[str, ...]]:
    """The configurations that no other one beats in both seconds and objective, by seconds."""
    found: list[tuple[str, ...]] = []
    best = -np.inf
    for key, (_, value) in sorted(means.items(), key=lambda item: (item[1][0], -sign * item[1][1])):
        if sign * value > best:
            best = sign * value
            found.append(key)
    return found
