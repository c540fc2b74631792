"""Open a sweep before its first job (`open_sweep`), and close it after its last (`close_sweep`)."""

import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pipeline.config.program import command, command_line
from pipeline.config.settings import Config, Tracking
from pipeline.config.values import NOT_IDENTITY
from pipeline.runtime.exit_status import ExitStatus
from pipeline.runtime.write_errors import explain_write_errors
from pipeline.sweeps.launchers import (
    check_launcher,
    ending_processes,
    jobs_at_once,
    threads_per_job,
)
from pipeline.sweeps.objective import TIMES, incomparable
from pipeline.sweeps.overrides import keys_and_texts, varied_overrides
from pipeline.sweeps.results import LOCK, SWEEP, read_jobs, read_json, write_json
from pipeline.sweeps.watch import Watch, watching
from pipeline.tracking import SharedStore, Tracker, track
from pipeline.tracking.artifacts import record_job_vectors, record_sweep
from w2v.engines import ENGINES
from w2v.errors import InputError, failure_reason
from w2v.report.sweep_text import sweep_markdown

if TYPE_CHECKING:
    from pipeline.sweeps.results import Job
    from w2v.evaluate.sweep import Sweep

CHDIR = "hydra.job.chdir=true: must be false; paths start where the command is given"
SUBDIR = "${hydra.job.num}"


class SweepFailedError(Exception):
    """Raised if jobs failed or ``plan=true`` finds missing results; `status` is the exit status."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


@contextmanager
def open_sweep(
    config: DictConfig,
    shared: SharedStore,
    jobs: Mapping[tuple[str, ...], Config],
    earlier_best: float | None = None,
) -> Iterator[Path]:
    """Context manager for a sweep: lock its folder, start its MLflow run, and yield the folder.

    At the end, also after an error, `close_sweep` saves the results, and raises an error if the
    ``with`` block or jobs failed. `jobs` maps each job's overrides to its settings; it is empty
    with Optuna, which chooses jobs as it runs. Through `shared`, all jobs use one MLflow store.
    `earlier_best` is the best objective in the Optuna study that a search resumes, or None.
    """
    folder, writable = Path(config.hydra.sweep.dir), explain_write_errors(Path(config.outputs))
    lock = exclusive_lock(folder, Path(config.outputs))
    with writable, lock, tracked_run(config, folder, shared) as tracker:
        started = time.time()
        sweep = prepare_jobs(config, folder, jobs, tracker.run_id)
        total = len(jobs) or int(config.hydra.sweeper.get("n_trials") or 0)
        compare = not incomparable(sweep["objective"], sweep["swept"])
        watch = Watch(folder, total, sweep["objective"] * compare, sweep["report"] == "all")
        error: BaseException | None = None
        try:
            with watching(watch), ending_processes(config):
                yield folder
        except BaseException as raised:  # the sweep is closed even after Ctrl-C
            error = raised
        facts = {"seconds": time.time() - started, "earlier_best": earlier_best}
        close_sweep(folder, tracker, facts, error)


def tracked_run(
    config: DictConfig, folder: Path, shared: SharedStore
) -> AbstractContextManager[Tracker]:
    """Return a context manager that opens the MLflow run of a sweep, and yields its tracker.

    `folder` is the sweep's folder. `shared` gets a queue, into which jobs put their MLflow calls.
    """
    settings: Any = OmegaConf.to_container(config.tracking, resolve=True)
    parameters = {
        key: text
        for key, text in keys_and_texts(config.hydra.overrides.task)
        if key.split(".")[0] not in NOT_IDENTITY
    }
    tags = {"kind": "sweep", "sweep_dir": str(folder.absolute())}
    name = f"sweep {' × '.join(varied_overrides(config)) or 'of one job'}"
    return track(Tracking(**settings), Path(config.outputs), name, parameters, tags, shared)


def prepare_jobs(
    config: DictConfig, folder: Path, jobs: Mapping[tuple[str, ...], Config], run_id: str | None
) -> dict[str, Any]:
    """Write ``sweep.json`` for the jobs; return its content; print how many run at a time.

    `jobs` maps each job's overrides to its settings; it is empty with Optuna, which chooses jobs
    later. `run_id` is the ID of the sweep's MLflow run; None if MLflow records nothing.
    """
    swept = list(varied_overrides(config))
    at_once, cores = jobs_at_once(config), config.hydra.launcher.get("num_cpus")
    many = f"{len(jobs)} job{'s' * (len(jobs) != 1)}" if jobs else "jobs chosen as they go"
    each = "as many at once as the cluster gives"
    if at_once is not None:
        at_once = min(at_once, len(jobs) or at_once)
        cores = threads_per_job(at_once)
        each = f"{at_once} at a time"
        if "engine.threads" not in swept:
            threads = OmegaConf.select(config, "engine.threads") or cores
            each += f", {threads} thread{'s' * (threads != 1)} each"
    sweep = {
        "mlflow_run_id": run_id,
        "objective": str(config.search.objective),
        "difference": config.search.difference,
        "report": str(config.report),
        "command": shlex.join([*command(), *sys.argv[1:]]),
        "cores": cores,
        "watched": sys.stdout.isatty(),
        "swept": swept,
        "dims": [settings.model.dim for settings in jobs.values()],
        "jobs": [list(job) for job in jobs],
    }
    write_json(folder / SWEEP, sweep)
    print(f"sweep of {many}, {each}", flush=True)
    return sweep


def close_sweep(
    folder: Path, tracker: Tracker, facts: Mapping[str, Any], error: BaseException | None
) -> None:
    """Save a sweep's results in files (`facts` in ``summary.json``) and in MLflow; print them.

    `error` is the exception that ended the sweep early, or None. It is raised again at the end if
    (1) it is from Ctrl-C or SIGTERM, (2) all jobs succeeded (in a search: all jobs chosen so far),
    or (3) it is an `InputError` and not all jobs failed. (If all failed, `error` tells nothing
    new.) Otherwise, `SweepFailedError` is raised if a job failed or never started.
    """
    from pipeline.runtime.console import Display
    from pipeline.sweeps import show
    from pipeline.sweeps.ensembles import write_ensembles
    from pipeline.sweeps.halving import result_of

    tracker.close_killed_jobs()
    sweep = read_json(folder / SWEEP)  # halving adds jobs as it goes
    jobs = read_jobs(folder, sweep["jobs"])
    result = result_of(sweep, jobs)
    facts = {
        **facts,
        "sweep_dir": str(folder),
        "mlflow_run_id": sweep["mlflow_run_id"],
        "command": sweep["command"],
        "search": not sweep["jobs"],
        "error": None if error is None else failure_reason(error),
    }
    summary = show.write_results(folder, result, facts)
    pages = write_ensembles(folder, result) if sweep["report"] != "none" else []
    tracker.wait()  # until the runs of all jobs have been created
    rows, command = summary["configurations"], sweep["command"]
    page = sweep_markdown(result, rows, command, show.failures_of(result))
    record_sweep(tracker, folder, summary, page)
    for job in result.best_runs:
        record_job_vectors(folder / str(job.number))
    reports = [*make_reports(folder, result, sweep["report"]), *pages]
    show.print_results(Display(), result, summary, reports)
    failed = [job for job in jobs if job.status != "finished"]
    if error is not None:
        if not isinstance(error, Exception):
            raise error
        # A search of which every trial failed ends in an error of its own, which tells nothing new.
        if not jobs or any(job.status in ("finished", "missing") for job in jobs):
            if isinstance(error, InputError) or not failed:
                raise error
            print(f"error: the sweep broke: {failure_reason(error)}", file=sys.stderr)
    if failed:  # as for a single run, 2 says that the settings or the input are wrong
        refused = all(job.status == "refused" for job in failed)
        status = ExitStatus.REFUSED if refused else ExitStatus.FAILED
        raise SweepFailedError(f"{len(failed)} of {len(jobs)} jobs did not finish", status)


def make_reports(folder: Path, result: "Sweep[Job]", report: str) -> list[Path]:
    """Return the paths of the HTML reports of a sweep's jobs; first write the best job's if needed.

    `report` says which jobs have a report. "none": no job. "all": all jobs with scores; their
    reports are already written. "best": the best job, if it has scores; its report is written now.
    No job is best if finished jobs differ in a setting that changes what the objective measures.
    """
    from pipeline.stages.report import report_later
    from w2v.report.report import REPORT

    made = []
    best = result.best_runs if len(result.best_runs) == 1 else []
    for job in {"all": result.finished, "best": best}.get(report, []):
        path = folder / str(job.number)
        try:
            if job.neighbours:  # it has scores
                made += [path / REPORT] if report == "all" else report_later(path)
        except InputError as error:
            print(f"warning: job {job.number} has no report: {error}", file=sys.stderr)
    return made


@contextmanager
def exclusive_lock(folder: Path, outputs: Path) -> Iterator[None]:
    """Context manager that locks a sweep's folder, so that no other sweep uses it meanwhile.

    If an earlier sweep is in the locked folder, the folder is renamed to ``NAME.before-TIME``, and
    a new one is made and locked. Raise `InputError` if another sweep has locked the folder, or if
    renaming it would also rename or move `outputs` or the working folder.
    """
    inside = (Path(realpath(path)) for path in (Path.cwd(), outputs))
    if any(path.is_relative_to(realpath(folder)) for path in inside):
        raise InputError(f"hydra.sweep.dir={folder}: must be a folder of its own")
    place = folder.absolute()
    with explain_write_errors():
        folder.mkdir(parents=True, exist_ok=True)
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
    """Raise `InputError` for Hydra settings that no sweep can have, like ``hydra.job.chdir=true``.

    Also raise it if ``search.objective`` is a time or speed, but jobs that differ only in the
    number of threads or processes would reuse one cached training and its measured time.
    """
    objective, engine = config.search.objective, ENGINES.get(str(config.engine.name))
    shared = {"engine.threads", "cluster.processes"}.intersection(varied_overrides(config))
    if objective in TIMES and shared and engine and engine.repeatable:
        why = f"jobs that differ only in {min(shared)} share a training; use measure=benchmark"
        raise InputError(f"search.objective={objective}: {why}")
    if config.hydra.job.chdir:
        raise InputError(CHDIR)
    sweep: Any = OmegaConf.to_container(config.hydra.sweep)  # interpolations are not resolved
    if sweep["subdir"] != SUBDIR:
        raise InputError(f"hydra.sweep.subdir: must stay {SUBDIR}: jobs are found by their number")
    check_launcher(config)


def refuse_sweep_without_multirun() -> None:
    """Raise `InputError` for sweep settings, or hydra.job.chdir=true, in a run without ``-m``."""
    hydra = HydraConfig.get()
    choices = hydra.runtime.choices
    launcher = choices.get("hydra/launcher", "basic")
    if hydra.job.chdir:
        raise InputError(CHDIR)
    needs_sweep = {
        f"hydra/launcher={launcher}": launcher != "basic",
        f"search={choices.get('search')}": choices.get("hydra/sweeper") != "grid",
        f"experiment={choices.get('experiment')}": hydra.sweeper.params,
    }
    for setting, needs in needs_sweep.items():
        if needs:
            again = f"{command_line()} -m {shlex.join(sys.argv[1:])}"
            raise InputError(f"{setting}: needs -m, as in {again}")
