"""Analyze a sweep: compare its configurations over seeds, and find the effect of each setting.

A configuration is a combination of settings without the seed; its jobs differ in the seed only.
`w2v.evaluate.verdicts` tests whether two configurations differ significantly in a score.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.config.settings import direction_of
from pipeline.config.values import as_text, is_number, short_names, shortened
from pipeline.sweeps.objective import incomparable
from pipeline.sweeps.results import Job
from w2v.evaluate import mean_neighbour_overlap, student_interval
from w2v.evaluate.verdicts import COLUMNS, MEAN_OF_SETS, Judged, Setting, Verdicts
from w2v.vectors import WordVectors

if TYPE_CHECKING:
    import pandas as pd

SEED = "seed"

MAX_OVERLAP = 100
"""The most jobs whose nearest neighbors are compared."""


@dataclass(frozen=True)
class Result:
    """The jobs of a sweep, and their comparison by the metric ``objective``."""

    objective: str
    jobs: list[Job]  # after successive halving: the last job of each configuration
    first: "Result | None" = None  # of the first round of successive halving
    size: float | None = None  # the difference to detect, to estimate the seeds needed for it

    @property
    def sign(self) -> int:
        """Return 1 if the objective is maximized, -1 if it is minimized."""
        return 1 if direction_of(self.objective) == "maximize" else -1

    @cached_property
    def finished(self) -> list[Job]:
        return [job for job in self.jobs if job.status == "finished"]

    @cached_property
    def axes(self) -> list[str]:
        """Return the settings that vary, except those determined by another setting."""
        return axes_of(self.jobs)

    @cached_property
    def settings(self) -> list[str]:
        """Return the settings that define a configuration: all that vary, except the seed."""
        return [axis for axis in self.axes if axis != SEED]

    @cached_property
    def compared_within(self) -> list[str]:
        """Return the settings that vary but must be equal for jobs to be comparable."""
        return incomparable(self.objective, axes_of(self.jobs, experiment=False))

    def group(self, job: Job) -> tuple[str, ...]:
        """Return a job's values of `compared_within`; jobs with equal values are comparable."""
        return tuple(as_text(job.settings.get(key)) for key in self.compared_within)

    @cached_property
    def centered(self) -> dict[int, float]:
        """Return each job's objective minus the mean over comparable jobs, by job number."""
        groups: dict[tuple[str, ...], list[float]] = {}
        for job in self.finished:
            groups.setdefault(self.group(job), []).append(job.figures[self.objective])
        return {
            job.number: job.figures[self.objective] - float(np.mean(groups[self.group(job)]))
            for job in self.finished
        }

    @cached_property
    def ranking(self) -> dict[str, list[dict[str, Any]]]:
        """Return the configurations of each group of comparable jobs, best first, as rows.

        After successive halving, configurations that were trained for more epochs come first.
        """
        members: dict[tuple[str | None, ...], dict[str, Job]] = {}
        for job in self.finished:
            given = job.settings
            key = tuple(as_text(given[name]) if name in given else None for name in self.settings)
            # A search may try the same job twice, which is one observation.
            members.setdefault(key, {}).setdefault(as_text(given.get(SEED)), job)
        groups: dict[str, list[dict[str, Any]]] = {}
        for key, by_seed in members.items():
            most = max(job.epochs or 0 for job in by_seed.values())
            jobs = [job for job in by_seed.values() if (job.epochs or 0) == most]
            values = [job.figures[self.objective] for job in jobs]
            low, high = student_interval(values) or (None, None)
            seconds = [job.seconds for job in jobs if job.seconds is not None]
            group = " ".join(self.group(jobs[0]))
            groups.setdefault(group, []).append(
                {
                    **dict(zip(self.settings, key, strict=True)),
                    "seeds": len(jobs),
                    "mean": float(np.mean(values)),
                    "low": low,
                    "high": high,
                    "overlap": None,
                    "seconds": float(np.mean(seconds)) if seconds else None,
                    "group": group,
                    "jobs": " ".join(str(job.number) for job in jobs),
                    "runs": {as_text(job.settings.get(SEED)): job for job in jobs},
                    "files": [job.vectors for job in jobs if job.vectors],
                    "epochs": most,
                }
            )
        for rows in groups.values():
            rows.sort(key=lambda row: (-row["epochs"], -self.sign * row["mean"]))
        return groups

    @cached_property
    def judged(self) -> list[Judged]:
        """Return significance tests: one object per score and group of comparable configurations.

        Each configuration is compared with the best one by the objective; a few configurations are
        compared in all pairs. If the objective cannot be compared between all configurations, the
        best one is chosen by the mean over the similarity benchmarks, or by the first score. After
        successive halving, only configurations trained for the most epochs are compared.
        """
        short = short_names(self.settings)
        settings: list[Setting] = []
        for rows in self.ranking.values():
            for row in (row for row in rows if row["epochs"] == rows[0]["epochs"]):
                row["name"] = " ".join(
                    f"{short[key]}={shown}"
                    for key in self.settings
                    if (shown := row[key]) is not None
                )
                scores = {seed: job.figures for seed, job in row["runs"].items()}
                files = {
                    seed: Path(job.answers) for seed, job in row["runs"].items() if job.answers
                }
                answers = {seed: file for seed, file in files.items() if file.exists()}
                settings.append(Setting(row["name"], scores, answers))
        names = [MEAN_OF_SETS, *(name for job in self.finished[:1] for name in job.figures)]
        names = [name for name in names if "/" in name and not incomparable(name, self.axes)]
        for name in names if self.compared_within else []:
            if all(name in run for one in settings for run in one.scores.values()):
                means = {
                    s.name: np.mean([run[name] for run in s.scores.values()]) for s in settings
                }
                settings.sort(key=lambda one: -means[one.name])
                break
        jobs = {one.name: one for one in settings}
        groups = {
            row["name"]: next(iter(row["runs"].values()))
            for rows in self.ranking.values()
            for row in rows
            if row.get("name") in jobs
        }
        axes = axes_of(self.jobs, experiment=False)

        def group_of(score: str, setting: Setting) -> str:
            job = groups[setting.name]
            return " ".join(as_text(job.settings.get(key)) for key in incomparable(score, axes))

        return Verdicts(
            settings,
            self.objective,
            group_of=group_of,
            smaller_is_better=lambda score: direction_of(score) == "minimize",
            size=self.size,
            fixed=all(job.settings.get("evaluate.vectors") for job in self.finished),
        ).judged

    @cached_property
    def verdicts(self) -> "pd.DataFrame":
        """Return a table with one row per score and pair of configurations that were compared."""
        import pandas as pd

        rows = [row for one in self.judged for row in one.rows()]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)

    @cached_property
    def configurations(self) -> "pd.DataFrame":
        """Return a table with one row per configuration, best first among comparable ones.

        The columns are the settings that vary; the number of ``seeds``; the ``mean`` objective and
        its 95 % confidence interval (``low`` and ``high``, by Student's t); the ``difference`` from
        the best of the group, its p-value ``p``, corrected for multiple tests, and the ``verdict``;
        the ``overlap`` of nearest neighbors between seeds; ``seconds`` of training; the ``group``,
        and the numbers of the ``jobs``.
        """
        import pandas as pd

        groups = self.ranking
        judged = {one.group: one for one in self.judged if one.score == self.objective}
        for group, rows in groups.items():
            best = rows[0]
            best |= {"difference": 0.0, "verdict": "best" if len(rows) > 1 else "alone"}
            alike = [row for row in rows if row["epochs"] == best["epochs"]]
            for row in alike[1:]:
                found = judged[group].against(row["name"])
                assert found is not None
                row |= {key: getattr(found, key) for key in ("difference", "p", "verdict")}
            for row in rows[len(alike) :]:
                epochs = row["epochs"]
                row["verdict"] = f"dropped after {epochs} epoch{'s' * (epochs > 1)}"
        # To read all vectors of a thousand jobs would take minutes: the best come first.
        several = (
            enumerate(row for row in rows if len(row["files"]) > 1) for rows in groups.values()
        )
        ranked = sorted((pair for pairs in several for pair in pairs), key=itemgetter(0))
        for _, row in ranked[: MAX_OVERLAP // 2]:
            row["overlap"] = overlap(row["files"][: max(2, MAX_OVERLAP // len(ranked))])
        numbers = ["mean", "low", "high", "difference", "p", "overlap", "seconds"]
        columns = [*self.settings, "seeds", *numbers[:5], "verdict", *numbers[5:], "group", "jobs"]
        ordered = [row for rows in groups.values() for row in rows]
        return pd.DataFrame(ordered, columns=columns).astype(dict.fromkeys(numbers, "float64"))

    @cached_property
    def effects(self) -> "pd.DataFrame":
        """Return the main effects: one row for each value of each setting.

        The columns are ``setting``, ``value``, ``jobs`` (their number), ``mean`` objective (NaN if
        not all jobs are comparable), and ``effect`` (mean objective minus that of all comparable
        jobs). Many values of a number are divided at their quartiles. After successive halving, the
        jobs are those of the first round.
        """
        import pandas as pd

        if self.first is not None:
            return self.first.effects
        rows: list[list[Any]] = []
        for axis in self.axes:
            if axis in self.compared_within:
                continue
            # A setting that only some choices have is compared among the jobs that have it.
            jobs = [job for job in self.finished if axis in job.settings]
            center = float(np.mean([self.centered[job.number] for job in jobs])) if jobs else 0.0
            labels, order = value_labels([job.settings[axis] for job in jobs])
            for label in order:
                inside = [job for job, own in zip(jobs, labels, strict=True) if own == label]
                mean = float(np.mean([job.figures[self.objective] for job in inside]))
                effect = float(np.mean([self.centered[job.number] for job in inside])) - center
                shown = None if self.compared_within else mean
                rows.append([axis, label, len(inside), shown, effect])
        table = pd.DataFrame(rows, columns=["setting", "value", "jobs", "mean", "effect"])
        return table.astype({"mean": "float64", "effect": "float64", "value": "str"})

    @cached_property
    def table(self) -> "pd.DataFrame":
        """Return a table with one row per job: status, settings that vary, and metrics."""
        import pandas as pd

        first = ["job", "status", *self.axes, self.objective]
        last = ["seconds", "cached", "run_id", "reason"]
        rows = [
            {
                "job": job.number,
                "status": job.status,
                **{axis: as_text(job.settings[axis]) for axis in self.axes if axis in job.settings},
                **job.figures,
                **{name: getattr(job, name) for name in last},
            }
            for job in self.jobs
        ]
        table = pd.DataFrame(rows)
        other = [name for name in table if name not in first and name not in last]
        columns = [c for c in dict.fromkeys([*first, *other, *last]) if c in table]
        return table[columns].astype({axis: "str" for axis in self.axes if axis in table})

    @property
    def best(self) -> list[dict[str, Any]]:
        """Return the best configuration of each group of comparable ones."""
        table = self.configurations
        return records(table if len(table) == 1 else table[table["verdict"] == "best"])

    @property
    def best_jobs(self) -> list[int]:
        """Return the number of the best job of each group of comparable jobs."""
        best: dict[tuple[str, ...], Job] = {}
        by = self.objective
        for job in sorted(
            self.finished, key=lambda j: (-(j.epochs or 0), -self.sign * j.figures[by])
        ):
            best.setdefault(self.group(job), job)
        return [job.number for job in best.values()]


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Convert a table to a list of dictionaries that JSON can store."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def axes_of(jobs: Sequence[Job], experiment: bool = True) -> list[str]:
    """Return the settings that differ between jobs: config groups first, the seed last.

    A setting determined by the choice of its config group is left out; if `experiment` is true,
    also a setting determined by the choice of the experiment file.
    """
    values: dict[str, list[str]] = {}
    for job in jobs:
        for key, value in job.settings.items():
            values.setdefault(key, []).append(as_text(value))
    varied = [key for key in values if len(set(values[key])) > 1]
    varied.sort(key=lambda key: (key == SEED, "." in key))
    axes: list[str] = []
    for key in varied:
        choices = (key.partition(".")[0], "experiment" if experiment else "")
        if not any(follows(jobs, key, axis) for axis in axes if axis in choices):
            axes.append(key)
    return axes


def follows(jobs: Sequence[Job], key: str, choice: str) -> bool:
    """Return whether in all jobs the value of `choice` determines the value of `key`."""
    pairs = {(as_text(job.settings.get(choice)), as_text(job.settings.get(key))) for job in jobs}
    return len(pairs) == len({value for value, _ in pairs})


def value_labels(values: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Return the label of each value of a setting, and the distinct labels in order.

    More than six distinct numbers are divided at their quartiles, and each label is a range.
    """
    import pandas as pd

    labels = [as_text(value) for value in values]
    if not values or not all(is_number(value) for value in values):
        return labels, list(dict.fromkeys(labels))
    order = list(dict.fromkeys(as_text(value) for value in sorted(values)))
    if len(order) <= 6:
        return labels, order
    quarters = pd.qcut(pd.Series(values, dtype="float64"), 4, duplicates="drop")
    intervals = list(quarters.cat.categories)
    ends = shortened(as_text(end) for one in intervals for end in (one.left, one.right))
    names = {one: f"{ends[as_text(one.left)]} to {ends[as_text(one.right)]}" for one in intervals}
    return [names[one] for one in quarters], list(names.values())


def overlap(files: Sequence[str]) -> float | None:
    """Return the share of nearest neighbors that two runs have in common, as a mean over all pairs.

    `files` are the runs' files of vectors; ``None`` if there are fewer than two, or one is missing.
    """
    if len(files) < 2 or not all(Path(file).exists() for file in files):
        return None
    return mean_neighbour_overlap(WordVectors.load(Path(file).parent) for file in files)
