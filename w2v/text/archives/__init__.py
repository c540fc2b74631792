"""Readers for the archives of well-known corpora, one module for each corpus.

This file holds the functions that the readers share. Documents are read as streams; nothing is
extracted to disk.
"""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from w2v.errors import InputError

DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
"""What the functions that read an archive raise if it is damaged."""

Open = Callable[[str], IO[bytes]]
"""Opens a file for reading its decompressed bytes."""


def open_member(path: Path, name: str, open: Open) -> IO[bytes]:
    """Open the member called `name` of a zip archive, or `path` itself if it is not a zip archive.

    The member may be in any folder of the archive.

    Parameters
    ----------
    path
        A zip archive, or a file that holds the content of the member.
    open
        Opens a file that is not a zip archive for reading its decompressed bytes.

    Raises
    ------
    InputError
        The archive holds no member or several members of this name, or it cannot be decompressed.
    """
    if not zipfile.is_zipfile(path):
        return open(str(path))
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if PurePosixPath(m.filename).name == name]
        if len(members) != 1:
            raise InputError(
                f"{path}: the archive must hold one {name}; it holds {len(members) or 'none'}"
            )
        try:
            return archive.open(members[0])
        except RuntimeError as error:  # a password, or a compression that zipfile lacks
            raise InputError(f"{path}: cannot be read ({error})") from None


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a file in blocks of one mebibyte."""
    return iter(lambda: file.read(1 << 20), b"")


def decode(data: bytes, where: str, offset: int = 0) -> str:
    """Decode UTF-8.

    Parameters
    ----------
    where
        The name of the file or archive member, for the error message.
    offset
        The position of `data` in the file, in bytes, for the error message.

    Raises
    ------
    InputError
        The bytes are not valid UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at, byte = offset + error.start, data[error.start]
        raise InputError(f"{where}: byte {at} (0x{byte:02x}) is not UTF-8") from None
