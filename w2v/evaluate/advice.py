"""Say in sentences which settings of a sweep matter, and which configuration is worth its time."""

import itertools
from operator import itemgetter
from typing import Any

from w2v.evaluate.sweep import SEED, Sweep
from w2v.evaluate.verdicts import NO_SPREAD, NOT_SHOWN
from w2v.labels import as_text, format_duration
from w2v.tables import Row, without_nan


def effect_sizes(result: Sweep[Any]) -> list[str]:
    """Say in a line how much each setting of a sweep changes the objective.

    The objective is the metric by which the sweep compares its runs. The effect of a setting's
    value says how far the runs with this value are, on average, above or below the mean objective
    (`Sweep.effects`). The size given for a setting is the largest effect of its values minus the
    smallest. The seed, and settings for which this difference is 0, are left out.

    Returns
    -------
    list of str
        The line; no line if no setting is left.
    """
    effects: dict[str, list[float]] = {}
    for row in result.effects:
        effects.setdefault(row["setting"], []).append(row["effect"])
    spans = {name: max(own) - min(own) for name, own in effects.items() if name != SEED}
    ranked = sorted((name for name in spans if spans[name] > 0), key=lambda name: -spans[name])
    if not ranked:
        return []
    sizes = ", ".join(f"{name} by {spans[name]:.4f}" for name in ranked)
    return [f"what moves {result.objective}, from its lowest mean to its highest: {sizes}"]


def advice(result: Sweep[Any]) -> list[str]:
    """Return lines of advice on the results of a sweep, which ranks configurations by one metric.

    There may be these lines, in this order:

    - how the configurations are ranked, if not all have runs of the same seeds;
    - for each group of comparable configurations: the fastest one that is not shown to be worse
      than the best, if it trains much faster;
    - that some differences cannot be tested, because their estimated variance is 0, and which
      scores can be tested;
    - a warning, if the metric is a benchmark score and the vocabularies of the runs cover unequal
      shares of the benchmark. There is none if all runs have ``evaluate.oov=zero``, which also
      scores items with unknown words.
    """
    lines = []
    if result.unequal_seeds:
        lines.append(
            "not all have runs of the same seeds: the order, and the best, are by the differences "
            "over the seeds in common, where there are any, not by the means shown"
        )
    for best, *others in by_group(result).values():
        near = [row for row in others if row["verdict"] == NOT_SHOWN and row["seconds"]]
        quick = min(near, key=lambda row: float(row["seconds"]), default=best)
        if best["seconds"] and quick["seconds"] < 0.8 * best["seconds"]:
            settings = " ".join(
                f"{axis}={'null' if quick[axis] == as_text(None) else quick[axis]}"
                for axis in result.settings
                if quick[axis] is not None
            )
            lines.append(
                f"quickest of those not shown to be worse: {settings} "
                f"({format_duration(quick['seconds'])} of training "
                f"against {format_duration(best['seconds'])})"
            )
    if any(row["verdict"] == NO_SPREAD for row in result.configurations):
        lines.append(
            f"{NO_SPREAD}: nothing shows how much of these differences is chance; Spearman's "
            "correlation and the accuracy of 3CosAdd are compared over pairs and questions, too"
        )
    parts = result.objective.split("/")
    key = "/".join((*parts[:-1], "coverage"))
    shares = {job.figures[key] for job in result.finished if key in job.figures}
    counted = all(job.settings.get("evaluate.oov") == "zero" for job in result.finished)
    if len(parts) == 3 and len(shares) > 1 and not counted and result.objective != key:
        low, high = min(shares), max(shares)
        digits = next((n for n in range(4) if f"{low:.{n}%}" != f"{high:.{n}%}"), 4)
        lines.append(
            f"not all are asked the same: their words cover {low:.{digits}%} to {high:.{digits}%} "
            f"of {parts[1]}; evaluate.oov=zero counts what has unknown words, too"
        )
    return lines


def by_group(result: Sweep[Any]) -> dict[str, list[Row]]:
    """Return the rows of the table `Sweep.configurations` by group, with None in place of NaN.

    The table has one row for each configuration. A group has the configurations that can be
    compared by the sweep's objective: those with equal values of the settings in
    `Sweep.compared_within`. The keys are these values as one text, or "" if there are none.
    """
    rows = itertools.groupby(without_nan(result.configurations), itemgetter("group"))
    return {group: list(inside) for group, inside in rows}
