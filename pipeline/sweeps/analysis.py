"""What a sweep has shown: its jobs, its configurations over seeds, what each setting does.

A configuration is what its jobs have in common when the seed is set aside. Two configurations
differ beyond the noise of their seeds when Tukey's test says so (Tukey-Kramer where their numbers
of seeds differ): its level holds for all pairs at once, and so for the pairs with the best one,
which was chosen by looking. It takes the spread over seeds to be the same everywhere, and
estimates it from all configurations together, which three seeds alone could not do.
"""

import itertools
import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.config.schema import direction_of
from pipeline.config.values import brief, is_number, shown
from pipeline.sweeps.results import Job
from pipeline.tracking.tracker import NEIGHBOURS
from w2v.vectors import WordVectors

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.runtime.console import Watch

SEED = "seed"
LEVEL = 0.05
"""Of the test: the chance to call any difference real where there is none."""

CHANGES_LOSS = (
    *("loss", "loss.negatives", "loss.exponent"),
    *("model.window", "model.dynamic_window", "model.subsample"),
    *("train.heldout", "train.heldout_seed"),
)
"""Settings that change what a loss is the loss of. Ten noise words are ten
questions and five are five; a wider window asks for words that are farther off."""

CHANGE_LOSS_ALL = ("corpus", "tokenizer", "vocab")
"""Groups of which every setting does."""

CHANGES_SCORE = ("evaluate.oov", "evaluate.vocabulary", "evaluate.compare")
"""Settings that change what is asked of vectors, or how answers are counted."""


def incomparable(objective: str, keys: Iterable[str]) -> list[str]:
    """The settings over which an objective does not compare."""
    if objective.endswith("loss"):
        return [k for k in keys if k in CHANGES_LOSS or k.partition(".")[0] in CHANGE_LOSS_ALL]
    return [key for key in keys if key in CHANGES_SCORE] if "/" in objective else []


def axes_of(jobs: Sequence[Job], experiment: bool = True) -> list[str]:
    """The settings that differ between jobs: choices first, the seed last.

    A setting that follows from the choice of its group is no axis, nor, unless ``experiment`` is
    false, is one that follows from the experiment.
    """
    keys = list(dict.fromkeys(key for job in jobs for key in job.settings))
    values = {
        key: [shown(job.settings[key]) for job in jobs if key in job.settings] for key in keys
    }
    varied = [key for key in keys if len(set(values[key])) > 1]
    varied.sort(key=lambda key: (key == SEED, "." in key))
    axes: list[str] = []
    for key in varied:
        choices = (key.partition(".")[0], "experiment" if experiment else "")
        owners = [axis for axis in axes if axis in choices]
        if not any(follows(jobs, key, owner) for owner in owners):
            axes.append(key)
    return axes


def follows(jobs: Sequence[Job], key: str, owner: str) -> bool:
    """Whether a setting has one value for each value of another."""
    pairs = {(shown(job.settings.get(owner)), shown(job.settings.get(key))) for job in jobs}
    return len(pairs) == len({value for value, _ in pairs})


@dataclass(frozen=True)
class Result:
    """A sweep, judged."""

    objective: str
    jobs: list[Job]

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if direction_of(self.objective) == "maximize" else -1

    @cached_property
    def finished(self) -> list[Job]:
        return [job for job in self.jobs if job.status == "finished"]

    @cached_property
    def axes(self) -> list[str]:
        return axes_of(self.jobs)

    @cached_property
    def compared_within(self) -> list[str]:
        """Settings that differ between jobs and over which the objective does not compare."""
        return incomparable(self.objective, axes_of(self.jobs, experiment=False))

    def group(self, job: Job) -> tuple[str, ...]:
        """Jobs of the same group compare by the objective."""
        return tuple(shown(job.settings.get(key)) for key in self.compared_within)

    @cached_property
    def configurations(self) -> "pd.DataFrame":
        """One row a configuration, best first within each group that compares.

        Returns
        -------
        DataFrame
            The axes but for the seed; ``seeds``; ``mean``, ``low`` and ``high`` (95 %, Student's
            t) of the objective; ``seconds`` of training; ``overlap`` of nearest neighbours
            between seeds; ``difference`` from the best of the group; ``p`` of Tukey's test;
            ``verdict``: ``best``, ``worse``, ``within noise``, ``one seed``, or ``alone`` where
            there is nothing to compare with; ``jobs``.
        """
        return configurations(self)

    @cached_property
    def effects(self) -> "pd.DataFrame":
        """One row a setting's value: what the objective is there, over all else.

        Returns
        -------
        DataFrame
            ``setting``, ``value``, ``jobs``, ``mean`` of the objective (NaN where the jobs do
            not all compare) and ``effect``: the mean of the objective less its mean over the
            jobs that compare with it. A number with many values is cut at its quartiles.
        """
        return effects(self)

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row a job, in their order."""
        import pandas as pd

        rows = [
            {
                "job": job.number,
                "status": job.status,
                **{axis: shown(job.settings[axis]) for axis in self.axes if axis in job.settings},
                **{k: v for k, v in job.figures.items() if k != "seconds"},
                "seconds": job.seconds,
                "cached": job.cached,
                "run_id": job.run_id,
                "reason": job.reason,
            }
            for job in self.jobs
        ]
        table = pd.DataFrame(rows)
        first = ["job", "status", *self.axes]
        first += [self.objective] if self.objective in table and self.objective not in first else []
        last = ["seconds", "cached", "run_id", "reason"]
        other = [c for c in table if c not in first and c not in last]
        kept = [c for c in dict.fromkeys([*first, *other, *last]) if c in table]
        return table[kept].astype({axis: "str" for axis in self.axes if axis in table})

    @property
    def best(self) -> list[dict[str, Any]]:
        """The best configuration of each group that compares, or the only one there is."""
        table = self.configurations
        return records(table if len(table) == 1 else table[table["verdict"] == "best"])


def judge(jobs: Sequence[Job], objective: str) -> Result:
    """Judge jobs by an objective."""
    return Result(objective, list(jobs))


def configurations(result: Result) -> "pd.DataFrame":
    """See `Result.configurations`."""
    import pandas as pd

    axes = [axis for axis in result.axes if axis != SEED]
    members: dict[tuple[str | None, ...], dict[str, Job]] = {}
    for job in result.finished:
        key = tuple(shown(job.settings[a]) if a in job.settings else None for a in axes)
        # a search may try the same job twice; it is one observation
        members.setdefault(key, {}).setdefault(shown(job.settings.get(SEED)), job)
    rows: list[dict[str, Any]] = []
    samples: list[list[float]] = []
    for key, by_seed in members.items():
        jobs = list(by_seed.values())
        values = [job.figures[result.objective] for job in jobs]
        low, high = interval(values)
        seconds = [job.seconds for job in jobs if job.seconds is not None]
        rows.append(
            {
                **dict(zip(axes, key, strict=True)),
                "seeds": len(jobs),
                "mean": float(np.mean(values)),
                "low": low,
                "high": high,
                "seconds": float(np.mean(seconds)) if seconds else None,
                "overlap": overlap([job.vectors for job in jobs if job.vectors]),
                "group": " ".join(result.group(jobs[0])),
                "jobs": " ".join(str(job.number) for job in jobs),
            }
        )
        samples.append(values)
    for group in {row["group"] for row in rows}:
        inside = [i for i, row in enumerate(rows) if row["group"] == group]
        best = max(inside, key=lambda i: result.sign * rows[i]["mean"])
        against = tukey([samples[i] for i in inside], inside.index(best))
        for i, p in zip(inside, against, strict=True):
            rows[i]["difference"] = rows[i]["mean"] - rows[best]["mean"]
            rows[i]["p"] = None if i == best else p
            verdict = "one seed" if p is None else "worse" if p < LEVEL else "within noise"
            rows[i]["verdict"] = ("best" if len(inside) > 1 else "alone") if i == best else verdict
    rows.sort(key=lambda row: (row["group"], -result.sign * row["mean"]))
    columns = [*axes, "seeds", "mean", "low", "high", "difference", "p", "verdict"]
    columns += ["overlap", "seconds", "group", "jobs"]
    table = pd.DataFrame(rows, columns=columns)
    numbers = ("mean", "low", "high", "difference", "p", "overlap", "seconds")
    return table.astype(dict.fromkeys(numbers, "float64"))


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The 95 % interval of a mean by Student's t; none for a single value."""
    from scipy import stats

    if len(values) < 2:
        return None, None
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def tukey(samples: Sequence[Sequence[float]], best: int) -> list[float | None]:
    """p of the difference of each sample from that one, by Tukey's test over all pairs.

    ``None`` where a sample has one value, or the best one has.
    """
    from scipy import stats

    several = [i for i, sample in enumerate(samples) if len(sample) > 1]
    found: list[float | None] = [None] * len(samples)
    if best not in several:
        return found
    if all(len(set(samples[i])) == 1 for i in several):  # no noise at all
        return [
            float(samples[i][0] == samples[best][0]) if i in several else None
            for i in range(len(samples))
        ]
    # scipy.stats.tukey_hsd integrates for every pair of samples; only those with the best count
    groups = [np.asarray(samples[i], dtype=np.float64) for i in several]
    freedom = sum(len(group) - 1 for group in groups)
    spread = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom
    one = np.asarray(samples[best], dtype=np.float64)
    for i, group in zip(several, groups, strict=True):
        error = math.sqrt(spread / 2 * (1 / len(group) + 1 / len(one)))
        q = abs(float(group.mean() - one.mean())) / error
        found[i] = float(stats.studentized_range.sf(q, len(groups), freedom)) if q > 0 else 1.0
    return found


NEAREST = 10
QUERIES = 500
CANDIDATES = 30_000


def overlap(paths: Sequence[str]) -> float | None:
    """Share of ten nearest neighbours that two seeds agree on, over all pairs of seeds.

    Of the 500 most frequent words, among the 30,000 most frequent (Wendlandt et al. 2018).
    ``None`` for fewer than two, or for vocabularies that differ.
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
        unit = np.asarray(vectors.unit[:CANDIDATES])
        cosines = unit[:QUERIES] @ unit.T
        rows = np.arange(len(cosines))
        cosines[rows, rows] = -np.inf
        k = min(NEAREST, len(unit) - 1)
        found.append(np.argpartition(-cosines, k - 1, axis=1)[:, :k])
    shares = [
        len(set(a) & set(b)) / len(a)
        for one, other in itertools.combinations(found, 2)
        for a, b in zip(one.tolist(), other.tolist(), strict=True)
    ]
    return float(np.mean(shares))


MANY = 6
"""A number with more values than that is cut at its quartiles."""


def centred(result: Result) -> dict[int, float]:
    """The objective of each finished job, less its mean among the jobs that compare with it."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for job in result.finished:
        groups.setdefault(result.group(job), []).append(job.figures[result.objective])
    return {
        job.number: job.figures[result.objective] - float(np.mean(groups[result.group(job)]))
        for job in result.finished
    }


def effects(result: Result) -> "pd.DataFrame":
    """See `Result.effects`."""
    import pandas as pd

    y = centred(result)
    rows: list[dict[str, Any]] = []
    for axis in result.axes:
        if axis in result.compared_within:
            continue
        jobs = [job for job in result.finished if axis in job.settings]
        # A setting that only some choices have is judged among the jobs that have it.
        centre = float(np.mean([y[job.number] for job in jobs])) if jobs else 0.0
        values = [job.settings[axis] for job in jobs]
        labels = [shown(value) for value in values]
        order = list(dict.fromkeys(labels))
        if values and all(is_number(value) for value in values):
            order = list(dict.fromkeys(shown(value) for value in sorted(values)))
            if len(order) > MANY:
                cuts = pd.qcut(pd.Series(values, dtype="float64"), 4, duplicates="drop")
                ends = brief(
                    shown(end) for cut in cuts.cat.categories for end in (cut.left, cut.right)
                )
                told = {
                    c: f"{ends[shown(c.left)]} to {ends[shown(c.right)]}"
                    for c in cuts.cat.categories
                }
                labels, order = [told[cut] for cut in cuts], list(told.values())
        for label in order:
            inside = [job for job, own in zip(jobs, labels, strict=True) if own == label]
            raw = [job.figures[result.objective] for job in inside]
            rows.append(
                {
                    "setting": axis,
                    "value": label,
                    "jobs": len(inside),
                    "mean": None if result.compared_within else float(np.mean(raw)),
                    "effect": float(np.mean([y[job.number] for job in inside])) - centre,
                }
            )
    columns = ["setting", "value", "jobs", "mean", "effect"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"mean": "float64", "effect": "float64", "value": "str"})


# Writing and showing.


def write(folder: Path, result: Result, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the tables, the plots and ``summary.json`` of a sweep; returns the summary."""
    from pipeline.sweeps import plots as sweep_plots

    tables = {"jobs": result.table, "configurations": result.configurations}
    tables["effects"] = result.effects
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        table.to_parquet(folder / f"{name}.parquet", index=False)
    best = [job for row in result.best for job in result.finished if job.number == first_of(row)]
    if best and best[0].neighbours and Path(best[0].neighbours).exists():
        shutil.copyfile(best[0].neighbours, folder / NEIGHBOURS)
    sweep_plots.draw(folder, result)
    counts: dict[str, int] = {}
    for job in result.jobs:
        counts[job.status] = counts.get(job.status, 0) + 1
    summary = {
        **facts,
        "objective": result.objective,
        "direction": direction_of(result.objective),
        "axes": result.axes,
        "compared_within": result.compared_within,
        "counts": counts,
        "trained": sum(job.cached is False for job in result.jobs),
        "best": result.best,
        "configurations": records(result.configurations),
        "effects": records(result.effects),
        "jobs": records(result.table),
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
    aside = folder / ".summary.json.part"
    aside.write_text(text + "\n", encoding="utf-8")
    aside.replace(folder / "summary.json")
    return summary


def first_of(configuration: Mapping[str, Any]) -> int:
    """The number of the first job of a configuration's row."""
    return int(configuration["jobs"].split()[0])


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table, JSON-able."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def markdown(result: Result, summary: Mapping[str, Any]) -> str:
    """What the tracked run of a sweep says of itself, in Markdown."""
    lines = [f"`{summary['command']}`", "", f"By {result.objective}; {NOTE}", ""]
    lines += [f"- {line}" for line in advice(result)] + [""]
    axes = [axis for axis in result.axes if axis != SEED]
    head = [*axes, "mean", "95 % interval", "seeds", "verdict"]
    lines += [" | ".join(head), " | ".join("---" for _ in head)]
    rows = summary["configurations"][:40]
    short = {axis: brief(shown(row[axis]) for row in rows) for axis in axes}
    for row in rows:
        spread = "–" if row["low"] is None else f"{row['low']:.4f} … {row['high']:.4f}"
        cells = [short[axis][shown(row[axis])] for axis in axes]
        cells += [f"{row['mean']:.4f}", spread, str(row["seeds"]), row["verdict"]]
        lines.append(" | ".join(cell.replace("|", "\\|") for cell in cells))
    failed = failures(result.jobs)
    lines += [""] * bool(failed)
    lines += [f"- {', '.join(numbers)} {reason}" for reason, numbers in failed.items()]
    return "\n".join(lines)


QUICKER = 0.8
"""Of the best one's seconds of training: what takes less is worth a line; timings have noise."""


def advice(result: Result) -> list[str]:
    """What follows from the verdicts, in sentences."""
    from pipeline.runtime.console import duration

    lines = []
    axes = [axis for axis in result.axes if axis != SEED]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in records(result.configurations):
        groups.setdefault(row["group"], []).append(row)
    for best, *others in groups.values():
        near = [row for row in others if row["verdict"] == "within noise" and row["seconds"]]
        quick = min(near, key=lambda row: float(row["seconds"]), default=best)
        if best["seconds"] and quick["seconds"] < QUICKER * best["seconds"]:
            told = " ".join(
                f"{axis}={'null' if quick[axis] == shown(None) else quick[axis]}"
                for axis in axes
                if quick[axis] is not None
            )
            lines.append(
                f"quickest within noise of the best: {told} "
                f"({duration(quick['seconds'])} of training against {duration(best['seconds'])})"
            )
    parts = result.objective.split("/")
    key = "/".join((*parts[:-1], "coverage"))
    shares = {job.figures[key] for job in result.finished if key in job.figures}
    counted = all(job.settings.get("evaluate.oov") == "zero" for job in result.finished)
    if len(parts) == 3 and len(shares) > 1 and not counted and result.objective != key:
        lines.append(
            f"not all are asked the same: their words cover {min(shares):.0%} to {max(shares):.0%} "
            f"of {parts[1]}; evaluate.oov=zero counts what has unknown words, too"
        )
    return lines


NOTE = (
    "worse: beyond the noise of the seeds (Tukey's test over all pairs, 5 %); "
    "within noise: not told from the best."
)


def show(watch: "Watch", result: Result, summary: Mapping[str, Any]) -> None:
    """Print what a person needs to choose."""
    axes = [axis for axis in result.axes if axis != SEED]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in summary["configurations"]:
        groups.setdefault(row["group"], []).append(row)
    if groups:
        watch.configurations(result.objective, axes, groups, result.compared_within)
        verdicts = {row["verdict"] for row in summary["configurations"]}
        if verdicts & {"worse", "within noise"}:
            watch.say(NOTE)
        if "one seed" in verdicts:
            watch.say(SEARCHED if summary["search"] else ONE_SEED)
        if verdicts == {"alone"} and len(groups) > 1:
            watch.say(LONE)
    moved = [setting for setting in result.effects["setting"].unique() if setting != SEED]
    spans = {name: np.ptp(result.effects.query("setting == @name")["effect"]) for name in moved}
    if spans:
        ranked = sorted(spans, key=lambda name: -spans[name])
        said = ", ".join(f"{name} by {spans[name]:.4f}" for name in ranked)
        watch.say(f"what moves {result.objective}, from its lowest mean to its highest: {said}")
    for line in advice(result):
        watch.say(line)
    for reason, numbers in failures(result.jobs).items():
        watch.say(f"job{'s' * (len(numbers) > 1)} {', '.join(numbers)} {reason}", "red")
    counts = ", ".join(f"{n} {status}" for status, n in summary["counts"].items())
    trained, seconds = summary["trained"], summary["seconds"]
    watch.say(f"{counts or 'no jobs'}; {trained} trained now, {seconds:.0f} s in all")
    watch.say(f"sweep     {summary['sweep_dir']}")


def failures(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """The numbers of the jobs that did not finish, by status and reason."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        if job.status != "finished":
            found.setdefault(f"{job.status}: {job.reason}", []).append(str(job.number))
    return found


LONE = (
    "These losses answer different questions, so no two of them compare. Compare by a score: "
    "search.objective=similarity/wordsim353/spearman"
)
ONE_SEED = "One seed each: add 'seed=range(3)' to learn which differences are more than chance."
SEARCHED = (
    "One seed each, and the best of many is a lucky one: give its settings again with -m and "
    "'seed=range(3)' to learn what it is worth."
)
