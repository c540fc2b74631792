"""Reads a file from front to back, with the place in the file in every message."""

from pathlib import Path
from typing import IO, NoReturn

from w2v.errors import InputError

BLOCK = 1 << 20
"""Bytes that are read at a time."""


class FileReader:
    """What the readers of binary formats share: a buffer, and the offset of what is read next.

    Parameters
    ----------
    file
        Opened for reading, at its first byte.
    path
        Named in messages.
    """

    def __init__(self, file: IO[bytes], path: str | Path) -> None:
        self.file = file
        self.path = path
        self.buffer = b""
        self.start = 0  # of the unread bytes, in the buffer
        self.offset = 0  # of the same byte, in the file

    def fill(self, size: int) -> bool:
        """Read until `size` unread bytes are in the buffer; return False at the end of the file."""
        while len(self.buffer) - self.start < size:
            block = self.file.read(BLOCK)
            if not block:
                break
            self.buffer = self.buffer[self.start :] + block
            self.start = 0
        return len(self.buffer) > self.start

    def skip(self, size: int) -> None:
        """Mark the next `size` bytes as read."""
        self.start += size
        self.offset += size

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        """Raise an error that names the file and an offset, by default that of the next byte."""
        raise InputError(f"{self.path}: byte {self.offset if at is None else at}: {problem}")
