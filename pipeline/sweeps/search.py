"""Searches by Hydra's Optuna sweeper: what it leaves to its user, settled before it starts.

Optuna is imported only when something is searched.
"""

import hashlib
import itertools
import json
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, read_write

from pipeline.config import schema
from pipeline.config.values import BESIDE, flat
from pipeline.sweeps.analysis import SEED, incomparable
from pipeline.sweeps.results import check_objective
from pipeline.sweeps.session import given, has, plain, swept
from w2v.errors import InputError

log = logging.getLogger(__name__)


class State(NamedTuple):
    """How far a study is.

    Attributes
    ----------
    finished
        Trials that ended by themselves.
    trials
        Trials of any kind.
    complete
        Trials that gave a figure.
    """

    finished: int
    trials: int
    complete: int


def prepare_search(config: DictConfig, at_once: int, stack: ExitStack) -> None:
    """Settle which study is searched, and how far it is.

    The study is named by the search space, the settings and the content of the text, so the same
    command goes on where it stopped: trials that were killed are tried again, and ``n_trials``
    counts the whole study, so that a command that has finished trains nothing when it is given
    again.

    Parameters
    ----------
    config
        What Hydra composed, its own settings included; they are changed.
    at_once
        How many trials the launcher runs at a time.
    stack
        Holds the lock on the study.

    Raises
    ------
    InputError
        A space that cannot be searched, an objective that does not compare over it, a storage
        that cannot be used; or another process is searching in the same study.
    """
    sweeper = config.hydra.sweeper
    if "storage" not in sweeper or "n_trials" not in sweeper:
        return
    # A trial that fails is told by its own line.
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.ERROR)
    objective = str(config.search.objective)
    if sweeper.n_trials < 1:
        raise InputError(f"hydra.sweeper.n_trials={sweeper.n_trials}: must be at least 1")
    if sweeper.direction not in (None, "minimize", "maximize"):
        raise InputError(
            f"hydra.sweeper.direction={sweeper.direction}: must be minimize, maximize or null"
        )
    space = swept(config)
    settings = check_space(config, space, objective)
    if sweeper.n_jobs < 1:
        settle(config, "n_jobs", at_once)
    if sweeper.direction is None:
        settle(config, "direction", schema.direction_of(objective))
    if sweeper.storage is None:
        return
    if sweeper.study_name is None:
        settle(config, "study_name", study_name(settings, space))
    if not re.fullmatch(r"[\w.-]+", sweeper.study_name):
        raise InputError(
            f"hydra.sweeper.study_name={sweeper.study_name}: must be of letters, digits, _, . and -"
        )
    outputs = Path(config.outputs)
    outputs.mkdir(parents=True, exist_ok=True)
    lock = FileLock(outputs / f".{sweeper.study_name}.lock", timeout=0)
    try:
        stack.enter_context(lock)
    except Timeout:
        raise InputError(
            f"study {sweeper.study_name}: another process is searching in it; wait for it, "
            "or name another with hydra.sweeper.study_name=..."
        ) from None
    with storage_faults(sweeper.storage):
        state = resume(sweeper.storage, sweeper.study_name, str(sweeper.direction))
    left = max(0, sweeper.n_trials - state.finished)
    if left == 0 and state.complete == 0:
        raise InputError(
            f"study {sweeper.study_name}: all of its {state.finished} trials failed; change what "
            "is searched, or raise hydra.sweeper.n_trials"
        )
    settle(config, "n_trials", left)
    if "seed" in sweeper.sampler and sweeper.sampler.seed is not None:
        # The sampler starts anew in every process: the same seed would draw the same again.
        settle(config, "sampler.seed", sweeper.sampler.seed + state.trials)


def check_space(config: DictConfig, space: dict[str, Override], objective: str) -> schema.Config:
    """Refuse a space that no search should have, or whose choices lack some of its settings.

    Returns
    -------
    Config
        The settings of a trial, but for what is searched.

    Raises
    ------
    InputError
    """
    if SEED in space:
        raise InputError(
            f"{space[SEED].input_line}: a search would choose the luckiest seed; search without "
            "it, and judge what was found over seeds with -m 'seed=range(3)'"
        )
    clash = incomparable(objective, space)
    if clash:
        raise InputError(
            f"search.objective={objective}: does not compare over {', '.join(clash)}; search by a "
            "score, as in search.objective=similarity/wordsim353/spearman, or leave them out"
        )
    loader = GlobalHydra.instance().config_loader()
    groups = {
        key: [str(choice) for choice in override.sweep_iterator()]
        for key, override in space.items()
        if plain(key) and "." not in key and loader.get_group_options(key)
    }
    fixed = [one.input_line or "" for key, one in given(config).items() if key not in space]
    found: list[schema.Config] = []
    for choice in itertools.product(*groups.values()):
        chosen = [f"{key}={value}" for key, value in zip(groups, choice, strict=True)]
        base = loader.load_sweep_config(config, [*fixed, *chosen])
        for key in space:
            if plain(key) and key not in groups and not has(base, key):
                where = f"where {' '.join(chosen)}" if chosen else "here"
                raise InputError(
                    f"{space[key].input_line}: no such setting {where}; a search has every "
                    "setting in every trial"
                )
        found.append(schema.resolve(base))
        check_objective(found[-1], objective)
    return found[0]


def study_name(settings: schema.Config, space: dict[str, Override]) -> str:
    """A name that is equal for equal searches: space, settings, text and code alike."""
    from pipeline.corpora.sources import make_source
    from pipeline.stages import STAGES

    parts: list[Any] = [
        sorted(override.input_line or "" for override in space.values()),
        flat(asdict(settings), BESIDE),
        settings.search.objective,
        {name: stage.version for name, stage in STAGES.items()},
    ]
    if settings.evaluate.vectors is None and not {"corpus", "corpus.path"} & set(space):
        parts.append(make_source(settings.corpus, Path(settings.outputs)).fingerprint())
    text = json.dumps(parts, default=str)
    return f"w2v-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def settle(config: DictConfig, key: str, value: int | str) -> None:
    """Set a key of the sweeper as its command line would have: the jobs' settings must agree."""
    told = config.hydra.overrides.hydra
    with read_write(config.hydra.sweeper), read_write(told):
        OmegaConf.update(config.hydra.sweeper, key, value)
        told.append(f"hydra.sweeper.{key}={value}")


@contextmanager
def storage_faults(url: str) -> Iterator[None]:
    """Turn what a storage that cannot be used raises into a line.

    Raises
    ------
    InputError
    """
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    # RuntimeError: made by another version of Optuna.
    except (SQLAlchemyError, OptunaError, OSError, ImportError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).strip().split("\n")[0].split())[:200]
        raise InputError(f"hydra.sweeper.storage={url}: cannot be used ({reason})") from None


KILLED, TRIED_AGAIN = "killed", "tried_again"
"""Attributes of a study: how many trials were killed, and the parameters of those."""


def resume(url: str, study_name: str, direction: str) -> State:
    """Open or create a study, and put trials that were killed back into its queue, once each.

    Nobody else may be working on the study: each trial that has not ended is taken for killed.
    One that is killed a second time is left out: it may be what kills its process.

    Parameters
    ----------
    url
        Of the storage, as ``optuna.create_study`` takes it.
    """
    import optuna
    from optuna.exceptions import ExperimentalWarning
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(logging.WARNING)
    # Optuna 2, which Hydra 1.3 needs, leaves a new schema uncommitted on SQLAlchemy 2 otherwise.
    optuna.storages.RDBStorage(url, engine_kwargs={"isolation_level": "AUTOCOMMIT"})
    study = optuna.create_study(
        study_name=study_name, storage=url, direction=direction, load_if_exists=True
    )
    killed = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING]
    lost: int = study.user_attrs.get(KILLED, 0)
    again: list[Any] = study.user_attrs.get(TRIED_AGAIN, [])
    for trial in killed:
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params and trial.params not in again:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.enqueue_trial(trial.params)
            again.append(trial.params)
            lost += 1
    if killed:
        study.set_user_attr(KILLED, lost)
        study.set_user_attr(TRIED_AGAIN, again)
        log.info("%d trials were killed", len(killed))
    trials: Sequence[Any] = study.get_trials(deepcopy=False)
    return State(
        finished=sum(trial.state.is_finished() for trial in trials) - lost,
        trials=len(trials),
        complete=sum(trial.state == TrialState.COMPLETE for trial in trials),
    )
