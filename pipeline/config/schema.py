"""The schema of the settings for Hydra, and `resolve`, which validates the composed settings.

Hydra composes settings from YAML files and arguments, and checks their names and types. `resolve`
converts them to frozen dataclasses, which check limits; the stages thus do not depend on Hydra.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from inspect import signature
from pathlib import Path
from typing import Any, cast, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import messages
from pipeline.config.help import TEMPLATE, help_text
from pipeline.config.program import CONF
from pipeline.config.settings import TOKENIZERS, Config, Tracking
from pipeline.config.values import as_yaml
from w2v.bench.settings import MEASURES
from w2v.cluster.settings import ClusterSettings
from w2v.engines import EngineSettings
from w2v.errors import InputError
from w2v.evaluate.settings import Evaluate
from w2v.losses import LOSSES
from w2v.manifest_differences import flat
from w2v.objectives import ARCHITECTURES
from w2v.settings import SettingError, with_home
from w2v.text.corpora import CORPORA

GROUPS: dict[str, dict[str, type]] = {
    "corpus": dict(CORPORA),
    "tokenizer": dict(TOKENIZERS),
    "model": {name: settings for name, (settings, _) in ARCHITECTURES.items()},
    "loss": dict(LOSSES),
    "engine": {"": EngineSettings},
    "cluster": {"": ClusterSettings},
    "evaluate": {"": Evaluate},
    "tracking": {"": Tracking},
    "measure": dict(MEASURES),
}
"""The classes of settings by config group and choice; "" means that all choices have one class."""

GLOBAL = "# @package _global_"
LISTED = re.compile(r"(?!stages=)[^.=@]+(@[^=]*)?= *\[")  # a list of choices of a group
PLAIN = re.compile(r"^defaults: *(?:\[\w*schema\]|(?:\n *- override /[\w/]+: \w+)+)$", re.M)
"""Matches a YAML ``defaults`` list of just one schema, or of just ``override /group: choice``."""
parsed: Any = cache(lambda text: OmegaConf.to_container(OmegaConf.create(text)))

# OmegaConf 2.4 gave `register_new_resolver` the name of an older function.
register_resolver: Any = OmegaConf.register_resolver
if "replace" not in signature(register_resolver).parameters:
    register_resolver = OmegaConf.register_new_resolver
# Hydra makes folders with ${home:...} before `resolve` runs, also in processes of a sweep.
register_resolver("home", with_home, replace=True)
# ${help:} is a resolver, so that the hydra.yaml of a run does not hold the whole help text.
register_resolver("help", partial(help_text, GROUPS), replace=True)


@cache  # Hydra 1.4 warns of names that are registered twice
def register() -> None:
    """Register the classes of settings with Hydra, under the names used in ``conf/``."""
    store = ConfigStore.instance()
    nodes: list[tuple[str, str | None, type]] = [("schema", None, Config)]
    for group, choices in GROUPS.items():
        nodes += [(f"{name}_schema".lstrip("_"), group, kind) for name, kind in choices.items()]
    for name, place, kind in nodes:
        node = OmegaConf.structured(kind)
        thaw(node)
        store.store(name=name, group=place, node=node)
    store.store(name="w2v", group="hydra/help", node={**TEMPLATE, "template": "${help:}"})


def thaw(node: Any) -> None:
    """Make an OmegaConf node of frozen dataclasses writable throughout; let dicts take new keys."""
    if isinstance(node, DictConfig):
        OmegaConf.set_readonly(node, None)
        if OmegaConf.get_type(node) is dict:
            OmegaConf.set_struct(node, False)  # users choose the names: they need no +
        for key in [] if node._is_missing() or node._is_none() else node:
            thaw(node._get_node(key))


def resolve(composed: DictConfig) -> Config:
    """Convert composed settings to a `Config`: resolve interpolations, and check limits.

    Hydra's own settings are ignored. `InputError` is raised for an unknown setting, a missing
    value, a value outside its limits, or settings that contradict each other.
    """
    composed = without_hydra(composed)
    check_keys(composed)
    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise InputError(messages.not_set(missing[0]))
    try:
        settings = OmegaConf.to_object(composed)
    except SettingError as error:
        where = f"{key_of(error.owner)}{error.name.rstrip('_')}={as_yaml(error.value)}"
        raise InputError(f"{where}: must be {error.wanted}") from None
    return cast(Config, with_home(settings))


def without_hydra(composed: DictConfig) -> DictConfig:
    """Return the composed settings without Hydra's own, which have the key ``hydra``."""
    if "hydra" in composed:  # as it is outside a job
        composed = composed.copy()
        OmegaConf.set_struct(composed, False)
        composed.pop("hydra")
        OmegaConf.set_struct(composed, True)
    return composed


@cache
def key_of(owner: type) -> str:
    """Return what the keys of a class's settings begin with, such as ``loss.``; "" for `Config`."""
    places = [(key, kind) for key, kind in known_keys().items() if is_dataclass(kind)]
    places += [(group, kind) for group, kinds in GROUPS.items() for kind in kinds.values()]
    return next((f"{key}." for key, kind in places if kind is owner), "")


def check_keys(node: Any, prefix: str = "") -> None:
    """Raise `InputError` if the keys of an OmegaConf node are not the fields of its dataclass.

    The message names the unknown or absent key, after `prefix`. Nested nodes are checked, too, but
    not a list, None, or a value ``???``. A node without a dataclass may have any keys.
    """
    if not isinstance(node, DictConfig) or node._is_missing() or node._is_none():
        return
    schema = OmegaConf.get_type(node)
    if is_dataclass(schema):
        names = [field.name for field in fields(schema)]
        unknown = [key for key in node if key not in names]
        absent = [name for name in names if name not in list(node)]
        if unknown:
            raise InputError(suggest_setting(f"{prefix}{unknown[0]!s}"))
        if absent:
            raise InputError(messages.not_set(f"{prefix}{absent[0]}"))
    for key in node:
        check_keys(node._get_node(key), f"{prefix}{key!s}.")


def suggest_setting(key: str) -> str:
    """Return the error message for the unknown setting `key`, with a suggestion."""
    group, _, name = key.rpartition(".")
    choices = [
        f"{group}={choice}"
        for choice, kind in GROUPS.get(group, {}).items()
        if choice and name in {field.name for field in fields(kind)}
    ]
    return messages.unknown_setting(key, choices, set(known_keys()))


def check_overrides(overrides: Sequence[str]) -> None:
    """Raise `InputError` if a value is ``{}``, or if OmegaConf would misread it (`check_value`)."""
    for text in overrides:
        key, _, value = text.partition("=")
        if re.fullmatch(r"{\s*}", value):  # Hydra merges mappings
            raise InputError(f"{text}: changes nothing; {key}={{name:null}} removes an entry")
        lists = OverridesParser.create().parse_overrides([text]) if value.startswith("[") else []
        check_value(key, lists[0].value() if lists else value)


def check_value(key: str, value: Any, where: str = "") -> None:
    """Raise `InputError` if OmegaConf would misread the value; `where` begins the message.

    For a boolean setting, integers other than 0 and 1 are refused: OmegaConf would read 2 as true.
    A list of strings must not have booleans or numbers: YAML reads an unquoted ``no`` as False.
    """
    kind = known_keys().get(key.lstrip("+"))
    if kind is bool and re.fullmatch("[-+]?[0-9]+", str(value)) and str(value) not in ("0", "1"):
        raise InputError(f"{where}{key}={value}: must be true or false")
    words = isinstance(value, list) and "list[str]" in str(kind)
    if words and not {bool, int, float}.isdisjoint(map(type, value)):
        raise InputError(f"{where}{key}: numbers, and words such as no and on, need quotes")


def texts(names: Iterable[tuple[str, str]], hydra: Any) -> list[tuple[str, Path, str]]:
    """Return the package, path and text of each file in `names` that is on Hydra's search path.

    Each of `names` is a package (the key below which Hydra puts the file's settings) and a file
    name, with or without ``.yaml``. `hydra` is the node ``hydra`` of a configuration.
    """
    folders = [Path(one.path) for one in hydra.runtime.config_sources if one.schema == "file"]
    files = [(k, name.lstrip("/").removesuffix(".yaml") + ".yaml") for k, name in names]
    paths = [(k, folder / file) for k, file in files for folder in folders]
    return [(k, path, path.read_text("utf-8")) for k, path in paths if path.is_file()]


def check_files(hydra: Any) -> None:
    """Raise `InputError` if a YAML file of the settings has a value that `check_value` refuses.

    Hydra composes the settings from these files: the main file, and each file that a ``defaults``
    list or an argument selects. `hydra` is the node ``hydra`` of the composed configuration.
    """
    overrides: Any = OmegaConf.to_container(hydra.overrides)  # interpolations stay
    given = [*overrides["hydra"], *overrides["task"]]
    chosen = {"": hydra.job.config_name, **hydra.runtime.choices}
    found = texts([(k, f"{k}/{one}") for k, one in chosen.items()], hydra)
    read = [("" if GLOBAL in text else k, path, text) for k, path, text in found]
    others = [text.replace(GLOBAL, "") for _, path, text in read if path != CONF / "config.yaml"]
    rest = "".join(PLAIN.sub("", text) for text in others)
    if "defaults" in rest or "@package" in rest or any(map(LISTED.match, given)):
        loader = GlobalHydra.instance().config_loader()  # knows all files, but takes 0.15 seconds
        every = loader.compute_defaults_list(hydra.job.config_name, given, RunMode.RUN).defaults
        read = texts([(one.package or "", one.config_path) for one in every], hydra)
    for package, path, text in read:
        for key, value in flat(parsed(text), f"{package}." * bool(package)).items():
            check_value(key, value, f"{path}: ")


@cache
def known_keys() -> dict[str, Any]:
    """Return the type of each setting by dotted key, over all choices of all config groups."""
    keys = keys_below(Config, "")
    for group, choices in GROUPS.items():
        for kind in choices.values():
            keys |= keys_below(kind, f"{group}.")
    return keys


def keys_below(kind: type, prefix: str) -> dict[str, Any]:
    """Return the type of each setting of a class, also nested ones, by `prefix` + dotted key."""
    hints = get_type_hints(kind)
    keys = {f"{prefix}{field.name}": hints[field.name] for field in fields(kind)}
    for key, hint in [*keys.items()]:
        if isinstance(hint, type) and is_dataclass(hint):
            keys |= keys_below(hint, f"{key}.")
    return keys


def error_line(error: HydraException | OmegaConfBaseException) -> str:
    """Return a one-line message for an error that Hydra raised while composing the settings."""
    return messages.composition_error(error, suggest_setting)
