"""Read and write the files by which a sweep and its jobs exchange information.

The processes of a sweep learn about one another through files only, so that every launcher works:
``sweep.json`` in the folder of the sweep, and in the folder of each job ``job.json`` (its settings
until ``summary.json`` has them and, in the end, that it finished) or ``failure.json`` (why it did
not). While a process lives, it holds a lock on ``.lock`` in its folder; the system releases it even
after ``kill -9``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.values import NOT_IDENTITY, flatten
from pipeline.stages.tables import NEIGHBOURS
from pipeline.sweeps.objective import figures_of
from pipeline.sweeps.overrides import override_values
from w2v.errors import InputError
from w2v.evaluate.answers import ANSWERS
from w2v.files import written_aside

SWEEP, JOB, FAILURE, LOCK = "sweep.json", "job.json", "failure.json", ".lock"


@dataclass(frozen=True)
class Job:
    """One job of a sweep, as its files describe it.

    ``status`` is ``finished``; ``refused`` for its settings or input; ``crashed``; ``killed`` with
    its process; or ``missing`` if the job never started. ``settings`` holds the settings by dotted
    key, and the choices of config groups by group; ``figures`` are the metrics. ``seconds`` were
    spent on training, now or when the cache was filled. ``vectors``, ``neighbours`` and ``answers``
    are paths. ``epochs`` are those that successive halving let it train; ``None`` in other sweeps.
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
    answers: str | None = None
    epochs: int | None = None


def read_jobs(folder: Path, planned: Sequence[Sequence[str]]) -> list[Job]:
    """Read all jobs of a sweep from its folder.

    `planned` holds the overrides of each job; a job that never started is known from there only.
    """
    numbers = {int(path.parent.name) for path in folder.glob(f"[0-9]*/{JOB}")}
    return [
        read_job(folder / str(number), planned[number] if number < len(planned) else ())
        for number in sorted(numbers | set(range(len(planned))))
    ]


def read_job(folder: Path, planned: Sequence[str]) -> Job:
    """Read one job from its folder; `planned` are its overrides, in case it never started."""
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
    """Return whether a job has ended, finished or not, by the files in its folder."""
    return (folder / FAILURE).exists() or bool(read_json(folder / JOB).get("finished"))


def write_failure(folder: Path, kind: str, reason: str, cached: bool | None = None) -> None:
    """Record how a job failed: ``refused``, ``crashed`` or ``killed``, and why.

    ``cached`` is whether its training came from the cache; None if it failed before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FAILURE, {"kind": kind, "reason": reason, "cached": cached})


def failure_reason(error: BaseException) -> str:
    """Describe an exception in one line, with its type unless it is an `InputError`."""
    line = " ".join(str(error).split())[:500]
    if isinstance(error, InputError):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a file that does not exist reads as an empty one."""
    content: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object atomically: a reader never sees half of the file."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    with written_aside(path) as aside:
        aside.write_text(text + "\n", encoding="utf-8")
