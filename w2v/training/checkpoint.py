"""Checkpoints: the state of a long computation, kept on disk so that it can go on after a fault.

A checkpoint is a folder of ``.npy`` files and a ``state.json`` with the size and SHA-256 of each
and of itself. It is written aside, brought to the disk and renamed, so it is whole or absent; the
last two are kept, in case the disk damages the newest.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.files import file_sha256, sealed, settle, settle_folder, unsealed

STATE = "state.json"
KEPT = 2

SHARE = 0.01
"""Most of the time that may go into checkpoints written by the clock."""

ASSUMED_RATE = 250e6
"""Bytes a second, hashed and on the disk, until the first checkpoint has been timed."""


@dataclass(frozen=True)
class Snapshot:
    """A state.

    Attributes
    ----------
    progress
        How far the computation has come: JSON-able.
    arrays
        What it has computed, by name. Not copied.
    """

    progress: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self.arrays.values())


class Checkpoints:
    """The checkpoints of one computation, in a folder of their own.

    Parameters
    ----------
    folder
        Made when the first checkpoint is written.
    seconds
        One is due so long after the one before, or later where they would take more than a
        hundredth of the time; ``None``: not by the clock.
    words
        One is due after so many words; ``None``: not by words.
    tell
        Called with a line about a checkpoint that is damaged or could not be written.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float | None = 60.0,
        words: int | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.seconds = seconds
        self.words = words
        self.tell = tell
        self.begin(0, 0)

    def begin(self, words: int, size: int) -> None:
        """Count from here, with so many words read and arrays of so many bytes to write."""
        self.last_words = words
        self.last_time = time.monotonic()
        self.cost = size / ASSUMED_RATE

    def due(self, words: int) -> bool:
        """Whether it is time for the next, with so many words read."""
        if self.words is not None and words - self.last_words >= self.words:
            return True
        if self.seconds is None:
            return False
        return time.monotonic() - self.last_time >= max(self.seconds, self.cost / SHARE)

    def save(self, identity: str, words: int, snapshot: Snapshot) -> Path | None:
        """Write a checkpoint.

        A disk that is full or fails costs the checkpoint and not the computation: it is told.

        Parameters
        ----------
        identity
            Whatever tells this computation from others: `load` wants the same.

        Returns
        -------
        Path or None
            The checkpoint; ``None`` where it could not be written.
        """
        begun = time.monotonic()
        numbers = [number for number, _ in self._found()]
        number = max(numbers, default=0) + 1
        path = self.folder / f"{number:08}"
        aside = self.folder / f".{number:08}.part"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            files = {
                name: write_array(aside / f"{name}.npy", array)
                for name, array in snapshot.arrays.items()
            }
            body = {"identity": identity, "progress": dict(snapshot.progress), "files": files}
            with (aside / STATE).open("wb") as file:
                file.write(sealed(body))
                settle(file)
            settle_folder(aside)
            aside.rename(path)
            settle_folder(self.folder)
            written: Path | None = path
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            self.tell(f"no checkpoint: {self.folder} cannot be written ({error.strerror or error})")
            written = None
        else:
            for old in numbers[: -(KEPT - 1)]:
                shutil.rmtree(self.folder / f"{old:08}", ignore_errors=True)
        self.last_words = words
        self.last_time = time.monotonic()
        self.cost = self.last_time - begun
        return written

    def load(
        self, identity: str, check: Callable[[Snapshot], object] = lambda _: None
    ) -> Snapshot | None:
        """The newest checkpoint that is whole and of this computation; ``None``: there is none.

        Its arrays are mapped into memory.

        Parameters
        ----------
        check
            Raises `ValueError`, `KeyError` or `TypeError` for a state that cannot be used.
        """
        for part in self.folder.glob(".*.part"):  # left by a process that was killed
            shutil.rmtree(part, ignore_errors=True)
        found = self._found()
        for _, path in reversed(found):
            try:
                snapshot = read(path, identity)
                check(snapshot)
                return snapshot
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                self.tell(f"{path} is no good ({reason or error})")
                shutil.rmtree(path, ignore_errors=True)
        if found:
            self.tell(f"{self.folder}: no checkpoint is whole; begins again")
        return None

    def clear(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _found(self) -> list[tuple[int, Path]]:
        if not self.folder.is_dir():
            return []
        return sorted(
            (int(path.name), path)
            for path in self.folder.iterdir()
            if path.name.isascii() and path.name.isdecimal()
        )


class _Hashing:
    """A file that is hashed as it is written."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return int(self.file.write(data))


def write_array(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    """Write an ``.npy`` file to the disk, in blocks; returns its ``bytes`` and ``sha256``."""
    with path.open("wb") as file:
        hashing = _Hashing(file)
        # NumPy writes to what is no plain file in blocks of 16 MiB: nothing is copied whole.
        np.save(hashing, array, allow_pickle=False)
        settle(file)
    return {"bytes": hashing.size, "sha256": hashing.digest.hexdigest()}


def read(path: Path, identity: str) -> Snapshot:
    """A checkpoint; `ValueError` and others where it is damaged or of another computation."""
    body = unsealed((path / STATE).read_bytes())
    if body["identity"] != identity:
        raise ValueError("it is of another computation")
    arrays = {}
    for name, file in body["files"].items():
        where = path / f"{name}.npy"
        size, digest = where.stat().st_size, file_sha256(where)
        if size != file["bytes"] or digest != file["sha256"]:
            raise ValueError(f"{where.name} is not as it was written")
        arrays[name] = np.load(where, mmap_mode="r", allow_pickle=False)
    return Snapshot(body["progress"], arrays)
