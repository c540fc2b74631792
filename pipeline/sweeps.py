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

from pipeline.config import Config, direction_of
from pipeline.tracking import NEIGHBOURS
from w2v.errors import InputError
from w2v.vectors import WordVectors

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.console import Watch

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


@dataclass(frozen=True)
class Job:
    """One job of a sweep, however it ended.

    Attributes
    ----------
    status
        ``finished``; ``refused`` for its settings or input; ``crashed``; ``killed`` with its
        process; ``missing`` where it never started.
    reason
        Why it did not finish.
    settings
        Choices of groups and values, flat.
    figures
        Losses and scores.
    seconds
        Of its training, now or when the cache was filled.
    vectors, neighbours
        The files of its vectors and of its table of neighbours.
    """

    number: int
    status: str
    reason: str | None
    settings: dict[str, Any]
    figures: dict[str, float]
    seconds: float | None
    cached: bool | None
    run_id: str | None
    vectors: str | None
    neighbours: str | None = None


# Jobs, from the files that they left.


def read_jobs(folder: Path, plan: Sequence[Sequence[str]]) -> list[Job]:
    """The jobs of a sweep's folder, and those of its plan that never started."""
    numbers = {int(path.parent.name) for path in folder.glob("[0-9]*/job.json")}
    return [
        read_job(folder / str(number), plan[number] if number < len(plan) else ())
        for number in sorted(numbers | set(range(len(plan))))
    ]


def read_job(folder: Path, planned: Sequence[str]) -> Job:
    """The job of a folder."""
    settings: dict[str, Any] = dict(text.split("=", 1) for text in planned)
    status, reason, summary = "missing", "the sweep ended before it", None
    if (folder / "job.json").exists():
        job = json.loads((folder / "job.json").read_bytes())
        given = dict(text.lstrip("+").split("=", 1) for text in job["overrides"] if "=" in text)
        settings = job["settings"] | job["choices"] if job["settings"] else job["choices"] | given
        status, reason = "killed", "its process ended without a word"
        if job.get("finished"):
            status = "finished"
    if (folder / "failure.json").exists():
        failure = json.loads((folder / "failure.json").read_bytes())
        status, reason = failure["kind"], failure["reason"]
    if (folder / "summary.json").exists():
        summary = json.loads((folder / "summary.json").read_bytes())
    found = summary or {}
    train = found.get("train", {})
    judged = found.get("stages", {}).get("evaluate", {}).get("path")
    return Job(
        number=int(folder.name),
        status=status,
        reason=None if status == "finished" else reason,
        settings=settings,
        figures=figures_of(found),
        seconds=train.get("seconds"),
        cached=found.get("stages", {}).get("train", {}).get("cached"),
        run_id=found.get("mlflow_run_id"),
        vectors=found.get("files", {}).get("vectors"),
        neighbours=judged and str(Path(judged) / NEIGHBOURS),
    )


def figures_of(summary: Mapping[str, Any]) -> dict[str, float]:
    """What a search can have for its objective, by name."""
    from pipeline.experiment import flat_scores

    figures: dict[str, float | None] = {}
    if "train" in summary:
        train = summary["train"]
        final = train["epochs"][-1]
        figures = {name: final[name] for name in ("heldout_loss", "loss")}
        figures |= {name: train[name] for name in ("words_per_second", "seconds")}
    if "evaluate" in summary:
        figures |= flat_scores(summary["evaluate"])
    return {name: float(value) for name, value in figures.items() if value is not None}


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings that make a job what it is: ``{"model.dim": 100, ...}``."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if not prefix and key in ("tracking", "outputs", "search", "experiment"):
            continue
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def check_objective(config: Config, objective: str) -> None:
    """Refuse, before the work, an objective that it will not give.

    Raises
    ------
    InputError
        Nothing is held out, or the stage that gives the figure is left out.
    """
    if objective == "heldout_loss" and config.train.heldout == 0:
        raise InputError(
            "search.objective=heldout_loss: train.heldout=0 holds nothing out; "
            "raise it, or search by another figure"
        )
    stage = "evaluate" if "/" in objective else "train"
    if stage not in config.stages and (stage == "evaluate" or "evaluate" not in config.stages):
        raise InputError(f"search.objective={objective}: add {stage} to stages={config.stages}")


def reason_of(error: BaseException) -> str:
    """One line for what was raised; its type too, unless it is a refusal."""
    line = " ".join(str(error).split())[:500]
    if isinstance(error, InputError):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


# Judging.


def incomparable(objective: str, keys: Iterable[str]) -> list[str]:
    """The settings over which an objective does not compare."""
    if not objective.endswith("loss"):
        return []
    return [key for key in keys if key in CHANGES_LOSS or key.partition(".")[0] in CHANGE_LOSS_ALL]


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


def shown(value: Any) -> str:
    """A value as a table shows it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)


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
        kept = [c for c in [*first, *other, *last] if c in table]
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
        values = [job.settings[axis] for job in jobs]
        labels = [shown(value) for value in values]
        order = list(dict.fromkeys(labels))
        if values and all(is_number(value) for value in values):
            order = list(dict.fromkeys(shown(value) for value in sorted(values)))
            if len(order) > MANY:
                cuts = pd.qcut(pd.Series(values, dtype="float64"), 4, duplicates="drop")
                labels = [f"{shown(cut.left)} to {shown(cut.right)}" for cut in cuts]
                order = [f"{shown(c.left)} to {shown(c.right)}" for c in cuts.cat.categories]
        for label in order:
            inside = [job for job, own in zip(jobs, labels, strict=True) if own == label]
            raw = [job.figures[result.objective] for job in inside]
            rows.append(
                {
                    "setting": axis,
                    "value": label,
                    "jobs": len(inside),
                    "mean": None if result.compared_within else float(np.mean(raw)),
                    "effect": float(np.mean([y[job.number] for job in inside])),
                }
            )
    columns = ["setting", "value", "jobs", "mean", "effect"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"mean": "float64", "effect": "float64", "value": "str"})


def is_number(value: Any) -> bool:
    """Whether a setting's value can be placed on an axis by its size."""
    return isinstance(value, int | float) and not isinstance(value, bool)


# Writing and showing.


def write(folder: Path, result: Result, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the tables, the plots and ``summary.json`` of a sweep; returns the summary."""
    from pipeline import sweep_plots

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
    axes = [axis for axis in result.axes if axis != SEED]
    head = [*axes, "mean", "95 % interval", "seeds", "verdict"]
    lines += [" | ".join(head), " | ".join("---" for _ in head)]
    for row in summary["configurations"][:40]:
        spread = "–" if row["low"] is None else f"{row['low']:.4f} … {row['high']:.4f}"
        cells = [shown(row[axis]) for axis in axes]
        cells += [f"{row['mean']:.4f}", spread, str(row["seeds"]), row["verdict"]]
        lines.append(" | ".join(cell.replace("|", "\\|") for cell in cells))
    failed = failures(result.jobs)
    lines += [""] * bool(failed)
    lines += [f"- {', '.join(numbers)} {reason}" for reason, numbers in failed.items()]
    return "\n".join(lines)


NOTE = (
    "«worse» is beyond the noise of the seeds (Tukey's test over all pairs, 5 %), "
    "«within noise» is not."
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
            watch.say(ONE_SEED)
        if verdicts == {"alone"} and len(groups) > 1:
            watch.say(LONE)
    moved = [setting for setting in result.effects["setting"].unique() if setting != SEED]
    spans = {name: np.ptp(result.effects.query("setting == @name")["effect"]) for name in moved}
    if spans:
        ranked = sorted(spans, key=lambda name: -spans[name])
        said = ", ".join(f"{name} by {spans[name]:.4f}" for name in ranked)
        watch.say(f"what moves {result.objective}, from its lowest mean to its highest: {said}")
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
