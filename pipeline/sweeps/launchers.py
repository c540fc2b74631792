"""Run the jobs of a sweep with a launcher of Hydra; go on after a job has crashed its process."""

import itertools
import logging
import multiprocessing.forkserver
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from pipeline.sweeps.overrides import Jobs, set_hydra
from pipeline.sweeps.results import JOB, STOP, SWEEP, has_ended, read_json, write_failure
from pipeline.tracking.killed_runs import lost_jobs
from w2v.cluster.settings import require_ray
from w2v.errors import InputError, failure_reason
from w2v.training.memory import available_cores

log = logging.getLogger(__name__)

LOKY = "joblib.externals.loky"
"""The part of joblib that runs processes."""

ROOT = Path(__file__).resolve().parents[2]

THREAD_POOL_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
)
"""Environment variables that libraries read for the size of their thread pools when they load."""


def launcher_class(config: DictConfig) -> str:
    return str(config.hydra.launcher._target_).rpartition(".")[2]


def jobs_at_once(config: DictConfig) -> int | None:
    """Return how many jobs run at the same time; ``None`` if a cluster decides."""
    cores = available_cores()
    launcher, name = config.hydra.launcher, launcher_class(config)
    if name == "JoblibLauncher":
        jobs = launcher.n_jobs
        return 1 if jobs is None else max(1, cores + 1 + jobs) if jobs < 0 else int(jobs)
    if name == "RayLauncher" and config.ray.address is None:
        return max(1, cores // int(launcher.num_cpus))
    if name == "LocalLauncher":  # submitit on this machine
        return max(1, cores // (launcher.cpus_per_task or 1))
    return None if name in ("SlurmLauncher", "RayLauncher") else 1


def threads_per_job(jobs_at_once: int) -> int:
    """Return the number of threads per job if parallel jobs share the cores of this machine."""
    return max(1, available_cores() // jobs_at_once)


def limit_threads_of_child_processes(threads: int) -> None:
    """Limit later processes' threads by environment variables; leave those that are already set."""
    for name in THREAD_POOL_VARIABLES:
        os.environ.setdefault(name, str(threads))


def prepare_processes(config: DictConfig) -> None:
    """Prepare the processes in which a Hydra launcher will run the jobs of a sweep.

    Environment variables tell the processes where the project is and, if several run at once on
    this machine, how many threads each may use. In `config`, Hydra's launchers for joblib and local
    submitit are replaced by this project's. If joblib will run several jobs at once, a fork server
    (if available) is started: it imports the program once, and joblib's processes are its forks.
    """
    # Processes must find the project, and Hydra in them must find our sweepers and launchers.
    paths = [str(ROOT), str(ROOT / "pipeline" / "sweeps"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    name = launcher_class(config)
    # Hydra's own for joblib prepares processes anew for every job; neither stops jobs on Ctrl-C.
    if name in ("JoblibLauncher", "LocalLauncher"):
        set_hydra(config, "launcher", "_target_", f"hydra_plugins.w2v_launchers.{name}")
    joblib = name == "JoblibLauncher"
    at_once = jobs_at_once(config)
    if at_once is None or at_once == 1:
        return
    limit_threads_of_child_processes(threads_per_job(at_once))
    if joblib and "forkserver" in multiprocessing.get_all_start_methods():
        tracker = ["pipeline.tracking.mlflow_tracker"] * (config.tracking.name == "mlflow")
        multiprocessing.set_forkserver_preload(["pipeline.sweeps.preload", *tracker])
        multiprocessing.forkserver.ensure_running()
        import_module(f"{LOKY}.backend.context").set_start_method("forkserver", force=True)


@contextmanager
def ending_processes(config: DictConfig) -> Iterator[None]:
    """If `config` has the joblib launcher, wait after the block until its processes have ended."""
    try:
        yield
    finally:
        if launcher_class(config) == "JoblibLauncher":
            import_module(LOKY).get_reusable_executor(reuse=True).shutdown()


def check_launcher(config: DictConfig) -> None:
    """Raise `InputError` if the launcher cannot work here or has invalid settings."""
    name, launcher = launcher_class(config), config.hydra.launcher
    if name == "SlurmLauncher" and not config.plan and shutil.which("sbatch") is None:
        raise InputError(
            "hydra/launcher=slurm: there is no sbatch here; run it where SLURM is, or take "
            "hydra/launcher=slurm_local"
        )
    if name == "RayLauncher":
        cores = launcher.num_cpus
        if type(cores) is not int or cores < 1:
            raise InputError(f"hydra.launcher.num_cpus={cores}: must be a whole number from 1 up")
        require_ray("hydra/launcher=ray")
    if name == "JoblibLauncher" and launcher.n_jobs == 0:
        raise InputError("hydra.launcher.n_jobs=0: must be at least 1, or -1 for all cores")
    if name == "JoblibLauncher" and launcher.backend not in (None, "loky"):
        raise InputError(f"hydra.launcher.backend={launcher.backend}: must be loky")


def launch_in_thread(
    folder: Path, launch: Callable[..., Sequence[JobReturn]], *arguments: Any
) -> Sequence[JobReturn]:
    """Call ``launch``, which runs jobs in other processes, in a new thread; return its result.

    In the main thread, a signal would make ``launch`` kill jobs. On `KeyboardInterrupt` (Ctrl-C)
    or `SystemExit` (SIGTERM), this function makes a file in `folder` that tells jobs to stop, waits
    for them, and raises the exception again. The jobs ignore a Ctrl-C that a terminal sends them.
    """
    block = signal.pthread_sigmask, signal.SIG_BLOCK, [signal.SIGINT]
    with ThreadPoolExecutor(1, initializer=block[0], initargs=block[1:]) as thread:
        try:
            return thread.submit(launch, *arguments).result()
        except (KeyboardInterrupt, SystemExit):
            (folder / STOP).touch()
            print("\nstopping the jobs; again to stop at once", file=sys.stderr)
            raise


def run_all_jobs(
    launcher: Launcher, config: DictConfig, folder: Path, jobs: Jobs, start: int = 0
) -> None:
    """Run the jobs of a sweep, beginning with number `start`.

    `jobs` has the overrides of all jobs, from number 0; `folder` is the sweep's folder. Submitit's
    local launcher starts all given jobs at once, so it gets as many at a time as the cores allow.
    """
    size = (jobs_at_once(config) if launcher_class(config) == "LocalLauncher" else 0) or len(jobs)
    for first in range(start, len(jobs), size):
        numbers = range(first, min(first + size, len(jobs)))
        run_jobs(launcher, Path(config.outputs), folder, jobs, numbers)


def run_jobs(
    launcher: Launcher, outputs: Path, folder: Path, jobs: Jobs, numbers: Sequence[int]
) -> None:
    """Run those of a sweep's `jobs` that have the consecutive `numbers`, even if some raise errors.

    If a job crashes its process, the launcher stops all jobs. Jobs that had not started are then
    launched again. Jobs that had started but not ended, or that ended without being recorded in
    MLflow, are run again one by one, so that another crash affects one job only. If no job had
    started, the launcher's error is raised. `folder` is the sweep's folder.
    """
    try:
        launcher.launch([jobs[n] for n in numbers], initial_job_idx=numbers[0])
        return
    except Exception as error:
        started = [n for n in numbers if (folder / str(n) / JOB).exists()]
        if not started:
            raise
        log.warning("%s: %s", type(error).__name__, error)
    lost = lost_jobs(outputs, read_json(folder / SWEEP)["mlflow_run_id"])
    interrupted = [n for n in started if n in lost or not has_ended(folder / str(n))]
    waiting = [n for n in numbers if n not in started]
    for _, run in itertools.groupby(enumerate(waiting), lambda pair: pair[1] - pair[0]):
        run_jobs(launcher, outputs, folder, jobs, [n for _, n in run])
    for n in interrupted:
        try:
            launcher.launch([jobs[n]], initial_job_idx=n)
        except Exception as error:
            if not has_ended(folder / str(n)):
                reason = f"its process ended without a word ({failure_reason(error)})"
                write_failure(folder / str(n), "killed", reason)
                print(f"error: job {n}: {reason}", file=sys.stderr)
