"""The cache of stage results, each found by a hash of everything that it depends on.

``<cache>/<stage>/<key>/`` holds the files of a result and a ``manifest.json`` with the SHA-256 of
each file and of itself. An entry is written to a temporary folder that is renamed at the end, so it
is complete or absent. With a lock for each key, only one of several processes computes a result.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
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
    written_aside,
)

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
PART = ".part"  # suffix of the temporary folder of an entry that is being made
DAMAGED = ".damaged-"  # between the key and a timestamp in the name of a quarantined entry
FORMAT = 2  # of entries; raise it when the manifest changes


@dataclass(frozen=True)
class Entry:
    """The result of a stage, in the cache.

    `path` is the folder of its files. `cached` is whether this run found it there, and `seconds`
    how long it took to compute, in this run or an earlier one. `facts` are numbers and texts that
    the stage reports. `settings` are those that the result depends on. Both are JSON values.
    """

    key: str
    path: Path
    cached: bool
    seconds: float
    facts: dict[str, Any]
    settings: Any


def stage_key(stage: str, version: str, settings: Any, upstream: dict[str, str]) -> str:
    """Return the key of a stage's result, a hash of everything that the result depends on.

    `version` is a hash of the stage's code. `upstream` has the keys of the results it reads, by
    stage.
    """
    parts = {"stage": stage, "version": version, "settings": settings, "upstream": upstream}
    return digest({"format": FORMAT, **parts})


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, shortened to 16 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


def find(folder: Path, key: str, verify: bool = False) -> Entry | None:
    """Return the undamaged entry for `key`, or ``None``; record that it was used now.

    `folder` is the folder of the stage in the cache. With `verify`, the SHA-256 of each file is
    compared, not only its size.
    """
    path = folder / key
    if not path.is_dir():
        return None
    manifest, damage = read_manifest(path, verify)
    if damage:
        log.warning("%s: damaged (%s)", path, damage)
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
    about: Mapping[str, Any] | None = None,
) -> Entry:
    """Return the entry for `key`, and compute it first if it does not exist or is damaged.

    `make` writes the files into the empty folder that it is given, and returns the entry's facts. A
    damaged entry is moved, and `on_damaged` gets its old path, its new path and the reason.
    `settings`, `upstream` (the keys of the results that were read, by stage) and `about` go into
    the manifest. With `verify`, the SHA-256 of each file of an existing entry is compared.
    """
    if found := find(folder, key, verify):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_path(folder, key)):
        if found := find(folder, key, verify):  # another process may have made it meanwhile
            return found
        path, part = folder / key, folder / f".{key}{PART}"
        if path.exists():
            _, damage = read_manifest(path, verify)
            quarantined = folder / f"{key}{DAMAGED}{time.time_ns()}"
            path.rename(quarantined)
            on_damaged(path, quarantined, damage)
        remove(part)  # a process that was killed may have left one
        part.mkdir()
        begun = time.perf_counter()
        try:
            facts = make(part)
            seconds = time.perf_counter() - begun
            made = {"key": key, "stage": folder.name, "settings": settings, "upstream": upstream}
            files = {
                str(file.relative_to(part)): {
                    "bytes": file.stat().st_size,
                    "sha256": fsync_and_hash(file),
                }
                for file in sorted(part.rglob("*"))
                if file.is_file()
            }
            noted = dict(about or {})
            if "code" in noted:
                noted["code"] = keep_code(folder, noted["code"])
            manifest = {**made, **noted, "seconds": seconds, "facts": facts, "files": files}
            (part / MANIFEST).write_bytes(with_checksum(manifest))
            fsync_and_hash(part / MANIFEST)
            fsync_folder(part)
            part.rename(path)
            fsync_folder(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return Entry(key, path, False, seconds, facts, settings)


def keep_code(folder: Path, code: dict[str, str]) -> str:
    """Write the hashes of source files to a file that entries share; return the key in its name."""
    key = digest(code)
    if not (path := code_path(folder, key)).exists():
        with written_aside(path) as aside:
            aside.write_text(json.dumps(code, indent=1), encoding="utf-8")
    return key


def code_path(folder: Path, key: str) -> Path:
    """Return the path of the file, in the folder of a stage, with the hashes of source files."""
    return folder / f".code-{key}.json"


def fsync_and_hash(path: Path) -> str:
    """Flush a file to the disk, and return its SHA-256."""
    with path.open("rb+") as file:
        fsync(file)
    return file_sha256(path)


def read_manifest(path: Path, verify: bool = False) -> tuple[dict[str, Any], str]:
    """Return the manifest of the entry at `path`, and a text that says what is damaged, or "".

    Files must exist and have the recorded sizes; with `verify`, the SHA-256 of each is compared,
    too. The manifest of a damaged entry is returned empty.
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
        return {}, f"{Path(error.filename or path).name}: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return {}, str(error) if type(error) is ValueError else f"{MANIFEST} is no manifest"
    return manifest, ""


def lock_path(folder: Path, key: str) -> Path:
    """Return the file that a process locks while it makes or removes the cache entry for `key`."""
    return folder / f".{key}.lock"


def remove(path: Path) -> None:
    """Remove a file, a folder with its content, or a link but not its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
