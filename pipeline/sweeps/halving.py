"""Successive halving: train all configurations for few epochs, and the better half for more.

The rounds (rungs) end after, for example, 1, 2, 4 and 8 epochs. Each round continues the training
of the round before, with the learning rates of the full training (``train.decay_epochs``), so that
the last round gives the same vectors as without halving.

Jamieson, Talwalkar (2016): Non-stochastic best arm identification and hyperparameter optimization.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from pipeline.config.values import as_yaml
from pipeline.sweeps.launchers import run_all_jobs
from pipeline.sweeps.objective import compare_jobs
from pipeline.sweeps.overrides import Jobs
from pipeline.sweeps.results import SWEEP, Job, read_jobs, read_json, write_json
from w2v.errors import InputError
from w2v.evaluate.sweep import Sweep
from w2v.training.schedule import TrainingSettings

EPOCHS, DECAY = "train.epochs", "train.decay_epochs"


def rungs_of(epochs: int, first: int) -> list[int]:
    """Return the last epoch of each round, rising: all ``epochs // 2**n`` that are >= `first`."""
    rungs = [epochs]
    while rungs[0] // 2 >= first:
        rungs.insert(0, rungs[0] // 2)
    return rungs


def check_halving(config: DictConfig, trainings: Sequence[TrainingSettings]) -> None:
    """Raise `InputError` if successive halving cannot run jobs with the settings `trainings`.

    All need the same ``epochs``, the same ``decay_epochs``, and no ``patience``. The fewest epochs
    of a round, ``hydra.sweeper.min_epochs`` in `config`, must be from 1 to ``epochs`` - 1.
    """
    for key in (EPOCHS, DECAY):
        values = dict.fromkeys(as_yaml(getattr(one, key.partition(".")[2])) for one in trainings)
        if len(values) > 1:
            raise InputError(f"{key}={','.join(values)}: halving needs the same for all jobs")
    first, epochs = config.hydra.sweeper.min_epochs, trainings[0].epochs
    if type(first) is not int or not 1 <= first < epochs:
        raise InputError(
            f"hydra.sweeper.min_epochs={first}: must be from 1 to less than train.epochs={epochs}"
        )
    if any(one.patience is not None for one in trainings):
        raise InputError("train.patience: must be null where search=halving stops trainings")


def run_rungs(
    launcher: Launcher, config: DictConfig, folder: Path, jobs: Jobs, training: TrainingSettings
) -> None:
    """Run the rounds of successive halving: after each, the better half of configurations goes on.

    `jobs` has the overrides of each job of the first round. The last round ends after
    ``training.epochs``, equal for all jobs; earlier ones end after fewer epochs (see `rungs_of`).
    ``sweep.json`` in `folder` lists, for each job, its overrides, the epochs of its round, and the
    number of the job that it continues (null: none). It also counts the jobs in ended rounds.
    """
    sweep = read_json(folder / SWEEP)
    decay = training.decay_epochs or training.epochs
    sweep |= {"jobs": [], "epochs": [], "continues": []}
    alive: list[int | None] = [None] * len(jobs)
    planned = [list(job) for job in jobs]
    for rung in rungs_of(training.epochs, config.hydra.sweeper.min_epochs):
        start = len(sweep["jobs"])
        for job in planned:
            kept = [text for text in job if text.partition("=")[0] not in (EPOCHS, DECAY)]
            sweep["jobs"].append([*kept, f"{EPOCHS}={rung}", f"{DECAY}={decay}"])
        sweep["epochs"] += [rung] * len(planned)
        sweep["continues"] += alive
        sweep["ended"] = start
        write_json(folder / SWEEP, sweep)
        print(f"{len(planned)} jobs of {rung} epoch{'s' * (rung > 1)}", flush=True)
        run_all_jobs(launcher, config, folder, sweep["jobs"], start)
        write_json(folder / SWEEP, sweep | {"ended": len(sweep["jobs"])})
        found = read_jobs(folder, sweep["jobs"])[start:]
        alive = [*better_half(compare_jobs(sweep["objective"], found))]
        planned = [sweep["jobs"][number] for number in alive]
        if not planned:
            return


def better_half(result: Sweep[Job]) -> list[int]:
    kept = [one for ranked in result.ranking.values() for one in ranked[: (len(ranked) + 1) // 2]]
    return sorted(job.number for one in kept for job in one.runs.values())


def result_of(sweep: Mapping[str, Any], jobs: Sequence[Job]) -> Sweep[Job]:
    """Return the comparison of a sweep's jobs; `sweep` is the content of its ``sweep.json``.

    After successive halving, the last job of each configuration and seed is compared; jobs of a
    later round that was interrupted are not. The effects of settings on the objective are computed
    from the first round, which has all configurations.
    """
    objective, size = sweep["objective"], sweep["difference"]
    if "continues" not in sweep:
        return compare_jobs(objective, jobs, size=size)
    ends, before, end = sweep["epochs"], sweep["continues"], max(sweep["epochs"])
    alike = [replace(j, settings={**j.settings, EPOCHS: end}, epochs=ends[j.number]) for j in jobs]
    first = [j for j in alike if before[j.number] is None]
    ended = sweep["ended"] or len(first)
    known = [j for j in alike if j.number < ended or not j.finished]
    last = [j for j in known if j.number not in before[:ended]]
    return compare_jobs(objective, last, first, size)
