"""Checkpoints: the state of a training, saved so that it can continue after an interruption.

A checkpoint is a folder of ``.npy`` files and a ``state.json``, which has the progress of the
training, the size and the SHA-256 of each ``.npy`` file, and a checksum of itself. The folder is
written under a temporary name and then renamed, so that a checkpoint is complete or absent. The
last two checkpoints are kept, in case the newest is damaged.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.files import file_sha256, fsync, fsync_folder, verify_checksum, with_checksum

STATE = "state.json"
KEPT = 2

MAX_TIME_SHARE = 0.01
"""Checkpoints written at intervals of time may take at most this share of the training time."""

ASSUMED_RATE = 250e6
"""Estimate of bytes written and hashed per second, used until a checkpoint has been timed."""


@dataclass(frozen=True)
class Snapshot:
    """The state of a training at one moment.

    Attributes
    ----------
    progress
        The progress and history of the training, as JSON values; see
        `w2v.training.history.TrainState`.
    arrays
        The vectors and the other arrays of the training by name. They may share memory with the
        training, or with the files of a checkpoint.
    """

    progress: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def size(self) -> int:
        """The size of the arrays in bytes."""
        return sum(array.nbytes for array in self.arrays.values())


class Checkpoints:
    """Writes and reads the checkpoints of one training in a folder, and decides when one is due.

    Parameters
    ----------
    folder
        The folder; it is created with the first checkpoint.
    seconds
        The time between checkpoints, in seconds. It is extended if writing checkpoints would
        take more than 1 % of the training time. None: checkpoints do not depend on time.
    words
        The number of words trained on between checkpoints. None: checkpoints do not depend on
        words.
    report
        A function that is called with a message if a checkpoint cannot be used or written.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float | None = 60.0,
        words: int | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.seconds = seconds
        self.words = words
        self.report = report
        self.begin(0, 0)

    def begin(self, words: int, size: int) -> None:
        """Start to count the seconds and the words until the first checkpoint is due.

        Call this when training starts. The class has the parameters `seconds` and `words`: the
        first checkpoint is due when that many seconds or that many words have passed since this
        call, whichever comes first. The method `due` returns whether a checkpoint is due.

        Parameters
        ----------
        words
            The number of words that training has read so far.
        size
            The size of a checkpoint in bytes. The time to write the first is estimated from it, and
            the first is due later if this time is long.
        """
        self.last_words = words
        self.last_time = time.monotonic()
        self.cost = size / ASSUMED_RATE

    def due(self, words: int) -> bool:
        """Return whether a checkpoint is due now, after training has read `words` words in all."""
        if self.words is not None and words - self.last_words >= self.words:
            return True
        if self.seconds is None:
            return False
        return time.monotonic() - self.last_time >= max(self.seconds, self.cost / MAX_TIME_SHARE)

    def save(self, identity: str, words: int, snapshot: Snapshot) -> Path | None:
        """Write a checkpoint, and remove all but the last two.

        If writing fails, for instance because the disk is full, no error is raised: `report` is
        called, and the training goes on.

        Parameters
        ----------
        identity
            A text that identifies the training by its data and settings. `load` refuses a
            checkpoint with another one.
        words
            The number of words that training has read so far.
        snapshot
            The state to write.

        Returns
        -------
        Path or None
            The folder of the checkpoint; None if it could not be written.
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
                file.write(with_checksum(body))
                fsync(file)
            fsync_folder(aside)
            aside.rename(path)
            fsync_folder(self.folder)
            written: Path | None = path
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            self.report(
                f"no checkpoint: {self.folder} cannot be written ({error.strerror or error})"
            )
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
        """Return the newest valid checkpoint of a training, or None if there is none.

        A checkpoint is not valid if it is damaged, belongs to another training, or is refused by
        `check`. Checkpoints newer than the newest valid one are removed; if none is valid, all are.
        The arrays of the result are memory-mapped.

        Parameters
        ----------
        identity
            The text that was given to `save`.
        check
            A function that raises `ValueError`, `KeyError` or `TypeError` for a checkpoint that the
            training cannot use.
        """
        for part in self.folder.glob(".*.part"):  # a process was killed while it wrote this
            shutil.rmtree(part, ignore_errors=True)
        found = self._found()
        for _, path in reversed(found):
            try:
                snapshot = read(path, identity)
                check(snapshot)
                return snapshot
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                self.report(f"{path} cannot be used ({reason or error})")
                shutil.rmtree(path, ignore_errors=True)
        if found:
            self.report(f"{self.folder}: no checkpoint can be used; training starts again")
        return None

    def words_read(self) -> int:
        """Return how many words training had read at the newest checkpoint; 0 if that is unknown.

        The arrays of the checkpoint are not verified.
        """
        for _, path in self._found()[-1:]:
            with suppress(OSError, ValueError, KeyError, TypeError):
                return int(verify_checksum((path / STATE).read_bytes())["progress"]["words"])
        return 0

    def clear(self) -> None:
        """Remove the folder with all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _found(self) -> list[tuple[int, Path]]:
        if not self.folder.is_dir():
            return []
        return sorted(
            (int(path.name), path)
            for path in self.folder.iterdir()
            if path.name.isascii() and path.name.isdecimal()
        )


class _HashingFile:
    """Writes to a binary file, and computes the size and SHA-256 of what is written."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return int(self.file.write(data))


def write_array(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    """Write an array to an ``.npy`` file, and wait until it is on the disk (fsync).

    Returns
    -------
    dict
        The size of the file, ``bytes``, and its ``sha256`` in hexadecimal.
    """
    with path.open("wb") as file:
        hashing = _HashingFile(file)
        # NumPy writes to an object that is not a file in blocks of 16 MiB, without a copy.
        np.save(hashing, array, allow_pickle=False)
        fsync(file)
    return {"bytes": hashing.size, "sha256": hashing.digest.hexdigest()}


def read(path: Path, identity: str) -> Snapshot:
    """Read a checkpoint from its folder, and verify the checksums; its arrays are memory-mapped.

    Parameters
    ----------
    path
        The folder of the checkpoint.
    identity
        A text that identifies the training by its data and settings.

    Raises
    ------
    ValueError, KeyError, TypeError, OSError
        The checkpoint is damaged or belongs to another training.
    """
    body = verify_checksum((path / STATE).read_bytes())
    if body["identity"] != identity:
        raise ValueError("it is of another training")
    arrays = {}
    for name, file in body["files"].items():
        where = path / f"{name}.npy"
        size, digest = where.stat().st_size, file_sha256(where)
        if size != file["bytes"] or digest != file["sha256"]:
            raise ValueError(f"{where.name} has changed")
        arrays[name] = np.load(where, mmap_mode="r", allow_pickle=False)
    return Snapshot(body["progress"], arrays)
