"""The cache of stage results: the key of a result is a hash of everything it depends on.

The folder ``<cache>/<stage>/<key>/`` holds the files of one result, and ``manifest.json`` with the
SHA-256 of each file. A result is written to a temporary folder, which is renamed at the end, so a
folder named by a key is complete. A lock per key prevents two processes from computing one result.
"""

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
    digest,
    file_sha256,
    fsync_and_hash,
    fsync_folder,
    remove,
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
    """A stage's result that is stored in the cache: the folder of its files, and facts about it."""

    key: str
    path: Path  # the folder of its files
    cached: bool  # whether this run found it in the cache, and did not compute it
    seconds: float  # that computing it took
    facts: dict[str, Any]  # about the result, such as the number of tokens; JSON values
    settings: Any  # that the result depends on; JSON values


def stage_key(stage: str, version: str, settings: Any, upstream: dict[str, str]) -> str:
    """Return the cache key of a stage's result: a hash of everything that the result depends on.

    `version` is a hash of the stage's code. `upstream` has the cache keys of its inputs, by stage.
    """
    parts = {"stage": stage, "version": version, "settings": settings, "upstream": upstream}
    return digest({"format": FORMAT, **parts})


def find(folder: Path, key: str, verify: bool = False) -> Entry | None:
    """Return the cache entry for `key`, or ``None`` if it is missing or damaged.

    `folder` holds the entries of one stage. With `verify`, the SHA-256 of each file is checked,
    otherwise only its size. If the disk can be written, the entry's time of last use is updated.
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
    about: Mapping[str, Any],
    make: Callable[[Path], dict[str, Any]],
    on_damaged: Callable[[Path, Path, str, list[Path]], None] = lambda *_: None,
    verify: bool = False,
) -> Entry:
    """Return the cache entry for `key`; compute it if it is missing or damaged.

    `folder` holds the entries of one stage. `make` writes the result into the empty folder that it
    is given, and returns facts about the result. These facts are saved in ``manifest.json``, with
    the metadata `about`, which must have ``settings`` and ``upstream`` (see `Stage.about`). With
    `verify`, the SHA-256 of files is checked, otherwise only the size.

    A damaged entry is renamed. If its files have the right sizes, but wrong content, earlier runs
    may have used it. Then all results made from it, and all checkpoints, are renamed, too.
    `on_damaged` gets the old and new path, a description of the damage, and the old paths of
    everything else that was renamed.
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
            # No run reads an entry whose files have wrong sizes, so nothing was made from it.
            later = [] if read_manifest(path)[1] else made_from(path)
            for one in reversed(later):  # first the last: a process that is killed can go on
                with suppress(FileNotFoundError):  # removed by another process
                    move_aside(one)
            on_damaged(path, move_aside(path), damage, later)
        remove(part)  # a process that was killed may have left one
        part.mkdir()
        begun = time.perf_counter()
        try:
            facts = make(part)
            seconds = time.perf_counter() - begun
            files = {
                str(file.relative_to(part)): {
                    "bytes": file.stat().st_size,
                    "sha256": fsync_and_hash(file),
                }
                for file in sorted(part.rglob("*"))
                if file.is_file()
            }
            noted = {"key": key, "stage": folder.name, **about}
            if "code" in noted:
                noted["code"] = keep_code(folder, noted["code"])
            manifest = {**noted, "seconds": seconds, "facts": facts, "files": files}
            (part / MANIFEST).write_bytes(with_checksum(manifest))
            fsync_and_hash(part / MANIFEST)
            fsync_folder(part)
            part.rename(path)
            fsync_folder(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return Entry(key, path, False, seconds, facts, about["settings"])


def move_aside(path: Path) -> Path:
    """Rename an entry that must not be used any more, and return its new path."""
    return path.rename(f"{path}{DAMAGED}{time.time_ns()}")


def made_from(path: Path) -> list[Path]:
    """Return the entries made from the entry `path`, directly or indirectly; also all checkpoints.

    No checkpoint says what it was made from, so all those of the same outputs folder are returned.
    """
    every = {one: read_manifest(one)[0] for one in path.parents[1].glob("*/[!.]*")}
    sources = {
        one: manifest["upstream"] | manifest["facts"].get("made_from", {})
        for one, manifest in every.items()
        if manifest
    }
    found = [path]
    for source in found:  # a list that grows
        made = [one for one in sources if sources[one].get(source.parent.name) == source.name]
        found += [one for one in made if one not in found]
    checkpoints = path.parents[2].glob("checkpoints/*")  # do not say what they were made from
    return [*found[1:], *(one for one in checkpoints if DAMAGED not in one.name)]


def keep_code(folder: Path, code: dict[str, str]) -> str:
    """Save source files' hashes `code` as ``.code-<key>.json``; return the key, a hash of them."""
    key = digest(code)
    if not (path := code_path(folder, key)).exists():
        with written_aside(path) as aside:
            aside.write_text(json.dumps(code, indent=1), encoding="utf-8")
    return key


def code_path(folder: Path, key: str) -> Path:
    """Return the path of the JSON file to which `keep_code` saves source hashes with this key."""
    return folder / f".code-{key}.json"


def read_manifest(path: Path, verify: bool = False) -> tuple[dict[str, Any], str]:
    """Check the cache entry at `path`; return its manifest and a description of the damage, or "".

    Files must have the recorded size and, with `verify`, SHA-256. With damage, the manifest is {}.
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
    """Return the path of the lock file for writing or deleting the cache entry with this key."""
    return folder / f".{key}.lock"
