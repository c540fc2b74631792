"""The stage cache: content-addressed, crash-safe, shared by processes.

``<cache>/<stage>/<key>/`` holds what a stage made and a ``manifest.json``. The key is a hash of
all that the result depends on. An entry is written aside and renamed into place, so it is whole
or absent; a lock on its key lets only one of several processes do the work.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


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
    return digest({"stage": stage, "version": version, "settings": settings, "upstream": upstream})


def digest(value: Any) -> str:
    """SHA-256 of anything JSON-able, cut to 16 hex digits."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find(folder: Path, key: str) -> Entry | None:
    """The entry of that key, when it is there and whole: every file of its recorded size."""
    path = folder / key
    if not path.is_dir():
        return None
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        if manifest["key"] != key:
            raise ValueError(f"the manifest is of {manifest['key']}")
        for name, file in manifest["files"].items():
            size = (path / name).stat().st_size
            if size != file["bytes"]:
                raise ValueError(f"{name} has {size} bytes, not {file['bytes']}")
        return Entry(key, path, True, manifest["seconds"], manifest["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s: damaged (%s)", path, error)
        return None


def fetch(
    folder: Path,
    key: str,
    settings: Any,
    upstream: dict[str, str],
    make: Callable[[Path], dict[str, Any]],
    on_damaged: Callable[[Path, Path], None] = lambda *_: None,
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
        Called with the path of an entry that was not whole and the path where it lies now.
    """
    found = find(folder, key)
    if found:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{key}.lock"):
        found = find(folder, key)  # another process may have made it while this one waited
        if found:
            return found
        path, aside = folder / key, folder / f".{key}.part"
        if path.exists():
            damaged = folder / f"{key}.damaged-{time.time_ns()}"
            path.rename(damaged)
            on_damaged(path, damaged)
        shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
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
            text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
            (aside / MANIFEST).write_text(text, encoding="utf-8")
            settled_digest(aside / MANIFEST)
            aside.rename(path)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return Entry(key, path, False, seconds, facts)


def settled_digest(path: Path) -> str:
    """The SHA-256 of a file, once its bytes have reached the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
