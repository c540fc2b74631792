"""Run one job of a sweep, and write how it ended into files of its folder."""

import functools
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.core import utils
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, open_dict

from pipeline.cache.store import Entry
from pipeline.config import schema
from pipeline.config.settings import Config
from pipeline.config.values import NOT_IDENTITY, flatten
from pipeline.runtime.startup import collect_rarely
from pipeline.sweeps.objective import check_objective, objective_value
from pipeline.sweeps.overrides import keys_and_texts
from pipeline.sweeps.results import (
    FAILURE,
    JOB,
    LOCK,
    STOP,
    SWEEP,
    read_json,
    write_failure,
    write_json,
)
from pipeline.tracking import SharedStore
from w2v.errors import InputError, failure_reason, sanitize
from w2v.labels import short_names

log = logging.getLogger("pipeline")


def pickled(arguments: dict[str, Any]) -> bytes:
    """Pickle Hydra's state and a launcher's ``setup`` arguments, which `prepare_process` loads."""
    import cloudpickle  # pickles also what ``__main__`` defines

    return bytes(cloudpickle.dumps((Singleton.get_state(), arguments)))


@functools.cache
def prepare_process(shared: bytes) -> dict[str, Any]:
    """Restore Hydra's state in this worker process; return the launcher's ``setup`` arguments.

    `shared` has the state and the arguments, as `pickled` saved them. Later calls with equal bytes
    only return the arguments. If this is a child process of `multiprocessing`, the first call also
    starts a thread, which ends the process once its parent has ended.
    """
    collect_rarely()
    state, arguments = pickle.loads(shared)
    utils.setup_globals()
    Singleton.set_state(state)
    if main := multiprocessing.parent_process():  # after its kill -9, joblib would wait forever
        threading.Thread(target=end_after, args=[main], daemon=True).start()
    return dict(arguments)


def end_after(process: multiprocessing.process.BaseProcess) -> None:
    """Wait until `process`, the parent of this worker process, has ended; then end this one."""
    process.join()
    os.kill(os.getpid(), signal.SIGTERM)


def run_in_process(shared: bytes, number: int, overrides: Sequence[str]) -> utils.JobReturn:
    """Run job `number` in this worker process; `shared` has Hydra's state, saved by `pickled`."""
    return run_composed(prepare_process(shared), number, overrides)


def run_stoppable(run: TaskFunction, config: DictConfig) -> Any:
    """Return ``run(config)``; let SIGTERM end this process (submitit makes it ignore SIGTERM)."""
    collect_rarely()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return run(config)


def run_composed(arguments: dict[str, Any], number: int, overrides: Any) -> utils.JobReturn:
    """Run job `number` with `overrides`; `arguments` are those of Hydra's ``Launcher.setup``."""
    config, context = arguments["config"], arguments["hydra_context"]
    composed = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(composed):
        composed.hydra.job.update(id=f"{composed.hydra.job.name}_{number}", num=number)
    HydraConfig.instance().set_config(composed)
    places = ("hydra.sweep.dir", "hydra.sweep.subdir")
    done = utils.run_job(arguments["task_function"], composed, *places, hydra_context=context)
    done.cfg = done.hydra_cfg = None  # large, and nobody reads it in the main process
    return done


@dataclass(frozen=True)
class JobContext:
    """What a job knows of itself, such as its number and overrides, and of the sweep it is in."""

    folder: Path
    number: int
    overrides: list[str]
    choices: dict[str, str]  # by config group
    swept: list[str]  # the keys that the sweep varies
    parent: str | None  # the ID of the sweep's MLflow run
    objective: str
    cores: int | None  # the most threads of the job; None: all cores of its process
    shared: SharedStore | None = None  # used also by the sweep and its other jobs
    watched: bool = False  # whether a terminal shows how jobs end
    dims: int = 0  # the sum of the vector dimensions of this job and all later ones
    entries: dict[str, Entry] = field(default_factory=dict)  # the results so far, by stage

    @property
    def stop_file(self) -> Path:
        """The file that the main process creates to stop the jobs in other processes."""
        return self.folder.parent / STOP

    @property
    def varied(self) -> list[str]:
        """The job's overrides of settings that the sweep varies; if it has none, all overrides."""
        varied = [text for text in self.overrides if text.partition("=")[0] in self.swept]
        return varied or self.overrides

    @property
    def name(self) -> str:
        """A short name of the job for lists, such as ``dim=100 window=5``."""
        pairs = list(keys_and_texts(self.varied))
        short = short_names([key for key, _ in pairs])
        return " ".join(f"{short[key]}={value}" for key, value in pairs)


def job_context(shared: SharedStore | None) -> JobContext | None:
    """Return a description of the sweep's job that Hydra is running now; None in a single run.

    It has the job's number, folder and overrides, and facts about the sweep, such as the objective.
    It also has `shared`, through which the jobs of one process use the same MLflow store and the
    same queue of calls to it. If `shared` is None, each job opens its own. `InputError` is raised
    if one of Hydra's own sweepers was chosen.
    """
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return None
    choices = {str(group): choice for group, choice in hydra.runtime.choices.items()}
    sweep = read_json(Path(hydra.sweep.dir) / SWEEP)
    if not sweep:  # one of Hydra's own sweepers was chosen, which does not open the sweep
        raise InputError(
            f"hydra/sweeper={choices['hydra/sweeper']}: cannot be used here; "
            "choose search=grid or search=optuna"
        )
    return JobContext(
        folder=Path(hydra.runtime.output_dir),
        number=int(hydra.job.num),
        overrides=list(hydra.overrides.task),
        choices={
            group: str(choice)
            for group, choice in choices.items()
            if choice is not None and not group.startswith("hydra/")
        },
        parent=sweep["mlflow_run_id"],
        shared=shared,
        dims=sum(sweep["dims"][int(hydra.job.num) :]),
        **{key: sweep[key] for key in ("swept", "objective", "cores", "watched")},
    )


def run_job(
    context: JobContext, composed: DictConfig, run: Callable[[Config, JobContext], dict[str, Any]]
) -> float | None:
    """Run one job; return the value of the sweep's objective, or None if the job fails.

    `composed` is the job's configuration, as composed by Hydra. `run` is a function that runs the
    experiment, and returns its summary. If the job fails, the error is written into the job's
    folder. If the file `context.stop_file` exists, the sweep is being stopped: a job that has not
    started returns ``None`` at once, and a job that is ended by `KeyboardInterrupt` or `SystemExit`
    returns ``None``, too. Without the file, these two exceptions are raised again.
    """
    if context.stop_file.exists():
        return None
    label = " ".join(context.varied)
    with FileLock(context.folder / LOCK):
        job: dict[str, Any] = {
            "number": context.number,
            "overrides": context.overrides,
            "choices": context.choices,
            "name": context.name,
            "settings": {},
        }
        write_json(context.folder / JOB, job)
        (context.folder / FAILURE).unlink(missing_ok=True)
        try:
            config = schema.resolve(composed)
            job["settings"] = flatten(config.as_dict(), NOT_IDENTITY)
            write_json(context.folder / JOB, job)
            check_objective(config, context.objective)
            started = time.time()
            summary = run(config, context)
            value = objective_value(summary, context.objective)
            del job["settings"]  # the summary has them
            write_json(context.folder / JOB, {**job, "finished": True, "value": value})
        except (KeyboardInterrupt, SystemExit):
            write_failure(context.folder, "killed", "it was interrupted")
            if context.stop_file.exists():
                return None
            raise
        except Exception as error:
            kind = "refused" if isinstance(error, InputError) else "crashed"
            log.error("%s", error, exc_info=kind == "crashed")
            reason = failure_reason(error)
            train = context.entries.get("train")
            write_failure(context.folder, kind, reason, None if train is None else train.cached)
            line = f"error: job {context.number} ({label}): {reason}"
            if not context.watched:
                print(sanitize(line, terminal=True), file=sys.stderr, flush=True)
            return None
        cached = summary["stages"].get("train", {}).get("cached")
        how = "from the cache" if cached else f"{time.time() - started:.1f} s"
        line = f"job {context.number}  {label}  {context.objective} {value:.4f}  ({how})"
        if not context.watched:
            print(sanitize(line, terminal=True), flush=True)
        return value
