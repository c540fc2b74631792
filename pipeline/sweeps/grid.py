"""Plan a grid sweep, which runs every combination of the given values."""

import itertools

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from pipeline.config import schema
from pipeline.config.settings import Config
from pipeline.sweeps.objective import check_objective
from pipeline.sweeps.overrides import (
    compose_choices,
    group_choices,
    has_setting,
    is_plain,
    keys_and_texts,
    override_values,
    sweep_overrides,
    value_texts,
)
from w2v.errors import InputError


def plan_jobs(config: DictConfig, loader: ConfigLoader) -> dict[tuple[str, ...], Config]:
    """Compose every job of a grid with `loader`; return the settings of each, by its overrides.

    The grid is in ``hydra.overrides.task`` and ``hydra.sweeper.params`` of the sweep's `config`.
    `InputError` is raised if any job is invalid. An override of a setting that a job does not have
    is left out of the job: ``loss.negatives`` with ``loss=softmax``. Of equal jobs, one is kept.
    """
    from pipeline.experiment import check_paths  # takes long to import

    overrides = sweep_overrides(config)
    values = {key: value_texts(override) for key, override in overrides.items()}
    groups = group_choices(overrides, loader)
    bases = compose_choices(config, groups, loader)
    for chosen, base in bases.items() if len(values.get("experiment", ())) > 1 else ():
        params = OmegaConf.select(base, "hydra.sweeper.params")
        objective = OmegaConf.select(base, "search.objective")
        if params != config.hydra.sweeper.params or objective != config.search.objective:
            named = next(text for text in chosen if text.startswith("experiment="))
            raise InputError(f"{named}: is a sweep of its own; it cannot be one choice of another")
    bases = {chosen: schema.without_hydra(base) for chosen, base in bases.items()}
    settings = [key for key in values if key not in groups]
    # The experiment's file may vary a setting that the choices on the command line do not have.
    given = {key for key, _ in keys_and_texts(config.hydra.overrides.task)}
    for key in settings:
        wanted = key in given or key not in schema.known_keys()
        if wanted and not any(has_setting(base, key) for base in bases.values()):
            raise InputError(schema.suggest_setting(key))
    jobs: dict[tuple[str, ...], Config] = {}
    checked: set[str] = set()
    left_out: dict[str, str] = {}
    for combination in itertools.product(*values.values()):
        job = dict(zip(values, combination, strict=True))
        base = bases[tuple(f"{group}={job[group]}" for group in groups)]
        for key in settings:
            if not has_setting(base, key):
                group = key.partition(".")[0]
                group = group if group in job else "experiment"
                left_out[key] = f"{group}={job.get(group, 'null')}"
                del job[key]
        texts = tuple(  # an override that removes a setting has no value
            key if key.startswith("~") and value == "null" else f"{key}={value}"
            for key, value in job.items()
        )
        if texts not in jobs:
            made = check_job(config, loader, base, [*texts], [*groups])
            words = made.vocab.words, made.vocab.drop, made.tokenizer.phrases.from_
            init = made.train.init and (made.train.init, made.objective)  # must fit each other
            named = repr((made.corpus, words, init, made.train.bootstrap, made.evaluate))
            if named not in checked:
                check_paths(made)
            checked.add(named)
            jobs[texts] = made
    for key, where in left_out.items():
        print(f"{key} is left out where {where}, which has no such setting")
    return jobs


def check_job(
    config: DictConfig, loader: ConfigLoader, base: DictConfig, job: list[str], groups: list[str]
) -> Config:
    """Return the settings of a job; raise `InputError` if they are invalid.

    `job` has all overrides of the job. In the configuration `base`, the config groups `groups` are
    already chosen as in `job`; the other overrides are applied to a copy of `base`. But if a key
    has ``+``, ``~`` or ``@``, Hydra's `loader` composes the job from the sweep's `config` (slow).
    """
    schema.check_overrides(job)
    if all(is_plain(text.partition("=")[0]) for text in job):
        composed = base.copy()
        for key, value in override_values(job).items():
            if key not in groups:
                OmegaConf.update(composed, key, value, merge=True)
    else:
        composed = loader.load_sweep_config(config, job)
    settings = schema.resolve(composed)
    check_objective(settings, str(composed.search.objective))
    return settings
