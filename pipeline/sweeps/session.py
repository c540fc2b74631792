"""The process that runs a sweep: open it before its first job, close it after its last.

To open a sweep is to lock its folder, to start its tracked run, and to tell its jobs about it in
``sweep.json``. To close it is to read what the jobs left, to write and show what came out, and to
end the tracked run.
"""

import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pipeline.config.settings import Tracking
from pipeline.config.values import NOT_IDENTITY
from pipeline.runtime.outputs import explain_write_errors
from pipeline.runtime.resources import limit_threads_of_child_processes, threads_per_job
from pipeline.sweeps.launchers import check_launcher, jobs_at_once
from pipeline.sweeps.overrides import keys_and_texts, override_values, varied_overrides
from pipeline.sweeps.record import record_sweep
from pipeline.sweeps.results import LOCK, SWEEP, failure_reason, read_jobs, write_json
from pipeline.tracking import Tracker, track
from w2v.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
CHDIR = "hydra.job.chdir=true: must be false; paths start where the command is given"
SUBDIR = "${hydra.job.num}"


class SweepFailedError(Exception):
    """Some jobs of a sweep did not finish.

    Attributes
    ----------
    status
        The exit status of the command: 2 if every job that failed was refused for its settings or
        its input, otherwise 1.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class Sweep:
    """A sweep that is open in this process.

    Attributes
    ----------
    folder
        The folder that holds ``multirun.yaml`` and a folder for each job.
    objective
        The figure by which jobs are compared.
    command
        The command line that started the sweep.
    jobs
        The overrides of each job; empty if a search chooses them as it goes.
    tracker
        The tracked run of the sweep.
    """

    folder: Path
    objective: str
    command: str
    jobs: list[list[str]]
    tracker: Tracker
    started: float = field(default_factory=time.time)


@contextmanager
def open_sweep(config: DictConfig, jobs: Sequence[Sequence[str]] = ()) -> Iterator[Sweep]:
    """Open a sweep for the block, and close it however the block ends.

    Parameters
    ----------
    config
        The configuration of the sweep, as Hydra composed it.
    jobs
        The overrides of each job, if they are known.

    Raises
    ------
    InputError
        The tracking store cannot be used, another sweep is running in the folder, or a setting of
        Hydra's does not suit a sweep.
    SweepFailedError
        When the block ends: some jobs did not finish.
    """
    check_hydra_settings(config)
    folder, outputs = Path(config.hydra.sweep.dir), Path(config.outputs)
    with ExitStack() as stack:
        stack.enter_context(explain_write_errors(outputs))
        stack.enter_context(exclusive_lock(folder))
        sweep = Sweep(
            folder=folder,
            objective=str(config.search.objective),
            command=shlex.join(["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]]),
            jobs=[list(job) for job in jobs],
            tracker=stack.enter_context(open_tracked_run(config, folder)),
        )
        prepare_jobs(config, sweep)
        error: BaseException | None = None
        try:
            yield sweep
        except BaseException as raised:  # the sweep is closed even after Ctrl-C
            error = raised
        close_sweep(sweep, error)


@contextmanager
def open_tracked_run(config: DictConfig, folder: Path) -> Iterator[Tracker]:
    """Start the tracked run of a sweep, and end it with the block."""
    settings: Any = OmegaConf.to_container(config.tracking, resolve=True)
    keys = list(varied_overrides(config))
    parameters = {
        key: text
        for key, text in keys_and_texts(config.hydra.overrides.task)
        if key.split(".")[0] not in NOT_IDENTITY
    }
    tags = {"kind": "sweep", "sweep_dir": str(folder.absolute())}
    name = f"sweep {' × '.join(keys) or 'of one job'}"
    with track(Tracking(**settings), Path(config.outputs), name, parameters, tags) as tracker:
        tracker.close_killed_sweeps()
        yield tracker


def prepare_jobs(config: DictConfig, sweep: Sweep) -> None:
    """Write what jobs must know about their sweep, and print how they will run."""
    keys = list(varied_overrides(config))
    at_once = jobs_at_once(config)
    if at_once is not None and sweep.jobs:
        at_once = min(at_once, len(sweep.jobs))
    cores = None if at_once is None else threads_per_job(at_once)
    if at_once is not None and at_once > 1:
        assert cores is not None
        limit_threads_of_child_processes(cores)
    # Processes that a launcher starts must find the project, and Hydra in them our sweepers.
    paths = [str(ROOT), str(ROOT / "pipeline" / "sweeps"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    write_json(
        sweep.folder / SWEEP,
        {
            "mlflow_run_id": sweep.tracker.run_id,
            "objective": sweep.objective,
            "command": sweep.command,
            "cores": cores,
            "parallel": at_once != 1,
            "swept": keys,
            "jobs": sweep.jobs,
        },
    )
    count = len(sweep.jobs)
    many = f"{count} job{'s' * (count != 1)}" if count else "jobs chosen as they go"
    each = "as many at once as the cluster gives"
    if at_once is not None:
        threads = OmegaConf.select(config, "engine.threads") or cores
        each = f"{at_once} at a time"
        if "engine.threads" not in keys:
            each += f", {threads} thread{'s' * (threads != 1)} each"
    print(f"sweep of {many}, {each}", flush=True)


def close_sweep(sweep: Sweep, error: BaseException | None) -> None:
    """Write, record and show what came out of a sweep.

    Parameters
    ----------
    error
        What ended the sweep before its last job, if anything did.

    Raises
    ------
    SweepFailedError
        Some jobs did not finish.
    BaseException
        The error itself, unless it only says that all jobs failed.
    """
    from pipeline.runtime.console import Display
    from pipeline.sweeps import show
    from pipeline.sweeps.analysis import Result

    sweep.tracker.close_killed_jobs()
    jobs = read_jobs(sweep.folder, [override_values(job) for job in sweep.jobs])
    result = Result(sweep.objective, jobs)
    facts = {
        "sweep_dir": str(sweep.folder),
        "mlflow_run_id": sweep.tracker.run_id,
        "command": sweep.command,
        "seconds": time.time() - sweep.started,
        "search": not sweep.jobs,
        "error": None if error is None else failure_reason(error),
    }
    summary = show.write_results(sweep.folder, result, facts)
    record_sweep(sweep.tracker, sweep.folder, summary, show.markdown(result, summary))
    display = Display()
    show.print_results(display, result, summary)
    show.print_study(display, sweep.folder)
    failed = [job for job in jobs if job.status != "finished"]
    # A search of which every trial failed ends in an error of its own, which tells nothing new.
    all_failed = jobs and all(job.status in ("refused", "crashed", "killed") for job in jobs)
    if error is not None and not (isinstance(error, Exception) and all_failed):
        if isinstance(error, InputError) or not isinstance(error, Exception) or not failed:
            raise error
        print(f"error: the sweep broke: {failure_reason(error)}", file=sys.stderr)
    if failed:
        status = 2 if all(job.status == "refused" for job in failed) else 1
        raise SweepFailedError(f"{len(failed)} of {len(jobs)} jobs did not finish", status)


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Lock the folder of a sweep; if it holds an earlier sweep, rename that first.

    Raises
    ------
    InputError
        The earlier sweep is still running.
    """
    if Path.cwd().resolve().is_relative_to(folder.resolve()):
        raise InputError(f"hydra.sweep.dir={folder}: must be a folder of its own")
    place = folder.absolute()
    with explain_write_errors():
        place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(place / LOCK, timeout=0))
            if (place / SWEEP).exists():
                # The lock is still held, so that of two new sweeps only one renames the folder.
                earlier = place.with_name(f"{place.name}.before-{time.time_ns()}")
                place.rename(earlier)
                place.mkdir()
                stack.enter_context(FileLock(place / LOCK, timeout=0))
                print(f"{folder} holds a sweep: moved to {earlier.name}", flush=True)
        except Timeout:
            raise InputError(
                f"hydra.sweep.dir={folder}: a sweep that runs has this folder; name another"
            ) from None
        yield


def check_hydra_settings(config: DictConfig) -> None:
    """Refuse settings of Hydra's with which jobs could not run, or could not be found."""
    if config.hydra.job.chdir:
        raise InputError(CHDIR)
    sweep = OmegaConf.to_container(config.hydra.sweep)
    assert isinstance(sweep, dict)
    if sweep["subdir"] != SUBDIR:
        raise InputError(f"hydra.sweep.subdir: must stay {SUBDIR}: jobs are found by their number")
    check_launcher(config)


def refuse_sweep_without_multirun() -> None:
    """Refuse a single run whose settings need a sweep.

    Raises
    ------
    InputError
    """
    hydra = HydraConfig.get()
    choices = hydra.runtime.choices
    again = f"needs -m, as in python pipeline/run.py -m {shlex.join(sys.argv[1:])}"
    launcher = choices.get("hydra/launcher", "basic")
    if hydra.job.chdir:
        raise InputError(CHDIR)
    if launcher != "basic":
        raise InputError(f"hydra/launcher={launcher}: {again}")
    if choices.get("hydra/sweeper") != "grid":
        raise InputError(f"search={choices.get('search')}: {again}")
    if hydra.sweeper.params:
        raise InputError(f"experiment={choices.get('experiment')}: {again}")
