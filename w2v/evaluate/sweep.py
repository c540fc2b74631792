"""Rank a sweep's configurations by a metric's mean over seeds; measure the effects of settings.

A sweep is a set of trainings (runs) with different settings. A configuration is a combination of
settings without the seed; its runs differ in the seed only.
`w2v.evaluate.verdicts` tests whether two configurations differ significantly in a score.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from w2v.evaluate.neighbours import mean_neighbour_overlap
from w2v.evaluate.statistics import (
    means_with_equal_seeds,
    nan_last,
    pareto_front,
    student_interval,
)
from w2v.evaluate.verdicts import COLUMNS, MEAN_OF_SETS, Judged, Setting, Verdicts
from w2v.labels import as_text, is_number, short_names, shortened
from w2v.tables import Row, typed_rows
from w2v.threads import limited_threads
from w2v.vectors import WordVectors

SEED = "seed"

MAX_OVERLAP = 100
"""The largest number of runs of a sweep that are compared by the nearest neighbors of words.

Let n be the number of configurations (combinations of settings without the seed) that have at least
two runs with a file of vectors. The first ``MAX_OVERLAP // n`` such runs of each configuration are
compared, but at least two. If n is more than ``MAX_OVERLAP // 2``, only the best
``MAX_OVERLAP // 2`` configurations are included (`Sweep._overlaps`).
"""

MAX_VALUES = 6
"""If a setting has more different numbers than this, `Sweep.effects` groups them into ranges."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a sweep.

    Attributes
    ----------
    number
        The number of the run in the sweep.
    settings
        The value of each setting, by dotted key such as ``loss.negatives``.
    figures
        The scores, losses and other metrics, by name.
    finished
        Whether the run has all of its figures.
    seconds
        The training time of the vectors in seconds, also if they come from a cache; None if
        unknown.
    vectors, answers
        The file of the vectors, and the file that `save_answers` wrote: the run's answers to
        benchmark items (word pairs and analogy questions). None if there is no such file.
    epochs
        The number of epochs of training; 0, for unknown, in sweeps that stop no runs early.
    """

    number: int
    settings: Mapping[str, Any]
    figures: Mapping[str, float]
    finished: bool = True
    seconds: float | None = None
    vectors: str | None = None
    answers: str | None = None
    epochs: int = 0


R = TypeVar("R", bound=Run)


@dataclass(frozen=True)
class Configuration(Generic[R]):
    """A configuration (a combination of settings without the seed) and its runs.

    Attributes
    ----------
    settings
        The values of the settings that vary, as texts; None for a setting that the configuration
        lacks.
    group
        The values, as one text, of the settings in which configurations must agree to be compared.
    runs
        The runs by seed.
    values
        The metric by which the sweep ranks, for each run in the order of `runs`.
    compared_mean
        The mean of `values`, by which configurations of a group are ranked. If they have runs of
        different seeds, the mean includes estimates for the missing runs
        (`means_with_equal_seeds`).
    """

    settings: dict[str, str | None]
    group: str
    runs: dict[str, R]
    values: list[float]
    compared_mean: float = math.nan

    @property
    def name(self) -> str:
        """The settings in short, such as ``dim=100 window=5``."""
        short = short_names(list(self.settings))
        return " ".join(f"{short[key]}={text}" for key, text in self.settings.items() if text)

    @property
    def epochs(self) -> int:
        """The number of epochs for which the runs of this configuration were trained.

        It is known only in sweeps that stop the worse runs early. In other sweeps, the number is
        not needed, and this is 0.
        """
        return max(run.epochs for run in self.runs.values())

    @property
    def mean(self) -> float:
        """The mean of the objective, the metric by which the sweep ranks, over `runs`."""
        return float(np.mean(self.values))

    @property
    def seconds(self) -> float | None:
        """The mean training time of the configuration's runs, in seconds.

        Runs whose time is unknown are left out. If no time is known, as for vectors that were
        given, not trained, this is None. If a run's vectors come from a cache, the time in which
        they were trained is used.
        """
        seconds = [run.seconds for run in self.runs.values() if run.seconds is not None]
        return float(np.mean(seconds)) if seconds else None

    @property
    def vectors(self) -> list[str]:
        """The vector files of the configuration's runs; runs without such a file are left out."""
        return [run.vectors for run in self.runs.values() if run.vectors]

    def overlap(self, runs: int) -> float | None:
        """Return the share of words' nearest neighbors that two runs have in common, from 0 to 1.

        Of the runs that have a file of vectors, the first `runs` are used. The share is the mean
        over all pairs of these runs, and over the first 500 words of the vocabulary, each with its
        10 nearest neighbors (`mean_neighbour_overlap`). It is None if there are fewer than two such
        runs, if a file no longer exists, or if the runs differ in their words or in the order of
        the words, or have fewer than two words.
        """
        files = [(Path(run.vectors), run) for run in self.runs.values() if run.vectors][:runs]
        if not all(file.exists() for file, _ in files):
            return None
        # The vectors are center vectors (v), or their sums with the outside vectors (v+u).
        return mean_neighbour_overlap(
            WordVectors.load(file, run.settings.get("evaluate.use", "v")) for file, run in files
        )


class Sweep(Generic[R]):
    """Compares the runs of a sweep: by one metric, the objective, and by benchmark scores.

    A configuration is a combination of settings without the seed.

    Parameters
    ----------
    objective
        The name of the objective.
    runs
        The runs. With successive halving, which trains the better configurations again for more
        epochs, these are only the longest run of each configuration and seed.
    first
        With successive halving, the `Sweep` of the shortest runs; else None.
    size
        A difference in a benchmark score. The comparisons say how many seeds are needed to show
        it. None: the observed difference.
    smaller_is_better
        A function of a metric's name: whether a smaller value is better.
    must_agree
        A function of a metric's name and a list of settings. It returns which of these settings
        must be equal in two runs, so that the runs can be compared by the metric.
    """

    def __init__(
        self,
        objective: str,
        runs: Sequence[R],
        *,
        first: "Sweep[R] | None" = None,
        size: float | None = None,
        smaller_is_better: Callable[[str], bool] = lambda _metric: False,
        must_agree: Callable[[str, Iterable[str]], list[str]] = lambda _metric, _keys: [],
    ) -> None:
        self.objective, self.runs, self.size = objective, runs, size
        self.smaller_is_better, self.must_agree = smaller_is_better, must_agree
        self.first = first or self

    @property
    def sign(self) -> int:
        """1 if the objective is maximized, -1 if it is minimized."""
        return -1 if self.smaller_is_better(self.objective) else 1

    @cached_property
    def finished(self) -> list[R]:
        """The runs that have finished."""
        return [run for run in self.runs if run.finished]

    @cached_property
    def vectors_given(self) -> bool:
        """Whether the vectors of all finished runs were given (``evaluate.vectors``), not trained.

        If so, runs that differ in nothing but the seed count as one run, since the seed changes
        nothing.
        """
        return all(run.settings.get("evaluate.vectors") for run in self.finished)

    @cached_property
    def axes(self) -> list[str]:
        """The keys of the settings that differ between runs; the seed is last.

        Settings whose value follows from that of another setting are left out (`axes_of`).
        """
        return axes_of(self.runs)

    @cached_property
    def settings(self) -> list[str]:
        """The keys of the settings that define a configuration: `axes` without the seed."""
        return [axis for axis in self.axes if axis != SEED]

    @cached_property
    def compared_within(self) -> list[str]:
        """The settings that vary but must be equal for runs to be compared by the objective.

        The objective is the metric by which the sweep compares its runs. If it is a loss, for
        example, its values may be comparable only between runs with the same loss function. The
        function `must_agree` chooses the settings.
        """
        return self.must_agree(self.objective, axes_of(self.runs, experiment=False))

    def group(self, run: Run) -> str:
        """Return, as one text, a run's values of the settings that `compared_within` names.

        Runs with equal texts can be compared by the objective. The text is empty if no settings are
        named; all runs can then be compared.
        """
        return " ".join(as_text(run.settings.get(key)) for key in self.compared_within)

    @cached_property
    def centered(self) -> dict[int, float]:
        """Each finished run's objective minus the mean over its group, by run number.

        A group has the runs that can be compared by the objective (`group`).
        """
        groups: dict[str, list[float]] = {}
        for run in self.finished:
            groups.setdefault(self.group(run), []).append(run.figures[self.objective])
        means = {group: float(np.mean(values)) for group, values in groups.items()}
        return {
            run.number: run.figures[self.objective] - means[self.group(run)]
            for run in self.finished
        }

    @cached_property
    def ranking(self) -> dict[str, list[Configuration[R]]]:
        """For each group, the configurations from best to worst.

        A group has the configurations that can be compared by the objective: those with equal
        values of the settings in `compared_within`. The keys are these values as one text, as
        `group` returns it for a run. Configurations trained for more epochs come before those
        trained for fewer. Those trained for equally many epochs are ordered by the mean objective,
        which is corrected if not all of them have the same set of seeds
        (`Configuration.compared_mean`). Where this is equal, they are ordered by name.
        """
        members: dict[tuple[str | None, ...], dict[str, R]] = {}
        for run in self.finished:
            given = run.settings
            key = tuple(as_text(given[name]) if name in given else None for name in self.settings)
            seed = "" if self.vectors_given else as_text(given.get(SEED))
            # A search may try the same settings twice, which is one observation.
            members.setdefault(key, {}).setdefault(seed, run)
        groups: dict[str, list[Configuration[R]]] = {}
        for key, by_seed in members.items():
            most = max(run.epochs for run in by_seed.values())
            runs = {seed: run for seed, run in by_seed.items() if run.epochs == most}
            group = self.group(next(iter(runs.values())))
            values = [run.figures[self.objective] for run in runs.values()]
            settings = dict(zip(self.settings, key, strict=True))
            groups.setdefault(group, []).append(Configuration(settings, group, runs, values))
        return {group: self._ranked(some) for group, some in groups.items()}

    def _ranked(self, group: Sequence[Configuration[R]]) -> list[Configuration[R]]:
        """Return the configurations of a group, with `compared_mean` set, from best to worst.

        A group has the configurations that can be compared by the objective, the metric by which
        the sweep ranks. Those trained for more epochs come first. Those trained for equally many
        epochs are ordered by `compared_mean`, their mean objective. If not all of them have the
        same set of seeds, the objectives of the missing runs are estimated and enter the mean: a
        least-squares fit gives an effect of each configuration and of each seed
        (`means_with_equal_seeds`).
        """
        ranked: list[Configuration[R]] = []
        for epochs in sorted({one.epochs for one in group}, reverse=True):
            some = [one for one in group if one.epochs == epochs]
            means = means_with_equal_seeds(
                [dict(zip(one.runs, one.values, strict=True)) for one in some]
            )
            some = [replace(one, compared_mean=mean) for one, mean in zip(some, means, strict=True)]
            ranked += sorted(
                some, key=lambda one: (*nan_last(-self.sign * one.compared_mean), one.name)
            )
        return ranked

    @property
    def unequal_seeds(self) -> bool:
        """Whether some configurations that are ranked together have different sets of seeds.

        Configurations are ranked by a metric, the objective. They are ranked together if they were
        trained for equally many epochs and have equal values of the settings in `compared_within`.
        (Configurations that differ in one of them cannot be compared by the objective.)
        """
        return any(
            len({frozenset(one.runs) for one in ranked if one.epochs == epochs}) > 1
            for ranked in self.ranking.values()
            for epochs in {one.epochs for one in ranked}
        )

    @cached_property
    def judged(self) -> list[Judged]:
        """Significance tests of the differences between configurations (see `Verdicts`).

        A configuration is a combination of settings without the seed. The scores are benchmark
        scores and the objective, the metric by which the sweep ranks. There is one `Judged` for
        each score and each group of two or more configurations that can be compared by the score:
        those with equal values of the settings that `must_agree` names. A configuration is left out
        if another one, with which it can be compared by the objective, was trained for more epochs.

        In a group of up to `MAX_ALL_PAIRS` configurations, all pairs are compared; in a larger one,
        each only with the reference. For the objective, the reference is the best of the group. For
        other scores, it is the first of the group after all configurations are sorted: by the
        objective if it can compare all; else by a benchmark score that can; else as in `ranking`.
        """
        compared = [
            one
            for ranked in self.ranking.values()
            for one in ranked
            if one.epochs == ranked[0].epochs
        ]
        # Configurations are ordered by the objective if it can compare all, else by the first score
        # that can compare all and is finite for all runs; else they keep the order of the ranking.
        names = [MEAN_OF_SETS, *(name for run in self.finished[:1] for name in run.figures)]
        names = [name for name in names if "/" in name and not self.must_agree(name, self.axes)]
        for name in names if self.compared_within else []:
            scores = [
                [run.figures.get(name, math.nan) for run in one.runs.values()] for one in compared
            ]
            means = np.array([np.mean(some) for some in scores])
            if np.isfinite(means).all():
                order = np.argsort(means if self.smaller_is_better(name) else -means, kind="stable")
                compared = [compared[index] for index in order]
                break
        axes = axes_of(self.runs, experiment=False)
        first = {one.name: next(iter(one.runs.values())) for one in compared}

        def group_of(score: str, setting: Setting) -> str:
            settings = first[setting.name].settings
            return " ".join(as_text(settings.get(key)) for key in self.must_agree(score, axes))

        return Verdicts(
            [
                Setting(
                    one.name,
                    {seed: run.figures for seed, run in one.runs.items()},
                    {
                        seed: Path(run.answers)
                        for seed, run in one.runs.items()
                        if run.answers and Path(run.answers).exists()
                    },
                )
                for one in compared
            ],
            self.objective,
            group_of=group_of,
            smaller_is_better=self.smaller_is_better,
            size=self.size,
            fixed=self.vectors_given,
        ).judged

    @property
    def columns(self) -> dict[str, dict[str, str]]:
        """The type of each column of the tables `configurations`, `effects` and `verdicts`.

        The types are ``str``, ``float64`` and ``int64``, as for `w2v.tables.typed_rows`. The keys
        of the outer dict are the names of the tables, those of the inner ones the names of the
        columns.
        """
        numbers = dict.fromkeys(("mean", "low", "high", "difference", "p"), "float64")
        return {
            "configurations": {
                **dict.fromkeys(self.settings, "str"),
                **{"seeds": "int64", **numbers, "verdict": "str"},
                **{"overlap": "float64", "seconds": "float64", "group": "str", "jobs": "str"},
            },
            "effects": {
                **{"setting": "str", "value": "str", "jobs": "int64"},
                **{"mean": "float64", "effect": "float64"},
            },
            "verdicts": COLUMNS,
        }

    @cached_property
    def verdicts(self) -> list[Row]:
        """A table with one row per score and pair of configurations that were compared.

        A row has the difference between their mean scores, its confidence interval, its p-value and
        the verdict, such as ``better`` (`w2v.evaluate.verdicts.COLUMNS`).
        """
        return typed_rows((row for one in self.judged for row in one.rows()), COLUMNS)

    @cached_property
    def configurations(self) -> list[Row]:
        """A table with one row per configuration: group after group, in the order of `ranking`.

        A configuration is a combination of settings without the seed. A group has the
        configurations that can be compared by the objective, the metric by which the sweep ranks.
        The columns are the keys in `settings`, and:

        - ``seeds``: the number of seeds; 1 if the vectors were given, not trained;
        - ``mean``, ``low``, ``high``: the mean objective and its 95 % confidence interval
          (Student's t);
        - ``difference``, ``p``, ``verdict``: the comparison with the best of the group
          (`Difference`). The best has the verdict ``best``, or ``alone`` in a group of one. A
          configuration that was stopped early is not compared; its verdict is ``dropped after ...
          epochs``;
        - ``overlap``: the share of words' nearest neighbors that two of its runs have in common
          (`_overlaps`); only for the best configurations;
        - ``seconds``: the mean training time;
        - ``group``: the group, as `Sweep.group` names it;
        - ``jobs``: the numbers of the runs.
        """
        judged = {one.group: one for one in self.judged if one.score == self.objective}
        rows = []
        for group, ranked in self.ranking.items():
            best = ranked[0]
            for one in ranked:
                low, high = student_interval(one.values) or (None, None)
                row = {
                    **one.settings,
                    "seeds": len(one.runs),
                    **{"mean": one.mean, "low": low, "high": high},
                    "overlap": self._overlaps.get(one.name),
                    "seconds": one.seconds,
                    "group": group,
                    "jobs": " ".join(str(run.number) for run in one.runs.values()),
                }
                if one is best:
                    row |= {"difference": 0.0, "verdict": "best" if len(ranked) > 1 else "alone"}
                elif one.epochs == best.epochs:
                    found = judged[group].against(one.name)
                    row |= {key: getattr(found, key) for key in ("difference", "p", "verdict")}
                else:
                    plural = "s" * (one.epochs > 1)
                    row["verdict"] = f"dropped after {one.epochs} epoch{plural}"
                rows.append(row)
        return typed_rows(rows, self.columns["configurations"])

    @cached_property
    def _overlaps(self) -> dict[str, float | None]:
        """For the best configurations, by name: how alike the vectors of their runs are.

        The value is the share of words' nearest neighbors that two runs of the configuration have
        in common, from 0 to 1, or None if it cannot be computed (`Configuration.overlap`).

        To read all vectors could take minutes, so at most ``MAX_OVERLAP // 2`` configurations are
        included: first the best one of each group in `ranking`, then the second best of each, and
        so on. At least two runs of each are compared, and as many as possible while at most
        `MAX_OVERLAP` files are read in all. Configurations with fewer than two files are left out.
        """
        several = [
            [one for one in ranked if len(one.vectors) > 1] for ranked in self.ranking.values()
        ]
        # To read the vectors of a thousand runs would take minutes: the best of each group first.
        ordered = [one for column in zip_longest(*several) for one in column if one is not None]
        each = max(2, MAX_OVERLAP // max(1, len(ordered)))
        chosen = ordered[: MAX_OVERLAP // 2]
        # Each thread has one set of vectors in memory. More threads of BLAS would slow both down.
        with limited_threads(1), ThreadPoolExecutor(2) as pool:
            shares = pool.map(lambda one: one.overlap(each), chosen)
            return dict(zip((one.name for one in chosen), shares, strict=True))

    @property
    def unbeaten(self) -> set[str]:
        """The names of the configurations on the Pareto front of training time and objective.

        There is one front for each group of configurations that can be compared by the objective:
        those with equal values of the settings in `compared_within`. Configurations without a
        training time are left out.
        """
        found: set[str] = set()
        for ranked in self.ranking.values():
            points = [(one.seconds, one.compared_mean) for one in ranked if one.seconds is not None]
            names = [one.name for one in ranked if one.seconds is not None]
            found.update(names[index] for index in pareto_front(points, self.sign))
        return found

    @cached_property
    def effects(self) -> list[Row]:
        """A table of the main effects on the objective: one row for each value of each setting.

        The objective is the metric by which the sweep compares its runs. Settings that do not vary,
        and those that must be equal for runs to be compared (`compared_within`), have no rows. Runs
        with equal values of `compared_within` form a group. The columns are:

        - ``setting``, ``value``, and ``jobs``, the number of finished runs with this value;
        - ``mean``: the mean objective of these runs; NaN if `compared_within` is not empty;
        - ``effect``: the mean of their centered objectives (the objective of a run minus the mean
          of its group), minus the same mean over all finished runs that have the setting.

        If a setting has more than `MAX_VALUES` different numbers, each row is for a range from one
        quartile to the next. If the sweep stopped worse runs early, only the shortest run of each
        combination of settings is used, because the shortest runs have equally many epochs.
        """
        if self.first is not self:
            return self.first.effects
        rows = []
        for axis in (axis for axis in self.axes if axis not in self.compared_within):
            # A setting that only some choices have is compared among the runs that have it.
            runs = [run for run in self.finished if axis in run.settings]
            center = float(np.mean([self.centered[run.number] for run in runs])) if runs else 0.0
            labels, order = value_labels([run.settings[axis] for run in runs])
            for label in order:
                inside = [run for run, own in zip(runs, labels, strict=True) if own == label]
                mean = np.mean([run.figures[self.objective] for run in inside])
                effect = np.mean([self.centered[run.number] for run in inside]) - center
                shown = None if self.compared_within else mean
                rows.append((axis, label, len(inside), shown, effect))
        return typed_rows(rows, self.columns["effects"])

    @property
    def best(self) -> list[Row]:
        """The rows of the table `configurations` for the best configuration of each group.

        A group has the configurations that can be compared by the objective: those with equal
        values of the settings in `compared_within`. Groups of one configuration are left out,
        unless the sweep has only one configuration.
        """
        rows = self.configurations
        return rows if len(rows) == 1 else [row for row in rows if row["verdict"] == "best"]

    @property
    def best_runs(self) -> list[R]:
        """The best run of the best configuration of each group: one run for each group.

        A group has the configurations that can be compared by the objective: those with equal
        values of the settings in `compared_within`.
        """
        return [
            min(
                best.runs.values(),
                key=lambda run: nan_last(-self.sign * run.figures[self.objective]),
            )
            for best, *_ in self.ranking.values()
        ]


def axes_of(runs: Sequence[Run], experiment: bool = True) -> list[str]:
    """Return the keys of the settings that differ between runs.

    Keys without a dot come first, the seed last. A key such as ``loss.negatives`` is left out if
    its value follows from that of the key before its dot: if all runs with the same ``loss`` have
    the same ``loss.negatives``. If `experiment` is true, a key is also left out if all runs with
    the same value of ``experiment`` have the same value of the key.
    """
    values: dict[str, list[str]] = {}
    for run in runs:
        for key, value in run.settings.items():
            values.setdefault(key, []).append(as_text(value))
    varied = [key for key in values if len(set(values[key])) > 1]
    varied.sort(key=lambda key: (key == SEED, "." in key))
    axes: list[str] = []
    for key in varied:
        choices = (key.partition(".")[0], "experiment" if experiment else "")
        if not any(follows(runs, key, axis) for axis in axes if axis in choices):
            axes.append(key)
    return axes


def follows(runs: Sequence[Run], key: str, choice: str) -> bool:
    """Return whether runs with equal values of `choice` always have equal values of `key`.

    Runs without the setting `key` are left out. A run that never started may lack it, because only
    the settings that were given for it are known.
    """
    known = [run.settings for run in runs if key in run.settings]
    pairs = {(as_text(given.get(choice)), as_text(given[key])) for given in known}
    return len(pairs) == len({value for value, _ in pairs})


def value_labels(values: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Return the label of each value of a setting, and the list of distinct labels.

    If all values are numbers, this list is in ascending order; else it is in order of first
    appearance. If there are more than `MAX_VALUES` different numbers, they are divided at their
    quartiles, and each label is a range. A range without values has no label.
    """
    labels = [as_text(value) for value in values]
    if not values or not all(is_number(value) for value in values):
        return labels, list(dict.fromkeys(labels))
    order = list(dict.fromkeys(as_text(value) for value in sorted(values)))
    if len(order) <= MAX_VALUES:
        return labels, order
    ends = np.unique(np.quantile(values, np.linspace(0, 1, 5)))
    places = np.maximum(np.searchsorted(ends, values) - 1, 0)
    texts = [as_text(end) for end in ends.tolist()]
    short = shortened(texts)
    ranges = [f"{short[a]} to {short[b]}" for a, b in pairwise(texts)]
    return [ranges[place] for place in places], [ranges[place] for place in np.unique(places)]
