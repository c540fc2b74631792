"""Studies of Optuna: taken up where they stopped. Optuna is imported only when one is searched."""

import logging
from typing import NamedTuple

log = logging.getLogger(__name__)


class State(NamedTuple):
    """How far a study is: trials that ended by themselves, and trials of any kind."""

    finished: int
    trials: int


def resume(url: str, study_name: str, direction: str) -> State:
    """Open or create a study, and put trials that were killed back into its queue.

    Nobody else may be working on the study: each trial that has not ended is taken for killed.

    Parameters
    ----------
    url
        Of the storage, as ``optuna.create_study`` takes it.
    """
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(logging.WARNING)
    # Optuna 2, which Hydra 1.3 needs, leaves a new schema uncommitted on SQLAlchemy 2 otherwise.
    optuna.storages.RDBStorage(url, engine_kwargs={"isolation_level": "AUTOCOMMIT"})
    study = optuna.create_study(
        study_name=study_name, storage=url, direction=direction, load_if_exists=True
    )
    killed = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING]
    for trial in killed:
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)
    lost = study.user_attrs.get("killed", 0) + len(killed)
    if killed:
        study.set_user_attr("killed", lost)
        log.info("%d trials were killed; they are tried again", len(killed))
    trials = study.get_trials(deepcopy=False)
    finished = sum(trial.state.is_finished() for trial in trials) - lost
    return State(finished, len(trials))
