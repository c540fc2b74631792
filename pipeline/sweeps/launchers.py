"""What a sweep must know about Hydra's launchers: how many jobs each runs at the same time."""

import shutil

from omegaconf import DictConfig

from pipeline.runtime.resources import available_cores
from w2v.errors import InputError


def launcher_class(config: DictConfig) -> str:
    """Return the class name of the launcher, such as ``JoblibLauncher``."""
    return str(config.hydra.launcher._target_).rpartition(".")[2]


def jobs_at_once(config: DictConfig) -> int | None:
    """Return how many jobs the launcher runs at the same time; ``None`` if a cluster decides."""
    cores = available_cores()
    launcher, name = config.hydra.launcher, launcher_class(config)
    if name == "JoblibLauncher":
        jobs = launcher.n_jobs
        return 1 if jobs is None else max(1, cores + 1 + jobs) if jobs < 0 else int(jobs)
    if name == "LocalLauncher":  # submitit on this machine
        return max(1, cores // (launcher.cpus_per_task or 1))
    return None if name == "SlurmLauncher" else 1


def batch_size(config: DictConfig, jobs: int) -> int:
    """Return how many of the jobs to give to the launcher in one call.

    Submitit's local launcher starts every job that it is given at once, so it gets only as many
    as there are cores for. The other launchers queue their jobs themselves.
    """
    limit = jobs_at_once(config) if launcher_class(config) == "LocalLauncher" else None
    return min(limit, jobs) if limit else jobs


def check_launcher(config: DictConfig) -> None:
    """Refuse a launcher that cannot run any job here."""
    name = launcher_class(config)
    if name == "SlurmLauncher" and shutil.which("sbatch") is None:
        raise InputError(
            "hydra/launcher=slurm: there is no sbatch here; run it where SLURM is, or take "
            "hydra/launcher=slurm_local"
        )
    if name == "JoblibLauncher" and config.hydra.launcher.n_jobs == 0:
        raise InputError("hydra.launcher.n_jobs=0: must be at least 1, or -1 for all cores")
