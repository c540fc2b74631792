"""Explain why a result is not in the cache: how it differs from the most similar cached result.

A result is described by a JSON object, its manifest, with these entries among others:

- ``settings``: the settings of the result, nested by group;
- ``upstream``: the cache keys of the results from which it was made, by stage;
- ``inputs``: the SHA-256 of each file that was read, by path;
- ``code``: a hash of each source file, by path.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

Manifest = Mapping[str, Any]

MOST_READ = 1000
"""The largest number of cached results that are compared with a wanted result, to find the most
similar one. If there are more, the most recently used ones are compared."""

LISTED = 3
"""The largest number of differing files that a message names."""

SHOWN = 80
"""The largest number of characters of a setting's value in a message."""

DIGEST = re.compile("[0-9a-f]{16,64}")


def read_manifests(
    folder: Path, name: str, code_path: Callable[[Path, str], Path]
) -> list[Manifest]:
    """Return the manifests of the cached results in a folder, the most recently used first.

    A manifest is the JSON object that describes a result. Only the `MOST_READ` most recently used
    results are read. Those whose manifest is missing or damaged are skipped.

    In a stored manifest, ``code`` is a hash that identifies another JSON file, with a hash of each
    source file. In the returned manifests, ``code`` is the content of that file; it is left out if
    the file cannot be read.

    Parameters
    ----------
    folder
        A folder with a subfolder for each result. If it does not exist, the list is empty.
    name
        The file name of a manifest in its subfolder.
    code_path
        A function of `folder` and the stored ``code``: the path of the other file.
    """
    found: list[Manifest] = []
    with suppress(OSError):
        entries = sorted(os.scandir(folder), key=lambda one: -one.stat().st_mtime)
        whole = (one for one in entries if one.is_dir() and one.name.isalnum())
        for entry in islice(whole, MOST_READ):
            with suppress(OSError, ValueError):
                manifest = json.loads(Path(entry.path, name).read_bytes())
                if isinstance(manifest, dict) and {"settings", "upstream", "facts"} <= {*manifest}:
                    path = code_path(folder, str(manifest.pop("code", None)))
                    with suppress(OSError, ValueError):
                        manifest["code"] = json.loads(path.read_bytes())
                    found.append(manifest)
    return found


def comparable(past: Manifest, wanted: Manifest) -> bool:
    """Return whether the time that a past result took can be an estimate for a wanted result.

    It can if both are made on the same machine, with the same settings of the engine, which trains
    the vectors. `past` and `wanted` are the manifests of a cached result and of one that is to be
    computed: JSON objects that describe the results.
    """
    engines = [one["settings"].get("engine") for one in (past, wanted)]
    return bool(past.get("machine") == wanted["machine"] and engines[0] == engines[1])


def text_ratio(wanted: Manifest, had: Manifest) -> float:
    """Return the size of the input files of a wanted result, divided by that of a cached result.

    Numbers that are known of the cached result, such as how many tokens it has, are multiplied by
    this ratio to estimate those of the wanted result. `wanted` and `had` are the manifests of the
    two results: JSON objects that hold the total size of the input files. The ratio is 1 if the
    corpus settings are equal, and 0 if the size in `had` is unknown or 0.
    """
    if wanted["settings"].get("corpus") == had["settings"].get("corpus"):
        return 1.0
    return float(wanted["input_bytes"] / (had.get("input_bytes") or math.inf))


def by_distance(wanted: Manifest, found: Sequence[Manifest]) -> list[Manifest]:
    """Sort manifests by their number of differences from `wanted`, the fewest first.

    A manifest is the JSON object that describes a result. Two of its entries are compared:
    ``settings``, the settings of the result, and ``upstream``, the cache keys of the earlier
    results from which the result was made. A value that differs counts twice; a setting or a key
    that only one of the two manifests has counts once.
    """

    def texts(manifest: Manifest) -> set[tuple[str, str]]:
        values = flat({key: manifest[key] for key in ("settings", "upstream")})
        return {(key, json.dumps(value, sort_keys=True)) for key, value in values.items()}

    own = texts(wanted)
    return sorted(found, key=lambda one: len(own ^ texts(one)))


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings into one dictionary with dotted keys, ``{"model.dim": 100, ...}``.

    Parameters
    ----------
    prefix
        A string that is put before each key.
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        inner = isinstance(value, Mapping)
        found |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found


def reasons(wanted: Manifest, had: Manifest) -> Iterator[str]:
    """Yield the differences between a wanted result and a cached one, each as a phrase.

    `wanted` and `had` are their manifests, the JSON objects that describe the two results.
    Settings, input files and code are compared, but not the results of earlier stages from which
    the two were made. In a group of settings, ``name`` is the chosen alternative, such as the name
    of the loss. If it differs, the other settings of the group are not compared, except ``files``,
    the hashes of the input files.
    """
    new, old = flat(wanted["settings"]), flat(had["settings"])
    chosen = [key for key in new if key.endswith(".name") and new[key] != old.get(key, new[key])]
    groups = tuple(key.removesuffix("name") for key in chosen)
    for key in {**new, **old}:
        if (key in new) == (key in old) and new[key] == old[key]:
            continue
        if key.endswith(".files"):
            yield from file_reasons(wanted.get("inputs", {}), had.get("inputs", {}))
        elif key in chosen or not (groups and key.startswith(groups)):
            yield setting_reason(key, new, old)
    if "code" not in had:
        yield "it was made by an earlier version of the program"
    elif wanted["code"] != had["code"]:
        changed = sorted({name for name, _ in {*wanted["code"].items()} ^ {*had["code"].items()}})
        yield f"the code has changed: {listed(changed)}"


def upstream_reasons(
    new: Mapping[str, str],
    old: Mapping[str, str],
    manifests: Callable[[str], Sequence[Manifest]],
) -> Iterator[str]:
    """Yield phrases that say in what a wanted result and a cached one differ upstream.

    A result is made from those of earlier stages of the pipeline, its upstream results. `new` has
    the cache keys of the wanted result's upstream results by stage, and `old` those of the cached
    one's. For each stage whose keys differ, the phrases say how the manifests (descriptions)
    differ (`reasons`); the results upstream of that stage are compared in turn. If the cache lacks
    one of the manifests, the phrase only names the stage, as in ``vocab is another one``.

    `manifests` is a function that returns the manifests of a stage's cached results.
    """
    for stage, key in new.items():
        if key == old.get(stage):
            continue
        found = {one.get("key"): one for one in manifests(stage)}
        now, before = found.get(key), found.get(old.get(stage, ""))
        if now is not None and before is not None:
            yield from reasons(now, before)
            yield from upstream_reasons(now["upstream"], before["upstream"], manifests)
        else:
            yield f"{stage} is another one"


def setting_reason(key: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """Return a phrase that says how a setting of two results differs.

    An example is ``model.dim is 50, not 100``, where a result with 50 is wanted. If both values
    are hashes, the phrase only says that the file or the code has changed. If only one result has
    the setting, the phrase says that the setting is new or left out.

    Parameters
    ----------
    key
        The dotted name of the setting.
    new, old
        All settings of the wanted result and of the cached one, by dotted name.
    """
    name = key.removesuffix(".name")
    if key not in old:
        return f"{name} is new"
    if key not in new:
        return f"{name} is left out"
    if is_digest(new[key]) and is_digest(old[key]):
        code = key.endswith(".code")
        what = f"code of {name.removesuffix('code')}function" if code else f"content of {name}"
        return f"the {what} has changed"
    return f"{name} is {shown(new[key])}, not {shown(old[key])}"


def is_digest(value: Any) -> bool:
    """Return whether the value of a setting looks like a hash, or like a list of hashes.

    A hash is a text of 16 to 64 hexadecimal digits, with letters in lower case.
    """
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(one, str) and DIGEST.fullmatch(one) for one in values)


def shown(value: Any) -> str:
    """Return the value of a setting as text for a message, cut to `SHOWN` characters.

    If the value is a hash, or a list of hashes, the text is "a file". The reason: where a setting
    names a file, the manifest (description) of a result has a hash of the file's content in place
    of its name, and a hash tells a reader of the message nothing.
    """
    if is_digest(value):
        return "a file"
    plain = isinstance(value, str) and value.isprintable() and value.strip() == value != ""
    text = value if plain else json.dumps(value, ensure_ascii=False).replace('"', "")
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def file_reasons(new: Mapping[str, str], old: Mapping[str, str]) -> Iterator[str]:
    """Yield phrases that say how the input files of two results differ, such as ``a.txt is new``.

    The caller knows that the inputs differ. If all paths and hashes are equal, only the order in
    which the files are read can differ, and the phrase says so.

    Parameters
    ----------
    new, old
        The SHA-256 of each input file, by path: `new` for a result that is wanted, `old` for a
        cached one.
    """
    if not old.keys() & new.keys():
        yield f"other files are read: {listed([*new])}" if new else "other files are read"
        return
    changed = [path for path in new if old.get(path, new[path]) != new[path]]
    added = [path for path in new if path not in old]
    gone = [path for path in old if path not in new]
    for paths, one, several in (
        (changed, "has changed", "have changed"),
        (added, "is new", "are new"),
        (gone, "is gone", "are gone"),
    ):
        if paths:
            yield f"{listed(paths)} {one if len(paths) == 1 else several}"
    if not changed + added + gone:
        yield "the files are read in another order"


def listed(names: Sequence[str]) -> str:
    """Return up to `LISTED` names and the number of any others, as in ``a, b, c and 7 more``."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more:,} more" if more > 0 else "")
