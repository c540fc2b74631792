"""What a configuration file may make Hydra do: a file from a stranger must not run code.

Hydra makes whatever object a configuration names, sets the environment of jobs, and writes where
it is told. Hydra 1.4 takes a list of what may be made; 1.3 does not. So every configuration is
checked here between its composition and the first object that is made of it: of Hydra's own
settings a file may change numbers and switches, and no text but to what Hydra, its plug-ins or
the project itself have there. Everything else comes from the command line, which is the user's.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hydra.conf
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigNode, ConfigStore
from omegaconf import DictConfig, OmegaConf

from w2v.errors import InputError

OWN = ("tokenizer.function", "tracking.uri", "outputs")
"""Settings of the project that run code or choose where is written. Like all text of Hydra's,
they come from the command line, or from the files of `TRUSTED`."""

TRUSTED = ("hydra", "search", "tracking")
"""Groups of ``conf/`` whose files, like ``config.yaml``, are the project's own business; corpora,
experiments and the like are handed around."""

FILLED = (
    *("hydra.overrides.", "hydra.runtime."),
    *("hydra.job.override_dirname", "hydra.job.config_name", "hydra.job.id"),
)
"""What Hydra fills in itself, after all files."""

NAME = "hydra.job.name"
"""Likewise, but only where no file has it."""

Leaf = tuple[str, Any]
"""A dotted key and its value, unresolved."""


def leaves(node: Any, key: str = "") -> Iterator[Leaf]:
    """Every value below a node."""
    match node:
        case dict():
            for name, child in node.items():
                yield from leaves(child, f"{key}.{name}" if key else str(name))
        case list():
            for number, child in enumerate(node):
                yield from leaves(child, f"{key}.{number}")
        case _:
            yield key, node


def content_of(node: Any) -> Any:
    """A configuration as plain objects, nothing in it resolved."""
    made = OmegaConf.structured(node) if not OmegaConf.is_config(node) else node
    return OmegaConf.to_container(made, resolve=False)


def name_and_value(leaf: Leaf) -> tuple[str, str]:
    """What a text is known by: the last name of its key that is no number, and its value."""
    names = [part for part in leaf[0].split(".") if not part.isdecimal()]
    return names[-1] if names else "", str(leaf[1])


@cache
def known(conf: Path) -> tuple[frozenset[tuple[str, str]], dict[str, list[Any]]]:
    """The texts that Hydra's settings may hold, and what the project has for those of `OWN`."""
    contents = [content_of(hydra.conf.HydraConf)]
    contents += [content_of(node.node) for node in registered(ConfigStore.instance().repo["hydra"])]
    files = [*Path(hydra.conf.__file__).parent.rglob("*.yaml"), conf / "config.yaml"]
    files += [path for group in TRUSTED for path in sorted((conf / group).glob("**/*.yaml"))]
    own: dict[str, list[Any]] = {key: [] for key in OWN}
    for path in files:
        content = content_of(OmegaConf.load(path))
        contents.append(content)
        if path.is_relative_to(conf):
            group = path.parent.relative_to(conf).parts
            for key, value in leaves(content, ".".join(group)):
                if key in own:
                    own[key].append(value)
    texts = (leaf for content in contents for leaf in leaves(content))
    return frozenset(name_and_value(leaf) for leaf in texts if isinstance(leaf[1], str)), own


def registered(tree: Any) -> Iterator[ConfigNode]:
    """The nodes of Hydra's store of configurations: its own, and those of its plug-ins."""
    if isinstance(tree, ConfigNode):
        yield tree
    else:
        for child in tree.values():
            yield from registered(child)


def told_of(given: Sequence[str]) -> dict[str, str]:
    """The keys of a command line, with their values as they stand there."""
    return dict(text.lstrip("+~").partition("=")[::2] for text in given)


def is_told(key: str, told: dict[str, str]) -> bool:
    """Whether the command line gives this value: by its key, or in braces by one above it."""
    return any(  # a group's choice says nothing of the values in its file
        key == one or (key.startswith(f"{one}.") and "{" in text) for one, text in told.items()
    )


def check(config: Any, given: Sequence[str], conf: Path) -> None:
    """Refuse a configuration that could run code or write elsewhere.

    Parameters
    ----------
    config
        As composed; nothing in it has been resolved.
    given
        The overrides of the command line.
    conf
        The project's own files.

    Raises
    ------
    InputError
    """
    content = content_of(config)
    texts, own = known(conf)
    told = told_of(given)
    section = content.get("hydra") or {}
    if not isinstance(section, dict):
        raise refusal("hydra", section)
    planned = (section.get("sweeper") or {}).pop("params", None) or {}
    for key, value in leaves(section, "hydra"):
        if not isinstance(value, str) or key.startswith(FILLED) or is_told(key, told):
            continue
        # The name ends up in a script for the cluster, on a line of its own.
        named = key == NAME and value.isprintable()
        if not named and name_and_value((key, value)) not in texts:
            raise refusal(key, value)
    for key in OWN:
        value = select(content, key)
        if value is not None and value not in own[key] and not is_told(key, told):
            raise refusal(key, value)
    for key, value in planned.items() if isinstance(planned, dict) else [("", planned)]:
        name = str(key).lstrip("+~").partition("@")[0]
        above = any(one == name or one.startswith(f"{name}.") for one in OWN) and "{" in str(value)
        if above or name.partition(".")[0].partition("/")[0] in ("hydra", "") or name in OWN:
            raise refusal(f"hydra.sweeper.params.{key}", value)


def refusal(key: str, value: Any) -> InputError:
    """The line for a setting that a file must not have."""
    return InputError(f"{key}={value}: must be given on the command line, not in a file")


def select(content: Any, key: str) -> Any:
    """The value of a dotted key, unresolved; ``None`` where there is none."""
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def install(conf: Path) -> None:
    """Check every configuration that Hydra composes in this process; see `check`."""
    # All ways to compose, in Hydra 1.3 and 1.4, lead through the first; jobs of a sweep, whose
    # overrides may come from a file, through the second as well.
    composed = ConfigLoaderImpl._load_configuration_impl
    swept = ConfigLoaderImpl.load_sweep_config

    def load_configuration(self: ConfigLoaderImpl, **named: Any) -> DictConfig:
        try:
            config = composed(self, **named)
        except KeyError as error:
            raise InputError(f"hydra.job.env_copy: {error} is not in the environment") from None
        check(config, named["overrides"], conf)
        return config

    def load_sweep_config(
        self: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        config = swept(self, master_config, sweep_overrides)
        told = master_config.hydra.overrides
        check(config, [*told.hydra, *told.task], conf)
        return config

    ConfigLoaderImpl._load_configuration_impl = load_configuration  # type: ignore
    ConfigLoaderImpl.load_sweep_config = load_sweep_config  # type: ignore[method-assign]
