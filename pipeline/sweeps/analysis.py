"""Analyse a sweep: compare its configurations over seeds, and find what each setting does.

A configuration is what its jobs have in common apart from the seed. Tukey's test says whether two
configurations differ by more than the noise of their seeds (in the version of Tukey and Kramer if
their numbers of seeds differ). Its level holds for all pairs together, and so also for the pairs
with the best configuration, which was chosen by looking at the results. The test assumes that the
spread over seeds is equal in all configurations, and estimates it from all of them together,
because three seeds of one configuration would not be enough.
"""

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.config.settings import direction_of
from pipeline.config.values import as_text, is_number, shortened
from pipeline.sweeps.objective import incomparable
from pipeline.sweeps.results import Job
from w2v.evaluate import common_share
from w2v.vectors import WordVectors
from w2v.vectors.search import nearest_rows

if TYPE_CHECKING:
    import pandas as pd

SEED = "seed"
LEVEL = 0.05
"""The level of the test: the chance to call some difference real if there is none at all."""

MAX_VALUES = 6
"""A numeric setting with more values than this is divided at its quartiles."""

NEAREST = 10
QUERIES = 500
CANDIDATES = 30_000


@dataclass(frozen=True)
class Result:
    """The jobs of a sweep and what follows from them.

    Attributes
    ----------
    objective
        The name of the figure by which jobs are compared.
    """

    objective: str
    jobs: list[Job]

    @property
    def sign(self) -> int:
        """Return 1 if a greater objective is better, otherwise -1."""
        return 1 if direction_of(self.objective) == "maximize" else -1

    @cached_property
    def finished(self) -> list[Job]:
        """Return the jobs that finished."""
        return [job for job in self.jobs if job.status == "finished"]

    @cached_property
    def axes(self) -> list[str]:
        """Return the settings that the sweep varies; see `axes_of`."""
        return axes_of(self.jobs)

    @cached_property
    def compared_within(self) -> list[str]:
        """Return the settings that differ between jobs and over which the objective does not
        compare, such as ``loss`` for a held-out loss.
        """
        return incomparable(self.objective, axes_of(self.jobs, experiment=False))

    def group(self, job: Job) -> tuple[str, ...]:
        """Return the group of a job: jobs compare only with jobs of the same group."""
        return tuple(as_text(job.settings.get(key)) for key in self.compared_within)

    @cached_property
    def centered(self) -> dict[int, float]:
        """Return the objective of each finished job less the mean of its group, by number."""
        groups: dict[tuple[str, ...], list[float]] = {}
        for job in self.finished:
            groups.setdefault(self.group(job), []).append(job.figures[self.objective])
        return {
            job.number: job.figures[self.objective] - float(np.mean(groups[self.group(job)]))
            for job in self.finished
        }

    @cached_property
    def configurations(self) -> "pd.DataFrame":
        """Return one row for each configuration, best first within each group.

        Returns
        -------
        DataFrame
            The axes apart from the seed; ``seeds``; ``mean``, ``low`` and ``high`` (95 %, Student's
            t) of the objective; ``difference`` from the best of the group; ``p`` of Tukey's test;
            ``verdict``: ``best``, ``worse``, ``within noise``, ``one seed``, or ``alone`` where
            there is nothing to compare with; ``overlap`` of nearest neighbours between seeds;
            ``seconds`` of training; ``group``; ``jobs``.
        """
        import pandas as pd

        axes = [axis for axis in self.axes if axis != SEED]
        members: dict[tuple[str | None, ...], dict[str, Job]] = {}
        for job in self.finished:
            key = tuple(as_text(job.settings[a]) if a in job.settings else None for a in axes)
            # A search may try the same job twice, which is one observation.
            members.setdefault(key, {}).setdefault(as_text(job.settings.get(SEED)), job)
        rows: list[dict[str, Any]] = []
        samples: list[list[float]] = []
        for key, by_seed in members.items():
            jobs = list(by_seed.values())
            values = [job.figures[self.objective] for job in jobs]
            low, high = interval(values)
            seconds = [job.seconds for job in jobs if job.seconds is not None]
            rows.append(
                {
                    **dict(zip(axes, key, strict=True)),
                    "seeds": len(jobs),
                    "mean": float(np.mean(values)),
                    "low": low,
                    "high": high,
                    "overlap": overlap([job.vectors for job in jobs if job.vectors]),
                    "seconds": float(np.mean(seconds)) if seconds else None,
                    "group": " ".join(self.group(jobs[0])),
                    "jobs": " ".join(str(job.number) for job in jobs),
                }
            )
            samples.append(values)
        for group in {row["group"] for row in rows}:
            inside = [i for i, row in enumerate(rows) if row["group"] == group]
            best = max(inside, key=lambda i: self.sign * rows[i]["mean"])
            against = tukey([samples[i] for i in inside], inside.index(best))
            for i, p in zip(inside, against, strict=True):
                rows[i]["difference"] = rows[i]["mean"] - rows[best]["mean"]
                rows[i]["p"] = None if i == best else p
                verdict = "one seed" if p is None else "worse" if p < LEVEL else "within noise"
                if i == best:
                    verdict = "best" if len(inside) > 1 else "alone"
                rows[i]["verdict"] = verdict
        rows.sort(key=lambda row: (row["group"], -self.sign * row["mean"]))
        columns = [*axes, "seeds", "mean", "low", "high", "difference", "p", "verdict"]
        columns += ["overlap", "seconds", "group", "jobs"]
        table = pd.DataFrame(rows, columns=columns)
        numbers = ("mean", "low", "high", "difference", "p", "overlap", "seconds")
        return table.astype(dict.fromkeys(numbers, "float64"))

    @cached_property
    def effects(self) -> "pd.DataFrame":
        """Return one row for each value of each setting: the objective there, over all else.

        Returns
        -------
        DataFrame
            ``setting``, ``value``, ``jobs``, ``mean`` of the objective (NaN if not all jobs
            compare), and ``effect``: the mean of the objective less its mean over the jobs of the
            same group. A numeric setting with many values is divided at its quartiles.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for axis in self.axes:
            if axis in self.compared_within:
                continue
            # A setting that only some choices have is compared among the jobs that have it.
            jobs = [job for job in self.finished if axis in job.settings]
            center = float(np.mean([self.centered[job.number] for job in jobs])) if jobs else 0.0
            labels, order = value_labels([job.settings[axis] for job in jobs])
            for label in order:
                inside = [job for job, own in zip(jobs, labels, strict=True) if own == label]
                figures = [job.figures[self.objective] for job in inside]
                effect = float(np.mean([self.centered[job.number] for job in inside])) - center
                rows.append(
                    {
                        "setting": axis,
                        "value": label,
                        "jobs": len(inside),
                        "mean": None if self.compared_within else float(np.mean(figures)),
                        "effect": effect,
                    }
                )
        table = pd.DataFrame(rows, columns=["setting", "value", "jobs", "mean", "effect"])
        return table.astype({"mean": "float64", "effect": "float64", "value": "str"})

    @cached_property
    def table(self) -> "pd.DataFrame":
        """Return one row for each job, by number: how it ended, its axes and its figures."""
        import pandas as pd

        rows = [
            {
                "job": job.number,
                "status": job.status,
                **{axis: as_text(job.settings[axis]) for axis in self.axes if axis in job.settings},
                **{k: v for k, v in job.figures.items() if k != "seconds"},
                "seconds": job.seconds,
                "cached": job.cached,
                "run_id": job.run_id,
                "reason": job.reason,
            }
            for job in self.jobs
        ]
        table = pd.DataFrame(rows)
        first = ["job", "status", *self.axes, self.objective]
        last = ["seconds", "cached", "run_id", "reason"]
        other = [name for name in table if name not in first and name not in last]
        columns = [c for c in dict.fromkeys([*first, *other, *last]) if c in table]
        return table[columns].astype({axis: "str" for axis in self.axes if axis in table})

    @property
    def best(self) -> list[dict[str, Any]]:
        """Return the best configuration of each group, or the only configuration there is."""
        table = self.configurations
        return records(table if len(table) == 1 else table[table["verdict"] == "best"])


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows of a table with values that JSON can hold."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def axes_of(jobs: Sequence[Job], experiment: bool = True) -> list[str]:
    """Return the settings that differ between jobs: choices of groups first, the seed last.

    A setting whose value follows from the choice of its group is left out.

    Parameters
    ----------
    experiment
        Also leave out a setting whose value follows from the choice of the experiment.
    """
    keys = list(dict.fromkeys(key for job in jobs for key in job.settings))
    values = {
        key: [as_text(job.settings[key]) for job in jobs if key in job.settings] for key in keys
    }
    varied = [key for key in keys if len(set(values[key])) > 1]
    varied.sort(key=lambda key: (key == SEED, "." in key))
    axes: list[str] = []
    for key in varied:
        choices = (key.partition(".")[0], "experiment" if experiment else "")
        if not any(follows(jobs, key, axis) for axis in axes if axis in choices):
            axes.append(key)
    return axes


def follows(jobs: Sequence[Job], key: str, choice: str) -> bool:
    """Return whether a setting has only one value for each value of another."""
    pairs = {(as_text(job.settings.get(choice)), as_text(job.settings.get(key))) for job in jobs}
    return len(pairs) == len({value for value, _ in pairs})


def value_labels(values: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Return a label for each value of a setting, and the different labels in order.

    Many different numbers get only four labels, one for each quarter of the values.
    """
    import pandas as pd

    labels = [as_text(value) for value in values]
    if not values or not all(is_number(value) for value in values):
        return labels, list(dict.fromkeys(labels))
    order = list(dict.fromkeys(as_text(value) for value in sorted(values)))
    if len(order) <= MAX_VALUES:
        return labels, order
    quarters = pd.qcut(pd.Series(values, dtype="float64"), 4, duplicates="drop")
    intervals = list(quarters.cat.categories)
    ends = shortened(as_text(end) for one in intervals for end in (one.left, one.right))
    names = {one: f"{ends[as_text(one.left)]} to {ends[as_text(one.right)]}" for one in intervals}
    return [names[one] for one in quarters], list(names.values())


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a mean by Student's t; ``None`` for a single value."""
    from scipy import stats

    if len(values) < 2:
        return None, None
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def tukey(samples: Sequence[Sequence[float]], best: int) -> list[float | None]:
    """Compare each sample with one of them by Tukey's test over all pairs.

    Unlike `scipy.stats.tukey_hsd`, this computes only the pairs with that one sample: each pair
    takes a slow integral.

    Parameters
    ----------
    best
        The index of the sample that the others are compared with.

    Returns
    -------
    list of float or None
        The p-value of each sample; ``None`` if it or the best sample has only one value.
    """
    from scipy import stats

    several = [i for i, sample in enumerate(samples) if len(sample) > 1]
    found: list[float | None] = [None] * len(samples)
    if best not in several:
        return found
    if all(len(set(samples[i])) == 1 for i in several):  # no noise at all
        for i in several:
            found[i] = float(samples[i][0] == samples[best][0])
        return found
    groups = [np.asarray(samples[i], dtype=np.float64) for i in several]
    freedom = sum(len(group) - 1 for group in groups)
    variance = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom
    reference = np.asarray(samples[best], dtype=np.float64)
    for i, group in zip(several, groups, strict=True):
        error = math.sqrt(variance / 2 * (1 / len(group) + 1 / len(reference)))
        q = abs(float(group.mean() - reference.mean())) / error
        found[i] = float(stats.studentized_range.sf(q, len(groups), freedom)) if q > 0 else 1.0
    return found


def overlap(paths: Sequence[str]) -> float | None:
    """Return the share of the ten nearest neighbours on which two seeds agree.

    It is the mean over all pairs of seeds and over the 500 most frequent words, with neighbours
    among the 30,000 most frequent words (Wendlandt et al. 2018).

    Parameters
    ----------
    paths
        The files of vectors, one for each seed. For fewer than two, or for vocabularies that
        differ, the result is ``None``.
    """
    if len(paths) < 2:
        return None
    found = []
    words: Sequence[str] | None = None
    for path in paths:
        if not Path(path).exists():
            return None
        vectors = WordVectors.load(Path(path).parent)
        if words is not None and list(vectors.words) != list(words):
            return None
        words = vectors.words
        unit = vectors.unit[:CANDIDATES]
        asked = np.arange(min(QUERIES, len(unit)))
        found.append(nearest_rows(unit[asked], unit, min(NEAREST, len(unit) - 1), asked)[0])
    shares = [common_share(one, other) for one, other in itertools.combinations(found, 2)]
    return float(np.mean(shares))
