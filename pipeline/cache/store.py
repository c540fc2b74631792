"""The stage cache: results of stages, found by a hash of everything they depend on.

``<cache>/<stage>/<key>/`` holds the files of a stage and a ``manifest.json`` with the SHA-256 of
each file and of itself. An entry is written to a temporary folder that is renamed at the end, so
it is complete or absent. A lock for each key makes several processes do the work once.
"""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from w2v.files import (
    canonical_json,
    file_sha256,
    fsync,
    fsync_folder,
    verify_checksum,
    with_checksum,
)

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
PART = ".part"
"""Suffix of the temporary folder of an entry that is being made."""
DAMAGED = ".damaged-"
"""Stands between the key and a timestamp in the name of a quarantined entry."""

FORMAT = 2
"""Version of the format of entries. Raise it when the manifest changes."""


@dataclass(frozen=True)
class Entry:
    """The result of a stage.

    Attributes
    ----------
    key
        The hash of everything the result depends on, 16 hexadecimal digits.
    path
        The folder with the files.
    cached
        Whether the entry was in the cache already.
    seconds
        How long it took to make, in this run or an earlier one.
    facts
        What the stage reports about its result, as JSON.
    settings
        What the result depends on beside other stages, as JSON.
    """

    key: str
    path: Path
    cached: bool
    seconds: float
    facts: dict[str, Any]
    settings: Any


class DamagedError(Exception):
    """An entry that is incomplete or was changed."""


def stage_key(stage: str, version: str, settings: Any, upstream: dict[str, str]) -> str:
    """Return the key of a stage's result: a SHA-256, shortened to 16 hexadecimal digits.

    Parameters
    ----------
    version
        A hash of the stage's code.
    settings
        Everything the stage depends on beside other stages, as JSON.
    upstream
        The keys of the stages whose results it reads, by name.
    """
    parts = {"stage": stage, "version": version, "settings": settings, "upstream": upstream}
    return digest({"format": FORMAT, **parts})


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, shortened to 16 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


def find(folder: Path, key: str, verify: bool = False) -> Entry | None:
    """Return the entry with that key if it exists and is complete, and note that it was used.

    Parameters
    ----------
    folder
        The folder of the stage.
    verify
        Whether to compare the SHA-256 of each file, not only its size.
    """
    path = folder / key
    if not path.is_dir():
        return None
    try:
        manifest = read_manifest(path, verify)
    except DamagedError as error:
        log.warning("%s: damaged (%s)", path, error)
        return None
    with suppress(OSError):  # the cache may be read-only
        os.utime(path)
    return Entry(key, path, True, manifest["seconds"], manifest["facts"], manifest["settings"])


def find_or_make(
    folder: Path,
    key: str,
    settings: Any,
    upstream: dict[str, str],
    make: Callable[[Path], dict[str, Any]],
    on_damaged: Callable[[Path, Path, str], None] = lambda *_: None,
    verify: bool = False,
) -> Entry:
    """Return the entry with that key, and make it first if it does not exist or is damaged.

    Parameters
    ----------
    folder
        The folder of the stage.
    settings, upstream
        See `stage_key`; recorded in the manifest.
    make
        Writes the files into the empty folder that it is given, and returns the facts.
    on_damaged
        Called when a damaged entry was quarantined, with its old path, its new path and the
        reason.
    verify
        See `find`.
    """
    found = find(folder, key, verify)
    if found:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_path(folder, key)):
        found = find(folder, key, verify)  # another process may have made it meanwhile
        if found:
            return found
        path, part = folder / key, folder / f".{key}{PART}"
        if path.exists():
            reason = damage(path, verify)
            quarantined = folder / f"{key}{DAMAGED}{time.time_ns()}"
            path.rename(quarantined)
            on_damaged(path, quarantined, reason)
        remove(part)  # a process that was killed may have left one
        part.mkdir()
        begun = time.perf_counter()
        try:
            facts = make(part)
            seconds = time.perf_counter() - begun
            manifest = {
                "key": key,
                "stage": folder.name,
                "settings": settings,
                "upstream": upstream,
                "seconds": seconds,
                "facts": facts,
                "files": {
                    str(file.relative_to(part)): {
                        "bytes": file.stat().st_size,
                        "sha256": write_through(file),
                    }
                    for file in sorted(part.rglob("*"))
                    if file.is_file()
                },
            }
            with (part / MANIFEST).open("wb") as file:
                file.write(with_checksum(manifest))
                fsync(file)
            fsync_folder(part)
            part.rename(path)
            fsync_folder(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return Entry(key, path, False, seconds, facts, settings)


def read_manifest(path: Path, verify: bool = False) -> dict[str, Any]:
    """Return the manifest of an entry whose files all exist and have the recorded size.

    Parameters
    ----------
    path
        ``<cache>/<stage>/<key>``.
    verify
        See `find`. The manifest's own SHA-256 is always compared.

    Raises
    ------
    DamagedError
        If the entry is incomplete or was changed.
    """
    try:
        manifest: dict[str, Any] = verify_checksum((path / MANIFEST).read_bytes())
        if (manifest["stage"], manifest["key"]) != (path.parent.name, path.name):
            raise ValueError(f"the manifest is of {manifest['stage']} {manifest['key']}")
        for name, file in manifest["files"].items():
            size = (path / name).stat().st_size
            if size != file["bytes"]:
                raise ValueError(f"{name} has {size} bytes, not {file['bytes']}")
            if verify and file_sha256(path / name) != file["sha256"]:
                raise ValueError(f"{name} is not as it was written")
    except OSError as error:
        name = Path(error.filename or path).name
        raise DamagedError(f"{name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error if type(error) is ValueError else f"{MANIFEST} is no manifest"
        raise DamagedError(str(reason)) from None
    return manifest


def damage(path: Path, verify: bool = False) -> str:
    """Return what is wrong with the entry at `path`, or an empty text."""
    try:
        read_manifest(path, verify)
    except DamagedError as error:
        return str(error)
    return ""


def setting_values(folder: Path, setting: tuple[str, ...]) -> set[Any]:
    """Return the values that a setting has in the undamaged entries of a stage.

    Parameters
    ----------
    folder
        The folder of the stage.
    setting
        The path to the setting, such as ``("train", "epochs")``.
    """
    found = set()
    for path in folder.glob("[0-9a-f]*"):
        with suppress(DamagedError, KeyError, TypeError):
            value = read_manifest(path)["settings"]
            for key in setting:
                value = value[key]
            found.add(value)
    return found


def lock_path(folder: Path, key: str) -> Path:
    """Return the file that a process locks while it makes or removes the entry of a stage."""
    return folder / f".{key}.lock"


def remove(path: Path) -> None:
    """Remove a file, a folder with its content, or a link but not its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_through(path: Path) -> str:
    """Wait until a file is on disk, and return its SHA-256."""
    with path.open("rb+") as file:
        fsync(file)
        return hashlib.file_digest(file, "sha256").hexdigest()
