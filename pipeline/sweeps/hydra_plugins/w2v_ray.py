"""The launcher ``hydra/launcher=ray``: runs the jobs of a sweep on a Ray cluster."""

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import open_dict

from pipeline.sweeps.results import SWEEP
from w2v.errors import InputError
from w2v.training.memory import available_cores


class RayLauncher(Launcher):
    """Runs the jobs of a sweep on a Ray cluster, each with ``num_cpus`` cores."""

    def __init__(self, num_cpus: int) -> None:
        self.num_cpus = num_cpus

    def setup(self, **given: Any) -> None:
        """Store the arguments from Hydra: context, task function and configuration."""
        self.given = given

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs, print the output of each when it ends, and return their results."""
        from w2v.cluster.ray import call_on_every_node, connected, run_tasks

        config, here = self.given["config"], Path.cwd()
        shared = Singleton.get_state(), here, self.given
        jobs = [(*shared, *job) for job in enumerate(job_overrides, initial_job_idx)]
        with connected(config.ray.address, available_cores()) as ray:
            if config.ray.address is not None:
                folders = here, config.hydra.sweep.dir, config.outputs
                call_on_every_node(ray, enter_shared_folder, *folders)
            ended = run_tasks(ray, run_one, jobs, self.num_cpus, lambda job: print(job[0], end=""))
        return [result for _, result in ended]


def enter_shared_folder(folder: Path, sweep: str, outputs: str) -> None:
    """Change to the directory `folder`; raise `InputError` if this machine does not see `sweep`.

    `sweep` is the sweep's folder, absolute or relative to `folder`; `outputs` is for the message.
    """
    with contextlib.suppress(OSError):
        os.chdir(folder)
    if not Path(sweep, SWEEP).exists():
        raise InputError(
            f"outputs={outputs}: the machine {os.uname().nodename} does not see this folder from "
            f"{folder}; give one that all machines of the Ray cluster share"
        )


def run_one(
    state: Any, folder: Path, given: dict[str, Any], number: int, overrides: Sequence[str]
) -> tuple[str, JobReturn]:
    """Run one job in a Ray process; return its printed output and its result.

    `state` is the state of Hydra's singletons, `folder` the working directory, and `given` the
    arguments of `RayLauncher.setup`.
    """
    config, context = given["config"], given["hydra_context"]
    setup_globals()
    Singleton.set_state(state)
    enter_shared_folder(folder, config.hydra.sweep.dir, config.outputs)
    composed = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(composed):
        composed.hydra.job.update(id=f"{composed.hydra.job.name}_{number}", num=number)
    HydraConfig.instance().set_config(composed)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        places = ("hydra.sweep.dir", "hydra.sweep.subdir")
        done = run_job(given["task_function"], composed, *places, hydra_context=context)
    return printed.getvalue(), done
