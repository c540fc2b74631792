"""The stage cache: content-addressed, crash-safe, shared by processes.

``<cache>/<stage>/<key>/`` holds what a stage made and a ``manifest.json``, which carries a SHA-256
of every file and of itself. The key is a hash of all that the result depends on. An entry is
written aside and renamed into place, so it is whole or absent; a lock on its key lets only one of
several processes do the work.
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

from w2v.files import canonical, file_sha256, sealed, settle, settle_folder, unsealed

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
PART = ".part"
DAMAGED = ".damaged-"

FORMAT = 2
"""Of entries: raised when a manifest is written otherwise."""


@dataclass(frozen=True)
class Entry:
    """What a stage made.

    Attributes
    ----------
    key
        Hex digits that stand for everything the result depends on.
    path
        The folder of its files.
    cached
        Whether it was there already.
    seconds
        What making it took, now or then.
    facts
        What the stage says of its result: JSON.
    """

    key: str
    path: Path
    cached: bool
    seconds: float
    facts: dict[str, Any]


def stage_key(stage: str, version: int, settings: Any, upstream: dict[str, str]) -> str:
    """The key of a stage's result: SHA-256, cut to 16 hex digits.

    Parameters
    ----------
    version
        Of the stage's code: raised when the same settings no longer give the same result.
    settings
        JSON-able.
    upstream
        The keys of the stages whose results are read.
    """
    parts = {"stage": stage, "version": version, "settings": settings, "upstream": upstream}
    return digest({"format": FORMAT, **parts})


def digest(value: Any) -> str:
    """SHA-256 of anything JSON-able, cut to 16 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()[:16]


def check(path: Path, digests: bool = False) -> dict[str, Any]:
    """The manifest of an entry that is whole: every file is there, of its recorded size.

    Parameters
    ----------
    path
        ``<cache>/<stage>/<key>``.
    digests
        Whether the files' SHA-256 is compared as well. The manifest's own always is.

    Raises
    ------
    DamagedError
        What is wrong.
    """
    try:
        manifest: dict[str, Any] = unsealed(regular(path / MANIFEST).read_bytes())
        if (manifest["stage"], manifest["key"]) != (path.parent.name, path.name):
            raise ValueError(f"the manifest is of {manifest['stage']} {manifest['key']}")
        for name, file in manifest["files"].items():
            size = regular(path / name).stat().st_size
            if size != file["bytes"]:
                raise ValueError(f"{name} has {size} bytes, not {file['bytes']}")
            if digests and file_sha256(path / name) != file["sha256"]:
                raise ValueError(f"{name} is not as it was written")
    except OSError as error:
        name = Path(error.filename or path).name
        raise DamagedError(f"{name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error if type(error) is ValueError else f"{MANIFEST} is no manifest"
        raise DamagedError(str(reason)) from None
    return manifest


def regular(path: Path) -> Path:
    """The path of a file that can be read to its end: not of a pipe or a device."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path.name} is no file")
    return path


class DamagedError(Exception):
    """An entry that is not whole, or not what it says it is."""


def find(folder: Path, key: str, digests: bool = False) -> Entry | None:
    """The entry of that key, when it is there and whole (see `check`); its use is noted."""
    path = folder / key
    if not path.is_dir():
        return None
    try:
        manifest = check(path, digests)
    except DamagedError as error:
        log.warning("%s: damaged (%s)", path, error)
        return None
    with suppress(OSError):  # a cache may be read-only
        os.utime(path)
    return Entry(key, path, True, manifest["seconds"], manifest["facts"])


def fetch(
    folder: Path,
    key: str,
    settings: Any,
    upstream: dict[str, str],
    make: Callable[[Path], dict[str, Any]],
    on_damaged: Callable[[Path, Path, str], None] = lambda *_: None,
    digests: bool = False,
) -> Entry:
    """Return the entry of that key, made if it is not there.

    Parameters
    ----------
    folder
        Of the stage.
    settings, upstream
        As in `stage_key`: recorded in the manifest.
    make
        Writes files into the empty folder that it is given and returns the facts.
    on_damaged
        Called with the path of an entry that was not whole, the path where it lies now, and what
        is wrong with it.
    digests
        As in `check`.
    """
    found = find(folder, key, digests)
    if found:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_of(folder, key)):
        found = find(folder, key, digests)  # another process may have made it meanwhile
        if found:
            return found
        path, aside = folder / key, folder / f".{key}{PART}"
        if path.exists():
            reason = fault(path, digests)
            damaged = folder / f"{key}{DAMAGED}{time.time_ns()}"
            path.rename(damaged)
            on_damaged(path, damaged, reason)
        remove(aside)  # left by a process that was killed
        aside.mkdir()
        begun = time.perf_counter()
        try:
            facts = make(aside)
            seconds = time.perf_counter() - begun
            manifest = {
                "key": key,
                "stage": folder.name,
                "settings": settings,
                "upstream": upstream,
                "seconds": seconds,
                "facts": facts,
                "files": {
                    str(file.relative_to(aside)): {
                        "bytes": file.stat().st_size,
                        "sha256": settled_digest(file),
                    }
                    for file in sorted(aside.rglob("*"))
                    if file.is_file()
                },
            }
            with (aside / MANIFEST).open("wb") as file:
                file.write(sealed(manifest))
                settle(file)
            settle_folder(aside)
            aside.rename(path)
            settle_folder(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return Entry(key, path, False, seconds, facts)


def values_of(folder: Path, setting: tuple[str, ...]) -> set[Any]:
    """The values that a setting has among the entries of a stage; damaged ones are left out."""
    found = set()
    for path in folder.glob("[0-9a-f]*"):
        with suppress(DamagedError, KeyError, TypeError):
            value = check(path)["settings"]
            for key in setting:
                value = value[key]
            found.add(value)
    return found


def fault(path: Path, digests: bool = False) -> str:
    """What is wrong with an entry; empty where nothing is."""
    try:
        check(path, digests)
    except DamagedError as error:
        return str(error)
    return ""


def remove(path: Path) -> None:
    """Remove whatever lies there: a folder with all in it, a file, a link but not what it names."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def lock_of(folder: Path, key: str) -> Path:
    """The file whose lock a process holds while it makes or removes an entry."""
    return folder / f".{key}.lock"


def settled_digest(path: Path) -> str:
    """The SHA-256 of a file, once its bytes have reached the disk."""
    with path.open("rb+") as file:
        settle(file)
        return hashlib.file_digest(file, "sha256").hexdigest()
