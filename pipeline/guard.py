"""What a configuration file may make Hydra do: a file from a stranger must not run code.

Hydra makes whatever object a configuration names, sets the environment of jobs, and writes where
it is told. Hydra 1.4 takes a list of what may be made; 1.3 does not. So every configuration is
checked here between its composition and the first object that is made of it. What would run code
or write elsewhere is allowed on the command line only, which is the user's own.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from w2v.errors import InputError

TARGETS = (
    r"pipeline\.callbacks\.SweepCallback",
    r"hydra\._internal\.core_plugins\.basic_launcher\.BasicLauncher",
    r"hydra\._internal\.core_plugins\.basic_sweeper\.BasicSweeper",
    r"hydra_plugins\.w2v_grid\.GridSweeper",
    r"hydra_plugins\.hydra_joblib_launcher\.joblib_launcher\.JoblibLauncher",
    r"hydra_plugins\.hydra_submitit_launcher\.submitit_launcher\.(Slurm|Local)Launcher",
    r"hydra_plugins\.hydra_optuna_sweeper\.optuna_sweeper\.OptunaSweeper",
    r"optuna\.samplers\.\w+Sampler",
)
"""Classes that may be made, each whole: by way of a package's other names, anything could be."""

TARGET = "_target_"

HANDLERS = ("logging.StreamHandler", "logging.FileHandler", "logging.NullHandler")
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
LOG = "${hydra.runtime.output_dir}/run.log"

OWN = (
    "tokenizer.function",
    "tracking.uri",
    "hydra.job.env_set",
    "hydra.launcher.python",
    "hydra.launcher.setup",
    "hydra.launcher.additional_parameters",
    "hydra.launcher.srun_args",
    "hydra.output_subdir",
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.sweeper.custom_search_space",
)
"""Settings that run code or choose where files are written. They come from the command line, or
from the files of `TRUSTED`."""

TRUSTED = ("hydra/launcher", "hydra/sweeper", "tracking")
"""Groups of ``conf/`` whose files, like ``config.yaml``, are the project's own business; corpora,
experiments and the like are handed around."""


def own_values(conf: Path) -> dict[str, list[Any]]:
    """What the project's own files have for the settings of `OWN`."""
    contents = [OmegaConf.to_container(OmegaConf.load(conf / "config.yaml"))]
    for group in TRUSTED:
        for path in sorted((conf / group).glob("*.yaml")):
            content: Any = OmegaConf.to_container(OmegaConf.load(path))
            for part in reversed(group.split("/")):
                content = {part: content}
            contents.append(content)
    found = {key: [select(content, key) for content in contents] for key in OWN}
    found["hydra.output_subdir"].append(".hydra")
    found[TARGET] = [
        value
        for content in contents
        for key, value in leaves(content, "")
        if key.endswith(f".{TARGET}")
    ]
    return found


def check(config: DictConfig, given: Sequence[str], own: dict[str, list[Any]]) -> None:
    """Refuse a configuration that would run code or write elsewhere.

    Parameters
    ----------
    config
        As composed, Hydra's own settings included; nothing in it has been resolved.
    given
        The overrides of the command line.
    own
        What the project has for the settings of `OWN`.

    Raises
    ------
    InputError
    """
    content = OmegaConf.to_container(config, resolve=False)
    assert isinstance(content, dict)
    told = dict(text.lstrip("+~").partition("=")[::2] for text in given)
    for key, value in leaves(content.get("hydra", {}), "hydra"):
        last = key.rpartition(".")[2]
        made = last == TARGET and value not in own[TARGET]
        made = made and not any(re.fullmatch(name, str(value)) for name in TARGETS)
        logged = "_logging." in key and (
            (last == "class" and value not in HANDLERS)
            or (last == "filename" and value != LOG)
            or (str(value).startswith(("ext://", "cfg://")) and value not in STREAMS)
        )
        if last == "()" or made or logged or stands_for_more(config, key, value):
            raise InputError(f"{key}={value}: no configuration may run this")
    for key in OWN:
        value = select(content, key)
        mine = any(  # a group's choice says nothing of the values in its file
            key == one or (key.startswith(f"{one}.") and text.startswith("{"))
            for one, text in told.items()
        )
        if not mine and value not in (*own[key], None, {}, []):
            raise InputError(f"{key}={value}: must be given on the command line, not in a file")
    planned = select(content, "hydra.sweeper.params")
    for key in planned if isinstance(planned, dict) else ():
        if str(key).lstrip("+~").startswith(("hydra", *OWN)):
            raise InputError(f"hydra.sweeper.params.{key}: must be given on the command line")


def leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every value below a node, with its key."""
    match node:
        case dict():
            for name, child in node.items():
                yield from leaves(child, f"{key}.{name}")
        case list():
            for number, child in enumerate(node):
                yield from leaves(child, f"{key}.{number}")
        case _:
            yield key, node


def stands_for_more(config: DictConfig, key: str, value: Any) -> bool:
    """Whether a value is an interpolation of a whole section, which nobody would have looked at."""
    if not (isinstance(value, str) and "${" in value):
        return False
    try:
        return isinstance(OmegaConf.select(config, key), Container)
    except OmegaConfBaseException:  # of what is known in a job only: numbers and names
        return False


def select(content: Any, key: str) -> Any:
    """The value of a dotted key, unresolved; ``None`` where there is none."""
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def install(own: dict[str, list[Any]]) -> None:
    """Check every configuration that Hydra composes in this process; see `check`."""
    # All ways to compose, in Hydra 1.3 and 1.4, lead through the first; jobs of a sweep, whose
    # overrides may come from a file, through the second as well.
    composed = ConfigLoaderImpl._load_configuration_impl
    swept = ConfigLoaderImpl.load_sweep_config

    def load_configuration(self: ConfigLoaderImpl, **named: Any) -> DictConfig:
        config = composed(self, **named)
        check(config, named["overrides"], own)
        return config

    def load_sweep_config(
        self: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        config = swept(self, master_config, sweep_overrides)
        told = master_config.hydra.overrides
        check(config, [*told.hydra, *told.task], own)
        return config

    ConfigLoaderImpl._load_configuration_impl = load_configuration  # type: ignore
    ConfigLoaderImpl.load_sweep_config = load_sweep_config  # type: ignore[method-assign]
