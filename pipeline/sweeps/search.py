"""Prepare the Optuna study of a search: a new one, or one to resume. Hydra's sweeper runs it."""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Glob, Override
from omegaconf import DictConfig

from pipeline.config import schema
from pipeline.config.settings import Config, direction_of
from pipeline.config.values import NOT_IDENTITY, flatten
from pipeline.sweeps.objective import check_objective, incomparable
from pipeline.sweeps.overrides import (
    compose_choices,
    group_choices,
    has_setting,
    set_hydra,
    sweep_overrides,
    varied_overrides,
)
from w2v.errors import InputError
from w2v.evaluate.sweep import SEED
from w2v.files import digest

log = logging.getLogger(__name__)

OPTUNA_SWEEPER = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
OBJECTIVE, TRIED_AGAIN = "objective", "tried_again"
"""Attributes of an Optuna study: its metric; the parameters of killed trials that were repeated."""


@contextmanager
def open_study(config: DictConfig, at_once: int) -> Iterator[float | None]:
    """Context manager: lock a search's Optuna study, and complete its settings in `config`.

    Yield the best value of the study so far, or None if it has none. If no name is set,
    `study_name` makes one, so that the same command resumes the study. Killed trials are repeated
    once. For Hydra's sweeper, ``n_trials`` is lowered to the number of trials that are left, and
    ``n_jobs``, if not set, becomes `at_once`. Without storage, nothing is resumed or locked.
    `InputError` is raised for invalid settings, or if the study is locked.
    """
    sweeper = config.hydra.sweeper
    # Each failed trial prints its own line.
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.ERROR)
    objective = str(config.search.objective)
    if sweeper.n_trials < 1:
        raise InputError(f"hydra.sweeper.n_trials={sweeper.n_trials}: must be at least 1")
    if sweeper.direction not in (None, direction_of(objective)):
        wanted = f"{direction_of(objective)} or null for search.objective={objective}"
        raise InputError(f"hydra.sweeper.direction={sweeper.direction}: must be {wanted}")
    space = varied_overrides(config)
    settings = check_space(config, space, objective)
    set_hydra(config, "sweeper", "_target_", OPTUNA_SWEEPER)
    set_hydra(config, "sweeper", "n_jobs", sweeper.n_jobs if sweeper.n_jobs > 0 else at_once)
    set_hydra(config, "sweeper", "direction", direction_of(objective))
    if sweeper.storage is None:  # nothing is kept, so there is nothing to resume
        yield None
        return
    set_hydra(config, "sweeper", "study_name", sweeper.study_name or study_name(settings, space))
    if not re.fullmatch(r"[\w.-]+", sweeper.study_name):
        raise InputError(
            f"hydra.sweeper.study_name={sweeper.study_name}: must be of letters, digits, _, . and -"
        )
    outputs = Path(config.outputs)
    outputs.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(outputs / f".{sweeper.study_name}.lock", timeout=0).acquire()
    except Timeout:
        raise InputError(
            f"study {sweeper.study_name}: another process is searching in it; wait for it, "
            "or name another with hydra.sweeper.study_name=..."
        ) from None
    with lock:
        with storage_errors(sweeper.storage):
            set_hydra(config, "sweeper", "storage", storage_url(sweeper.storage))
            ended, trials, best = resume(sweeper.storage, sweeper.study_name, objective)
        left = max(0, sweeper.n_trials - ended)
        if left == 0 and best is None:
            raise InputError(
                f"study {sweeper.study_name}: all of its {ended} trials failed; change what is "
                "searched, or raise hydra.sweeper.n_trials"
            )
        set_hydra(config, "sweeper", "n_trials", left)
        # A sampler starts anew in every process; with its old seed it would repeat its trials.
        if sweeper.sampler.get("seed") is not None:
            set_hydra(config, "sweeper", "sampler.seed", sweeper.sampler.seed + trials)
        yield best


def check_space(config: DictConfig, space: Mapping[str, Override], objective: str) -> Config:
    """Check a search space; return settings with the first choice of each of its config groups.

    `space` has, by key, the overrides in `config` with several values. `InputError` is raised if an
    override varies the seed or a setting that changes what the metric `objective` measures, or if
    its values are a glob or a range that does not rise. It is also raised if, with some combination
    of choices of the config groups, the settings are invalid or do not have every key in `space`.
    """
    if SEED in space:
        raise InputError(
            f"{space[SEED].input_line}: a search would choose the luckiest seed; search without "
            "it, and judge what was found over seeds with -m 'seed=range(3)'"
        )
    for override in space.values():
        value: Any = override.value()
        if isinstance(value, Glob):
            raise InputError(f"{override.input_line}: a search needs a list; name the choices")
        rises = not override.is_range_sweep() or (value.start <= value.stop and value.step > 0)
        if override.is_interval_sweep():
            rises = value.start <= value.end and ("log" not in value.tags or value.start > 0)
        if not rises:
            raise InputError(f"{override.input_line}: must rise, with log from a number above 0")
    clash = incomparable(objective, space)
    if clash:
        score = "search by a score, as in search.objective=similarity/wordsim353/spearman, or "
        raise InputError(
            f"search.objective={objective}: does not compare over {', '.join(clash)}; "
            f"{score * objective.endswith('loss')}leave {'them' if len(clash) > 1 else 'it'} out"
        )
    from pipeline.experiment import check_paths  # takes long to import

    loader = GlobalHydra.instance().config_loader()
    groups = group_choices(space, loader)
    given = sweep_overrides(config).items()
    fixed = [one.input_line or "" for key, one in given if key not in space]
    found: list[Config] = []
    for chosen, base in compose_choices(config, groups, loader, fixed).items():
        for key in space:
            if key not in groups and not has_setting(base, key):
                where = f"where {' '.join(chosen)}" if chosen else "here"
                raise InputError(
                    f"{space[key].input_line}: no such setting {where}; a search has every "
                    "setting in every trial"
                )
        found.append(schema.resolve(base))
        check_objective(found[-1], objective)
        check_paths(found[-1])
    return found[0]


def study_name(settings: Config, space: Mapping[str, Override]) -> str:
    """Return a name for the Optuna study of a search; the same search always gets the same name.

    It has a hash of search space, objective, settings, code, and files that the settings name. Of
    files that are values in the search space, only the names are hashed, not the content.
    """
    from pipeline.plan import result_keys

    searched = sorted(override.input_line or "" for override in space.values())
    settled = flatten(settings.as_dict(), NOT_IDENTITY)
    parts = [searched, settled, settings.search.objective, result_keys(settings)]
    return f"w2v-{digest(parts)}"


def storage_url(storage: str) -> str:
    """Return the URL of a storage for Optuna, given as a URL or as the path of an SQLite file."""
    from sqlalchemy import URL

    if "://" in storage:
        return storage
    # In a file: URI, unlike in a plain path, a question mark can be quoted.
    database, options = Path(storage).absolute().as_uri(), {"uri": "true", "timeout": "60"}
    return URL.create("sqlite", database=database, query=options).render_as_string()


@contextmanager
def storage_errors(storage: str) -> Iterator[None]:
    """Context manager: turn errors of the Optuna storage `storage` into an `InputError`."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except InputError:
        raise
    # RuntimeError: another version of Optuna made the storage.
    except (SQLAlchemyError, OptunaError, OSError, ImportError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).strip().split("\n")[0].split())[:200]
        raise InputError(f"hydra.sweeper.storage={storage}: cannot be used ({reason})") from None


def resume(url: str, name: str, objective: str) -> tuple[int, int, float | None]:
    """Open or create an Optuna study, queue its killed trials again, and count its trials.

    Return how many trials have ended, how many there are in all, and the best value (None: no trial
    was completed). No other process may use the study, so a trial marked as running was killed. It
    is queued again, and not counted as ended, unless it was killed for the second time.
    `InputError` is raised if the trials of the study optimize another objective.
    """
    import optuna
    from optuna.exceptions import ExperimentalWarning
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(logging.WARNING)
    # Optuna 2, which Hydra 1.3 needs, would not commit a new schema with SQLAlchemy 2 otherwise.
    optuna.storages.RDBStorage(url, engine_kwargs={"isolation_level": "AUTOCOMMIT"})
    way = direction_of(objective)
    study = optuna.create_study(study_name=name, storage=url, direction=way, load_if_exists=True)
    if (other := study.user_attrs.get(OBJECTIVE, objective)) != objective:
        raise InputError(f"study {name}: is by search.objective={other}; name another study")
    if not study.trials:  # those of an earlier version may be by another metric
        study.set_user_attr(OBJECTIVE, objective)
    killed = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    again: list[Any] = study.user_attrs.get(TRIED_AGAIN, [])
    for trial in killed:
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params and trial.params not in again:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.enqueue_trial(trial.params)
            again.append(trial.params)
    if killed:
        study.set_user_attr(TRIED_AGAIN, again)
        log.info("%d trials were killed", len(killed))
    trials = study.get_trials(deepcopy=False)
    ended = sum(trial.state.is_finished() for trial in trials) - len(again)
    complete = any(trial.state == TrialState.COMPLETE for trial in trials)
    return ended, len(trials), study.best_value if complete else None
