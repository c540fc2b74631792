"""The jobs of a sweep: what each was, and what came of it, from the files that it left."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.schema import Config
from pipeline.tracking.tracker import NEIGHBOURS
from w2v.engines import WITHOUT_LOSS
from w2v.errors import InputError


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


def read_jobs(folder: Path, plan: Sequence[Mapping[str, Any]]) -> list[Job]:
    """The jobs of a sweep's folder, and those of its plan, by what each sets, that never began."""
    numbers = {int(path.parent.name) for path in folder.glob("[0-9]*/job.json")}
    return [
        read_job(folder / str(number), plan[number] if number < len(plan) else {})
        for number in sorted(numbers | set(range(len(plan))))
    ]


def read_job(folder: Path, planned: Mapping[str, Any]) -> Job:
    """The job of a folder."""
    settings = dict(planned)
    status, reason, summary = "missing", "the sweep ended before it", None
    if (folder / "job.json").exists():
        job = json.loads((folder / "job.json").read_bytes())
        # Without settings, it ended before they were resolved: what it was given stands for them.
        settings = (
            job["settings"] | job["choices"] if job["settings"] else job["choices"] | job["given"]
        )
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
        vectors=found.get("files", {}).get("vectors") if train else None,
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


def check_objective(config: Config, objective: str) -> None:
    """Refuse, before the work, an objective that it will not give.

    Raises
    ------
    InputError
        No figure of that name, nothing is held out, or the stage that gives the figure is left
        out.
    """
    if objective == "heldout_loss" and config.train.heldout == 0:
        raise InputError(
            "search.objective=heldout_loss: train.heldout=0 holds nothing out; "
            "raise it, or search by another figure"
        )
    stage = "evaluate" if "/" in objective else "train"
    if stage not in config.stages and (stage == "evaluate" or "evaluate" not in config.stages):
        raise InputError(f"search.objective={objective}: add {stage} to stages={config.stages}")
    known = objectives(config)
    if objective not in known:
        near = difflib.get_close_matches(objective, known, 1, 0.8)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise InputError(f"search.objective={objective}: no such figure here; {hint}")


def objectives(config: Config) -> list[str]:
    """The figures that `figures_of` can find after such a run."""
    from pipeline.experiment import FIGURES

    names: list[str] = []
    judged = config.evaluate
    if judged.vectors is None:
        names += ["heldout_loss", "loss", "words_per_second", "seconds"]
        if config.engine.name in WITHOUT_LOSS:
            names.remove("loss")
    for kind, benchmarks in (("similarity", judged.similarity), ("analogy", judged.analogy)):
        given = [name for name, path in benchmarks.items() if path is not None]
        names += [f"{kind}/{name}/{figure}" for name in given for figure in FIGURES[kind]]
    return [*names, "stability/overlap"] if judged.compare else names


def reason_of(error: BaseException) -> str:
    """One line for what was raised; its type too, unless it is a refusal."""
    line = " ".join(str(error).split())[:500]
    if isinstance(error, InputError):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
