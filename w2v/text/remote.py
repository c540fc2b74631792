"""Open a file by its path or URL (https, s3, gs, …), compressed or not."""

from typing import IO, cast
from urllib.parse import urlsplit

from w2v import compression
from w2v.errors import InputError

TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection to an HTTP server, and then for the next bytes."""


def open_decompressed(path: str) -> IO[bytes]:
    """Open a local or remote file for reading; .gz, .bz2, .xz and .zst are decompressed.

    Raises
    ------
    InputError
        The URL is invalid, or of a kind that is unknown or needs a library that is not installed.
    """
    return compression.decompressed(open_raw(path), urlsplit(path).path if "://" in path else path)


def open_raw(path: str) -> IO[bytes]:
    """Open a local or remote file for reading its bytes as stored, without decompressing them.

    Raises
    ------
    InputError
        The URL is invalid, or of a kind that is unknown or needs a library that is not installed.
    """
    if "://" not in path:
        return compression.open_raw(path)
    from smart_open import open as smart_open

    params = {"timeout": TIMEOUT} if urlsplit(path).scheme in ("http", "https") else None
    try:
        opened = smart_open(path, "rb", compression="disable", transport_params=params)
        return cast(IO[bytes], opened)
    # smart_open does not know the scheme of the address, or lacks a library for it.
    except (ImportError, NotImplementedError, ValueError) as error:
        reason = " ".join(str(error).split())  # smart_open's has several lines
        raise InputError(f"{path}: cannot be opened ({reason})") from None
