"""Read and write the files by which a sweep and its jobs communicate.

A sweep's folder has ``sweep.json``, which its jobs read. The sweep creates the file ``stop`` there
to stop jobs in other processes. A job's folder has ``job.json``, later ``summary.json``, and, if it
failed, ``failure.json``. While a sweep or a job runs, it locks the file ``.lock`` in its folder.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.values import NOT_IDENTITY, flatten
from pipeline.sweeps.objective import figures_of
from pipeline.sweeps.overrides import override_values
from w2v.evaluate.answers import ANSWERS
from w2v.evaluate.sweep import Run
from w2v.files import json_page, written_aside
from w2v.report.evaluation import NEIGHBOURS

SWEEP, JOB, FAILURE, LOCK, STOP = "sweep.json", "job.json", "failure.json", ".lock", "stop"


@dataclass(frozen=True, kw_only=True)
class Job(Run):
    """One job of a sweep, as read from the files in its folder.

    ``settings`` has the values of all settings and the choice of each config group. ``epochs`` is 0
    or, in successive halving, the number of epochs after which the job's round ends (`result_of`).
    """

    status: str  # finished, refused, crashed, killed or missing (never started)
    reason: str | None  # of a failure
    cached: bool | None  # whether the training is from the cache
    run_id: str | None
    neighbours: str | None = None  # the file of the table of neighbors


def read_jobs(folder: Path, planned: Sequence[Sequence[str]]) -> list[Job]:
    """Read all jobs of a sweep from its folder; `planned` has the overrides of each job."""
    numbers = {int(path.parent.name) for path in folder.glob(f"[0-9]*/{JOB}")}
    return [
        read_job(folder / str(number), planned[number] if number < len(planned) else ())
        for number in sorted(numbers | set(range(len(planned))))
    ]


def read_job(folder: Path, planned: Sequence[str]) -> Job:
    """Read one job from its folder; `planned` are its overrides, used if it never started."""
    job, failure = read_json(folder / JOB), read_json(folder / FAILURE)
    summary = read_json(folder / "summary.json")
    status: str = "missing"
    reason: str | None = "the sweep ended before it"
    config = summary.get("config")
    if resolved := flatten(config, NOT_IDENTITY) if config else job.get("settings"):
        settings = resolved | job["choices"]
    else:  # a job that failed before its settings were resolved has only its overrides to show
        settings = job.get("choices", {}) | override_values(job.get("overrides", planned))
    if job:
        status, reason = "killed", "its process ended without a word"
        if job.get("finished"):
            status, reason = "finished", None
    if failure:
        status, reason = failure["kind"], failure["reason"]
    stages, train = summary.get("stages", {}), summary.get("train", {})
    evaluated = stages.get("evaluate", {}).get("path")
    return Job(
        number=int(folder.name),
        status=status,
        finished=status == "finished",
        reason=reason,
        settings=settings,
        figures=figures_of(summary),
        seconds=train.get("seconds"),
        cached=stages.get("train", failure).get("cached"),
        run_id=summary.get("mlflow_run_id"),
        vectors=summary.get("files", {}).get("vectors") if train else None,
        neighbours=evaluated and str(Path(evaluated) / NEIGHBOURS),
        answers=evaluated and str(Path(evaluated) / ANSWERS),
    )


def has_ended(folder: Path) -> bool:
    """Return whether the files in a job's folder say that it has finished or failed."""
    return (folder / FAILURE).exists() or bool(read_json(folder / JOB).get("finished"))


def write_failure(folder: Path, kind: str, reason: str, cached: bool | None = None) -> None:
    """Save why a job failed; `kind` is ``refused`` (invalid input), ``crashed`` or ``killed``.

    ``cached`` is whether its training is from the cache; ``None`` if unknown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FAILURE, {"kind": kind, "reason": reason, "cached": cached})


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; return an empty dictionary if the file does not exist."""
    content: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object to a file atomically."""
    with written_aside(path) as aside:
        aside.write_text(json_page(dict(content)) + "\n", encoding="utf-8")
