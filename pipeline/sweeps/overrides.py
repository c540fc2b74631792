"""Read the overrides of a sweep: what they set, what they vary, and whether a setting exists."""

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf


def keys_and_texts(overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the key and the text of each override that has a value, without ``+`` or ``~``."""
    for override in overrides:
        key, separator, text = override.partition("=")
        if separator:
            yield key.lstrip("+~").partition("@")[0], text


def override_values(overrides: Sequence[str]) -> dict[str, Any]:
    """Return what overrides set, as typed values by key."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {override.key_or_group: override.value() for override in parsed}


def sweep_overrides(config: DictConfig) -> dict[str, Override]:
    """Return all overrides of a sweep by key.

    They come from ``hydra.sweeper.params``, which an experiment file may set, and from the
    command line, which wins.
    """
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    texts = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    parsed = OverridesParser.create().parse_overrides(texts)
    return {override.get_key_element(): override for override in parsed}


def varied_overrides(config: DictConfig) -> dict[str, Override]:
    """Return the overrides of a sweep that give several values."""
    return {key: one for key, one in sweep_overrides(config).items() if one.is_sweep_override()}


def is_plain(key: str) -> bool:
    """Return whether a key sets an existing setting: no ``+``, no ``~``, no ``@package``."""
    return not key.startswith(("+", "~")) and "@" not in key


def has_setting(config: Any, key: str) -> bool:
    """Return whether a composed configuration has a setting, even one without a value."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, DictConfig) or node._is_missing() or node._is_none():
            return False
        if OmegaConf.get_type(node) is dict:  # the user chooses the names below
            return True
        if part not in list(node):
            return False
        node = node._get_node(part)
    return True
