"""Read a binary file from front to back, with errors that name the file and the position in it."""

from pathlib import Path
from typing import IO, NoReturn

from w2v.errors import InputError

BLOCK = 1 << 20
"""Bytes that are read at a time."""

MAX_DIMENSIONS = 1 << 16
MAX_WORD = 1 << 16
"""The largest number of bytes in a word of a file of vectors.

`MAX_DIMENSIONS` is the largest number of dimensions of the vectors in such a file. Without these
limits, a reader might read very much of a damaged file at once.
"""


class FileReader:
    """Base class of readers of binary files: reads into a buffer, and keeps the position.

    Parameters
    ----------
    file
        The file, opened for reading at its first byte.
    path
        The name of the file, for messages.
    """

    def __init__(self, file: IO[bytes], path: str | Path) -> None:
        self.file = file
        self.path = path
        self.buffer = b""
        self.start = 0  # the position of the first unread byte in the buffer
        self.offset = 0  # the position of the same byte in the file

    def fill(self, size: int) -> bool:
        """Read until the buffer holds at least `size` unread bytes, or to the end of the file.

        Returns
        -------
        bool
            Whether the buffer holds any unread byte.
        """
        while len(self.buffer) - self.start < size:
            block = self.file.read(BLOCK)
            if not block:
                break
            self.buffer = self.buffer[self.start :] + block
            self.start = 0
        return len(self.buffer) > self.start

    def skip(self, size: int) -> None:
        """Mark the next `size` bytes in the buffer as read."""
        self.start += size
        self.offset += size

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        """Raise an `InputError` that names the file and a position in it.

        Parameters
        ----------
        problem
            The rest of the message: what is wrong.
        at
            The position in bytes; None: that of the first unread byte.
        """
        raise InputError(f"{self.path}: byte {self.offset if at is None else at}: {problem}")
