"""The launchers for jobs in processes, without slow imports: Hydra imports this at every start."""

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

from pipeline.sweeps.job import pickled, run_composed, run_in_process, run_stoppable
from pipeline.sweeps.launchers import launch_in_thread
from pipeline.sweeps.overrides import Jobs
from pipeline.sweeps.results import SWEEP
from w2v.training.memory import available_cores


class ProcessLauncher(Launcher):
    """Base class of the launchers that run jobs in other processes."""

    def setup(self, **arguments: Any) -> None:
        """Store Hydra's arguments: context, task function and configuration."""
        self.arguments = arguments
        self.folder = Path(arguments["config"].hydra.sweep.dir)

    @cached_property
    def shared(self) -> bytes:
        """Hydra's state and the arguments of `setup`, pickled for workers when first needed."""
        return pickled(self.arguments)


class JoblibLauncher(ProcessLauncher):
    """Runs jobs in joblib's worker processes; takes the arguments of Hydra's joblib launcher."""

    def __init__(self, inner_max_num_threads: int | None = None, **options: Any) -> None:
        self.threads = inner_max_num_threads
        chosen = {k: v for k, v in options.items() if v is not None and k != "backend"}
        self.options = {k: int(v) if str(v).isdecimal() else v for k, v in chosen.items()}

    def launch(self, job_overrides: Jobs, initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs, numbered from `initial_job_idx`, in ``n_jobs`` processes (1: this process)."""
        from joblib import Parallel, delayed, effective_n_jobs, parallel_config

        jobs = enumerate(job_overrides, initial_job_idx)
        with parallel_config("loky", inner_max_num_threads=self.threads):
            if effective_n_jobs(self.options.get("n_jobs")) == 1:
                return [run_composed(self.arguments, *job) for job in jobs]
            calls = (delayed(run_in_process)(self.shared, *job) for job in jobs)
            return launch_in_thread(self.folder, Parallel(**self.options), calls)


class LocalLauncher(ProcessLauncher):
    """Like Hydra's launcher for submitit on this machine, but Ctrl-C and SIGTERM stop its jobs."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def launch(self, job_overrides: Jobs, initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all given jobs at once, numbered from `initial_job_idx`, each in its own process."""
        hydras = import_module("hydra_plugins.hydra_submitit_launcher.submitit_launcher")
        launcher = hydras.LocalLauncher(**self.options)
        run = partial(run_stoppable, self.arguments["task_function"])
        launcher.setup(**{**self.arguments, "task_function": run})
        return launch_in_thread(self.folder, launcher.launch, job_overrides, initial_job_idx)


class RayLauncher(ProcessLauncher):
    """Runs the jobs of a sweep on a Ray cluster, each with ``hydra.launcher.num_cpus`` cores."""

    def __init__(self, num_cpus: int) -> None:
        self.num_cpus = num_cpus

    def launch(self, job_overrides: Jobs, initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, print the output of each when it ends, and return their results."""
        from w2v.cluster.ray import call_on_every_node, connected, enter_shared_folder, run_tasks

        config = self.arguments["config"]
        folder = Path.cwd(), self.folder / SWEEP, f"outputs={config.outputs}"
        given = partial(enter_shared_folder, *folder), self.shared
        jobs = [(*given, *job) for job in enumerate(job_overrides, initial_job_idx)]
        with connected(config.ray.address, available_cores()) as ray:
            if config.ray.address is not None:
                call_on_every_node(ray, enter_shared_folder, *folder)
            ended = run_tasks(ray, run_one, jobs, self.num_cpus, lambda job: print(job[0], end=""))
        return [result for _, result in ended]


def run_one(enter_folder: Callable[[], None], *job: Any) -> tuple[str, JobReturn]:
    """Run a job in this Ray process; return what it printed, and its result.

    `enter_folder` enters the sweep's working folder; `job` has the arguments of `run_in_process`.
    """
    enter_folder()
    with redirect_stdout(io.StringIO()) as printed:
        done = run_in_process(*job)
    return printed.getvalue(), done
