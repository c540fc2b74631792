"""Charts of a sweep: parallel coordinates, main effects, and objective against training time."""

import itertools
from pathlib import Path

import numpy as np

from w2v.evaluate.sweep import SEED, R, Sweep
from w2v.labels import is_number, shortened
from w2v.plots import comparisons
from w2v.plots.comparisons import Cloud, Panel


def draw_sweep(folder: Path, result: Sweep[R]) -> None:
    """Draw the charts for which a sweep has enough finished runs, as PNG files in `folder`.

    The charts show the objective, the metric by which the sweep compares its runs. If it can be
    compared only within groups of runs, they show its difference from the mean of a run's group.
    """
    if not result.finished:
        return
    within = bool(result.compared_within)
    label = result.objective
    values = {job.number: job.figures[label] for job in result.finished}
    if within:
        values, label = result.centered, f"{label}, less its mean\namong jobs that compare"
    # If jobs are comparable only within groups of one, there is no common scale to draw them on.
    if result.axes and not (within and not any(result.centered.values())):
        comparisons.parallel_coordinates(
            [[job.settings.get(axis) for job in result.finished] for axis in result.axes],
            [*values.values()],
            [*result.axes, label],
            folder / "parallel.png",
            title=f"{len(values)} jobs; the better, the darker",
            larger_is_better=result.sign > 0,
        )
    panels = []
    for name, group in itertools.groupby(result.effects, lambda row: row["setting"]):
        rows = [*group]
        numeric = all(is_number(job.settings.get(name, 0)) for job in result.finished)
        short = shortened(row["value"] for row in rows)
        means = [row["effect" if within else "mean"] for row in rows]
        labels = [short[row["value"]] for row in rows]
        panels.append(Panel(name, labels, means, numeric and name != SEED))
    if panels:
        mean = float(np.mean([*values.values()]))
        comparisons.main_effects(panels, mean, f"mean {label}", folder / "effects.png")
    if any(len(ranked) > 1 for ranked in result.ranking.values()):
        objective_over_seconds(result, values, label, folder / "seconds.png")


def objective_over_seconds(
    result: Sweep[R], values: dict[int, float], label: str, path: Path
) -> None:
    """Plot the objective against the training time, for each run and as means over seeds.

    The objective is the metric by which the sweep compares its runs. `values` maps the number of
    each finished run to its objective. If runs can be compared only in groups, such as runs with
    the same loss function, the mean of the run's group is subtracted. `label` is the axis label.
    """
    every = [one for ranked in result.ranking.values() for one in ranked]
    unbeaten = result.unbeaten
    short = {key: shortened(str(one.settings[key]) for one in every) for key in result.settings}
    clouds = [
        Cloud(
            " ".join(short[key][str(text)] for key, text in one.settings.items()),
            [
                (job.seconds, values[job.number])
                for job in one.runs.values()
                if job.seconds is not None
            ],
            one.name in unbeaten,
        )
        for one in every
        if one.seconds is not None
    ]
    if not clouds:
        return
    title = "diamonds: nothing is better in less time"
    if result.settings:
        title = f"{' · '.join(result.settings)}\nlarge: mean over seeds; {title}"
    comparisons.value_over_cost(clouds, "seconds of training", label, title, path)
