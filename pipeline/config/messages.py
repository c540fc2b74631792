"""Error messages for invalid settings: what is wrong, where, and how to correct it."""

import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from traceback import walk_tb

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

PLUGINS = ("joblib", "optuna", "submitit")
"""Extras of the project (as in ``pip install``) that bring launchers and sweepers."""


def not_set(key: str) -> str:
    """Return the error message for a required setting without a value."""
    return f"{key} is not set; give it as {key}=..."


def unknown_setting(key: str, choices: Sequence[str], known: Collection[str]) -> str:
    """Return the error message for `key`, an unknown setting, with a suggestion.

    `choices` are the options that would make `key` valid: ``loss=negsample`` for
    ``loss.negatives``, for example. There may be none. `known` are the keys of all settings.
    """
    group, _, name = key.rpartition(".")
    near = sorted(other for other in known if other.startswith(f"{group}.")) or sorted(known)
    close = get_close_matches(name, [other.rpartition(".")[2] for other in near], n=1)
    if choices:
        hint = f"it belongs to {' and '.join(choices)}"
    elif close:
        meant = [other for other in near if other.rpartition(".")[2] == close[0]]
        hint = f"did you mean {' or '.join(meant)}?"
    else:
        hint = "--help lists the settings"
    return f"{key}: no such setting here; {hint}"


def composition_error(
    error: HydraException | OmegaConfBaseException, unknown: Callable[[str], str]
) -> str:
    """Return a message for an error of Hydra; for an unknown setting, return ``unknown(key)``."""
    found = re.match(r"In '(.+?)': .*Key .* not in .*full_key: (\S+)", str(error), re.DOTALL)
    if found:
        return f"{found[1]}.yaml: {unknown(found[2])}"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key, reason = str(getattr(cause, "full_key", None) or ""), str(cause).split("\n")[0]
    if key and "not in" in reason:
        return unknown(key)
    if key == "experiment":
        return "experiment: must be the name of a file of conf/experiment, or null"
    if key:
        return f"{key}: {'must not be null' if 'is not Optional' in reason else reason}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        if error.options is None:  # it is the main file, or one that a file names by its path
            file = error.missing_cfg_file.removesuffix(".yaml")
            return f"{file}.yaml: no such file in conf, nor in a folder given as --config-dir"
        return unknown_choice(error.missing_cfg_file, error.options)
    if isinstance(error, OverrideParseException):
        return not_parsed(str(error.override))
    misplaced = re.match(  # without its first line, a file's settings are below "experiment"
        r"(?s)In '(experiment/.+?)': .*('\S+@experiment\.|'DictConfig' to string)", str(error)
    )
    if misplaced:
        first = "the first line must be '# @package _global_'; without it, the file has no effect"
        return f"{misplaced[1]}.yaml: {first}"
    wrong = re.match(r"In '(.+?)': .* composing config:\n(.+)\n *full_key: (\S+)", str(error))
    if wrong:
        return f"{wrong[1]}.yaml: {wrong[3]}: {wrong[2]}"
    noise = ("See https", "full_key:", "object_type=")
    lines = [line.strip() for line in str(error).split("\n")]
    return " ".join(line for line in lines if line and not line.startswith(noise))


def not_parsed(override: str) -> str:
    """Return the error message for an argument that Hydra cannot parse."""
    key, _, value = override.partition("=")
    inner = value[1:-1] if value[:1] + value[-1:] == "[]" else value
    several = inner != value or "-m" in sys.argv or "--multirun" in sys.argv
    parts = inner.split(",") if several else [value]
    quoted = ",".join(QuotedString(part.strip(), Quote.single).with_quotes() for part in parts)
    quoted = f"[{quoted}]" if inner != value else quoted
    key, group = ("corpus.path", "corpus=files ") if key == "corpus" else (key, "")
    try:
        if not inner or inner[0] in "[{'\"":
            raise HydraException
        OverridesParser.create().parse_override(f"{key}={quoted}")
    except HydraException:
        return f"{override}: not of the form key=value, with every bracket and quote closed"
    argument = group + shell(f"{key}={quoted}")
    return f"{override}: special characters stand in quotes; write {argument}"


def shell(argument: str) -> str:
    """Quote an argument for the shell."""
    return shlex.quote(argument) if set(argument) & set('"$`\\!') else f'"{argument}"'


def not_yaml(error: MarkedYAMLError) -> str:
    """Return the error message for a settings file that is not valid YAML."""
    mark = error.problem_mark or error.context_mark
    place = f"{mark.name}: line {mark.line + 1}, column {mark.column + 1}" if mark else "a file"
    return f"{place}: is not YAML: {error.problem or error.context}"


def unknown_choice(file: str, options: Sequence[str]) -> str:
    """Return the message for `file`, a choice such as ``loss/foo`` that is not among `options`."""
    group, _, name = file.rpartition("/")
    path = file.removeprefix("corpus/")
    if path != file and (set(path) & set("/.*") or os.path.exists(path)):  # noqa: PTH110
        return f"corpus={path}: no such choice; did you mean corpus=files corpus.path={path}"
    offered = [option for option in options if "schema" not in option]
    hint = f"there are {', '.join(offered)}" if offered else "--help lists the choices"
    extra = "submitit" if name.startswith("submitit") else name
    if extra in PLUGINS and group.startswith("hydra/"):
        hint = f"pip install 'w2v-experiments[{extra}]' brings it"
    return f"{group}={name}: no such choice; {hint}"


def built_in_error(error: ValueError | AssertionError | KeyError) -> str | None:
    """Return the error message for a built-in exception by which Hydra reports a user's error.

    Hydra does so for the arguments ``model=3`` and ``+=``, an empty value in a list, a file that is
    not UTF-8, and an unknown variable in ``hydra.job.env_copy``. Otherwise, return ``None``.
    """
    reason = str(error)
    if reason.startswith(("Config group override", "Unexpected type for root")):
        return f"{reason.partition(' : ')[0]}; --help lists the groups and settings"
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)]
    if isinstance(error, UnicodeDecodeError):
        if "hydra._internal.core_plugins.file_config_source" in modules:
            line = error.object.count(b"\n", 0, error.start) + 1
            return f"line {line} of a file of settings is not UTF-8; convert the file"
    elif isinstance(error, KeyError):
        if modules[-2:] == ["hydra._internal.config_loader_impl", "os"]:
            return f"hydra.job.env_copy: the environment has no variable {error.args[0]}"
    elif modules[-1].startswith("hydra."):
        return reason or "a setting is not of the form key=value; --help lists the settings"
    return None
