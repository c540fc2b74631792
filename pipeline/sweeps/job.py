"""Run one job of a sweep: what it knows about the sweep, and how its end is written down."""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from pipeline.config import schema
from pipeline.config.settings import Config
from pipeline.config.values import NOT_IDENTITY, flatten, short_names
from pipeline.sweeps.objective import check_objective, figures_of
from pipeline.sweeps.overrides import keys_and_texts, override_values
from pipeline.sweeps.results import (
    FAILURE,
    JOB,
    LOCK,
    SWEEP,
    failure_reason,
    read_json,
    write_json,
)
from w2v.errors import InputError, sanitize

log = logging.getLogger("pipeline")


@dataclass(frozen=True)
class JobContext:
    """What a job knows about itself and its sweep.

    Attributes
    ----------
    folder
        The folder of the job.
    overrides
        The overrides of this job.
    choices
        The choice of each group, such as ``{"loss": "softmax"}``.
    varied
        The keys that the sweep varies.
    parent
        The id of the tracked run of the sweep.
    objective
        The figure that the sweep compares.
    cores
        How many cores the job may use; ``None`` for all that its process has.
    parallel
        Whether other jobs run at the same time.
    """

    folder: Path
    number: int
    overrides: list[str]
    choices: dict[str, str]
    varied: list[str]
    parent: str | None
    objective: str
    cores: int | None
    parallel: bool

    @property
    def varied_overrides(self) -> list[str]:
        """Return the overrides that tell this job from the others, or all if none is varied."""
        varied = [text for text in self.overrides if text.partition("=")[0] in self.varied]
        return varied or self.overrides

    @property
    def label(self) -> str:
        """Return these overrides in one line."""
        return " ".join(self.varied_overrides)

    @property
    def name(self) -> str:
        """Return a name for lists of runs: these overrides, without groups where possible."""
        pairs = list(keys_and_texts(self.varied_overrides))
        short = short_names([key for key, _ in pairs])
        return " ".join(f"{short[key]}={value}" for key, value in pairs)

    def objective_value(self, summary: dict[str, Any]) -> float:
        """Return the objective of a run from its summary.

        Raises
        ------
        InputError
            The run has no such figure.
        """
        figures = figures_of(summary)
        if self.objective not in figures:
            raise InputError(
                f"search.objective={self.objective}: this job has no such figure; "
                f"it has {', '.join(sorted(figures))}"
            )
        return figures[self.objective]


def job_context() -> JobContext | None:
    """Return the context of the job that Hydra runs in this process; ``None`` for a single run.

    Raises
    ------
    InputError
        The sweep was started by a sweeper of Hydra's that does not open it.
    """
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return None
    sweep = read_json(Path(hydra.sweep.dir) / SWEEP)
    choices = OmegaConf.to_container(hydra.runtime.choices)
    assert isinstance(choices, dict)
    if not sweep:
        raise InputError(
            f"hydra/sweeper={choices['hydra/sweeper']}: cannot be used here; "
            "choose search=grid or search=optuna"
        )
    return JobContext(
        folder=Path(hydra.runtime.output_dir),
        number=int(hydra.job.num),
        overrides=list(hydra.overrides.task),
        choices={
            str(group): str(choice)
            for group, choice in choices.items()
            if choice is not None and not str(group).startswith("hydra/")
        },
        varied=sweep["swept"],
        parent=sweep["mlflow_run_id"],
        objective=sweep["objective"],
        cores=sweep["cores"],
        parallel=sweep["parallel"],
    )


def run_job(
    context: JobContext,
    composed: DictConfig,
    run: Callable[[Config, JobContext], dict[str, Any]],
) -> float | None:
    """Run one job; an error is written down and does not stop the other jobs.

    Parameters
    ----------
    composed
        The configuration of the job, as Hydra composed it.
    run
        Runs the experiment and returns its summary.

    Returns
    -------
    float or None
        The objective, which a search reads; ``None`` for a job that failed.
    """
    with FileLock(context.folder / LOCK):
        job: dict[str, Any] = {
            "number": context.number,
            "overrides": context.overrides,
            "given": override_values(context.overrides),
            "choices": context.choices,
            "settings": {},
        }
        write_json(context.folder / JOB, job)
        try:
            config = schema.resolve(composed)
            job["settings"] = flatten(asdict(config), NOT_IDENTITY)
            write_json(context.folder / JOB, job)
            check_objective(config, context.objective)
            started = time.time()
            summary = run(config, context)
            value = context.objective_value(summary)
            write_json(context.folder / JOB, {**job, "finished": True})
        except (KeyboardInterrupt, SystemExit):
            write_failure(context.folder, "killed", "it was interrupted")
            raise
        except Exception as error:
            kind = "refused" if isinstance(error, InputError) else "crashed"
            log.error("%s", error, exc_info=kind == "crashed")
            reason = failure_reason(error)
            write_failure(context.folder, kind, reason)
            line = sanitize(
                f"error: job {context.number} ({context.label}): {reason}", terminal=True
            )
            print(line, file=sys.stderr, flush=True)
            return None
        train = summary["stages"].get("train", {})
        how = "from the cache" if train.get("cached") else f"{time.time() - started:.1f} s"
        line = f"job {context.number}  {context.label}  {context.objective} {value:.4f}  ({how})"
        print(sanitize(line, terminal=True), flush=True)
        return value


def write_failure(folder: Path, kind: str, reason: str) -> None:
    """Write down how a job failed: ``refused``, ``crashed`` or ``killed``, and why."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FAILURE, {"kind": kind, "reason": reason})
