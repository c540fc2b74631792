"""Find and open the files that ``corpus.path`` names: local or remote, compressed or not."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from w2v import files as local
from w2v.errors import InputError


def find_files(paths: Sequence[str]) -> list[str]:
    """List the files that paths stand for: in the order given, sorted within a folder or glob.

    A path is a file, a folder (searched with all its subfolders), a glob pattern, or an address
    such as ``s3://bucket/text.gz``, which is not looked up.
    """
    files: list[str] = []
    for path in paths:
        if "://" in path or Path(path).is_file():
            found = [path]
        elif Path(path).is_dir():
            found = sorted(str(file) for file in Path(path).rglob("*") if file.is_file())
        else:
            matches = glob.glob(path, recursive=True)  # noqa: PTH207 (it takes absolute patterns)
            found = sorted(name for name in matches if Path(name).is_file())
        if not found:
            raise InputError(
                f"corpus.path={path}: no such file; give a path, a folder, a glob or a list"
            )
        files += found
    return files


def open_decompressed(path: str) -> IO[bytes]:
    """Open a local or remote file for reading; .gz, .bz2, .xz and .zst are decompressed."""
    if "://" not in path and not path.endswith(".zst"):
        return local.open_binary(path)
    from smart_open.compression import compression_wrapper

    file = open_raw(path)
    decompressed = compression_wrapper(file, "rb", filename=urlsplit(path).path)
    if decompressed is file:
        return file
    return cast(IO[bytes], local.Decompressed(file, decompressed))


def open_raw(path: str) -> IO[bytes]:
    """Open a local or remote file for reading the bytes on disk, without decompressing them."""
    if "://" not in path:
        return local.open_raw(path)
    from smart_open import open as smart_open

    try:
        return cast(IO[bytes], smart_open(path, "rb", compression="disable"))
    # smart_open does not know the scheme of the address, or lacks a library for it.
    except (ImportError, NotImplementedError, ValueError) as error:
        raise InputError(f"corpus.path={path}: cannot be opened ({error})") from None
