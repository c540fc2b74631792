"""Parse Hydra's overrides: the ``key=value`` arguments of a run or a sweep."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from omegaconf import DictConfig, OmegaConf, read_write

from pipeline.config import schema
from pipeline.config.values import NOT_IDENTITY
from w2v.errors import InputError

Jobs = Sequence[Sequence[str]]
"""The overrides of each job of a sweep."""


def keys_and_texts(overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield key and value of each override with ``=``; cut ``+``, ``~``, ``@package`` off keys."""
    for override in overrides:
        key, separator, text = override.partition("=")
        if separator:
            yield key.lstrip("+~").partition("@")[0], text


@lru_cache(1 << 12)  # the jobs of a sweep have few different ones, and parsing takes long
def parsed(text: str) -> Override:
    """Parse an override of a job. Callers share the result and must not change it."""
    return OverridesParser.create().parse_overrides([text])[0]


def override_values(overrides: Sequence[str]) -> dict[str, Any]:
    """Parse overrides that give one value each, such as a job's; return the values by key."""
    return {one.key_or_group: deepcopy(one.value()) for one in map(parsed, overrides)}


def sweep_overrides(config: DictConfig) -> dict[str, Override]:
    """Return all overrides of a sweep, by key.

    Those of the command line take precedence over ``hydra.sweeper.params`` of an experiment file.
    `InputError` is raised if ``params`` is not a mapping, or if a setting that all jobs must share,
    such as ``tracking.uri``, is in ``params`` or has several values on the command line.
    """
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    if not isinstance(params, Mapping):
        raise InputError(f"hydra.sweeper.params={params}: must be settings, each with its values")
    for key in params:
        if key.partition(".")[0] in NOT_IDENTITY:
            raise InputError(f"hydra.sweeper.params: {key}: a sweep has one; set it outside params")
    texts = [f"{key}={'null' if value is None else value}" for key, value in params.items()]
    texts.extend(config.hydra.overrides.task)
    # The loader finds the choices that glob(...) stands for.
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    found = {override.get_key_element(): override for override in parser.parse_overrides(texts)}
    for one in found.values():
        if one.is_sweep_override() and one.key_or_group.partition(".")[0] in NOT_IDENTITY:
            raise InputError(f"{one.input_line}: a sweep has one; give a single value")
    return found


def varied_overrides(config: DictConfig) -> dict[str, Override]:
    """Return those overrides of a sweep that give several values, by key."""
    return {key: one for key, one in sweep_overrides(config).items() if one.is_sweep_override()}


def value_texts(override: Override) -> list[str]:
    """Return an override's distinct values as texts; `InputError` for no values, or an interval."""
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
    glob = isinstance(override.value(), Glob)
    texts = [text for text in texts if not (glob and text.endswith("schema"))]
    if not texts:
        nothing = "none of the choices of a group" if glob else "no value"
        raise InputError(f"{override.input_line}: stands for {nothing}")
    return texts


def set_hydra(config: DictConfig, group: str, key: str, value: int | str) -> None:
    """Set ``hydra.<group>.<key>`` in `config` and in the overrides that Hydra gives all jobs."""
    overrides = config.hydra.overrides.hydra
    with read_write(config.hydra[group]), read_write(overrides):
        OmegaConf.update(config.hydra[group], key, value)
        overrides.append(f"hydra.{group}.{key}={value!r}")


def is_group(key: str, loader: ConfigLoader) -> bool:
    """Return whether a key names a config group, which has choices."""
    # Hydra's own get_group_options copies all schemas first, which takes 20 ms.
    groups = [one for one in loader.get_sources() if "." not in key and one.is_group(key)]
    return any(one.list(key, ObjectType.CONFIG) for one in groups)


def group_choices(overrides: Mapping[str, Override], loader: ConfigLoader) -> dict[str, list[str]]:
    """Return the choices in overrides of config groups, by group: ``{"loss": ["softmax"]}``."""
    return {key: value_texts(one) for key, one in overrides.items() if is_group(key, loader)}


def compose_choices(
    config: DictConfig,
    groups: Mapping[str, Sequence[str]],
    loader: ConfigLoader,
    fixed: Sequence[str] = (),
) -> dict[tuple[str, ...], DictConfig]:
    """Compose a configuration for every combination of choices, one choice of each config group.

    `groups` has the choices of each group; `loader` composes. The result's keys are combinations,
    such as ``("loss=softmax", "model=cbow")``. All configurations get the overrides `fixed`. Of the
    overrides in the sweep's `config`, only those of Hydra's own settings are used.
    """
    texts = [[f"{group}={choice}" for choice in choices] for group, choices in groups.items()]
    found = {}
    for chosen in itertools.product(*texts):
        found[chosen] = loader.load_sweep_config(config, [*fixed, *chosen])
        schema.check_files(found[chosen].hydra)
    return found


def is_plain(key: str) -> bool:
    """Return whether an override's key has no ``+``, ``~`` or ``@``."""
    return not key.startswith(("+", "~")) and "@" not in key


def has_setting(config: DictConfig, key: str) -> bool:
    """Return whether an override of `key` changes a setting that `config` has.

    Some settings are dicts, whose keys the user chooses: any `key` below such a dict gives True. So
    does a `key` with +, ~ or @, which is not checked.
    """
    node: Any = config
    for part in key.split(".") if is_plain(key) else ():
        if not isinstance(node, DictConfig) or node._is_missing() or node._is_none():
            return False
        if OmegaConf.get_type(node) is dict:  # the user chooses the names below
            return True
        if part not in list(node):
            return False
        node = node._get_node(part)
    return True
