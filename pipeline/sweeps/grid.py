"""Plan a grid sweep, which runs every combination of the given values, and run its jobs."""

import itertools
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from pipeline.config import schema
from pipeline.config.values import NOT_IDENTITY
from pipeline.sweeps.job import write_failure
from pipeline.sweeps.objective import check_objective
from pipeline.sweeps.overrides import has_setting, is_plain
from pipeline.sweeps.results import JOB, failure_reason, has_ended
from w2v.errors import InputError

log = logging.getLogger(__name__)

Settings = dict[str, str]
"""Keys and values of one job, as on the command line."""


def plan_jobs(
    config: DictConfig, loader: ConfigLoader, arguments: Sequence[str]
) -> list[list[str]]:
    """Return the overrides of every job, in the order of the command line.

    Each job is composed and checked here, so that nothing starts if one of them is wrong. A
    setting is left out of the jobs whose choices do not have it (``loss.negatives`` where
    ``loss=softmax``), and a job that would then occur twice occurs once.

    Parameters
    ----------
    config
        The configuration of the sweep, as Hydra composed it.
    arguments
        The overrides of the command line. Those in ``hydra.sweeper.params`` come before them.

    Raises
    ------
    InputError
        A job cannot be composed, or a setting is out of its limits.
    """
    params = dict(config.hydra.sweeper.params or {})
    values = parse_values(loader, [*(f"{k}={v}" for k, v in params.items()), *arguments])
    groups = [key for key in values if "." not in key and loader.get_group_options(key)]
    settings = [key for key in values if key not in groups]
    # One composed configuration for each combination of choices: to compose takes 0.15 seconds.
    bases = {
        choices: loader.load_sweep_config(
            config, [f"{key}={value}" for key, value in zip(groups, choices, strict=True)]
        )
        for choices in itertools.product(*(values[key] for key in groups))
    }
    if len(values.get("experiment", ())) > 1:
        for choices, base in bases.items():
            refuse_nested_sweep(config, base, dict(zip(groups, choices, strict=True)))
    for key in settings:
        if is_plain(key) and not any(has_setting(base, key) for base in bases.values()):
            raise InputError(schema.no_such(key))
    jobs: dict[tuple[str, ...], None] = {}
    left_out: dict[str, str] = {}
    for combination in itertools.product(*values.values()):
        job = dict(zip(values, combination, strict=True))
        base = bases[tuple(job[key] for key in groups)]
        for key in settings:
            if is_plain(key) and not has_setting(base, key):
                group = key.partition(".")[0]
                left_out[key] = f"{group}={job.get(group, '')}"
                del job[key]
        overrides = tuple(override_text(key, value) for key, value in job.items())
        if overrides not in jobs:
            check_job(config, loader, base, job, groups)
        jobs[overrides] = None
    for key, where in left_out.items():
        print(f"{key} is left out where {where}, which has no such setting")
    return [list(job) for job in jobs]


def parse_values(loader: ConfigLoader, overrides: Sequence[str]) -> dict[str, list[str]]:
    """Return the values that each key takes; of several overrides of a key the last one wins."""
    values: dict[str, list[str]] = {}
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(overrides)):
        key = override.get_key_element()
        values[key] = value_texts(override)
        if len(values[key]) > 1 and override.key_or_group.partition(".")[0] in NOT_IDENTITY:
            raise InputError(f"{override.input_line}: a sweep has one; give a single value")
    return values


def value_texts(override: Override) -> list[str]:
    """Return the values of one override, as on the command line."""
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if not override.is_discrete_sweep():
        raise InputError(
            f"{override.input_line}: an interval has no end of values; "
            "give a list or a range, or add search=optuna"
        )
    try:
        texts = list(dict.fromkeys(override.sweep_string_iterator()))
    except (ValueError, TypeError):
        raise InputError(f"{override.input_line}: give a list of values, or one range") from None
    if isinstance(override.value(), Glob):
        texts = [text for text in texts if not text.endswith("schema")]
        if not texts:
            raise InputError(f"{override.input_line}: stands for none of the choices of a group")
    return texts


def override_text(key: str, value: str) -> str:
    """Return an override as on the command line; one that removes a setting has no value."""
    return key if key.startswith("~") and value == "null" else f"{key}={value}"


def refuse_nested_sweep(config: DictConfig, base: DictConfig, choices: Settings) -> None:
    """Refuse several experiments if one of them brings an objective or sweep of its own."""
    params = OmegaConf.select(base, "hydra.sweeper.params")
    objective = OmegaConf.select(base, "search.objective")
    if params != config.hydra.sweeper.params or objective != config.search.objective:
        raise InputError(
            f"experiment={choices['experiment']}: is a sweep of its own; "
            "it cannot be one choice of another"
        )


def check_job(
    config: DictConfig,
    loader: ConfigLoader,
    base: DictConfig,
    job: Settings,
    groups: Sequence[str],
) -> None:
    """Refuse a job whose settings are wrong, or that will not have the objective.

    Parameters
    ----------
    base
        The configuration for the choices of the job. Its other settings are set on a copy where
        that gives the same as composing anew, which is much slower.
    """
    if all(is_plain(key) for key in job):
        composed = base.copy()
        texts = [f"{key}={value}" for key, value in job.items() if key not in groups]
        for override in OverridesParser.create().parse_overrides(texts):
            OmegaConf.update(composed, override.key_or_group, override.value(), merge=True)
    else:
        composed = loader.load_sweep_config(config, [override_text(*one) for one in job.items()])
    check_objective(schema.resolve(composed), str(composed.search.objective))


def run_jobs(
    launcher: Launcher, folder: Path, jobs: Sequence[Sequence[str]], numbers: Sequence[int]
) -> None:
    """Run jobs with consecutive numbers; whatever happens to one, run the others.

    A job may take its worker process with it, and a launcher then gives up all of its jobs. The
    jobs that had not started run as before, and those that were running run one at a time, so
    that a job which ends its process again ends only itself.

    Parameters
    ----------
    folder
        The folder of the sweep.
    jobs
        The overrides of all jobs of the sweep, by number.
    """
    try:
        launcher.launch([jobs[n] for n in numbers], initial_job_idx=numbers[0])
        return
    except Exception as error:
        started = [n for n in numbers if (folder / str(n) / JOB).exists()]
        if not started:
            raise
        log.warning("%s: %s", type(error).__name__, error)
    interrupted = [n for n in started if not has_ended(folder / str(n))]
    waiting = [n for n in numbers if n not in started]
    for _, run in itertools.groupby(enumerate(waiting), lambda pair: pair[1] - pair[0]):
        run_jobs(launcher, folder, jobs, [n for _, n in run])
    for n in interrupted:
        with record_lost_job(folder / str(n)):
            launcher.launch([jobs[n]], initial_job_idx=n)


@contextmanager
def record_lost_job(folder: Path) -> Iterator[None]:
    """If the block raises and the job wrote nothing down, write down that its process ended."""
    try:
        yield
    except Exception as error:
        if not has_ended(folder):
            reason = f"its process ended without a word ({failure_reason(error)})"
            write_failure(folder, "killed", reason)
            print(f"error: job {folder.name}: {reason}", file=sys.stderr)
