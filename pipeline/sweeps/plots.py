"""Plots of a sweep: parallel coordinates, main effects, and objective against training time."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.config.values import as_text, is_number, shortened
from pipeline.sweeps.analysis import SEED, Result
from pipeline.sweeps.results import Job
from w2v.evaluate import pareto_front
from w2v.plots import comparisons
from w2v.plots.comparisons import LOG_RATIO, Cloud, Panel, Ticks

MAX_TICKS = 8
"""A numeric setting with more values than this gets an axis with a scale."""

Key = tuple[str, ...]


def draw(folder: Path, result: Result) -> None:
    """Draw the plots of a sweep as PNG files, except those for which it has too few jobs."""
    if not result.finished:
        return
    # If jobs are comparable only within groups of one, there is no common scale to draw them on.
    if result.axes and not (result.compared_within and not any(result.centered.values())):
        parallel_coordinates(result, folder / "parallel.png")
    if len(result.effects) > 0:
        main_effects(result, folder / "effects.png")
    compared = set(result.configurations["verdict"]) != {"alone"}
    if compared and any(job.seconds is not None for job in result.finished):
        objective_over_seconds(result, folder / "seconds.png")


def objectives(result: Result) -> dict[int, float]:
    """Return the objective of each finished job, by job number.

    If not all jobs are comparable, the mean over the comparable jobs is subtracted.
    """
    if result.compared_within:
        return result.centered
    return {job.number: job.figures[result.objective] for job in result.finished}


def axis_label(result: Result) -> str:
    if result.compared_within:
        return f"{result.objective}, less its mean\namong jobs that compare"
    return result.objective


def axis_positions(jobs: list[Job], axis: str) -> tuple[NDArray[np.float64], Ticks]:
    """Return each job's position on the axis of a setting, 0 to 1, and the ticks of the axis."""
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
    """Draw each job as a line through its settings and its objective; better jobs are darker."""
    jobs = result.finished
    y = np.array([objectives(result)[job.number] for job in jobs])
    low, high = y.min(), y.max()
    columns = [axis_positions(jobs, axis) for axis in result.axes]
    if high > low:
        marks = [(i / 4, f"{mark:.3f}") for i, mark in enumerate(np.linspace(low, high, 5))]
        columns.append(((y - low) / (high - low), marks))
    else:
        columns.append((np.full(len(jobs), 0.5), [(0.5, f"{low:.3f}")]))
    comparisons.parallel_coordinates(
        np.column_stack([places for places, _ in columns]),
        [ticks for _, ticks in columns],
        [*result.axes, axis_label(result)],
        path,
        title=f"{len(jobs)} jobs; the better, the darker",
        larger_is_better=result.sign > 0,
    )


def main_effects(result: Result, path: Path) -> None:
    """Plot the mean objective at each value of each setting, all on one scale."""
    column = "effect" if result.compared_within else "mean"
    panels = []
    for name, rows in result.effects.groupby("setting", sort=False):
        numeric = all(is_number(job.settings.get(str(name), 0)) for job in result.finished)
        short = shortened(rows["value"])
        labels = [short[value] for value in rows["value"]]
        panels.append(Panel(str(name), labels, rows[column].tolist(), numeric and name != SEED))
    mean = float(np.mean(list(objectives(result).values())))
    comparisons.main_effects(panels, mean, f"mean {axis_label(result)}", path)


def objective_over_seconds(result: Result, path: Path) -> None:
    """Plot the objective of each configuration against its training time."""
    y = objectives(result)
    points: dict[Key, list[tuple[float, float]]] = {}
    groups: dict[Key, list[Key]] = {}
    for job in result.finished:
        if job.seconds is not None:
            key = tuple(as_text(job.settings.get(axis)) for axis in result.settings)
            if key not in points:
                groups.setdefault(result.group(job), []).append(key)
            points.setdefault(key, []).append((job.seconds, y[job.number]))
    unbeaten: set[Key] = set()
    for keys in groups.values():
        means = [Cloud("", points[key], False).mean for key in keys]
        unbeaten.update(keys[index] for index in pareto_front(means, result.sign))
    short = [shortened(values) for values in zip(*points, strict=True)]
    clouds = [
        Cloud(" ".join(s[text] for s, text in zip(short, key, strict=True)), found, key in unbeaten)
        for key, found in points.items()
    ]
    title = "diamonds: nothing is better in less time"
    if result.settings:
        title = f"{' · '.join(result.settings)}\nlarge: mean over seeds; {title}"
    comparisons.value_over_cost(clouds, "seconds of training", axis_label(result), title, path)
